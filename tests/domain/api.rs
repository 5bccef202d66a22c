//! The CRD and the words of the API.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use prism_queue::api::conditions::{ConditionType, EventReason, Reason};
use prism_queue::api::{Queue, QueueClass, QueueSpec, crd};

fn schema() -> Value {
    schema_of(&crd::queue().unwrap())
}

fn schema_of(crd: &CustomResourceDefinition) -> Value {
    serde_json::to_value(crd).unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// The schemas of all kinds.
fn schemas() -> [Value; 2] {
    [crd::queue(), crd::queue_class()].map(|crd| schema_of(&crd.unwrap()))
}

/// Calls `visit` with the path and the schema of every field below `schema`.
fn fields<'a>(schema: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, field);
        fields(field, &path, visit);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            fields(&schema[inner], &format!("{path}[]"), visit);
        }
    }
}

#[test]
fn only_type_has_a_default_and_an_unseen_object_is_not_taken_for_current() {
    let unseen = || (".status".to_owned(), json!({"observedGeneration": -1}));
    let expected = [vec![(".spec.type".to_owned(), json!("Standard")), unseen()], vec![unseen()]];
    for (schema, expected) in schemas().iter().zip(expected) {
        let mut defaults = Vec::new();
        fields(schema, "", &mut |path, field| {
            if let Some(default) = field.get("default") {
                defaults.push((path.to_owned(), default.clone()));
            }
        });
        assert_eq!(defaults, expected);
    }
}

#[test]
fn kubectl_explain_has_a_text_for_every_field() {
    let mut silent = Vec::new();
    for schema in schemas() {
        fields(&schema, "", &mut |path, field| {
            let text = field["description"].as_str().unwrap_or_default();
            let is_of_kubernetes = [".apiVersion", ".kind", ".metadata"].contains(&path);
            if text.len() < 5 && !is_of_kubernetes {
                silent.push(path.to_owned());
            }
        });
    }
    assert_eq!(silent, [""; 0]);
}

#[test]
fn a_field_is_explained_by_itself_and_not_by_its_type() {
    let schema = schema();
    let spec = &schema["properties"]["spec"]["properties"];
    assert!(spec["deletionPolicy"]["description"].as_str().unwrap().ends_with("Omitted: DeleteIfEmpty."));
    assert!(spec["type"]["description"].as_str().unwrap().starts_with("Standard or FIFO. Immutable"));
}

#[test]
fn no_null_and_no_unknown_format_is_in_the_schema() {
    for schema in schemas() {
        fields(&schema, "", &mut |path, field| {
            assert!(field.get("nullable").is_none(), "{path} is nullable");
            assert!(!field["enum"].as_array().into_iter().flatten().any(Value::is_null), "{path} may be null");
            if let Some(format) = field["format"].as_str() {
                assert!(["int32", "int64", "date-time"].contains(&format), "{path}: {format}");
            }
        });
    }
}

#[test]
fn what_comes_in_later_issues_is_not_in_the_crd() {
    let schema = schema();
    let spec = &schema["properties"]["spec"]["properties"];
    assert!(spec.get("alarms").is_none());
    let access: BTreeSet<&String> = spec["access"]["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        access.into_iter().collect::<Vec<_>>(),
        ["allowedNamespaces", "consumers", "producers", "requireTLS", "statements"]
    );
}

#[test]
fn a_queue_is_served_as_decided() {
    let crd = serde_json::to_value(crd::queue().unwrap()).unwrap();
    assert_eq!(crd["metadata"]["name"], crd::QUEUES);
    assert_eq!(crd["spec"]["names"]["shortNames"], json!(["pq"]));
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    assert_eq!(crd["spec"]["versions"][0]["name"], "v1alpha1");
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Type", "Ready", "Reason", "Messages", "Dead Letters", "Age", "Suspended", "URL"]);
    let wide = |name: &str| columns.iter().any(|column| column["name"] == name && column["priority"] == 1);
    assert!(wide("URL") && !wide("Age"));
}

