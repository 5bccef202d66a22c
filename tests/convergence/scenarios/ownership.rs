//! Whose queue is it: adoption, and what is left alone.

use prism_queue::domain::attributes::{Attribute, Attributes};
use prism_queue::domain::tags::OWNER_KEYS;
use serde_json::json;

use crate::model::{Denial, DeniedAs};
use crate::stage::{Stage, attributes, queue_name, somebody, tags, url};

fn legacy(stage: &Stage, owner: &[(&str, &str)]) {
    let settings = attributes(&[(Attribute::VisibilityTimeout, "77")]);
    stage.world.outside(&somebody()).create_queue(&queue_name("legacy"), &settings, &tags(owner)).unwrap();
}

#[tokio::test]
async fn a_queue_without_owner_tags_or_with_anothers_is_left_untouched() {
    type Owner<'a> = &'a [(&'a str, &'a str)];
    let table: [(Owner<'_>, &str, &str); 4] = [
        (&[], "Never", "False/NotOwned"),
        (&[("team", "media")], "Never", "False/NotOwned"),
        (
            &[
                ("queue.prism.io/cluster", "other"),
                ("queue.prism.io/cluster-uid", "x"),
                ("queue.prism.io/namespace", "media"),
                ("queue.prism.io/name", "images"),
            ],
            "Adopt",
            "False/NotOwned",
        ),
        (&[("queue.prism.io/name", "images")], "Adopt", "False/NotOwned"),
    ];
    for (owner, adoption, ready) in table {
        let mut stage = Stage::prompt();
        legacy(&stage, owner);
        let before = stage.aws("legacy");
        let spec = json!({"queueName": "legacy", "adoptionPolicy": adoption, "deadLetter": {"mode": "None"}});
        stage.applied("media/images", spec).await;
        assert_eq!(stage.ready("media/images"), ready, "{owner:?}");
        assert_eq!(stage.condition("media/images", "Stalled"), ready.replace("False", "True"));
        stage.delete("media/images");
        stage.run(300).await;
        assert!(stage.is_gone("media/images"));
        let after = stage.aws("legacy");
        assert_eq!((after.attributes, after.tags), (before.attributes, before.tags), "{owner:?}");
    }
}

/// Under a policy that lets queues be tagged that are nobody's only, creating one that somebody has is denied.
#[tokio::test]
async fn whose_a_queue_is_is_told_also_where_creating_it_is_denied() {
    let mut stage = Stage::prompt();
    legacy(&stage, &[("queue.prism.io/cluster", "other"), ("queue.prism.io/name", "images")]);
    let create = Some("CreateQueue");
    stage.world.deny(Denial { action: create, queue: Some("legacy".to_owned()), answer: DeniedAs::AccessDenied });
    stage.applied("media/images", json!({"queueName": "legacy", "deadLetter": {"mode": "None"}})).await;
    assert_eq!(stage.ready("media/images"), "False/NotOwned");
}

#[tokio::test]
async fn adopt_takes_a_queue_without_owner_tags_and_makes_it_as_declared() {
    let mut stage = Stage::prompt();
    legacy(&stage, &[("auto", "tagger")]);
    stage.applied("media/images", json!({"queueName": "legacy", "adoptionPolicy": "Adopt"})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    let queue = stage.aws("legacy");
    assert_eq!(queue.tags["queue.prism.io/origin"], "adopted");
    assert_eq!(queue.tags["auto"], "tagger");
    assert_eq!(queue.attributes[&Attribute::VisibilityTimeout], "300");
    assert_eq!(stage.aws("media_images_dlq").tags["queue.prism.io/origin"], "created");
}

#[tokio::test]
async fn an_adopted_queue_is_deleted_only_by_its_own_delete() {
    for (policy, is_deleted) in
        [(None, false), (Some("DeleteIfEmpty"), false), (Some("Retain"), false), (Some("Delete"), true)]
    {
        for loses_status in [false, true] {
            let mut stage = Stage::prompt();
            legacy(&stage, &[]);
            let mut spec = json!({"queueName": "legacy", "adoptionPolicy": "Adopt", "deadLetter": {"mode": "None"}});
            if let Some(policy) = policy {
                spec["deletionPolicy"] = json!(policy);
            }
            stage.applied("media/images", spec).await;
            if loses_status {
                stage.kube.lose_status(&crate::stage::key("media/images"));
            }
            stage.delete("media/images");
            stage.run(400).await;
            assert!(stage.is_gone("media/images"), "{policy:?}");
            assert_eq!(!stage.has("legacy"), is_deleted, "{policy:?}");
            if !is_deleted {
                let left = stage.aws("legacy");
                assert!(OWNER_KEYS.iter().all(|key| !left.tags.contains_key(*key)), "{policy:?}: {:?}", left.tags);
                let policy = left.attributes.get(&Attribute::Policy).map_or("", String::as_str);
                assert!(!policy.contains("Fence"), "{policy}");
            }
        }
    }
}

#[tokio::test]
async fn retain_removes_the_owner_tags_as_it_lets_go_and_keeps_everything_else() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deletionPolicy": "Retain", "tags": {"team": "media"}})).await;
    let before: Attributes = stage.aws("media_images").attributes;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.delete("media/images");
    stage.run(30).await;
    assert!(stage.is_gone("media/images"));
    for name in ["media_images", "media_images_dlq"] {
        assert_eq!(stage.aws(name).tags, tags(&[("team", "media")]));
    }
    assert_eq!(stage.aws("media_images").attributes, before);
    assert_eq!(stage.lost(), 0);
    assert!(stage.secret("media/images-queue").is_none(), "the Secret goes with the Queue");
}
