//! Queue policies: principals that come and go.

use prism_queue::domain::attributes::Attribute;
use serde_json::{Value, json};

use crate::model::Caller;
use crate::stage::{ACCOUNT, REGION, Stage, key, url};

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

/// A stage on which a Queue that lets in the worker was deleted when the worker was gone.
async fn deleted_without_worker(mut spec: Value, policy: &str) -> Stage {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    spec["deletionPolicy"] = json!(policy);
    stage.applied("media/images", spec).await;
    stage.world.delete_principal(WORKER);
    stage.delete("media/images");
    stage.run(600).await;
    assert!(stage.is_gone("media/images"), "{policy}: {}", stage.words("media/images"));
    stage
}

#[tokio::test]
async fn a_principal_that_is_gone_does_not_hold_up_deletion() {
    for policy in ["DeleteIfEmpty", "Delete", "Retain"] {
        let stage = deleted_without_worker(for_worker(), policy).await;
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
    let policy = stage.attribute("media_images", Attribute::Policy);
    assert!(policy.contains("PrismQueueRequireTLS") && !policy.contains("worker"), "protected at once: {policy}");
    stage.world.create_principal(WORKER);
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.attribute("media_images", Attribute::Policy).contains(WORKER));
}

/// The worker sends and receives, the account's topic sends.
fn by_entries() -> Value {
    json!({"access": {
        "producers": [
            {"principalArn": WORKER},
            {"service": "sns.amazonaws.com", "sourceArn": "arn:aws:sns:eu-central-1:123456789012:topic"},
        ],
        "consumers": [{"principalArn": WORKER}],
    }})
}

/// The worker, who has no permissions but those of queue policies.
fn worker() -> Caller {
    Caller::role(ACCOUNT, REGION, "worker").only_tagged("no queue", "has this")
}

#[tokio::test]
async fn entries_let_in_until_they_are_removed_and_cause_no_write_loop() {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    stage.applied("media/images", by_entries()).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    let (queue, dead_letters) = (url("media_images"), url("media_images_dlq"));
    let may = |stage: &Stage, url: &str| {
        (stage.world.send(&worker(), url).is_ok(), stage.world.receive(&worker(), url).is_ok())
    };
    assert_eq!(may(&stage, &queue), (true, true));
    assert_eq!(may(&stage, &dead_letters), (false, true), "it may look, and put nothing there");
    let mark = stage.world.mark();
    for _ in 0..3 {
        stage.operator.round().await;
    }
    stage.run(1200).await;
    assert_eq!(stage.writes(mark), 0, "SQS hands the policies back in other words");

    let mut spec = by_entries();
    spec["access"]["consumers"] = json!([]);
    let mark = stage.world.mark();
    stage.applied("media/images", spec).await;
    assert_eq!(stage.count("SetQueueAttributes", mark), 2, "one for each policy");
    assert_eq!((may(&stage, &queue), may(&stage, &dead_letters)), ((true, false), (false, false)));
    stage.applied("media/images", json!({})).await;
    assert_eq!(may(&stage, &queue), (false, false));
    let policy = stage.attribute("media_images_dlq", Attribute::Policy);
    assert!(policy.contains("PrismQueueRequireTLS") && !policy.contains("worker"), "{policy}");
}

#[tokio::test]
async fn a_consumer_not_known_yet_keeps_neither_queue_from_being_made() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", by_entries()).await;
    assert_eq!(stage.ready("media/images"), "False/Refused");
    assert!(stage.secret("media/images-queue").is_some());
    assert!(stage.attribute("media_images", Attribute::RedrivePolicy).contains("media_images_dlq"));
    stage.world.create_principal(WORKER);
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    for queue in ["media_images", "media_images_dlq"] {
        assert!(stage.attribute(queue, Attribute::Policy).contains(WORKER), "{queue}");
    }
}

#[tokio::test]
async fn a_principal_that_is_gone_is_told_with_the_fields_that_name_it() {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    let mut spec = by_entries();
    spec["access"]["statements"] = for_worker()["access"]["statements"].clone();
    stage.applied("media/images", spec.clone()).await;
    stage.world.delete_principal(WORKER);
    stage.run(1200).await;
    assert_eq!(stage.condition("media/images", "Stalled"), "True/PrincipalGone");
    let words = stage.words("media/images");
    for field in ["producers[0].principalArn", "consumers[0].principalArn", "statements[0]"] {
        assert!(words.contains(&format!("spec.access.{field}")), "{words}");
    }
    let mark = stage.world.mark();
    stage.run(3600).await;
    assert!(stage.writes(mark) <= 10, "two queues, one try in 15 min each: {}", stage.writes(mark));
    spec["access"] = json!({});
    stage.applied("media/images", spec).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn a_consumer_that_is_gone_does_not_hold_up_deletion() {
    for policy in ["DeleteIfEmpty", "Delete", "Retain"] {
        let stage = deleted_without_worker(by_entries(), policy).await;
        assert_eq!(
            (stage.has("media_images"), stage.has("media_images_dlq")),
            (policy == "Retain", policy == "Retain")
        );
    }
}

#[tokio::test]
async fn the_first_policy_of_a_queue_allows_no_more_than_the_whole() {
    const INTERN: &str = "arn:aws:iam::123456789012:role/intern";
    let mut stage = Stage::prompt();
    stage.world.create_principal(INTERN);
    let own = json!({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}});
    let statements = json!([
        {"Effect": "Allow", "Principal": "*", "Action": "sqs:ReceiveMessage", "Condition": own},
        {"Effect": "Deny", "Principal": {"AWS": INTERN}, "Action": "sqs:ReceiveMessage"},
    ]);
    let spec = json!({"access": {"statements": statements, "producers": [{"principalArn": WORKER}]}});
    stage.applied("media/images", spec).await;
    let policy = stage.attribute("media_images", Attribute::Policy);
    assert!(policy.contains("PrismQueueRequireTLS") && !policy.contains("Allow"), "the Deny is not in force: {policy}");
    stage.world.create_principal(WORKER);
    stage.run(60).await;
    let policy = stage.attribute("media_images", Attribute::Policy);
    assert!(policy.contains("Allow") && policy.contains(INTERN), "{policy}");
}
