//! Bringing one queue nearer to what it should be.

use jiff::SignedDuration;

use crate::api::conditions::{EventReason, Reason};

use super::super::access::are_grants_changing;
use super::super::attributes::{Attribute, Attributes};
use super::super::desired::DesiredQueue;
use super::super::diff::{Diff, GONE_PRINCIPAL_RETRY, HeldRetention, REFUSED_RETRY};
use super::super::finding::Finding;
use super::super::names::QueueName;
use super::super::observed::{PATIENCE, Present, Refused, Sight, read_for_empty_every};
use super::super::tags::{Origin, Ownership, TagChange, Tags};
use super::{Input, Plan, QueueHandle, SLOW, Step, circumstances, comparison, is_owned, only_reports};

/// How soon to look again at a queue that was just made and does not answer.
const APPEARING: SignedDuration = SignedDuration::from_secs(2);

/// A queue that does not answer for so long after it was created is hidden rather than new.
const APPEARANCE: SignedDuration = SignedDuration::from_mins(1);

/// How one queue stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It answers, is ours, and has nothing left to write.
    Settled,
    /// It will be so after the plan's steps.
    InWork,
    /// It is not there, or not proved to be ours.
    Blocked,
}

/// Brings one queue nearer to what it should be.
pub(super) fn converge(input: &Input<'_>, queue: &DesiredQueue, plan: &mut Plan) -> Standing {
    match input.observed.sight(&queue.name) {
        Sight::Unseen | Sight::Absent if input.observed.refused.contains_key(queue.name.as_str()) => Standing::Blocked,
        Sight::Absent if only_reports(input) => {
            let message = format!(
                "{} does not exist any more; class {:?} reports changes from outside (drift.mode: Report), so that it is made again only when what is declared changes",
                queue.name, input.class.name
            );
            plan.differences.push(format!("{} does not exist", queue.name));
            plan.findings.push(Finding::stalled(Reason::NotFound, message, SLOW));
            Standing::Blocked
        }
        Sight::Unseen | Sight::Absent => {
            if let Some(rival) = input.fleet.rival(&input.desired.key, &queue.name) {
                let message = format!(
                    "the queue name {} is claimed by Queue {} too, which is older; choose another name for one of them",
                    queue.name, rival.key
                );
                plan.findings.push(Finding::stalled(Reason::NameConflict, message, SLOW));
                return Standing::Blocked;
            }
            // What AWS may refuse keeps nobody from having a queue: it is written once the queue is there. A policy that
            // names whom AWS does not know yet protects the queue from its first moment without them.
            let is_taken = |attribute, value: &str| input.memory.doubt(&queue.name, attribute, value).is_none();
            let mut attributes = queue.creation_attributes();
            attributes.retain(|attribute, value| is_taken(*attribute, value));
            let first_policy = &queue.first_policy;
            if !attributes.contains_key(&Attribute::Policy)
                && !first_policy.is_empty()
                && is_taken(Attribute::Policy, first_policy)
            {
                attributes.insert(Attribute::Policy, first_policy.clone());
            }
            let tags = full_tags(input, queue, Origin::Created);
            plan.steps.push(Step::CreateQueue { name: queue.name.clone(), attributes, tags });
            // Whose it is will be read back: creating answers with a queue that is there already, whosever it is.
            Standing::Blocked
        }
        Sight::Appearing => {
            let created = input.memory.created.get(queue.name.as_str());
            plan.findings.push(if created.is_some_and(|created| input.now.duration_since(*created) >= APPEARANCE) {
                circumstances(input).denied(format!(
                    "{} was created and does not answer; the operator may lack permission (sqs:GetQueueAttributes, sqs:ListQueueTags)",
                    queue.name
                ))
            } else {
                let message = format!("{} was created and does not answer yet", queue.name);
                Finding::waiting(Reason::Progressing, message, APPEARING)
            });
            Standing::Blocked
        }
        sight @ (Sight::Hidden(_) | Sight::OtherAccount(_) | Sight::Failed(_)) => {
            plan.findings.extend(circumstances(input).out_of_sight(&queue.name, sight));
            Standing::Blocked
        }
        // AWS refused a write of it in this pass, which is told; the other queue is not kept waiting for it.
        Sight::Present(_) if input.observed.refused.contains_key(queue.name.as_str()) => {
            if is_owned(input, &queue.name) { Standing::InWork } else { Standing::Blocked }
        }
        Sight::Present(present) => owned(input, queue, present, plan),
    }
}

