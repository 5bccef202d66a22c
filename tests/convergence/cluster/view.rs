//! One operator process' view of the cluster: caches that follow watches, and writes. It does what
//! `controller::kubernetes` does with a real API server.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use prism_queue::api::Queue;
use prism_queue::api::status::QueueStatus;
use prism_queue::controller::cluster::{Announcement, Cluster, ClusterError};
use prism_queue::domain::class::Class;
use prism_queue::domain::fleet::{Fleet, Key};
use prism_queue::domain::outputs::{ObservedOutput, Output, OutputKind};

use super::{Kube, Object, ObjectId, State, Write};
use crate::model::Fault;

/// The caches and writes of one process.
pub struct View {
    kube: Kube,
    class: Class,
    caches: Mutex<Caches>,
}

#[derive(Default)]
struct Caches {
    queues: BTreeMap<Key, Queue>,
    /// Only objects with the operator's label: the watch selects them.
    objects: BTreeMap<ObjectId, Object>,
    fleet: Fleet,
    /// What this process wrote: news of it is no news.
    written: BTreeMap<ObjectId, Output>,
    /// How far each watch has come.
    queue_changes: usize,
    object_changes: usize,
}

/// What a watch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A Queue is new or different; its neighbours may have to decide anew.
    Queue { key: Key, neighbours: BTreeSet<Key> },
    /// A Queue is gone.
    Gone { neighbours: BTreeSet<Key> },
    /// An output of this Queue was changed from outside.
    Output { owner: Key },
    /// Nothing that matters.
    Nothing,
}

impl View {
    /// The caches of a process that just started: filled.
    pub fn new(kube: &Kube, class: &Class) -> Self {
        let mut caches = Caches::default();
        {
            let state = kube.state();
            caches.queues.clone_from(&state.queues);
            caches.objects =
                state.objects.iter().filter(|(_, o)| o.labelled).map(|(i, o)| (i.clone(), o.clone())).collect();
            caches.fleet = Fleet::of(caches.queues.values(), class);
            caches.queue_changes = state.queue_changes.len();
            caches.object_changes = state.object_changes.len();
        }
        Self { kube: kube.clone(), class: class.clone(), caches: Mutex::new(caches) }
    }

    /// A Queue as the cache shows it.
    pub fn cached(&self, key: &Key) -> Option<Queue> {
        self.caches().queues.get(key).cloned()
    }

    /// The Queues that the cache shows.
    pub fn keys(&self) -> Vec<Key> {
        self.caches().queues.keys().cloned().collect()
    }

    /// The UIDs of the Queues that the cache shows.
    pub fn living(&self) -> HashSet<String> {
        self.caches().queues.values().filter_map(|queue| queue.metadata.uid.clone()).collect()
    }

    /// How many changes the watches have not brought yet.
    pub fn behind(&self) -> (usize, usize) {
        let (state, caches) = (self.kube.state(), self.caches());
        (state.queue_changes.len() - caches.queue_changes, state.object_changes.len() - caches.object_changes)
    }

    /// The watch of Queues brings its next change.
    pub fn next_queue(&self) -> Change {
        let (state, mut caches) = (self.kube.state(), self.caches());
        let Some((key, queue)) = state.queue_changes.get(caches.queue_changes).cloned() else {
            return Change::Nothing;
        };
        caches.queue_changes += 1;
        let neighbours = match queue {
            Some(queue) => {
                let neighbours = caches.fleet.put(&queue, &self.class);
                caches.queues.insert(key.clone(), queue);
                return Change::Queue { key, neighbours: neighbours.unwrap_or_default() };
            }
            None => caches.fleet.remove(&key),
        };
        caches.queues.remove(&key);
        Change::Gone { neighbours: neighbours.unwrap_or_default() }
    }

