//! The managed policies that a Queue asks for.

use std::collections::BTreeSet;

use crate::api::queue::DeadLetterMode;
use crate::api::status::IamStatus;
use crate::api::{Queue, QueueSpec};

use super::super::class::Class;
use super::super::desired::DesiredDeadLetter;
use super::super::field::FieldError;
use super::super::fleet::{Fleet, Key};
use super::super::permission::Permission;
use super::super::settings::dead_letter_mode;
use super::{Grant, GrantedQueue, IdentityPolicy, MAX_CHARACTERS, PolicyArn, compile, policy_arn};

/// A managed policy as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredPolicy {
    /// What it allows.
    pub permission: Permission,
    /// Where it is.
    pub arn: PolicyArn,
    /// What it says; `None` while the dead-letter queue that it is about is not known.
    pub document: Option<IdentityPolicy>,
}

impl DesiredPolicy {
    /// What stands for what it says.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        self.document.as_ref().map(IdentityPolicy::digest)
    }
}

/// The permissions for which `spec` asks for a policy.
fn permissions(spec: &QueueSpec) -> BTreeSet<Permission> {
    spec.iam.iter().flat_map(|iam| iam.policies.iter().flatten()).copied().collect()
}

/// Permissions that mean nothing for this Queue.
pub(in crate::domain) fn check_permissions(spec: &QueueSpec, errors: &mut Vec<FieldError>) {
    let has_none = dead_letter_mode(spec) == DeadLetterMode::None;
    for permission in permissions(spec).into_iter().filter(|p| has_none && p.needs_dead_letter_queue()) {
        let rule = format!(
            "{} is about the dead-letter queue, and the mode of spec.deadLetter is None: remove it, or set another mode",
            permission.as_str()
        );
        errors.push(FieldError::new("spec.iam.policies", rule));
    }
}

/// Where the policies are that `queue` asks for, or did. A policy that is on record is where it was recorded: another path or
/// another cluster name moves none.
#[must_use]
pub fn policy_arns(queue: &Queue, class: &Class) -> Vec<(Permission, PolicyArn)> {
    let recorded = recorded_arns(queue.status.as_ref().and_then(|status| status.iam.as_ref()), class);
    let declared = permissions(&class.spec_of(queue)).into_iter();
    let declared = declared.filter(|permission| recorded.iter().all(|(recorded, _)| recorded != permission));
    let Class { cluster, place, iam_path, .. } = class;
    let new = declared
        .map(|permission| (permission, policy_arn(&cluster.name, place, iam_path, &Key::of(queue), permission)));
    recorded.iter().cloned().chain(new).collect()
}

/// Policies of another account are none of ours, whoever wrote them there.
fn recorded_arns(iam: Option<&IamStatus>, class: &Class) -> Vec<(Permission, PolicyArn)> {
    let recorded = iam.into_iter().flat_map(|iam| &iam.policies);
    recorded
        .filter_map(|policy| Some((policy.permission, PolicyArn::parse(&policy.policy_arn)?)))
        .filter(|(_, arn)| arn.account_id() == class.place.account_id)
        .collect()
}

/// What the policies of a Queue are about.
pub(in crate::domain) struct Subject<'a> {
    pub(in crate::domain) queue: &'a Queue,
    pub(in crate::domain) arn: String,
    /// The KMS key of the queue and of its managed dead-letter queue.
    pub(in crate::domain) kms_key: Option<String>,
    pub(in crate::domain) dead_letter: &'a DesiredDeadLetter,
}

impl Subject<'_> {
    /// The policies that the Queue asks for.
    pub(in crate::domain) fn policies(
        &self,
        class: &Class,
        fleet: &Fleet,
        errors: &mut Vec<FieldError>,
    ) -> Vec<DesiredPolicy> {
        let wanted = permissions(&class.spec_of(self.queue));
        if !self.has_own_dead_letters(class, fleet) {
            for permission in wanted.iter().filter(|permission| permission.needs_dead_letter_queue()) {
                let rule = format!(
                    "{} is about the dead-letter queue, and that is of no Queue of this namespace: whose queue it is says who may read it. Remove it, or use a dead-letter queue of this namespace",
                    permission.as_str()
                );
                errors.push(FieldError::new("spec.iam.policies", rule));
            }
        }
        let arns = policy_arns(self.queue, class).into_iter().filter(|(permission, _)| wanted.contains(permission));
        let dead_letter = self.dead_letter_queue(fleet);
        let policies = arns.map(|(permission, arn)| {
            let is_known = dead_letter.is_some() || !permission.needs_dead_letter_queue();
            let document = is_known.then(|| {
                let queue = GrantedQueue { arn: self.arn.clone(), key: self.kms_key.clone() };
                compile(&[Grant { permission, queue, dead_letter: dead_letter.clone() }], &class.place)
            });
            DesiredPolicy { permission, arn, document }
        });
        let policies: Vec<DesiredPolicy> = policies.collect();
        for DesiredPolicy { permission, document, .. } in &policies {
            let characters = document.as_ref().map_or(0, IdentityPolicy::characters);
            if characters > MAX_CHARACTERS {
                let rule = format!(
                    "the policy for {} would have {characters} characters; IAM allows {MAX_CHARACTERS}: use shorter names of keys",
                    permission.as_str()
                );
                errors.push(FieldError::new("spec.iam.policies", rule));
            }
        }
        policies
    }

    /// Whether the dead-letter queue is this namespace's to give: to be allowed to put dead letters somewhere is not to be
    /// allowed to read what is there, and a policy must not come to be about another's queue by an edit.
    fn has_own_dead_letters(&self, class: &Class, fleet: &Fleet) -> bool {
        let spec = class.spec_of(self.queue);
        if dead_letter_mode(&spec) != DeadLetterMode::Reference {
            return true;
        }
        let reference = spec.dead_letter.and_then(|dead_letter| dead_letter.reference).unwrap_or_default();
        let key = Key::of(self.queue);
        let is_beside = || fleet.dead_letter_of(&key).is_some_and(|member| member.key.namespace == key.namespace);
        reference.queue_ref.is_some() || is_beside()
    }

    fn dead_letter_queue(&self, fleet: &Fleet) -> Option<GrantedQueue> {
        match self.dead_letter {
            DesiredDeadLetter::Managed(queue) => {
                Some(GrantedQueue { arn: queue.arn.to_string(), key: self.kms_key.clone() })
            }
            DesiredDeadLetter::Reference { arn } => {
                let member = fleet.dead_letter_of(&Key::of(self.queue));
                Some(GrantedQueue { arn: arn.clone(), key: member.and_then(|member| member.kms_key.clone()) })
            }
            DesiredDeadLetter::None | DesiredDeadLetter::NotReady { .. } => None,
        }
    }
}
