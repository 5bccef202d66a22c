//! All that is given to a subject in as few policies as hold it: what they say together is what is given, and who finds no
//! room is the youngest.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;

use prism_queue::domain::arn::Place;
use prism_queue::domain::fleet::Key;
use prism_queue::domain::iam::MAX_CHARACTERS;
use prism_queue::domain::identity::{Desired, Given, MAX_POLICIES, Member};
use prism_queue::domain::permission::Permission::{self, Consume, Redrive, Send};

use super::super::iam::evaluator::{Request, allows};
use super::{Case, documents, given_in, making, member};
use crate::fixtures::*;

const REGIONS: [&str; 2] = [REGION, "us-east-1"];

/// A key whose alias takes about this many characters.
fn alias(name: &str, characters: usize) -> String {
    format!("alias/{name}{}", "k".repeat(characters))
}

fn in_region(region: &str, name: &str, permissions: &[Permission], kms: Option<&str>) -> Given {
    given_in(&Place { account_id: ACCOUNT.to_owned(), region: region.to_owned() }, name, permissions, kms)
}

/// The `QueueAccess`es of a subject that are given these, the oldest first.
fn members(all: &[Given]) -> Vec<Member> {
    let number = |(index, given): (usize, &Given)| member(&format!("a{index}"), &making(), Some(given.clone()));
    all.iter().enumerate().map(number).collect()
}

fn packed(all: &[Given]) -> Desired {
    Case::of_resizer(members(all)).desired()
}

/// All that could be asked about a given queue, with a key that it has or not.
fn requests(given: &[Given]) -> Vec<Request> {
    let mut requests = Vec::new();
    for Given { coordinates, place, grants, .. } in given {
        for resource in [coordinates.arn.clone(), format!("{}_dlq", coordinates.arn), format!("{}x", coordinates.arn)] {
            for action in ["SendMessage", "ReceiveMessage", "DeleteMessage", "StartMessageMoveTask", "PurgeQueue"] {
                let action = format!("sqs:{action}");
                requests.push(Request { action, resource: resource.clone(), context: BTreeMap::new() });
            }
        }
        for alias in grants.iter().filter_map(|grant| grant.queue.key.clone()) {
            for region in REGIONS {
                for action in ["kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"] {
                    let context = BTreeMap::from([
                        ("kms:ResourceAliases", vec![alias.clone()]),
                        ("kms:ViaService", vec![format!("sqs.{region}.amazonaws.com")]),
                    ]);
                    let resource = format!("arn:aws:kms:{}:{ACCOUNT}:key/some", place.region);
                    requests.push(Request { action: action.to_owned(), resource, context });
                }
            }
        }
    }
    requests
}

/// As api.md says of each permission.
fn is_given(given: &Given, request: &Request) -> bool {
    let Given { coordinates, place, grants, .. } = given;
    let letters = format!("{}_dlq", coordinates.arn);
    grants.iter().any(|grant| {
        let (on_queue, on_letters): (&[&str], &[&str]) = match grant.permission {
            Permission::Send => (&["sqs:SendMessage"], &[]),
            Permission::Consume => (&["sqs:ReceiveMessage", "sqs:DeleteMessage"], &[]),
            Permission::Inspect => (&[], &["sqs:ReceiveMessage"]),
            Permission::Redrive => {
                (&["sqs:SendMessage"], &["sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage"])
            }
        };
        let action = request.action.as_str();
        let sends = on_queue.contains(&"sqs:SendMessage");
        let with_key = action == "kms:Decrypt" || sends && action == "kms:GenerateDataKey";
        let through =
            |region: &str| request.context.get("kms:ViaService") == Some(&vec![format!("sqs.{region}.amazonaws.com")]);
        request.resource == coordinates.arn && on_queue.contains(&action)
            || request.resource == letters && on_letters.contains(&action)
            || with_key
                && request
                    .context
                    .get("kms:ResourceAliases")
                    .is_some_and(|aliases| grant.queue.key.as_ref() == aliases.first())
                && request.resource.contains(&format!(":{}:", place.region))
                && through(&place.region)
    })
}

/// Fails unless the policies are such as IAM takes, and say together what is given to those who are in.
fn assert_right(all: &[Given], desired: &Desired) {
    let documents = documents(desired);
    assert!(documents.len() <= MAX_POLICIES, "{}", documents.len());
    for (document, (arn, _)) in documents.iter().zip(&desired.policies) {
        let characters = document.to_string().chars().filter(|c| !c.is_whitespace()).count();
        assert!(characters <= MAX_CHARACTERS, "{arn}: {characters}");
        assert!(!document["Statement"].as_array().unwrap().is_empty(), "{arn} says nothing");
    }
    let is_in = |index: &usize| !desired.left_out.contains(&key(*index));
    let inside: Vec<&Given> = (0..all.len()).filter(is_in).map(|index| &all[index]).collect();
    for request in requests(all) {
        let is_wanted = inside.iter().any(|given| is_given(given, &request));
        let is_allowed = documents.iter().any(|document| allows(document, &request));
        assert_eq!(is_allowed, is_wanted, "{request:?}");
    }
}

