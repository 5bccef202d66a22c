//! Names claimed twice, and who is whose dead-letter queue.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::api::Queue;
use prism_queue::api::queue::RedriveAllowMode;
use prism_queue::api::status::DeadLetterStatus;
use prism_queue::domain::desired::Desired;
use prism_queue::domain::fleet::{Fleet, Key};
use prism_queue::domain::names::QueueName;
use prism_queue::domain::settings::Names;

use crate::fixtures::*;

fn key(name: &str) -> Key {
    Key { namespace: "media".to_owned(), name: name.to_owned() }
}

fn fleet<'a>(queues: impl IntoIterator<Item = &'a Queue>) -> Fleet {
    Fleet::of(queues, &class())
}

fn to(name: &str) -> Value {
    json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": name}}}})
}

fn to_arn(arn: &str) -> Value {
    json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn}}})
}

fn named(name: &str) -> Value {
    json!({"queueName": name})
}

/// `dead` and `count` sources, each a second younger than the one before.
fn crowd(count: u32) -> Vec<Queue> {
    let sources = (0..count).map(|n| queue(&format!("source-{n:02}"), to("dead")).younger_by(i64::from(n) + 1));
    std::iter::once(queue("dead", empty())).chain(sources).collect()
}

fn source_arns(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    numbers.into_iter().map(|n| arn(&format!("media_source-{n:02}"))).collect()
}

fn now_allowing(queue: Queue, sources: &BTreeSet<String>) -> Queue {
    queue.existing().with_status(|status| {
        let allow = &mut status.effective.as_mut().unwrap().redrive_allow;
        allow.mode = RedriveAllowMode::ByQueue;
        allow.source_queue_arns = sources.iter().cloned().collect();
    })
}

#[test]
fn of_two_that_claim_one_name_the_older_has_the_better_right() {
    let older = queue("a", named("shared")).uid("z");
    let younger = queue("b", named("shared")).uid("a").younger_by(1);
    let fleet = fleet([&older, &younger]);
    let name = QueueName::parse("shared").unwrap();
    assert_eq!(fleet.rival(&key("a"), &name), None);
    assert_eq!(fleet.rival(&key("b"), &name).map(|rival| &rival.key), Some(&key("a")));
}

#[test]
fn of_two_of_one_age_the_smaller_uid_has_the_better_right() {
    let (one, other) = (queue("a", named("shared")).uid("2"), queue("b", named("shared")).uid("1"));
    let fleet = fleet([&one, &other]);
    let name = QueueName::parse("shared").unwrap();
    assert_eq!(fleet.rival(&key("a"), &name).map(|rival| &rival.key), Some(&key("b")));
    assert_eq!(fleet.rival(&key("b"), &name), None);
}

#[test]
fn dead_letter_queue_names_take_part_in_claims() {
    let older = queue("a", json!({"deadLetter": {"managed": {"queueName": "shared"}}}));
    let younger = queue("b", named("shared")).younger_by(1);
    let fleet = fleet([&older, &younger]);
    let name = QueueName::parse("shared").unwrap();
    assert_eq!(fleet.rival(&key("b"), &name).map(|rival| &rival.key), Some(&key("a")));
}

#[test]
fn of_several_rivals_the_oldest_is_named() {
    let all = [
        queue("a", named("shared")).younger_by(1),
        queue("b", named("shared")),
        queue("c", named("shared")).younger_by(2),
    ];
    let name = QueueName::parse("shared").unwrap();
    assert_eq!(fleet(&all).rival(&key("c"), &name).map(|rival| &rival.key), Some(&key("b")));
}

#[test]
fn who_only_observes_claims_no_name() {
    let observer = queue("a", json!({"queueName": "shared", "managementPolicy": "Observe"}));
    let owner = queue("b", named("shared")).younger_by(1);
    assert_eq!(fleet([&observer, &owner]).rival(&key("b"), &QueueName::parse("shared").unwrap()), None);
}

#[test]
fn sources_are_found_by_name_and_by_arn_among_the_queues_of_the_namespace_and_type() {
    let dead = queue("dead", empty());
    let by_name = queue("by-name", to("dead"));
    let by_arn = queue("by-arn", to_arn(&arn("media_dead")));
    let elsewhere = queue("elsewhere", to_arn(&arn("media_dead"))).in_namespace("shop");
    let namesake = queue("namesake", to("dead")).in_namespace("shop");
    let mut fifo = to("dead");
    fifo["type"] = json!("FIFO");
    let fifo = queue("fifo", fifo);
    let switched_off = queue("off", json!({"deadLetter": {"mode": "None"}}));
    let fleet = fleet([&dead, &by_name, &by_arn, &elsewhere, &namesake, &fifo, &switched_off]);
    let found = BTreeSet::from([arn("media_by-name"), arn("media_by-arn")]);
    assert_eq!(fleet.allowed_sources(&key("dead")), found);
    assert_eq!(fleet.allowed_sources(&key("by-name")), BTreeSet::new());
}

