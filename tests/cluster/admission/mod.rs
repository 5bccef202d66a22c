//! The chart's admission policies: the API server refuses what a class does not allow, and the deletion of one in use.
//!
//! Policies hold for a whole cluster. Here each test has its own, bound to its own namespace and classes.

mod in_use;
mod limits;
mod which;

use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures::FutureExt as _;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use prism_queue::api::{GROUP, Queue, QueueClass};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, Scope};

/// Queues that break a limit of their class are refused.
const LIMITS: &str = "queue-limits";
/// Classes with users are not deleted.
const IN_USE: &str = "class-in-use";

fn near() -> Value {
    json!({"accountId": ACCOUNT, "region": "eu-west-1"})
}

fn policies(kube: &Client) -> Api<ValidatingAdmissionPolicy> {
    Api::all(kube.clone())
}

fn bindings(kube: &Client) -> Api<ValidatingAdmissionPolicyBinding> {
    Api::all(kube.clone())
}

fn classes(scope: &Scope) -> Api<QueueClass> {
    Api::all(scope.world.kube.clone())
}

fn name_of(scope: &Scope, policy: &str) -> String {
    format!("{}-{policy}", scope.name)
}

/// Runs a test under a policy as the chart installs it, for what belongs to the test.
async fn under(policy: &str, scope: &Scope, test: impl AsyncFnOnce()) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("charts/prism-queue/files/admission/{policy}.yaml"));
    let mut source: Value = serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (name, kube) = (name_of(scope, policy), &scope.world.kube);
    source["binding"]["policyName"] = json!(name);
    source["binding"]["matchResources"] = match policy {
        LIMITS => json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scope.name}}}),
        _ => json!({"objectSelector": {"matchLabels": {"test": scope.name}}}),
    };
    let parameters = PostParams::default();
    policies(kube).create(&parameters, &object(&name, &source["policy"])).await.expect("the policy is accepted");
    bindings(kube).create(&parameters, &object(&name, &source["binding"])).await.expect("and its binding");

    let outcome = AssertUnwindSafe(test()).catch_unwind().await;

    bindings(kube).delete(&name, &DeleteParams::default()).await.expect("the binding is there");
    policies(kube).delete(&name, &DeleteParams::default()).await.expect("the policy is there");
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn object<K: DeserializeOwned>(name: &str, spec: &Value) -> K {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

/// Asks whether the API server would take a Queue, as a pipeline applies it: the words after the policy's name if not.
async fn dry_run(scope: &Scope, name: &str, spec: &Value) -> Result<(), String> {
    let object =
        json!({"apiVersion": format!("{GROUP}/v1alpha1"), "kind": "Queue", "metadata": {"name": name}, "spec": spec});
    let parameters = PatchParams::apply("pipeline").force().dry_run();
    // As it is answered: the status of a new object is not there yet.
    let resource = kube::api::ApiResource::erase::<Queue>(&());
    let queues: Api<DynamicObject> = Api::namespaced_with(scope.world.kube.clone(), &scope.name, &resource);
    match queues.patch(name, &parameters, &Patch::Apply(&object)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(refusal)) => {
            assert_eq!((refusal.code, refusal.reason.as_str()), (403, "Forbidden"), "{}", refusal.message);
            let (_, words) = refusal.message.split_once("denied request: ").expect("a policy refuses");
            Err(words.to_owned())
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Waits until a Queue is refused in these words: policies, classes and labels take a moment to be known.
async fn refused(scope: &Scope, name: &str, spec: &Value, words: &str) -> String {
    let what = format!("{spec} is refused: {words}");
    let is_refused = |answer: &Result<(), String>| answer.as_ref().is_err_and(|refusal| refusal.contains(words));
    eventually(&what, async || dry_run(scope, name, spec).await, is_refused).await.unwrap_err()
}

async fn taken(scope: &Scope, name: &str, spec: &Value) {
    dry_run(scope, name, spec).await.unwrap_or_else(|refusal| panic!("{spec} is refused: {refusal}"));
}

async fn label(scope: &Scope, labels: Value) {
    let namespaces: Api<Namespace> = Api::all(scope.world.kube.clone());
    let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
    namespaces.patch(&scope.name, &PatchParams::default(), &patch).await.expect("the namespace can be labelled");
}
