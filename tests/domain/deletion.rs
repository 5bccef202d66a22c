//! The plan for a Queue that is being deleted: in a safe order, nothing on a guess, and always a way out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::domain::attributes::{Attribute, Attributes, Counts};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::deletion::Doomed;
use prism_queue::domain::names::QueueName;
use prism_queue::domain::observed::{EmptyWatch, Record, Sight};
use prism_queue::domain::plan::{Plan, Step};
use prism_queue::domain::policy::PolicyDocument;
use prism_queue::domain::retire::is_fenced;
use prism_queue::domain::tags::{Origin, Tags};

use crate::fixtures::*;

const SOURCE: &str = "media_orders";
const DEAD_LETTER: &str = "media_orders_dlq";

/// A Queue that was converged and is being deleted.
fn doomed(spec: Value) -> World {
    let mut world = World::of(queue("orders", spec)).settled();
    world.queue = world.queue.existing().deleting();
    world.record = Record::of(&world.queue);
    world
}

/// With an origin other than `created`.
fn adopted(mut world: World, name: &str) -> World {
    world.present(name).tags = owner("orders").tags(Origin::Adopted);
    world
}

/// `name` read as empty often and long enough.
fn seen_empty(world: World, name: &str) -> World {
    let (since, last) = (world.now - seconds(60), world.now);
    world.remembering(|memory| _ = memory.empty.insert(name.to_owned(), EmptyWatch { since, last, reads: 3 }))
}

fn fenced(mut world: World) -> World {
    let plan = world.plan_deletion();
    world.carry_out(&plan);
    world
}

/// What each step does, and to which queue.
fn steps(plan: &Plan) -> Vec<(&str, &str)> {
    let all = plan.steps.iter().map(|step| match step {
        Step::SetAttributes { queue, .. } | Step::UntagQueue { queue, .. } | Step::DeleteQueue { queue } => {
            (step.name(), queue.name.as_str())
        }
        other => (other.name(), ""),
    });
    all.collect()
}

fn failed(kind: ErrorKind) -> Sight {
    let words = CallError { action: "GetQueueAttributes", kind, code: String::new(), message: "words".to_owned() };
    Sight::Failed(words)
}

fn released(plan: &Plan) -> bool {
    step_names(plan) == ["RemoveFinalizer"]
}

#[test]
fn delete_if_empty_fences_before_it_looks() {
    let mut world = doomed(empty());
    let plan = world.plan_deletion();
    assert_eq!(steps(&plan), [("SetAttributes", SOURCE), ("SetAttributes", DEAD_LETTER)]);
    world.carry_out(&plan);
    for name in [SOURCE, DEAD_LETTER] {
        let present = world.present(name).clone();
        assert!(is_fenced(&present, &arn(name)));
        let policy = PolicyDocument::parse(&present.attributes.settings[&Attribute::Policy]).unwrap();
        assert_eq!(policy.statements().len(), 2, "what was there stays");
    }
    // Zeros from before the fence count for nothing.
    let unfenced = seen_empty(seen_empty(doomed(empty()), SOURCE), DEAD_LETTER);
    assert_eq!(steps(&unfenced.plan_deletion()), [("SetAttributes", SOURCE), ("SetAttributes", DEAD_LETTER)]);
}

#[test]
fn a_fence_that_does_not_show_yet_is_waited_for_and_not_written_again() {
    let open = doomed(empty());
    let mut world = open.clone();
    let plan = world.plan_deletion();
    world.carry_out(&plan);
    world.observed = open.observed;
    let plan = world.plan_deletion();
    assert_eq!((steps(&plan), reasons(&plan)), (vec![], vec!["WaitingForEmpty"]));
    assert_eq!(steps(&world.later(seconds(60)).plan_deletion()).len(), 2, "by now it would show");
}

