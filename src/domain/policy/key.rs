//! What the policy of a KMS key must say for those whom a queue's access lets in, and whether it does.
//! Sources: SQS Developer Guide, "Configuring KMS permissions for Amazon SQS"; AWS KMS Developer Guide, "kms:ViaService".

use std::collections::BTreeSet;

use super::actions::matches_pattern;
use super::compose::compose;
use super::document::PolicyDocument;
use super::grantee::Grantee;
use super::principal::{Principal, account_of_arn};
use super::statement::{Effect, Folded, Scope, Statement};

/// What whoever sends needs on the key. Decrypt too: SQS verifies a data key before it uses it again.
const SENDS: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

/// What whoever receives needs on it.
const RECEIVES: [&str; 1] = ["kms:Decrypt"];

/// Whether a key policy lets somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAccess {
    /// A statement does.
    Present,
    /// It leaves that to the IAM policies of the principal's account.
    Delegated,
    /// No statement does.
    Missing,
}

/// The statements that the key's policy needs for producers and consumers, merged. `via_service` is SQS as
/// `kms:ViaService` names it: AWS principals may use the key through SQS only.
pub(super) fn key_statements(producers: &[Grantee], consumers: &[Grantee], via_service: &str) -> Vec<Statement> {
    let sends = producers.iter().map(|producer| producer.using_key(&SENDS, via_service));
    let receives = consumers.iter().map(|consumer| consumer.using_key(&RECEIVES, via_service));
    compose(sends.chain(receives).collect()).statements().to_vec()
}

/// Whether `policy`, the policy of a key, says what `needed` says. Statements that deny are not looked at.
#[must_use]
pub fn key_access(policy: &PolicyDocument, needed: &Statement) -> KeyAccess {
    let one_by_one = needed
        .principals
        .values()
        .iter()
        .flat_map(|principal| needed.actions.values().iter().map(move |action| (principal, action)));
    // The weakest link tells.
    let access = one_by_one.map(|(principal, action)| {
        let fits = |principals: &BTreeSet<Principal>| {
            policy.statements().iter().any(|statement| {
                matches!(&statement.principals, Scope::Only(those) if !those.is_disjoint(principals))
                    && allows(statement, action)
                    && asks_no_more(statement, needed)
            })
        };
        let account = match principal {
            Principal::Aws(arn) => account_of_arn(arn),
            _ => None,
        };
        if fits(&BTreeSet::from([principal.clone(), Principal::Anyone])) {
            KeyAccess::Present
        } else if account.is_some_and(|id| fits(&BTreeSet::from([Principal::Account(id.to_owned())]))) {
            KeyAccess::Delegated
        } else {
            KeyAccess::Missing
        }
    });
    access.max().unwrap_or(KeyAccess::Present)
}

/// Whether a statement of a key's policy allows an action on the key: there, `*` is the key.
fn allows(statement: &Statement, action: &Folded) -> bool {
    let is_covered = |actions: &BTreeSet<Folded>| actions.iter().any(|pattern| matches_pattern(pattern, action));
    statement.effect == Effect::Allow
        && matches!(&statement.actions, Scope::Only(actions) if is_covered(actions))
        && matches!(&statement.resources, Scope::Only(resources) if !resources.is_empty())
}

/// Whether every condition of a statement is among those that hold for `needed` anyway.
fn asks_no_more(statement: &Statement, needed: &Statement) -> bool {
    statement.conditions.iter().all(|(operator, keys)| {
        keys.iter().all(|(key, values)| {
            let ours = needed.conditions.get(operator).and_then(|keys| keys.get(key));
            ours.is_some_and(|ours| ours.is_subset(values))
        })
    })
}
