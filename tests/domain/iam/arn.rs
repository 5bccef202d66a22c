//! Where policies are.

use proptest::prelude::*;

use prism_queue::domain::arn::Place;
use prism_queue::domain::fleet::Key;
use prism_queue::domain::iam::{IamPath, PolicyArn, policy_arn};
use prism_queue::domain::permission::Permission;

use crate::fixtures::*;

fn place(account_id: &str, region: &str) -> Place {
    Place { account_id: account_id.to_owned(), region: region.to_owned() }
}

fn key(namespace: &str, name: &str) -> Key {
    Key { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn of(cluster: &str, account: &str, region: &str, namespace: &str, name: &str, permission: Permission) -> PolicyArn {
    policy_arn(cluster, &place(account, region), &IamPath::default(), &key(namespace, name), permission)
}

#[test]
fn an_arn_can_be_read_by_people_and_is_the_same_for_ever() {
    let arn = of("prod", ACCOUNT, REGION, "media", "orders", Permission::Send);
    assert_eq!(arn.to_string(), "arn:aws:iam::123456789012:policy/prism-queue/media_orders_Send_30b2a33e9087");
    assert_eq!((arn.path(), arn.account_id()), ("/prism-queue/", ACCOUNT));
    let china = of("prod", ACCOUNT, "cn-north-1", "media", "orders", Permission::Send);
    assert!(china.to_string().starts_with("arn:aws-cn:iam::"), "{china}");
}

#[test]
fn names_tell_clusters_regions_queues_and_permissions_apart() {
    let all = [
        of("prod", ACCOUNT, REGION, "media", "orders", Permission::Send),
        of("test", ACCOUNT, REGION, "media", "orders", Permission::Send),
        of("prod", ACCOUNT, "us-east-1", "media", "orders", Permission::Send),
        of("prod", ACCOUNT, REGION, "media", "orders", Permission::Consume),
        of("prod", ACCOUNT, REGION, "shop", "orders", Permission::Send),
        of("prod", ACCOUNT, REGION, "media", "order", Permission::Send),
    ];
    for (n, one) in all.iter().enumerate() {
        // IAM does not tell names apart by case.
        assert!(all[n + 1..].iter().all(|other| other.name().to_lowercase() != one.name().to_lowercase()), "{one}");
    }
}

#[test]
fn paths_are_whole_and_hold_no_wildcards() {
    for good in ["/", "/prism-queue/", "/teams/media/queues/", "/a+b=c,d.e@f_g/"] {
        assert!(IamPath::parse(good).is_ok(), "{good}");
    }
    let long = format!("/{}/", "x".repeat(511));
    for bad in ["", "prism", "/prism", "prism/", "//", "/a//b/", "/a*/", "/a?/", "/a b/", "/${x}/", &long] {
        assert!(IamPath::parse(bad).unwrap_err().contains("no path"), "{bad}");
    }
}

#[test]
fn what_is_no_policy_of_a_customer_is_not_read_as_one() {
    for text in [
        "",
        "arn:aws:iam::aws:policy/AmazonSQSFullAccess",
        "arn:aws:iam::123456789012:role/prism-queue/x",
        "arn:aws:sqs:eu-central-1:123456789012:orders",
        "arn:aws:iam::123456789012:policy/prism-queue/",
        "arn:aws:iam::123456789012:policy/a*/x",
        "arn:aws:iam:eu-central-1:123456789012:policy/x",
    ] {
        assert_eq!(PolicyArn::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn names_are_within_iams_rules_and_arns_are_read_back(
        namespace in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        name in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        permission in proptest::sample::select(Permission::ALL.to_vec()),
    ) {
        let arn = of("prod", ACCOUNT, REGION, &namespace, &name, permission);
        prop_assert!(arn.name().len() <= 128);
        prop_assert!(arn.name().chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)));
        prop_assert_eq!(PolicyArn::parse(&arn.to_string()), Some(arn));
    }
}
