//! What an object remembers, and how long a queue has read as empty.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use proptest::prelude::*;
use serde_json::json;

use prism_queue::api::Queue;
use prism_queue::api::status::LastWrite;
use prism_queue::domain::attributes::{Attribute, Attributes};
use prism_queue::domain::names::QueueName;
use prism_queue::domain::observed::{EMPTY_READS, EmptyWatch, Memory, Observed, Record, Sight, propagation};
use prism_queue::domain::outputs::{Output, OutputKind};

use crate::fixtures::*;

fn name(name: &str) -> QueueName {
    QueueName::parse(name).unwrap()
}

fn delay(seconds: &str) -> Attributes {
    Attributes::from([(Attribute::DelaySeconds, seconds.to_owned())])
}

fn condition(status: &str) -> Condition {
    Condition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: "X".to_owned(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: Time(now()),
    }
}

#[test]
fn a_queue_that_nobody_saw_remembers_nothing() {
    let record = Record::of(&queue("orders", empty()));
    assert!(!record.has_finalizer && !record.was_converged);
    assert!(record.target.is_none() && record.queue_url.is_none() && record.dead_letter.is_none());
}

#[test]
fn the_managed_dead_letter_queue_in_use_is_remembered() {
    let record = Record::of(&queue("orders", empty()).existing());
    assert!(record.has_finalizer);
    assert_eq!(record.queue_url, Some(url("media_orders")));
    assert_eq!(record.dead_letter, Some((name("media_orders_dlq"), Some(url("media_orders_dlq")))));
}

#[test]
fn a_managed_dead_letter_queue_is_remembered_before_it_is_made() {
    let about_to_make = queue("orders", empty()).existing().with_status(|status| status.dead_letter = None);
    assert_eq!(Record::of(&about_to_make).dead_letter, Some((name("media_orders_dlq"), None)));
    let wired_elsewhere = queue("orders", empty()).existing().with_status(|status| {
        status.dead_letter.get_or_insert_default().queue_arn = arn("legacy");
    });
    assert_eq!(Record::of(&wired_elsewhere).dead_letter, Some((name("media_orders_dlq"), None)), "not its URL");
}

#[test]
fn a_referenced_dead_letter_queue_is_not_ours_to_retire() {
    let reference = json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("legacy")}}});
    let referring = queue("orders", reference).existing().with_status(|status| {
        status.dead_letter.get_or_insert_default().queue_arn = arn("legacy");
    });
    assert_eq!(Record::of(&referring).dead_letter, None);
}

#[test]
fn drift_is_what_differs_after_this_generation_was_converged() {
    let with = |ready: &str, seen: i64| {
        let seen: Queue = queue("orders", empty()).with_status(|status| {
            status.conditions = vec![condition(ready)];
            status.observed_generation = Some(seen);
        });
        Record::of(&seen).was_converged
    };
    assert!(with("True", 1));
    assert!(!with("False", 1));
    assert!(!with("True", 0), "of an older generation");
}

#[test]
fn attributes_take_up_to_a_minute_to_show_and_retention_a_quarter_of_an_hour() {
    assert_eq!(propagation("DelaySeconds"), seconds(60));
    assert_eq!(propagation("MessageRetentionPeriod"), SignedDuration::from_mins(15));
}

#[test]
fn a_write_is_remembered_by_queue_attribute_and_value_until_it_must_show() {
    let mut record = Record::default();
    record.wrote(&name("orders"), &delay("5"), now());
    let is_under_way = |record: &Record, queue: &str, value: &str, after: i64| {
        record
            .under_way(&name(queue), Attribute::DelaySeconds, now() + seconds(after))
            .is_some_and(|written| written.is(value))
    };
    assert!(is_under_way(&record, "orders", "5", 59));
    assert!(!is_under_way(&record, "orders", "5", 60));
    assert!(!is_under_way(&record, "orders", "6", 0));
    assert!(!is_under_way(&record, "others", "5", 0));
    record.wrote(&name("orders"), &delay("6"), now());
    assert!(!is_under_way(&record, "orders", "5", 0) && is_under_way(&record, "orders", "6", 0), "the last counts");
    let another = record.under_way(&name("orders"), Attribute::DelaySeconds, now());
    assert_eq!(another.unwrap().value, "6");
}

#[test]
fn of_a_write_without_an_answer_nobody_knows_the_value() {
    let mut record = Record::default();
    record.wrote(&name("orders"), &delay("4"), now());
    record.wrote_perhaps(&name("orders"), &delay("5"), now());
    let written = record.under_way(&name("orders"), Attribute::DelaySeconds, now()).unwrap();
    assert!(written.is_unknown() && !written.is("4") && !written.is("5"));
    assert_eq!(record.under_way(&name("orders"), Attribute::DelaySeconds, now() + seconds(60)), None);
}

#[test]
fn what_must_show_by_now_is_forgotten() {
    let mut record = Record::default();
    record.wrote(&name("old"), &delay("5"), now());
    let retention = Attributes::from([(Attribute::MessageRetentionPeriod, "60".to_owned())]);
    record.wrote(&name("slow"), &retention, now());
    record.wrote(&name("new"), &delay("5"), now() + seconds(60));
    let written = record.written.unwrap();
    assert_eq!(written.queues.keys().collect::<Vec<_>>(), ["new", "slow"]);
    assert_eq!(written.time.0, now() + seconds(60));
}

