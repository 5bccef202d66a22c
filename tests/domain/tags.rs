//! api.md, "Whose queue is it".

use std::collections::BTreeSet;

use proptest::prelude::*;

use prism_queue::domain::tags::{OWNER_KEYS, OWNER_PREFIX, Origin, Owner, Ownership, TagChange, Tags};

use crate::fixtures::*;

const CLUSTER: &str = "queue.prism.io/cluster";
const CLUSTER_UID: &str = "queue.prism.io/cluster-uid";
const NAMESPACE: &str = "queue.prism.io/namespace";
const NAME: &str = "queue.prism.io/name";
const ORIGIN: &str = "queue.prism.io/origin";

fn replacing(uid: &str) -> Owner {
    Owner { cluster: class().replacing(uid).cluster, ..owner("orders") }
}

#[test]
fn owner_tags_are_on_all_that_is_made() {
    assert_eq!(
        owner("orders").tags(Origin::Created),
        tags([
            (CLUSTER, "prod"),
            (CLUSTER_UID, "cluster-1"),
            (NAMESPACE, "media"),
            (NAME, "orders"),
            (ORIGIN, "created")
        ])
    );
    assert_eq!(owner("orders").tags(Origin::Adopted)[ORIGIN], "adopted");
    assert!(OWNER_KEYS.iter().all(|key| owner("orders").tags(Origin::Created).contains_key(*key)));
}

/// Every combination of absent, ours and foreign of the four identifying tags, without the origin.
#[test]
fn a_queue_is_ours_only_when_all_identifying_tags_say_so() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Tag {
        Absent,
        Ours,
        Foreign,
    }
    use Tag::{Absent, Foreign, Ours};
    let ours = owner("orders").tags(Origin::Created);
    let all = [Absent, Ours, Foreign];
    for (cluster, uid, namespace, name) in itertools(all) {
        let chosen = [(CLUSTER, cluster), (CLUSTER_UID, uid), (NAMESPACE, namespace), (NAME, name)];
        let queue_tags: Tags = chosen
            .iter()
            .filter(|(_, tag)| *tag != Absent)
            .map(|(key, tag)| ((*key).to_owned(), if *tag == Ours { ours[*key].clone() } else { "foreign".to_owned() }))
            .collect();
        let seen = owner("orders").ownership(&queue_tags);
        let values = [cluster, uid, namespace, name];
        let is_expected = if values.iter().all(|tag| *tag == Absent) {
            seen == Ownership::Nobodys
        } else if values.contains(&Absent) || cluster == Foreign {
            matches!(seen, Ownership::AnotherClusters { .. })
        } else if uid == Foreign {
            seen == Ownership::AnotherClusterOfThisName { uid: "foreign".to_owned() }
        } else if namespace == Foreign || name == Foreign {
            matches!(seen, Ownership::AnotherQueues { .. })
        } else {
            seen == Ownership::Ours { origin: Origin::Adopted }
        };
        assert!(is_expected, "{values:?}: {seen:?}");
    }
}

fn itertools<T: Copy>(all: [T; 3]) -> impl Iterator<Item = (T, T, T, T)> {
    let pairs = move || all.into_iter().flat_map(move |one| all.into_iter().map(move |other| (one, other)));
    pairs().flat_map(move |(a, b)| pairs().map(move |(c, d)| (a, b, c, d)))
}

#[test]
fn tags_in_part_name_what_is_there() {
    let part = tags([(CLUSTER, "prod"), (NAME, "orders")]);
    let Ownership::AnotherClusters { owner } = owner("orders").ownership(&part) else { panic!("not foreign") };
    assert_eq!(owner, "unknown: of the owner tags only queue.prism.io/cluster, queue.prism.io/name are there");
}

#[test]
fn an_origin_alone_makes_no_owner() {
    assert_eq!(owner("orders").ownership(&tags([(ORIGIN, "created"), ("team", "media")])), Ownership::Nobodys);
}

