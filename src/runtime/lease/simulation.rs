//! Several candidates over one Lease in memory, in simulated time: their calls are slow, fail and lose their answers, their
//! clocks run fast, slow or stand still, their processes freeze, crash and come back. At no moment may two believe in the claim,
//! and when peace returns one must hold it for good.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::*;

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

/// A process that does nothing while it is frozen.
struct Freezing<F> {
    process: Pin<Box<F>>,
    freezes: Vec<(Instant, Instant)>,
    thaw: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Freezing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let now = Instant::now();
        if let Some((_, end)) = self.freezes.iter().find(|(start, end)| (*start..*end).contains(&now)).copied() {
            let mut thaw = Box::pin(sleep_until(end));
            if thaw.as_mut().poll(context).is_pending() {
                self.thaw = Some(thaw);
                return Poll::Pending;
            }
        }
        self.process.as_mut().poll(context)
    }
}

/// One machine that runs a candidate, again and again.
#[derive(Clone, Debug)]
struct Machine {
    per_mille: u32,
    hours_off: i64,
    wall_stands: bool,
    /// Seconds that a process lives, seconds until the next begins, and whether it ends in order.
    lives: Vec<(u64, u64, bool)>,
    /// Seconds from the start, and how many, of a freeze.
    freezes: Vec<(u64, u64)>,
    /// Likewise, of the server being out of its reach.
    outages: Vec<(u64, u64)>,
    fates: Vec<Fate>,
}

/// Seconds of disturbance, of settling after it, and of watching that nothing changes any more.
const STORM: u64 = 120;
const SETTLING: u64 = 45;
const WATCH: u64 = 60;

fn fate() -> impl Strategy<Value = Fate> {
    let latency = || prop_oneof![8 => 1..50_u64, 2 => 50..2_000_u64, 1 => 2_000..12_000_u64];
    (latency(), latency(), prop::bool::weighted(0.15), prop::bool::weighted(0.2))
        .prop_map(|(there, back, fails, loses_answer)| Fate { there, back, fails, loses_answer })
}

fn machine() -> impl Strategy<Value = Machine> {
    let rate = prop_oneof![Just(830_u32), Just(1_190), 830..=1_190_u32];
    let clocks = (rate, -2..=2_i64, prop::bool::weighted(0.2));
    let lives = prop::collection::vec((1..60_u64, 0..20_u64, any::<bool>()), 0..4);
    let spans = || prop::collection::vec((0..STORM, 1..40_u64), 0..4);
    // Half of the machines have a good line, so that some leaders last long enough to be cut off in the middle of it.
    let fates = prop_oneof![Just(Vec::new()), prop::collection::vec(fate(), 1..40)];
    (clocks, lives, spans(), spans(), fates).prop_map(|(clocks, lives, freezes, outages, fates)| {
        let (per_mille, hours_off, wall_stands) = clocks;
        Machine { per_mille, hours_off, wall_stands, lives, freezes, outages, fates }
    })
}

/// What each machine's process believes at present.
type Beliefs = Arc<Mutex<Vec<Option<(Claim, Skewed)>>>>;

fn believers(beliefs: &Beliefs) -> Vec<usize> {
    let believes = |(claim, clock): &(Claim, Skewed)| claim.is_held(clock.monotonic());
    let beliefs = beliefs.lock().unwrap();
    beliefs.iter().enumerate().filter(|(_, belief)| belief.as_ref().is_some_and(believes)).map(|(i, _)| i).collect()
}

