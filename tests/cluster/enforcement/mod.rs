//! What policies mean, by real calls: an emulator of its own checks signatures and enforces the policies of identities,
//! queues and trust. It speaks plain HTTP; TLS is in front of it, so that the operator's TLS-only policies stay on.
//!
//! Where the emulator says less than AWS, a comment at the test says so.

mod access;
mod account;
mod calls;
mod entries;
mod grants;
mod pages;
mod permissions;
mod policies;
mod replay;
mod role_permissions;
mod roles;
mod workloads;

use prism_queue::api::QueueClass;
use prism_queue::domain::arn::Place;
use prism_queue::domain::names::{NamePrefix, Naming};
use prism_queue::domain::operator_policy::{Duties, Identity, Installation, operator_policy};
use serde_json::{Value, json};

use crate::harness::{ACCOUNT, CLUSTER_NAME, PREFIX, REGION, Scope, alone};

use account::{Aws, Caller, role_arn};

/// Runs a test with the world for itself, and an AWS that refuses.
fn enforced(test: impl AsyncFnOnce(&Scope, &Aws)) {
    alone(async |scope| test(scope, &Aws::start()).await);
}

/// The same under an operator that may do what is printed for it, and nothing else.
fn as_installed(flags: &[&str], test: impl AsyncFnOnce(&Scope, &Aws)) {
    enforced(async |scope, aws| {
        let operator = aws.operator(scope.world, &installed(scope, aws).await, flags).await;
        test(scope, aws).await;
        drop(operator);
    });
}

/// The name of the operator's role.
fn operator_role(scope: &Scope) -> String {
    format!("prism-queue-{}", scope.name)
}

/// The operator as docs/install.md has it installed.
async fn installed(scope: &Scope, aws: &Aws) -> Caller {
    aws.session(ACCOUNT, &operator_role(scope), &emulated(printed(scope))).await
}

/// The statements that `kubectl queue render operator-policy` prints for the operator of the tests.
fn printed(scope: &Scope) -> Vec<Value> {
    printed_for(ACCOUNT, &operator_role(scope), PREFIX)
}

/// The same for a role that makes queues with this prefix.
fn printed_for(account: &str, role: &str, prefix: &str) -> Vec<Value> {
    let place = Place { account_id: account.to_owned(), region: REGION.to_owned() };
    let naming = Naming::new(NamePrefix::parse(prefix).expect("a prefix"));
    rendered(&Duties::of_flags(place, &naming), &installation(account, role))
}

/// What is printed for the operator of the tests and a class without a role.
fn printed_for_class(scope: &Scope, spec: Value) -> Vec<Value> {
    let class = QueueClass::new("printed", serde_json::from_value(spec).expect("the spec of a class"));
    let installation = installation(ACCOUNT, &operator_role(scope));
    rendered(&Duties::of_class(&class, &installation).expect("a policy can be made"), &installation)
}

fn installation(account: &str, role: &str) -> Installation {
    Installation {
        cluster_name: CLUSTER_NAME.to_owned(),
        arn: Some(role_arn(account, role)),
        account_id: Some(account.to_owned()),
    }
}

fn rendered(duties: &Duties, installation: &Installation) -> Vec<Value> {
    let printed = operator_policy(&Identity::Operator, std::slice::from_ref(duties), installation);
    let statements = printed.statements().iter().map(serde_json::to_value);
    statements.map(|statement| statement.expect("a statement is JSON")).collect()
}

/// Statements as far as the emulator can hold the operator to them. What it does not see is proved by [`replay`], by the judge
/// in tests/domain/operator_policy, and by tests/convergence, whose AWS sees all of it.
fn emulated(mut statements: Vec<Value>) -> Vec<Value> {
    for statement in &mut statements {
        let actions = pages::actions(statement);
        let allows = |action: &str| actions.iter().any(|allowed| allowed == action);
        let is_of_iam = actions.iter().all(|action| action.starts_with("iam:"));
        if allows("iam:SimulatePrincipalPolicy") || allows("iam:CreatePolicy") {
            // It does not see which role or policy these calls are about, and takes them to be about everything.
            statement["Resource"] = json!("*");
        } else if actions.iter().any(|action| action.contains("Role")) {
            // It takes all roles to be at the path /.
            statement["Resource"] = json!(role_arn("*", "*"));
        } else if allows("kms:DescribeKey") {
            // AWS looks for the statement by the key that an alias means, the emulator by the alias.
            let aliases = statement["Resource"].as_str().expect("one").replace(":key/", ":alias/");
            statement["Resource"] = json!([statement["Resource"], aliases]);
        }
        if let Some(Value::Object(condition)) = statement.get_mut("Condition").filter(|_| is_of_iam) {
            // Of policies and roles it knows neither tags nor boundaries, nor which policy is attached to a role.
            let is_seen = |key: &str| key.starts_with("aws:RequestTag/");
            for keys in condition.values_mut() {
                keys.as_object_mut().expect("keys").retain(|key, _| is_seen(key));
            }
            condition.retain(|_, keys| keys.as_object().is_some_and(|keys| !keys.is_empty()));
        }
    }
    statements
}
