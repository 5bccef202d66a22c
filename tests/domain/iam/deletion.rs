//! The policies of a Queue that is being deleted.

use serde_json::{Value, json};

use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::iam::PolicySight;
use prism_queue::domain::observed::Record;
use prism_queue::domain::observed::Sight;
use prism_queue::domain::tags::{Origin, Tags};

use super::{arn_of, first, settled};
use crate::fixtures::*;

fn spec(deletion_policy: &str) -> Value {
    json!({"iam": {"policies": ["Send"]}, "deletionPolicy": deletion_policy, "deadLetter": {"mode": "None"}})
}

/// A Queue that was converged and is being deleted.
fn doomed(spec: Value) -> World {
    let mut world = settled(spec);
    let iam = world.queue.status.clone().unwrap().iam;
    world.queue = world.queue.existing().deleting().with_status(|status| status.iam = iam);
    world.record = Record::of(&world.queue);
    world
}

/// Its queue is gone.
fn without_queue(world: World) -> World {
    world.seeing("media_orders", Sight::Absent).later(seconds(120))
}

fn plan(world: &World) -> (Vec<&'static str>, Vec<&'static str>) {
    let plan = world.plan_deletion();
    (step_names(&plan), reasons(&plan))
}

#[test]
fn a_policy_goes_after_its_queue() {
    let world = doomed(spec("Delete"));
    assert_eq!(plan(&world), (vec!["DeleteQueue"], vec![]), "messages may be consumed until the last");
    let mut world = without_queue(world);
    for expected in [vec!["DeletePolicy"], vec!["RemoveFinalizer"]] {
        let next = world.plan_deletion();
        assert_eq!(step_names(&next), expected);
        world.carry_out(&next);
    }
}

#[test]
fn policies_are_looked_at_only_when_their_turn_has_come() {
    let mut world = doomed(spec("Delete"));
    let seen = std::mem::take(&mut world.observed.policies);
    assert!(!world.plan_deletion().needs_policies);
    let mut world = without_queue(world);
    let next = world.plan_deletion();
    assert_eq!((next.needs_policies, step_names(&next)), (true, vec![]));
    world.observed.policies = seen;
    assert_eq!(plan(&world).0, ["DeletePolicy"]);
}

#[test]
fn an_attached_policy_keeps_the_queue_object_until_it_is_detached() {
    let mut world = without_queue(doomed(spec("Delete")));
    first(&mut world).policy.attachments = 1;
    assert_eq!(plan(&world), (vec![], vec!["PolicyAttached"]));
    first(&mut world).policy.attachments = 0;
    assert_eq!(plan(&world).0, ["DeletePolicy"]);
}

#[test]
fn a_policy_that_stays_with_its_queue_is_let_go_before_it() {
    let mut world = doomed(spec("Retain"));
    first(&mut world).policy.attachments = 1;
    let next = world.plan_deletion();
    assert_eq!(step_names(&next), ["UntagPolicy", "UntagQueue"]);
    world.carry_out(&next);
    assert_eq!(first(&mut world).policy.tags, Tags::new());
    let released = (arn_of(&world, 0).to_string(), world.now);
    world.memory.released.insert(released.0, released.1);
    let next = world.plan_deletion();
    assert_eq!((step_names(&next), next.left_behind.len()), (vec!["RemoveFinalizer"], 1), "{:?}", next.left_behind);
}

#[test]
fn policies_of_an_adopted_queue_that_stays_stay_too() {
    let mut world = doomed(spec("DeleteIfEmpty"));
    world.present("media_orders").tags = owner("orders").tags(Origin::Adopted);
    assert_eq!(plan(&world).0, ["UntagPolicy", "UntagQueue"]);
}

#[test]
fn suspended_it_is_let_go_and_observed_it_is_not_even_looked_at() {
    let mut world = doomed(spec("Delete"));
    world.queue.spec.suspend = true;
    assert_eq!(plan(&world).0, ["UntagPolicy", "UntagQueue"]);
    let mut world = doomed(spec("Delete"));
    world.queue.spec =
        serde_json::from_value(json!({"managementPolicy": "Observe", "deadLetter": {"mode": "None"}})).unwrap();
    world.observed.policies.clear();
    let next = world.plan_deletion();
    assert_eq!((next.needs_policies, step_names(&next)), (false, vec!["RemoveFinalizer"]));
}

#[test]
fn a_stranger_at_the_place_is_left_and_told() {
    let mut world = without_queue(doomed(spec("Delete")));
    first(&mut world).policy.tags = Tags::new();
    let next = world.plan_deletion();
    assert_eq!(step_names(&next), ["RemoveFinalizer"]);
    assert!(next.left_behind.iter().any(|words| words.contains(":policy/")), "{:?}", next.left_behind);
}

#[test]
fn a_policy_that_may_have_been_made_just_now_is_waited_for() {
    let world = doomed(spec("Delete")).seeing("media_orders", Sight::Absent);
    let arn = arn_of(&world, 0).to_string();
    let mut world = world.later(seconds(30));
    world.observed.policies.insert(arn, PolicySight::Absent);
    assert_eq!(plan(&world), (vec![], vec!["Progressing"]));
    assert_eq!(plan(&world.later(seconds(31))).0, ["RemoveFinalizer"]);
}

#[test]
fn who_may_not_see_policies_can_still_let_the_queue_go() {
    let denied = |world: &mut World| {
        let (kind, message) = (ErrorKind::Denied, "words".to_owned());
        let error = CallError { action: "GetPolicy", kind, code: "AccessDenied".to_owned(), message };
        let arn = arn_of(world, 0).to_string();
        world.observed.policies.insert(arn, PolicySight::Failed(error));
    };
    let mut world = without_queue(doomed(spec("Delete")));
    denied(&mut world);
    assert_eq!(plan(&world), (vec![], vec!["Denied"]));
    let mut world = doomed(spec("Retain"));
    denied(&mut world);
    let next = world.plan_deletion();
    assert_eq!(step_names(&next), ["UntagQueue"]);
    assert!(next.left_behind.iter().any(|words| words.contains("AccessDenied")), "{:?}", next.left_behind);
}

#[test]
fn a_lost_status_is_made_up_for_by_the_spec() {
    let mut world = without_queue(doomed(spec("Delete")));
    world.queue.status.as_mut().unwrap().iam = None;
    world.record = Record::of(&world.queue);
    assert_eq!(plan(&world).0, ["DeletePolicy"]);
}
