//! One operator process' view of the cluster: caches that follow watches, and writes. It does what
//! `controller::kubernetes` does with a real API server.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use prism_queue::api::status::QueueStatus;
use prism_queue::api::{Queue, QueueAccess, QueueAccessStatus};
use prism_queue::controller::cluster::{Announcement, Cluster, ClusterError, Owner, OwnerKind};
use prism_queue::domain::access::{Grant, Subject};
use prism_queue::domain::class::{Class, Labels};
use prism_queue::domain::fleet::{Fleet, Key};
use prism_queue::domain::identity::ServiceAccount;
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
    accesses: BTreeMap<Key, QueueAccess>,
    /// Only objects with the operator's label: the watch selects them.
    objects: BTreeMap<ObjectId, Object>,
    fleet: Fleet,
    /// What this process wrote: news of it is no news.
    written: BTreeMap<ObjectId, Output>,
    /// How far each watch has come.
    queue_changes: usize,
    access_changes: usize,
    object_changes: usize,
}

/// What a watch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A Queue is new or different; its neighbours may have to decide anew.
    Queue { key: Key, neighbours: BTreeSet<Key> },
    /// A Queue is gone.
    Gone { key: Key, neighbours: BTreeSet<Key> },
    /// A `QueueAccess` is new, different or gone; these Queues may have to decide anew.
    Access { key: Key, queues: BTreeSet<Key> },
    /// An output of this object was changed from outside.
    Output { kind: OwnerKind, owner: Key },
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
            caches.accesses.clone_from(&state.accesses);
            for access in state.accesses.values() {
                caches.fleet.put_grant(grant(access));
            }
            caches.queue_changes = state.queue_changes.len();
            caches.access_changes = state.access_changes.len();
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

    /// A `QueueAccess` as the cache shows it.
    pub fn cached_access(&self, key: &Key) -> Option<QueueAccess> {
        self.caches().accesses.get(key).cloned()
    }

    /// The `QueueAccess`es that the cache shows.
    pub fn access_keys(&self) -> Vec<Key> {
        self.caches().accesses.keys().cloned().collect()
    }

    /// Those that point to the Queue `key`.
    pub fn pointing_to(&self, key: &Key) -> Vec<Key> {
        self.caches().fleet.grants_on(key).map(|grant| grant.key.clone()).collect()
    }

    /// The UIDs of the objects that the cache shows.
    pub fn living(&self) -> HashSet<String> {
        let caches = self.caches();
        let queues = caches.queues.values().filter_map(|queue| queue.metadata.uid.clone());
        queues.chain(caches.accesses.values().filter_map(|access| access.metadata.uid.clone())).collect()
    }

    /// How many changes the watches of Queues, of other objects and of `QueueAccess`es have not brought yet.
    pub fn behind(&self) -> (usize, usize, usize) {
        let (state, caches) = (self.kube.state(), self.caches());
        (
            state.queue_changes.len() - caches.queue_changes,
            state.object_changes.len() - caches.object_changes,
            state.access_changes.len() - caches.access_changes,
        )
    }

    /// The watch of `QueueAccess`es brings its next change.
    pub fn next_access(&self) -> Change {
        let (state, mut caches) = (self.kube.state(), self.caches());
        let Some((key, access)) = state.access_changes.get(caches.access_changes).cloned() else {
            return Change::Nothing;
        };
        caches.access_changes += 1;
        let queues = if let Some(access) = access {
            let queues = caches.fleet.put_grant(grant(&access)).unwrap_or_default();
            caches.accesses.insert(key.clone(), access);
            queues
        } else {
            caches.accesses.remove(&key);
            caches.fleet.remove_grant(&key).into_iter().collect()
        };
        Change::Access { key, queues }
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
        Change::Gone { key, neighbours: neighbours.unwrap_or_default() }
    }

    /// The watches of Secrets and `ConfigMap`s bring their next change.
    pub fn next_object(&self) -> Change {
        let (state, mut caches) = (self.kube.state(), self.caches());
        let Some((id, object)) = state.object_changes.get(caches.object_changes).cloned() else {
            return Change::Nothing;
        };
        caches.object_changes += 1;
        let accesses: HashSet<String> =
            caches.accesses.values().filter_map(|access| access.metadata.uid.clone()).collect();
        let owner = |object: &Object| {
            let (uid, name) = object.owner.clone()?;
            let kind = if accesses.contains(&uid) { OwnerKind::QueueAccess } else { OwnerKind::Queue };
            Some((kind, Key { namespace: id.namespace.clone(), name }))
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
        owner.map_or(Change::Nothing, |(kind, owner)| Change::Output { kind, owner })
    }

    fn caches(&self) -> MutexGuard<'_, Caches> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write, or the fault that awaits it; in a dead process it never comes back.
    async fn write<T>(
        &self,
        action: &'static str,
        key: &Key,
        effect: impl FnOnce(&mut State) -> Result<T, ClusterError>,
    ) -> Result<T, ClusterError> {
        match self.attempt(action, key, effect) {
            Some(answer) => {
                self.let_people_act(action);
                answer
            }
            None => std::future::pending().await,
        }
    }

    fn let_people_act(&self, action: &'static str) {
        let deed = self.kube.state().meanwhile.take_if(|(on, _)| *on == action);
        if let Some((_, deed)) = deed {
            deed(&self.kube);
            while self.behind().2 > 0 {
                self.next_access();
            }
        }
    }

    fn attempt<T>(
        &self,
        action: &'static str,
        key: &Key,
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
        state.writes.push(Write { action, queue: key.clone(), changed });
        if matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter)) {
            state.world.crash();
            return None;
        }
        Some(if fault == Some(Fault::LoseAnswer) { Err(failed()) } else { answer })
    }

    async fn create_object(&self, of: &Owner, id: &ObjectId, output: &Output) -> Result<(), ClusterError> {
        let owner = (of.uid.clone(), of.key.name.clone());
        self.write("CreateOutput", &of.key, |state| {
            if state.objects.contains_key(id) {
                return Err(ClusterError::Stale);
            }
            let uid = state.next();
            let content = output.clone();
            let queues = state.queues.values().map(|queue| &queue.metadata.uid);
            let mut living = queues.chain(state.accesses.values().map(|access| &access.metadata.uid));
            let is_orphan = !living.any(|uid| uid.as_ref() == Some(&owner.0));
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
    async fn put_output(&self, of: &Owner, id: &ObjectId, output: &Output) -> Result<(), ClusterError> {
        let mut known = self.caches().objects.get(id).cloned();
        if known.is_none() {
            match self.create_object(of, id, output).await {
                Err(ClusterError::Stale) => {}
                answer => return answer,
            }
            known = self.kube.object(id);
        }
        let known = known.ok_or(ClusterError::Stale)?;
        if !known.is_owned_by(Some(&of.uid)) {
            return Err(ClusterError::Foreign { owner: of.kind, kind: output.kind, name: output.name.clone() });
        }
        self.write("PatchOutput", &of.key, |state| {
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

    fn queue(&self, key: &Key) -> Option<Queue> {
        self.cached(key)
    }

    async fn newest_queue(&self, key: &Key) -> Result<Option<Queue>, ClusterError> {
        Ok(self.kube.queue(key))
    }

    fn labels_around(&self, access: &QueueAccess) -> Option<Labels> {
        self.caches().fleet.grant(&Key::of_metadata(&access.metadata))?.labels.clone()
    }

    fn accesses_of(&self, namespace: &str, subject: &Subject) -> Vec<QueueAccess> {
        let caches = self.caches();
        let keys = caches.fleet.grants_of(namespace, subject).map(|grant| &grant.key);
        keys.filter_map(|key| caches.accesses.get(key).cloned()).collect()
    }

    async fn service_account(&self, namespace: &str, name: &str) -> Result<Option<ServiceAccount>, ClusterError> {
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        let found = self.kube.state().accounts.get(&key).cloned();
        Ok(found.map(|(role_arn, version)| ServiceAccount { role_arn, resource_version: Some(version.to_string()) }))
    }

    async fn annotate(
        &self,
        namespace: &str,
        name: &str,
        account: &ServiceAccount,
        role_arn: Option<&str>,
    ) -> Result<(), ClusterError> {
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        self.write("Annotate", &key, |state| {
            let (annotated, version) = state.accounts.get(&key).cloned().ok_or(ClusterError::Gone)?;
            if account.resource_version != Some(version.to_string()) {
                return Err(ClusterError::Stale);
            }
            if annotated.as_deref() != role_arn {
                let version = state.next();
                state.accounts.insert(key.clone(), (role_arn.map(str::to_owned), version));
            }
            Ok(())
        })
        .await
    }

    fn outputs_of(&self, of: &Owner) -> Vec<ObservedOutput> {
        let caches = self.caches();
        let owned = caches.objects.values().filter(|object| object.is_owned_by(Some(&of.uid)));
        owned.map(|object| ObservedOutput { output: object.content.clone(), labelled: object.labelled }).collect()
    }

    async fn set_finalizers(&self, queue: &Queue, finalizers: Vec<String>) -> Result<Queue, ClusterError> {
        self.write("SetFinalizers", &Key::of(queue), |state| {
            let mut newer = state.current(queue)?;
            newer.metadata.finalizers = Some(finalizers);
            Ok(state.put(&Key::of(queue), newer))
        })
        .await
    }

    async fn write_status(&self, queue: &Queue, status: QueueStatus) -> Result<Queue, ClusterError> {
        self.write("WriteStatus", &Key::of(queue), |state| {
            let mut newer = state.current(queue)?;
            newer.status = Some(status);
            Ok(state.put(&Key::of(queue), newer))
        })
        .await
    }

    async fn set_access_finalizers(
        &self,
        access: &QueueAccess,
        finalizers: Vec<String>,
    ) -> Result<QueueAccess, ClusterError> {
        let key = Key::of_metadata(&access.metadata);
        self.write("SetAccessFinalizers", &key, |state| {
            let mut newer = state.current_access(access)?;
            newer.metadata.finalizers = Some(finalizers);
            Ok(state.put_access(&key, newer))
        })
        .await
    }

    async fn write_access_status(
        &self,
        access: &QueueAccess,
        status: QueueAccessStatus,
    ) -> Result<QueueAccess, ClusterError> {
        let key = Key::of_metadata(&access.metadata);
        self.write("WriteAccessStatus", &key, |state| {
            let mut newer = state.current_access(access)?;
            newer.status = Some(status);
            Ok(state.put_access(&key, newer))
        })
        .await
    }

    async fn write_output(&self, of: &Owner, output: &Output) -> Result<(), ClusterError> {
        let id = id_of(of, output.kind, &output.name);
        // Before the write: its watch event may come before its answer.
        self.caches().written.insert(id.clone(), output.clone());
        let answer = self.put_output(of, &id, output).await;
        if answer.is_err() {
            self.caches().written.remove(&id);
        }
        answer
    }

    async fn delete_output(&self, of: &Owner, kind: OutputKind, name: &str) -> Result<(), ClusterError> {
        let id = id_of(of, kind, name);
        let known = {
            let mut caches = self.caches();
            caches.written.remove(&id);
            caches.objects.get(&id).cloned()
        };
        let known = known.or_else(|| self.kube.state().objects.get(&id).cloned());
        let Some(known) = known.filter(|known| known.is_owned_by(Some(&of.uid))) else {
            return Ok(());
        };
        let answer = self
            .write("DeleteOutput", &of.key, |state| {
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

    async fn publish(&self, of: &Owner, event: Announcement) {
        let mut state = self.kube.state();
        if !state.world.is_crashed() {
            state.announcements.push((of.key.clone(), event));
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

    fn current_access(&self, known: &QueueAccess) -> Result<QueueAccess, ClusterError> {
        let access = self.accesses.get(&Key::of_metadata(&known.metadata)).ok_or(ClusterError::Gone)?;
        let version = |access: &QueueAccess| (access.metadata.uid.clone(), access.metadata.resource_version.clone());
        if version(access) == version(known) { Ok(access.clone()) } else { Err(ClusterError::Stale) }
    }
}

fn id_of(of: &Owner, kind: OutputKind, name: &str) -> ObjectId {
    ObjectId { kind, namespace: of.key.namespace.clone(), name: name.to_owned() }
}

/// Every namespace is known, and has no labels.
fn grant(access: &QueueAccess) -> Grant {
    Grant::of(access, Some(&Labels::new()))
}
