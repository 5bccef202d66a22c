//! What we ask of AWS: one narrow trait a service, the SDK behind it, one classification of errors,
//! one budget of calls.

pub mod breaker;
pub mod budget;
pub mod endpoint;
pub mod error;
mod meter;
pub mod sdk;
pub mod target;

use async_trait::async_trait;

use crate::domain::attributes::{Attributes, QueueAttributes};
use crate::domain::call::CallError;
use crate::domain::class::{Evaluation, Question};
use crate::domain::iam::{Policy, PolicyArn};
use crate::domain::identity::{Association, AssociationKey, Role, RoleArn};
use crate::domain::names::QueueName;
use crate::domain::tags::Tags;

pub use meter::{CallObserver, MayWrite};

/// The calls to SQS that the operator makes, and no others. Every call is bounded in time and counted
/// against the account's budget by its implementation; none is retried within.
#[async_trait]
pub trait Sqs: Send + Sync {
    /// Creates a queue and returns its URL. On a queue that is there with identical attributes it returns
    /// that queue's URL **silently** and changes nothing, its tags neither: it proves nothing about ownership.
    async fn create_queue(&self, name: &QueueName, attributes: &Attributes, tags: &Tags) -> Result<String, CallError>;

    /// The URL of the queue `name` in the caller's own account.
    async fn get_queue_url(&self, name: &QueueName) -> Result<String, CallError>;

    /// All attributes and counts.
    async fn get_queue_attributes(&self, queue_url: &str) -> Result<QueueAttributes, CallError>;

    /// Writes `attributes` and leaves the others alone. An empty text removes policies and the KMS key.
    async fn set_queue_attributes(&self, queue_url: &str, attributes: &Attributes) -> Result<(), CallError>;

    /// Deletes a queue with all its messages. Takes up to 60 s.
    async fn delete_queue(&self, queue_url: &str) -> Result<(), CallError>;

    /// All tags.
    async fn list_queue_tags(&self, queue_url: &str) -> Result<Tags, CallError>;

    /// Adds or overwrites `tags` and leaves the others alone.
    async fn tag_queue(&self, queue_url: &str, tags: &Tags) -> Result<(), CallError>;

    /// Removes the tags of these keys.
    async fn untag_queue(&self, queue_url: &str, keys: &[String]) -> Result<(), CallError>;

    /// URLs of queues whose names begin with `prefix`, at most [`LIST_PAGE`]: one page.
    async fn list_queues(&self, prefix: &QueueName) -> Result<Vec<String>, CallError>;
}

/// The most queues that one page of `ListQueues` holds. Source: `ListQueues` in the SQS API reference.
pub const LIST_PAGE: usize = 1000;

/// Who the operator is to AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// Twelve digits.
    pub account_id: String,
    /// The caller's ARN.
    pub arn: String,
}

/// The call to STS that the operator makes.
#[async_trait]
pub trait Sts: Send + Sync {
    /// `GetCallerIdentity`: needs no permission, so it fails only on bad credentials or no network.
    async fn caller_identity(&self) -> Result<CallerIdentity, CallError>;
}

/// The calls to IAM about managed policies that the operator makes. IAM shows changes late: what a call says of a policy may
/// be what was before the last write.
#[async_trait]
pub trait Policies: Send + Sync {
    /// `GetPolicy`: the policy without what it says.
    async fn get_policy(&self, arn: &PolicyArn) -> Result<Policy, CallError>;

    /// `GetPolicyVersion`: what a version says, as JSON. It never changes.
    async fn get_policy_version(&self, arn: &PolicyArn, version: &str) -> Result<String, CallError>;

    /// `ListPolicyVersions`: the versions that are not in force, the oldest first.
    async fn other_versions(&self, arn: &PolicyArn) -> Result<Vec<String>, CallError>;

    /// `CreatePolicy`: refused when any policy of the account has this name, whatever its path.
    async fn create_policy(&self, arn: &PolicyArn, document: &str, tags: &Tags) -> Result<Policy, CallError>;

    /// `CreatePolicyVersion`, put in force: answers with the version. Refused when there are five already.
    async fn create_policy_version(&self, arn: &PolicyArn, document: &str) -> Result<String, CallError>;

    /// `DeletePolicyVersion`: refused for the version in force.
    async fn delete_policy_version(&self, arn: &PolicyArn, version: &str) -> Result<(), CallError>;

    /// `DeletePolicy`: refused while it has other versions or is attached to anybody.
    async fn delete_policy(&self, arn: &PolicyArn) -> Result<(), CallError>;

    /// `TagPolicy`: adds or overwrites `tags` and leaves the others alone.
    async fn tag_policy(&self, arn: &PolicyArn, tags: &Tags) -> Result<(), CallError>;

