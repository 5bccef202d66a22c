//! IAM's managed policies and roles, as its API reference describes them: names unique in an account, versions that never
//! change, five of them at most, ten policies of a role, and reads that lag behind.

mod client;
mod document;
mod operations;
mod policy;
mod role;
mod roles;
mod trust;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::identity::RoleArn;
use prism_queue::domain::tags::Tags;

use super::World;
use super::caller::Caller;
use super::late::Late;
use super::refusal::Answer;
use policy::ManagedPolicy;
use role::ManagedRole;

pub use role::RoleView;

/// All policies and roles of all accounts.
#[derive(Default)]
pub(super) struct Iam {
    policies: BTreeMap<PolicyArn, ManagedPolicy>,
    /// Deleted ones that reads still show, and until when.
    ghosts: BTreeMap<PolicyArn, (ManagedPolicy, Timestamp)>,
    made: u32,
    roles: BTreeMap<RoleArn, ManagedRole>,
    /// Deleted ones that reads still show, and until when.
    ghosts_of_roles: BTreeMap<RoleArn, (ManagedRole, Timestamp)>,
}

impl Iam {
    /// The tags of a policy, when there is one.
    pub(super) fn tags(&self, arn: &PolicyArn) -> Option<Tags> {
        self.policies.get(arn).map(|policy| policy.tags.written().clone())
    }
}

/// A policy as it truly is, whatever reads of it show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyView {
    pub arn: PolicyArn,
    pub default_version: String,
    /// What the version in force says.
    pub document: String,
    pub versions: Vec<String>,
    pub tags: Tags,
    pub attached_to: BTreeSet<String>,
}

impl World {
    /// All policies.
    pub fn policies(&self) -> Vec<PolicyView> {
        self.state().iam.policies.iter().map(|(arn, policy)| policy.view(arn)).collect()
    }

    /// The policies whose names begin with `prefix`.
    pub fn policies_named(&self, prefix: &str) -> Vec<PolicyView> {
        self.policies().into_iter().filter(|policy| policy.arn.name().starts_with(prefix)).collect()
    }

    /// Attaches a policy to a role, as its team does.
    pub fn attach(&self, arn: &PolicyArn, role: &str) {
        if let Some(policy) = self.state().iam.policies.get_mut(arn) {
            policy.attached_to.insert(role.to_owned());
        }
        self.change_attached(role, |attached| _ = attached.insert(arn.to_string()));
    }

    /// Detaches a policy from everybody.
    pub fn detach(&self, arn: &PolicyArn) {
        let policy = self.state().iam.policies.get_mut(arn).map(|policy| std::mem::take(&mut policy.attached_to));
        for role in policy.into_iter().flatten() {
            self.change_attached(&role, |attached| _ = attached.remove(&arn.to_string()));
        }
    }

    /// Somebody makes a policy.
    pub fn make_policy(&self, caller: &Caller, arn: &PolicyArn, document: &str, tags: &Tags) -> Answer<()> {
        self.state().create_policy(caller, arn, document, tags).map(|_| ())
    }

    /// Somebody makes a version and puts it in force.
    pub fn make_version(&self, caller: &Caller, arn: &PolicyArn, document: &str) -> Answer<()> {
        self.state().create_policy_version(caller, arn, document).map(|_| ())
    }

    /// Somebody puts an older version in force.
    pub fn put_in_force(&self, arn: &PolicyArn, version: &str) {
        let mut state = self.state();
        let now = state.now;
        if let Some(policy) = state.iam.policies.get_mut(arn) {
            policy.default.write(version[1..].parse().expect("v<number>"), now);
        }
    }

    /// Somebody deletes a policy with all its versions.
    pub fn delete_policy(&self, arn: &PolicyArn) {
        self.state().iam.policies.remove(arn);
    }

    /// Somebody takes the tags of a policy away.
    pub fn untag_policy(&self, arn: &PolicyArn) {
        if let Some(policy) = self.state().iam.policies.get_mut(arn) {
            policy.tags = Late::new(Tags::new());
        }
    }
}
