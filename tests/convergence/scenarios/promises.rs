//! Promises that were broken once: found by reading the design sentence by sentence.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prism_queue::api::status::RetiredDeadLetter;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::names::{NamePrefix, Naming};
use prism_queue::domain::outputs::{Output, OutputKind};
use serde_json::json;

use crate::cluster::ObjectId;
use crate::model::{Fault, Timing, Trap};
use crate::stage::{Stage, arn, attributes, key, queue_name, somebody, tags, url};

const DLQ: &str = "media_images_dlq";

fn secret(name: &str) -> ObjectId {
    ObjectId { kind: OutputKind::Secret, namespace: "media".to_owned(), name: name.to_owned() }
}

fn least_privilege(seed: u64, timing: Timing) -> Stage {
    let mut stage = Stage::new(seed, timing);
    let caller = crate::stage::operator().only_tagged("queue.prism.io/cluster", crate::stage::CLUSTER);
    stage.operator = crate::driver::Operator::new(&stage.world, &stage.kube, &caller, &crate::stage::class());
    stage
}

#[tokio::test]
async fn a_dead_letter_queue_is_not_shortened_while_its_source_is_held_back() {
    let mut stage = Stage::prompt();
    let spec = |retention: i64, dead: i64| json!({"messageRetentionSeconds": retention, "visibilityTimeoutSeconds": 5, "deadLetter": {"maxReceiveCount": 1, "managed": {"messageRetentionSeconds": dead}}});
    stage.applied("media/images", spec(345_600, 1_209_600)).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.run(2 * 86_400).await;
    stage.applied("media/images", spec(86_400, 86_400)).await;
    assert_eq!(stage.ready("media/images"), "False/HeldBack");
    for _ in 0..2 {
        stage.world.receive(&somebody(), &url("media_images")).unwrap();
        stage.run(10).await;
    }
    assert_eq!(stage.world.messages()[0].fate, None, "moved to a queue that deletes it at once");
}

#[tokio::test]
async fn a_renamed_output_that_meets_a_conflict_leaves_workloads_the_old_one() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let content =
        Output { kind: OutputKind::Secret, name: "db".to_owned(), secret_type: "Opaque".to_owned(), data: [].into() };
    stage.kube.create_object(&secret("db"), content);
    stage.applied("media/images", json!({"outputs": {"secret": {"name": "db"}}})).await;
    assert_eq!(stage.ready("media/images"), "False/OutputConflict");
    assert!(stage.secret("media/images-queue").is_some(), "the only Secret that workloads had is gone");
}

#[tokio::test]
async fn drift_is_repaired_though_the_last_writer_had_a_clock_that_was_ahead() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"visibilityTimeoutSeconds": 60})).await;
    stage.applied("media/images", json!({"visibilityTimeoutSeconds": 61})).await;
    let ahead = Time(stage.world.now() + SignedDuration::from_hours(24));
    stage.kube.edit_status(&key("media/images"), |status| {
        let written = status.last_write.as_mut().unwrap();
        written.time = ahead.clone();
        for entry in written.queues.values_mut().flat_map(|entries| entries.values_mut()) {
            entry.time = ahead.clone();
        }
    });
    stage.operator.restart();
    let outside = stage.world.outside(&somebody());
    outside.set_queue_attributes(&url("media_images"), &attributes(&[(Attribute::VisibilityTimeout, "7")])).unwrap();
    stage.run(1300).await;
    assert_eq!(stage.attribute("media_images", Attribute::VisibilityTimeout), "61");
    assert_eq!(stage.condition("media/images", "Propagated"), "True/ReadBack");
}

