//! Outputs: owned, repaired, removed when turned off; others' objects are left alone.

use prism_queue::domain::outputs::{Output, OutputKind};
use serde_json::json;

use crate::cluster::ObjectId;
use crate::stage::{Stage, arn, url};

fn secret(name: &str) -> ObjectId {
    ObjectId { kind: OutputKind::Secret, namespace: "media".to_owned(), name: name.to_owned() }
}

fn content(kind: OutputKind, name: &str, data: &[(&str, &str)]) -> Output {
    let secret_type = if kind == OutputKind::Secret { "Opaque" } else { "" }.to_owned();
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Output { kind, name: name.to_owned(), secret_type, data }
}

#[tokio::test]
async fn the_secret_names_the_queue_and_its_dead_letter_queue_behind_the_prefix() {
    for (spec, name, prefix) in [
        (json!({}), "images-queue", ""),
        (json!({"outputs": {"secret": {"name": "mine", "keyPrefix": "IMAGES_"}}}), "mine", "IMAGES_"),
    ] {
        let mut stage = Stage::prompt();
        stage.applied("media/images", spec).await;
        let keys = [
            ("QUEUE_URL", url("media_images")),
            ("QUEUE_ARN", arn("media_images")),
            ("QUEUE_NAME", "media_images".to_owned()),
            ("QUEUE_TYPE", "Standard".to_owned()),
            ("QUEUE_REGION", "eu-central-1".to_owned()),
            ("DEAD_LETTER_QUEUE_URL", url("media_images_dlq")),
            ("DEAD_LETTER_QUEUE_ARN", arn("media_images_dlq")),
        ];
        let data = stage.secret(&format!("media/{name}")).unwrap().content.data;
        assert_eq!(data.len(), keys.len());
        for (key, value) in keys {
            assert_eq!(data.get(&format!("{prefix}{key}")), Some(&value));
        }
    }
}

#[tokio::test]
async fn what_is_edited_or_deleted_is_repaired_at_once() {
    let changes: [fn(&Stage); 4] = [
        |stage| {
            stage.kube.edit_object(&secret("images-queue"), |object| {
                object.content.data.insert("QUEUE_URL".to_owned(), "https://elsewhere".to_owned());
            });
        },
        |stage| {
            stage.kube.edit_object(&secret("images-queue"), |object| {
                object.content.data.remove("QUEUE_ARN");
                object.content.data.insert("EXTRA".to_owned(), "1".to_owned());
            });
        },
        |stage| stage.kube.edit_object(&secret("images-queue"), |object| object.labelled = false),
        |stage| stage.kube.delete_object(&secret("images-queue")),
    ];
    for change in changes {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({})).await;
        let before = stage.secret("media/images-queue").unwrap();
        let mark = stage.world.mark();
        change(&stage);
        stage.run(5).await;
        let after = stage.secret("media/images-queue").unwrap();
        assert_eq!((after.content, after.labelled), (before.content, true));
        assert_eq!(stage.writes(mark), 0);
    }
}

