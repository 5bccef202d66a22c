//! `drift.mode: Report`: changes from outside are told, changes of what is declared are applied.

use serde_json::{Value, json};

use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::class::Class;
use prism_queue::domain::digest::sha256;
use prism_queue::domain::observed::Sight;
use prism_queue::domain::plan::Step;
use prism_queue::domain::report::Verdict;

use super::prod;
use crate::fixtures::*;

const SOURCE: &str = "media_orders";
const DEAD_LETTER: &str = "media_orders_dlq";

fn reporting() -> Class {
    prod(&json!({"drift": {"mode": "Report"}}))
}

/// A Queue that was applied, and after that, an hour ago, changed from outside.
fn changed_outside() -> World {
    let mut world = World::of(queue("orders", json!({"tags": {"team": "media"}}))).with_class(reporting()).settled();
    world.present(SOURCE).attributes.settings.insert(Attribute::DelaySeconds, "7".to_owned());
    world.present(DEAD_LETTER).attributes.settings.remove(&Attribute::MessageRetentionPeriod);
    world.present(SOURCE).tags.insert("team".to_owned(), "somebody's".to_owned());
    world.later(seconds(3600))
}

#[test]
fn changes_from_outside_are_told_and_left() {
    let mut world = changed_outside();
    let plan = world.plan();
    assert_eq!((step_names(&plan), reasons(&plan)), (vec![], vec![]));
    assert_eq!(
        plan.differences,
        [
            "media_orders_dlq: MessageRetentionPeriod is not set, declared is 1209600",
            "media_orders: DelaySeconds is 7, declared is 0",
            "media_orders: the tag team is \"somebody's\", declared is \"media\"",
        ]
    );
    let verdict = Verdict::of_plan(&world.desired(), &plan, Vec::new());
    let conditions = verdict.conditions(&[], Some(1), world.now);
    let told: Vec<(&str, &str)> = conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str())).collect();
    assert_eq!(told, [("Ready", "True"), ("Propagated", "True"), ("Drifted", "True")]);
    assert!(!verdict.ready.1.contains("is as declared"), "{}", verdict.ready.1);
    // It stays so.
    world.settle();
    assert_eq!(world.plan().differences, plan.differences);
}

#[test]
fn a_class_that_repairs_repairs() {
    let mut world = changed_outside().with_class(prod(&json!({})));
    let plan = world.settle();
    assert_eq!(plan.differences, [""; 0]);
    assert_eq!(world.present(SOURCE).attributes.settings[&Attribute::DelaySeconds], "0");
    assert_eq!(world.queue.status.as_ref().unwrap().applied_digest, None);
}

#[test]
fn a_change_of_the_spec_is_applied_once_and_then_told_of_again() {
    let mut world = changed_outside().edited(json!({"visibilityTimeoutSeconds": 9, "tags": {"team": "media"}}));
    let plan = world.settle();
    assert_eq!(plan.differences, [""; 0]);
    let settings = world.present(SOURCE).attributes.settings.clone();
    assert_eq!(settings[&Attribute::VisibilityTimeout], "9");
    world.present(SOURCE).attributes.settings.insert(Attribute::VisibilityTimeout, "10".to_owned());
    world.now += seconds(3600);
    let plan = world.plan();
    assert_eq!(step_names(&plan), [""; 0]);
    assert_eq!(plan.differences, ["media_orders: VisibilityTimeout is 10, declared is 9"]);
}

#[test]
fn a_change_of_the_class_is_a_change_of_what_is_declared() {
    let class = prod(&json!({"drift": {"mode": "Report"}, "defaults": {"delaySeconds": 3}, "tags": {"unit": "x"}}));
    let mut world = changed_outside().with_class(class);
    world.settle();
    assert_eq!(world.present(SOURCE).attributes.settings[&Attribute::DelaySeconds], "3");
    assert_eq!(world.present(SOURCE).tags["unit"], "x");
}

