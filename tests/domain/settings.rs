//! api.md, "Defaults", and the rules that the operator checks itself.

use serde_json::{Value, json};

use prism_queue::api::QueueSpec;
use prism_queue::api::queue::QueueType;
use prism_queue::api::status::Effective;
use prism_queue::domain::field::FieldError;
use prism_queue::domain::settings::effective;

fn spec(value: Value) -> QueueSpec {
    serde_json::from_value(value).unwrap()
}

fn settings(value: Value) -> Effective {
    effective(&spec(value)).unwrap()
}

fn errors(value: Value) -> Vec<FieldError> {
    effective(&spec(value)).unwrap_err()
}

fn paths(value: Value) -> Vec<String> {
    errors(value).into_iter().map(|error| error.path).collect()
}

#[test]
fn an_omitted_field_takes_the_built_in_default_else_sqs_own() {
    assert_eq!(spec(json!({})).queue_type, QueueType::Standard);
    assert_eq!(
        serde_json::to_value(settings(json!({}))).unwrap(),
        json!({
            "visibilityTimeoutSeconds": 300,
            "messageRetentionSeconds": 345_600,
            "receiveWaitTimeSeconds": 20,
            "delaySeconds": 0,
            "maximumMessageSizeBytes": 1_048_576,
            "deadLetter": {"mode": "Managed", "maxReceiveCount": 5, "messageRetentionSeconds": 1_209_600},
            "redriveAllow": {"mode": "DenyAll"},
            "encryption": {"mode": "SQSManaged"},
            "requireTLS": true,
            "deletionPolicy": "DeleteIfEmpty",
        })
    );
}

#[test]
fn a_fifo_queue_deduplicates_by_content_and_otherwise_does_as_sqs_does() {
    let fifo = settings(json!({"type": "FIFO"})).fifo;
    assert_eq!(
        serde_json::to_value(fifo).unwrap(),
        json!({"contentBasedDeduplication": true, "deduplicationScope": "Queue", "throughputLimit": "PerQueue"})
    );
    assert_eq!(settings(json!({})).fifo, None);
}

#[test]
fn what_is_declared_wins_over_every_default() {
    let all = settings(json!({
        "type": "FIFO",
        "visibilityTimeoutSeconds": 0,
        "messageRetentionSeconds": 60,
        "receiveWaitTimeSeconds": 0,
        "delaySeconds": 900,
        "maximumMessageSizeBytes": 1024,
        "fifo": {"contentBasedDeduplication": false, "deduplicationScope": "MessageGroup", "throughputLimit": "PerMessageGroupId"},
        "deadLetter": {"mode": "Managed", "maxReceiveCount": 1000, "managed": {"messageRetentionSeconds": 60}},
        "encryption": {"mode": "KMS", "kms": {"key": "alias/media", "dataKeyReuseSeconds": 86400}},
        "access": {"requireTLS": false},
        "deletionPolicy": "Retain",
    }));
    assert_eq!(
        serde_json::to_value(all).unwrap(),
        json!({
            "visibilityTimeoutSeconds": 0,
            "messageRetentionSeconds": 60,
            "receiveWaitTimeSeconds": 0,
            "delaySeconds": 900,
            "maximumMessageSizeBytes": 1024,
            "fifo": {"contentBasedDeduplication": false, "deduplicationScope": "MessageGroup", "throughputLimit": "PerMessageGroupId"},
            "deadLetter": {"mode": "Managed", "maxReceiveCount": 1000, "messageRetentionSeconds": 60},
            "redriveAllow": {"mode": "DenyAll"},
            "encryption": {"mode": "KMS", "key": "alias/media", "dataKeyReuseSeconds": 86400},
            "requireTLS": false,
            "deletionPolicy": "Retain",
        })
    );
}

#[test]
fn every_choice_has_a_word_to_opt_out_with() {
    let none = settings(json!({"deadLetter": {"mode": "None"}, "encryption": {"mode": "None"}}));
    assert_eq!(
        (serde_json::to_value(none.dead_letter).unwrap(), serde_json::to_value(none.encryption).unwrap()),
        (json!({"mode": "None"}), json!({"mode": "None"}))
    );
}

#[test]
fn a_reference_counts_receives_and_keeps_no_messages_itself() {
    let dead_letter = settings(json!({"deadLetter": {"mode": "Reference"}})).dead_letter;
    assert_eq!(serde_json::to_value(dead_letter).unwrap(), json!({"mode": "Reference", "maxReceiveCount": 5}));
}

#[test]
fn kms_reuses_a_data_key_for_300_seconds() {
    let kms = settings(json!({"encryption": {"mode": "KMS", "kms": {"key": "alias/media"}}})).encryption;
    assert_eq!(kms.data_key_reuse_seconds, Some(300));
}

