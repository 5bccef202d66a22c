//! Bringing a subject's role and policies nearer to what they should be. Planning reads nothing, writes nothing and cannot
//! fail.

use std::collections::BTreeSet;

use crate::api::conditions::{EventReason, Reason};

use super::super::call::{CallError, ErrorKind};
use super::super::finding::{Circumstances, Finding};
use super::super::iam::{IdentityPolicy, PolicyArn, PolicySight, PresentPolicy, renewal};
use super::super::plan::Step;
use super::super::tags::{Origin, Ownership, Tags};
use super::binding::Binding;
use super::desired::{Desired, DesiredRole, SLOW};
use super::picture::{Picture, PresentRole, RoleSight};
use super::{RoleArn, Trust};

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityStep {
    /// `CreateRole`.
    CreateRole {
        /// Where.
        arn: RoleArn,
        /// Who may assume it.
        trust: Trust,
        /// The ARN of its permissions boundary.
        boundary: String,
        /// Its tags.
        tags: Tags,
    },
    /// `TagRole`: the owner tags of the cluster that this one replaces are renewed.
    TagRole {
        /// Which.
        arn: RoleArn,
        /// These are set.
        tags: Tags,
    },
    /// `UpdateAssumeRolePolicy`.
    UpdateTrust {
        /// Which.
        arn: RoleArn,
        /// Who may assume it.
        trust: Trust,
    },
    /// `PutRolePermissionsBoundary`.
    PutBoundary {
        /// Which.
        arn: RoleArn,
        /// The ARN of its permissions boundary.
        boundary: String,
    },
    /// A write of a managed policy.
    Policy {
        /// Which.
        arn: PolicyArn,
        /// What to do.
        step: Step,
    },
    /// `AttachRolePolicy`.
    Attach {
        /// To which role.
        role: RoleArn,
        /// Which policy.
        policy: PolicyArn,
    },
    /// `DetachRolePolicy`.
    Detach {
        /// From which role.
        role: RoleArn,
        /// Which policy.
        policy: PolicyArn,
    },
    /// `DeleteRole`.
    DeleteRole {
        /// Which.
        arn: RoleArn,
    },
    /// A write that binds the `ServiceAccount`, or lets it go.
    Bind(Binding),
}

/// What to do, and what stands in the way.
#[derive(Clone, Debug, Default)]
pub struct IdentityPlan {
    /// Writes, in order.
    pub steps: Vec<IdentityStep>,
    /// What keeps the subject from having what is declared.
    pub findings: Vec<Finding>,
    /// What keeps from it what is not declared any more from being taken away.
    pub left: Vec<Finding>,
}

impl Desired {
    /// The next steps, by what `picture` shows.
    #[must_use]
    pub fn plan(&self, picture: &Picture, circumstances: &Circumstances<'_>) -> IdentityPlan {
        let mut planner = Planner { desired: self, picture, circumstances, plan: IdentityPlan::default() };
        planner.converge();
        planner.retire();
        planner.plan
    }
}

struct Planner<'a> {
    desired: &'a Desired,
    picture: &'a Picture,
    circumstances: &'a Circumstances<'a>,
    plan: IdentityPlan,
}