#[test]
fn ten_sources_are_allowed_the_oldest_first_and_the_eleventh_is_not() {
    let all = crowd(11);
    let fleet = fleet(&all);
    assert_eq!(fleet.allowed_sources(&key("dead")), source_arns(0..10));
    assert!(fleet.is_crowded_out(&key("dead"), &arn("media_source-10")));
    assert!(!fleet.is_crowded_out(&key("dead"), &arn("media_source-09")));
}

#[test]
fn ten_sources_crowd_nobody_out() {
    let all = crowd(10);
    let fleet = fleet(&all);
    assert!((0..10).all(|n| !fleet.is_crowded_out(&key("dead"), &arn(&format!("media_source-{n:02}")))));
}

#[test]
fn listed_sources_come_before_those_found() {
    let mut all = crowd(10);
    all[0] = queue("dead", json!({"redriveAllow": {"sourceQueueArns": [arn("other")]}}));
    let fleet = fleet(&all);
    let mut expected = source_arns(0..9);
    expected.insert(arn("other"));
    assert_eq!(fleet.allowed_sources(&key("dead")), expected);
    assert!(fleet.is_crowded_out(&key("dead"), &arn("media_source-09")));
}

#[test]
fn a_source_that_is_in_stays_in_when_an_older_one_comes() {
    let mut all = crowd(11);
    all[0] = now_allowing(queue("dead", empty()), &source_arns(1..11));
    let fleet = fleet(&all);
    assert_eq!(fleet.allowed_sources(&key("dead")), source_arns(1..11));
    assert!(fleet.is_crowded_out(&key("dead"), &arn("media_source-00")));
}

#[test]
fn a_source_being_deleted_makes_room_and_keeps_its_place_while_there_is_room() {
    let mut all = crowd(11);
    all[1] = all[1].clone().deleting();
    assert_eq!(fleet(&all).allowed_sources(&key("dead")), source_arns(1..11));
    let mut all = crowd(10);
    all[1] = all[1].clone().deleting();
    assert_eq!(fleet(&all).allowed_sources(&key("dead")), source_arns(0..10));
}

#[test]
fn by_queue_allows_what_it_lists_and_nobody_else() {
    let listing = json!({"redriveAllow": {"mode": "ByQueue", "sourceQueueArns": [arn("other")]}});
    let all = [queue("dead", listing), queue("source", to("dead"))];
    let fleet = fleet(&all);
    assert_eq!(fleet.allowed_sources(&key("dead")), BTreeSet::from([arn("other")]));
    assert!(!fleet.is_crowded_out(&key("dead"), &arn("media_source")), "not full, but closed");
}

/// `queue`, whose queue in AWS names `arn` as its dead-letter queue, whatever it should name.
fn wired(queue: Queue, arn: &str) -> Queue {
    queue.with_status(|status| arn.clone_into(&mut status.dead_letter.get_or_insert_default().queue_arn))
}

#[test]
fn a_source_counts_as_long_as_it_is_wired_in_aws() {
    let dead = queue("dead", empty());
    for spec in [json!({"deadLetter": {"mode": "None"}}), empty(), to("other"), to_arn(&arn("other"))] {
        let source = queue("source", spec.clone());
        let before = fleet([&dead, &source]);
        assert_eq!(before.allowed_sources(&key("dead")), BTreeSet::new(), "{spec}");
        let source = wired(source, &arn("media_dead"));
        let fleet = fleet([&dead, &source]);
        assert_eq!(fleet.allowed_sources(&key("dead")), BTreeSet::from([arn("media_source")]), "{spec}");
        assert_eq!(fleet.live_sources(&key("dead")), [&key("source")], "{spec}");
        assert!(fleet.neighbours(&key("dead")).contains(&key("source")), "{spec}");
        assert!(fleet.neighbours(&key("source")).contains(&key("dead")), "{spec}");
        let elsewhere = wired(source, &arn("other"));
        assert_eq!(self::fleet([&dead, &elsewhere]).live_sources(&key("dead")), Vec::<&Key>::new(), "{spec}");
    }
    // By both it is one source.
    let source = wired(queue("source", to("dead")), &arn("media_dead"));
    assert_eq!(fleet([&dead, &source]).live_sources(&key("dead")), [&key("source")]);
}

