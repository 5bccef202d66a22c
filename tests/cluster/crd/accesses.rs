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

/// [`good`] for another subject.
fn for_subject(subject: Value) -> Value {
    let mut spec = good();
    spec["subject"] = subject;
    spec
}

fn service_account(name: &str) -> Value {
    for_subject(json!({"serviceAccount": {"name": name}}))
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
            service_account("default"),
            service_account("0.a-b.c9"),
            service_account(&format!("{0}.{0}.{0}.{1}", "x".repeat(63), "x".repeat(61))),
            for_subject(json!({"roleArn": WORKER})),
            for_subject(json!({"roleArn": "arn:aws-us-gov:iam::123456789012:role/a/b+c=d,e.f@g_h-i/worker"})),
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
        let one = "exactly one of serviceAccount, roleArn, principalArn";
        let (name, role) = ("spec.subject.serviceAccount.name", "spec.subject.roleArn");
        let both = |subject: Value| (for_subject(subject), "spec.subject", one);
        let subjects = [
            both(json!({})),
            both(json!({"serviceAccount": {"name": "resizer"}, "principalArn": WORKER})),
            both(json!({"serviceAccount": {"name": "resizer"}, "roleArn": WORKER})),
            both(json!({"roleArn": WORKER, "principalArn": WORKER})),
            both(json!({"serviceAccount": {"name": "resizer"}, "roleArn": WORKER, "principalArn": WORKER})),
            (for_subject(json!({"serviceAccount": {}})), name, "Required value"),
            (service_account(""), name, "should be at least 1"),
            (service_account(&"x".repeat(254)), name, "may not be more than 253"),
            (service_account("Resizer"), name, "should match"),
            (service_account("-resizer"), name, "should match"),
            (service_account("a..b"), name, "should match"),
            (service_account("web:resizer"), name, "should match"),
            (service_account("*"), name, "should match"),
            (for_subject(json!({"roleArn": "worker"})), role, "should match"),
            (for_subject(json!({"roleArn": "arn:aws:iam::123456789012:role/*"})), role, "should match"),
            (for_subject(json!({"roleArn": "arn:aws:iam::123456789012:role/a/"})), role, "should match"),
            (for_subject(json!({"roleArn": "arn:aws:iam::123456789012:user/worker"})), role, "should match"),
            (for_subject(json!({"roleArn": "arn:aws:sts::123456789012:assumed-role/worker/s"})), role, "should match"),
        ];
        for (spec, field, words) in table.into_iter().chain(subjects) {
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
        for (name, spec) in [
            ("plain", good()),
            ("account", service_account("resizer")),
            ("role", for_subject(json!({"roleArn": WORKER}))),
        ] {
            api.create(&PostParams::default(), &create(name, spec)).await.unwrap();
        }
        let another = "arn:aws:iam::123456789012:role/other";
        let queue = ("spec.queueRef", "queueRef is immutable");
        let subject = ("spec.subject", "subject is immutable");
        let table = [
            ("plain", json!({"queueRef": {"name": "other"}}), queue),
            ("plain", json!({"queueRef": {"namespace": "media"}}), queue),
            ("plain", json!({"subject": {"principalArn": another}}), subject),
            // One kind of subject in the place of another: an entry set, and one unset.
            ("plain", json!({"subject": {"principalArn": null, "roleArn": WORKER}}), subject),
            ("plain", json!({"subject": {"principalArn": null, "serviceAccount": {"name": "resizer"}}}), subject),
            ("account", json!({"subject": {"serviceAccount": {"name": "other"}}}), subject),
            ("account", json!({"subject": {"serviceAccount": null, "roleArn": WORKER}}), subject),
            ("role", json!({"subject": {"roleArn": another}}), subject),
            ("role", json!({"subject": {"roleArn": null, "principalArn": WORKER}}), subject),
        ];
        for (name, change, (field, words)) in table {
            let patch = Patch::Merge(json!({"spec": change}));
            let refusal = match api.patch(name, &PatchParams::default(), &patch).await {
                Err(kube::Error::Api(refusal)) => refusal,
                other => panic!("{name} {change}: {other:?}"),
            };
            assert_refused(&format!("{name} {change}"), &refusal, field, words);
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
