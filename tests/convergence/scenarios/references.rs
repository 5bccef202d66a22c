//! Dead-letter queues that are other Queues: both orders, cycles, the eleventh source.

use prism_queue::domain::attributes::Attribute;
use serde_json::{Value, json};

use crate::stage::{Stage, arn, attributes, queue_name, somebody, tags, url};

fn to(name: &str) -> Value {
    json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": name}}}})
}

fn shared() -> Value {
    json!({"deadLetter": {"mode": "None"}})
}

fn is_wired(stage: &Stage, source: &str, target: &str) -> bool {
    stage.attribute(source, Attribute::RedrivePolicy).contains(&arn(target))
}

#[tokio::test]
async fn both_orders_of_creation_come_to_the_same() {
    for source_first in [true, false] {
        let mut stage = Stage::prompt();
        let order = if source_first { ["images", "shared"] } else { ["shared", "images"] };
        for name in order {
            let spec = if name == "shared" { shared() } else { to("shared") };
            stage.applied(&format!("media/{name}"), spec).await;
            if source_first && name == "images" {
                assert_eq!(stage.ready("media/images"), "False/DeadLetterNotReady");
            }
        }
        assert_eq!(stage.ready("media/images"), "True/Converged", "source first: {source_first}");
        assert_eq!(stage.ready("media/shared"), "True/Converged");
        assert!(is_wired(&stage, "media_images", "media_shared"));
        let allow = stage.attribute("media_shared", Attribute::RedriveAllowPolicy);
        assert!(allow.contains(&arn("media_images")), "{allow}");
        assert_eq!(
            stage.secret("media/images-queue").unwrap().content.data["DEAD_LETTER_QUEUE_URL"],
            url("media_shared")
        );
    }
}

#[tokio::test]
async fn both_orders_of_deletion_leave_nothing() {
    for order in [["images", "shared"], ["shared", "images"]] {
        let mut stage = Stage::prompt();
        stage.apply("media/shared", shared());
        stage.applied("media/images", to("shared")).await;
        stage.delete(&format!("media/{}", order[0]));
        stage.run(300).await;
        if order[0] == "shared" {
            assert_eq!(stage.ready("media/shared"), "False/InUseAsDeadLetter");
            assert!(stage.words("media/shared").contains("media/images"), "{}", stage.words("media/shared"));
            assert!(stage.has("media_shared"));
        }
        stage.delete(&format!("media/{}", order[1]));
        stage.run(600).await;
        assert!(stage.kube.queues().is_empty());
        assert!(stage.world.queues().is_empty());
    }
}

#[tokio::test]
async fn sources_being_deleted_block_nothing() {
    let mut stage = Stage::prompt();
    stage.apply("media/shared", json!({"deadLetter": {"mode": "None"}, "deletionPolicy": "Delete"}));
    stage.applied("media/images", to("shared")).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.delete("media/images");
    stage.delete("media/shared");
    stage.run(300).await;
    assert_eq!(stage.ready("media/images"), "False/WaitingForEmpty");
    assert!(stage.is_gone("media/shared"));
}

#[tokio::test]
async fn cycles_are_refused_and_end_with_one_edit() {
    let mut stage = Stage::prompt();
    let ring = [("a", "b"), ("b", "c"), ("c", "a")];
    for (from, next) in ring {
        stage.apply(&format!("media/{from}"), to(next));
    }
    stage.run(60).await;
    for (from, _) in ring {
        let name = format!("media/{from}");
        assert_eq!(stage.ready(&name), "False/DeadLetterCycle");
        assert_eq!(stage.condition(&name, "Stalled"), "True/DeadLetterCycle");
    }
    assert!(stage.world.queues().is_empty());
    stage.applied("media/c", shared()).await;
    for (from, _) in ring {
        assert_eq!(stage.ready(&format!("media/{from}")), "True/Converged");
    }
    stage.applied("media/self", to("self")).await;
    assert_eq!(stage.ready("media/self"), "False/DeadLetterCycle");
}

#[tokio::test]
async fn the_eleventh_source_is_refused_until_there_is_room() {
    let mut stage = Stage::prompt();
    stage.applied("media/shared", shared()).await;
    for n in 1..=11 {
        stage.apply(&format!("media/s{n:02}"), to("shared"));
        stage.world.advance(1);
    }
    stage.run(120).await;
    for n in 1..=10 {
        assert_eq!(stage.ready(&format!("media/s{n:02}")), "True/Converged", "{n}");
    }
    assert_eq!(stage.ready("media/s11"), "False/TooManySources");
    assert_eq!(stage.condition("media/s11", "Stalled"), "True/TooManySources");
    let allow = stage.attribute("media_shared", Attribute::RedriveAllowPolicy);
    assert!(allow.contains("byQueue") && !allow.contains(&arn("media_s11")), "{allow}");
    stage.delete("media/s03");
    stage.run(600).await;
    assert_eq!(stage.ready("media/s11"), "True/Converged");
    assert!(is_wired(&stage, "media_s11", "media_shared"));
}

