//! The operator's process under simulated time: what `controller::run` and `controller::watch` do with real clocks
//! and watches, around the real [`Reconciler`] and [`Schedule`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use prism_queue::api::Queue;
use prism_queue::aws::target::Session;
use prism_queue::controller::access::{
    AccessReconciler, ClusterClients, Identities, IdentityClients, RoleClients, Workplace,
};
use prism_queue::controller::cluster::OwnerKind;
use prism_queue::controller::queue::Reconciler;
use prism_queue::controller::schedule::{Gate, Schedule};
use prism_queue::domain::class::Class;
use prism_queue::domain::desired::Refusal;
use prism_queue::domain::fleet::Key;

use crate::cluster::{Change, Kube, View};
use crate::model::{Call, Caller, Client, World};

/// How long a crashed process is gone: another one waits for its lease to run out, at least.
const DOWN: SignedDuration = SignedDuration::from_secs(15);

/// More passes than this at one instant are a loop.
const MOST_PASSES_AT_ONCE: usize = 300;

/// One pass, after it ended or crashed.
pub struct PassRecord {
    pub at: Timestamp,
    /// The object that the pass was given.
    pub queue: Queue,
    /// Its calls to AWS.
    pub calls: Vec<Call>,
    /// The messages of the ledger that it lost.
    pub lost: Vec<u64>,
}

/// Judges a pass right after it; what is wrong is kept for [`Operator::complaints`].
pub type Judge = Box<dyn Fn(&PassRecord) -> Vec<String>>;

/// The operator: one process after another.
pub struct Operator {
    pub world: World,
    pub kube: Kube,
    pub caller: Caller,
    /// Who it is in the account of the Kubernetes cluster, where that is another.
    pub cluster_caller: Option<Caller>,
    pub class: Class,
    /// The Queues of other classes than that, and who the operator is in the accounts of those.
    pub other_classes: BTreeMap<Key, (Class, Caller)>,
    /// How many changes each watch may be behind.
    pub lag: usize,
    /// How many writes the process may still make before it loses its leader claim.
    pub claim: Arc<AtomicUsize>,
    pub passes: Vec<PassRecord>,
    pub judge: Option<Judge>,
    pub complaints: Vec<String>,
    process: Option<Process>,
    starts_at: Timestamp,
}

struct Process {
    view: Arc<View>,
    schedule: Schedule,
    reconciler: Reconciler,
    access_reconciler: AccessReconciler,
    due: BTreeMap<Turn, Timestamp>,
}

/// All Queues are of one class, but for a few.
struct Classes {
    class: Class,
    client: Arc<Client>,
    others: BTreeMap<Key, (Class, Arc<Client>)>,
    cluster: Arc<Client>,
}

#[async_trait]
impl Workplace for Classes {
    fn class_of(&self, queue: &Queue) -> Result<Class, Refusal> {
        let other = self.others.get(&Key::of(queue));
        Ok(other.map_or(&self.class, |(class, _)| class).clone())
    }

    fn class_named(&self, name: &str) -> Option<Class> {
        let mut all = std::iter::once(&self.class).chain(self.others.values().map(|(class, _)| class));
        all.find(|class| class.name == name).cloned()
    }

    async fn clients_of(&self, class: &Class, _: Session) -> Result<IdentityClients, Refusal> {
        let other = self.others.values().find(|(other, _)| other.name == class.name);
        let client = other.map_or(&self.client, |(_, client)| client);
        let roles = RoleClients { policies: client.clone(), roles: client.clone(), sts: client.clone() };
        // The cluster may be in another account.
        let other = self.cluster.clone();
        let there = RoleClients { policies: other.clone(), roles: other.clone(), sts: other.clone() };
        let cluster = Some(ClusterClients { associations: other, roles: there });
        Ok(IdentityClients { roles, cluster })
    }
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Queue(Key),
    Access(Key),
}

impl Operator {
    /// An operator that starts at once.
    pub fn new(world: &World, kube: &Kube, caller: &Caller, class: &Class) -> Self {
        Self {
            world: world.clone(),
            kube: kube.clone(),
            caller: caller.clone(),
            cluster_caller: None,
            class: class.clone(),
            other_classes: BTreeMap::new(),
            lag: 0,
            claim: Arc::new(AtomicUsize::new(usize::MAX)),
            passes: Vec::new(),
            judge: None,
            complaints: Vec::new(),
            process: None,
            starts_at: world.now(),
        }
    }

