//! Which Queues a class has a say in, and in which of their changes.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{LIMITS, label, near, refused, taken, under};
use crate::harness::{Scope, alone, condition, shared, unattended};

/// Refused by every class here that may be used: it shows that the class was asked.
const ASKED: &str = "spec.type: FIFO is not allowed";

#[test]
fn a_namespace_is_let_in_as_the_class_says() {
    unattended(async |scope| {
        label(scope, json!({"tier": "gold", "team": "media"})).await;
        let own = scope.name.as_str();
        let requires = |key: &str, operator: &str, values: &[&str]| {
            let mut requirement = json!({"key": key, "operator": operator});
            if !values.is_empty() {
                requirement["values"] = json!(values);
            }
            json!({"matchExpressions": [requirement]})
        };
        let selector = |selector: &Value| json!({"from": "Selector", "selector": selector});
        let table = [
            (json!({"from": "All"}), None),
            (json!({"from": "Names", "names": ["nobody", own]}), None),
            (json!({"from": "Names", "names": ["nobody"]}), Some("it is not in its allowedNamespaces")),
            (selector(&json!({})), None),
            (selector(&json!({"matchLabels": {"tier": "gold", "team": "media"}})), None),
            (selector(&json!({"matchLabels": {"tier": "lead"}})), Some("tier=lead")),
            (selector(&json!({"matchLabels": {"old": ""}})), Some("old=")),
            (selector(&requires("tier", "In", &["lead", "gold"])), None),
            (selector(&requires("tier", "In", &["lead", "iron"])), Some("tier in (lead,iron)")),
            (selector(&requires("old", "In", &["yes"])), Some("old in (yes)")),
            (selector(&requires("tier", "NotIn", &["lead"])), None),
            (selector(&requires("old", "NotIn", &["yes"])), None),
            (selector(&requires("tier", "NotIn", &["lead", "gold"])), Some("tier notin (lead,gold)")),
            (selector(&requires("tier", "Exists", &[])), None),
            (selector(&requires("old", "Exists", &[])), Some("the labels old")),
            (selector(&requires("old", "DoesNotExist", &[])), None),
            (selector(&requires("tier", "DoesNotExist", &[])), Some("!tier")),
            (
                selector(
                    &json!({"matchLabels": {"tier": "gold"}, "matchExpressions": [{"key": "old", "operator": "Exists"}]}),
                ),
                Some("tier=gold,old"),
            ),
        ];
        under(LIMITS, scope, async || {
            for (n, (allowed, refusal)) in table.iter().enumerate() {
                let limits = json!({"types": ["Standard"]});
                let class = json!({"aws": near(), "allowedNamespaces": allowed, "limits": limits});
                let class = scope.class(&format!("c{n}"), class).await;
                let spec = json!({"queueClassName": class, "type": "FIFO"});
                let start = format!("spec.queueClassName: class {class:?} is not for the namespace {own}: ");
                let words = refused(scope, "work", &spec, if refusal.is_some() { &start } else { ASKED }).await;
                match refusal {
                    None => assert!(words.starts_with(ASKED), "{allowed}: {words}"),
                    Some(end) => assert!(words.starts_with(&start) && words.ends_with(end), "{allowed}: {words}"),
                }
            }
        })
        .await;
    });
}

