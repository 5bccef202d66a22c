use prism_queue::domain::encryption::{KeyMeanings, canonical_key, keys_to_ask_about, same_key};

use crate::fixtures::*;

const ID: &str = "0b1c2d3e-0000-4000-8000-000000000000";

fn key_arn(resource: &str) -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:{resource}")
}

#[test]
fn a_key_id_and_its_arn_are_one_key() {
    let (place, none) = (class().place, KeyMeanings::new());
    assert_eq!(canonical_key(ID, &place), key_arn(&format!("key/{ID}")));
    assert!(same_key(ID, &key_arn(&format!("key/{ID}")), &place, &none));
    assert!(same_key(&key_arn("alias/media"), "alias/media", &place, &none));
    assert!(!same_key(ID, "another-id", &place, &none));
    assert!(!same_key(ID, &key_arn(&format!("key/{ID}")).replace(ACCOUNT, "210987654321"), &place, &none));
    assert!(keys_to_ask_about(ID, &key_arn(&format!("key/{ID}")), &place).is_empty());
    assert!(keys_to_ask_about(ID, "another-id", &place).is_empty(), "no alias, nothing to ask");
}

#[test]
fn an_alias_means_the_key_that_kms_says() {
    let place = class().place;
    let meanings = KeyMeanings::from([(key_arn("alias/media"), key_arn(&format!("key/{ID}")))]);
    for key in [ID, &key_arn(&format!("key/{ID}"))] {
        assert_eq!(keys_to_ask_about("alias/media", key, &place), [key_arn("alias/media")]);
        assert!(same_key("alias/media", key, &place, &meanings), "{key}");
        assert!(same_key(key, "alias/media", &place, &meanings), "{key}");
        assert!(!same_key("alias/media", key, &place, &KeyMeanings::new()), "nobody asked KMS yet");
    }
    assert!(!same_key("alias/media", "another-id", &place, &meanings));
}

#[test]
fn two_aliases_of_one_key_are_one_key() {
    let place = class().place;
    let key = key_arn(&format!("key/{ID}"));
    let meanings = KeyMeanings::from([(key_arn("alias/a"), key.clone()), (key_arn("alias/b"), key)]);
    assert_eq!(keys_to_ask_about("alias/a", "alias/b", &place), [key_arn("alias/a"), key_arn("alias/b")]);
    assert!(same_key("alias/a", "alias/b", &place, &meanings));
    assert!(!same_key("alias/a", "alias/c", &place, &meanings));
}

#[test]
fn keys_of_other_partitions_are_spelled_with_theirs() {
    let place = class().in_region("cn-north-1").place;
    assert_eq!(canonical_key("alias/media", &place), format!("arn:aws-cn:kms:cn-north-1:{ACCOUNT}:alias/media"));
}
