//! The status that follows from a pass.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use proptest::prelude::*;
use serde_json::json;

use prism_queue::api::QueueStatus;
use prism_queue::api::conditions::Reason;
use prism_queue::domain::attributes::{Attribute, Counts};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::finding::{Circumstances, Finding};
use prism_queue::domain::observed::Sight;
use prism_queue::domain::outputs::{Output, OutputKind};
use prism_queue::domain::plan::Plan;
use prism_queue::domain::report::{Propagated, Verdict, status_of_plan};

use crate::fixtures::*;

const SOURCE: &str = "media_orders";
const DEAD_LETTER: &str = "media_orders_dlq";

fn waiting() -> Finding {
    Finding::waiting(Reason::DeadLetterNotReady, "the dead-letter queue is not there", seconds(30))
}

fn stalled() -> Finding {
    Finding::stalled(Reason::NotOwned, "the queue is not ours", seconds(300))
}

fn verdict(findings: Vec<Finding>, is_unfinished: bool) -> Verdict {
    Verdict {
        findings,
        is_unfinished,
        propagated: Some(Propagated::Yes),
        differences: Vec::new(),
        ready: (Reason::Converged, "as declared".to_owned()),
    }
}

fn conditions(verdict: &Verdict) -> Vec<Condition> {
    verdict.conditions(&[], Some(7), now())
}

/// `type=status (reason)` of each condition.
fn summary(conditions: &[Condition]) -> Vec<String> {
    conditions.iter().map(|c| format!("{}={} ({})", c.type_, c.status, c.reason)).collect()
}

/// The whole status after a pass over `world`.
fn status(world: &World, previous: &QueueStatus) -> QueueStatus {
    world.input(|input| {
        let plan = prism_queue::domain::plan::plan(input);
        let mut status = status_of_plan(input, &plan, previous);
        status.conditions =
            Verdict::of_plan(input.desired, &plan, Vec::new()).conditions(&previous.conditions, Some(1), input.now);
        status.observed_generation = Some(1);
        status
    })
}

fn settled(spec: serde_json::Value) -> World {
    World::of(queue("orders", spec)).settled()
}

// Conditions.

#[test]
fn ready_is_alone_with_propagated_when_all_is_well() {
    let all = conditions(&verdict(vec![], false));
    assert_eq!(summary(&all), ["Ready=True (Converged)", "Propagated=True (ReadBack)"]);
}

#[test]
fn reconciling_is_there_only_while_work_is_in_progress() {
    let all = conditions(&verdict(vec![], true));
    assert_eq!(
        summary(&all),
        ["Ready=False (Progressing)", "Propagated=True (ReadBack)", "Reconciling=True (Progressing)"]
    );
    let all = conditions(&verdict(vec![waiting()], false));
    assert_eq!(
        summary(&all),
        ["Ready=False (DeadLetterNotReady)", "Propagated=True (ReadBack)", "Reconciling=True (DeadLetterNotReady)"]
    );
}

#[test]
fn stalled_is_there_only_when_a_person_must_mend_something() {
    let all = conditions(&verdict(vec![stalled()], false));
    assert_eq!(summary(&all), ["Ready=False (NotOwned)", "Propagated=True (ReadBack)", "Stalled=True (NotOwned)"]);
}

#[test]
fn what_a_person_must_mend_comes_first_and_all_is_said() {
    let plan = Plan { findings: vec![waiting(), stalled()], ..Plan::default() };
    let verdict = settled(empty()).input(|input| Verdict::of_plan(input.desired, &plan, Vec::new()));
    let all = conditions(&verdict);
    assert_eq!(all[0].reason, "NotOwned");
    assert_eq!(all[0].message, "the queue is not ours; the dead-letter queue is not there");
    assert_eq!(verdict.retry(), Some(seconds(30)), "the sooner of the two");
}

#[test]
fn each_condition_carries_the_generation_it_speaks_of() {
    for verdict in [verdict(vec![], false), verdict(vec![stalled()], false), verdict(vec![], true)] {
        assert!(conditions(&verdict).iter().all(|condition| condition.observed_generation == Some(7)));
    }
}

#[test]
fn a_transition_time_changes_only_with_the_status() {
    let before = conditions(&verdict(vec![waiting()], false));
    let later = now() + seconds(60);
    let after = verdict(vec![stalled()], false).conditions(&before, Some(8), later);
    let time = |conditions: &[Condition], type_: &str| {
        conditions.iter().find(|condition| condition.type_ == type_).map(|c| c.last_transition_time.0)
    };
    assert_eq!(time(&after, "Ready"), Some(now()), "still False, if for another reason");
    assert_eq!(time(&after, "Stalled"), Some(later), "new");
    let mended = verdict(vec![], false).conditions(&after, Some(8), later);
    assert_eq!(time(&mended, "Ready"), Some(later), "now True");
}