#[test]
fn a_fenced_queue_waits_until_it_read_as_empty_for_the_time() {
    let world = fenced(doomed(empty()));
    let plan = world.plan_deletion();
    assert_eq!((steps(&plan), reasons(&plan)), (vec![], vec!["WaitingForEmpty"]));
    assert!(plan.findings[0].message.contains("must read as empty for 60 s"), "{}", plan.findings[0].message);
    assert_eq!(plan.findings[0].retry, seconds(15), "the reads are spread over the time");
    // The dead-letter queue counts too.
    assert_eq!(steps(&seen_empty(world, SOURCE).plan_deletion()), []);
}

#[test]
fn while_messages_are_there_it_waits_and_says_how_many_and_what_to_do() {
    let mut world = seen_empty(seen_empty(fenced(doomed(empty())), SOURCE), DEAD_LETTER);
    world.present(SOURCE).attributes.counts = Counts { available: 1, in_flight: 2, delayed: 3 };
    let plan = world.plan_deletion();
    assert_eq!((steps(&plan), reasons(&plan)), (vec![], vec!["WaitingForEmpty"]));
    let words = &plan.findings[0].message;
    for part in ["media_orders: 1 visible, 2 in flight, 3 delayed", "spec.deletionPolicy: Retain", "Delete to destroy"]
    {
        assert!(words.contains(part), "{words}");
    }
    assert!(!plan.findings[0].is_stalled, "it comes by itself");
}

#[test]
fn the_source_goes_first_then_is_confirmed_then_the_dead_letter_queue_is_looked_at_again() {
    let mut world = seen_empty(seen_empty(fenced(doomed(empty())), SOURCE), DEAD_LETTER);
    let plan = world.plan_deletion();
    assert_eq!(steps(&plan), [("DeleteQueue", SOURCE)]);
    let still_there = world.observed.queues[SOURCE].clone();
    world.carry_out(&plan);
    // SQS takes up to 60 s: it is not asked twice, and nothing else goes meanwhile.
    let unconfirmed = world.clone().seeing(SOURCE, still_there);
    let plan = unconfirmed.plan_deletion();
    assert_eq!((steps(&plan), reasons(&plan)), (vec![], vec!["Deleting"]));
    assert_eq!(steps(&unconfirmed.later(seconds(60)).plan_deletion()), [("DeleteQueue", SOURCE)], "it came to nothing");
    // A message that reached the dead-letter queue late is seen.
    let late = world.clone().holding(DEAD_LETTER, 1);
    assert_eq!(reasons(&late.plan_deletion()), ["WaitingForEmpty"]);
    let plan = world.plan_deletion();
    assert_eq!(steps(&plan), [("DeleteQueue", DEAD_LETTER)]);
    world.carry_out(&plan);
    assert!(released(&world.plan_deletion()));
}

#[test]
fn delete_does_not_wait_for_messages_and_keeps_the_order() {
    let mut world = doomed(json!({"deletionPolicy": "Delete"})).holding(SOURCE, 5).holding(DEAD_LETTER, 5);
    let plan = world.plan_deletion();
    assert_eq!(steps(&plan), [("DeleteQueue", SOURCE)]);
    world.carry_out(&plan);
    assert_eq!(steps(&world.plan_deletion()), [("DeleteQueue", DEAD_LETTER)]);
}

#[test]
fn retain_removes_the_owner_tags_and_nothing_else() {
    let mut world = doomed(json!({"deletionPolicy": "Retain", "tags": {"team": "media"}})).holding(SOURCE, 5);
    let before = world.present(SOURCE).attributes.clone();
    let plan = world.plan_deletion();
    assert_eq!(steps(&plan), [("UntagQueue", SOURCE), ("UntagQueue", DEAD_LETTER)]);
    world.carry_out(&plan);
    assert_eq!(world.present(SOURCE).tags, tags([("team", "media")]));
    assert_eq!(world.present(SOURCE).attributes, before, "a source that stays keeps its dead-letter queue");
    assert!(released(&world.plan_deletion()));
}

