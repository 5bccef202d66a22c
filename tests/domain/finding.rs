//! What a failed call means for the Queue, and how long to wait.

use proptest::prelude::*;

use prism_queue::api::conditions::Reason;
use prism_queue::domain::call::{CallError, ErrorClass, ErrorKind};
use prism_queue::domain::finding::{Circumstances, Finding, backoff, resync_after};
use prism_queue::domain::observed::{Memory, PATIENCE};

use crate::fixtures::*;

const CLASSES: [(ErrorClass, i64, i64); 6] = [
    (ErrorClass::Transient, 1_000, 60_000),
    (ErrorClass::NotFound, 1_000, 60_000),
    (ErrorClass::Throttled, 2_000, 60_000),
    (ErrorClass::Conflict, 5_000, 15_000),
    (ErrorClass::Denied, 10_000, 300_000),
    (ErrorClass::Invalid, 10_000, 300_000),
];

fn error(kind: ErrorKind) -> CallError {
    CallError { action: "CreateQueue", kind, code: "TheCode".to_owned(), message: "the words".to_owned() }
}

fn finding(kind: ErrorKind, failing_for: Option<i64>) -> Finding {
    let failing_since = failing_for.map(|for_seconds| now() - seconds(for_seconds));
    let memory = Memory { failing_since, ..Memory::default() };
    let caller_arn = &class().caller_arn;
    let circumstances = Circumstances { memory: &memory, uid: UID, caller_arn, now: now() };
    Finding::of_call("media_orders", &error(kind), &circumstances)
}

#[test]
fn a_failed_call_names_its_queue_reason_and_aws_words() {
    for (kind, reason) in [
        (ErrorKind::Throttled, Reason::Throttled),
        (ErrorKind::Denied, Reason::Denied),
        (ErrorKind::KmsDenied, Reason::KMSDenied),
        (ErrorKind::QueueDoesNotExist, Reason::Progressing),
        (ErrorKind::QueueNameExists, Reason::Progressing),
        (ErrorKind::QueueDeletedRecently, Reason::NameCoolDown),
        (ErrorKind::Invalid, Reason::Refused),
        (ErrorKind::Transient, Reason::AWSUnavailable),
    ] {
        let finding = finding(kind, None);
        assert_eq!(finding.reason, reason);
        assert!(finding.message.starts_with("media_orders: "), "{}", finding.message);
    }
    let denied = finding(ErrorKind::Denied, None).message;
    assert_eq!(denied, "media_orders: CreateQueue: TheCode: the words");
}

#[test]
fn a_missing_kms_permission_is_said_with_the_statement_to_add() {
    let words = finding(ErrorKind::KmsDenied, None).message;
    for part in ["kms:GenerateDataKey", "kms:Decrypt", "the key policy must allow it", "the words"] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn the_cool_down_is_waited_for_visibly() {
    let words = finding(ErrorKind::QueueDeletedRecently, Some(3600));
    assert!(words.message.contains("less than 60 s ago") && !words.is_stalled, "{}", words.message);
}

#[test]
fn only_what_a_person_must_mend_stalls_and_only_after_a_deadline() {
    let patience = PATIENCE.as_secs();
    for kind in [ErrorKind::Denied, ErrorKind::KmsDenied, ErrorKind::Invalid] {
        assert!(!finding(kind, None).is_stalled);
        assert!(!finding(kind, Some(patience - 1)).is_stalled);
        assert!(finding(kind, Some(patience)).is_stalled, "{kind:?}");
    }
    for kind in [
        ErrorKind::Throttled,
        ErrorKind::QueueDeletedRecently,
        ErrorKind::QueueDoesNotExist,
        ErrorKind::QueueNameExists,
        ErrorKind::Transient,
    ] {
        assert!(!finding(kind, Some(100 * patience)).is_stalled, "{kind:?} comes by itself");
    }
}

#[test]
fn every_kind_of_answer_has_its_class_and_every_class_its_word() {
    for (kind, word) in [
        (ErrorKind::Throttled, "throttled"),
        (ErrorKind::Denied, "denied"),
        (ErrorKind::KmsDenied, "denied"),
        (ErrorKind::QueueDoesNotExist, "not_found"),
        (ErrorKind::QueueNameExists, "conflict"),
        (ErrorKind::QueueDeletedRecently, "conflict"),
        (ErrorKind::Invalid, "invalid"),
        (ErrorKind::Transient, "transient"),
    ] {
        assert_eq!(kind.class().as_str(), word);
    }
}

#[test]
fn an_error_without_an_answer_has_no_code() {
    let lost = CallError { code: String::new(), ..error(ErrorKind::Transient) };
    assert_eq!(lost.to_string(), "CreateQueue: the words");
}

/// The waits of the first failures, without what spreads them.
#[test]
fn waits_double_up_to_the_longest() {
    for (class, first, longest) in CLASSES {
        for attempt in 0..12 {
            let whole = (first << attempt).min(longest);
            let wait = i64::try_from(backoff(class, attempt, UID).as_millis()).unwrap();
            assert!((whole - whole / 4..=whole).contains(&wait), "{class:?} {attempt}: {wait} of {whole}");
        }
    }
}

#[test]
fn objects_do_not_come_back_together() {
    let uids: Vec<String> = (0..200).map(|n| format!("c0ffee00-0000-4000-8000-{n:012}")).collect();
    let different = |waits: Vec<i128>| waits.into_iter().collect::<std::collections::BTreeSet<_>>().len();
    let retries = uids.iter().map(|uid| backoff(ErrorClass::Transient, 9, uid).as_millis()).collect();
    assert!(different(retries) > 190, "spread over a quarter of the wait");
    let resyncs = uids.iter().map(|uid| resync_after(seconds(600), uid).as_millis()).collect();
    assert!(different(resyncs) > 190, "spread over a tenth of the interval");
}

proptest! {
    #[test]
    fn a_wait_is_bounded_and_the_same_for_the_same_object_and_attempt(
        class in proptest::sample::select(&CLASSES[..]), attempt: u32, uid in ".{0,40}",
    ) {
        let (class, first, longest) = class;
        let wait = backoff(class, attempt, &uid);
        prop_assert!(wait.as_millis() >= i128::from(first - first / 4) && wait.as_millis() <= i128::from(longest));
        prop_assert_eq!(wait, backoff(class, attempt, &uid));
    }

    #[test]
    fn a_resync_comes_within_the_last_tenth_of_its_interval(resync in 0_i64..10_000_000, uid in ".{0,40}") {
        let whole = seconds(resync);
        let wait = resync_after(whole, &uid);
        prop_assert!(wait <= whole && wait >= whole * 9 / 10, "{wait} of {whole}");
        prop_assert_eq!(wait, resync_after(whole, &uid));
    }
}
