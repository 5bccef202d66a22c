//! Statements and requests to throw at the module: all of IAM's grammar, few distinct values, so that they meet.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use super::evaluator::{Caller, Request};
use super::{FOREIGN, OWN, QUEUE};
use crate::domain::policy::actions;

const PRINCIPALS: [(&str, &str); 12] = [
    ("AWS", "*"),
    ("AWS", "123456789012"),
    ("AWS", "arn:aws:iam::123456789012:root"),
    ("AWS", "arn:aws:iam::123456789012:role/worker"),
    ("AWS", "arn:aws:iam::123456789012:role/path/operator"),
    ("AWS", "arn:aws:sts::123456789012:assumed-role/operator/other-session"),
    ("AWS", "999999999999"),
    ("AWS", "arn:aws:iam::999999999999:role/worker"),
    ("Service", "sns.amazonaws.com"),
    ("Service", "s3.amazonaws.com"),
    ("Service", "logs.amazonaws.com"),
    ("Federated", "accounts.example.com"),
];

const ACTIONS: [&str; 12] = [
    "sqs:SendMessage",
    "SQS:sendmessage",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueue*",
    "sqs:*Message",
    "sqs:PurgeQueue",
    "sqs:Set*",
    "sqs:?agQueue",
    "sqs:*",
    "*",
];

const STRING_OPERATORS: [&str; 6] = [
    "StringEquals",
    "StringLike",
    "StringNotEquals",
    "StringEqualsIfExists",
    "ForAllValues:StringEquals",
    "ForAnyValue:StringEquals",
];

const ARN_OPERATORS: [&str; 6] =
    ["ArnLike", "ArnEquals", "ArnNotLike", "ArnLikeIfExists", "ForAllValues:ArnLike", "StringLike"];

const SOURCES: [&str; 8] = [
    "arn:aws:sns:eu-central-1:123456789012:topic",
    "arn:aws:sns:*:123456789012:*",
    "arn:aws:sns:eu-central-1:999999999999:topic",
    "arn:aws:s3:::bucket",
    "arn:*:logs:*:123456789012:*",
    "arn:aws:logs:*:*:*",
    "arn:aws:sns:eu-central-1:1234*:topic",
    "arn:aws:*:*:123456789012:*",
];

const CALLERS: [&str; 4] = [
    "arn:aws:iam::123456789012:role/worker",
    "arn:aws:iam::123456789012:role/*",
    "arn:aws:iam::*:role/worker",
    "arn:aws:iam::999999999999:role/worker",
];

/// One operator with one key: the pairs that IAM gives a meaning to.
fn condition() -> impl Strategy<Value = (&'static str, &'static str, Vec<&'static str>)> {
    let account_keys =
        select(vec!["aws:SourceAccount", "aws:PrincipalAccount", "AWS:sourceaccount", "aws:SourceOwner"]);
    let values = |values: Vec<&'static str>| subsequence(values, 1..=2);
    prop_oneof![
        4 => (select(STRING_OPERATORS.to_vec()), account_keys, values(vec![OWN, OWN, FOREIGN])),
        1 => (Just("StringLike"), Just("aws:SourceAccount"), values(vec![OWN, "12345678901?", "*"])),
        4 => (select(ARN_OPERATORS.to_vec()), Just("aws:SourceArn"), values(SOURCES.to_vec())),
        2 => (select(ARN_OPERATORS.to_vec()), Just("aws:PrincipalArn"), values(CALLERS.to_vec())),
        1 => (Just("StringEquals"), select(vec!["aws:PrincipalOrgID", "aws:SourceVpce"]), values(vec!["o-1", "vpce-1"])),
        1 => (select(vec!["Bool", "BoolIfExists"]), Just("aws:SecureTransport"), values(vec!["true", "false"])),
        1 => (Just("Null"), select(vec!["aws:SourceArn", "aws:PrincipalArn"]), values(vec!["true", "false"])),
    ]
}

fn string_or_list(values: &[&str]) -> Value {
    match values {
        [one] => json!(one),
        many => json!(many),
    }
}

/// A statement in IAM's grammar, safe or not.
pub(super) fn raw_statement() -> impl Strategy<Value = Value> {
    let element = |name: &'static str| prop_oneof![9 => Just(name.to_owned()), 1 => Just(format!("Not{name}"))];
    let principals = prop_oneof![1 => Just(None), 6 => subsequence(PRINCIPALS.to_vec(), 1..=2).prop_map(Some)];
    (
        prop_oneof![2 => Just("Allow"), 1 => Just("Deny")],
        (element("Principal"), principals),
        (element("Action"), subsequence(ACTIONS.to_vec(), 1..=3)),
        prop::collection::vec(condition(), 0..=2),
        any::<bool>(),
    )
        .prop_map(
            |(effect, (principal_element, principals), (action_element, actions), conditions, with_resource)| {
                let principals = principals.map_or(json!("*"), |principals| {
                    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                    for (kind, value) in principals {
                        kinds.entry(kind).or_default().push(value);
                    }
                    kinds.into_iter().map(|(kind, values)| (kind.to_owned(), string_or_list(&values))).collect()
                });
                let mut statement = Map::from_iter([
                    ("Effect".to_owned(), json!(effect)),
                    (principal_element, principals),
                    (action_element, string_or_list(&actions)),
                ]);
                if with_resource {
                    statement.insert("Resource".to_owned(), json!(QUEUE));
                }
                let mut condition: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
                for (operator, key, values) in conditions {
                    let keys = condition.entry(operator).or_default();
                    // The same key in other letters would be refused.
                    if !keys.keys().any(|known| known.eq_ignore_ascii_case(key)) {
                        keys.insert(key, string_or_list(&values));
                    }
                }
                if !condition.is_empty() {
                    statement.insert("Condition".to_owned(), json!(condition));
                }
                Value::Object(statement)
            },
        )
}

