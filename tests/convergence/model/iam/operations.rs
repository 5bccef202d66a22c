//! What the calls of IAM do, once no fault is in their way.

use std::collections::{BTreeMap, BTreeSet};

use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::iam::{Policy, PolicyArn};
use prism_queue::domain::tags::Tags;

use super::document;
use super::policy::{MAX_VERSIONS, ManagedPolicy};
use crate::model::caller::Caller;
use crate::model::late::Late;
use crate::model::refusal::{Answer, Refusal};
use crate::model::state::State;

impl State {
    pub(in crate::model) fn create_policy(
        &mut self,
        caller: &Caller,
        arn: &PolicyArn,
        document: &str,
        tags: &Tags,
    ) -> Answer<Policy> {
        own(caller, arn)?;
        document::check(document)?;
        // Whatever the path, and whatever the case.
        let is_taken =
            |other: &PolicyArn| other.account_id() == arn.account_id() && other.name().eq_ignore_ascii_case(arn.name());
        if self.iam.policies.keys().any(is_taken) {
            let words = format!("A policy called {} already exists. Duplicate names are not allowed.", arn.name());
            return Err(Refusal::new(ErrorKind::EntityAlreadyExists, "EntityAlreadyExists", words));
        }
        let usable_at = self.after(self.timing.iam_shows_after.clone());
        self.iam.made += 1;
        let policy = ManagedPolicy {
            id: format!("ANPA{:08}", self.iam.made),
            usable_at,
            versions: BTreeMap::from([(1, document.to_owned())]),
            next: 2,
            default: Late::new(1),
            tags: Late::new(tags.clone()),
            attached_to: BTreeSet::new(),
        };
        let answer = policy.shown(self.now);
        self.iam.ghosts.remove(arn);
        self.iam.policies.insert(arn.clone(), policy);
        Ok(answer)
    }

    /// What a read shows: one just made not yet, one just deleted still.
    pub(super) fn get_policy(&mut self, caller: &Caller, arn: &PolicyArn) -> Answer<Policy> {
        let now = self.now;
        self.iam.ghosts.retain(|_, (_, until)| now < *until);
        let bounds = self.iam.bounds(arn);
        self.read(caller, arn)
            .map(|policy| policy.shown(now))
            .map(|policy| Policy { attachments: policy.attachments + bounds, ..policy })
    }

    pub(super) fn get_policy_version(&self, caller: &Caller, arn: &PolicyArn, version: &str) -> Answer<String> {
        let policy = self.read(caller, arn)?;
        let number = version.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
        number.and_then(|number| policy.versions.get(&number).cloned()).ok_or_else(missing)
    }

    pub(super) fn other_versions(&self, caller: &Caller, arn: &PolicyArn) -> Answer<Vec<String>> {
        let policy = self.read(caller, arn)?;
        let others = policy.versions.keys().filter(|version| *version != policy.default.shown(self.now));
        Ok(others.map(|version| format!("v{version}")).collect())
    }

    pub(in crate::model) fn create_policy_version(
        &mut self,
        caller: &Caller,
        arn: &PolicyArn,
        document: &str,
    ) -> Answer<String> {
        document::check(document)?;
        let shows_at = self.after(self.timing.iam_shows_after.clone());
        let policy = self.usable(caller, arn)?;
        if policy.versions.len() >= MAX_VERSIONS {
            let words = "A managed policy can have up to 5 versions.";
            return Err(Refusal::new(ErrorKind::LimitExceeded, "LimitExceeded", words));
        }
        let version = policy.next;
        policy.next += 1;
        policy.versions.insert(version, document.to_owned());
        policy.default.write(version, shows_at);
        Ok(format!("v{version}"))
    }

    pub(super) fn delete_policy_version(&mut self, caller: &Caller, arn: &PolicyArn, version: &str) -> Answer<()> {
        let policy = self.usable(caller, arn)?;
        let number: u32 = version.strip_prefix('v').and_then(|number| number.parse().ok()).ok_or_else(missing)?;
        if *policy.default.written() == number {
            return Err(conflict("Cannot delete the default version of a policy."));
        }
        policy.versions.remove(&number).map(|_| ()).ok_or_else(missing)
    }

    pub(super) fn delete_policy(&mut self, caller: &Caller, arn: &PolicyArn) -> Answer<()> {
        let shows_until = self.after(self.timing.iam_shows_after.clone());
        let bounds = self.iam.bounds(arn);
        let policy = self.usable(caller, arn)?;
        if bounds > 0 || !policy.attached_to.is_empty() {
            return Err(conflict("Cannot delete a policy attached to entities."));
        }
        if policy.versions.len() > 1 {
            return Err(conflict("This policy has more than one version."));
        }
        if let Some(policy) = self.iam.policies.remove(arn) {
            self.iam.ghosts.insert(arn.clone(), (policy, shows_until));
        }
        Ok(())
    }

    pub(super) fn tag_policy(&mut self, caller: &Caller, arn: &PolicyArn, tags: &Tags) -> Answer<()> {
        self.write_tags(caller, arn, |all| all.extend(tags.clone()))
    }

    pub(super) fn untag_policy(&mut self, caller: &Caller, arn: &PolicyArn, keys: &[String]) -> Answer<()> {
        self.write_tags(caller, arn, |all| all.retain(|key, _| !keys.contains(key)))
    }

    fn write_tags(&mut self, caller: &Caller, arn: &PolicyArn, change: impl FnOnce(&mut Tags)) -> Answer<()> {
        let shows_at = self.after(self.timing.iam_shows_after.clone());
        let policy = self.usable(caller, arn)?;
        let mut tags = policy.tags.written().clone();
        change(&mut tags);
        policy.tags.write(tags, shows_at);
        Ok(())
    }

    fn read(&self, caller: &Caller, arn: &PolicyArn) -> Answer<&ManagedPolicy> {
        own(caller, arn)?;
        let ghost = || self.iam.ghosts.get(arn).filter(|(_, until)| self.now < *until).map(|(policy, _)| policy);
        let live = self.iam.policies.get(arn).filter(|policy| policy.usable_at <= self.now);
        live.or_else(ghost).ok_or_else(missing)
    }

    pub(super) fn usable(&mut self, caller: &Caller, arn: &PolicyArn) -> Answer<&mut ManagedPolicy> {
        own(caller, arn)?;
        let now = self.now;
        self.iam.policies.get_mut(arn).filter(|policy| policy.usable_at <= now).ok_or_else(missing)
    }
}

fn own(caller: &Caller, arn: &PolicyArn) -> Answer<()> {
    if caller.place.account_id == arn.account_id() { Ok(()) } else { Err(Refusal::denied()) }
}

pub(super) fn missing() -> Refusal {
    Refusal::of(ErrorKind::EntityDoesNotExist)
}

pub(super) fn conflict(words: &str) -> Refusal {
    Refusal::new(ErrorKind::DeleteConflict, "DeleteConflict", words)
}
