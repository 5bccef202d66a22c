//! Dead-letter queues: they receive, whoever names them and in whatever order.

use aws_sdk_sqs::types::MessageSystemAttributeName;
use serde_json::{Value, json};

use crate::harness::wait::eventually;
use crate::harness::{Scope, aws, condition, shared};

/// The policy of a queue, as JSON.
async fn policy(scope: &Scope, queue: &str, attribute: &str) -> Value {
    let text = scope.attributes(queue).await.remove(attribute).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The dead-letter queue that a queue names now, by its ARN.
async fn redrives_to(scope: &Scope, queue: &str) -> Option<String> {
    policy(scope, queue, "RedrivePolicy").await["deadLetterTargetArn"].as_str().map(str::to_owned)
}

#[test]
fn a_message_received_too_often_arrives_in_the_managed_dead_letter_queue() {
    shared(async |scope| {
        let spec = json!({"visibilityTimeoutSeconds": 0, "deadLetter": {"maxReceiveCount": 2}});
        scope.apply_ready("work", spec).await;
        let secret = scope.secret("work-queue").await;
        let sqs = &scope.world.sqs;
        aws::send(sqs, &secret["QUEUE_URL"], "poison").await;

        let receive = async |url: &str| {
            let all = MessageSystemAttributeName::All;
            let call = sqs.receive_message().queue_url(url).wait_time_seconds(0).message_system_attribute_names(all);
            call.send().await.unwrap().messages.unwrap_or_default().into_iter().next()
        };
        for _ in 0..2 {
            let received = receive(&secret["QUEUE_URL"]).await.expect("it is received twice");
            assert_eq!(received.body.as_deref(), Some("poison"));
        }
        assert!(receive(&secret["QUEUE_URL"]).await.is_none(), "the third receive finds it gone");
        let dead =
            eventually("the dead letter", async || receive(&secret["DEAD_LETTER_QUEUE_URL"]).await, Option::is_some);
        assert_eq!(dead.await.unwrap().body.as_deref(), Some("poison"));

        // People see it where they look.
        scope.poke("work").await;
        let counted = |queue: &prism_queue::api::Queue| {
            let messages = queue.status.as_ref().and_then(|status| status.messages.as_ref());
            messages.and_then(|messages| messages.dead_letters).is_some()
        };
        scope.until("work", "counts dead letters", counted).await;
    });
}

#[test]
fn a_managed_dead_letter_queue_allows_its_source_alone_and_keeps_messages_longer() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let (source, dead_letters) = (scope.queue("work"), scope.dead_letter_queue("work"));
        assert_eq!(
            policy(scope, &source, "RedrivePolicy").await,
            json!({"deadLetterTargetArn": aws::arn(&dead_letters), "maxReceiveCount": 5})
        );
        assert_eq!(
            policy(scope, &dead_letters, "RedriveAllowPolicy").await,
            json!({"redrivePermission": "byQueue", "sourceQueueArns": [aws::arn(&source)]})
        );
        assert_eq!(scope.attributes(&dead_letters).await["MessageRetentionPeriod"], "1209600");
    });
}

#[test]
fn a_queue_is_the_dead_letter_queue_of_another_that_comes_later() {
    shared(async |scope| {
        scope.apply_ready("shared", json!({"deadLetter": {"mode": "None"}})).await;
        let shared = scope.queue("shared");
        assert_eq!(policy(scope, &shared, "RedriveAllowPolicy").await["redrivePermission"], "denyAll");
        references(scope, "late").await;
        // Auto: exactly the sources that name it.
        let allow = policy(scope, &shared, "RedriveAllowPolicy").await;
        assert_eq!(allow, json!({"redrivePermission": "byQueue", "sourceQueueArns": [aws::arn(&scope.queue("late"))]}));
    });
}

/// Applies a Queue that names `shared`, and waits until it is wired.
async fn references(scope: &Scope, name: &str) {
    scope.apply_ready(name, reference("shared")).await;
    assert_eq!(redrives_to(scope, &scope.queue(name)).await, Some(aws::arn(&scope.queue("shared"))));
}

fn reference(name: &str) -> Value {
    json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": name}}}})
}

#[test]
fn a_queue_waits_for_its_dead_letter_queue_to_come() {
    shared(async |scope| {
        scope.apply("early", reference("shared")).await;
        let waiting = scope.says("early", "DeadLetterNotReady").await;
        let message = &condition(&waiting, "Ready").unwrap().message;
        assert!(message.contains("there is no Queue") && message.contains("shared"), "{message}");
        assert!(condition(&waiting, "Stalled").is_none(), "it comes by itself");

        scope.apply_ready("shared", json!({"deadLetter": {"mode": "None"}})).await;
        scope.ready("early").await;
        assert_eq!(redrives_to(scope, &scope.queue("early")).await, Some(aws::arn(&scope.queue("shared"))));
    });
}

