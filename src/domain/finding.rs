//! What keeps a Queue from being ready, said once: the condition's reason, a sentence for people, and when to try
//! again.

use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::Reason;

use super::call::{CallError, ErrorClass, ErrorKind};
use super::iam::{ATTACHED_RETRY, PolicyArn};
use super::names::QueueName;
use super::observed::{Memory, Sight};

/// How soon to look again whether the credentials are of the right account.
const OTHER_ACCOUNT_RETRY: SignedDuration = SignedDuration::from_mins(1);

/// Something that keeps a Queue from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The condition's reason.
    pub reason: Reason,
    /// A sentence without a full stop: what is wrong, which rule, what to do.
    pub message: String,
    /// Whether a person must mend it; else it is waited for.
    pub is_stalled: bool,
    /// When to look again.
    pub retry: SignedDuration,
}

/// What a finding depends on besides what failed.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What this process remembers of the Queue.
    pub memory: &'a Memory,
    /// The object's UID; it spreads waits.
    pub uid: &'a str,
    /// Who the operator is to AWS.
    pub caller_arn: &'a str,
    /// The time of this pass.
    pub now: Timestamp,
}

/// How long permissions with a condition on a tag may not know a queue that was just made or tagged.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// How soon to look again meanwhile.
const FRESH_RETRY: SignedDuration = SignedDuration::from_secs(15);

impl Circumstances<'_> {
    /// Whether the queue `name` was made or tagged so recently that AWS may not know its tags everywhere.
    fn is_fresh(&self, name: &str) -> bool {
        let is_recent = |time: &Timestamp| self.now.duration_since(*time) < FRESH;
        [&self.memory.created, &self.memory.tagged].into_iter().filter_map(|times| times.get(name)).any(is_recent)
    }

    /// A call that is denied, or a thing that may be hidden: a person must mend it only when it lasts.
    #[must_use]
    pub fn denied(&self, message: String) -> Finding {
        let retry = backoff(ErrorClass::Denied, self.memory.attempts, self.uid);
        Finding { reason: Reason::Denied, message, is_stalled: self.memory.is_past_patience(self.now), retry }
    }
}

impl Circumstances<'_> {
    /// What to say of the queue `name` when it cannot be told whether it is there; nothing when it can.
    #[must_use]
    pub fn out_of_sight(&self, name: &QueueName, sight: &Sight) -> Option<Finding> {
        match sight {
            Sight::Hidden(why) => Some(self.denied(format!("{name}: {why}"))),
            Sight::OtherAccount(account) => {
                let message = format!(
                    "{name}: the operator's credentials are now of account {account}, in which it does not act; give it those that it was started with, or start it anew"
                );
                Some(Finding::stalled(Reason::TargetChanged, message, OTHER_ACCOUNT_RETRY))
            }
            Sight::Failed(error) => Some(Finding::of_call(name.as_str(), error, self)),
            Sight::Unseen | Sight::Absent | Sight::Appearing | Sight::Present(_) => None,
        }
    }

    /// What a failed call about the policy `arn` means.
    #[must_use]
    pub fn policy_failed(&self, arn: &PolicyArn, error: &CallError) -> Finding {
        Finding::of_call(&format!("the policy {arn}"), error, self)
    }
}

impl Finding {
    /// Something that comes by itself.
    pub fn waiting(reason: Reason, message: impl Into<String>, retry: SignedDuration) -> Self {
        Self { reason, message: message.into(), is_stalled: false, retry }
    }

    /// Something that a person must mend; a change of the object or of its neighbours is seen at once.
    pub fn stalled(reason: Reason, message: impl Into<String>, retry: SignedDuration) -> Self {
        Self { reason, message: message.into(), is_stalled: true, retry }
    }

