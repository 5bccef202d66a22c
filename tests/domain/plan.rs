//! The plan for a Queue that lives.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};

use prism_queue::api::conditions::EventReason;
use prism_queue::api::conditions::Reason;
use prism_queue::api::status::RetiredDeadLetter;
use prism_queue::domain::attributes::{Attribute, Attributes};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::names::QueueName;
use prism_queue::domain::observed::{EmptyWatch, PATIENCE, Sight};
use prism_queue::domain::outputs::{Output, OutputKind};
use prism_queue::domain::plan::{Plan, Step};
use prism_queue::domain::tags::{Origin, Tags};

use crate::fixtures::*;

const SOURCE: &str = "media_orders";
const DEAD_LETTER: &str = "media_orders_dlq";

fn world(spec: Value) -> World {
    World::of(queue("orders", spec))
}

fn settled(spec: Value) -> World {
    world(spec).settled()
}

fn created(plan: &Plan) -> Vec<(&str, &Attributes, &Tags)> {
    let creations = plan.steps.iter().filter_map(|step| match step {
        Step::CreateQueue { name, attributes, tags } => Some((name.as_str(), attributes, tags)),
        _ => None,
    });
    creations.collect()
}

/// What is written to which queue.
fn set(plan: &Plan) -> Vec<(&str, Vec<&str>)> {
    let writes = plan.steps.iter().filter_map(|step| match step {
        Step::SetAttributes { queue, attributes, .. } => {
            Some((queue.name.as_str(), attributes.keys().map(|attribute| attribute.as_str()).collect()))
        }
        _ => None,
    });
    writes.collect()
}

fn failing(kind: ErrorKind) -> Sight {
    let words = CallError { action: "GetQueueAttributes", kind, code: "Code".to_owned(), message: "words".to_owned() };
    Sight::Failed(words)
}

fn output_names(plan: &Plan) -> Vec<&'static str> {
    plan.outputs.iter().map(Step::name).collect()
}

fn secret(world: &World) -> &Output {
    let secret = world.observed.outputs.iter().find(|seen| seen.output.kind == OutputKind::Secret);
    &secret.expect("a Secret").output
}

// Beginning.

#[test]
fn finalizer_and_target_come_before_anything_in_aws() {
    let mut world = World::untouched(queue("orders", json!({"tags": {"team": "media"}})));
    let plan = world.plan();
    assert_eq!(step_names(&plan), ["AddFinalizer", "Record"]);
    let Step::Record { target, retired, tag_keys, .. } = &plan.steps[1] else { panic!("{:?}", plan.steps) };
    assert_eq!((target.queue_name.as_str(), target.dead_letter_queue_name.as_deref()), (SOURCE, Some(DEAD_LETTER)));
    assert_eq!((target.account_id.as_str(), target.region.as_str()), (ACCOUNT, REGION));
    assert_eq!((retired.len(), tag_keys.iter().map(String::as_str).collect::<Vec<_>>()), (0, vec!["team"]));
    world.carry_out(&plan);
    assert!(step_names(&world.plan()).contains(&"CreateQueue"));
}

#[test]
fn either_alone_is_made_up_for() {
    let lost_target = world(empty()).recording(|record| record.target = None);
    assert_eq!(step_names(&lost_target.plan()), ["Record"]);
    let lost_finalizer = world(empty()).recording(|record| record.has_finalizer = false);
    assert_eq!(step_names(&lost_finalizer.plan()), ["AddFinalizer"]);
}

#[test]
fn a_dead_letter_queue_is_on_record_before_it_is_made() {
    let mut world = settled(json!({"deadLetter": {"mode": "None"}})).edited(empty());
    let plan = world.plan();
    let [Step::Record { target, .. }] = &plan.steps[..] else { panic!("{:?}", plan.steps) };
    assert_eq!(target.dead_letter_queue_name.as_deref(), Some(DEAD_LETTER));
    world.carry_out(&plan);
    assert_eq!(step_names(&world.plan()), ["CreateQueue"]);
}

