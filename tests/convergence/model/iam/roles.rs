//! What the calls about roles do, once no fault is in their way, and what others do to roles.

use std::collections::BTreeSet;

use jiff::Timestamp;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::identity::{Role, RoleArn};
use prism_queue::domain::tags::Tags;
use serde_json::{Value, json};

use super::operations::{conflict, missing};
use super::role::{ManagedRole, RoleView};
use super::{Iam, trust};
use crate::model::World;
use crate::model::caller::Caller;
use crate::model::late::Late;
use crate::model::refusal::{Answer, Refusal};
use crate::model::state::State;

/// Policies that may be attached to a role. Source: "IAM and AWS STS quotas".
const MAX_ATTACHED: usize = 10;

const OF_AWS: &str = "arn:aws:iam::aws:policy/";

impl Iam {
    /// Roles that have the policy as their permissions boundary.
    pub(super) fn bounds(&self, policy: &PolicyArn) -> u32 {
        let arn = policy.to_string();
        let bound = self.roles.values().filter(|role| role.boundary.written().as_ref() == Some(&arn));
        u32::try_from(bound.count()).expect("few")
    }

    /// The role of this name in the caller's own account, whatever its path and case: calls go by name alone.
    fn named(&self, caller: &Caller, name: &str) -> Option<RoleArn> {
        self.roles.keys().find(|arn| is_named(arn, caller, name)).cloned()
    }

    /// The tags of a role, when there is one.
    pub(in crate::model) fn tags_of_role(&self, caller: &Caller, meant: &RoleArn) -> Option<Tags> {
        self.role(caller, meant).map(|(_, tags, _)| tags)
    }

    /// Where a role is, its tags and its boundary, when there is one.
    pub(in crate::model) fn role(&self, caller: &Caller, meant: &RoleArn) -> Option<(RoleArn, Tags, Option<String>)> {
        let (arn, role) = self.roles.get_key_value(&self.named(caller, meant.name())?)?;
        Some((arn.clone(), role.tags.written().clone(), role.boundary.written().clone()))
    }
}

fn is_named(arn: &RoleArn, caller: &Caller, name: &str) -> bool {
    arn.account_id() == caller.place.account_id && arn.name().eq_ignore_ascii_case(name)
}

impl State {
    pub(super) fn create_role(
        &mut self,
        caller: &Caller,
        arn: &RoleArn,
        trust: &str,
        boundary: Option<&str>,
        tags: &Tags,
    ) -> Answer<Role> {
        // Of the ARN only the path and the name are sent.
        if arn.account_id() != caller.place.account_id {
            return Err(Refusal::denied());
        }
        let trust = trust::check(trust, &self.principals)?;
        boundary.map_or(Ok(()), |boundary| self.check_boundary(caller, boundary))?;
        if self.iam.named(caller, arn.name()).is_some() {
            let words = format!("Role with name {} already exists.", arn.name());
            return Err(Refusal::new(ErrorKind::EntityAlreadyExists, "EntityAlreadyExists", words));
        }
        let usable_at = self.after(self.timing.iam_shows_after.clone());
        let role = ManagedRole {
            id: self.principals.create(&arn.to_string()),
            usable_at,
            trust: Late::new(trust),
            boundary: Late::new(boundary.map(str::to_owned)),
            tags: Late::new(tags.clone()),
            attached: Late::new(BTreeSet::new()),
        };
        let answer = role.shown(arn, self.now);
        self.iam.ghosts_of_roles.retain(|ghost, _| !is_named(ghost, caller, arn.name()));
        self.iam.roles.insert(arn.clone(), role);
        Ok(answer)
    }

    /// What a read shows: one just made not yet, one just deleted still.
    pub(super) fn get_role(&mut self, caller: &Caller, name: &str) -> Answer<Role> {
        let now = self.now;
        self.readable(caller, name).map(|(arn, role)| role.shown(arn, now))
    }

