//! What the operator may not do, whoever makes it try.

use serde_json::json;

use prism_queue::domain::operator_policy::{Identity, OperatorPolicy};

use super::life::{OWNER, association, attaching, bound, cluster, life, managed_policy, ours, queue, role};
use super::{BOUNDARY, CLUSTER, everything, policy};
use crate::judge::{Request, allowing};

/// Asserts that a class which allows everything does not allow this.
fn refused(what: &str, request: &Request) {
    let policy = policy(&everything());
    assert_eq!(allowing(&policy, request), [""; 0], "{what}: {request:?}");
}

fn of_another(request: Request) -> Request {
    request.tagged(OWNER, "another-cluster")
}

fn as_ours(request: Request) -> Request {
    request.tagging(OWNER, CLUSTER).tagging("queue.prism.io/origin", "created")
}

#[test]
fn a_queue_of_another_cluster_is_seen_and_nothing_else() {
    let name = "acme-media_orders";
    for action in ["SetQueueAttributes", "TagQueue", "UntagQueue", "DeleteQueue"] {
        refused("of another cluster", &of_another(queue(action, name)));
        refused("of nobody", &queue(action, name));
    }
    refused("taken over", &as_ours(of_another(queue("TagQueue", name))));
    refused("made for another", &queue("CreateQueue", name).tagging(OWNER, "another-cluster"));
    refused("made for nobody", &queue("CreateQueue", name));
    refused("given away as it is made", &queue("TagQueue", name).tagging(OWNER, "another-cluster"));
}

#[test]
fn a_queue_of_another_name_is_not_touched_even_with_our_tags() {
    for action in ["GetQueueUrl", "GetQueueAttributes", "SetQueueAttributes", "TagQueue", "UntagQueue", "DeleteQueue"] {
        refused("of another name", &ours(queue(action, "billing-orders")));
    }
    refused("made", &as_ours(queue("CreateQueue", "billing-orders")));
    for elsewhere in ["arn:aws:sqs:eu-west-1:123456789012:acme-a_b", "arn:aws:sqs:eu-central-1:300000000002:acme-a_b"] {
        refused("elsewhere", &ours(Request::new("sqs:DeleteQueue", elsewhere)));
    }
}

#[test]
fn no_message_is_touched() {
    for action in ["SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "PurgeQueue"] {
        refused("a message", &ours(queue(action, "acme-media_orders")));
    }
}

#[test]
fn what_is_there_is_taken_over_only_where_the_class_allows_adoption() {
    let adopted = queue("TagQueue", "acme-a_b").tagging(OWNER, CLUSTER).tagging("queue.prism.io/origin", "adopted");
    let mut without = everything();
    without["limits"]["adoptionPolicies"] = json!(["Never"]);
    assert_eq!(allowing(&policy(&everything()), &adopted), ["TagQueuesOfNobodyAsOurs"]);
    assert_eq!(allowing(&policy(&without), &adopted), [""; 0]);
    without["limits"].as_object_mut().unwrap().remove("adoptionPolicies");
    assert_eq!(allowing(&policy(&without), &adopted), [""; 0], "left out, a class allows none");
}

#[test]
fn policies_are_ours_and_under_the_path() {
    let changes = ["CreatePolicyVersion", "DeletePolicyVersion", "UntagPolicy", "DeletePolicy"];
    for action in changes {
        refused("of another cluster", &of_another(managed_policy(action, "prism-queue/theirs")));
        refused("of nobody", &managed_policy(action, "prism-queue/theirs"));
        for elsewhere in ["boundary", "other/ours", "prism-queue", "prism-queues/ours"] {
            refused("at another path", &ours(managed_policy(action, elsewhere)));
        }
    }
    refused("made at another path", &as_ours(managed_policy("CreatePolicy", "ours")));
    refused("made for another", &managed_policy("CreatePolicy", "prism-queue/theirs").tagging(OWNER, "another"));
    refused("taken over", &as_ours(of_another(managed_policy("TagPolicy", "prism-queue/theirs"))));
    refused("by another version", &ours(managed_policy("SetDefaultPolicyVersion", "prism-queue/ours")));
}

#[test]
fn no_role_is_made_or_kept_without_the_boundary() {
    let name = "prism-queue/media_resizer";
    refused("no boundary", &as_ours(role("CreateRole", name)));
    let other = "arn:aws:iam::aws:policy/AdministratorAccess";
    refused("another boundary", &as_ours(role("CreateRole", name)).with("iam:PermissionsBoundary", other));
    let put = ours(role("PutRolePermissionsBoundary", name));
    refused("its boundary widened", &put.clone().with("iam:PermissionsBoundary", other));
    refused("its boundary removed", &bound(ours(role("DeleteRolePermissionsBoundary", name))));
    let attached = "prism-queue/media_resizer_access1";
    refused("given more without its boundary", &attaching(ours(role("AttachRolePolicy", name)), attached));
    refused("an inline policy", &bound(ours(role("PutRolePolicy", name))));
    refused("at another path", &bound(as_ours(role("CreateRole", "media_resizer"))));
    refused("made for nobody", &bound(role("CreateRole", name)));
}

