//! `Queue.status`: what the operator learned. Everything here can be lost and is found again, but
//! `target`, which says where the queue lives, `retiredDeadLetters`, and the policies of `iam` that are no longer declared.
// The descriptions are what `kubectl explain` shows: plain text, no Markdown.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::iam::{IamStatus, PolicyStatus};
use super::queue::{
    DeadLetterMode, DeduplicationScope, DeletionPolicy, EncryptionMode, QueueType, RedriveAllowMode, ThroughputLimit,
};
use super::schema;

/// What the operator found and did.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// The generation of the spec that this status speaks of; -1 before the operator saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Propagated, Reconciling, Stalled, Drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Where the queue lives, recorded before the first write to AWS. It is looked for nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The settings that came out of spec and defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
    /// The queue's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_url: Option<String>,
    /// The queue's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_arn: Option<String>,
    /// The queue's name in AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_name: Option<String>,
    /// The dead-letter queue in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterStatus>,
    /// Dead-letter queues no longer used, kept until they are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_dead_letters: Vec<RetiredDeadLetter>,
    /// The Service Binding Secret; makes this Queue a Provisioned Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingStatus>,
    /// The Secrets and ConfigMaps that workloads read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputReference>,
    /// What is in IAM for those who use the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<IamStatus>,
    /// The QueueAccesses that the queue policy lets in, or is about to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::grants")]
    pub grants: Vec<GrantStatus>,
    /// The keys of the tags that the operator set; it removes no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_tag_keys: Vec<String>,
    /// What was last written to AWS, so that a restarted operator waits for it to show instead of writing again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_write: Option<LastWrite>,
    /// With drift.mode Report in the class: what the declaration was when it was last applied in full, as a SHA-256. What
    /// differs from the same declaration was changed from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_digest: Option<String>,
    /// With encryption mode KMS: what the key's policy must say for spec.access.producers and consumers, and whether it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_policy: Option<KeyPolicyStatus>,
    /// Approximate message counts, written at most once a resync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Messages>,
}

/// What the policy of the queue's KMS key must say.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct KeyPolicyStatus {
    /// The key, as the Queue names it.
    pub key: String,
    /// The statements that producers and consumers need, to paste into the key's policy.
    pub statements: Vec<KeyStatement>,
    /// Why it is not known whether they are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A statement that a key's policy needs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct KeyStatement {
    /// The statement, in IAM's own grammar.
    #[schemars(schema_with = "schema::statement")]
    pub statement: serde_json::Value,
    /// Present, Delegated, Missing or Unknown.
    pub state: KeyStatementState,
}

/// Whether a statement is in a key's policy.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatementState {
    /// The policy says as much.
    Present,
    /// The policy leaves it to the IAM policies of the principal's account: they must allow it.
    Delegated,
    /// It does not: what is sent or received by these principals fails.
    Missing,
    /// Nobody could look.
    Unknown,
}

/// Where a queue lives. It does not change while the Queue lives, but for the dead-letter queue's name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The class, or what stands in for one.
    pub queue_class_name: String,
    /// Twelve digits.
    pub account_id: String,
    /// For example eu-central-1.
    pub region: String,
    /// The queue's name in AWS.
    pub queue_name: String,
    /// The managed dead-letter queue's name in AWS, on record before it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue_name: Option<String>,
    /// Standard or FIFO.
    #[serde(rename = "type")]
    pub queue_type: QueueType,
}

/// The settings that came out of spec and defaults.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// Seconds.
    pub visibility_timeout_seconds: i64,
    /// Seconds.
    pub message_retention_seconds: i64,
    /// Seconds.
    pub receive_wait_time_seconds: i64,
    /// Seconds.
    pub delay_seconds: i64,
    /// Bytes.
    pub maximum_message_size_bytes: i64,
    /// With type FIFO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fifo: Option<EffectiveFifo>,
    /// The dead-letter queue.
    pub dead_letter: EffectiveDeadLetter,
    /// Who may use this queue as their dead-letter queue.
    pub redrive_allow: EffectiveRedriveAllow,
    /// Encryption at rest.
    pub encryption: EffectiveEncryption,
    /// Whether requests over plain HTTP are refused.
    #[serde(rename = "requireTLS")]
    pub require_tls: bool,
    /// What happens to the queue when the Queue is deleted.
    pub deletion_policy: DeletionPolicy,
}

