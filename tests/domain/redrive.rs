use std::collections::BTreeSet;

use serde_json::{Value, json};

use prism_queue::domain::redrive::{MAX_SOURCES, RedriveAllow, RedrivePolicy};

use crate::fixtures::arn;

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_redrive_policy_is_written_as_sqs_wants_it_and_read_back() {
    let policy = RedrivePolicy { dead_letter_arn: arn("dead"), max_receive_count: 5 };
    assert_eq!(json_of(&policy.to_json()), json!({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 5}));
    assert_eq!(RedrivePolicy::parse(&policy.to_json()), Some(policy));
}

#[test]
fn a_receive_count_reads_as_number_and_as_text() {
    let expected = Some(RedrivePolicy { dead_letter_arn: "a".to_owned(), max_receive_count: 5 });
    for text in [
        r#"{"deadLetterTargetArn":"a","maxReceiveCount":5}"#,
        r#"{ "maxReceiveCount" : "5", "deadLetterTargetArn" : "a" }"#,
    ] {
        assert_eq!(RedrivePolicy::parse(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_redrive_policy_is_none() {
    for text in
        ["", "x", "[]", "{}", r#"{"deadLetterTargetArn":"a"}"#, r#"{"deadLetterTargetArn":1,"maxReceiveCount":5}"#]
    {
        assert_eq!(RedrivePolicy::parse(text), None, "{text}");
    }
}

#[test]
fn redrive_allow_is_written_as_sqs_wants_it_and_read_back() {
    let sources = BTreeSet::from([arn("b"), arn("a")]);
    for (allow, text) in [
        (RedriveAllow::AllowAll, json!({"redrivePermission": "allowAll"})),
        (RedriveAllow::DenyAll, json!({"redrivePermission": "denyAll"})),
        (RedriveAllow::only(sources), json!({"redrivePermission": "byQueue", "sourceQueueArns": [arn("a"), arn("b")]})),
    ] {
        assert_eq!(json_of(&allow.to_json()), text);
        assert_eq!(RedriveAllow::parse(&allow.to_json()), Some(allow));
    }
}

#[test]
fn no_sources_mean_deny_all() {
    assert_eq!(RedriveAllow::only(BTreeSet::new()), RedriveAllow::DenyAll);
}

#[test]
fn nothing_set_means_allow_all_as_it_does_to_sqs() {
    assert_eq!(RedriveAllow::parse(""), Some(RedriveAllow::AllowAll));
}

#[test]
fn what_is_no_redrive_allow_policy_is_none() {
    for text in [
        "x",
        "{}",
        r#"{"redrivePermission":"some"}"#,
        r#"{"redrivePermission":"byQueue"}"#,
        r#"{"redrivePermission":"byQueue","sourceQueueArns":[1]}"#,
    ] {
        assert_eq!(RedriveAllow::parse(text), None, "{text}");
    }
}

#[test]
fn sqs_allows_ten_sources() {
    assert_eq!(MAX_SOURCES, 10);
}