#[test]
fn roles_of_others_are_left_alone() {
    let changes = ["UpdateAssumeRolePolicy", "DeleteRole", "PutRolePermissionsBoundary", "TagRole"];
    for action in changes {
        refused("of another cluster", &bound(of_another(role(action, "prism-queue/theirs"))));
        refused("of nobody", &bound(role(action, "prism-queue/theirs")));
        refused("at another path", &bound(ours(role(action, "admin"))));
        refused("a given one", &bound(ours(role(action, "teams/worker"))));
    }
    refused("looked at", &role("GetRole", "admin"));
    refused("looked at", &role("ListAttachedRolePolicies", "media_resizer_0123456789ab"));
    refused("taken over", &as_ours(of_another(role("TagRole", "prism-queue/theirs"))));
    let policy = "prism-queue/media_orders_Send";
    for action in ["AttachRolePolicy", "DetachRolePolicy"] {
        refused("another's", &attaching(bound(of_another(role(action, "prism-queue/theirs"))), policy));
    }
    refused("not a given one", &attaching(role("AttachRolePolicy", "admin"), policy));
}

#[test]
fn only_policies_under_the_path_are_attached_and_detached() {
    for action in ["AttachRolePolicy", "DetachRolePolicy"] {
        for policy in ["boundary", "PowerUser", "prism-queues/x"] {
            refused("to ours", &attaching(bound(ours(role(action, "prism-queue/media_resizer"))), policy));
            refused("to a given one", &attaching(role(action, "teams/worker"), policy));
        }
        let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
        refused("AWS's own", &role(action, "teams/worker").with("iam:PolicyARN", admin));
    }
}

#[test]
fn roles_are_passed_to_pod_identity_only() {
    let pass = |name: &str, service: &str| role("PassRole", name).with("iam:PassedToService", service);
    refused("to EC2", &pass("prism-queue/media_resizer", "ec2.amazonaws.com"));
    refused("to Lambda", &pass("prism-queue/media_resizer", "lambda.amazonaws.com"));
    refused("to whom it does not say", &role("PassRole", "prism-queue/media_resizer"));
    refused("another role", &pass("admin", "pods.eks.amazonaws.com"));
    refused("a given role", &pass("teams/worker", "pods.eks.amazonaws.com"));
}

#[test]
fn in_eks_only_our_associations_of_our_cluster_are_changed() {
    for action in ["UpdatePodIdentityAssociation", "DeletePodIdentityAssociation"] {
        refused("another's", &of_another(association(action, "eks-1")));
        refused("nobody's", &association(action, "eks-1"));
        refused("of another cluster in EKS", &ours(association(action, "eks-2")));
    }
    refused("in another cluster", &as_ours(cluster("CreatePodIdentityAssociation", "eks-2")));
    refused("taken over", &as_ours(of_another(association("TagResource", "eks-1"))));
    refused("the cluster tagged", &as_ours(cluster("TagResource", "eks-1")));
    for action in ["DescribeCluster", "DeleteCluster", "CreateAccessEntry", "AssociateAccessPolicy"] {
        refused("the cluster itself", &ours(cluster(action, "eks-1")));
    }
}

#[test]
fn nobody_is_assumed_who_is_no_role_of_a_class() {
    refused("a role", &role("AssumeRole", "admin"));
    refused("a role", &Request::new("sts:AssumeRole", "arn:aws:iam::123456789012:role/teams/worker"));
}

#[test]
fn without_a_feature_nothing_of_it_is_allowed() {
    type Change = fn(&mut serde_json::Value);
    let cases: &[(&str, Change)] = &[
        ("kms:", |class| class["limits"]["encryption"] = json!({"modes": ["SQSManaged"]})),
        ("eks:", |class| {
            class["iam"] = json!({"permissionsBoundaryArn": BOUNDARY, "oidcProviderArn": super::PROVIDER});
        }),
        ("iam:PassRole", |class| {
            class["iam"] = json!({"permissionsBoundaryArn": BOUNDARY, "oidcProviderArn": super::PROVIDER});
        }),
        ("iam:CreateRole", |class| class["iam"] = json!({"permissionsBoundaryArn": BOUNDARY})),
        ("iam:CreateRole", |class| class["limits"]["iam"]["subjectKinds"] = json!(["Principal", "Role"])),
        ("eks:", |class| class["limits"]["iam"]["subjectKinds"] = json!(["Principal", "Role"])),
    ];
    for (what, change) in cases {
        let mut class = everything();
        change(&mut class);
        let text = policy(&class).to_string();
        assert!(policy(&everything()).to_string().contains(what), "{what} would be noticed");
        assert!(!text.contains(what), "{what}: {text}");
    }
    // Whoever may attach policies may make them; without all of it, nothing of IAM is left but the question.
    let mut class = everything();
    class["iam"] = json!({});
    class["limits"]["iam"] =
        json!({"policies": [], "subjectKinds": ["Principal"], "roleArnPatterns": ["arn:aws:iam::123456789012:role/a"]});
    let policy = policy(&class);
    let iam = life().into_iter().filter(|request| request.action.starts_with("iam:"));
    let allowed: Vec<String> = iam.filter(|request| !allowing(&policy, request).is_empty()).map(|r| r.action).collect();
    assert_eq!(allowed, ["iam:SimulatePrincipalPolicy"]);
}

#[test]
fn a_policy_only_ever_allows() {
    let whole: OperatorPolicy = prism_queue::domain::operator_policy::operator_policy(
        &Identity::Operator,
        &[super::duties(&everything())],
        &super::installation(),
    );
    assert!(whole.statements().iter().all(|statement| statement.actions().iter().all(|action| !action.contains('*'))));
}