impl Planner<'_> {
    fn step(&mut self, step: IdentityStep) {
        self.plan.steps.push(step);
    }

    /// The role, its policies, and the `ServiceAccount` last: Pods that start then have all.
    fn converge(&mut self) {
        let desired = self.desired;
        let attached = match &desired.role {
            DesiredRole::Nobody => None,
            DesiredRole::Made { arn, trust, boundary } => self.made(arn, trust, boundary),
            DesiredRole::Kept(arn) => self.picture.role(arn).filter(|present| self.is_ours(present)).map(attached),
            DesiredRole::Foreign(arn) => self.foreign(arn),
        };
        let usable = desired.role.arn().zip(attached);
        let mut is_whole = usable.is_some();
        for (policy, document) in &desired.policies {
            let is_there = self.policy(policy, document, usable.is_some());
            is_whole &= is_there;
            if let Some((arn, attached)) = &usable
                && is_there
                && !attached.contains(&policy.to_string())
            {
                self.step(IdentityStep::Attach { role: (*arn).clone(), policy: policy.clone() });
            }
        }
        for binding in &desired.bindings {
            if binding.lets_go() || is_whole {
                self.step(IdentityStep::Bind(binding.clone()));
            }
        }
    }

    /// Answers with what is attached to it, when policies can be.
    fn made(&mut self, arn: &RoleArn, trust: &Trust, boundary: &str) -> Option<BTreeSet<String>> {
        let present = match self.picture.roles.get(arn) {
            Some(RoleSight::Present(present)) => present,
            Some(RoleSight::Failed(error)) => {
                self.failed(&format!("the role {arn}"), error);
                return None;
            }
            Some(RoleSight::Absent) | None => {
                let (trust, boundary) = (trust.clone(), boundary.to_owned());
                let tags = self.desired.owner.tags(Origin::Created);
                self.step(IdentityStep::CreateRole { arn: arn.clone(), trust, boundary, tags });
                return Some(BTreeSet::new());
            }
        };
        let role = &present.role;
        if role.arn != arn.to_string() {
            let message = format!(
                "the role {} has the name that {arn} is to have; it is left untouched. Delete it, or take it away from the account",
                role.arn
            );
            self.plan.findings.push(Finding::stalled(Reason::NameConflict, message, SLOW));
            return None;
        }
        match self.desired.owner.ownership(&role.tags) {
            Ownership::Ours { .. } => {}
            Ownership::OursFromPreviousCluster { origin } => {
                let tags = self.desired.owner.tags(origin);
                self.step(IdentityStep::TagRole { arn: arn.clone(), tags });
            }
            stranger => {
                let finding = not_ours(&format!("the role {arn}"), &stranger);
                self.plan.findings.push(finding);
                return None;
            }
        }
        // Narrow before anything is attached.
        if role.boundary.as_deref() != Some(boundary) {
            self.step(IdentityStep::PutBoundary { arn: arn.clone(), boundary: boundary.to_owned() });
        }
        if Trust::parse(&role.trust) != *trust {
            self.step(IdentityStep::UpdateTrust { arn: arn.clone(), trust: trust.clone() });
        }
        Some(present.attached.clone())
    }

    fn foreign(&mut self, arn: &RoleArn) -> Option<BTreeSet<String>> {
        match self.picture.roles.get(arn)? {
            // What a class allows is this role, not another of its name.
            RoleSight::Present(present) if present.role.arn != arn.to_string() => {
                let message = format!(
                    "there is no role {arn}: the role of this name is {}, which is left untouched. Name that one, if the class allows it",
                    present.role.arn
                );
                self.plan.findings.push(Finding::stalled(Reason::RoleNotAllowed, message, SLOW));
                None
            }
            RoleSight::Present(present) => Some(present.attached.clone()),
            RoleSight::Failed(error) => {
                self.failed(&format!("the role {arn}"), error);
                None
            }
            RoleSight::Absent => {
                let message = format!("there is no role {arn}, or none any more; create it, and it is tried again");
                self.plan.findings.push(Finding::stalled(Reason::PrincipalGone, message, SLOW));
                None
            }
        }
    }

    /// Answers whether the policy can be attached. One that is there is kept as declared whatever becomes of the role: it may
    /// have to allow less.
    fn policy(&mut self, arn: &PolicyArn, document: &IdentityPolicy, has_role: bool) -> bool {
        let present = match self.picture.policies.get(arn) {
            Some(PolicySight::Present(present)) => present,
            Some(PolicySight::Failed(error)) => {
                self.not_taken(&format!("the policy {arn}"), error);
                return false;
            }
            Some(PolicySight::Absent | PolicySight::NameTaken | PolicySight::Unseen) | None if !has_role => {
                return false;
            }
            Some(PolicySight::Absent | PolicySight::NameTaken | PolicySight::Unseen) | None => {
                let tags = self.desired.owner.tags(Origin::Created);
                let step = Step::CreatePolicy { arn: arn.clone(), document: document.clone(), tags };
                self.step(IdentityStep::Policy { arn: arn.clone(), step });
                return true;
            }
        };
        match self.desired.owner.ownership(&present.policy.tags) {
            Ownership::Ours { .. } => {}
            Ownership::OursFromPreviousCluster { origin } => {
                let tags = self.desired.owner.tags(origin);
                let step = Step::TagPolicy { arn: arn.clone(), tags };
                self.step(IdentityStep::Policy { arn: arn.clone(), step });
            }
            stranger => {
                self.plan.findings.push(not_ours(&format!("the policy {arn}"), &stranger));
                return false;
            }
        }
        if present.digest != document.digest() {
            self.policy_steps(arn, renewal(arn, present, document, EventReason::Updated));
        }
        true
    }

    /// What is not wanted any more. Nothing is taken from anybody that is not ours by its tags.
    fn retire(&mut self) {
        let desired = self.desired;
        let unwanted = desired.unwanted(self.picture);
        let known = desired.all_policies().chain(&unwanted);
        let ours: BTreeSet<&PolicyArn> = known.filter(|arn| self.own_policy(arn).is_some()).collect();
        for arn in &desired.former_roles {
            if let Some(present) = self.picture.role(arn) {
                for policy in &ours {
                    self.detach(arn, present, policy);
                }
            }
        }
        for arn in &unwanted {
            self.former_policy(arn);
        }
        for arn in desired.former_roles.iter().filter(|arn| desired.is_own(arn)) {
            self.former_role(arn, &ours);
        }
    }

    /// Takes a policy of the subject's from a role, if it is attached to it.
    fn detach(&mut self, role: &RoleArn, present: &PresentRole, policy: &PolicyArn) {
        if present.attached.contains(&policy.to_string()) {
            self.step(IdentityStep::Detach { role: role.clone(), policy: policy.clone() });
        }
    }

    fn own_policy(&self, arn: &PolicyArn) -> Option<&PresentPolicy> {
        let Some(PolicySight::Present(present)) = self.picture.policies.get(arn) else {
            return None;
        };
        self.desired.owner.owns(&present.policy.tags).then_some(present)
    }

    fn former_policy(&mut self, arn: &PolicyArn) {
        let desired = self.desired;
        if let Some(PolicySight::Failed(error)) = self.picture.policies.get(arn) {
            self.not_taken(&format!("the policy {arn}"), error);
            return;
        }
        let Some(present) = self.own_policy(arn).cloned() else { return };
        let mut detached = 0;
        let text = arn.to_string();
        for role in desired.roles() {
            let Some(seen) = self.picture.role(role).filter(|seen| seen.attached.contains(&text)) else { continue };
            // From former roles it was taken already.
            if !desired.former_roles.contains(role) {
                let seen = seen.clone();
                self.detach(role, &seen, arn);
            }
            detached += 1;
        }
        if present.policy.attachments > detached {
            let left = present.policy.attachments - detached;
            let message = format!(
                "the policy {arn} is no longer wanted and attached {left} times by others, as a policy or as a permissions boundary; it works for them until it is detached, and is deleted then (aws iam list-entities-for-policy --policy-arn {arn})"
            );
            self.plan.left.push(Finding::waiting(Reason::PolicyAttached, message, SLOW));
            return;
        }
        let versions =
            present.others.iter().cloned().map(|version| Step::DeletePolicyVersion { arn: arn.clone(), version });
        self.policy_steps(arn, versions.chain([Step::DeletePolicy { arn: arn.clone() }]));
    }

    fn policy_steps(&mut self, arn: &PolicyArn, steps: impl IntoIterator<Item = Step>) {
        let steps = steps.into_iter().map(|step| IdentityStep::Policy { arn: arn.clone(), step });
        self.plan.steps.extend(steps);
    }

    fn former_role(&mut self, arn: &RoleArn, ours: &BTreeSet<&PolicyArn>) {
        if let Some(RoleSight::Failed(error)) = self.picture.roles.get(arn) {
            self.not_taken(&format!("the role {arn}"), error);
            return;
        }
        let Some(present) = self.picture.role(arn).filter(|present| self.is_ours(present)) else { return };
        let ours: BTreeSet<String> = ours.iter().map(ToString::to_string).collect();
        let others: Vec<&String> = present.attached.iter().filter(|attached| !ours.contains(*attached)).collect();
        if others.is_empty() {
            self.step(IdentityStep::DeleteRole { arn: arn.clone() });
        } else {
            let others: Vec<&str> = others.into_iter().map(String::as_str).collect();
            let finding =
                role_in_use(arn, &format!("{} is attached to it, and not by the operator", others.join(", ")));
            self.plan.left.push(finding);
        }
    }

    fn is_ours(&self, present: &PresentRole) -> bool {
        self.desired.owner.owns(&present.role.tags)
    }

    /// What cannot be seen may still allow what is not declared.
    fn not_taken(&mut self, subject: &str, error: &CallError) {
        self.plan.left.push(Finding::of_call(subject, error, self.circumstances));
    }

    fn failed(&mut self, subject: &str, error: &CallError) {
        self.plan.findings.push(Finding::of_call(subject, error, self.circumstances));
    }
}