    /// `UntagPolicy`: removes the tags of these keys.
    async fn untag_policy(&self, arn: &PolicyArn, keys: &[String]) -> Result<(), CallError>;
}

/// The calls to IAM about roles that the operator makes. IAM shows changes late, of roles too.
///
/// All of them go by the role's **name**, in the caller's own account: neither the path nor the account of the ARN is
/// sent. A role of this name at another path is what they find and change; [`Role::arn`] tells which one it is.
#[async_trait]
pub trait Roles: Send + Sync {
    /// `GetRole`: all of it but its policies.
    async fn get_role(&self, arn: &RoleArn) -> Result<Role, CallError>;

    /// `CreateRole`, with the permissions boundary `boundary` (an ARN): refused when any role of the account has this
    /// name, whatever its path.
    async fn create_role(&self, arn: &RoleArn, trust: &str, boundary: &str, tags: &Tags) -> Result<Role, CallError>;

    /// `UpdateAssumeRolePolicy`: replaces the trust policy.
    async fn update_trust(&self, arn: &RoleArn, trust: &str) -> Result<(), CallError>;

    /// `PutRolePermissionsBoundary`: replaces the boundary.
    async fn put_boundary(&self, arn: &RoleArn, boundary: &str) -> Result<(), CallError>;

    /// `TagRole`: adds or overwrites `tags` and leaves the others alone.
    async fn tag_role(&self, arn: &RoleArn, tags: &Tags) -> Result<(), CallError>;

    /// `DeleteRole`: refused while anything is attached to it.
    async fn delete_role(&self, arn: &RoleArn) -> Result<(), CallError>;

    /// `ListAttachedRolePolicies`: the ARNs of all managed policies that are attached, AWS's own among them.
    async fn attached_policies(&self, arn: &RoleArn) -> Result<Vec<String>, CallError>;

    /// `AttachRolePolicy`: does nothing where it is attached. Refused when the role has as many as its account allows.
    async fn attach(&self, arn: &RoleArn, policy: &PolicyArn) -> Result<(), CallError>;

    /// `DetachRolePolicy`: refused when it is not attached.
    async fn detach(&self, arn: &RoleArn, policy: &PolicyArn) -> Result<(), CallError>;
}

/// The calls to EKS about Pod Identity that the operator makes, in the cluster's account. Pods learn of a change when they
/// are made, and some seconds late.
#[async_trait]
pub trait Associations: Send + Sync {
    /// `ListPodIdentityAssociations` and `DescribePodIdentityAssociation`: the association of a ServiceAccount, if it has
    /// one. [`EntityDoesNotExist`](crate::domain::call::ErrorKind::EntityDoesNotExist) says that there is no such cluster.
    async fn find(&self, key: &AssociationKey) -> Result<Option<Association>, CallError>;

    /// `CreatePodIdentityAssociation`: refused with
    /// [`EntityAlreadyExists`](crate::domain::call::ErrorKind::EntityAlreadyExists) when the ServiceAccount has one. The role
    /// must be in the cluster's account, and the caller needs `iam:PassRole` for it.
    async fn create(
        &self,
        key: &AssociationKey,
        role_arn: &str,
        target_role_arn: Option<&str>,
        tags: &Tags,
    ) -> Result<Association, CallError>;

    /// `UpdatePodIdentityAssociation`: replaces both roles; without a target role, one that is there is taken away. EKS may
    /// refuse what changes nothing.
    async fn update(
        &self,
        key: &AssociationKey,
        id: &str,
        role_arn: &str,
        target_role_arn: Option<&str>,
    ) -> Result<Association, CallError>;

    /// `DeletePodIdentityAssociation`.
    async fn delete(&self, key: &AssociationKey, id: &str) -> Result<(), CallError>;
}

/// The call to IAM about the operator itself.
#[async_trait]
pub trait Iam: Send + Sync {
    /// `SimulatePrincipalPolicy`: whether the policies of a role or user allow actions on resources, its permissions boundary
    /// and the organisation's policies among them. Nothing is done.
    async fn simulate(&self, question: &Question) -> Result<Vec<Evaluation>, CallError>;
}

/// The calls to KMS that the operator makes.
#[async_trait]
pub trait Kms: Send + Sync {
    /// `DescribeKey`: the ARN of the key that an id, ARN or alias means.
    async fn key_arn(&self, key: &str) -> Result<String, CallError>;

    /// `GetKeyPolicy`: the policy, as JSON, of the key with this id or ARN; no alias.
    async fn key_policy(&self, key: &str) -> Result<String, CallError>;
}
