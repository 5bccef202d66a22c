//! A namespace of a test's own, with what tests do in it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, ResourceExt as _};
use kube_runtime::wait::await_condition;
use prism_queue::api::{GROUP, IS_DEFAULT_CLASS, Queue, QueueAccess, QueueClass, RECONCILE_AT};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::audit::{self, Asked};
use super::wait::{SOON, eventually};
use super::{PREFIX, World, aws};

/// A namespace of a test's own.
pub struct Scope {
    pub world: &'static World,
    /// The namespace.
    pub name: String,
    pub queues: Api<Queue>,
    pub secrets: Api<Secret>,
    pub config_maps: Api<ConfigMap>,
}

/// A condition of a Queue, if it is there.
pub fn condition<'a>(queue: &'a Queue, type_: &str) -> Option<&'a Condition> {
    queue.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == type_)
}

/// The reason of a Queue's Ready condition for the present generation.
pub fn ready_reason(queue: &Queue) -> Option<&str> {
    let ready = condition(queue, "Ready")?;
    (ready.observed_generation == queue.metadata.generation).then_some(ready.reason.as_str())
}

/// Whether a Queue is ready in its present generation, as a pipeline would see it.
pub fn is_ready(queue: &Queue) -> bool {
    let generation = queue.metadata.generation;
    let is_seen = queue.status.as_ref().is_some_and(|status| status.observed_generation == generation);
    is_seen && condition(queue, "Ready").is_some_and(|c| c.status == "True" && c.observed_generation == generation)
}

