//! A small judge of what a managed policy allows, written from IAM's evaluation logic and sharing no code with what it
//! judges. It knows what such policies hold, and panics at everything else.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request of somebody who has the policy.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) action: String,
    pub(crate) resource: String,
    /// Several values: a multi-valued key.
    pub(crate) context: BTreeMap<&'static str, Vec<String>>,
}

pub(crate) fn allows(policy: &Value, request: &Request) -> bool {
    assert_eq!(policy["Version"], "2012-10-17");
    policy["Statement"].as_array().unwrap().iter().any(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        strings(&statement["Action"]).iter().any(|action| action.eq_ignore_ascii_case(&request.action))
            && strings(&statement["Resource"]).iter().any(|resource| fits(resource, &request.resource))
            && statement.get("Condition").is_none_or(|condition| holds(condition, request))
    })
}

fn holds(condition: &Value, request: &Request) -> bool {
    condition.as_object().unwrap().iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, wanted)| {
            let wanted = strings(wanted);
            let found = request.context.get(key.as_str()).cloned().unwrap_or_default();
            match operator.as_str() {
                "StringEquals" => found.len() == 1 && wanted.contains(&found[0]),
                "ForAnyValue:StringEquals" => found.iter().any(|found| wanted.contains(found)),
                other => panic!("the judge does not know {other}"),
            }
        })
    })
}

/// `*` may stand at the end only.
fn fits(pattern: &str, resource: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => !beginning.contains('*') && resource.starts_with(beginning),
        None => pattern == resource,
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        Value::String(text) => vec![text.clone()],
        other => panic!("not IAM's grammar: {other}"),
    }
}

#[test]
fn the_judge_knows_iam() {
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": ["q"]},
        {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "key/*",
         "Condition": {"StringEquals": {"via": "sqs"}, "ForAnyValue:StringEquals": {"aliases": ["a"]}}},
    ]});
    let judge = |action: &str, resource: &str, context: &[(&'static str, &[&str])]| {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let context = context.iter().map(|(key, found)| (*key, values(found))).collect();
        allows(&policy, &Request { action: action.to_owned(), resource: resource.to_owned(), context })
    };
    assert!(judge("SQS:sendmessage", "q", &[]));
    assert!(!judge("sqs:SendMessage", "q2", &[]) && !judge("sqs:ReceiveMessage", "q", &[]));
    assert!(judge("kms:Decrypt", "key/1", &[("via", &["sqs"]), ("aliases", &["b", "a"])]));
    assert!(!judge("kms:Decrypt", "key/1", &[("via", &["sqs"]), ("aliases", &["b"])]));
    assert!(!judge("kms:Decrypt", "key/1", &[("aliases", &["a"])]) && !judge("kms:Decrypt", "other", &[]));
}
