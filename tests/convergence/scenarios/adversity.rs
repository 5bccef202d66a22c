//! Adversity: what tenants, strangers, pipelines and other tools do to a Queue at the wrong moment.

use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::names::{NamePrefix, Naming};
use serde_json::{Value, json};

use crate::model::{QueueView, Timing};
use crate::stage::{Stage, attributes, key, place, queue_name, somebody, tags, url};

const DLQ: &str = "media_images_dlq";

const WORKER: &str = "arn:aws:iam::123456789012:role/worker";

fn everything(fifo: bool) -> Value {
    let mut spec = json!({
        "visibilityTimeoutSeconds": 61, "messageRetentionSeconds": 600_000, "receiveWaitTimeSeconds": 3,
        "delaySeconds": 7, "maximumMessageSizeBytes": 2048,
        "deadLetter": {"maxReceiveCount": 9, "managed": {"messageRetentionSeconds": 700_000}},
        "redriveAllow": {"mode": "AllowAll"},
        "encryption": {"mode": "KMS", "kms": {"key": "alias/media", "dataKeyReuseSeconds": 900}},
        "access": {"requireTLS": false, "statements": [{"Effect": "Allow", "Principal": {"AWS": WORKER}, "Action": "sqs:SendMessage"}]},
        "outputs": {"secret": {"name": "other", "keyPrefix": "Q_"}, "configMap": {"mode": "Enabled"}, "binding": {"mode": "Enabled"}},
        "tags": {"team": "media"},
    });
    if fifo {
        spec["type"] = json!("FIFO");
        spec["fifo"] = json!({"contentBasedDeduplication": false, "deduplicationScope": "MessageGroup", "throughputLimit": "PerMessageGroupId"});
    }
    spec
}

fn world() -> Stage {
    let stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    stage.world.create_key(&place(), "1234", "alias/media");
    stage
}

#[tokio::test]
async fn a_dead_letter_queue_that_is_being_deleted_is_not_wired_again() {
    for seed in 0..10 {
        let mut stage = Stage::new(seed, Timing { delete_takes: 60..=60, ..Timing::prompt() });
        stage.applied("media/images", json!({})).await;
        stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
        let mark = stage.world.mark();
        while stage.count("DeleteQueue", mark) == 0 {
            stage.run(1).await;
        }
        let mark = stage.world.mark();
        stage.apply("media/images", json!({}));
        stage.run(20).await;
        let wired = stage.actions_since(mark).into_iter().filter(|action| *action == "SetQueueAttributes").count();
        assert_eq!(wired, 0, "seed {seed}: {:?}", stage.words("media/images"));
        assert_ne!(stage.ready("media/images"), "True/Converged", "seed {seed}");
        stage.run(300).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "seed {seed}");
        assert!(stage.has(DLQ));
    }
}

#[tokio::test]
async fn two_queues_that_swap_their_dead_letter_queues_lose_nothing_and_can_go_back() {
    let mut stage = Stage::prompt();
    let spec = |name: &str| json!({"visibilityTimeoutSeconds": 5, "deadLetter": {"maxReceiveCount": 1, "managed": {"queueName": name}}});
    stage.applied("media/one", spec("letters-one")).await;
    stage.applied("media/two", spec("letters-two")).await;
    for name in ["media_one", "media_two"] {
        stage.world.send(&somebody(), &url(name)).unwrap();
        for _ in 0..2 {
            stage.world.receive(&somebody(), &url(name)).unwrap();
            stage.run(10).await;
        }
    }
    stage.apply("media/one", spec("letters-two"));
    stage.apply("media/two", spec("letters-one"));
    stage.run(1200).await;
    for (name, wired) in [("one", "letters-one"), ("two", "letters-two")] {
        assert_eq!(stage.ready(&format!("media/{name}")), "False/NameConflict");
        assert!(stage.attribute(&format!("media_{name}"), Attribute::RedrivePolicy).contains(wired));
        assert_eq!(stage.aws(wired).counts.total(), 1);
    }
    stage.apply("media/one", spec("letters-one"));
    stage.apply("media/two", spec("letters-two"));
    stage.run(600).await;
    for name in ["media/one", "media/two"] {
        assert_eq!(stage.ready(name), "True/Converged");
        assert!(stage.queue(name).status.unwrap().retired_dead_letters.is_empty());
    }
    assert_eq!(stage.lost(), 0);
    assert!(stage.world.messages().iter().all(|message| message.fate.is_none()));
}