fn owned(input: &Input<'_>, queue: &DesiredQueue, present: &Present, plan: &mut Plan) -> Standing {
    let handle = QueueHandle { name: queue.name.clone(), url: present.url.clone() };
    let origin = match input.desired.owner.ownership(&present.tags) {
        Ownership::Ours { origin } => origin,
        Ownership::OursFromPreviousCluster { origin } => {
            let tags = input.desired.owner.tags(origin);
            plan.steps.push(Step::TagQueue { queue: handle, tags, event: EventReason::Adopted });
            return Standing::InWork;
        }
        // With its adoption it is forgotten which tags are ours to remove: first they go from where we set them.
        Ownership::Nobodys if input.desired.adopt && has_tags_to_remove(input, &queue.name) => {
            return Standing::Blocked;
        }
        Ownership::Nobodys if input.desired.adopt => {
            let tags = full_tags(input, queue, Origin::Adopted);
            plan.steps.push(Step::TagQueue { queue: handle, tags, event: EventReason::Adopted });
            return Standing::InWork;
        }
        stranger => {
            plan.findings.push(not_ours(&queue.name, &stranger));
            return Standing::Blocked;
        }
    };

    let before = plan.steps.len();
    let comparison = comparison(input);
    let diff = comparison.diff(queue, &present.attributes);
    let change = TagChange::between(&full_tags(input, queue, origin), &present.tags, &input.record.managed_tag_keys);
    if only_reports(input) {
        plan.awaiting.extend(diff.awaiting.iter().map(|attribute| (queue.name.clone(), *attribute)));
        let differences =
            comparison.differences(queue, &present.attributes).into_iter().chain(change.in_words(&present.tags));
        plan.differences.extend(differences.map(|difference| format!("{}: {difference}", queue.name)));
        // Whom others let in is declared by them, and comes and goes as they do.
        let policy = [&diff.write, &diff.alone].into_iter().find_map(|write| write.get(&Attribute::Policy));
        let Some(policy) = policy.filter(|_| are_grants_changing(input)) else {
            return Standing::Settled;
        };
        let attributes = Attributes::from([(Attribute::Policy, policy.clone())]);
        plan.steps.push(Step::SetAttributes { queue: handle, attributes, event: EventReason::Updated });
        return Standing::InWork;
    }
    write_attributes(input, &handle, &diff, plan);
    if !change.set.is_empty() {
        plan.steps.push(Step::TagQueue { queue: handle.clone(), tags: change.set, event: EventReason::Tagged });
    }
    if !change.remove.is_empty() {
        plan.steps.push(Step::UntagQueue { queue: handle, keys: change.remove, event: EventReason::Tagged });
    }
    report_diff(&queue.name, &diff, input, plan);
    if plan.steps.len() == before { Standing::Settled } else { Standing::InWork }
}

/// Whether the Queue's other queue carries, or may carry, tags that we set and that are no longer declared.
fn has_tags_to_remove(input: &Input<'_>, adoptee: &QueueName) -> bool {
    let desired = input.desired;
    let is_surplus = |key: &&String| !desired.source.tags.contains_key(*key);
    let mut surplus = input.record.managed_tag_keys.iter().filter(is_surplus).peekable();
    let mut others = std::iter::once(&desired.source).chain(desired.managed_dead_letter());
    let Some(other) = others.find(|other| other.name != *adoptee).filter(|_| surplus.peek().is_some()) else {
        return false;
    };
    match input.observed.sight(&other.name) {
        Sight::Present(present) => is_owned(input, &other.name) && surplus.any(|key| present.tags.contains_key(key)),
        sight => sight.is_out_of_sight(),
    }
}

fn write_attributes(input: &Input<'_>, handle: &QueueHandle, diff: &Diff, plan: &mut Plan) {
    // Sources come and go without an edit of this Queue.
    let is_about_sources = diff.write.keys().chain(diff.alone.keys()).all(|a| *a == Attribute::RedriveAllowPolicy)
        && input.record.redrive_allow.as_ref() != Some(&input.desired.effective.redrive_allow);
    // So do those whom others let in.
    let mut written = diff.write.keys().chain(diff.alone.keys());
    let is_about_grants = written.all(|attribute| *attribute == Attribute::Policy) && are_grants_changing(input);
    let is_drift = input.record.was_converged && !is_about_sources && !is_about_grants;
    let event = if is_drift { EventReason::DriftRepaired } else { EventReason::Updated };
    for (attribute, value) in &diff.alone {
        let attributes = Attributes::from([(*attribute, value.clone())]);
        plan.steps.push(Step::SetAttributes { queue: handle.clone(), attributes, event });
    }
    if !diff.write.is_empty() {
        plan.steps.push(Step::SetAttributes { queue: handle.clone(), attributes: diff.write.clone(), event });
    }
}

