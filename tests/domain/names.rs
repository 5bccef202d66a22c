//! api.md, "Names".

use std::collections::HashMap;

use proptest::prelude::*;

use prism_queue::api::queue::QueueType;
use prism_queue::domain::names::{MAX_LENGTH, NamePrefix, Naming, QueueName, is_dns_label};
use prism_queue::domain::settings::Names;
use serde_json::json;

use crate::fixtures::*;

fn naming(prefix: &str) -> Naming {
    Naming::new(NamePrefix::parse(prefix).unwrap())
}

#[test]
fn default_names_are_prefix_namespace_name() {
    let plain = Naming::default();
    assert_eq!(plain.queue("media", "orders", QueueType::Standard).as_str(), "media_orders");
    assert_eq!(plain.dead_letter("media", "orders", QueueType::Standard).as_str(), "media_orders_dlq");
    let prefixed = naming("acme-");
    assert_eq!(prefixed.queue("media", "orders", QueueType::Fifo).as_str(), "acme-media_orders.fifo");
    assert_eq!(prefixed.dead_letter("media", "orders", QueueType::Fifo).as_str(), "acme-media_orders_dlq.fifo");
}

#[test]
fn a_name_too_long_is_cut_and_ends_in_a_hash_that_never_changes() {
    let (namespace, name) = ("n".repeat(40), "q".repeat(40));
    let standard = Naming::default().queue(&namespace, &name, QueueType::Standard);
    // Queues in AWS bear these names: a change here loses sight of them.
    assert_eq!(standard.as_str(), format!("{namespace}_{}_hca45d816a6", "q".repeat(27)));
    let fifo = Naming::default().queue(&namespace, &name, QueueType::Fifo);
    assert_eq!(fifo.as_str(), format!("{namespace}_{}_hca45d816a6.fifo", "q".repeat(22)));
}

#[test]
fn a_name_is_cut_only_when_sqs_would_refuse_it() {
    let fitting = Naming::default().queue(&"n".repeat(39), &"q".repeat(40), QueueType::Standard);
    assert_eq!(fitting.as_str(), format!("{}_{}", "n".repeat(39), "q".repeat(40)));
    assert_eq!(fitting.as_str().len(), MAX_LENGTH);
    let fifo = Naming::default().queue(&"n".repeat(39), &"q".repeat(40), QueueType::Fifo);
    assert!(fifo.as_str().contains("_h") && fifo.as_str().len() == MAX_LENGTH, "{fifo}");
}

/// The name of a Queue that is not cut, made to look like another's that is.
#[test]
fn a_short_name_cannot_be_made_to_meet_one_that_was_cut() {
    let naming = naming(&"p".repeat(40));
    let victim = naming.queue(&"n".repeat(40), "orders", QueueType::Standard);
    let (_, hash) = victim.as_str().rsplit_once('_').unwrap();
    let attacker = naming.queue(&"n".repeat(28), hash, QueueType::Standard);
    assert_ne!(attacker, victim);
}

#[test]
fn a_queue_name_obeys_sqs() {
    for good in ["a", "A-b_9", "orders.fifo", &"x".repeat(80), &format!("{}.fifo", "x".repeat(75))] {
        assert!(QueueName::parse(good).is_ok(), "{good}");
    }
    for (bad, rule) in [
        ("", "must not be empty"),
        (".fifo", "must not be empty"),
        ("a.b", "has '.'"),
        ("a.fifo.fifo", "has '.'"),
        ("a b", "has ' '"),
        ("grün", "has 'ü'"),
        (&"x".repeat(81), "has 81 characters; SQS allows 80"),
        (&format!("{}.fifo", "x".repeat(76)), "has 81 characters; SQS allows 80, the .fifo suffix included"),
    ] {
        let error = QueueName::parse(bad).unwrap_err();
        assert!(error.contains(rule), "{bad}: {error}");
    }
}

