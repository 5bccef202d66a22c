//! Every Queue and class in the documentation and in examples/ is one that the operator takes.

use std::fs;

use jiff::SignedDuration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use prism_queue::api::class::{ClassDefaults, DriftMode};
use prism_queue::api::conditions::Reason;
use prism_queue::api::{Queue, QueueAccess, QueueClass, crd};
use prism_queue::domain::access::{Grant, allows_namespace, queue_of};
use prism_queue::domain::arn::Place;
use prism_queue::domain::class::{Class, FLAGS, Labels, Limits, satisfiable};
use prism_queue::domain::desired::Desired;
use prism_queue::domain::fleet::{Fleet, Key};
use prism_queue::domain::iam::IamPath;
use prism_queue::domain::names::{NamePrefix, Naming};
use prism_queue::domain::tags::{ClusterIdentity, Tags};
use serde::Deserialize;
use serde_json::Value;

use crate::pages;

/// A YAML text, and where it is.
struct Manifest {
    place: String,
    text: String,
}

/// The operator that the documentation speaks of.
pub fn class() -> Class {
    Class {
        name: FLAGS.to_owned(),
        place: Place { account_id: "123456789012".to_owned(), region: "eu-central-1".to_owned() },
        caller_arn: "arn:aws:sts::123456789012:assumed-role/prism-queue/session".to_owned(),
        naming: Naming::new(NamePrefix::parse("acme-prod-").unwrap()),
        cluster: ClusterIdentity { name: "prod-1".to_owned(), uid: "0b7d6f3a".to_owned(), previous_uid: None },
        tags: Tags::new(),
        defaults: ClassDefaults::default(),
        limits: Limits::Flags { allow_unsafe_statements: false },
        drift: DriftMode::Repair,
        workload_endpoint_url: None,
        resync: SignedDuration::from_mins(10),
        empty_for: SignedDuration::from_secs(60),
        iam_path: IamPath::default(),
        roles: None,
    }
}

/// Every YAML that holds a Queue or a class: in code blocks, alone or in a here-document of the shell, and in examples/.
fn manifests() -> Vec<Manifest> {
    let mut found = Vec::new();
    for page in pages::all() {
        for block in &page.blocks {
            let text = match block.language.as_str() {
                "yaml" => block.text.clone(),
                "sh" => here_document(&block.text).unwrap_or_default(),
                _ => continue,
            };
            found.push(Manifest { place: format!("{}:{}", page.path.display(), block.line), text });
        }
    }
    // Those come with the demo.
    for entry in fs::read_dir(pages::root().join("examples")).into_iter().flatten() {
        let path = entry.unwrap().path();
        found.push(Manifest { place: path.display().to_string(), text: fs::read_to_string(&path).unwrap() });
    }
    found.retain(|manifest| manifest.text.contains("apiVersion: queue.prism.io"));
    found
}

fn here_document(script: &str) -> Option<String> {
    let (_, rest) = script.split_once("<<'YAML'\n")?;
    rest.split_once("\nYAML").map(|(text, _)| text.to_owned())
}

fn documents(manifest: &Manifest, kind: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(&manifest.text);
    let read = |document| Value::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", manifest.place));
    documents.map(read).filter(|value| value["kind"] == kind).collect()
}

#[test]
fn there_are_examples_to_look_at() {
    let places: Vec<String> = manifests().into_iter().map(|manifest| manifest.place).collect();
    for page in ["README.md", "docs/queue.md", "docs/access.md", "docs/classes.md", "docs/install.md"] {
        assert!(places.iter().any(|place| place.starts_with(page)), "{page} shows no Queue: {places:?}");
    }
}

#[test]
fn every_field_of_every_example_is_one_that_the_crd_knows() {
    let mut errors = Vec::new();
    let crds = [
        ("Queue", crd::queue().unwrap()),
        ("QueueClass", crd::queue_class().unwrap()),
        ("QueueAccess", crd::queue_access().unwrap()),
    ];
    for (kind, crd) in crds {
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        for manifest in manifests() {
            for value in documents(&manifest, kind) {
                let mut unknown = Vec::new();
                for key in value.as_object().unwrap().keys() {
                    match schema.properties.as_ref().unwrap().get(key) {
                        Some(field) => unknown_fields(&value[key], field, key, &mut unknown),
                        None if ["apiVersion", "kind", "metadata"].contains(&key.as_str()) => {}
                        None => unknown.push(key.clone()),
                    }
                }
                errors.extend(unknown.iter().map(|path| format!("{}: {path}", manifest.place)));
            }
        }
    }
    assert!(errors.is_empty(), "the CRD knows no such fields: {errors:#?}");
}

