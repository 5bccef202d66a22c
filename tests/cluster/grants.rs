//! `QueueAccess` from end to end. The emulator keeps policies; what they mean is proved by the evaluator next to the compiler.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use prism_queue::api::{GROUP, QueueAccess, RECONCILE_AT};
use serde_json::{Value, json};

use crate::harness::audit::{Asked, asked};
use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, Scope, aws, shared};

/// A role that everybody may name.
fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

/// The namespace of a workload, beside that of the Queue.
pub struct Workload<'a> {
    scope: &'a Scope,
    pub namespace: String,
    accesses: Api<QueueAccess>,
}

impl<'a> Workload<'a> {
    /// In the Queue's own namespace.
    pub fn beside(scope: &'a Scope) -> Self {
        let accesses = Api::namespaced(scope.world.kube.clone(), &scope.name);
        Self { scope, namespace: scope.name.clone(), accesses }
    }

    /// In another one, with a label.
    pub async fn elsewhere(scope: &'a Scope) -> Self {
        let name = scope.elsewhere();
        let namespaces: Api<Namespace> = Api::all(scope.world.kube.clone());
        let namespace = json!({"metadata": {"name": name, "labels": {"tier": "backend"}}});
        let namespace = serde_json::from_value(namespace).expect("a namespace");
        namespaces.create(&PostParams::default(), &namespace).await.expect("the namespace is new");
        let accesses = Api::namespaced(scope.world.kube.clone(), &name);
        Self { scope, namespace: name, accesses }
    }

    pub async fn apply(&self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "QueueAccess", "metadata": {"name": name}, "spec": spec,
        });
        let parameters = PatchParams::apply("pipeline").force().validation_strict();
        self.accesses.patch(name, &parameters, &Patch::Apply(&object)).await.expect("it is taken");
    }

    /// Waits until a `QueueAccess` says so of its present generation.
    pub async fn says(&self, name: &str, reason: &str) {
        let look = async || {
            let access = self.accesses.get(name).await.expect("it is there");
            let conditions = access.status.iter().flat_map(|status| &status.conditions);
            let mut ready =
                conditions.filter(|c| c.type_ == "Ready" && c.observed_generation == access.metadata.generation);
            ready.next().map(|condition| condition.reason.clone())
        };
        eventually(&format!("{name} says {reason}"), look, |seen| seen.as_deref() == Some(reason)).await;
    }

    /// Deletes a `QueueAccess`, and waits until it is gone.
    pub async fn delete(&self, name: &str) {
        self.begin_to_delete(name).await;
        self.gone(name).await;
    }

    pub async fn begin_to_delete(&self, name: &str) {
        self.accesses.delete(name, &DeleteParams::default()).await.expect("it can be deleted");
    }

    pub async fn gone(&self, name: &str) {
        let look = async || self.accesses.get_opt(name).await.expect("it can be read");
        eventually(&format!("{name} is gone"), look, Option::is_none).await;
    }

    pub async fn get(&self, name: &str) -> QueueAccess {
        self.accesses.get(name).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Asks for a look at a `QueueAccess` now.
    pub async fn poke(&self, name: &str, when: &str) {
        let annotation = Patch::Merge(json!({"metadata": {"annotations": {RECONCILE_AT: when}}}));
        self.accesses.patch(name, &PatchParams::default(), &annotation).await.expect("it can be annotated");
    }

    pub async fn secret(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let api: Api<Secret> = Api::namespaced(self.scope.world.kube.clone(), &self.namespace);
        let data = api.get_opt(name).await.expect("Secrets can be read")?.data.unwrap_or_default();
        Some(data.into_iter().map(|(key, value)| (key, String::from_utf8(value.0).expect("text"))).collect())
    }

    /// What the operator has written here, from one point on.
    pub fn written(&self, from: usize) -> Vec<String> {
        let asked = asked(&self.scope.world.identity.user(), Some(&self.namespace)).into_iter();
        let writes = asked.filter(Asked::is_write).map(|asked| format!("{} {}", asked.verb, asked.resource));
        writes.filter(|write| !write.ends_with("events")).skip(from).collect()
    }
}

/// Whether the policy of a queue names a principal.
async fn lets_in(scope: &Scope, queue: &str, principal: &str) -> bool {
    scope.attributes(queue).await.get("Policy").is_some_and(|policy| policy.contains(principal))
}

pub fn to(scope: &Scope, queue: &str, permissions: &[&str], principal: &str) -> Value {
    json!({
        "queueRef": {"name": queue, "namespace": scope.name},
        "permissions": permissions,
        "subject": {"principalArn": principal},
    })
}