#[test]
fn a_custom_name_ends_in_fifo_exactly_when_the_queue_is_fifo() {
    assert!(QueueName::custom("orders", QueueType::Standard).is_ok());
    assert!(QueueName::custom("orders.fifo", QueueType::Fifo).is_ok());
    let error = QueueName::custom("orders", QueueType::Fifo).unwrap_err();
    assert!(error.contains("must end in .fifo"), "{error}");
    let error = QueueName::custom("orders.fifo", QueueType::Standard).unwrap_err();
    assert!(error.contains("only the name of a FIFO queue may end in .fifo"), "{error}");
}

#[test]
fn a_prefix_has_no_separator_and_leaves_room() {
    assert!(NamePrefix::parse("").is_ok());
    assert!(NamePrefix::parse(&"p".repeat(40)).is_ok());
    assert!(NamePrefix::parse(&"p".repeat(41)).unwrap_err().contains("41 characters"));
    assert!(NamePrefix::parse("acme_").unwrap_err().contains("'_'"));
}

#[test]
fn a_custom_name_may_not_have_the_shape_of_another_namespaces_default_name() {
    let cut = |prefix: &str| naming(prefix).queue(&"n".repeat(40), &"q".repeat(60), QueueType::Standard).to_string();
    for (prefix, name, is_refused) in [
        // Other namespaces' queues and dead-letter queues, Standard and FIFO.
        ("", "shop_orders", true),
        ("", "shop_orders_dlq", true),
        ("", "shop_orders.fifo", true),
        ("", "shop_orders_dlq.fifo", true),
        ("acme-", "acme-shop_orders", true),
        ("acme-", "acme-shop_orders_dlq", true),
        // A namespace that begins as ours does, and one that ours begins as.
        ("", "media-2_orders", true),
        ("", "med_orders", true),
        // The names of our own namespace.
        ("", "media_orders", false),
        ("", "media_orders_dlq", false),
        ("", "media_orders_dlq.fifo", false),
        ("", "media_h0123456789", false),
        ("acme-", "acme-media_orders", false),
        // No default name has these shapes.
        ("", "orders", false),
        ("", "orders.fifo", false),
        ("", "Shop_orders", false),
        ("", "shop_Orders", false),
        ("", "shop_orders_dead", false),
        ("", "shop_orders_dlq_dlq", false),
        ("", "shop__orders", false),
        ("", "_orders", false),
        ("", "shop_", false),
        ("", "shop__dlq", false),
        ("", "-shop_orders", false),
        ("", "shop_orders-", false),
        ("acme-", "shop_orders", false),
        ("acme-", "acme-orders", false),
        // A Queue may be called so: its default name, not a dead-letter queue's.
        ("", "shop_dlq", true),
        // Cut names tell their namespace no longer.
        ("", &cut(""), true),
        ("acme-", &cut("acme-"), true),
        ("acme-", &cut(""), false),
    ] {
        let custom = QueueName::parse(name).unwrap();
        let refused = naming(prefix).is_shaped_like_another_namespaces(&custom, "media");
        assert_eq!(refused, is_refused, "{name} with prefix {prefix:?}");
    }
}

#[test]
fn names_of_a_queue_are_refused_all_at_once_with_their_fields() {
    let both =
        queue("orders", json!({"queueName": "shop_orders", "deadLetter": {"managed": {"queueName": "orders.dead"}}}));
    let errors = Names::of(&both, &class()).unwrap_err();
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["spec.queueName", "spec.deadLetter.managed.queueName"]);
    assert!(errors[0].rule.contains("shape of a default name of another namespace"), "{}", errors[0]);

    let same = queue("orders", json!({"queueName": "media-x", "deadLetter": {"managed": {"queueName": "media-x"}}}));
    let errors = Names::of(&same, &class()).unwrap_err();
    assert_eq!(errors[0].path, "spec.deadLetter.managed.queueName");
    assert!(errors[0].rule.contains("a name of its own"), "{}", errors[0]);
}

