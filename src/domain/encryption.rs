//! Keys of encryption at rest: one key has several names.

use std::collections::BTreeMap;

use super::arn::{Place, partition_of};

/// What keys mean: from a canonical key name (see [`canonical_key`]) to the key's ARN, as far as KMS was asked.
pub type KeyMeanings = BTreeMap<String, String>;

/// One spelling for the spellings that need no call: a key id becomes the key's ARN and an alias the alias' ARN.
#[must_use]
pub fn canonical_key(key: &str, place: &Place) -> String {
    if key.starts_with("arn:") {
        return key.to_owned();
    }
    let Place { account_id, region } = place;
    let resource = if key.starts_with("alias/") { key.to_owned() } else { format!("key/{key}") };
    format!("arn:{}:kms:{region}:{account_id}:{resource}", partition_of(region))
}

/// Whether two key names mean one key, as far as is known. An alias and a key are told apart only by asking KMS.
#[must_use]
pub fn same_key(one: &str, other: &str, place: &Place, meanings: &KeyMeanings) -> bool {
    let mean = |key: &str| {
        let canonical = canonical_key(key, place);
        meanings.get(&canonical).cloned().unwrap_or(canonical)
    };
    canonical_key(one, place) == canonical_key(other, place) || mean(one) == mean(other)
}

/// The aliases that KMS must be asked about before `one` and `other` can be told apart: none when they are spelled
/// alike, and none when neither is an alias.
#[must_use]
pub fn keys_to_ask_about(one: &str, other: &str, place: &Place) -> Vec<String> {
    let (one, other) = (canonical_key(one, place), canonical_key(other, place));
    if one == other {
        return Vec::new();
    }
    [one, other].into_iter().filter(|key| key.contains(":alias/")).collect()
}
