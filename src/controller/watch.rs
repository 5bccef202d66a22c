//! The watches: caches are filled, and what brings news sets Queues and `QueueAccess`es to work.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, future};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::reflector::store::Writer;
use kube_runtime::reflector::{ObjectRef, Store};
use kube_runtime::watcher::{self, Event, watcher};
use kube_runtime::{WatchStreamExt, reflector};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};

use crate::api::{MANAGED_BY_LABEL, MANAGER, Queue, QueueAccess, QueueAccessSpec, QueueClass, QueueSpec};
use crate::domain::access::Grant;
use crate::domain::class::Catalog;
use crate::domain::fleet::Key;

use super::classes::{Classes, labels_of};
use super::cluster::OwnerKind;
use super::kubernetes::{Kubernetes, OutputObject, owner_of};
use super::schedule::Schedule;

/// Whether what decisions about every Queue depend on is known.
pub(super) struct Known {
    pub(super) classes: watch::Sender<bool>,
    pub(super) namespaces: watch::Sender<bool>,
}

/// Sets Queues and `QueueAccess`es to work.
pub(super) struct Watches {
    pub(super) client: Client,
    pub(super) kubernetes: Arc<Kubernetes>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) classes: Arc<Classes>,
    pub(super) queues: Store<Queue>,
    pub(super) accesses: Store<QueueAccess>,
    pub(super) turns: UnboundedSender<ObjectRef<Queue>>,
    pub(super) access_turns: UnboundedSender<ObjectRef<QueueAccess>>,
    /// Told when a class changes.
    pub(super) changed: Arc<Notify>,
    /// Told once the classes are known, and once the namespaces are.
    pub(super) known: Known,
}

