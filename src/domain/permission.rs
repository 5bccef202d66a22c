//! What somebody may do with a queue: one vocabulary for every place that grants it.
//!
//! Source of the actions: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SQS". Batch
//! calls have no action of their own: `SendMessage` covers `SendMessageBatch`, and so on.

pub use crate::api::iam::Permission;

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
            Self::Redrive => &["sqs:SendMessage"],
        }
    }

    /// The actions on its dead-letter queue. Those of `Redrive` are what SQS asks of who starts, cancels and lists moves:
    /// SQS Developer Guide, "Configuring queue permissions for dead-letter queue redrive".
    #[must_use]
    pub const fn on_dead_letter_queue(self) -> &'static [&'static str] {
        match self {
            Self::Send | Self::Consume => &[],
            Self::Inspect => {
                &["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
            }
            Self::Redrive => &[
                "sqs:StartMessageMoveTask",
                "sqs:CancelMessageMoveTask",
                "sqs:ListMessageMoveTasks",
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
            ],
        }
    }

    /// Whether it means nothing without a dead-letter queue.
    #[must_use]
    pub const fn needs_dead_letter_queue(self) -> bool {
        !self.on_dead_letter_queue().is_empty()
    }
}

/// What whoever has `actions` on an encrypted queue needs on its key. Who sends must be able to decrypt too: SQS verifies a
/// data key before it uses it again. Source: SQS Developer Guide, "Configuring KMS permissions for Amazon SQS".
#[must_use]
pub fn on_key(actions: &[&str]) -> Vec<&'static str> {
    let (sends, receives) = (actions.contains(&"sqs:SendMessage"), actions.contains(&"sqs:ReceiveMessage"));
    let decrypt = (sends || receives).then_some("kms:Decrypt");
    decrypt.into_iter().chain(sends.then_some("kms:GenerateDataKey")).collect()
}
