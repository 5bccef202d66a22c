//! What one `QueueAccess` gives: what its Queue and the Queue's class allow, and what stays while nobody can say.

use prism_queue::api::class::SubjectKind;
use prism_queue::api::conditions::Reason;
use prism_queue::api::queue_access::AccessTarget;
use prism_queue::api::{Queue, QueueAccess};
use prism_queue::domain::class::{Class, Labels};
use prism_queue::domain::desired::Refusal;
use prism_queue::domain::field::FieldError;
use prism_queue::domain::identity::{Claim, Entitlement};
use prism_queue::domain::permission::Permission;
use serde_json::{Value, json};

use super::{IdentityClass as _, access, for_resizer, making};
use crate::fixtures::*;

/// The Queue `media/orders`, whose queue is there, open to the namespace `web`.
fn ready(mut spec: Value) -> Queue {
    if spec.get("access").is_none() {
        spec["access"] = json!({"allowedNamespaces": {"from": "Names", "names": ["web"]}});
    }
    queue("orders", spec).existing().with_status(|status| {
        status.queue_arn = Some(arn("media_orders"));
        status.queue_name = Some("media_orders".to_owned());
    })
}

fn consume() -> QueueAccess {
    access("consume", &["Consume"], &for_resizer())
}

/// With the record of having given what it asks for on `media_orders`, of the Queue with this UID.
fn having_given(mut access: QueueAccess, queue_uid: &str) -> QueueAccess {
    let target = AccessTarget {
        account_id: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        queue_arn: arn("media_orders"),
        queue_uid: Some(queue_uid.to_owned()),
        permissions: access.spec.permissions.clone(),
        ..AccessTarget::default()
    };
    access.status.get_or_insert_default().target = Some(target);
    access
}

fn entitlement(access: &QueueAccess, queue: Option<&Queue>, class: Result<&Class, &Refusal>) -> Entitlement {
    labelled(access, queue, class, None)
}

fn labelled(
    access: &QueueAccess,
    queue: Option<&Queue>,
    class: Result<&Class, &Refusal>,
    labels: Option<&Labels>,
) -> Entitlement {
    Claim { access, labels, queue: queue.map(|queue| (queue, class)) }.entitlement()
}

/// Of each grant the permission, the queue and the dead-letter queue.
fn grants(entitlement: &Entitlement) -> Vec<(Permission, String, Option<String>)> {
    let given = entitlement.given.iter().flat_map(|given| &given.grants);
    let dead_letter =
        |grant: &prism_queue::domain::iam::Grant| grant.dead_letter.as_ref().map(|queue| queue.arn.clone());
    given.map(|grant| (grant.permission, grant.queue.arn.clone(), dead_letter(grant))).collect()
}

fn finding(entitlement: &Entitlement) -> Option<(Reason, bool)> {
    entitlement.finding.as_ref().map(|finding| (finding.reason, finding.is_stalled))
}

fn no_class() -> Refusal {
    Refusal { reason: Reason::ClassNotFound, errors: vec![FieldError::new("spec.queueClassName", "is a secret")] }
}

#[test]
fn a_ready_queue_gives_what_is_asked_for_on_its_own_queues() {
    let given = entitlement(&consume(), Some(&ready(json!({}))), Ok(&making()));
    assert_eq!(given.finding, None);
    let letters = Some(arn("media_orders_dlq"));
    assert_eq!(grants(&given), [(Permission::Consume, arn("media_orders"), letters.clone())]);
    let place = given.given.unwrap();
    assert_eq!((place.place, place.queue_uid.as_str()), (class().place, UID));

    let all = access("all", &["Redrive", "Send", "Inspect", "Consume"], &for_resizer());
    let given = entitlement(&all, Some(&ready(json!({}))), Ok(&making()));
    assert_eq!(grants(&given).len(), 4);
    assert!(grants(&given).iter().all(|(_, on, of)| *on == arn("media_orders") && *of == letters));
    assert_eq!(given.finding, None);
}

#[test]
fn the_key_that_encrypts_the_queue_comes_along() {
    let encrypted = ready(json!({"encryption": {"mode": "KMS", "kms": {"key": "alias/media"}}}));
    let given = entitlement(&consume(), Some(&encrypted), Ok(&making())).given.unwrap();
    assert_eq!(given.grants[0].queue.key.as_deref(), Some("alias/media"));
    assert_eq!(given.grants[0].dead_letter.as_ref().unwrap().key.as_deref(), Some("alias/media"));
}

