//! Observe and suspend.

use prism_queue::domain::attributes::Attribute;
use serde_json::json;

use crate::stage::{Stage, attributes, queue_name, somebody, tags, url};

#[tokio::test]
async fn observe_writes_nothing_to_aws_and_reports_differences() {
    let mut stage = Stage::prompt();
    let settings = attributes(&[(Attribute::VisibilityTimeout, "77")]);
    stage.world.outside(&somebody()).create_queue(&queue_name("legacy"), &settings, &tags(&[])).unwrap();
    let spec = json!({"queueName": "legacy", "managementPolicy": "Observe", "deletionPolicy": "Delete"});
    stage.applied("media/images", spec).await;
    assert_eq!(stage.ready("media/images"), "True/Observed");
    assert_eq!(stage.condition("media/images", "Drifted"), "True/Differs");
    assert_eq!(stage.secret("media/images-queue").unwrap().content.data["QUEUE_URL"], url("legacy"));
    assert_eq!(stage.queue("media/images").metadata.finalizers.unwrap_or_default(), Vec::<String>::new());
    assert!(stage.world.writes_since(0).is_empty());
    let kube_mark = stage.kube.mark();
    stage.operator.round().await;
    assert!(stage.kube.writes_since(kube_mark).is_empty());
    stage.delete("media/images");
    stage.run(30).await;
    assert!(stage.is_gone("media/images") && stage.has("legacy"));
    assert!(stage.world.writes_since(0).is_empty());
}

#[tokio::test]
async fn what_does_not_exist_cannot_be_observed_and_is_seen_when_it_comes() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"queueName": "legacy", "managementPolicy": "Observe"})).await;
    assert_eq!(stage.ready("media/images"), "False/NotFound");
    stage.world.outside(&somebody()).create_queue(&queue_name("legacy"), &attributes(&[]), &tags(&[])).unwrap();
    stage.run(660).await;
    assert_eq!(stage.ready("media/images"), "True/Observed");
}

#[tokio::test]
async fn back_to_manage_needs_ownership_or_adopt() {
    let mut stage = Stage::prompt();
    stage.world.outside(&somebody()).create_queue(&queue_name("legacy"), &attributes(&[]), &tags(&[])).unwrap();
    let spec = |management: &str, adoption: &str| json!({"queueName": "legacy", "managementPolicy": management, "adoptionPolicy": adoption, "deadLetter": {"mode": "None"}});
    stage.applied("media/images", spec("Observe", "Never")).await;
    stage.applied("media/images", spec("Manage", "Never")).await;
    assert_eq!(stage.ready("media/images"), "False/NotOwned");
    stage.applied("media/images", spec("Manage", "Adopt")).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    stage.applied("media/images", spec("Observe", "Never")).await;
    assert_eq!(stage.ready("media/images"), "True/Observed");
    stage.applied("media/images", spec("Manage", "Never")).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn a_dead_letter_queue_dropped_while_observing_is_followed_to_its_end_afterwards() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.applied("media/images", json!({"managementPolicy": "Observe"})).await;
    stage.applied("media/images", json!({"managementPolicy": "Observe", "deadLetter": {"mode": "None"}})).await;
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
    stage.run(600).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(!stage.has("media_images_dlq"));
}

#[tokio::test]
async fn suspend_writes_nothing_anywhere_and_ends_with_the_spec_in_force() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let (mark, kube_mark) = (stage.world.mark(), stage.kube.mark());
    let suspended = json!({"suspend": true, "delaySeconds": 9, "outputs": {"secret": {"mode": "Disabled"}}});
    stage.applied("media/images", suspended).await;
    stage.world.outside(&somebody()).delete_queue(&url("media_images")).unwrap();
    stage.run(3600).await;
    assert_eq!(stage.writes(mark), 0);
    assert!(stage.kube.writes_since(kube_mark).is_empty());
    stage.applied("media/images", json!({"delaySeconds": 9})).await;
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "9");
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn a_queue_suspended_from_the_start_is_not_made() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"suspend": true})).await;
    assert!(stage.world.queues().is_empty() && stage.kube.writes_since(0).is_empty());
    stage.delete("media/images");
    stage.run(30).await;
    assert!(stage.is_gone("media/images"));
}

#[tokio::test]
async fn deletion_while_suspended_lets_go_as_retain_does() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deletionPolicy": "Delete"})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.applied("media/images", json!({"deletionPolicy": "Delete", "suspend": true})).await;
    stage.delete("media/images");
    stage.run(60).await;
    assert!(stage.is_gone("media/images"));
    for name in ["media_images", "media_images_dlq"] {
        assert!(stage.aws(name).tags.is_empty());
    }
    assert_eq!(stage.lost(), 0);
}
