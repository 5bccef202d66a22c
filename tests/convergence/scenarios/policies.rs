//! Queue policies: principals that come and go.

use prism_queue::domain::attributes::Attribute;
use serde_json::{Value, json};

use crate::stage::{Stage, key, url};

const WORKER: &str = "arn:aws:iam::123456789012:role/worker";

fn for_worker() -> Value {
    json!({"access": {"statements": [
        {"Sid": "Work", "Effect": "Allow", "Principal": {"AWS": WORKER}, "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"]},
    ]}})
}

#[tokio::test]
async fn a_policy_is_compared_by_meaning_and_not_written_twice() {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    stage.applied("media/images", for_worker()).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    let mark = stage.world.mark();
    for _ in 0..3 {
        stage.operator.round().await;
    }
    assert_eq!(stage.writes(mark), 0);
}

#[tokio::test]
async fn a_principal_not_known_yet_holds_nothing_else_back_and_is_tried_again() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let mut spec = for_worker();
    spec["delaySeconds"] = json!(7);
    stage.applied("media/images", spec).await;
    assert_eq!(stage.ready("media/images"), "False/Refused");
    assert_eq!(stage.condition("media/images", "Stalled"), "-", "not before a deadline");
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "7");
    stage.world.create_principal(WORKER);
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.attribute("media_images", Attribute::Policy).contains(WORKER));
}

#[tokio::test]
async fn a_principal_that_never_comes_is_a_persons_to_mend_after_the_deadline() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.applied("media/images", for_worker()).await;
    stage.run(600).await;
    assert_eq!(stage.condition("media/images", "Stalled"), "True/Refused");
    let mark = stage.world.mark();
    stage.run(600).await;
    assert!(stage.writes(mark) <= 25, "retried slowly: {}", stage.writes(mark));
}

#[tokio::test]
async fn a_principal_that_is_gone_is_told_and_causes_no_write_loop() {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    stage.applied("media/images", for_worker()).await;
    stage.world.delete_principal(WORKER);
    stage.run(1200).await;
    assert_eq!(stage.ready("media/images"), "False/PrincipalGone");
    assert_eq!(stage.condition("media/images", "Stalled"), "True/PrincipalGone");
    assert!(stage.words("media/images").contains(WORKER), "{}", stage.words("media/images"));
    let mark = stage.world.mark();
    stage.run(3600).await;
    assert!(stage.writes(mark) <= 5, "one try in 15 min: {}", stage.writes(mark));
    assert_eq!(stage.ready("media/images"), "False/PrincipalGone", "also while it is tried");
    // Everything else is still kept as declared.
    let mut spec = for_worker();
    spec["delaySeconds"] = json!(7);
    stage.applied("media/images", spec).await;
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "7");
    stage.world.create_principal(WORKER);
    stage.run(1200).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn a_principal_that_is_gone_does_not_hold_up_deletion() {
    for policy in ["DeleteIfEmpty", "Delete", "Retain"] {
        let mut stage = Stage::prompt();
        stage.world.create_principal(WORKER);
        let mut spec = for_worker();
        spec["deletionPolicy"] = json!(policy);
        stage.applied("media/images", spec).await;
        stage.world.delete_principal(WORKER);
        stage.delete("media/images");
        stage.run(600).await;
        assert!(stage.is_gone("media/images"), "{policy}: {}", stage.words("media/images"));
        assert_eq!(stage.has("media_images"), policy == "Retain");
    }
}

#[tokio::test]
async fn retain_is_the_way_out_also_when_a_principal_goes_after_the_fence_was_put_up() {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    stage.applied("media/images", for_worker()).await;
    stage.world.send(&crate::stage::somebody(), &url("media_images")).unwrap();
    stage.delete("media/images");
    stage.run(60).await;
    stage.world.delete_principal(WORKER);
    let mut spec = for_worker();
    spec["deletionPolicy"] = json!("Retain");
    stage.apply("media/images", spec);
    stage.run(600).await;
    assert!(stage.kube.queue(&key("media/images")).is_none());
    assert!(!stage.attribute("media_images", Attribute::Policy).contains("Fence"));
}

#[tokio::test]
async fn a_policy_that_is_refused_keeps_no_retired_dead_letter_queue_alive() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let mut spec = for_worker();
    spec["deadLetter"] = json!({"mode": "None"});
    spec["delaySeconds"] = json!(7);
    stage.apply("media/images", spec);
    stage.run(0).await;
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "7", "in the same pass");
    stage.run(600).await;
    assert_eq!(stage.ready("media/images"), "False/Refused");
    assert!(!stage.has("media_images_dlq"));
}

#[tokio::test]
async fn a_principal_not_known_yet_keeps_no_queue_from_being_made() {
    let mut stage = Stage::prompt();
    let mut spec = for_worker();
    spec["delaySeconds"] = json!(7);
    stage.applied("media/images", spec).await;
    assert_eq!(stage.ready("media/images"), "False/Refused");
    assert!(stage.secret("media/images-queue").is_some());
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "7");
    assert!(stage.attribute("media_images", Attribute::RedrivePolicy).contains("media_images_dlq"));
    assert_eq!(stage.attribute("media_images", Attribute::Policy), "");
    stage.world.create_principal(WORKER);
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.attribute("media_images", Attribute::Policy).contains(WORKER));
}