    pub(super) fn attached_policies(&mut self, caller: &Caller, name: &str) -> Answer<Vec<String>> {
        let now = self.now;
        self.readable(caller, name).map(|(_, role)| role.attached.shown(now).iter().cloned().collect())
    }

    pub(super) fn update_trust(&mut self, caller: &Caller, name: &str, trust: &str) -> Answer<()> {
        let trust = trust::check(trust, &self.principals)?;
        let shows_at = self.after(self.timing.iam_shows_after.clone());
        self.usable_role(caller, name)?.1.trust.write(trust, shows_at);
        Ok(())
    }

    pub(super) fn put_boundary(&mut self, caller: &Caller, name: &str, boundary: &str) -> Answer<()> {
        self.check_boundary(caller, boundary)?;
        let shows_at = self.after(self.timing.iam_shows_after.clone());
        self.usable_role(caller, name)?.1.boundary.write(Some(boundary.to_owned()), shows_at);
        Ok(())
    }

    pub(super) fn tag_role(&mut self, caller: &Caller, name: &str, tags: &Tags) -> Answer<()> {
        let shows_at = self.after(self.timing.iam_shows_after.clone());
        let role = self.usable_role(caller, name)?.1;
        let mut all = role.tags.written().clone();
        all.extend(tags.clone());
        role.tags.write(all, shows_at);
        Ok(())
    }

    pub(super) fn delete_role(&mut self, caller: &Caller, name: &str) -> Answer<()> {
        let shows_until = self.after(self.timing.iam_shows_after.clone());
        let (arn, role) = self.usable_role(caller, name)?;
        if !role.attached.written().is_empty() {
            return Err(conflict("Cannot delete entity, must detach all policies first."));
        }
        self.remove_role(&arn, shows_until);
        Ok(())
    }

    pub(super) fn attach(&mut self, caller: &Caller, name: &str, policy: &PolicyArn) -> Answer<()> {
        let shows_at = self.after(self.timing.iam_shows_after.clone());
        self.usable(caller, policy)?;
        let (arn, role) = self.usable_role(caller, name)?;
        let mut attached = role.attached.written().clone();
        attached.insert(policy.to_string());
        if attached.len() > MAX_ATTACHED {
            let words = "Cannot exceed quota for PoliciesPerRole: 10";
            return Err(Refusal::new(ErrorKind::LimitExceeded, "LimitExceeded", words));
        }
        role.attached.write(attached, shows_at);
        self.usable(caller, policy)?.attached_to.insert(arn.to_string());
        Ok(())
    }

    pub(super) fn detach(&mut self, caller: &Caller, name: &str, policy: &PolicyArn) -> Answer<()> {
        let shows_at = self.after(self.timing.iam_shows_after.clone());
        let (arn, role) = self.usable_role(caller, name)?;
        let mut attached = role.attached.written().clone();
        if !attached.remove(&policy.to_string()) {
            return Err(missing());
        }
        role.attached.write(attached, shows_at);
        if let Some(policy) = self.iam.policies.get_mut(policy) {
            policy.attached_to.remove(&arn.to_string());
        }
        Ok(())
    }

    /// A boundary is a policy that is there, of this account or of AWS.
    fn check_boundary(&mut self, caller: &Caller, boundary: &str) -> Answer<()> {
        if boundary.starts_with(OF_AWS) {
            return Ok(());
        }
        let words = || format!("Invalid ARN: {boundary} could not be parsed!");
        let arn = PolicyArn::parse(boundary);
        let arn = arn.ok_or_else(|| Refusal::new(ErrorKind::Invalid, "ValidationError", words()))?;
        if arn.account_id() != caller.place.account_id {
            return Err(missing());
        }
        self.usable(caller, &arn).map(|_| ())
    }

