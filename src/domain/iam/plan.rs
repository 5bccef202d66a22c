//! Bringing the policies of a Queue nearer to what they should be.

use jiff::SignedDuration;

use crate::api::conditions::{EventReason, Reason};
use crate::api::status::PolicyStatus;

use super::super::finding::Finding;
use super::super::plan::{Input, Plan, SLOW, Step, circumstances, is_dead_letter_known, only_reports};
use super::super::tags::{Origin, Ownership};
use super::observed::{is_settling, whole_seconds};
use super::retire::{Farewell, farewell};
use super::{DesiredPolicy, IdentityPolicy, PolicyArn, PolicySight, PresentPolicy};

/// Versions that a policy may have. Source: "IAM and AWS STS quotas".
const MAX_VERSIONS: usize = 5;

/// How soon to look again at what IAM does not show yet.
const APPEARING: SignedDuration = SignedDuration::from_secs(5);

/// A name that is taken by nothing to be seen is another path's rather than one of a policy just made.
const APPEARANCE: SignedDuration = SignedDuration::from_mins(1);

/// What is to be on record before IAM hears of it: where each policy is, those too that are on their way out.
pub(in crate::domain) fn policies_to_record(input: &Input<'_>) -> Vec<PolicyStatus> {
    let mut policies = input.record.policies.clone();
    for DesiredPolicy { permission, arn, .. } in &input.desired.policies {
        if policies.iter().all(|entry| entry.permission != *permission || entry.policy_arn != arn.to_string()) {
            policies.retain(|entry| entry.permission != *permission);
            policies.push(PolicyStatus {
                permission: *permission,
                policy_arn: arn.to_string(),
                policy_id: None,
                version_id: None,
                document_digest: None,
                written_time: Some(whole_seconds(input.now)),
            });
        }
    }
    policies.sort_by_key(|entry| entry.permission);
    policies
}

/// The next steps for all policies of the Queue. None keeps its queue waiting, nor another policy.
pub(in crate::domain) fn converge_policies(input: &Input<'_>, plan: &mut Plan) {
    for entry in &input.record.policies {
        let wanted = input.desired.policies.iter().find(|wanted| wanted.permission == entry.permission);
        let kept = match wanted {
            Some(policy) => Some(Converging { input, policy, entry }.converge(plan)),
            None => retire(input, entry, plan),
        };
        plan.policies.extend(kept);
    }
}

/// A policy that is not wanted any more. Answers with what stays on record.
fn retire(input: &Input<'_>, entry: &PolicyStatus, plan: &mut Plan) -> Option<PolicyStatus> {
    let arn = PolicyArn::parse(&entry.policy_arn)?;
    if !input.observed.refused.contains_key(&entry.policy_arn) {
        let sight = input.observed.policy(&arn);
        let is_new = is_settling(entry, input.now);
        match farewell(&arn, sight, &input.desired.owner, &circumstances(input), is_new) {
            Farewell::Over => return None,
            Farewell::Steps(steps) => plan.steps.extend(steps),
            Farewell::Wait(finding) => plan.findings.push(finding),
        }
    }
    Some(entry.clone())
}

struct Converging<'a> {
    input: &'a Input<'a>,
    policy: &'a DesiredPolicy,
    entry: &'a PolicyStatus,
}