#[test]
fn propagated_says_what_aws_does_not_read_back_yet() {
    let mut world = settled(empty()).edited(json!({"delaySeconds": 5}));
    let plan = world.plan();
    world.carry_out(&plan);
    world.present(SOURCE).attributes.settings.insert(Attribute::DelaySeconds, "0".to_owned());
    let status = status(&world, &QueueStatus::default());
    assert_eq!(summary(&status.conditions), ["Ready=True (Converged)", "Propagated=False (Propagating)"]);
    assert!(status.conditions[1].message.contains("media_orders: DelaySeconds"));
}

#[test]
fn propagated_is_unknown_when_nobody_asked_aws() {
    let world = World::of(queue("orders", empty())).seeing(DEAD_LETTER, Sight::Hidden("why".to_owned()));
    let status = status(&world, &QueueStatus::default());
    assert!(summary(&status.conditions).contains(&"Propagated=Unknown (NotRead)".to_owned()));
}

#[test]
fn observing_reports_differences_as_drifted_and_is_ready() {
    let world = World::untouched(queue(
        "orders",
        json!({"managementPolicy": "Observe", "outputs": {"secret": {"mode": "Disabled"}}}),
    ))
    .seeing(SOURCE, nobodys(SOURCE));
    let status = status(&world, &QueueStatus::default());
    assert_eq!(
        summary(&status.conditions),
        ["Ready=True (Observed)", "Propagated=Unknown (NotRead)", "Drifted=True (Differs)"]
    );
    assert!(status.conditions[2].message.contains("VisibilityTimeout is not set, declared is 300"));
    assert_eq!(status.queue_url, Some(url(SOURCE)));
    assert_eq!(status.managed_tag_keys, [""; 0]);
}

#[test]
fn a_refusal_stalls_with_all_its_errors() {
    let refusal = desired(&queue("orders", json!({"delaySeconds": 901, "receiveWaitTimeSeconds": 21}))).unwrap_err();
    let all = conditions(&Verdict::of_refusal(&refusal, Vec::new()));
    assert_eq!(
        summary(&all),
        ["Ready=False (InvalidSpec)", "Propagated=Unknown (NotRead)", "Stalled=True (InvalidSpec)"]
    );
    for part in ["spec.delaySeconds: 901 is out of range: 0 to 900", "spec.receiveWaitTimeSeconds: 21"] {
        assert!(all[0].message.contains(part), "{}", all[0].message);
    }
}

#[test]
fn before_the_first_write_work_is_in_progress() {
    let all = conditions(&Verdict::in_progress());
    assert_eq!(
        summary(&all),
        ["Ready=False (Progressing)", "Propagated=Unknown (NotRead)", "Reconciling=True (Progressing)"]
    );
}

#[test]
fn a_queue_being_deleted_is_never_ready() {
    let all = conditions(&Verdict::of_deletion(&Plan::default(), Vec::new()));
    assert_eq!(
        summary(&all),
        ["Ready=False (Deleting)", "Propagated=Unknown (NotRead)", "Reconciling=True (Deleting)"]
    );
}

#[test]
fn a_failed_write_keeps_a_queue_from_being_ready() {
    let world = settled(empty());
    let denied =
        CallError { action: "TagQueue", kind: ErrorKind::Throttled, code: String::new(), message: String::new() };
    world.input(|input| {
        let failure = Finding::of_call(
            SOURCE,
            &denied,
            &Circumstances { memory: input.memory, uid: UID, caller_arn: &input.class.caller_arn, now: input.now },
        );
        let verdict = Verdict::of_plan(input.desired, &Plan { is_there: true, ..Plan::default() }, vec![failure]);
        assert_eq!(
            summary(&conditions(&verdict)),
            ["Ready=False (Throttled)", "Propagated=Unknown (NotRead)", "Reconciling=True (Throttled)"]
        );
    });
}

#[test]
fn a_message_too_long_to_read_is_cut_between_characters() {
    let long = Finding::waiting(Reason::Denied, "ü".repeat(10_000), seconds(1));
    let all = conditions(&verdict(vec![long], false));
    assert_eq!(all[0].message.chars().count(), 4097);
    assert!(all[0].message.ends_with("ü…"));
}

#[test]
fn all_that_failed_is_said() {
    let failures = vec![waiting(), stalled()];
    let plan = Plan { is_there: true, ..Plan::default() };
    let verdict = settled(empty()).input(|input| Verdict::of_plan(input.desired, &plan, failures));
    let all = conditions(&verdict);
    assert_eq!(all[0].message, "the queue is not ours; the dead-letter queue is not there");
    assert_eq!(verdict.retry(), Some(seconds(30)));
}

// The rest of the status.