#[test]
fn a_source_that_lets_go_is_news_to_the_dead_letter_queue_that_it_had() {
    let (dead, source) = (queue("dead", empty()), queue("source", json!({"deadLetter": {"mode": "None"}})));
    let mut fleet = fleet([&dead, &wired(source.clone(), &arn("media_dead"))]);
    assert_eq!(fleet.put(&source, &class()), Some(BTreeSet::from([key("dead")])));
}

#[test]
fn only_living_sources_hold_up_a_deletion() {
    let all = [queue("dead", empty()), queue("a", to("dead")), queue("b", to("dead")).deleting()];
    assert_eq!(fleet(&all).live_sources(&key("dead")), [&key("a")]);
}

/// `names`, each with the next as its dead-letter queue.
fn chain(names: &[&str]) -> Vec<Queue> {
    names.windows(2).map(|pair| queue(pair[0], to(pair[1]))).collect()
}

#[test]
fn a_way_back_to_itself_is_a_cycle_however_long() {
    for way in [
        &["a", "a"][..],
        &["a", "b", "a"],
        &["a", "b", "c", "a"],
        &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "a"],
    ] {
        let all = chain(way);
        let fleet = fleet(&all);
        let cycle: Vec<&str> = fleet.cycle(&key("a")).unwrap().into_iter().map(|key| key.name.as_str()).collect();
        assert_eq!(cycle, way);
        for name in way {
            assert!(fleet.cycle(&key(name)).is_some(), "{name} is on it too");
        }
    }
}

#[test]
fn a_way_that_ends_or_leads_into_anothers_cycle_is_none_of_its_own() {
    let mut all = chain(&["a", "b", "c"]);
    all.push(queue("c", empty()));
    assert_eq!(fleet(&all).cycle(&key("a")), None);
    let mut all = chain(&["b", "c", "b"]);
    all.push(queue("a", to("b")));
    assert_eq!(fleet(&all).cycle(&key("a")), None);
    assert!(fleet(&all).cycle(&key("b")).is_some());
    assert_eq!(fleet(&[]).cycle(&key("a")), None);
}

#[test]
fn a_cycle_by_arn_counts_across_namespaces() {
    let here = queue("a", to_arn(&arn("shop_b")));
    let there = queue("b", to_arn(&arn("media_a"))).in_namespace("shop");
    let cycle = fleet([&here, &there]).cycle(&key("a")).map(|way| way.len());
    assert_eq!(cycle, Some(3));
}

#[test]
fn the_manager_of_a_dead_letter_queue_is_known_by_its_arn() {
    let all = [queue("a", empty()).existing(), queue("b", json!({"deadLetter": {"mode": "None"}})).existing()];
    let fleet = fleet(&all);
    assert_eq!(fleet.manager_of(&arn("media_a_dlq")).map(|member| &member.key), Some(&key("a")));
    assert_eq!(fleet.manager_of(&arn("media_b_dlq")), None);
    assert_eq!(fleet.manager_of(&arn("media_a")), None);
}

#[test]
fn a_claim_alone_makes_no_manager() {
    let squatter = json!({"deadLetter": {"managed": {"queueName": "legacy"}}});
    let claiming = queue("a", squatter.clone());
    let about_to_make = queue("b", squatter.clone()).existing().with_status(|status| status.dead_letter = None);
    let wired_elsewhere = queue("c", squatter.clone()).existing().with_status(|status| {
        status.dead_letter.get_or_insert_default().queue_arn = arn("other");
    });
    let mut observing = squatter;
    observing["managementPolicy"] = json!("Observe");
    let observing = queue("d", observing).existing();
    let fleet = fleet([&claiming, &about_to_make, &wired_elsewhere, &observing]);
    assert_eq!(fleet.manager_of(&arn("legacy")), None);
}

