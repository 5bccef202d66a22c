//! What the process knows about its own health.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::lease::{Claim, Standing};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in words for people.
    pub name: &'static str,
    /// Why it is not well; nothing when it is.
    pub trouble: Option<String>,
}

/// Where tasks tell that they make progress and the probes read it. Cheap to clone; clones share their state.
#[derive(Clone, Debug)]
pub struct Health {
    claim: Claim,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tasks: Vec<Task>,
    caches: Vec<Cache>,
}

#[derive(Debug)]
struct Task {
    name: &'static str,
    longest_silence: Duration,
    last_beat: Instant,
}

#[derive(Debug)]
struct Cache {
    name: &'static str,
    /// Whether a process that does not lead needs it too.
    for_all: bool,
    /// What is said of it until it is there.
    missing: &'static str,
    synced: bool,
}

impl Health {
    /// The health of a process that works under `claim`.
    #[must_use]
    pub fn new(claim: Claim) -> Self {
        Self { claim, state: Arc::default() }
    }

    /// Expects a beat of the task `name` at least every `longest_silence`, from `now` on, for the rest of the process's life:
    /// a task that has ended is as silent as one that hangs.
    #[must_use]
    pub fn task(&self, name: &'static str, longest_silence: Duration, now: Instant) -> Heartbeat {
        let mut state = self.lock();
        state.tasks.push(Task { name, longest_silence, last_beat: now });
        Heartbeat { health: self.clone(), index: state.tasks.len() - 1 }
    }

    /// Expects the cache `name` to be filled before this process, once it leads, is ready.
    #[must_use]
    pub fn cache(&self, name: &'static str) -> CacheSync {
        self.expect(Cache { name, for_all: false, missing: "not yet filled from the API server", synced: false })
    }

    /// Expects the part `name` to be at work before this process is ready, whether it leads or not.
    #[must_use]
    pub fn part(&self, name: &'static str) -> CacheSync {
        self.expect(Cache { name, for_all: true, missing: "not yet at work", synced: false })
    }

    fn expect(&self, cache: Cache) -> CacheSync {
        let mut state = self.lock();
        state.caches.push(cache);
        CacheSync { health: self.clone(), index: state.caches.len() - 1 }
    }

    /// Liveness: does every task make progress? Kubelet restarts the container when not.
    #[must_use]
    pub fn live(&self, now: Instant) -> Vec<Check> {
        let check = |task: &Task| {
            let silence = now.saturating_duration_since(task.last_beat);
            let trouble = (silence > task.longest_silence).then(|| {
                format!(
                    "no progress for {} s; at most {} s are expected",
                    silence.as_secs(),
                    task.longest_silence.as_secs()
                )
            });
            Check { name: task.name, trouble }
        };
        self.lock().tasks.iter().map(check).collect()
    }

    /// Readiness: every part at work, and standing by for another leader or leading with all caches filled.
    #[must_use]
    pub fn ready(&self, now: Instant) -> Vec<Check> {
        let standing = self.claim.standing(now);
        let trouble = match standing {
            Standing::Unknown => Some("the lease could not be read yet".to_owned()),
            Standing::Ended => Some("the lease was lost or given up; the process is about to end".to_owned()),
            Standing::Standby | Standing::Leading => None,
        };
        let election = Check { name: "leader election", trouble };
        // A standby fills its caches only once it leads.
        let needed = |cache: &&Cache| cache.for_all || standing != Standing::Standby;
        let check =
            |cache: &Cache| Check { name: cache.name, trouble: (!cache.synced).then(|| cache.missing.to_owned()) };
        std::iter::once(election).chain(self.lock().caches.iter().filter(needed).map(check)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's way to say that it makes progress.
#[derive(Debug)]
pub struct Heartbeat {
    health: Health,
    index: usize,
}

impl Heartbeat {
    /// The task made progress at `now`.
    pub fn beat(&self, now: Instant) {
        if let Some(task) = self.health.lock().tasks.get_mut(self.index) {
            task.last_beat = now;
        }
    }
}

/// The way of a cache to say that it is filled, and of a part that it is at work.
#[derive(Debug)]
pub struct CacheSync {
    health: Health,
    index: usize,
}

impl CacheSync {
    /// The cache holds all that there is, or the part is at work; it stays so.
    pub fn synced(&self) {
        if let Some(cache) = self.health.lock().caches.get_mut(self.index) {
            cache.synced = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lease::term;
    use super::*;

    fn troubled(checks: &[Check]) -> Vec<&'static str> {
        checks.iter().filter(|check| check.trouble.is_some()).map(|check| check.name).collect()
    }

    #[test]
    fn a_silent_task_is_named_until_it_beats_again() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let health = Health::new(Claim::always());
        let election = health.task("election", Duration::from_secs(30), start);
        let controller = health.task("controller", Duration::from_mins(1), start);

        assert!(troubled(&health.live(at(30))).is_empty());
        assert_eq!(troubled(&health.live(at(31))), ["election"]);
        assert_eq!(troubled(&health.live(at(61))), ["election", "controller"]);
        election.beat(at(61));
        assert_eq!(troubled(&health.live(at(61))), ["controller"]);
        controller.beat(at(62));
        assert!(troubled(&health.live(at(62))).is_empty());
    }

    #[test]
    fn a_leader_is_ready_once_its_caches_are_filled() {
        let health = Health::new(Claim::always());
        let queues = health.cache("queues");
        let secrets = health.cache("secrets");
        let now = Instant::now();
        assert_eq!(troubled(&health.ready(now)), ["queues", "secrets"]);
        queues.synced();
        assert_eq!(troubled(&health.ready(now)), ["secrets"]);
        secrets.synced();
        assert!(troubled(&health.ready(now)).is_empty());
    }

    #[test]
    fn a_part_is_needed_in_a_standby_too() {
        let now = Instant::now();
        let (term, claim) = term();
        let health = Health::new(claim);
        let webhook = health.part("webhook");
        term.stand_by();
        assert_eq!(troubled(&health.ready(now)), ["webhook"]);
        webhook.synced();
        assert!(troubled(&health.ready(now)).is_empty());
    }

    #[test]
    fn a_standby_is_ready_without_caches_but_not_before_it_saw_the_lease_nor_after_the_end() {
        let now = Instant::now();
        let (term, claim) = term();
        let health = Health::new(claim);
        let _queues = health.cache("queues");
        assert_eq!(troubled(&health.ready(now)), ["leader election", "queues"]);
        term.stand_by();
        assert!(troubled(&health.ready(now)).is_empty());
        term.lead_until(now + Duration::from_secs(10));
        assert_eq!(troubled(&health.ready(now)), ["queues"]);
        term.end();
        assert_eq!(troubled(&health.ready(now)), ["leader election", "queues"]);
    }
}