#[test]
fn a_tightened_limit_refuses_new_specs_and_nothing_else() {
    shared(async |scope| {
        let limited = |most: i32| json!({"aws": near(), "limits": {"visibilityTimeoutSeconds": {"max": most}}, "defaults": {"visibilityTimeoutSeconds": 50}});
        let class = scope.class("tightened", limited(200)).await;
        let other = scope.class("other", json!({"aws": near()})).await;
        let spec = |class: &str| json!({"queueClassName": class, "visibilityTimeoutSeconds": 200});
        scope.apply_ready("work", spec(&class)).await;
        scope.apply_ready("mended", spec(&class)).await;
        under(LIMITS, scope, async || {
            scope.class("tightened", limited(100)).await;
            let words = format!(
                "spec.visibilityTimeoutSeconds: 200 is not allowed by class {class:?}, which allows at most 100"
            );
            refused(scope, "young", &spec(&class), &words).await;
            taken(scope, "young", &spec(&other)).await;
            taken(scope, "young", &json!({"queueClassName": class})).await;

            // Metadata, the same spec again, and the operator's status.
            scope.poke("work").await;
            let queue = scope.says("work", "NotAllowedByClass").await;
            assert_eq!(condition(&queue, "Stalled").expect("a person must mend it").message, words);
            scope.apply("work", spec(&class)).await;
            // A spec that changes must fit, wherever it changes.
            let mut changed = spec(&class);
            changed["delaySeconds"] = json!(5);
            assert_eq!(refused(scope, "work", &changed, "visibility").await, words);
            taken(scope, "work", &json!({"queueClassName": other, "visibilityTimeoutSeconds": 200})).await;
            let mended = json!({"queueClassName": class, "visibilityTimeoutSeconds": 100});
            scope.apply("mended", mended).await;
            scope.ready("mended").await;

            // It can go: the spec may still change, and the operator removes its finalizer.
            let ours = "queue.prism.io/finalizer";
            scope.patch("work", json!({"metadata": {"finalizers": [ours, "example.com/hold"]}})).await;
            scope.delete("work").await;
            scope.patch("work", json!({"spec": {"delaySeconds": 5}})).await;
            let held = |queue: &prism_queue::api::Queue| {
                queue.metadata.finalizers.as_ref().is_some_and(|finalizers| !finalizers.iter().any(|one| one == ours))
            };
            scope.until("work", "is let go by the operator", held).await;
            scope.patch("work", json!({"metadata": {"finalizers": null}})).await;
            scope.gone("work").await;
        })
        .await;
    });
}

async fn record(scope: &Scope, queue: &str, class: &str) {
    let target = json!({
        "queueClassName": class, "accountId": "123456789012", "region": "eu-west-1", "queueName": "recorded", "type": "Standard",
    });
    let patch = Patch::Merge(json!({"status": {"target": target}}));
    scope.queues.patch_status(queue, &PatchParams::default(), &patch).await.expect("the status can be written");
}

#[test]
fn the_default_class_has_a_say_in_queues_that_name_none() {
    alone(async |scope| {
        let limited = |most: i32| json!({"aws": near(), "limits": {"visibilityTimeoutSeconds": {"max": most}}});
        let at_most = |class: &str, most: i32| format!("class {class:?}, which allows at most {most}");
        let (one, two) = (scope.class("one", limited(100)).await, scope.class("two", limited(50)).await);
        let (named, unnamed) = (json!({"queueClassName": one}), json!({}));
        let seconds = |spec: &Value, seconds: i32| {
            let mut spec = spec.clone();
            spec["visibilityTimeoutSeconds"] = json!(seconds);
            spec
        };
        under(LIMITS, scope, async || {
            refused(scope, "work", &seconds(&named, 101), &at_most(&one, 100)).await;
            taken(scope, "work", &seconds(&unnamed, 101)).await;
            scope.mark_default(&one, true).await;
            refused(scope, "work", &seconds(&unnamed, 101), &at_most(&one, 100)).await;
            taken(scope, "work", &seconds(&json!({"queueClassName": two}), 50)).await;
            scope.apply("work", seconds(&unnamed, 60)).await;

            // Of several, whoever has one keeps it; of those who come now, each must be content.
            record(scope, "work", &one).await;
            scope.mark_default(&two, true).await;
            refused(scope, "young", &seconds(&unnamed, 60), &at_most(&two, 50)).await;
            taken(scope, "work", &seconds(&unnamed, 70)).await;
            refused(scope, "work", &seconds(&unnamed, 101), &at_most(&one, 100)).await;
            taken(scope, "young", &seconds(&unnamed, 50)).await;
            taken(scope, "young", &seconds(&named, 60)).await;
        })
        .await;
    });
}
