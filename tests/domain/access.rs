//! Which `QueueAccess`es a Queue takes in, and why not the others.

use prism_queue::api::QueueAccess;
use prism_queue::api::class::{AccessLimits, ClassLimits};
use prism_queue::api::conditions::Reason;
use prism_queue::api::status::GrantStatus;
use prism_queue::domain::access::{AccessInput, AccessPlan, Grant, GrantingQueue, plan_access};
use prism_queue::domain::class::{Class, Labels, Limits};
use prism_queue::domain::desired::{Desired, Refusal};
use prism_queue::domain::fleet::{Fleet, Key, MOST_GRANTS};
use prism_queue::domain::observed::{Memory, Observed};
use serde_json::{Value, json};

use crate::fixtures::*;

const WORKER: &str = "arn:aws:iam::123456789012:role/worker";
const FOREIGN: &str = "arn:aws:iam::999999999999:role/worker";

/// A `QueueAccess` to `media/orders`.
fn access(namespace: &str, name: &str, permissions: &[&str], principal: &str) -> QueueAccess {
    let spec = json!({
        "queueRef": {"name": "orders", "namespace": "media"},
        "permissions": permissions,
        "subject": {"principalArn": principal},
    });
    let mut access = QueueAccess::new(name, serde_json::from_value(spec).unwrap());
    access.metadata.namespace = Some(namespace.to_owned());
    access.metadata.uid = Some(format!("uid-of-{name}"));
    access.metadata.generation = Some(1);
    access
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What a Queue of `class` with this spec comes to, when these point to it from namespaces with these labels.
fn desired(spec: Value, class: &Class, accesses: &[QueueAccess], labels: Option<&Labels>) -> Desired {
    let queue = queue("orders", spec);
    let mut fleet = Fleet::of([&queue], class);
    for access in accesses {
        fleet.put_grant(Grant::of(access, labels));
    }
    Desired::of(&queue, class, &fleet).unwrap()
}

/// Why one is refused; nothing when it is let in.
fn refusal(spec: Value, access: &QueueAccess, labels: Option<&Labels>) -> Option<Refusal> {
    let desired = desired(spec, &class(), std::slice::from_ref(access), labels);
    let key = Key::of_metadata(&access.metadata);
    let refused = desired.grants.refused.get(&key).cloned();
    assert_eq!(refused.is_none(), desired.grants.admitted.iter().any(|admitted| admitted.grant.key == key));
    refused
}

fn allowing(allowed: &Value) -> Value {
    json!({"access": {"allowedNamespaces": allowed}})
}

#[test]
fn another_namespace_needs_to_be_allowed_by_the_queue() {
    let backend = labels(&[("tier", "backend")]);
    let none = labels(&[]);
    let selector = |selector: Value| allowing(&json!({"from": "Selector", "selector": selector}));
    let not_frontend =
        || selector(json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["frontend"]}]}));
    let table = [
        (json!({}), Some(&none), false),
        (allowing(&json!({"from": "None"})), Some(&none), false),
        (allowing(&json!({"from": "All"})), Some(&none), true),
        (allowing(&json!({"from": "Names", "names": ["api", "web"]})), Some(&none), true),
        (allowing(&json!({"from": "Names", "names": ["web-2"]})), Some(&none), false),
        (selector(json!({"matchLabels": {"tier": "backend"}})), Some(&backend), true),
        (selector(json!({"matchLabels": {"tier": "backend"}})), Some(&none), false),
        (not_frontend(), Some(&backend), true),
        // Labels that are not known may be any.
        (not_frontend(), None, false),
    ];
    for (spec, labels, is_in) in table {
        let refused = refusal(spec.clone(), &access("web", "worker", &["Send"], WORKER), labels);
        assert_eq!(refused.is_none(), is_in, "{spec} {labels:?}");
        assert!(refused.is_none_or(|refused| refused.reason == Reason::NotAllowedByQueue));
        let own = refusal(spec.clone(), &access("media", "worker", &["Send"], WORKER), labels);
        assert_eq!(own, None, "{spec}: its own namespace needs nobody's consent");
    }
}

#[test]
fn what_is_about_dead_letters_needs_a_dead_letter_queue_of_the_queues_own() {
    let shared = json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}});
    for (spec, words) in [
        (json!({"deadLetter": {"mode": "None"}}), "and Queue media/orders has none"),
        (shared, "is another Queue's, whose policy its own owner keeps: point a QueueAccess to that one"),
    ] {
        for permissions in [&["Inspect"][..], &["Send", "Redrive"]] {
            let refused = refusal(spec.clone(), &access("media", "worker", permissions, WORKER), None).unwrap();
            assert_eq!(refused.reason, Reason::InvalidSpec);
            assert!(refused.message().starts_with("spec.permissions: "), "{}", refused.message());
            assert!(refused.message().contains(words), "{}", refused.message());
        }
        assert_eq!(refusal(spec, &access("media", "worker", &["Send", "Consume"], WORKER), None), None);
    }
}