    /// Ends the process and starts another: with other flags, perhaps.
    pub fn restart(&mut self) {
        self.process = None;
        self.starts_at = self.world.now();
    }

    /// Lets `seconds` pass.
    pub async fn run(&mut self, seconds: i64) {
        let end = self.world.now() + SignedDuration::from_secs(seconds);
        loop {
            self.catch_up().await;
            let now = self.world.now();
            if now >= end {
                return;
            }
            // The world's clock counts whole seconds.
            let wait = self.next().min(end).duration_since(now);
            self.world.advance((wait.as_secs() + i64::from(wait.subsec_nanos() > 0)).max(1));
        }
    }

    /// One pass over every Queue, whether it is due or not.
    pub async fn round(&mut self) {
        self.catch_up().await;
        let now = self.world.now();
        if let Some(process) = &mut self.process {
            for key in process.view.keys() {
                process.call_for(&key, now);
            }
            for key in process.view.access_keys() {
                process.call_for_access(&key, now);
            }
        }
        self.catch_up().await;
    }

    /// Brings what the watches bring, and makes the passes that are due now.
    async fn catch_up(&mut self) {
        let mut made = 0;
        loop {
            if self.process.is_none() && self.world.now() >= self.starts_at {
                self.start();
            }
            let Some(process) = &mut self.process else { return };
            let now = self.world.now();
            process.watch(&self.kube, self.lag, now);
            let due = process.due.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at);
            let Some(turn) = due.map(|(turn, _)| turn.clone()) else { return };
            match &turn {
                Turn::Queue(key) => self.turn(key).await,
                Turn::Access(key) => self.access_turn(key).await,
            }
            made += 1;
            assert!(made < MOST_PASSES_AT_ONCE, "{turn:?}: passes without end at one instant");
        }
    }

    /// When something happens next.
    fn next(&self) -> Timestamp {
        let Some(process) = &self.process else { return self.starts_at };
        let soon = self.world.now() + SignedDuration::from_secs(1);
        let is_behind = process.view.behind() != (0, 0, 0);
        process.due.values().copied().chain(is_behind.then_some(soon)).min().unwrap_or(Timestamp::MAX)
    }

    fn start(&mut self) {
        let view = Arc::new(View::new(&self.kube, &self.class));
        let client = Arc::new(self.world.client(&self.caller));
        let cluster = Arc::new(self.world.client(self.cluster_caller.as_ref().unwrap_or(&self.caller)));
        let others = self
            .other_classes
            .iter()
            .map(|(key, (class, caller))| (key.clone(), (class.clone(), Arc::new(self.world.client(caller)))));
        let others = others.collect();
        let (claim, world) = (self.claim.clone(), self.world.clone());
        let reconciler = Reconciler {
            sqs: client.clone(),
            sts: client.clone(),
            kms: client.clone(),
            iam: client.clone(),
            cluster: view.clone(),
            class: self.class.clone(),
            clock: Arc::new(move || world.now()),
            may_write: Arc::new(move || {
                let less = |left: usize| left.checked_sub(usize::from(left != usize::MAX));
                claim.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
            }),
        };
        let world = self.world.clone();
        let access_reconciler = AccessReconciler {
            cluster: view.clone(),
            workplace: Arc::new(Classes { class: self.class.clone(), client, others, cluster }),
            identities: Identities::default(),
            clock: Arc::new(move || world.now()),
            may_write: reconciler.may_write.clone(),
        };
        let now = self.world.now();
        let queues = view.keys().into_iter().map(Turn::Queue);
        let due = queues.chain(view.access_keys().into_iter().map(Turn::Access)).map(|turn| (turn, now)).collect();
        self.process = Some(Process { view, schedule: Schedule::default(), reconciler, access_reconciler, due });
    }

    async fn turn(&mut self, key: &Key) {
        let Some(process) = &mut self.process else { return };
        process.due.remove(&Turn::Queue(key.clone()));
        let Some(queue) = process.view.cached(key) else { return };
        let now = self.world.now();
        let mut memory = match process.schedule.enter(&queue, now) {
            Gate::Closed(rest) => return process.wake(Turn::Queue(key.clone()), now + rest),
            Gate::Open(memory) => memory,
        };
        let mark = self.world.mark();
        let lost_before = lost(&self.world, &self.caller);
        let ended = self.world.run(process.reconciler.pass(&queue, &mut memory)).await;
        if let Some(outcome) = &ended {
            process.schedule.leave(&queue, *memory, outcome, now);
            process.wake(Turn::Queue(key.clone()), now + outcome.requeue);
        }
        let mut lost = lost(&self.world, &self.caller);
        lost.retain(|id| !lost_before.contains(id));
        let crashed = ended.is_none();
        let record = PassRecord { at: now, queue, calls: self.world.calls_since(mark), lost };
        if let Some(judge) = &self.judge {
            self.complaints.extend(judge(&record));
        }
        self.passes.push(record);
        if crashed {
            self.process = None;
            self.starts_at = now + DOWN;
        }
    }
}

