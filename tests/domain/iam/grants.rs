//! What the policies of a Queue allow: exactly the declared actions on exactly the declared ARNs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use prism_queue::api::Queue;
use prism_queue::api::queue::RedriveAllowMode;
use prism_queue::api::status::EffectiveRedriveAllow;
use prism_queue::domain::desired::Desired;
use prism_queue::domain::fleet::Fleet;

use super::evaluator::{Request, allows};
use crate::fixtures::*;

const ACTIONS: [&str; 20] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "CreateQueue",
    "DeleteMessage",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "RemovePermission",
    "SendMessage",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

const KEY_ACTIONS: [&str; 6] =
    ["CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"];

/// As api.md and the SQS Developer Guide say, written down a second time.
fn may(permission: &str, on_dead_letters: bool) -> &'static [&'static str] {
    match (permission, on_dead_letters) {
        ("Send", false) => &["GetQueueAttributes", "GetQueueUrl", "SendMessage"],
        ("Consume", false) => {
            &["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage"]
        }
        ("Inspect", true) => &["ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage"],
        ("Redrive", false) => &["SendMessage"],
        ("Redrive", true) => &[
            "CancelMessageMoveTask",
            "DeleteMessage",
            "GetQueueAttributes",
            "ListMessageMoveTasks",
            "ReceiveMessage",
            "StartMessageMoveTask",
        ],
        _ => &[],
    }
}

/// Of the key of the queue, and of the key of its dead-letter queue.
fn may_with_key(permission: &str, of_dead_letters: bool) -> &'static [&'static str] {
    match (permission, of_dead_letters) {
        ("Send" | "Redrive", false) => &["Decrypt", "GenerateDataKey"],
        ("Consume", false) | ("Inspect" | "Redrive", true) => &["Decrypt"],
        _ => &[],
    }
}

const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

fn key_arn(id: &str) -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}")
}

/// A key as a spec names it, with its ARN and its alias as KMS knows them.
#[derive(Clone, Debug)]
struct Key {
    named: String,
    arn: String,
    alias: Option<&'static str>,
}

