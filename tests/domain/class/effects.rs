//! What a class does to its Queues: tags, place, outputs, deletion.

use serde_json::{Value, json};

use prism_queue::api::conditions::Reason;
use prism_queue::domain::class::{Class, FLAGS};
use prism_queue::domain::deletion::plan_deletion_without_class;
use prism_queue::domain::desired::{Desired, Refusal};
use prism_queue::domain::field::FieldError;
use prism_queue::domain::fleet::{Fleet, Key};
use prism_queue::domain::names::QueueName;
use prism_queue::domain::observed::Record;
use prism_queue::domain::outputs::OutputKind;
use prism_queue::domain::plan::{Step, outputs_on_record};
use prism_queue::domain::tags::Origin;

use super::{desired_in, object, prod, with_labels};
use crate::fixtures::*;

fn elsewhere() -> Class {
    prod(&json!({"aws": {"region": "us-east-1", "accountId": ACCOUNT}}))
}

fn named(name: &str, spec: &Value) -> Class {
    Class::of(&object(name, spec), &class(), &map([])).unwrap()
}

#[test]
fn tags_of_the_class_win_over_labels_and_labels_over_the_queues_own() {
    let class = with_labels(
        &json!({"tags": {"a": "class"}, "tagsFromNamespaceLabels": {"a": "label", "b": "label"}}),
        [("label", "label")],
    );
    let own = json!({"tags": {"a": "own", "b": "own", "c": "own"}});
    let desired = desired_in(&class, own).unwrap();
    let all = tags([("a", "class"), ("b", "label"), ("c", "own")]);
    assert_eq!((&desired.source.tags, &desired.managed_dead_letter().unwrap().tags), (&all, &all));
}

#[test]
fn all_tags_together_are_no_more_than_sqs_takes() {
    let many = |prefix: &str, count: usize| {
        (0..count).map(|n| (format!("{prefix}-{n}"), json!("x"))).collect::<serde_json::Map<_, _>>()
    };
    let class = prod(&json!({"tags": many("class", 10)}));
    assert!(desired_in(&class, json!({"tags": many("own", 35)})).is_ok());
    let refusal = desired_in(&class, json!({"tags": many("own", 36)})).unwrap_err();
    assert_eq!(paths(&refusal), ["spec.tags"]);
    assert!(
        refusal.message().contains("46 tags with the 10 of class \"prod\"; SQS allows 50"),
        "{}",
        refusal.message()
    );
    // Of the same key, one counts.
    assert!(desired_in(&class, json!({"tags": many("class", 36)})).is_ok());
}

#[test]
fn the_spec_of_a_class_in_another_place_never_moves_a_queue() {
    let queue = queue("orders", empty()).existing();
    let refusal = |class: &Class| Desired::of(&queue, class, &Fleet::of([&queue], class)).unwrap_err();
    let moved = refusal(&elsewhere());
    assert_eq!((moved.reason, paths(&moved)), (Reason::TargetChanged, vec!["status.target"]));
    assert!(
        moved.message().contains("class \"prod\" now points to us-east-1; name a class of that place"),
        "{}",
        moved.message()
    );
    assert_eq!(refusal(&prod(&json!({"naming": {"prefix": "p-"}}))).reason, Reason::TargetChanged);

    let mut made_under_class = queue.clone();
    made_under_class.status.as_mut().unwrap().target.as_mut().unwrap().queue_class_name = "old".to_owned();
    let class = elsewhere();
    let moved = Desired::of(&made_under_class, &class, &Fleet::of([&made_under_class], &class)).unwrap_err();
    assert!(moved.message().contains("set spec.queueClassName: old, or move"), "{}", moved.message());
}

#[test]
fn a_class_of_the_same_place_and_names_takes_the_place_of_another() {
    let world = World::of(queue("orders", empty())).settled();
    assert_eq!(world.record.target.as_ref().unwrap().queue_class_name, FLAGS);
    let mut world = world.with_class(prod(&json!({})));
    let plan = world.plan();
    let [Step::Record { target, .. }] = &plan.steps[..] else { panic!("{:?}", plan.steps) };
    assert_eq!(target.queue_class_name, "prod");
    world.carry_out(&plan);
    assert_eq!(step_names(&world.plan()), [""; 0]);
}

