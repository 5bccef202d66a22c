//! Runs Helm and reads what it renders.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kube::api::DynamicObject;
use serde::Deserialize as _;
use serde_json::Value;

use crate::cluster::environment;

/// Where the chart of this checkout is.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/prism-queue")
}

/// Runs Helm with `values` on its standard input: its output, or what it complained of.
pub fn helm(arguments: &[&str], values: &Value) -> Result<String, String> {
    let home = env!("CARGO_TARGET_TMPDIR");
    let mut child = Command::new(environment("PRISM_TEST_HELM"))
        .args(arguments)
        .env("KUBECONFIG", environment("PRISM_TEST_KUBECONFIG"))
        .envs([("HELM_CACHE_HOME", home), ("HELM_CONFIG_HOME", home), ("HELM_DATA_HOME", home)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Helm starts");
    child.stdin.take().unwrap().write_all(values.to_string().as_bytes()).expect("Helm reads the values");
    let output = child.wait_with_output().expect("Helm ends");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What `helm template` makes of the chart.
pub fn template(release: &str, namespace: &str, values: &Value) -> Result<String, String> {
    let chart = chart();
    helm(&["template", release, chart.to_str().unwrap(), "--namespace", namespace, "--values", "-"], values)
}

/// The objects that the chart renders.
pub fn render(release: &str, namespace: &str, values: &Value) -> Vec<DynamicObject> {
    objects(&template(release, namespace, values).expect("the chart renders"))
}

/// The Kubernetes objects in a YAML text of any number of documents.
pub fn objects(yaml: &str) -> Vec<DynamicObject> {
    documents(yaml).into_iter().map(|document| serde_json::from_value(document).expect("a Kubernetes object")).collect()
}

/// The documents of a YAML text, empty ones left out.
pub fn documents(yaml: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|document| !document.is_null())
        .collect()
}

/// The kind of an object.
pub fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}

/// The only object of a kind.
pub fn only<'a>(objects: &'a [DynamicObject], wanted: &str) -> &'a DynamicObject {
    let found: Vec<_> = objects.iter().filter(|object| kind(object) == wanted).collect();
    assert_eq!(found.len(), 1, "one {wanted} is rendered");
    found[0]
}
