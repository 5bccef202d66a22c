//! The end of one queue: let go, or fenced, seen to be empty, and deleted.

use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::EventReason;
use crate::api::queue::DeletionPolicy;
use crate::api::status::RetiredState;

use super::arn::Place;
use super::attributes::{Attribute, Attributes};
use super::call::ErrorClass;
use super::class::Class;
use super::diff::REFUSED_RETRY;
use super::names::QueueName;
use super::observed::{HELD_FACTOR, Memory, Present, Record, Sight, propagation, read_for_empty_every};
use super::plan::{QueueHandle, Step};
use super::policy::{FENCE_SID, PolicyDocument, fence};
use super::tags::{OWNER_KEYS, Origin, Owner, Ownership};

/// How long `DeleteQueue` may take. Source: `DeleteQueue` in the SQS API reference.
const DELETION: SignedDuration = SignedDuration::from_secs(60);

/// How soon to look again at a dead-letter queue that holds messages, or cannot be read, and has not been used for `age`:
/// the longer it lasts, the longer it will.
fn holding(age: SignedDuration) -> SignedDuration {
    (age / 10).max(SignedDuration::from_mins(1))
}

/// How soon to look again whether a deleted queue is gone.
pub(super) const CONFIRM: SignedDuration = SignedDuration::from_secs(5);

/// How one queue comes to its end.
#[derive(Clone, Copy, Debug)]
pub struct Retirement<'a> {
    /// Whose it must be to be touched at all.
    pub owner: &'a Owner,
    /// What to do with it.
    pub policy: DeletionPolicy,
    /// Whether that holds for a queue that was adopted too; else it is let go.
    pub deletes_adopted: bool,
    /// Where it lives.
    pub place: &'a Place,
    /// What the object remembers.
    pub record: &'a Record,
    /// What this process remembers.
    pub memory: &'a Memory,
    /// How long it must read as empty.
    pub empty_for: SignedDuration,
    /// The time of this pass.
    pub now: Timestamp,
}

/// What to do with a queue next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it is gone, let go, or was never ours.
    Gone,
    /// This step.
    Do(Box<Step>),
    /// Look again after this time.
    Wait(SignedDuration),
}

