//! What a Queue costs: calls to AWS and writes to Kubernetes, counted.

use std::collections::BTreeMap;

use serde_json::json;

use crate::harness::audit::{self, Asked};
use crate::harness::wait::eventually;
use crate::harness::{Scope, shared};
use crate::proxy::Call;

/// The operator's calls since `mark` about a Queue's queue and its dead-letter queue, and those about none.
fn calls(scope: &Scope, mark: usize, name: &str) -> Vec<Call> {
    let ours = [scope.queue(name), scope.dead_letter_queue(name)];
    let is_ours = |call: &Call| call.queue.as_ref().is_some_and(|queue| ours.contains(queue));
    scope.world.proxy.since(mark).into_iter().filter(is_ours).collect()
}

fn by_action(calls: &[Call]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.action.as_str()).or_default() += 1;
    }
    counts
}

/// Has the operator look at a Queue, and waits until it has done all that follows from it.
pub async fn look(scope: &Scope, name: &str) {
    let (proxy, queue) = (&scope.world.proxy, scope.queue(name));
    for _ in 0..2 {
        // Passes over one object follow each other: when the second begins, the first has ended.
        let reads = proxy.count("GetQueueAttributes", Some(&queue));
        scope.poke(name).await;
        let look = async || proxy.count("GetQueueAttributes", Some(&queue));
        eventually("the operator looks", look, |count| *count > reads).await;
    }
}

#[test]
fn creating_a_queue_with_its_dead_letter_queue_takes_six_calls() {
    shared(async |scope| {
        let mark = scope.world.proxy.mark();
        scope.apply_ready("work", json!({})).await;
        let calls = calls(scope, mark, "work");
        let wanted = BTreeMap::from([("CreateQueue", 2), ("GetQueueAttributes", 2), ("ListQueueTags", 2)]);
        assert_eq!(by_action(&calls), wanted);
    });
}

/// What the operator has changed in this namespace, by the API server's account, from one point in it on.
fn written(scope: &Scope, from: usize) -> Vec<String> {
    let writes = scope.asked().into_iter().filter(Asked::is_write);
    writes.skip(from).map(|asked| format!("{} {}", asked.verb, asked.resource)).collect()
}

#[test]
fn creating_a_queue_with_its_dead_letter_queue_takes_four_writes_to_kubernetes() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        // When it has looked again, nothing of the creation is still to come.
        look(scope, "work").await;
        let (events, writes): (Vec<_>, Vec<_>) =
            written(scope, 0).into_iter().partition(|write| write.ends_with("events"));
        let wanted = ["patch queues", "update queues/status", "create secrets", "update queues/status"];
        assert_eq!(writes, wanted, "finalizer, target, Secret, status");
        assert_eq!(events.len(), scope.events("work").await.len(), "{events:?}");
        let reads = scope.asked().into_iter().filter(|asked| !asked.is_write());
        assert_eq!(reads.collect::<Vec<_>>(), [], "what it needs to know it has in its caches");
    });
}

#[test]
fn a_look_with_nothing_to_do_writes_nothing_to_kubernetes_and_a_change_of_one_field_a_status_and_an_event() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        look(scope, "work").await;
        let before = written(scope, 0).len();
        look(scope, "work").await;
        scope.apply_ready("work", json!({"visibilityTimeoutSeconds": 60})).await;
        look(scope, "work").await;
        let mut writes = written(scope, before);
        writes.sort();
        assert_eq!(writes, ["create events", "update queues/status"], "of the looks nothing, and of the change these");
    });
}

#[test]
fn of_secrets_and_config_maps_only_those_with_the_operators_label_are_listed_and_watched() {
    shared(async |scope| {
        let user = scope.world.identity.user();
        let look = async || audit::asked(&user, None).into_iter().filter(Asked::is_of_outputs).collect::<Vec<_>>();
        let is_complete = |asked: &Vec<Asked>| {
            let is_there = |verb, resource| asked.iter().any(|asked| asked.verb == verb && asked.resource == resource);
            ["list", "watch"].into_iter().all(|verb| is_there(verb, "secrets") && is_there(verb, "configmaps"))
        };
        for asked in eventually("all are listed and watched", look, is_complete).await {
            assert!(asked.is_labelled(), "{asked:?}");
        }
    });
}

#[test]
fn a_look_with_nothing_to_do_takes_two_reads_a_queue_and_writes_nothing() {
    shared(async |scope| {
        let before = scope.apply_ready("work", json!({})).await;
        let secret = scope.secrets.get("work-queue").await.unwrap();
        let mark = scope.world.proxy.mark();
        look(scope, "work").await;
        // The second pass may still be under way when the first is counted; a third look ends it.
        let looks = 2;
        let (own, dead_letters) = (scope.queue("work"), scope.dead_letter_queue("work"));
        let done = async || by_action(&calls(scope, mark, "work")).get("ListQueueTags").copied().unwrap_or_default();
        eventually("the second look is over", done, |count| *count >= 2 * looks).await;
        let calls = calls(scope, mark, "work");
        let wanted = BTreeMap::from([("GetQueueAttributes", 2 * looks), ("ListQueueTags", 2 * looks)]);
        assert_eq!(by_action(&calls), wanted, "{own} and {dead_letters}");

        // The annotation is the one change, and it is ours.
        let after = scope.get("work").await;
        assert_eq!(after.status, before.status);
        let writers = |queue: &prism_queue::api::Queue| {
            let fields = queue.metadata.managed_fields.clone().unwrap_or_default();
            fields
                .into_iter()
                .filter(|f| f.manager.as_deref() == Some("prism-queue"))
                .map(|f| f.time)
                .collect::<Vec<_>>()
        };
        assert_eq!(writers(&after), writers(&before), "the operator wrote nothing");
        let secret_after = scope.secrets.get("work-queue").await.unwrap();
        assert_eq!(secret_after.metadata.resource_version, secret.metadata.resource_version);
    });
}

#[test]
fn a_change_of_one_field_is_one_call_with_that_field_alone() {
    shared(async |scope| {
        scope.apply_ready("work", json!({"visibilityTimeoutSeconds": 60, "delaySeconds": 5})).await;
        for (spec, attribute, value) in [
            (json!({"visibilityTimeoutSeconds": 60, "delaySeconds": 9}), "DelaySeconds", "9"),
            // A field that is removed goes back to its default.
            (json!({"visibilityTimeoutSeconds": 60}), "DelaySeconds", "0"),
        ] {
            let mark = scope.world.proxy.mark();
            scope.apply_ready("work", spec).await;
            let calls = calls(scope, mark, "work");
            let writes: Vec<&Call> = calls
                .iter()
                .filter(|call| !matches!(call.action.as_str(), "GetQueueAttributes" | "ListQueueTags"))
                .collect();
            assert_eq!(writes.len(), 1, "{writes:#?}");
            assert_eq!(writes[0].action, "SetQueueAttributes");
            assert_eq!(writes[0].queue, Some(scope.queue("work")));
            assert_eq!(writes[0].body["Attributes"], json!({attribute: value}));
        }
    });
}
