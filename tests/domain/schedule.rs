//! When a Queue is worked on: own writes cost no pass, news do.

use std::collections::HashSet;

use jiff::SignedDuration;

use prism_queue::api::{ALLOW_MESSAGE_LOSS, Queue, RECONCILE_AT};
use prism_queue::controller::queue::Outcome;
use prism_queue::controller::schedule::{Gate, Schedule};
use prism_queue::domain::observed::Memory;
use prism_queue::runtime::metrics;

use crate::fixtures::*;

const REST: i64 = 600;

fn version(mut queue: Queue, version: &str) -> Queue {
    queue.metadata.resource_version = Some(version.to_owned());
    queue
}

/// A pass over `before` that left `after`, with a memory to know again.
fn pass(schedule: &Schedule, before: &Queue, after: &Queue) {
    assert!(is_open(schedule, before, 0));
    let outcome = Outcome {
        requeue: seconds(REST),
        kind: metrics::Outcome::Converged,
        superseded: if before == after {
            Vec::new()
        } else {
            before.metadata.resource_version.iter().cloned().collect()
        },
        newest: after.clone(),
    };
    schedule.leave(before, Memory { attempts: 3, ..Memory::default() }, &outcome, now());
}

fn is_open(schedule: &Schedule, queue: &Queue, after: i64) -> bool {
    matches!(schedule.enter(queue, now() + seconds(after)), Gate::Open(_))
}

fn wait(schedule: &Schedule, queue: &Queue, after: i64) -> Option<SignedDuration> {
    match schedule.enter(queue, now() + seconds(after)) {
        Gate::Closed(wait) => Some(wait),
        Gate::Open(_) => None,
    }
}

/// A schedule after a pass that wrote a status.
fn after_a_pass() -> (Schedule, Queue, Queue) {
    let (schedule, before) = (Schedule::default(), queue("orders", empty()));
    let after = version(before.clone().finalized().with_status(|status| status.observed_generation = Some(1)), "2");
    pass(&schedule, &before, &after);
    (schedule, before, after)
}

#[test]
fn a_queue_that_nobody_worked_on_is_worked_on() {
    assert!(is_open(&Schedule::default(), &queue("orders", empty()), 0));
}

#[test]
fn own_writes_cost_no_pass() {
    let (schedule, _, after) = after_a_pass();
    assert_eq!(wait(&schedule, &after, 0), Some(seconds(REST)));
    assert_eq!(wait(&schedule, &after, REST - 1), Some(seconds(1)), "until it is due");
    assert!(is_open(&schedule, &after, REST));
}

#[test]
fn a_cache_that_is_behind_our_own_write_is_waited_for() {
    let (schedule, before, after) = after_a_pass();
    assert_eq!(wait(&schedule, &before, 0), Some(seconds(1)));
    assert_eq!(wait(&schedule, &before, 10 * REST), Some(seconds(1)), "an old object is never worked on, however late");
    schedule.call_for(&before);
    assert_eq!(wait(&schedule, &before, 0), Some(seconds(1)), "nor when it is called for");
    assert!(is_open(&schedule, &after, 0), "which is remembered");
}

#[test]
fn a_status_or_a_label_of_others_is_no_news() {
    let (schedule, _, after) = after_a_pass();
    let mut touched = version(after, "3").annotated("kubectl.kubernetes.io/last-applied-configuration", "{}");
    touched.metadata.labels = Some(map([("team", "media")]));
    let touched = touched.with_status(|status| status.queue_url = Some("x".to_owned()));
    assert_eq!(wait(&schedule, &touched, 0), Some(seconds(REST)));
}

#[test]
fn what_matters_of_an_object_is_worked_on_at_once() {
    let (schedule, _, after) = after_a_pass();
    let newer = version(after, "3");
    let mut edited = newer.clone();
    edited.metadata.generation = Some(2);
    let mut robbed = newer.clone();
    robbed.metadata.finalizers = None;
    for (news, what) in [
        (edited, "its spec"),
        (robbed, "its finalizer"),
        (newer.clone().deleting(), "its deletion"),
        (newer.clone().annotated(RECONCILE_AT, "now"), "now, please"),
        (newer.clone().annotated(ALLOW_MESSAGE_LOSS, "messageRetentionSeconds=60"), "a loss that is allowed"),
    ] {
        let (schedule, _, _) = after_a_pass();
        assert!(is_open(&schedule, &news, 0), "{what}");
    }
    assert!(!is_open(&schedule, &newer, 0), "and nothing else");
}

#[test]
fn what_it_depends_on_makes_the_next_turn_a_real_one_once() {
    let (schedule, _, after) = after_a_pass();
    schedule.call_for(&after);
    assert!(is_open(&schedule, &after, 0));
    pass_again(&schedule, &after);
    assert!(!is_open(&schedule, &after, 0));
}

#[test]
fn a_call_during_a_pass_is_not_lost() {
    let (schedule, _, after) = after_a_pass();
    assert!(is_open(&schedule, &after, REST));
    schedule.call_for(&after);
    pass_again(&schedule, &after);
    assert!(is_open(&schedule, &after, 0));
}

fn pass_again(schedule: &Schedule, queue: &Queue) {
    let outcome = Outcome {
        requeue: seconds(REST),
        kind: metrics::Outcome::Converged,
        superseded: Vec::new(),
        newest: queue.clone(),
    };
    schedule.leave(queue, Memory::default(), &outcome, now());
}

#[test]
fn what_is_remembered_is_handed_to_the_next_pass() {
    let (schedule, _, after) = after_a_pass();
    let Gate::Open(memory) = schedule.enter(&after, now() + seconds(REST)) else { panic!("closed") };
    assert_eq!(memory.attempts, 3);
}

#[test]
fn a_queue_of_the_same_name_made_anew_is_another_queue() {
    let (schedule, _, after) = after_a_pass();
    let reborn = after.uid("c0ffee00-0000-4000-8000-000000000002");
    let Gate::Open(memory) = schedule.enter(&reborn, now()) else { panic!("closed") };
    assert_eq!(memory.attempts, 0);
}

#[test]
fn what_is_gone_is_forgotten_and_what_lives_is_kept() {
    let (schedule, _, after) = after_a_pass();
    schedule.keep(&HashSet::from([UID.to_owned()]));
    assert!(!is_open(&schedule, &after, 0));
    schedule.keep(&HashSet::new());
    let Gate::Open(memory) = schedule.enter(&after, now()) else { panic!("closed") };
    assert_eq!(memory.attempts, 0);
}
