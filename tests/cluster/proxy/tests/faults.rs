//! What goes wrong on request.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Seen, post, read, sqs, start, url};
use crate::proxy::{Fault, FaultProxy, Gate, Rule, Throttle, When};

#[tokio::test]
async fn throttling_has_three_forms() {
    let (upstream, proxy) = start().await;
    for form in [Throttle::BadRequest, Throttle::TooManyRequests, Throttle::Unavailable] {
        proxy.inject(Rule::new(Fault::Throttle(form)).times(1));
    }
    let first = sqs(&proxy, "ListQueues", json!({})).await.unwrap();
    assert_eq!(first.code(), (400, "com.amazonaws.sqs#ThrottlingException".to_owned()));
    assert_eq!(first.headers["x-amzn-query-error"], "ThrottlingException;Sender");
    assert_eq!(sqs(&proxy, "ListQueues", json!({})).await.unwrap().status, 429);
    let third = sqs(&proxy, "ListQueues", json!({})).await.unwrap();
    assert_eq!(third.code(), (503, "com.amazonaws.sqs#ServiceUnavailable".to_owned()));
    assert_eq!(upstream.count(), 0);
    assert_eq!(sqs(&proxy, "ListQueues", json!({})).await.unwrap().status, 200);
    let told: Vec<_> = proxy.calls().into_iter().map(|call| (call.status, call.reached)).collect();
    assert_eq!(told, [(Some(400), false), (Some(429), false), (Some(503), false), (Some(200), true)]);
}

#[tokio::test]
async fn errors_are_spelled_as_each_service_spells_them() {
    let (upstream, proxy) = start().await;
    proxy.inject(Rule::new(Fault::internal()).action("ListQueues"));
    proxy.inject(Rule::new(Fault::access_denied()));
    assert_eq!(
        sqs(&proxy, "ListQueues", json!({})).await.unwrap().code(),
        (500, "com.amazonaws.sqs#InternalFailure".to_owned())
    );
    let denied = sqs(&proxy, "GetQueueUrl", json!({"QueueName": "a"})).await.unwrap();
    assert_eq!(denied.code(), (403, "com.amazonaws.sqs#AccessDenied".to_owned()));
    let kms = post(&proxy, &[("x-amz-target", "TrentService.DescribeKey")], "{}".to_owned()).await.unwrap();
    assert_eq!(kms.code(), (403, "AccessDenied".to_owned()));
    assert!(!kms.headers.contains_key("x-amzn-query-error"));
    let sts = post(&proxy, &[], "Action=GetCallerIdentity".to_owned()).await.unwrap();
    assert_eq!(sts.status, 403);
    assert!(sts.text.contains("<Code>AccessDenied</Code>"), "{}", sts.text);
    assert_eq!(upstream.count(), 0);
    proxy.calm();
    assert_eq!(sqs(&proxy, "ListQueues", json!({})).await.unwrap().status, 200);
}

#[tokio::test]
async fn trouble_ends_for_one_queue_alone() {
    let (_upstream, proxy) = start().await;
    for queue in ["a", "b"] {
        proxy.inject(Rule::new(Fault::internal()).queue(queue));
    }
    proxy.calm_about("a");
    assert_eq!(create(&proxy, "a").await.status, 200);
    assert_eq!(create(&proxy, "b").await.status, 500);
}

#[tokio::test]
async fn an_error_has_its_older_code_in_a_header() {
    let (_upstream, proxy) = start().await;
    let message = "The specified queue does not exist.";
    proxy.inject(Rule::new(Fault::Error { status: 400, code: "QueueDoesNotExist", message }));
    let seen = sqs(&proxy, "GetQueueAttributes", url("a")).await.unwrap();
    assert_eq!(seen.code(), (400, "com.amazonaws.sqs#QueueDoesNotExist".to_owned()));
    assert_eq!(seen.json()["message"], message);
    assert_eq!(seen.headers["x-amzn-query-error"], "AWS.SimpleQueueService.NonExistentQueue;Sender");
    proxy.calm();
    proxy.inject(Rule::new(Fault::Error { status: 400, code: "QueueNameExists", message: "" }));
    let seen = sqs(&proxy, "CreateQueue", json!({"QueueName": "a"})).await.unwrap();
    assert_eq!(seen.headers["x-amzn-query-error"], "QueueAlreadyExists;Sender");
}

#[tokio::test]
async fn a_rule_is_for_an_action_a_queue_and_a_number_of_calls() {
    let (_upstream, proxy) = start().await;
    proxy.inject(Rule::new(Fault::internal()).action("GetQueueAttributes").queue("a").after(1).times(2));
    let mut told = Vec::new();
    for (action, queue) in [
        ("GetQueueAttributes", "b"),
        ("ListQueueTags", "a"),
        ("GetQueueAttributes", "a"),
        ("GetQueueAttributes", "a"),
        ("GetQueueAttributes", "b"),
        ("GetQueueAttributes", "a"),
        ("GetQueueAttributes", "a"),
    ] {
        told.push(sqs(&proxy, action, url(queue)).await.unwrap().status.as_u16());
    }
    assert_eq!(told, [200, 200, 200, 500, 200, 500, 200]);
}

