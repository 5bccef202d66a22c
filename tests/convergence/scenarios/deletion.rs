//! The end of a Queue: fenced, seen to be empty, deleted in a safe order; and always a way out.

use serde_json::json;

use crate::model::{Denial, DeniedAs, Timing};
use crate::stage::{Stage, somebody, url};

#[tokio::test]
async fn delete_if_empty_fences_reads_three_times_and_deletes_the_source_first() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let mark = stage.world.mark();
    let begun = stage.world.now();
    stage.delete("media/images");
    stage.run(5).await;
    assert_eq!(stage.ready("media/images"), "False/WaitingForEmpty");
    assert!(stage.world.send(&somebody(), &url("media_images")).is_err(), "the fence refuses new messages");
    stage.run(300).await;
    assert!(stage.is_gone("media/images"));
    assert!(!stage.has("media_images") && !stage.has("media_images_dlq"));
    let calls = stage.world.calls_since(mark);
    let deletions: Vec<_> = calls.iter().filter(|call| call.action == "DeleteQueue").collect();
    let names: Vec<_> = deletions.iter().map(|call| call.queue.as_ref().unwrap().name()).collect();
    assert_eq!(names, ["media_images", "media_images_dlq"]);
    assert!(deletions[0].at.duration_since(begun).as_secs() >= 60, "empty for a minute");
    for name in names {
        let is_read = |call: &&crate::model::Call| {
            call.action == "GetQueueAttributes"
                && call.queue.as_ref().unwrap().name() == name
                && call.at < deletions[0].at
        };
        let moments: std::collections::BTreeSet<_> = calls.iter().filter(is_read).map(|call| call.at).collect();
        assert!(moments.len() >= 2, "{name}: {moments:?} before the one at the deletion");
    }
    assert!(stage.secret("media/images-queue").is_none());
}

#[tokio::test]
async fn while_messages_are_there_it_waits_and_says_how_many() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    for _ in 0..3 {
        stage.world.send(&somebody(), &url("media_images")).unwrap();
    }
    stage.world.receive(&somebody(), &url("media_images")).unwrap();
    stage.delete("media/images");
    stage.run(100).await;
    assert_eq!(stage.ready("media/images"), "False/WaitingForEmpty");
    assert!(stage.words("media/images").contains("2 visible, 1 in flight"), "{}", stage.words("media/images"));
    stage.run(3600).await;
    assert!(stage.has("media_images"));
    for id in 0..3 {
        stage.world.consume(id);
    }
    stage.run(300).await;
    assert!(stage.is_gone("media/images"));
    assert_eq!(stage.lost(), 0);
}

#[tokio::test]
async fn a_message_in_flight_that_reaches_the_dead_letter_queue_late_is_not_lost() {
    for seed in 0..20 {
        let mut stage = Stage::new(seed, Timing { counts_lag: 60, ..Timing::aws() });
        stage.applied("media/images", json!({"deadLetter": {"maxReceiveCount": 1}})).await;
        stage.run(120).await;
        stage.world.send(&somebody(), &url("media_images")).unwrap();
        stage.run(i64::from(u8::try_from(seed).unwrap())).await;
        stage.world.receive(&somebody(), &url("media_images")).unwrap();
        stage.delete("media/images");
        stage.run(310).await;
        // Its second receive moves it; the consumer is still there while the queue is.
        let _ = stage.world.receive(&somebody(), &url("media_images"));
        stage.run(3600).await;
        assert_eq!(stage.lost(), 0, "seed {seed}");
        assert_eq!(stage.ready("media/images"), "False/WaitingForEmpty", "seed {seed}");
        stage.world.consume(0);
        stage.run(600).await;
        assert!(stage.is_gone("media/images"), "seed {seed}");
    }
}

#[tokio::test]
async fn delete_destroys_messages_as_it_says() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deletionPolicy": "Delete"})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.delete("media/images");
    stage.run(60).await;
    assert!(stage.is_gone("media/images"));
    assert!(!stage.has("media_images") && !stage.has("media_images_dlq"));
    assert_eq!(stage.lost(), 1);
}

#[tokio::test]
async fn a_queue_that_is_gone_already_is_fine() {
    for policy in ["Delete", "DeleteIfEmpty", "Retain"] {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({"deletionPolicy": policy})).await;
        for name in ["media_images", "media_images_dlq"] {
            stage.world.outside(&somebody()).delete_queue(&url(name)).unwrap();
        }
        stage.delete("media/images");
        stage.run(60).await;
        assert!(stage.is_gone("media/images"), "{policy}");
    }
}

