//! One write, as data.

use std::collections::BTreeSet;

use crate::api::conditions::EventReason;
use crate::api::status::{GrantStatus, PolicyStatus, RetiredDeadLetter, Target};

use super::super::attributes::Attributes;
use super::super::iam::{IdentityPolicy, PolicyArn};
use super::super::names::QueueName;
use super::super::outputs::{Output, OutputKind};
use super::super::tags::Tags;

/// One write. A step is data: it can be printed, compared, counted and refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put our finalizer on the Queue, before anything that it must hold back for.
    AddFinalizer,
    /// Let the Queue go.
    RemoveFinalizer,
    /// Write to status where the queues live, before AWS hears of them.
    Record {
        /// The queue and its managed dead-letter queue.
        target: Target,
        /// Dead-letter queues no longer used.
        retired: Vec<RetiredDeadLetter>,
        /// Policies in IAM, those too that are no longer wanted.
        policies: Vec<PolicyStatus>,
        /// Those whom the queue policy lets in, or is about to.
        grants: Vec<GrantStatus>,
        /// The keys of the tags that are or will be set.
        tag_keys: BTreeSet<String>,
        /// The declaration that is known to be applied in full; that of another is forgotten before this one is begun.
        applied_digest: Option<String>,
    },
    /// Create a queue, then read back its tags and attributes.
    CreateQueue {
        /// Its name.
        name: QueueName,
        /// Its attributes.
        attributes: Attributes,
        /// Its tags, the owner tags among them.
        tags: Tags,
    },
    /// Write attributes of a queue.
    SetAttributes {
        /// The queue.
        queue: QueueHandle,
        /// Just these.
        attributes: Attributes,
        /// What the event says.
        event: EventReason,
    },
    /// Add or overwrite tags.
    TagQueue {
        /// The queue.
        queue: QueueHandle,
        /// Just these.
        tags: Tags,
        /// What the event says.
        event: EventReason,
    },
    /// Remove tags.
    UntagQueue {
        /// The queue.
        queue: QueueHandle,
        /// Just these.
        keys: Vec<String>,
        /// What the event says.
        event: EventReason,
    },
    /// Delete a queue with all its messages.
    DeleteQueue {
        /// The queue.
        queue: QueueHandle,
    },
    /// Create a policy in IAM.
    CreatePolicy {
        /// Where.
        arn: PolicyArn,
        /// What it says.
        document: IdentityPolicy,
        /// Its tags: the owner's.
        tags: Tags,
    },
    /// Make a version of a policy and put it in force.
    UpdatePolicy {
        /// Which policy.
        arn: PolicyArn,
        /// What it says.
        document: IdentityPolicy,
        /// What the event says.
        event: EventReason,
    },
    /// Delete a version of a policy that is not in force.
    DeletePolicyVersion {
        /// Which policy.
        arn: PolicyArn,
        /// For example `v3`.
        version: String,
    },
    /// Delete a policy that has one version left and is attached to nobody.
    DeletePolicy {
        /// Which policy.
        arn: PolicyArn,
    },
    /// Renew the owner tags of a policy.
    TagPolicy {
        /// Which policy.
        arn: PolicyArn,
        /// Just these.
        tags: Tags,
    },
    /// Remove the owner tags of a policy.
    UntagPolicy {
        /// Which policy.
        arn: PolicyArn,
        /// Just these.
        keys: Vec<String>,
    },
    /// Make a Secret or `ConfigMap` so.
    WriteOutput(Output),
    /// Remove a Secret or `ConfigMap` of this Queue.
    DeleteOutput {
        /// Secret or `ConfigMap`.
        kind: OutputKind,
        /// Its name.
        name: String,
    },
}

impl Step {
    /// Its name, for logs: a step's content may be a workload's.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddFinalizer => "AddFinalizer",
            Self::RemoveFinalizer => "RemoveFinalizer",
            Self::Record { .. } => "Record",
            Self::CreateQueue { .. } => "CreateQueue",
            Self::SetAttributes { .. } => "SetAttributes",
            Self::TagQueue { .. } => "TagQueue",
            Self::UntagQueue { .. } => "UntagQueue",
            Self::DeleteQueue { .. } => "DeleteQueue",
            Self::CreatePolicy { .. } => "CreatePolicy",
            Self::UpdatePolicy { .. } => "UpdatePolicy",
            Self::DeletePolicyVersion { .. } => "DeletePolicyVersion",
            Self::DeletePolicy { .. } => "DeletePolicy",
            Self::TagPolicy { .. } => "TagPolicy",
            Self::UntagPolicy { .. } => "UntagPolicy",
            Self::WriteOutput(_) => "WriteOutput",
            Self::DeleteOutput { .. } => "DeleteOutput",
        }
    }
}

/// A queue that answers: its name for people, its URL for calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueHandle {
    /// Its name.
    pub name: QueueName,
    /// Its URL.
    pub url: String,
}