fn unknown_fields(value: &Value, schema: &JSONSchemaProps, path: &str, unknown: &mut Vec<String>) {
    match (value, &schema.items) {
        (Value::Object(fields), _) => {
            let is_open = schema.x_kubernetes_preserve_unknown_fields == Some(true)
                || matches!(schema.additional_properties, Some(JSONSchemaPropsOrBool::Schema(_)));
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match schema.properties.as_ref().and_then(|properties| properties.get(name)) {
                    Some(field) => unknown_fields(value, field, &path, unknown),
                    None if is_open => {}
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(values), Some(JSONSchemaPropsOrArray::Schema(items))) => {
            for value in values {
                unknown_fields(value, items, path, unknown);
            }
        }
        _ => {}
    }
}

/// The namespace that the guide speaks of.
fn labels() -> Labels {
    [("tier", "backend")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[test]
fn the_operator_takes_every_example() {
    let class = class();
    let mut errors = Vec::new();
    for manifest in manifests() {
        let queues: Vec<Queue> = documents(&manifest, "Queue")
            .into_iter()
            .map(|value| serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: {error}", manifest.place)))
            .collect();
        let mut fleet = Fleet::of(&queues, &class);
        let accesses: Vec<QueueAccess> = documents(&manifest, "QueueAccess")
            .into_iter()
            .map(|value| serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: {error}", manifest.place)))
            .collect();
        for access in &accesses {
            fleet.put_grant(Grant::of(access, Some(&labels())));
        }
        let mut admitted = 0;
        for queue in &queues {
            match Desired::of(queue, &class, &fleet) {
                Ok(desired) => {
                    admitted += desired.grants.admitted.len();
                    let refused = desired.grants.refused.values();
                    errors.extend(refused.map(|refusal| format!("{}: {}", manifest.place, refusal.message())));
                }
                Err(refusal) => errors.push(format!("{}: {}", manifest.place, refusal.message())),
            }
        }
        // Those that get a role are not the queue policy's.
        let roles = accesses.iter().filter(|access| access.spec.subject.principal_arn.is_none());
        let allowed = roles.filter(|access| {
            let namespace = access.metadata.namespace.as_deref().unwrap_or_default();
            let queue = queues.iter().find(|queue| Key::of(queue) == queue_of(access));
            queues.is_empty() || queue.is_some_and(|queue| allows_namespace(queue, namespace, Some(&labels())))
        });
        if admitted + allowed.count() != accesses.len() {
            errors.push(format!("{}: a QueueAccess points to no Queue that is shown with it", manifest.place));
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn every_class_shown_can_be_used() {
    let (mut errors, mut count) = (Vec::new(), 0);
    for manifest in manifests() {
        for value in documents(&manifest, "QueueClass") {
            let class: QueueClass =
                serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: {error}", manifest.place));
            errors.extend(satisfiable(&class).iter().map(|error| format!("{}: {error}", manifest.place)));
            count += 1;
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(count > 5, "only {count} classes were found");
}

/// The promises above would hold of anything if nothing were ever refused.
#[test]
fn a_wrong_example_would_be_noticed() {
    let wrong = serde_json::json!({
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"access": {"statements": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]}},
    });
    let queue: Queue = serde_json::from_value(wrong).unwrap();
    let refusal = Desired::of(&queue, &class(), &Fleet::of([&queue], &class())).unwrap_err();
    assert_eq!(refusal.reason, Reason::InvalidSpec);
    assert_eq!(refusal.errors[0].path, "spec.access.statements[0].Principal");

    let crd = crd::queue().unwrap();
    let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
    let spec = &schema.properties.as_ref().unwrap()["spec"];
    let value = serde_json::json!({"deadLetter": {"maxRecieveCount": 3}, "tags": {"any": "key"}});
    let mut unknown = Vec::new();
    unknown_fields(&value, spec, "spec", &mut unknown);
    assert_eq!(unknown, ["spec.deadLetter.maxRecieveCount"]);
}