#[test]
fn a_queue_that_is_not_there_is_waited_for_in_the_own_namespace_and_not_told_from_others_elsewhere() {
    let mut beside = consume();
    beside.metadata.namespace = Some("media".to_owned());
    beside.spec.queue_ref.namespace = None;
    let none = entitlement(&beside, None, Ok(&making()));
    assert_eq!((none.given.is_none(), finding(&none)), (true, Some((Reason::QueueNotFound, false))));

    let absent = entitlement(&consume(), None, Ok(&making()));
    assert_eq!(finding(&absent), Some((Reason::NotAllowedByQueue, true)));
    let closed = ready(json!({"access": {}}));
    assert_eq!(entitlement(&consume(), Some(&closed), Ok(&making())), absent, "the same, in every word");
    let mistyped = entitlement(&consume(), Some(&closed), Err(&no_class()));
    assert_eq!(mistyped, absent);
}

#[test]
fn the_queue_says_which_namespaces_may_point_to_it() {
    let from = |allowed: Value| ready(json!({"access": {"allowedNamespaces": allowed}}));
    let backend: Labels = [("tier".to_owned(), "backend".to_owned())].into();
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"tier": "backend"}}});
    for (queue, labels, is_in) in [
        (from(json!({"from": "All"})), None, true),
        (from(json!({"from": "None"})), None, false),
        (from(json!({"from": "Names", "names": ["web"]})), None, true),
        (from(json!({"from": "Names", "names": ["web2", "media"]})), None, false),
        (from(selector.clone()), Some(&backend), true),
        (from(selector.clone()), Some(&Labels::new()), false),
        (from(selector), None, false),
    ] {
        // What it gave before does not hold the door open.
        for access in [consume(), having_given(consume(), UID)] {
            let given = labelled(&access, Some(&queue), Ok(&making()), labels);
            assert_eq!(given.given.is_some(), is_in, "{:?}", queue.spec.access);
        }
    }
    let mut beside = consume();
    beside.metadata.namespace = Some("media".to_owned());
    assert!(entitlement(&beside, Some(&ready(json!({"access": {}}))), Ok(&making())).given.is_some());
}

#[test]
fn a_queue_without_a_queue_gives_nothing_and_its_message_is_not_for_strangers() {
    let fresh = queue("orders", json!({"access": {"allowedNamespaces": {"from": "All"}}}));
    let given = entitlement(&consume(), Some(&fresh), Ok(&making()));
    assert_eq!((given.given.is_none(), finding(&given)), (true, Some((Reason::QueueNotReady, false))));
    let given = entitlement(&having_given(consume(), UID), Some(&fresh), Err(&no_class()));
    assert!(given.given.is_none());
    let words = given.finding.unwrap().message;
    assert!(words.contains("ClassNotFound") && !words.contains("secret"), "{words}");
}

/// A permission that works must not end because somebody mistyped a field of the Queue.
#[test]
fn while_nobody_can_say_what_was_given_stays_and_nothing_new_is_given() {
    let elsewhere = making().in_account("999999999999");
    let refusal = no_class();
    let doubts: [(&str, Queue, Result<&Class, &Refusal>); 4] = [
        ("its class is not there", ready(json!({})), Err(&refusal)),
        ("its class is of another account", ready(json!({})), Ok(&elsewhere)),
        ("it is being deleted", ready(json!({})).deleting(), Ok(&making())),
        ("it is only observed", ready(json!({"managementPolicy": "Observe"})), Ok(&making())),
    ];
    for (what, queue, class) in doubts {
        let new = entitlement(&consume(), Some(&queue), class);
        assert_eq!((grants(&new), finding(&new)), (vec![], Some((Reason::QueueNotReady, false))), "{what}");
        let old = entitlement(&having_given(consume(), UID), Some(&queue), class);
        assert_eq!(grants(&old).len(), 1, "{what}");
        assert_eq!(finding(&old), Some((Reason::QueueNotReady, false)), "{what}");
        // More than was given is new.
        let mut more = having_given(consume(), UID);
        more.spec.permissions = vec![Permission::Send, Permission::Consume, Permission::Redrive];
        assert_eq!(grants(&entitlement(&more, Some(&queue), class)), grants(&old), "{what}");
        let mut less = having_given(access("both", &["Consume", "Send"], &for_resizer()), UID);
        less.spec.permissions = vec![Permission::Consume];
        assert_eq!(grants(&entitlement(&less, Some(&queue), class)), grants(&old), "{what}");
        let mut exchanged = having_given(consume(), UID);
        exchanged.spec.permissions = vec![Permission::Send];
        assert_eq!(entitlement(&exchanged, Some(&queue), class).given, None, "{what}");
        // Another Queue of the name is another's to give, and so is another queue.
        let of_another = entitlement(&having_given(consume(), "another"), Some(&queue), class);
        assert_eq!(grants(&of_another), [], "{what}");
        let mut moved = having_given(consume(), UID);
        moved.status.as_mut().unwrap().target.as_mut().unwrap().queue_arn = arn("media_before");
        assert_eq!(grants(&entitlement(&moved, Some(&queue), class)), [], "{what}");
    }
}

