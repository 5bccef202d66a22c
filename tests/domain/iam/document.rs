//! What policies say, compared by meaning.

use serde_json::json;

use prism_queue::domain::iam::{Grant, GrantedQueue, IdentityPolicy, MAX_CHARACTERS, compile, digest_of};
use prism_queue::domain::permission::Permission;

use crate::fixtures::*;

fn sending() -> IdentityPolicy {
    let queue = GrantedQueue { arn: arn("orders"), key: Some("alias/media".to_owned()) };
    compile(&[Grant { permission: Permission::Send, queue, dead_letter: None }], &class().place)
}

#[test]
fn a_policy_is_read_back_whatever_its_order_and_spelling() {
    let policy = sending();
    assert_eq!(IdentityPolicy::parse(&policy.to_json()), Some(policy.clone()));
    let otherwise = json!({
        "Statement": [
            {
                "Condition": {
                    "StringEquals": {"kms:ViaService": ["sqs.eu-central-1.amazonaws.com"]},
                    "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/media"},
                },
                "Resource": "arn:aws:kms:eu-central-1:123456789012:key/*",
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Effect": "Allow",
            },
            {
                "Action": ["sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"],
                "Effect": "Allow",
                "Resource": arn("orders"),
            },
        ],
        "Version": "2012-10-17",
    });
    let spaced = serde_json::to_string_pretty(&otherwise).unwrap();
    assert_eq!(IdentityPolicy::parse(&spaced), Some(policy.clone()));
    assert_eq!(digest_of(&spaced), policy.digest());
}

#[test]
fn whatever_the_operator_never_says_makes_it_another_policy() {
    let text = sending().to_json();
    let change = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replacen(from, to, 1)
    };
    for other in [
        change("Allow", "Deny"),
        change("2012-10-17", "2008-10-17"),
        change("sqs:SendMessage", "sqs:*"),
        change("\"Action\"", "\"NotAction\""),
        change("\"Resource\"", "\"NotResource\""),
        change("\"Effect\"", "\"Sid\":\"Ours\",\"Effect\""),
        change("StringEquals\":{\"kms:Via", "StringLike\":{\"kms:Via"),
        change("alias/media", "alias/other"),
        "{}".to_owned(),
        "no JSON".to_owned(),
    ] {
        assert_ne!(digest_of(&other), sending().digest(), "{other}");
    }
}

#[test]
fn white_space_does_not_count_and_every_other_character_does() {
    let json = sending().to_json();
    assert_eq!(sending().characters(), json.len());
    let queue = |name: &str| GrantedQueue { arn: arn(name), key: None };
    let grants: Vec<Grant> = (0..200)
        .map(|n| Grant { permission: Permission::Send, queue: queue(&format!("q{n}")), dead_letter: None })
        .collect();
    let policy = compile(&grants, &class().place);
    assert!(policy.characters() > MAX_CHARACTERS, "{}", policy.characters());
}
