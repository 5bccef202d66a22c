//! What Pods get.

use kube::ResourceExt as _;
use kube::api::PostParams;
use serde_json::json;

use super::{Mode, annotation, pod, sources, with_webhook};

#[test]
fn an_annotated_pod_gets_the_environment_of_its_queue_in_every_container() {
    with_webhook(Mode::Closed, async |stage, _| {
        stage.scope.apply_ready("thumbnails", json!({})).await;
        let init = json!({"initContainers": [{"name": "init", "image": "example.com/init"}]});
        let asking = pod("resizer", "thumbnails", &init);

        let created = serde_json::from_value(asking).unwrap();
        let created = stage.pods().create(&PostParams::default(), &created).await.unwrap();
        assert_eq!(sources(&created), ["init:  thumbnails-queue", "main:  thumbnails-queue"]);
        assert_eq!(annotation(&created, "queue.prism.io/injected"), Some("thumbnails=thumbnails-queue"));
        assert_eq!(annotation(&created, "queue.prism.io/injection-warnings"), None);
        let data = stage.scope.secret("thumbnails-queue").await;
        assert!(data.contains_key("QUEUE_URL"), "{data:?}");
        stage.pods().delete(&created.name_any(), &kube::api::DeleteParams::default().grace_period(0)).await.unwrap();
    });
}
