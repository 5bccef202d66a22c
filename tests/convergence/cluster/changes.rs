//! What the API server does with a change, whoever asks for it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use prism_queue::api::status::QueueStatus;
use prism_queue::api::{Queue, QueueSpec};
use prism_queue::domain::fleet::Key;
use prism_queue::domain::outputs::Output;

use super::{Kube, Object, ObjectId, State};

impl Kube {
    /// Creates a Queue.
    pub fn create(&self, key: &Key, spec: QueueSpec) {
        let mut state = self.state();
        let (version, now) = (state.next(), state.world.now());
        assert!(!state.queues.contains_key(key), "{key} exists");
        let queue = Queue {
            metadata: born(key, version, now),
            spec,
            // The CRD's default.
            status: Some(QueueStatus { observed_generation: Some(-1), ..QueueStatus::default() }),
        };
        state.put(key, queue);
    }

    /// Replaces the spec of a Queue.
    pub fn edit(&self, key: &Key, spec: QueueSpec) {
        self.change(key, |queue| queue.spec = spec);
    }

    /// Sets an annotation of a Queue.
    pub fn annotate(&self, key: &Key, name: &str, value: &str) {
        self.change(key, |queue| {
            queue.metadata.annotations.get_or_insert_default().insert(name.to_owned(), value.to_owned());
        });
    }

    /// Empties the status of a Queue, as restoring it from Git into a new cluster does.
    pub fn lose_status(&self, key: &Key) {
        self.change(key, |queue| queue.status = None);
    }

    /// Somebody with the right to it edits the status of a Queue by hand.
    pub fn edit_status(&self, key: &Key, change: impl FnOnce(&mut QueueStatus)) {
        self.change(key, |queue| change(queue.status.get_or_insert_default()));
    }

    /// Somebody takes every finalizer off a Queue by hand.
    pub fn tear_off_finalizers(&self, key: &Key) {
        self.change(key, |queue| queue.metadata.finalizers = None);
    }

    /// Asks for the deletion of a Queue.
    pub fn delete(&self, key: &Key) {
        let now = self.state().world.now();
        self.change(key, |queue| doom(&mut queue.metadata, now));
    }

    /// A Queue as it is.
    pub fn queue(&self, key: &Key) -> Option<Queue> {
        self.state().queues.get(key).cloned()
    }

    /// All Queues as they are.
    pub fn queues(&self) -> Vec<Queue> {
        self.state().queues.values().cloned().collect()
    }

    /// A Secret or `ConfigMap` as it is.
    pub fn object(&self, id: &ObjectId) -> Option<Object> {
        self.state().objects.get(id).cloned()
    }

    /// All Secrets and `ConfigMap`s.
    pub fn objects(&self) -> Vec<(ObjectId, Object)> {
        self.state().objects.iter().map(|(id, object)| (id.clone(), object.clone())).collect()
    }

    /// Somebody makes an object of their own.
    pub fn create_object(&self, id: &ObjectId, content: Output) {
        let mut state = self.state();
        let uid = state.next();
        let object = Object { uid, version: uid, owner: None, labelled: false, content };
        state.put_object(id, Some(object));
    }

    /// Somebody changes an object, if it is there.
    pub fn edit_object(&self, id: &ObjectId, change: impl FnOnce(&mut Object)) {
        let mut state = self.state();
        if let Some(mut object) = state.objects.get(id).cloned() {
            change(&mut object);
            object.version = state.next();
            state.put_object(id, Some(object));
        }
    }

    /// Somebody removes an object, if it is there.
    pub fn delete_object(&self, id: &ObjectId) {
        let mut state = self.state();
        if state.objects.contains_key(id) {
            state.put_object(id, None);
        }
    }

    fn change(&self, key: &Key, change: impl FnOnce(&mut Queue)) {
        let mut state = self.state();
        let Some(before) = state.queues.get(key).cloned() else { return };
        let mut queue = before.clone();
        change(&mut queue);
        if queue.spec != before.spec {
            queue.metadata.generation = queue.metadata.generation.map(|generation| generation + 1);
        }
        state.put(key, queue);
    }
}

/// The metadata of an object just made.
pub(super) fn born(key: &Key, version: u64, now: Timestamp) -> ObjectMeta {
    ObjectMeta {
        name: Some(key.name.clone()),
        namespace: Some(key.namespace.clone()),
        uid: Some(format!("uid-{version}")),
        generation: Some(1),
        creation_timestamp: Some(Time(now)),
        ..ObjectMeta::default()
    }
}

/// Marks an object as being deleted, once.
pub(super) fn doom(metadata: &mut ObjectMeta, now: Timestamp) {
    if metadata.deletion_timestamp.is_none() {
        metadata.deletion_timestamp = Some(Time(now));
        metadata.generation = metadata.generation.map(|generation| generation + 1);
    }
}

impl State {
    /// Stores a Queue under a new version; nothing happens when it is as it was. What is being deleted and has no
    /// finalizer left goes, with all that it owns.
    pub(super) fn put(&mut self, key: &Key, mut queue: Queue) -> Queue {
        if self.queues.get(key) == Some(&queue) {
            return queue;
        }
        queue.metadata.resource_version = Some(self.next().to_string());
        let is_held = queue.metadata.finalizers.iter().flatten().next().is_some();
        if queue.metadata.deletion_timestamp.is_some() && !is_held {
            self.queues.remove(key);
            self.queue_changes.push((key.clone(), None));
            self.collect_garbage(queue.metadata.uid.as_deref());
        } else {
            self.queues.insert(key.clone(), queue.clone());
            self.queue_changes.push((key.clone(), Some(queue.clone())));
        }
        queue
    }

    pub(super) fn put_object(&mut self, id: &ObjectId, object: Option<Object>) {
        match object.clone() {
            Some(object) => _ = self.objects.insert(id.clone(), object),
            None => _ = self.objects.remove(id),
        }
        self.object_changes.push((id.clone(), object));
    }

    pub(super) fn collect_garbage(&mut self, uid: Option<&str>) {
        let owned = self.objects.iter().filter(|(_, object)| object.is_owned_by(uid));
        let owned: Vec<ObjectId> = owned.map(|(id, _)| id.clone()).collect();
        for id in owned {
            self.put_object(&id, None);
        }
    }
}