#[test]
fn status_tells_all_that_was_learned() {
    let mut world = settled(json!({"tags": {"team": "media"}, "outputs": {"binding": {"mode": "Enabled"}}}));
    world.present(SOURCE).attributes.counts = Counts { available: 1, in_flight: 2, delayed: 3 };
    world.present(DEAD_LETTER).attributes.counts = Counts { available: 4, in_flight: 5, delayed: 0 };
    let status = serde_json::to_value(status(&world, &QueueStatus::default())).unwrap();
    assert_eq!(status["queueUrl"], json!(url(SOURCE)));
    assert_eq!(status["queueArn"], json!(arn(SOURCE)));
    assert_eq!(status["queueName"], json!(SOURCE));
    assert_eq!(status["deadLetter"], json!({"queueUrl": url(DEAD_LETTER), "queueArn": arn(DEAD_LETTER)}));
    assert_eq!(status["binding"], json!({"name": "orders-binding"}));
    assert_eq!(status["managedTagKeys"], json!(["team"]));
    assert_eq!(status["effective"]["visibilityTimeoutSeconds"], json!(300));
    assert_eq!(status["target"]["queueName"], json!(SOURCE));
    let messages =
        json!({"available": 1, "inFlight": 2, "delayed": 3, "deadLetters": 9, "observedTime": "2026-03-01T12:00:00Z"});
    assert_eq!(status["messages"], messages);
}

#[test]
fn status_names_a_binding_only_when_its_secret_is_there() {
    let binding = |mode: &str| json!({"outputs": {"binding": {"mode": mode}}});
    let mut world = settled(binding("Enabled"));
    let named = |world: &World, previous: &QueueStatus| status(world, previous).binding.map(|binding| binding.name);
    let before = status(&world, &QueueStatus::default());
    assert_eq!(named(&world, &before), Some("orders-binding".to_owned()));
    // The Secret for environment variables is another one.
    world.observed.remove_output(OutputKind::Secret, "orders-binding");
    assert_eq!(named(&world, &before), None);
    let config_map = Output {
        kind: OutputKind::ConfigMap,
        name: "orders-binding".to_owned(),
        secret_type: String::new(),
        data: map([]),
    };
    world.observed.put_output(&config_map);
    assert_eq!(named(&world, &before), None);
    let switched_off = settled(binding("Enabled")).edited(binding("Disabled"));
    assert_eq!(named(&switched_off, &before), None);
}

#[test]
fn status_names_the_dead_letter_queue_that_aws_reads_back() {
    // Still wired to the old one, by whatever reason: that is the one that needs to know.
    let mut world = settled(json!({"deadLetter": {"mode": "None"}}));
    let wired = json!({"deadLetterTargetArn": arn("legacy"), "maxReceiveCount": 5}).to_string();
    world.present(SOURCE).attributes.settings.insert(Attribute::RedrivePolicy, wired);
    let dead_letter = |status: &QueueStatus| status.dead_letter.as_ref().map(|to| to.queue_arn.clone());
    let before = status(&world, &QueueStatus::default());
    assert_eq!(dead_letter(&before), Some(arn("legacy")));
    // A new one is made, and for a moment the source cannot be read.
    let mut world = world.edited(empty()).recorded();
    let plan = world.plan();
    world.carry_out(&plan);
    assert!(world.observed.queues.contains_key(DEAD_LETTER));
    let blind = world.seeing(SOURCE, Sight::Hidden("why".to_owned()));
    assert_eq!(dead_letter(&status(&blind, &before)), Some(arn("legacy")), "nobody saw it let go");
}

#[test]
fn a_dead_letter_queue_made_before_its_source_is_found_again() {
    let world = World::of(queue("orders", empty()))
        .seeing(DEAD_LETTER, created_by(&owner("orders"), DEAD_LETTER))
        .seeing(SOURCE, nobodys(SOURCE));
    let dead_letter = status(&world, &QueueStatus::default()).dead_letter.unwrap();
    assert_eq!((dead_letter.queue_url, dead_letter.queue_arn), (Some(url(DEAD_LETTER)), arn(DEAD_LETTER)));
}

#[test]
fn status_says_nothing_of_a_queue_that_is_not_ours() {
    let world = World::of(queue("orders", json!({"tags": {"team": "media"}, "deadLetter": {"mode": "None"}})))
        .seeing(SOURCE, nobodys(SOURCE));
    let status = status(&world, &QueueStatus::default());
    assert_eq!((status.queue_url, status.queue_arn, status.dead_letter), (None, None, None));
    assert_eq!(status.managed_tag_keys, ["team"], "on record before it is set");
    // No longer wanted, and never set.
    let mut world = world.edited(json!({"deadLetter": {"mode": "None"}}));
    world.present(SOURCE).tags.insert("team".to_owned(), "theirs".to_owned());
    let status = self::status(&world, &QueueStatus::default());
    assert_eq!(status.managed_tag_keys, [""; 0], "it set none, so it may remove none");
}

