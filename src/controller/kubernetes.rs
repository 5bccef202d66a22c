//! The cluster behind the trait: caches to read from, and bounded writes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::reflector::{ObjectRef, Store};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::status::QueueStatus;
use crate::api::{
    GROUP, MANAGED_BY_LABEL, MANAGER, Queue, QueueAccess, QueueAccessStatus, QueueClass, QueueClassStatus,
};
use crate::domain::access::{Grant, Subject};
use crate::domain::class::{Class, Labels};
use crate::domain::fleet::{Fleet, Key};
use crate::domain::identity::{ROLE_ANNOTATION, ServiceAccount};
use crate::domain::outputs::{ObservedOutput, Output, OutputKind};
use crate::runtime::lease::Claim;
use crate::runtime::metrics::Metrics;

use super::cluster::{Announcement, Cluster, ClusterError, Owner, OwnerKind};

/// How long a call may take. The client itself has no read timeout and retries for a long time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Kubernetes, through its API server.
pub struct Kubernetes {
    client: Client,
    /// Who reports events: this process.
    instance: String,
    metrics: Metrics,
    claim: Claim,
    queues: Store<Queue>,
    accesses: Store<QueueAccess>,
    secrets: Store<Secret>,
    config_maps: Store<ConfigMap>,
    fleet: RwLock<Fleet>,
    /// What this process last wrote: a watch event that shows just this is no news.
    written: Mutex<HashMap<OutputId, Output>>,
    /// What this process removed and has not yet seen to be gone.
    removed: Mutex<HashSet<OutputId>>,
}

