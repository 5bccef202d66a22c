//! Managed dead-letter queues: turned off, on, and changed, the retired one followed to its end.

use prism_queue::api::status::RetiredState;
use prism_queue::domain::attributes::Attribute;
use serde_json::json;

use crate::model::{Call, Denial, DeniedAs, Fault, Timing, Trap};
use crate::stage::{Stage, arn, somebody, url};

const DLQ: &str = "media_images_dlq";

/// A message that was received too often.
async fn bury(stage: &mut Stage) {
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    for _ in 0..2 {
        stage.world.receive(&somebody(), &url("media_images")).unwrap();
        stage.run(10).await;
    }
    assert_eq!(stage.aws(DLQ).counts.total(), 1);
}

async fn one_letter() -> Stage {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deadLetter": {"maxReceiveCount": 1}, "visibilityTimeoutSeconds": 5})).await;
    bury(&mut stage).await;
    stage
}

fn retired(stage: &Stage) -> Vec<String> {
    stage.queue("media/images").status.unwrap().retired_dead_letters.into_iter().map(|r| r.queue_name).collect()
}

#[tokio::test]
async fn turned_off_it_is_unwired_first_and_deleted_when_empty() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let mark = stage.world.mark();
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.attribute("media_images", Attribute::RedrivePolicy), "");
    assert_eq!(retired(&stage), [DLQ]);
    let told = stage.kube.announcements(&crate::stage::key("media/images"));
    assert!(told.iter().any(|event| event.reason == "DeadLetterRetired"), "{told:?}");
    stage.run(300).await;
    assert!(!stage.has(DLQ));
    assert!(retired(&stage).is_empty());
    let writes: Vec<_> =
        stage.world.writes_since(mark).iter().map(|c| (c.action, c.queue.clone().unwrap().name().to_owned())).collect();
    let expected = [("SetQueueAttributes", "media_images"), ("SetQueueAttributes", DLQ), ("DeleteQueue", DLQ)];
    assert_eq!(writes, expected.map(|(action, name)| (action, name.to_owned())));
    assert!(!stage.secret("media/images-queue").unwrap().content.data.contains_key("DEAD_LETTER_QUEUE_URL"));
}

#[tokio::test]
async fn a_retired_one_is_kept_while_it_holds_messages_and_they_are_not_lost() {
    for policy in ["DeleteIfEmpty", "Delete"] {
        let mut stage = one_letter().await;
        stage.applied("media/images", json!({"deadLetter": {"mode": "None"}, "deletionPolicy": policy})).await;
        stage.run(7200).await;
        assert!(stage.has(DLQ), "{policy}");
        assert_eq!(retired(&stage), [DLQ]);
        assert_eq!(stage.ready("media/images"), "True/Converged");
        let kube_mark = stage.kube.mark();
        stage.run(7200).await;
        assert!(stage.kube.writes_since(kube_mark).is_empty(), "no writes while it is waited for");
        stage.world.consume(0);
        stage.run(600).await;
        assert!(!stage.has(DLQ), "{policy}");
        assert_eq!(stage.lost(), 0);
    }
}

#[tokio::test]
async fn a_retired_one_is_taken_back_with_its_messages_when_it_is_wanted_again() {
    let mut stage = one_letter().await;
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
    stage.run(120).await;
    stage.applied("media/images", json!({})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(retired(&stage).is_empty());
    assert!(stage.attribute("media_images", Attribute::RedrivePolicy).contains(&arn(DLQ)));
    assert!(!stage.attribute(DLQ, Attribute::Policy).contains("Fence"));
    stage.run(3600).await;
    assert_eq!(stage.aws(DLQ).counts.total(), 1);
    assert_eq!(stage.lost(), 0);
}

#[tokio::test]
async fn changed_to_another_the_first_is_followed_to_its_end() {
    let mut stage = one_letter().await;
    stage.applied("media/images", json!({"deadLetter": {"managed": {"queueName": "letters"}}})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.attribute("media_images", Attribute::RedrivePolicy).contains(&arn("letters")));
    assert_eq!(retired(&stage), [DLQ]);
    stage.world.consume(0);
    stage.run(300).await;
    assert!(!stage.has(DLQ) && stage.has("letters"));
}

#[tokio::test]
async fn retired_under_retain_it_is_let_go() {
    let mut stage = one_letter().await;
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}, "deletionPolicy": "Retain"})).await;
    stage.run(60).await;
    assert!(stage.has(DLQ));
    assert!(stage.aws(DLQ).tags.is_empty());
    assert!(retired(&stage).is_empty());
}

