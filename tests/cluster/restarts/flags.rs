//! What flags change, and what they must not.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;

use crate::harness::{CLUSTER_NAME, Operator, PREFIX, REGION, alone, condition, is_ready};
use crate::ownership::{make, no_dead_letters, whole};
use crate::{budget, drift};

#[test]
fn creating_a_queue_takes_four_writes_to_kubernetes_and_looking_at_it_none() {
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        let writes = async || {
            let of_objects = |labels: &str| !labels.contains("\"Event\"");
            operator.metric("prism_queue_kubernetes_writes_total", of_objects).await
        };
        let before = writes().await;
        scope.apply_ready("work", json!({})).await;
        assert_eq!(writes().await - before, 4, "finalizer, target, Secret, status");

        let before = writes().await;
        budget::look(scope, "work").await;
        let converged = operator.metric("prism_queue_reconciles_total", |labels| labels.contains("converged")).await;
        assert!(converged >= 2);
        assert_eq!(writes().await, before);
        assert!(is_ready(&scope.get("work").await));
    });
}

#[test]
fn drift_is_repaired_within_the_interval_without_being_asked() {
    alone(async |scope| {
        let _operator = scope.world.operator(&["--resync", "10s"]).await;
        scope.apply_ready("work", json!({})).await;
        drift::tamper(scope, &scope.queue("work"), QueueAttributeName::VisibilityTimeout, "1").await;
        scope.reads(&scope.queue("work"), "VisibilityTimeout", "300").await;
    });
}

#[test]
fn a_cluster_that_was_rebuilt_takes_its_queues_back_only_when_told() {
    alone(async |scope| {
        let queue = scope.queue("found");
        let tags = [
            ("queue.prism.io/cluster", CLUSTER_NAME),
            ("queue.prism.io/cluster-uid", "the-one-before"),
            ("queue.prism.io/namespace", &scope.name),
            ("queue.prism.io/name", "found"),
            ("queue.prism.io/origin", "created"),
        ];
        make(scope, &queue, &tags).await;
        let before = whole(scope, &queue).await;
        let operator = scope.world.operator(&[]).await;
        scope.apply("found", no_dead_letters(json!({}))).await;
        let refused = scope.says("found", "ClusterIdentityChanged").await;
        let message = &condition(&refused, "Stalled").unwrap().message;
        assert!(message.contains("--previous-cluster-uid the-one-before"), "{message}");
        assert_eq!(whole(scope, &queue).await, before);
        operator.terminate().await;

        let _operator = scope.world.operator(&["--previous-cluster-uid", "the-one-before"]).await;
        scope.ready("found").await;
        let (attributes, tags) = whole(scope, &queue).await;
        assert_eq!(attributes["VisibilityTimeout"], "300");
        assert_ne!(tags["queue.prism.io/cluster-uid"], "the-one-before");
    });
}

#[test]
fn a_queue_never_moves_because_a_flag_changed() {
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        scope.apply_ready("work", json!({})).await;
        let secret = scope.secret("work-queue").await;
        operator.terminate().await;

        let mark = scope.world.proxy.mark();
        let operator = scope.world.operator(&["--name-prefix", "elsewhere-"]).await;
        let stalled = scope.says("work", "TargetChanged").await;
        let message = &condition(&stalled, "Stalled").unwrap().message;
        assert!(message.contains(&scope.queue("work")), "{message}");
        assert_eq!(scope.secret("work-queue").await, secret, "the Secret is never repointed");
        let calls = scope.world.proxy.since(mark);
        assert!(!calls.iter().any(|call| call.action == "CreateQueue"), "nothing is made a second time");
        operator.terminate().await;

        // As before, all is well again.
        let _operator = scope.world.operator(&[]).await;
        scope.ready("work").await;
    });
}

#[test]
fn every_flag_may_be_an_environment_variable() {
    alone(async |scope| {
        let environment = [
            ("PRISM_QUEUE_CLUSTER_NAME", CLUSTER_NAME),
            ("PRISM_QUEUE_NAME_PREFIX", PREFIX),
            ("PRISM_QUEUE_REGION", REGION),
            ("PRISM_QUEUE_ENDPOINT_URL", scope.world.proxy.endpoint()),
            ("PRISM_QUEUE_LEADER_ELECT", "false"),
            ("PRISM_QUEUE_HTTP_ADDRESS", "127.0.0.1:0"),
            ("PRISM_QUEUE_EMPTY_FOR", "0s"),
            ("PRISM_QUEUE_LOG_FORMAT", "json"),
        ];
        let operator = Operator::run(Some(&scope.world.identity), &[], &environment).await;
        operator.works().await;
        scope.apply_ready("work", json!({})).await;
        assert_eq!(operator.terminate().await.code, 0);
    });
}