#[test]
fn retain_opens_a_queue_that_was_fenced_already() {
    let mut world = fenced(doomed(empty()));
    world.queue.spec.deletion_policy = Some(prism_queue::api::queue::DeletionPolicy::Retain);
    let plan = world.plan_deletion();
    assert_eq!(steps(&plan), [("SetAttributes", SOURCE), ("SetAttributes", DEAD_LETTER)]);
    let fenced = world.observed.clone();
    world.carry_out(&plan);
    assert!(!is_fenced(&world.present(SOURCE).clone(), &arn(SOURCE)));
    assert_eq!(steps(&world.plan_deletion()), [("UntagQueue", SOURCE), ("UntagQueue", DEAD_LETTER)]);
    // It is let go when AWS reads back that it is open, and opening it is not written again meanwhile.
    world.observed = fenced;
    let plan = world.plan_deletion();
    assert_eq!((steps(&plan), reasons(&plan)), (vec![], vec!["Deleting"; 2]));
    let plan = world.later(seconds(60)).plan_deletion();
    assert_eq!(steps(&plan), [("SetAttributes", SOURCE), ("SetAttributes", DEAD_LETTER)], "by now it would show");
}

/// A queue is let go only when it is open and nothing on its way could close it.
#[test]
fn retain_never_leaves_a_queue_closed_whatever_aws_shows() {
    enum Written {
        Nothing,
        Fence,
        Opened,
        Another,
        Unanswered,
    }
    use Written::{Another, Fence, Nothing, Opened, Unanswered};
    let spec = json!({"deletionPolicy": "Retain", "deadLetter": {"mode": "None"}});
    let source = QueueName::parse(SOURCE).unwrap();
    let text = |world: &World| world.observed.queues[SOURCE].present().unwrap().attributes.settings.clone();
    let (open, closed) = {
        let mut world = doomed(json!({"deadLetter": {"mode": "None"}}));
        let open = text(&world);
        world = fenced(world);
        (open, text(&world))
    };
    for (shown, written, step) in [
        (&open, Nothing, Some("UntagQueue")),
        (&open, Opened, Some("UntagQueue")),
        (&open, Fence, Some("SetAttributes")),
        (&open, Unanswered, Some("SetAttributes")),
        (&open, Another, None),
        (&closed, Nothing, Some("SetAttributes")),
        (&closed, Fence, Some("SetAttributes")),
        (&closed, Unanswered, Some("SetAttributes")),
        (&closed, Opened, None),
        (&closed, Another, None),
    ] {
        let mut world = doomed(spec.clone());
        world.present(SOURCE).attributes.settings.clone_from(shown);
        let policy =
            |settings: &Attributes| Attributes::from([(Attribute::Policy, settings[&Attribute::Policy].clone())]);
        let now = world.now;
        match written {
            Nothing => {}
            Fence => world.record.wrote(&source, &policy(&closed), now),
            Opened => world.record.wrote(&source, &policy(&open), now),
            Another => world.record.wrote(&source, &[(Attribute::Policy, "another".to_owned())].into(), now),
            Unanswered => world.record.wrote_perhaps(&source, &policy(&closed), now),
        }
        let plan = world.plan_deletion();
        assert_eq!(step_names(&plan), Vec::from_iter(step), "closed: {}", shown == &closed);
        if let [Step::SetAttributes { attributes, .. }] = &plan.steps[..] {
            assert_eq!(*attributes, policy(&open), "as it was before the fence");
        }
        assert_eq!(plan.steps.is_empty(), reasons(&plan) == ["Deleting"], "it is waited for, visibly");
    }
}

#[test]
fn observe_opens_what_was_being_emptied_and_lets_go() {
    let mut world = fenced(doomed(empty()));
    world.queue.spec.management_policy = Some(prism_queue::api::queue::ManagementPolicy::Observe);
    let plan = world.plan_deletion();
    assert_eq!(steps(&plan), [("SetAttributes", SOURCE), ("SetAttributes", DEAD_LETTER)]);
    world.carry_out(&plan);
    assert!(!is_fenced(&world.present(SOURCE).clone(), &arn(SOURCE)));
    assert!(released(&world.plan_deletion()), "and the owner tags stay");
}

