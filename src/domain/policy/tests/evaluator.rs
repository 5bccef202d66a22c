//! A small judge of what a policy's text allows, written from IAM's evaluation logic and sharing no code with what it
//! judges. `"*"` means everyone, services and anonymous callers among them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(super) enum Caller {
    Anonymous,
    /// A role session or user: its own ARN, and the ARN of its role or user.
    Aws {
        arn: String,
        identity: String,
    },
    Service(String),
    Federated(String),
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) caller: Caller,
    pub(super) action: String,
    pub(super) resource: String,
    /// By key in lower case.
    pub(super) context: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allow,
    Deny,
    Neither,
}

pub(super) fn evaluate(policy: &Value, request: &Request) -> Decision {
    let fitting: Vec<&str> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|statement| fits(statement, request))
        .map(|statement| statement["Effect"].as_str().unwrap())
        .collect();
    match (fitting.contains(&"Deny"), fitting.contains(&"Allow")) {
        (true, _) => Decision::Deny,
        (false, true) => Decision::Allow,
        (false, false) => Decision::Neither,
    }
}

fn fits(statement: &Value, request: &Request) -> bool {
    let either = |name: &str, test: &dyn Fn(&Value) -> bool| match statement.get(name) {
        Some(value) => test(value),
        None => !test(&statement[format!("Not{name}")]),
    };
    let action = request.action.to_lowercase();
    either("Principal", &|value| is_principal(value, &request.caller))
        && either("Action", &|value| strings(value).iter().any(|pattern| glob(&pattern.to_lowercase(), &action)))
        && either("Resource", &|value| strings(value).iter().any(|pattern| glob(pattern, &request.resource)))
        && statement.get("Condition").is_none_or(|condition| holds(condition, &request.context))
}

fn is_principal(value: &Value, caller: &Caller) -> bool {
    if value == "*" {
        return true;
    }
    value.as_object().unwrap().iter().any(|(kind, values)| {
        strings(values).iter().any(|value| match (kind.as_str(), caller) {
            ("AWS", _) if value == "*" => true,
            ("AWS", Caller::Aws { arn, identity }) => {
                let account = arn.split(':').nth(4).unwrap();
                value == account
                    || *value == format!("arn:aws:iam::{account}:root")
                    || value == arn
                    || value == identity
            }
            ("Service", Caller::Service(name)) | ("Federated", Caller::Federated(name)) => value == name,
            _ => false,
        })
    })
}

fn holds(condition: &Value, context: &BTreeMap<String, Vec<String>>) -> bool {
    condition.as_object().unwrap().iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, wanted)| {
            holds_for_key(operator, context.get(&key.to_lowercase()).map(Vec::as_slice), &strings(wanted))
        })
    })
}

fn holds_for_key(operator: &str, found: Option<&[String]>, wanted: &[String]) -> bool {
    let (quantifier, operator) = operator.split_once(':').unwrap_or(("", operator));
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    if operator == "Null" {
        return wanted.contains(&found.is_none().to_string());
    }
    let Some(found) = found else {
        return if_exists || quantifier == "ForAllValues" || operator.contains("Not");
    };
    let holds_for = |found: &String| match operator {
        "StringEquals" | "Bool" => wanted.contains(found),
        "StringNotEquals" => !wanted.contains(found),
        "StringLike" => wanted.iter().any(|pattern| glob(pattern, found)),
        "ArnEquals" | "ArnLike" => wanted.iter().any(|pattern| arn_glob(pattern, found)),
        "ArnNotLike" => !wanted.iter().any(|pattern| arn_glob(pattern, found)),
        other => panic!("the evaluator does not know {other}"),
    };
    match quantifier {
        "ForAllValues" => found.iter().all(holds_for),
        _ => found.iter().any(holds_for),
    }
}

fn arn_glob(pattern: &str, arn: &str) -> bool {
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| glob(pattern, part))
}

fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), None) => glob(&pattern[1..], text),
        (Some('*'), Some(c)) => glob(&pattern[1..], text) || glob(pattern, &text[c.len_utf8()..]),
        (Some(p), Some(c)) => (p == '?' || p == c) && glob(&pattern[p.len_utf8()..], &text[c.len_utf8()..]),
        _ => false,
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
    let policy = json!({"Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "SQS:Send*", "Resource": "q",
         "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:sns:*:1:*"}}},
        {"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::123456789012:role/a"}, "Action": "sqs:*", "Resource": "q"}
    ]});
    let request = |role: &str, action: &str, source: &str| Request {
        caller: Caller::Aws {
            arn: format!("arn:aws:sts::123456789012:assumed-role/{role}/s"),
            identity: format!("arn:aws:iam::123456789012:role/{role}"),
        },
        action: action.to_owned(),
        resource: "q".to_owned(),
        context: BTreeMap::from([("aws:sourcearn".to_owned(), vec![source.to_owned()])]),
    };
    let decide = |role, action, source| evaluate(&policy, &request(role, action, source));
    assert_eq!(decide("a", "sqs:SendMessage", "arn:aws:sns:r:1:t"), Decision::Allow);
    assert_eq!(decide("b", "sqs:SendMessage", "arn:aws:sns:r:1:t"), Decision::Deny);
    assert_eq!(decide("a", "sqs:DeleteMessage", "arn:aws:sns:r:1:t"), Decision::Neither);
    assert_eq!(decide("a", "sqs:SendMessage", "arn:aws:sns:r:2:1:t"), Decision::Neither);
}
