//! Who may assume a role: a token of another `ServiceAccount`, namespace, issuer or audience is refused, and so is a Pod of
//! another cluster.

use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::domain::identity::{DesiredRole, Trust, Workload};

use super::evaluator::{Service, Token, by_role, lets_in};
use super::{Case, ISSUER, associating, consuming, member, provider};

const AUDIENCE: &str = "sts.amazonaws.com";
const CLUSTER: &str = "arn:aws:eks:eu-central-1:123456789012:cluster/prod-1";
const SERVICE: &str = "pods.eks.amazonaws.com";
const RESIZER: Workload<'_> = Workload { namespace: "web", service_account: "resizer" };

/// The trust policy that the role of `web/resizer` is made with.
fn trust_of(case: &Case) -> String {
    match case.desired().role {
        DesiredRole::Made { trust, .. } => trust.to_json(),
        other => panic!("no role is made: {other:?}"),
    }
}

#[test]
fn by_tokens_a_role_is_for_one_service_account_of_one_cluster_for_aws() {
    let trust = trust_of(&Case::of_resizer(consuming()));
    let judge = |issuer, audience, namespace, service_account| {
        lets_in(&trust, &Token { issuer, audience, namespace, service_account }.attempt())
    };
    assert!(judge(ISSUER, AUDIENCE, "web", "resizer"));
    for (issuer, audience, namespace, service_account) in [
        (ISSUER, AUDIENCE, "web", "other"),
        (ISSUER, AUDIENCE, "web", "resizer2"),
        (ISSUER, AUDIENCE, "web", "default"),
        (ISSUER, AUDIENCE, "media", "resizer"),
        (ISSUER, AUDIENCE, "web2", "resizer"),
        (ISSUER, "https://kubernetes.default.svc", "web", "resizer"),
        (ISSUER, "vault", "web", "resizer"),
        ("oidc.eks.eu-central-1.amazonaws.com/id/ABD", AUDIENCE, "web", "resizer"),
        ("oidc.eks.us-east-1.amazonaws.com/id/ABC", AUDIENCE, "web", "resizer"),
        ("accounts.google.com", AUDIENCE, "web", "resizer"),
    ] {
        assert!(
            !judge(issuer, audience, namespace, service_account),
            "{issuer} {audience} {namespace} {service_account}"
        );
    }
    let of_aws = Service { name: SERVICE, cluster_arn: CLUSTER, namespace: "web", account: "resizer" };
    assert!(!lets_in(&trust, &of_aws.attempt()));
    for arn in ["arn:aws:iam::123456789012:role/admin", "arn:aws:iam::123456789012:root", "*"] {
        assert!(!lets_in(&trust, &by_role(arn)), "{arn}");
    }
}

#[test]
fn by_pod_identity_a_role_is_for_one_service_account_of_one_cluster() {
    let class = associating();
    let members = vec![member("consume", &class, consuming().remove(0).given)];
    let trust = trust_of(&Case::of_resizer(members).under(class));
    let judge = |name, cluster_arn, namespace, account| {
        lets_in(&trust, &Service { name, cluster_arn, namespace, account }.attempt())
    };
    assert!(judge(SERVICE, CLUSTER, "web", "resizer"));
    for (name, cluster_arn, namespace, service_account) in [
        (SERVICE, CLUSTER, "web", "other"),
        (SERVICE, CLUSTER, "media", "resizer"),
        (SERVICE, "arn:aws:eks:eu-central-1:123456789012:cluster/prod-2", "web", "resizer"),
        (SERVICE, "arn:aws:eks:us-east-1:123456789012:cluster/prod-1", "web", "resizer"),
        (SERVICE, "arn:aws:eks:eu-central-1:999999999999:cluster/prod-1", "web", "resizer"),
        ("ec2.amazonaws.com", CLUSTER, "web", "resizer"),
        ("eks.amazonaws.com", CLUSTER, "web", "resizer"),
    ] {
        assert!(
            !judge(name, cluster_arn, namespace, service_account),
            "{name} {cluster_arn} {namespace} {service_account}"
        );
    }
    let token = Token { issuer: ISSUER, audience: AUDIENCE, namespace: "web", service_account: "resizer" };
    assert!(!lets_in(&trust, &token.attempt()));
}

#[test]
fn a_role_that_trusts_a_role_trusts_no_other() {
    let source = "arn:aws:iam::123456789012:role/prism-queue/web_resizer_0";
    let trust = Trust::in_role(source).to_json();
    assert!(lets_in(&trust, &by_role(source)));
    for arn in ["arn:aws:iam::123456789012:role/prism-queue/web_resizer_1", "arn:aws:iam::123456789012:root"] {
        assert!(!lets_in(&trust, &by_role(arn)), "{arn}");
    }
}

/// Names as Kubernetes takes them.
fn label() -> impl Strategy<Value = String> {
    prop_oneof!["web|shop|a|b|default", "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"]
}

fn issuer() -> impl Strategy<Value = String> {
    prop_oneof![Just(ISSUER.to_owned()), "[a-z0-9.-]{1,30}(/[A-Za-z0-9._-]{1,10}){0,3}"]
}