    /// What a failed call means for the Queue.
    #[must_use]
    pub fn of_call(subject: &str, error: &CallError, circumstances: &Circumstances<'_>) -> Self {
        let Circumstances { memory, uid, caller_arn, now } = *circumstances;
        let retry = backoff(error.class(), memory.attempts, uid);
        let is_stalled = memory.is_past_patience(now);
        let said = format!("{subject}: {error}");
        match error.kind {
            ErrorKind::Throttled => Self::waiting(
                Reason::Throttled,
                format!(
                    "{subject}: AWS asks for fewer calls ({}); the operator slows down for the whole account",
                    error.action
                ),
                retry,
            ),
            ErrorKind::QueueDeletedRecently => Self::waiting(
                Reason::NameCoolDown,
                format!(
                    "{subject}: a queue of this name was deleted less than 60 s ago; AWS refuses the name until then, and it is tried again"
                ),
                retry,
            ),
            ErrorKind::Transient => Self::waiting(Reason::AWSUnavailable, said, retry),
            ErrorKind::DeleteConflict => Self::waiting(
                Reason::PolicyAttached,
                format!("{said}; it is deleted once nobody uses it any more"),
                ATTACHED_RETRY,
            ),
            ErrorKind::QueueDoesNotExist
            | ErrorKind::QueueNameExists
            | ErrorKind::EntityDoesNotExist
            | ErrorKind::EntityAlreadyExists => Self::waiting(
                Reason::Progressing,
                format!("{subject}: AWS does not agree with itself yet ({})", error.action),
                retry,
            ),
            // Permissions that depend on a tag know it late.
            ErrorKind::Denied if circumstances.is_fresh(subject) => {
                Self::waiting(Reason::Denied, said, retry.min(FRESH_RETRY))
            }
            ErrorKind::Denied => Self { reason: Reason::Denied, message: said, is_stalled, retry },
            ErrorKind::KmsDenied => Self {
                reason: Reason::KMSDenied,
                message: format!(
                    "{said}; the key policy must allow it: {{\"Effect\": \"Allow\", \"Principal\": {{\"AWS\": \"{caller_arn}\"}}, \"Action\": [\"kms:GenerateDataKey\", \"kms:Decrypt\", \"kms:DescribeKey\"], \"Resource\": \"*\"}}"
                ),
                is_stalled,
                retry,
            },
            ErrorKind::Invalid | ErrorKind::LimitExceeded => {
                Self { reason: Reason::Refused, message: said, is_stalled, retry }
            }
        }
    }
}

/// How long to wait after the `attempt`-th failure in a row (counted from 0) of a class: doubling from the class'
/// first wait to its longest, less up to a quarter, by the object's UID, so that objects do not come back together.
#[must_use]
pub fn backoff(class: ErrorClass, attempt: u32, uid: &str) -> SignedDuration {
    let (first, longest) = match class {
        ErrorClass::Transient | ErrorClass::NotFound => (1_000, 60_000),
        ErrorClass::Throttled => (2_000, 60_000),
        ErrorClass::Conflict => (5_000, 15_000),
        ErrorClass::Denied | ErrorClass::Invalid => (10_000, 300_000),
    };
    let whole: i64 = i64::from(first).saturating_mul(1 << attempt.min(10)).min(longest);
    SignedDuration::from_millis(whole - spread(uid, attempt, whole / 4))
}

/// The wait until the next look at a Queue at rest: `resync` less up to a tenth, by the object's UID.
#[must_use]
pub fn resync_after(resync: SignedDuration, uid: &str) -> SignedDuration {
    let whole = i64::try_from(resync.as_millis()).unwrap_or(i64::MAX);
    SignedDuration::from_millis(whole - spread(uid, 0, whole / 10))
}

/// A number in `0..=most` that is the same for the same object and attempt.
fn spread(uid: &str, attempt: u32, most: i64) -> i64 {
    // FNV-1a: tiny, stable across versions, and good enough to keep objects apart.
    let bytes = uid.bytes().chain(attempt.to_le_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    i64::try_from(hash >> 1).unwrap_or_default() % most.saturating_add(1).max(1)
}