async fn run_machine(index: usize, machine: Machine, server: Server, start: Instant, beliefs: Beliefs) {
    let clock = Skewed {
        origin: start,
        per_mille: machine.per_mille,
        hours_off: machine.hours_off,
        wall_stands: machine.wall_stands,
    };
    let peace = start + Duration::from_secs(STORM);
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let spans = |spans: &[(u64, u64)]| -> Vec<_> {
        spans.iter().map(|(from, long)| (at(*from), at(from + long).min(peace))).collect()
    };
    let (freezes, outages) = (spans(&machine.freezes), spans(&machine.outages));
    let wire = Wire { server, fates: Arc::new(Mutex::new(machine.fates.into())), outages, peace, cut: Arc::default() };
    let mut lives = machine.lives.into_iter();
    for life in 0.. {
        let (elector, claim) = Elector::new(wire.clone(), clock, format!("machine-{index}_{life}"));
        beliefs.lock().unwrap()[index] = Some((claim, clock));
        let stop = CancellationToken::new();
        let run = Box::pin(elector.run(stop.clone(), |_| ()));
        let mut process = Freezing { process: run, freezes: freezes.clone(), thaw: None };
        // A life that would outlast the storm goes on, unless the lease is lost; then the next begins, as kubelet has it.
        let (end, pause, in_order) = lives
            .next()
            .map(|(seconds, pause, in_order)| (Instant::now() + Duration::from_secs(seconds), pause, in_order))
            .filter(|(end, ..)| *end < peace)
            .unwrap_or((at(10 * STORM), 1, false));
        tokio::select! {
            _ = &mut process => {}
            () = sleep_until(end) => if in_order {
                stop.cancel();
                process.await.ok();
            },
        }
        // A process that is gone believes nothing.
        beliefs.lock().unwrap()[index] = None;
        sleep(Duration::from_secs(pause)).await;
    }
}

