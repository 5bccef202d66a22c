//! Which replica acts: leader election on a `coordination.k8s.io/v1` Lease.
//!
//! At most one process at a time believes that it holds the claim, and it alone writes to AWS and Kubernetes. The rules
//! are client-go's (`tools/leaderelection`), made strict:
//!
//! - Nobody trusts another's clock. A lease runs out [`LEASE_DURATION`] after *this* process last saw it change.
//! - The holder's claim runs out [`RENEW_DEADLINE`] after it *sent* the last renewal that was accepted, by its own
//!   monotonic clock, whether or not anything tells it so. That is [`WRITE_MARGIN`] before anyone else can follow.
//! - Every write carries the `resourceVersion` that the decision was made on, so that of two only one succeeds, however late
//!   a lost one arrives.
//! - A claim that was lost stays lost: the process ends and comes back as another candidate.
//!
//! Clocks may run up to a fifth fast or slow. What this cannot see: time for which a whole virtual machine was frozen (Linux's
//! monotonic clock stands still as well), and a Lease that somebody deletes while it is held.
//!
//! RBAC, in the Lease's namespace: `create` on leases; `get` and `update` on the one named [`LEASE_NAME`].

mod elector;
mod evaluate;
mod kubernetes;
#[cfg(test)]
mod simulation;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch;

pub use elector::{Clock, Elector, SystemClock};
pub use evaluate::{Decision, Lost, Observed, evaluate};
pub use kubernetes::KubernetesLease;

/// The Lease's name.
pub const LEASE_NAME: &str = "prism-queue";

/// How long a lease that does not change is left to its holder. Whole seconds: the Lease counts in them.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);

/// How long a holder believes in its claim after sending the last renewal that was accepted.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// The least time between the end of a claim and its successor's beginning, if their clocks run equally fast. A write that is
/// begun under a live claim and given up after this time is over before anyone else writes.
pub const WRITE_MARGIN: Duration = LEASE_DURATION.saturating_sub(RENEW_DEADLINE);

/// How often the holder renews and the others look; up to a fifth is added, by identity, so that candidates do not move in step.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// When a call is given up. The Kubernetes client by itself waits for ever for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// The calls that leader election makes. All are about the one Lease named [`LEASE_NAME`].
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// The Lease as it is now (never from a cache); `None` when there is none.
    async fn get(&self) -> Result<Option<Lease>, StoreError>;

    /// Creates the Lease; [`StoreError::Conflict`] when it is there.
    async fn create(&self, lease: &Lease) -> Result<Lease, StoreError>;

    /// Replaces the Lease; [`StoreError::Conflict`] when its `resourceVersion` is no longer the one in `lease`, or it is gone.
    async fn update(&self, lease: &Lease) -> Result<Lease, StoreError>;
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first. Nothing was written.
    #[error("the Lease was changed by somebody else")]
    Conflict,
    /// Anything else. A write may or may not have taken effect.
    #[error("{0}")]
    Failed(String),
}

/// Whether this process may write: the lease as far as this process can be sure of it. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Claim(watch::Receiver<State>);

/// Where a process stands in the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The Lease could not be read yet.
    Unknown,
    /// Another process leads.
    Standby,
    /// This process leads.
    Leading,
    /// This process led, or stood for it, and no longer does; it is about to end.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Standby,
    Until(Instant),
    Always,
    Ended,
}

impl Claim {
    /// The claim of a process that runs without leader election, and is alone.
    #[must_use]
    pub fn always() -> Self {
        Self(watch::channel(State::Always).1)
    }

    /// Whether this process may begin a write at `now`. Ask right before each write, and give the write at most
    /// [`WRITE_MARGIN`].
    #[must_use]
    pub fn is_held(&self, now: Instant) -> bool {
        self.standing(now) == Standing::Leading
    }

    /// Where this process stands at `now`.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        match *self.0.borrow() {
            State::Unknown => Standing::Unknown,
            State::Standby => Standing::Standby,
            State::Always => Standing::Leading,
            State::Until(end) if now < end => Standing::Leading,
            State::Until(_) | State::Ended => Standing::Ended,
        }
    }

    /// Waits until this process leads. False when it never will: its election has ended.
    pub async fn acquired(&self) -> bool {
        let mut states = self.0.clone();
        let decided = states.wait_for(|state| !matches!(state, State::Unknown | State::Standby)).await;
        decided.is_ok_and(|state| *state != State::Ended)
    }
}

/// The side of a [`Claim`] that the elector writes.
#[derive(Debug)]
pub(in crate::runtime) struct Term(watch::Sender<State>);

/// A claim not yet decided, and the end to decide it from.
pub(in crate::runtime) fn term() -> (Term, Claim) {
    let (sender, receiver) = watch::channel(State::Unknown);
    (Term(sender), Claim(receiver))
}

impl Term {
    pub(in crate::runtime) fn stand_by(&self) {
        self.0.send_replace(State::Standby);
    }

    pub(in crate::runtime) fn lead_until(&self, end: Instant) {
        self.0.send_replace(State::Until(end));
    }

    pub(in crate::runtime) fn end(&self) {
        self.0.send_replace(State::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_runs_out_by_itself() {
        let now = Instant::now();
        let (term, claim) = term();
        assert_eq!(claim.standing(now), Standing::Unknown);
        term.stand_by();
        assert!(!claim.is_held(now));
        term.lead_until(now + RENEW_DEADLINE);
        let copy = claim.clone();
        drop(term);
        assert!(copy.is_held(now + RENEW_DEADLINE.saturating_sub(Duration::from_nanos(1))));
        assert!(!copy.is_held(now + RENEW_DEADLINE));
        assert_eq!(copy.standing(now + RENEW_DEADLINE), Standing::Ended);
    }

    #[tokio::test]
    async fn waiting_for_a_claim_ends_with_it_or_with_the_election() {
        assert!(Claim::always().acquired().await);

        let (held, claim) = term();
        let mut wait = Box::pin(claim.acquired());
        assert!(futures::poll!(&mut wait).is_pending());
        held.stand_by();
        assert!(futures::poll!(&mut wait).is_pending());
        held.lead_until(Instant::now() + RENEW_DEADLINE);
        assert!(wait.await);

        let (ended, claim) = term();
        ended.end();
        assert!(!claim.acquired().await);
        let (dropped, claim) = term();
        drop(dropped);
        assert!(!claim.acquired().await);
    }
}
