//! What a workload may do with a queue: one vocabulary for every place that grants it.
//!
//! Source of the actions: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SQS". Batch
//! calls have no action of their own: `SendMessage` covers `SendMessageBatch`, and so on.

/// A kind of work with a queue, and the least that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// To send messages to the queue.
    Send,
    /// To receive messages from the queue, give back those that fail and delete those that are done.
    Consume,
    /// To look at messages in the dead-letter queue and show them again, without deleting any.
    Inspect,
}

impl Permission {
    /// The actions on the queue itself. SDKs and consumers that poll ask for the URL and the attributes (the visibility
    /// timeout, the length of the queue) before they begin.
    #[must_use]
    pub const fn on_queue(self) -> &'static [&'static str] {
        match self {
            Self::Send => &["sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"],
            Self::Consume => &[
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueUrl",
                "sqs:GetQueueAttributes",
            ],
            Self::Inspect => &[],
        }
    }

    /// The actions on its dead-letter queue.
    #[must_use]
    pub const fn on_dead_letter_queue(self) -> &'static [&'static str] {
        match self {
            Self::Send | Self::Consume => &[],
            Self::Inspect => {
                &["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
            }
        }
    }
}
