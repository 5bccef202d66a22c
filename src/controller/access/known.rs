//! What is known of subjects between passes, and how far it can be trusted: IAM shows changes late.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::access::Subject;
use crate::domain::iam::{PolicySight, SETTLING};
use crate::domain::identity::{AssociationSight, Desired, Picture, RoleSight};

/// How soon what only a person can change is looked at again: all `QueueAccess`es of a subject share the look.
const LOOK_SOON: SignedDuration = SignedDuration::from_mins(4);

/// What is known of all subjects between passes, by namespace.
#[derive(Default)]
pub struct Identities(Mutex<HashMap<(String, Subject), Shared>>);

/// What passes over one subject share, one at a time.
type Shared = Arc<tokio::sync::Mutex<Known>>;

impl Identities {
    pub(super) fn of(&self, namespace: &str, subject: &Subject) -> Shared {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((namespace.to_owned(), subject.clone())).or_default().clone()
    }

    /// Forgets subjects of which nothing has been left for so long that IAM does not show it any more.
    pub(super) fn tidy(&self, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, shared| {
            let is_over = |known: &Known| known.left_at.is_some_and(|at| now.duration_since(at) >= SETTLING);
            Arc::strong_count(shared) > 1 || shared.try_lock().is_ok_and(|known| !is_over(&known))
        });
    }
}

/// What is known of one subject.
#[derive(Default)]
pub(super) struct Known {
    pub(super) picture: Option<Picture>,
    /// Of the role in the cluster's own account, where that is another.
    pub(super) source_picture: Option<Picture>,
    pub(super) association: Option<AssociationSight>,
    /// Since when a name is taken by nothing to be seen.
    pub(super) taken_since: Option<Timestamp>,
    /// Since when no write was made of which nobody knows whether it took effect: what died with another process, or a lost
    /// answer, may show late.
    pub(super) certain_since: Option<Timestamp>,
    /// When something was last written.
    pub(super) written_at: Option<Timestamp>,
    /// ARNs of what a look did not find, and nobody wrote since.
    missing: BTreeSet<String>,
    /// Something is wrong that a person is to mend.
    pub(super) is_in_trouble: bool,
    /// When the last `QueueAccess` went.
    pub(super) left_at: Option<Timestamp>,
}

impl Known {
    /// Whether `picture` need not be taken anew.
    pub(super) fn trusts(&self, picture: &Picture, now: Timestamp) -> bool {
        let is_within = |at: Timestamp, limit: SignedDuration| now.duration_since(at).abs() < limit;
        // Right after a write a look shows less than is known.
        let is_new = self.written_at.is_some_and(|at| is_within(at, SETTLING));
        let is_settled = self.is_settled(picture) || is_within(picture.at, SETTLING);
        let is_soon = !self.is_in_trouble || is_within(picture.at, LOOK_SOON);
        picture.is_fresh(now) && is_soon && (is_settled || is_new)
    }

    /// Whether what was written before the time that can be vouched for shows in `picture`.
    fn is_settled(&self, picture: &Picture) -> bool {
        self.certain_since.is_some_and(|since| picture.at.duration_since(since) >= SETTLING)
    }

    /// Notes what a look at `now` did not find.
    pub(super) fn looked(&mut self, picture: &Picture, now: Timestamp) {
        self.certain_since.get_or_insert(now);
        let roles = picture.roles.iter().map(|(arn, sight)| (arn.to_string(), matches!(sight, RoleSight::Absent)));
        let policies =
            picture.policies.iter().map(|(arn, sight)| (arn.to_string(), matches!(sight, PolicySight::Absent)));
        for (arn, is_missing) in roles.chain(policies) {
            if is_missing {
                self.missing.insert(arn)
            } else {
                self.missing.remove(&arn)
            };
        }
    }

    /// Something of this ARN was written.
    pub(super) fn wrote(&mut self, arns: &[String], now: Timestamp) {
        self.written_at = Some(now);
        self.missing.retain(|missing| !arns.contains(missing));
    }

    /// Whether nothing of what is to go and was `recorded` may have been overlooked, because IAM does not show it yet.
    pub(super) fn is_sure(&self, desired: &Desired, recorded: &BTreeSet<String>) -> bool {
        let source = desired.source.as_ref();
        self.is_seen(desired, recorded, self.picture.as_ref())
            && source.is_none_or(|source| self.is_seen(&source.desired, recorded, self.source_picture.as_ref()))
    }

    fn is_seen(&self, desired: &Desired, recorded: &BTreeSet<String>, picture: Option<&Picture>) -> bool {
        let roles = desired.former_roles.iter().map(ToString::to_string);
        let former = roles.chain(desired.former_policies.iter().map(ToString::to_string));
        let mut former = former.filter(|arn| recorded.contains(arn));
        picture.is_some_and(|picture| self.is_settled(picture)) || !former.any(|arn| self.missing.contains(&arn))
    }

    /// Whether another look will show more.
    pub(super) fn is_to_settle(&self) -> bool {
        self.picture.as_ref().is_some_and(|picture| !self.is_settled(picture))
    }
}