impl Watches {
    /// Follows the Queues until the process ends.
    pub(super) async fn follow_queues(&self, writer: Writer<Queue>) {
        let api: Api<DeserializeGuard<Queue>> = Api::all(self.client.clone());
        let events = watcher(api, watcher::Config::default())
            .default_backoff()
            .try_filter_map(|event| future::ready(Ok(readable(event, unread_queue))));
        let mut events = std::pin::pin!(reflector(writer, events));
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(queue)) => self.saw(&queue),
                Ok(Event::Delete(queue)) => self.lost(&Key::of(&queue)),
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(queue)) => _ = listed.insert(Key::of(&queue)),
                Ok(Event::InitDone) => {
                    // The cache shows the list only now. What was deleted while the watch was down sends no event.
                    self.kubernetes.missing_from(&listed).iter().for_each(|key| self.lost(key));
                    let affected: BTreeSet<Key> =
                        self.queues.state().iter().flat_map(|queue| self.place(queue)).collect();
                    self.set_to_work(affected);
                    for key in &listed {
                        self.turn(key);
                        self.turn_grants_on(key);
                    }
                }
                Err(error) => tracing::warn!(%error, "watching Queues failed; it is tried again"),
            }
        }
    }

    fn saw(&self, queue: &Queue) {
        self.set_to_work(self.place(queue));
        self.turn(&Key::of(queue));
        self.turn_grants_on(&Key::of(queue));
    }

    /// Follows the `QueueAccess`es until the process ends.
    pub(super) async fn follow_accesses(&self, writer: Writer<QueueAccess>) {
        let api: Api<DeserializeGuard<QueueAccess>> = Api::all(self.client.clone());
        let events = watcher(api, watcher::Config::default())
            .default_backoff()
            .try_filter_map(|event| future::ready(Ok(readable(event, unread_access))));
        let mut events = std::pin::pin!(reflector(writer, events));
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(access)) => {
                    self.place_grant(&access);
                    self.turn_access(&Key::of_metadata(&access.metadata));
                }
                Ok(Event::Delete(access)) => self.lost_grant(&Key::of_metadata(&access.metadata)),
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(access)) => _ = listed.insert(Key::of_metadata(&access.metadata)),
                Ok(Event::InitDone) => {
                    self.kubernetes.grants_missing_from(&listed).iter().for_each(|key| self.lost_grant(key));
                    self.accesses.state().iter().for_each(|access| self.place_grant(access));
                    for key in &listed {
                        self.turn_access(key);
                    }
                }
                Err(error) => tracing::warn!(%error, "watching QueueAccesses failed; it is tried again"),
            }
        }
    }

    /// Takes a `QueueAccess` in among those of its Queue, which decides anew. What that means for the others on it, they learn
    /// from the Queue's status.
    fn place_grant(&self, access: &QueueAccess) {
        let namespace = access.namespace().unwrap_or_default();
        let labels = self.classes.labels_of_namespace(&namespace);
        self.set_to_work(self.kubernetes.saw_grant(Grant::of(access, labels.as_ref())));
    }

    fn lost_grant(&self, key: &Key) {
        self.set_to_work(self.kubernetes.lost_grant(key));
        self.forget();
    }

    /// What these say depends on their Queue.
    fn turn_grants_on(&self, queue: &Key) {
        for key in self.kubernetes.grants_on(queue) {
            self.call_for_access(&key);
        }
    }

    fn call_for_access(&self, key: &Key) {
        if let Some(access) = self.accesses.get(&ObjectRef::new(&key.name).within(&key.namespace)) {
            self.schedule.call_for(access.as_ref());
            self.turn_access(key);
        }
    }

    fn turn_access(&self, key: &Key) {
        // Without a receiver the process is about to end.
        let _ = self.access_turns.send(ObjectRef::new(&key.name).within(&key.namespace));
    }

    /// Takes a Queue in among the others, also while it has no class.
    fn place(&self, queue: &Queue) -> BTreeSet<Key> {
        self.kubernetes.saw_queue(queue, self.classes.class_for(queue).ok().as_ref())
    }

    /// Follows the classes until the process ends.
    pub(super) async fn follow_classes(&self) {
        let api: Api<DeserializeGuard<QueueClass>> = Api::all(self.client.clone());
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
        let (mut listed, mut has_changed) = (BTreeSet::new(), false);
        while let Some(event) = events.next().await {
            let is_news = match event {
                Ok(Event::Apply(class)) => {
                    let name = class.name_any();
                    self.class_changes(&name, |catalog| put(catalog, class))
                }
                Ok(Event::Delete(class)) => {
                    let name = class.name_any();
                    self.class_changes(&name, |catalog| catalog.remove_class(&name))
                }
                Ok(Event::Init) => {
                    listed.clear();
                    false
                }
                Ok(Event::InitApply(class)) => {
                    listed.insert(class.name_any());
                    has_changed |= self.classes.change(|catalog| put(catalog, class));
                    false
                }
                Ok(Event::InitDone) => {
                    has_changed |= self.classes.change(|catalog| catalog.keep_classes(&listed));
                    self.known.classes.send_replace(true);
                    if has_changed {
                        self.decide_anew(|_| true);
                    }
                    std::mem::take(&mut has_changed)
                }
                Err(error) => {
                    tracing::warn!(%error, "watching QueueClasses failed; it is tried again");
                    false
                }
            };
            if is_news {
                self.classes.tidy().await;
                self.changed.notify_one();
            }
        }
    }

    /// Changes one class, and has those Queues decide anew that are of it, or may come to be or have been: by name, as the
    /// default, or by where their queues are on record. Answers whether anything is new.
    fn class_changes(&self, name: &str, change: impl FnOnce(&mut Catalog) -> bool) -> bool {
        let (is_news, is_default) = self.classes.change(|catalog| {
            let was_default = catalog.is_default(name);
            let is_news = change(catalog);
            (is_news, was_default || catalog.is_default(name))
        });
        if is_news {
            self.decide_anew(|queue| {
                let target = queue.status.as_ref().and_then(|status| status.target.as_ref());
                let is_on_record = target.is_some_and(|target| target.queue_class_name == name);
                let named = queue.spec.queue_class_name.as_deref();
                is_on_record || named.map_or(is_default, |named| named == name)
            });
        }
        is_news
    }

    /// Follows the labels of namespaces until the process ends.
    pub(super) async fn follow_namespaces(&self) {
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(namespace)) => self.saw_namespace(&namespace),
                Ok(Event::InitApply(namespace)) => {
                    listed.insert(namespace.name_any());
                    self.saw_namespace(&namespace);
                }
                Ok(Event::Delete(namespace)) => {
                    self.classes.change(|catalog| catalog.remove_namespace(&namespace.name_any()));
                }
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitDone) => {
                    self.classes.change(|catalog| catalog.keep_namespaces(&listed));
                    self.known.namespaces.send_replace(true);
                }
                Err(error) => tracing::warn!(%error, "watching namespaces failed; it is tried again"),
            }
        }
    }

    fn saw_namespace(&self, namespace: &PartialObjectMeta<Namespace>) {
        let (name, labels) = (namespace.name_any(), labels_of(namespace));
        if self.classes.change(|catalog| catalog.put_namespace(&name, labels)) {
            let here =
                self.accesses.state().into_iter().filter(|access| access.metadata.namespace.as_ref() == Some(&name));
            for access in here {
                self.place_grant(&access);
                self.call_for_access(&Key::of_metadata(&access.metadata));
            }
            self.decide_anew(|queue| queue.metadata.namespace.as_ref() == Some(&name));
        }
    }

    /// What these Queues' classes say has changed. They take their turns under the budgets of their places.
    fn decide_anew(&self, which: impl Fn(&Queue) -> bool) {
        let queues: Vec<_> = self.queues.state().into_iter().filter(|queue| which(queue)).collect();
        for queue in &queues {
            self.set_to_work(self.place(queue));
        }
        for key in queues.iter().map(|queue| Key::of(queue)) {
            self.turn_grants_on(&key);
            self.set_to_work([key]);
        }
    }

    fn lost(&self, key: &Key) {
        self.set_to_work(self.kubernetes.lost_queue(key));
        self.turn_grants_on(key);
        self.forget();
    }

    /// Forgets what was remembered of objects that are gone.
    fn forget(&self) {
        let queues = self.queues.state().into_iter().filter_map(|queue| queue.metadata.uid.clone());
        let accesses = self.accesses.state().into_iter().filter_map(|access| access.metadata.uid.clone());
        self.schedule.keep(&queues.chain(accesses).collect());
    }

    /// Follows the outputs of one kind until the process ends: those with the operator's label, and no others.
    pub(super) async fn follow_outputs<T>(&self, events: impl Stream<Item = watcher::Result<Event<T>>>)
    where
        T: OutputObject,
    {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let owner = match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) if !self.kubernetes.is_as_written(&object) => {
                    owner_of(&object)
                }
                Ok(Event::Delete(object)) if self.kubernetes.lost_output(&object) => owner_of(&object),
                Ok(_) => None,
                Err(error) => {
                    tracing::warn!(%error, kind = T::KIND.as_str(), "watching outputs failed; it is tried again");
                    None
                }
            };
            match owner {
                Some((OwnerKind::Queue, key)) => self.set_to_work([key]),
                Some((OwnerKind::QueueAccess, key)) => self.call_for_access(&key),
                None => {}
            }
        }
    }

    /// Something that these Queues depend on has changed.
    fn set_to_work(&self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            let found = self.queues.get(&ObjectRef::new(&key.name).within(&key.namespace));
            if let Some(queue) = found {
                self.schedule.call_for(queue.as_ref());
                self.turn(&key);
            }
        }
    }

    fn turn(&self, key: &Key) {
        // Without a receiver the process is about to end.
        let _ = self.turns.send(ObjectRef::new(&key.name).within(&key.namespace));
    }
}

