//! Several candidates in a storm: their calls are slow, fail and lose their answers, their clocks run fast, slow or stand still,
//! their processes freeze, crash and come back. At no moment may two believe in the claim, and when peace returns one
//! must hold it for good.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::{Claim, Clock, Elector};
use super::{Fate, Server, Skewed, Wire};

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