#[tokio::test]
async fn an_object_made_anew_takes_its_queue_back_though_the_finalizer_was_torn_off() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.kube.tear_off_finalizers(&key("media/images"));
    stage.delete("media/images");
    assert!(stage.is_gone("media/images"));
    stage.applied("media/images", json!({"delaySeconds": 4})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "4");
    assert_eq!(stage.aws("media_images").counts.total(), 1);
    assert_eq!(stage.count("DeleteQueue", 0), 0);
}

#[tokio::test]
async fn adopted_observed_and_managed_again_it_is_still_adopted() {
    let mut stage = Stage::prompt();
    let outside = stage.world.outside(&somebody());
    outside.create_queue(&queue_name("legacy"), &attributes(&[]), &tags(&[("auto", "1")])).unwrap();
    let spec = |management: &str, adoption: &str| json!({"queueName": "legacy", "managementPolicy": management, "adoptionPolicy": adoption, "deadLetter": {"mode": "None"}});
    stage.applied("media/images", spec("Manage", "Adopt")).await;
    stage.applied("media/images", spec("Observe", "Never")).await;
    stage.kube.lose_status(&key("media/images"));
    stage.applied("media/images", spec("Manage", "Never")).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    stage.delete("media/images");
    stage.run(600).await;
    assert!(stage.is_gone("media/images") && stage.has("legacy"));
    assert_eq!(stage.aws("legacy").tags, tags(&[("auto", "1")]));
}

#[tokio::test]
async fn suspended_in_the_middle_of_its_deletion_a_queue_is_opened_and_let_go() {
    for seconds in [0, 1, 20, 45, 59, 65] {
        let mut stage = Stage::new(1, Timing { delete_takes: 30..=30, ..Timing::prompt() });
        stage.applied("media/images", json!({})).await;
        stage.delete("media/images");
        stage.run(seconds).await;
        let is_asked = stage.count("DeleteQueue", 0) > 0;
        stage.apply("media/images", json!({"suspend": true}));
        stage.run(300).await;
        assert!(stage.is_gone("media/images"), "after {seconds} s");
        // What AWS was asked to delete before is gone; all else stays.
        assert_eq!(stage.count("DeleteQueue", 0) > 0, is_asked, "after {seconds} s");
        assert_eq!(stage.world.queues().len(), 2 - usize::from(is_asked), "after {seconds} s");
        for queue in stage.world.queues() {
            assert!(queue.tags.is_empty(), "after {seconds} s: {:?}", queue.tags);
            stage.world.send(&somebody(), &url(queue.arn.name())).unwrap();
        }
    }
}

#[tokio::test]
async fn encryption_switched_faster_than_it_shows_ends_as_declared_last() {
    let late = Timing { attributes_show_after: 0..=60, ..Timing::prompt() };
    let modes = [
        json!({"mode": "SQSManaged"}),
        json!({"mode": "KMS", "kms": {"key": "alias/media"}}),
        json!({"mode": "None"}),
        json!({"mode": "KMS", "kms": {"key": "alias/other", "dataKeyReuseSeconds": 900}}),
    ];
    for seed in 0..12_u8 {
        let mut stage = Stage::new(seed.into(), late.clone());
        stage.world.create_key(&place(), "1234", "alias/media");
        stage.world.create_key(&place(), "5678", "alias/other");
        for step in 0..8 {
            let mode = &modes[(usize::from(seed) * 7 + step * 3 + step * step) % modes.len()];
            stage.apply("media/images", json!({"encryption": mode}));
            stage.run([3, 11, 40][step % 3]).await;
        }
        for mode in &modes {
            stage.apply("media/images", json!({"encryption": mode}));
            stage.run(7).await;
        }
        stage.run(300).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "seed {seed}");
        for name in ["media_images", DLQ] {
            assert_eq!(stage.attribute(name, Attribute::KmsMasterKeyId), "alias/other", "seed {seed}");
            assert_eq!(stage.attribute(name, Attribute::KmsDataKeyReusePeriodSeconds), "900", "seed {seed}");
            assert_ne!(stage.attribute(name, Attribute::SqsManagedSseEnabled), "true", "seed {seed}");
        }
        let refused: Vec<_> = stage.world.writes_since(0).into_iter().filter(|call| call.answer.is_err()).collect();
        assert!(refused.is_empty(), "seed {seed}: {refused:?}");
    }
}

