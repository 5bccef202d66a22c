//! One managed policy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use prism_queue::domain::iam::{Policy, PolicyArn};
use prism_queue::domain::tags::Tags;

use super::PolicyView;
use crate::model::late::Late;

/// Versions that a policy may have. Source: "IAM and AWS STS quotas".
pub(super) const MAX_VERSIONS: usize = 5;

#[derive(Clone, Debug)]
pub(super) struct ManagedPolicy {
    pub id: String,
    /// From when calls find it.
    pub usable_at: Timestamp,
    pub versions: BTreeMap<u32, String>,
    /// The number of the next version: none is used twice.
    pub next: u32,
    pub default: Late<u32>,
    pub tags: Late<Tags>,
    pub attached_to: BTreeSet<String>,
}

impl ManagedPolicy {
    /// As `GetPolicy` shows it.
    pub fn shown(&self, now: Timestamp) -> Policy {
        Policy {
            id: self.id.clone(),
            default_version: format!("v{}", self.default.shown(now)),
            attachments: u32::try_from(self.attached_to.len()).expect("few"),
            tags: self.tags.shown(now).clone(),
        }
    }

    pub fn view(&self, arn: &PolicyArn) -> PolicyView {
        let default = self.default.written();
        PolicyView {
            arn: arn.clone(),
            default_version: format!("v{default}"),
            document: self.versions[default].clone(),
            versions: self.versions.keys().map(|version| format!("v{version}")).collect(),
            tags: self.tags.written().clone(),
            attached_to: self.attached_to.clone(),
        }
    }
}
