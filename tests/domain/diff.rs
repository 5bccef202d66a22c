//! What differs between a queue and its declaration, by meaning.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::domain::attributes::{Attribute, Attributes, Counts, QueueAttributes};
use prism_queue::domain::desired::DesiredQueue;
use prism_queue::domain::diff::{Comparison, Diff, GONE_PRINCIPAL_RETRY, HeldRetention, REFUSED_RETRY};
use prism_queue::domain::encryption::KeyMeanings;
use prism_queue::domain::names::QueueName;
use prism_queue::domain::observed::{EmptyWatch, Memory, Record};

use crate::fixtures::*;

const ID: &str = "0b1c2d3e-0000-4000-8000-000000000000";

/// A declaration, what AWS reads back, and what is remembered.
#[derive(Clone)]
struct Case {
    desired: DesiredQueue,
    observed: QueueAttributes,
    meanings: KeyMeanings,
    record: Record,
    memory: Memory,
    allowed_losses: BTreeSet<String>,
    now: Timestamp,
}

impl Case {
    /// A queue that is as declared.
    fn of(spec: Value) -> Self {
        let desired = desired(&queue("orders", spec)).unwrap().source;
        let mut settings = desired.attributes.clone();
        settings.retain(|_, value| !value.is_empty());
        Self {
            desired,
            observed: QueueAttributes { settings, counts: Counts::default() },
            meanings: KeyMeanings::new(),
            record: Record::default(),
            memory: Memory::default(),
            allowed_losses: BTreeSet::new(),
            now: now(),
        }
    }

    fn reading(mut self, attribute: Attribute, value: impl Into<String>) -> Self {
        match value.into() {
            none if none.is_empty() => _ = self.observed.settings.remove(&attribute),
            value => _ = self.observed.settings.insert(attribute, value),
        }
        self
    }

    fn holding(mut self, counts: Counts) -> Self {
        self.observed.counts = counts;
        self
    }

    fn having_written(mut self, attribute: Attribute, value: &str) -> Self {
        let name = self.desired.name.clone();
        self.record.wrote(&name, &Attributes::from([(attribute, value.to_owned())]), self.now);
        self
    }

    fn later(mut self, by: SignedDuration) -> Self {
        self.now += by;
        self
    }

    fn compare<T>(&self, with: impl FnOnce(&Comparison<'_>) -> T) -> T {
        with(&Comparison {
            place: &class().place,
            meanings: &self.meanings,
            record: &self.record,
            memory: &self.memory,
            allowed_losses: &self.allowed_losses,
            empty_for: class().empty_for,
            now: self.now,
        })
    }

    fn diff(&self) -> Diff {
        self.compare(|comparison| comparison.diff(&self.desired, &self.observed))
    }

    fn written(&self) -> Vec<&'static str> {
        self.diff().write.keys().map(|attribute| attribute.as_str()).collect()
    }
}

fn kms(key: &str) -> Value {
    json!({"encryption": {"mode": "KMS", "kms": {"key": key}}})
}

#[test]
fn a_queue_that_is_as_declared_costs_no_write() {
    assert_eq!(Case::of(empty()).diff(), Diff::default());
}

#[test]
fn exactly_what_differs_is_written() {
    let case = Case::of(json!({"delaySeconds": 5})).reading(Attribute::DelaySeconds, "0");
    assert_eq!(case.diff().write, Attributes::from([(Attribute::DelaySeconds, "5".to_owned())]));
}

#[test]
fn each_attribute_differs_when_its_value_does() {
    let fifo = json!({"type": "FIFO", "encryption": {"mode": "KMS", "kms": {"key": "alias/media"}}});
    for (attribute, other) in [
        (Attribute::VisibilityTimeout, "1"),
        (Attribute::MessageRetentionPeriod, "60"),
        (Attribute::ReceiveMessageWaitTimeSeconds, "1"),
        (Attribute::DelaySeconds, "1"),
        (Attribute::MaximumMessageSize, "1024"),
        (Attribute::ContentBasedDeduplication, "false"),
        (Attribute::DeduplicationScope, "messageGroup"),
        (Attribute::FifoThroughputLimit, "perMessageGroupId"),
        (Attribute::RedrivePolicy, ""),
        (Attribute::RedriveAllowPolicy, ""),
        (Attribute::KmsMasterKeyId, "alias/other"),
        (Attribute::KmsDataKeyReusePeriodSeconds, "60"),
        (Attribute::SqsManagedSseEnabled, "true"),
        (Attribute::Policy, ""),
    ] {
        let case = Case::of(fifo.clone()).reading(attribute, other);
        assert_eq!(case.written(), [attribute.as_str()]);
    }
}

