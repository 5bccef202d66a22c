//! What the operator may do with queues and their keys.
//!
//! Any queue of a name that may be ours is read: whose it is, its tags say. It is made with our tags, and changed and deleted
//! only by them. Source of what can be asked of each action: "Actions, resources, and condition keys for Amazon SQS" and "… for
//! AWS Key Management Service" in the Service Authorization Reference.

use std::collections::{BTreeMap, BTreeSet};

use super::super::arn::partition_of;
use super::document::Operator::{AnyStringEquals, StringEquals};
use super::document::Statement;
use super::duties::Duties;
use super::{Terms, owner_key};

pub(super) fn statements(duties: &Duties, terms: &Terms<'_>) -> Vec<Statement> {
    let place = &duties.place;
    let (partition, region, account) = (partition_of(&place.region), &place.region, &place.account_id);
    let arn = |name: &String| format!("arn:{partition}:sqs:{region}:{account}:{name}");
    let queues = || duties.queue_names.iter().map(arn);
    let origins: &[&str] = if duties.adopts { &["created", "adopted"] } else { &["created"] };
    let mut all = vec![
        Statement::allow(
            "SeeQueuesOfOurNames",
            &["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags"],
            queues(),
        ),
        Statement::allow("TellAMissingQueueFromADeniedOne", &["sqs:ListQueues"], ["*".to_owned()]),
        terms.in_request(Statement::allow("CreateQueuesAsOurs", &["sqs:CreateQueue"], queues())),
        // Both for a queue as it is created and for one that is adopted: neither has an owner yet.
        terms.claiming(Statement::allow("TagQueuesOfNobodyAsOurs", &["sqs:TagQueue"], queues())).when(
            StringEquals,
            &owner_key("aws:RequestTag", "origin"),
            origins.iter().copied(),
        ),
        terms.on_ours(Statement::allow(
            "ChangeAndDeleteOurQueues",
            &["sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue", "sqs:DeleteQueue"],
            queues(),
        )),
    ];
    all.extend(on_keys(&duties.keys));
    all
}

/// An alias as resource would mean the alias itself, so it becomes a condition on the keys of its account.
/// Source: AWS KMS Developer Guide, "Use aliases to control access to KMS keys".
fn on_keys(keys: &BTreeSet<String>) -> Vec<Statement> {
    let mut plain = BTreeSet::new();
    let mut aliased: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for key in keys {
        match key.split_once(":alias/") {
            Some((keys, alias)) => {
                _ = aliased.entry(format!("{keys}:key/*")).or_default().insert(format!("alias/{alias}"));
            }
            None => _ = plain.insert(key.clone()),
        }
    }
    let read = |keys: BTreeSet<String>| Statement::allow("ReadKeys", &["kms:DescribeKey", "kms:GetKeyPolicy"], keys);
    let plain = (!plain.is_empty()).then(|| read(plain));
    let aliased = aliased.into_iter().map(|(key, aliases)| {
        read(BTreeSet::from([key])).when(AnyStringEquals, "kms:ResourceAliases", aliases.iter().map(String::as_str))
    });
    plain.into_iter().chain(aliased).collect()
}
