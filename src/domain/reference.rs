//! A dead-letter queue that is another queue: by the name of its Queue, or by ARN.

use crate::api::QueueSpec;
use crate::api::conditions::Reason;
use crate::api::queue::{DeadLetterMode, QueueType};

use super::arn::QueueArn;
use super::class::Class;
use super::desired::{DesiredDeadLetter, Refusal};
use super::field::FieldError;
use super::fleet::{Fleet, Key, Member};
use super::outputs::type_word;

/// A source that names another queue as its dead-letter queue.
pub(super) struct Source<'a> {
    pub(super) key: &'a Key,
    pub(super) arn: &'a QueueArn,
    pub(super) queue_type: QueueType,
    /// Seconds that it keeps a message, when that is known.
    pub(super) retention: Option<i64>,
}

/// The referenced dead-letter queue; `None` of [`DesiredDeadLetter`] for the other modes.
pub(super) fn reference(
    spec: &QueueSpec,
    source: &Source<'_>,
    class: &Class,
    fleet: &Fleet,
) -> Result<DesiredDeadLetter, FieldError> {
    let Some(dead_letter) = spec.dead_letter.as_ref().filter(|d| d.mode == Some(DeadLetterMode::Reference)) else {
        return Ok(DesiredDeadLetter::None);
    };
    let path = "spec.deadLetter.reference";
    let reference = dead_letter.reference.clone().unwrap_or_default();
    match (reference.queue_ref, reference.queue_arn) {
        (Some(to), None) => {
            let path = format!("{path}.queueRef");
            source.by_name(&to.name, class, fleet).map_err(|rule| FieldError::new(path, rule))
        }
        (None, Some(text)) => {
            let path = format!("{path}.queueArn");
            let arn = QueueArn::parse(&text).map_err(|rule| FieldError::new(&path, rule))?;
            let dead_letter = source.by_arn(&arn, class, fleet).map_err(|rule| FieldError::new(&path, rule))?;
            let is_a_queues = fleet.dead_letter_of(source.key).is_some();
            match class.limits.refuses_dead_letter_arn(&text).filter(|_| !is_a_queues) {
                Some(rule) => Err(FieldError::of_class(path, rule)),
                None => Ok(dead_letter),
            }
        }
        _ => Err(FieldError::new(path, "exactly one of queueRef and queueArn is needed")),
    }
}

impl Source<'_> {
    fn by_name(&self, name: &str, class: &Class, fleet: &Fleet) -> Result<DesiredDeadLetter, String> {
        let to = Key { namespace: self.key.namespace.clone(), name: name.to_owned() };
        let Some(member) = fleet.get(&to) else {
            return Ok(DesiredDeadLetter::NotReady { why: format!("there is no Queue {to}; it is waited for") });
        };
        if member.queue_type != self.queue_type {
            let (is, want) = (type_word(member.queue_type), type_word(self.queue_type));
            return Err(format!(
                "Queue {to} is of type {is}; a dead-letter queue must be of its source's type, {want}"
            ));
        }
        if member.place != class.place {
            return Err(format!(
                "Queue {to} lives in {}, this one in {}; SQS wants a dead-letter queue in its source's account and region",
                member.place, class.place
            ));
        }
        self.as_dead_letter(member)
    }

    fn by_arn(&self, arn: &QueueArn, class: &Class, fleet: &Fleet) -> Result<DesiredDeadLetter, String> {
        if !arn.is_in(&class.place) {
            return Err(format!(
                "{arn} is not in {}; SQS wants a dead-letter queue in its source's account and region",
                class.place
            ));
        }
        if arn.is_fifo() != self.arn.is_fifo() {
            return Err(format!(
                "{arn} is not of the source's type; SQS wants a dead-letter queue of its source's type"
            ));
        }
        if let Some(manager) = fleet.manager_of(&arn.to_string()) {
            return Err(if manager.key == *self.key {
                format!("{arn} is this Queue's own managed dead-letter queue; use mode Managed")
            } else {
                let manager = told_to(self.key, &manager.key);
                format!("{arn} is the managed dead-letter queue of {manager}, which alone may use it")
            });
        }
        match fleet.dead_letter_of(self.key) {
            Some(member) => self.as_dead_letter(member),
            None => Ok(DesiredDeadLetter::Reference { arn: arn.to_string() }),
        }
    }

    /// The queue of another Queue, as soon as it can be used.
    fn as_dead_letter(&self, member: &Member) -> Result<DesiredDeadLetter, String> {
        let to = told_to(self.key, &member.key);
        // A FIFO dead-letter queue counts from the move; a standard one from the first enqueueing.
        if let (Some(its), Some(mine), QueueType::Standard) =
            (member.retention_seconds, self.retention, self.queue_type)
            && its < mine
        {
            return Err(format!(
                "{to} keeps messages for {its} s, less than this queue's own messageRetentionSeconds, {mine}: SQS counts from the first enqueueing, so messages would be deleted early, some before anybody sees them"
            ));
        }
        let is_allowed = member.allows.as_ref().is_none_or(|sources| sources.contains(&self.arn.to_string()));
        let why = match (member.exists, member.deleting, is_allowed) {
            (true, false, true) => return Ok(DesiredDeadLetter::Reference { arn: member.arn.clone() }),
            (_, true, _) => format!("{to} is being deleted"),
            (false, ..) => format!("{to} has no queue in AWS yet"),
            (true, false, false) => format!("{to} does not allow this queue as a source yet (spec.redriveAllow)"),
        };
        Ok(DesiredDeadLetter::NotReady { why })
    }
}

/// How the Queue `other` is called in front of `key`: an ARN must not tell a tenant what another calls its objects.
fn told_to(key: &Key, other: &Key) -> String {
    if key.namespace == other.namespace { format!("Queue {other}") } else { "a Queue of another namespace".to_owned() }
}

pub(super) fn check_cycle(key: &Key, fleet: &Fleet) -> Result<(), Refusal> {
    let Some(way) = fleet.cycle(key) else {
        return Ok(());
    };
    let way: Vec<String> = way.into_iter().map(ToString::to_string).collect();
    let rule = format!("leads back to this Queue: {}; messages would go round for ever", way.join(" -> "));
    Err(Refusal { reason: Reason::DeadLetterCycle, errors: vec![FieldError::new("spec.deadLetter.reference", rule)] })
}

/// The eleventh source is refused here, never let in by a silent `allowAll`.
pub(super) fn check_source_count(key: &Key, arn: &str, fleet: &Fleet) -> Result<(), Refusal> {
    match fleet.dead_letter_of(key) {
        Some(to) if fleet.is_crowded_out(&to.key, arn) => {
            let rule = format!(
                "{} has ten sources already, as many as SQS allows; use another dead-letter queue",
                told_to(key, &to.key)
            );
            let errors = vec![FieldError::new("spec.deadLetter.reference", rule)];
            Err(Refusal { reason: Reason::TooManySources, errors })
        }
        _ => Ok(()),
    }
}