/// A default that is another by now, as after a change of the prefix, is no wish for another queue.
#[test]
fn a_dead_letter_queue_keeps_the_name_it_has_until_another_is_asked_for() {
    let named = |dead_letter: Value| json!({"queueName": "orders", "deadLetter": dead_letter});
    let renamed = |world: &World| world.clone().with_class(class().with_prefix("new-"));
    let world = settled(named(json!({})));
    assert_eq!(step_names(&renamed(&world).plan()), [""; 0]);
    assert_eq!(renamed(&world).desired().managed_dead_letter().unwrap().name.as_str(), DEAD_LETTER);
    let another = renamed(&world).edited(named(json!({"managed": {"queueName": "orders-dead"}})));
    assert_eq!(another.desired().managed_dead_letter().unwrap().name.as_str(), "orders-dead");
    // Switched off and on again it is a new one, and the one before is retired.
    let off = renamed(&world).edited(named(json!({"mode": "None"}))).settled();
    let on = off.edited(named(json!({})));
    assert_eq!(on.desired().managed_dead_letter().unwrap().name.as_str(), "new-media_orders_dlq");
    assert_eq!(retired_names(&on.recorded().record.retired), [DEAD_LETTER]);
}

#[test]
fn tag_keys_are_on_record_before_they_are_set() {
    let mut world = settled(json!({"tags": {"team": "media"}})).edited(json!({"tags": {"tier": "1"}}));
    let plan = world.plan();
    let [Step::Record { tag_keys, .. }] = &plan.steps[..] else { panic!("{:?}", plan.steps) };
    assert_eq!(tag_keys.iter().map(String::as_str).collect::<Vec<_>>(), ["team", "tier"], "and those to be removed");
    world.carry_out(&plan);
    assert_eq!(step_names(&world.plan()), ["TagQueue", "UntagQueue", "TagQueue", "UntagQueue"]);
}

#[test]
fn the_dead_letter_queue_comes_before_its_source() {
    let mut world = world(empty());
    let plan = world.plan();
    let [(name, _, tags)] = created(&plan)[..] else { panic!("{:?}", plan.steps) };
    assert_eq!(name, DEAD_LETTER);
    assert_eq!(*tags, owner("orders").tags(Origin::Created));
    world.carry_out(&plan);
    let plan = world.plan();
    let [(name, attributes, tags)] = created(&plan)[..] else { panic!("{:?}", plan.steps) };
    assert_eq!(name, SOURCE);
    assert!(attributes[&Attribute::RedrivePolicy].contains(&arn(DEAD_LETTER)));
    assert_eq!(*tags, owner("orders").tags(Origin::Created));
}

#[test]
fn a_source_is_never_wired_to_a_dead_letter_queue_that_turns_out_to_be_anothers() {
    // CreateQueue answers with the URL of a queue of the same attributes, whosever it is.
    let mut world = world(empty());
    let plan = world.plan();
    let (_, attributes, _) = created(&plan)[0];
    let foreign = present(DEAD_LETTER, attributes.clone(), Tags::new());
    assert_eq!(plan.steps.len(), 1, "the source waits until the dead-letter queue is proved ours: {:?}", plan.steps);
    world = world.seeing(DEAD_LETTER, foreign);
    assert_eq!(world.plan().steps, []);
    assert_eq!(reasons(&world.plan()), ["NotOwned"]);
}

#[test]
fn a_new_queue_settles_without_a_second_write_to_it() {
    let mut world = World::untouched(queue("orders", json!({"tags": {"team": "media"}})));
    let mut steps = Vec::new();
    while !world.plan().steps.is_empty() {
        let plan = world.plan();
        steps.extend(step_names(&plan));
        world.carry_out(&plan);
    }
    assert_eq!(steps, ["AddFinalizer", "Record", "CreateQueue", "CreateQueue"]);
    let plan = world.settle();
    assert_eq!(output_names(&plan), ["WriteOutput"]);
    assert_eq!(output_names(&world.plan()), [""; 0]);
    assert!(plan.is_there && plan.findings.is_empty() && plan.awaiting.is_empty(), "{plan:?}");
    assert_eq!(world.present(SOURCE).tags["team"], "media");
}

