//! The API server that the tests share, and a corner of it for each test.

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client, Config, ResourceExt as _};
use tokio::time::Instant;

/// How long the API server may take to act on what was applied.
const DEADLINE: Duration = Duration::from_mins(1);

/// A variable that `cargo xtask test` sets.
pub fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"))
}

/// A client of the API server, as its administrator or in the name of `user`.
pub async fn client(user: Option<&str>) -> Client {
    let kubeconfig = Kubeconfig::read_from(environment("PRISM_TEST_KUBECONFIG")).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.auth_info.impersonate = user.map(str::to_owned);
    Client::try_from(config).unwrap()
}

/// A name that no other test uses.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("chart-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Tries until the answer satisfies, and fails with what was seen last.
pub async fn eventually<T: std::fmt::Debug>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> T,
    satisfies: impl Fn(&T) -> bool,
) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        let seen = attempt().await;
        if satisfies(&seen) {
            return seen;
        }
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}; last seen: {seen:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A namespace of a test's own, and what it made; all of it goes when the test ends, however it ends.
pub struct Scratch {
    pub client: Client,
    /// The namespace, whose name serves as a release name too.
    pub name: String,
    made: Mutex<Vec<(Api<DynamicObject>, String)>>,
}

/// Runs a test in a namespace of its own with these labels.
pub async fn scratch(labels: &[(&str, &str)], test: impl AsyncFnOnce(&Scratch)) {
    let scratch = Scratch { client: client(None).await, name: unique(), made: Mutex::default() };
    let namespaces: Api<Namespace> = Api::all(scratch.client.clone());
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(scratch.name.clone());
    namespace.labels_mut().extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    namespaces.create(&PostParams::default(), &namespace).await.expect("the namespace is new");

    let outcome = AssertUnwindSafe(test(&scratch)).catch_unwind().await;

    let made = std::mem::take(&mut *scratch.made.lock().unwrap());
    for (api, name) in made.into_iter().rev() {
        if let Err(error) = api.delete(&name, &DeleteParams::default()).await {
            eprintln!("left behind: {name}: {error}");
        }
    }
    if let Err(error) = namespaces.delete(&scratch.name, &DeleteParams::default()).await {
        eprintln!("left behind: namespace {}: {error}", scratch.name);
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Scratch {
    /// Applies an object; it is deleted when the test ends.
    pub async fn apply(&self, object: &DynamicObject) {
        self.apply_for_all(object).await;
        self.remember(api_of(&self.client, object).await, &object.name_any());
    }

    /// Applies an object that stays when the test ends.
    pub async fn apply_for_all(&self, object: &DynamicObject) {
        let api = api_of(&self.client, object).await;
        server_side_apply(&api, object, &parameters()).await.unwrap_or_else(|refusal| panic!("{refusal}"));
    }

    /// Asks the API server whether it would accept an object: every unknown or duplicate field is an error.
    pub async fn dry_run(&self, object: &DynamicObject) -> Result<(), String> {
        let api = api_of(&self.client, object).await;
        server_side_apply(&api, object, &parameters().dry_run()).await
    }

    /// Deletes something that the test had others make, when the test ends.
    pub fn remember(&self, api: Api<DynamicObject>, name: &str) {
        self.made.lock().unwrap().push((api, name.to_owned()));
    }
}

/// The resource that an object belongs to, where its metadata says.
pub async fn api_of(client: &Client, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.as_ref().expect("apiVersion and kind");
    let wanted = GroupVersionKind::try_from(types).unwrap();
    let (resource, capabilities) =
        pinned_kind(client, &wanted).await.unwrap_or_else(|error| panic!("{types:?}: {error}"));
    match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| panic!("{} names no namespace", object.name_any()));
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    }
}

/// The resource of CRDs.
pub fn crds(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

/// Waits until the API server serves a CRD.
pub async fn established(client: &Client, crd: &str) {
    let api = crds(client);
    eventually(
        &format!("{crd} is established"),
        async || api.get(crd).await.expect("the CRD is there").data["status"]["conditions"].clone(),
        |conditions| {
            conditions.as_array().is_some_and(|all| {
                all.iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True")
            })
        },
    )
    .await;
}

fn parameters() -> PatchParams {
    PatchParams::apply("chart-test").force().validation_strict()
}

async fn server_side_apply(
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    parameters: &PatchParams,
) -> Result<(), String> {
    let name = object.name_any();
    match api.patch(&name, parameters, &Patch::Apply(object)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(format!("{name}: {}", status.message)),
        Err(error) => panic!("{name}: {error}"),
    }
}
