//! How a policy comes to its end: deleted when nobody uses it, or let go as it is.

use jiff::SignedDuration;

use crate::api::conditions::Reason;

use super::super::finding::{Circumstances, Finding};
use super::super::plan::Step;
use super::super::tags::{OWNER_KEYS, Owner};
use super::observed::SETTLING;
use super::{PolicyArn, PolicySight, PresentPolicy};

/// How soon to look again whether a policy was detached: that is others' work.
pub(in crate::domain) const ATTACHED_RETRY: SignedDuration = SignedDuration::from_mins(5);

/// How soon to look again at what IAM may not show yet.
const SETTLING_RETRY: SignedDuration = SignedDuration::from_secs(10);

/// What to do next with a policy that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Farewell {
    /// Nothing: it is gone, or was never ours.
    Over,
    /// These.
    Steps(Vec<Step>),
    /// Wait, and say why.
    Wait(Finding),
}

/// What to do next with the policy `arn` so that it is deleted. When it `is_new`, its absence proves nothing.
pub(in crate::domain) fn farewell(
    arn: &PolicyArn,
    sight: &PolicySight,
    owner: &Owner,
    circumstances: &Circumstances<'_>,
    is_new: bool,
) -> Farewell {
    let present = match sight {
        _ if is_deleted(arn, circumstances) => return Farewell::Over,
        PolicySight::Present(present) => present,
        PolicySight::Absent | PolicySight::NameTaken | PolicySight::Unseen if is_new => {
            return Farewell::Wait(may_appear(arn));
        }
        PolicySight::Absent | PolicySight::NameTaken | PolicySight::Unseen => return Farewell::Over,
        PolicySight::Failed(error) => return Farewell::Wait(circumstances.policy_failed(arn, error)),
    };
    let PresentPolicy { policy, others, .. } = present;
    if !is_ours(present, owner) {
        return Farewell::Over;
    }
    if policy.attachments > 0 {
        return Farewell::Wait(attached(arn, policy.attachments));
    }
    let versions = others.iter().cloned().map(|version| Step::DeletePolicyVersion { arn: arn.clone(), version });
    Farewell::Steps(versions.chain([Step::DeletePolicy { arn: arn.clone() }]).collect())
}

/// Whether it was deleted so recently that IAM may still show it.
fn is_deleted(arn: &PolicyArn, circumstances: &Circumstances<'_>) -> bool {
    let deleted = circumstances.memory.deleted.get(&arn.to_string());
    deleted.is_some_and(|deleted| circumstances.now.duration_since(*deleted) < SETTLING)
}

/// Lets the policy go as it is; `None` when there is nothing of ours to let go.
pub(in crate::domain) fn let_go(arn: &PolicyArn, sight: &PolicySight, owner: &Owner) -> Option<Step> {
    let PolicySight::Present(present) = sight else {
        return None;
    };
    let keys = OWNER_KEYS.iter().filter(|key| present.policy.tags.contains_key(**key));
    let keys = keys.map(|key| (*key).to_owned()).collect();
    is_ours(present, owner).then(|| Step::UntagPolicy { arn: arn.clone(), keys })
}

/// Whether the policy is the owner's.
pub(in crate::domain) fn is_ours(present: &PresentPolicy, owner: &Owner) -> bool {
    owner.owns(&present.policy.tags)
}

/// What to say of a policy that is not there and may only not show.
pub(in crate::domain) fn may_appear(arn: &PolicyArn) -> Finding {
    let message = format!("the policy {arn} may have been created just now, and IAM may not show it yet");
    Finding::waiting(Reason::Progressing, message, SETTLING_RETRY)
}

/// A policy is never taken from those to whom others gave it.
fn attached(arn: &PolicyArn, attachments: u32) -> Finding {
    let message = format!(
        "the policy {arn} is no longer wanted and still attached {attachments} times, as a policy or as a permissions boundary; it works until it is detached, and is deleted then (aws iam list-entities-for-policy --policy-arn {arn})"
    );
    Finding::waiting(Reason::PolicyAttached, message, ATTACHED_RETRY)
}
