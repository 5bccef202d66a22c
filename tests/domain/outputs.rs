//! api.md, "Outputs".

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::api::queue::QueueType;
use prism_queue::domain::outputs::{
    Coordinates, ObservedOutput, Output, OutputChange, OutputKind, OutputSettings, output_changes, type_word,
};

use crate::fixtures::*;

fn coordinates() -> Coordinates {
    Coordinates {
        url: url("media_orders"),
        arn: arn("media_orders"),
        name: "media_orders".to_owned(),
        queue_type: QueueType::Standard,
        region: REGION.to_owned(),
        dead_letter_url: Some(url("dead")),
        dead_letter_arn: Some(arn("dead")),
    }
}

fn rendered(outputs: &Value) -> Vec<Output> {
    OutputSettings::of(&queue("orders", json!({"outputs": outputs})), &class()).render(&coordinates())
}

fn named(outputs: &Value) -> Vec<(OutputKind, String)> {
    rendered(outputs).into_iter().map(|output| (output.kind, output.name)).collect()
}

fn seen(output: &Output) -> ObservedOutput {
    ObservedOutput { output: output.clone(), labelled: true }
}

fn delete(kind: OutputKind, name: &str) -> OutputChange {
    OutputChange::Delete { kind, name: name.to_owned() }
}

const ALL: fn() -> Value = || json!({"configMap": {"mode": "Enabled"}, "binding": {"mode": "Enabled"}});

#[test]
fn a_secret_is_on_and_everything_else_off() {
    assert_eq!(named(&json!({})), [(OutputKind::Secret, "orders-queue".to_owned())]);
}

#[test]
fn every_output_has_a_switch_and_a_name() {
    assert_eq!(named(&json!({"secret": {"mode": "Disabled"}})), []);
    let text = |text: &str| text.to_owned();
    assert_eq!(
        named(&ALL()),
        [
            (OutputKind::Secret, text("orders-queue")),
            (OutputKind::ConfigMap, text("orders-queue")),
            (OutputKind::Secret, text("orders-binding")),
        ]
    );
    assert_eq!(
        named(&json!({"secret": {"name": "s"}, "configMap": {"mode": "Enabled", "name": "c"}})),
        [(OutputKind::Secret, text("s")), (OutputKind::ConfigMap, text("c"))]
    );
}

#[test]
fn secret_and_config_map_hold_the_same_keys() {
    let expected = map([
        ("QUEUE_URL", &url("media_orders")),
        ("QUEUE_ARN", &arn("media_orders")),
        ("QUEUE_NAME", "media_orders"),
        ("QUEUE_TYPE", "Standard"),
        ("QUEUE_REGION", REGION),
        ("DEAD_LETTER_QUEUE_URL", &url("dead")),
        ("DEAD_LETTER_QUEUE_ARN", &arn("dead")),
    ]);
    let all = rendered(&ALL());
    assert_eq!((&all[0].data, all[0].secret_type.as_str()), (&expected, "Opaque"));
    assert_eq!((&all[1].data, all[1].secret_type.as_str()), (&expected, ""));
}

#[test]
fn the_binding_is_what_the_service_binding_specification_wants() {
    let binding = &rendered(&ALL())[2];
    assert_eq!(binding.secret_type, "servicebinding.io/sqs");
    assert_eq!(
        binding.data,
        map([
            ("type", "sqs"),
            ("provider", "aws"),
            ("uri", &url("media_orders")),
            ("queue-name", "media_orders"),
            ("region", REGION),
        ])
    );
}

#[test]
fn every_key_stands_behind_the_prefix() {
    let prefixed = rendered(&json!({"secret": {"keyPrefix": "IMAGES_"}}));
    assert_eq!(prefixed[0].data["IMAGES_QUEUE_URL"], url("media_orders"));
    assert!(prefixed[0].data.keys().all(|key| key.starts_with("IMAGES_")));
}

#[test]
fn without_a_dead_letter_queue_there_are_no_keys_for_one() {
    let without = Coordinates { dead_letter_url: None, dead_letter_arn: None, ..coordinates() };
    let keys = OutputSettings::of(&queue("orders", empty()), &class()).render(&without)[0].data.len();
    assert_eq!(keys, 5);
}

#[test]
fn types_are_spelled_as_in_the_spec() {
    assert_eq!((type_word(QueueType::Standard), type_word(QueueType::Fifo)), ("Standard", "FIFO"));
}

#[test]
fn an_edited_output_is_repaired() {
    let desired = rendered(&json!({}));
    let mut edited = seen(&desired[0]);
    edited.output.data.insert("QUEUE_URL".to_owned(), "https://evil".to_owned());
    assert_eq!(output_changes(&desired, &[edited]), [OutputChange::Write(desired[0].clone())]);
    let mut more = seen(&desired[0]);
    more.output.data.insert("AWS_REGION".to_owned(), "us-east-1".to_owned());
    assert_eq!(output_changes(&desired, &[more]), [OutputChange::Write(desired[0].clone())]);
}