impl Converging<'_> {
    /// Answers with what is on record from now on.
    fn converge(&self, plan: &mut Plan) -> PolicyStatus {
        let Self { input, policy, entry } = self;
        let mut record = (*entry).clone();
        // Nobody is let in to a queue that is not proved to be this Queue's.
        let about_dead_letters = policy.permission.needs_dead_letter_queue();
        let is_proved = plan.is_there && (!about_dead_letters || is_dead_letter_known(input));
        let Some(document) = policy.document.as_ref().filter(|_| is_proved) else {
            return record;
        };
        if input.observed.refused.contains_key(&policy.arn.to_string()) {
            return record; // Told by the failure of this pass.
        }
        match input.observed.policy(&policy.arn) {
            PolicySight::Unseen | PolicySight::Absent => self.missing(document, plan),
            PolicySight::NameTaken => plan.findings.push(self.name_taken()),
            PolicySight::Failed(error) => plan.findings.push(circumstances(input).policy_failed(&policy.arn, error)),
            PolicySight::Present(present) => {
                if let Some(known) = self.present(present, document, plan) {
                    record.policy_id = Some(known.policy.id.clone());
                    record.version_id = Some(known.policy.default_version.clone());
                    record.document_digest = Some(known.digest.clone());
                }
            }
        }
        record
    }

    fn missing(&self, document: &IdentityPolicy, plan: &mut Plan) {
        let Self { input, policy, entry } = self;
        let arn = &policy.arn;
        if entry.version_id.is_some() && is_settling(entry, input.now) {
            plan.awaiting_policies.push(arn.clone());
            if entry.document_digest.as_ref() != Some(&document.digest()) {
                let message = format!("the policy {arn} was just created and is changed as soon as IAM shows it");
                plan.findings.push(Finding::waiting(Reason::Progressing, message, APPEARING));
            }
        } else if only_reports(input) {
            let message = format!(
                "the policy {arn} does not exist any more; class {:?} reports changes from outside (drift.mode: Report), so that it is made again only when what is declared changes",
                input.class.name
            );
            plan.differences.push(format!("{arn} does not exist"));
            plan.findings.push(Finding::stalled(Reason::NotFound, message, SLOW));
        } else {
            let tags = input.desired.owner.tags(Origin::Created);
            plan.steps.push(Step::CreatePolicy { arn: arn.clone(), document: document.clone(), tags });
        }
    }

    /// Answers with the policy, when it is this Queue's and shows what was written last.
    fn present<'p>(
        &self,
        present: &'p PresentPolicy,
        document: &IdentityPolicy,
        plan: &mut Plan,
    ) -> Option<&'p PresentPolicy> {
        let Self { input, policy, entry } = self;
        let arn = &policy.arn;
        match input.desired.owner.ownership(&present.policy.tags) {
            Ownership::Ours { .. } => {}
            Ownership::OursFromPreviousCluster { origin } => {
                let tags = input.desired.owner.tags(origin);
                plan.steps.push(Step::TagPolicy { arn: arn.clone(), tags });
                return None;
            }
            stranger => {
                plan.findings.push(not_ours(arn, &stranger));
                return None;
            }
        }
        if present.is_before(entry) && is_settling(entry, input.now) {
            plan.awaiting_policies.push(arn.clone());
            return None;
        }
        if present.digest == document.digest() {
            return Some(present);
        }
        if only_reports(input) {
            plan.differences.push(format!(
                "{arn} allows other things than are declared, in its version {}",
                present.policy.default_version
            ));
            return Some(present);
        }
        let is_drift = entry.document_digest.as_ref() == Some(&document.digest());
        let event = if is_drift { EventReason::DriftRepaired } else { EventReason::Updated };
        plan.steps.extend(renewal(arn, present, document, event));
        Some(present)
    }

    /// A policy that was just made may show late; one at another path never shows.
    fn name_taken(&self) -> Finding {
        let Self { input, policy, .. } = self;
        let arn = &policy.arn;
        let since = input.memory.name_taken.get(&arn.to_string());
        if since.is_none_or(|since| input.now.duration_since(*since) < APPEARANCE) {
            let message = format!("the policy {arn} was created and does not answer yet");
            return Finding::waiting(Reason::Progressing, message, APPEARING);
        }
        let message = format!(
            "IAM says that a policy named {} exists, and there is none at {arn}: it has another path. Delete that policy, or take it away from the account",
            arn.name()
        );
        Finding::stalled(Reason::NameConflict, message, SLOW)
    }
}

/// The steps that put `document` in force, with room for the version and for the next one.
pub(in crate::domain) fn renewal(
    arn: &PolicyArn,
    present: &PresentPolicy,
    document: &IdentityPolicy,
    event: EventReason,
) -> Vec<Step> {
    let older = present.others.iter().chain([&present.policy.default_version]);
    let mut deletions = older.map(|version| Step::DeletePolicyVersion { arn: arn.clone(), version: version.clone() });
    let versions = present.others.len() + 1;
    // Others filled it up: a version can only be made where there is room.
    let before = (versions >= MAX_VERSIONS).then(|| deletions.next()).flatten();
    let update = Step::UpdatePolicy { arn: arn.clone(), document: document.clone(), event };
    // Room for the next one, only once this one is in force.
    let after = (versions + 1 >= MAX_VERSIONS).then(|| deletions.next()).flatten();
    before.into_iter().chain([update]).chain(after).collect()
}

/// What to say of a policy that is not this Queue's.
fn not_ours(arn: &PolicyArn, ownership: &Ownership) -> Finding {
    let (reason, message) = match ownership {
        Ownership::AnotherQueues { owner } => (
            Reason::NameConflict,
            format!("the policy {arn} belongs to Queue {owner}, by its owner tags; it is left untouched"),
        ),
        Ownership::AnotherClusters { owner } => (
            Reason::NotOwned,
            format!(
                "the policy {arn} belongs to another owner ({owner}); it is left untouched. Delete it if that owner is gone"
            ),
        ),
        Ownership::AnotherClusterOfThisName { uid } => (
            Reason::ClusterIdentityChanged,
            format!(
                "the policy {arn} carries the owner tags of a cluster of this name with the UID {uid}. If this cluster replaces that one, start the operator with --previous-cluster-uid {uid}; if both live, give them different names (--cluster-name)"
            ),
        ),
        Ownership::Nobodys | Ownership::Ours { .. } | Ownership::OursFromPreviousCluster { .. } => (
            Reason::NotOwned,
            format!(
                "the policy {arn} exists and has no owner tags; it is left untouched, and policies are not adopted. Delete it, or remove its permission from spec.iam.policies"
            ),
        ),
    };
    Finding::stalled(reason, message, SLOW)
}