/// The ranges of sqs-semantics.md, at both ends and one beyond.
#[test]
fn each_number_has_its_range() {
    for (field, min, max) in [
        ("visibilityTimeoutSeconds", 0, 43_200),
        ("messageRetentionSeconds", 60, 1_209_600),
        ("receiveWaitTimeSeconds", 0, 20),
        ("delaySeconds", 0, 900),
        ("maximumMessageSizeBytes", 1024, 1_048_576),
        ("deadLetter.maxReceiveCount", 1, 1000),
        ("deadLetter.managed.messageRetentionSeconds", 60, 1_209_600),
        ("encryption.kms.dataKeyReuseSeconds", 60, 86_400),
    ] {
        let set = |number: i64| {
            // FIFO, so that a dead-letter queue may keep messages for less time than its source.
            let mut spec = json!({"type": "FIFO", "encryption": {"mode": "KMS", "kms": {"key": "alias/media"}}});
            field.split('.').fold(&mut spec, |at, part| &mut at[part]).clone_from(&json!(number));
            spec
        };
        for good in [min, max] {
            assert!(effective(&self::spec(set(good))).is_ok(), "{field}: {good}");
        }
        for bad in [min - 1, max + 1] {
            let errors = errors(set(bad));
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!(errors[0].path, format!("spec.{field}"));
            assert_eq!(errors[0].rule, format!("{bad} is out of range: {min} to {max}"));
        }
    }
}

#[test]
fn all_errors_come_at_once_with_their_paths() {
    assert_eq!(
        paths(json!({
            "visibilityTimeoutSeconds": -1,
            "messageRetentionSeconds": 59,
            "receiveWaitTimeSeconds": 21,
            "delaySeconds": 901,
            "maximumMessageSizeBytes": 1023,
            "fifo": {},
            "deadLetter": {"maxReceiveCount": 0, "managed": {"messageRetentionSeconds": 1}},
            "encryption": {"mode": "KMS", "kms": {"dataKeyReuseSeconds": 59}},
        })),
        [
            "spec.visibilityTimeoutSeconds",
            "spec.messageRetentionSeconds",
            "spec.receiveWaitTimeSeconds",
            "spec.delaySeconds",
            "spec.maximumMessageSizeBytes",
            "spec.fifo",
            "spec.deadLetter.maxReceiveCount",
            "spec.deadLetter.managed.messageRetentionSeconds",
            "spec.deadLetter.managed.messageRetentionSeconds",
            "spec.encryption.kms.key",
            "spec.encryption.kms.dataKeyReuseSeconds",
        ]
    );
}

#[test]
fn fifo_settings_need_a_fifo_queue() {
    assert_eq!(paths(json!({"fifo": {"contentBasedDeduplication": true}})), ["spec.fifo"]);
}

#[test]
fn throughput_per_message_group_needs_deduplication_per_message_group() {
    let fifo = |fifo: Value| json!({"type": "FIFO", "fifo": fifo});
    for bad in [
        json!({"throughputLimit": "PerMessageGroupId"}),
        json!({"throughputLimit": "PerMessageGroupId", "deduplicationScope": "Queue"}),
    ] {
        let errors = errors(fifo(bad));
        assert_eq!(errors[0].path, "spec.fifo.throughputLimit");
        assert!(errors[0].rule.contains("spec.fifo.deduplicationScope: MessageGroup"), "{}", errors[0]);
    }
    for good in [
        json!({"throughputLimit": "PerMessageGroupId", "deduplicationScope": "MessageGroup"}),
        json!({"throughputLimit": "PerQueue", "deduplicationScope": "MessageGroup"}),
    ] {
        assert!(effective(&spec(fifo(good))).is_ok());
    }
}

#[test]
fn a_standard_dead_letter_queue_keeps_messages_no_shorter_than_its_source() {
    let with = |queue_type: &str, source: i32, dead_letter: i32| {
        effective(&spec(json!({
            "type": queue_type,
            "messageRetentionSeconds": source,
            "deadLetter": {"managed": {"messageRetentionSeconds": dead_letter}},
        })))
    };
    assert!(with("Standard", 3600, 3600).is_ok());
    assert!(with("FIFO", 3600, 60).is_ok(), "a FIFO dead-letter queue counts from the move");
    let errors = with("Standard", 3600, 3599).unwrap_err();
    assert_eq!(errors[0].path, "spec.deadLetter.managed.messageRetentionSeconds");
    assert!(errors[0].rule.starts_with("3599 is less than the queue's own messageRetentionSeconds, 3600"));
}

#[test]
fn kms_needs_a_key_and_a_key_needs_kms() {
    assert_eq!(paths(json!({"encryption": {"mode": "KMS"}})), ["spec.encryption.kms.key"]);
    assert_eq!(paths(json!({"encryption": {"mode": "KMS", "kms": {}}})), ["spec.encryption.kms.key"]);
    for mode in [json!({"kms": {"key": "alias/x"}}), json!({"mode": "None", "kms": {"key": "alias/x"}})] {
        assert_eq!(paths(json!({"encryption": mode})), ["spec.encryption.kms"]);
    }
}
