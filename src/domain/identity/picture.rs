//! What was seen in IAM of one subject's role and policies, and what was written since.
//!
//! IAM shows changes late: what was written is believed for longer than what a look right after it would say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::super::call::CallError;
use super::super::iam::{PolicyArn, PolicySight, PresentPolicy};
use super::{Desired, Role, RoleArn};

/// How long what was seen may be taken for true: IAM's rates are low, and an account's workloads share them.
const LOOK_EVERY: SignedDuration = SignedDuration::from_mins(30);

/// What was seen of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleSight {
    /// It is not there.
    Absent,
    /// Looking failed.
    Failed(CallError),
    /// It is there.
    Present(PresentRole),
}

/// A role that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentRole {
    /// As `GetRole` tells.
    pub role: Role,
    /// The ARNs of the managed policies that are attached to it; not asked for when it is another role than was meant.
    pub attached: BTreeSet<String>,
}

/// What is known of a subject's role and policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Roles.
    pub roles: BTreeMap<RoleArn, RoleSight>,
    /// Policies.
    pub policies: BTreeMap<PolicyArn, PolicySight>,
    /// When it was looked at.
    pub at: Timestamp,
}

impl Picture {
    /// Whether it shows all that decisions about `desired` depend on, and is new enough.
    #[must_use]
    pub fn serves(&self, desired: &Desired, now: Timestamp) -> bool {
        let roles = desired.roles().all(|arn| self.roles.contains_key(arn));
        let policies = desired.all_policies().all(|arn| self.policies.contains_key(arn));
        roles && policies && self.is_fresh(now)
    }

    /// Whether it is new enough.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.at).abs() < LOOK_EVERY
    }

    /// What was seen of the role `arn`, when it is there and no other of its name.
    #[must_use]
    pub fn role(&self, arn: &RoleArn) -> Option<&PresentRole> {
        match self.roles.get(arn)? {
            RoleSight::Present(present) if present.role.arn == arn.to_string() => Some(present),
            RoleSight::Present(_) | RoleSight::Absent | RoleSight::Failed(_) => None,
        }
    }
}

/// What is written is seen from then on.
impl Picture {
    /// The role `arn` was changed.
    pub fn change_role(&mut self, arn: &RoleArn, change: impl FnOnce(&mut Role)) {
        if let Some(RoleSight::Present(present)) = self.roles.get_mut(arn) {
            change(&mut present.role);
        }
    }

    /// The policy `arn` was changed.
    pub fn change_policy(&mut self, arn: &PolicyArn, change: impl FnOnce(&mut PresentPolicy)) {
        if let Some(PolicySight::Present(present)) = self.policies.get_mut(arn) {
            change(present);
        }
    }

    /// A policy was attached to a role, or detached from it.
    pub fn attached(&mut self, role: &RoleArn, policy: &PolicyArn, is_attached: bool) {
        let Some(RoleSight::Present(present)) = self.roles.get_mut(role) else { return };
        let is_news = if is_attached {
            present.attached.insert(policy.to_string())
        } else {
            present.attached.remove(&policy.to_string())
        };
        if is_news {
            self.change_policy(policy, |present| {
                let count = present.policy.attachments;
                present.policy.attachments = if is_attached { count + 1 } else { count.saturating_sub(1) };
            });
        }
    }
}

impl Desired {
    /// The roles to look at.
    pub fn roles(&self) -> impl Iterator<Item = &RoleArn> {
        self.role.arn().into_iter().chain(&self.former_roles)
    }

    /// The policies to look at.
    pub fn all_policies(&self) -> impl Iterator<Item = &PolicyArn> {
        self.policies.iter().map(|(arn, _)| arn).chain(&self.former_policies)
    }

    /// Policies that are not wanted: those on record, and those that are attached and have the subject's names, should a
    /// record be lost.
    #[must_use]
    pub fn unwanted(&self, picture: &Picture) -> BTreeSet<PolicyArn> {
        let attached: BTreeSet<&String> =
            self.roles().filter_map(|arn| picture.role(arn)).flat_map(|role| &role.attached).collect();
        let by_name = self.names.iter().filter(|arn| attached.contains(&arn.to_string())).cloned();
        let wanted: BTreeSet<&PolicyArn> = self.policies.iter().map(|(arn, _)| arn).collect();
        self.former_policies.iter().cloned().chain(by_name).filter(|arn| !wanted.contains(arn)).collect()
    }

    /// Whether the role `arn` is made for the subject, so that all of it is to be read.
    #[must_use]
    pub fn is_own(&self, arn: &RoleArn) -> bool {
        self.own_role.as_ref() == Some(arn)
    }
}