#[tokio::test]
async fn a_raise_of_retention_without_an_answer_is_guarded_when_it_is_taken_back() {
    let timing = Timing { retention_shows_after: 900..=900, ..Timing::prompt() };
    let mut stage = Stage::new(1, timing);
    stage.applied("media/images", json!({"messageRetentionSeconds": 3600})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.run(3300).await;
    stage.world.inject(Trap::new(Fault::LoseAnswer).on("SetQueueAttributes"));
    stage.world.inject(Trap::new(Fault::Refuse(ErrorKind::Throttled)).on("SetQueueAttributes").times(400));
    stage.apply("media/images", json!({"messageRetentionSeconds": 86_400}));
    stage.run(400).await;
    stage.world.calm();
    stage.applied("media/images", json!({"messageRetentionSeconds": 3600})).await;
    assert_eq!(stage.lost(), 0);
}

#[tokio::test]
async fn a_shorter_retention_does_not_trust_one_approximate_count() {
    let mut lost = 0;
    for seed in 0..60 {
        let mut stage = Stage::new(seed, Timing { counts_lag: 60, ..Timing::prompt() });
        stage.applied("media/images", json!({})).await;
        stage.world.send(&somebody(), &url("media_images")).unwrap();
        stage.run(2 * 86_400).await;
        stage.world.receive(&somebody(), &url("media_images")).unwrap();
        stage.run(5).await;
        stage.applied("media/images", json!({"messageRetentionSeconds": 3600})).await;
        lost += stage.lost();
    }
    assert_eq!(lost, 0, "of 60 worlds");
}

#[tokio::test]
async fn a_source_of_another_namespace_that_is_listed_keeps_its_dead_letter_queue() {
    let mut stage = Stage::prompt();
    let listed = json!({"redriveAllow": {"mode": "ByQueue", "sourceQueueArns": [arn("web_orders")]}, "deadLetter": {"mode": "None"}, "deletionPolicy": "Delete"});
    stage.applied("media/letters", listed).await;
    let source = json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("media_letters")}}});
    stage.applied("web/orders", source).await;
    assert_eq!(stage.ready("web/orders"), "True/Converged");
    stage.delete("media/letters");
    stage.run(300).await;
    assert!(stage.has("media_letters"), "a live source still names it");
    assert_eq!(stage.ready("media/letters"), "False/InUseAsDeadLetter");
}

#[tokio::test]
async fn the_secret_of_an_observed_queue_is_never_repointed_by_a_flag() {
    let mut stage = Stage::prompt();
    let outside = stage.world.outside(&somebody());
    for name in ["media_images", "x-media_images"] {
        outside.create_queue(&queue_name(name), &attributes(&[]), &tags(&[])).unwrap();
    }
    stage.applied("media/images", json!({"managementPolicy": "Observe"})).await;
    assert_eq!(stage.secret("media/images-queue").unwrap().content.data["QUEUE_URL"], url("media_images"));
    stage.operator.class.naming = Naming::new(NamePrefix::parse("x-").unwrap());
    stage.operator.restart();
    stage.run(700).await;
    assert_eq!(stage.secret("media/images-queue").unwrap().content.data["QUEUE_URL"], url("media_images"));
    assert_eq!(stage.ready("media/images"), "False/TargetChanged");
}

#[tokio::test]
async fn an_output_turned_off_is_removed_though_it_lost_its_label_while_nobody_looked() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.kube.edit_object(&secret("images-queue"), |object| object.labelled = false);
    stage.apply("media/images", json!({"outputs": {"secret": {"mode": "Disabled"}}}));
    stage.operator.restart();
    stage.run(60).await;
    assert!(stage.secret("media/images-queue").is_none());
}

#[tokio::test]
async fn a_forged_status_never_retires_the_queue_itself() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let now = Time(stage.world.now());
    stage.kube.edit_status(&key("media/images"), |status| {
        status.retired_dead_letters =
            vec![RetiredDeadLetter { queue_name: "media_images".to_owned(), retired_time: now, state: None }];
    });
    let mark = stage.world.mark();
    stage.operator.restart();
    stage.run(3600).await;
    assert!(!stage.actions_since(mark).contains(&"DeleteQueue"));
    assert_eq!(stage.writes(mark), 0);
}