impl Scope {
    pub(super) async fn new(world: &'static World) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let kube = world.kube.clone();
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.clone());
        let namespaces: Api<Namespace> = Api::all(kube.clone());
        namespaces.create(&PostParams::default(), &namespace).await.expect("the namespace is new");
        Self {
            world,
            queues: Api::namespaced(kube.clone(), &name),
            secrets: Api::namespaced(kube.clone(), &name),
            config_maps: Api::namespaced(kube, &name),
            name,
        }
    }

    /// Applies a Queue as a pipeline does, and takes the API server's answer.
    pub async fn try_apply(&self, name: &str, spec: Value) -> Result<Queue, Box<Status>> {
        let object = json!({
            "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "Queue", "metadata": {"name": name}, "spec": spec,
        });
        let parameters = PatchParams::apply("pipeline").force().validation_strict();
        match self.queues.patch(name, &parameters, &Patch::Apply(&object)).await {
            Ok(queue) => Ok(queue),
            Err(kube::Error::Api(refusal)) => Err(refusal),
            Err(error) => panic!("{name}: {error}"),
        }
    }

    /// Applies a Queue that the API server takes.
    pub async fn apply(&self, name: &str, spec: Value) -> Queue {
        self.try_apply(name, spec).await.unwrap_or_else(|refusal| panic!("{name} is refused: {}", refusal.message))
    }

    /// Applies a Queue and waits until it is ready.
    pub async fn apply_ready(&self, name: &str, spec: Value) -> Queue {
        self.apply(name, spec).await;
        self.ready(name).await
    }

    /// Changes metadata or spec of a Queue by a merge patch.
    pub async fn patch(&self, name: &str, patch: Value) -> Queue {
        let patched = self.queues.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Asks for a look at a Queue now.
    pub async fn poke(&self, name: &str) -> Queue {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let value = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        self.patch(name, json!({"metadata": {"annotations": {RECONCILE_AT: value}}})).await
    }

    pub async fn get(&self, name: &str) -> Queue {
        self.queues.get(name).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Waits until a Queue satisfies, and fails with what was seen last.
    pub async fn until(&self, name: &str, what: &str, satisfies: impl Fn(&Queue) -> bool) -> Queue {
        self.until_within(SOON, name, what, satisfies).await
    }

    /// The same with another deadline.
    pub async fn until_within(
        &self,
        deadline: Duration,
        name: &str,
        what: &str,
        satisfies: impl Fn(&Queue) -> bool,
    ) -> Queue {
        let last = Mutex::new(None);
        let wanted = |queue: Option<&Queue>| {
            *last.lock().expect("not poisoned") = queue.cloned();
            queue.is_some_and(&satisfies)
        };
        match timeout(deadline, await_condition(self.queues.clone(), name, wanted)).await {
            Ok(found) => found.expect("Queues can be watched").expect("it satisfied"),
            Err(late) => panic!("{name} {what}: {late}; last seen: {:#?}", last.lock()),
        }
    }

    pub async fn ready(&self, name: &str) -> Queue {
        self.until(name, "is ready", is_ready).await
    }

    /// Waits until a Queue says for its present generation why it is not ready, or why it is.
    pub async fn says(&self, name: &str, reason: &str) -> Queue {
        self.until(name, &format!("says {reason}"), |queue| ready_reason(queue) == Some(reason)).await
    }

    /// Applies a class of this test, for its namespace unless `spec` says otherwise. Answers its name.
    pub async fn class(&self, name: &str, mut spec: Value) -> String {
        let name = format!("{}-{name}", self.name);
        if spec.get("allowedNamespaces").is_none() {
            spec["allowedNamespaces"] = json!({"from": "Names", "names": [self.name]});
        }
        let object = json!({
            "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "QueueClass",
            "metadata": {"name": name, "labels": {"test": self.name}}, "spec": spec,
        });
        let parameters = PatchParams::apply("platform").force().validation_strict();
        let applied = self.classes().patch(&name, &parameters, &Patch::Apply(&object)).await;
        applied.unwrap_or_else(|error| panic!("{name}: {error}"));
        name
    }

    /// Marks a class as the default, or takes the mark away.
    pub async fn mark_default(&self, class: &str, is_default: bool) {
        let mark = is_default.then_some("true");
        let patch = Patch::Merge(json!({"metadata": {"annotations": {IS_DEFAULT_CLASS: mark}}}));
        self.classes().patch(class, &PatchParams::default(), &patch).await.expect("the class can be marked");
    }

    fn classes(&self) -> Api<QueueClass> {
        Api::all(self.world.kube.clone())
    }

    /// Deletes a Queue without waiting for its end.
    pub async fn delete(&self, name: &str) {
        self.queues.delete(name, &DeleteParams::default()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Waits until a Queue is gone.
    pub async fn gone(&self, name: &str) {
        let look = async || self.queues.get_opt(name).await.expect("Queues can be read");
        eventually(&format!("{name} is gone"), look, Option::is_none).await;
    }

    /// The name of a second namespace, for tests that need one.
    pub fn elsewhere(&self) -> String {
        format!("{}-web", self.name)
    }

    /// The default name of a Queue's queue.
    pub fn queue(&self, name: &str) -> String {
        format!("{PREFIX}{}_{name}", self.name)
    }

    /// The default name of a Queue's dead-letter queue.
    pub fn dead_letter_queue(&self, name: &str) -> String {
        format!("{PREFIX}{}_{name}_dlq", self.name)
    }

    /// All attributes of a queue as AWS reports them.
    pub async fn attributes(&self, queue: &str) -> BTreeMap<String, String> {
        aws::attributes(&self.world.sqs, queue).await.unwrap_or_else(|| panic!("{queue} exists"))
    }

    /// Waits until an attribute of a queue reads so.
    pub async fn reads(&self, queue: &str, attribute: &str, value: &str) {
        let look = async || self.attributes(queue).await.remove(attribute);
        eventually(&format!("{attribute} of {queue}"), look, |seen| seen.as_deref() == Some(value)).await;
    }

    /// Waits until a queue does not exist.
    pub async fn is_deleted(&self, queue: &str) {
        let look = async || aws::url(&self.world.sqs, queue).await;
        eventually(&format!("{queue} is deleted"), look, Option::is_none).await;
    }

    /// The names of all queues in AWS with default names in this namespace.
    pub async fn queues_in_aws(&self) -> Vec<String> {
        aws::names(&self.world.sqs, &format!("{PREFIX}{}_", self.name)).await
    }

    /// A Secret's content as a workload reads it.
    pub async fn secret(&self, name: &str) -> BTreeMap<String, String> {
        let secret = self.secrets.get(name).await.unwrap_or_else(|error| panic!("Secret {name}: {error}"));
        let data = secret.data.unwrap_or_default().into_iter();
        data.map(|(key, value)| (key, String::from_utf8(value.0).expect("text"))).collect()
    }

    /// The reasons of the events about a Queue.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let api: Api<Event> = Api::namespaced(self.world.kube.clone(), &self.name);
        let events = api.list(&ListParams::default()).await.expect("events are listed");
        let about =
            events.into_iter().filter(|e| e.regarding.as_ref().is_some_and(|r| r.name.as_deref() == Some(name)));
        about.map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }

    /// What the operator asked of the API server in this namespace, by the API server's own account.
    pub fn asked(&self) -> Vec<Asked> {
        audit::asked(&self.world.identity.user(), Some(&self.name))
    }

    /// Tells what can be known of a failed test.
    pub(super) async fn explain(&self, log: &str) {
        for queue in self.queues.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default() {
            eprintln!("{}: {}", queue.name_any(), serde_json::to_string(&queue).unwrap_or_default());
        }
        for line in log.lines().filter(|line| line.contains(&self.name)) {
            eprintln!("operator: {line}");
        }
    }

    /// Takes the Queues out of the operator's sight. Their queues stay in an account that nobody uses.
    pub(super) async fn clear(&self) {
        for queue in self.queues.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default() {
            let name = queue.name_any();
            let without = json!({"metadata": {"finalizers": null}});
            // Deleted first: a Queue that lives would get its finalizer back.
            let _ = self.queues.delete(&name, &DeleteParams::default()).await;
            let _ = self.queues.patch(&name, &PatchParams::default(), &Patch::Merge(&without)).await;
        }
        let accesses: Api<QueueAccess> = Api::all(self.world.kube.clone());
        let all = accesses.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        let places = [self.name.clone(), self.elsewhere()];
        for access in all.iter().filter(|access| places.contains(&access.namespace().unwrap_or_default())) {
            let api: Api<QueueAccess> =
                Api::namespaced(self.world.kube.clone(), &access.namespace().unwrap_or_default());
            let _ = api.delete(&access.name_any(), &DeleteParams::default()).await;
            let without = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            let _ = api.patch(&access.name_any(), &PatchParams::default(), &without).await;
        }
        let of_this_test = ListParams::default().labels(&format!("test={}", self.name));
        let _ = self.classes().delete_collection(&DeleteParams::default(), &of_this_test).await;
    }
}
