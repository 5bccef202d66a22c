//! What was called, by whom, with what, and what became of it.

use jiff::Timestamp;
use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::attributes::Attributes;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::identity::{AssociationKey, RoleArn};
use prism_queue::domain::tags::Tags;

/// The actions that change something.
const WRITES: [&str; 21] = [
    "CreateQueue",
    "SetQueueAttributes",
    "DeleteQueue",
    "TagQueue",
    "UntagQueue",
    "CreatePolicy",
    "CreatePolicyVersion",
    "DeletePolicyVersion",
    "DeletePolicy",
    "TagPolicy",
    "UntagPolicy",
    "CreateRole",
    "UpdateAssumeRolePolicy",
    "PutRolePermissionsBoundary",
    "TagRole",
    "DeleteRole",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "CreatePodIdentityAssociation",
    "UpdatePodIdentityAssociation",
    "DeletePodIdentityAssociation",
];

/// One call to the world by a client of it.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Timestamp,
    /// The caller's ARN.
    pub caller: String,
    pub action: &'static str,
    /// The queue, where the call was about one.
    pub queue: Option<QueueArn>,
    /// The policy, where the call was about one.
    pub policy: Option<PolicyArn>,
    /// The role, where the call was about one, as the caller meant it: only its name was sent.
    pub role: Option<RoleArn>,
    /// The association, where the call was about one.
    pub association: Option<AssociationKey>,
    pub arguments: Arguments,
    /// What the caller was told; a crash is `Transient`.
    pub answer: Result<(), ErrorKind>,
    /// Whether it took effect, whatever the caller was told.
    pub took_effect: bool,
    /// The tags of what it was about before the call, when there was such a one.
    pub tags_before: Option<Tags>,
}

/// What a call carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    pub attributes: Attributes,
    pub tags: Tags,
    /// Of tags; a version; the policy that is attached or detached; the roles of an association.
    pub keys: Vec<String>,
    /// Of a policy in IAM, the trust policy of a role among them.
    pub document: String,
    /// A role's permissions boundary.
    pub boundary: String,
}

impl Call {
    /// What it was about.
    pub fn subject(&self) -> String {
        let queue = self.queue.as_ref().map(ToString::to_string);
        let policy = || self.policy.as_ref().map(ToString::to_string);
        let role = || self.role.as_ref().map(ToString::to_string);
        let association = || self.association.as_ref().map(ToString::to_string);
        queue.or_else(policy).or_else(role).or_else(association).unwrap_or_default()
    }

    /// Whether the action changes something when it succeeds.
    pub fn is_write(&self) -> bool {
        WRITES.contains(&self.action)
    }

    /// Whether it changed or deleted something that was there before.
    pub fn touched_existing(&self) -> bool {
        self.is_write() && self.took_effect && !self.action.starts_with("Create")
    }
}
