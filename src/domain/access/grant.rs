//! A `QueueAccess` as its Queue needs to know it.

use std::collections::BTreeSet;

use crate::api::class::SubjectKind;
use crate::api::queue_access::AccessSubject;
use crate::api::{FINALIZER, QueueAccess};

use super::super::class::Labels;
use super::super::fleet::{Key, Seniority};
use super::super::permission::Permission;

/// Who gets a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The `ServiceAccount` of this name, in the namespace of the `QueueAccess`.
    ServiceAccount(String),
    /// The role of this ARN, that policies are attached to.
    Role(String),
    /// The role or user of this ARN, that the queue policy names.
    Principal(String),
}

impl Subject {
    /// What `spec` says. One that says nothing, which the API server refuses, is a principal that no rule accepts.
    #[must_use]
    pub fn of(spec: &AccessSubject) -> Self {
        match (&spec.service_account, &spec.role_arn) {
            (Some(account), _) => Self::ServiceAccount(account.name.clone()),
            (None, Some(role)) => Self::Role(role.clone()),
            (None, None) => Self::Principal(spec.principal_arn.clone().unwrap_or_default()),
        }
    }

    /// Of which kind it is.
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::ServiceAccount(_) => SubjectKind::ServiceAccount,
            Self::Role(_) => SubjectKind::Role,
            Self::Principal(_) => SubjectKind::Principal,
        }
    }

    /// The ARN, when the queue policy is to name it.
    #[must_use]
    pub fn principal_arn(&self) -> Option<&str> {
        match self {
            Self::Principal(arn) => Some(arn),
            Self::ServiceAccount(_) | Self::Role(_) => None,
        }
    }
}

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
    pub subject: Subject,
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
            subject: Subject::of(&access.spec.subject),
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
