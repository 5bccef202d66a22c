//! From permissions on queues to the statements of a policy: these actions on these ARNs, and on the keys what they need.

use std::collections::{BTreeMap, BTreeSet};

use super::super::arn::{Place, sqs_of};
use super::super::encryption::canonical_key;
use super::super::permission::{Permission, on_key};
use super::document::{Allow, Conditions, IdentityPolicy};

/// A permission on a queue and its dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What is allowed.
    pub permission: Permission,
    /// The queue.
    pub queue: GrantedQueue,
    /// Its dead-letter queue.
    pub dead_letter: Option<GrantedQueue>,
}

/// A queue that somebody may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedQueue {
    /// Its ARN.
    pub arn: String,
    /// The KMS key that encrypts it: id, ARN or alias.
    pub key: Option<String>,
}

/// The policy that allows `grants`, all of queues in `place`, and nothing else.
#[must_use]
pub fn compile(grants: &[Grant], place: &Place) -> IdentityPolicy {
    let mut actions_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut keys: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for Grant { permission, queue, dead_letter } in grants {
        let on_queue = Some((queue, permission.on_queue()));
        let on_dead_letters = dead_letter.as_ref().map(|queue| (queue, permission.on_dead_letter_queue()));
        for (queue, actions) in on_queue.into_iter().chain(on_dead_letters).filter(|(_, actions)| !actions.is_empty()) {
            actions_of.entry(&queue.arn).or_default().extend(actions);
            if let Some(key) = &queue.key {
                keys.entry(canonical_key(key, place)).or_default().extend(on_key(actions));
            }
        }
    }
    let on_queues = merged(actions_of.into_iter().map(|(arn, actions)| (arn.to_owned(), actions)));
    let on_queues = on_queues.map(|(actions, resources)| Allow { resources, actions, conditions: Conditions::new() });
    let on_keys = keys.into_iter().map(|(key, actions)| through_sqs(key, &actions, place));
    IdentityPolicy::of(on_queues.chain(on_keys))
}

/// Resources on which the same actions are allowed share a statement.
fn merged<'a>(
    resources: impl Iterator<Item = (String, BTreeSet<&'a str>)>,
) -> impl Iterator<Item = (BTreeSet<String>, BTreeSet<String>)> {
    let mut by_actions: BTreeMap<BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
    for (resource, actions) in resources {
        by_actions.entry(actions.into_iter().map(str::to_owned).collect()).or_default().insert(resource);
    }
    by_actions.into_iter()
}

/// A key may be used through SQS only. An alias as resource would mean the alias itself, so it becomes a condition on the
/// keys of its account. Sources: AWS KMS Developer Guide, "kms:ViaService" and "Use aliases to control access to KMS keys".
fn through_sqs(key: String, actions: &BTreeSet<&str>, place: &Place) -> Allow {
    let service = sqs_of(&place.region);
    let equal = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), BTreeSet::from([value.to_owned()]))]);
    let mut conditions = Conditions::from([("StringEquals".to_owned(), equal("kms:ViaService", &service))]);
    let resource = match key.split_once(":alias/") {
        Some((keys, alias)) => {
            let aliases = equal("kms:ResourceAliases", &format!("alias/{alias}"));
            conditions.insert("ForAnyValue:StringEquals".to_owned(), aliases);
            format!("{keys}:key/*")
        }
        None => key,
    };
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Allow { resources: BTreeSet::from([resource]), actions, conditions }
}