#[test]
fn the_class_says_which_kinds_of_subjects_there_are_whatever_was_given() {
    let only_principals = making().allowing(&[], Some(&[SubjectKind::Principal]));
    let observed = ready(json!({"managementPolicy": "Observe"}));
    for queue in [ready(json!({})), observed] {
        for access in [consume(), having_given(consume(), UID)] {
            let given = entitlement(&access, Some(&queue), Ok(&only_principals));
            assert_eq!(given.given, None);
            let finding = given.finding.unwrap();
            assert_eq!((finding.reason, finding.is_stalled), (Reason::NotAllowedByClass, true), "{}", finding.message);
            assert!(finding.message.contains("spec.subject") && finding.message.contains("ServiceAccount"));
        }
    }
    let only_accounts = making().allowing(&[], Some(&[SubjectKind::ServiceAccount]));
    assert!(entitlement(&consume(), Some(&ready(json!({}))), Ok(&only_accounts)).given.is_some());
    let role = access("role", &["Send"], &json!({"roleArn": super::BATCH}));
    assert!(entitlement(&role, Some(&ready(json!({}))), Ok(&only_accounts)).given.is_none());
}

#[test]
fn what_needs_a_dead_letter_queue_is_not_given_without_one_and_the_rest_is() {
    let none = ready(json!({"deadLetter": {"mode": "None"}}));
    let reference = ready(json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("payroll")}}}))
        .with_status(|status| {
            let dead_letter = status.dead_letter.get_or_insert_default();
            dead_letter.queue_arn = arn("payroll");
        });
    // It is declared by now, and not there yet.
    let mut not_yet = ready(json!({"deadLetter": {"mode": "None"}}));
    not_yet.spec.dead_letter = None;
    for queue in [none, reference, not_yet] {
        let both = access("both", &["Consume", "Inspect", "Redrive"], &for_resizer());
        let given = entitlement(&both, Some(&queue), Ok(&making()));
        assert_eq!(grants(&given), [(Permission::Consume, arn("media_orders"), None)]);
        let finding = given.finding.unwrap();
        assert_eq!((finding.reason, finding.is_stalled), (Reason::InvalidSpec, true));
        assert!(finding.message.contains("Inspect and Redrive cannot be given"), "{}", finding.message);
        let only = access("only", &["Inspect"], &for_resizer());
        let nothing = entitlement(&only, Some(&queue), Ok(&making()));
        assert_eq!(nothing.given, None);
        assert!(nothing.finding.is_some());
    }
}

/// IAM takes no policy that says nothing.
#[test]
fn nothing_is_not_given_in_any_doubt_either() {
    let gone = ready(json!({"deadLetter": {"mode": "None"}}));
    let observed = ready(json!({"deadLetter": {"mode": "None"}, "managementPolicy": "Observe"}));
    let only = having_given(access("only", &["Inspect"], &for_resizer()), UID);
    for (what, queue) in [("deleted", gone.deleting()), ("observed", observed)] {
        let nothing = entitlement(&only, Some(&queue), Ok(&making()));
        assert_eq!(nothing.given, None, "{what}");
        assert!(nothing.finding.is_some(), "{what}");
    }
}