#[test]
fn an_attribute_that_is_not_ours_to_set_is_left_alone() {
    let waiting = json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}});
    let case = Case::of(waiting).reading(Attribute::RedrivePolicy, "{}").reading(Attribute::FifoQueue, "true");
    assert_eq!(case.diff(), Diff::default());
}

/// How SQS spells what was written otherwise.
#[test]
fn what_sqs_rewrites_is_no_difference() {
    let arn = arn("media_orders_dlq");
    let redrive = format!(r#"{{ "maxReceiveCount" : "5", "deadLetterTargetArn" : "{arn}" }}"#);
    let case = Case::of(empty()).reading(Attribute::RedrivePolicy, redrive);
    assert_eq!(case.written(), [""; 0]);

    let policy = Case::of(empty()).desired.attributes[&Attribute::Policy].clone();
    let mut rewritten: Value = serde_json::from_str(&policy).unwrap();
    let statement = &mut rewritten["Statement"][0];
    statement["Principal"] = json!({"AWS": "*"});
    statement["Action"] = json!(["SQS:*"]);
    rewritten["Id"] = json!("__default_policy_ID");
    let case = Case::of(empty()).reading(Attribute::Policy, serde_json::to_string_pretty(&rewritten).unwrap());
    assert_eq!(case.written(), [""; 0]);

    let allow_all = json!({"redriveAllow": {"mode": "AllowAll"}});
    let case = Case::of(allow_all).reading(Attribute::RedriveAllowPolicy, "");
    assert_eq!(case.written(), [""; 0], "nothing set is SQS's allowAll");

    let listed = json!({"redriveAllow": {"mode": "ByQueue", "sourceQueueArns": ["a", "b"]}});
    let reordered = r#"{"sourceQueueArns":["b","a"],"redrivePermission":"byQueue"}"#;
    assert_eq!(Case::of(listed).reading(Attribute::RedriveAllowPolicy, reordered).written(), [""; 0]);
}

#[test]
fn absent_is_off_and_never_taken_for_on() {
    let none = json!({"encryption": {"mode": "None"}});
    assert_eq!(Case::of(none).reading(Attribute::SqsManagedSseEnabled, "").written(), [""; 0]);
    assert_eq!(Case::of(empty()).reading(Attribute::SqsManagedSseEnabled, "").written(), ["SqsManagedSseEnabled"]);
}

#[test]
fn a_policy_that_cannot_be_read_is_written_over() {
    for text in ["not json", "[]", "{}"] {
        assert_eq!(Case::of(empty()).reading(Attribute::Policy, text).written(), ["Policy"], "{text}");
        assert_eq!(Case::of(empty()).reading(Attribute::RedriveAllowPolicy, text).written(), ["RedriveAllowPolicy"]);
    }
}

#[test]
fn an_alias_is_compared_with_a_key_by_meaning() {
    let key_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{ID}");
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/media");
    for other_spelling in [alias_arn.as_str(), "alias/media"] {
        assert_eq!(Case::of(kms("alias/media")).reading(Attribute::KmsMasterKeyId, other_spelling).written(), [""; 0]);
    }
    for seen in [ID, &key_arn] {
        let mut case = Case::of(kms("alias/media")).reading(Attribute::KmsMasterKeyId, seen);
        assert_eq!(case.written(), ["KmsMasterKeyId"], "nobody asked KMS yet");
        case.meanings.insert(alias_arn.clone(), key_arn.clone());
        assert_eq!(case.written(), [""; 0], "{seen}");
    }
}

#[test]
fn switching_encryption_clears_the_other_in_the_same_call() {
    let from_kms = Case::of(empty())
        .reading(Attribute::SqsManagedSseEnabled, "")
        .reading(Attribute::KmsMasterKeyId, "alias/media")
        .reading(Attribute::KmsDataKeyReusePeriodSeconds, "300");
    assert_eq!(
        from_kms.diff().write,
        Attributes::from([
            (Attribute::SqsManagedSseEnabled, "true".to_owned()),
            (Attribute::KmsMasterKeyId, String::new()),
        ])
    );
    let to_kms = Case::of(kms("alias/media"))
        .reading(Attribute::SqsManagedSseEnabled, "true")
        .reading(Attribute::KmsMasterKeyId, "")
        .reading(Attribute::KmsDataKeyReusePeriodSeconds, "");
    assert_eq!(to_kms.written(), ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"]);
}

// Late visibility.

#[test]
fn an_old_value_read_back_is_awaited_and_not_written_again() {
    for (attribute, spec, value, patience) in [
        (Attribute::DelaySeconds, json!({"delaySeconds": 5}), "5", 60),
        (Attribute::MessageRetentionPeriod, json!({"messageRetentionSeconds": 400_000}), "400000", 15 * 60),
    ] {
        let case = Case::of(spec).reading(attribute, "0").having_written(attribute, value);
        for (after, awaited) in [(0, true), (patience - 1, true), (patience, false)] {
            let diff = Case { now: now() + seconds(after), ..case.clone() }.diff();
            assert_eq!(diff.awaiting == [attribute], awaited, "{attribute} after {after} s: {diff:?}");
            assert_eq!(diff.write.contains_key(&attribute), !awaited, "{attribute} after {after} s");
        }
    }
}

#[test]
fn a_long_value_is_known_again_too() {
    let policy = Case::of(empty()).desired.attributes[&Attribute::Policy].clone();
    let case = Case::of(empty()).reading(Attribute::Policy, "").having_written(Attribute::Policy, &policy);
    assert_eq!(case.diff().awaiting, [Attribute::Policy]);
}

#[test]
fn another_value_than_the_one_written_is_written_at_once() {
    let case = Case::of(json!({"delaySeconds": 6}))
        .reading(Attribute::DelaySeconds, "0")
        .having_written(Attribute::DelaySeconds, "5");
    assert_eq!(case.written(), ["DelaySeconds"]);
}

#[test]
fn a_value_taken_back_before_it_showed_is_written_over() {
    // 5 was accepted and still reads as 0; wanted is 0 again. Left alone, 5 would show after this pass.
    let case = Case::of(empty()).having_written(Attribute::DelaySeconds, "5");
    assert_eq!(case.written(), ["DelaySeconds"]);
    assert_eq!(case.later(seconds(60)).diff(), Diff::default(), "by now it would have shown");
}

#[test]
fn a_write_without_an_answer_is_made_again_whatever_is_read() {
    for read in ["0", "5"] {
        let mut case = Case::of(json!({"delaySeconds": 5})).reading(Attribute::DelaySeconds, read);
        let name = case.desired.name.clone();
        case.record.wrote_perhaps(&name, &Attributes::from([(Attribute::DelaySeconds, "5".to_owned())]), case.now);
        assert_eq!(case.written(), ["DelaySeconds"], "read as {read}: another value may be on its way");
    }
}

// What could lose messages.

fn shorter() -> Case {
    Case::of(json!({"messageRetentionSeconds": 3600})).reading(Attribute::MessageRetentionPeriod, "345600")
}

#[test]
fn a_shorter_retention_is_held_back_while_the_queue_holds_any_message() {
    for counts in [
        Counts { available: 3, ..Counts::default() },
        Counts { in_flight: 3, ..Counts::default() },
        Counts { delayed: 3, ..Counts::default() },
    ] {
        let case = shorter().reading(Attribute::DelaySeconds, "9").holding(counts);
        let diff = case.diff();
        let held = HeldRetention { change: "messageRetentionSeconds=3600".to_owned(), observed: 345_600, messages: 3 };
        assert_eq!(diff.held, Some(held));
        assert_eq!(case.written(), ["DelaySeconds"], "everything else goes ahead");
    }
}

#[test]
fn a_shorter_retention_waits_until_the_queue_has_read_as_empty_for_the_time() {
    let held = HeldRetention { change: "messageRetentionSeconds=3600".to_owned(), observed: 345_600, messages: 0 };
    assert_eq!(shorter().diff().held, Some(held), "a single zero proves nothing");
    for (reads, after, is_written) in [(2, 60, false), (3, 59, false), (3, 60, true)] {
        let mut case = shorter();
        let watch = EmptyWatch { since: case.now - seconds(after), last: case.now, reads };
        case.memory.empty.insert(case.desired.name.to_string(), watch);
        assert_eq!(case.diff().held.is_none(), is_written, "{reads} reads in {after} s");
        let filled = case.holding(Counts { available: 1, ..Counts::default() });
        assert!(filled.diff().held.is_some(), "whatever was read before");
    }
}

#[test]
fn a_longer_retention_that_does_not_show_yet_counts_as_there() {
    let case = Case::of(empty()).having_written(Attribute::MessageRetentionPeriod, "1209600");
    let held = case.holding(Counts { available: 1, ..Counts::default() }).diff().held;
    assert_eq!(held.map(|held| held.observed), Some(1_209_600));
}

#[test]
fn a_longer_retention_goes_ahead() {
    let case = shorter()
        .reading(Attribute::MessageRetentionPeriod, "60")
        .holding(Counts { available: 3, ..Counts::default() });
    assert_eq!(case.written(), ["MessageRetentionPeriod"]);
}

#[test]
fn only_the_exact_change_is_allowed_to_lose_messages() {
    let holding = || shorter().holding(Counts { available: 1, ..Counts::default() });
    for (allowed, is_written) in [
        ("messageRetentionSeconds=3600", true),
        ("messageRetentionSeconds=3601", false),
        ("messageRetentionSeconds", false),
        ("deadLetter.managed.messageRetentionSeconds=3600", false),
        ("true", false),
    ] {
        let mut case = holding();
        case.allowed_losses.insert(allowed.to_owned());
        assert_eq!(case.diff().held.is_none(), is_written, "{allowed}");
        assert_eq!(case.written() == ["MessageRetentionPeriod"], is_written, "{allowed}");
    }
}

#[test]
fn the_dead_letter_queues_retention_has_its_own_name() {
    let whole = desired(&queue(
        "orders",
        json!({"messageRetentionSeconds": 60, "deadLetter": {"managed": {"messageRetentionSeconds": 60}}}),
    ))
    .unwrap();
    let mut case = shorter().holding(Counts { available: 1, ..Counts::default() });
    case.desired = whole.managed_dead_letter().unwrap().clone();
    let held = case.diff().held.unwrap();
    assert_eq!(held.change, "deadLetter.managed.messageRetentionSeconds=60");
}

// Policies that AWS refuses.

fn with_worker() -> Value {
    json!({"access": {"statements": [{
        "Effect": "Allow", "Action": "sqs:ReceiveMessage",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:role/worker")},
    }]}})
}

fn refused(mut case: Case) -> Case {
    let (name, policy) = (case.desired.name.clone(), case.desired.attributes[&Attribute::Policy].clone());
    case.memory.was_refused(&name, Attribute::Policy, &policy, "Invalid value for the parameter Policy.", case.now);
    case
}

#[test]
fn a_refused_policy_keeps_nothing_else_back_and_is_tried_alone_and_slowly() {
    let case = refused(Case::of(with_worker()).reading(Attribute::Policy, "").reading(Attribute::DelaySeconds, "9"));
    let diff = case.diff();
    assert_eq!(case.written(), ["DelaySeconds"]);
    assert!(diff.alone.is_empty());
    let refused: Vec<_> =
        diff.refused.iter().map(|(attribute, refused)| (*attribute, refused.words.as_str())).collect();
    assert_eq!(refused, [(Attribute::Policy, "Invalid value for the parameter Policy.")]);
    let diff = case.later(REFUSED_RETRY).diff();
    assert!(diff.alone.contains_key(&Attribute::Policy) && diff.refused.is_empty());
    assert!(!diff.write.contains_key(&Attribute::Policy));
}

#[test]
fn another_policy_than_the_one_refused_is_written_at_once() {
    let mut case = refused(Case::of(with_worker()).reading(Attribute::Policy, ""));
    case.desired = desired(&queue("orders", empty())).unwrap().source;
    assert_eq!(case.written(), ["Policy"]);
}

#[test]
fn a_principal_that_is_gone_is_named_and_tried_slowly() {
    let policy = Case::of(with_worker()).desired.attributes[&Attribute::Policy].clone();
    let worker = format!("arn:aws:iam::{ACCOUNT}:role/worker");
    let gone = policy.replace(&worker, "AROAEXAMPLEEXAMPLEEXA");
    let case = refused(Case::of(with_worker()).reading(Attribute::Policy, gone));
    assert_eq!(case.diff().gone_principals, [worker]);
    let early = Case { now: now() + REFUSED_RETRY, ..case.clone() };
    assert!(early.diff().alone.is_empty() && !early.diff().refused.is_empty(), "no write loop");
    assert!(case.later(GONE_PRINCIPAL_RETRY).diff().alone.contains_key(&Attribute::Policy));
}

// Observe.

#[test]
fn differences_are_told_in_words() {
    let case = Case::of(json!({"delaySeconds": 5, "deadLetter": {"mode": "None"}}))
        .reading(Attribute::DelaySeconds, "0")
        .reading(Attribute::VisibilityTimeout, "")
        .reading(Attribute::RedrivePolicy, "{}")
        .reading(Attribute::Policy, "");
    assert_eq!(
        case.compare(|comparison| comparison.differences(&case.desired, &case.observed)),
        [
            "VisibilityTimeout is not set, declared is 300",
            "DelaySeconds is 0, declared is 5",
            "RedrivePolicy is {}, declared is none",
            "Policy differs",
        ]
    );
}

fn specs() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(empty()),
        Just(kms("alias/media")),
        Just(with_worker()),
        Just(json!({"type": "FIFO", "encryption": {"mode": "None"}})),
        Just(
            json!({"deadLetter": {"mode": "None"}, "access": {"requireTLS": false}, "redriveAllow": {"mode": "AllowAll"}})
        ),
    ]
}

