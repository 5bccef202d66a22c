use proptest::prelude::*;
use serde_json::{Value, json};

use super::evaluator::evaluate;
use super::strategy::{friends, operator, raw_statements, strangers};
use super::{FOREIGN, OWN, QUEUE, as_value, compile, compile_unsafe, statement};
use crate::domain::policy::{MAX_ACTIONS, PolicyDocument, compose, fence, require_tls};

fn composed(raw: &[Value]) -> Vec<Value> {
    as_value(&compose(compile(raw).unwrap()))["Statement"].as_array().unwrap().clone()
}

#[test]
fn statements_that_differ_in_one_part_become_one() {
    let role = |name: &str| json!({"AWS": format!("arn:aws:iam::123456789012:role/{name}")});
    let with = |name: &str, action: &str| statement(&json!({"Principal": role(name), "Action": action}));
    let merged = composed(&[
        with("a", "sqs:SendMessage"),
        with("a", "sqs:GetQueueUrl"),
        with("b", "sqs:GetQueueUrl"),
        with("b", "SQS:SendMessage"),
    ]);
    assert_eq!(merged.len(), 1);
    let roles = ["a", "b"].map(|name| role(name)["AWS"].clone());
    assert_eq!(merged[0]["Principal"]["AWS"], json!(roles));
    assert_eq!(merged[0]["Action"].as_array().unwrap().len(), 2);
}

#[test]
fn one_merge_makes_room_for_the_next() {
    let with = |principals: &[&str], action: &str| {
        let arns: Vec<String> =
            principals.iter().map(|name| format!("arn:aws:iam::123456789012:role/{name}")).collect();
        statement(&json!({"Principal": {"AWS": arns}, "Action": action}))
    };
    let raw = [with(&["a"], "sqs:SendMessage"), with(&["b"], "sqs:SendMessage"), with(&["a", "b"], "sqs:GetQueueUrl")];
    assert_eq!(composed(&raw).len(), 1);
}

#[test]
fn statements_that_differ_in_two_parts_stay_apart() {
    let changes = [
        json!({"Action": "sqs:GetQueueUrl", "Principal": {"AWS": "123456789012"}}),
        json!({"Action": "sqs:GetQueueUrl", "Effect": "Deny", "Principal": {"AWS": "999999999999"}}),
        json!({"Condition": {"Bool": {"aws:SecureTransport": true}}}),
    ];
    for change in changes {
        assert_eq!(composed(&[statement(&json!({})), statement(&change)]).len(), 2, "{change}");
    }
}

#[test]
fn a_sid_keeps_its_statement_as_it_is() {
    let raw = [json!({}), json!({"Sid": "a"}), json!({"Sid": "b", "Action": "sqs:GetQueueUrl"})];
    assert_eq!(composed(&raw.map(|changes| statement(&changes))).len(), 3);
    assert_eq!(compose(vec![require_tls(QUEUE), fence(QUEUE), fence(QUEUE)]).statements().len(), 2);
}

#[test]
fn all_but_these_is_not_merged() {
    let but = |role: &str| {
        let role = json!({"AWS": format!("arn:aws:iam::123456789012:role/{role}")});
        statement(&json!({"Principal": null, "NotPrincipal": role, "Effect": "Deny"}))
    };
    assert_eq!(compose(compile_unsafe(&[but("a"), but("b")]).unwrap()).statements().len(), 2);
    let but = |action: &str| statement(&json!({"Action": null, "NotAction": action, "Effect": "Deny"}));
    let statements = compile_unsafe(&[but("sqs:SendMessage"), but("sqs:GetQueueUrl")]).unwrap();
    assert_eq!(compose(statements).statements().len(), 2);
}

#[test]
fn merging_stops_at_the_limit_of_actions() {
    let with = |actions: &[&str]| statement(&json!({"Action": actions}));
    let one = with(&["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]);
    let other = with(&["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:Send*", "sqs:Receive*"]);
    assert_eq!(composed(&[one.clone(), other]).len(), 2);
    assert_eq!(composed(&[one, with(&["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:Send*"])]).len(), 1);
}

#[test]
fn values_of_one_key_are_merged_where_any_of_them_may_match() {
    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    for (operator, is_merged) in [
        ("ArnLike", true),
        ("ArnEquals", true),
        ("StringLike", true),
        ("StringEquals", true),
        // Of these all values must differ, or all that the request has must be among them.
        ("ArnNotLike", false),
        ("StringNotEquals", false),
        ("ForAllValues:StringEquals", false),
    ] {
        let when = |name: &str| statement(&json!({"Condition": {operator: {"aws:PrincipalArn": role(name)}}}));
        let raw = [when("worker"), when("operator")];
        let count = compose(compile_unsafe(&raw).unwrap()).statements().len();
        assert_eq!(count, if is_merged { 1 } else { 2 }, "{operator}");
        assert_same_meaning(&raw);
    }
    let two = |arn: &str, account: &str| {
        let condition = json!({"ArnLike": {"aws:SourceArn": arn}, "StringEquals": {"aws:SourceAccount": account}});
        statement(&json!({"Principal": {"Service": "s3.amazonaws.com"}, "Condition": condition}))
    };
    let buckets = [two("arn:aws:s3:::a", OWN), two("arn:aws:s3:::b", OWN), two("arn:aws:s3:::b", FOREIGN)];
    let count = compose(compile_unsafe(&buckets).unwrap()).statements().len();
    assert_eq!(count, 2, "who differs in two keys is somebody else");
}

#[test]
fn nothing_makes_an_empty_policy() {
    assert!(compose(Vec::new()).is_empty());
    assert_eq!(compose(Vec::new()), PolicyDocument::default());
    assert!(!compose(vec![fence(QUEUE)]).is_empty());
}

/// Fails unless the policy of these statements means what each of them means by itself.
fn assert_same_meaning(raw: &[Value]) {
    let parts = compile_unsafe(raw).unwrap();
    let apart: Vec<Value> =
        parts.iter().map(|part| as_value(&compose(vec![part.clone()]))["Statement"][0].clone()).collect();
    let apart = json!({"Version": "2012-10-17", "Statement": apart});
    let together = as_value(&compose(parts));
    for request in [friends(), strangers(), operator()].concat() {
        let decisions = [&together, &apart].map(|policy| evaluate(policy, &request));
        assert_eq!(decisions[0], decisions[1], "{apart}\n{together}\n{request:?}");
    }
}

proptest! {
    #[test]
    fn merging_keeps_the_meaning(raw in raw_statements()) {
        assert_same_meaning(&raw);
    }

    #[test]
    fn the_order_of_parts_does_not_matter(
        (raw, shuffled) in raw_statements().prop_flat_map(|raw| (Just(raw.clone()), Just(raw).prop_shuffle()))
    ) {
        let document = compose(compile_unsafe(&raw).unwrap());
        prop_assert_eq!(&compose(compile_unsafe(&shuffled).unwrap()), &document);
        prop_assert_eq!(compose(document.statements().to_vec()), document);
    }

    #[test]
    fn merging_never_breaks_a_limit(raw in raw_statements()) {
        let parts = compile_unsafe(&raw).unwrap();
        let document = compose(parts.clone());
        prop_assert!(document.statements().len() <= parts.len());
        prop_assert!(document.statements().iter().all(|statement| statement.actions.values().len() <= MAX_ACTIONS));
    }
}
