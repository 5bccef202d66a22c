//! How big a queue policy may be.
//! Source: SQS Developer Guide, "Amazon SQS policy quotas", and `AddPermission` in the API reference (actions).

use std::collections::BTreeMap;

use super::document::PolicyDocument;
use super::statement::{Folded, Statement};
use crate::domain::field::FieldError;

/// Bytes of a policy's text.
pub const MAX_BYTES: usize = 8_192;
/// Statements of a policy.
pub const MAX_STATEMENTS: usize = 20;
/// Principals of a policy, those of all statements counted together.
pub const MAX_PRINCIPALS: usize = 50;
/// Conditions of a policy: keys under operators, those of all statements counted together.
pub const MAX_CONDITIONS: usize = 10;
/// Actions of one statement.
pub const MAX_ACTIONS: usize = 7;

/// The limits that `document` breaks, all of them, as errors at `path`. Statements count as they are written, merged and
/// with the operator's own among them. Check the policy with its [`super::fence`] on it, so that there is always room for one.
#[must_use]
pub fn check_limits(document: &PolicyDocument, path: &str) -> Vec<FieldError> {
    let statements = document.statements();
    let principals = statements.iter().map(|statement| statement.principals.values().len()).sum();
    let conditions = statements.iter().flat_map(|statement| statement.conditions.values()).map(BTreeMap::len).sum();
    let totals = [
        (document.to_json().len(), MAX_BYTES, "bytes", "drop statements, or merge some with wildcards"),
        (statements.len(), MAX_STATEMENTS, "statements", "merge those that are alike, or drop some"),
        (principals, MAX_PRINCIPALS, "principals", "name an account or a shared role instead of many roles"),
        (conditions, MAX_CONDITIONS, "conditions", "give statements with the same conditions one statement"),
    ];
    let mut errors: Vec<FieldError> = totals
        .into_iter()
        .filter(|(found, most, ..)| found > most)
        .map(|(found, most, what, advice)| {
            let rule = format!(
                "the queue policy would have {found} {what}, the operator's own statements included; \
                 SQS allows {most}: {advice}"
            );
            FieldError::new(path, rule)
        })
        .collect();
    for statement in statements {
        if let Some(rule) = actions_rule(statement) {
            let name = statement.sid().map_or("a statement without Sid".to_owned(), |sid| format!("statement {sid:?}"));
            errors.push(FieldError::new(path, format!("{name} {rule}")));
        }
    }
    errors
}

/// The limit on one statement's actions, when it breaks it.
pub(super) fn actions_rule(statement: &Statement) -> Option<String> {
    let actions = statement.actions.values();
    (actions.len() > MAX_ACTIONS).then(|| {
        let names: Vec<&str> = actions.iter().map(Folded::as_str).collect();
        format!(
            "has {} actions ({}); SQS allows {MAX_ACTIONS} in a statement: use wildcards, or a second statement",
            actions.len(),
            names.join(", ")
        )
    })
}