impl Retirement<'_> {
    /// What to do next with the queue `name` of a Queue that lives, which has not used it for `age`. Whatever the policy,
    /// it is deleted only when it is empty: nobody asked for its messages to be destroyed.
    #[must_use]
    pub fn fate(&self, name: &QueueName, sight: &Sight, age: SignedDuration) -> Fate {
        let present = match sight {
            Sight::Absent if self.was_just_created(name) => return Fate::Wait(CONFIRM),
            Sight::Absent => return Fate::Gone,
            Sight::Present(present) => present,
            // Nobody waits for its end.
            Sight::Unseen | Sight::Appearing | Sight::Hidden(_) | Sight::OtherAccount(_) | Sight::Failed(_) => {
                return Fate::Wait(holding(age));
            }
        };
        let Some(origin) = self.origin(present) else {
            return Fate::Gone;
        };
        if self.is_let_go(origin) {
            return self.let_go(name, present);
        }
        // Nobody is given access to a queue that is no longer used; what refuses stays.
        let closed = policy_of(present).without_allowances();
        let is_closed = is_fenced(present, &self.place.queue_arn(name).to_string()) && closed == policy_of(present);
        match self.closing(name, present, &closed, is_closed) {
            Fate::Gone => self.delete(name, present),
            // It may hold messages for days; nobody waits for its end.
            Fate::Wait(_) if present.attributes.counts.total() > 0 => Fate::Wait(holding(age)),
            other => other,
        }
    }

    /// What its end waits for, for people; it was `before` when last told.
    #[must_use]
    pub fn state(&self, name: &QueueName, sight: &Sight, before: Option<RetiredState>) -> RetiredState {
        match sight {
            // Over by the next try, as a rule.
            Sight::Failed(error) if matches!(error.class(), ErrorClass::Throttled | ErrorClass::Transient) => {
                before.unwrap_or(RetiredState::OutOfSight)
            }
            Sight::Hidden(_) if self.is_being_deleted(name) => RetiredState::Closing,
            Sight::Present(present) if present.attributes.counts.total() > 0 => RetiredState::HoldsMessages,
            Sight::Present(_) | Sight::Absent => RetiredState::Closing,
            Sight::Unseen | Sight::Appearing | Sight::Hidden(_) | Sight::OtherAccount(_) | Sight::Failed(_) => {
                RetiredState::OutOfSight
            }
        }
    }

    /// How the queue came to be ours; `None` when it is not.
    #[must_use]
    pub fn origin(&self, present: &Present) -> Option<Origin> {
        match self.owner.ownership(&present.tags) {
            Ownership::Ours { origin } | Ownership::OursFromPreviousCluster { origin } => Some(origin),
            _ => None,
        }
    }

    /// Whether a queue of this origin is kept.
    #[must_use]
    pub fn is_let_go(&self, origin: Origin) -> bool {
        match origin {
            Origin::Created => self.policy == DeletionPolicy::Retain,
            Origin::Adopted => self.policy != DeletionPolicy::Delete || !self.deletes_adopted,
        }
    }

    /// The next step of letting go: the fence first, then the owner tags, and nothing of it is ours any more.
    #[must_use]
    pub fn let_go(&self, name: &QueueName, present: &Present) -> Fate {
        self.reopen(name, present).unwrap_or_else(|| {
            let keys = OWNER_KEYS.iter().filter(|key| present.tags.contains_key(**key));
            let keys = keys.map(|key| (*key).to_owned()).collect();
            fate_of(Step::UntagQueue { queue: handle(name, present), keys, event: EventReason::Released })
        })
    }

    /// Takes the fence away; `None` when there is none, and none is on its way: AWS may show it late.
    #[must_use]
    pub fn reopen(&self, name: &QueueName, present: &Present) -> Option<Fate> {
        let read = policy_of(present);
        let is_closed = read.statements().iter().any(|statement| statement.sid() == Some(FENCE_SID));
        let open = read.without_sid(FENCE_SID).to_attribute();
        let set_open = || self.set_policy(name, present, open.clone(), EventReason::Updated);
        match self.record.under_way(name, Attribute::Policy, self.now) {
            Some(written) if written.is(&open) => is_closed.then_some(Fate::Wait(CONFIRM)),
            Some(written) if written.is_unknown() || written.is(&self.fenced(name, &read)) => Some(set_open()),
            Some(_) => Some(Fate::Wait(CONFIRM)),
            None => is_closed.then(set_open),
        }
    }

    /// Fences the queue and waits; [`Fate::Gone`] when it may be taken for empty.
    #[must_use]
    pub fn emptying(&self, name: &QueueName, present: &Present) -> Fate {
        let is_closed = is_fenced(present, &self.place.queue_arn(name).to_string());
        self.closing(name, present, &policy_of(present), is_closed)
    }

    /// Gives the queue this policy with the fence, unless it is closed already, and waits.
    fn closing(&self, name: &QueueName, present: &Present, policy: &PolicyDocument, is_closed: bool) -> Fate {
        let text = self.fenced(name, policy);
        match self.record.under_way(name, Attribute::Policy, self.now) {
            // A fence that shows late is not written again and again.
            Some(written) if written.is(&text) && !is_closed => return Fate::Wait(CONFIRM),
            Some(written) if written.is(&text) => {}
            None if is_closed => {}
            // None is there, or the one that shows was taken away since.
            Some(_) | None => return self.set_policy(name, present, text, EventReason::Fenced),
        }
        let factor = if self.memory.held.contains(name.as_str()) { HELD_FACTOR } else { 1 };
        let watch = self.memory.empty.get(name.as_str());
        let is_over = watch.is_some_and(|watch| watch.is_over(self.empty_for * factor));
        let next = read_for_empty_every(self.empty_for);
        match present.attributes.counts.total() {
            0 if is_over => Fate::Gone,
            0 => Fate::Wait(next),
            // Somebody has to consume them first.
            _ => Fate::Wait(next.max(self.empty_for.min(SignedDuration::from_mins(1)))),
        }
    }

    /// Writes a policy, but not again and again when AWS refuses it.
    fn set_policy(&self, name: &QueueName, present: &Present, text: String, event: EventReason) -> Fate {
        let doubt = self.memory.doubt(name, Attribute::Policy, &text);
        let refused = doubt.and_then(|doubt| doubt.refused.as_ref());
        if refused.is_some_and(|refused| self.now.duration_since(refused.last) < REFUSED_RETRY) {
            return Fate::Wait(REFUSED_RETRY);
        }
        let attributes = Attributes::from([(Attribute::Policy, text)]);
        fate_of(Step::SetAttributes { queue: handle(name, present), attributes, event })
    }

    /// A policy with the fence.
    fn fenced(&self, name: &QueueName, policy: &PolicyDocument) -> String {
        policy.without_sid(FENCE_SID).with(fence(&self.place.queue_arn(name).to_string())).to_attribute()
    }

    /// Deletes the queue, or waits for a deletion that was asked for.
    #[must_use]
    pub fn delete(&self, name: &QueueName, present: &Present) -> Fate {
        match self.memory.deleted.get(name.as_str()) {
            Some(asked) if self.now.duration_since(*asked) < DELETION => Fate::Wait(CONFIRM),
            _ => fate_of(Step::DeleteQueue { queue: handle(name, present) }),
        }
    }

    /// Whether a deletion of the queue `name` may be under way.
    #[must_use]
    pub fn is_being_deleted(&self, name: &QueueName) -> bool {
        // Twice as long: the lists of queues lag behind.
        let asked = self.memory.deleted.get(name.as_str());
        asked.is_some_and(|asked| self.now.duration_since(*asked) < DELETION * 2)
    }

    /// Whether the queue `name` was created so recently that "does not exist" proves nothing.
    #[must_use]
    pub fn was_just_created(&self, name: &QueueName) -> bool {
        let created = self.memory.created.get(name.as_str());
        created.is_some_and(|created| self.now.duration_since(*created) < DELETION)
            && !self.memory.deleted.contains_key(name.as_str())
    }
}

