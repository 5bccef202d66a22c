//! The admission webhook as the chart makes it: off unless asked for, about annotated Pods only, and each part where the others look for it.

use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use prism_queue::webhook::{CONFIGURATION, FAIL, IGNORE};

use crate::cluster::{eventually, scratch};
use crate::helm::{kind, only, render, template};
use crate::values::{injecting, required};

const INJECT: &str = "queue.prism.io/inject";

fn named<'a>(objects: &'a [DynamicObject], wanted: &str, name: &str) -> &'a DynamicObject {
    let mut found = objects.iter().filter(|object| kind(object) == wanted);
    let found = found.find(|object| object.metadata.name.as_deref() == Some(name));
    found.unwrap_or_else(|| panic!("there is a {wanted} {name}"))
}

fn webhook(rendered: &[DynamicObject]) -> &Value {
    let webhooks = &only(rendered, "MutatingWebhookConfiguration").data["webhooks"];
    assert_eq!(webhooks.as_array().unwrap().len(), 1);
    &webhooks[0]
}

fn pod_spec(rendered: &[DynamicObject]) -> &Value {
    &only(rendered, "Deployment").data["spec"]["template"]["spec"]
}

fn arguments(rendered: &[DynamicObject]) -> Vec<&str> {
    pod_spec(rendered)["containers"][0]["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[test]
fn nothing_of_it_is_there_unless_it_is_asked_for() {
    let text = template("release", "queues", &required()).unwrap();
    for word in ["webhook", "injection", "cert-manager"] {
        let used = text.lines().find(|line| line.contains(word) && !line.contains("description"));
        assert_eq!(used, None, "{word}");
    }
}

/// Closed or open is one choice: for a webhook that cannot be reached, and for what the webhook itself says.
#[test]
fn the_path_says_what_the_failure_policy_says() {
    for (policy, path) in [("Fail", FAIL), ("Ignore", IGNORE)] {
        let rendered = render("release", "queues", &injecting(&json!({"failurePolicy": policy})));
        assert_eq!(webhook(&rendered)["failurePolicy"], policy);
        assert_eq!(webhook(&rendered)["clientConfig"]["service"]["path"], path);
    }
    let rendered = render("release", "queues", &injecting(&json!({})));
    assert_eq!(webhook(&rendered)["failurePolicy"], "Fail", "what is annotated gets its environment or is not made");
}

/// From the API server's call to the container's port.
#[test]
fn the_webhook_is_called_where_it_answers_and_by_the_name_in_its_certificate() {
    let long = "a".repeat(63);
    for values in [injecting(&json!({"port": 7000})), {
        let mut values = injecting(&json!({"port": 7000}));
        values["fullnameOverride"] = json!(long);
        values
    }] {
        let rendered = render("release", "queues", &values);
        let target = &webhook(&rendered)["clientConfig"]["service"];
        let (name, namespace) = (target["name"].as_str().unwrap(), target["namespace"].as_str().unwrap());
        assert!(name.len() <= 63 && name.ends_with("-webhook"), "{name}");
        let service = named(&rendered, "Service", name);
        assert_eq!(service.metadata.namespace.as_deref(), Some(namespace));
        let port = &service.data["spec"]["ports"][0];
        assert_eq!(port["port"], target["port"]);
        let ports = pod_spec(&rendered)["containers"][0]["ports"].as_array().unwrap();
        let container = ports.iter().find(|of| of["name"] == port["targetPort"]).expect("the port has a name");
        assert_eq!(container["containerPort"], 7000);
        let labels = &only(&rendered, "Deployment").data["spec"]["template"]["metadata"]["labels"];
        for (key, value) in service.data["spec"]["selector"].as_object().unwrap() {
            assert_eq!(&labels[key], value);
        }
        assert!(arguments(&rendered).contains(&"--webhook-address=0.0.0.0:7000"));
        assert!(arguments(&rendered).contains(&format!("--webhook-host={name}.{namespace}.svc").as_str()));
    }
}

#[test]
fn the_operator_knows_the_configuration_by_its_name() {
    for (release, namespace) in [("release", "queues"), ("other", "default")] {
        let rendered = render(release, namespace, &injecting(&json!({})));
        assert_eq!(only(&rendered, "MutatingWebhookConfiguration").metadata.name.as_deref(), Some(CONFIGURATION));
    }
}

#[test]
fn a_network_policy_lets_the_api_server_in() {
    let mut values = injecting(&json!({}));
    values["networkPolicy"] = json!({"enabled": true, "metricsFrom": [{"podSelector": {}}]});
    let rendered = render("release", "queues", &values);
    let ingress = &only(&rendered, "NetworkPolicy").data["spec"]["ingress"];
    assert_eq!(ingress[1], json!({"ports": [{"port": "webhook", "protocol": "TCP"}]}));
    assert_eq!(ingress[0]["ports"], json!([{"port": "http", "protocol": "TCP"}]));
}

/// The folder that the operator reads holds the Secret that somebody writes.
fn mounted_secret(rendered: &[DynamicObject]) -> &str {
    let spec = pod_spec(rendered);
    let mount = &spec["containers"][0]["volumeMounts"][0];
    let folder = format!("--webhook-certificate-dir={}", mount["mountPath"].as_str().unwrap());
    assert!(arguments(rendered).contains(&folder.as_str()), "{folder}");
    assert!(!arguments(rendered).iter().any(|argument| argument.starts_with("--webhook-host")));
    let volumes = spec["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).expect("a volume");
    volume["secret"]["secretName"].as_str().unwrap()
}

#[test]
fn cert_manager_issues_the_certificate_and_tells_the_api_server_whom_to_trust() {
    for (issuer, made) in [(json!({}), 2), (json!({"kind": "ClusterIssuer", "name": "internal"}), 0)] {
        let values = injecting(&json!({"certificates": {"source": "CertManager", "issuerRef": issuer}}));
        let rendered = render("release", "queues", &values);
        let configuration = only(&rendered, "MutatingWebhookConfiguration");
        let from = &configuration.metadata.annotations.as_ref().unwrap()["cert-manager.io/inject-ca-from"];
        let (namespace, name) = from.split_once('/').unwrap();
        assert_eq!(namespace, "queues");
        let certificate = named(&rendered, "Certificate", name);
        let service = webhook(&rendered)["clientConfig"]["service"]["name"].as_str().unwrap();
        assert_eq!(certificate.data["spec"]["dnsNames"], json!([format!("{service}.queues.svc")]));
        assert_eq!(certificate.data["spec"]["secretName"], mounted_secret(&rendered));
        assert_eq!(rendered.iter().filter(|object| kind(object) == "Issuer").count(), made);
        let issuer = &certificate.data["spec"]["issuerRef"];
        if made == 0 {
            assert_eq!(issuer["name"], "internal");
            continue;
        }
        // What is trusted outlives what is shown, so that no renewal is seen by one before the other.
        let authority = named(&rendered, "Issuer", issuer["name"].as_str().unwrap());
        let secret = &authority.data["spec"]["ca"]["secretName"];
        let mut certificates = rendered.iter().filter(|object| kind(object) == "Certificate");
        let root = certificates.find(|object| object.data["spec"]["secretName"] == *secret).expect("an authority");
        assert_eq!(root.data["spec"]["isCA"], true);
        let root_issuer = named(&rendered, "Issuer", root.data["spec"]["issuerRef"]["name"].as_str().unwrap());
        assert_eq!(root_issuer.data["spec"], json!({"selfSigned": {}}));
    }
}

#[test]
fn a_secret_of_ones_own_is_mounted_and_its_issuer_trusted() {
    let source = json!({"source": "Secret", "secretName": "mine", "caBundle": "-----BEGIN"});
    let rendered = render("release", "queues", &injecting(&json!({"certificates": source})));
    assert_eq!(mounted_secret(&rendered), "mine");
    assert_eq!(webhook(&rendered)["clientConfig"]["caBundle"], "LS0tLS1CRUdJTg==");
    assert!(rendered.iter().all(|object| !["Issuer", "Certificate"].contains(&kind(object))));
}

#[test]
fn namespaces_of_ones_choice_are_narrowed_further() {
    let own = json!({"matchLabels": {"team": "media"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]});
    let rendered = render("release", "queues", &injecting(&json!({"namespaceSelector": own})));
    let selector = &webhook(&rendered)["namespaceSelector"];
    assert_eq!(selector["matchLabels"], own["matchLabels"]);
    assert_eq!(selector["matchExpressions"][0], own["matchExpressions"][0]);
    let values = &selector["matchExpressions"][1]["values"];
    assert_eq!(*values, json!(["kube-system", "queues"]));
}

/// By the API server itself, with nobody answering: who is asked about fails.
#[tokio::test]
async fn no_pod_but_an_annotated_one_is_ever_concerned() {
    scratch(&[], async |scratch| {
        let rendered = render(&scratch.name, &scratch.name, &injecting(&json!({})));
        scratch.apply(only(&rendered, "MutatingWebhookConfiguration")).await;
        let create = async |namespace: &str, annotations: Value| {
            let pods: Api<Pod> = Api::namespaced(scratch.client.clone(), namespace);
            let accounts: Api<ServiceAccount> = Api::namespaced(scratch.client.clone(), namespace);
            let is_there = async || accounts.get_opt("default").await.unwrap().is_some();
            eventually("a ServiceAccount", is_there, |there| *there).await;
            let mut pod = json!({
                "metadata": {"name": "pod", "annotations": annotations},
                "spec": {"containers": [{"name": "main", "image": "example.com/app"}]},
            });
            if annotations.get("kubernetes.io/config.mirror").is_some() {
                pod["spec"]["nodeName"] = json!("node");
            }
            let params = PostParams { dry_run: true, ..PostParams::default() };
            let created = pods.create(&params, &serde_json::from_value(pod).unwrap()).await;
            created.map(|_| ()).map_err(|error| error.to_string())
        };
        let asking = json!({INJECT: "orders"});
        let refusal = async || create("default", asking.clone()).await.err().unwrap_or_default();
        eventually("an annotated Pod is asked about", refusal, |said| said.contains("inject.queue.prism.io")).await;
        let mirror = json!({INJECT: "orders", "kubernetes.io/config.mirror": "x"});
        for (namespace, annotations) in [
            ("default", json!(null)),
            ("default", json!({"queue.prism.io/injected": "x"})),
            ("default", mirror),
            ("kube-system", asking.clone()),
            (&scratch.name, asking),
        ] {
            let created = create(namespace, annotations.clone()).await;
            assert_eq!(created, Ok(()), "{namespace} {annotations}");
        }
    })
    .await;
}
