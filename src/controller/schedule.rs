//! When an object is worked on. Every write of ours comes back through a watch: what brings no news must not cost
//! calls to AWS.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use kube::Resource;

use crate::api::{ALLOW_MESSAGE_LOSS, FINALIZER, RECONCILE_AT};
use crate::domain::observed::Memory;

use super::queue::Outcome;

/// What of an object makes a pass necessary when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    generation: Option<i64>,
    is_deleting: bool,
    has_finalizer: bool,
    annotations: [Option<String>; 2],
}

impl Fingerprint {
    /// Of an object.
    #[must_use]
    pub fn of(object: &impl Resource) -> Self {
        let metadata = object.meta();
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key).cloned());
        Self {
            generation: metadata.generation,
            is_deleting: metadata.deletion_timestamp.is_some(),
            has_finalizer: metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER),
            annotations: [annotation(RECONCILE_AT), annotation(ALLOW_MESSAGE_LOSS)],
        }
    }
}

/// What is known of one object between passes.
#[derive(Debug, Default)]
struct Entry {
    memory: Memory,
    seen: Option<Fingerprint>,
    due: Option<Timestamp>,
    superseded: Vec<String>,
    is_called_for: bool,
}

/// Whether to work on an object now.
#[derive(Debug)]
pub enum Gate {
    /// Yes, with what is remembered of it.
    Open(Box<Memory>),
    /// Nothing is new; look again after this time.
    Closed(SignedDuration),
}

/// How soon to look again when the cache is behind our own write; the watch event usually comes first.
const BEHIND: SignedDuration = SignedDuration::from_secs(1);

/// What is known of all objects between passes, by UID.
#[derive(Debug, Default)]
pub struct Schedule {
    entries: Mutex<HashMap<String, Entry>>,
}

impl Schedule {
    /// Something that `object` depends on has changed: its next turn is a real one.
    pub fn call_for(&self, object: &impl Resource) {
        self.entries().entry(uid(object)).or_default().is_called_for = true;
    }

    /// Forgets every object that is not among `living`, by UID.
    pub fn keep(&self, living: &HashSet<String>) {
        self.entries().retain(|uid, _| living.contains(uid));
    }

    /// Whether to work on `object`, as the cache shows it, at `now`.
    #[must_use]
    pub fn enter(&self, object: &impl Resource, now: Timestamp) -> Gate {
        let mut entries = self.entries();
        let entry = entries.entry(uid(object)).or_default();
        if object.meta().resource_version.as_ref().is_some_and(|version| entry.superseded.contains(version)) {
            return Gate::Closed(BEHIND);
        }
        let is_news = entry.is_called_for || entry.seen.as_ref() != Some(&Fingerprint::of(object));
        match entry.due {
            Some(due) if !is_news && now < due => Gate::Closed(due.duration_since(now)),
            _ => {
                entry.is_called_for = false;
                Gate::Open(Box::new(std::mem::take(&mut entry.memory)))
            }
        }
    }

    /// A pass over `object` ended so.
    pub fn leave<K: Resource>(&self, object: &K, memory: Memory, outcome: &Outcome<K>, now: Timestamp) {
        let mut entries = self.entries();
        let entry = entries.entry(uid(object)).or_default();
        entry.memory = memory;
        entry.seen = Some(Fingerprint::of(&outcome.newest));
        entry.due = now.checked_add(outcome.requeue).ok();
        entry.superseded.clone_from(&outcome.superseded);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn uid(object: &impl Resource) -> String {
    object.meta().uid.clone().unwrap_or_default()
}