/// Runs the world; returns what went wrong.
async fn storm_and_peace(machines: Vec<Machine>) -> Result<(), String> {
    let start = Instant::now();
    let server = Server::default();
    let beliefs: Beliefs = Arc::new(Mutex::new(machines.iter().map(|_| None).collect()));
    let run = |(index, machine)| run_machine(index, machine, server.clone(), start, beliefs.clone());
    let world = join_all(machines.into_iter().enumerate().map(run));
    let watch = async {
        let mut leader = None;
        while start.elapsed() < Duration::from_secs(STORM + SETTLING + WATCH) {
            sleep(Duration::from_millis(25)).await;
            let now = believers(&beliefs);
            let elapsed = start.elapsed();
            if now.len() > 1 {
                return Err(format!("after {elapsed:?}, machines {now:?} believe in the claim at once"));
            }
            if elapsed >= Duration::from_secs(STORM + SETTLING) {
                match (leader, now.first()) {
                    (_, None) => return Err(format!("nobody leads {elapsed:?} after the start, in peace")),
                    (Some(before), Some(now)) if before != *now => {
                        return Err(format!("the leader changed {elapsed:?} after the start, in peace"));
                    }
                    (_, Some(now)) => leader = Some(*now),
                }
            }
        }
        Ok(())
    };
    tokio::select! {
        found = watch => found,
        _ = world => Err("the world ended".to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        max_shrink_iters: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn never_two_leaders_and_in_peace_always_one(machines in prop::collection::vec(machine(), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let found = runtime.block_on(storm_and_peace(machines));
        prop_assert!(found.is_ok(), "{found:?}");
    }
}

/// Waits until `holds`, which must be within `limit` of simulated time; returns how long it took.
async fn within(limit: Duration, holds: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "did not happen within {limit:?}");
        sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

struct Process {
    wire: Wire,
    clock: Skewed,
    claim: Claim,
    stop: CancellationToken,
    run: tokio::task::JoinHandle<Result<(), Lost>>,
}

impl Process {
    fn start(server: &Server, identity: &str) -> Self {
        Self::start_by(Skewed::exact(), server, identity)
    }

    fn start_by(clock: Skewed, server: &Server, identity: &str) -> Self {
        let wire = Wire::reliable(server);
        let stop = CancellationToken::new();
        let (elector, claim) = Elector::new(wire.clone(), clock, identity.to_owned());
        let run = tokio::spawn(elector.run(stop.clone(), |_| ()));
        Self { wire, clock, claim, stop, run }
    }

    fn leads(&self) -> bool {
        self.claim.is_held(self.clock.monotonic())
    }

    /// How the process ended, which must be soon.
    async fn ended(self) -> Result<(), Lost> {
        timeout(LEASE_DURATION, self.run).await.expect("the process should have ended").unwrap()
    }
}

const SOON: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn the_first_leads_at_once_and_keeps_leading() {
    let server = Server::default();
    let first = Process::start(&server, "first");
    within(SOON, || first.leads()).await;
    let second = Process::start(&server, "second");
    within(SOON, || second.claim.standing(Instant::now().into_std()) == Standing::Standby).await;
    sleep(10 * LEASE_DURATION).await;
    assert!(first.leads() && !second.leads());
    assert_eq!(server.get().unwrap().spec.unwrap().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_lets_the_successor_follow_at_its_next_look() {
    let server = Server::default();
    let first = Process::start(&server, "first");
    within(SOON, || first.leads()).await;
    let second = Process::start(&server, "second");
    sleep(LEASE_DURATION).await;

    let claim = first.claim.clone();
    first.stop.cancel();
    assert_eq!(first.ended().await, Ok(()));
    assert_eq!(claim.standing(Instant::now().into_std()), Standing::Ended);
    within(RETRY_PERIOD * 6 / 5 + SOON, || second.leads()).await;
    assert_eq!(server.holder().as_deref(), Some("second"));
    assert_eq!(server.get().unwrap().spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_of_a_standby_leaves_the_lease_alone() {
    let server = Server::default();
    let first = Process::start(&server, "first");
    within(SOON, || first.leads()).await;
    let second = Process::start(&server, "second");
    sleep(LEASE_DURATION).await;
    second.stop.cancel();
    assert_eq!(second.ended().await, Ok(()));
    assert_eq!(server.holder().as_deref(), Some("first"));
    assert!(first.leads());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_believing_before_anyone_follows() {
    let server = Server::default();
    let first = Process::start(&server, "first");
    within(SOON, || first.leads()).await;
    let second = Process::start(&server, "second");
    sleep(LEASE_DURATION).await;

    first.wire.cut();
    within(RENEW_DEADLINE, || !first.leads()).await;
    let gap = within(LEASE_DURATION, || second.leads()).await;
    assert!(gap + SOON >= WRITE_MARGIN, "{gap:?} is less than a write may take");
    assert_eq!(first.ended().await, Err(Lost::Lapsed));
}

#[tokio::test(start_paused = true)]
async fn a_slow_clock_of_the_leader_and_a_fast_one_of_its_successor_do_not_meet() {
    let server = Server::default();
    let slow = Process::start_by(Skewed::running_at(810), &server, "slow");
    within(SOON, || slow.leads()).await;
    let fast = Process::start_by(Skewed::running_at(1_190), &server, "fast");
    sleep(LEASE_DURATION).await;
    slow.wire.cut();
    within(2 * LEASE_DURATION, || {
        assert!(!(slow.leads() && fast.leads()));
        fast.leads()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_is_deleted_or_taken_gives_up() {
    let server = Server::default();
    let deleted = Process::start(&server, "deleted");
    within(SOON, || deleted.leads()).await;
    server.delete();
    assert_eq!(deleted.ended().await, Err(Lost::Removed));

    let robbed = Process::start(&server, "robbed");
    within(SOON, || robbed.leads()).await;
    let mut lease = server.get().unwrap();
    lease.spec.as_mut().unwrap().holder_identity = Some("robber".to_owned());
    server.update(&lease).unwrap();
    let claim = robbed.claim.clone();
    assert_eq!(robbed.ended().await, Err(Lost::Taken("robber".to_owned())));
    assert!(!claim.is_held(Instant::now().into_std()));
    assert_eq!(server.holder().as_deref(), Some("robber"));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_edit_of_the_lease_does_not_cost_the_leader_its_claim() {
    let server = Server::default();
    let leader = Process::start(&server, "leader");
    within(SOON, || leader.leads()).await;
    let mut lease = server.get().unwrap();
    lease.metadata.labels = Some([("team".to_owned(), "platform".to_owned())].into());
    server.update(&lease).unwrap();
    sleep(2 * LEASE_DURATION).await;
    assert!(leader.leads());
    assert!(server.get().unwrap().metadata.labels.is_some());
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_while_leading_standing_by_and_out_of_reach() {
    let server = Server::default();
    let mut tellings = Vec::new();
    for (identity, cut) in [("leader", false), ("standby", false), ("out of reach", true)] {
        let wire = Wire::reliable(&server);
        if cut {
            wire.cut();
        }
        let (elector, _claim) = Elector::new(wire, Skewed::exact(), identity.to_owned());
        let told = Arc::new(Mutex::new(0));
        let count = told.clone();
        tokio::spawn(elector.run(CancellationToken::new(), move |_| *count.lock().unwrap() += 1));
        tellings.push((identity, told));
        sleep(SOON).await;
    }
    sleep(Duration::from_mins(1)).await;
    for (identity, told) in tellings {
        assert!(*told.lock().unwrap() >= 6, "{identity}");
    }
}
