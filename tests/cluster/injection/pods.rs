//! What Pods get.

use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use prism_queue::api::{Queue, QueueAccess};
use serde_json::json;

use super::{Mode, annotation, pod, sources, with_webhook};
use crate::harness::identity::{apply, yaml};

#[test]
fn an_annotated_pod_gets_the_environment_of_its_queue_in_every_container() {
    with_webhook(Mode::Closed, async |stage, operator| {
        stage.scope.apply_ready("thumbnails", json!({})).await;
        let init = json!({"initContainers": [{"name": "init", "image": "example.com/init"}]});
        let asking = serde_json::from_value(pod("resizer", "thumbnails", &init)).unwrap();
        let created = stage.pods().create(&PostParams::default(), &asking).await.unwrap();
        assert_eq!(sources(&created), ["init:  thumbnails-queue", "main:  thumbnails-queue"]);
        assert_eq!(annotation(&created, "queue.prism.io/injected"), Some("thumbnails=thumbnails-queue"));
        assert_eq!(annotation(&created, "queue.prism.io/injection-warnings"), None);
        assert!(stage.scope.secret("thumbnails-queue").await.contains_key("QUEUE_URL"));

        // What kubectl debug adds later is not asked about.
        let debug = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "example.com/debug"}]}});
        let (pods, params, patch) = (stage.pods(), PatchParams::default(), Patch::Strategic(&debug));
        let debugged = pods.patch_subresource("ephemeralcontainers", "resizer", &params, &patch).await.unwrap();
        let spec = debugged.spec.unwrap();
        assert_eq!(spec.ephemeral_containers.unwrap()[0].env_from, None);
        stage.pods().delete("resizer", &DeleteParams::default().grace_period(0)).await.unwrap();

        // A dry run shows the same, and so does the name that the Queue gives its Secret.
        stage.scope.apply_ready("named", json!({"outputs": {"secret": {"name": "where"}}})).await;
        let shown = stage.dry_run(&pod("p", "named", &json!({}))).await.unwrap();
        assert_eq!(sources(&shown), ["main:  where"]);

        let injected = operator.metric("prism_queue_injections_total", |labels| labels.contains("\"injected\"")).await;
        assert_eq!(injected, 2);
    });
}

#[test]
fn several_get_prefixes_and_a_pod_that_has_them_gets_nothing_again() {
    with_webhook(Mode::Closed, async |stage, _| {
        stage.scope.apply("image-processing", json!({})).await;
        stage.scope.apply("emails", json!({})).await;
        // As the Deployment of the example makes them.
        let mut example = yaml("examples/11-injection.yaml")["spec"]["template"].take();
        example["metadata"]["name"] = json!("p");
        let created = stage.dry_run(&example).await.unwrap();
        let wanted = ["resizer: IMAGE_PROCESSING_ image-processing-queue", "resizer: EMAILS_ emails-queue"];
        assert_eq!(sources(&created), wanted);

        // As with a template that was copied from a running Pod.
        let mut again = created.clone();
        again.metadata.uid = None;
        again.metadata.resource_version = None;
        let again = stage.dry_run(&serde_json::to_value(&again).unwrap()).await.unwrap();
        assert_eq!(sources(&again), wanted);
        assert_eq!(again.spec.unwrap().containers, created.spec.unwrap().containers);
    });
}

#[test]
fn a_queue_of_another_namespace_is_reached_through_a_queue_access_only() {
    with_webhook(Mode::Closed, async |stage, _| {
        let (kube, elsewhere) = (stage.scope.world.kube.clone(), stage.scope.elsewhere());
        apply(
            &Api::all(kube.clone()) as &Api<k8s_openapi::api::core::v1::Namespace>,
            json!({"metadata": {"name": elsewhere}}),
        )
        .await;
        let there: Api<Queue> = Api::namespaced(kube.clone(), &elsewhere);
        apply(&there, json!({"metadata": {"name": "orders"}, "spec": {}})).await;

        let refusal = stage.dry_run(&pod("p", "orders", &json!({}))).await.unwrap_err();
        assert!(refusal.contains(&format!("there is no Queue orders in namespace {}", stage.scope.name)), "{refusal}");
        let refusal = stage.dry_run(&pod("p", &format!("{elsewhere}/orders"), &json!({}))).await.unwrap_err();
        assert!(refusal.contains("is not the name of a Queue"), "{refusal}");

        let accesses: Api<QueueAccess> = Api::namespaced(kube.clone(), &stage.scope.name);
        let spec = json!({
            "queueRef": {"name": "orders", "namespace": elsewhere},
            "permissions": ["Send"],
            "subject": {"principalArn": "arn:aws:iam::300000000001:role/worker"},
        });
        apply(&accesses, json!({"metadata": {"name": "orders"}, "spec": spec})).await;
        // A bare name is a Queue's, whatever else has it.
        stage.dry_run(&pod("p", "orders", &json!({}))).await.unwrap_err();
        let created = stage.dry_run(&pod("p", "access/orders", &json!({}))).await.unwrap();
        assert_eq!(sources(&created), ["main:  orders-access"]);
        let _ = there.delete("orders", &DeleteParams::default()).await;
    });
}
