//! The cluster behind the trait: caches to read from, and bounded writes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::reflector::{ObjectRef, Store};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::status::QueueStatus;
use crate::api::{MANAGED_BY_LABEL, MANAGER, Queue, QueueClass, QueueClassStatus};
use crate::domain::class::Class;
use crate::domain::fleet::{Fleet, Key};
use crate::domain::outputs::{ObservedOutput, Output, OutputKind};
use crate::runtime::lease::Claim;
use crate::runtime::metrics::Metrics;

use super::cluster::{Announcement, Cluster, ClusterError};

/// How long a call may take. The client itself has no read timeout and retries for a long time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Kubernetes, through its API server.
pub struct Kubernetes {
    client: Client,
    /// Who reports events: this process.
    instance: String,
    metrics: Metrics,
    claim: Claim,
    secrets: Store<Secret>,
    config_maps: Store<ConfigMap>,
    fleet: RwLock<Fleet>,
    /// What this process last wrote: a watch event that shows just this is no news.
    written: Mutex<HashMap<OutputId, Output>>,
    /// What this process removed and has not yet seen to be gone.
    removed: Mutex<HashSet<OutputId>>,
}

/// An output of any namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputId {
    kind: OutputKind,
    namespace: String,
    name: String,
}

/// An object that can be an output.
pub trait OutputObject: Resource<DynamicType = ()> + Clone {
    /// Which it is.
    const KIND: OutputKind;

    /// Its content.
    fn content(&self) -> Output;

    /// Which object it is.
    fn id(&self) -> OutputId {
        OutputId { kind: Self::KIND, namespace: self.namespace().unwrap_or_default(), name: self.name_any() }
    }
}

impl OutputObject for Secret {
    const KIND: OutputKind = OutputKind::Secret;

    fn content(&self) -> Output {
        let text = |bytes: &ByteString| String::from_utf8_lossy(&bytes.0).into_owned();
        Output {
            kind: Self::KIND,
            name: self.name_any(),
            secret_type: self.type_.clone().unwrap_or_default(),
            data: self.data.iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect(),
        }
    }
}

impl OutputObject for ConfigMap {
    const KIND: OutputKind = OutputKind::ConfigMap;

    fn content(&self) -> Output {
        Output {
            kind: Self::KIND,
            name: self.name_any(),
            secret_type: String::new(),
            data: self.data.clone().unwrap_or_default(),
        }
    }
}

impl Kubernetes {
    /// Reads from these caches and writes through `client` while `claim` is held.
    #[must_use]
    pub fn new(
        client: Client,
        instance: String,
        metrics: Metrics,
        claim: Claim,
        secrets: Store<Secret>,
        config_maps: Store<ConfigMap>,
    ) -> Self {
        Self {
            client,
            instance,
            metrics,
            claim,
            secrets,
            config_maps,
            fleet: RwLock::default(),
            written: Mutex::default(),
            removed: Mutex::default(),
        }
    }

    /// Takes in a Queue as the watch shows it. Answers which Queues may have to decide anew.
    pub fn saw_queue(&self, queue: &Queue, class: Option<&Class>) -> BTreeSet<Key> {
        self.fleet.write().unwrap_or_else(PoisonError::into_inner).put(queue, class).unwrap_or_default()
    }

    /// A Queue is gone. Answers which Queues may have to decide anew.
    pub fn lost_queue(&self, key: &Key) -> BTreeSet<Key> {
        self.fleet.write().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default()
    }

    /// The Queues known that are not `listed`: they were deleted while the watch was down.
    pub fn missing_from(&self, listed: &BTreeSet<Key>) -> Vec<Key> {
        let fleet = self.fleet.read().unwrap_or_else(PoisonError::into_inner);
        fleet.keys().filter(|key| !listed.contains(key)).cloned().collect()
    }

    /// Whether an output is as this process last wrote it.
    pub fn is_as_written<T: OutputObject>(&self, object: &T) -> bool {
        is_labelled(object) && self.written().get(&object.id()) == Some(&object.content())
    }