#[test]
fn another_queues_queue_names_its_owner() {
    let theirs = owner("invoices").tags(Origin::Created);
    let seen = owner("orders").ownership(&theirs);
    assert_eq!(seen, Ownership::AnotherQueues { owner: "media/invoices".to_owned() });
}

#[test]
fn the_cluster_that_this_one_replaces_hands_over_its_queues() {
    let mut old = owner("orders").tags(Origin::Adopted);
    old.insert(CLUSTER_UID.to_owned(), "cluster-0".to_owned());
    let stranger = Ownership::AnotherClusterOfThisName { uid: "cluster-0".to_owned() };
    assert_eq!(owner("orders").ownership(&old), stranger);
    assert_eq!(replacing("cluster-9").ownership(&old), stranger);
    assert_eq!(replacing("cluster-0").ownership(&old), Ownership::OursFromPreviousCluster { origin: Origin::Adopted });
    // Of that cluster's queues, only this Queue's.
    old.insert(NAME.to_owned(), "invoices".to_owned());
    assert_eq!(replacing("cluster-0").ownership(&old), Ownership::AnotherQueues { owner: "media/invoices".to_owned() });
    // And of no cluster of another name.
    old.insert(CLUSTER.to_owned(), "staging".to_owned());
    assert!(matches!(replacing("cluster-0").ownership(&old), Ownership::AnotherClusters { .. }));
}

#[test]
fn an_adopted_queue_is_known_by_its_tag_even_when_status_is_lost() {
    for (value, origin) in [
        (Some("adopted"), Origin::Adopted),
        (Some("created"), Origin::Created),
        // Deleted only on demand: who cannot tell that a queue was created takes it for adopted.
        (Some("elsewhere"), Origin::Adopted),
        (None, Origin::Adopted),
    ] {
        let mut mine = owner("orders").tags(Origin::Created);
        mine.remove(ORIGIN);
        mine.extend(value.map(|value| (ORIGIN.to_owned(), value.to_owned())));
        assert_eq!(owner("orders").ownership(&mine), Ownership::Ours { origin }, "{value:?}");
    }
}

fn some_tags() -> impl Strategy<Value = Tags> {
    proptest::collection::btree_map("[a-d]", "[x-z]", 0..4)
}

proptest! {
    #[test]
    fn only_keys_that_we_set_are_ever_removed(
        desired in some_tags(),
        observed in some_tags(),
        managed in proptest::collection::btree_set("[a-d]", 0..4),
    ) {
        let change = TagChange::between(&desired, &observed, &managed);
        for key in &change.remove {
            prop_assert!(managed.contains(key) && !desired.contains_key(key) && observed.contains_key(key));
        }
        // Nothing is written that is right already, and afterwards all that is declared is there.
        prop_assert!(change.set.iter().all(|(key, value)| observed.get(key) != Some(value)));
        let mut after = observed.clone();
        after.extend(change.set.clone());
        after.retain(|key, _| !change.remove.contains(key));
        prop_assert!(desired.iter().all(|(key, value)| after.get(key) == Some(value)));
        prop_assert!(managed.iter().all(|key| desired.contains_key(key) || !after.contains_key(key)));
        let foreign = observed.iter().filter(|(key, _)| !managed.contains(*key) && !desired.contains_key(*key));
        for (key, value) in foreign {
            prop_assert_eq!(after.get(key), Some(value));
        }
        prop_assert_eq!(TagChange::between(&desired, &after, &managed), TagChange::default());
    }
}

#[test]
fn a_tag_of_an_auto_tagger_stays() {
    let observed = tags([("team", "media"), ("map-migrated", "d-1")]);
    let change = TagChange::between(&Tags::new(), &observed, &BTreeSet::from(["team".to_owned()]));
    assert_eq!((change.set, change.remove), (Tags::new(), vec!["team".to_owned()]));
}

#[test]
fn the_owner_tags_prefix_is_the_reserved_one() {
    assert!(OWNER_KEYS.iter().all(|key| key.starts_with(OWNER_PREFIX)));
}
