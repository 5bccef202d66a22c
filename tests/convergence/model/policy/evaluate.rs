//! What a kept policy says about a call.

use serde_json::{Map, Value};

use super::grammar::texts;
use super::principals::Principals;

/// A call as a policy sees it. Every call of the model comes over TLS.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// For example `SendMessage`.
    pub action: &'a str,
    /// The caller's ARN.
    pub principal: &'a str,
    /// The caller's account.
    pub account_id: &'a str,
    /// The queue's ARN.
    pub resource: &'a str,
}

/// What the policy says. A deny beats every allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied,
    Silent,
}

/// Evaluates the policy `kept` for `request`.
pub fn evaluate(kept: &str, request: Request<'_>, principals: &Principals) -> Verdict {
    let policy: Value = serde_json::from_str(kept).unwrap_or_default();
    let mut verdict = Verdict::Silent;
    let statements = policy.get("Statement").and_then(Value::as_array).into_iter().flatten();
    for statement in statements.filter_map(Value::as_object) {
        if !applies(statement, request, principals) {
            continue;
        }
        if statement.get("Effect").and_then(Value::as_str) == Some("Deny") {
            return Verdict::Denied;
        }
        verdict = Verdict::Allowed;
    }
    verdict
}

fn applies(statement: &Map<String, Value>, request: Request<'_>, principals: &Principals) -> bool {
    let action = format!("sqs:{}", request.action).to_ascii_lowercase();
    element(statement, "Action", "NotAction", |value| {
        texts(value).is_some_and(|list| list.iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &action)))
    }) && element(statement, "Resource", "NotResource", |value| {
        texts(value).is_some_and(|list| list.iter().any(|pattern| like(pattern, request.resource)))
    }) && element(statement, "Principal", "NotPrincipal", |value| names(value, request, principals))
        && conditions_hold(statement, request)
}

fn element(statement: &Map<String, Value>, positive: &str, negative: &str, matches: impl Fn(&Value) -> bool) -> bool {
    match (statement.get(positive), statement.get(negative)) {
        (Some(value), _) => matches(value),
        (None, Some(value)) => !matches(value),
        (None, None) => false,
    }
}

fn names(principal: &Value, request: Request<'_>, principals: &Principals) -> bool {
    if principal == "*" {
        return true;
    }
    let root = format!("arn:aws:iam::{}:root", request.account_id);
    let listed = principal.get("AWS").and_then(texts).unwrap_or_default();
    listed.into_iter().any(|text| text == "*" || text == root || principals.arn_of(text) == request.principal)
}

/// All operators and all their keys must hold. One that is not modelled holds never.
fn conditions_hold(statement: &Map<String, Value>, request: Request<'_>) -> bool {
    let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
    operators.into_iter().all(|(operator, tests)| {
        tests.as_object().is_some_and(|tests| tests.iter().all(|(key, wanted)| holds(operator, key, wanted, request)))
    })
}

fn holds(operator: &str, key: &str, wanted: &Value, request: Request<'_>) -> bool {
    let actual = match key.to_ascii_lowercase().as_str() {
        "aws:securetransport" => "true",
        "aws:principalarn" => request.principal,
        "aws:principalaccount" => request.account_id,
        _ => return false,
    };
    let wanted = match wanted {
        Value::Bool(flag) => vec![if *flag { "true" } else { "false" }],
        other => texts(other).unwrap_or_default(),
    };
    match operator {
        "Bool" | "StringEquals" | "ArnEquals" => wanted.contains(&actual),
        "StringNotEquals" | "ArnNotEquals" => !wanted.contains(&actual),
        "StringLike" | "ArnLike" => wanted.iter().any(|pattern| like(pattern, actual)),
        "StringNotLike" | "ArnNotLike" => !wanted.iter().any(|pattern| like(pattern, actual)),
        _ => false,
    }
}

/// IAM's wildcards: `*` for any text, `?` for any one character.
fn like(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), first) => {
            like(&pattern[1..], text) || first.is_some_and(|first| like(pattern, &text[first.len_utf8()..]))
        }
        (Some('?'), Some(first)) => like(&pattern[1..], &text[first.len_utf8()..]),
        (Some(expected), Some(first)) if expected == first => {
            like(&pattern[first.len_utf8()..], &text[first.len_utf8()..])
        }
        _ => false,
    }
}
