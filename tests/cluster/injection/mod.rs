//! docs/injection.md: Pods that ask for the environment of Queues get it from the API server itself, by way of the operator's webhook.

mod certificates;
mod failure;
mod pods;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use prism_queue::webhook::{CONFIGURATION, FAIL, IGNORE, SECRET};
use serde_json::{Value, json};

use crate::harness::identity::{apply, yaml};
use crate::harness::wait::eventually;
use crate::harness::{Operator, Scope, World, alone};

/// What becomes of Pods when something is wrong, in the words of the chart.
#[derive(Clone, Copy)]
pub enum Mode {
    Closed,
    Open,
}

/// A webhook at an address on loopback.
pub struct Stage<'a> {
    pub scope: &'a Scope,
    pub port: u16,
}

/// Runs a test with the world for itself and the webhook configured so; no operator runs yet.
pub fn configured(mode: Mode, test: impl AsyncFnOnce(&Stage<'_>)) {
    alone(async |scope| {
        clear(scope.world).await;
        let stage = Stage { scope, port: free_port() };
        stage.permit().await;
        stage.configure(mode).await;
        // The ServiceAccount admission asks for it; the controllers make it.
        let accounts: Api<ServiceAccount> = Api::namespaced(scope.world.kube.clone(), &scope.name);
        let is_there = async || accounts.get_opt("default").await.expect("it can be read").is_some();
        eventually("a ServiceAccount", is_there, |there| *there).await;
        test(&stage).await;
        clear(scope.world).await;
    });
}

/// The same with an operator that answers.
pub fn with_webhook(mode: Mode, test: impl AsyncFnOnce(&Stage<'_>, &Operator)) {
    configured(mode, async |stage| {
        let operator = stage.operator(&[]).await;
        test(stage, &operator).await;
        let refused = operator.log().lines().find(|line| line.contains("is forbidden: User")).map(str::to_owned);
        assert_eq!(refused, None, "the chart's rules are enough");
        operator.kill().await;
    });
}

/// What an earlier test may have left.
async fn clear(world: &World) {
    let none = DeleteParams::default();
    let _ = configurations(world).delete(CONFIGURATION, &none).await;
    let _ = secrets(world).delete(SECRET, &none).await;
    let name = &world.identity.namespace;
    let _ = Api::<ClusterRoleBinding>::all(world.kube.clone()).delete(&format!("{name}-injection"), &none).await;
    let _ = Api::<ClusterRole>::all(world.kube.clone()).delete(&format!("{name}-injection"), &none).await;
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

pub fn configurations(world: &World) -> Api<MutatingWebhookConfiguration> {
    Api::all(world.kube.clone())
}

/// Secrets of the operator's own namespace.
pub fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.kube.clone(), &world.identity.namespace)
}

impl Stage<'_> {
    /// What the chart gives the operator besides, with the webhook on.
    async fn permit(&self) {
        let world = self.scope.world;
        let namespace = &world.identity.namespace;
        let name = format!("{namespace}-injection");
        let files = ["cluster-role", "own-certificates"];
        let rules = files.map(|file| yaml(&format!("charts/prism-queue/files/injection/{file}.yaml")));
        let rules: Vec<Value> = rules.iter().flat_map(|rules| rules.as_array().expect("rules").clone()).collect();
        let roles = Api::<ClusterRole>::all(world.kube.clone());
        apply(&roles, json!({"metadata": {"name": name}, "rules": rules})).await;
        apply(
            &Api::<ClusterRoleBinding>::all(world.kube.clone()),
            json!({
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}],
            }),
        )
        .await;
    }

    /// The chart's configuration, but for the address.
    async fn configure(&self, mode: Mode) {
        let mut webhook = yaml("charts/prism-queue/files/injection/webhook.yaml");
        let (path, policy) = match mode {
            Mode::Closed => (FAIL, "Fail"),
            Mode::Open => (IGNORE, "Ignore"),
        };
        webhook["clientConfig"] = json!({"url": format!("https://127.0.0.1:{}{path}", self.port)});
        webhook["failurePolicy"] = json!(policy);
        webhook["timeoutSeconds"] = json!(5);
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": CONFIGURATION},
            "webhooks": [webhook],
        });
        let object = serde_json::from_value(object).expect("a configuration");
        configurations(self.scope.world).create(&PostParams::default(), &object).await.expect("it is accepted");
    }

    /// Starts an operator with the webhook and these flags, which win, and waits until the API server gets answers from it.
    pub async fn operator(&self, flags: &[&str]) -> Operator {
        let address = format!("127.0.0.1:{}", self.port);
        let source = ["--webhook-host", "127.0.0.1"];
        let source = if flags.contains(&"--webhook-certificate-dir") { &[][..] } else { &source };
        let flags = [&["--webhook-address", &address], source, flags].concat();
        let operator = self.scope.world.operator(&flags).await;
        self.answers().await;
        operator
    }

    /// Waits until the API server gets answers from the webhook: it says something that the webhook alone says.
    pub async fn answers(&self) {
        let probe = || async { self.dry_run(&pod("probe", "NO", &json!({}))).await };
        eventually(
            "the webhook answers",
            async || match probe().await {
                Ok(pod) => annotation(&pod, "queue.prism.io/injection-warnings").is_some(),
                Err(refusal) => refusal.contains("queue.prism.io/inject: "),
            },
            |answers| *answers,
        )
        .await;
    }

    /// What would come out of creating a Pod here, or the words of the refusal.
    pub async fn dry_run(&self, pod: &Value) -> Result<Pod, String> {
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let pod = serde_json::from_value(pod.clone()).expect("a Pod");
        match self.pods().create(&params, &pod).await {
            Ok(pod) => Ok(pod),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(error) => panic!("{error}"),
        }
    }

    /// Changes the webhook in its configuration.
    pub async fn reconfigure(&self, path: &str, value: Value) {
        let path = format!("/webhooks/0/{path}");
        let patch = serde_json::from_value(json!([{"op": "add", "path": path, "value": value}])).expect("a patch");
        let patch = Patch::<()>::Json(patch);
        configurations(self.scope.world).patch(CONFIGURATION, &PatchParams::default(), &patch).await.expect("accepted");
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.scope.world.kube.clone(), &self.scope.name)
    }
}

/// A Pod with one container, that asks for `inject`; `spec` is merged over its own.
pub fn pod(name: &str, inject: &str, spec: &Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "annotations": {"queue.prism.io/inject": inject}},
        "spec": {"containers": [{"name": "main", "image": "example.com/app"}]},
    });
    for (key, value) in spec.as_object().expect("a map") {
        pod["spec"][key] = value.clone();
    }
    pod
}

pub fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The Secrets that the containers read all of, as `container: prefix secret`, in their order.
pub fn sources(pod: &Pod) -> Vec<String> {
    let spec = pod.spec.as_ref().expect("a spec");
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let sources = containers.flat_map(|container| {
        container.env_from.iter().flatten().map(move |from| {
            let secret = from.secret_ref.as_ref().map(|secret| secret.name.as_str()).unwrap_or_default();
            format!("{}: {} {secret}", container.name, from.prefix.as_deref().unwrap_or_default())
        })
    });
    sources.collect()
}
