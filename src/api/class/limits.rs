//! What Queues may ask for.
// The descriptions are what `kubectl explain` shows: plain text, no Markdown.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::iam::Permission;
use super::super::queue::{AdoptionPolicy, DeadLetterMode, DeletionPolicy, EncryptionMode, QueueType};
use super::super::schema;

/// What Queues may ask for, defaults included. An omitted limit limits nothing, unless it says otherwise.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClassLimits {
    /// Standard, FIFO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    pub types: Option<Vec<QueueType>>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility_timeout_seconds: Option<Range>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_retention_seconds: Option<Range>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_wait_time_seconds: Option<Range>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<Range>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_message_size_bytes: Option<Range>,
    /// The dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterLimits>,
    /// Encryption at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionLimits>,
    /// The queue policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessLimits>,
    /// What is kept in IAM for those who use the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<IamLimits>,
    /// DeleteIfEmpty, Delete, Retain. While a Queue is being deleted, Retain is always allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub deletion_policies: Option<Vec<DeletionPolicy>>,
    /// Never, Adopt. Omitted: Never alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    pub adoption_policies: Option<Vec<AdoptionPolicy>>,
    /// Keys that must be among the tags with a value, whoever sets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::tag_keys")]
    pub required_tags: Option<Vec<String>>,
    /// What a custom queueName, of a queue or of a managed dead-letter queue, must look like as a whole, .fifo included, as a
    /// regular expression (RE2); {namespace} stands for the Queue's namespace. Omitted or empty: no custom names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub queue_name_pattern: Option<String>,
}

/// From min to max, both allowed; one that is omitted limits nothing.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.min) || !has(self.max) || self.min <= self.max").message("min must not exceed max"),
)]
pub struct Range {
    /// The least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min: Option<i32>,
    /// The most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max: Option<i32>,
}

/// Limits of dead-letter queues.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterLimits {
    /// Managed, Reference, None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub modes: Option<Vec<DeadLetterMode>>,
    /// How often a message may be received before it is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_receive_count: Option<Range>,
    /// Queues that no Queue of the cluster stands for, and that may be used by ARN. Omitted: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::queue_arns")]
    pub queue_arns: Option<Vec<String>>,
}

/// Limits of encryption at rest.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionLimits {
    /// SQSManaged, KMS, None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub modes: Option<Vec<EncryptionMode>>,
    /// With mode KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms: Option<KmsLimits>,
}

/// Limits of KMS keys.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KmsLimits {
    /// The keys as a Queue may write them, compared literally: an alias only where the alias is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::keys")]
    pub keys: Option<Vec<String>>,
}

/// Limits of what is kept in IAM.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IamLimits {
    /// Send, Consume, Inspect, Redrive: the permissions for which a Queue may ask for policies. None: an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::permissions")]
    pub policies: Option<Vec<Permission>>,
    /// ServiceAccount, Role, Principal: whom QueueAccesses may let in. Omitted: ServiceAccount and Principal, and Role as far
    /// as roleArnPatterns go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::subject_kinds")]
    pub subject_kinds: Option<Vec<SubjectKind>>,
    /// Roles of the class's account that policies may be attached to, as subject.roleArn or because a ServiceAccount is
    /// annotated with them. '*' stands for any characters. Omitted: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::role_patterns")]
    pub role_arn_patterns: Option<Vec<String>>,
}

/// What a subject can be.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(transform = schema::undescribed)]
pub enum SubjectKind {
    /// A ServiceAccount of Kubernetes.
    ServiceAccount,
    /// A role of IAM, by its ARN, that policies are attached to.
    Role,
    /// A role or user of IAM, by its ARN, that the queue policy names.
    Principal,
}

impl SubjectKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ServiceAccount, Self::Role, Self::Principal];

    /// The word in a spec.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Role => "Role",
            Self::Principal => "Principal",
        }
    }
}

/// Limits of queue policies.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AccessLimits {
    /// true: no Queue may allow plain HTTP.
    #[serde(default, rename = "requireTLS", skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<bool>,
    /// Accounts that producers, consumers and statements may let in, besides the class's own. Omitted: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::accounts")]
    pub principal_accounts: Option<Vec<String>>,
    /// AWS services that producers and statements may let in, for example sns.amazonaws.com. Omitted: all, each tied to an
    /// account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::services")]
    pub services: Option<Vec<String>>,
    /// AWS organizations that producers, consumers and statements may let in, for example o-a1b2c3d4e5. Omitted: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::organizations")]
    pub organization_ids: Option<Vec<String>>,
    /// Whether statements may allow anyone, and services that act for anyone. Omitted: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_public: Option<bool>,
}
