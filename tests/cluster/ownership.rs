//! Whose queue it is: nothing that is not ours is touched, and nothing is taken that was not given.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::harness::{Scope, aws, condition, is_ready, shared};

/// Makes a queue behind the operator's back.
pub async fn make(scope: &Scope, queue: &str, tags: &[(&str, &str)]) -> String {
    let create = scope.world.sqs.create_queue().queue_name(queue);
    let create = create.attributes(QueueAttributeName::VisibilityTimeout, "33");
    let create = tags.iter().fold(create, |create, (key, value)| create.tags(*key, *value));
    create.send().await.unwrap().queue_url.unwrap()
}

/// All that AWS tells of a queue.
pub async fn whole(scope: &Scope, queue: &str) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    (scope.attributes(queue).await, aws::tags(&scope.world.sqs, queue).await)
}

/// A spec without a dead-letter queue.
pub fn no_dead_letters(mut spec: Value) -> Value {
    spec["deadLetter"] = json!({"mode": "None"});
    spec
}

#[test]
fn a_queue_without_owner_tags_is_left_untouched_until_it_is_given() {
    shared(async |scope| {
        let queue = scope.queue("found");
        let url = make(scope, &queue, &[("made-by", "hand")]).await;
        aws::send(&scope.world.sqs, &url, "kept").await;
        let before = whole(scope, &queue).await;
        scope.apply("found", no_dead_letters(json!({}))).await;
        let refused = scope.says("found", "NotOwned").await;
        let message = &condition(&refused, "Stalled").expect("a person must mend it").message;
        assert!(message.contains(&queue) && message.contains("spec.adoptionPolicy: Adopt"), "{message}");
        assert_eq!(whole(scope, &queue).await, before);
        assert!(scope.secrets.get_opt("found-queue").await.unwrap().is_none(), "its URL is given to nobody");

        scope.apply_ready("found", no_dead_letters(json!({"adoptionPolicy": "Adopt"}))).await;
        let (attributes, tags) = whole(scope, &queue).await;
        assert_eq!(attributes["VisibilityTimeout"], "300");
        assert_eq!(tags["queue.prism.io/origin"], "adopted");
        assert_eq!(tags["made-by"], "hand");

        // What was adopted is deleted only when the Queue's own spec says Delete.
        scope.delete("found").await;
        scope.gone("found").await;
        let tags = aws::tags(&scope.world.sqs, &queue).await;
        assert_eq!(tags.keys().collect::<Vec<_>>(), ["made-by"]);
        assert_eq!(aws::consume(&scope.world.sqs, &url).await.as_deref(), Some("kept"));
    });
}

#[test]
fn a_stranger_is_not_deleted_with_the_queue_that_asked_for_it() {
    shared(async |scope| {
        let queue = scope.queue("found");
        make(scope, &queue, &[]).await;
        let before = whole(scope, &queue).await;
        scope.apply("found", no_dead_letters(json!({"deletionPolicy": "Delete"}))).await;
        scope.says("found", "NotOwned").await;
        scope.delete("found").await;
        scope.gone("found").await;
        assert_eq!(whole(scope, &queue).await, before);
    });
}

#[test]
fn an_adopted_queue_is_deleted_when_its_own_spec_says_so() {
    shared(async |scope| {
        let queue = scope.queue("found");
        make(scope, &queue, &[]).await;
        let spec = json!({"adoptionPolicy": "Adopt", "deletionPolicy": "Delete"});
        scope.apply_ready("found", no_dead_letters(spec)).await;
        scope.delete("found").await;
        scope.gone("found").await;
        assert!(scope.queues_in_aws().await.is_empty());
    });
}

#[test]
fn a_queue_of_another_cluster_is_never_adopted() {
    shared(async |scope| {
        let queue = scope.queue("found");
        let tags = [
            ("queue.prism.io/cluster", "another"),
            ("queue.prism.io/cluster-uid", "0b7d6f3a"),
            ("queue.prism.io/namespace", &scope.name),
            ("queue.prism.io/name", "found"),
            ("queue.prism.io/origin", "created"),
        ];
        make(scope, &queue, &tags).await;
        let before = whole(scope, &queue).await;
        scope.apply("found", no_dead_letters(json!({"adoptionPolicy": "Adopt"}))).await;
        let refused = scope.says("found", "NotOwned").await;
        assert!(condition(&refused, "Stalled").unwrap().message.contains("another"), "the owner is named");
        assert_eq!(whole(scope, &queue).await, before);
    });
}

