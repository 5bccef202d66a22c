//! The operator's Pods under Pod Security admission.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::cluster::{Scratch, scratch};
use crate::helm::{only, render};
use crate::values::{everything, required};

const RESTRICTED: [(&str, &str); 1] = [("pod-security.kubernetes.io/enforce", "restricted")];

/// The Pod that the Deployment would make, in the test's namespace.
fn pod(scratch: &Scratch, rendered: &[DynamicObject]) -> Value {
    let template = &only(rendered, "Deployment").data["spec"]["template"];
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "operator",
            "namespace": scratch.name,
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"]
        },
        "spec": template["spec"]
    })
}

#[tokio::test]
async fn the_operator_runs_where_only_restricted_pods_may() {
    scratch(&RESTRICTED, async |scratch| {
        for values in [required(), everything()] {
            let rendered = render(&scratch.name, &scratch.name, &values);
            scratch.apply(only(&rendered, "ServiceAccount")).await;
            let pod = pod(scratch, &rendered);
            scratch.dry_run(&serde_json::from_value(pod).unwrap()).await.expect("a restricted Pod");
        }
    })
    .await;
}

/// The other test proves nothing where the API server lets every Pod pass.
#[tokio::test]
async fn pod_security_admission_is_at_work() {
    scratch(&RESTRICTED, async |scratch| {
        let rendered = render(&scratch.name, &scratch.name, &required());
        scratch.apply(only(&rendered, "ServiceAccount")).await;
        let mut pod = pod(scratch, &rendered);
        pod["spec"]["containers"][0]["securityContext"]["capabilities"] = json!({});
        let refusal = scratch.dry_run(&serde_json::from_value(pod).unwrap()).await.unwrap_err();
        assert!(refusal.contains("violates PodSecurity \"restricted"), "{refusal}");
    })
    .await;
}

#[test]
fn the_operator_cannot_write_to_its_root_and_asks_for_its_token_itself() {
    let rendered = render("release", "queues", &required());
    let pod = &only(&rendered, "Deployment").data["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(pod["automountServiceAccountToken"], true);
    assert_eq!(only(&rendered, "ServiceAccount").data["automountServiceAccountToken"], false);
}
