//! Denied, throttled, crashed, deposed: what the operator does in trouble.

use std::sync::atomic::Ordering;

use prism_queue::domain::call::ErrorKind;
use serde_json::json;

use crate::model::{Chaos, Denial, DeniedAs, Fault, Timing, Trap};
use crate::stage::{Stage, key};

#[tokio::test]
async fn does_not_exist_is_believed_only_when_account_and_list_agree() {
    let denials = [
        Denial { action: Some("GetQueueAttributes"), queue: None, answer: DeniedAs::DoesNotExist },
        Denial { action: Some("ListQueueTags"), queue: None, answer: DeniedAs::DoesNotExist },
        Denial { action: None, queue: None, answer: DeniedAs::AccessDenied },
    ];
    for denial in denials {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({})).await;
        let (secret, status) = (stage.secret("media/images-queue"), stage.queue("media/images").status.unwrap());
        stage.world.deny(denial.clone());
        let mark = stage.world.mark();
        stage.run(1200).await;
        assert_eq!(stage.ready("media/images"), "False/Denied", "{denial:?}");
        assert_eq!(stage.condition("media/images", "Stalled"), "True/Denied", "after the deadline");
        assert_eq!(stage.writes(mark), 0, "{denial:?}");
        let now = stage.queue("media/images").status.unwrap();
        assert_eq!((now.queue_url, now.target, now.dead_letter), (status.queue_url, status.target, status.dead_letter));
        assert_eq!(stage.secret("media/images-queue"), secret);
        stage.world.calm();
        stage.run(600).await;
        assert_eq!(stage.ready("media/images"), "True/Converged");
    }
}

#[tokio::test]
async fn credentials_of_another_account_prove_nothing() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    // The class still names the account; the credentials have become another one's.
    stage.operator.caller = crate::model::Caller::role("210987654321", "eu-central-1", "prism-queue");
    stage.operator.restart();
    let mark = stage.world.mark();
    stage.run(1200).await;
    assert_eq!(stage.ready("media/images"), "False/TargetChanged");
    assert_eq!(stage.condition("media/images", "Stalled"), "True/TargetChanged");
    // Nothing is made in the other account either.
    stage.apply("media/new", json!({}));
    stage.run(600).await;
    assert_eq!(stage.ready("media/new"), "False/TargetChanged");
    stage.delete("media/images");
    stage.run(600).await;
    assert_eq!(stage.ready("media/images"), "False/TargetChanged");
    assert_eq!(stage.writes(mark), 0);
}

#[tokio::test]
async fn denied_is_not_stalled_before_the_deadline() {
    let mut stage = Stage::prompt();
    stage.world.deny(Denial { action: None, queue: None, answer: DeniedAs::AccessDenied });
    stage.apply("media/images", json!({}));
    stage.run(60).await;
    assert_eq!(stage.condition("media/images", "Reconciling"), "True/Denied");
    stage.run(600).await;
    assert_eq!(stage.condition("media/images", "Stalled"), "True/Denied");
    let mark = stage.world.mark();
    stage.run(3600).await;
    assert!(stage.actions_since(mark).len() <= 48, "retried slowly: {}", stage.actions_since(mark).len());
    stage.world.calm();
    stage.run(300).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn one_bad_object_disturbs_no_other() {
    let mut stage = Stage::prompt();
    let bad = Denial { action: None, queue: Some("media_bad".to_owned()), answer: DeniedAs::AccessDenied };
    stage.world.deny(bad);
    stage.apply("media/bad", json!({}));
    stage.apply("media/invalid", json!({"visibilityTimeoutSeconds": -1}));
    for n in 0..5 {
        stage.apply(&format!("media/good{n}"), json!({}));
    }
    stage.run(30).await;
    for n in 0..5 {
        assert_eq!(stage.ready(&format!("media/good{n}")), "True/Converged");
    }
    assert_eq!(stage.ready("media/bad"), "False/Denied");
    assert_eq!(stage.ready("media/invalid"), "False/InvalidSpec");
}

#[tokio::test]
async fn throttled_it_says_so_and_converges() {
    let mut stage = Stage::prompt();
    stage.world.inject(Trap::new(Fault::Refuse(ErrorKind::Throttled)).times(20));
    stage.apply("media/images", json!({}));
    stage.run(1).await;
    assert_eq!(stage.ready("media/images"), "False/Throttled");
    assert_eq!(stage.condition("media/images", "Stalled"), "-");
    stage.run(1200).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");

    let mut crowd = Stage::prompt();
    // A pass takes no time here, so all its calls fall into one second.
    crowd.world.throttle(12);
    for n in 0..10 {
        crowd.apply(&format!("media/q{n}"), json!({}));
    }
    crowd.run(1800).await;
    for n in 0..10 {
        assert_eq!(crowd.ready(&format!("media/q{n}")), "True/Converged");
    }
}

#[tokio::test]
async fn without_the_leader_claim_there_is_not_one_write_more() {
    for writes in 0..8 {
        let mut stage = Stage::prompt();
        stage.apply("media/images", json!({}));
        stage.operator.claim.store(writes, Ordering::SeqCst);
        stage.run(300).await;
        let made = stage.world.writes_since(0).len() + stage.kube.writes_since(0).len();
        assert!(made <= writes, "{made} writes under a claim for {writes}");
        if writes == 0 {
            let told = stage.kube.announcements(&key("media/images"));
            assert!(told.is_empty(), "an event is a write too: {told:?}");
        }
        stage.operator.claim.store(usize::MAX, Ordering::SeqCst);
        stage.run(60).await;
        assert_eq!(stage.ready("media/images"), "True/Converged");
    }
}

#[tokio::test]
async fn a_crash_before_or_after_any_single_call_leads_to_the_same_end() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseAnswer, Fault::Refuse(ErrorKind::Transient)] {
        for nth in 0..16 {
            let mut stage = Stage::new(u64::from(nth), Timing::prompt());
            stage.world.inject(Trap::new(fault).after(nth));
            stage.apply("media/images", json!({"tags": {"team": "media"}}));
            stage.run(120).await;
            assert_eq!(stage.ready("media/images"), "True/Converged", "{fault:?} at call {nth}");
            stage.delete("media/images");
            stage.run(600).await;
            assert!(stage.is_gone("media/images"), "{fault:?} at call {nth}");
            assert!(stage.world.queues().is_empty(), "{fault:?} at call {nth}");
        }
    }
}

