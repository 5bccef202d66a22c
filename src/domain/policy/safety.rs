//! What a statement may allow by default: message actions, to principals of the queue's own account, and to services
//! that act for it.
//!
//! The rule for `"*"` and for services is one: a condition must *prove* the account. See [`Proof`].

use super::actions::{MESSAGE, expand};
use super::compile::StatementContext;
use super::condition::{AccountKey, Operator, Tells, Tie};
use super::grammar::{action_rule, principal_rule};
use super::lockout;
use super::principal::Principal;
use super::statement::{Effect, Scope, Statement};
use super::trust::Trust;
use crate::domain::field::FieldError;

/// All that is unsafe about `statement`, which stands at the path `at`.
pub(super) fn check(statement: &Statement, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let mut errors = inversions(statement, at, context);
    match statement.effect {
        Effect::Allow => {
            errors.extend(actions(statement, at, context));
            errors.extend(principals(statement, at, context));
            errors.extend(foreign_conditions(statement, at, context));
        }
        Effect::Deny => errors.extend(lockout::check(statement, at, context)),
    }
    errors
}

/// "All but these" also means whatever AWS adds tomorrow.
fn inversions(statement: &Statement, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let inverted = [
        matches!(statement.principals, Scope::Except(_)).then_some("Principal"),
        matches!(statement.actions, Scope::Except(_)).then_some("Action"),
        matches!(statement.resources, Scope::Except(_)).then_some("Resource"),
    ];
    let refuse = |name: &str| {
        context.trust.refuse(format!("{at}.Not{name}"), &format!("means all but these; name them in {name}"))
    };
    inverted.into_iter().flatten().map(refuse).collect()
}

fn actions(statement: &Statement, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let Scope::Only(actions) = &statement.actions else { return Vec::new() };
    let mut errors = Vec::new();
    for action in actions.iter().filter(|action| action_rule(action, context).is_none()) {
        let beyond: Vec<String> =
            expand(action).filter(|name| !MESSAGE.contains(name)).map(|name| format!("sqs:{name}")).collect();
        if !beyond.is_empty() {
            let only = MESSAGE.map(|name| format!("sqs:{name}")).join(", ");
            let rule = format!("{action} allows {}; workloads get {only} only", beyond.join(", "));
            errors.push(context.trust.refuse(format!("{at}.Action"), &rule));
        }
    }
    errors
}

/// What the conditions of a statement prove about the requests that fit them.
///
/// An account is proved by a key that tells one ([`AccountKey`]), under an operator that needs the key to be there
/// and to match, with only values that are tied to this very account, or to one that the class trusts. All operators and keys of a statement must
/// fit together, so one proof is enough. Organisations, VPCs, endpoints and IP addresses prove no account: a stranger's
/// principal may come from ours, or ours be named wrongly and be a stranger's.
#[derive(Clone, Copy, Debug, Default)]
struct Proof {
    /// That the caller, who is no service, belongs to a trusted account.
    caller: Evidence,
    /// That a service acts for a resource of a trusted account.
    source: Evidence,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    #[default]
    None,
    /// Another account is named, which [`foreign_conditions`] refuses: no need to complain of the principal too.
    Refused,
    /// Trusted accounts, and no others.
    Trusted,
}

impl Proof {
    fn of(statement: &Statement, context: &StatementContext) -> Self {
        let mut proof = Self::default();
        for (_, key, ties) in account_conditions(statement) {
            let is_trusted = |tie: &Tie| matches!(tie, Tie::Account(account) if context.trusts_account(account));
            let evidence = if ties.iter().all(is_trusted) {
                Evidence::Trusted
            } else if ties.iter().any(|tie| *tie != Tie::Loose && !is_trusted(tie)) {
                Evidence::Refused
            } else {
                Evidence::None
            };
            let side = match key.tells {
                Tells::Caller => &mut proof.caller,
                Tells::Source => &mut proof.source,
            };
            *side = evidence.max(*side);
        }
        proof
    }
}

