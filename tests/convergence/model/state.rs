//! The world behind its lock: queues, messages, principals, keys, policies, the clock.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::attributes::Attribute;
use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tokio::sync::watch;

use super::eks::Eks;
use super::faults::{Faults, Rate};
use super::iam::Iam;
use super::journal::Call;
use super::keys::Keys;
use super::messages::{Fate, Message, seconds};
use super::policy::principals::Principals;
use super::queue::Queue;
use super::refusal::{Answer, Refusal};
use super::timing::Timing;

/// Everything there is.
pub(super) struct State {
    pub now: Timestamp,
    pub timing: Timing,
    pub queues: BTreeMap<QueueArn, Queue>,
    /// Names that may not be used again before.
    pub cooling: BTreeMap<QueueArn, Timestamp>,
    pub messages: Vec<Message>,
    pub principals: Principals,
    pub keys: Keys,
    pub iam: Iam,
    pub eks: Eks,
    pub faults: Faults,
    pub calls: Rate,
    pub tagging_calls: Rate,
    pub journal: Vec<Call>,
    pub incarnations: u64,
    /// Whether the process that makes the calls has died.
    pub crashed: watch::Sender<bool>,
    rng: TestRng,
}

impl State {
    pub fn new(seed: u64, timing: Timing) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            // Any fixed day: only differences matter.
            now: Timestamp::constant(1_750_000_000, 0),
            timing,
            queues: BTreeMap::new(),
            cooling: BTreeMap::new(),
            messages: Vec::new(),
            principals: Principals::default(),
            keys: Keys::default(),
            iam: Iam::default(),
            eks: Eks::default(),
            faults: Faults::default(),
            calls: Rate::default(),
            tagging_calls: Rate::default(),
            journal: Vec::new(),
            incarnations: 0,
            crashed: watch::Sender::new(false),
            rng: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
        }
    }

    /// A point in time `delay` seconds from now, drawn by the seed.
    pub fn after(&mut self, delay: RangeInclusive<i64>) -> Timestamp {
        self.now + seconds(self.draw(delay))
    }

    /// A number drawn by the seed.
    pub fn draw(&mut self, range: RangeInclusive<i64>) -> i64 {
        self.rng.random_range(range)
    }

    /// 0–99, drawn by the seed.
    pub fn dice(&mut self) -> u8 {
        self.rng.random_range(0..100)
    }

    /// The queue as a call at this moment finds it: not before it is usable, and while it is being
    /// deleted only now and then.
    pub fn find(&mut self, arn: &QueueArn) -> Answer<&Queue> {
        let still_answers = self.dice() < 50;
        let now = self.now;
        let queue = self.queues.get(arn).ok_or_else(Refusal::missing)?;
        if now < queue.usable_at || (queue.is_deleted() && !still_answers) {
            return Err(Refusal::missing());
        }
        Ok(queue)
    }

    /// The queue, unless it is deleted.
    pub fn live(&self, arn: &QueueArn) -> Option<&Queue> {
        self.queues.get(arn).filter(|queue| !queue.is_deleted())
    }

    /// The queue to change, once the call is known to be allowed.
    pub fn queue_mut(&mut self, arn: &QueueArn) -> Answer<&mut Queue> {
        self.queues.get_mut(arn).ok_or_else(Refusal::missing)
    }

    /// Lets what is due at this moment happen.
    pub fn settle(&mut self) {
        let now = self.now;
        self.queues.retain(|_, queue| queue.deletion.as_ref().is_none_or(|deletion| now < deletion.gone_at));
        self.cooling.retain(|_, free_at| now < *free_at);
        for queue in self.queues.values() {
            let retention = seconds(queue.seconds(Attribute::MessageRetentionPeriod));
            for message in self.messages.iter_mut().filter(|message| message.is_in(queue.incarnation)) {
                let expires_at = message.enqueued_at + retention;
                if expires_at > now {
                    continue;
                }
                let fate = if expires_at < message.promised_until {
                    Fate::RetentionLowered { by: queue.retention_by.clone() }
                } else {
                    Fate::Expired
                };
                message.end(fate, expires_at.max(message.enqueued_at));
            }
        }
    }
}
