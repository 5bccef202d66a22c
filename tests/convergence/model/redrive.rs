//! Redrive policies and redrive allow policies: their JSON, and what they permit.

use prism_queue::domain::arn::QueueArn;
use serde_json::{Map, Value};

use super::refusal::{Answer, Refusal};

const MAX_SOURCES: usize = 10;

/// A source's redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// Where messages go.
    pub target: QueueArn,
    /// After how many receives, 1–1,000.
    pub max_receive_count: u32,
}

/// Who may use a queue as their dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedriveAllow {
    All,
    None,
    Sources(Vec<QueueArn>),
}

impl RedrivePolicy {
    /// Reads and checks the attribute's text. The count may be a number or a text, as SQS allows.
    pub fn parse(text: &str) -> Answer<Self> {
        let bad = |reason: &str| {
            Refusal::invalid(format!("Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}"))
        };
        let object = object(text).ok_or_else(|| bad("Redrive policy is not a valid JSON map."))?;
        if let Some(key) = object.keys().find(|key| !["deadLetterTargetArn", "maxReceiveCount"].contains(&key.as_str()))
        {
            return Err(bad(&format!("Unknown key {key}.")));
        }
        let target = object.get("deadLetterTargetArn").and_then(Value::as_str);
        let target =
            target.ok_or_else(|| bad("Redrive policy does not contain mandatory attribute: deadLetterTargetArn."))?;
        let target = QueueArn::parse(target).map_err(|_| bad("Invalid value for deadLetterTargetArn."))?;
        let count = object.get("maxReceiveCount");
        let count =
            count.ok_or_else(|| bad("Redrive policy does not contain mandatory attribute: maxReceiveCount."))?;
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
        match count.and_then(|count| u32::try_from(count).ok()) {
            Some(max_receive_count @ 1..=1_000) => Ok(Self { target, max_receive_count }),
            _ => Err(bad("Invalid value for maxReceiveCount. It must be between 1 and 1000.")),
        }
    }
}

impl RedriveAllow {
    /// Reads and checks the attribute's text.
    pub fn parse(text: &str) -> Answer<Self> {
        let bad = |reason: &str| {
            Refusal::invalid(format!("Value {text} for parameter RedriveAllowPolicy is invalid. Reason: {reason}"))
        };
        let object = object(text).ok_or_else(|| {
            bad("Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.")
        })?;
        if let Some(key) = object.keys().find(|key| !["redrivePermission", "sourceQueueArns"].contains(&key.as_str())) {
            return Err(bad(&format!("Unknown key {key}.")));
        }
        let sources = object.get("sourceQueueArns");
        match (object.get("redrivePermission").and_then(Value::as_str), sources) {
            (Some("allowAll"), None) => Ok(Self::All),
            (Some("denyAll"), None) => Ok(Self::None),
            (Some("byQueue"), Some(sources)) => {
                let sources = sources.as_array().ok_or_else(|| bad("sourceQueueArns must be a list."))?;
                if sources.is_empty() || sources.len() > MAX_SOURCES {
                    return Err(bad("sourceQueueArns must hold 1 to 10 ARNs."));
                }
                let arns = sources.iter().map(|arn| QueueArn::parse(arn.as_str()?).ok()).collect::<Option<_>>();
                Ok(Self::Sources(arns.ok_or_else(|| bad("sourceQueueArns holds something that is not a queue ARN."))?))
            }
            (Some("byQueue"), None) => Err(bad("byQueue needs sourceQueueArns.")),
            (Some("allowAll" | "denyAll"), Some(_)) => Err(bad("sourceQueueArns is for byQueue only.")),
            _ => Err(bad("redrivePermission must be allowAll, denyAll or byQueue.")),
        }
    }

    /// Whether `source` may name the queue of this policy as its dead-letter queue.
    pub fn permits(&self, source: &QueueArn) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Sources(sources) => sources.contains(source),
        }
    }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}
