//! What the chart refuses, and in which words.

use serde_json::{Value, json};

use crate::helm::template;
use crate::values::{SECTIONS, everything, required};

/// The complaint about the required values together with `change`.
fn refusal(change: &Value) -> String {
    let mut values = required();
    merge(&mut values, change);
    let Err(complaint) = template("release", "queues", &values) else { panic!("{change} is refused") };
    complaint
}

fn merge(values: &mut Value, change: &Value) {
    match (values.as_object_mut(), change.as_object()) {
        (Some(values), Some(change)) => {
            for (key, change) in change {
                merge(values.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
        _ => *values = change.clone(),
    }
}

#[test]
fn without_values_everything_that_is_missing_is_said_at_once() {
    let complaint = template("release", "queues", &json!({})).unwrap_err();
    assert!(complaint.contains("- clusterName is required: a name for this cluster"), "{complaint}");
    assert!(complaint.contains("- image.repository is required: the image"), "{complaint}");
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    for (change, words) in [
        (json!({"replicas": 2, "leaderElection": {"enabled": false}}), "replicas: more than one needs leaderElection"),
        (json!({"serviceAccount": {"create": false}}), "serviceAccount.name is required with serviceAccount.create"),
        (
            json!({"metrics": {"service": {"enabled": false}, "serviceMonitor": {"enabled": true}}}),
            "metrics.serviceMonitor.enabled=true needs metrics.service.enabled=true",
        ),
        (
            json!({"injection": {"enabled": true, "certificates": {"source": "Secret", "caBundle": "x"}}}),
            "injection.certificates.secretName is required with source=Secret",
        ),
        (
            json!({"injection": {"enabled": true, "certificates": {"source": "Secret", "secretName": "x"}}}),
            "injection.certificates.caBundle is required with source=Secret",
        ),
    ] {
        let complaint = refusal(&change);
        assert!(complaint.contains(words), "{change}: {complaint}");
    }
}

#[test]
fn bad_values_are_refused_with_their_path() {
    for (change, words) in [
        (json!({"clusterName": 1}), "at '/clusterName': got number, want string"),
        (json!({"clusterName": "a b"}), "at '/clusterName': 'a b' does not match pattern"),
        (json!({"previousClusterUid": "o_d"}), "at '/previousClusterUid': 'o_d' does not match pattern"),
        (json!({"namePrefix": "a_"}), "at '/namePrefix': 'a_' does not match pattern"),
        (json!({"aws": {"region": "Frankfurt"}}), "at '/aws/region': 'Frankfurt' does not match pattern"),
        (json!({"aws": {"endpointUrl": "sqs"}}), "at '/aws/endpointUrl': 'sqs' does not match pattern"),
        (json!({"resync": 10}), "at '/resync': got number, want string"),
        (json!({"emptyFor": "soon"}), "at '/emptyFor': 'soon' does not match pattern"),
        (json!({"concurrency": 0}), "at '/concurrency': minimum: got 0, want 1"),
        (json!({"concurrency": 257}), "at '/concurrency': maximum: got 257, want 256"),
        (json!({"replicas": "two"}), "at '/replicas': got string, want integer"),
        (json!({"http": {"port": 80}}), "at '/http/port': minimum: got 80, want 1,024"),
        (json!({"log": {"format": "xml"}}), "at '/log/format': value must be one of 'text', 'json'"),
        (json!({"admissionPolicies": {"enabled": "no"}}), "at '/admissionPolicies/enabled': got string, want boolean"),
        (json!({"rbac": {"classReaders": ["me"]}}), "at '/rbac/classReaders/0': got string, want object"),
        (json!({"rbac": {"classReaders": [{"kind": "User"}]}}), "at '/rbac/classReaders/0': missing property 'name'"),
        (
            json!({"injection": {"failurePolicy": "Open"}}),
            "at '/injection/failurePolicy': value must be one of 'Fail', 'Ignore'",
        ),
        (json!({"injection": {"timeoutSeconds": 3}}), "at '/injection/timeoutSeconds': minimum: got 3, want 4"),
        (json!({"injection": {"port": 443}}), "at '/injection/port': minimum: got 443, want 1,024"),
        (
            json!({"injection": {"certificates": {"source": "Vault"}}}),
            "at '/injection/certificates/source': value must be one of 'Operator', 'CertManager', 'Secret'",
        ),
        (json!({"image": {"digest": "latest"}}), "at '/image/digest': 'latest' does not match pattern"),
    ] {
        let complaint = refusal(&change);
        assert!(complaint.contains(words), "{change}: {complaint}");
    }
}

/// A misspelt value must not be ignored, wherever it stands.
#[test]
fn unknown_values_are_refused_in_every_section() {
    for section in SECTIONS {
        let mut values = everything();
        let Some(Value::Object(fields)) = values.pointer_mut(section) else { panic!("{section} is a section") };
        fields.insert("typo".to_owned(), json!(true));
        let complaint = template("release", "queues", &values).expect_err(section);
        let words = format!("at '{section}': additional properties 'typo' not allowed");
        assert!(complaint.contains(&words), "{complaint}");
    }
}

/// A parent chart hands `global` to every chart below it.
#[test]
fn the_chart_can_be_a_dependency_of_another() {
    let mut values = required();
    values["global"] = json!({"team": "platform"});
    template("release", "queues", &values).expect("`global` is accepted");
}
