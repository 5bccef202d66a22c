//! What the policy of a KMS key must say for those whom a queue's access lets in, and whether it does.
//! Sources: SQS Developer Guide, "Configuring KMS permissions for Amazon SQS"; AWS KMS Developer Guide, "kms:ViaService".

use std::collections::{BTreeMap, BTreeSet};

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

/// Whether a key policy lets somebody in; of several, the last is the one to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAccess {
    /// A statement does.
    Present,
    /// It leaves that to the IAM policies of the principal's account.
    Delegated,
    /// That depends on conditions of which nothing is known here.
    Unclear,
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

/// Whether `policy`, the policy of a key, says what `needed` says, in one statement or in several. Statements that deny are
/// not looked at.
#[must_use]
pub fn key_access(policy: &PolicyDocument, needed: &Statement) -> KeyAccess {
    let calls = needed.principals.values().iter().flat_map(|principal| {
        let actions = needed.actions.values().iter();
        actions.flat_map(move |action| facts(needed).into_iter().map(move |facts| Call::new(principal, action, facts)))
    });
    calls.map(|call| call.access(policy)).max().unwrap_or(KeyAccess::Present)
}

/// What is known of a call, by condition key in lower case.
type Facts = BTreeMap<String, String>;

/// Every combination of one value for each condition.
fn facts(needed: &Statement) -> Vec<Facts> {
    let mut all = vec![Facts::new()];
    for (key, values) in needed.conditions.values().flatten() {
        let with = |facts: &Facts, value: &String| {
            let mut facts = facts.clone();
            facts.insert(key.as_str().to_ascii_lowercase(), value.clone());
            facts
        };
        all = all.iter().flat_map(|facts| values.iter().map(move |value| with(facts, value))).collect();
    }
    all
}

/// One action of one principal on the key.
struct Call<'a> {
    principal: &'a Principal,
    action: &'a Folded,
    /// The principal's account, where it has one.
    account: Option<String>,
    facts: Facts,
}

/// Whether a condition is met by a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Yes,
    Unclear,
    No,
}

impl<'a> Call<'a> {
    fn new(principal: &'a Principal, action: &'a Folded, mut facts: Facts) -> Self {
        let account = match principal {
            Principal::Aws(arn) => account_of_arn(arn).map(ToOwned::to_owned),
            Principal::Account(id) => Some(id.clone()),
            _ => facts.get("aws:principalaccount").cloned(),
        };
        for key in ["kms:calleraccount", "aws:principalaccount"] {
            facts.extend(account.clone().map(|account| (key.to_owned(), account)));
        }
        if let Principal::Aws(arn) = principal {
            facts.insert("aws:principalarn".to_owned(), arn.clone());
        }
        Self { principal, action, account, facts }
    }

    fn access(&self, policy: &PolicyDocument) -> KeyAccess {
        let of_statement = |statement: &Statement| {
            let Scope::Only(those) = &statement.principals else { return KeyAccess::Missing };
            let is_direct = those.contains(self.principal) || those.contains(&Principal::Anyone);
            let of_account = |account: &String| those.contains(&Principal::Account(account.clone()));
            let is_delegated = self.account.as_ref().is_some_and(of_account);
            if !(is_direct || is_delegated) || !self.is_allowed_by(statement) {
                return KeyAccess::Missing;
            }
            match self.met(statement) {
                Met::Yes if is_direct => KeyAccess::Present,
                Met::Yes => KeyAccess::Delegated,
                Met::Unclear => KeyAccess::Unclear,
                Met::No => KeyAccess::Missing,
            }
        };
        policy.statements().iter().map(of_statement).min().unwrap_or(KeyAccess::Missing)
    }

    /// Whether a statement allows the action on the key, on whatever conditions. In a key's policy every resource is the key.
    fn is_allowed_by(&self, statement: &Statement) -> bool {
        let Scope::Only(actions) = &statement.actions else { return false };
        // The reader of policies takes "*" for all that SQS can do.
        let is_everything = |pattern: &Folded| pattern.is("sqs:*");
        let is_covered = |pattern: &Folded| is_everything(pattern) || matches_pattern(pattern, self.action);
        statement.effect == Effect::Allow && actions.iter().any(is_covered)
    }

    fn met(&self, statement: &Statement) -> Met {
        let conditions = statement
            .conditions
            .iter()
            .flat_map(|(operator, keys)| keys.iter().map(move |(key, values)| self.is_met(operator, key, values)));
        conditions.max().unwrap_or(Met::Yes)
    }

    fn is_met(&self, operator: &str, key: &Folded, values: &BTreeSet<String>) -> Met {
        let Some(fact) = self.facts.get(&key.as_str().to_ascii_lowercase()) else { return Met::Unclear };
        let fits = match operator {
            "StringEquals" => values.contains(fact),
            "StringLike" | "ArnLike" | "ArnEquals" => {
                values.iter().any(|pattern| super::actions::matches(pattern.as_bytes(), fact.as_bytes()))
            }
            _ => return Met::Unclear,
        };
        if fits { Met::Yes } else { Met::No }
    }
}