/// FIFO settings in effect.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveFifo {
    /// Whether the body's hash deduplicates.
    pub content_based_deduplication: bool,
    /// Where duplicates are looked for.
    pub deduplication_scope: DeduplicationScope,
    /// What the throughput quota applies to.
    pub throughput_limit: ThroughputLimit,
}

/// Dead-letter settings in effect.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveDeadLetter {
    /// Managed, Reference or None.
    pub mode: DeadLetterMode,
    /// Receives before a message is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_receive_count: Option<i64>,
    /// The managed dead-letter queue's retention, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_retention_seconds: Option<i64>,
}

/// Redrive-allow settings in effect.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveRedriveAllow {
    /// AllowAll, DenyAll or ByQueue: what Auto came to.
    pub mode: RedriveAllowMode,
    /// With ByQueue: the sources allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_queue_arns: Vec<String>,
}

/// Encryption settings in effect.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveEncryption {
    /// SQSManaged, KMS or None.
    pub mode: EncryptionMode,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_key_reuse_seconds: Option<i64>,
}

/// The dead-letter queue in use.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterStatus {
    /// Its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_url: Option<String>,
    /// Its ARN.
    pub queue_arn: String,
}

/// A dead-letter queue no longer used.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RetiredDeadLetter {
    /// Its name in AWS.
    pub queue_name: String,
    /// When it was retired.
    pub retired_time: Time,
    /// What its end waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RetiredState>,
}

/// What the end of a dead-letter queue that is no longer used waits for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetiredState {
    /// The queue may still move messages to it: AWS has not read back the change, or another dead-letter queue is not ready.
    InUse,
    /// It holds messages: consume or redrive them, and it is deleted.
    HoldsMessages,
    /// It is empty or about to be seen to be: new messages are refused, its counts are read for a while, and it is deleted
    /// or let go.
    Closing,
    /// AWS does not say what is in it: the operator lacks permission, or AWS cannot be reached.
    OutOfSight,
    /// AWS refuses what its end needs.
    Refused,
}

/// A Secret or ConfigMap that workloads read.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct OutputReference {
    /// Secret or ConfigMap.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A Provisioned Service's binding.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct BindingStatus {
    /// The Secret's name.
    pub name: String,
}

/// A QueueAccess of which the queue policy speaks. It is on record before AWS hears of it, and until AWS took a policy
/// without it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GrantStatus {
    /// The QueueAccess's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: another of the same name is another.
    pub uid: String,
    /// The generation of it that AWS took. Absent while it is not in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Since when AWS refuses a policy that names its principal: there is no such role or user, or none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_time: Option<Time>,
}

/// What was written to AWS and may not show yet.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LastWrite {
    /// When the newest of these writes was accepted.
    pub time: Time,
    /// What was written, by queue name and attribute.
    pub queues: BTreeMap<String, BTreeMap<String, WrittenAttribute>>,
}

/// One attribute as written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WrittenAttribute {
    /// The value, or its SHA-256 when it is long.
    pub value: String,
    /// When it was accepted.
    pub time: Time,
}

/// SQS's approximate message counts.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Messages {
    /// Messages that a receive may return.
    pub available: i64,
    /// Messages received and not yet deleted.
    pub in_flight: i64,
    /// Messages not yet visible.
    pub delayed: i64,
    /// Messages in the managed dead-letter queue, in any state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<i64>,
    /// When SQS was asked.
    pub observed_time: Time,
}
