//! An IAM in which every write shows at once, as far as plans are about it; it takes no write of a kind that would not be taken.

use std::collections::BTreeSet;

use prism_queue::domain::finding::Circumstances;
use prism_queue::domain::iam::{IdentityPolicy, Policy, PolicyArn, PolicySight, PresentPolicy};
use prism_queue::domain::identity::{
    Desired, IdentityPlan, IdentityStep, Picture, PresentRole, Role, RoleArn, RoleSight,
};
use prism_queue::domain::observed::Memory;
use prism_queue::domain::plan::Step;
use prism_queue::domain::tags::Tags;

use super::at_noon;
use crate::fixtures::UID;

/// What is decided about, and what is there.
#[derive(Clone)]
pub(super) struct World {
    pub(super) desired: Desired,
    pub(super) picture: Picture,
}

pub(super) fn role(arn: &RoleArn, tags: Tags, attached: &[&str]) -> PresentRole {
    let role = Role { id: "AROA1".to_owned(), arn: arn.to_string(), trust: "{}".to_owned(), boundary: None, tags };
    PresentRole { role, attached: attached.iter().map(|arn| (*arn).to_owned()).collect() }
}

pub(super) fn policy(document: &IdentityPolicy, tags: Tags, attachments: u32) -> PresentPolicy {
    let policy = Policy { id: "ANPA1".to_owned(), default_version: "v1".to_owned(), attachments, tags };
    PresentPolicy { policy, digest: document.digest(), others: Vec::new() }
}

impl World {
    /// Nothing is there.
    pub(super) fn empty(desired: Desired) -> Self {
        let picture = Picture { roles: [].into(), policies: [].into(), at: at_noon() };
        Self { desired, picture }.looked()
    }

    /// What was not looked at is not there.
    pub(super) fn looked(mut self) -> Self {
        for arn in self.desired.roles() {
            self.picture.roles.entry(arn.clone()).or_insert(RoleSight::Absent);
        }
        for arn in self.desired.all_policies() {
            self.picture.policies.entry(arn.clone()).or_insert(PolicySight::Absent);
        }
        self
    }

    /// The same, when something else is asked for.
    pub(super) fn wanting(self, desired: Desired) -> Self {
        Self { desired, ..self }.looked()
    }

    pub(super) fn seeing_role(mut self, arn: &RoleArn, sight: RoleSight) -> Self {
        self.picture.roles.insert(arn.clone(), sight);
        self
    }

    pub(super) fn seeing_policy(mut self, arn: &PolicyArn, sight: PolicySight) -> Self {
        self.picture.policies.insert(arn.clone(), sight);
        self
    }

    pub(super) fn plan(&self) -> IdentityPlan {
        let memory = Memory::default();
        let circumstances = Circumstances { memory: &memory, uid: UID, caller_arn: "", now: at_noon() };
        self.desired.plan(&self.picture, &circumstances)
    }

    /// Steps by their names: those of roles and policies with the last part of the name that they are about.
    pub(super) fn steps(&self) -> Vec<String> {
        self.plan().steps.iter().map(name).collect()
    }

