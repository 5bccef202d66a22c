//! One Lease in memory and a line to it that is slow, fails and loses answers, in simulated time.

mod scenarios;
mod storm;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::{Clock, LeaseStore, StoreError};

/// The API server's side of the Lease: versions, and no new version for a write that changes nothing.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<(Option<Lease>, u64)>>);

impl Server {
    fn get(&self) -> Option<Lease> {
        self.0.lock().unwrap().0.clone()
    }

    fn holder(&self) -> Option<String> {
        self.get()?.spec?.holder_identity
    }

    fn create(&self, lease: &Lease) -> Result<Lease, StoreError> {
        let mut state = self.0.lock().unwrap();
        if state.0.is_some() {
            return Err(StoreError::Conflict);
        }
        state.1 += 1;
        let created = versioned(lease, state.1);
        state.0 = Some(created.clone());
        Ok(created)
    }

    fn update(&self, lease: &Lease) -> Result<Lease, StoreError> {
        let mut state = self.0.lock().unwrap();
        match state.0.clone() {
            Some(stored) if stored.metadata.resource_version == lease.metadata.resource_version => {
                if stored != *lease {
                    state.1 += 1;
                    state.0 = Some(versioned(lease, state.1));
                }
                Ok(state.0.clone().unwrap())
            }
            _ => Err(StoreError::Conflict),
        }
    }

    fn delete(&self) {
        self.0.lock().unwrap().0 = None;
    }
}

fn versioned(lease: &Lease, version: u64) -> Lease {
    let mut lease = lease.clone();
    lease.metadata.resource_version = Some(version.to_string());
    lease
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// Milliseconds until it reaches the server, and until the answer is back.
    there: u64,
    back: u64,
    /// Whether it fails before it takes effect, and whether the answer is lost.
    fails: bool,
    loses_answer: bool,
}

/// A candidate's way to the server.
#[derive(Clone)]
struct Wire {
    server: Server,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    /// While the server is out of reach, from and to. Every call fails.
    outages: Vec<(Instant, Instant)>,
    /// From this moment on all is well.
    peace: Instant,
    cut: Arc<Mutex<bool>>,
}

impl Wire {
    fn reliable(server: &Server) -> Self {
        let (server, peace) = (server.clone(), Instant::now());
        Self { server, fates: Arc::default(), outages: Vec::new(), peace, cut: Arc::default() }
    }

    fn cut(&self) {
        *self.cut.lock().unwrap() = true;
    }

    /// Once begun, a call goes on without its caller, as on a real wire.
    async fn call<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&Server) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if *self.cut.lock().unwrap() {
            return std::future::pending().await;
        }
        let now = Instant::now();
        let fails = self.outages.iter().any(|(start, end)| (*start..*end).contains(&now));
        let mut fate = Fate { there: 1, back: 1, fails, loses_answer: false };
        if now < self.peace && !fails {
            let mut fates = self.fates.lock().unwrap();
            if let Some(next) = fates.pop_front() {
                fates.push_back(next);
                fate = next;
            }
        }
        let (answer, answered) = oneshot::channel();
        let server = self.server.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(fate.there)).await;
            let outcome = if fate.fails { Err(StoreError::Failed("500".to_owned())) } else { effect(&server) };
            sleep(Duration::from_millis(fate.back)).await;
            let lost = Err(StoreError::Failed("connection reset".to_owned()));
            // Nobody listening any more is as good as a lost answer.
            answer.send(if fate.loses_answer { lost } else { outcome }).ok();
        });
        answered.await.unwrap()
    }
}

#[async_trait]
impl LeaseStore for Wire {
    async fn get(&self) -> Result<Option<Lease>, StoreError> {
        self.call(|server| Ok(server.get())).await
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, StoreError> {
        let lease = lease.clone();
        self.call(move |server| server.create(&lease)).await
    }

    async fn update(&self, lease: &Lease) -> Result<Lease, StoreError> {
        let lease = lease.clone();
        self.call(move |server| server.update(&lease)).await
    }
}

/// Clocks of a machine whose oscillator is off by `per_mille`, and whose wall clock is off by hours and may stand still.
#[derive(Clone, Copy, Debug)]
struct Skewed {
    origin: Instant,
    per_mille: u32,
    hours_off: i64,
    wall_stands: bool,
}

impl Skewed {
    fn exact() -> Self {
        Self::running_at(1000)
    }

    fn running_at(per_mille: u32) -> Self {
        Self { origin: Instant::now(), per_mille, hours_off: 0, wall_stands: false }
    }
}

impl Clock for Skewed {
    fn monotonic(&self) -> std::time::Instant {
        self.origin.into_std() + self.origin.elapsed() * self.per_mille / 1000
    }

    fn wall(&self) -> Timestamp {
        let elapsed = if self.wall_stands { Duration::ZERO } else { self.origin.elapsed() };
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        epoch + SignedDuration::try_from(elapsed).unwrap() + SignedDuration::from_hours(self.hours_off)
    }
}