#[test]
fn a_long_value_is_remembered_by_its_hash_alone() {
    let (mut record, policy) = (Record::default(), "p".repeat(8192));
    record.wrote(&name("orders"), &Attributes::from([(Attribute::Policy, policy.clone())]), now());
    let written = serde_json::to_string(&record.written).unwrap();
    assert!(written.len() < 300, "status stays small: {written}");
    let under_way = |policy: &str| record.under_way(&name("orders"), Attribute::Policy, now()).unwrap().is(policy);
    assert!(under_way(&policy));
    assert!(!under_way(&"q".repeat(8192)));
}

#[test]
fn a_write_is_known_after_a_restart() {
    let mut record = Record::default();
    record.wrote(&name("orders"), &delay("5"), now());
    let stored = queue("orders", empty()).with_status(|status| status.last_write = record.written);
    let restarted = Record::of(&serde_json::from_value(serde_json::to_value(stored).unwrap()).unwrap());
    let under_way = restarted.under_way(&name("orders"), Attribute::DelaySeconds, now());
    assert!(under_way.unwrap().is("5"));
}

#[test]
fn outputs_written_and_removed_are_seen_so() {
    let output = |kind, data| Output {
        kind,
        name: "orders-queue".to_owned(),
        secret_type: String::new(),
        data: map([("QUEUE_URL", data)]),
    };
    let mut observed = Observed::default();
    observed.put_output(&output(OutputKind::Secret, "old"));
    observed.put_output(&output(OutputKind::ConfigMap, "x"));
    observed.put_output(&output(OutputKind::Secret, "new"));
    assert_eq!(observed.outputs.len(), 2);
    observed.remove_output(OutputKind::ConfigMap, "orders-queue");
    assert_eq!(observed.outputs[0].output, output(OutputKind::Secret, "new"));
}

#[test]
fn what_nobody_looked_at_is_unseen() {
    assert_eq!(Observed::default().sight(&name("orders")), &Sight::Unseen);
}

#[test]
fn a_policy_refused_again_counts_from_the_first_refusal() {
    let mut memory = Memory::default();
    let policy = Attribute::Policy;
    memory.was_refused(&name("orders"), policy, "p", "no", now());
    memory.was_refused(&name("orders"), policy, "p", "still no", now() + seconds(30));
    let refused = memory.doubt(&name("orders"), policy, "p").unwrap().refused.clone().unwrap();
    assert_eq!((refused.since, refused.last, refused.words.as_str()), (now(), now() + seconds(30), "still no"));
    memory.was_refused(&name("orders"), policy, "q", "no", now() + seconds(40));
    let refused = memory.doubt(&name("orders"), policy, "q").unwrap().refused.clone().unwrap();
    assert_eq!(refused.since, now() + seconds(40), "another policy begins anew");
    assert_eq!(memory.doubt(&name("orders"), policy, "p"), None);
}

// Emptiness.

fn watch(reads: &[(i64, bool, u64)]) -> Option<EmptyWatch> {
    reads.iter().fold(None, |watch, (after, is_fenced, messages)| {
        EmptyWatch::after(watch, *is_fenced, *messages, now() + seconds(*after))
    })
}

fn is_over(reads: &[(i64, bool, u64)]) -> bool {
    watch(reads).is_some_and(|watch| watch.is_over(seconds(60)))
}

#[test]
fn a_queue_is_empty_after_three_reads_over_the_time() {
    assert!(is_over(&[(0, true, 0), (30, true, 0), (60, true, 0)]));
    assert!(!is_over(&[(0, true, 0), (60, true, 0)]), "two reads prove nothing");
    assert!(!is_over(&[(0, true, 0), (1, true, 0), (59, true, 0)]), "too soon");
    assert!(!is_over(&[(0, true, 0), (60, true, 0), (60, true, 0)]), "two reads at one time are one");
}

#[test]
fn a_message_or_an_open_queue_begins_the_watch_anew() {
    assert!(!is_over(&[(0, true, 0), (30, true, 1), (60, true, 0), (90, true, 0)]));
    assert!(is_over(&[(0, true, 1), (30, true, 0), (60, true, 0), (90, true, 0)]));
    assert!(!is_over(&[(0, false, 0), (30, true, 0), (60, true, 0)]), "zero before the fence is no zero");
    assert_eq!(watch(&[(0, true, 0), (30, false, 0)]), None);
}

proptest! {
    #[test]
    fn a_queue_is_never_empty_on_fewer_or_faster_reads(
        reads in proptest::collection::vec((0_i64..40, any::<bool>(), 0_u64..2), 0..12),
        empty_for in 1_i64..90,
    ) {
        let mut at = 0;
        let reads: Vec<(i64, bool, u64)> =
            reads.into_iter().map(|(after, is_fenced, messages)| { at += after; (at, is_fenced, messages) }).collect();
        let over = watch(&reads).is_some_and(|watch| watch.is_over(seconds(empty_for)));
        let mut good: Vec<i64> = Vec::new();
        for (at, is_fenced, messages) in reads {
            if is_fenced && messages == 0 { good.push(at) } else { good.clear() }
        }
        good.dedup();
        let lasted = good.last().zip(good.first()).map_or(0, |(last, first)| last - first);
        prop_assert_eq!(over, good.len() >= EMPTY_READS as usize && lasted >= empty_for);
    }
}

#[test]
fn what_was_written_is_remembered_as_kubernetes_stores_it() {
    let mut record = Record::default();
    record.wrote(&name("orders"), &delay("5"), now() + SignedDuration::from_millis(700));
    let stored: LastWrite = serde_json::from_value(serde_json::to_value(&record.written).unwrap()).unwrap();
    assert_eq!(record.written, Some(stored), "or every pass would find its status changed");
}