#[test]
fn outputs_are_written_when_the_queue_is_proved_to_be_ours() {
    let world = settled(empty());
    assert_eq!(
        secret(&world).data,
        map([
            ("QUEUE_URL", &url(SOURCE)),
            ("QUEUE_ARN", &arn(SOURCE)),
            ("QUEUE_NAME", SOURCE),
            ("QUEUE_TYPE", "Standard"),
            ("QUEUE_REGION", REGION),
            ("DEAD_LETTER_QUEUE_URL", &url(DEAD_LETTER)),
            ("DEAD_LETTER_QUEUE_ARN", &arn(DEAD_LETTER)),
        ])
    );
    let foreign = self::world(json!({"deadLetter": {"mode": "None"}})).seeing(SOURCE, nobodys(SOURCE));
    assert_eq!(output_names(&foreign.plan()), [""; 0]);
}

#[test]
fn outputs_do_not_wait_for_what_else_is_to_be_done() {
    for (what, world) in [
        ("a change", settled(empty()).edited(json!({"delaySeconds": 5}))),
        ("a queue that cannot be read", settled(empty()).seeing(DEAD_LETTER, failing(ErrorKind::Denied))),
        ("held back", settled(empty()).edited(json!({"messageRetentionSeconds": 60})).holding(SOURCE, 1)),
    ] {
        let mut world = world;
        world.observed.outputs.clear();
        assert_eq!(output_names(&world.plan()), ["WriteOutput"], "{what}");
    }
}

#[test]
fn a_queue_deleted_in_aws_is_made_again() {
    let world = settled(empty()).seeing(SOURCE, Sight::Absent);
    assert_eq!(created(&world.plan()).iter().map(|(name, ..)| *name).collect::<Vec<_>>(), [SOURCE]);
}

#[test]
fn a_queue_just_made_that_does_not_answer_is_waited_for() {
    let plan = world(empty()).seeing(DEAD_LETTER, Sight::Appearing).plan();
    assert_eq!((plan.steps.len(), reasons(&plan)), (0, vec!["Progressing"]));
    assert!(!plan.findings[0].is_stalled);
}

// Changes.

#[test]
fn a_one_field_change_is_one_write_of_that_field() {
    let world = settled(empty()).edited(json!({"delaySeconds": 5}));
    let plan = world.plan();
    assert_eq!((step_names(&plan), set(&plan)), (vec!["SetAttributes"], vec![(SOURCE, vec!["DelaySeconds"])]));
}

#[test]
fn a_removed_field_goes_back_to_its_default() {
    let plan = settled(json!({"delaySeconds": 5, "visibilityTimeoutSeconds": 9})).edited(empty()).plan();
    let Step::SetAttributes { attributes, .. } = &plan.steps[0] else { panic!("{:?}", plan.steps) };
    assert_eq!(
        *attributes,
        Attributes::from([(Attribute::DelaySeconds, "0".to_owned()), (Attribute::VisibilityTimeout, "300".to_owned())])
    );
}

#[test]
fn drift_is_repaired_and_called_so() {
    let drifted = |was_converged| {
        let mut world = settled(empty()).recording(|record| record.was_converged = was_converged);
        world.present(SOURCE).attributes.settings.insert(Attribute::DelaySeconds, "7".to_owned());
        world.now += seconds(3600);
        let plan = world.plan();
        match &plan.steps[..] {
            [Step::SetAttributes { event, .. }] => *event,
            steps => panic!("{steps:?}"),
        }
    };
    assert_eq!(drifted(true), EventReason::DriftRepaired);
    assert_eq!(drifted(false), EventReason::Updated);
}

#[test]
fn what_does_not_show_yet_is_looked_at_again_soon_and_not_written() {
    let mut world = settled(empty()).edited(json!({"delaySeconds": 5}));
    let plan = world.plan();
    world.carry_out(&plan);
    world.present(SOURCE).attributes.settings.insert(Attribute::DelaySeconds, "0".to_owned());
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.awaiting, [(QueueName::parse(SOURCE).unwrap(), Attribute::DelaySeconds)]);
    assert_eq!(plan.look_again, Some(seconds(10)));
}