    /// An output is gone. Answers whether that is news: this process did not remove it itself.
    pub fn lost_output<T: OutputObject>(&self, object: &T) -> bool {
        self.written().remove(&object.id());
        !self.removed().remove(&object.id())
    }

    /// Replaces the status of a class, unless it changed since it was read. Failing to is logged, and tried again later.
    pub async fn write_class_status(&self, class: &QueueClass, status: QueueClassStatus) {
        let api: Api<QueueClass> = Api::all(self.client.clone());
        let mut newer = class.clone();
        newer.status = Some(status);
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let name = class.name_any();
        match self.write("QueueClass/status", api.replace_status(&name, &params, &newer)).await {
            Ok(_) | Err(ClusterError::Stale | ClusterError::Gone | ClusterError::NotLeading) => {}
            Err(error) => tracing::warn!(%error, class = name, "the status of a QueueClass was not written"),
        }
    }

    fn written(&self) -> MutexGuard<'_, HashMap<OutputId, Output>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn removed(&self) -> MutexGuard<'_, HashSet<OutputId>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write<T>(
        &self,
        kind: &'static str,
        write: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterError> {
        if !self.claim.is_held(Instant::now()) {
            return Err(ClusterError::NotLeading);
        }
        self.metrics.kubernetes_write(kind);
        bounded(write).await
    }

    fn queues(&self, queue: &Queue) -> Api<Queue> {
        Api::namespaced(self.client.clone(), &queue.namespace().unwrap_or_default())
    }

    /// Creates or repairs one output.
    async fn put<T>(&self, queue: &Queue, output: &Output, known: Option<T>) -> Result<(), ClusterError>
    where
        T: OutputObject + Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        T: serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
    {
        let api: Api<T> = Api::namespaced(self.client.clone(), &queue.namespace().unwrap_or_default());
        let kind = output.kind.as_str();
        let mut known = known;
        if known.is_none() {
            match self.create(&api, queue, output).await {
                Err(ClusterError::Stale) => {}
                ended => return ended,
            }
            // Something of this name is there: ours behind a slow cache or without its label, or somebody else's.
            known = bounded(api.get_opt(&output.name)).await?;
        }
        let Some(known) = known else {
            return Err(ClusterError::Stale);
        };
        if is_of_former_self(&known, queue) {
            // Its owner is gone for certain, and the garbage collector has not come to it yet.
            self.delete_exactly(&api, &known).await?;
            return self.create(&api, queue, output).await;
        }
        if !is_owned(&known, queue) {
            return Err(ClusterError::Foreign { kind: output.kind, name: output.name.clone() });
        }
        let surplus = known.content().data.into_keys().filter(|key| !output.data.contains_key(key));
        let mut data: serde_json::Map<String, Value> = surplus.map(|key| (key, Value::Null)).collect();
        data.extend(encoded(output));
        let patch = json!({
            "metadata": {
                "labels": {MANAGED_BY_LABEL: MANAGER},
                "resourceVersion": known.resource_version(),
            },
            "data": data,
        });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.write(kind, api.patch(&output.name, &params, &Patch::Merge(&patch))).await.map(|_| ())
    }

    /// Creates one output.
    async fn create<T>(&self, api: &Api<T>, queue: &Queue, output: &Output) -> Result<(), ClusterError>
    where
        T: serde::de::DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
    {
        let object = object::<T>(queue, output).map_err(|error| ClusterError::Failed(error.to_string()))?;
        self.write(output.kind.as_str(), api.create(&PostParams::default(), &object)).await.map(|_| ())
    }

    /// Deletes the very object that was seen: another one of its name may be somebody else's. Answers whether it was there.
    async fn delete_exactly<T>(&self, api: &Api<T>, seen: &T) -> Result<bool, ClusterError>
    where
        T: OutputObject + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let preconditions = Preconditions { uid: seen.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.write(T::KIND.as_str(), api.delete(&seen.name_any(), &params)).await {
            Ok(_) => Ok(true),
            Err(ClusterError::Gone) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes one output. Answers whether there was one to remove.
    async fn remove<T>(&self, queue: &Queue, name: &str, known: Option<T>) -> Result<bool, ClusterError>
    where
        T: OutputObject + Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        T: serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<T> = Api::namespaced(self.client.clone(), &queue.namespace().unwrap_or_default());
        let known = match known {
            Some(known) => Some(known),
            None => bounded(api.get_opt(name)).await?,
        };
        match known.filter(|known| is_owned(known, queue)) {
            Some(known) => self.delete_exactly(&api, &known).await,
            None => Ok(false),
        }
    }
}

#[async_trait]
impl Cluster for Kubernetes {
    fn fleet_around(&self, queue: &Queue, class: &Class) -> Fleet {
        self.fleet.read().unwrap_or_else(PoisonError::into_inner).around(queue, class)
    }

    fn outputs_of(&self, queue: &Queue) -> Vec<ObservedOutput> {
        fn of<T: OutputObject>(store: &Store<T>, queue: &Queue) -> Vec<ObservedOutput>
        where
            T::DynamicType: std::hash::Hash + Eq + Clone,
        {
            let owned = store.state().into_iter().filter(|object| is_owned(object.as_ref(), queue));
            owned
                .map(|object| ObservedOutput { output: object.content(), labelled: is_labelled(object.as_ref()) })
                .collect()
        }
        let mut outputs = of(&self.secrets, queue);
        outputs.extend(of(&self.config_maps, queue));
        outputs
    }

    async fn set_finalizers(&self, queue: &Queue, finalizers: Vec<String>) -> Result<Queue, ClusterError> {
        let patch = json!({
            "metadata": {"finalizers": finalizers, "resourceVersion": queue.resource_version()},
        });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.write("Queue", self.queues(queue).patch(&queue.name_any(), &params, &Patch::Merge(&patch))).await
    }

    async fn write_status(&self, queue: &Queue, status: QueueStatus) -> Result<Queue, ClusterError> {
        let mut newer = queue.clone();
        newer.status = Some(status);
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        self.write("Queue/status", self.queues(queue).replace_status(&queue.name_any(), &params, &newer)).await
    }

    async fn write_output(&self, queue: &Queue, output: &Output) -> Result<(), ClusterError> {
        let namespace = queue.namespace().unwrap_or_default();
        let id = OutputId { kind: output.kind, namespace, name: output.name.clone() };
        // Before the write: its watch event may come before its answer.
        let before = self.written().insert(id.clone(), output.clone());
        self.removed().remove(&id);
        let result = match output.kind {
            OutputKind::Secret => self.put(queue, output, cached(&self.secrets, &id)).await,
            OutputKind::ConfigMap => self.put(queue, output, cached(&self.config_maps, &id)).await,
        };
        if result.is_err() {
            // What was expected before still is: the object may be another Queue's.
            match before {
                Some(before) => _ = self.written().insert(id, before),
                None => _ = self.written().remove(&id),
            }
        }
        result
    }

    async fn delete_output(&self, queue: &Queue, kind: OutputKind, name: &str) -> Result<(), ClusterError> {
        let namespace = queue.namespace().unwrap_or_default();
        let id = OutputId { kind, namespace, name: name.to_owned() };
        self.written().remove(&id);
        self.removed().insert(id.clone());
        let result = match kind {
            OutputKind::Secret => self.remove(queue, name, cached(&self.secrets, &id)).await,
            OutputKind::ConfigMap => self.remove(queue, name, cached(&self.config_maps, &id)).await,
        };
        if result != Ok(true) {
            self.removed().remove(&id);
        }
        result.map(|_| ())
    }

    async fn publish(&self, queue: &Queue, event: Announcement) {
        const MAX_NOTE: usize = 1024; // Source: events.k8s.io/v1, Event.note.
        let (key, reason) = (Key::of(queue), event.reason);
        // Events expire, and a namespace that is being deleted takes none.
        if event.is_warning {
            tracing::warn!(queue = %key, reason, "{}", event.note);
        } else {
            tracing::info!(queue = %key, reason, "{}", event.note);
        }
        let now = Timestamp::now();
        let namespace = queue.namespace().unwrap_or_default();
        let object = Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:x}", queue.name_any(), now.as_nanosecond())),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(cut(event.note, MAX_NOTE)),
            reason: Some(event.reason.to_owned()),
            regarding: Some(queue.object_ref(&())),
            reporting_controller: Some(format!("{}/{MANAGER}", crate::api::GROUP)),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if event.is_warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        if let Err(error) = self.write("Event", api.create(&PostParams::default(), &object)).await {
            tracing::debug!(%error, reason = event.reason, "an event was not published");
        }
    }
}

async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result.map_err(|error| classified(&error)),
        Err(_) => Err(ClusterError::Failed(format!("no answer within {} s", CALL_TIMEOUT.as_secs()))),
    }
}