#[tokio::test]
async fn a_url_in_status_that_leads_nowhere_is_mended() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.kube.edit_status(&key("media/images"), |status| {
        status.queue_url = Some("https://sqs.eu-central-1.amazonaws.com/999999999999/media_images".to_owned());
    });
    stage.operator.restart();
    stage.run(3600).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.queue("media/images").status.unwrap().queue_url, Some(url("media_images")));
}

#[tokio::test]
async fn a_policy_once_suspected_costs_no_second_call_for_ever() {
    let mut stage = Stage::prompt();
    let worker = "arn:aws:iam::123456789012:role/worker";
    let spec = json!({"delaySeconds": 3, "access": {"statements": [{"Effect": "Allow", "Principal": {"AWS": worker}, "Action": "sqs:SendMessage"}]}});
    stage.applied("media/images", json!({})).await;
    stage.apply("media/images", spec);
    stage.run(5).await;
    stage.world.create_principal(worker);
    stage.run(600).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    stage
        .world
        .outside(&somebody())
        .set_queue_attributes(
            &url("media_images"),
            &attributes(&[(Attribute::Policy, ""), (Attribute::DelaySeconds, "9")]),
        )
        .unwrap();
    let mark = stage.world.mark();
    stage.run(700).await;
    assert_eq!(stage.count("SetQueueAttributes", mark), 1);
}

#[tokio::test]
async fn a_retired_dead_letter_queue_that_holds_messages_costs_no_storm_of_calls() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deadLetter": {"maxReceiveCount": 1}, "visibilityTimeoutSeconds": 5})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    for _ in 0..2 {
        stage.world.receive(&somebody(), &url("media_images")).unwrap();
        stage.run(10).await;
    }
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
    stage.run(3600).await;
    let mark = stage.world.mark();
    stage.run(6000).await;
    let calls = stage.actions_since(mark).len();
    assert!(calls <= 22 * 6, "{calls} calls in 100 minutes for a Queue at rest");
}

#[tokio::test]
async fn a_deletion_that_waits_for_messages_costs_no_storm_of_calls() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.delete("media/images");
    stage.run(3600).await;
    let mark = stage.world.mark();
    stage.run(6000).await;
    let calls = stage.actions_since(mark).len();
    assert!(calls <= 100 * 4, "{calls} calls in 100 minutes, more than one look a minute");
}

#[tokio::test]
async fn retain_is_a_way_out_though_the_last_writer_had_a_clock_that_was_ahead() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.applied("media/images", json!({"access": {"requireTLS": false}})).await;
    let ahead = Time(stage.world.now() + SignedDuration::from_hours(24));
    stage.kube.edit_status(&key("media/images"), |status| {
        let written = status.last_write.as_mut().unwrap();
        for entry in written.queues.values_mut().flat_map(|entries| entries.values_mut()) {
            entry.time = ahead.clone();
        }
        // Written by a leader whose word for it was another one.
        for entries in written.queues.values_mut() {
            if let Some(entry) = entries.get_mut("Policy") {
                entry.value = "{}".to_owned();
            }
        }
    });
    stage.operator.restart();
    stage.apply("media/images", json!({"access": {"requireTLS": false}, "deletionPolicy": "Retain"}));
    stage.delete("media/images");
    stage.run(3600).await;
    assert!(stage.is_gone("media/images"), "{}", stage.words("media/images"));
}

#[tokio::test]
async fn permissions_that_know_a_fresh_tag_late_stall_nothing() {
    for seed in 0..8 {
        let mut stage = least_privilege(seed, Timing { fresh_tags_for: 59..=59, ..Timing::aws() });
        stage.apply("media/images", json!({}));
        for _ in 0..60 {
            stage.run(5).await;
            assert_eq!(stage.condition("media/images", "Stalled"), "-", "seed {seed}");
        }
        assert_eq!(stage.ready("media/images"), "True/Converged", "seed {seed}");
        stage.delete("media/images");
        stage.run(600).await;
        assert!(stage.is_gone("media/images") && stage.world.queues().is_empty(), "seed {seed}");
    }
}