    /// The watches of Secrets and `ConfigMap`s bring their next change.
    pub fn next_object(&self) -> Change {
        let (state, mut caches) = (self.kube.state(), self.caches());
        let Some((id, object)) = state.object_changes.get(caches.object_changes).cloned() else {
            return Change::Nothing;
        };
        caches.object_changes += 1;
        let owner = |object: &Object| {
            let (_, name) = object.owner.clone()?;
            Some(Key { namespace: id.namespace.clone(), name })
        };
        let owner = if let Some(object) = object.filter(|object| object.labelled) {
            let owner = owner(&object).filter(|_| caches.written.get(&id) != Some(&object.content));
            caches.objects.insert(id, object);
            owner
        } else {
            let removed = caches.objects.remove(&id);
            let is_news = removed.is_some() && caches.written.remove(&id).is_some();
            removed.filter(|_| is_news).as_ref().and_then(owner)
        };
        owner.map_or(Change::Nothing, |owner| Change::Output { owner })
    }

    fn caches(&self) -> MutexGuard<'_, Caches> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write, or the fault that awaits it; in a dead process it never comes back.
    async fn write<T>(
        &self,
        action: &'static str,
        queue: &Queue,
        effect: impl FnOnce(&mut State) -> Result<T, ClusterError>,
    ) -> Result<T, ClusterError> {
        match self.attempt(action, queue, effect) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    fn attempt<T>(
        &self,
        action: &'static str,
        queue: &Queue,
        effect: impl FnOnce(&mut State) -> Result<T, ClusterError>,
    ) -> Option<Result<T, ClusterError>> {
        let mut state = self.kube.state();
        if state.world.is_crashed() {
            return None;
        }
        let dice = u8::try_from(proptest::prelude::RngExt::random_range(&mut state.rng, 0..100)).unwrap_or_default();
        let fault = state.faults.next(action, dice);
        let failed = || ClusterError::Failed("etcdserver: request timed out".to_owned());
        let version = state.version;
        let before = state.object_changes.len();
        let answer = match fault {
            Some(Fault::Refuse(_) | Fault::CrashBefore) => Err(failed()),
            _ => effect(&mut state),
        };
        let changed = state.version != version || state.object_changes.len() != before;
        state.writes.push(Write { action, queue: Key::of(queue), changed });
        if matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter)) {
            state.world.crash();
            return None;
        }
        Some(if fault == Some(Fault::LoseAnswer) { Err(failed()) } else { answer })
    }

    async fn create_object(&self, queue: &Queue, id: &ObjectId, output: &Output) -> Result<(), ClusterError> {
        let owner = (queue.metadata.uid.clone().unwrap_or_default(), queue.metadata.name.clone().unwrap_or_default());
        self.write("CreateOutput", queue, |state| {
            if state.objects.contains_key(id) {
                return Err(ClusterError::Stale);
            }
            let uid = state.next();
            let content = output.clone();
            let is_orphan = !state.queues.values().any(|queue| queue.metadata.uid.as_deref() == Some(owner.0.as_str()));
            state.put_object(id, Some(Object { uid, version: uid, owner: Some(owner), labelled: true, content }));
            if is_orphan {
                // The garbage collector also takes what names an owner that is gone.
                state.put_object(id, None);
            }
            Ok(())
        })
        .await
    }

    /// As `controller::kubernetes` does it: create, or patch what the cache or a read shows.
    async fn put_output(&self, queue: &Queue, id: &ObjectId, output: &Output) -> Result<(), ClusterError> {
        let mut known = self.caches().objects.get(id).cloned();
        if known.is_none() {
            match self.create_object(queue, id, output).await {
                Err(ClusterError::Stale) => {}
                answer => return answer,
            }
            known = self.kube.object(id);
        }
        let known = known.ok_or(ClusterError::Stale)?;
        if !known.is_owned_by(queue.metadata.uid.as_deref()) {
            return Err(ClusterError::Foreign { kind: output.kind, name: output.name.clone() });
        }
        self.write("PatchOutput", queue, |state| {
            let mut object = state.objects.get(id).cloned().ok_or(ClusterError::Gone)?;
            if object.version != known.version {
                return Err(ClusterError::Stale);
            }
            // A patch merges: keys of which the patch does not know stay.
            object.content.data.retain(|key, _| !known.content.data.contains_key(key) || output.data.contains_key(key));
            object.content.data.extend(output.data.clone());
            object.labelled = true;
            if state.objects.get(id) != Some(&object) {
                object.version = state.next();
                state.put_object(id, Some(object));
            }
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Cluster for View {
    fn fleet_around(&self, queue: &Queue, class: &Class) -> Fleet {
        self.caches().fleet.around(queue, class)
    }

    fn outputs_of(&self, queue: &Queue) -> Vec<ObservedOutput> {
        let caches = self.caches();
        let owned = caches.objects.values().filter(|object| object.is_owned_by(queue.metadata.uid.as_deref()));
        owned.map(|object| ObservedOutput { output: object.content.clone(), labelled: object.labelled }).collect()
    }

    async fn set_finalizers(&self, queue: &Queue, finalizers: Vec<String>) -> Result<Queue, ClusterError> {
        self.write("SetFinalizers", queue, |state| {
            let mut newer = state.current(queue)?;
            newer.metadata.finalizers = Some(finalizers);
            Ok(state.put(&Key::of(queue), newer))
        })
        .await
    }

    async fn write_status(&self, queue: &Queue, status: QueueStatus) -> Result<Queue, ClusterError> {
        self.write("WriteStatus", queue, |state| {
            let mut newer = state.current(queue)?;
            newer.status = Some(status);
            Ok(state.put(&Key::of(queue), newer))
        })
        .await
    }

    async fn write_output(&self, queue: &Queue, output: &Output) -> Result<(), ClusterError> {
        let id = id_of(queue, output.kind, &output.name);
        // Before the write: its watch event may come before its answer.
        self.caches().written.insert(id.clone(), output.clone());
        let answer = self.put_output(queue, &id, output).await;
        if answer.is_err() {
            self.caches().written.remove(&id);
        }
        answer
    }

    async fn delete_output(&self, queue: &Queue, kind: OutputKind, name: &str) -> Result<(), ClusterError> {
        let id = id_of(queue, kind, name);
        let known = {
            let mut caches = self.caches();
            caches.written.remove(&id);
            caches.objects.get(&id).cloned()
        };
        let known = known.or_else(|| self.kube.state().objects.get(&id).cloned());
        let Some(known) = known.filter(|known| known.is_owned_by(queue.metadata.uid.as_deref())) else {
            return Ok(());
        };
        let answer = self
            .write("DeleteOutput", queue, |state| {
                let object = state.objects.get(&id).ok_or(ClusterError::Gone)?;
                if object.uid != known.uid {
                    return Err(ClusterError::Stale);
                }
                state.put_object(&id, None);
                Ok(())
            })
            .await;
        match answer {
            Err(ClusterError::Gone) => Ok(()),
            answer => answer,
        }
    }

    async fn publish(&self, queue: &Queue, event: Announcement) {
        let mut state = self.kube.state();
        if !state.world.is_crashed() {
            state.announcements.push((Key::of(queue), event));
        }
    }
}

impl State {
    /// The object, when it is still the version that the writer knows.
    fn current(&self, known: &Queue) -> Result<Queue, ClusterError> {
        let queue = self.queues.get(&Key::of(known)).ok_or(ClusterError::Gone)?;
        if queue.metadata.uid != known.metadata.uid
            || queue.metadata.resource_version != known.metadata.resource_version
        {
            return Err(ClusterError::Stale);
        }
        Ok(queue.clone())
    }
}

fn id_of(queue: &Queue, kind: OutputKind, name: &str) -> ObjectId {
    ObjectId { kind, namespace: queue.metadata.namespace.clone().unwrap_or_default(), name: name.to_owned() }
}
