use proptest::prelude::*;
use serde_json::{Value, json};

use super::strategy::raw_statements;
use super::{QUEUE, compile_unsafe};
use crate::domain::policy::{FENCE_SID, PolicyDocument, compose, fence, require_tls};

fn policy(statements: &Value) -> PolicyDocument {
    parse(&json!({"Version": "2012-10-17", "Statement": statements}))
}

fn parse(value: &Value) -> PolicyDocument {
    PolicyDocument::parse(&value.to_string()).unwrap()
}

fn basic(changes: &Value) -> Value {
    let mut statement = super::statement(changes);
    statement.as_object_mut().unwrap().entry("Resource").or_insert(json!(QUEUE));
    statement
}

#[test]
fn the_same_meaning_in_other_words_is_equal() {
    let arn = "arn:aws:iam::123456789012:role/a";
    let condition = |operator: &str, key: &str, value: Value| json!({"Condition": {operator: {key: value}}});
    let same = [
        (json!({"Principal": "*"}), json!({"Principal": {"AWS": "*"}})),
        (json!({"Principal": "*"}), json!({"Principal": {"AWS": ["*"]}})),
        (json!({"Principal": {"AWS": arn}}), json!({"Principal": {"AWS": [arn]}})),
        (
            json!({"Principal": {"AWS": ["123456789012", arn]}}),
            json!({"Principal": {"AWS": [arn, "arn:aws:iam::123456789012:root"]}}),
        ),
        (
            json!({"Principal": {"AWS": "123456789012"}}),
            json!({"Principal": {"AWS": "arn:aws-cn:iam::123456789012:root"}}),
        ),
        (json!({"Action": "sqs:SendMessage"}), json!({"Action": "SQS:SendMessage"})),
        (json!({"Action": ["sqs:Get*", "sqs:SendMessage"]}), json!({"Action": ["SQS:sendmessage", "sqs:get*"]})),
        (json!({"Action": "*"}), json!({"Action": "sqs:*"})),
        (json!({"Sid": ""}), json!({"Sid": null})),
        (json!({"Condition": {}}), json!({"Condition": null})),
        (
            condition("Bool", "aws:SecureTransport", json!(true)),
            condition("Bool", "AWS:securetransport", json!(["True"])),
        ),
        (
            condition("NumericLessThan", "aws:MultiFactorAuthAge", json!(3600)),
            condition("NumericLessThan", "aws:MultiFactorAuthAge", json!("3600")),
        ),
        (
            condition("StringLike", "aws:SourceArn", json!(["b", "a"])),
            condition("StringLike", "aws:SourceArn", json!(["a", "b"])),
        ),
    ];
    for (one, other) in same {
        assert_eq!(policy(&json!([basic(&one)])), policy(&json!([basic(&other)])), "{one} and {other}");
    }
}

#[test]
fn another_meaning_is_not_equal() {
    let condition = |operator: &str, key: &str, value: &str| json!({"Condition": {operator: {key: value}}});
    let different = [
        (json!({"Effect": "Allow"}), json!({"Effect": "Deny"})),
        (json!({"Sid": "a"}), json!({"Sid": "b"})),
        (json!({"Sid": "a"}), json!({"Sid": "A"})),
        (json!({"Principal": {"AWS": "123456789012"}}), json!({"Principal": {"AWS": "999999999999"}})),
        (json!({"Principal": {"AWS": "x.y"}}), json!({"Principal": {"Service": "x.y"}})),
        (json!({"Principal": "*"}), json!({"Principal": null, "NotPrincipal": "*"})),
        (json!({"Action": "sqs:SendMessage"}), json!({"Action": null, "NotAction": "sqs:SendMessage"})),
        (json!({"Action": "sqs:SendMessage"}), json!({"Action": "sqs:Send*"})),
        (json!({"Resource": "*"}), json!({})),
        (condition("StringEquals", "aws:SourceArn", "a"), condition("StringLike", "aws:SourceArn", "a")),
        (condition("StringEquals", "aws:SourceArn", "a"), condition("StringEquals", "aws:SourceArn", "A")),
        (condition("StringEquals", "aws:SourceArn", "a"), json!({})),
    ];
    for (one, other) in different {
        assert_ne!(policy(&json!([basic(&one)])), policy(&json!([basic(&other)])), "{one} and {other}");
    }
}

