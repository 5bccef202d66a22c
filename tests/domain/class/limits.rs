//! What breaks a rule of the class is refused with the rule's words, under the path of the Queue's field.

use serde_json::{Value, json};

use prism_queue::domain::deletion::lets_go;
use prism_queue::domain::desired::Refusal;

use super::{desired_in, prod, with_labels};
use crate::fixtures::*;

fn refusal(limits: &Value, spec: Value) -> Refusal {
    desired_in(&prod(&json!({"limits": limits})), spec).unwrap_err()
}

fn is_allowed(limits: &Value, spec: Value) -> bool {
    desired_in(&prod(&json!({"limits": limits})), spec).is_ok()
}

/// Limit, what breaks it, what keeps it, the path, and the words.
type Row = (Value, Value, Value, &'static str, &'static str);

fn table() -> Vec<Row> {
    [numbers(), choices()].concat()
}

fn numbers() -> Vec<Row> {
    vec![
        (
            json!({"visibilityTimeoutSeconds": {"max": 3600}}),
            json!({"visibilityTimeoutSeconds": 3601}),
            json!({"visibilityTimeoutSeconds": 3600}),
            "spec.visibilityTimeoutSeconds",
            "3601 is not allowed by class \"prod\", which allows at most 3600",
        ),
        (
            json!({"messageRetentionSeconds": {"min": 3600, "max": 400_000}}),
            json!({"messageRetentionSeconds": 3599}),
            json!({"messageRetentionSeconds": 3600}),
            "spec.messageRetentionSeconds",
            "3599 is not allowed by class \"prod\", which allows 3600 to 400000",
        ),
        (
            json!({"receiveWaitTimeSeconds": {"min": 1}}),
            json!({"receiveWaitTimeSeconds": 0}),
            json!({}),
            "spec.receiveWaitTimeSeconds",
            "which allows at least 1",
        ),
        (json!({"delaySeconds": {"max": 0}}), json!({"delaySeconds": 1}), json!({}), "spec.delaySeconds", "at most 0"),
        (
            json!({"maximumMessageSizeBytes": {"max": 262_144}}),
            json!({}),
            json!({"maximumMessageSizeBytes": 262_144}),
            "spec.maximumMessageSizeBytes",
            "1048576 is not allowed",
        ),
        (
            json!({"deadLetter": {"maxReceiveCount": {"min": 2, "max": 20}}}),
            json!({"deadLetter": {"maxReceiveCount": 21}}),
            json!({"deadLetter": {"mode": "None"}}),
            "spec.deadLetter.maxReceiveCount",
            "which allows 2 to 20",
        ),
    ]
}

fn choices() -> Vec<Row> {
    let kms = |key: &str| json!({"encryption": {"mode": "KMS", "kms": {"key": key}}});
    vec![
        (
            json!({"types": ["Standard"]}),
            json!({"type": "FIFO"}),
            json!({}),
            "spec.type",
            "FIFO is not allowed by class \"prod\", which allows Standard",
        ),
        (
            json!({"deadLetter": {"modes": ["Managed", "Reference"]}}),
            json!({"deadLetter": {"mode": "None"}}),
            json!({}),
            "spec.deadLetter.mode",
            "None is not allowed by class \"prod\", which allows Managed, Reference",
        ),
        (
            json!({"deadLetter": {"queueArns": [arn("known")]}}),
            json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("other")}}}),
            json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("known")}}}),
            "spec.deadLetter.reference.queueArn",
            "which no Queue stands for, is not allowed by class \"prod\", which allows arn:aws:sqs:eu-central-1:123456789012:known",
        ),
        (
            json!({"encryption": {"modes": ["KMS"]}}),
            json!({}),
            kms("alias/any"),
            "spec.encryption.mode",
            "SQSManaged is not allowed by class \"prod\", which allows KMS",
        ),
        (
            json!({"encryption": {"kms": {"keys": ["alias/queues"]}}}),
            // The same key by another of its names: lists match literally.
            kms("arn:aws:kms:eu-central-1:123456789012:alias/queues"),
            kms("alias/queues"),
            "spec.encryption.kms.key",
            "which allows alias/queues",
        ),
        (
            json!({"access": {"requireTLS": true}}),
            json!({"access": {"requireTLS": false}}),
            json!({}),
            "spec.access.requireTLS",
            "false is not allowed by class \"prod\", which allows true",
        ),
        (
            json!({"deletionPolicies": ["DeleteIfEmpty", "Retain"]}),
            json!({"deletionPolicy": "Delete"}),
            json!({}),
            "spec.deletionPolicy",
            "which allows DeleteIfEmpty, Retain",
        ),
        (
            json!({"adoptionPolicies": ["Never"]}),
            json!({"adoptionPolicy": "Adopt"}),
            json!({"adoptionPolicy": "Never"}),
            "spec.adoptionPolicy",
            "Adopt is not allowed by class \"prod\", which allows Never",
        ),
        (
            json!({"iam": {"policies": ["Send", "Consume"]}}),
            json!({"iam": {"policies": ["Send", "Redrive"]}}),
            json!({"iam": {"policies": ["Send", "Consume"]}}),
            "spec.iam.policies",
            "Redrive is not allowed by class \"prod\", which allows Send, Consume",
        ),
        (
            json!({"iam": {"policies": []}}),
            json!({"iam": {"policies": ["Send"]}}),
            json!({"iam": {"policies": []}}),
            "spec.iam.policies",
            "Send is not allowed by class \"prod\", which allows none",
        ),
        (
            json!({"requiredTags": ["team"]}),
            json!({"tags": {"Team": "x"}}),
            json!({"tags": {"team": "x"}}),
            "spec.tags",
            "class \"prod\" wants every queue to have the tag \"team\"",
        ),
        (
            json!({"queueNamePattern": "{namespace}-[a-z]+"}),
            json!({"queueName": "media-Images"}),
            json!({"queueName": "media-images"}),
            "spec.queueName",
            "\"media-Images\" is not allowed by class \"prod\", which allows names that match {namespace}-[a-z]+ as a whole",
        ),
        (
            json!({"queueNamePattern": "{namespace}-[a-z]+"}),
            json!({"deadLetter": {"managed": {"queueName": "dead"}}}),
            json!({"deadLetter": {"managed": {"queueName": "media-dead"}}}),
            "spec.deadLetter.managed.queueName",
            "which allows names that match",
        ),
    ]
}

