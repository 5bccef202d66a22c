//! What a `QueueAccess` has on record of what was made for its subject: before AWS hears of it, and until it is gone.

use std::collections::BTreeSet;

use crate::api::conditions::Reason;
use crate::api::queue_access::AccessTarget;

use super::super::class::Class;
use super::super::finding::Finding;
use super::super::fleet::Key;
use super::super::iam::{PolicyArn, PolicySight};
use super::desired::{SLOW, role_not_allowed};
use super::{Desired, DesiredRole, Given, Picture, RoleArn, RoleSight, Source};

impl Desired {
    /// What the record of a `QueueAccess` becomes before anything is written to AWS: what is to be, beside what was. `given`
    /// is what it gives now.
    #[must_use]
    pub fn to_record(&self, before: Option<&AccessTarget>, given: Option<&Given>, class: &Class) -> AccessTarget {
        let mut target = place(before, given, class);
        // One subject has all in one account, until it is gone from there.
        let is_here = given.is_none_or(|given| given.place.account_id == class.place.account_id);
        let role = self.role.arn().filter(|_| is_here).map(ToString::to_string);
        let former = before.into_iter().flat_map(|target| target.role_arn.iter().chain(&target.former_role_arns));
        let former: BTreeSet<String> = former.filter(|arn| role.as_ref() != Some(arn)).cloned().collect();
        let policies = before.into_iter().flat_map(|target| &target.policy_arns).cloned();
        let wanted = self.policies.iter().filter(|_| is_here).map(|(arn, _)| arn.to_string());
        let policies: BTreeSet<String> = policies.chain(wanted).collect();
        target.role_arn = role;
        if let Some(source) = self.wanted_source().filter(|_| is_here) {
            target.source_role_arn = Some(source.arn.to_string());
        }
        target.former_role_arns = former.into_iter().collect();
        target.policy_arns = policies.into_iter().collect();
        target
    }

    /// What is left of `recorded` once `picture` shows what is there: what is gone is forgotten.
    #[must_use]
    pub fn to_keep(&self, mut recorded: AccessTarget, picture: &Picture) -> AccessTarget {
        recorded.former_role_arns.retain(|arn| {
            RoleArn::parse(arn).is_some_and(|arn| self.former_roles.contains(&arn) && !self.is_clean(&arn, picture))
        });
        let wanted: BTreeSet<String> = self.policies.iter().map(|(arn, _)| arn.to_string()).collect();
        recorded.policy_arns.retain(|arn| {
            let sight = || PolicyArn::parse(arn).and_then(|arn| picture.policies.get(&arn));
            wanted.contains(arn) || !matches!(sight(), Some(PolicySight::Absent))
        });
        recorded
    }

    /// The source role is gone, or there is none.
    #[must_use]
    pub fn without_source(&self, mut recorded: AccessTarget) -> AccessTarget {
        recorded.source_role_arn = recorded.source_role_arn.filter(|_| self.wanted_source().is_some());
        recorded
    }

    fn wanted_source(&self) -> Option<&Source> {
        self.source.as_deref().filter(|source| source.desired.role != DesiredRole::Nobody)
    }

    /// Whether nothing of the subject is on the role any more.
    fn is_clean(&self, arn: &RoleArn, picture: &Picture) -> bool {
        match picture.roles.get(arn) {
            Some(RoleSight::Absent) => true,
            Some(RoleSight::Failed(_)) | None => false,
            Some(RoleSight::Present(present)) => {
                !self.is_own(arn) && self.all_policies().all(|policy| !present.attached.contains(&policy.to_string()))
            }
        }
    }

    /// What keeps one `QueueAccess` of the subject from having what it is `given`. `class` is the one under which all is
    /// made, `own_class` that of its own Queue.
    #[must_use]
    pub fn hinders(&self, key: &Key, given: &Given, class: &Class, own_class: Option<&Class>) -> Option<Finding> {
        if given.place.account_id != class.place.account_id {
            let message = format!(
                "spec.subject: its role is in account {}, as for the older QueueAccesses of it, and the queue is in account {}; use another subject",
                class.place.account_id, given.place.account_id
            );
            return Some(Finding::stalled(Reason::InvalidSpec, message, SLOW));
        }
        if let (DesiredRole::Foreign(role), Some(own_class)) = (&self.role, own_class)
            && !own_class.limits.allows_role(&role.to_string())
        {
            return Some(role_not_allowed("its subject", &role.to_string(), own_class));
        }
        self.left_out.contains(key).then(|| {
            let message = "spec.subject: the policies of its role have no room left for it: a role takes 10 managed policies of 6,144 characters, and older QueueAccesses fill them; use another ServiceAccount".to_owned();
            Finding::stalled(Reason::PolicyFull, message, SLOW)
        })
    }
}

fn place(before: Option<&AccessTarget>, given: Option<&Given>, class: &Class) -> AccessTarget {
    let before = before.cloned().unwrap_or_default();
    match given {
        Some(given) => AccessTarget {
            account_id: given.place.account_id.clone(),
            region: given.place.region.clone(),
            queue_arn: given.coordinates.arn.clone(),
            queue_uid: Some(given.queue_uid.clone()),
            permissions: given.grants.iter().map(|grant| grant.permission).collect(),
            queue_class_name: Some(class.name.clone()),
            ..before
        },
        // What is given anew later is no longer what was given before.
        None => AccessTarget { queue_uid: None, permissions: Vec::new(), ..before },
    }
}