#[test]
fn an_output_that_lost_its_label_gets_it_back() {
    let desired = rendered(&json!({}));
    let unlabelled = ObservedOutput { labelled: false, ..seen(&desired[0]) };
    assert_eq!(output_changes(&desired, &[unlabelled]), [OutputChange::Write(desired[0].clone())]);
}

#[test]
fn a_renamed_output_takes_the_old_one_away() {
    let (old, new) = (rendered(&json!({})), rendered(&json!({"secret": {"name": "new"}})));
    assert_eq!(
        output_changes(&new, &[seen(&old[0])]),
        [OutputChange::Write(new[0].clone()), delete(OutputKind::Secret, "orders-queue")],
        "workloads keep what they have until there is something in its place"
    );
}

#[test]
fn an_output_turned_off_is_removed_and_only_that_kind_of_object() {
    let all: Vec<ObservedOutput> = rendered(&ALL()).iter().map(seen).collect();
    let without = rendered(
        &json!({"secret": {"mode": "Disabled"}, "configMap": {"mode": "Enabled"}, "binding": {"mode": "Enabled"}}),
    );
    assert_eq!(output_changes(&without, &all), [delete(OutputKind::Secret, "orders-queue")]);
}

#[test]
fn a_secret_of_the_wrong_type_is_replaced() {
    let desired = rendered(&json!({}));
    let mut retyped = seen(&desired[0]);
    retyped.output.secret_type = "servicebinding.io/sqs".to_owned();
    assert_eq!(
        output_changes(&desired, &[retyped]),
        [delete(OutputKind::Secret, "orders-queue"), OutputChange::Write(desired[0].clone())]
    );
}

proptest! {
    /// Whatever `keyPrefix` the CRD lets through.
    #[test]
    fn no_key_begins_with_aws(prefix in "([A-Za-z_][A-Za-z0-9_]{0,8})?|AWS|AW|A") {
        prop_assume!(!prefix.starts_with("AWS_"));
        for output in rendered(&json!({"secret": {"keyPrefix": prefix}, "configMap": {"mode": "Enabled", "keyPrefix": prefix}})) {
            prop_assert!(output.data.keys().all(|key| !key.starts_with("AWS_")), "{:?}", output.data);
        }
    }

    /// Whatever is there: after the changes, exactly what is desired is.
    #[test]
    fn after_the_changes_all_is_as_desired(
        found in proptest::collection::btree_map(
            (proptest::sample::select(&[OutputKind::Secret, OutputKind::ConfigMap][..]),
             proptest::sample::select(&["orders-queue", "orders-binding", "other"][..])),
            ("[xy]?", any::<bool>(), proptest::sample::select(&["", "Opaque", "servicebinding.io/sqs"][..])),
            0..5,
        ),
        with_all in any::<bool>(),
    ) {
        let desired = rendered(&if with_all { ALL() } else { json!({"secret": {"mode": "Disabled"}}) });
        let found: Vec<ObservedOutput> = found.into_iter().map(|((kind, name), (value, labelled, secret_type))| ObservedOutput {
            output: Output { kind, name: name.to_owned(), secret_type: secret_type.to_owned(), data: map([("QUEUE_URL", &value)]) },
            labelled,
        }).collect();
        let mut after: BTreeMap<(OutputKind, String), ObservedOutput> =
            found.iter().map(|seen| ((seen.output.kind, seen.output.name.clone()), seen.clone())).collect();
        for change in output_changes(&desired, &found) {
            match change {
                OutputChange::Write(output) => _ = after.insert((output.kind, output.name.clone()), seen(&output)),
                OutputChange::Delete { kind, name } => _ = after.remove(&(kind, name)),
            }
        }
        let after: Vec<ObservedOutput> = after.into_values().collect();
        prop_assert_eq!(after.len(), desired.len());
        prop_assert!(desired.iter().all(|output| after.contains(&seen(output))));
        prop_assert_eq!(output_changes(&desired, &after), vec![]);
    }
}

/// Service Binding specification 1.1, "Provisioned Service".
#[test]
fn a_queue_is_a_provisioned_service() {
    let crd = serde_json::to_value(prism_queue::api::crd::queue().unwrap()).unwrap();
    assert_eq!(crd["metadata"]["labels"]["servicebinding.io/provisioned-service"], "true");
    let name = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/binding/properties/name/type";
    assert_eq!(crd.pointer(name).unwrap(), "string");

    let binding = rendered(&json!({"binding": {"mode": "Enabled"}})).pop().unwrap();
    assert_eq!(binding.secret_type, format!("servicebinding.io/{}", binding.data["type"]));
    assert!(!binding.data["provider"].is_empty());
    // What the specification reserves is what it says: `uri` is a URI, and nothing else of its names is there.
    assert!(binding.data["uri"].starts_with("https://"));
    for reserved in ["host", "port", "username", "password", "certificates", "private-key"] {
        assert!(!binding.data.contains_key(reserved), "{reserved}");
    }
    let is_file_name =
        |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c));
    assert!(binding.data.keys().all(|key| is_file_name(key)));
}
