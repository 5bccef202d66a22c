//! What the calls of SQS do, once no fault is in their way.

use std::collections::BTreeMap;

use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::attributes::{Attribute, Attributes, Counts, QueueAttributes};
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::names::QueueName;
use prism_queue::domain::tags::Tags;
use serde_json::Value;

use super::attributes::{self, Changes};
use super::caller::Caller;
use super::faults::DeniedAs;
use super::late::Late;
use super::messages::{Fate, counts_at, seconds};
use super::policy;
use super::queue::{Deletion, Queue, url_of};
use super::redrive::{RedriveAllow, RedrivePolicy};
use super::refusal::{Answer, Refusal};
use super::state::State;
use super::tags;

/// `ListQueues` answers with at most so many.
const PAGE: usize = 1_000;

impl State {
    pub fn create_queue(
        &mut self,
        caller: &Caller,
        name: &QueueName,
        supplied: &Attributes,
        tags: &Tags,
    ) -> Answer<String> {
        let arn = caller.place.queue_arn(name);
        if !caller.access.may_create(tags) {
            return Err(Refusal::denied());
        }
        let fifo = supplied.get(&Attribute::FifoQueue).is_some_and(|value| value == "true");
        if fifo != name.is_fifo() {
            return Err(Refusal::invalid("The name of a FIFO queue, and only of one, must end in .fifo."));
        }
        tags::check(tags, &Tags::new())?;
        let defaults = attributes::defaults(fifo);
        let changes = attributes::check(supplied, &defaults, fifo)?;
        let changes = self.check_policies(&arn, changes)?;
        if self.cooling.contains_key(&arn) {
            return Err(Refusal::of(ErrorKind::QueueDeletedRecently));
        }
        if let Some(queue) = self.queues.get(&arn) {
            let same = changes.iter().all(|(name, value)| same_value(queue.written_value(*name), value.as_deref()));
            return if same { Ok(queue.url()) } else { Err(Refusal::of(ErrorKind::QueueNameExists)) };
        }
        let mut values: BTreeMap<_, _> = defaults.into_iter().map(|(name, value)| (name, Some(value))).collect();
        values.extend(changes);
        let usable_at = self.after(self.timing.usable_after.clone());
        let tags_known_at = self.known_at(tags);
        self.incarnations += 1;
        let queue = Queue {
            incarnation: self.incarnations,
            arn: arn.clone(),
            attributes: values.into_iter().map(|(name, value)| (name, Late::new(value))).collect(),
            tags: tags.clone(),
            tags_known_at,
            usable_at,
            deletion: None,
            retention_by: caller.arn.clone(),
        };
        self.queues.insert(arn.clone(), queue);
        Ok(url_of(&arn))
    }

    pub fn get_queue_url(&mut self, caller: &Caller, arn: &QueueArn) -> Answer<String> {
        Ok(self.authorize(caller, "GetQueueUrl", arn)?.url())
    }

    pub fn get_queue_attributes(&mut self, caller: &Caller, arn: &QueueArn) -> Answer<QueueAttributes> {
        let now = self.now;
        let queue = self.authorize(caller, "GetQueueAttributes", arn)?;
        let (incarnation, mut settings) = (queue.incarnation, queue.shown(now));
        if let Some(kept) = settings.get_mut(&Attribute::Policy) {
            *kept = policy::rewrite(kept, &self.principals);
        }
        Ok(QueueAttributes { settings, counts: self.approximate_counts(incarnation) })
    }

    pub fn set_queue_attributes(&mut self, caller: &Caller, arn: &QueueArn, supplied: &Attributes) -> Answer<()> {
        let current = self.authorize(caller, "SetQueueAttributes", arn)?.written();
        if supplied.is_empty() {
            return Err(Refusal::new(ErrorKind::Invalid, "MissingParameter", "The request must contain Attributes."));
        }
        if supplied.contains_key(&Attribute::FifoQueue) {
            let message = "Unknown Attribute FifoQueue.";
            return Err(Refusal::new(ErrorKind::Invalid, "InvalidAttributeName", message));
        }
        let changes = attributes::check(supplied, &current, arn.is_fifo())?;
        let changes = self.check_policies(arn, changes)?;
        let attributes_at = self.after(self.timing.attributes_show_after.clone());
        let retention_at = self.after(self.timing.retention_shows_after.clone());
        let now = self.now;
        let queue = self.queue_mut(arn)?;
        for (name, value) in changes {
            let is_retention = name == Attribute::MessageRetentionPeriod;
            if is_retention && queue.written_value(name) != value.as_deref() {
                queue.retention_by.clone_from(&caller.arn);
            }
            let shown_at = if is_retention { retention_at } else { attributes_at };
            let late = queue.attributes.entry(name).or_insert_with(|| Late::new(None));
            late.write(value, shown_at.max(now));
        }
        let (incarnation, retention) = (queue.incarnation, queue.seconds(Attribute::MessageRetentionPeriod));
        for message in self.messages.iter_mut().filter(|message| message.is_in(incarnation)) {
            message.promised_until = message.promised_until.max(message.enqueued_at + seconds(retention));
        }
        self.settle();
        Ok(())
    }

