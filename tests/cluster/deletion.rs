//! The end of a Queue: nothing is lost, nothing hangs but on messages, nothing is left behind.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use crate::harness::wait::eventually;
use crate::harness::{aws, condition, shared};

#[test]
fn an_empty_queue_goes_with_its_dead_letter_queue_and_its_secret() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        assert_eq!(scope.queues_in_aws().await.len(), 2);
        scope.delete("work").await;
        scope.gone("work").await;
        assert!(scope.queues_in_aws().await.is_empty());
        let look = async || scope.secrets.get_opt("work-queue").await.unwrap();
        eventually("the Secret is collected", look, Option::is_none).await;
    });
}

#[test]
fn a_queue_with_messages_waits_says_how_many_and_goes_when_they_are_consumed() {
    shared(async |scope| {
        scope.apply_ready("work", json!({"receiveWaitTimeSeconds": 0})).await;
        let secret = scope.secret("work-queue").await;
        let sqs = &scope.world.sqs;
        for body in ["one", "two"] {
            aws::send(sqs, &secret["QUEUE_URL"], body).await;
        }
        aws::send(sqs, &secret["DEAD_LETTER_QUEUE_URL"], "three").await;
        scope.delete("work").await;
        let waiting = scope
            .until("work", "waits", |queue| condition(queue, "Ready").is_some_and(|c| c.reason == "WaitingForEmpty"))
            .await;
        let message = &condition(&waiting, "Ready").unwrap().message;
        assert!(message.contains(&format!("{}: 2 visible", scope.queue("work"))), "{message}");
        assert!(message.contains(&format!("{}: 1 visible", scope.dead_letter_queue("work"))), "{message}");
        assert!(scope.attributes(&scope.queue("work")).await["Policy"].contains("\"Deny\""), "new ones are refused");

        while aws::consume(sqs, &secret["QUEUE_URL"]).await.is_some() {}
        assert!(aws::url(sqs, &scope.dead_letter_queue("work")).await.is_some(), "the other still holds one");
        assert_eq!(aws::consume(sqs, &secret["DEAD_LETTER_QUEUE_URL"]).await.as_deref(), Some("three"));
        scope.gone("work").await;
        assert!(scope.queues_in_aws().await.is_empty());
    });
}

#[test]
fn retain_is_the_way_out_also_for_a_queue_that_waits() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let url = scope.secret("work-queue").await["QUEUE_URL"].clone();
        aws::send(&scope.world.sqs, &url, "kept").await;
        scope.delete("work").await;
        scope
            .until("work", "waits", |queue| condition(queue, "Ready").is_some_and(|c| c.reason == "WaitingForEmpty"))
            .await;
        scope.patch("work", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        scope.gone("work").await;
        let tags = aws::tags(&scope.world.sqs, &scope.queue("work")).await;
        assert!(!tags.keys().any(|key| key.starts_with("queue.prism.io/")), "the owner tags are gone: {tags:?}");
        let policy = scope.attributes(&scope.queue("work")).await.remove("Policy").unwrap_or_default();
        assert!(!policy.contains("sqs:SendMessage"), "the fence is gone: {policy}");
        assert_eq!(aws::consume(&scope.world.sqs, &url).await.as_deref(), Some("kept"));
    });
}

#[test]
fn retain_keeps_both_queues_removes_the_owner_tags_and_lets_the_secret_go() {
    shared(async |scope| {
        scope.apply_ready("work", json!({"deletionPolicy": "Retain", "tags": {"team": "media"}})).await;
        let redrive = scope.attributes(&scope.queue("work")).await["RedrivePolicy"].clone();
        scope.delete("work").await;
        scope.gone("work").await;
        assert_eq!(scope.attributes(&scope.queue("work")).await["RedrivePolicy"], redrive);
        for queue in [scope.queue("work"), scope.dead_letter_queue("work")] {
            let tags = aws::tags(&scope.world.sqs, &queue).await;
            assert_eq!(tags.keys().collect::<Vec<_>>(), ["team"]);
        }
        let look = async || scope.secrets.get_opt("work-queue").await.unwrap();
        eventually("the Secret is collected", look, Option::is_none).await;
    });
}

#[test]
fn delete_destroys_the_messages_too() {
    shared(async |scope| {
        scope.apply_ready("work", json!({"deletionPolicy": "Delete"})).await;
        aws::send(&scope.world.sqs, &scope.secret("work-queue").await["QUEUE_URL"], "lost").await;
        scope.delete("work").await;
        scope.gone("work").await;
        assert!(scope.queues_in_aws().await.is_empty());
    });
}

#[test]
fn a_queue_that_is_gone_already_is_fine() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        for queue in scope.queues_in_aws().await {
            let url = aws::url(&scope.world.sqs, &queue).await.unwrap();
            scope.world.sqs.delete_queue().queue_url(url).send().await.unwrap();
        }
        scope.delete("work").await;
        scope.gone("work").await;
        assert!(scope.queues_in_aws().await.is_empty(), "none is made again to be deleted");
    });
}

#[test]
fn a_namespace_goes_and_leaves_no_queue() {
    shared(async |scope| {
        let names = ["one", "two", "three"];
        for name in names {
            scope.apply(name, json!({})).await;
        }
        for name in names {
            scope.ready(name).await;
        }
        assert_eq!(scope.queues_in_aws().await.len(), 6);
        let namespaces: Api<Namespace> = Api::all(scope.world.kube.clone());
        namespaces.delete(&scope.name, &DeleteParams::default()).await.unwrap();
        let look = async || namespaces.get_opt(&scope.name).await.unwrap();
        eventually("the namespace is gone", look, Option::is_none).await;
        assert!(scope.queues_in_aws().await.is_empty());
    });
}

#[test]
fn a_namespace_hangs_on_messages_alone_says_so_and_has_a_way_out() {
    shared(async |scope| {
        scope.apply_ready("empty", json!({})).await;
        scope.apply_ready("full", json!({})).await;
        let url = scope.secret("full-queue").await["QUEUE_URL"].clone();
        aws::send(&scope.world.sqs, &url, "kept").await;
        let namespaces: Api<Namespace> = Api::all(scope.world.kube.clone());
        namespaces.delete(&scope.name, &DeleteParams::default()).await.unwrap();
        scope.gone("empty").await;
        scope.says("full", "WaitingForEmpty").await;
        scope.patch("full", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        let look = async || namespaces.get_opt(&scope.name).await.unwrap();
        eventually("the namespace is gone", look, Option::is_none).await;
        assert_eq!(aws::consume(&scope.world.sqs, &url).await.as_deref(), Some("kept"));
    });
}

#[test]
fn a_dead_letter_queue_in_use_waits_for_its_sources() {
    shared(async |scope| {
        let reference = json!({"mode": "Reference", "reference": {"queueRef": {"name": "shared"}}});
        scope.apply_ready("shared", json!({"deadLetter": {"mode": "None"}})).await;
        scope.apply_ready("work", json!({"deadLetter": reference})).await;
        scope.delete("shared").await;
        let in_use = |queue: &prism_queue::api::Queue| {
            condition(queue, "Ready").is_some_and(|c| c.reason == "InUseAsDeadLetter" && c.message.contains("work"))
        };
        scope.until("shared", "waits", in_use).await;
        scope.delete("work").await;
        scope.gone("work").await;
        scope.gone("shared").await;
        assert!(scope.queues_in_aws().await.is_empty());
    });
}
