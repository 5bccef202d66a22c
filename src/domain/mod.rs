//! Decisions. Nothing here knows a Kubernetes client, an AWS SDK, tokio or a clock: time is passed in.

pub mod arn;
pub mod attributes;
pub mod call;
pub mod field;
pub mod names;
pub mod policy;
pub mod tags;

/// Standard or FIFO. Immutable: SQS fixes it at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueType {
    /// At-least-once delivery, best-effort order.
    Standard,
    /// First in, first out, within a message group.
    Fifo,
}