#[test]
fn two_queues_that_claim_one_name_do_not_share_it() {
    shared(async |scope| {
        let name = format!("claimed-{}", scope.name);
        scope.apply_ready("first", no_dead_letters(json!({"queueName": name}))).await;
        scope.apply("second", no_dead_letters(json!({"queueName": name, "delaySeconds": 9}))).await;
        let refused = scope.says("second", "NameConflict").await;
        let message = &condition(&refused, "Stalled").unwrap().message;
        assert!(message.contains(&format!("{}/first", scope.name)), "the owner is named: {message}");
        assert_eq!(scope.attributes(&name).await["DelaySeconds"], "0");

        // When the owner lets go by deleting it, the other may have it.
        scope.delete("first").await;
        scope.gone("first").await;
        scope.ready("second").await;
        scope.reads(&name, "DelaySeconds", "9").await;
    });
}

#[test]
fn observe_writes_nothing_to_aws_and_reports_what_differs() {
    shared(async |scope| {
        let queue = scope.queue("watched");
        let url = make(scope, &queue, &[("made-by", "hand")]).await;
        let before = whole(scope, &queue).await;
        let mark = scope.world.proxy.mark();
        let spec = no_dead_letters(json!({"managementPolicy": "Observe", "deletionPolicy": "Delete"}));
        let observed = scope.apply_ready("watched", spec).await;
        assert_eq!(condition(&observed, "Ready").unwrap().reason, "Observed");
        let drifted = condition(&observed, "Drifted").expect("it differs");
        assert!(drifted.message.contains("VisibilityTimeout is 33, declared is 300"), "{}", drifted.message);
        assert_eq!(observed.metadata.finalizers.unwrap_or_default(), Vec::<String>::new());
        let secret = scope.secret("watched-queue").await;
        assert_eq!(secret["QUEUE_URL"].rsplit('/').next(), url.rsplit('/').next());

        scope.delete("watched").await;
        scope.gone("watched").await;
        assert_eq!(whole(scope, &queue).await, before, "the deletion policy is ignored");
        let calls = scope.world.proxy.since(mark).into_iter().filter(|call| call.queue.as_ref() == Some(&queue));
        let writes: Vec<_> =
            calls.map(|call| call.action).filter(|a| !a.starts_with("Get") && !a.starts_with("List")).collect();
        assert!(writes.is_empty(), "{writes:?}");
    });
}

#[test]
fn observe_says_when_there_is_nothing_to_observe() {
    shared(async |scope| {
        scope.apply("missing", no_dead_letters(json!({"managementPolicy": "Observe"}))).await;
        let queue = scope.says("missing", "NotFound").await;
        assert!(!is_ready(&queue) && condition(&queue, "Stalled").is_some());
        assert!(scope.queues_in_aws().await.is_empty());
    });
}

#[test]
fn a_suspended_queue_is_not_written_and_its_deletion_lets_go() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let mark = scope.world.proxy.mark();
        let suspended = scope.apply("work", json!({"suspend": true, "visibilityTimeoutSeconds": 1})).await;
        let secret = scope.secrets.delete("work-queue", &kube::api::DeleteParams::default()).await;
        secret.unwrap();
        // Another Queue's way through the operator shows that this one had its turn.
        scope.apply_ready("other", json!({})).await;
        scope.poke("work").await;
        scope.apply_ready("other", json!({"delaySeconds": 1})).await;
        let now = scope.get("work").await;
        assert_eq!(now.status, suspended.status);
        assert!(scope.secrets.get_opt("work-queue").await.unwrap().is_none());
        let own = [scope.queue("work"), scope.dead_letter_queue("work")];
        let calls = scope.world.proxy.since(mark).into_iter();
        let own_calls: Vec<_> = calls.filter(|c| c.queue.as_ref().is_some_and(|queue| own.contains(queue))).collect();
        assert!(own_calls.is_empty(), "{own_calls:#?}");

        scope.delete("work").await;
        scope.gone("work").await;
        for queue in &own {
            let tags = aws::tags(&scope.world.sqs, queue).await;
            assert!(!tags.keys().any(|key| key.starts_with("queue.prism.io/")), "{tags:?}");
        }
        assert_eq!(scope.attributes(&own[0]).await["VisibilityTimeout"], "300");
    });
}
