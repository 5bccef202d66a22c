//! What people are told: one event for what was done, one for each new trouble.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::conditions::{EventReason, Reason};
use crate::domain::attributes::Attributes;
use crate::domain::finding::Finding;
use crate::domain::identity::IdentityStep;
use crate::domain::plan::Step;

use super::super::cluster::Announcement;

/// The event of a step that was carried out; writes within Kubernetes speak for themselves.
pub(super) fn of_step(step: &Step) -> Option<Announcement> {
    let (reason, note) = match step {
        Step::CreateQueue { name, .. } => (EventReason::Created, format!("created queue {name}")),
        Step::SetAttributes { queue, attributes, event } => {
            (*event, format!("set {} of queue {}", names(attributes), queue.name))
        }
        Step::TagQueue { queue, tags, event } => {
            let keys: Vec<&str> = tags.keys().map(String::as_str).collect();
            (*event, format!("tagged queue {}: {}", queue.name, keys.join(", ")))
        }
        Step::UntagQueue { queue, keys, event } => {
            (*event, format!("removed tags of queue {}: {}", queue.name, keys.join(", ")))
        }
        Step::DeleteQueue { queue } => (EventReason::Deleted, format!("deleted queue {}", queue.name)),
        Step::CreatePolicy { arn, .. } => (EventReason::Created, format!("created policy {arn}")),
        Step::UpdatePolicy { arn, event, .. } => (*event, format!("changed what policy {arn} allows")),
        Step::DeletePolicy { arn } => (EventReason::Deleted, format!("deleted policy {arn}")),
        Step::TagPolicy { arn, .. } => (EventReason::Tagged, format!("renewed the owner tags of policy {arn}")),
        Step::UntagPolicy { arn, .. } => (EventReason::Released, format!("removed the owner tags of policy {arn}")),
        // Room for the next one.
        Step::DeletePolicyVersion { .. }
        | Step::AddFinalizer
        | Step::RemoveFinalizer
        | Step::Record { .. }
        | Step::WriteOutput(_)
        | Step::DeleteOutput { .. } => return None,
    };
    Some(Announcement { is_warning: false, reason: reason.as_str(), note })
}

/// The event of a step about a subject's role that was carried out.
pub(in super::super) fn of_identity_step(step: &IdentityStep) -> Option<Announcement> {
    let (reason, note) = match step {
        IdentityStep::Policy { step, .. } => return of_step(step),
        IdentityStep::CreateRole { arn, .. } => (EventReason::Created, format!("created role {arn}")),
        IdentityStep::UpdateTrust { arn, .. } => (EventReason::DriftRepaired, format!("set who may assume role {arn}")),
        IdentityStep::PutBoundary { arn, .. } => {
            (EventReason::DriftRepaired, format!("set the permissions boundary of role {arn}"))
        }
        IdentityStep::TagRole { arn, .. } => (EventReason::Tagged, format!("renewed the owner tags of role {arn}")),
        IdentityStep::Attach { role, policy } => (EventReason::Updated, format!("attached {policy} to role {role}")),
        IdentityStep::Detach { role, policy } => (EventReason::Updated, format!("detached {policy} from role {role}")),
        IdentityStep::DeleteRole { arn } => (EventReason::Deleted, format!("deleted role {arn}")),
        IdentityStep::Bind(binding) => (EventReason::Updated, binding.in_words()),
    };
    Some(Announcement { is_warning: false, reason: reason.as_str(), note })
}

/// The event of a dead-letter queue that is no longer wanted.
pub(super) fn of_retirement(name: &str) -> Announcement {
    let note = format!("{name} is no longer the dead-letter queue; it is followed until it is empty");
    Announcement { is_warning: false, reason: EventReason::DeadLetterRetired.as_str(), note }
}

/// The event of a trouble that is new: `finding` is what Ready tells of first, and it did not before.
pub(in super::super) fn of_finding(finding: &Finding, previous: &[Condition]) -> Option<Announcement> {
    let is_ordinary = matches!(finding.reason, Reason::Progressing | Reason::Deleting);
    let was_told = previous.iter().any(|c| c.type_ == "Ready" && c.reason == finding.reason.as_str());
    // What comes by itself, as a rule, alarms nobody.
    let is_quiet = matches!(
        finding.reason,
        Reason::WaitingForEmpty | Reason::NameCoolDown | Reason::DeadLetterNotReady | Reason::QueueNotFound
    );
    (!is_ordinary && !was_told).then(|| Announcement {
        is_warning: !is_quiet,
        reason: finding.reason.as_str(),
        note: finding.message.clone(),
    })
}

/// The names of attributes; a value may be a whole policy.
fn names(attributes: &Attributes) -> String {
    let names: Vec<&str> = attributes.keys().map(|attribute| attribute.as_str()).collect();
    names.join(", ")
}