#[tokio::test]
async fn does_not_exist_is_not_believed_of_the_denied() {
    for policy in ["Delete", "DeleteIfEmpty"] {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({"deletionPolicy": policy})).await;
        stage.world.deny(Denial { action: Some("GetQueueAttributes"), queue: None, answer: DeniedAs::DoesNotExist });
        let mark = stage.world.mark();
        stage.delete("media/images");
        stage.run(1200).await;
        assert_eq!(stage.ready("media/images"), "False/Denied", "{policy}");
        assert_eq!(stage.condition("media/images", "Stalled"), "True/Denied");
        assert_eq!(stage.writes(mark), 0);
        stage.world.calm();
        stage.run(900).await;
        assert!(stage.is_gone("media/images"), "{policy}");
        assert!(!stage.has("media_images") && !stage.has("media_images_dlq"));
    }
}

#[tokio::test]
async fn retain_is_the_way_out_whatever_aws_denies() {
    let everything = [DeniedAs::AccessDenied, DeniedAs::DoesNotExist];
    let table = everything.into_iter().flat_map(|answer| {
        [None, Some("GetQueueAttributes"), Some("ListQueueTags"), Some("UntagQueue"), Some("SetQueueAttributes")]
            .map(|action| Denial { action, queue: None, answer })
    });
    for denial in table {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({})).await;
        stage.world.send(&somebody(), &url("media_images")).unwrap();
        stage.delete("media/images");
        stage.run(60).await;
        stage.world.deny(denial.clone());
        stage.apply("media/images", json!({"deletionPolicy": "Retain"}));
        stage.run(900).await;
        assert!(stage.is_gone("media/images"), "{denial:?}");
        assert!(stage.has("media_images"));
        let told = stage.kube.announcements(&crate::stage::key("media/images"));
        let is_told = told.iter().any(|event| event.reason == "LeftBehind" && event.note.contains("media_images:"))
            || told.iter().any(|event| event.reason == "LeftBehind" && event.note.contains("media_images was left"));
        let is_untagged = stage.aws("media_images").tags.is_empty();
        // Whom every call tells that nothing exists, `ListQueues` among them, cannot know better.
        let is_veiled = denial.action.is_none() && denial.answer == DeniedAs::DoesNotExist;
        assert!(is_told || is_untagged || is_veiled, "{denial:?}: {told:?}");
        assert_eq!(stage.lost(), 0);
    }
}

#[tokio::test]
async fn an_outage_of_aws_holds_retain_up_only_so_long() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deletionPolicy": "Retain"})).await;
    let outage = crate::model::Fault::Refuse(prism_queue::domain::call::ErrorKind::Transient);
    stage.world.inject(crate::model::Trap::new(outage).times(u32::MAX));
    stage.delete("media/images");
    stage.run(120).await;
    assert_eq!(stage.ready("media/images"), "False/AWSUnavailable");
    stage.run(900).await;
    assert!(stage.is_gone("media/images"));
}

#[tokio::test]
async fn the_policy_may_be_changed_while_deletion_waits() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.delete("media/images");
    stage.run(60).await;
    stage.apply("media/images", json!({"deletionPolicy": "Delete"}));
    stage.run(60).await;
    assert!(stage.is_gone("media/images"));
    assert!(!stage.has("media_images"));
}

#[tokio::test]
async fn deletion_survives_restarts_at_every_moment() {
    let mut stage = Stage::new(3, Timing::aws());
    stage.applied("media/images", json!({})).await;
    stage.run(120).await;
    stage.delete("media/images");
    for _ in 0..5 {
        stage.run(40).await;
        stage.operator.restart();
    }
    stage.run(900).await;
    assert!(stage.is_gone("media/images"));
    assert!(stage.world.queues().is_empty());
}

#[tokio::test]
async fn a_queue_deleted_before_it_answered_leaves_nothing() {
    use crate::model::{Fault, Trap};
    for fault in [None, Some(Fault::LoseAnswer)] {
        let mut stage = Stage::new(1, Timing { usable_after: 2..=2, ..Timing::prompt() });
        stage
            .world
            .inject(Trap::new(fault.unwrap_or(Fault::LoseAnswer)).on("CreateQueue").times(u32::from(fault.is_some())));
        stage.apply("media/images", json!({}));
        stage.run(0).await;
        stage.delete("media/images");
        stage.run(300).await;
        assert!(stage.is_gone("media/images"));
        assert!(stage.world.queues().is_empty(), "{fault:?}");
    }
}