#[test]
fn what_was_not_applied_in_full_yet_is_not_taken_for_a_change_from_outside() {
    let world = World::of(queue("orders", empty())).with_class(reporting()).recorded();
    assert_eq!(step_names(&world.plan()), ["CreateQueue"]);
    let held = World::of(queue("orders", json!({"messageRetentionSeconds": 3600})))
        .with_class(reporting())
        .settled()
        .holding(SOURCE, 1)
        .edited(json!({"messageRetentionSeconds": 60, "delaySeconds": 1}));
    let mut held = held.later(seconds(3600));
    held.settle();
    assert_eq!(held.queue.status.as_ref().unwrap().applied_digest, None, "a change is held back");
    held.present(SOURCE).attributes.settings.insert(Attribute::DelaySeconds, "0".to_owned());
    held.now += seconds(3600);
    assert_eq!(step_names(&held.plan()), ["SetAttributes"]);
}

#[test]
fn a_change_that_is_taken_back_half_way_is_taken_back_in_aws_too() {
    let first = json!({"tags": {"team": "media"}});
    let mut world = changed_outside().edited(json!({"visibilityTimeoutSeconds": 9, "tags": {"team": "media"}}));
    // A process that ends here wrote something, and said nothing about it in status.
    for expected in ["Record", "SetAttributes"] {
        let plan = world.plan();
        assert_eq!(step_names(&plan)[0], expected);
        world.carry_out(&plan);
    }
    let mut world = world.edited(first).later(seconds(3600));
    world.settle();
    assert_eq!(world.present(SOURCE).attributes.settings[&Attribute::VisibilityTimeout], "300");
}

#[test]
fn trouble_in_between_makes_no_change_from_outside_a_declared_one() {
    let mut world = changed_outside();
    // A pass in which AWS could not be read leaves Ready false, and says nothing about the declaration.
    world.record.was_converged = false;
    assert_eq!(step_names(&world.plan()), [""; 0]);
}

#[test]
fn a_queue_deleted_from_outside_is_missed_and_not_made_again() {
    let world = changed_outside().seeing(SOURCE, Sight::Absent);
    let plan = world.plan();
    assert_eq!((step_names(&plan), reasons(&plan)), (vec![], vec!["NotFound"]));
    assert!(plan.differences.contains(&"media_orders does not exist".to_owned()));
    assert!(plan.findings[0].is_stalled);
    let plan = world.edited(json!({"delaySeconds": 1, "tags": {"team": "media"}})).recorded().plan();
    assert!(plan.steps.iter().any(|step| matches!(step, Step::CreateQueue { .. })), "{:?}", plan.steps);
}

#[test]
fn what_aws_does_not_read_back_yet_is_no_change_from_outside() {
    let mut world = World::of(queue("orders", empty())).with_class(reporting()).settled();
    world = world.edited(json!({"delaySeconds": 5}));
    world.settle();
    world.present(SOURCE).attributes.settings.insert(Attribute::DelaySeconds, "0".to_owned());
    let plan = world.plan();
    assert_eq!((plan.differences.len(), plan.awaiting.len()), (0, 1));
}

#[test]
fn what_the_operator_wrote_down_before_there_were_policies_is_still_true() {
    let world = World::of(queue("orders", empty())).with_class(reporting()).settled();
    let desired = world.desired();
    let queues = std::iter::once(&desired.source).chain(desired.managed_dead_letter());
    let declared = queues.map(|queue| {
        let attributes =
            queue.attributes.iter().map(|(attribute, value)| (attribute.as_str().to_owned(), json!(value)));
        json!([queue.arn.to_string(), attributes.collect::<serde_json::Map<_, _>>(), queue.tags])
    });
    assert_eq!(
        desired.digest(),
        sha256(&declared.collect::<Value>().to_string()),
        "or reported drift would be repaired"
    );
}
