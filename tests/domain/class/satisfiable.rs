//! A class is ready only when `spec: {}` is possible for every type that it allows.

use proptest::prelude::*;
use serde_json::{Value, json};

use prism_queue::domain::class::satisfiable;

use super::{desired_in, object, prod, with_labels};
use crate::fixtures::*;

fn faults(spec: &Value) -> Vec<String> {
    satisfiable(&object("prod", spec)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_class_without_rules_is_satisfiable() {
    assert_eq!(faults(&json!({})), [""; 0]);
}

#[test]
fn the_class_of_the_design_is_satisfiable_once_its_size_limit_has_a_default() {
    let mut class = json!({
        "naming": {"prefix": "acme-prod-", "template": "{prefix}{namespace}_{name}"},
        "tags": {"cost-center": "42"},
        "tagsFromNamespaceLabels": {"team": "team"},
        "defaults": {
            "messageRetentionSeconds": 604_800,
            "deadLetter": {"maxReceiveCount": 10},
            "encryption": {"mode": "KMS", "kms": {"key": "alias/queues"}},
        },
        "limits": {
            "types": ["Standard", "FIFO"],
            "messageRetentionSeconds": {"min": 3600, "max": 1_209_600},
            "visibilityTimeoutSeconds": {"max": 3600},
            "maximumMessageSizeBytes": {"max": 262_144},
            "deadLetter": {"modes": ["Managed", "Reference"], "maxReceiveCount": {"min": 2, "max": 20}, "queueArns": []},
            "encryption": {"modes": ["KMS"], "kms": {"keys": ["alias/queues"]}},
            "access": {"requireTLS": true, "principalAccounts": [ACCOUNT], "services": ["sns.amazonaws.com"], "allowPublic": false},
            "deletionPolicies": ["DeleteIfEmpty", "Retain"],
            "adoptionPolicies": ["Never"],
            "requiredTags": ["team"],
            "queueNamePattern": "",
        },
        "drift": {"intervalSeconds": 600, "mode": "Repair"},
    });
    assert_eq!(
        faults(&class),
        [
            "spec.limits: a Queue with spec: {} and type Standard or FIFO is not possible: spec.maximumMessageSizeBytes: 1048576 is not allowed by class \"prod\", which allows at most 262144"
        ]
    );
    class["defaults"]["maximumMessageSizeBytes"] = json!(262_144);
    assert_eq!(faults(&class), [""; 0]);
}

#[test]
fn what_makes_an_empty_spec_impossible_is_told_with_the_field_and_the_types() {
    for (spec, words) in [
        (
            json!({"limits": {"visibilityTimeoutSeconds": {"max": 60}}}),
            "spec.limits: a Queue with spec: {} and type Standard or FIFO is not possible: spec.visibilityTimeoutSeconds: 300 is not allowed",
        ),
        (json!({"limits": {"encryption": {"modes": ["KMS"]}}}), "spec.encryption.mode: SQSManaged is not allowed"),
        (
            json!({"defaults": {"encryption": {"mode": "KMS"}}}),
            "spec.defaults: a Queue with spec: {} and type Standard or FIFO is not possible: spec.encryption.kms.key",
        ),
        (json!({"limits": {"deletionPolicies": ["Delete"]}}), "spec.deletionPolicy: DeleteIfEmpty is not allowed"),
        (json!({"limits": {"adoptionPolicies": ["Adopt"]}}), "spec.adoptionPolicy: Never is not allowed"),
        (
            json!({"limits": {"requiredTags": ["team"]}}),
            "spec.tags: class \"prod\" wants every queue to have the tag \"team\"",
        ),
        (
            json!({"defaults": {"deadLetter": {"mode": "None"}}, "limits": {"deadLetter": {"modes": ["Managed"]}}}),
            "spec.deadLetter.mode",
        ),
        (
            json!({"defaults": {"fifo": {"throughputLimit": "PerMessageGroupId"}, "deadLetter": {"managed": {"messageRetentionSeconds": 60}}}}),
            "and type Standard is not possible: spec.deadLetter.managed.messageRetentionSeconds: 60 is less than",
        ),
    ] {
        let faults = faults(&spec);
        assert!(faults.len() == 1 && faults[0].contains(words), "{spec}: {faults:#?}");
    }
}

#[test]
fn only_the_types_that_the_class_allows_count() {
    let short = json!({"deadLetter": {"managed": {"messageRetentionSeconds": 60}}});
    assert!(!faults(&json!({"defaults": short})).is_empty());
    assert_eq!(faults(&json!({"defaults": short, "limits": {"types": ["FIFO"]}})), [""; 0]);
}

#[test]
fn a_tag_that_a_label_may_give_counts() {
    let class = json!({"tagsFromNamespaceLabels": {"team": "team"}, "limits": {"requiredTags": ["team"]}});
    assert_eq!(faults(&class), [""; 0]);
}

#[test]
fn rules_that_the_class_breaks_by_itself_are_told_too() {
    let many = |count: usize| (0..count).map(|n| (format!("key-{n}"), json!("x"))).collect::<serde_json::Map<_, _>>();
    let label =
        |count: usize| (0..count).map(|n| (format!("label-{n}"), json!("x"))).collect::<serde_json::Map<_, _>>();
    for (spec, path) in [
        (json!({"limits": {"queueNamePattern": "["}}), "spec.limits.queueNamePattern: "),
        (json!({"naming": {"template": "{name}"}}), "spec.naming.template: "),
        (json!({"tags": many(40), "tagsFromNamespaceLabels": label(6)}), "spec.tags: 46 tags"),
    ] {
        let faults = faults(&spec);
        assert!(faults.len() == 1 && faults[0].starts_with(path), "{spec}: {faults:#?}");
    }
    assert_eq!(faults(&json!({"tags": many(40), "tagsFromNamespaceLabels": label(5)})), [""; 0]);
}

fn class_spec() -> impl Strategy<Value = Value> {
    let defaults = (
        proptest::option::of(0..400_i32),
        proptest::option::of(proptest::sample::select(vec!["Managed", "None"])),
        proptest::option::of(60..400_000_i32),
        proptest::option::of(proptest::sample::select(vec!["DeleteIfEmpty", "Delete", "Retain"])),
    );
    let limits = (
        proptest::option::of(0..400_i32),
        proptest::option::of(proptest::sample::subsequence(vec!["Managed", "Reference", "None"], 1..=3)),
        proptest::option::of(proptest::sample::subsequence(vec!["Standard", "FIFO"], 1..=2)),
        proptest::option::of(proptest::sample::subsequence(vec!["DeleteIfEmpty", "Delete", "Retain"], 1..=3)),
        any::<bool>(),
    );
    (defaults, limits).prop_map(|((visibility, mode, retention, policy), (most, modes, types, policies, tag))| {
        without_null(json!({
            "tagsFromNamespaceLabels": {"team": "team"},
            "defaults": {
                "visibilityTimeoutSeconds": visibility,
                "deadLetter": {"mode": mode, "managed": {"messageRetentionSeconds": retention}},
                "deletionPolicy": policy,
            },
            "limits": {
                "visibilityTimeoutSeconds": {"max": most},
                "deadLetter": {"modes": modes},
                "types": types,
                "deletionPolicies": policies,
                "requiredTags": if tag { vec!["team"] } else { vec![] },
            },
        }))
    })
}

fn without_null(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_null(v))).collect())
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn a_class_is_satisfiable_exactly_when_an_empty_spec_is_accepted(spec in class_spec()) {
        let class = with_labels(&spec, [("team", "media")]);
        let types = spec["limits"].get("types").cloned().unwrap_or(json!(["Standard", "FIFO"]));
        let accepted = types.as_array().unwrap().iter().all(|t| desired_in(&class, json!({"type": t})).is_ok());
        prop_assert_eq!(faults(&spec).is_empty(), accepted);
    }
}

#[test]
fn a_class_that_is_not_satisfiable_still_takes_queues_that_say_what_is_missing() {
    let class = prod(&json!({"limits": {"visibilityTimeoutSeconds": {"max": 60}}}));
    assert!(
        desired_in(&class, empty()).is_err() && desired_in(&class, json!({"visibilityTimeoutSeconds": 60})).is_ok()
    );
}

#[test]
fn patterns_that_the_api_server_takes_are_taken() {
    for pattern in
        [r"{namespace}-\w{1,40}", r"\w{1,80}", r"[\w-]{1,80}", r"{namespace}-[a-z0-9-]{1,60}", r"[[:word:]]{1,60}"]
    {
        let class = object("prod", &json!({"limits": {"queueNamePattern": pattern}}));
        assert_eq!(prism_queue::domain::class::satisfiable(&class), [], "{pattern}");
    }
}
