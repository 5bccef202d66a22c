//! What the chart renders, and that the API server accepts it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cluster::scratch;
use crate::helm::{chart, documents, kind, only, render, template};
use crate::values::{everything, injecting, required, settings};

#[tokio::test]
async fn the_api_server_accepts_every_object() {
    scratch(&[], async |scratch| {
        let own = injecting(&json!({}));
        let by_cert_manager = injecting(&json!({"certificates": {"source": "CertManager"}}));
        for (name, values) in [
            ("required", required()),
            ("everything", everything()),
            ("injection", own),
            ("injection with cert-manager", by_cert_manager),
        ] {
            let objects = render(&scratch.name, &scratch.name, &values);
            // Of other projects, whose CRDs are not here.
            let foreign = ["ServiceMonitor", "Certificate", "Issuer"];
            for object in objects.iter().filter(|object| !foreign.contains(&kind(object))) {
                scratch.dry_run(object).await.unwrap_or_else(|refusal| panic!("{name}: {} {refusal}", kind(object)));
            }
        }
    })
    .await;
}

#[test]
fn required_values_render_what_an_operator_needs_and_no_more() {
    let rendered = render("prism-queue", "queues", &required());
    let kinds: BTreeSet<&str> = rendered.iter().map(kind).collect();
    let wanted = [
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Deployment",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    assert_eq!(kinds, BTreeSet::from(wanted));
}

#[test]
fn a_service_monitor_scrapes_the_port_of_the_service() {
    let rendered = render("release", "queues", &everything());
    let monitor = only(&rendered, "ServiceMonitor");
    let mut services = rendered.iter().filter(|object| kind(object) == "Service");
    let service = services.find(|service| service.data["spec"]["ports"][0]["name"] == "http").unwrap();
    let selected = &monitor.data["spec"]["selector"]["matchLabels"];
    let labels = service.metadata.labels.as_ref().unwrap();
    for (key, value) in selected.as_object().unwrap() {
        assert_eq!(labels.get(key).map(String::as_str), value.as_str(), "the Service has the label {key}");
    }
    assert_eq!(monitor.data["spec"]["endpoints"][0]["port"], service.data["spec"]["ports"][0]["name"]);
    assert_eq!(monitor.data["spec"]["endpoints"][0]["interval"], "1m");
    assert_eq!(monitor.metadata.labels.as_ref().unwrap()["release"], "prometheus");
}

/// A digest decides, so the tag counts without one only.
#[test]
fn an_image_is_named_by_digest_then_tag_then_version() {
    let image = |change: Value| {
        let mut values = required();
        values["image"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let rendered = render("release", "queues", &values);
        only(&rendered, "Deployment").data["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    let digest = format!("sha256:{}", "a".repeat(64));
    assert_eq!(image(json!({})), format!("prism-queue:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(image(json!({"tag": "edge"})), "prism-queue:edge");
    assert_eq!(image(json!({"tag": "edge", "digest": digest})), format!("prism-queue@{digest}"));
}

#[test]
fn every_value_of_values_yaml_has_an_effect() {
    let defaults = documents(&fs::read_to_string(chart().join("values.yaml")).unwrap()).remove(0);
    let all = everything();
    assert_eq!(
        settings(&defaults).into_iter().collect::<BTreeSet<_>>(),
        settings(&all).into_iter().collect::<BTreeSet<_>>(),
        "the test's set of values names each value of values.yaml"
    );
    for setting in settings(&all) {
        let mut with = all.clone();
        if setting == "/image/tag" {
            with["image"]["digest"] = json!("");
        }
        // What belongs to one source of certificates is of no account with another.
        if setting == "/injection/certificates/issuerRef" {
            with["injection"]["certificates"]["source"] = json!("CertManager");
        }
        let mut without = with.clone();
        let (changed, default) = (without.pointer_mut(&setting).unwrap(), defaults.pointer(&setting).unwrap());
        // Null is Helm's word for taking a default away, which tells a map that is merged from one that is ignored.
        *changed = match default {
            Value::Bool(on) if *changed == *default => json!(!on),
            Value::Object(_) => json!(null),
            default => default.clone(),
        };
        assert_ne!(
            template("release", "queues", &with),
            template("release", "queues", &without),
            "{setting} changes what is rendered"
        );
    }
}

#[test]
fn the_crds_are_those_of_the_checkout_and_outlive_the_chart() {
    let mut rendered = render("release", "queues", &required());
    rendered.retain(|object| kind(object) == "CustomResourceDefinition");
    let sources = yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds"));
    assert!(!sources.is_empty(), "crds/ has the generated CRDs");
    assert_eq!(rendered.len(), sources.len());
    for source in sources {
        let mut wanted = documents(&fs::read_to_string(&source).unwrap()).remove(0);
        let found = rendered
            .iter()
            .find(|object| object.metadata.name.as_deref() == wanted["metadata"]["name"].as_str())
            .unwrap_or_else(|| panic!("the chart has {}", source.display()));
        for (label, value) in wanted["metadata"]["labels"].as_object().into_iter().flatten() {
            assert_eq!(found.metadata.labels.as_ref().unwrap().get(label).map(String::as_str), value.as_str());
        }
        let annotations = found.metadata.annotations.clone().unwrap();
        assert_eq!(annotations["helm.sh/resource-policy"], "keep");
        assert_eq!(numbers_as_floats(&found.data["spec"]), numbers_as_floats(&wanted["spec"].take()));
    }

    let mut values = required();
    values["crds"] = json!({"install": false});
    assert!(render("release", "queues", &values).iter().all(|object| kind(object) != "CustomResourceDefinition"));
}

#[test]
fn the_chart_and_the_operator_have_one_version() {
    let chart = documents(&fs::read_to_string(chart().join("Chart.yaml")).unwrap()).remove(0);
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// The YAML files right below a folder, sorted.
pub fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    found.sort();
    found
}

/// JSON knows one kind of number, where Rust tells 1 from 1.0.
fn numbers_as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(numbers_as_floats).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), numbers_as_floats(value))).collect())
        }
        other => other.clone(),
    }
}
