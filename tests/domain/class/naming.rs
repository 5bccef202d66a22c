//! How a class names queues.

use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::api::class::ClassNaming;
use prism_queue::api::queue::QueueType;
use prism_queue::domain::names::{MAX_LENGTH, Naming, QueueName};

use super::{desired_in, prod};
use crate::fixtures::paths;

fn naming(value: Value) -> Result<Naming, String> {
    let naming: ClassNaming = serde_json::from_value(value).unwrap();
    Naming::of_class(Some(&naming)).map_err(|error| error.to_string())
}

fn default_name(value: Value) -> String {
    naming(value).unwrap().queue("media", "orders", QueueType::Standard).to_string()
}

#[test]
fn a_template_says_what_stands_before_the_namespace_and_the_name() {
    assert_eq!(default_name(json!({})), "media_orders");
    assert_eq!(default_name(json!({"prefix": "acme-"})), "acme-media_orders");
    assert_eq!(
        default_name(json!({"prefix": "acme-", "template": "{prefix}prod-{namespace}_{name}"})),
        "acme-prod-media_orders"
    );
    assert_eq!(default_name(json!({"template": "eu-{namespace}_{name}"})), "eu-media_orders");
    let dead_letter = naming(json!({"prefix": "p-"})).unwrap().dead_letter("media", "orders", QueueType::Fifo);
    assert_eq!(dead_letter.as_str(), "p-media_orders_dlq.fifo");
}

#[test]
fn a_template_in_which_two_queues_could_meet_is_refused() {
    for template in ["", "{prefix}{name}", "{namespace}-{name}", "{namespace}_{name}-x", "{name}_{namespace}"] {
        let error = naming(json!({"template": template})).unwrap_err();
        assert!(error.starts_with("spec.naming.template: ") && error.contains("{namespace}_{name}"), "{error}");
    }
    for template in ["a_{namespace}_{name}", "{other}{namespace}_{name}"] {
        assert!(naming(json!({"template": template})).unwrap_err().starts_with("spec.naming: "), "{template}");
    }
}

#[test]
fn what_a_template_begins_with_leaves_room_for_names() {
    let twice = |length: usize| json!({"prefix": "x".repeat(length), "template": "{prefix}{prefix}{namespace}_{name}"});
    assert!(naming(twice(20)).is_ok());
    assert!(naming(twice(21)).unwrap_err().contains("42 characters"));
}

#[test]
fn a_custom_name_has_not_the_shape_of_another_namespaces_whatever_the_template() {
    let class = prod(&json!({
        "naming": {"prefix": "acme-", "template": "{prefix}prod-{namespace}_{name}"},
        "limits": {"queueNamePattern": ".*"},
    }));
    let named = |name: &str| desired_in(&class, json!({"queueName": name}));
    assert_eq!(paths(&named("acme-prod-billing_orders").unwrap_err()), ["spec.queueName"]);
    assert!(named("acme-prod-media_other").is_ok() && named("acme-billing").is_ok());
}

proptest! {
    #[test]
    fn no_two_queues_meet_in_one_name(
        beginning in "[a-zA-Z0-9-]{0,40}",
        one in ("[a-z0-9]{1,40}", "[a-z0-9]{1,40}"),
        other in ("[a-z0-9]{1,40}", "[a-z0-9]{1,40}"),
    ) {
        let naming = naming(json!({"template": format!("{beginning}{{namespace}}_{{name}}")})).unwrap();
        let name = |(namespace, name): &(String, String)| naming.queue(namespace, name, QueueType::Standard);
        prop_assert_eq!(one == other, name(&one) == name(&other));
        prop_assert!(name(&one).as_str().len() <= MAX_LENGTH);
        prop_assert!(QueueName::parse(name(&one).as_str()).is_ok());
        let theirs = naming.queue(&one.0, &one.1, QueueType::Standard);
        prop_assert!(one.0 == other.0 || naming.is_shaped_like_another_namespaces(&theirs, &other.0));
    }
}