    fn readable(&mut self, caller: &Caller, name: &str) -> Answer<(&RoleArn, &ManagedRole)> {
        let now = self.now;
        self.iam.ghosts_of_roles.retain(|_, (_, until)| now < *until);
        let ghosts = self.iam.ghosts_of_roles.iter().map(|(arn, (role, _))| (arn, role));
        let live = self.iam.roles.iter().filter(|(_, role)| role.usable_at <= now);
        live.chain(ghosts).find(|(arn, _)| is_named(arn, caller, name)).ok_or_else(missing)
    }

    fn usable_role(&mut self, caller: &Caller, name: &str) -> Answer<(RoleArn, &mut ManagedRole)> {
        let now = self.now;
        let arn = self.iam.named(caller, name).ok_or_else(missing)?;
        let role = self.iam.roles.get_mut(&arn).filter(|role| role.usable_at <= now).ok_or_else(missing)?;
        Ok((arn, role))
    }

    fn remove_role(&mut self, arn: &RoleArn, shows_until: Timestamp) {
        let name = arn.to_string();
        self.principals.delete(&name);
        for policy in self.iam.policies.values_mut() {
            policy.attached_to.remove(&name);
        }
        if let Some(role) = self.iam.roles.remove(arn) {
            self.iam.ghosts_of_roles.insert(arn.clone(), (role, shows_until));
        }
    }
}

/// What others do. It shows at once.
impl World {
    /// All roles.
    pub fn roles(&self) -> Vec<RoleView> {
        self.state().iam.roles.iter().map(|(arn, role)| role.view(arn)).collect()
    }

    /// The role `arn`.
    pub fn role(&self, arn: &RoleArn) -> Option<RoleView> {
        self.state().iam.roles.get(arn).map(|role| role.view(arn))
    }

    /// Somebody has a role for workloads on EC2, to which these policies are attached, AWS's own for example.
    pub fn put_role(&self, arn: &RoleArn, tags: &Tags, attached: &[&str]) {
        let mut state = self.state();
        let role = ManagedRole {
            id: state.principals.create(&arn.to_string()),
            usable_at: state.now,
            trust: Late::new(json!({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }]})),
            boundary: Late::new(None),
            tags: Late::new(tags.clone()),
            attached: Late::new(attached.iter().map(|&policy| policy.to_owned()).collect()),
        };
        for policy in attached.iter().filter_map(|policy| PolicyArn::parse(policy)) {
            if let Some(policy) = state.iam.policies.get_mut(&policy) {
                policy.attached_to.insert(arn.to_string());
            }
        }
        state.iam.roles.insert(arn.clone(), role);
    }

    /// Somebody deletes a role with all that is attached.
    pub fn drop_role(&self, arn: &RoleArn) {
        let mut state = self.state();
        let now = state.now;
        state.remove_role(arn, now);
    }

    /// Somebody changes who may assume a role.
    pub fn put_trust(&self, arn: &RoleArn, trust: Value) {
        self.change_role(arn, |role| role.trust = Late::new(trust));
    }

    /// Somebody takes a role's permissions boundary away.
    pub fn unbind_role(&self, arn: &RoleArn) {
        self.change_role(arn, |role| role.boundary = Late::new(None));
    }

    /// Somebody takes the tags of a role away.
    pub fn untag_role(&self, arn: &RoleArn) {
        self.change_role(arn, |role| role.tags = Late::new(Tags::new()));
    }

    /// Changes what is attached to `role`, when there is such a role.
    pub(super) fn change_attached(&self, role: &str, change: impl FnOnce(&mut BTreeSet<String>)) {
        let Some(arn) = RoleArn::parse(role) else { return };
        self.change_role(&arn, |role| {
            let mut attached = role.attached.written().clone();
            change(&mut attached);
            role.attached = Late::new(attached);
        });
    }

    fn change_role(&self, arn: &RoleArn, change: impl FnOnce(&mut ManagedRole)) {
        if let Some(role) = self.state().iam.roles.get_mut(arn) {
            change(role);
        }
    }
}