fn keys() -> impl Strategy<Value = Option<Key>> {
    let key = |named: String, alias| Some(Key { named, arn: key_arn(KEY_ID), alias });
    select(vec![
        None,
        key(KEY_ID.to_owned(), None),
        key(key_arn(KEY_ID), None),
        key("alias/media".to_owned(), Some("alias/media")),
        key(format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/media"), Some("alias/media")),
    ])
}

fn encryption(key: Option<&Key>) -> Value {
    key.map_or(json!({}), |key| json!({"mode": "KMS", "kms": {"key": key.named}}))
}

/// Whether a caller that comes by `via` with a key of these aliases has one that this is.
fn is_key(key: &Key, arn: &str, aliases: &[&str]) -> bool {
    match key.alias {
        Some(alias) => aliases.contains(&alias),
        None => key.arn == arn,
    }
}

proptest! {
    #[test]
    fn a_policy_allows_what_is_declared_and_nothing_else(
        permissions in subsequence(vec!["Send", "Consume", "Inspect", "Redrive"], 1..=4),
        of_source in keys(),
        of_letters in keys(),
        is_reference in any::<bool>(),
    ) {
        let dead_letter = if is_reference {
            json!({"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}})
        } else {
            json!({})
        };
        let spec = json!({
            "iam": {"policies": permissions}, "deadLetter": dead_letter, "encryption": encryption(of_source.as_ref()),
        });
        let dead = json!({
            "encryption": encryption(of_letters.as_ref()),
            "redriveAllow": {"mode": "AllowAll"}, "messageRetentionSeconds": 1_209_600, "deadLetter": {"mode": "None"},
        });
        let (orders, dead) = (queue("orders", spec), queue("dead", dead).uid("other").existing());
        let dead = dead.with_status(|status| {
            status.effective.as_mut().unwrap().redrive_allow.mode = prism_queue::api::queue::RedriveAllowMode::AllowAll;
        });
        let desired = Desired::of(&orders, &class(), &Fleet::of([&orders, &dead], &class())).unwrap();
        prop_assert_eq!(desired.policies.len(), permissions.len());
        let (source, letters, of_letters) = if is_reference {
            (arn("media_orders"), arn("media_dead"), of_letters)
        } else {
            (arn("media_orders"), arn("media_orders_dlq"), of_source.clone())
        };
        for policy in &desired.policies {
            let permission = policy.permission.as_str();
            let text = policy.document.as_ref().unwrap().to_json();
            let document: Value = serde_json::from_str(&text).unwrap();
            for action in ACTIONS {
                for resource in [&source, &letters, &arn("media_other"), &arn("media_orders2"), &"*".to_owned()] {
                    let wanted = resource == &source && may(permission, false).contains(&action)
                        || resource == &letters && may(permission, true).contains(&action);
                    let request = Request {
                        action: format!("sqs:{action}"), resource: resource.clone(), context: BTreeMap::new(),
                    };
                    prop_assert_eq!(allows(&document, &request), wanted, "{} {:?}: {}", permission, request, text);
                }
            }
            for action in KEY_ACTIONS {
                for arn in [key_arn(KEY_ID), key_arn("another"), key_arn("*"), "*".to_owned()] {
                    for aliases in [vec![], vec!["alias/media"], vec!["alias/x", "alias/y"], vec!["alias/x", "alias/media"]] {
                        for via in ["sqs.eu-central-1.amazonaws.com", "sqs.us-east-1.amazonaws.com", "s3.eu-central-1.amazonaws.com", ""] {
                            let is = |key: &Option<Key>, of_dead_letters| {
                                key.as_ref().is_some_and(|key| is_key(key, &arn, &aliases))
                                    && may_with_key(permission, of_dead_letters).contains(&action)
                            };
                            let wanted = via == "sqs.eu-central-1.amazonaws.com"
                                && arn.starts_with("arn:") && (is(&of_source, false) || is(&of_letters, true));
                            let mut context = BTreeMap::from([
                                ("kms:ResourceAliases", aliases.iter().map(|alias| (*alias).to_owned()).collect()),
                            ]);
                            if !via.is_empty() {
                                context.insert("kms:ViaService", vec![via.to_owned()]);
                            }
                            let request = Request { action: format!("kms:{action}"), resource: arn.clone(), context };
                            prop_assert_eq!(allows(&document, &request), wanted, "{} {:?}: {}", permission, request, text);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_about_the_dead_letter_queue_is_refused_without_one() {
    for permission in ["Inspect", "Redrive"] {
        let spec = json!({"deadLetter": {"mode": "None"}, "iam": {"policies": ["Send", permission]}});
        let refusal = desired(&queue("orders", spec)).unwrap_err();
        assert_eq!(paths(&refusal), ["spec.iam.policies"]);
        assert!(refusal.message().contains(permission), "{}", refusal.message());
    }
    let spec = json!({"deadLetter": {"mode": "None"}, "iam": {"policies": ["Send", "Consume"]}});
    assert_eq!(desired(&queue("orders", spec)).unwrap().policies.len(), 2);
}

#[test]
fn a_policy_that_iam_would_not_take_is_refused_before_it_is_sent() {
    let long = |characters: usize| {
        let key = format!("alias/{}", "k".repeat(characters - 6));
        json!({"iam": {"policies": ["Redrive"]}, "encryption": {"mode": "KMS", "kms": {"key": key}}})
    };
    // As long as the CRD allows.
    assert!(desired(&queue("orders", long(2048))).is_ok());
    let refusal = desired(&queue("orders", long(6000))).unwrap_err();
    assert_eq!(paths(&refusal), ["spec.iam.policies"]);
    assert!(refusal.message().contains("IAM allows 6144"), "{}", refusal.message());
}

#[test]
fn a_key_is_used_through_the_regions_own_sqs_in_every_partition() {
    for (region, service) in [
        ("cn-north-1", "sqs.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "sqs.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", "sqs.us-iso-east-1.c2s.ic.gov"),
    ] {
        let spec = json!({"iam": {"policies": ["Send"]}, "encryption": {"mode": "KMS", "kms": {"key": "alias/media"}}});
        let (queue, class) = (queue("orders", spec), class().in_region(region));
        let desired = Desired::of(&queue, &class, &Fleet::of([&queue], &class)).unwrap();
        assert!(
            desired.policies[0].document.as_ref().unwrap().to_json().contains(&format!("\"{service}\"")),
            "{region}"
        );
    }
}

/// The dead-letter queue of another namespace, which takes in dead letters of `media/orders`.
fn shops_dead_letters() -> Queue {
    let listed = json!({"mode": "ByQueue", "sourceQueueArns": [arn("media_orders")]});
    let spec = json!({"deadLetter": {"mode": "None"}, "messageRetentionSeconds": 1_209_600, "redriveAllow": listed});
    queue("dead", spec).in_namespace("shop").uid("other").existing().with_status(|status| {
        status.effective.as_mut().unwrap().redrive_allow =
            EffectiveRedriveAllow { mode: RedriveAllowMode::ByQueue, source_queue_arns: vec![arn("media_orders")] };
    })
}

#[test]
fn whose_dead_letters_they_are_says_who_may_read_them() {
    let with = |permissions: Value, reference: Value| {
        queue(
            "orders",
            json!({"iam": {"policies": permissions}, "deadLetter": {"mode": "Reference", "reference": reference}}),
        )
    };
    let refused = |orders: &Queue, others: &[&Queue]| {
        let fleet = Fleet::of(others.iter().copied().chain([orders]), &class());
        Desired::of(orders, &class(), &fleet).map_err(|refusal| refusal.message())
    };
    let shop = shops_dead_letters();
    // To be let in as a source is not to be let in as a reader, and nobody's queue is not one's own.
    for name in ["shop_dead", "payroll-prod"] {
        let orders = with(json!(["Inspect", "Redrive", "Send"]), json!({"queueArn": arn(name)}));
        let words = refused(&orders, &[&shop]).expect_err(name);
        assert!(
            words.contains("Inspect is about the dead-letter queue") && words.contains("; spec.iam.policies: Redrive"),
            "{words}"
        );
    }
    assert!(refused(&with(json!(["Send", "Consume"]), json!({"queueArn": arn("shop_dead")})), &[&shop]).is_ok());
    // One of this namespace, by its name or by its ARN.
    let letters = queue("letters", json!({"deadLetter": {"mode": "None"}, "messageRetentionSeconds": 1_209_600}))
        .uid("letters")
        .existing();
    for reference in [json!({"queueRef": {"name": "letters"}}), json!({"queueArn": arn("media_letters")})] {
        assert!(refused(&with(json!(["Inspect"]), reference), &[&letters]).is_ok());
    }
}