#[test]
fn status_names_no_dead_letter_queue_that_is_not_ours() {
    let world =
        settled(json!({"deadLetter": {"mode": "None"}})).edited(empty()).seeing(DEAD_LETTER, nobodys(DEAD_LETTER));
    assert_eq!(status(&world, &QueueStatus::default()).dead_letter, None);
}

#[test]
fn a_dead_letter_queue_that_cannot_be_read_for_a_moment_is_not_forgotten() {
    let throttled = CallError {
        action: "GetQueueAttributes",
        kind: ErrorKind::Throttled,
        code: String::new(),
        message: String::new(),
    };
    let world = settled(empty());
    let before = status(&world, &QueueStatus::default());
    let world = world.seeing(DEAD_LETTER, Sight::Failed(throttled));
    assert_eq!(status(&world, &before).dead_letter, before.dead_letter);
}

#[test]
fn a_tag_key_is_managed_until_it_is_removed_everywhere() {
    let mut world = settled(json!({"tags": {"team": "media"}})).edited(empty());
    assert_eq!(status(&world, &QueueStatus::default()).managed_tag_keys, ["team"], "still there to be removed");
    world.present(SOURCE).tags.remove("team");
    assert_eq!(status(&world, &QueueStatus::default()).managed_tag_keys, ["team"], "on the dead-letter queue");
    let hidden = world.clone().seeing(DEAD_LETTER, Sight::Hidden("why".to_owned()));
    assert_eq!(status(&hidden, &QueueStatus::default()).managed_tag_keys, ["team"], "perhaps");
    world.settle();
    assert_eq!(status(&world, &QueueStatus::default()).managed_tag_keys, [""; 0]);
}

#[test]
fn at_rest_nothing_is_written() {
    let mut world = settled(json!({"tags": {"team": "media"}}));
    let first = status(&world, &QueueStatus::default());
    world.now += seconds(3600);
    assert_eq!(status(&world, &first), first);
}

#[test]
fn message_counts_are_written_at_most_once_an_interval() {
    let resync = class().resync;
    let world = settled(empty());
    let first = status(&world, &QueueStatus::default());
    let busy = world.holding(SOURCE, 5);
    assert_eq!(status(&busy.clone().later(resync * 8 / 10), &first), first, "counts alone are no change");
    let after = status(&busy.clone().later(resync * 9 / 10), &first);
    assert_eq!(after.messages.as_ref().map(|messages| messages.available), Some(5));
    assert_eq!(QueueStatus { messages: first.messages.clone(), ..after }, first, "and nothing else changed");
}

#[test]
fn counts_stay_when_the_queue_cannot_be_read() {
    let world = settled(empty()).holding(SOURCE, 5);
    let first = status(&world, &QueueStatus::default());
    let world = world.seeing(SOURCE, Sight::Hidden("why".to_owned())).later(seconds(3600));
    assert_eq!(status(&world, &first).messages, first.messages);
}

fn findings() -> impl Strategy<Value = Vec<Finding>> {
    proptest::collection::vec(any::<bool>().prop_map(|is_stalled| if is_stalled { stalled() } else { waiting() }), 0..4)
}

proptest! {
    /// kstatus: an object is current, in progress or failed, and never two of them.
    #[test]
    fn conditions_never_contradict_each_other(
        findings in findings(), is_unfinished: bool, is_observed: bool, later in 0_i64..100,
    ) {
        let mut verdict = verdict(findings, is_unfinished);
        if is_observed {
            verdict.differences.push("DelaySeconds is 9, declared is 0".to_owned());
        }
        let before = conditions(&self::verdict(vec![waiting()], false));
        let time: Timestamp = now() + seconds(later);
        let all = verdict.conditions(&before, Some(7), time);
        let status = |type_: &str| all.iter().find(|c| c.type_ == type_).map(|c| c.status.as_str());
        let is_ready = status("Ready") == Some("True");
        prop_assert_eq!(is_ready, status("Reconciling").is_none() && status("Stalled").is_none());
        prop_assert!(status("Reconciling").is_none() || status("Stalled").is_none());
        for type_ in ["Reconciling", "Stalled", "Drifted"] {
            prop_assert_ne!(status(type_), Some("False"), "{} is there only while true", type_);
        }
        let types: std::collections::BTreeSet<&str> = all.iter().map(|c| c.type_.as_str()).collect();
        prop_assert_eq!(types.len(), all.len(), "one condition a type");
        prop_assert_eq!(verdict.conditions(&all, Some(7), time + seconds(60)), all.clone(), "nothing changed, nothing is written");
    }
}
