//! What the API server serves: defaults, descriptions, columns, names.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{Scope, unattended};

async fn crd(scope: &Scope) -> Value {
    let api: Api<CustomResourceDefinition> = Api::all(scope.world.kube.clone());
    serde_json::to_value(api.get("queues.queue.prism.io").await.unwrap()).unwrap()
}

/// The object as stored, with nothing that our types would add.
async fn raw(scope: &Scope, name: &str) -> Value {
    let resource = kube::api::ApiResource::erase::<prism_queue::api::Queue>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(scope.world.kube.clone(), &scope.name, &resource);
    api.get(name).await.unwrap().data
}

#[test]
fn nothing_but_the_type_is_filled_into_a_spec() {
    unattended(async |scope| {
        scope.apply("bare", json!({"suspend": true, "deadLetter": {}, "outputs": {"secret": {}}})).await;
        let stored = raw(scope, "bare").await;
        let wanted = json!({"type": "Standard", "suspend": true, "deadLetter": {}, "outputs": {"secret": {}}});
        assert_eq!(stored["spec"], wanted);
    });
}

#[test]
fn a_queue_that_nobody_looked_at_is_not_taken_for_current() {
    unattended(async |scope| {
        scope.apply("unseen", json!({"suspend": true})).await;
        assert_eq!(raw(scope, "unseen").await["status"], json!({"observedGeneration": -1}));
    });
}

#[test]
fn status_is_a_subresource_that_an_apply_does_not_touch() {
    unattended(async |scope| {
        scope.apply("split", json!({"suspend": true})).await;
        let patch = json!({"status": {"queueUrl": "https://example.com/mine"}});
        scope.queues.patch("split", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        assert_eq!(raw(scope, "split").await["status"], json!({"observedGeneration": -1}));
        scope.queues.patch_status("split", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        let stored = raw(scope, "split").await;
        assert_eq!(stored["status"]["queueUrl"], patch["status"]["queueUrl"]);
    });
}

/// Collects the paths of the fields below a schema that explain nothing.
fn unexplained(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            found.push(path.clone());
        }
        unexplained(property, &path, found);
        unexplained(&property["items"], &format!("{path}[]"), found);
        unexplained(&property["additionalProperties"], &format!("{path}[*]"), found);
    }
}

#[test]
fn kubectl_explain_has_words_for_every_field() {
    unattended(async |scope| {
        let schema = &crd(scope).await["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert!(schema["description"].as_str().is_some_and(|text| text.contains("SQS")));
        let mut found = Vec::new();
        for part in ["spec", "status"] {
            unexplained(&schema["properties"][part], part, &mut found);
        }
        assert!(found.is_empty(), "no description: {found:#?}");
    });
}

#[test]
fn kubectl_get_pq_shows_what_people_look_for() {
    unattended(async |scope| {
        let crd = crd(scope).await;
        assert_eq!(crd["spec"]["names"]["shortNames"], json!(["pq"]));
        let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap().clone();
        let named = |wide: bool| {
            let of_width = columns.iter().filter(|column| (column["priority"].as_i64().unwrap_or(0) > 0) == wide);
            of_width.map(|column| column["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(named(false), ["Type", "Ready", "Reason", "Messages", "Dead Letters", "Age"]);
        assert!(named(true).contains(&"URL".to_owned()));
    });
}
