//! The decisions of leader election: pure, on what was observed and this process's own clock.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use super::{LEASE_DURATION, LEASE_NAME};

/// The Lease as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The object.
    pub lease: Lease,
    /// When this process first knew it in this version, by its own clock: after the answer came, so never
    /// before the change was made.
    pub changed: Instant,
}

impl Observed {
    /// What is known after `lease` was read or written by `now`. Any new version counts as a change.
    #[must_use]
    pub fn after(previous: Option<&Self>, lease: Lease, now: Instant) -> Self {
        let known = previous
            .filter(|previous| previous.lease.metadata.resource_version == lease.metadata.resource_version)
            .filter(|previous| previous.lease.metadata.uid == lease.metadata.uid);
        Self { changed: known.map_or(now, |previous| previous.changed), lease }
    }

    /// Who holds the lease; a released one is nobody's.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        holder(&self.lease)
    }

    /// When the lease runs out unless it changes. The holder says how long the others must leave it alone.
    #[must_use]
    pub fn expiry(&self) -> Instant {
        let seconds = self.lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let duration = seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0)
            .map_or(LEASE_DURATION, Duration::from_secs);
        self.changed + duration
    }
}

/// What a candidate does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take the lease: it is free, has run out, or bears this process's name already (the answer to taking it was lost).
    Acquire,
    /// Write it again before it runs out.
    Renew,
    /// Another holds it, at least until then.
    Wait(Instant),
    /// Give up: this process was the leader and is no longer.
    Lost(Lost),
}

/// Why a leader is one no longer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// No renewal was accepted in time.
    #[error("the Lease {LEASE_NAME} could not be renewed in time")]
    Lapsed,
    /// Another process holds the lease.
    #[error("the Lease {LEASE_NAME} was taken by {0}")]
    Taken(String),
    /// The Lease is gone, or nobody's.
    #[error("the Lease {LEASE_NAME} was deleted or released by somebody else")]
    Removed,
}

/// Decides on the Lease as it was `observed` (`None`: there is none), for the process `me` whose claim, if it has one, ends
/// at `held_until`.
#[must_use]
pub fn evaluate(observed: Option<&Observed>, me: &str, held_until: Option<Instant>, now: Instant) -> Decision {
    let holder = observed.and_then(|observed| observed.holder().map(|holder| (holder, observed.expiry())));
    match (held_until, holder) {
        (Some(end), _) if end <= now => Decision::Lost(Lost::Lapsed),
        (Some(_), Some((holder, _))) if holder == me => Decision::Renew,
        (Some(_), Some((holder, _))) => Decision::Lost(Lost::Taken(holder.to_owned())),
        (Some(_), None) => Decision::Lost(Lost::Removed),
        (None, Some((holder, expiry))) if holder != me && now < expiry => Decision::Wait(expiry),
        (None, _) => Decision::Acquire,
    }
}

/// The Lease with which `me` takes or renews what was `observed`, at the time `wall` of its wall clock (which nobody
/// decides on; people read it).
pub(super) fn claimed(observed: Option<&Observed>, me: &str, wall: Timestamp) -> Lease {
    let mut lease = observed.map_or_else(
        || Lease { metadata: ObjectMeta { name: Some(LEASE_NAME.to_owned()), ..ObjectMeta::default() }, spec: None },
        |observed| observed.lease.clone(),
    );
    let renews = holder(&lease) == Some(me);
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    let stamp = differing(wall, spec);
    if !renews {
        spec.acquire_time = Some(MicroTime(stamp));
        spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
    }
    spec.holder_identity = Some(me.to_owned());
    spec.lease_duration_seconds = i32::try_from(LEASE_DURATION.as_secs()).ok();
    spec.renew_time = Some(MicroTime(stamp));
    lease
}

/// The Lease given up.
pub(super) fn released(mut lease: Lease, wall: Timestamp) -> Lease {
    if let Some(spec) = &mut lease.spec {
        spec.renew_time = Some(MicroTime(differing(wall, spec)));
        spec.holder_identity = None;
    }
    lease
}