#[tokio::test]
async fn a_crash_before_or_after_any_single_write_to_kubernetes_leads_to_the_same_end() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseAnswer, Fault::Refuse(ErrorKind::Transient)] {
        for nth in 0..8 {
            let mut stage = Stage::prompt();
            stage.kube.inject(Trap::new(fault).after(nth));
            stage.apply("media/images", json!({}));
            stage.run(120).await;
            assert_eq!(stage.ready("media/images"), "True/Converged", "{fault:?} at write {nth}");
            assert!(stage.secret("media/images-queue").is_some());
            stage.delete("media/images");
            stage.run(600).await;
            assert!(stage.is_gone("media/images"), "{fault:?} at write {nth}");
            assert!(stage.world.queues().is_empty() && stage.kube.objects().is_empty());
        }
    }
}

#[tokio::test]
async fn a_storm_passes_without_duplicates_or_leftovers() {
    for seed in 0..5 {
        let mut stage = Stage::new(seed, Timing::aws());
        stage.operator.lag = 3;
        let chaos = Chaos { throttled: 5, transient: 5, lost_answers: 5, crashes: 4 };
        stage.world.chaos(chaos);
        stage.kube.chaos(chaos);
        for n in 0..6 {
            stage.apply(&format!("media/q{n}"), json!({}));
        }
        stage.run(900).await;
        stage.world.calm();
        stage.kube.calm();
        stage.run(1200).await;
        assert_eq!(stage.world.queues().len(), 12, "seed {seed}");
        for n in 0..6 {
            assert_eq!(stage.ready(&format!("media/q{n}")), "True/Converged", "seed {seed}");
        }
    }
}

#[tokio::test]
async fn what_aws_denies_of_one_queue_keeps_the_other_not_waiting() {
    for denied in ["media_images", "media_images_dlq"] {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({})).await;
        let queue = Some(denied.to_owned());
        stage.world.deny(Denial { action: Some("TagQueue"), queue, answer: DeniedAs::AccessDenied });
        stage.applied("media/images", json!({"tags": {"team": "media"}})).await;
        assert_eq!(stage.ready("media/images"), "False/Denied", "{denied}");
        for name in ["media_images", "media_images_dlq"] {
            let is_tagged = stage.aws(name).tags.contains_key("team");
            assert_eq!(is_tagged, name != denied, "{name} while {denied} is denied");
        }
        stage.world.calm();
        stage.run(600).await;
        assert_eq!(stage.ready("media/images"), "True/Converged");
    }
}

#[tokio::test]
async fn a_read_that_fails_now_and_then_says_nothing_about_a_queue_at_rest() {
    for (action, kind) in [
        ("GetQueueAttributes", ErrorKind::Transient),
        ("GetQueueAttributes", ErrorKind::Throttled),
        ("ListQueueTags", ErrorKind::Throttled),
    ] {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({})).await;
        stage.run(1200).await;
        let (kube_mark, told) = (stage.kube.mark(), stage.kube.announcements(&key("media/images")).len());
        stage.world.inject(Trap::new(Fault::Refuse(kind)).on(action).times(3));
        stage.run(1200).await;
        assert!(stage.kube.writes_since(kube_mark).is_empty(), "{action} {kind:?}");
        assert_eq!(stage.kube.announcements(&key("media/images")).len(), told, "{action} {kind:?}");

        // What lasts is told.
        stage.world.inject(Trap::new(Fault::Refuse(kind)).on(action).times(u32::MAX));
        stage.run(1000).await;
        assert!(stage.ready("media/images").starts_with("False/"), "{}", stage.ready("media/images"));
        // And so is what keeps a change from being made.
        stage.world.calm();
        stage.run(600).await;
        assert_eq!(stage.ready("media/images"), "True/Converged");
        stage.world.inject(Trap::new(Fault::Refuse(kind)).on(action).times(u32::MAX));
        stage.apply("media/images", json!({"delaySeconds": 7}));
        stage.run(20).await;
        assert!(stage.ready("media/images").starts_with("False/"), "{}", stage.ready("media/images"));
    }
}