/// Some statements, the first of them with a Sid at times.
pub(super) fn raw_statements() -> impl Strategy<Value = Vec<Value>> {
    (prop::collection::vec(raw_statement(), 1..=6), any::<bool>()).prop_map(|(mut statements, with_sid)| {
        if with_sid {
            statements[0].as_object_mut().unwrap().insert("Sid".to_owned(), json!("mine"));
        }
        statements
    })
}

/// Each caller with each action.
pub(super) fn requests(callers: &[(Caller, Vec<(&str, &str)>)]) -> Vec<Request> {
    let mut requests = Vec::new();
    for (caller, context) in callers {
        for action in actions::ALL {
            let mut values: BTreeMap<String, Vec<String>> =
                BTreeMap::from([("aws:securetransport".to_owned(), vec!["true".to_owned()])]);
            if let Caller::Aws { arn, identity } = caller {
                let account = arn.split(':').nth(4).unwrap().to_owned();
                values.insert("aws:principalaccount".to_owned(), vec![account]);
                values.insert("aws:principalarn".to_owned(), vec![identity.clone()]);
            }
            values.extend(context.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])));
            let (caller, action) = (caller.clone(), format!("sqs:{action}"));
            requests.push(Request { caller, action, resource: QUEUE.to_owned(), context: values });
        }
    }
    requests
}

pub(super) fn role(account: &str, name: &str) -> Caller {
    Caller::Aws {
        arn: format!("arn:aws:sts::{account}:assumed-role/{name}/session-7"),
        identity: format!("arn:aws:iam::{account}:role/{name}"),
    }
}

pub(super) fn service(name: &str) -> Caller {
    Caller::Service(format!("{name}.amazonaws.com"))
}

/// Callers that have nothing to do with our account, as far as anyone can tell.
pub(super) fn strangers() -> Vec<Request> {
    let topic = "arn:aws:sns:eu-central-1:999999999999:topic";
    // Our account's id in a place that the stranger is free to choose.
    let log_group = "arn:aws:logs:eu-central-1:999999999999:log-group:123456789012:x";
    requests(&[
        (Caller::Anonymous, vec![]),
        (Caller::Anonymous, vec![("aws:sourcevpce", "vpce-1")]),
        (Caller::Federated("accounts.example.com".to_owned()), vec![]),
        (role(FOREIGN, "worker"), vec![]),
        (role(FOREIGN, "worker"), vec![("aws:principalorgid", "o-1"), ("aws:sourcevpce", "vpce-1")]),
        (service("sns"), vec![]),
        (service("sns"), vec![("aws:sourcearn", topic), ("aws:sourceaccount", FOREIGN), ("aws:sourceowner", FOREIGN)]),
        (service("logs"), vec![("aws:sourcearn", log_group), ("aws:sourceaccount", FOREIGN)]),
        (service("s3"), vec![("aws:sourcearn", "arn:aws:s3:::bucket"), ("aws:sourceaccount", FOREIGN)]),
        (service("s3"), vec![("aws:sourcearn", "arn:aws:s3:::bucket")]),
    ])
}

/// Callers of our account, and services that act for it.
pub(super) fn friends() -> Vec<Request> {
    let topic = "arn:aws:sns:eu-central-1:123456789012:topic";
    requests(&[
        (role(OWN, "worker"), vec![]),
        (role(OWN, "worker"), vec![("aws:securetransport", "false")]),
        (role(OWN, "operator"), vec![("aws:principalorgid", "o-1")]),
        (service("sns"), vec![("aws:sourcearn", topic), ("aws:sourceaccount", OWN)]),
        (service("s3"), vec![("aws:sourcearn", "arn:aws:s3:::bucket"), ("aws:sourceaccount", OWN)]),
    ])
}

/// The operator, whatever else is true of its calls; always over TLS.
pub(super) fn operator() -> Vec<Request> {
    requests(&[
        (role(OWN, "operator"), vec![]),
        (role(OWN, "operator"), vec![("aws:principalorgid", "o-1"), ("aws:sourcevpce", "vpce-1")]),
    ])
}
