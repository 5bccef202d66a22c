//! What becomes of Pods when something is wrong: refused, or admitted with warnings, by choice.

use serde_json::json;

use super::{Mode, annotation, configured, pod, sources, with_webhook};

const WARNINGS: &str = "queue.prism.io/injection-warnings";

#[test]
fn closed_refuses_in_words_what_cannot_be_had() {
    with_webhook(Mode::Closed, async |stage, operator| {
        let (scope, name) = (stage.scope, &stage.scope.name);
        scope.apply("silent", json!({"outputs": {"secret": {"mode": "Disabled"}}})).await;
        let taken = json!({"metadata": {"name": "taken"}, "stringData": {"password": "p"}});
        scope.secrets.create(&kube::api::PostParams::default(), &serde_json::from_value(taken).unwrap()).await.unwrap();
        scope.apply("conflicting", json!({"outputs": {"secret": {"name": "taken"}}})).await;
        scope.says("conflicting", "OutputConflict").await;

        let before = operator.metric("prism_queue_injections_total", |labels| labels.contains("\"refused\"")).await;
        for (inject, words) in [
            ("nothing", format!("there is no Queue nothing in namespace {name}")),
            ("access/nothing", format!("there is no QueueAccess nothing in namespace {name}")),
            ("Nothing", "\"Nothing\" is not the name of a Queue".to_owned()),
            ("silent", "Queue silent writes no Secret: spec.outputs.secret.mode is Disabled".to_owned()),
            // Somebody else's content is not handed on.
            ("conflicting", "Queue conflicting has no Secret: taken is somebody else's".to_owned()),
        ] {
            let refusal = stage.dry_run(&pod("p", inject, &json!({}))).await.unwrap_err();
            assert!(refusal.contains("denied the request: queue.prism.io/inject: "), "{refusal}");
            assert!(refusal.contains(&words), "{refusal}");
        }
        let after = operator.metric("prism_queue_injections_total", |labels| labels.contains("\"refused\"")).await;
        assert_eq!(after - before, 5);

        // Once there is such a Queue, its Pods are made, though its Secret is still to come: Kubernetes lets them wait.
        scope.apply("nothing", json!({"suspend": true})).await;
        let created = stage.dry_run(&pod("p", "nothing", &json!({}))).await.unwrap();
        assert_eq!(sources(&created), ["main:  nothing-queue"]);
        assert_eq!(scope.secrets.get_opt("nothing-queue").await.unwrap(), None);
    });
}

#[test]
fn open_admits_and_says_on_the_pod_what_is_wrong() {
    with_webhook(Mode::Open, async |stage, operator| {
        stage.scope.apply("orders", json!({})).await;
        let created = stage.dry_run(&pod("p", "orders,nothing,NO", &json!({}))).await.unwrap();
        assert_eq!(sources(&created), ["main: ORDERS_ orders-queue", "main: NOTHING_ nothing-queue"]);
        let said = annotation(&created, WARNINGS).unwrap();
        for words in ["\"NO\" is not the name of a Queue", "the Pod waits for the Secret nothing-queue"] {
            assert!(said.contains(words), "{said}");
        }
        assert!(operator.metric("prism_queue_injections_total", |labels| labels.contains("\"warned\"")).await > 0);
    });
}

#[test]
fn without_the_operator_closed_refuses_and_open_admits() {
    for mode in [Mode::Closed, Mode::Open] {
        configured(mode, async |stage| {
            stage.scope.apply("orders", json!({})).await;
            let created = stage.dry_run(&pod("p", "orders", &json!({}))).await;
            match mode {
                Mode::Closed => {
                    let refusal = created.unwrap_err();
                    assert!(refusal.contains("failed calling webhook \"inject.queue.prism.io\""), "{refusal}");
                }
                Mode::Open => assert_eq!(sources(&created.unwrap()), [""; 0]),
            }
            let mut other = pod("p", "orders", &json!({}));
            other["metadata"]["annotations"] = json!({});
            assert_eq!(sources(&stage.dry_run(&other).await.unwrap()), [""; 0], "others are never concerned");
        });
    }
}

/// Its address is still in the Service for a moment after it was asked to end.
#[test]
fn an_operator_that_is_ending_still_answers() {
    configured(Mode::Closed, async |stage| {
        stage.scope.apply("orders", json!({})).await;
        let operator = stage.operator(&[]).await;
        operator.signal("-TERM");
        operator.says("shutting down").await;
        let created = stage.dry_run(&pod("p", "orders", &json!({}))).await.unwrap();
        assert_eq!(sources(&created), ["main:  orders-queue"]);
        let ended = operator.end().await;
        assert_eq!(ended.code, 0, "{}", ended.log);
    });
}
