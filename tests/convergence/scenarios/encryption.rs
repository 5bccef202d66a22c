//! Encryption: switching between modes, and keys that have several names.

use prism_queue::domain::attributes::Attribute;
use serde_json::{Value, json};

use crate::model::{Denial, DeniedAs};
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

const WORKER: &str = "arn:aws:iam::123456789012:role/worker";

fn with_worker() -> Value {
    let mut spec = kms("alias/media");
    spec["access"] = json!({"producers": [{"principalArn": WORKER}]});
    spec
}

/// State of each statement that the key's policy needs, and what is said of all.
fn key_policy(stage: &Stage) -> Option<(Vec<String>, Option<String>)> {
    let told = stage.queue("media/images").status?.key_policy?;
    let states = told.statements.iter().map(|needed| format!("{:?}", needed.state)).collect();
    Some((states, told.message))
}

#[tokio::test]
async fn the_keys_policy_is_told_with_what_it_lacks_and_asked_about_seldom() {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    let arn = stage.world.create_key(&place(), "1234", "alias/media");
    stage.applied("media/images", with_worker()).await;
    assert_eq!(key_policy(&stage), Some((vec!["Delegated".to_owned()], None)));
    assert_eq!(stage.ready("media/images"), "True/Converged");
    let mark = stage.world.mark();
    stage.run(20 * 60).await;
    assert_eq!((stage.count("GetKeyPolicy", mark), stage.writes(mark)), (0, 0), "nothing is missing");

    stage.world.put_key_policy(&arn, &json!({"Version": "2012-10-17", "Statement": []}));
    stage.run(40 * 60).await;
    assert_eq!(key_policy(&stage), Some((vec!["Missing".to_owned()], None)));
    assert_eq!(stage.ready("media/images"), "True/Converged", "the key is somebody else's to give");
    // What status shows is what the policy lacks.
    let told = stage.queue("media/images").status.unwrap().key_policy.unwrap();
    let needed = told.statements[0].statement.clone();
    stage.world.put_key_policy(&arn, &json!({"Version": "2012-10-17", "Statement": [needed]}));
    stage.run(15 * 60).await;
    assert_eq!(key_policy(&stage), Some((vec!["Present".to_owned()], None)), "asked again soon");

    stage.applied("media/images", kms("alias/media")).await;
    assert_eq!(key_policy(&stage), None, "nobody is let in by name");
}

#[tokio::test]
async fn a_key_policy_that_cannot_be_read_is_unknown_and_holds_nothing_up() {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    stage.world.create_key(&place(), "1234", "alias/media");
    stage.world.deny(Denial { action: Some("GetKeyPolicy"), queue: None, answer: DeniedAs::AccessDenied });
    stage.applied("media/images", with_worker()).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    let (states, message) = key_policy(&stage).unwrap();
    assert_eq!(states, ["Unknown"]);
    assert!(message.unwrap().contains("GetKeyPolicy"));
    let mark = stage.world.mark();
    stage.run(20 * 60).await;
    assert_eq!((stage.count("GetKeyPolicy", mark), stage.writes(mark)), (0, 0), "each would show as a denied call");
}
