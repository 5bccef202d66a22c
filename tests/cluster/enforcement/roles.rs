//! A class with a role in another account: trust as docs/classes.md prints it, and what is refused without.

use serde_json::{Value, json};

use super::account::{Aws, policy, role_arn};
use super::{emulated, enforced, operator_role, pages, printed_for};
use crate::harness::{ACCOUNT, PREFIX, REGION, Scope, aws as seen, condition};

/// The account of the role.
const FAR: &str = "300000000002";
/// What the operator says to be let in.
const EXTERNAL_ID: &str = "acme";

/// The statements by which a role trusts the operator.
fn trust(scope: &Scope) -> Vec<Value> {
    let operator = role_arn(ACCOUNT, &operator_role(scope));
    let replaced = [("arn:aws:iam::123456789012:role/prism-queue", operator.as_str())];
    pages::statements_after("docs/classes.md", "**1. The role trusts the operator.**", &replaced)
}

/// The statements by which the operator may assume `roles`, and nothing else.
fn may_assume(roles: &[String]) -> Vec<Value> {
    let example = r#""arn:aws:iam::300000000002:role/prism-queue""#;
    let ours: Vec<String> = roles.iter().map(|role| format!("{role:?}")).collect();
    let ours = format!("[{}]", ours.join(", "));
    pages::statements_after("docs/classes.md", "**3. The operator may assume it.**", &[(example, &ours)])
}

/// Makes a role that makes queues, with this trust. Answers its ARN.
async fn role(scope: &Scope, aws: &Aws, name: &str, trust: &[Value]) -> String {
    let name = format!("{name}-{}", scope.name);
    let arn = aws.role(FAR, &name, &policy(trust)).await;
    aws.allow(FAR, &name, &policy(&emulated(printed_for(FAR, &name, PREFIX)))).await;
    arn
}

/// A class that acts by a role.
fn class(role: &str, external_id: Option<&str>) -> Value {
    let mut aws = json!({"accountId": FAR, "region": REGION, "roleArn": role});
    if let Some(external_id) = external_id {
        aws["externalId"] = json!(external_id);
    }
    json!({"aws": aws, "naming": {"prefix": PREFIX}})
}

#[test]
fn a_class_acts_in_another_account_with_no_more_than_the_guide_prints() {
    enforced(async |scope, aws| {
        let far = role(scope, aws, "far", &trust(scope)).await;
        let operator = aws.session(ACCOUNT, &operator_role(scope), &may_assume(std::slice::from_ref(&far))).await;
        let operator = aws.operator(scope.world, &operator, &[]).await;
        let class = scope.class("far", class(&far, Some(EXTERNAL_ID))).await;
        scope.apply_ready("work", json!({"queueClassName": class, "tags": {"team": "media"}})).await;
        scope.apply_ready("work", json!({"queueClassName": class, "delaySeconds": 3})).await;
        let there = aws.root(FAR).sqs;
        let attributes = seen::attributes(&there, &scope.queue("work")).await.expect("it is in the other account");
        assert_eq!(attributes["DelaySeconds"], "3");
        assert!(!seen::tags(&there, &scope.queue("work")).await.contains_key("team"));
        assert_eq!(seen::url(&aws.root(ACCOUNT).sqs, &scope.queue("work")).await, None);
        scope.delete("work").await;
        scope.gone("work").await;
        assert_eq!(seen::names(&there, &scope.queue("work")).await, [""; 0]);
        let refused: Vec<_> = aws.proxy.calls().into_iter().filter(|call| call.status == Some(403)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        drop(operator);
    });
}

#[test]
fn a_role_is_not_assumed_for_want_of_any_part_and_the_queue_says_so() {
    enforced(async |scope, aws| {
        let whole = trust(scope);
        let stranger = aws.session(ACCOUNT, &format!("stranger-{}", scope.name), &[assume_anything()]).await;
        let mut of_another = whole.clone();
        for statement in &mut of_another {
            statement["Principal"]["AWS"] = json!(role_arn(ACCOUNT, &format!("stranger-{}", scope.name)));
        }
        let good = role(scope, aws, "good", &whole).await;
        let untrusting = role(scope, aws, "untrusting", &of_another).await;
        let unlisted = role(scope, aws, "unlisted", &whole).await;
        let mut cases = vec![
            ("no-id".to_owned(), good.clone(), None),
            ("another-id".to_owned(), good.clone(), Some("acme2")),
            ("another-principal".to_owned(), untrusting.clone(), Some(EXTERNAL_ID)),
            // AWS asks the operator's own policy for sts:TagSession too, the emulator for sts:AssumeRole alone.
            ("not-listed".to_owned(), unlisted, Some(EXTERNAL_ID)),
        ];
        let mut listed = vec![good.clone(), untrusting.clone()];
        for left_out in 0..whole.len() {
            let mut less = whole.clone();
            less.remove(left_out);
            let name = format!("less-{left_out}");
            let arn = role(scope, aws, &name, &less).await;
            listed.push(arn.clone());
            cases.push((name, arn, Some(EXTERNAL_ID)));
        }
        let operator = aws.session(ACCOUNT, &operator_role(scope), &may_assume(&listed)).await;
        let operator = aws.operator(scope.world, &operator, &[]).await;
        for (name, role, external_id) in &cases {
            let class = scope.class(name, class(role, *external_id)).await;
            scope.apply(name, json!({"queueClassName": class})).await;
        }
        for (name, ..) in &cases {
            let queue = scope.says(name, "Denied").await;
            let message = &condition(&queue, "Ready").expect("it is told").message;
            assert!(message.contains("the role cannot be assumed"), "{name}: {message}");
        }
        assert_eq!(seen::names(&aws.root(FAR).sqs, &format!("{PREFIX}{}_", scope.name)).await, [""; 0]);

        // The id is no secret that lets in whoever knows it.
        assert!(stranger.assume(aws, &good, Some(EXTERNAL_ID)).await.is_err());
        assert!(stranger.assume(aws, &untrusting, Some(EXTERNAL_ID)).await.is_ok(), "it is for want of trust");
        scope.class("no-id", class(&good, Some(EXTERNAL_ID))).await;
        scope.poke("no-id").await;
        scope.ready("no-id").await;
        drop(operator);
    });
}

fn assume_anything() -> Value {
    json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"})
}
