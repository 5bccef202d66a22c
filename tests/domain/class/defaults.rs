//! An omitted field takes the class's default, else the built-in.

use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::api::QueueSpec;

use super::{desired_in, prod};
use crate::fixtures::*;

/// The spec of a Queue after the defaults of its class.
fn merged(defaults: &Value, spec: Value) -> Value {
    let merged: QueueSpec = prod(&json!({"defaults": defaults})).spec_of(&queue("orders", spec));
    let mut merged = serde_json::to_value(merged).unwrap();
    if merged["type"] == "Standard" {
        merged.as_object_mut().unwrap().remove("type");
    }
    merged
}

/// Every default there is.
fn everything() -> Value {
    json!({
        "visibilityTimeoutSeconds": 1,
        "messageRetentionSeconds": 61,
        "receiveWaitTimeSeconds": 2,
        "delaySeconds": 3,
        "maximumMessageSizeBytes": 2048,
        "fifo": {"contentBasedDeduplication": false, "deduplicationScope": "MessageGroup", "throughputLimit": "PerMessageGroupId"},
        "deadLetter": {"mode": "Managed", "maxReceiveCount": 10, "managed": {"messageRetentionSeconds": 62}},
        "redriveAllow": {"mode": "AllowAll"},
        "encryption": {"mode": "KMS", "kms": {"key": "alias/queues", "dataKeyReuseSeconds": 63}},
        "access": {"requireTLS": false},
        "outputs": {
            "secret": {"mode": "Disabled", "keyPrefix": "S_"},
            "configMap": {"mode": "Enabled", "keyPrefix": "C_"},
            "binding": {"mode": "Enabled"},
        },
        "deletionPolicy": "Delete",
    })
}

#[test]
fn an_omitted_field_takes_the_default_of_the_class() {
    let mut all = everything();
    all["type"] = json!("FIFO");
    assert_eq!(merged(&everything(), json!({"type": "FIFO"})), all);
    // Without a class's, the built-in one.
    let effective = desired_in(&prod(&json!({"defaults": {"delaySeconds": 3}})), empty()).unwrap().effective;
    assert_eq!((effective.delay_seconds, effective.visibility_timeout_seconds), (3, 300));
}

#[test]
fn objects_merge_by_field_and_what_the_queue_says_wins() {
    let table = [
        (
            json!({"deadLetter": {"maxReceiveCount": 3}}),
            json!({"mode": "Managed", "maxReceiveCount": 3, "managed": {"messageRetentionSeconds": 62}}),
            "/deadLetter",
        ),
        (
            json!({"deadLetter": {"managed": {"queueName": "dead"}}}),
            json!({"mode": "Managed", "maxReceiveCount": 10, "managed": {"queueName": "dead", "messageRetentionSeconds": 62}}),
            "/deadLetter",
        ),
        (
            json!({"encryption": {"kms": {"key": "alias/mine"}}}),
            json!({"mode": "KMS", "kms": {"key": "alias/mine", "dataKeyReuseSeconds": 63}}),
            "/encryption",
        ),
        (
            json!({"outputs": {"secret": {"name": "mine", "mode": "Enabled"}}}),
            json!({"mode": "Enabled", "name": "mine", "keyPrefix": "S_"}),
            "/outputs/secret",
        ),
        (json!({"outputs": {"binding": {"mode": "Disabled"}}}), json!("Disabled"), "/outputs/binding/mode"),
        (
            json!({"access": {"statements": [{"Effect": "Deny"}]}}),
            json!({"requireTLS": false, "statements": [{"Effect": "Deny"}]}),
            "/access",
        ),
        (json!({"redriveAllow": {"mode": "Auto"}}), json!({"mode": "Auto"}), "/redriveAllow"),
        (json!({"visibilityTimeoutSeconds": 0}), json!(0), "/visibilityTimeoutSeconds"),
        (json!({"deletionPolicy": "Retain"}), json!("Retain"), "/deletionPolicy"),
    ];
    for (spec, expected, path) in table {
        assert_eq!(merged(&everything(), spec.clone()).pointer(path), Some(&expected), "{spec}");
    }
}