    /// Why not all is as declared.
    pub(super) fn reasons(&self) -> Vec<&'static str> {
        let plan = self.plan();
        let all = plan.findings.iter().chain(&plan.left).chain(&self.desired.finding);
        all.map(|finding| finding.reason.as_str()).collect()
    }

    /// Carries out what is planned, but for steps that fail and those that wait for them; as a pass does.
    pub(super) fn pass(&mut self, fails: impl Fn(&IdentityStep) -> bool) -> Vec<IdentityStep> {
        let mut failed: BTreeSet<String> = BTreeSet::new();
        let mut has_failed = false;
        let mut done = Vec::new();
        for step in self.plan().steps {
            if step.wants_all() && has_failed || step.waits_for().iter().any(|concern| failed.contains(concern)) {
                continue;
            }
            if fails(&step) {
                failed.extend(step.concerns());
                has_failed = true;
            } else {
                self.take(&step);
                done.push(step);
            }
        }
        done
    }

    /// Carries out what is planned until nothing is left.
    pub(super) fn settled(mut self) -> Self {
        for _ in 0..4 {
            let writes = |step: &IdentityStep| !matches!(step, IdentityStep::Bind(_));
            if !self.plan().steps.iter().any(writes) {
                return self;
            }
            self.pass(|_| false);
        }
        panic!("no rest: {:?}", self.plan().steps);
    }

    pub(super) fn role(&mut self, arn: &RoleArn) -> &mut PresentRole {
        match self.picture.roles.get_mut(arn) {
            Some(RoleSight::Present(present)) => present,
            other => panic!("{arn}: {other:?}"),
        }
    }

    pub(super) fn policy(&mut self, arn: &PolicyArn) -> &mut PresentPolicy {
        match self.picture.policies.get_mut(arn) {
            Some(PolicySight::Present(present)) => present,
            other => panic!("{arn}: {other:?}"),
        }
    }

    fn take(&mut self, step: &IdentityStep) {
        match step {
            IdentityStep::CreateRole { arn, trust, boundary, tags } => {
                assert_eq!(self.picture.roles.get(arn), Some(&RoleSight::Absent), "{arn}");
                let mut present = role(arn, tags.clone(), &[]);
                present.role.trust = trust.to_json();
                present.role.boundary = Some(boundary.clone());
                self.picture.roles.insert(arn.clone(), RoleSight::Present(present));
            }
            IdentityStep::TagRole { arn, tags } => self.role(arn).role.tags.extend(tags.clone()),
            IdentityStep::UpdateTrust { arn, trust } => self.role(arn).role.trust = trust.to_json(),
            IdentityStep::PutBoundary { arn, boundary } => self.role(arn).role.boundary = Some(boundary.clone()),
            IdentityStep::Attach { role, policy } => {
                self.role(role);
                self.policy(policy);
                self.picture.attached(role, policy, true);
            }
            IdentityStep::Detach { role, policy } => {
                assert!(self.role(role).attached.contains(&policy.to_string()), "{policy} is attached to {role}");
                self.picture.attached(role, policy, false);
            }
            IdentityStep::DeleteRole { arn } => {
                assert_eq!(self.role(arn).attached, BTreeSet::new(), "DeleteConflict: {arn}");
                self.picture.roles.insert(arn.clone(), RoleSight::Absent);
            }
            IdentityStep::Policy { arn, step } => self.take_of_policy(arn, step),
            IdentityStep::Bind(_) => {}
        }
    }

    fn take_of_policy(&mut self, arn: &PolicyArn, step: &Step) {
        match step {
            Step::CreatePolicy { document, tags, .. } => {
                assert_eq!(self.picture.policies.get(arn), Some(&PolicySight::Absent), "{arn}");
                let present = policy(document, tags.clone(), 0);
                self.picture.policies.insert(arn.clone(), PolicySight::Present(present));
            }
            Step::UpdatePolicy { document, .. } => {
                let present = self.policy(arn);
                assert!(present.others.len() < 4, "LimitExceeded: {arn}");
                let next = format!("v{}", present.others.len() + 100);
                present.others.push(std::mem::replace(&mut present.policy.default_version, next));
                present.digest = document.digest();
            }
            Step::DeletePolicyVersion { version, .. } => {
                let present = self.policy(arn);
                assert_ne!(present.policy.default_version, *version, "DeleteConflict: {arn}");
                present.others.retain(|other| other != version);
            }
            Step::DeletePolicy { .. } => {
                let present = self.policy(arn);
                assert_eq!((present.policy.attachments, present.others.len()), (0, 0), "DeleteConflict: {arn}");
                self.picture.policies.insert(arn.clone(), PolicySight::Absent);
            }
            Step::TagPolicy { tags, .. } => self.policy(arn).policy.tags.extend(tags.clone()),
            other => panic!("no step of a subject's policies: {other:?}"),
        }
    }
}

/// What a step does, in a word.
pub(super) fn name(step: &IdentityStep) -> String {
    let word = match step {
        IdentityStep::CreateRole { .. } => "CreateRole",
        IdentityStep::TagRole { .. } => "TagRole",
        IdentityStep::UpdateTrust { .. } => "UpdateTrust",
        IdentityStep::PutBoundary { .. } => "PutBoundary",
        IdentityStep::Policy { step, .. } => step.name(),
        IdentityStep::Attach { .. } => "Attach",
        IdentityStep::Detach { .. } => "Detach",
        IdentityStep::DeleteRole { .. } => "DeleteRole",
        IdentityStep::Bind(binding) if binding.lets_go() => "Unbind",
        IdentityStep::Bind(_) => "Bind",
    };
    word.to_owned()
}
