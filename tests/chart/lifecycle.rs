//! Helm's life of a release, with the promise that matters: no upgrade leaves an old CRD, no uninstall deletes one.

use std::fs;
use std::path::Path;

use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use crate::cluster::{Scratch, crds, established, scratch};
use crate::helm::{chart, helm};
use crate::values::required;

/// A CRD of the test's own: the real one is shared with the other tests.
fn crd(group: &str, description: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "description": description}}
            }]
        }
    })
}

/// The chart with `crd` in place of its own.
fn chart_with(scratch: &Scratch, crd: &Value) -> String {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&scratch.name);
    copy_folder(&chart(), &copy);
    let folder = copy.join("files/crds");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("crd.yaml"), crd.to_string()).unwrap();
    copy.to_str().unwrap().to_owned()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Runs a command of Helm on the test's release.
fn release(scratch: &Scratch, command: &[&str], values: &Value) {
    let arguments = [command, ["--namespace", &scratch.name].as_slice()].concat();
    helm(&arguments, values).unwrap_or_else(|complaint| panic!("{arguments:?}: {complaint}"));
}

async fn description(scratch: &Scratch, crd: &str) -> Value {
    let crd = crds(&scratch.client).get(crd).await.expect("the CRD is there");
    crd.data["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"].clone()
}

#[tokio::test]
async fn an_upgrade_brings_the_new_crd_and_an_uninstall_keeps_it_with_its_objects() {
    scratch(&[], async |scratch| {
        let group = format!("{}.example.com", scratch.name);
        let crd_name = format!("things.{group}");
        let name = scratch.name.as_str();
        // Without what lives outside the namespace, nothing but the CRD can be left behind when the test fails.
        let mut values = required();
        values["rbac"] = json!({"create": false, "aggregate": false});
        values["admissionPolicies"] = json!({"enabled": false});

        scratch.remember(crds(&scratch.client), &crd_name);
        let path = chart_with(scratch, &crd(&group, "old"));
        release(scratch, &["install", name, &path, "--values", "-"], &values);
        assert_eq!(description(scratch, &crd_name).await, "old");
        established(&scratch.client, &crd_name).await;

        let thing = json!({
            "apiVersion": format!("{group}/v1"),
            "kind": "Thing",
            "metadata": {"name": "kept", "namespace": name}
        });
        scratch.apply_for_all(&serde_json::from_value(thing).unwrap()).await;

        chart_with(scratch, &crd(&group, "new"));
        release(scratch, &["upgrade", name, &path, "--values", "-"], &values);
        assert_eq!(description(scratch, &crd_name).await, "new");

        release(scratch, &["uninstall", name, "--wait"], &json!({}));
        let kept = crds(&scratch.client).get(&crd_name).await.expect("the CRD is kept");
        assert_eq!(kept.metadata.deletion_timestamp, None, "the CRD is not being deleted");
        let things = ApiResource::from_gvk(&GroupVersionKind::gvk(&group, "v1", "Thing"));
        let things: Api<DynamicObject> = Api::namespaced_with(scratch.client.clone(), name, &things);
        let thing = things.get("kept").await.expect("the object is kept");
        assert_eq!(thing.metadata.deletion_timestamp, None, "the object is not being deleted");

        // The same release comes back to the CRD that it left.
        release(scratch, &["install", name, &path, "--values", "-"], &values);
        release(scratch, &["uninstall", name, "--wait"], &json!({}));
        fs::remove_dir_all(&path).unwrap();
    })
    .await;
}
