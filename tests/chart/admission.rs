//! The admission policies that the chart installs. What they say is proved by the cluster tests, from the same files.

use std::fs;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::helm::{chart, documents, kind, render};
use crate::values::required;

const KINDS: [&str; 2] = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];

fn policies(values: &Value) -> Vec<DynamicObject> {
    let mut rendered = render("prism-queue", "queues", values);
    rendered.retain(|object| KINDS.contains(&kind(object)));
    rendered
}

fn spec<'a>(objects: &'a [DynamicObject], wanted: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| kind(object) == wanted && object.metadata.name.as_deref() == Some(name));
    &found.unwrap_or_else(|| panic!("the {wanted} {name} is rendered")).data["spec"]
}

#[test]
fn the_policies_are_those_of_the_files() {
    let rendered = policies(&required());
    let files: Vec<_> =
        fs::read_dir(chart().join("files/admission")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(rendered.len(), 2 * files.len());
    for file in files {
        let mut source = documents(&fs::read_to_string(&file).unwrap()).remove(0);
        let name = format!("prism-queue-{}", file.file_stem().unwrap().to_str().unwrap());
        assert_eq!(spec(&rendered, KINDS[0], &name), &source["policy"]);
        source["binding"]["policyName"] = json!(name);
        assert_eq!(spec(&rendered, KINDS[1], &name), &source["binding"]);
    }
}

/// A limit refuses: to warn or to audit alone would be a promise broken.
#[test]
fn the_policies_deny() {
    let rendered = policies(&required());
    for binding in rendered.iter().filter(|object| kind(object) == KINDS[1]) {
        assert_eq!(binding.data["spec"]["validationActions"], json!(["Deny"]));
    }
}

#[test]
fn without_the_value_there_are_none() {
    let mut values = required();
    values["admissionPolicies"] = json!({"enabled": false});
    assert!(policies(&values).is_empty());
}