/// SQS reads a principal that was deleted as its unique ID, and takes no policy back that names one.
#[test]
fn a_principal_that_is_gone_keeps_no_queue_from_being_closed_and_opened() {
    let mut world = doomed(json!({"deadLetter": {"mode": "None"}}));
    let of = |principal: &str| json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sqs:SendMessage", "Resource": arn(SOURCE)});
    let role = format!("arn:aws:iam::{ACCOUNT}:role/worker");
    let both = json!({"Effect": "Allow", "Principal": {"AWS": [role, "AIDAEXAMPLEEXAMPLEEXA"]}, "Action": "sqs:ReceiveMessage", "Resource": arn(SOURCE)});
    let policy = json!({"Version": "2012-10-17", "Statement": [of(&role), of("AROAEXAMPLEEXAMPLEEXA"), both]});
    world.present(SOURCE).attributes.settings.insert(Attribute::Policy, policy.to_string());
    let text = |world: &mut World| world.present(SOURCE).attributes.settings[&Attribute::Policy].clone();

    let mut world = fenced(world);
    let closed = text(&mut world);
    assert!(is_fenced(&world.present(SOURCE).clone(), &arn(SOURCE)));
    assert_eq!(PolicyDocument::parse(&closed).unwrap().statements().len(), 3, "the fence and who is there: {closed}");
    assert!(!closed.contains("EXAMPLE") && closed.matches(":role/worker").count() == 2, "{closed}");
    assert_eq!(steps(&world.plan_deletion()), [], "it is closed, and not closed again");

    world.queue.spec.deletion_policy = Some(prism_queue::api::queue::DeletionPolicy::Retain);
    let mut world = fenced(world);
    let opened = text(&mut world);
    assert_eq!(PolicyDocument::parse(&opened).unwrap().statements().len(), 2, "{opened}");
    assert_eq!(steps(&world.plan_deletion()), [("UntagQueue", SOURCE)]);
}

#[test]
fn a_queue_deleted_while_suspended_is_let_go_as_retain_does() {
    let world = doomed(json!({"deletionPolicy": "Delete", "suspend": true}));
    assert_eq!(steps(&world.plan_deletion()), [("UntagQueue", SOURCE), ("UntagQueue", DEAD_LETTER)]);
}

fn observing(spec: Value) -> World {
    let mut world = doomed(spec);
    world.queue.spec.management_policy = Some(prism_queue::api::queue::ManagementPolicy::Observe);
    world
}

#[test]
fn observe_lets_go_and_writes_nothing() {
    assert!(released(&observing(json!({"deletionPolicy": "Delete"})).plan_deletion()));
}

#[test]
fn observe_is_not_held_up_by_what_aws_denies_and_releases_nothing_that_it_cannot_read() {
    let denied = observing(empty()).seeing(SOURCE, Sight::Hidden("no access".to_owned()));
    assert!(released(&denied.plan_deletion()));
    let unreadable = observing(empty()).seeing(SOURCE, failed(ErrorKind::Transient));
    assert_eq!(steps(&unreadable.plan_deletion()), []);
}

#[test]
fn without_our_finalizer_nothing_is_done() {
    let world = doomed(empty()).recording(|record| record.has_finalizer = false);
    assert_eq!(steps(&world.plan_deletion()), []);
}

