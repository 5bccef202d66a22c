//! Sets of values that the tests render with.

use serde_json::{Value, json};

/// The least that must be given.
pub fn required() -> Value {
    json!({"clusterName": "test", "image": {"repository": "prism-queue"}})
}

/// Every value of values.yaml, with every option on.
pub fn everything() -> Value {
    serde_yaml::from_str(include_str!("everything.yaml")).expect("YAML")
}

/// The least with injection on, and `change` in its section.
pub fn injecting(change: &Value) -> Value {
    let mut values = required();
    values["injection"] = change.clone();
    values["injection"]["enabled"] = json!(true);
    values
}

/// The sections of values.yaml, as JSON pointers; every other map in it belongs to the user.
pub const SECTIONS: [&str; 17] = [
    "",
    "/admissionPolicies",
    "/aws",
    "/crds",
    "/http",
    "/image",
    "/injection",
    "/injection/certificates",
    "/leaderElection",
    "/log",
    "/metrics",
    "/metrics/service",
    "/metrics/serviceMonitor",
    "/networkPolicy",
    "/podDisruptionBudget",
    "/rbac",
    "/serviceAccount",
];

/// The JSON pointers of everything that can be set: scalars, lists, and the user's maps.
pub fn settings(values: &Value) -> Vec<String> {
    fn walk(at: &str, value: &Value, found: &mut Vec<String>) {
        match value.as_object() {
            Some(map) if SECTIONS.contains(&at) => {
                for (key, value) in map {
                    walk(&format!("{at}/{key}"), value, found);
                }
            }
            _ => found.push(at.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk("", values, &mut found);
    found
}