#[test]
fn a_principal_may_be_whom_the_queues_class_lets_its_owner_let_in() {
    let limits = ClassLimits {
        access: Some(AccessLimits {
            principal_accounts: Some(vec!["999999999999".to_owned()]),
            ..AccessLimits::default()
        }),
        ..ClassLimits::default()
    };
    let of_class =
        |limits| Class { limits: Limits::Class { name: "prod".to_owned(), limits: Box::new(limits) }, ..class() };
    let refused = |class: &Class, permissions: &[&str], principal: &str| {
        let access = access("media", "worker", permissions, principal);
        let desired = desired(json!({}), class, &[access], None);
        desired.grants.refused.into_values().next().map(|refused| (refused.reason, refused.message()))
    };
    let narrow = refused(&of_class(ClassLimits::default()), &["Send"], FOREIGN).unwrap();
    assert_eq!(narrow.0, Reason::NotAllowedByClass);
    assert!(narrow.1.starts_with("spec.subject.principalArn: arn:aws:iam::999999999999"), "{}", narrow.1);
    assert!(narrow.1.ends_with("class \"prod\" does not allow it"), "{}", narrow.1);
    assert_eq!(refused(&of_class(limits.clone()), &["Send", "Consume", "Inspect"], FOREIGN), None);
    let redrive = refused(&of_class(limits), &["Redrive"], FOREIGN).unwrap();
    assert!(redrive.1.contains("SQS lets no other account move messages"), "{}", redrive.1);
    // What the API server would not have let through.
    for wrong in ["*", "arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:role/*"] {
        assert_eq!(refused(&class(), &["Send"], wrong).map(|refused| refused.0), Some(Reason::InvalidSpec), "{wrong}");
    }
}

#[test]
fn what_the_key_of_the_queue_must_say_for_it_is_told() {
    let key = "arn:aws:kms:eu-central-1:123456789012:key/1234";
    let spec = json!({"encryption": {"mode": "KMS", "kms": {"key": key}}});
    for (permissions, sends) in [(&["Inspect"][..], false), (&["Send", "Consume"], true)] {
        let worker = access("media", "worker", permissions, WORKER);
        let told = format!("{:?}", desired(spec.clone(), &class(), &[worker], None).key_access.unwrap().statements);
        assert!(told.contains(WORKER), "{told}");
        let has = |action: &str| told.contains(action);
        assert_eq!((has("kms:Decrypt"), has("kms:GenerateDataKey")), (true, sends), "{told}");
    }
    assert!(desired(spec, &class(), &[], None).key_access.is_none());
}

#[test]
fn the_oldest_are_let_in_first_and_only_so_many_are_looked_at() {
    let long = |n: usize| format!("arn:aws:iam::123456789012:role/{}/{n:03}", "x".repeat(400));
    let mut all: Vec<QueueAccess> = (0..MOST_GRANTS + 5)
        .map(|n| {
            let mut access = access("media", &format!("worker-{n:03}"), &["Send"], &long(n));
            access.metadata.creation_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now() + seconds(i64::try_from(n).unwrap())));
            access
        })
        .collect();
    // It needs hardly any room.
    all[100].spec.subject.principal_arn = Some(long(0));
    all.reverse();
    let queue = queue("orders", json!({}));
    let mut fleet = Fleet::of([&queue], &class());
    let strangers = (0..MOST_GRANTS).map(|n| access("evil", &format!("stranger-{n:03}"), &["Send"], WORKER));
    for access in strangers.chain(all) {
        fleet.put_grant(Grant::of(&access, None));
    }
    let Desired { grants, .. } = Desired::of(&queue, &class(), &fleet.around(&queue, &class())).unwrap();
    let names: Vec<&str> = grants.admitted.iter().map(|admitted| admitted.grant.key.name.as_str()).collect();
    let oldest: Vec<String> = (0..names.len() - 1).map(|n| format!("worker-{n:03}")).collect();
    assert_eq!(names[..names.len() - 1], oldest);
    assert_eq!(names.last(), Some(&"worker-100"));
    assert!(grants.refused.values().all(|refused| refused.reason == Reason::PolicyFull));
    assert_eq!(grants.admitted.len() + grants.refused.len(), MOST_GRANTS, "the others are told so without");
}

