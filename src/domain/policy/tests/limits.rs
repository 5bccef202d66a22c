use serde_json::{Value, json};

use super::{QUEUE, compile_unsafe, statement};
use crate::domain::policy::{PolicyDocument, check_limits, compose, fence, require_tls};

fn role(name: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{name}")
}

/// With Sids, so that nothing is merged.
fn statements(count: usize, changes: impl Fn(usize) -> Value) -> PolicyDocument {
    let raw: Vec<Value> = (0..count)
        .map(|index| {
            let mut raw = statement(&changes(index));
            raw.as_object_mut().unwrap().insert("Sid".to_owned(), json!(format!("s{index}")));
            raw
        })
        .collect();
    compose(compile_unsafe(&raw).unwrap())
}

/// What is over its limit, as "found what", for a document that is one over and one that is not.
fn assert_limit(over: &PolicyDocument, within: &PolicyDocument, words: &str) {
    assert_eq!(check_limits(within, "spec.access"), []);
    let errors = check_limits(over, "spec.access");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].path, "spec.access");
    assert!(errors[0].rule.contains(words), "{}", errors[0].rule);
}

#[test]
fn statements_are_counted() {
    let plain = |count| statements(count, |_| json!({}));
    assert_limit(&plain(21), &plain(20), "21 statements");
    assert_limit(&plain(20).with(fence(QUEUE)), &plain(19).with(fence(QUEUE)), "21 statements");
}

#[test]
fn principals_of_all_statements_are_counted() {
    let with = |count: usize| {
        statements(2, |index| {
            let names: Vec<String> = (0..count - 25 * (1 - index) - 25 * index).map(|n| role(&n.to_string())).collect();
            let first: Vec<String> = (0..25).map(|n| role(&n.to_string())).collect();
            json!({"Principal": {"AWS": if index == 0 { first } else { names }}})
        })
    };
    assert_limit(&with(51), &with(50), "51 principals");
}

#[test]
fn conditions_of_all_statements_are_counted() {
    let with = |count: usize| {
        let keys = |range: std::ops::Range<usize>| {
            let keys = range.map(|n| (format!("aws:PrincipalTag/{n}"), json!("x")));
            json!({"Condition": {"StringEquals": Value::Object(keys.collect())}})
        };
        statements(2, |index| if index == 0 { keys(0..4) } else { keys(4..count) })
    };
    assert_limit(&with(11), &with(10), "11 conditions");
    assert_limit(&with(10).with(require_tls(QUEUE)), &with(9).with(require_tls(QUEUE)), "11 conditions");
}

#[test]
fn bytes_of_the_text_are_counted() {
    let with = |length: usize| {
        statements(1, |_| json!({"Condition": {"StringEquals": {"aws:PrincipalTag/x": "x".repeat(length)}}}))
    };
    let room = 8_192 - with(1).to_json().len() + 1;
    assert_eq!(with(room).to_json().len(), 8_192);
    assert_limit(&with(room + 1), &with(room), "8193 bytes");
}

#[test]
fn actions_of_one_statement_are_counted() {
    let with = |count: usize| {
        let actions: Vec<String> = (0..count).map(|n| format!("sqs:Send{}", "?".repeat(n))).collect();
        let policy = json!({"Statement": [{
            "Sid": "many", "Effect": "Allow", "Principal": "*", "Action": actions, "Resource": QUEUE,
        }]});
        PolicyDocument::parse(&policy.to_string()).unwrap()
    };
    assert_limit(&with(8), &with(7), "statement \"many\" has 8 actions");
}

#[test]
fn all_broken_limits_come_at_once() {
    let many = statements(21, |index| {
        let names: Vec<String> = (0..5).map(|n| role(&format!("{index}-{n}-{}", "x".repeat(40)))).collect();
        let key = format!("aws:PrincipalTag/{index}");
        json!({"Principal": {"AWS": names}, "Condition": {"StringEquals": {key: "x"}}})
    });
    assert_eq!(check_limits(&many, "spec.access").len(), 4);
}
