//! Who may use a queue, as AWS has it. The emulator keeps policies and does not enforce them here: what they mean is proved
//! in `enforcement`, and by the evaluator next to the compiler.

use serde_json::{Value, json};

use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, Scope, aws, shared};

/// The statements of a queue's policy that allow something, sorted.
async fn allowed(scope: &Scope, queue: &str) -> Vec<Value> {
    let policy = scope.attributes(queue).await.remove("Policy").unwrap_or_else(|| "{}".to_owned());
    let policy: Value = serde_json::from_str(&policy).expect("a policy is JSON");
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    statements.into_iter().filter(|statement| statement["Effect"] == "Allow").collect()
}

#[test]
fn producers_and_consumers_have_their_statements_until_they_are_removed() {
    shared(async |scope| {
        let topic = format!("arn:aws:sns:eu-central-1:{ACCOUNT}:videos");
        let role = format!("arn:aws:iam::{ACCOUNT}:role/transcoder");
        let access = |consumers: Value| {
            let producers = json!([{"service": "sns.amazonaws.com", "sourceArn": topic}]);
            json!({"access": {"producers": producers, "consumers": consumers}})
        };
        scope.apply_ready("work", access(json!([{"principalArn": role}]))).await;
        let (queue, dead_letters) = (scope.queue("work"), scope.dead_letter_queue("work"));
        let on = |queue: &str, principal: Value, actions: Value| json!({"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": aws::arn(queue)});
        let asking = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"];
        let consume = [&["sqs:ChangeMessageVisibility", "sqs:DeleteMessage"], &asking[..]].concat();
        let inspect = [&["sqs:ChangeMessageVisibility"], &asking[..]].concat();
        let mut send = on(&queue, json!({"Service": "sns.amazonaws.com"}), json!("sqs:SendMessage"));
        send["Condition"] = json!({"ArnLike": {"aws:SourceArn": topic}});
        assert_eq!(allowed(scope, &queue).await, [on(&queue, json!({"AWS": role}), json!(consume)), send.clone()]);
        assert_eq!(allowed(scope, &dead_letters).await, [on(&dead_letters, json!({"AWS": role}), json!(inspect))]);

        scope.apply("work", access(json!([]))).await;
        let both = async || [allowed(scope, &queue).await, allowed(scope, &dead_letters).await];
        eventually("the consumer is out", both, |[queue, dead_letters]| {
            *queue == [send.clone()] && dead_letters.is_empty()
        })
        .await;
        scope.ready("work").await;
    });
}
