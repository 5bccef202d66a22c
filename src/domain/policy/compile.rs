//! From `spec.access.statements` to statements: read, checked for grammar and safety, all errors at once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::statement::Statement;
use super::trust::Trust;
use super::{grammar, limits, read, safety};
use crate::domain::field::FieldError;

/// What the rules for a Queue's statements depend on.
#[derive(Clone, Copy, Debug)]
pub struct StatementContext<'a> {
    /// The ARN of the queue that the statements are for.
    pub queue_arn: &'a str,
    /// The account that the queue is in: twelve digits.
    pub account_id: &'a str,
    /// The operator's own identity, as `sts:GetCallerIdentity` tells it: a role session, a role or a user.
    pub caller_arn: &'a str,
    /// Whom statements may let in. Grammar and limits hold regardless.
    pub trust: Trust<'a>,
}

/// Reads and checks the statements of a Queue, which stand at `path` (for example `spec.access.statements`).
///
/// They are in IAM's own grammar: Effect, Principal, Action, Resource, Condition and Sid, a string or a list of
/// strings wherever IAM takes either. Resource defaults to the queue, and may name nothing else.
///
/// Refused as unsafe, but for what [`StatementContext::trust`] accepts: an Allow to `"*"` or to a service without a condition
/// that proves the queue's account, to other accounts, to federated or canonical users, or of anything but message
/// actions; `NotPrincipal`, `NotAction` and `NotResource`; a Deny that would keep the operator from managing the queue.
///
/// # Errors
/// Everything that is wrong, each with its exact path.
pub fn compile_statements(
    raw: &[Value],
    path: &str,
    context: &StatementContext,
) -> Result<Vec<Statement>, Vec<FieldError>> {
    let mut statements = Vec::with_capacity(raw.len());
    let mut errors = Vec::new();
    let mut sids: BTreeMap<String, usize> = BTreeMap::new();
    for (index, raw) in raw.iter().enumerate() {
        let at = format!("{path}[{index}]");
        let reading = read::read(raw, &at, Some(context.queue_arn));
        errors.extend(reading.errors);
        let Some(statement) = reading.statement else { continue };
        errors.extend(check(&statement, &at, context));
        if let Some(sid) = statement.sid() {
            let first = *sids.entry(sid.to_owned()).or_insert(index);
            if first != index {
                let rule = format!("{sid:?} is also the Sid of {path}[{first}]; each needs its own");
                errors.push(FieldError::new(format!("{at}.Sid"), rule));
            }
        }
        statements.push(statement);
    }
    if errors.is_empty() { Ok(statements) } else { Err(errors) }
}

fn check(statement: &Statement, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let mut errors = grammar::check(statement, at, context);
    if let Some(rule) = limits::actions_rule(statement) {
        errors.push(FieldError::new(format!("{at}.{}", statement.actions.element("Action")), rule));
    }
    if !matches!(context.trust, Trust::Anything) {
        errors.extend(safety::check(statement, at, context));
    }
    errors
}
