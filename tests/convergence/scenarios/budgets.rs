//! What a Queue may cost in calls.

use prism_queue::domain::attributes::Attribute;
use serde_json::json;

use crate::stage::{Stage, attributes};

#[tokio::test]
async fn creating_a_queue_with_its_dead_letter_queue_takes_six_calls_and_four_writes() {
    let mut stage = Stage::prompt();
    stage.apply("media/images", json!({}));
    stage.run(0).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    let mut calls = stage.actions_since(0);
    assert_eq!(calls.remove(0), "GetCallerIdentity", "STS, before the first create");
    assert!(calls.len() <= 6, "{calls:?}");
    let writes = stage.kube.writes_since(0);
    assert!(writes.len() <= 4, "{writes:?}");
}

#[tokio::test]
async fn a_resync_with_nothing_to_do_reads_two_queues_and_writes_nothing() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let (mark, kube_mark) = (stage.world.mark(), stage.kube.mark());
    stage.operator.round().await;
    let count = |action| stage.count(action, mark);
    assert_eq!(count("GetQueueAttributes"), 2);
    assert!(count("ListQueueTags") <= 2);
    assert_eq!(stage.actions_since(mark).len(), count("GetQueueAttributes") + count("ListQueueTags"));
    assert!(stage.kube.writes_since(kube_mark).is_empty());
}

#[tokio::test]
async fn at_rest_there_is_one_look_an_interval() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.run(1200).await;
    let (mark, kube_mark) = (stage.world.mark(), stage.kube.mark());
    stage.run(6 * 3600).await;
    let reads = stage.count("GetQueueAttributes", mark);
    assert!((2 * 36..=2 * 40).contains(&reads), "{reads} reads in 6 h with a resync of 10 min");
    assert_eq!(stage.writes(mark), 0);
    assert!(stage.kube.writes_since(kube_mark).is_empty());
}

#[tokio::test]
async fn a_change_of_one_field_is_one_call_with_only_that_attribute() {
    let changes = [
        (json!({"visibilityTimeoutSeconds": 60}), Attribute::VisibilityTimeout, "60"),
        (json!({"messageRetentionSeconds": 604_800}), Attribute::MessageRetentionPeriod, "604800"),
        (json!({"receiveWaitTimeSeconds": 5}), Attribute::ReceiveMessageWaitTimeSeconds, "5"),
        (json!({"delaySeconds": 7}), Attribute::DelaySeconds, "7"),
        (json!({"maximumMessageSizeBytes": 2048}), Attribute::MaximumMessageSize, "2048"),
        (
            json!({"redriveAllow": {"mode": "AllowAll"}}),
            Attribute::RedriveAllowPolicy,
            r#"{"redrivePermission":"allowAll"}"#,
        ),
    ];
    for (change, attribute, value) in changes {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({})).await;
        let mark = stage.world.mark();
        stage.applied("media/images", change).await;
        let writes = stage.world.writes_since(mark);
        let set: Vec<_> = writes.iter().map(|call| (call.action, call.arguments.attributes.clone())).collect();
        assert_eq!(set, [("SetQueueAttributes", attributes(&[(attribute, value)]))]);
        assert_eq!(stage.ready("media/images"), "True/Converged");
    }
}