#[test]
fn a_change_concerns_its_queue_and_no_other() {
    let mut fleet = Fleet::default();
    let orders = Key { namespace: "media".to_owned(), name: "orders".to_owned() };
    let worker = access("web", "worker", &["Send"], WORKER);
    let grant = || Grant::of(&worker, None);
    assert_eq!(fleet.put_grant(grant()), Some([orders.clone()].into()));
    assert_eq!(fleet.put_grant(grant()), None, "nothing new");
    assert_eq!(fleet.put_grant(Grant::of(&worker, Some(&labels(&[("tier", "x")])))), Some([orders.clone()].into()));
    let mut elsewhere = worker.clone();
    elsewhere.spec.queue_ref.namespace = None;
    let both = fleet.put_grant(Grant::of(&elsewhere, None)).unwrap();
    assert_eq!(both, [orders, Key { namespace: "web".to_owned(), name: "orders".to_owned() }].into());
    let key = Key::of_metadata(&worker.metadata);
    assert_eq!(fleet.remove_grant(&key).map(|queue| queue.namespace).as_deref(), Some("web"));
    assert_eq!(fleet.remove_grant(&key), None);
}

/// The plan for `access`, whose Queue has these on record.
fn plan_for(access: &QueueAccess, grants: Vec<GrantStatus>) -> AccessPlan {
    let queue = queue("orders", json!({})).existing().with_status(|status| {
        status.queue_arn = Some(arn("media_orders"));
        status.queue_name = Some("media_orders".to_owned());
        status.grants = grants;
    });
    let class = class();
    let mut fleet = Fleet::of([&queue], &class);
    fleet.put_grant(Grant::of(access, None));
    let desired = Desired::of(&queue, &class, &fleet).unwrap();
    let queue = Some(GrantingQueue { queue: &queue, desired: Ok((&class, Some(&desired))) });
    let (observed, memory) = (Observed::default(), Memory::default());
    plan_access(&AccessInput { access, labels: None, queue, observed: &observed, memory: &memory, now: now() })
}

#[test]
fn it_is_ready_when_this_very_object_is_in_force_in_this_generation() {
    let worker = access("media", "worker", &["Send"], WORKER);
    let entry = |uid: &str, generation| {
        vec![GrantStatus {
            namespace: "media".to_owned(),
            name: "worker".to_owned(),
            uid: uid.to_owned(),
            generation,
            refused_time: None,
        }]
    };
    let reason = |grants| plan_for(&worker, grants).finding.map(|finding| finding.reason);
    assert_eq!(reason(entry("uid-of-worker", Some(1))), None);
    assert_eq!(reason(entry("uid-of-worker", Some(0))), Some(Reason::Progressing), "another generation");
    assert_eq!(reason(entry("uid-of-worker", None)), Some(Reason::Progressing), "about to be");
    assert_eq!(reason(entry("another", Some(1))), Some(Reason::Progressing), "another object of the name");
    assert_eq!(reason(Vec::new()), Some(Reason::Progressing));
    assert_eq!(plan_for(&worker, Vec::new()).finalizer, Some(true), "before anybody is let in");
}

#[test]
fn keys_that_would_redirect_aws_clients_are_refused_whatever_the_api_server_let_through() {
    let mut worker = access("media", "worker", &["Send"], WORKER);
    worker.spec.secret = serde_json::from_value(json!({"keyPrefix": "AWS_"})).unwrap();
    let plan = plan_for(&worker, Vec::new());
    let finding = plan.finding.unwrap();
    assert_eq!((finding.reason, finding.is_stalled, plan.finalizer), (Reason::InvalidSpec, true, None));
    assert!(finding.message.starts_with("spec.secret.keyPrefix: "), "{}", finding.message);
}

#[test]
fn who_is_not_looked_at_is_told_so() {
    let (worker, class) = (access("media", "worker", &["Send"], WORKER), class());
    let queue = queue("orders", json!({}));
    let (observed, memory) = (Observed::default(), Memory::default());
    let queue = Some(GrantingQueue { queue: &queue, desired: Ok((&class, None)) });
    let plan = plan_access(&AccessInput {
        access: &worker,
        labels: None,
        queue,
        observed: &observed,
        memory: &memory,
        now: now(),
    });
    let finding = plan.finding.unwrap();
    assert_eq!((finding.reason, finding.is_stalled, plan.finalizer), (Reason::PolicyFull, true, None));
    assert!(finding.message.ends_with("200 other QueueAccesses come before it"), "{}", finding.message);
}

#[test]
fn deletion_waits_until_the_queue_has_it_on_record_no_longer() {
    let mut worker = access("media", "worker", &["Send"], WORKER);
    worker.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    worker.metadata.finalizers = Some(vec![prism_queue::api::FINALIZER.to_owned()]);
    let about_to_be = GrantStatus {
        namespace: "media".to_owned(),
        name: "worker".to_owned(),
        uid: "uid-of-worker".to_owned(),
        ..GrantStatus::default()
    };
    let waits = plan_for(&worker, vec![about_to_be]);
    assert_eq!((waits.finalizer, waits.finding.map(|finding| finding.reason)), (None, Some(Reason::Deleting)));
    assert_eq!(plan_for(&worker, Vec::new()).finalizer, Some(false));
}
