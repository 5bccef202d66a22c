//! The policies of a Queue that is being deleted. They go after its queues, because messages are to be consumed until the
//! last, or stay with them.

use super::super::call::ErrorClass;
use super::super::deletion::Input;
use super::super::finding::Circumstances;
use super::super::observed::PATIENCE;
use super::super::plan::Plan;
use super::super::tags::Owner;
use super::observed::{SETTLING, is_settling};
use super::retire::{Farewell, farewell, is_ours, let_go, may_appear};
use super::{PolicyArn, PolicySight};

/// The policies that a Queue may have to answer for.
#[derive(Clone, Copy)]
pub(in crate::domain) struct DoomedPolicies<'a> {
    pub(in crate::domain) input: &'a Input<'a>,
    pub(in crate::domain) owner: &'a Owner,
    pub(in crate::domain) circumstances: Circumstances<'a>,
}

impl DoomedPolicies<'_> {
    /// Whether they must be looked at before more can be decided.
    pub(in crate::domain) fn are_unseen(&self) -> bool {
        self.all().any(|arn| *self.sight(arn) == PolicySight::Unseen)
    }

    /// Deletes them.
    pub(in crate::domain) fn delete(&self, plan: &mut Plan) {
        let since = self.input.queue.metadata.deletion_timestamp.as_ref();
        // None is created once the Queue is being deleted.
        let is_new = since.is_some_and(|since| self.input.now.duration_since(since.0) < SETTLING);
        for arn in self.all() {
            match farewell(arn, self.sight(arn), self.owner, &self.circumstances, is_new) {
                Farewell::Over => plan.left_behind.extend(self.strangers(arn)),
                Farewell::Steps(steps) => plan.steps.extend(steps),
                Farewell::Wait(mut finding) => {
                    finding.message.push_str("; to leave the policy as it is, set spec.deletionPolicy: Retain");
                    plan.findings.push(finding);
                }
            }
        }
    }

    /// Lets them go as they are: whoever uses the queue goes on using it. What cannot be reached is left, and told.
    pub(in crate::domain) fn let_go(&self, plan: &mut Plan) {
        for arn in self.all() {
            let sight = self.sight(arn);
            let words = match (self.input.observed.refused.get(&arn.to_string()), sight) {
                (Some(words), _) => Some(words.clone()),
                (None, PolicySight::Failed(error)) if error.class() == ErrorClass::Denied || self.is_old() => {
                    Some(error.to_string())
                }
                _ => None,
            };
            if let Some(words) = words {
                plan.left_behind.push(format!("{arn} was left as it is, with its owner tags if it is there: {words}"));
                continue;
            }
            match sight {
                PolicySight::Failed(error) => plan.findings.push(self.circumstances.policy_failed(arn, error)),
                PolicySight::Absent if self.was_just_written(arn) => plan.findings.push(may_appear(arn)),
                _ => {}
            }
            // IAM may show tags for a while that are gone.
            if !self.is_released(arn) {
                plan.steps.extend(let_go(arn, sight, self.owner));
                plan.left_behind.extend(self.strangers(arn));
            }
        }
    }

    /// What to say of a policy at this place that is not the Queue's.
    fn strangers(&self, arn: &PolicyArn) -> Option<String> {
        let PolicySight::Present(present) = self.sight(arn) else { return None };
        (!self.is_released(arn) && !is_ours(present, self.owner))
            .then(|| format!("{arn} does not carry this Queue's owner tags and was left as it is"))
    }

    /// Whether it was made so recently, or was to be, that IAM may not show it.
    fn was_just_written(&self, arn: &PolicyArn) -> bool {
        let mut entries = self.input.record.policies.iter().filter(|entry| entry.policy_arn == arn.to_string());
        entries.any(|entry| is_settling(entry, self.input.now))
    }

    fn is_released(&self, arn: &PolicyArn) -> bool {
        self.input.memory.released.contains_key(&arn.to_string())
    }

    /// Whether the deletion has waited long for what fails.
    fn is_old(&self) -> bool {
        let since = self.input.queue.metadata.deletion_timestamp.as_ref();
        since.is_some_and(|since| self.input.now.duration_since(since.0) >= PATIENCE)
            && self.input.memory.is_past_patience(self.input.now)
    }

    fn all(&self) -> impl Iterator<Item = &PolicyArn> {
        self.input.doomed.policies.iter()
    }

    fn sight(&self, arn: &PolicyArn) -> &PolicySight {
        self.input.observed.policy(arn)
    }
}
