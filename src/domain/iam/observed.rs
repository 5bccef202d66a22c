//! What is there of a policy in IAM, and what was written so recently that IAM may not show it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::status::PolicyStatus;

use super::super::call::CallError;
use super::super::tags::Tags;
use super::DesiredPolicy;

/// How long IAM may show what was before a write.
/// Source: IAM User Guide, "Changes that I make are not always immediately visible", which names no time.
pub const SETTLING: SignedDuration = SignedDuration::from_secs(60);

/// A managed policy as `GetPolicy` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// IAM's own id of it: another one after it was deleted and made again.
    pub id: String,
    /// The version in force, for example `v3`.
    pub default_version: String,
    /// To how many users, groups and roles it is attached, as a permissions boundary too.
    pub attachments: u32,
    /// Its tags.
    pub tags: Tags,
}

/// What was seen of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySight {
    /// Nobody looked: creating it is how to find out.
    Unseen,
    /// It is not there.
    Absent,
    /// It is not there, and its name is taken.
    NameTaken,
    /// Looking failed.
    Failed(CallError),
    /// It is there.
    Present(PresentPolicy),
}

/// A policy that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentPolicy {
    /// As `GetPolicy` tells.
    pub policy: Policy,
    /// What the version in force says.
    pub digest: String,
    /// The versions that are not in force, the oldest first; listed where one more is to be made or all are to go.
    pub others: Vec<String>,
}

/// A policy was created, and `digest` stands for what it says.
pub fn remember_created(entry: &mut PolicyStatus, policy: &Policy, digest: &str, now: Timestamp) {
    entry.policy_id = Some(policy.id.clone());
    remember_version(entry, &policy.default_version, digest, now);
}

/// A version was made and put in force.
pub fn remember_version(entry: &mut PolicyStatus, version: &str, digest: &str, now: Timestamp) {
    entry.version_id = Some(version.to_owned());
    entry.document_digest = Some(digest.to_owned());
    entry.written_time = Some(whole_seconds(now));
}

/// Kubernetes keeps whole seconds: what is read back must equal what was written.
pub(super) fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Whether IAM may still show what was before the last write.
#[must_use]
pub fn is_settling(entry: &PolicyStatus, now: Timestamp) -> bool {
    // A clock that was ahead must not stop repairs until this one has caught up.
    entry.written_time.as_ref().is_some_and(|time| now.duration_since(time.0).abs() < SETTLING)
}

/// How long what was seen of a policy that is as declared may be taken for true: IAM's rates are low and an account's Queues
/// share them.
const LOOK_EVERY: SignedDuration = SignedDuration::from_mins(30);

/// Whether the policy `wanted`, of which `seen` was seen `at` some time, is to be looked at.
#[must_use]
pub fn is_to_be_looked_at(wanted: &DesiredPolicy, seen: &PresentPolicy, at: Timestamp, now: Timestamp) -> bool {
    let is_as_declared = wanted.digest().is_none_or(|digest| digest == seen.digest);
    !is_as_declared || now.duration_since(at).abs() >= LOOK_EVERY
}

impl PresentPolicy {
    /// Whether what shows is what was before the version on record.
    pub(super) fn is_before(&self, entry: &PolicyStatus) -> bool {
        let number = |version: &str| version.strip_prefix('v').and_then(|number| number.parse::<u64>().ok());
        let recorded = entry.version_id.as_deref().and_then(number);
        entry.policy_id.as_ref() == Some(&self.policy.id) && number(&self.policy.default_version) < recorded
    }
}
