//! A dead-letter queue that is another queue: by the name of its Queue, or by ARN.

use crate::api::QueueSpec;
use crate::api::conditions::Reason;
use crate::api::queue::{DeadLetterMode, QueueType};

use super::arn::QueueArn;
use super::class::Class;
use super::desired::{DesiredDeadLetter, Refusal};
use super::field::FieldError;
use super::fleet::{Fleet, Key, Member};

/// The referenced dead-letter queue; `None` of [`DesiredDeadLetter`] for the other modes.
pub(super) fn reference(
    spec: &QueueSpec,
    key: &Key,
    source_arn: &QueueArn,
    class: &Class,
    fleet: &Fleet,
) -> Result<DesiredDeadLetter, FieldError> {
    let Some(dead_letter) = spec.dead_letter.as_ref().filter(|d| d.mode == Some(DeadLetterMode::Reference)) else {
        return Ok(DesiredDeadLetter::None);
    };
    let path = "spec.deadLetter.reference";
    let reference = dead_letter.reference.clone().unwrap_or_default();
    match (reference.queue_ref, reference.queue_arn) {
        (Some(to), None) => queue_reference(&to.name, spec.queue_type, key, source_arn, class, fleet),
        (None, Some(text)) => {
            let path = format!("{path}.queueArn");
            let arn = QueueArn::parse(&text).map_err(|rule| FieldError::new(&path, rule))?;
            arn_reference(&arn, &path, source_arn, class, fleet, key)
        }
        _ => Err(FieldError::new(path, "exactly one of queueRef and queueArn is needed")),
    }
}

fn queue_reference(
    name: &str,
    queue_type: QueueType,
    key: &Key,
    source_arn: &QueueArn,
    class: &Class,
    fleet: &Fleet,
) -> Result<DesiredDeadLetter, FieldError> {
    let to = Key { namespace: key.namespace.clone(), name: name.to_owned() };
    let Some(member) = fleet.get(&to) else {
        return Ok(DesiredDeadLetter::NotReady { why: format!("there is no Queue {to}; it is waited for") });
    };
    if member.queue_type != queue_type {
        let (is, want) = match queue_type {
            QueueType::Standard => ("FIFO", "Standard"),
            QueueType::Fifo => ("Standard", "FIFO"),
        };
        return Err(FieldError::new(
            "spec.deadLetter.reference.queueRef",
            format!("Queue {to} is of type {is}; a dead-letter queue must be of its source's type, {want}"),
        ));
    }
    if member.place != class.place {
        let rule = format!(
            "Queue {to} lives in {}, this one in {}; SQS wants a dead-letter queue in its source's account and region",
            member.place, class.place
        );
        return Err(FieldError::new("spec.deadLetter.reference.queueRef", rule));
    }
    Ok(as_dead_letter(member, key, source_arn))
}

/// The queue of another Queue, as soon as it can be used.
fn as_dead_letter(member: &Member, key: &Key, source_arn: &QueueArn) -> DesiredDeadLetter {
    let is_allowed = member.allows.as_ref().is_none_or(|sources| sources.contains(&source_arn.to_string()));
    let to = told_to(key, &member.key);
    let why = match (member.exists, member.deleting, is_allowed) {
        (true, false, true) => return DesiredDeadLetter::Reference { arn: member.arn.clone() },
        (_, true, _) => format!("{to} is being deleted"),
        (false, ..) => format!("{to} has no queue in AWS yet"),
        (true, false, false) => format!("{to} does not allow this queue as a source yet (spec.redriveAllow)"),
    };
    DesiredDeadLetter::NotReady { why }
}

fn arn_reference(
    arn: &QueueArn,
    path: &str,
    source_arn: &QueueArn,
    class: &Class,
    fleet: &Fleet,
    key: &Key,
) -> Result<DesiredDeadLetter, FieldError> {
    let refuse = |rule: String| Err(FieldError::new(path, rule));
    if !arn.is_in(&class.place) {
        return refuse(format!(
            "{arn} is not in {}; SQS wants a dead-letter queue in its source's account and region",
            class.place
        ));
    }
    if arn.is_fifo() != source_arn.is_fifo() {
        return refuse(format!(
            "{arn} is not of the source's type; SQS wants a dead-letter queue of its source's type"
        ));
    }
    if let Some(manager) = fleet.manager_of(&arn.to_string()) {
        return refuse(if manager.key == *key {
            format!("{arn} is this Queue's own managed dead-letter queue; use mode Managed")
        } else {
            format!("{arn} is the managed dead-letter queue of {}, which alone may use it", told_to(key, &manager.key))
        });
    }
    match fleet.dead_letter_of(key) {
        Some(member) => Ok(as_dead_letter(member, key, source_arn)),
        None => match class.limits.refuses_dead_letter_arn(&arn.to_string()) {
            Some(rule) => Err(FieldError::of_class(path, rule)),
            None => Ok(DesiredDeadLetter::Reference { arn: arn.to_string() }),
        },
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