#[test]
fn only_a_managed_dead_letter_queue_claims_a_name() {
    let name = |spec| Names::of(&queue("orders", spec), &class()).unwrap().dead_letter.map(|name| name.to_string());
    assert_eq!(name(json!({})), Some("media_orders_dlq".to_owned()));
    assert_eq!(name(json!({"deadLetter": {"managed": {"queueName": "dead"}}})), Some("dead".to_owned()));
    assert_eq!(name(json!({"deadLetter": {"mode": "None"}})), None);
    assert_eq!(name(json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}})), None);
}

/// Names of objects, mostly at the lengths where names are cut, and mostly alike.
fn label() -> impl Strategy<Value = String> {
    let alike = prop_oneof![Just("a".to_owned()), Just("dlq".to_owned()), Just("h0123456789".to_owned()), "[ab-]{0,4}"];
    let long = (prop_oneof![1_usize..=63, 20_usize..=36, 60_usize..=63], alike).prop_map(|(length, end)| {
        let end = &end[..end.len().min(length)];
        format!("{}{end}", "a".repeat(length - end.len()))
    });
    prop_oneof![long, "[a-z0-9][a-z0-9-]{0,61}[a-z0-9]"].prop_filter("a DNS label", |label| is_dns_label(label))
}

fn prefix() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("a".to_owned()), "[a-z-]{1,40}", "a{26,40}"]
}

fn queue_type() -> impl Strategy<Value = QueueType> {
    prop_oneof![Just(QueueType::Standard), Just(QueueType::Fifo)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_two_objects_meet_in_one_name(
        prefix in prefix(),
        objects in proptest::collection::hash_set((label(), label()), 1..12),
        queue_type in queue_type(),
    ) {
        let naming = naming(&prefix);
        let mut bearers = HashMap::new();
        for (namespace, name) in &objects {
            let of_queue = naming.queue(namespace, name, queue_type);
            let of_dead_letter = naming.dead_letter(namespace, name, queue_type);
            for (claimed, what) in [(of_queue, "queue"), (of_dead_letter, "dead-letter queue")] {
                let bearer = format!("{what} of {namespace}/{name}");
                let other = bearers.insert(claimed.clone(), bearer.clone());
                prop_assert_eq!(other, None, "{} is also the {}", claimed, bearer);
            }
        }
    }

    #[test]
    fn a_default_name_is_one_that_sqs_accepts(prefix in prefix(), namespace in label(), name in label(), queue_type in queue_type()) {
        let naming = naming(&prefix);
        for made in [naming.queue(&namespace, &name, queue_type), naming.dead_letter(&namespace, &name, queue_type)] {
            prop_assert_eq!(QueueName::custom(made.as_str(), queue_type), Ok(made.clone()));
            prop_assert!(made.as_str().starts_with(&prefix));
        }
    }

    #[test]
    fn another_namespaces_default_names_cannot_be_taken(
        prefix in prefix(), namespace in label(), mine in label(), name in label(), queue_type in queue_type(),
    ) {
        prop_assume!(namespace != mine);
        let naming = naming(&prefix);
        for made in [naming.queue(&namespace, &name, queue_type), naming.dead_letter(&namespace, &name, queue_type)] {
            prop_assert!(naming.is_shaped_like_another_namespaces(&made, &mine), "{} taken from {}", made, mine);
        }
    }

    #[test]
    fn the_namespaces_own_default_names_may_be_chosen(prefix in prefix(), namespace in label(), name in label(), queue_type in queue_type()) {
        let naming = naming(&prefix);
        let is_cut = prefix.len() + namespace.len() + name.len() + "_".len() + "_dlq.fifo".len() > MAX_LENGTH;
        if is_cut {
            return Ok(());
        }
        for made in [naming.queue(&namespace, &name, queue_type), naming.dead_letter(&namespace, &name, queue_type)] {
            prop_assert!(!naming.is_shaped_like_another_namespaces(&made, &namespace), "{} refused", made);
        }
    }
}