#[test]
fn a_held_back_retention_lets_everything_else_go_ahead() {
    let world = settled(empty()).edited(json!({"messageRetentionSeconds": 3600, "delaySeconds": 5})).holding(SOURCE, 4);
    let plan = world.plan();
    assert_eq!(set(&plan), [(SOURCE, vec!["DelaySeconds"])]);
    assert_eq!(reasons(&plan), ["HeldBack"]);
    let words = &plan.findings[0].message;
    for part in ["holds 4 messages", "345600 s", "queue.prism.io/allow-message-loss: messageRetentionSeconds=3600"] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn tags_are_added_changed_and_removed_and_those_of_others_stay() {
    let mut world = settled(json!({"tags": {"team": "media", "tier": "1"}}))
        .edited(json!({"tags": {"team": "shop", "cost": "42"}}));
    world.present(SOURCE).tags.insert("auto".to_owned(), "tagged".to_owned());
    world.settle();
    let mut expected = owner("orders").tags(Origin::Created);
    expected.extend(tags([("team", "shop"), ("cost", "42"), ("auto", "tagged")]));
    assert_eq!(world.present(SOURCE).tags, expected);
    expected.remove("auto");
    assert_eq!(world.present(DEAD_LETTER).tags, expected);
}

#[test]
fn a_user_tag_cannot_stand_in_for_an_owner_tag() {
    let mut world = world(empty()).seeing(SOURCE, created_by(&owner("orders"), SOURCE)).settled();
    for (value, origin) in [("created", "created"), ("elsewhere", "adopted"), ("", "adopted")] {
        world.present(SOURCE).tags.insert("queue.prism.io/origin".to_owned(), value.to_owned());
        world.settle();
        assert_eq!(world.present(SOURCE).tags["queue.prism.io/origin"], origin, "{value:?}");
    }
}

// Whose queue.

#[test]
fn a_queue_that_is_not_ours_is_left_untouched_and_its_owner_named() {
    let theirs = owner("invoices").tags(Origin::Created);
    let mut elsewhere = owner("orders").tags(Origin::Created);
    elsewhere.insert("queue.prism.io/cluster".to_owned(), "staging".to_owned());
    let mut namesake = owner("orders").tags(Origin::Created);
    namesake.insert("queue.prism.io/cluster-uid".to_owned(), "cluster-0".to_owned());
    for (queue_tags, reason, words) in [
        (Tags::new(), "NotOwned", "spec.adoptionPolicy: Adopt"),
        (theirs, "NameConflict", "belongs to Queue media/invoices"),
        (elsewhere, "NotOwned", "cluster \"staging\", Queue media/orders"),
        (tags([("queue.prism.io/name", "orders")]), "NotOwned", "only queue.prism.io/name are there"),
        (namesake, "ClusterIdentityChanged", "--previous-cluster-uid cluster-0"),
    ] {
        let spec = json!({"deadLetter": {"mode": "None"}, "tags": {"team": "media"}});
        let plan = world(spec).seeing(SOURCE, present(SOURCE, Attributes::new(), queue_tags)).plan();
        assert_eq!(plan.steps, [], "{reason}");
        assert!(!plan.is_there);
        assert_eq!(reasons(&plan), [reason]);
        assert!(plan.findings[0].is_stalled, "a person must choose");
        assert!(plan.findings[0].message.contains(words), "{}", plan.findings[0].message);
    }
}

#[test]
fn adopt_takes_queues_without_owner_tags_only() {
    let adopting =
        || world(json!({"adoptionPolicy": "Adopt", "deadLetter": {"mode": "None"}, "tags": {"team": "media"}}));
    let mut world = adopting().seeing(SOURCE, present(SOURCE, Attributes::new(), tags([("auto", "tagged")])));
    let plan = world.plan();
    let mut expected = owner("orders").tags(Origin::Adopted);
    expected.insert("team".to_owned(), "media".to_owned());
    match &plan.steps[..] {
        [Step::TagQueue { tags, event: EventReason::Adopted, .. }] => assert_eq!(*tags, expected),
        steps => panic!("{steps:?}"),
    }
    world.carry_out(&plan);
    assert!(step_names(&world.plan()).contains(&"SetAttributes"), "it is made as declared once it is ours");
    assert_eq!(world.settled().present(SOURCE).tags["queue.prism.io/origin"], "adopted", "and stays adopted");
    let theirs = adopting().seeing(SOURCE, created_by(&owner("invoices"), SOURCE)).plan();
    assert_eq!((theirs.steps.len(), reasons(&theirs)), (0, vec!["NameConflict"]));
}

#[test]
fn a_cluster_that_replaces_another_takes_over_its_queues_tags() {
    let mut old = owner("orders").tags(Origin::Adopted);
    old.insert("queue.prism.io/cluster-uid".to_owned(), "cluster-0".to_owned());
    let plan = world(json!({"deadLetter": {"mode": "None"}}))
        .with_class(class().replacing("cluster-0"))
        .seeing(SOURCE, present(SOURCE, Attributes::new(), old))
        .plan();
    match &plan.steps[..] {
        [Step::TagQueue { tags, .. }] => assert_eq!(*tags, owner("orders").tags(Origin::Adopted)),
        steps => panic!("{steps:?}"),
    }
}

#[test]
fn while_no_queue_exists_the_older_queue_has_the_name() {
    let spec = json!({"queueName": "shared", "deadLetter": {"mode": "None"}});
    let rival = queue("invoices", spec.clone()).younger_by(-1);
    for sight in [Sight::Unseen, Sight::Absent] {
        let plan = world(spec.clone()).beside(rival.clone()).seeing("shared", sight).plan();
        assert_eq!((plan.steps.len(), reasons(&plan)), (0, vec!["NameConflict"]));
        assert!(plan.findings[0].message.contains("Queue media/invoices"), "{}", plan.findings[0].message);
    }
    let younger = queue("invoices", spec.clone()).younger_by(1);
    assert_eq!(created(&world(spec.clone()).beside(younger).plan()).len(), 1);
    // The owner tags win over age.
    let ours = world(spec).beside(rival).seeing("shared", created_by(&owner("orders"), "shared"));
    assert_eq!(reasons(&ours.plan()), [""; 0]);
}

#[test]
fn nothing_is_created_on_a_guess() {
    for (sight, reason) in [
        (Sight::Hidden("lists it all the same".to_owned()), "Denied"),
        (failing(ErrorKind::Denied), "Denied"),
        (failing(ErrorKind::Throttled), "Throttled"),
        (failing(ErrorKind::Transient), "AWSUnavailable"),
    ] {
        for spec in [empty(), json!({"deadLetter": {"mode": "None"}})] {
            let blocked = if spec == empty() { DEAD_LETTER } else { SOURCE };
            let plan = world(spec).seeing(blocked, sight.clone()).plan();
            assert_eq!((plan.steps.len(), reasons(&plan)), (0, vec![reason]));
        }
    }
}

#[test]
fn what_is_denied_or_hidden_is_a_persons_to_mend_only_when_it_lasts() {
    let spec = json!({"deadLetter": {"mode": "None"}});
    for sight in [Sight::Hidden("lists it all the same".to_owned()), failing(ErrorKind::Denied)] {
        for observing in [false, true] {
            let mut spec = spec.clone();
            if observing {
                spec["managementPolicy"] = json!("Observe");
            }
            let stalls = |failing_for: SignedDuration| {
                let world = world(spec.clone()).seeing(SOURCE, sight.clone());
                let since = world.now - failing_for;
                let plan = world.remembering(|memory| memory.failing_since = Some(since)).plan();
                assert_eq!(reasons(&plan), ["Denied"]);
                plan.findings[0].is_stalled
            };
            assert!(!stalls(PATIENCE - seconds(1)));
            assert!(stalls(PATIENCE));
        }
    }
}

// Dead-letter queues.

#[test]
fn a_source_that_is_there_keeps_what_it_has_while_its_dead_letter_queue_cannot_be_used() {
    let blocked = settled(json!({"deadLetter": {"mode": "None"}}))
        .edited(json!({"delaySeconds": 5}))
        .seeing(DEAD_LETTER, nobodys(DEAD_LETTER))
        .recorded();
    let plan = blocked.plan();
    assert_eq!((set(&plan), reasons(&plan)), (vec![(SOURCE, vec!["DelaySeconds"])], vec!["NotOwned"]));
}

#[test]
fn a_reference_that_is_not_ready_is_waited_for_and_the_source_is_made() {
    let spec = json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}});
    let mut world = world(spec);
    let plan = world.settle();
    assert_eq!(reasons(&plan), ["DeadLetterNotReady"]);
    assert!(!plan.findings[0].is_stalled, "it comes by itself");
    assert!(!world.present(SOURCE).attributes.settings.contains_key(&Attribute::RedrivePolicy));
}

