//! The watches: caches are filled, and what brings news sets Queues to work.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, future};
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use kube_runtime::reflector::store::Writer;
use kube_runtime::reflector::{ObjectRef, Store};
use kube_runtime::watcher::{self, Event, watcher};
use kube_runtime::{WatchStreamExt, reflector};
use tokio::sync::mpsc::UnboundedSender;

use crate::api::{MANAGED_BY_LABEL, MANAGER, Queue};
use crate::domain::class::Class;
use crate::domain::fleet::Key;

use super::kubernetes::{Kubernetes, OutputObject, owner_of};
use super::schedule::Schedule;

/// Sets Queues to work.
pub(super) struct Watches {
    pub(super) client: Client,
    pub(super) kubernetes: Arc<Kubernetes>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) class: Class,
    pub(super) queues: Store<Queue>,
    pub(super) turns: UnboundedSender<ObjectRef<Queue>>,
}

impl Watches {
    /// Follows the Queues until the process ends.
    pub(super) async fn follow_queues(&self, writer: Writer<Queue>) {
        let api: Api<DeserializeGuard<Queue>> = Api::all(self.client.clone());
        let events = watcher(api, watcher::Config::default())
            .default_backoff()
            .try_filter_map(|event| future::ready(Ok(readable(event))));
        let mut events = std::pin::pin!(reflector(writer, events));
        let (mut listed, mut affected) = (BTreeSet::new(), BTreeSet::new());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(queue)) => self.saw(&queue),
                Ok(Event::Delete(queue)) => self.lost(&Key::of(&queue)),
                Ok(Event::Init) => {
                    listed.clear();
                    affected.clear();
                }
                Ok(Event::InitApply(queue)) => {
                    listed.insert(Key::of(&queue));
                    affected.append(&mut self.kubernetes.saw_queue(&queue, &self.class));
                }
                Ok(Event::InitDone) => {
                    // The cache shows the list only now. What was deleted while the watch was down sends no event.
                    self.kubernetes.missing_from(&listed).iter().for_each(|key| self.lost(key));
                    self.set_to_work(std::mem::take(&mut affected));
                    for key in &listed {
                        self.turn(key);
                    }
                }
                Err(error) => tracing::warn!(%error, "watching Queues failed; it is tried again"),
            }
        }
    }

    fn saw(&self, queue: &Queue) {
        self.set_to_work(self.kubernetes.saw_queue(queue, &self.class));
        self.turn(&Key::of(queue));
    }

    fn lost(&self, key: &Key) {
        self.set_to_work(self.kubernetes.lost_queue(key));
        let living = self.queues.state().iter().filter_map(|queue| queue.metadata.uid.clone()).collect();
        self.schedule.keep(&living);
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
            self.set_to_work(owner);
        }
    }

    /// Something that these Queues depend on has changed.
    fn set_to_work(&self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            let found = self.queues.get(&ObjectRef::new(&key.name).within(&key.namespace));
            if let Some(queue) = found {
                self.schedule.call_for(&queue);
                self.turn(&key);
            }
        }
    }

    fn turn(&self, key: &Key) {
        // Without a receiver the process is about to end.
        let _ = self.turns.send(ObjectRef::new(&key.name).within(&key.namespace));
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

/// One object that cannot be read must not stop the watch of the others: it is logged and left out.
fn readable(event: Event<DeserializeGuard<Queue>>) -> Option<Event<Queue>> {
    let read = |guard: DeserializeGuard<Queue>| match guard.0 {
        Ok(queue) => Some(queue),
        Err(invalid) => {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            let namespace = invalid.metadata.namespace.as_deref().unwrap_or_default();
            tracing::error!(
                queue = format!("{namespace}/{name}"),
                "cannot be read and is left alone: {}",
                invalid.error
            );
            None
        }
    };
    match event {
        Event::Apply(guard) => read(guard).map(Event::Apply),
        Event::Delete(guard) => read(guard).map(Event::Delete),
        Event::InitApply(guard) => read(guard).map(Event::InitApply),
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
    }
}
