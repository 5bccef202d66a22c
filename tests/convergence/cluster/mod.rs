//! Kubernetes in memory, as far as the operator meets it: Queues and `QueueAccess`es with generation, resource version, finalizers and a
//! status of their own, Secrets and `ConfigMap`s that go with their owner, watches that may lag, and trouble.
//!
//! People change it through [`Kube`], the operator through a [`View`], which is one process' caches and writes.

mod accesses;
mod changes;
mod objects;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prism_queue::api::{Queue, QueueAccess};
use prism_queue::controller::cluster::Announcement;
use prism_queue::domain::fleet::Key;
use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::model::{Chaos, Faults, Trap, World};

pub use objects::{Object, ObjectId};
pub use view::{Change, View};

/// All of Kubernetes, shared by everyone who holds a clone.
#[derive(Clone)]
pub struct Kube(Arc<Mutex<State>>);

struct State {
    world: World,
    /// The last resource version and UID given out.
    version: u64,
    queues: BTreeMap<Key, Queue>,
    accesses: BTreeMap<Key, QueueAccess>,
    objects: BTreeMap<ObjectId, Object>,
    /// `ServiceAccount`s: the role that each is annotated with, and its version.
    accounts: BTreeMap<Key, (Option<String>, u64)>,
    /// Every change of a Queue, of a `QueueAccess`, and of another object, for the watches.
    queue_changes: Vec<(Key, Option<Queue>)>,
    access_changes: Vec<(Key, Option<QueueAccess>)>,
    object_changes: Vec<(ObjectId, Option<Object>)>,
    writes: Vec<Write>,
    announcements: Vec<(Key, Announcement)>,
    faults: Faults,
    /// What people do right after the operator's next write of an action.
    meanwhile: Option<(&'static str, Meanwhile)>,
    rng: TestRng,
}

type Meanwhile = Box<dyn FnOnce(&Kube) + Send>;

/// One write that the operator asked for. Events are not among them.
#[derive(Clone, Debug)]
pub struct Write {
    /// What was asked for: `SetFinalizers`, `WriteStatus`, `CreateOutput`, `PatchOutput`, `DeleteOutput`, `Annotate`.
    pub action: &'static str,
    /// For which Queue or `QueueAccess`.
    pub queue: Key,
    /// Whether anything is different since.
    pub changed: bool,
}

impl Kube {
    /// An empty cluster beside `world`, whose clock it shares and whose crashes take it down too.
    pub fn new(seed: u64, world: World) -> Self {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(Arc::new(Mutex::new(State {
            world,
            version: 0,
            queues: BTreeMap::new(),
            accesses: BTreeMap::new(),
            objects: BTreeMap::new(),
            accounts: BTreeMap::new(),
            queue_changes: Vec::new(),
            access_changes: Vec::new(),
            object_changes: Vec::new(),
            writes: Vec::new(),
            announcements: Vec::new(),
            faults: Faults::default(),
            meanwhile: None,
            rng: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
        })))
    }

    /// Prepares a fault for a write of the operator, by the action's name in [`Write`]. Refusals of every kind are
    /// the API server's errors.
    pub fn inject(&self, trap: Trap) {
        self.state().faults.traps.push(trap);
    }

    /// Prepares what people do right after the operator's next write of `action`, before it goes on; it sees that at once.
    pub fn meanwhile(&self, action: &'static str, deed: impl FnOnce(&Self) + Send + 'static) {
        self.state().meanwhile = Some((action, Box::new(deed)));
    }

    /// Random faults from now on.
    pub fn chaos(&self, chaos: Chaos) {
        self.state().faults.chaos = chaos;
    }

    /// Ends all faults.
    pub fn calm(&self) {
        self.state().faults = Faults::default();
    }

    /// This point in the list of the operator's writes.
    pub fn mark(&self) -> usize {
        self.state().writes.len()
    }

    /// The operator's writes since `mark`, whatever became of them.
    pub fn writes_since(&self, mark: usize) -> Vec<Write> {
        self.state().writes[mark..].to_vec()
    }

    /// What the operator announced of a Queue, oldest first.
    pub fn announcements(&self, key: &Key) -> Vec<Announcement> {
        self.state().announcements.iter().filter(|(of, _)| of == key).map(|(_, a)| a.clone()).collect()
    }

    /// A number drawn by the seed.
    pub fn draw(&self, most: usize) -> usize {
        self.state().rng.random_range(0..=most)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked has failed anyway; the others have clusters of their own.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.version += 1;
        self.version
    }
}