#[test]
fn a_dead_letter_queue_that_is_not_ours_is_not_handed_to_workloads() {
    let world =
        settled(json!({"deadLetter": {"mode": "None"}})).edited(empty()).seeing(DEAD_LETTER, nobodys(DEAD_LETTER));
    let world = world.settled();
    assert!(!secret(&world).data.contains_key("DEAD_LETTER_QUEUE_URL"), "{:?}", secret(&world).data);
}

#[test]
fn a_dead_letter_queue_that_cannot_be_seen_for_a_moment_stays_in_the_secret() {
    let before = settled(empty());
    let after = before.clone().seeing(DEAD_LETTER, failing(ErrorKind::Throttled));
    assert_eq!(after.plan().steps, []);
}

fn retired_names(retired: &[RetiredDeadLetter]) -> Vec<&str> {
    retired.iter().map(|retired| retired.queue_name.as_str()).collect()
}

#[test]
fn a_dead_letter_queue_is_on_record_as_retired_before_it_is_unwired() {
    for spec in [
        json!({"deadLetter": {"mode": "None"}}),
        json!({"deadLetter": {"managed": {"queueName": "orders-dead"}}}),
        json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("legacy")}}}),
    ] {
        let mut world = settled(empty()).edited(spec.clone());
        let plan = world.plan();
        let [Step::Record { target, retired, .. }] = &plan.steps[..] else { panic!("{spec}: {:?}", plan.steps) };
        assert_eq!(retired_names(retired), [DEAD_LETTER]);
        assert_eq!(retired[0].retired_time.0, world.now);
        assert_eq!(target.dead_letter_queue_name, world.desired().target.dead_letter_queue_name);
        world.carry_out(&plan);
        let plan = world.later(seconds(60)).plan();
        assert!(!plan.steps.is_empty() && !step_names(&plan).contains(&"Record"), "{spec}: once: {:?}", plan.steps);
    }
}