#[test]
fn an_adopted_queue_is_deleted_only_when_the_spec_says_delete() {
    for (spec, expected) in [
        (empty(), vec![("UntagQueue", SOURCE), ("UntagQueue", DEAD_LETTER)]),
        (json!({"deletionPolicy": "DeleteIfEmpty"}), vec![("UntagQueue", SOURCE), ("UntagQueue", DEAD_LETTER)]),
        (json!({"deletionPolicy": "Delete"}), vec![("DeleteQueue", SOURCE)]),
    ] {
        let world = adopted(doomed(spec), SOURCE);
        assert_eq!(steps(&world.plan_deletion()), expected);
    }
    // Who cannot tell that a queue was created takes it for adopted.
    let mut world = doomed(json!({"deadLetter": {"mode": "None"}}));
    world.present(SOURCE).tags.remove("queue.prism.io/origin");
    assert_eq!(steps(&world.plan_deletion()), [("UntagQueue", SOURCE)]);
    // An adopted dead-letter queue of a source that we made.
    let mut world = seen_empty(fenced(adopted(doomed(empty()), DEAD_LETTER)), SOURCE);
    assert!(!is_fenced(&world.present(DEAD_LETTER).clone(), &arn(DEAD_LETTER)), "what stays is not fenced");
    let plan = world.plan_deletion();
    assert_eq!(steps(&plan), [("DeleteQueue", SOURCE)]);
    world.carry_out(&plan);
    assert_eq!(steps(&world.plan_deletion()), [("UntagQueue", DEAD_LETTER)]);
}

#[test]
fn a_queue_already_gone_is_fine() {
    let world = doomed(empty()).seeing(SOURCE, Sight::Absent).seeing(DEAD_LETTER, Sight::Absent);
    assert!(released(&world.plan_deletion()));
}

#[test]
fn a_queue_that_is_not_ours_is_left_and_named() {
    for (queue_tags, what) in [(Tags::new(), "nobody's"), (owner("invoices").tags(Origin::Created), "another's")] {
        let foreign = present(SOURCE, Attributes::new(), queue_tags);
        let world =
            doomed(json!({"deletionPolicy": "Delete"})).seeing(SOURCE, foreign).seeing(DEAD_LETTER, Sight::Absent);
        let plan = world.plan_deletion();
        assert!(released(&plan), "{what}: {:?}", plan.steps);
        assert!(plan.left_behind[0].contains(SOURCE), "{:?}", plan.left_behind);
    }
}

#[test]
fn nothing_is_dropped_or_released_on_a_guess() {
    for (sight, reason) in [
        (Sight::Hidden("SQS lists it all the same".to_owned()), "Denied"),
        (failed(ErrorKind::Denied), "Denied"),
        (failed(ErrorKind::Throttled), "Throttled"),
        (failed(ErrorKind::Transient), "AWSUnavailable"),
        (Sight::Unseen, "Progressing"),
        (Sight::Appearing, "Progressing"),
    ] {
        for policy in ["DeleteIfEmpty", "Delete"] {
            for name in [SOURCE, DEAD_LETTER] {
                let world = doomed(json!({"deletionPolicy": policy})).seeing(name, sight.clone());
                let plan = world.plan_deletion();
                assert_eq!((steps(&plan), reasons(&plan)), (vec![], vec![reason]), "{policy} {name}");
            }
        }
    }
    let hidden = doomed(empty()).seeing(SOURCE, Sight::Hidden("why".to_owned())).plan_deletion();
    assert!(hidden.findings[0].message.contains("set spec.deletionPolicy: Retain"), "it tells the way out");
}

#[test]
fn retain_is_always_a_way_out() {
    let retain = || doomed(json!({"deletionPolicy": "Retain"}));
    for sight in [Sight::Hidden("why".to_owned()), failed(ErrorKind::Denied), failed(ErrorKind::KmsDenied)] {
        let world = retain().seeing(SOURCE, sight.clone()).seeing(DEAD_LETTER, sight);
        let plan = world.plan_deletion();
        assert!(released(&plan));
        assert_eq!(plan.left_behind.len(), 2, "and says what stays: {:?}", plan.left_behind);
    }
    // What is over by the next try is tried again, for a while.
    let down = failed(ErrorKind::Transient);
    let world = retain().seeing(SOURCE, down.clone()).seeing(DEAD_LETTER, down);
    assert_eq!(reasons(&world.plan_deletion()), ["AWSUnavailable"; 2]);
    let since = world.now - seconds(300);
    let mut world = world.remembering(|memory| memory.failing_since = Some(since));
    assert_eq!(
        reasons(&world.plan_deletion()),
        ["AWSUnavailable"; 2],
        "what failed before the deletion does not count"
    );
    world.queue.metadata.deletion_timestamp = Some(Time(since));
    assert!(released(&world.plan_deletion()));
}