#[test]
fn a_version_counts_only_with_policy_variables() {
    let with = |version: Option<&str>, value: &str| {
        let statement = basic(&json!({"Condition": {"StringLike": {"aws:PrincipalArn": value}}}));
        let mut policy = json!({"Statement": [statement], "Id": "x"});
        if let Some(version) = version {
            policy["Version"] = json!(version);
        }
        parse(&policy)
    };
    assert_eq!(with(None, "arn:*"), with(Some("2012-10-17"), "arn:*"));
    assert_eq!(with(Some("2008-10-17"), "arn:*"), with(Some("2012-10-17"), "arn:*"));
    assert_ne!(with(None, "${aws:username}"), with(Some("2012-10-17"), "${aws:username}"));
    assert_eq!(with(None, "${aws:username}"), with(Some("2008-10-17"), "${aws:username}"));
    let old = with(None, "${aws:username}");
    assert_eq!(PolicyDocument::parse(&old.to_json()), Ok(old));
}

#[test]
fn what_is_unknown_is_kept_and_compared() {
    let odd = |value: &str| basic(&json!({"Frobnicate": value}));
    let mine = policy(&json!([basic(&json!({})), odd("a")]));
    assert_eq!(mine.statements().len(), 1);
    assert_ne!(mine, policy(&json!([basic(&json!({}))])));
    assert_ne!(mine, policy(&json!([basic(&json!({})), odd("b")])));
    assert_eq!(mine, policy(&json!([odd("a"), basic(&json!({}))])));
    assert_eq!(policy(&json!([odd("a"), odd("b")])), policy(&json!([odd("b"), odd("a")])));
    assert_eq!(PolicyDocument::parse(&mine.to_json()), Ok(mine));
    assert!(!policy(&json!([odd("a")])).is_empty());
    assert_ne!(parse(&json!({"Statement": []})), parse(&json!({"Statement": [], "Extra": 1})));
}

#[test]
fn only_a_policy_can_be_read() {
    for text in ["", "nonsense", "[]", "{}", r#"{"Statement": "x"}"#] {
        assert!(PolicyDocument::parse(text).is_err(), "{text}");
    }
    assert_eq!(PolicyDocument::parse(r#"{"Statement": []}"#), Ok(PolicyDocument::default()));
    assert_eq!(parse(&json!({"Statement": [], "Id": "x"})), PolicyDocument::default());
    assert_eq!(parse(&json!({"Statement": basic(&json!({}))})), policy(&json!([basic(&json!({}))])));
}

#[test]
fn the_text_is_compact_and_carries_the_current_version() {
    let text = compose(vec![fence(QUEUE), require_tls(QUEUE)]).to_json();
    let expected = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "PrismQueueFence", "Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE},
        {"Sid": "PrismQueueRequireTLS", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE,
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    ]});
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    assert!(!text.contains([' ', '\n']));
}

#[test]
fn a_statement_is_put_on_and_taken_off_by_its_sid() {
    let plain = policy(&json!([basic(&json!({})), basic(&json!({"Sid": "mine"}))]));
    let fenced = plain.with(fence(QUEUE));
    assert_eq!(fenced.statements().len(), 3);
    assert!(fenced.statements().is_sorted());
    assert_eq!(fenced.with(fence(QUEUE)), fenced);
    assert_eq!(fenced.without_sid(FENCE_SID), plain);
    assert!(policy(&json!([basic(&json!({"Sid": "mine"}))])).without_sid("mine").is_empty());
}

