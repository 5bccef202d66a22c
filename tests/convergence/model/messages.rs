//! The ledger: every message there ever was, where it has been, and how it ended.

use jiff::{SignedDuration, Timestamp};
use prism_queue::domain::attributes::Counts;

/// How a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A consumer deleted it.
    Consumed,
    /// It grew older than the retention that was promised to it.
    Expired,
    /// Its queue was deleted, by this caller.
    QueueDeleted { by: String },
    /// It was sent while `DeleteQueue` was under way; whoever let that happen had not fenced the queue.
    SentToDeleted { by: String },
    /// The retention was lowered under its age, by this caller.
    RetentionLowered { by: String },
}

/// One message, for ever.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: u64,
    /// What its age is counted from: when it was sent; on a FIFO dead-letter queue, when it came there.
    pub enqueued_at: Timestamp,
    /// The end of the longest retention that its queue had while it was there.
    pub promised_until: Timestamp,
    /// How often it was received.
    pub receives: u32,
    /// The queues it was in; the last is where it is, or where it ended.
    pub stays: Vec<Stay>,
    pub fate: Option<Fate>,
}

/// A message's time in one queue.
#[derive(Clone, Debug)]
pub struct Stay {
    /// The queue's incarnation.
    pub queue: u64,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    pub delayed_until: Timestamp,
    /// Times during which it was in flight.
    pub held: Vec<(Timestamp, Timestamp)>,
}

/// Where a message is, seen from one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    Available,
    InFlight,
    Delayed,
}

/// Seconds as a duration.
pub fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

impl Message {
    /// The stay that is not over.
    pub fn here(&self) -> Option<&Stay> {
        self.stays.last().filter(|stay| stay.until.is_none())
    }

    /// Whether it is in this queue now.
    pub fn is_in(&self, queue: u64) -> bool {
        self.here().is_some_and(|stay| stay.queue == queue)
    }

    /// Where it was at `at`, as far as this queue is concerned.
    pub fn whereabouts(&self, queue: u64, at: Timestamp) -> Option<Whereabouts> {
        let there = |stay: &&Stay| stay.queue == queue && stay.from <= at && stay.until.is_none_or(|until| at < until);
        let stay = self.stays.iter().find(there)?;
        Some(if at < stay.delayed_until {
            Whereabouts::Delayed
        } else if stay.held.iter().any(|(from, until)| *from <= at && at < *until) {
            Whereabouts::InFlight
        } else {
            Whereabouts::Available
        })
    }

    /// Begins a stay in another queue.
    pub fn enter(&mut self, queue: u64, at: Timestamp, delayed_until: Timestamp) {
        self.leave(at);
        self.stays.push(Stay { queue, from: at, until: None, delayed_until, held: Vec::new() });
    }

    /// Hides it from receives until `until`.
    pub fn hold(&mut self, from: Timestamp, until: Timestamp) {
        if let Some(stay) = self.stays.last_mut() {
            stay.held.push((from, until));
        }
    }

    /// Ends it.
    pub fn end(&mut self, fate: Fate, at: Timestamp) {
        self.leave(at);
        self.fate = Some(fate);
    }

    fn leave(&mut self, at: Timestamp) {
        if let Some(stay) = self.stays.last_mut() {
            stay.until.get_or_insert(at);
        }
    }
}

/// The true counts of a queue at `at`.
pub fn counts_at(messages: &[Message], queue: u64, at: Timestamp) -> Counts {
    let mut counts = Counts::default();
    for message in messages {
        match message.whereabouts(queue, at) {
            Some(Whereabouts::Available) => counts.available += 1,
            Some(Whereabouts::InFlight) => counts.in_flight += 1,
            Some(Whereabouts::Delayed) => counts.delayed += 1,
            None => {}
        }
    }
    counts
}