#[test]
fn a_queue_that_lives_elsewhere_is_looked_for_nowhere_else() {
    let moved = || doomed(empty()).with_class(class().in_region("us-east-1"));
    let plan = moved().plan_deletion();
    assert_eq!((steps(&plan), reasons(&plan)), (vec![], vec!["TargetChanged"]));
    assert!(plan.findings[0].message.contains("account 123456789012 in eu-central-1"), "{}", plan.findings[0].message);
    let mut retained = moved();
    retained.queue.spec.deletion_policy = Some(prism_queue::api::queue::DeletionPolicy::Retain);
    let plan = retained.plan_deletion();
    assert!(released(&plan) && plan.left_behind.len() == 1);
}

#[test]
fn a_queue_in_use_as_dead_letter_queue_waits_for_its_sources() {
    let to = json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "orders"}}}});
    for policy in ["DeleteIfEmpty", "Delete"] {
        let world = doomed(json!({"deletionPolicy": policy})).beside(queue("user", to.clone()));
        let plan = world.plan_deletion();
        assert_eq!((steps(&plan), reasons(&plan)), (vec![], vec!["InUseAsDeadLetter"]));
        assert!(plan.findings[0].message.contains("media/user"), "{}", plan.findings[0].message);
    }
    let with_the_source = doomed(json!({"deletionPolicy": "Delete"})).beside(queue("user", to.clone()).deleting());
    assert_eq!(
        steps(&with_the_source.plan_deletion()),
        [("DeleteQueue", SOURCE)],
        "sources being deleted block nothing"
    );
    let retained = doomed(json!({"deletionPolicy": "Retain"})).beside(queue("user", to));
    assert_eq!(step_names(&retained.plan_deletion()), ["UntagQueue"; 2]);
    // Its spec points elsewhere by now, and its messages still come here.
    let wired = queue("user", json!({"deadLetter": {"mode": "None"}})).with_status(|status| {
        status.dead_letter.get_or_insert_default().queue_arn = arn(SOURCE);
    });
    let world = doomed(json!({"deletionPolicy": "Delete"})).beside(wired);
    assert_eq!(
        (step_names(&world.plan_deletion()), reasons(&world.plan_deletion())),
        (vec![], vec!["InUseAsDeadLetter"])
    );
}

// Which queues.

fn names(queue: &prism_queue::api::Queue) -> Vec<String> {
    Doomed::of(queue, &Record::of(queue), &class()).all().map(ToString::to_string).collect()
}

#[test]
fn a_deletion_answers_for_all_that_was_made() {
    let made = queue("orders", empty()).existing().with_status(|status| {
        status.retired_dead_letters = serde_json::from_value(json!([
            {"queueName": "old-dead", "retiredTime": "2026-03-01T11:00:00Z"},
            {"queueName": DEAD_LETTER, "retiredTime": "2026-03-01T11:00:00Z"},
        ]))
        .unwrap();
    });
    assert_eq!(names(&made), [SOURCE, DEAD_LETTER, "old-dead"]);
}

#[test]
fn a_status_that_was_lost_or_came_too_late_loses_no_queue() {
    assert_eq!(names(&queue("orders", empty())), [SOURCE, DEAD_LETTER]);
    let unwritten = queue("orders", empty()).with_status(|status| status.target = Some(target(SOURCE)));
    assert_eq!(names(&unwritten), [SOURCE, DEAD_LETTER]);
}

#[test]
fn the_target_on_record_counts_even_when_the_spec_is_refused_or_the_prefix_changed() {
    let recorded = queue("orders", json!({"queueName": "shop_orders"})).with_status(|status| {
        status.target = Some(target("old_orders"));
    });
    assert_eq!(names(&recorded), ["old_orders"]);
    let moved = queue("orders", json!({"deadLetter": {"mode": "None"}})).existing();
    let renamed = Doomed::of(&moved, &Record::of(&moved), &class().with_prefix("new-"));
    assert_eq!(renamed.source.unwrap().as_str(), SOURCE);
}