fn attached(present: &PresentRole) -> BTreeSet<String> {
    present.attached.clone()
}

/// A role is never taken from those who put something on it.
fn role_in_use(arn: &RoleArn, why: &str) -> Finding {
    let message =
        format!("the role {arn} is no longer wanted and is not deleted: {why}; it is deleted once that is gone");
    Finding::waiting(Reason::RoleInUse, message, SLOW)
}

/// What to say of something that is not the subject's.
fn not_ours(what: &str, ownership: &Ownership) -> Finding {
    let (reason, whose) = match ownership {
        Ownership::AnotherQueues { owner } => (Reason::NameConflict, format!("belongs to {owner}, by its owner tags")),
        Ownership::AnotherClusters { owner } => (Reason::NotOwned, format!("belongs to another owner ({owner})")),
        Ownership::AnotherClusterOfThisName { uid } => (
            Reason::ClusterIdentityChanged,
            format!(
                "carries the owner tags of a cluster of this name with the UID {uid}. If this cluster replaces that one, start the operator with --previous-cluster-uid {uid}; if both live, give them different names (--cluster-name)"
            ),
        ),
        Ownership::Nobodys | Ownership::Ours { .. } | Ownership::OursFromPreviousCluster { .. } => {
            (Reason::NotOwned, "exists and has no owner tags".to_owned())
        }
    };
    let message = format!("{what} {whose}; it is left untouched. Delete it, and it is made again");
    Finding::stalled(reason, message, SLOW)
}