#[test]
fn a_class_is_served_as_decided() {
    let crd = serde_json::to_value(crd::queue_class().unwrap()).unwrap();
    assert_eq!(crd["metadata"]["name"], crd::QUEUE_CLASSES);
    assert_eq!(crd["spec"]["names"]["shortNames"], json!(["pqc"]));
    assert_eq!(crd["spec"]["scope"], "Cluster");
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Default", "Account", "Region", "Ready", "Reason", "Queues", "Age", "Role"]);
}

#[test]
fn the_defaults_of_a_class_are_a_closed_type_without_identity_adoption_name_or_reference() {
    let schema = schema_of(&crd::queue_class().unwrap());
    let mut paths = Vec::new();
    fields(&schema["properties"]["spec"]["properties"]["defaults"], "", &mut |path, _| paths.push(path.to_owned()));
    let forbidden =
        ["name", "queueName", "reference", "adoptionPolicy", "managementPolicy", "statements", "sourceQueueArns"];
    let found: Vec<_> =
        paths.iter().filter(|path| path.rsplit('.').next().is_some_and(|f| forbidden.contains(&f))).collect();
    assert_eq!(found, [""; 0]);
    // What a Queue may leave out, a class may say, but for what belongs to the Queue alone.
    let of = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let own = ["iam", "type", "queueClassName", "queueName", "tags", "adoptionPolicy", "managementPolicy", "suspend"];
    let of_queue = of(&self::schema()["properties"]["spec"]["properties"]);
    let expected: BTreeSet<String> = of_queue.into_iter().filter(|field| !own.contains(&field.as_str())).collect();
    assert_eq!(of(&schema["properties"]["spec"]["properties"]["defaults"]["properties"]), expected);
}

#[test]
fn conditions_merge_by_type() {
    for schema in schemas() {
        let conditions = &schema["properties"]["status"]["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
    }
}

fn are_words(words: &[&str]) {
    let distinct: BTreeSet<&&str> = words.iter().collect();
    assert_eq!(distinct.len(), words.len(), "a word twice: {words:?}");
    for word in words {
        let is_camel_case =
            word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(is_camel_case, "{word}: the API server wants CamelCase reasons");
    }
}

#[test]
fn each_reason_is_one_word_with_a_meaning() {
    are_words(&Reason::ALL.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>());
    are_words(&EventReason::ALL.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>());
    assert!(Reason::ALL.iter().all(|(_, meaning)| meaning.trim().len() > 10));
    assert!(EventReason::ALL.iter().all(|(_, meaning)| meaning.trim().len() > 10));
}

#[test]
fn condition_types_are_those_of_the_design() {
    let all = [
        ConditionType::Ready,
        ConditionType::Propagated,
        ConditionType::Reconciling,
        ConditionType::Stalled,
        ConditionType::Drifted,
    ];
    let words = all.map(ConditionType::as_str);
    assert_eq!(words, ["Ready", "Propagated", "Reconciling", "Stalled", "Drifted"]);
}

/// The example of api.md, without what comes in later issues.
const EXAMPLE: &str = r#"
apiVersion: queue.prism.io/v1alpha1
kind: Queue
metadata: {name: image-processing, namespace: media}
spec:
  type: FIFO
  queueClassName: prod
  queueName: media-images.fifo
  visibilityTimeoutSeconds: 300
  messageRetentionSeconds: 345600
  receiveWaitTimeSeconds: 20
  delaySeconds: 0
  maximumMessageSizeBytes: 262144
  fifo:
    contentBasedDeduplication: true
    deduplicationScope: MessageGroup
    throughputLimit: PerMessageGroupId
  deadLetter:
    mode: Managed
    maxReceiveCount: 5
    managed: {queueName: media-dead.fifo, messageRetentionSeconds: 1209600}
  redriveAllow:
    mode: Auto
    sourceQueueArns: []
  encryption:
    mode: KMS
    kms: {key: alias/media, dataKeyReuseSeconds: 300}
  access:
    requireTLS: true
    statements: []
  outputs:
    secret: {mode: Enabled, name: image-processing-queue, keyPrefix: ""}
    configMap: {mode: Disabled, name: image-processing-queue, keyPrefix: ""}
    binding: {mode: Disabled}
  tags: {team: media}
  adoptionPolicy: Never
  managementPolicy: Manage
  deletionPolicy: DeleteIfEmpty
"#;

#[test]
fn the_example_of_the_design_goes_round_unchanged() {
    let written: Value = serde_yaml::from_str(EXAMPLE).unwrap();
    let queue: Queue = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&queue).unwrap()["spec"], written["spec"]);
    assert!(crate::fixtures::desired(&queue).is_ok());
}

