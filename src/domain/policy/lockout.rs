//! Denials that would reach the operator itself. It could not undo them: whoever may not call `SetQueueAttributes`
//! cannot mend a policy either.

use super::actions::{OPERATOR, expand};
use super::compile::StatementContext;
use super::grammar::action_rule;
use super::principal::{Identity, Principal, account_of_arn};
use super::statement::{Scope, Statement};
use crate::domain::field::FieldError;

/// What is wrong with `statement`, a Deny that stands at the path `at`.
pub(super) fn check(statement: &Statement, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let (Scope::Only(actions), Scope::Only(principals)) = (&statement.actions, &statement.principals) else {
        // The inverted forms are refused as such.
        return Vec::new();
    };
    let reaches_operator = principals.iter().any(|principal| may_be_caller(principal, context));
    if !reaches_operator || is_only_without_tls(statement) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    for action in actions.iter().filter(|action| action_rule(action, context).is_none()) {
        let needed: Vec<String> =
            expand(action).filter(|name| OPERATOR.contains(name)).map(|name| format!("sqs:{name}")).collect();
        if !needed.is_empty() {
            let rule = format!(
                "{action} would deny the operator ({}) {}, whatever the condition; \
                 deny message actions only, or principals that cannot be the operator",
                context.caller_arn,
                needed.join(", ")
            );
            errors.push(context.trust.refuse(format!("{at}.Action"), &rule));
        }
    }
    errors
}

/// Whether the operator may be meant. Another session of its role counts: it gets a new one at each start. So do
/// federated and canonical names, which do not tell.
fn may_be_caller(principal: &Principal, context: &StatementContext) -> bool {
    match principal {
        Principal::Anyone | Principal::Federated(_) | Principal::CanonicalUser(_) => true,
        Principal::Account(id) => id == context.account_id || account_of_arn(context.caller_arn) == Some(id.as_str()),
        Principal::Aws(arn) => {
            arn == context.caller_arn
                || Identity::of_arn(arn).is_some_and(|denied| Identity::of_arn(context.caller_arn) == Some(denied))
        }
        Principal::Service(_) => false,
    }
}

/// The one condition that never fits the operator: it always comes over TLS.
fn is_only_without_tls(statement: &Statement) -> bool {
    ["Bool", "BoolIfExists"]
        .iter()
        .filter_map(|operator| statement.conditions.get(*operator))
        .flatten()
        .any(|(key, values)| key.is("aws:SecureTransport") && values.len() == 1 && values.contains("false"))
}
