//! The loop of leader election: look, decide, write, pause.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::evaluate::{Decision, Lost, Observed, claimed, evaluate, released};
use super::{
    CALL_TIMEOUT, Claim, LEASE_NAME, LeaseStore, RENEW_DEADLINE, RETRY_PERIOD, StoreError, Term, WRITE_MARGIN,
};

/// A process's own clocks.
pub trait Clock: Send + Sync {
    /// Never set, never shared: what decisions are made on.
    fn monotonic(&self) -> Instant;
    /// For people to read in the Lease.
    fn wall(&self) -> Timestamp;
}

/// The clocks of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A candidate.
#[derive(Debug)]
pub struct Elector<S, C> {
    store: S,
    clock: C,
    identity: String,
    pause: Duration,
    term: Term,
    /// The Lease as last seen; `None` when there was none.
    observed: Option<Observed>,
    /// Whether `observed` may be out of date: nothing was read yet, or the last write's fate is not known.
    look_first: bool,
    held_until: Option<Instant>,
}

impl<S: LeaseStore, C: Clock> Elector<S, C> {
    /// A candidate of the name `identity`, which no other process may ever bear, and the claim that it decides.
    #[must_use]
    pub fn new(store: S, clock: C, identity: String) -> (Self, Claim) {
        let (term, claim) = super::term();
        let pause = RETRY_PERIOD + jitter(&identity);
        let elector = Self { store, clock, identity, pause, term, observed: None, look_first: true, held_until: None };
        (elector, claim)
    }

    /// Stands for election, and once elected renews the lease, until `stop` is cancelled or the lease is lost.
    ///
    /// Cancel `stop` only after all work under the claim has ended: the lease is then given up, and a successor follows
    /// at once. `progress` is called with the time at every turn, at least every 10 s unless the process hangs.
    ///
    /// # Errors
    /// The claim was lost. The process must end: what it began may still be on its way.
    pub async fn run(mut self, stop: CancellationToken, mut progress: impl FnMut(Instant) + Send) -> Result<(), Lost> {
        let end = loop {
            progress(self.clock.monotonic());
            let turn = async {
                let pause = self.turn().await?;
                sleep(pause).await;
                Ok(())
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                turned = turn => if let Err(lost) = turned { break Err(lost) },
            }
        };
        self.term.end();
        // After a loss, work under the old claim may still be in flight: its time must run out.
        if end.is_ok() {
            self.release().await;
        }
        end
    }

    /// Looks if need be, decides, writes; returns how long to pause.
    async fn turn(&mut self) -> Result<Duration, Lost> {
        if self.look_first {
            match self.bounded(self.store.get()).await {
                Ok(found) => self.observe(found),
                Err(error) => return self.failed("read", &error),
            }
        }
        let now = self.clock.monotonic();
        match evaluate(self.observed.as_ref(), &self.identity, self.held_until, now) {
            Decision::Lost(lost) => Err(lost),
            Decision::Acquire | Decision::Renew => self.write().await,
            Decision::Wait(expiry) => {
                self.term.stand_by();
                self.look_first = true;
                Ok(self.pause.min(expiry.saturating_duration_since(now)))
            }
        }
    }

    fn observe(&mut self, found: Option<k8s_openapi::api::coordination::v1::Lease>) {
        let now = self.clock.monotonic();
        let before = self.observed.take();
        self.observed = found.map(|lease| Observed::after(before.as_ref(), lease, now));
        let holder = self.observed.as_ref().and_then(Observed::holder);
        if let Some(holder) = holder.filter(|holder| *holder != self.identity)
            && before.as_ref().and_then(Observed::holder) != Some(holder)
        {
            info!(holder, "standing by: another process holds the Lease {LEASE_NAME}");
        }
        self.look_first = false;
    }

    /// Takes or renews the lease.
    async fn write(&mut self) -> Result<Duration, Lost> {
        let lease = claimed(self.observed.as_ref(), &self.identity, self.clock.wall());
        // From here on the claim counts, not from the answer: others may count from any moment after this one.
        let sent = self.clock.monotonic();
        let written = match &self.observed {
            None => self.bounded(self.store.create(&lease)).await,
            Some(_) => self.bounded(self.store.update(&lease)).await,
        };
        self.look_first = true;
        match written {
            Ok(lease) => {
                self.observe(Some(lease));
                self.believe(sent + RENEW_DEADLINE)
            }
            Err(error) => self.failed("write", &error),
        }
    }

    /// The lease is this process's; believe in it until `end`.
    fn believe(&mut self, end: Instant) -> Result<Duration, Lost> {
        let now = self.clock.monotonic();
        match self.held_until {
            // A claim that has lapsed once is not taken up again: what it stood for was given up.
            Some(previous) if previous <= now => return Err(Lost::Lapsed),
            // The answer took so long that there is nothing left to believe in: look again.
            None if end <= now => {
                self.look_first = true;
                return Ok(Duration::ZERO);
            }
            None => info!(identity = self.identity, "leading: this process holds the Lease {LEASE_NAME}"),
            Some(_) => debug!("renewed the Lease {LEASE_NAME}"),
        }
        self.held_until = Some(end);
        self.term.lead_until(end);
        Ok(self.pause)
    }

    /// A call failed: try again, unless the claim has lapsed meanwhile.
    fn failed(&mut self, verb: &str, error: &StoreError) -> Result<Duration, Lost> {
        self.look_first = true;
        match self.held_until.map(|end| end.saturating_duration_since(self.clock.monotonic())) {
            Some(Duration::ZERO) => Err(Lost::Lapsed),
            Some(left) => {
                warn!("cannot {verb} the Lease {LEASE_NAME}, which this process holds for {left:?} more: {error}");
                Ok(self.pause.min(left))
            }
            None => {
                warn!("cannot {verb} the Lease {LEASE_NAME}: {error}");
                Ok(self.pause)
            }
        }
    }

    /// Gives the lease up if it is this process's, as well as that can be done within [`WRITE_MARGIN`]. A successor that is not
    /// told waits for the lease to run out.
    async fn release(&self) {
        let attempts = async {
            loop {
                match self.try_release().await {
                    Ok(()) => return,
                    Err(error) => debug!("cannot release the Lease {LEASE_NAME}: {error}"),
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        if timeout(WRITE_MARGIN, attempts).await.is_err() {
            warn!("could not release the Lease {LEASE_NAME}; a successor waits until it runs out");
        }
    }

    async fn try_release(&self) -> Result<(), StoreError> {
        // A write of ours may have landed unseen, so look even if we hold nothing that we know of.
        let Some(lease) = self.bounded(self.store.get()).await? else {
            return Ok(());
        };
        let observed = Observed::after(None, lease, self.clock.monotonic());
        if observed.holder() == Some(self.identity.as_str()) {
            self.bounded(self.store.update(&released(observed.lease, self.clock.wall()))).await?;
            info!("released the Lease {LEASE_NAME}");
        }
        Ok(())
    }

    /// Gives a call up when it takes too long, or longer than the claim lasts.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let left = self.held_until.map(|end| end.saturating_duration_since(self.clock.monotonic()));
        let limit = left.filter(|left| !left.is_zero()).map_or(CALL_TIMEOUT, |left| left.min(CALL_TIMEOUT));
        let late = || StoreError::Failed(format!("no answer from the API server within {limit:?}"));
        timeout(limit, call).await.unwrap_or_else(|_| Err(late()))
    }
}

/// Up to a fifth of the retry period, the same for each identity.
fn jitter(identity: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    identity.hash(&mut hasher);
    let thousandths = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    RETRY_PERIOD / 5 * thousandths / 1000
}
