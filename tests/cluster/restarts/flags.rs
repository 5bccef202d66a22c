//! What flags change, and what they must not.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use aws_sdk_sqs::types::QueueAttributeName;
use clap::CommandFactory as _;
use prism_queue::runtime::settings::Cli;
use serde_json::json;

use crate::harness::wait::SOON;
use crate::harness::{CLUSTER_NAME, Operator, PREFIX, REGION, Surroundings, alone, audit, condition};
use crate::ownership::{make, no_dead_letters, whole};
use crate::proxy::Call;
use crate::{budget, drift};

#[test]
fn writes_to_kubernetes_are_counted_as_the_api_server_counts_them() {
    alone(async |scope| {
        let user = scope.world.identity.user();
        let answered = || audit::asked(&user, None).iter().filter(|asked| asked.is_write()).count();
        let before = answered();
        let operator = scope.world.operator(&[]).await;
        scope.apply_ready("work", json!({})).await;
        budget::look(scope, "work").await;
        let counted = operator.metric("prism_queue_kubernetes_writes_total", |_| true).await;
        assert!(counted >= 4, "{counted}");
        assert_eq!(counted, u64::try_from(answered() - before).unwrap());
    });
}

#[test]
fn at_rest_nothing_is_written_and_drift_is_repaired_within_the_interval_without_being_asked() {
    alone(async |scope| {
        let _operator = scope.world.operator(&["--resync", "10s"]).await;
        scope.apply_ready("work", json!({})).await;
        budget::look(scope, "work").await;
        let (proxy, queue) = (&scope.world.proxy, scope.queue("work"));
        let (mark, asked) = (proxy.mark(), scope.asked());
        // The second begins when the first has ended.
        let is_look = |call: &&Call| call.action == "GetQueueAttributes" && call.queue.as_ref() == Some(&queue);
        let looked = |calls: &[Call]| calls[mark..].iter().filter(is_look).count() >= 2;
        assert!(proxy.until(SOON, looked).await, "it looks by itself");
        assert_eq!(scope.asked(), asked, "nothing is asked of Kubernetes");
        let is_read = |call: &Call| matches!(call.action.as_str(), "GetQueueAttributes" | "ListQueueTags");
        assert!(proxy.since(mark).iter().all(is_read), "{:#?}", proxy.since(mark));

        drift::tamper(scope, &queue, QueueAttributeName::VisibilityTimeout, "1").await;
        scope.reads(&queue, "VisibilityTimeout", "300").await;
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
            ("PRISM_QUEUE_REGION", REGION),
            ("PRISM_QUEUE_ENDPOINT_URL", scope.world.proxy.endpoint()),
            ("PRISM_QUEUE_ALLOW_INSECURE_ENDPOINTS", "true"),
            ("PRISM_QUEUE_CLUSTER_NAME", CLUSTER_NAME),
            ("PRISM_QUEUE_PREVIOUS_CLUSTER_UID", "the-one-before"),
            ("PRISM_QUEUE_NAME_PREFIX", PREFIX),
            ("PRISM_QUEUE_RESYNC", "1h"),
            ("PRISM_QUEUE_EMPTY_FOR", "0s"),
            ("PRISM_QUEUE_CONCURRENCY", "2"),
            ("PRISM_QUEUE_ALLOW_UNSAFE_STATEMENTS", "true"),
            ("PRISM_QUEUE_LEADER_ELECT", "true"),
            ("PRISM_QUEUE_LEADER_ELECTION_NAMESPACE", &scope.world.identity.namespace),
            ("PRISM_QUEUE_HTTP_ADDRESS", "127.0.0.1:0"),
            ("PRISM_QUEUE_WEBHOOK_ADDRESS", "127.0.0.1:0"),
            ("PRISM_QUEUE_WEBHOOK_CERTIFICATE_DIR", "/nowhere"),
            ("PRISM_QUEUE_LOG_FORMAT", "json"),
            ("PRISM_QUEUE_LOG_FILTER", "info,prism_queue=debug"),
        ];
        let command = Cli::command();
        let controller = command.find_subcommand("controller").unwrap();
        let mut known: BTreeSet<_> = controller.get_arguments().filter_map(clap::Arg::get_env).collect();
        // A certificate comes from one place. The other is in the tests of injection.
        assert!(known.remove(OsStr::new("PRISM_QUEUE_WEBHOOK_HOST")));
        assert_eq!(environment.map(|(name, _)| OsStr::new(name)).into_iter().collect::<BTreeSet<_>>(), known);

        scope.world.identity.drop_lease(&scope.world.kube).await;
        let around = Surroundings { environment: &environment, trusts: None };
        let operator = Operator::run(Some(&scope.world.identity), &[], &around).await;
        operator.works().await;
        let public = json!([{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]);
        scope.apply_ready("work", json!({"access": {"statements": public}})).await;
        assert!(operator.log().contains("\"level\":\"DEBUG\""));
        operator.says("/nowhere/tls.crt: No such file").await;
        assert_eq!(operator.terminate().await.code, 0);
    });
}