#[test]
fn one_word_undoes_a_default_and_all_that_goes_with_it() {
    let table = [
        (json!({"deadLetter": {"mode": "None"}}), json!({"mode": "None"}), "/deadLetter"),
        (
            json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}}),
            json!({"mode": "Reference", "maxReceiveCount": 10, "reference": {"queueRef": {"name": "dead"}}}),
            "/deadLetter",
        ),
        (json!({"encryption": {"mode": "SQSManaged"}}), json!({"mode": "SQSManaged"}), "/encryption"),
        (json!({"encryption": {"mode": "None"}}), json!({"mode": "None"}), "/encryption"),
        (
            json!({"type": "FIFO", "fifo": {"deduplicationScope": "Queue"}}),
            json!({"contentBasedDeduplication": false, "deduplicationScope": "Queue"}),
            "/fifo",
        ),
    ];
    for (spec, expected, path) in table {
        assert_eq!(merged(&everything(), spec.clone()).pointer(path), Some(&expected), "{spec}");
    }
    assert_eq!(merged(&everything(), json!({})).get("fifo"), None, "a Standard queue has no FIFO settings");
}

#[test]
fn what_the_queue_says_is_never_dropped_but_refused_when_the_class_leaves_no_place_for_it() {
    let table = [
        (
            json!({"deadLetter": {"mode": "None"}}),
            json!({"deadLetter": {"maxReceiveCount": 3}}),
            "spec.deadLetter.maxReceiveCount",
        ),
        (
            json!({"deadLetter": {"mode": "None"}}),
            json!({"deadLetter": {"managed": {"messageRetentionSeconds": 60}}}),
            "spec.deadLetter.managed",
        ),
        (
            json!({"redriveAllow": {"mode": "DenyAll"}}),
            json!({"redriveAllow": {"sourceQueueArns": [arn("other")]}}),
            "spec.redriveAllow.sourceQueueArns",
        ),
        (
            json!({"encryption": {"mode": "SQSManaged"}}),
            json!({"encryption": {"kms": {"key": "alias/mine"}}}),
            "spec.encryption.kms",
        ),
    ];
    for (defaults, spec, path) in table {
        let refusal = desired_in(&prod(&json!({"defaults": defaults})), spec).unwrap_err();
        assert_eq!((refusal.reason.as_str(), paths(&refusal)), ("InvalidSpec", vec![path]));
    }
}

#[test]
fn a_default_shows_in_what_is_in_effect_and_goes_with_the_default() {
    let retention = |class: &Value| desired_in(&prod(class), empty()).unwrap().effective.message_retention_seconds;
    assert_eq!(retention(&json!({"defaults": {"messageRetentionSeconds": 604_800}})), 604_800);
    assert_eq!(retention(&json!({})), 345_600);
}

#[test]
fn the_flags_have_no_defaults() {
    let spec = queue("orders", json!({"delaySeconds": 4}));
    assert_eq!(class().spec_of(&spec), spec.spec);
}

/// A choice between fields that are there and fields that are not.
fn some_of(fields: &Value) -> impl Strategy<Value = Value> + use<> {
    let fields: Vec<(String, Value)> = fields.as_object().unwrap().clone().into_iter().collect();
    let count = fields.len();
    proptest::sample::subsequence(fields, 0..=count).prop_map(|some| Value::Object(some.into_iter().collect()))
}

proptest! {
    #[test]
    fn defaults_fill_only_what_is_omitted(
        defaults in some_of(&everything()),
        spec in some_of(&json!({
            "visibilityTimeoutSeconds": 11,
            "messageRetentionSeconds": 71,
            "delaySeconds": 13,
            "deadLetter": {"mode": "Managed", "maxReceiveCount": 20, "managed": {"messageRetentionSeconds": 72}},
            "redriveAllow": {"mode": "DenyAll"},
            "encryption": {"mode": "KMS", "kms": {"key": "alias/mine", "dataKeyReuseSeconds": 73}},
            "access": {"requireTLS": true},
            "deletionPolicy": "Retain",
        })),
    ) {
        let result = merged(&defaults, spec.clone());
        for (field, value) in spec.as_object().unwrap() {
            prop_assert_eq!(&result[field], value);
        }
        for (field, value) in result.as_object().unwrap() {
            prop_assert!(spec.get(field) == Some(value) || defaults.get(field) == Some(value), "{} = {}", field, value);
        }
    }
}