#[tokio::test]
async fn who_may_use_a_queue_is_written_by_its_own_reconcile_in_every_mode() {
    let listed = arn("legacy");
    let table = [
        (json!({}), true),
        (json!({"mode": "Auto", "sourceQueueArns": [listed]}), true),
        (json!({"mode": "AllowAll"}), true),
        (json!({"mode": "DenyAll"}), false),
        (json!({"mode": "ByQueue", "sourceQueueArns": [listed]}), false),
        (json!({"mode": "ByQueue", "sourceQueueArns": [arn("media_images")]}), true),
    ];
    for (allow, is_allowed) in table {
        let mut stage = Stage::prompt();
        stage.apply("media/shared", json!({"deadLetter": {"mode": "None"}, "redriveAllow": allow}));
        stage.applied("media/images", to("shared")).await;
        assert_eq!(stage.ready("media/shared"), "True/Converged", "{allow}");
        assert_eq!(stage.ready("media/images") == "True/Converged", is_allowed, "{allow}");
        if !is_allowed {
            assert_eq!(stage.ready("media/images"), "False/DeadLetterNotReady", "{allow}");
        }
        let writers = stage.world.writes_since(0);
        assert!(writers.iter().all(|call| call.answer.is_ok()), "{allow}: nothing is tried in vain: {writers:?}");
    }
}

#[tokio::test]
async fn a_queue_by_arn_is_used_as_it_is() {
    let mut stage = Stage::prompt();
    stage.world.outside(&somebody()).create_queue(&queue_name("legacy"), &attributes(&[]), &tags(&[])).unwrap();
    let by_arn =
        json!({"deadLetter": {"mode": "Reference", "maxReceiveCount": 3, "reference": {"queueArn": arn("legacy")}}});
    stage.applied("media/images", by_arn).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(is_wired(&stage, "media_images", "legacy"));
    assert!(stage.world.trespasses_since(0, |call, _| call.queue.as_ref().unwrap().name() != "legacy").is_empty());
}

#[tokio::test]
async fn references_converge_under_the_delays_of_aws() {
    for seed in 0..10 {
        let mut stage = Stage::new(seed, crate::model::Timing::aws());
        stage.apply("media/images", to("shared"));
        stage.apply("media/shared", shared());
        stage.run(600).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "seed {seed}: {}", stage.words("media/images"));
        assert!(is_wired(&stage, "media_images", "media_shared"));
    }
}

#[tokio::test]
async fn waiting_for_another_dead_letter_queue_the_old_one_stays_in_use_and_is_looked_at_seldom() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.applied("media/images", to("shared")).await;
    assert_eq!(stage.ready("media/images"), "False/DeadLetterNotReady");
    assert!(is_wired(&stage, "media_images", "media_images_dlq"), "better the old one than none");
    stage.run(1200).await;
    let passes = stage.operator.passes.len();
    stage.run(3600).await;
    assert!(stage.operator.passes.len() - passes <= 20, "{} passes in an hour", stage.operator.passes.len() - passes);
    stage.applied("media/shared", shared()).await;
    stage.run(300).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(is_wired(&stage, "media_images", "media_shared") && !stage.has("media_images_dlq"));
}

#[tokio::test]
async fn a_dead_letter_queue_by_arn_that_aws_refuses_holds_nothing_else_back() {
    for is_new in [true, false] {
        let mut stage = Stage::prompt();
        if !is_new {
            stage.applied("media/images", json!({})).await;
        }
        let spec = json!({
            "delaySeconds": 7,
            "deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("nowhere")}},
        });
        stage.applied("media/images", spec).await;
        assert_eq!(stage.ready("media/images"), "False/Refused", "new: {is_new}");
        assert!(stage.words("media/images").contains("RedrivePolicy"), "{}", stage.words("media/images"));
        assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "7", "new: {is_new}");
        assert!(stage.secret("media/images-queue").is_some());
        stage.run(600).await;
        assert_eq!(stage.condition("media/images", "Stalled"), "True/Refused", "after a deadline");
        if !is_new {
            assert!(is_wired(&stage, "media_images", "media_images_dlq"), "it keeps the one that it has");
            assert!(stage.has("media_images_dlq"));
        }
        let outside = stage.world.outside(&somebody());
        outside.create_queue(&queue_name("nowhere"), &attributes(&[]), &tags(&[])).unwrap();
        stage.run(120).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "new: {is_new}");
        assert!(is_wired(&stage, "media_images", "nowhere"));
    }
}

#[tokio::test]
async fn a_source_waits_for_a_dead_letter_queue_that_does_not_let_it_in_yet() {
    let mut stage = Stage::prompt();
    stage.applied("media/shared", shared()).await;
    let denial = crate::model::Denial {
        action: Some("SetQueueAttributes"),
        queue: Some("media_shared".to_owned()),
        answer: crate::model::DeniedAs::AccessDenied,
    };
    stage.world.deny(denial);
    stage.applied("media/images", to("shared")).await;
    assert_eq!(stage.ready("media/shared"), "False/Denied");
    let effective = stage.queue("media/shared").status.unwrap().effective.unwrap();
    assert_eq!(effective.redrive_allow.source_queue_arns, [""; 0], "what AWS was told, not what was meant");
    assert_eq!(stage.ready("media/images"), "False/DeadLetterNotReady");
    stage.world.calm();
    stage.run(600).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(is_wired(&stage, "media_images", "media_shared"));
}

#[tokio::test]
async fn sources_that_come_and_go_are_no_drift() {
    let mut stage = Stage::prompt();
    stage.applied("media/shared", shared()).await;
    stage.applied("media/images", to("shared")).await;
    let told = |stage: &Stage, reason: &str| {
        stage
            .kube
            .announcements(&crate::stage::key("media/shared"))
            .iter()
            .filter(|event| event.reason == reason)
            .count()
    };
    assert_eq!((told(&stage, "DriftRepaired"), told(&stage, "Updated")), (0, 1));
    let outside = stage.world.outside(&somebody());
    let open = attributes(&[(Attribute::RedriveAllowPolicy, r#"{"redrivePermission":"allowAll"}"#)]);
    outside.set_queue_attributes(&url("media_shared"), &open).unwrap();
    stage.run(700).await;
    assert_eq!(told(&stage, "DriftRepaired"), 1);
}