/// Whether the queue `name` is fenced, and has been for long enough that the fence is known everywhere: what came in
/// before counts late.
#[must_use]
pub fn is_closed(name: &QueueName, present: &Present, record: &Record, class: &Class, now: Timestamp) -> bool {
    let settling = class.empty_for.min(propagation(Attribute::Policy.as_str()));
    let written = record.under_way(name, Attribute::Policy, now);
    is_fenced(present, &class.place.queue_arn(name).to_string())
        && written.is_none_or(|written| now.duration_since(written.time.0).abs() >= settling)
}

/// Whether the queue's policy lets anybody in.
pub(super) fn lets_anybody_in(present: &Present) -> bool {
    let policy = policy_of(present);
    policy.without_allowances() != policy
}

/// Whether new messages to the queue of this ARN are refused.
#[must_use]
pub fn is_fenced(present: &Present, arn: &str) -> bool {
    policy_of(present).statements().contains(&fence(arn))
}

/// The queue's policy, in a form that SQS takes back; one that cannot be read, which SQS would not have taken, counts as
/// none.
fn policy_of(present: &Present) -> PolicyDocument {
    let text = present.attributes.settings.get(&Attribute::Policy);
    let policy = text.and_then(|text| PolicyDocument::parse(text).ok()).unwrap_or_default();
    policy.without_gone_principals()
}

fn fate_of(step: Step) -> Fate {
    Fate::Do(Box::new(step))
}

fn handle(name: &QueueName, present: &Present) -> QueueHandle {
    QueueHandle { name: name.clone(), url: present.url.clone() }
}
