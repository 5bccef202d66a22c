//! What is told of a key's policy, and when KMS is asked.

use jiff::SignedDuration;
use serde_json::{Value, json};

use prism_queue::api::status::KeyStatementState::{Delegated, Missing, Unknown};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::desired::Desired;
use prism_queue::domain::fleet::Fleet;
use prism_queue::domain::key_policy::{DesiredKeyAccess, KeyPolicySeen, key_policy_status};

use crate::fixtures::*;

const KEY: &str = "alias/media";

fn desired(access: &Value) -> Option<DesiredKeyAccess> {
    let spec = json!({"encryption": {"mode": "KMS", "kms": {"key": KEY}}, "access": access});
    let queue = queue("orders", spec);
    Desired::of(&queue, &class(), &Fleet::of([&queue], &class())).unwrap().key_access
}

fn worker() -> DesiredKeyAccess {
    desired(&json!({"producers": [{"principalArn": format!("arn:aws:iam::{ACCOUNT}:role/worker")}]})).unwrap()
}

type Answer = Result<String, CallError>;

fn policy(statements: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn delegating() -> String {
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    policy(&json!([{"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}]))
}

fn failed(kind: ErrorKind) -> Answer {
    Err(CallError { action: "GetKeyPolicy", kind, code: "Code".to_owned(), message: "words".to_owned() })
}

fn seen(answer: Answer) -> KeyPolicySeen {
    KeyPolicySeen::after(None, KEY, answer, now())
}

#[test]
fn a_queue_without_a_key_or_that_lets_in_nobody_by_name_needs_nothing() {
    assert_eq!(desired(&json!({})), None);
    let statements = json!([{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sqs:SendMessage"}]);
    assert_eq!(desired(&json!({"statements": statements})), None, "nobody says what these are for");
    let unencrypted = queue("orders", json!({"access": {"producers": [{"accountId": ACCOUNT}]}}));
    assert_eq!(Desired::of(&unencrypted, &class(), &Fleet::of([&unencrypted], &class())).unwrap().key_access, None);
}

#[test]
fn each_statement_has_a_state_and_what_nobody_could_look_at_is_unknown() {
    let states = |seen: Option<&KeyPolicySeen>| {
        let told = key_policy_status(&worker(), seen, None);
        let states: Vec<_> = told.statements.iter().map(|needed| needed.state).collect();
        (states, told.message.is_some())
    };
    assert_eq!(states(None), (vec![Unknown], false));
    assert_eq!(states(Some(&seen(Ok(delegating())))), (vec![Delegated], false));
    assert_eq!(states(Some(&seen(Ok(policy(&json!([])))))), (vec![Missing], false));
    assert_eq!(states(Some(&seen(failed(ErrorKind::KmsDenied)))), (vec![Unknown], true));
    assert_eq!(states(Some(&seen(Ok("no JSON".to_owned())))), (vec![Unknown], true));
    let of_another = KeyPolicySeen::after(None, "alias/other", Ok(delegating()), now());
    assert_eq!(states(Some(&of_another)), (vec![Unknown], false), "of the key that it had before");
}

#[test]
fn kms_is_asked_soon_about_what_is_missing_and_seldom_about_the_rest() {
    let due_after =
        |seen: &KeyPolicySeen, minutes: i64| seen.is_due(&worker(), now() + SignedDuration::from_mins(minutes));
    for (answer, minutes) in [
        (Ok(delegating()), 30),
        (failed(ErrorKind::KmsDenied), 30),
        (Ok(policy(&json!([]))), 5),
        (failed(ErrorKind::Throttled), 5),
        (failed(ErrorKind::Transient), 5),
    ] {
        let seen = seen(answer.clone());
        assert!(!due_after(&seen, minutes - 1) && due_after(&seen, minutes), "{answer:?}");
    }
    let other_key = KeyPolicySeen::after(None, "alias/other", Ok(delegating()), now());
    assert!(due_after(&other_key, 0));
}

#[test]
fn an_answer_that_did_not_come_takes_nothing_back() {
    let later = now() + SignedDuration::from_mins(30);
    let after = |answer| KeyPolicySeen::after(Some(seen(Ok(delegating()))), KEY, answer, later);
    let kept = after(failed(ErrorKind::Transient));
    assert_eq!((kept.at, &kept.policy), (later, &seen(Ok(delegating())).policy));
    assert!(kept.is_due(&worker(), later + SignedDuration::from_mins(5)), "it is asked again soon");
    assert!(after(failed(ErrorKind::KmsDenied)).policy.is_err(), "to be denied is an answer");
}