    pub fn delete_queue(&mut self, caller: &Caller, arn: &QueueArn) -> Answer<()> {
        if self.authorize(caller, "DeleteQueue", arn)?.is_deleted() {
            return Ok(());
        }
        let gone_at = self.after(self.timing.delete_takes.clone());
        let free_at = self.after(self.timing.cool_down.clone());
        let now = self.now;
        let queue = self.queue_mut(arn)?;
        queue.deletion = Some(Deletion { by: caller.arn.clone(), gone_at });
        let incarnation = queue.incarnation;
        self.cooling.insert(arn.clone(), free_at);
        for message in self.messages.iter_mut().filter(|message| message.is_in(incarnation)) {
            message.end(Fate::QueueDeleted { by: caller.arn.clone() }, now);
        }
        self.settle();
        Ok(())
    }

    pub fn list_queue_tags(&mut self, caller: &Caller, arn: &QueueArn) -> Answer<Tags> {
        Ok(self.authorize(caller, "ListQueueTags", arn)?.tags.clone())
    }

    pub fn tag_queue(&mut self, caller: &Caller, arn: &QueueArn, tags: &Tags) -> Answer<()> {
        let queue = self.authorize(caller, "TagQueue", arn)?;
        tags::check(tags, &queue.tags)?;
        let changed: Tags = tags
            .iter()
            .filter(|(key, value)| queue.tags.get(*key) != Some(value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let known_at = self.known_at(&changed);
        let queue = self.queue_mut(arn)?;
        queue.tags_known_at.extend(known_at);
        queue.tags.extend(changed);
        Ok(())
    }

    pub fn untag_queue(&mut self, caller: &Caller, arn: &QueueArn, keys: &[String]) -> Answer<()> {
        self.authorize(caller, "UntagQueue", arn)?;
        let queue = self.queue_mut(arn)?;
        queue.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    pub fn list_queues(&mut self, caller: &Caller, prefix: &QueueName) -> Vec<String> {
        let arns: Vec<QueueArn> = self
            .queues
            .keys()
            .filter(|arn| arn.is_in(&caller.place) && arn.name().starts_with(prefix.as_str()))
            .filter(|arn| self.faults.denied("ListQueues", Some(arn.name())) != Some(DeniedAs::DoesNotExist))
            .cloned()
            .collect();
        let there: Vec<String> = arns.iter().filter_map(|arn| Some(self.find(arn).ok()?.url())).collect();
        there.into_iter().take(PAGE).collect()
    }

    /// Each count as it truly was at some moment within the lag, each at another one: a message on its way
    /// from one state to the next may be counted twice or not at all.
    fn approximate_counts(&mut self, incarnation: u64) -> Counts {
        let lag = self.timing.counts_lag;
        let mut sample = || {
            let at = self.now - seconds(self.draw(0..=lag));
            counts_at(&self.messages, incarnation, at)
        };
        Counts { available: sample().available, in_flight: sample().in_flight, delayed: sample().delayed }
    }

    fn known_at(&mut self, tags: &Tags) -> BTreeMap<String, jiff::Timestamp> {
        let known_at = self.after(self.timing.fresh_tags_for.clone());
        tags.keys().map(|key| (key.clone(), known_at)).collect()
    }

    /// Checks the policies among `changes` against the rest of the world, and puts the queue policy in the
    /// form in which it is kept.
    fn check_policies(&self, arn: &QueueArn, mut changes: Changes) -> Answer<Changes> {
        if let Some(Some(text)) = changes.get(&Attribute::RedrivePolicy) {
            self.check_redrive(arn, &RedrivePolicy::parse(text)?)?;
        }
        if let Some(Some(text)) = changes.get(&Attribute::RedriveAllowPolicy) {
            RedriveAllow::parse(text)?;
        }
        if let Some(Some(text)) = changes.get_mut(&Attribute::Policy) {
            *text = policy::accept(text, &self.principals)?;
        }
        Ok(changes)
    }

    fn check_redrive(&self, source: &QueueArn, redrive: &RedrivePolicy) -> Answer<()> {
        let bad =
            |reason: &str| Err(Refusal::invalid(format!("The parameter RedrivePolicy is invalid. Reason: {reason}")));
        let target = &redrive.target;
        if target.account_id() != source.account_id() || target.region() != source.region() {
            return bad("The dead-letter queue must be in the account and region of its source.");
        }
        if target.is_fifo() != source.is_fifo() {
            return bad("The dead-letter queue must be of the same type as its source.");
        }
        let Some(queue) = self.live(target).filter(|queue| queue.usable_at <= self.now) else {
            return bad("Dead letter target does not exist.");
        };
        let allow = queue.shown_value(Attribute::RedriveAllowPolicy, self.now);
        let allow = allow.map_or(Ok(RedriveAllow::All), RedriveAllow::parse)?;
        if allow.permits(source) { Ok(()) } else { bad("The dead-letter queue's redrive allow policy denies it.") }
    }
}

/// Whether two texts mean the same value; policies are compared as JSON.
fn same_value(left: Option<&str>, right: Option<&str>) -> bool {
    let json = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    left == right || (json(left).is_some() && json(left) == json(right))
}