impl Operator {
    async fn access_turn(&mut self, key: &Key) {
        let Some(process) = &mut self.process else { return };
        let turn = Turn::Access(key.clone());
        process.due.remove(&turn);
        let Some(access) = process.view.cached_access(key) else { return };
        let now = self.world.now();
        let mut memory = match process.schedule.enter(&access, now) {
            Gate::Closed(rest) => return process.wake(turn, now + rest),
            Gate::Open(memory) => memory,
        };
        let mark = self.world.mark();
        let ended = self.world.run(process.access_reconciler.pass(&access, &mut memory)).await;
        let is_principal = access.spec.subject.principal_arn.is_some();
        let is_silent = self.world.calls_since(mark).is_empty();
        assert!(!is_principal || is_silent, "{key}: a pass over a QueueAccess for a principal calls AWS for nothing");
        if let Some(outcome) = ended {
            process.schedule.leave(&access, *memory, &outcome, now);
            process.wake(turn, now + outcome.requeue);
        } else {
            self.process = None;
            self.starts_at = now + DOWN;
        }
    }
}

fn lost(world: &World, caller: &Caller) -> Vec<u64> {
    world.lost_by(&caller.arn).into_iter().map(|message| message.id).collect()
}

impl Process {
    /// Brings changes of the watches, but for those by which they are behind.
    fn watch(&mut self, kube: &Kube, lag: usize, now: Timestamp) {
        let draw = || if lag == 0 { 0 } else { kube.draw(lag) };
        let (behind_queues, behind_objects, behind_accesses) = (draw(), draw(), draw());
        while self.view.behind().0 > behind_queues {
            match self.view.next_queue() {
                Change::Queue { key, neighbours } => {
                    self.set_to_work(neighbours, now);
                    self.set_accesses_to_work(&key, now);
                    self.wake(Turn::Queue(key), now);
                }
                Change::Gone { key, neighbours } => {
                    self.schedule.keep(&self.view.living());
                    self.set_accesses_to_work(&key, now);
                    self.set_to_work(neighbours, now);
                }
                Change::Access { .. } | Change::Output { .. } | Change::Nothing => {}
            }
        }
        while self.view.behind().2 > behind_accesses {
            if let Change::Access { key, queues } = self.view.next_access() {
                self.schedule.keep(&self.view.living());
                self.set_to_work(queues, now);
                self.wake(Turn::Access(key), now);
            }
        }
        while self.view.behind().1 > behind_objects {
            match self.view.next_object() {
                Change::Output { kind: OwnerKind::Queue, owner } => self.set_to_work([owner], now),
                Change::Output { kind: OwnerKind::QueueAccess, owner } => self.call_for_access(&owner, now),
                _ => {}
            }
        }
    }

    fn set_to_work(&mut self, keys: impl IntoIterator<Item = Key>, now: Timestamp) {
        for key in keys {
            self.call_for(&key, now);
        }
    }

    fn call_for(&mut self, key: &Key, now: Timestamp) {
        if let Some(queue) = self.view.cached(key) {
            self.schedule.call_for(&queue);
            self.wake(Turn::Queue(key.clone()), now);
        }
    }

    fn set_accesses_to_work(&mut self, queue: &Key, now: Timestamp) {
        for key in self.view.pointing_to(queue) {
            self.call_for_access(&key, now);
        }
    }

    fn call_for_access(&mut self, key: &Key, now: Timestamp) {
        if let Some(access) = self.view.cached_access(key) {
            self.schedule.call_for(&access);
            self.wake(Turn::Access(key.clone()), now);
        }
    }

    /// The scheduler keeps the sooner of two turns.
    fn wake(&mut self, turn: Turn, at: Timestamp) {
        let due = self.due.entry(turn).or_insert(at);
        *due = (*due).min(at);
    }
}
