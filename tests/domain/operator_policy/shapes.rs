//! For whom a policy is, which names it holds, and how it fits into what IAM takes.

use serde_json::{Value, json};

use prism_queue::domain::arn::Place;
use prism_queue::domain::iam::MAX_CHARACTERS;
use prism_queue::domain::names::{NamePrefix, Naming};
use prism_queue::domain::operator_policy::{Duties, Identity, operator_policy};

use super::life::{bound, life, ours};
use super::{BOUNDARY, OPERATOR, PROVIDER, duties, everything, installation, policy, policy_for, sids, value};
use crate::fixtures::*;
use crate::judge::{Request, allows};

const FAR: &str = "arn:aws:iam::300000000002:role/prism-queue";
const PODS: &str = "arn:aws:iam::300000000002:role/pods";

fn in_far(spec: &Value) -> Value {
    let mut class = spec.clone();
    class["aws"] = json!({"region": "eu-west-1", "accountId": "300000000002", "roleArn": FAR});
    class
}

fn resources(policy: &Value, sid: &str) -> Vec<String> {
    let statement = policy["Statement"].as_array().unwrap().iter().find(|statement| statement["Sid"] == sid);
    match &statement.unwrap_or_else(|| panic!("{sid}: {policy}"))["Resource"] {
        Value::Array(all) => all.iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

fn queues(policy: &Value) -> Vec<String> {
    let names = resources(policy, "CreateQueuesAsOurs").into_iter();
    names.map(|arn| arn.rsplit(':').next().unwrap().to_owned()).collect()
}

#[test]
fn a_role_gets_what_is_done_by_it_and_the_operator_only_assumes_it() {
    let class = in_far(&json!({"naming": {"prefix": "acme-"}}));
    let role = Identity::Role(FAR.to_owned());
    assert_eq!(duties(&class).identities(), [role.clone(), Identity::Operator]);
    let of_role = policy_for(&role, &class);
    assert_eq!(resources(&of_role, "CreateQueuesAsOurs"), ["arn:aws:sqs:eu-west-1:300000000002:acme-*"]);
    assert_eq!(resources(&of_role, "SayWhatIsMissing"), [FAR]);
    assert!(!of_role.to_string().contains("sts:"));
    let of_operator = policy_for(&Identity::Operator, &class);
    assert_eq!(sids(&of_operator), ["AssumeTheRolesOfClasses"]);
    for action in ["sts:AssumeRole", "sts:TagSession"] {
        assert!(allows(&of_operator, &Request::new(action, FAR)));
        assert!(!allows(&of_operator, &Request::new(action, "arn:aws:iam::300000000002:role/prism-queue-2")));
    }
}

#[test]
fn the_role_for_pod_identity_gets_what_is_done_in_the_clusters_account() {
    let mut class = everything();
    class["iam"]["podIdentity"]["roleArn"] = json!(PODS);
    class["iam"]["podIdentity"]["permissionsBoundaryArn"] = json!("arn:aws:iam::300000000002:policy/pods");
    let role = Identity::Role(PODS.to_owned());
    assert_eq!(duties(&class).identities(), [Identity::Operator, role.clone()]);
    let of_pods = policy_for(&role, &class);
    assert_eq!(resources(&of_pods, "ListAssociations"), ["arn:aws:eks:eu-central-1:300000000002:cluster/eks-1"]);
    assert_eq!(resources(&of_pods, "PassOurRolesToPodIdentityOnly"), ["arn:aws:iam::300000000002:role/prism-queue/*"]);
    assert!(!of_pods.to_string().contains("sqs:"));
    // The roles beside the cluster have a boundary of their own.
    let create = Request::new("iam:CreateRole", "arn:aws:iam::300000000002:role/prism-queue/a");
    let create = create.tagging(super::life::OWNER, super::CLUSTER);
    assert!(!allows(&of_pods, &bound(create.clone())));
    assert!(allows(&of_pods, &create.with("iam:PermissionsBoundary", "arn:aws:iam::300000000002:policy/pods")));
    let of_operator = policy_for(&Identity::Operator, &class);
    assert!(!of_operator.to_string().contains("eks:"));
    assert_eq!(resources(&of_operator, "AssumeTheRolesOfClasses"), [PODS]);
    // In one account no second set of roles is made.
    class["iam"]["podIdentity"] = json!({"clusterName": "eks-1", "region": "eu-central-1",
        "roleArn": "arn:aws:iam::123456789012:role/pods"});
    let role = Identity::Role("arn:aws:iam::123456789012:role/pods".to_owned());
    assert!(!policy_for(&role, &class).to_string().contains("iam:CreateRole"));
}

#[test]
fn names_are_fenced_by_the_prefix_and_by_the_pattern_for_custom_ones() {
    let of = |spec: &Value| queues(&policy(spec));
    assert_eq!(of(&json!({"naming": {"prefix": "acme-"}})), ["acme-*"]);
    assert_eq!(of(&json!({"naming": {"prefix": "acme-", "template": "{prefix}eu-{namespace}_{name}"}})), ["acme-eu-*"]);
    // Whatever else there is in the account, few other queues have a `_`.
    assert_eq!(of(&json!({})), ["*_*"]);
    let with = |pattern: &str| of(&json!({"naming": {"prefix": "acme-"}, "limits": {"queueNamePattern": pattern}}));
    assert_eq!(with("acme-{namespace}-[a-z]+"), ["acme-*"]);
    assert_eq!(with("(orders|bills)-{namespace}"), ["acme-*", "bills-*", "orders-*"]);
    assert_eq!(with(".*"), ["*"]);
    let flags = |prefix: &str| {
        let place = Place { account_id: ACCOUNT.to_owned(), region: REGION.to_owned() };
        let duties = Duties::of_flags(place, &Naming::new(NamePrefix::parse(prefix).unwrap()));
        queues(&value(&operator_policy(&Identity::Operator, &[duties], &installation())))
    };
    assert_eq!((flags("acme-"), flags("")), (vec!["acme-*".to_owned()], vec!["*".to_owned()]));
}

#[test]
fn a_given_role_that_is_not_there_can_be_told_by_its_name() {
    let of = |pattern: &str| {
        let pattern = format!("arn:aws:iam::123456789012:role/{pattern}");
        resources(&policy(&json!({"limits": {"iam": {"roleArnPatterns": [pattern]}}})), "SeeGivenRoles")
    };
    let arns =
        |names: &[&str]| names.iter().map(|name| format!("arn:aws:iam::123456789012:role/{name}")).collect::<Vec<_>>();
    assert_eq!(of("worker-*"), arns(&["worker-*"]));
    assert_eq!(of("teams/worker-*"), arns(&["teams/worker-*", "worker-*"]), "IAM knows no path of what is not there");
    assert_eq!(of("teams/*"), arns(&["teams/*"]), "but not any role at all");
}

#[test]
fn keys_are_those_that_the_class_allows() {
    let of = |keys: Value| {
        let policy = policy(&json!({"limits": {"encryption": {"kms": {"keys": keys}}}}));
        let about_keys = |statement: &&Value| statement["Sid"].as_str().unwrap().starts_with("ReadKeys");
        policy["Statement"].as_array().unwrap().iter().filter(about_keys).cloned().collect::<Vec<_>>()
    };
    let arn = "arn:aws:kms:eu-central-1:300000000002:key/1234";
    let [plain, aliased] = &of(json!(["abcd", arn, "alias/queues"]))[..] else { panic!("two statements") };
    assert_eq!(plain["Resource"], json!(["arn:aws:kms:eu-central-1:123456789012:key/abcd", arn]));
    assert_eq!(aliased["Resource"], "arn:aws:kms:eu-central-1:123456789012:key/*");
    assert_eq!(aliased["Condition"], json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/queues"}}));
    assert_eq!(aliased["Sid"], "ReadKeys2");
}

#[test]
fn classes_that_share_an_identity_share_its_policy() {
    let one = duties(&json!({"naming": {"prefix": "acme-"}}));
    let other = duties(&json!({"naming": {"prefix": "beta-"}, "limits": {"adoptionPolicies": ["Never", "Adopt"]}}));
    let policy = value(&operator_policy(&Identity::Operator, &[one, other], &installation()));
    assert_eq!(queues(&policy), ["acme-*", "beta-*"]);
    assert_eq!(sids(&policy).iter().filter(|sid| sid.starts_with("TagQueuesOfNobody")).count(), 2, "{policy:#}");
    let mut unique: Vec<&str> = sids(&policy);
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), sids(&policy).len(), "a Sid stands once in a policy");
    assert!(unique.iter().all(|sid| sid.chars().all(|c| c.is_ascii_alphanumeric())), "{unique:?}");
}

#[test]
fn partitions_are_those_of_the_regions() {
    let class = json!({"aws": {"region": "cn-north-1", "accountId": ACCOUNT}, "iam": {"permissionsBoundaryArn":
        "arn:aws-cn:iam::123456789012:policy/boundary", "podIdentity": {"clusterName": "a", "region": "cn-north-1"}}});
    let installation = prism_queue::domain::operator_policy::Installation { arn: None, ..installation() };
    let class = crate::class::object("prod", &class);
    let duties = Duties::of_class(&class, &installation).unwrap();
    let text = value(&operator_policy(&Identity::Operator, &[duties], &installation)).to_string();
    assert!(
        text.contains("arn:aws-cn:sqs:") && text.contains("arn:aws-cn:eks:") && !text.contains("arn:aws:"),
        "{text}"
    );
}

#[test]
fn what_does_not_fit_into_one_managed_policy_is_several_that_allow_the_same() {
    let whole = operator_policy(&Identity::Operator, &[duties(&everything())], &installation());
    assert_eq!(whole.managed_policies().len(), if whole.characters() <= MAX_CHARACTERS { 1 } else { 2 });
    // Many classes, each with a boundary, a path and a prefix of its own.
    let many: Vec<Duties> = (0..12)
        .map(|n| {
            let mut class = everything();
            class["naming"]["prefix"] = json!(format!("acme-{n}-"));
            class["iam"] = json!({"path": format!("/prism-queue/{n}/"), "oidcProviderArn": PROVIDER,
                "permissionsBoundaryArn": format!("{BOUNDARY}-{n}")});
            duties(&class)
        })
        .collect();
    let whole = operator_policy(&Identity::Operator, &many, &installation());
    let parts = whole.managed_policies();
    assert!(parts.len() > 1 && parts.iter().all(|part| part.characters() <= MAX_CHARACTERS));
    let count: usize = parts.iter().map(|part| part.statements().len()).sum();
    assert_eq!(count, whole.statements().len(), "no statement is lost or stands twice");
    let parts: Vec<Value> = parts.iter().map(value).collect();
    for request in [
        ours(super::life::queue("DeleteQueue", "acme-7-a_b")),
        super::life::role("ListAttachedRolePolicies", "prism-queue/11/a"),
    ] {
        assert!(allows(&value(&whole), &request) && parts.iter().any(|part| allows(part, &request)), "{request:?}");
    }
}

#[test]
fn a_statement_that_is_too_long_by_itself_is_divided() {
    let many: Vec<Duties> = (0..300)
        .map(|n| {
            let mut class = in_far(&json!({}));
            class["aws"]["roleArn"] = json!(format!("{FAR}-{n:03}"));
            duties(&class)
        })
        .collect();
    let parts = operator_policy(&Identity::Operator, &many, &installation()).managed_policies();
    assert!(parts.iter().all(|part| part.characters() <= MAX_CHARACTERS));
    let parts: Vec<Value> = parts.iter().map(value).collect();
    for n in 0..300 {
        let assume = Request::new("sts:AssumeRole", format!("{FAR}-{n:03}"));
        assert_eq!(parts.iter().filter(|part| allows(part, &assume)).count(), 1, "{n}");
    }
}

#[test]
fn without_its_arn_the_operator_asks_nothing_about_itself() {
    let unknown = prism_queue::domain::operator_policy::Installation { arn: None, ..installation() };
    let policy = value(&operator_policy(&Identity::Operator, &[duties(&everything())], &unknown));
    let refused: Vec<Request> = life().into_iter().filter(|request| !allows(&policy, request)).collect();
    assert_eq!(refused, [Request::new("iam:SimulatePrincipalPolicy", OPERATOR)]);
}