fn values() -> impl Strategy<Value = String> {
    const TEXTS: &[&str] = &["", "0", "60", "345600", "true", "false", "alias/media", "messageGroup", "{}", "junk"];
    prop_oneof![
        proptest::sample::select(TEXTS).prop_map(str::to_owned),
        Just(format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"5"}}"#, arn("media_orders_dlq"))),
        Just(r#"{"redrivePermission":"allowAll"}"#.to_owned()),
    ]
}

proptest! {
    /// Whatever is there: one write, and the next pass writes nothing.
    #[test]
    fn writing_the_difference_leaves_none(
        spec in specs(),
        seen in proptest::collection::btree_map(proptest::sample::select(&Attribute::ALL[..]), values(), 0..15),
    ) {
        let mut case = Case::of(spec);
        case.observed.settings = seen.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let watch = EmptyWatch { since: case.now - seconds(60), last: case.now, reads: 3 };
        case.memory.empty.insert(case.desired.name.to_string(), watch);
        let diff = case.diff();
        prop_assert_eq!(&diff.held, &None, "an empty queue loses nothing");
        case.observed.settings.extend(diff.write);
        case.observed.settings.retain(|_, value| !value.is_empty());
        prop_assert_eq!(case.diff(), Diff::default());
        let differences = case.compare(|comparison| comparison.differences(&case.desired, &case.observed));
        prop_assert_eq!(differences, Vec::<String>::new());
    }

    /// However late it shows: what was written is not written again.
    #[test]
    fn what_was_written_is_not_written_again(
        spec in specs(),
        seen in proptest::collection::btree_map(proptest::sample::select(&Attribute::ALL[..]), values(), 0..15),
        after in 0_i64..60,
    ) {
        let mut case = Case::of(spec);
        case.observed.settings = seen.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let diff = case.diff();
        let name: QueueName = case.desired.name.clone();
        case.record.wrote(&name, &diff.write, case.now);
        let next = case.later(seconds(after)).diff();
        prop_assert_eq!(next.write, Attributes::new());
        prop_assert_eq!(next.awaiting, diff.write.into_keys().collect::<Vec<_>>());
    }
}
