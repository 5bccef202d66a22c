//! Queue policies as SQS treats them: which it takes, how it rewrites them, what they do.

pub mod evaluate;
pub mod grammar;
pub mod principals;

use serde_json::{Map, Value, json};

use super::refusal::Answer;
use principals::Principals;

/// Checks a policy and puts it in the form in which it is kept: principals by their unique ids.
pub fn accept(text: &str, principals: &Principals) -> Answer<String> {
    let mut policy = grammar::check(text)?;
    for statement in grammar::statements_mut(&mut policy) {
        for element in ["Principal", "NotPrincipal"] {
            if let Some(principal) = statement.get_mut(element) {
                principals.resolve(principal)?;
            }
        }
    }
    Ok(Value::Object(policy).to_string())
}

/// The policy as SQS gives it back: with a `Version`, one-element lists as plain texts, accounts as root
/// ARNs, principals that are gone as their ids, lists in an order of its own.
pub fn rewrite(kept: &str, principals: &Principals) -> String {
    let Ok(Value::Object(mut policy)) = serde_json::from_str(kept) else {
        return kept.to_owned();
    };
    policy.entry("Version").or_insert_with(|| json!("2008-10-17"));
    for statement in grammar::statements_mut(&mut policy) {
        for element in ["Principal", "NotPrincipal"] {
            if let Some(principal) = statement.get_mut(element) {
                principals.name(principal);
            }
        }
        reorder(statement);
    }
    Value::Object(policy).to_string()
}

/// Lists backwards, and those of one element as that element, also inside conditions and principals.
fn reorder(statement: &mut Map<String, Value>) {
    for value in statement.values_mut() {
        match value {
            Value::Array(list) if list.len() == 1 => *value = list.remove(0),
            Value::Array(list) => list.reverse(),
            Value::Object(inner) => reorder(inner),
            _ => {}
        }
    }
}
