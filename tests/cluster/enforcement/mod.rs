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
mod roles;

use serde_json::{Value, json};

use crate::harness::{ACCOUNT, PREFIX, REGION, Scope, alone};

use account::{Aws, Caller};

/// Runs a test with the world for itself, and an AWS that refuses.
fn enforced(test: impl AsyncFnOnce(&Scope, &Aws)) {
    alone(async |scope| test(scope, &Aws::start()).await);
}

/// The same under an operator that may do what docs/install.md says, and nothing else.
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
    aws.session(ACCOUNT, &operator_role(scope), &printed(scope)).await
}

/// The statements that docs/install.md prints, for the operator of the tests.
fn printed(scope: &Scope) -> Vec<Value> {
    printed_for(ACCOUNT, &operator_role(scope), PREFIX)
}

/// The same for a role that makes queues with this prefix.
fn printed_for(account: &str, role: &str, prefix: &str) -> Vec<Value> {
    let role = format!("role/{role}");
    let mut statements = pages::statements_after(
        "docs/install.md",
        "## 2. The IAM policy",
        &[("role/prism-queue", &role), ("eu-central-1", REGION), ("123456789012", account), ("acme-prod-", prefix)],
    );
    for statement in &mut statements {
        let actions = pages::actions(statement);
        let allows = |action: &str| actions.iter().any(|allowed| allowed == action);
        let widened = if allows("iam:SimulatePrincipalPolicy") || allows("iam:CreatePolicy") {
            // The emulator does not see which role or policy these calls are about, and takes them to be about everything.
            json!("*")
        } else if allows("kms:DescribeKey") {
            // AWS looks for the statement by the key that an alias means, the emulator by the alias.
            json!([statement["Resource"], format!("arn:aws:kms:{REGION}:{account}:alias/*")])
        } else {
            continue;
        };
        statement["Resource"] = widened;
    }
    statements
}