proptest! {
    #[test]
    fn a_token_is_let_in_if_and_only_if_it_is_of_this_service_account_namespace_issuer_and_for_aws(
        of in (issuer(), label(), label()),
        by in (issuer(), label(), label()),
        audience in prop_oneof![Just(AUDIENCE), Just("sts.amazonaws.com.cn"), Just("vault")],
    ) {
        let (issuer, namespace, service_account) = &of;
        let workload = Workload { namespace, service_account };
        let trust = Trust::in_tokens(&provider(issuer), &workload).to_json();
        let token = Token { issuer: &by.0, audience, namespace: &by.1, service_account: &by.2 };
        prop_assert_eq!(lets_in(&trust, &token.attempt()), of == by && audience == AUDIENCE);
        let own = Token { issuer, audience, namespace, service_account };
        prop_assert_eq!(lets_in(&trust, &own.attempt()), audience == AUDIENCE);
    }

    #[test]
    fn a_pod_is_let_in_if_and_only_if_it_is_of_this_service_account_namespace_and_cluster(
        of in (label(), label(), label()),
        by in (label(), label(), label()),
    ) {
        let arn = |name: &str| format!("arn:aws:eks:eu-central-1:123456789012:cluster/{name}");
        let (cluster, namespace, service_account) = &of;
        let trust = Trust::in_pod_identity(&arn(cluster), &Workload { namespace, service_account }).to_json();
        let judge = |(cluster, namespace, service_account): &(String, String, String)| {
            lets_in(&trust, &Service { name: SERVICE, cluster_arn: &arn(cluster), namespace, account: service_account }.attempt())
        };
        prop_assert_eq!(judge(&by), of == by);
        prop_assert!(judge(&of));
    }
}

fn in_tokens() -> Trust {
    Trust::in_tokens(&provider(ISSUER), &RESIZER)
}

fn written() -> Value {
    serde_json::from_str(&in_tokens().to_json()).unwrap()
}

/// IAM writes a policy anew as it keeps it.
#[test]
fn what_iam_writes_anew_is_the_same_trust() {
    let provider = provider(ISSUER);
    let (sub, aud) = (format!("{ISSUER}:sub"), format!("{ISSUER}:aud"));
    let subject = "system:serviceaccount:web:resizer";
    let action = "sts:AssumeRoleWithWebIdentity";
    let single = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"Federated": provider}, "Action": action,
        "Condition": {"StringEquals": {(&sub): subject, (&aud): AUDIENCE}},
    }});
    let listed = json!({"Statement": [{
        "Condition": {"StringEquals": {(&aud): [AUDIENCE], (&sub): [subject, subject]}},
        "Action": [action], "Principal": {"Federated": [provider]}, "Effect": "Allow",
    }], "Version": "2012-10-17"});
    for text in [single.to_string(), listed.to_string(), format!("{listed:#}")] {
        assert_eq!(Trust::parse(&text), in_tokens(), "{text}");
        assert_eq!(Trust::parse(&text).digest(), in_tokens().digest());
    }
    let pods = Trust::in_pod_identity(CLUSTER, &RESIZER);
    let mut turned: Value = serde_json::from_str(&pods.to_json()).unwrap();
    turned["Statement"][0]["Action"].as_array_mut().unwrap().reverse();
    assert_eq!(Trust::parse(&turned.to_string()), pods);
    for trust in [in_tokens(), pods, Trust::in_role("arn:aws:iam::123456789012:role/a")] {
        assert_eq!(Trust::parse(&trust.to_json()), trust, "what was written is read back");
    }
}

/// The keys that the condition of a statement compares.
fn equal(statement: &mut Value) -> &mut serde_json::Map<String, Value> {
    statement["Condition"]["StringEquals"].as_object_mut().unwrap()
}

#[test]
fn another_meaning_is_another_trust() {
    let statement = |change: fn(&mut Value)| {
        let mut policy = written();
        change(&mut policy["Statement"][0]);
        policy
    };
    let mut two = written();
    two["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole",
    }));
    let changed = [
        (
            "another subject",
            statement(|s| {
                equal(s).insert(format!("{ISSUER}:sub"), json!("system:serviceaccount:web:other"));
            }),
        ),
        (
            "one subject more",
            statement(|s| {
                let both = json!(["system:serviceaccount:web:resizer", "system:serviceaccount:web:other"]);
                equal(s).insert(format!("{ISSUER}:sub"), both);
            }),
        ),
        ("no subject", statement(|s| _ = equal(s).remove(&format!("{ISSUER}:sub")))),
        ("another audience", statement(|s| _ = equal(s).insert(format!("{ISSUER}:aud"), json!("vault")))),
        ("no audience", statement(|s| _ = equal(s).remove(&format!("{ISSUER}:aud")))),
        ("no condition", statement(|s| _ = s.as_object_mut().unwrap().remove("Condition"))),
        (
            "another operator",
            statement(|s| {
                let keys = s["Condition"]["StringEquals"].take();
                s["Condition"] = json!({"StringLike": keys});
            }),
        ),
        (
            "another issuer",
            statement(|s| {
                s["Principal"]["Federated"] = json!("arn:aws:iam::123456789012:oidc-provider/example.com");
            }),
        ),
        (
            "another account",
            statement(|s| {
                s["Principal"]["Federated"] = json!(format!("arn:aws:iam::999999999999:oidc-provider/{ISSUER}"));
            }),
        ),
        ("one principal more", statement(|s| s["Principal"]["AWS"] = json!("arn:aws:iam::123456789012:root"))),
        ("anybody", statement(|s| s["Principal"] = json!("*"))),
        ("another effect", statement(|s| s["Effect"] = json!("Deny"))),
        ("another action", statement(|s| s["Action"] = json!("sts:AssumeRole"))),
        ("one action more", statement(|s| s["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]))),
        ("one statement more", two),
        ("no statement", json!({"Version": "2012-10-17", "Statement": []})),
        ("an older grammar", {
            let mut policy = written();
            policy["Version"] = json!("2008-10-17");
            policy
        }),
        ("nothing", Value::Null),
    ];
    for (what, policy) in changed {
        assert_ne!(Trust::parse(&policy.to_string()), in_tokens(), "{what}");
    }
    for text in ["", "no JSON", "{"] {
        assert_ne!(Trust::parse(text), in_tokens(), "{text}");
    }
}
