//! The operator's own permissions where it makes roles: what is printed for such a class is enough, and all of it is used.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use prism_queue::api::{QueueAccess, RECONCILE_AT};
use serde_json::{Value, json};

use super::account::{Aws, policy, role_arn};
use super::{emulated, enforced, operator_role, printed_for_class, replay};
use crate::grants::Workload;
use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, PREFIX, REGION, Scope};
use crate::judge::{Request, allows, without};

/// The name that roles and policies of a subject begin with.
fn readable(workload: &Workload<'_>, subject: &str) -> String {
    format!("{}_{subject}", workload.namespace)
}

async fn make_boundary(aws: &Aws, name: &str) -> String {
    let anything = policy(&[json!({"Effect": "Allow", "Action": "sqs:*", "Resource": "*"})]).to_string();
    let made = aws.iam(ACCOUNT).create_policy().policy_name(name).policy_document(anything).send().await;
    made.expect("CreatePolicy").policy.and_then(|policy| policy.arn).expect("an ARN")
}

/// Roles of the account whose names begin so.
async fn roles(aws: &Aws, beginning: &str) -> Vec<String> {
    let all = aws.iam(ACCOUNT).list_roles().send().await.expect("ListRoles").roles.into_iter();
    all.map(|role| role.role_name).filter(|name| name.starts_with(beginning)).collect()
}

fn access(scope: &Scope, permissions: &[&str], subject: &Value) -> Value {
    json!({"queueRef": {"name": "work", "namespace": scope.name}, "permissions": permissions, "subject": subject})
}

/// A role with everything from its beginning to its end, and policies on a role of others.
async fn live(scope: &Scope, aws: &Aws, class: &str, given: &str) {
    let elsewhere = Workload::elsewhere(scope).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(scope.world.kube.clone(), &elsewhere.namespace);
    let account = serde_json::from_value(json!({"metadata": {"name": "resizer"}})).expect("a ServiceAccount");
    accounts.create(&PostParams::default(), &account).await.expect("it is new");
    let allowing = json!({"allowedNamespaces": {"from": "Names", "names": [elsewhere.namespace]}});
    scope.apply_ready("work", json!({"queueClassName": class, "access": allowing})).await;
    let subject = json!({"serviceAccount": {"name": "resizer"}});
    elsewhere.apply("resizer", access(scope, &["Consume"], &subject)).await;
    elsewhere.apply("given", access(scope, &["Inspect"], &json!({"roleArn": role_arn(ACCOUNT, given)}))).await;
    for access in ["resizer", "given"] {
        elsewhere.says(access, "Granted").await;
    }
    // What others change is set back.
    let [role] = &roles(aws, &readable(&elsewhere, "resizer")).await[..] else { panic!("one role") };
    let iam = aws.iam(ACCOUNT);
    let nobody = policy(&[json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"})]).to_string();
    iam.update_assume_role_policy().role_name(role).policy_document(nobody).send().await.expect("a trust policy");
    iam.delete_role_permissions_boundary().role_name(role).send().await.expect("it had a boundary");
    elsewhere.apply("resizer", access(scope, &["Consume", "Send"], &subject)).await;
    let accesses: Api<QueueAccess> = Api::namespaced(scope.world.kube.clone(), &elsewhere.namespace);
    let now = Patch::Merge(json!({"metadata": {"annotations": {RECONCILE_AT: "now"}}}));
    accesses.patch("resizer", &PatchParams::default(), &now).await.expect("it is there");
    let has_boundary = async || {
        let role = iam.get_role().role_name(role).send().await.expect("GetRole").role.expect("a role");
        role.permissions_boundary.is_some()
    };
    eventually("the boundary is set back", has_boundary, |has| *has).await;
    elsewhere.says("resizer", "Granted").await;
    for access in ["resizer", "given"] {
        elsewhere.delete(access).await;
    }
    assert_eq!(roles(aws, &readable(&elsewhere, "resizer")).await, [""; 0]);
    scope.delete("work").await;
    scope.gone("work").await;
}

#[test]
fn what_is_printed_for_a_class_that_makes_roles_is_enough_and_all_of_it_is_used() {
    enforced(async |scope, aws| {
        let boundary = make_boundary(aws, &format!("boundary-{}", scope.name)).await;
        let given = format!("given-{}", scope.name);
        aws.role(ACCOUNT, &given, &policy(&[])).await;
        let class = json!({
            "aws": {"accountId": ACCOUNT, "region": REGION},
            "naming": {"prefix": PREFIX},
            "allowedNamespaces": {"from": "Names", "names": [scope.name]},
            "limits": {"encryption": {"modes": ["SQSManaged"]}, "iam": {"roleArnPatterns": [role_arn(ACCOUNT, &given)]}},
            "iam": {
                "permissionsBoundaryArn": boundary,
                "oidcProviderArn": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.com"),
            },
        });
        let printed = printed_for_class(scope, class.clone());
        let operator = aws.session(ACCOUNT, &operator_role(scope), &emulated(printed.clone())).await;
        let operator = aws.operator(scope.world, &operator, &[]).await;
        let class = scope.class("roles", class).await;
        live(scope, aws, &class, &given).await;
        drop(operator);

        let calls = aws.proxy.calls();
        let denied: Vec<_> = calls.iter().filter(|call| call.status == Some(403)).collect();
        assert!(denied.is_empty(), "{denied:#?}");
        // The same calls as AWS would have looked at them.
        let requests = replay::requests(&calls);
        let printed = policy(&printed);
        let refused: Vec<&Request> = requests.iter().filter(|request| !allows(&printed, request)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        for statement in printed["Statement"].as_array().expect("statements") {
            let sid = statement["Sid"].as_str().expect("a Sid");
            let less = without(&printed, sid);
            assert!(requests.iter().any(|request| !allows(&less, request)), "nothing fails without {sid}");
        }
    });
}