/// Switched off, rewired, and in AWS no longer wired.
fn retired() -> World {
    let mut world = settled(empty()).edited(json!({"deadLetter": {"mode": "None"}})).recorded();
    let plan = world.plan();
    assert_eq!(set(&plan), [(SOURCE, vec!["RedrivePolicy"])], "unwired at once");
    assert_eq!(retired_names(&plan.retired), [DEAD_LETTER]);
    world.carry_out(&plan);
    world
}

fn seen_empty(world: World) -> World {
    let (since, last) = (world.now - seconds(60), world.now);
    world.remembering(|memory| _ = memory.empty.insert(DEAD_LETTER.to_owned(), EmptyWatch { since, last, reads: 3 }))
}

#[test]
fn a_dead_letter_queue_no_longer_wanted_is_unwired_fenced_seen_empty_and_deleted() {
    let mut world = retired();
    let plan = world.plan();
    assert_eq!(set(&plan), [(DEAD_LETTER, vec!["Policy"])], "the fence");
    world.carry_out(&plan);
    world.settle();
    let plan = world.plan();
    assert_eq!((step_names(&plan), plan.retired.len()), (vec![""; 0], 1), "it is watched");
    assert!(plan.look_again.is_some());
    let mut world = seen_empty(world);
    let plan = world.plan();
    assert_eq!(step_names(&plan), ["DeleteQueue"]);
    world.carry_out(&plan);
    assert_eq!(
        (world.settle().retired.len(), world.observed.sight(&QueueName::parse(DEAD_LETTER).unwrap())),
        (0, &Sight::Absent)
    );
}

#[test]
fn a_retired_dead_letter_queue_that_holds_messages_is_kept_whatever_the_policy() {
    for policy in ["DeleteIfEmpty", "Delete"] {
        let mut world = settled(json!({"deletionPolicy": policy}))
            .edited(json!({"deletionPolicy": policy, "deadLetter": {"mode": "None"}}));
        world.settle();
        let world = seen_empty(world).holding(DEAD_LETTER, 1);
        let plan = world.plan();
        assert_eq!((step_names(&plan), plan.retired.len()), (vec![""; 0], 1), "{policy}");
    }
}

#[test]
fn a_retired_dead_letter_queue_is_let_go_with_retain() {
    let mut world = settled(json!({"deletionPolicy": "Retain"}))
        .edited(json!({"deletionPolicy": "Retain", "deadLetter": {"mode": "None"}}));
    world.settle();
    assert_eq!(world.present(DEAD_LETTER).tags, Tags::new());
}

