//! What is kept in IAM for those who use a queue: the words that a spec says it in, and what status tells of it.
// The descriptions are what `kubectl explain` shows: plain text, no Markdown.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// What somebody may do with a queue.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(transform = schema::undescribed)]
pub enum Permission {
    /// Send messages.
    Send,
    /// Receive messages and delete them.
    Consume,
    /// Read the messages of the dead-letter queue.
    Inspect,
    /// Move the messages of the dead-letter queue back.
    Redrive,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Send, Self::Consume, Self::Inspect, Self::Redrive];

    /// The word in a spec.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "Send",
            Self::Consume => "Consume",
            Self::Inspect => "Inspect",
            Self::Redrive => "Redrive",
        }
    }
}

/// What is kept in IAM for those who use the queue.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Iam {
    /// A managed policy for each of these permissions, for teams that attach policies by their own means. The ARNs are in
    /// status.iam.policies. Send, Consume: on the queue. Inspect: reading the dead-letter queue. Redrive: moving its
    /// messages back. Each with what the queue's KMS key needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::permissions")]
    pub policies: Option<Vec<Permission>>,
}

/// What is in IAM for the Queue.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IamStatus {
    /// The managed policies that were made, or are about to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::policies")]
    pub policies: Vec<PolicyStatus>,
}

/// A managed policy of the Queue.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// What it allows.
    pub permission: Permission,
    /// Its ARN, on record before it is made. It is looked for nowhere else.
    pub policy_arn: String,
    /// IAM's own id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_id: Option<String>,
    /// The version in force. Absent until the policy is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// What that version says, as a SHA-256. A version never changes, so it need not be read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_digest: Option<String>,
    /// When the operator wrote it last: IAM may show what was before for a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_time: Option<Time>,
}
