//! A `QueueAccess` as its Queue needs to know it.

use std::collections::BTreeSet;

use crate::api::{FINALIZER, QueueAccess};

use super::super::class::Labels;
use super::super::fleet::{Key, Seniority};
use super::super::permission::Permission;

/// What a Queue needs to know of a `QueueAccess` that points to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which `QueueAccess`.
    pub key: Key,
    /// Its UID.
    pub uid: String,
    /// Its generation.
    pub generation: Option<i64>,
    /// The Queue that it points to, there or not.
    pub queue: Key,
    /// What it asks for.
    pub permissions: BTreeSet<Permission>,
    /// Whom it lets in.
    pub principal_arn: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it waits, when deleted, until it is in force no longer.
    pub has_finalizer: bool,
    /// The labels of its namespace, when they are known.
    pub labels: Option<Labels>,
    seniority: Seniority,
}

impl Grant {
    /// Of an object as the API server gave it, in a namespace with these labels.
    #[must_use]
    pub fn of(access: &QueueAccess, labels: Option<&Labels>) -> Self {
        let metadata = &access.metadata;
        let uid = metadata.uid.clone().unwrap_or_default();
        Self {
            key: Key::of_metadata(metadata),
            generation: metadata.generation,
            queue: queue_of(access),
            permissions: access.spec.permissions.iter().copied().collect(),
            principal_arn: access.spec.subject.principal_arn.clone(),
            deleting: metadata.deletion_timestamp.is_some(),
            has_finalizer: metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER),
            labels: labels.cloned(),
            seniority: (metadata.creation_timestamp.as_ref().map(|time| time.0), uid.clone()),
            uid,
        }
    }

    /// By what grants are sorted: who came first is let in first.
    #[must_use]
    pub fn seniority(&self) -> &Seniority {
        &self.seniority
    }
}

/// The Queue that `access` points to, there or not.
#[must_use]
pub fn queue_of(access: &QueueAccess) -> Key {
    let to = &access.spec.queue_ref;
    let namespace = to.namespace.clone().or_else(|| access.metadata.namespace.clone()).unwrap_or_default();
    Key { namespace, name: to.name.clone() }
}