#[tokio::test]
async fn retired_ones_end_with_their_queue() {
    let mut stage = one_letter().await;
    stage.applied("media/images", json!({"deadLetter": {"managed": {"queueName": "letters"}}})).await;
    stage.delete("media/images");
    stage.run(600).await;
    assert_eq!(stage.ready("media/images"), "False/WaitingForEmpty");
    stage.world.consume(0);
    stage.run(600).await;
    assert!(stage.is_gone("media/images"));
    assert!(stage.world.queues().is_empty());
}

#[tokio::test]
async fn one_made_just_before_a_crash_is_not_forgotten() {
    for fault in [Fault::CrashAfter, Fault::LoseAnswer] {
        for first in [json!({}), json!({"deadLetter": {"mode": "None"}})] {
            let is_new = first == json!({});
            let mut stage = Stage::prompt();
            if !is_new {
                stage.applied("media/images", first).await;
            }
            stage.world.inject(Trap::new(fault).on("CreateQueue"));
            stage.apply("media/images", json!({}));
            stage.run(0).await;
            assert!(stage.has(DLQ));
            stage.apply("media/images", json!({"deadLetter": {"mode": "None"}}));
            stage.run(600).await;
            assert_eq!(stage.ready("media/images"), "True/Converged");
            assert!(!stage.has(DLQ), "{fault:?}, new: {is_new}");
        }
    }
}

#[tokio::test]
async fn under_the_delays_of_aws_nothing_is_tried_in_vain() {
    for seed in 0..10 {
        let mut stage = Stage::new(seed, Timing::aws());
        stage.apply("media/images", json!({}));
        stage.run(30).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "seed {seed}");
        let writes = stage.world.writes_since(0);
        assert!(writes.iter().all(|call| call.answer.is_ok()), "seed {seed}: {writes:?}");
        let told = stage.kube.announcements(&crate::stage::key("media/images"));
        assert!(told.iter().all(|event| !event.is_warning), "seed {seed}: {told:?}");
    }
}

#[tokio::test]
async fn a_retired_one_says_what_its_end_waits_for_and_is_looked_at_ever_more_rarely() {
    let mut stage = one_letter().await;
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
    let waits_for = |stage: &Stage| stage.queue("media/images").status.unwrap().retired_dead_letters[0].state;
    assert_eq!(waits_for(&stage), Some(RetiredState::HoldsMessages));
    stage.run(3600).await;
    let looks = |stage: &Stage, mark| {
        let calls = stage.world.calls_since(mark);
        let is_look = |call: &&Call| call.queue.as_ref().is_some_and(|queue| queue.name() == DLQ);
        calls.iter().filter(is_look).count()
    };
    let mark = stage.world.mark();
    stage.run(3600).await;
    // A resync is three calls: where it is, its attributes, its tags.
    assert!(looks(&stage, mark) <= 3 * 15, "{}", looks(&stage, mark));

    let denial =
        Denial { action: Some("GetQueueAttributes"), queue: Some(DLQ.to_owned()), answer: DeniedAs::AccessDenied };
    stage.world.deny(denial);
    stage.run(900).await;
    assert_eq!(waits_for(&stage), Some(RetiredState::OutOfSight));
    assert_eq!(stage.ready("media/images"), "True/Converged");
    let (mark, kube_mark) = (stage.world.mark(), stage.kube.mark());
    stage.run(3600).await;
    assert!(looks(&stage, mark) <= 3 * 15, "{}", looks(&stage, mark));
    assert!(stage.kube.writes_since(kube_mark).is_empty());
    stage.world.calm();
    stage.world.consume(0);
    stage.run(900).await;
    assert!(!stage.has(DLQ));
}