#[test]
fn nothing_is_retired_while_messages_may_still_go_there() {
    // The new redrive policy was accepted and the old one is still read back.
    let mut world = retired();
    let wired = json!({"deadLetterTargetArn": arn(DEAD_LETTER), "maxReceiveCount": 5}).to_string();
    world.present(SOURCE).attributes.settings.insert(Attribute::RedrivePolicy, wired);
    let plan = world.plan();
    assert_eq!((set(&plan), plan.retired.len()), (vec![], 1));
    // Nor while what is read back is older still: it names the one before.
    let older = json!({"deadLetterTargetArn": arn("media-older-dead"), "maxReceiveCount": 5}).to_string();
    world.present(SOURCE).attributes.settings.insert(Attribute::RedrivePolicy, older);
    let plan = world.plan();
    assert_eq!((set(&plan), plan.retired.len()), (vec![], 1));
    // Its successor is not ready, so it stays in use.
    let waiting = json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}});
    let plan = settled(empty()).edited(waiting).recorded().plan();
    assert_eq!((step_names(&plan), plan.retired.len()), (vec![""; 0], 1), "and in the Secret");
}

#[test]
fn a_dead_letter_queue_wanted_again_is_no_longer_retired_and_is_opened() {
    let world = retired().settled().edited(empty()).settled();
    let plan = world.plan();
    assert_eq!(plan.retired, []);
    let mut world = world;
    assert!(!world.present(DEAD_LETTER).attributes.settings[&Attribute::Policy].contains("Fence"));
    assert!(world.present(SOURCE).attributes.settings.contains_key(&Attribute::RedrivePolicy));
}

#[test]
fn a_fence_that_does_not_show_yet_is_not_written_again() {
    let mut world = retired();
    let open = world.present(DEAD_LETTER).attributes.settings.clone();
    let plan = world.plan();
    world.carry_out(&plan);
    world.present(DEAD_LETTER).attributes.settings = open;
    assert_eq!(set(&world.plan()), []);
    assert_eq!(set(&world.later(seconds(60)).plan()), [(DEAD_LETTER, vec!["Policy"])], "by now it would show");
}

// Observe.

fn observing(spec: Value) -> World {
    let mut spec = spec;
    spec["managementPolicy"] = json!("Observe");
    World::untouched(queue("orders", spec))
}

#[test]
fn observe_writes_nothing_but_outputs_and_asks_for_no_ownership() {
    let wired = json!({"deadLetterTargetArn": arn("legacy-dead"), "maxReceiveCount": 3}).to_string();
    let settings = BTreeMap::from([(Attribute::RedrivePolicy, wired), (Attribute::DelaySeconds, "9".to_owned())]);
    let mut world = observing(empty()).seeing(SOURCE, present(SOURCE, settings, Tags::new()));
    let plan = world.plan();
    assert_eq!((step_names(&plan), output_names(&plan)), (vec![], vec!["WriteOutput"]));
    assert!(plan.is_there && plan.findings.is_empty());
    assert!(plan.differences.contains(&"DelaySeconds is 9, declared is 0".to_owned()), "{:?}", plan.differences);
    world.carry_out(&plan);
    assert_eq!(output_names(&world.plan()), [""; 0]);
    assert_eq!(secret(&world).data["DEAD_LETTER_QUEUE_URL"], url("legacy-dead"), "what is there, not what is declared");
}

#[test]
fn observe_takes_the_finalizer_away() {
    let world = observing(empty()).recording(|record| record.has_finalizer = true).seeing(SOURCE, nobodys(SOURCE));
    assert_eq!(step_names(&world.plan())[0], "RemoveFinalizer");
}

#[test]
fn observe_creates_nothing_and_says_what_is_missing() {
    for sight in [Sight::Absent, Sight::Appearing] {
        let plan = observing(empty()).seeing(SOURCE, sight).plan();
        assert_eq!((plan.steps.len(), reasons(&plan)), (0, vec!["NotFound"]));
        assert!(plan.findings[0].is_stalled);
    }
    let plan = observing(empty()).seeing(SOURCE, failing(ErrorKind::Denied)).plan();
    assert_eq!(reasons(&plan), ["Denied"]);
}