#[test]
fn deleted_principals_are_recognised() {
    let arn = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    let with = |principals: &[&str]| basic(&json!({"Principal": {"AWS": principals}}));
    let wanted = policy(&json!([
        with(&[&arn("a"), &arn("b")]),
        basic(&json!({"Sid": "other", "Principal": {"AWS": arn("c"), "Service": "sns.amazonaws.com"}}))
    ]));
    let observed = |first: &[&str], second: &str| {
        let second = json!({"Sid": "other", "Principal": {"AWS": second, "Service": "sns.amazonaws.com"}});
        policy(&json!([basic(&second), with(first)]))
    };
    let (role_id, user_id) = ("AROAEXAMPLEEXAMPLE123", "AIDAEXAMPLEEXAMPLE123");
    let gone = |document: &PolicyDocument| wanted.gone_principals(document);
    assert_eq!(gone(&observed(&[&arn("b"), role_id], &arn("c"))), Some(vec![arn("a")]));
    assert_eq!(gone(&observed(&[user_id, &arn("b")], role_id)), Some(vec![arn("a"), arn("c")]));
    // Nothing is gone; something else differs; the id is no id; a principal is just missing, or one too many.
    assert_eq!(gone(&wanted), None);
    assert_eq!(gone(&observed(&[&arn("b"), role_id], &arn("d"))), None);
    assert_eq!(gone(&observed(&[&arn("b"), role_id], &arn("c")).with(fence(QUEUE))), None);
    let other = basic(&json!({"Sid": "zzz"}));
    let more = policy(&json!([
        with(&[&arn("b"), role_id]),
        basic(&json!({"Sid": "zz", "Principal": {"AWS": role_id}})),
        other
    ]));
    assert_eq!(policy(&json!([with(&[&arn("a"), &arn("b")])])).gone_principals(&more), None);
    assert_eq!(gone(&observed(&[&arn("b"), "AROAshort"], &arn("c"))), None);
    assert_eq!(gone(&observed(&[&arn("b"), "AROAexampleexample123"], &arn("c"))), None);
    assert_eq!(gone(&observed(&[&arn("b")], &arn("c"))), None);
    assert_eq!(gone(&observed(&[&arn("a"), &arn("b"), role_id], &arn("c"))), None);
    // An account is no principal that can be deleted from under a policy.
    let account = policy(&json!([with(&["123456789012"])]));
    assert_eq!(account.gone_principals(&policy(&json!([with(&[role_id])]))), None);
}

/// What SQS makes of a policy, as far as is known, and then some: lists of one become strings, order is lost, the Version is
/// left out, `sqs:` is shouted, and see [`rewrite_principals`]. `dice` says what happens where.
fn rewrite(value: &Value, dice: &mut impl Iterator<Item = bool>) -> Value {
    let mut roll = || dice.next().unwrap_or_default();
    match value {
        Value::Array(items) if items.len() == 1 && roll() => rewrite(&items[0], dice),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| rewrite(item, dice)).collect();
            if dice.next().unwrap_or_default() {
                items.reverse();
            }
            Value::Array(items)
        }
        Value::Object(object) => {
            let mut object: Vec<(String, Value)> = object
                .iter()
                .filter(|(key, _)| *key != "Version")
                .map(|(key, value)| {
                    let value = match key.as_str() {
                        "Principal" | "NotPrincipal" if value == "*" && dice.next().unwrap_or_default() => {
                            json!({"AWS": "*"})
                        }
                        _ => rewrite(value, dice),
                    };
                    (key.clone(), value)
                })
                .collect();
            object.reverse();
            Value::Object(object.into_iter().collect())
        }
        Value::String(text) if text.starts_with("sqs:") && roll() => json!(text.replacen("sqs:", "SQS:", 1)),
        other => other.clone(),
    }
}

/// Account ids become root ARNs. Those in conditions stay.
fn rewrite_principals(policy: &mut Value) {
    let root = |id: &mut Value| {
        if let Some(text) = id.as_str().filter(|text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())) {
            *id = json!(format!("arn:aws:iam::{text}:root"));
        }
    };
    for statement in policy["Statement"].as_array_mut().unwrap() {
        for element in ["Principal", "NotPrincipal"] {
            match statement.get_mut(element).and_then(|principals| principals.get_mut("AWS")) {
                Some(Value::Array(ids)) => ids.iter_mut().for_each(root),
                Some(id) => root(id),
                None => {}
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_it_was(raw in raw_statements()) {
        let document = compose(compile_unsafe(&raw).unwrap()).with(require_tls(QUEUE));
        let text = document.to_json();
        let read = PolicyDocument::parse(&text).unwrap();
        prop_assert_eq!(&read, &document);
        prop_assert_eq!(read.to_json(), text);
    }

    #[test]
    fn what_sqs_rewrites_is_still_the_same(raw in raw_statements(), dice in prop::collection::vec(any::<bool>(), 64)) {
        let document = compose(compile_unsafe(&raw).unwrap());
        let mut written: Value = serde_json::from_str(&document.to_json()).unwrap();
        rewrite_principals(&mut written);
        let returned = rewrite(&written, &mut dice.into_iter());
        prop_assert_eq!(PolicyDocument::parse(&returned.to_string()), Ok(document));
    }
}
