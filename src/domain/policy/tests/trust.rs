//! What a class's `limits.access` widens the safety rules by, and what not.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::strategy::raw_statements;
use super::{FOREIGN, OWN, compile, compile_in, context, paths, statement};
use crate::api::class::AccessLimits;
use crate::domain::policy::{StatementContext, Trust, compile_statements};

const STRANGER: &str = "888888888888";

fn limits(limits: Value) -> AccessLimits {
    serde_json::from_value(limits).unwrap()
}

fn trust(limits: Option<&AccessLimits>) -> StatementContext<'_> {
    StatementContext { trust: Trust::Class { name: "prod", limits }, ..context() }
}

/// Refused with exactly these paths under these limits.
fn assert_paths(allowed: &Value, raw: &Value, expected: &[&str]) {
    let limits = limits(allowed.clone());
    assert_eq!(paths(compile_in(std::slice::from_ref(raw), &trust(Some(&limits)))), expected, "{allowed}: {raw}");
}

fn to_topic(service: &str, account: &str) -> Value {
    let condition = json!({"StringEquals": {"aws:SourceAccount": account}});
    statement(&json!({"Principal": {"Service": service}, "Condition": condition}))
}

#[test]
fn accounts_of_the_class_are_let_in_by_name_and_by_condition_and_no_others() {
    let allowed = json!({"principalAccounts": [FOREIGN]});
    let of = |account: &str| statement(&json!({"Principal": {"AWS": format!("arn:aws:iam::{account}:role/worker")}}));
    let anyone_of = |account: &str| {
        statement(&json!({"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": account}}}))
    };
    for account in [OWN, FOREIGN] {
        assert_paths(&allowed, &of(account), &[]);
        assert_paths(&allowed, &statement(&json!({"Principal": {"AWS": account}})), &[]);
        assert_paths(&allowed, &anyone_of(account), &[]);
        assert_paths(&allowed, &to_topic("sns.amazonaws.com", account), &[]);
    }
    assert_paths(&allowed, &of(STRANGER), &[".Principal.AWS"]);
    assert_paths(&allowed, &anyone_of(STRANGER), &[".Condition.StringEquals.aws:PrincipalAccount"]);
    assert_paths(&allowed, &to_topic("sns.amazonaws.com", STRANGER), &[".Condition.StringEquals.aws:SourceAccount"]);
    let both = json!({"StringEquals": {"aws:PrincipalAccount": [FOREIGN, STRANGER]}});
    assert_paths(
        &allowed,
        &statement(&json!({"Principal": "*", "Condition": both})),
        &[".Condition.StringEquals.aws:PrincipalAccount"],
    );
}

#[test]
fn services_of_the_class_are_let_in_for_a_trusted_account_and_no_others() {
    let allowed = json!({"services": ["sns.amazonaws.com"]});
    assert_paths(&allowed, &to_topic("sns.amazonaws.com", OWN), &[]);
    assert_paths(&allowed, &to_topic("events.amazonaws.com", OWN), &[".Principal.Service"]);
    assert_paths(
        &allowed,
        &statement(&json!({"Principal": {"Service": "sns.amazonaws.com"}})),
        &[".Principal.Service"],
    );
    assert_paths(&json!({"services": []}), &to_topic("sns.amazonaws.com", OWN), &[".Principal.Service"]);
    assert_paths(&json!({}), &to_topic("events.amazonaws.com", OWN), &[]);
}

#[test]
fn anyone_is_let_in_only_where_the_class_allows_the_public() {
    let anyone = statement(&json!({"Principal": "*"}));
    let bucket = statement(&json!({
        "Principal": {"Service": "s3.amazonaws.com"},
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}},
    }));
    for raw in [&anyone, &bucket] {
        assert_paths(&json!({"allowPublic": true}), raw, &[]);
        assert!(
            !paths(compile_in(std::slice::from_ref(raw), &trust(Some(&limits(json!({"allowPublic": false}))))))
                .is_empty()
        );
    }
    // Each limit says one thing: services and accounts that are named stay limited.
    let strict = json!({"allowPublic": true, "services": ["sns.amazonaws.com"]});
    assert_paths(&strict, &bucket, &[".Principal.Service"]);
    assert_paths(&strict, &statement(&json!({"Principal": {"AWS": FOREIGN}})), &[".Principal.AWS"]);
}

#[test]
fn what_no_limit_speaks_of_is_allowed_by_no_class() {
    let widest = json!({"allowPublic": true, "principalAccounts": [FOREIGN]});
    for (changes, path) in [
        (json!({"Principal": null, "NotPrincipal": {"AWS": OWN}}), ".NotPrincipal"),
        (json!({"Action": null, "NotAction": "sqs:SendMessage"}), ".NotAction"),
        (json!({"NotResource": context().queue_arn}), ".NotResource"),
        (json!({"Action": "sqs:DeleteQueue"}), ".Action"),
        (json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:*"}), ".Action"),
        (json!({"Principal": {"Federated": "accounts.google.com"}}), ".Principal.Federated"),
    ] {
        assert_paths(&widest, &statement(&changes), &[path]);
    }
}

#[test]
fn a_refusal_names_the_class_and_whom_it_trusts_and_is_the_classs() {
    let limits = limits(json!({"principalAccounts": [FOREIGN], "services": ["sns.amazonaws.com", "s3.amazonaws.com"]}));
    let refused = |raw: &Value| {
        compile_statements(std::slice::from_ref(raw), "spec.access.statements", &trust(Some(&limits)))
            .unwrap_err()
            .remove(0)
    };
    let account = refused(&statement(&json!({"Principal": {"AWS": STRANGER}})));
    assert_eq!(
        account.rule,
        "888888888888 is not of account 123456789012, which this queue is in, nor of 999999999999; class \"prod\" does not allow it"
    );
    let service = refused(&to_topic("events.amazonaws.com", OWN));
    assert!(service.rule.contains("none of the services that may be allowed: sns.amazonaws.com, s3.amazonaws.com"));
    assert!(account.is_of_class && service.is_of_class);
    // Grammar is nobody's to allow.
    assert!(!refused(&statement(&json!({"Action": "sqs:SentMessage"}))).is_of_class);
}

proptest! {
    #[test]
    fn a_class_without_limits_is_as_strict_as_the_flags(raw in raw_statements()) {
        let strict = compile(&raw).map_err(|errors| errors.into_iter().map(|(path, _)| path).collect::<Vec<_>>());
        for limits in [None, Some(AccessLimits::default())] {
            let class = compile_in(&raw, &trust(limits.as_ref()));
            let class = class.map_err(|errors| errors.into_iter().map(|(path, _)| path).collect::<Vec<_>>());
            prop_assert_eq!(&class, &strict);
        }
    }
}

#[test]
fn a_star_is_no_way_around_the_services_of_the_class() {
    let any_service = statement(&json!({"Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": OWN}}}));
    assert_paths(&json!({"services": []}), &any_service, &[".Principal"]);
    let s3 = statement(
        &json!({"Principal": "*", "Condition": {"ArnLike": {"aws:SourceArn": format!("arn:aws:events:eu-central-1:{OWN}:rule/*")}}}),
    );
    assert_paths(&json!({"services": ["sns.amazonaws.com"]}), &s3, &[".Principal"]);
}

#[test]
fn allow_public_does_not_undo_services() {
    let anyone = statement(&json!({"Principal": "*"}));
    assert_paths(&json!({"allowPublic": true, "services": []}), &anyone, &[]);
}