#[tokio::test]
async fn an_output_renamed_or_turned_off_is_removed() {
    let mut stage = Stage::prompt();
    let all = json!({"outputs": {"configMap": {"mode": "Enabled"}, "binding": {"mode": "Enabled"}}});
    stage.applied("media/images", all).await;
    assert!(stage.secret("media/images-queue").is_some());
    assert!(stage.object(OutputKind::ConfigMap, "media/images-queue").is_some());
    let binding = stage.secret("media/images-binding").unwrap();
    assert_eq!(binding.content.secret_type, "servicebinding.io/sqs");
    assert_eq!(binding.content.data["uri"], url("media_images"));
    let status = stage.queue("media/images").status.unwrap();
    assert_eq!(status.binding.map(|binding| binding.name).as_deref(), Some("images-binding"));

    stage.applied("media/images", json!({"outputs": {"secret": {"name": "renamed"}}})).await;
    let left: Vec<_> = stage.kube.objects().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, [secret("renamed")]);
    assert!(stage.queue("media/images").status.unwrap().binding.is_none());

    stage.applied("media/images", json!({"outputs": {"secret": {"mode": "Disabled"}}})).await;
    assert!(stage.kube.objects().is_empty());
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn an_object_of_somebody_else_is_left_alone() {
    let mut stage = Stage::prompt();
    let theirs = content(OutputKind::Secret, "images-queue", &[("password", "x")]);
    stage.kube.create_object(&secret("images-queue"), theirs);
    let before = stage.secret("media/images-queue");
    stage.applied("media/images", json!({})).await;
    assert_eq!(stage.ready("media/images"), "False/OutputConflict");
    assert_eq!(stage.condition("media/images", "Stalled"), "True/OutputConflict");
    assert_eq!(stage.secret("media/images-queue"), before);
    assert!(stage.has("media_images"), "the queue is made all the same");
    // It is looked at seldom: nobody watches what is not ours.
    stage.run(1200).await;
    let passes = stage.operator.passes.len();
    stage.run(3600).await;
    assert!(stage.operator.passes.len() - passes <= 20, "{} passes in an hour", stage.operator.passes.len() - passes);
    // The conflict ends with the object.
    stage.kube.delete_object(&secret("images-queue"));
    stage.run(310).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    stage.delete("media/images");
    stage.run(300).await;
    assert!(stage.kube.objects().is_empty());
}

#[tokio::test]
async fn one_conflict_keeps_no_other_output_back() {
    let mut stage = Stage::prompt();
    stage.kube.create_object(&secret("images-queue"), content(OutputKind::Secret, "images-queue", &[]));
    let spec = json!({"outputs": {"configMap": {"mode": "Enabled"}, "binding": {"mode": "Enabled"}}});
    stage.applied("media/images", spec).await;
    stage.run(120).await;
    assert_eq!(stage.ready("media/images"), "False/OutputConflict");
    assert!(stage.object(OutputKind::ConfigMap, "media/images-queue").is_some());
    assert!(stage.secret("media/images-binding").is_some());
}

#[tokio::test]
async fn an_object_whose_type_cannot_be_changed_is_replaced() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"outputs": {"binding": {"mode": "Enabled"}}})).await;
    stage.kube.edit_object(&secret("images-binding"), |object| object.content.secret_type = "Opaque".to_owned());
    stage.run(60).await;
    assert_eq!(stage.secret("media/images-binding").unwrap().content.secret_type, "servicebinding.io/sqs");
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn a_refused_spec_takes_nothing_from_workloads() {
    let refused = [
        (
            json!({"messageRetentionSeconds": 60, "deadLetter": {"managed": {"messageRetentionSeconds": 59}}}),
            "InvalidSpec",
        ),
        (
            json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "images"}}}}),
            "DeadLetterCycle",
        ),
    ];
    for (spec, reason) in refused {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({})).await;
        let before = stage.secret("media/images-queue").unwrap().content;
        stage.applied("media/images", spec).await;
        assert_eq!(stage.ready("media/images"), format!("False/{reason}"));
        let mark = stage.world.mark();
        stage.kube.delete_object(&secret("images-queue"));
        stage.run(1).await;
        assert_eq!(stage.secret("media/images-queue").map(|object| object.content), Some(before), "{reason}");
        stage.operator.restart();
        stage.kube.edit_object(&secret("images-queue"), |object| _ = object.content.data.remove("QUEUE_URL"));
        stage.run(1).await;
        assert!(stage.secret("media/images-queue").unwrap().content.data.contains_key("QUEUE_URL"), "{reason}");
        assert!(stage.actions_since(mark).is_empty(), "AWS is not asked");
        let kube_mark = stage.kube.mark();
        stage.run(3600).await;
        assert!(stage.kube.writes_since(kube_mark).is_empty(), "{reason}: at rest");
    }
}

#[tokio::test]
async fn outputs_that_are_refused_themselves_are_left_as_they_are() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let before = stage.secret("media/images-queue");
    stage.applied("media/images", json!({"outputs": {"secret": {"keyPrefix": "AWS_"}}})).await;
    assert_eq!(stage.ready("media/images"), "False/InvalidSpec");
    assert_eq!(stage.secret("media/images-queue"), before);
}
