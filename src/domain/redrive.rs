//! Redrive policies: where messages go that were received too often, and who may send them there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::queue::RedriveAllowMode;
use crate::api::status::EffectiveRedriveAllow;

/// A source's `RedrivePolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The dead-letter queue's ARN.
    pub dead_letter_arn: String,
    /// Receives before a message is moved, 1–1,000.
    pub max_receive_count: u64,
}

impl RedrivePolicy {
    /// SQS's text form.
    #[must_use]
    pub fn to_json(&self) -> String {
        json!({"deadLetterTargetArn": self.dead_letter_arn, "maxReceiveCount": self.max_receive_count}).to_string()
    }

    /// Reads what SQS returned; `maxReceiveCount` comes as a number or as text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let count = &value["maxReceiveCount"];
        Some(Self {
            dead_letter_arn: value["deadLetterTargetArn"].as_str()?.to_owned(),
            max_receive_count: count.as_u64().or_else(|| count.as_str()?.parse().ok())?,
        })
    }
}

/// A dead-letter queue's `RedriveAllowPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedriveAllow {
    /// Every queue of the account and region: SQS's default.
    AllowAll,
    /// None.
    DenyAll,
    /// These sources, at most [`MAX_SOURCES`].
    ByQueue(BTreeSet<String>),
}

/// How many sources SQS lets a redrive allow policy name.
pub const MAX_SOURCES: usize = 10;

impl RedriveAllow {
    /// Exactly these sources; `DenyAll` when there are none.
    #[must_use]
    pub fn only(sources: BTreeSet<String>) -> Self {
        if sources.is_empty() { Self::DenyAll } else { Self::ByQueue(sources) }
    }

    /// In the API's words.
    #[must_use]
    pub fn effective(&self) -> EffectiveRedriveAllow {
        let (mode, sources) = match self {
            Self::AllowAll => (RedriveAllowMode::AllowAll, Vec::new()),
            Self::DenyAll => (RedriveAllowMode::DenyAll, Vec::new()),
            Self::ByQueue(sources) => (RedriveAllowMode::ByQueue, sources.iter().cloned().collect()),
        };
        EffectiveRedriveAllow { mode, source_queue_arns: sources }
    }

    /// SQS's text form.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::AllowAll => json!({"redrivePermission": "allowAll"}),
            Self::DenyAll => json!({"redrivePermission": "denyAll"}),
            Self::ByQueue(sources) => json!({"redrivePermission": "byQueue", "sourceQueueArns": sources}),
        }
        .to_string()
    }

    /// Reads what SQS returned; nothing means `AllowAll`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::AllowAll);
        }
        let value: Value = serde_json::from_str(text).ok()?;
        match value["redrivePermission"].as_str()? {
            "allowAll" => Some(Self::AllowAll),
            "denyAll" => Some(Self::DenyAll),
            "byQueue" => {
                let arns = value["sourceQueueArns"].as_array()?;
                arns.iter().map(|arn| arn.as_str().map(str::to_owned)).collect::<Option<_>>().map(Self::ByQueue)
            }
            _ => None,
        }
    }
}
