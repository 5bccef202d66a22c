//! The procedure of docs/uninstall.md: no object is left on a finalizer, and no queue is lost.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use crate::harness::wait::eventually;
use crate::harness::{alone, aws, condition};

#[test]
fn an_uninstall_in_the_order_of_the_documentation_leaves_nothing_stuck_and_loses_no_queue() {
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        for name in ["kept", "empty", "holding"] {
            scope.apply_ready(name, json!({})).await;
        }
        let sqs = &scope.world.sqs;
        let url = |secret: std::collections::BTreeMap<String, String>| secret["QUEUE_URL"].clone();
        let (kept, holding) = (url(scope.secret("kept-queue").await), url(scope.secret("holding-queue").await));
        aws::send(sqs, &kept, "kept").await;
        aws::send(sqs, &holding, "held").await;

        // 1. What becomes of the queues. 2. Delete the Queues while the operator runs.
        scope.patch("kept", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        for name in ["kept", "empty", "holding"] {
            scope.delete(name).await;
        }
        scope.gone("kept").await;
        scope.gone("empty").await;
        let waits = |queue: &prism_queue::api::Queue| {
            condition(queue, "Ready").is_some_and(|c| c.reason == "WaitingForEmpty" && c.message.contains("1 visible"))
        };
        scope.until("holding", "says what it waits for", waits).await;
        scope.patch("holding", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        scope.gone("holding").await;

        // 3. Uninstall the operator. 4. Delete the CRD, which hangs on no object.
        assert_eq!(operator.terminate().await.code, 0);
        let crds: Api<CustomResourceDefinition> = Api::all(scope.world.kube.clone());
        let crd = "queues.queue.prism.io";
        crds.delete(crd, &DeleteParams::default()).await.unwrap();
        let look = async || crds.get_opt(crd).await.unwrap().map(|crd| crd.status);
        eventually("the CRD is gone", look, Option::is_none).await;

        let left = ["kept", "holding"].map(|name| [scope.queue(name), scope.dead_letter_queue(name)]).concat();
        let mut left_sorted = left.clone();
        left_sorted.sort();
        assert_eq!(scope.queues_in_aws().await, left_sorted);
        assert_eq!(aws::consume(sqs, &kept).await.as_deref(), Some("kept"));
        assert_eq!(aws::consume(sqs, &holding).await.as_deref(), Some("held"));
        scope.world.install_crds().await;
    });
}

#[test]
fn an_operator_that_comes_back_finishes_what_waited_for_it() {
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        scope.apply_ready("work", json!({})).await;
        operator.terminate().await;
        scope.delete("work").await;
        let waiting = scope.get("work").await;
        assert!(waiting.metadata.deletion_timestamp.is_some(), "the finalizer holds it");
        let _operator = scope.world.operator(&[]).await;
        scope.gone("work").await;
        assert!(scope.queues_in_aws().await.is_empty());
    });
}