#[test]
fn neighbours_are_its_dead_letter_queue_its_sources_and_who_claims_its_names() {
    let all = [
        queue(
            "me",
            json!({"queueName": "shared", "deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}}}),
        ),
        queue("dead", empty()),
        queue("source", to("me")),
        queue("rival", named("shared")),
        queue("stranger", empty()),
    ];
    let names: Vec<String> = fleet(&all).neighbours(&key("me")).into_iter().map(|key| key.name).collect();
    assert_eq!(names, ["dead", "rival", "source"]);
}

#[test]
fn only_what_others_decide_on_is_news() {
    let mut fleet = Fleet::default();
    let seen = queue("orders", empty());
    assert!(fleet.put(&seen, &class()).is_some(), "unknown");
    assert!(fleet.put(&seen, &class()).is_none(), "the same");
    let louder = queue("orders", json!({"visibilityTimeoutSeconds": 5, "tags": {"team": "media"}}));
    assert!(fleet.put(&louder, &class()).is_none(), "nobody else's business");
    let counted = louder.clone().with_status(|status| status.managed_tag_keys = vec!["team".to_owned()]);
    assert!(fleet.put(&counted, &class()).is_none(), "a status that nobody else reads");
    for (newer, what) in [
        (queue("orders", empty()).existing(), "its queue is there"),
        (now_allowing(queue("orders", empty()), &source_arns(0..1)), "it allows a source"),
        (queue("orders", empty()).deleting(), "it is being deleted"),
        (queue("orders", to("dead")), "it uses a dead-letter queue"),
        (queue("orders", json!({"redriveAllow": {"sourceQueueArns": [arn("other")]}})), "it lists a source"),
        (queue("orders", json!({"managementPolicy": "Observe"})), "it claims no name any more"),
    ] {
        fleet.put(&seen, &class());
        assert!(fleet.put(&newer, &class()).is_some(), "{what}");
    }
}

#[test]
fn what_is_gone_is_news_once() {
    let mut fleet = fleet([&queue("orders", empty())]);
    assert!(fleet.remove(&key("orders")).is_some());
    assert!(fleet.remove(&key("orders")).is_none());
    assert_eq!(fleet.get(&key("orders")), None);
}

#[test]
fn a_queue_whose_names_are_refused_is_nobody() {
    let mut fleet = fleet([&queue("orders", empty())]);
    let broken = queue("orders", named("shop_orders"));
    assert!(fleet.put(&broken, &class()).is_some(), "it was somebody before");
    assert_eq!(fleet.get(&key("orders")), None);
    assert!(fleet.put(&broken, &class()).is_none());
}

/// Queues that claim each other's names and use each other's queues, in every state.
fn crossed() -> impl Strategy<Value = Vec<Queue>> {
    let dead_letter = prop_oneof![
        Just(empty()),
        (0..6).prop_map(|n| to(&format!("q{n}"))),
        (0..6).prop_map(|n| to_arn(&arn(&format!("media_q{n}")))),
        (0..6).prop_map(|n| to_arn(&arn(&format!("media_q{n}_dlq")))),
    ];
    let name = prop::option::weighted(0.3, prop_oneof![Just("shared"), Just("common")]);
    let one = (dead_letter, name, prop::bool::ANY, prop::bool::weighted(0.2), prop::option::of(0..6), 0..3_i64);
    prop::collection::vec(one, 6).prop_map(|all| {
        let each = all.into_iter().enumerate();
        each.map(|(n, (mut spec, name, exists, deleting, wired_to, younger))| {
            let mut named = empty();
            if let Some(name) = name {
                (spec["queueName"], named["queueName"]) = (json!(name), json!(name));
            }
            let edited = queue(&format!("q{n}"), spec);
            let mut queue = queue(&format!("q{n}"), named).uid(&format!("{n}")).younger_by(younger);
            if exists {
                queue = queue.existing();
            }
            queue.spec = edited.spec;
            if let Some(to) = wired_to.filter(|_| exists) {
                let queue_arn = arn(&format!("media_q{to}"));
                queue = queue.with_status(|status| {
                    status.dead_letter = Some(DeadLetterStatus { queue_url: None, queue_arn });
                });
            }
            if deleting { queue.deleting() } else { queue }
        })
        .collect()
    })
}

proptest! {
    #[test]
    fn what_is_around_a_queue_decides_as_all_do(queues in crossed()) {
        let all = fleet(&queues);
        for queue in &queues {
            let near = all.around(queue, &class());
            let key = Key::of(queue);
            let decided = |fleet: &Fleet| format!("{:?}", Desired::of(queue, &class(), fleet));
            prop_assert_eq!(decided(&near), decided(&all));
            prop_assert_eq!(near.live_sources(&key), all.live_sources(&key));
            prop_assert_eq!(near.allowed_sources(&key), all.allowed_sources(&key));
            let names = Names::of(queue, &class()).unwrap();
            for name in std::iter::once(&names.queue).chain(&names.dead_letter) {
                prop_assert_eq!(near.rival(&key, name), all.rival(&key, name));
            }
        }
    }

    #[test]
    fn whatever_came_before_only_what_is_now_counts(before in crossed(), now in crossed()) {
        let mut edited = fleet(&before);
        for queue in &now {
            edited.put(queue, &class());
        }
        let fresh = fleet(&now);
        for queue in &now {
            let key = Key::of(queue);
            prop_assert_eq!(edited.neighbours(&key), fresh.neighbours(&key));
            prop_assert_eq!(edited.live_sources(&key), fresh.live_sources(&key));
        }
    }
}
