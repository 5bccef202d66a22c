//! Messages: sent, received, moved to dead-letter queues, consumed.

use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::attributes::Attribute;

use super::caller::Caller;
use super::messages::{Fate, Message, Stay, Whereabouts, seconds};
use super::redrive::RedrivePolicy;
use super::refusal::Answer;
use super::state::State;

impl State {
    pub fn send(&mut self, sender: &Caller, arn: &QueueArn) -> Answer<u64> {
        let now = self.now;
        let queue = self.authorize(sender, "SendMessage", arn)?;
        let (incarnation, deleted_by) =
            (queue.incarnation, queue.deletion.as_ref().map(|deletion| deletion.by.clone()));
        let retention = seconds(queue.seconds(Attribute::MessageRetentionPeriod));
        let delayed_until = now + seconds(queue.seconds(Attribute::DelaySeconds));
        let key = queue.written_value(Attribute::KmsMasterKeyId).map(str::to_owned);
        if let Some(key) = key {
            self.keys.usable(&sender.place, &key)?;
        }
        let id = self.messages.len() as u64;
        let mut message = Message {
            id,
            enqueued_at: now,
            promised_until: now + retention,
            receives: 0,
            stays: vec![Stay { queue: incarnation, from: now, until: None, delayed_until, held: Vec::new() }],
            fate: None,
        };
        if let Some(by) = deleted_by {
            message.end(Fate::SentToDeleted { by }, now);
        }
        self.messages.push(message);
        Ok(id)
    }

    /// Receives one message, and moves those that were received too often on the way.
    pub fn receive(&mut self, consumer: &Caller, arn: &QueueArn) -> Answer<Option<u64>> {
        let now = self.now;
        let queue = self.authorize(consumer, "ReceiveMessage", arn)?;
        let incarnation = queue.incarnation;
        let hidden_until = now + seconds(queue.seconds(Attribute::VisibilityTimeout));
        let redrive = queue.written_value(Attribute::RedrivePolicy).map(RedrivePolicy::parse).transpose()?;
        let dead_letter = redrive.and_then(|redrive| {
            let queue = self.live(&redrive.target)?;
            let retention = seconds(queue.seconds(Attribute::MessageRetentionPeriod));
            Some((redrive.max_receive_count, queue.incarnation, retention))
        });
        let mut received = None;
        for message in &mut self.messages {
            if message.whereabouts(incarnation, now) != Some(Whereabouts::Available) {
                continue;
            }
            match dead_letter {
                Some((most, target, retention)) if message.receives >= most => {
                    // A standard dead-letter queue keeps the original enqueue time, a FIFO one resets it.
                    if arn.is_fifo() {
                        message.enqueued_at = now;
                    }
                    message.promised_until = message.enqueued_at + retention;
                    message.receives = 0;
                    message.enter(target, now, now);
                }
                _ => {
                    message.receives += 1;
                    message.hold(now, hidden_until);
                    received = Some(message.id);
                    break;
                }
            }
        }
        self.settle();
        Ok(received)
    }

    /// A consumer has done its work with the message and deletes it.
    pub fn consume(&mut self, id: u64) {
        let now = self.now;
        if let Some(message) = self.messages.iter_mut().find(|message| message.id == id && message.fate.is_none()) {
            message.end(Fate::Consumed, now);
        }
    }
}