impl IdentityStep {
    /// What the step is about: after it failed, those that wait for the same are not tried.
    #[must_use]
    pub fn concerns(&self) -> Vec<String> {
        match self {
            Self::CreateRole { arn, .. }
            | Self::TagRole { arn, .. }
            | Self::UpdateTrust { arn, .. }
            | Self::PutBoundary { arn, .. }
            | Self::DeleteRole { arn } => vec![arn.to_string()],
            Self::Attach { role, policy } | Self::Detach { role, policy } => vec![role.to_string(), policy.to_string()],
            Self::Policy { arn, .. } => vec![arn.to_string()],
            Self::Bind(_) => Vec::new(),
        }
    }

    /// What must have gone well before it. To take something away nothing is needed.
    #[must_use]
    pub fn waits_for(&self) -> Vec<String> {
        match self {
            Self::Detach { .. } => Vec::new(),
            step => step.concerns(),
        }
    }

    /// Whether it takes something away, or may: until it is done, somebody may have what is not declared any more.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        match self {
            Self::Policy { step, .. } => !matches!(step, Step::CreatePolicy { .. } | Step::TagPolicy { .. }),
            Self::Detach { .. } | Self::DeleteRole { .. } => true,
            Self::Bind(binding) => binding.lets_go(),
            Self::CreateRole { .. }
            | Self::TagRole { .. }
            | Self::UpdateTrust { .. }
            | Self::PutBoundary { .. }
            | Self::Attach { .. } => false,
        }
    }

    /// Whether it wants all steps before it to have gone well: a `ServiceAccount` is bound to what works.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        matches!(self, Self::Bind(binding) if !binding.lets_go())
    }

    /// What a failed call of this step means.
    #[must_use]
    pub fn failed(&self, error: &CallError, circumstances: &Circumstances<'_>) -> Finding {
        match (self, error.kind) {
            (Self::CreateRole { boundary, .. } | Self::PutBoundary { boundary, .. }, ErrorKind::EntityDoesNotExist) => {
                let message = format!(
                    "the permissions boundary {boundary} does not exist ({error}); create it, or name another in the class's iam.permissionsBoundaryArn"
                );
                Finding::stalled(Reason::Refused, message, SLOW)
            }
            (Self::Attach { role, .. }, ErrorKind::LimitExceeded) => {
                let message = format!(
                    "the role {role} has no room for another managed policy ({error}); detach one, or have the quota raised"
                );
                Finding::stalled(Reason::PolicyFull, message, SLOW)
            }
            (Self::DeleteRole { arn }, ErrorKind::DeleteConflict) => role_in_use(arn, &error.to_string()),
            _ => Finding::of_call(&self.subject(), error, circumstances),
        }
    }

    /// What it changes, in words.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::CreateRole { arn, .. }
            | Self::TagRole { arn, .. }
            | Self::UpdateTrust { arn, .. }
            | Self::PutBoundary { arn, .. }
            | Self::DeleteRole { arn } => format!("the role {arn}"),
            Self::Attach { policy, role } | Self::Detach { policy, role } => {
                format!("the policy {policy} at the role {role}")
            }
            Self::Policy { arn, .. } => format!("the policy {arn}"),
            Self::Bind(Binding::Annotate(_) | Binding::Unannotate) => "the annotation of the ServiceAccount".to_owned(),
            Self::Bind(_) => "the EKS Pod Identity association".to_owned(),
        }
    }
}