#[test]
fn a_referenced_dead_letter_queue_is_not_answered_for() {
    let spec = json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("legacy")}}});
    assert_eq!(names(&queue("orders", spec)), [SOURCE]);
}

fn sights(name: &'static str) -> impl Strategy<Value = Sight> {
    let owned = move |origin| present(name, Attributes::new(), owner("orders").tags(origin));
    prop_oneof![
        Just(Sight::Unseen),
        Just(Sight::Absent),
        Just(Sight::Hidden("why".to_owned())),
        Just(failed(ErrorKind::Denied)),
        Just(failed(ErrorKind::Transient)),
        Just(nobodys(name)),
        Just(created_by(&owner("invoices"), name)),
        Just(owned(Origin::Created)),
        Just(owned(Origin::Created)),
        Just(owned(Origin::Adopted)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// Whatever is there: nothing foreign is touched, nothing with messages is deleted unless the spec says so, the
    /// finalizer goes last and alone, and there is always a reason to wait.
    #[test]
    fn a_deletion_is_safe_whatever_is_there(
        source in sights(SOURCE),
        dead_letter in sights(DEAD_LETTER),
        policy in proptest::sample::select(&["DeleteIfEmpty", "Delete", "Retain"][..]),
        messages in 0_u64..2,
        is_fenced_and_seen in any::<bool>(),
        is_failing in any::<bool>(),
    ) {
        let ours = |sight: &Sight| sight.present().is_some_and(|present| present.tags.get("queue.prism.io/name").is_some_and(|name| name == "orders"));
        let adopted = |sight: &Sight| sight.present().is_some_and(|present| present.tags.get("queue.prism.io/origin").is_some_and(|origin| origin == "adopted"));
        let mut world = doomed(json!({"deletionPolicy": policy}))
            .seeing(SOURCE, source)
            .seeing(DEAD_LETTER, dead_letter);
        if is_fenced_and_seen && policy == "DeleteIfEmpty" {
            world = seen_empty(seen_empty(fenced(world), SOURCE), DEAD_LETTER);
            world.record.has_finalizer = true;
        }
        if is_failing {
            world.memory.failing_since = Some(world.now - seconds(3600));
        }
        for name in [SOURCE, DEAD_LETTER] {
            if let Some(Sight::Present(present)) = world.observed.queues.get_mut(name) {
                present.attributes.counts.available = messages;
            }
        }
        let plan = world.plan_deletion();
        for (step, name) in steps(&plan) {
            if step == "RemoveFinalizer" {
                prop_assert_eq!(plan.steps.len(), 1);
                continue;
            }
            let sight = &world.observed.queues[name];
            prop_assert!(ours(sight), "{} {}", step, name);
            if step == "DeleteQueue" {
                prop_assert!(policy == "Delete" || policy == "DeleteIfEmpty" && messages == 0 && is_fenced_and_seen);
                prop_assert!(policy == "Delete" || !adopted(sight));
                prop_assert!(name == SOURCE || !ours(&world.observed.queues[SOURCE]), "the source goes first");
            }
        }
        prop_assert!(!plan.steps.is_empty() || !plan.findings.is_empty(), "no end and nothing said");
    }
}

#[test]
fn a_fence_that_shows_but_was_taken_away_since_counts_for_nothing() {
    let mut world = fenced(doomed(empty()));
    world = seen_empty(seen_empty(world, SOURCE), DEAD_LETTER);
    let closed = world.present(SOURCE).attributes.settings[&Attribute::Policy].clone();
    let open = PolicyDocument::parse(&closed).unwrap().without_sid("PrismQueueFence").to_attribute();
    let (name, now) = (QueueName::parse(SOURCE).unwrap(), world.now);
    world.record.wrote(&name, &Attributes::from([(Attribute::Policy, open)]), now);
    // AWS still shows the fence, and the zeros were read before it went.
    assert_eq!(steps(&world.plan_deletion()), [("SetAttributes", SOURCE)]);
}