/// The class of api.md, without what comes in later issues.
const CLASS: &str = r#"
apiVersion: queue.prism.io/v1alpha1
kind: QueueClass
metadata:
  name: prod
  annotations: {queue.prism.io/is-default-class: "true"}
spec:
  aws:
    region: eu-central-1
    accountId: "123456789012"
    roleArn: arn:aws:iam::123456789012:role/prism-queue
    externalId: acme
    endpoints: {sqs: "https://vpce-1.sqs.eu-central-1.vpce.amazonaws.com"}
    workloadEndpointUrl: https://sqs.internal
    useFips: false
    useDualStack: false
  naming: {prefix: acme-prod-, template: "{prefix}{namespace}_{name}"}
  allowedNamespaces: {from: Selector, selector: {matchLabels: {tier: prod}}}
  tags: {cost-center: "42"}
  tagsFromNamespaceLabels: {team: team}
  defaults: {messageRetentionSeconds: 604800, deadLetter: {maxReceiveCount: 10}, encryption: {mode: KMS, kms: {key: alias/queues}}}
  limits:
    types: [Standard, FIFO]
    messageRetentionSeconds: {min: 3600, max: 1209600}
    visibilityTimeoutSeconds: {max: 3600}
    maximumMessageSizeBytes: {max: 262144}
    deadLetter: {modes: [Managed, Reference], maxReceiveCount: {min: 2, max: 20}, queueArns: []}
    encryption: {modes: [KMS], kms: {keys: [alias/queues]}}
    access: {requireTLS: true, principalAccounts: ["123456789012"], services: [sns.amazonaws.com], allowPublic: false}
    deletionPolicies: [DeleteIfEmpty, Retain]
    adoptionPolicies: [Never]
    requiredTags: [team]
    queueNamePattern: ""
  drift: {intervalSeconds: 600, mode: Repair}
"#;

#[test]
fn the_class_of_the_design_goes_round_unchanged() {
    let written: Value = serde_yaml::from_str(CLASS).unwrap();
    let class: QueueClass = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&class).unwrap()["spec"], written["spec"]);
}

#[test]
fn every_word_of_the_design_is_understood() {
    for (field, words) in [
        ("/type", &["Standard", "FIFO"][..]),
        ("/fifo/deduplicationScope", &["Queue", "MessageGroup"]),
        ("/fifo/throughputLimit", &["PerQueue", "PerMessageGroupId"]),
        ("/deadLetter/mode", &["Managed", "Reference", "None"]),
        ("/redriveAllow/mode", &["Auto", "AllowAll", "DenyAll", "ByQueue"]),
        ("/encryption/mode", &["SQSManaged", "KMS", "None"]),
        ("/outputs/secret/mode", &["Enabled", "Disabled"]),
        ("/adoptionPolicy", &["Never", "Adopt"]),
        ("/managementPolicy", &["Manage", "Observe"]),
        ("/deletionPolicy", &["DeleteIfEmpty", "Delete", "Retain"]),
    ] {
        let in_schema = field.replace('/', "/properties/");
        let offered = schema().pointer(&format!("/properties/spec{in_schema}/enum")).cloned().unwrap_or_default();
        assert_eq!(offered, json!(words), "{field}");
        for word in words {
            let mut spec = json!({});
            field[1..].split('/').fold(&mut spec, |at, part| &mut at[part]).clone_from(&json!(word));
            let read: QueueSpec = serde_json::from_value(spec).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap().pointer(field), Some(&json!(word)));
        }
    }
}

#[test]
fn an_omitted_field_stays_omitted() {
    let read: QueueSpec = serde_json::from_value(json!({})).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), json!({"type": "Standard"}));
}