fn cached<T>(store: &Store<T>, id: &OutputId) -> Option<T>
where
    T: OutputObject,
    T::DynamicType: std::hash::Hash + Eq + Clone,
{
    let found = store.get(&ObjectRef::new(&id.name).within(&id.namespace));
    found.map(|object| object.as_ref().clone())
}

fn is_owned<T: Resource>(object: &T, queue: &Queue) -> bool {
    let uid = queue.metadata.uid.as_deref();
    uid.is_some()
        && object
            .owner_references()
            .iter()
            .any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == uid)
}

/// Whether an output belongs to a Queue of the same name that is gone: another UID had the name before.
fn is_of_former_self<T: Resource>(object: &T, queue: &Queue) -> bool {
    let is_former = |owner: &OwnerReference| {
        owner.controller == Some(true)
            && owner.kind == Queue::kind(&())
            && owner.api_version == Queue::api_version(&())
            && Some(&owner.name) == queue.metadata.name.as_ref()
            && Some(&owner.uid) != queue.metadata.uid.as_ref()
    };
    is_labelled(object) && object.owner_references().iter().any(is_former)
}

fn is_labelled<T: Resource>(object: &T) -> bool {
    object.labels().get(MANAGED_BY_LABEL).map(String::as_str) == Some(MANAGER)
}