#[test]
fn a_dead_letter_queue_dropped_while_observing_is_retired_on_the_way_back() {
    let observe = json!({"managementPolicy": "Observe", "deadLetter": {"mode": "None"}});
    let world = settled(empty()).edited(observe).settled();
    let mut world = world.edited(json!({"deadLetter": {"mode": "None"}}));
    let plan = world.plan();
    assert_eq!(step_names(&plan), ["AddFinalizer", "Record"]);
    world.carry_out(&plan);
    assert_eq!(retired_names(&world.record.retired), [DEAD_LETTER]);
    assert_eq!(set(&world.plan()), [(SOURCE, vec!["RedrivePolicy"])]);
}

// Policies.

#[test]
fn a_policy_refused_is_told_with_what_to_do() {
    let worker = json!({"access": {"statements": [{
        "Effect": "Allow", "Action": "sqs:ReceiveMessage",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:role/worker")},
    }]}});
    let mut world = settled(worker);
    let policy = world.present(SOURCE).attributes.settings[&Attribute::Policy].clone();
    let source = QueueName::parse(SOURCE).unwrap();
    let time = world.now;
    world.memory.was_refused(&source, Attribute::Policy, &policy, "Invalid value", time);
    let gone = policy.replace(&format!("arn:aws:iam::{ACCOUNT}:role/worker"), "AROAEXAMPLEEXAMPLEEXA");

    world.present(SOURCE).attributes.settings.remove(&Attribute::Policy);
    let refused = world.plan();
    assert_eq!((step_names(&refused), reasons(&refused)), (vec![""; 0], vec!["Refused"]));
    assert!(!refused.findings[0].is_stalled, "a principal just made takes time to be known");
    // Tried again and again, and refused each time.
    for (after, is_stalled) in [(PATIENCE - seconds(1), false), (PATIENCE, true)] {
        let mut world = world.clone().later(after);
        let time = world.now;
        world.memory.was_refused(&source, Attribute::Policy, &policy, "Invalid value", time);
        let plan = world.plan();
        assert_eq!((reasons(&plan), plan.findings[0].is_stalled), (vec!["Refused"], is_stalled), "after {after}");
    }

    world.present(SOURCE).attributes.settings.insert(Attribute::Policy, gone);
    let gone = world.plan();
    assert_eq!((step_names(&gone), reasons(&gone)), (vec![""; 0], vec!["PrincipalGone"]));
    assert!(gone.findings[0].message.contains(":role/worker"), "{}", gone.findings[0].message);
}

#[test]
fn a_queue_that_was_created_and_never_answers_is_denied_in_the_end() {
    let world = settled(empty()).seeing(SOURCE, Sight::Appearing);
    let after = |age: i64| {
        let created = world.now - seconds(age);
        let plan = world.clone().remembering(|memory| _ = memory.created.insert(SOURCE.to_owned(), created)).plan();
        (plan.findings[0].reason, plan.findings[0].retry > seconds(5))
    };
    assert_eq!(after(59), (Reason::Progressing, false));
    assert_eq!(after(60), (Reason::Denied, true));
}

#[test]
fn what_aws_may_have_refused_is_tried_by_itself_and_first() {
    let mut world = settled(json!({"delaySeconds": 7}));
    let settings = &mut world.present(SOURCE).attributes.settings;
    settings.insert(Attribute::DelaySeconds, "0".to_owned());
    settings.remove(&Attribute::Policy);
    settings.remove(&Attribute::RedrivePolicy);
    world.record.written = None;
    let together = world.plan().steps;
    let [Step::SetAttributes { attributes, .. }] = &together[..] else { panic!("{together:?}") };
    let source = QueueName::parse(SOURCE).unwrap();
    let world = world.remembering(|memory| assert!(memory.suspect(&source, attributes)));
    let attributes = |step: &Step| match step {
        Step::SetAttributes { attributes, .. } => attributes.keys().copied().collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let steps = world.plan().steps;
    let alone = [[Attribute::RedrivePolicy], [Attribute::Policy], [Attribute::DelaySeconds]];
    assert_eq!(steps.iter().map(attributes).collect::<Vec<_>>(), alone);
}
