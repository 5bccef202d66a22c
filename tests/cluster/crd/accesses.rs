//! What the API server takes and refuses of a `QueueAccess`.

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Status;
use prism_queue::api::QueueAccess;
use serde_json::{Value, json};

use super::assert_refused;
use crate::harness::{Scope, unattended};

const WORKER: &str = "arn:aws:iam::123456789012:role/worker";

fn api(scope: &Scope) -> Api<DynamicObject> {
    let resource = kube::api::ApiResource::erase::<QueueAccess>(&());
    Api::namespaced_with(scope.world.kube.clone(), &scope.name, &resource)
}

fn object(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "queue.prism.io/v1alpha1", "kind": "QueueAccess", "metadata": {"name": name}, "spec": spec})
}

fn good() -> Value {
    json!({"queueRef": {"name": "work"}, "permissions": ["Send"], "subject": {"principalArn": WORKER}})
}

/// [`good`] with this in it.
fn with(path: &str, value: Value) -> Value {
    let mut spec = good();
    let (parent, field) = path.rsplit_once('/').expect("a pointer");
    spec.pointer_mut(parent).expect("a parent")[field] = value;
    spec
}

async fn dry_run(scope: &Scope, name: &str, spec: &Value) -> Result<(), Box<Status>> {
    let parameters = PostParams { dry_run: true, field_manager: None };
    match api(scope).create(&parameters, &serde_json::from_value(object(name, spec)).unwrap()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn good_accesses_are_taken() {
    unattended(async |scope| {
        let table = [
            good(),
            with("/queueRef/namespace", json!("media")),
            with("/permissions", json!(["Send", "Consume", "Inspect", "Redrive"])),
            with("/subject/principalArn", json!("arn:aws-cn:iam::123456789012:user/path/to/alice+queues@example.com")),
            with("/secret", json!({"mode": "Disabled"})),
            with("/secret", json!({"name": "work", "keyPrefix": "WORK_"})),
        ];
        for spec in table {
            dry_run(scope, "good", &spec).await.unwrap_or_else(|refusal| panic!("{spec}: {}", refusal.message));
        }
    });
}

#[test]
fn bad_accesses_are_refused_with_path_and_rule() {
    unattended(async |scope| {
        let table = [
            (with("/permissions", json!([])), "spec.permissions", "should have at least 1 items"),
            (with("/permissions", json!(["Send", "Send"])), "spec.permissions[1]", "Duplicate value"),
            (with("/permissions", json!(["Purge"])), "spec.permissions[0]", "Unsupported value"),
            (with("/subject", json!({})), "spec.subject.principalArn", "Required value"),
            (with("/subject/principalArn", json!("*")), "spec.subject.principalArn", "should match"),
            (
                with("/subject/principalArn", json!("arn:aws:iam::123456789012:root")),
                "spec.subject.principalArn",
                "should match",
            ),
            (with("/queueRef", json!({})), "spec.queueRef.name", "Required value"),
            (with("/queueRef/namespace", json!("No_Label")), "spec.queueRef.namespace", "should match"),
            (with("/secret", json!({"keyPrefix": "AWS_"})), "spec.secret.keyPrefix", "redirect the AWS clients"),
        ];
        for (spec, field, words) in table {
            let what = spec.to_string();
            let refusal = dry_run(scope, "bad", &spec).await.expect_err(&what);
            assert_refused(&what, &refusal, field, words);
        }
        let refusal = dry_run(scope, "a.b", &good()).await.expect_err("not a label");
        assert!(refusal.message.contains("must be a DNS label"), "{}", refusal.message);
    });
}

#[test]
fn queue_and_subject_are_immutable_also_from_unset_to_set() {
    unattended(async |scope| {
        let api = api(scope);
        let create = |name: &str, spec: Value| serde_json::from_value(object(name, &spec)).unwrap();
        api.create(&PostParams::default(), &create("plain", good())).await.unwrap();
        let table = [
            (json!({"queueRef": {"name": "other"}}), "spec.queueRef", "queueRef is immutable"),
            (json!({"queueRef": {"namespace": "media"}}), "spec.queueRef", "queueRef is immutable"),
            (
                json!({"subject": {"principalArn": "arn:aws:iam::123456789012:role/other"}}),
                "spec.subject",
                "subject is immutable",
            ),
        ];
        for (change, field, words) in table {
            let patch = Patch::Merge(json!({"spec": change}));
            let refusal = match api.patch("plain", &PatchParams::default(), &patch).await {
                Err(kube::Error::Api(refusal)) => refusal,
                other => panic!("{change}: {other:?}"),
            };
            assert_refused(&change.to_string(), &refusal, field, words);
        }
        let patch = Patch::Merge(json!({"spec": {"permissions": ["Consume"], "secret": {"mode": "Disabled"}}}));
        api.patch("plain", &PatchParams::default(), &patch).await.unwrap();
    });
}

#[test]
fn a_new_object_is_not_taken_for_current() {
    unattended(async |scope| {
        let object = serde_json::from_value(object("new", &good())).unwrap();
        let created = api(scope).create(&PostParams::default(), &object).await.unwrap();
        assert_eq!(created.data["status"], json!({"observedGeneration": -1}));
    });
}