#[tokio::test]
async fn a_new_prefix_moves_no_dead_letter_queue() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"queueName": "media-images"})).await;
    stage.operator.class.naming = Naming::new(NamePrefix::parse("x-").unwrap());
    stage.operator.restart();
    let mark = stage.world.mark();
    stage.run(1300).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.writes(mark), 0);
    stage.delete("media/images");
    stage.run(600).await;
    assert!(stage.is_gone("media/images") && stage.world.queues().is_empty());
}

#[tokio::test]
async fn the_annotation_of_one_change_allows_no_other() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.kube.annotate(&key("media/images"), "queue.prism.io/allow-message-loss", "messageRetentionSeconds=3600");
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.run(120).await;
    for retention in [3599, 3601, 60] {
        stage.applied("media/images", json!({"messageRetentionSeconds": retention})).await;
        assert_eq!(stage.ready("media/images"), "False/HeldBack", "{retention}");
    }
    assert_eq!(stage.lost(), 0);
}

#[tokio::test]
async fn status_lost_in_the_middle_of_anything_makes_no_second_queue_and_loses_none() {
    for seconds in [0, 1, 5, 30, 70, 130] {
        let mut stage = Stage::new(7, Timing::aws());
        stage.applied("media/images", json!({})).await;
        stage.run(120).await;
        stage.apply("media/images", json!({"delaySeconds": 3, "deadLetter": {"maxReceiveCount": 9}}));
        stage.run(seconds).await;
        stage.kube.lose_status(&key("media/images"));
        stage.operator.restart();
        stage.run(1300).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "after {seconds} s");
        assert_eq!(stage.world.queues().len(), 2);
        stage.kube.lose_status(&key("media/images"));
        stage.delete("media/images");
        stage.run(900).await;
        assert!(stage.is_gone("media/images"), "after {seconds} s");
        assert!(stage.world.queues().is_empty(), "after {seconds} s");
    }
}

#[tokio::test]
async fn every_field_removed_goes_back_to_what_it_is_without_it() {
    for fifo in [false, true] {
        let suffix = if fifo { ".fifo" } else { "" };
        let least = if fifo { json!({"type": "FIFO"}) } else { json!({}) };
        let mut fresh = world();
        fresh.applied("media/images", least.clone()).await;
        let mut stage = world();
        stage.applied("media/images", everything(fifo)).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "{}", stage.words("media/images"));
        stage.applied("media/images", least).await;
        // A shorter retention wants to see the queue empty for a while.
        stage.run(120).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "{}", stage.words("media/images"));
        for name in [format!("media_images{suffix}"), format!("{DLQ}{suffix}")] {
            let (is, should) = (stage.aws(&name), fresh.aws(&name));
            let all = |view: &QueueView| {
                let mut attributes = view.attributes.clone();
                attributes.retain(|_, value| !value.is_empty());
                attributes
            };
            assert_eq!(all(&is), all(&should), "{name}");
            assert_eq!(is.tags, should.tags, "{name}");
        }
        let outputs = |stage: &Stage| -> Vec<_> {
            stage.kube.objects().into_iter().map(|(id, object)| (id, object.content)).collect()
        };
        assert_eq!(outputs(&stage), outputs(&fresh));
        let effective = |stage: &Stage| stage.queue("media/images").status.unwrap().effective;
        assert_eq!(effective(&stage), effective(&fresh));
    }
}