/// The Queue that an output belongs to.
pub(super) fn owner_of<T: Resource>(object: &T) -> Option<Key> {
    let owner = object.owner_references().iter().find(|owner| {
        owner.controller == Some(true) && owner.kind == "Queue" && owner.api_version.starts_with(crate::api::GROUP)
    })?;
    Some(Key { namespace: object.namespace()?, name: owner.name.clone() })
}

/// An output to be created, owned by the Queue so that it goes with it.
fn object<T: serde::de::DeserializeOwned>(queue: &Queue, output: &Output) -> Result<T, serde_json::Error> {
    let mut object = json!({
        "metadata": {
            "name": output.name,
            "namespace": queue.namespace(),
            "labels": {MANAGED_BY_LABEL: MANAGER},
            "ownerReferences": [queue.controller_owner_ref(&())],
        },
        "data": encoded(output),
    });
    if output.kind == OutputKind::Secret {
        object["type"] = json!(output.secret_type);
    }
    serde_json::from_value(object)
}

/// The data as the API writes it: a Secret's values in base64.
fn encoded(output: &Output) -> BTreeMap<String, Value> {
    let encode = |value: &String| match output.kind {
        OutputKind::Secret => json!(ByteString(value.clone().into_bytes())),
        OutputKind::ConfigMap => json!(value),
    };
    output.data.iter().map(|(key, value)| (key.clone(), encode(value))).collect()
}

/// At most `most` bytes of `text`, with a sign that it was cut.
fn cut(mut text: String, most: usize) -> String {
    const SIGN: char = '…';
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - SIGN.len_utf8()));
        text.push(SIGN);
    }
    text
}

fn classified(error: &kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) if status.code == 409 => ClusterError::Stale,
        kube::Error::Api(status) if status.code == 404 => ClusterError::Gone,
        kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422) => {
            ClusterError::Refused(status.message.clone())
        }
        kube::Error::Api(status) => ClusterError::Failed(status.message.clone()),
        other => ClusterError::Failed(other.to_string()),
    }
}
