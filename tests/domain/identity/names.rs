//! What roles and their policies are called.

use std::collections::BTreeSet;

use proptest::prelude::*;

use prism_queue::domain::arn::Place;
use prism_queue::domain::iam::{IamPath, PolicyArn};
use prism_queue::domain::identity::{MAX_POLICIES, Names, RoleArn};

use crate::fixtures::*;

fn place(account_id: &str, region: &str) -> Place {
    Place { account_id: account_id.to_owned(), region: region.to_owned() }
}

/// The names of the role and the first policy.
fn names(cluster: &str, account_id: &str, region: &str, namespace: &str, subject: &str) -> (String, String) {
    let (place, path) = (place(account_id, region), IamPath::default());
    let names = Names { cluster, place: &place, path: &path, namespace, subject };
    (names.role().name().to_owned(), names.policy(1).name().to_owned())
}

#[test]
fn a_name_begins_with_what_a_person_looks_for_and_ends_in_a_hash() {
    let (role, policy) = names("prod", ACCOUNT, REGION, "web", "serviceaccount/resizer");
    assert!(role.starts_with("web_resizer_") && policy.starts_with("web_resizer_access1_"), "{role} {policy}");
    for name in [&role, &policy] {
        let hash = name.rsplit('_').next().unwrap();
        assert!(hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }
    assert_eq!(
        names("prod", ACCOUNT, REGION, "web", "serviceaccount/resizer"),
        (role, policy),
        "the same on every run"
    );
}

/// IAM is global in an account, and several clusters may share one.
#[test]
fn the_hash_is_of_cluster_account_namespace_and_subject_and_not_of_the_region() {
    let one = names("prod", ACCOUNT, REGION, "web", "serviceaccount/resizer");
    let hash =
        |(role, policy): &(String, String)| [role, policy].map(|name| name.rsplit('_').next().unwrap().to_owned());
    assert_eq!(names("prod", ACCOUNT, "us-east-1", "web", "serviceaccount/resizer"), one);
    for other in [
        names("test", ACCOUNT, REGION, "web", "serviceaccount/resizer"),
        names("prod", "999999999999", REGION, "web", "serviceaccount/resizer"),
        names("prod", ACCOUNT, REGION, "shop", "serviceaccount/resizer"),
        names("prod", ACCOUNT, REGION, "web", "serviceaccount/other"),
        names("prod", ACCOUNT, REGION, "web", "role/resizer"),
    ] {
        assert_ne!(hash(&other)[0], hash(&one)[0]);
        assert_ne!(hash(&other)[1], hash(&one)[1]);
    }
    let [role, policy] = hash(&one);
    assert_ne!(role, policy);
}

/// A boundary between parts that can be moved would let one subject have the names of another.
#[test]
fn no_two_subjects_meet_in_one_name() {
    let one = names("prod", ACCOUNT, REGION, "web-a", "serviceaccount/b");
    assert_ne!(one, names("prod", ACCOUNT, REGION, "web", "serviceaccount/a-b"));
    assert_ne!(one, names("prod-web", ACCOUNT, REGION, "a", "serviceaccount/b"));
    assert_ne!(one, names("prod\",\"web-a", ACCOUNT, REGION, "", "serviceaccount/b"));
}

#[test]
fn the_ten_policies_and_the_roles_have_names_of_their_own_at_the_path() {
    let (place, path) = (place(ACCOUNT, REGION), IamPath::parse("/teams/web/").unwrap());
    let names = Names { cluster: "prod", place: &place, path: &path, namespace: "web", subject: "serviceaccount/x" };
    let mut all: BTreeSet<String> = (1..=MAX_POLICIES).map(|number| names.policy(number).to_string()).collect();
    all.extend([names.source_policy().to_string(), names.role().to_string(), names.source_role().to_string()]);
    assert_eq!(all.len(), MAX_POLICIES + 3);
    assert!(all.iter().all(|arn| arn.contains("/teams/web/web_x_")), "{all:?}");
    assert_ne!(names.role().name(), names.source_role().name(), "both can be in one account");
}

proptest! {
    #[test]
    fn every_name_is_one_that_iam_takes(
        cluster in "[a-zA-Z0-9-]{1,100}",
        namespace in "[a-z0-9][a-z0-9-]{0,61}[a-z0-9]",
        subject in prop_oneof![
            "serviceaccount/[a-z0-9][a-z0-9.-]{0,251}[a-z0-9]",
            "role/[A-Za-z0-9+=,.@_-]{1,64}",
        ],
        number in 1..=MAX_POLICIES,
    ) {
        let (place, path) = (place(ACCOUNT, REGION), IamPath::default());
        let names = Names { cluster: &cluster, place: &place, path: &path, namespace: &namespace, subject: &subject };
        for role in [names.role(), names.source_role()] {
            prop_assert!(role.name().len() <= 64, "{}", role);
            prop_assert_eq!(RoleArn::parse(&role.to_string()), Some(role));
        }
        for policy in [names.policy(number), names.source_policy()] {
            prop_assert!(policy.name().len() <= 128, "{}", policy);
            prop_assert_eq!(PolicyArn::parse(&policy.to_string()), Some(policy));
        }
    }
}
