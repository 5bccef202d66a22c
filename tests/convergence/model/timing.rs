//! How long SQS takes for things, in seconds. Every range is drawn from anew, by the world's seed.

use std::ops::RangeInclusive;

/// The delays of the modelled AWS, in seconds.
#[derive(Clone, Debug)]
pub struct Timing {
    /// From `CreateQueue` until the queue answers.
    pub usable_after: RangeInclusive<i64>,
    /// From `DeleteQueue` until calls stop to succeed now and then.
    pub delete_takes: RangeInclusive<i64>,
    /// From `DeleteQueue` until the name is free.
    pub cool_down: RangeInclusive<i64>,
    /// From `SetQueueAttributes` until reads show the new value.
    pub attributes_show_after: RangeInclusive<i64>,
    /// The same for `MessageRetentionPeriod`.
    pub retention_shows_after: RangeInclusive<i64>,
    /// How far the approximate counts may look back.
    pub counts_lag: i64,
    /// From tagging until a permission that has a tag condition knows of it.
    pub fresh_tags_for: RangeInclusive<i64>,
    /// From a write to IAM until reads show it.
    pub iam_shows_after: RangeInclusive<i64>,
}

impl Timing {
    /// What `sqs-semantics.md` says. Queue policies and redrive allow policies take effect when reads show them.
    pub fn aws() -> Self {
        Self {
            usable_after: 1..=2,
            delete_takes: 0..=60,
            cool_down: 60..=65,
            attributes_show_after: 0..=60,
            retention_shows_after: 0..=900,
            counts_lag: 60,
            fresh_tags_for: 0..=59,
            iam_shows_after: 0..=12,
        }
    }

    /// Everything at once but the name cool-down.
    pub fn prompt() -> Self {
        Self {
            usable_after: 0..=0,
            delete_takes: 0..=0,
            cool_down: 60..=60,
            attributes_show_after: 0..=0,
            retention_shows_after: 0..=0,
            counts_lag: 0,
            fresh_tags_for: 0..=0,
            iam_shows_after: 0..=0,
        }
    }
}
