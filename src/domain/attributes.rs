//! The attributes of a queue, by SQS's own names and in its own text form.

use std::collections::BTreeMap;
use std::fmt;

/// An attribute that the operator sets. Names are those of the SQS API (`SetQueueAttributes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// Seconds a received message stays hidden: 0–43,200.
    VisibilityTimeout,
    /// Seconds a message is kept: 60–1,209,600. Lowering it deletes older messages.
    MessageRetentionPeriod,
    /// Seconds a receive waits for messages: 0–20.
    ReceiveMessageWaitTimeSeconds,
    /// Seconds a new message stays hidden: 0–900.
    DelaySeconds,
    /// Bytes a message may have: 1,024–1,048,576.
    MaximumMessageSize,
    /// Set at creation only; sending `false` is refused.
    FifoQueue,
    /// FIFO: deduplicate by a hash of the body.
    ContentBasedDeduplication,
    /// FIFO: `queue` or `messageGroup`.
    DeduplicationScope,
    /// FIFO: `perQueue` or `perMessageGroupId`.
    FifoThroughputLimit,
    /// Where messages go after `maxReceiveCount` receives, as JSON; empty removes it.
    RedrivePolicy,
    /// Who may use this queue as their dead-letter queue, as JSON.
    RedriveAllowPolicy,
    /// SSE-KMS: the key's id, ARN or alias; empty turns it off.
    KmsMasterKeyId,
    /// SSE-KMS: seconds a data key is reused, 60–86,400.
    KmsDataKeyReusePeriodSeconds,
    /// SSE-SQS on or off.
    SqsManagedSseEnabled,
    /// The queue policy, as JSON; empty removes it.
    Policy,
}

impl Attribute {
    /// All of them, in the order of this type.
    pub const ALL: [Self; 15] = [
        Self::VisibilityTimeout,
        Self::MessageRetentionPeriod,
        Self::ReceiveMessageWaitTimeSeconds,
        Self::DelaySeconds,
        Self::MaximumMessageSize,
        Self::FifoQueue,
        Self::ContentBasedDeduplication,
        Self::DeduplicationScope,
        Self::FifoThroughputLimit,
        Self::RedrivePolicy,
        Self::RedriveAllowPolicy,
        Self::KmsMasterKeyId,
        Self::KmsDataKeyReusePeriodSeconds,
        Self::SqsManagedSseEnabled,
        Self::Policy,
    ];

    /// SQS's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VisibilityTimeout => "VisibilityTimeout",
            Self::MessageRetentionPeriod => "MessageRetentionPeriod",
            Self::ReceiveMessageWaitTimeSeconds => "ReceiveMessageWaitTimeSeconds",
            Self::DelaySeconds => "DelaySeconds",
            Self::MaximumMessageSize => "MaximumMessageSize",
            Self::FifoQueue => "FifoQueue",
            Self::ContentBasedDeduplication => "ContentBasedDeduplication",
            Self::DeduplicationScope => "DeduplicationScope",
            Self::FifoThroughputLimit => "FifoThroughputLimit",
            Self::RedrivePolicy => "RedrivePolicy",
            Self::RedriveAllowPolicy => "RedriveAllowPolicy",
            Self::KmsMasterKeyId => "KmsMasterKeyId",
            Self::KmsDataKeyReusePeriodSeconds => "KmsDataKeyReusePeriodSeconds",
            Self::SqsManagedSseEnabled => "SqsManagedSseEnabled",
            Self::Policy => "Policy",
        }
    }

    /// Whether AWS takes the value depends on what else there is: on principals in IAM, or on other queues. A value that
    /// is refused today may be taken tomorrow.
    #[must_use]
    pub fn depends_on_others(self) -> bool {
        matches!(self, Self::Policy | Self::RedrivePolicy | Self::RedriveAllowPolicy)
    }

    /// The attribute that SQS calls `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.as_str() == name)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Attributes to write, in SQS's text form.
pub type Attributes = BTreeMap<Attribute, String>;

/// SQS's approximate counts of one queue. They may be wrong for a minute and more after producers stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that a receive may return.
    pub available: u64,
    /// Messages received and not yet deleted.
    pub in_flight: u64,
    /// Messages not yet visible.
    pub delayed: u64,
}

impl Counts {
    /// All messages, as far as SQS can tell.
    #[must_use]
    pub fn total(self) -> u64 {
        self.available.saturating_add(self.in_flight).saturating_add(self.delayed)
    }
}

/// What `GetQueueAttributes` answered for one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueAttributes {
    /// The settable attributes that were there. SQS leaves out those without a value.
    pub settings: Attributes,
    /// `ApproximateNumberOfMessages…`.
    pub counts: Counts,
}