fn key(index: usize) -> Key {
    Key { namespace: "web".to_owned(), name: format!("a{index}") }
}

#[test]
fn what_fits_in_one_policy_is_in_one() {
    let all: Vec<Given> =
        (0..20).map(|n| in_region(REGIONS[n % 2], &format!("q{n}"), &[Consume, Send], None)).collect();
    let desired = packed(&all);
    assert_eq!((desired.policies.len(), desired.left_out.len()), (1, 0));
    assert_right(&all, &desired);
    // The same queue twice is in no two statements.
    let twice = packed(&[all[0].clone(), all[0].clone()]);
    assert_eq!(documents(&twice)[0]["Statement"].as_array().unwrap().len(), 1);
    assert_eq!(packed(&[]).policies.len(), 0);
}

/// What a person sees of a policy does not depend on who else was looked at first.
#[test]
fn policies_are_numbered_in_order_and_the_same_on_every_run() {
    let all: Vec<Given> =
        (0..30).map(|n| in_region(REGION, &format!("q{n}"), &[Consume], Some(&alias(&format!("{n}"), 240)))).collect();
    let (one, two) = (packed(&all), packed(&all));
    assert!(one.policies.len() > 1);
    assert_eq!(one.policies, two.policies);
    let arns: Vec<_> = one.policies.iter().map(|(arn, _)| arn.clone()).collect();
    assert_eq!(arns, one.names[..arns.len()]);
    assert_right(&all, &one);
}

#[test]
fn where_ten_policies_are_full_the_youngest_are_left_out_and_told() {
    // Two of them fill a policy.
    let all: Vec<Given> =
        (0..23).map(|n| in_region(REGION, &format!("q{n}"), &[Send], Some(&alias(&format!("{n}-"), 2000)))).collect();
    let desired = packed(&all);
    assert_eq!(desired.policies.len(), MAX_POLICIES);
    assert_eq!(desired.left_out, BTreeSet::from([key(20), key(21), key(22)]));
    assert_right(&all, &desired);
    let case = Case::of_resizer(members(&all));
    assert!(case.desired().hinders(&key(19), &all[19], &case.class, Some(&case.class)).is_none());
    let finding = case.desired().hinders(&key(20), &all[20], &case.class, Some(&case.class)).unwrap();
    assert_eq!((finding.reason.as_str(), finding.is_stalled), ("PolicyFull", true));
    // A younger one that is small still fits.
    let small = all.iter().cloned().chain([in_region(REGION, "small", &[Send], None)]).collect::<Vec<_>>();
    assert!(!packed(&small).left_out.contains(&key(23)));
    assert_right(&small, &packed(&small));
}

#[test]
fn what_is_too_large_for_any_policy_is_left_out_alone() {
    let huge = in_region(REGION, "huge", &[Redrive], Some(&alias("", 7000)));
    let all = [huge, in_region(REGION, "small", &[Send], None)];
    let desired = packed(&all);
    assert_eq!((desired.policies.len(), desired.left_out.clone()), (1, BTreeSet::from([key(0)])));
    assert_right(&all, &desired);
}

fn any_given() -> impl Strategy<Value = Given> {
    let permissions = subsequence(Permission::ALL.to_vec(), 1..=4);
    let kms = prop_oneof![
        2 => Just(None),
        1 => Just(Some("alias/shared".to_owned())),
        3 => ("[a-z]{4}", 50..2500_usize).prop_map(|(name, characters)| Some(alias(&name, characters))),
    ];
    (0..REGIONS.len(), 0..12_u32, 0..40_usize, permissions, kms).prop_map(|(region, number, pad, permissions, kms)| {
        in_region(REGIONS[region], &format!("media_q{number}-{}", "x".repeat(pad)), &permissions, kms.as_deref())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn together_the_policies_say_what_is_given_and_no_older_one_goes_for_a_younger(all in vec(any_given(), 0..40), cut in 0..40_usize) {
        let desired = packed(&all);
        assert_right(&all, &desired);
        let older = &all[..cut.min(all.len())];
        let before = packed(older);
        let still: BTreeSet<Key> = desired.left_out.iter().filter(|left| (0..older.len()).any(|n| key(n) == **left)).cloned().collect();
        prop_assert_eq!(&before.left_out, &still, "the younger change nothing for the older");
        if desired.policies.len() < MAX_POLICIES {
            let alone = |left: &&Key| packed(&[all[left.name[1..].parse::<usize>().unwrap()].clone()]).policies.is_empty();
            prop_assert!(desired.left_out.iter().all(|left| alone(&left)), "there was room for another policy");
        }
    }
}