#[test]
fn a_principal_is_let_in_reads_where_the_queue_is_and_is_out_when_its_access_is_deleted() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let (queue, dead_letters, worker) = (scope.queue("work"), scope.dead_letter_queue("work"), role("worker"));
        let here = Workload::beside(scope);
        here.apply("worker", to(scope, "work", &["Consume", "Inspect"], &worker)).await;
        here.says("worker", "Granted").await;
        assert!(lets_in(scope, &queue, &worker).await && lets_in(scope, &dead_letters, &worker).await);
        let secret = here.secret("worker-access").await.expect("it is written");
        assert_eq!(secret["QUEUE_ARN"], aws::arn(&queue));
        scope.ready("work").await;

        here.delete("worker").await;
        assert!(!lets_in(scope, &queue, &worker).await, "it is out before the object is gone");
        assert!(!lets_in(scope, &dead_letters, &worker).await);
        let look = async || here.secret("worker-access").await;
        eventually("the Secret goes with its owner", look, Option::is_none).await;
    });
}

#[test]
fn another_namespace_gets_in_when_the_queue_allows_it_and_out_when_it_does_no_longer() {
    shared(async |scope| {
        let allowed = |from: Value| json!({"access": {"allowedNamespaces": from}});
        scope.apply_ready("work", json!({})).await;
        let (queue, worker) = (scope.queue("work"), role("worker"));
        let web = Workload::elsewhere(scope).await;
        web.apply("worker", to(scope, "work", &["Send"], &worker)).await;
        web.says("worker", "NotAllowedByQueue").await;
        assert!(!lets_in(scope, &queue, &worker).await);
        assert!(web.secret("worker-access").await.is_none());

        let selector = json!({"from": "Selector", "selector": {"matchLabels": {"tier": "backend"}}});
        scope.apply("work", allowed(selector)).await;
        web.says("worker", "Granted").await;
        assert!(lets_in(scope, &queue, &worker).await);
        assert!(web.secret("worker-access").await.is_some(), "in the workload's own namespace");

        // The label decides, and not only when the Queue is looked at.
        let namespaces: Api<Namespace> = Api::all(scope.world.kube.clone());
        let relabelled = Patch::Merge(json!({"metadata": {"labels": {"tier": "frontend"}}}));
        namespaces.patch(&web.namespace, &PatchParams::default(), &relabelled).await.expect("it can be labelled");
        web.says("worker", "NotAllowedByQueue").await;
        let out = async || lets_in(scope, &queue, &worker).await;
        eventually("the worker is out", out, |is_in| !is_in).await;

        scope.apply("work", allowed(json!({"from": "Names", "names": [web.namespace]}))).await;
        web.says("worker", "Granted").await;
        scope.apply("work", allowed(json!({"from": "None"}))).await;
        web.says("worker", "NotAllowedByQueue").await;
        eventually("the worker is out again", out, |is_in| !is_in).await;
        web.delete("worker").await;
    });
}

#[test]
fn a_principal_of_an_account_that_the_queues_class_does_not_allow_is_refused_in_its_words() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let here = Workload::beside(scope);
        let stranger = "arn:aws:iam::210987654321:role/worker";
        here.apply("worker", to(scope, "work", &["Send"], stranger)).await;
        here.says("worker", "InvalidSpec").await;
        let status = here.accesses.get("worker").await.unwrap().status.unwrap();
        let stalled =
            status.conditions.iter().find(|condition| condition.type_ == "Stalled").expect("a person must act");
        assert!(stalled.message.starts_with(&format!("spec.subject.principalArn: {stranger} is not of account")));
        assert!(!lets_in(scope, &scope.queue("work"), stranger).await);
        scope.ready("work").await;
    });
}

#[test]
fn letting_in_takes_few_writes_and_a_look_at_rest_none() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let web = Workload::elsewhere(scope).await;
        scope.apply_ready("work", json!({"access": {"allowedNamespaces": {"from": "All"}}})).await;
        let mark = scope.world.proxy.mark();
        web.apply("worker", to(scope, "work", &["Send"], &role("worker"))).await;
        web.says("worker", "Granted").await;
        let writes = web.written(0);
        assert_eq!(writes[0], "patch queueaccesses", "{writes:?}");
        assert!(writes.len() <= 4, "finalizer, status, Secret, status: {writes:?}");
        let policies = scope.world.proxy.since(mark).into_iter().filter(|call| call.action == "SetQueueAttributes");
        let here = policies.filter(|call| call.queue.as_deref() == Some(scope.queue("work").as_str()));
        assert_eq!(here.count(), 1, "one policy");

        let before = writes.len();
        web.poke("worker", "now").await;
        // What comes later has been seen once this has.
        web.apply("other", to(scope, "work", &["Send"], &role("other"))).await;
        web.says("other", "Granted").await;
        let of_others = ["patch queueaccesses", "update queueaccesses/status", "create secrets"];
        let more = web.written(before);
        assert!(more.iter().all(|write| of_others.contains(&write.as_str())) && more.len() <= 4, "{more:?}");
    });
}