#[tokio::test]
async fn every_attribute_changed_from_outside_is_repaired_within_the_interval_in_one_call() {
    let allow_all = r#"{"redrivePermission":"allowAll"}"#;
    let both = [
        (Attribute::VisibilityTimeout, "77"),
        (Attribute::MessageRetentionPeriod, "60"),
        (Attribute::ReceiveMessageWaitTimeSeconds, "9"),
        (Attribute::DelaySeconds, "8"),
        (Attribute::MaximumMessageSize, "1024"),
        (Attribute::RedriveAllowPolicy, allow_all),
        (Attribute::RedriveAllowPolicy, ""),
        (Attribute::Policy, ""),
        (Attribute::SqsManagedSseEnabled, "false"),
        (Attribute::KmsMasterKeyId, "alias/media"),
    ];
    let fifo = [(Attribute::ContentBasedDeduplication, "false"), (Attribute::DeduplicationScope, "messageGroup")];
    for (attribute, value) in both.into_iter().chain(fifo).chain([(Attribute::RedrivePolicy, "")]) {
        for name in ["media_images.fifo", "media_images_dlq.fifo"] {
            if attribute == Attribute::RedrivePolicy && name.contains("dlq") {
                continue;
            }
            let mut stage = world();
            stage.applied("media/images", json!({"type": "FIFO"})).await;
            let before = stage.aws(name).attributes;
            let outside = stage.world.outside(&somebody());
            outside.set_queue_attributes(&url(name), &attributes(&[(attribute, value)])).unwrap();
            assert_ne!(stage.aws(name).attributes, before, "{attribute} of {name}");
            let mark = stage.world.mark();
            stage.run(600).await;
            assert_eq!(
                stage.aws(name).attributes.get(&attribute).filter(|v| !v.is_empty()),
                before.get(&attribute).filter(|v| !v.is_empty()),
                "{attribute} of {name}"
            );
            assert_eq!(
                stage.aws(name).attributes.get(&Attribute::SqsManagedSseEnabled).map(String::as_str),
                Some("true")
            );
            assert_eq!(stage.writes(mark), 1, "{attribute} of {name}");
            assert_eq!(stage.ready("media/images"), "True/Converged", "{attribute} of {name}");
            let told = stage.kube.announcements(&key("media/images"));
            assert_eq!(told.last().unwrap().reason, "DriftRepaired", "{attribute} of {name}");
        }
    }
}

#[tokio::test]
async fn an_output_turned_off_by_a_spec_that_is_held_back_goes() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.run(60).await;
    stage
        .applied("media/images", json!({"messageRetentionSeconds": 60, "outputs": {"secret": {"mode": "Disabled"}}}))
        .await;
    assert_eq!(stage.ready("media/images"), "False/HeldBack");
    assert!(stage.secret("media/images-queue").is_none());
}

#[tokio::test]
async fn a_queue_deleted_by_hand_while_its_operator_was_down_comes_back_with_its_dead_letter_queue() {
    for names in [vec!["media_images"], vec![DLQ], vec!["media_images", DLQ]] {
        let mut stage = Stage::new(3, Timing::aws());
        stage.applied("media/images", json!({})).await;
        stage.run(120).await;
        let outside = stage.world.outside(&somebody());
        for name in &names {
            outside.delete_queue(&url(name)).unwrap();
        }
        stage.operator.restart();
        stage.run(900).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "{names:?}: {}", stage.words("media/images"));
        assert!(stage.has("media_images") && stage.has(DLQ), "{names:?}");
        assert!(stage.attribute("media_images", Attribute::RedrivePolicy).contains(DLQ), "{names:?}");
    }
}

#[tokio::test]
async fn deletion_ends_under_every_delay_of_aws_and_leaves_nothing() {
    for seed in 0..20_u8 {
        let mut stage = Stage::new(seed.into(), Timing::aws());
        stage.apply("media/images", json!({}));
        stage.run([2, 7, 40, 200][usize::from(seed) % 4]).await;
        stage.apply("media/images", json!({"deadLetter": {"managed": {"queueName": "letters"}}}));
        stage.run([1, 3, 20, 90][usize::from(seed) / 4 % 4]).await;
        stage.apply("media/images", json!({"deadLetter": {"mode": "None"}}));
        stage.run([1, 9, 30, 61][usize::from(seed) / 2 % 4]).await;
        stage.delete("media/images");
        stage.run(1500).await;
        assert!(stage.is_gone("media/images"), "seed {seed}: {}", stage.words("media/images"));
        assert!(stage.world.queues().is_empty(), "seed {seed}: {:?}", stage.world.queues());
    }
}