fn report_diff(name: &QueueName, diff: &Diff, input: &Input<'_>, plan: &mut Plan) {
    plan.awaiting.extend(diff.awaiting.iter().map(|attribute| (name.clone(), *attribute)));
    if let Some(held) = &diff.held {
        plan.watched.insert(name.to_string());
        plan.findings.push(held_back(name, held, input));
    }
    plan.findings.extend(diff.refused.iter().map(|(attribute, refused)| match attribute {
        Attribute::Policy if !diff.gone_principals.is_empty() => {
            let message = format!(
                "{name}: the queue policy names principals that were deleted in IAM: {}; remove them there or create them again",
                gone_in_words(&diff.gone_principals, input)
            );
            Finding::stalled(Reason::PrincipalGone, message, GONE_PRINCIPAL_RETRY)
        }
        _ => refused_value(name, *attribute, refused, input),
    }));
}

/// Each principal, and the fields that name it.
fn gone_in_words(gone: &[String], input: &Input<'_>) -> String {
    let with_fields = gone.iter().map(|arn| match input.desired.named_principals.get(arn) {
        Some(fields) => format!("{arn} ({})", fields.iter().cloned().collect::<Vec<_>>().join(", ")),
        None => arn.clone(),
    });
    with_fields.collect::<Vec<_>>().join(", ")
}

/// What to say of a shorter retention that waits.
fn held_back(name: &QueueName, held: &HeldRetention, input: &Input<'_>) -> Finding {
    let HeldRetention { change, observed, messages } = held;
    let annotation = crate::api::ALLOW_MESSAGE_LOSS;
    if *messages > 0 {
        let message = format!(
            "{name} holds {messages} messages and keeps them for {observed} s; {change} would delete the older ones. It waits until the queue is empty, or for the annotation {annotation}: {change}"
        );
        return Finding::waiting(Reason::HeldBack, message, SLOW);
    }
    let message = format!(
        "{name} reads as empty; before {change} it must do so for {} s, because SQS counts approximately. The annotation {annotation}: {change} spares the wait",
        input.class.empty_for.as_secs()
    );
    Finding::waiting(Reason::HeldBack, message, read_for_empty_every(input.class.empty_for))
}

/// What to say of a value that AWS refuses and that may be right another day.
fn refused_value(name: &QueueName, attribute: Attribute, refused: &Refused, input: &Input<'_>) -> Finding {
    let hope = match attribute {
        Attribute::Policy => "a principal just made takes time to be known",
        _ => "the other queue may not be there yet, or not allow it yet",
    };
    let message = format!(
        "{name}: AWS refuses the {attribute}: {}; everything else is applied, and it is tried again, as {hope}",
        refused.words
    );
    let is_stalled = input.now.duration_since(refused.since) >= PATIENCE;
    Finding { reason: Reason::Refused, message, is_stalled, retry: REFUSED_RETRY }
}

/// What to say of a queue that is not this Queue's.
fn not_ours(name: &QueueName, ownership: &Ownership) -> Finding {
    let (reason, message) = match ownership {
        Ownership::AnotherQueues { owner } => (
            Reason::NameConflict,
            format!("{name} belongs to Queue {owner}, by its owner tags; it is left untouched. Choose another name"),
        ),
        Ownership::AnotherClusters { owner } => (
            Reason::NotOwned,
            format!(
                "{name} belongs to another owner ({owner}); it is left untouched. Choose another name, or remove the owner tags if that owner is gone"
            ),
        ),
        Ownership::AnotherClusterOfThisName { uid } => (
            Reason::ClusterIdentityChanged,
            format!(
                "{name} carries the owner tags of a cluster of this name with the UID {uid}. If this cluster replaces that one, start the operator with --previous-cluster-uid {uid}; if both live, give them different names (--cluster-name)"
            ),
        ),
        Ownership::Nobodys | Ownership::Ours { .. } | Ownership::OursFromPreviousCluster { .. } => (
            Reason::NotOwned,
            format!(
                "{name} exists and has no owner tags; it is left untouched. To take it over, set spec.adoptionPolicy: Adopt; else choose another name"
            ),
        ),
    };
    Finding::stalled(reason, message, SLOW)
}

/// The user's tags and the owner tags; the owner's win.
fn full_tags(input: &Input<'_>, queue: &DesiredQueue, origin: Origin) -> Tags {
    let mut tags = queue.tags.clone();
    tags.extend(input.desired.owner.tags(origin));
    tags
}
