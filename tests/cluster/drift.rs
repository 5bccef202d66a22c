//! What others change is set back, and what others made is left alone.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::harness::wait::eventually;
use crate::harness::{Scope, aws, condition, shared};

/// Changes an attribute behind the operator's back.
pub async fn tamper(scope: &Scope, queue: &str, attribute: QueueAttributeName, value: &str) {
    let url = aws::url(&scope.world.sqs, queue).await.unwrap();
    scope.world.sqs.set_queue_attributes().queue_url(url).attributes(attribute, value).send().await.unwrap();
}

#[test]
fn attributes_changed_from_outside_are_set_back() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let (queue, dead_letters) = (scope.queue("work"), scope.dead_letter_queue("work"));
        let redrive = scope.attributes(&queue).await["RedrivePolicy"].clone();
        let policy = scope.attributes(&queue).await["Policy"].clone();
        tamper(scope, &queue, QueueAttributeName::VisibilityTimeout, "1").await;
        tamper(scope, &queue, QueueAttributeName::RedrivePolicy, "").await;
        tamper(scope, &queue, QueueAttributeName::Policy, "").await;
        tamper(scope, &dead_letters, QueueAttributeName::DelaySeconds, "9").await;
        scope.poke("work").await;
        scope.reads(&queue, "VisibilityTimeout", "300").await;
        scope.reads(&dead_letters, "DelaySeconds", "0").await;
        scope.reads(&queue, "RedrivePolicy", &redrive).await;
        scope.reads(&queue, "Policy", &policy).await;
        let told = |events: &Vec<(String, String)>, of: &str| {
            events.iter().any(|(reason, note)| reason == "DriftRepaired" && note.contains(of))
        };
        let look = async || scope.events("work").await;
        let wanted = |events: &_| told(events, "VisibilityTimeout") && told(events, "DelaySeconds");
        eventually("the repair is told", look, wanted).await;
    });
}

#[test]
fn tags_of_ours_are_set_back_and_those_of_others_stay() {
    shared(async |scope| {
        scope.apply_ready("work", json!({"tags": {"team": "media", "old": "x"}})).await;
        let (sqs, queue) = (&scope.world.sqs, scope.queue("work"));
        let url = aws::url(sqs, &queue).await.unwrap();
        sqs.tag_queue().queue_url(&url).tags("team", "somebody").tags("auto-tagger", "kept").send().await.unwrap();
        scope.poke("work").await;
        let look = async || aws::tags(sqs, &queue).await;
        let tags = eventually("the tag is set back", look, |tags| tags["team"] == "media").await;
        assert_eq!(tags.get("auto-tagger").map(String::as_str), Some("kept"));

        scope.apply_ready("work", json!({"tags": {"team": "media"}})).await;
        let tags = aws::tags(sqs, &queue).await;
        assert_eq!(tags.get("old"), None, "a tag that we set is removed with its declaration");
        assert_eq!(tags.get("auto-tagger").map(String::as_str), Some("kept"));
    });
}

#[test]
fn a_queue_deleted_in_aws_is_made_again() {
    shared(async |scope| {
        scope.apply_ready("work", json!({"delaySeconds": 4})).await;
        let (sqs, queue) = (&scope.world.sqs, scope.queue("work"));
        let url = aws::url(sqs, &queue).await.unwrap();
        sqs.delete_queue().queue_url(url).send().await.unwrap();
        scope.poke("work").await;
        let look = async || aws::attributes(sqs, &queue).await;
        let read = eventually("it is made again", look, Option::is_some).await.unwrap();
        assert_eq!(read["DelaySeconds"], "4");
        assert!(read["RedrivePolicy"].contains(&aws::arn(&scope.dead_letter_queue("work"))));
        scope.ready("work").await;
    });
}

#[test]
fn outputs_that_are_edited_or_deleted_are_repaired_at_once() {
    shared(async |scope| {
        scope.apply_ready("work", json!({"outputs": {"configMap": {"mode": "Enabled"}}})).await;
        let whole = scope.secret("work-queue").await;
        let parameters = PatchParams::default();
        let repaired = async |what: &str| {
            let read = async || {
                let secret = scope.secrets.get_opt("work-queue").await.unwrap()?;
                let label = secret.metadata.labels.unwrap_or_default().remove("queue.prism.io/managed-by");
                let data = secret.data.unwrap_or_default().into_iter();
                let data = data.map(|(key, value)| (key, String::from_utf8(value.0).unwrap()));
                Some((label, data.collect::<BTreeMap<_, _>>()))
            };
            let wanted = (Some("prism-queue".to_owned()), whole.clone());
            eventually(what, read, |seen| seen.as_ref() == Some(&wanted)).await;
        };

        let edit = json!({"stringData": {"QUEUE_URL": "https://example.com", "EXTRA": "x"}});
        scope.secrets.patch("work-queue", &parameters, &Patch::Merge(&edit)).await.unwrap();
        repaired("the edit is undone").await;
        let edit = json!({"metadata": {"labels": {"queue.prism.io/managed-by": null}}});
        scope.secrets.patch("work-queue", &parameters, &Patch::Merge(&edit)).await.unwrap();
        repaired("the label is back").await;
        scope.secrets.delete("work-queue", &DeleteParams::default()).await.unwrap();
        repaired("the Secret is back").await;

        scope.config_maps.delete("work-queue", &DeleteParams::default()).await.unwrap();
        let look = async || scope.config_maps.get_opt("work-queue").await.unwrap();
        eventually("the ConfigMap is back", look, Option::is_some).await;
    });
}

#[test]
fn a_secret_of_somebody_else_is_left_alone() {
    shared(async |scope| {
        let mut foreign = Secret::default();
        foreign.metadata.name = Some("work-queue".to_owned());
        foreign.data = Some(BTreeMap::from([("PASSWORD".to_owned(), ByteString(b"hunter2".to_vec()))]));
        let before = scope.secrets.create(&PostParams::default(), &foreign).await.unwrap();

        scope.apply("work", json!({})).await;
        let queue = scope.says("work", "OutputConflict").await;
        let message = &condition(&queue, "Stalled").expect("a person must mend it").message;
        assert!(message.contains("Secret work-queue"), "{message}");
        let after = scope.secrets.get("work-queue").await.unwrap();
        assert_eq!(after.metadata.resource_version, before.metadata.resource_version);

        scope.apply_ready("work", json!({"outputs": {"secret": {"name": "elsewhere"}}})).await;
        assert!(scope.secret("elsewhere").await.contains_key("QUEUE_URL"));
        let after = scope.secrets.get("work-queue").await.unwrap();
        assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    });
}
