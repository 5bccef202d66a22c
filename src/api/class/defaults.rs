//! What an omitted field of a Queue means.
// The descriptions are what `kubectl explain` shows: plain text, no Markdown.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::queue::{BindingOutput, DeletionPolicy, Encryption, Fifo, Switch};
use super::super::schema;

/// What an omitted field of a Queue means. No identity, adoption, name or reference is among them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClassDefaults {
    /// Seconds: 0-43200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 43200))]
    pub visibility_timeout_seconds: Option<i32>,
    /// Seconds: 60-1209600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 1_209_600))]
    pub message_retention_seconds: Option<i32>,
    /// Seconds: 0-20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub receive_wait_time_seconds: Option<i32>,
    /// Seconds: 0-900.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 900))]
    pub delay_seconds: Option<i32>,
    /// Bytes: 1024-1048576.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub maximum_message_size_bytes: Option<i32>,
    /// For Queues of type FIFO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fifo: Option<Fifo>,
    /// The dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DefaultDeadLetter>,
    /// Which queues may use a queue as their dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive_allow: Option<DefaultRedriveAllow>,
    /// Encryption at rest. Its kms counts where the mode in effect is KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The queue policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<DefaultAccess>,
    /// What workloads read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<DefaultOutputs>,
    /// What happens to queues when their Queues are deleted. An adopted queue is deleted only when its own Queue says
    /// Delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// The default dead-letter queue.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DefaultDeadLetter {
    /// Managed or None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DefaultDeadLetterMode>,
    /// How often a message may be received before it is moved: 1-1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_receive_count: Option<i32>,
    /// For mode Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<DefaultManagedDeadLetter>,
}

/// What kind of dead-letter queue, where the Queue says nothing.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum DefaultDeadLetterMode {
    /// One made for each Queue.
    Managed,
    /// None.
    None,
}

/// The managed dead-letter queue, where the Queue says nothing.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DefaultManagedDeadLetter {
    /// Seconds: 60-1209600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 1_209_600))]
    pub message_retention_seconds: Option<i32>,
}

/// Who may use a queue as dead-letter queue, where the Queue says nothing.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DefaultRedriveAllow {
    /// Auto, AllowAll or DenyAll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DefaultRedriveAllowMode>,
}

/// Who may use a queue as dead-letter queue, where the Queue says nothing.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum DefaultRedriveAllowMode {
    /// The sources known; none when none is known.
    Auto,
    /// Every queue of the account and region.
    AllowAll,
    /// No queue.
    DenyAll,
}

/// The queue policy, where the Queue says nothing.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DefaultAccess {
    /// Refuse every request over plain HTTP.
    #[serde(default, rename = "requireTLS", skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<bool>,
}

/// What workloads read, where the Queue says nothing.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DefaultOutputs {
    /// The Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<DefaultOutput>,
    /// The ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<DefaultOutput>,
    /// The Service Binding Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingOutput>,
}

/// A Secret or ConfigMap, where the Queue says nothing.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DefaultOutput {
    /// Enabled or Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Switch>,
    /// What every key begins with; not AWS_.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^([A-Za-z_][A-Za-z0-9_]*)?$"))]
    #[x_kube(validation = Rule::new("!self.startsWith('AWS_')").message("keyPrefix must not begin with AWS_: such keys redirect the AWS clients of a Pod"))]
    pub key_prefix: Option<String>,
}
