//! The CRDs as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{Queue, QueueAccess, QueueClass};

/// The name of the Queue CRD.
pub const QUEUES: &str = "queues.queue.prism.io";

/// The name of the `QueueClass` CRD.
pub const QUEUE_CLASSES: &str = "queueclasses.queue.prism.io";

/// The name of the `QueueAccess` CRD.
pub const QUEUE_ACCESSES: &str = "queueaccesses.queue.prism.io";

/// The Queue CRD.
///
/// # Errors
/// Only when the derived schema cannot be written as JSON, which a test excludes.
pub fn queue() -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut crd = installed(&Queue::crd())?;
    // `type` is the only default: a stored default would hide the class's for ever.
    if let Some(queue_type) = crd.pointer_mut(&format!("{SCHEMA}/properties/spec/properties/type")) {
        queue_type["default"] = json!("Standard");
    }
    // A Provisioned Service: its status names a Secret to bind. Source: Service Binding specification 1.1, "Provisioned Service".
    crd["metadata"]["labels"] = json!({"servicebinding.io/provisioned-service": "true"});
    serde_json::from_value(crd)
}

/// The `QueueClass` CRD.
///
/// # Errors
/// Only when the derived schema cannot be written as JSON, which a test excludes.
pub fn queue_class() -> Result<CustomResourceDefinition, serde_json::Error> {
    serde_json::from_value(installed(&QueueClass::crd())?)
}

/// The `QueueAccess` CRD.
///
/// # Errors
/// Only when the derived schema cannot be written as JSON, which a test excludes.
pub fn queue_access() -> Result<CustomResourceDefinition, serde_json::Error> {
    serde_json::from_value(installed(&QueueAccess::crd())?)
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

fn installed(derived: &CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(derived)?;
    if let Some(schema) = crd.pointer_mut(SCHEMA) {
        tidy(schema);
        // An object that the operator has not seen must not be taken for current (kstatus).
        if let Some(status) = schema.pointer_mut("/properties/status") {
            status["default"] = json!({"observedGeneration": -1});
        }
    }
    Ok(crd)
}

/// Takes out what the derive writes and the API does not mean: `null` as a value (an omitted field is
/// omitted), and formats that Kubernetes does not know.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("nullable");
            if let Some(Value::String(text)) = map.get_mut("description") {
                // `kubectl explain` wraps by itself.
                let paragraphs: Vec<String> =
                    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
                *text = paragraphs.join("\n\n");
            }
            if let Some(Value::Array(words)) = map.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