#[test]
fn a_queue_outside_kubernetes_is_a_dead_letter_queue_by_its_arn() {
    shared(async |scope| {
        let outside = format!("outside-{}", scope.name);
        scope.world.sqs.create_queue().queue_name(&outside).send().await.unwrap();
        let reference = json!({"queueArn": aws::arn(&outside)});
        scope.apply_ready("work", json!({"deadLetter": {"mode": "Reference", "reference": reference}})).await;
        assert_eq!(redrives_to(scope, &scope.queue("work")).await, Some(aws::arn(&outside)));
        assert_eq!(scope.secret("work-queue").await["DEAD_LETTER_QUEUE_ARN"], aws::arn(&outside));
        assert!(aws::tags(&scope.world.sqs, &outside).await.is_empty(), "it is left untouched");
    });
}

#[test]
fn every_mode_of_redrive_allow_is_what_aws_reports() {
    shared(async |scope| {
        let source = aws::arn("some-source");
        let none = json!({"mode": "None"});
        let table = [
            ("auto", json!({"mode": "Auto"}), json!({"redrivePermission": "denyAll"})),
            (
                "auto-and",
                json!({"mode": "Auto", "sourceQueueArns": [source]}),
                json!({"redrivePermission": "byQueue", "sourceQueueArns": [source]}),
            ),
            ("all", json!({"mode": "AllowAll"}), json!({"redrivePermission": "allowAll"})),
            ("deny", json!({"mode": "DenyAll"}), json!({"redrivePermission": "denyAll"})),
            (
                "by-queue",
                json!({"mode": "ByQueue", "sourceQueueArns": [source]}),
                json!({"redrivePermission": "byQueue", "sourceQueueArns": [source]}),
            ),
        ];
        for (name, allow, _) in &table {
            scope.apply(name, json!({"deadLetter": none, "redriveAllow": allow})).await;
        }
        for (name, _, wanted) in &table {
            scope.ready(name).await;
            assert_eq!(policy(scope, &scope.queue(name), "RedriveAllowPolicy").await, *wanted, "{name}");
        }
    });
}

#[test]
fn a_cycle_of_dead_letter_queues_is_refused_with_the_way_around() {
    shared(async |scope| {
        scope.apply("one", reference("two")).await;
        scope.apply("two", reference("one")).await;
        for name in ["one", "two"] {
            let refused = scope.says(name, "DeadLetterCycle").await;
            let message = &condition(&refused, "Stalled").expect("a person must mend it").message;
            assert!(message.contains("spec.deadLetter.reference") && message.contains(" -> "), "{message}");
        }
    });
}

#[test]
fn the_eleventh_source_is_stalled_and_the_ten_stay() {
    shared(async |scope| {
        scope.apply_ready("shared", json!({"deadLetter": {"mode": "None"}})).await;
        let names: Vec<String> = (1..=10).map(|number| format!("source-{number}")).collect();
        for name in &names {
            scope.apply(name, reference("shared")).await;
        }
        for name in &names {
            scope.ready(name).await;
        }
        scope.apply("source-11", reference("shared")).await;
        let refused = scope.says("source-11", "TooManySources").await;
        assert!(condition(&refused, "Stalled").is_some());
        let allow = policy(scope, &scope.queue("shared"), "RedriveAllowPolicy").await;
        assert_eq!(allow["redrivePermission"], "byQueue");
        assert_eq!(allow["sourceQueueArns"].as_array().map(Vec::len), Some(10));
    });
}

#[test]
fn a_dead_letter_queue_that_is_turned_off_is_unwired_and_deleted_when_empty() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let dead_letters = scope.dead_letter_queue("work");
        let url = aws::url(&scope.world.sqs, &dead_letters).await.unwrap();
        aws::send(&scope.world.sqs, &url, "kept").await;

        scope.apply_ready("work", json!({"deadLetter": {"mode": "None"}})).await;
        assert_eq!(redrives_to(scope, &scope.queue("work")).await, None);
        let is_kept = |queue: &prism_queue::api::Queue| {
            let retired = queue.status.as_ref().map(|status| &status.retired_dead_letters);
            retired.is_some_and(|retired| retired.iter().any(|retired| retired.queue_name == dead_letters))
        };
        scope.until("work", "remembers the queue that it no longer uses", is_kept).await;
        assert!(!scope.secret("work-queue").await.contains_key("DEAD_LETTER_QUEUE_URL"));

        assert_eq!(aws::consume(&scope.world.sqs, &url).await.as_deref(), Some("kept"), "no message is lost");
        scope.poke("work").await;
        scope.is_deleted(&dead_letters).await;
        scope.until("work", "has forgotten it", |queue| !is_kept(queue)).await;
    });
}
