//! What candidates do, one event at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::{Claim, Clock, Elector, LEASE_DURATION, Lost, RENEW_DEADLINE, RETRY_PERIOD, Standing, WRITE_MARGIN};
use super::{Server, Skewed, Wire};

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
