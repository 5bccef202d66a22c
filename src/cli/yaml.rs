//! YAML. Nothing else in the plugin knows which crate reads and writes it.

use serde::{Deserialize as _, Serialize};
use serde_json::Value;

/// The documents in `text`, which may be JSON too; empty ones are left out.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let documents = serde_yaml::Deserializer::from_str(text).map(Value::deserialize);
    let documents: Result<Vec<Value>, _> = documents.collect();
    let mut documents = documents.map_err(|error| error.to_string())?;
    documents.retain(|document| !document.is_null());
    Ok(documents)
}

/// `document` as YAML.
pub(super) fn write(document: &impl Serialize) -> Result<String, String> {
    serde_yaml::to_string(document).map_err(|error| error.to_string())
}