/// One class that cannot be read must not stop the watch of the others, nor be taken for gone: its Queues wait.
fn put(catalog: &mut Catalog, class: DeserializeGuard<QueueClass>) -> bool {
    match class.0 {
        Ok(class) => catalog.put_class(class),
        Err(invalid) => {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            tracing::error!(class = name, "cannot be read, and its Queues wait: {}", invalid.error);
            catalog.put_unreadable(invalid.metadata)
        }
    }
}

/// The events of the outputs of one kind, kept in a cache.
pub(super) fn outputs<T>(client: Client, writer: Writer<T>) -> impl Stream<Item = watcher::Result<Event<T>>>
where
    T: OutputObject + std::fmt::Debug + Send + 'static,
    T: for<'de> serde::Deserialize<'de>,
{
    let config = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
    reflector(writer, watcher(Api::<T>::all(client), config).default_backoff())
}

/// One object that cannot be read must not stop the watch of the others. It is logged and left alone, also when it could be
/// read before: what is no longer known must not be acted on. In its place is what `unread` makes of its metadata.
fn readable<K>(event: Event<DeserializeGuard<K>>, unread: fn(ObjectMeta) -> K) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()>,
{
    let read = |guard: DeserializeGuard<K>| {
        guard.0.map_err(|invalid| {
            let key = Key::of_metadata(&invalid.metadata);
            tracing::error!(kind = %K::kind(&()), %key, "cannot be read and is left alone: {}", invalid.error);
            Box::new(unread(invalid.metadata))
        })
    };
    match event {
        Event::Apply(guard) => Some(read(guard).map_or_else(|unread| Event::Delete(*unread), Event::Apply)),
        Event::Delete(guard) => Some(Event::Delete(read(guard).unwrap_or_else(|unread| *unread))),
        Event::InitApply(guard) => read(guard).ok().map(Event::InitApply),
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
    }
}

fn unread_queue(metadata: ObjectMeta) -> Queue {
    Queue { metadata, spec: QueueSpec::default(), status: None }
}

fn unread_access(metadata: ObjectMeta) -> QueueAccess {
    QueueAccess { metadata, spec: QueueAccessSpec::default(), status: None }
}