#[test]
fn a_queue_that_only_observes_is_of_its_new_class_too() {
    let world = World::of(queue("orders", empty())).settled().edited(json!({"managementPolicy": "Observe"}));
    let mut world = world.with_class(prod(&json!({})));
    world.settle();
    assert_eq!(world.queue.status.unwrap().target.unwrap().queue_class_name, "prod");
}

#[test]
fn the_workload_gets_the_endpoint_of_its_class_without_prefix() {
    let class =
        prod(&json!({"aws": {"region": REGION, "accountId": ACCOUNT, "workloadEndpointUrl": "https://sqs.internal"}}));
    let keys = |class: &Class, spec: Value| {
        let world = World::of(queue("orders", spec)).with_class(class.clone()).settled();
        let data = world.observed.outputs[0].output.data.clone();
        (data.get("AWS_ENDPOINT_URL_SQS").cloned(), data.keys().filter(|key| key.starts_with("AWS_")).count())
    };
    let spec = json!({"outputs": {"secret": {"keyPrefix": "ORDERS_"}}});
    assert_eq!(keys(&class, spec.clone()), (Some("https://sqs.internal".to_owned()), 1));
    assert_eq!(keys(&prod(&json!({})), spec), (None, 0));
}

#[test]
fn the_outputs_of_a_class_are_defaults_too() {
    let class =
        prod(&json!({"defaults": {"outputs": {"configMap": {"mode": "Enabled"}, "secret": {"mode": "Disabled"}}}}));
    let kinds = |class: Class, spec: Value| {
        let world = World::of(queue("orders", spec)).with_class(class).settled();
        world.observed.outputs.iter().map(|seen| seen.output.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(class.clone(), empty()), [OutputKind::ConfigMap]);
    assert_eq!(kinds(class, json!({"outputs": {"configMap": {"mode": "Disabled"}}})), []);
}

#[test]
fn a_refused_queue_keeps_its_outputs_and_another_class_changes_nothing_of_them() {
    let class = prod(&json!({"limits": {"delaySeconds": {"max": 0}}}));
    let mut world = World::of(queue("orders", empty())).with_class(class.clone()).settled();
    world.queue.spec = serde_json::from_value(json!({"delaySeconds": 1})).unwrap();
    let refusal = Desired::of(&world.queue, &class, &world.fleet()).unwrap_err();
    world.observed.outputs.clear();
    let steps = |class: &Class| outputs_on_record(&world.queue, class, &refusal, &world.observed, &world.memory);
    assert!(matches!(&steps(&class)[..], [Step::WriteOutput(_)]), "it is repaired");
    let other = named("other", &json!({"defaults": {"outputs": {"configMap": {"mode": "Enabled"}}}}));
    assert_eq!(steps(&other), []);
}

#[test]
fn an_adopted_queue_is_deleted_only_when_its_own_spec_says_so_whatever_the_class() {
    let class =
        prod(&json!({"defaults": {"deletionPolicy": "Delete"}, "limits": {"adoptionPolicies": ["Never", "Adopt"]}}));
    let first_steps = |spec: Value, origin: Origin| {
        let mut world = World::of(queue("orders", spec)).with_class(class.clone()).settled();
        world.present("media_orders").tags = owner("orders").tags(origin);
        world.queue = world.queue.deleting();
        world.record = Record::of(&world.queue);
        step_names(&world.plan_deletion()).first().copied()
    };
    assert_eq!(first_steps(empty(), Origin::Created), Some("DeleteQueue"), "the default counts for what we made");
    assert_eq!(first_steps(empty(), Origin::Adopted), Some("UntagQueue"));
    assert_eq!(first_steps(json!({"deletionPolicy": "Delete"}), Origin::Adopted), Some("DeleteQueue"));
}

#[test]
fn a_retired_dead_letter_queue_that_was_adopted_is_let_go_whatever_the_class() {
    let class = prod(&json!({"defaults": {"deletionPolicy": "Delete"}}));
    let mut world = World::of(queue("orders", empty())).with_class(class).settled();
    world.present("media_orders_dlq").tags = owner("orders").tags(Origin::Adopted);
    let mut world = world.edited(json!({"deadLetter": {"mode": "None"}}));
    world.settle();
    let left = world.observed.queues.get("media_orders_dlq").and_then(|sight| sight.present()).unwrap();
    assert!(left.tags.is_empty(), "released: {:?}", left.tags);
}

#[test]
fn a_deletion_without_a_class_waits_and_has_a_way_out() {
    let refusal = Refusal {
        reason: Reason::ClassNotFound,
        errors: vec![FieldError::new("spec.queueClassName", "there is no QueueClass \"prod\"; it is waited for")],
    };
    let plan = |spec: Value| {
        let mut queue = queue("orders", empty()).existing().deleting();
        queue.spec = serde_json::from_value(spec).unwrap();
        plan_deletion_without_class(&queue, &Record::of(&queue), &refusal)
    };
    let waiting = plan(empty());
    assert_eq!((step_names(&waiting), reasons(&waiting)), (vec![], vec!["ClassNotFound"]));
    assert!(
        waiting.findings[0].message.ends_with("set spec.deletionPolicy: Retain") && !waiting.findings[0].is_stalled
    );
    for spec in [json!({"deletionPolicy": "Retain"}), json!({"suspend": true})] {
        let left = plan(spec);
        assert_eq!(step_names(&left), ["RemoveFinalizer"]);
        assert!(left.left_behind[0].starts_with("media_orders was left as it is, with its owner tags"));
    }
    let observing = plan(json!({"managementPolicy": "Observe"}));
    assert!(step_names(&observing) == ["RemoveFinalizer"] && observing.left_behind.is_empty());
}

#[test]
fn two_queues_may_have_one_name_in_two_places() {
    let here = queue("a", json!({"queueName": "shared"})).uid("a");
    let there = queue("b", json!({"queueName": "shared"})).uid("b").younger_by(1);
    let us_east = class().in_region("us-east-1");
    let rival = |class: &Class| {
        let mut fleet = Fleet::default();
        fleet.put(&here, &self::class());
        fleet.put(&there, class);
        fleet.rival(&Key::of(&there), &QueueName::parse("shared").unwrap()).map(|member| member.key.name.clone())
    };
    assert_eq!((rival(&class()), rival(&us_east)), (Some("a".to_owned()), None));
}

#[test]
fn who_may_not_have_a_name_claims_it_from_nobody() {
    let squatter = queue("a", json!({"queueName": "shared"})).uid("a");
    let rightful = queue("b", json!({"queueName": "shared"})).uid("b").younger_by(1);
    let mut fleet = Fleet::default();
    fleet.put(&squatter, &prod(&json!({})));
    fleet.put(&rightful, &class());
    assert!(fleet.rival(&Key::of(&rightful), &QueueName::parse("shared").unwrap()).is_none());
    // Once it has been made, a limit that came later changes nothing about whose it is.
    fleet.put(&squatter.existing(), &prod(&json!({})));
    assert!(fleet.rival(&Key::of(&rightful), &QueueName::parse("shared").unwrap()).is_some());
}

#[test]
fn a_queue_without_a_class_is_known_by_where_its_queue_lives() {
    let dead = queue("dead", empty()).existing();
    let mut fleet = Fleet::default();
    fleet.put(&dead, None);
    assert_eq!(fleet.get(&Key::of(&dead)).unwrap().arn, arn("media_dead"));
    fleet.put(&queue("new", empty()), None);
    assert!(fleet.get(&Key::of(&queue("new", empty()))).is_none());
}

#[test]
fn a_dead_letter_queue_is_in_the_place_of_its_source() {
    let dead = queue("dead", empty()).existing();
    let source =
        queue("orders", json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}}));
    let class = elsewhere();
    let mut fleet = Fleet::default();
    fleet.put(&dead, &self::class());
    fleet.put(&source, &class);
    let refusal = Desired::of(&source, &class, &fleet).unwrap_err();
    assert_eq!(paths(&refusal), ["spec.deadLetter.reference.queueRef"]);
    assert!(refusal.message().contains("lives in account 123456789012 in eu-central-1"), "{}", refusal.message());
    assert!(fleet.allowed_sources(&Key::of(&dead)).is_empty(), "nor is it let in");
}
