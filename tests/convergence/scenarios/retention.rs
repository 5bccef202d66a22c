//! A shorter retention deletes messages: it is held back while there are any.

use prism_queue::domain::attributes::Attribute;
use serde_json::json;

use crate::stage::{Stage, key, somebody, url};

const LOSS: &str = "queue.prism.io/allow-message-loss";

async fn held() -> Stage {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.run(120).await;
    stage.applied("media/images", json!({"messageRetentionSeconds": 3600, "delaySeconds": 5})).await;
    stage
}

#[tokio::test]
async fn a_shorter_retention_waits_while_the_rest_of_the_change_goes_ahead() {
    let stage = held().await;
    assert_eq!(stage.ready("media/images"), "False/HeldBack");
    assert_eq!(stage.condition("media/images", "Reconciling"), "True/HeldBack");
    assert!(stage.words("media/images").contains("messageRetentionSeconds=3600"), "{}", stage.words("media/images"));
    assert_eq!(stage.attribute("media_images", Attribute::MessageRetentionPeriod), "345600");
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "5");
    assert_eq!(stage.lost(), 0);
}

#[tokio::test]
async fn the_annotation_must_name_exactly_this_change() {
    let table = [
        ("messageRetentionSeconds", false),
        ("messageRetentionSeconds=7200", false),
        ("deadLetter.managed.messageRetentionSeconds=3600", false),
        ("messageRetentionSeconds=3600", true),
        ("visibilityTimeoutSeconds=1, messageRetentionSeconds=3600", true),
    ];
    for (annotation, is_released) in table {
        let mut stage = held().await;
        stage.kube.annotate(&key("media/images"), LOSS, annotation);
        stage.run(30).await;
        let retention = stage.attribute("media_images", Attribute::MessageRetentionPeriod);
        assert_eq!(retention == "3600", is_released, "{annotation}");
        assert_eq!(stage.ready("media/images") == "True/Converged", is_released, "{annotation}");
    }
}

#[tokio::test]
async fn it_goes_ahead_when_the_queue_is_empty() {
    let mut stage = held().await;
    stage.world.consume(0);
    stage.run(400).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.attribute("media_images", Attribute::MessageRetentionPeriod), "3600");
    assert_eq!(stage.lost(), 0);
}

#[tokio::test]
async fn the_dead_letter_queues_retention_is_guarded_too() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deadLetter": {"maxReceiveCount": 1}, "visibilityTimeoutSeconds": 1})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    for _ in 0..2 {
        stage.world.receive(&somebody(), &url("media_images")).unwrap();
        stage.run(5).await;
    }
    assert_eq!(stage.aws("media_images_dlq").counts.total(), 1);
    let spec = json!({"deadLetter": {"managed": {"messageRetentionSeconds": 400_000}}});
    stage.applied("media/images", spec).await;
    assert_eq!(stage.ready("media/images"), "False/HeldBack");
    assert_eq!(stage.attribute("media_images_dlq", Attribute::MessageRetentionPeriod), "1209600");
    stage.kube.annotate(&key("media/images"), LOSS, "deadLetter.managed.messageRetentionSeconds=400000");
    stage.run(30).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.attribute("media_images_dlq", Attribute::MessageRetentionPeriod), "400000");
}

#[tokio::test]
async fn a_retention_raised_and_lowered_before_it_showed_is_guarded_too() {
    let timing = crate::model::Timing { retention_shows_after: 900..=900, ..crate::model::Timing::prompt() };
    let mut stage = Stage::new(1, timing);
    stage.applied("media/images", json!({"messageRetentionSeconds": 3600})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.run(3300).await;
    stage.applied("media/images", json!({"messageRetentionSeconds": 86_400})).await;
    // The message outlives the hour thanks to the longer retention, which does not show yet.
    stage.run(400).await;
    stage.applied("media/images", json!({"messageRetentionSeconds": 3600})).await;
    assert_eq!(stage.lost(), 0);
    stage.run(3600).await;
    assert_eq!(stage.lost(), 0);
    assert_eq!(stage.ready("media/images"), "False/HeldBack");
}
