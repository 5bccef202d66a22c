//! What the API server itself says that the operator asked of it: its audit log.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use super::environment;

/// One request of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The verb, as RBAC knows it.
    pub verb: String,
    /// The resource, with its subresource: `queues/status`.
    pub resource: String,
    /// The query that selects labels; empty when there is none.
    pub labels: String,
}

impl Asked {
    /// Whether it asks to change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether it asks for many objects of a kind that outputs have.
    pub fn is_of_outputs(&self) -> bool {
        matches!(self.verb.as_str(), "list" | "watch") && matches!(self.resource.as_str(), "secrets" | "configmaps")
    }

    /// Whether it asks for those with the operator's label alone.
    pub fn is_labelled(&self) -> bool {
        self.labels == "queue.prism.io/managed-by=prism-queue"
    }
}

/// All that `user` was answered so far, or only what concerned one namespace; in the order of the answers.
///
/// The API server logs an answer as it ends it, which may be a moment after it was read: what is not there yet is once
/// something later has happened. A watch is there when it begins, and again when it ends.
pub fn asked(user: &str, namespace: Option<&str>) -> Vec<Asked> {
    let path = environment("PRISM_TEST_AUDIT_LOG");
    let log = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = BufReader::new(log).lines().map(|line| line.expect("the audit log is text"));
    // Few of its lines are of interest, and most of these are known without a parser. The last may be half written.
    let lines = lines.filter(|line| line.contains(user) && namespace.is_none_or(|name| line.contains(name)));
    let entries = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let about = |entry: &Value| namespace.is_none_or(|name| entry["objectRef"]["namespace"] == name);
    entries.filter(|entry| entry["user"]["username"] == user && about(entry)).map(|entry| read(&entry)).collect()
}

fn read(entry: &Value) -> Asked {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &entry["objectRef"];
    let resource = match object["subresource"].as_str() {
        Some(subresource) => format!("{}/{subresource}", text(&object["resource"])),
        None => text(&object["resource"]),
    };
    let uri = text(&entry["requestURI"]);
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let selector = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "labelSelector");
    Asked {
        verb: text(&entry["verb"]),
        resource,
        labels: selector.map(|(_, value)| value.into_owned()).unwrap_or_default(),
    }
}
