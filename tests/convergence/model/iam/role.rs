//! One role.

use std::collections::BTreeSet;

use jiff::Timestamp;
use prism_queue::domain::identity::{Role, RoleArn};
use prism_queue::domain::tags::Tags;
use serde_json::Value;

use crate::model::late::Late;

#[derive(Clone, Debug)]
pub(super) struct ManagedRole {
    pub id: String,
    /// From when calls find it.
    pub usable_at: Timestamp,
    pub trust: Late<Value>,
    pub boundary: Late<Option<String>>,
    pub tags: Late<Tags>,
    /// ARNs of managed policies.
    pub attached: Late<BTreeSet<String>>,
}

/// A role as it truly is, whatever reads of it show.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleView {
    pub arn: RoleArn,
    pub id: String,
    pub trust: Value,
    pub boundary: Option<String>,
    pub tags: Tags,
    /// ARNs of managed policies.
    pub attached: BTreeSet<String>,
}

impl ManagedRole {
    /// As `GetRole` shows it: the trust policy written anew.
    pub fn shown(&self, arn: &RoleArn, now: Timestamp) -> Role {
        Role {
            id: self.id.clone(),
            arn: arn.to_string(),
            trust: self.trust.shown(now).to_string(),
            boundary: self.boundary.shown(now).clone(),
            tags: self.tags.shown(now).clone(),
        }
    }

    pub fn view(&self, arn: &RoleArn) -> RoleView {
        RoleView {
            arn: arn.clone(),
            id: self.id.clone(),
            trust: self.trust.written().clone(),
            boundary: self.boundary.written().clone(),
            tags: self.tags.written().clone(),
            attached: self.attached.written().clone(),
        }
    }
}