/// What the watches fill.
#[derive(Clone)]
pub struct Caches {
    /// Queues.
    pub queues: Store<Queue>,
    /// `QueueAccess`es.
    pub accesses: Store<QueueAccess>,
    /// Secrets that are outputs.
    pub secrets: Store<Secret>,
    /// `ConfigMap`s that are outputs.
    pub config_maps: Store<ConfigMap>,
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
    pub fn new(client: Client, instance: String, metrics: Metrics, claim: Claim, caches: Caches) -> Self {
        let Caches { queues, accesses, secrets, config_maps } = caches;
        Self {
            client,
            instance,
            metrics,
            claim,
            queues,
            accesses,
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

    /// Takes in a `QueueAccess` as the watch shows it. Answers which Queues may have to decide anew.
    pub fn saw_grant(&self, grant: Grant) -> BTreeSet<Key> {
        self.fleet.write().unwrap_or_else(PoisonError::into_inner).put_grant(grant).unwrap_or_default()
    }

    /// A `QueueAccess` is gone. Answers which Queue may have to decide anew.
    pub fn lost_grant(&self, key: &Key) -> Option<Key> {
        self.fleet.write().unwrap_or_else(PoisonError::into_inner).remove_grant(key)
    }

    /// The `QueueAccess`es that point to the Queue `key`.
    pub fn grants_on(&self, key: &Key) -> Vec<Key> {
        let fleet = self.fleet.read().unwrap_or_else(PoisonError::into_inner);
        fleet.grants_on(key).map(|grant| grant.key.clone()).collect()
    }

    /// The `QueueAccess`es known that are not `listed`.
    pub fn grants_missing_from(&self, listed: &BTreeSet<Key>) -> Vec<Key> {
        let fleet = self.fleet.read().unwrap_or_else(PoisonError::into_inner);
        fleet.grant_keys().filter(|key| !listed.contains(key)).cloned().collect()
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

    /// The API of the kind and namespace of `object`.
    fn api_of<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn replace_finalizers<K>(&self, object: &K, finalizers: Vec<String>) -> Result<K, ClusterError>
    where
        K: OwnKind,
    {
        let patch = json!({
            "metadata": {"finalizers": finalizers, "resourceVersion": object.resource_version()},
        });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.write(K::KIND.as_str(), self.api_of(object).patch(&object.name_any(), &params, &Patch::Merge(&patch)))
            .await
    }

    /// Replaces the status by that of `newer`.
    async fn replace_status<K>(&self, newer: &K) -> Result<K, ClusterError>
    where
        K: OwnKind,
    {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        self.write(K::STATUS, self.api_of(newer).replace_status(&newer.name_any(), &params, newer)).await
    }

    /// Creates or repairs one output.
    async fn put<T>(&self, owner: &Owner, output: &Output, known: Option<T>) -> Result<(), ClusterError>
    where
        T: OutputObject + Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        T: serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
    {
        let api: Api<T> = Api::namespaced(self.client.clone(), &owner.key.namespace);
        let kind = output.kind.as_str();
        let mut known = known;
        if known.is_none() {
            match self.create(&api, owner, output).await {
                Err(ClusterError::Stale) => {}
                ended => return ended,
            }
            // Something of this name is there: ours behind a slow cache or without its label, or somebody else's.
            known = bounded(api.get_opt(&output.name)).await?;
        }
        let Some(known) = known else {
            return Err(ClusterError::Stale);
        };
        if is_of_former_self(&known, owner) {
            // Its owner is gone for certain, and the garbage collector has not come to it yet.
            self.delete_exactly(&api, &known).await?;
            return self.create(&api, owner, output).await;
        }
        if !is_owned(&known, owner) {
            return Err(ClusterError::Foreign { owner: owner.kind, kind: output.kind, name: output.name.clone() });
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
    async fn create<T>(&self, api: &Api<T>, owner: &Owner, output: &Output) -> Result<(), ClusterError>
    where
        T: serde::de::DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
    {
        let object = object::<T>(owner, output).map_err(|error| ClusterError::Failed(error.to_string()))?;
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
    async fn remove<T>(&self, owner: &Owner, name: &str, known: Option<T>) -> Result<bool, ClusterError>
    where
        T: OutputObject + Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        T: serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<T> = Api::namespaced(self.client.clone(), &owner.key.namespace);
        let known = match known {
            Some(known) => Some(known),
            None => bounded(api.get_opt(name)).await?,
        };
        match known.filter(|known| is_owned(known, owner)) {
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

    fn queue(&self, key: &Key) -> Option<Queue> {
        let found = self.queues.get(&ObjectRef::new(&key.name).within(&key.namespace));
        found.map(|queue| queue.as_ref().clone())
    }

    async fn newest_queue(&self, key: &Key) -> Result<Option<Queue>, ClusterError> {
        let api: Api<DeserializeGuard<Queue>> = Api::namespaced(self.client.clone(), &key.namespace);
        Ok(bounded(api.get_opt(&key.name)).await?.and_then(|guard| guard.0.ok()))
    }

    fn labels_around(&self, access: &QueueAccess) -> Option<Labels> {
        let key = Key::of_metadata(&access.metadata);
        self.fleet.read().unwrap_or_else(PoisonError::into_inner).grant(&key)?.labels.clone()
    }

    fn accesses_of(&self, namespace: &str, subject: &Subject) -> Vec<QueueAccess> {
        let fleet = self.fleet.read().unwrap_or_else(PoisonError::into_inner);
        let keys = fleet.grants_of(namespace, subject).map(|grant| &grant.key);
        let found = keys.filter_map(|key| self.accesses.get(&ObjectRef::new(&key.name).within(&key.namespace)));
        found.map(|access| access.as_ref().clone()).collect()
    }

    async fn service_account(&self, namespace: &str, name: &str) -> Result<Option<ServiceAccount>, ClusterError> {
        let api: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let found = bounded(api.get_metadata_opt(name)).await?;
        Ok(found.map(|found| ServiceAccount {
            role_arn: found.annotations().get(ROLE_ANNOTATION).cloned(),
            resource_version: found.resource_version(),
        }))
    }

    async fn annotate(
        &self,
        namespace: &str,
        name: &str,
        account: &ServiceAccount,
        role_arn: Option<&str>,
    ) -> Result<(), ClusterError> {
        let api: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let patch = json!({"metadata": {
            "annotations": {(ROLE_ANNOTATION): role_arn},
            "resourceVersion": account.resource_version,
        }});
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.write("ServiceAccount", api.patch_metadata(name, &params, &Patch::Merge(&patch))).await.map(drop)
    }

    fn outputs_of(&self, owner: &Owner) -> Vec<ObservedOutput> {
        fn of<T: OutputObject>(store: &Store<T>, owner: &Owner) -> Vec<ObservedOutput>
        where
            T::DynamicType: std::hash::Hash + Eq + Clone,
        {
            let own = store.state().into_iter().filter(|object| is_owned(object.as_ref(), owner));
            own.map(|object| ObservedOutput { output: object.content(), labelled: is_labelled(object.as_ref()) })
                .collect()
        }
        let mut outputs = of(&self.secrets, owner);
        outputs.extend(of(&self.config_maps, owner));
        outputs
    }

    async fn set_finalizers(&self, queue: &Queue, finalizers: Vec<String>) -> Result<Queue, ClusterError> {
        self.replace_finalizers(queue, finalizers).await
    }

    async fn write_status(&self, queue: &Queue, status: QueueStatus) -> Result<Queue, ClusterError> {
        self.replace_status(&Queue { status: Some(status), ..queue.clone() }).await
    }

    async fn set_access_finalizers(
        &self,
        access: &QueueAccess,
        finalizers: Vec<String>,
    ) -> Result<QueueAccess, ClusterError> {
        self.replace_finalizers(access, finalizers).await
    }

    async fn write_access_status(
        &self,
        access: &QueueAccess,
        status: QueueAccessStatus,
    ) -> Result<QueueAccess, ClusterError> {
        self.replace_status(&QueueAccess { status: Some(status), ..access.clone() }).await
    }

    async fn write_output(&self, owner: &Owner, output: &Output) -> Result<(), ClusterError> {
        let namespace = owner.key.namespace.clone();
        let id = OutputId { kind: output.kind, namespace, name: output.name.clone() };
        // Before the write: its watch event may come before its answer.
        let before = self.written().insert(id.clone(), output.clone());
        self.removed().remove(&id);
        let result = match output.kind {
            OutputKind::Secret => self.put(owner, output, cached(&self.secrets, &id)).await,
            OutputKind::ConfigMap => self.put(owner, output, cached(&self.config_maps, &id)).await,
        };
        if result.is_err() {
            // What was expected before still is: the object may be another owner's.
            match before {
                Some(before) => _ = self.written().insert(id, before),
                None => _ = self.written().remove(&id),
            }
        }
        result
    }

    async fn delete_output(&self, owner: &Owner, kind: OutputKind, name: &str) -> Result<(), ClusterError> {
        let namespace = owner.key.namespace.clone();
        let id = OutputId { kind, namespace, name: name.to_owned() };
        self.written().remove(&id);
        self.removed().insert(id.clone());
        let result = match kind {
            OutputKind::Secret => self.remove(owner, name, cached(&self.secrets, &id)).await,
            OutputKind::ConfigMap => self.remove(owner, name, cached(&self.config_maps, &id)).await,
        };
        if result != Ok(true) {
            self.removed().remove(&id);
        }
        result.map(|_| ())
    }

    async fn publish(&self, owner: &Owner, event: Announcement) {
        const MAX_NOTE: usize = 1024; // Source: events.k8s.io/v1, Event.note.
        let Owner { kind, key, uid } = owner;
        let (kind, reason) = (kind.as_str(), event.reason);
        // Events expire, and a namespace that is being deleted takes none.
        if event.is_warning {
            tracing::warn!(kind, %key, reason, "{}", event.note);
        } else {
            tracing::info!(kind, %key, reason, "{}", event.note);
        }
        let now = Timestamp::now();
        let object = Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:x}", key.name, now.as_nanosecond())),
                namespace: Some(key.namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(cut(event.note, MAX_NOTE)),
            reason: Some(event.reason.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(api_version()),
                kind: Some(kind.to_owned()),
                namespace: Some(key.namespace.clone()),
                name: Some(key.name.clone()),
                uid: Some(uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(format!("{}/{MANAGER}", crate::api::GROUP)),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if event.is_warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &key.namespace);
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

/// A kind of ours that owns outputs.
trait OwnKind:
    Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + serde::Serialize
    + serde::de::DeserializeOwned
{
    const KIND: OwnerKind;
    /// The word for its status in metrics.
    const STATUS: &'static str;
}

impl OwnKind for Queue {
    const KIND: OwnerKind = OwnerKind::Queue;
    const STATUS: &'static str = "Queue/status";
}

impl OwnKind for QueueAccess {
    const KIND: OwnerKind = OwnerKind::QueueAccess;
    const STATUS: &'static str = "QueueAccess/status";
}

fn api_version() -> String {
    Queue::api_version(&()).into_owned()
}

fn is_owned<T: Resource>(object: &T, owner: &Owner) -> bool {
    !owner.uid.is_empty()
        && object.owner_references().iter().any(|of| of.controller == Some(true) && of.uid == owner.uid)
}

/// Whether an output belongs to an object of the same name that is gone: another UID had the name before.
fn is_of_former_self<T: Resource>(object: &T, owner: &Owner) -> bool {
    let is_former = |of: &OwnerReference| {
        of.controller == Some(true)
            && of.kind == owner.kind.as_str()
            && of.api_version == api_version()
            && of.name == owner.key.name
            && of.uid != owner.uid
    };
    is_labelled(object) && object.owner_references().iter().any(is_former)
}

fn is_labelled<T: Resource>(object: &T) -> bool {
    object.labels().get(MANAGED_BY_LABEL).map(String::as_str) == Some(MANAGER)
}

/// Whom an output belongs to.
pub(super) fn owner_of<T: Resource>(object: &T) -> Option<(OwnerKind, Key)> {
    let mut owners = object.owner_references().iter().filter(|of| of.controller == Some(true));
    let of = owners.find(|of| of.api_version.starts_with(GROUP))?;
    Some((OwnerKind::parse(&of.kind)?, Key { namespace: object.namespace()?, name: of.name.clone() }))
}

/// An output to be created, so that it goes with its owner.
fn object<T: serde::de::DeserializeOwned>(owner: &Owner, output: &Output) -> Result<T, serde_json::Error> {
    let mut object = json!({
        "metadata": {
            "name": output.name,
            "namespace": owner.key.namespace,
            "labels": {MANAGED_BY_LABEL: MANAGER},
            "ownerReferences": [OwnerReference {
                api_version: api_version(),
                kind: owner.kind.as_str().to_owned(),
                name: owner.key.name.clone(),
                uid: owner.uid.clone(),
                controller: Some(true),
                ..OwnerReference::default()
            }],
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