/// `wall`, or a moment later if that is what the Lease says already: the API server gives no new version to an object that does
/// not change, so a renewal that changes nothing (the wall clock was set back or stands still) would be seen by nobody.
fn differing(wall: Timestamp, spec: &LeaseSpec) -> Timestamp {
    match &spec.renew_time {
        Some(MicroTime(last)) if last.as_microsecond() == wall.as_microsecond() => {
            wall.checked_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::UNIX_EPOCH)
        }
        _ => wall,
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "pod-a_0";
    const OTHER: &str = "pod-b_0";

    fn lease(version: &str, holder: Option<&str>) -> Lease {
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(spec) }
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_candidate_takes_what_is_free_and_waits_for_what_is_not() {
        let t0 = Instant::now();
        let table = [
            ("none", None, 0, Decision::Acquire),
            ("released", Some(lease("1", None)), 0, Decision::Acquire),
            ("released, as client-go does", Some(lease("1", Some(""))), 0, Decision::Acquire),
            ("without spec", Some(Lease { spec: None, ..lease("1", None) }), 0, Decision::Acquire),
            ("another's", Some(lease("1", Some(OTHER))), 14, Decision::Wait(after(t0, 15))),
            ("another's, run out", Some(lease("1", Some(OTHER))), 15, Decision::Acquire),
            ("mine, the answer was lost", Some(lease("1", Some(ME))), 1, Decision::Acquire),
        ];
        for (name, lease, seconds, expected) in table {
            let observed = lease.map(|lease| Observed { lease, changed: t0 });
            assert_eq!(evaluate(observed.as_ref(), ME, None, after(t0, seconds)), expected, "{name}");
        }
    }

    #[test]
    fn a_leader_renews_until_its_claim_lapsed_or_the_lease_is_no_longer_its() {
        let t0 = Instant::now();
        let end = Some(after(t0, 10));
        let table = [
            ("mine", Some(lease("1", Some(ME))), 9, Decision::Renew),
            ("mine, too late", Some(lease("1", Some(ME))), 10, Decision::Lost(Lost::Lapsed)),
            ("another's", Some(lease("2", Some(OTHER))), 5, Decision::Lost(Lost::Taken(OTHER.to_owned()))),
            ("nobody's", Some(lease("2", None)), 5, Decision::Lost(Lost::Removed)),
            ("deleted", None, 5, Decision::Lost(Lost::Removed)),
        ];
        for (name, lease, seconds, expected) in table {
            let observed = lease.map(|lease| Observed { lease, changed: t0 });
            assert_eq!(evaluate(observed.as_ref(), ME, end, after(t0, seconds)), expected, "{name}");
        }
    }

    #[test]
    fn expiry_counts_from_the_last_change_seen_here_whatever_the_stamps_say() {
        let t0 = Instant::now();
        let mut first = lease("1", Some(OTHER));
        if let Some(spec) = &mut first.spec {
            spec.renew_time = Some(MicroTime(Timestamp::UNIX_EPOCH));
        }
        let seen = Observed::after(None, first.clone(), t0);
        let again = Observed::after(Some(&seen), first.clone(), after(t0, 7));
        assert_eq!(again.expiry(), after(t0, 15));

        let renewed = Observed::after(Some(&again), lease("2", Some(OTHER)), after(t0, 9));
        assert_eq!(renewed.expiry(), after(t0, 24));

        let recreated = Lease { metadata: ObjectMeta { uid: Some("2".to_owned()), ..first.metadata.clone() }, ..first };
        assert_eq!(Observed::after(Some(&seen), recreated, after(t0, 9)).expiry(), after(t0, 24));
    }

    #[test]
    fn the_holder_says_how_long_others_wait() {
        let t0 = Instant::now();
        for (seconds, expected) in [(Some(60), 60), (Some(1), 1), (Some(0), 15), (Some(-1), 15), (None, 15)] {
            let mut lease = lease("1", Some(OTHER));
            if let Some(spec) = &mut lease.spec {
                spec.lease_duration_seconds = seconds;
            }
            assert_eq!(Observed { lease, changed: t0 }.expiry(), after(t0, expected), "{seconds:?}");
        }
    }

    #[test]
    fn taking_counts_a_transition_and_renewing_keeps_the_rest() {
        let t0 = Instant::now();
        let wall: Timestamp = "2026-01-02T03:04:05.000006Z".parse().unwrap();
        let mut found = lease("7", Some(OTHER));
        found.metadata.annotations = Some([("keep".to_owned(), "me".to_owned())].into());

        let taken = claimed(Some(&Observed { lease: found, changed: t0 }), ME, wall);
        let spec = taken.spec.clone().unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some(ME));
        assert_eq!((spec.acquire_time, spec.renew_time), (Some(MicroTime(wall)), Some(MicroTime(wall))));
        assert_eq!((spec.lease_transitions, spec.lease_duration_seconds), (Some(0), Some(15)));
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"), "the write must be guarded");
        assert!(taken.metadata.annotations.is_some());

        let later = wall.checked_add(SignedDuration::from_secs(2)).unwrap();
        let renewed = claimed(Some(&Observed { lease: taken.clone(), changed: t0 }), ME, later).spec.unwrap();
        assert_eq!((renewed.acquire_time, renewed.renew_time), (Some(MicroTime(wall)), Some(MicroTime(later))));
        assert_eq!(renewed.lease_transitions, Some(0));

        let other = claimed(Some(&Observed { lease: taken.clone(), changed: t0 }), OTHER, later).spec.unwrap();
        assert_eq!(other.lease_transitions, Some(1));
        let given_up = Observed { lease: released(taken, later), changed: t0 };
        assert_eq!(given_up.holder(), None);
    }

    #[test]
    fn a_renewal_always_changes_the_lease() {
        let wall: Timestamp = "2026-01-02T03:04:05.000006Z".parse().unwrap();
        let first = claimed(None, ME, wall);
        let observed = Observed { lease: first.clone(), changed: Instant::now() };
        assert_ne!(claimed(Some(&observed), ME, wall), first);
    }
}