#[tokio::test]
async fn a_connection_is_dropped_before_or_after_the_call_took_effect() {
    for (when, effects) in [(When::Before, 0), (When::After, 1)] {
        let (upstream, proxy) = start().await;
        proxy.inject(Rule::new(Fault::Drop(when)).times(1));
        assert!(sqs(&proxy, "CreateQueue", json!({"QueueName": "a"})).await.is_none());
        assert_eq!(upstream.count(), effects);
        let call = proxy.calls().remove(0);
        assert_eq!((call.status, call.reached), (None, effects == 1));
        assert!(sqs(&proxy, "CreateQueue", json!({"QueueName": "a"})).await.is_some());
    }
}

#[tokio::test]
async fn a_call_is_held_until_its_gate_opens() {
    for (when, effects) in [(When::Before, 0), (When::After, 1)] {
        let (upstream, proxy) = start().await;
        let gate = Gate::closed();
        proxy.inject(Rule::new(Fault::Hold(gate.clone(), when)).queue("a"));
        let held = sqs(&proxy, "DeleteQueue", url("a"));
        let rest = async {
            gate.reached_by(1).await;
            assert_eq!(upstream.count(), effects);
            assert_eq!(proxy.calls()[0].status, None);
            assert!(sqs(&proxy, "DeleteQueue", url("b")).await.is_some(), "others pass");
            gate.open();
        };
        let (seen, ()) = tokio::join!(held, rest);
        assert_eq!(seen.unwrap().status, 200);
        assert_eq!(upstream.count(), 2);
        assert!(sqs(&proxy, "DeleteQueue", url("a")).await.is_some(), "an open gate holds nobody");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_delayed() {
    let (_upstream, proxy) = start().await;
    let hour = Duration::from_hours(1);
    proxy.inject(Rule::new(Fault::Delay(hour)).action("ListQueues"));
    let began = Instant::now();
    assert_eq!(sqs(&proxy, "ListQueues", json!({})).await.unwrap().status, 200);
    assert!(began.elapsed() >= hour, "in the simulated time of this test");
}

async fn create(proxy: &FaultProxy, queue: &str) -> Seen {
    sqs(proxy, "CreateQueue", json!({"QueueName": queue})).await.unwrap()
}

#[tokio::test]
async fn the_name_of_a_deleted_queue_cools_down() {
    let (upstream, proxy) = start().await;
    sqs(&proxy, "DeleteQueue", url("a")).await.unwrap();
    let refused = create(&proxy, "a").await;
    assert_eq!(refused.code(), (400, "com.amazonaws.sqs#QueueDeletedRecently".to_owned()));
    assert_eq!(refused.headers["x-amzn-query-error"], "AWS.SimpleQueueService.QueueDeletedRecently;Sender");
    assert_eq!(upstream.count(), 1);
    assert_eq!(create(&proxy, "b").await.status, 200);
    proxy.scale_cool_down(0.0);
    assert_eq!(create(&proxy, "a").await.status, 200);
}

#[tokio::test]
async fn a_deletion_that_was_refused_cools_nothing_down() {
    let (_upstream, proxy) = start().await;
    proxy.inject(Rule::new(Fault::access_denied()).action("DeleteQueue"));
    sqs(&proxy, "DeleteQueue", url("a")).await.unwrap();
    assert_eq!(create(&proxy, "a").await.status, 200);
    proxy.calm();
    proxy.inject(Rule::new(Fault::Drop(When::After)).action("DeleteQueue"));
    assert!(sqs(&proxy, "DeleteQueue", url("a")).await.is_none());
    assert_eq!(create(&proxy, "a").await.status, 400, "one whose answer was lost does");
}

async fn set(proxy: &FaultProxy, delay: &str) {
    let mut body = url("a");
    body["Attributes"] = json!({"DelaySeconds": delay});
    sqs(proxy, "SetQueueAttributes", body).await.unwrap();
}

async fn shown(proxy: &FaultProxy) -> Value {
    sqs(proxy, "GetQueueAttributes", read("a")).await.unwrap().json()["Attributes"].clone()
}

#[tokio::test]
async fn attributes_can_be_stale_for_a_number_of_reads() {
    let (upstream, proxy) = start().await;
    upstream.set("DelaySeconds", "1");
    upstream.set("ApproximateNumberOfMessages", "0");
    proxy.inject(Rule::new(Fault::Stale).queue("a").times(2));
    assert_eq!(shown(&proxy).await["DelaySeconds"], "1", "a read before the change does not count");
    set(&proxy, "2").await;
    upstream.set("ApproximateNumberOfMessages", "7");
    for _ in 0..2 {
        let old = shown(&proxy).await;
        assert_eq!((&old["DelaySeconds"], &old["ApproximateNumberOfMessages"]), (&json!("1"), &json!("7")));
    }
    assert_eq!(shown(&proxy).await["DelaySeconds"], "2");
}

#[tokio::test]
async fn attributes_can_be_stale_until_released() {
    let (upstream, proxy) = start().await;
    upstream.set("DelaySeconds", "1");
    assert_eq!(shown(&proxy).await["DelaySeconds"], "1");
    proxy.inject(Rule::new(Fault::Stale));
    set(&proxy, "2").await;
    assert_eq!(shown(&proxy).await["DelaySeconds"], "1");
    set(&proxy, "3").await;
    assert_eq!(shown(&proxy).await["DelaySeconds"], "1");
    proxy.calm();
    assert_eq!(shown(&proxy).await["DelaySeconds"], "3");
}
