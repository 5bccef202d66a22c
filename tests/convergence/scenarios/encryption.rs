//! Encryption: switching between modes, and keys that have several names.

use prism_queue::domain::attributes::Attribute;
use serde_json::{Value, json};

use crate::stage::{Stage, place};

fn kms(key: &str) -> Value {
    json!({"encryption": {"mode": "KMS", "kms": {"key": key}}})
}

#[tokio::test]
async fn every_mode_can_be_switched_to_every_other() {
    let modes = [json!({}), json!({"encryption": {"mode": "None"}}), kms("alias/media")];
    for from in &modes {
        for to in &modes {
            let mut stage = Stage::prompt();
            stage.world.create_key(&place(), "1234", "alias/media");
            stage.applied("media/images", from.clone()).await;
            stage.applied("media/images", to.clone()).await;
            assert_eq!(stage.ready("media/images"), "True/Converged", "{from} -> {to}");
            let mode = to["encryption"]["mode"].as_str().unwrap_or("SQSManaged");
            for name in ["media_images", "media_images_dlq"] {
                let managed = stage.attribute(name, Attribute::SqsManagedSseEnabled);
                let key = stage.attribute(name, Attribute::KmsMasterKeyId);
                assert_eq!(managed == "true", mode == "SQSManaged", "{name}: {from} -> {to}");
                assert_eq!(key, if mode == "KMS" { "alias/media" } else { "" }, "{name}: {from} -> {to}");
            }
            let mark = stage.world.mark();
            stage.operator.round().await;
            assert_eq!(stage.writes(mark), 0, "{from} -> {to}");
        }
    }
}

#[tokio::test]
async fn names_that_mean_the_same_key_cause_no_write() {
    let arn = "arn:aws:kms:eu-central-1:123456789012:key/1234";
    let alias_arn = "arn:aws:kms:eu-central-1:123456789012:alias/media";
    let names = ["alias/media", "1234", arn, alias_arn];
    for set in names {
        for declared in names {
            let mut stage = Stage::prompt();
            stage.world.create_key(&place(), "1234", "alias/media");
            stage.applied("media/images", kms(set)).await;
            let mark = stage.world.mark();
            stage.applied("media/images", kms(declared)).await;
            assert_eq!(stage.writes(mark), 0, "{set} -> {declared}");
            assert_eq!(stage.ready("media/images"), "True/Converged", "{set} -> {declared}");
        }
    }
}

#[tokio::test]
async fn another_key_is_written() {
    let mut stage = Stage::prompt();
    stage.world.create_key(&place(), "1234", "alias/media");
    stage.world.create_key(&place(), "5678", "alias/other");
    stage.applied("media/images", kms("alias/media")).await;
    stage.applied("media/images", kms("5678")).await;
    assert_eq!(stage.attribute("media_images", Attribute::KmsMasterKeyId), "5678");
    assert_eq!(stage.ready("media/images"), "True/Converged");
}