#[test]
fn each_limit_is_told_with_the_path_of_the_field_the_class_and_what_is_allowed() {
    for (limits, bad, good, path, words) in table() {
        let refusal = refusal(&limits, bad.clone());
        assert_eq!((refusal.reason.as_str(), paths(&refusal)), ("NotAllowedByClass", vec![path]), "{limits}: {bad}");
        assert!(refusal.message().contains(words), "{}", refusal.message());
        assert!(is_allowed(&limits, good.clone()), "{limits}: {good}");
    }
}

#[test]
fn the_flags_limit_none_of_it() {
    for (limits, bad, ..) in table() {
        assert!(desired_in(&class(), bad.clone()).is_ok(), "{limits}: {bad}");
    }
}

#[test]
fn an_omitted_limit_limits_nothing() {
    for spec in [
        json!({"type": "FIFO", "visibilityTimeoutSeconds": 43200, "delaySeconds": 900, "maximumMessageSizeBytes": 1024}),
        json!({"deadLetter": {"mode": "None"}, "encryption": {"mode": "None"}, "access": {"requireTLS": false}}),
        json!({"encryption": {"mode": "KMS", "kms": {"key": "alias/any"}}, "deletionPolicy": "Delete"}),
    ] {
        assert!(is_allowed(&json!({}), spec.clone()), "{spec}");
    }
}