/// The conditions that tie requests to accounts: path below `Condition`, key, and the tie of each value.
fn account_conditions(statement: &Statement) -> impl Iterator<Item = (String, AccountKey, Vec<Tie<'_>>)> {
    let keys = statement.conditions.iter().flat_map(|(name, keys)| keys.iter().map(move |entry| (name, entry)));
    keys.filter_map(|(name, (key, values))| {
        let operator = Operator::parse(name)?;
        let account_key = AccountKey::of(key)?;
        let ties: Option<Vec<Tie>> = values.iter().map(|value| operator.tie(account_key, value)).collect();
        Some((format!("{name}.{key}"), account_key, ties?))
    })
}

fn principals(statement: &Statement, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let Scope::Only(principals) = &statement.principals else { return Vec::new() };
    let (own, trust) = (context.account_id, context.trust);
    let proof = Proof::of(statement, context);
    let mut errors = Vec::new();
    // What grammar refuses says nothing about safety: one error for one mistake.
    for principal in principals.iter().filter(|principal| principal_rule(principal, context).is_none()) {
        let rule = match principal {
            Principal::Service(name) if !trust.allows_service(name) => trust.service_rule(name),
            Principal::Anyone | Principal::Service(_) if trust.allows_public() => continue,
            // Only services send the keys of a source: with them, "anyone" is any service.
            Principal::Anyone if proof.caller != Evidence::None || is_of_trusted_organization(statement, trust) => {
                continue;
            }
            Principal::Anyone if proof.source != Evidence::None && trust.allows_every_service() => continue,
            Principal::Anyone => format!(
                "allows anyone; name principals of account {own}, or add a condition that proves it: aws:PrincipalAccount, \
                 aws:PrincipalArn, aws:SourceAccount or aws:SourceArn of {own}, under StringEquals, ArnEquals or ArnLike \
                 (an organisation, VPC, endpoint or IP address does not prove an account)"
            ),
            Principal::Service(_) if proof.source != Evidence::None => continue,
            Principal::Service(name) => format!(
                "{name} acts for whoever asks it to; add a condition that proves account {own}: StringEquals on \
                 aws:SourceAccount, or ArnLike on aws:SourceArn (the ARN of an S3 bucket names no account)"
            ),
            Principal::Account(_) | Principal::Aws(_)
                if principal.account().is_some_and(|account| context.trusts_account(account)) =>
            {
                continue;
            }
            Principal::Account(name) | Principal::Aws(name) => context.foreign_rule(name),
            Principal::Federated(_) | Principal::CanonicalUser(_) => {
                format!("{} principals tell no account; name a role of account {own} instead", principal.kind())
            }
        };
        let path = match principal {
            Principal::Anyone => format!("{at}.Principal"),
            _ => format!("{at}.Principal.{}", principal.kind()),
        };
        errors.push(trust.refuse(path, &rule));
    }
    errors
}

/// Whether only principals of organizations that may be let in fit. Services have no organization.
fn is_of_trusted_organization(statement: &Statement, trust: Trust) -> bool {
    let mut keys = statement.conditions.iter().flat_map(|(name, keys)| keys.iter().map(move |entry| (name, entry)));
    keys.any(|(name, (key, values))| {
        key.is("aws:PrincipalOrgID")
            && Operator::parse(name).is_some_and(Operator::is_exact)
            && values.iter().all(|id| trust.allows_organization(id))
    })
}

/// A condition on another account's id is a grant to it, or a mistake.
fn foreign_conditions(statement: &Statement, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let own = context.account_id;
    let mut errors = Vec::new();
    for (below, _, ties) in account_conditions(statement) {
        for tie in ties {
            if let Tie::Account(account) = tie
                && !context.trusts_account(account)
            {
                let others = context.trust.accounts_in_words();
                let rule = format!("names account {account}; this queue is in {own}{others}");
                errors.push(context.trust.refuse(format!("{at}.Condition.{below}"), &rule));
            }
        }
    }
    errors
}