#[tokio::test]
async fn retain_tells_the_truth_when_only_tagged_queues_may_be_read() {
    let mut stage = least_privilege(1, Timing::prompt());
    stage.applied("media/images", json!({"deletionPolicy": "Retain"})).await;
    stage.delete("media/images");
    stage.run(60).await;
    assert!(stage.is_gone("media/images"));
    assert!(stage.world.queues().iter().all(|queue| queue.tags.is_empty()));
    let told = stage.kube.announcements(&key("media/images"));
    assert!(told.iter().all(|event| event.reason != "LeftBehind"), "{told:?}");
}

#[tokio::test]
async fn a_dead_letter_queue_let_go_is_forgotten_when_only_tagged_queues_may_be_read() {
    let mut stage = least_privilege(1, Timing::prompt());
    stage.applied("media/images", json!({"deletionPolicy": "Retain"})).await;
    stage.applied("media/images", json!({"deletionPolicy": "Retain", "deadLetter": {"mode": "None"}})).await;
    stage.run(1200).await;
    assert!(stage.aws(DLQ).tags.is_empty());
    assert!(stage.queue("media/images").status.unwrap().retired_dead_letters.is_empty());
}

#[tokio::test]
async fn a_message_that_comes_back_again_and_again_is_not_taken_for_none() {
    let mut lost = 0;
    for seed in 0..4 {
        let mut stage = Stage::new(seed, Timing { counts_lag: 60, ..Timing::prompt() });
        stage.applied("media/images", json!({"visibilityTimeoutSeconds": 40, "deadLetter": {"mode": "None"}})).await;
        stage.world.send(&somebody(), &url("media_images")).unwrap();
        stage.run(90).await;
        stage.delete("media/images");
        for _ in 0..600 {
            let _ = stage.world.receive(&somebody(), &url("media_images"));
            stage.run(80).await;
        }
        lost += stage.lost();
    }
    assert_eq!(lost, 0);
}

#[tokio::test]
async fn a_target_forged_to_name_the_queue_as_its_own_dead_letter_queue_is_mended() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.kube.edit_status(&key("media/images"), |status| {
        status.target.as_mut().unwrap().dead_letter_queue_name = Some("media_images".to_owned());
    });
    stage.operator.restart();
    stage.run(1300).await;
    assert_eq!(stage.ready("media/images"), "True/Converged", "{}", stage.words("media/images"));
}

#[tokio::test]
async fn a_standard_dead_letter_queue_named_by_arn_or_reference_is_no_shorter_than_its_source() {
    let mut stage = Stage::prompt();
    stage.applied("media/letters", json!({"deadLetter": {"mode": "None"}, "messageRetentionSeconds": 3600})).await;
    let source = json!({"visibilityTimeoutSeconds": 5, "deadLetter": {"mode": "Reference", "maxReceiveCount": 1, "reference": {"queueRef": {"name": "letters"}}}});
    stage.applied("media/images", source.clone()).await;
    assert_eq!(stage.ready("media/images"), "False/InvalidSpec");
    let said = "spec.deadLetter.reference.queueRef: Queue media/letters keeps messages for 3600 s";
    assert!(stage.words("media/images").contains(said), "{}", stage.words("media/images"));
    stage.apply("media/letters", json!({"deadLetter": {"mode": "None"}, "messageRetentionSeconds": 345_600}));
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    // What dies early elsewhere is told too.
    let shorter = json!({"deadLetter": {"mode": "None"}, "messageRetentionSeconds": 3600});
    stage.applied("media/letters", shorter).await;
    assert_eq!(stage.condition("media/images", "Stalled"), "True/InvalidSpec");
}

#[tokio::test]
async fn a_queue_released_as_asked_raises_no_warning() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deletionPolicy": "Retain"})).await;
    stage.delete("media/images");
    stage.run(60).await;
    let told = stage.kube.announcements(&key("media/images"));
    assert!(told.iter().all(|event| !event.is_warning), "{told:?}");
}