#[test]
fn but_names_adoption_and_queues_of_nobody_are_for_the_class_to_allow() {
    for (spec, path, words) in [
        (json!({"adoptionPolicy": "Adopt"}), "spec.adoptionPolicy", "allows Never"),
        (json!({"queueName": "mine"}), "spec.queueName", "which allows no custom names"),
        (
            json!({"deadLetter": {"managed": {"queueName": "mine"}}}),
            "spec.deadLetter.managed.queueName",
            "which allows no custom names",
        ),
        (
            json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn("other")}}}),
            "spec.deadLetter.reference.queueArn",
            "which allows none",
        ),
        (
            json!({"access": {"statements": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]}}),
            "spec.access.statements[0].Principal",
            "class \"prod\" does not allow it",
        ),
        (
            json!({"access": {"statements": [
                {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sqs:SendMessage"},
            ]}}),
            "spec.access.statements[0].Principal.AWS",
            "111122223333 is not of account 123456789012",
        ),
        (
            json!({"access": {"producers": [{"accountId": "123456789012"}, {"accountId": "111122223333"}]}}),
            "spec.access.producers[1].accountId",
            "111122223333 is not of account 123456789012, which this queue is in; class \"prod\" does not allow it",
        ),
        (
            json!({"access": {"consumers": [{"organizationId": "o-a1b2c3d4e5"}]}}),
            "spec.access.consumers[0].organizationId",
            "none of the organizations that may be allowed: none; class \"prod\" does not allow it",
        ),
    ] {
        for limits in [json!({}), json!({"queueNamePattern": ""})] {
            let refusal = refusal(&limits, spec.clone());
            assert_eq!((refusal.reason.as_str(), paths(&refusal)), ("NotAllowedByClass", vec![path]), "{spec}");
            assert!(refusal.message().contains(words), "{}", refusal.message());
        }
    }
    let allowed = json!({
        "adoptionPolicies": ["Never", "Adopt"],
        "access": {"allowPublic": true, "principalAccounts": ["111122223333"], "organizationIds": ["o-a1b2c3d4e5"]},
    });
    assert!(is_allowed(
        &allowed,
        json!({"adoptionPolicy": "Adopt", "access": {"statements": [
            {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"},
            {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sqs:SendMessage"},
        ], "producers": [{"accountId": "111122223333"}], "consumers": [{"organizationId": "o-a1b2c3d4e5"}]}})
    ));
}

#[test]
fn the_spec_is_limited_with_its_defaults() {
    let class = prod(&json!({"defaults": {"delaySeconds": 9}, "limits": {"delaySeconds": {"max": 5}}}));
    assert_eq!(paths(&desired_in(&class, empty()).unwrap_err()), ["spec.delaySeconds"]);
    assert!(desired_in(&class, json!({"delaySeconds": 5})).is_ok());
}

#[test]
fn all_limits_are_told_at_once_and_with_all_other_errors() {
    let limits = json!({"types": ["Standard"], "delaySeconds": {"max": 1}, "requiredTags": ["a", "b"]});
    let refused = refusal(&limits, json!({"type": "FIFO", "delaySeconds": 2}));
    assert_eq!(refused.reason.as_str(), "NotAllowedByClass");
    assert_eq!(paths(&refused), ["spec.type", "spec.delaySeconds", "spec.tags", "spec.tags"]);
    // What is wrong whatever the class is mended first.
    let both = refusal(&limits, json!({"delaySeconds": 2, "tags": {"a": "1", "b": "2", "aws:x": ""}}));
    assert_eq!(both.reason.as_str(), "InvalidSpec");
    assert_eq!(paths(&both), ["spec.tags[\"aws:x\"]", "spec.delaySeconds"]);
}

#[test]
fn a_pattern_matches_whole_names_and_takes_the_namespace_literally() {
    let named =
        |pattern: &str, name: &str| is_allowed(&json!({"queueNamePattern": pattern}), json!({"queueName": name}));
    assert!(named("media-a|media-bc", "media-bc") && !named("media-a|media-bc", "media-b"));
    assert!(!named("a", "ba") && !named("a", "ab") && !named("", "a"));
    // The suffix is part of the name.
    let fifo = |pattern: &str| {
        is_allowed(&json!({"queueNamePattern": pattern}), json!({"type": "FIFO", "queueName": "media-a.fifo"}))
    };
    assert!(fifo("{namespace}-a[.]fifo") && !fifo("{namespace}-a"));
}

#[test]
fn a_pattern_that_cannot_be_used_allows_no_name_and_says_why() {
    // The second would be a pattern within parentheses, and match everything.
    for pattern in ["[", "x)|(.*", "(?x) a # comment", "(a{1000}){1000}"] {
        let refused = refusal(&json!({"queueNamePattern": pattern}), json!({"queueName": "anything"}));
        assert_eq!(paths(&refused), ["spec.queueName"], "{pattern}");
        assert!(refused.message().contains("limits.queueNamePattern cannot be used"), "{}", refused.message());
    }
}

#[test]
fn a_required_tag_may_come_from_the_class_a_label_or_the_queue() {
    let limits = json!({"requiredTags": ["team"]});
    let missing = json!({"limits": limits, "tagsFromNamespaceLabels": {"team": "team-label"}});
    assert_eq!(paths(&desired_in(&with_labels(&missing, []), empty()).unwrap_err()), ["spec.tags"]);
    for class in
        [with_labels(&missing, [("team-label", "media")]), prod(&json!({"limits": limits, "tags": {"team": "x"}}))]
    {
        assert!(desired_in(&class, empty()).is_ok());
    }
    let class = prod(&json!({"limits": limits}));
    assert!(desired_in(&class, json!({"tags": {"team": "x"}})).is_ok());
    assert_eq!(
        paths(&desired_in(&class, json!({"tags": {"team": ""}})).unwrap_err()),
        ["spec.tags"],
        "it says nothing"
    );
}

#[test]
fn while_a_queue_is_deleted_retain_is_always_allowed_and_what_is_not_allowed_holds_it_back() {
    let class = prod(&json!({"limits": {"deletionPolicies": ["DeleteIfEmpty"]}}));
    let plan = |policy: &str| {
        let mut world = World::of(queue("orders", empty())).with_class(class.clone()).settled();
        world.queue = world.queue.deleting();
        world.queue.spec.deletion_policy = Some(serde_json::from_value(json!(policy)).unwrap());
        world.plan_deletion()
    };
    let held = plan("Delete");
    assert_eq!((step_names(&held), reasons(&held)), (vec![], vec!["NotAllowedByClass"]));
    let finding = &held.findings[0];
    assert!(finding.is_stalled && finding.message.starts_with("spec.deletionPolicy: Delete is not allowed by class"));
    assert!(finding.message.contains("which allows DeleteIfEmpty; set one of these, or Retain"), "{}", finding.message);
    assert!(!step_names(&plan("DeleteIfEmpty")).is_empty());
    assert_eq!(step_names(&plan("Retain")), ["UntagQueue", "UntagQueue"]);
}

#[test]
fn a_default_of_the_class_decides_about_deletion_too() {
    let class = prod(&json!({"defaults": {"deletionPolicy": "Retain"}}));
    assert!(lets_go(&queue("orders", empty()), &class));
    assert!(!lets_go(&queue("orders", json!({"deletionPolicy": "Delete"})), &class));
}
