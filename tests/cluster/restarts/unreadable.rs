//! Objects that were stored under another CRD.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::wait::eventually;
use crate::harness::{alone, is_ready};

#[test]
fn a_queue_that_cannot_be_read_stops_no_other() {
    alone(async |scope| {
        // A CRD that takes anything.
        let crds: Api<CustomResourceDefinition> = Api::all(scope.world.kube.clone());
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let loose = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": anything}]);
        let patch = Patch::Json::<()>(serde_json::from_value(loose).unwrap());
        crds.patch("queues.queue.prism.io", &PatchParams::default(), &patch).await.unwrap();

        let resource = ApiResource::erase::<prism_queue::api::Queue>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(scope.world.kube.clone(), &scope.name, &resource);
        let bad: Value = json!({
            "apiVersion": "queue.prism.io/v1alpha1", "kind": "Queue",
            "metadata": {"name": "bad"}, "spec": {"delaySeconds": "soon"},
        });
        let bad: DynamicObject = serde_json::from_value(bad).unwrap();
        let create = async || api.create(&PostParams::default(), &bad).await.map(|_| ()).map_err(|e| e.to_string());
        _ = eventually("the API server takes anything", create, Result::is_ok).await;
        scope.world.install_crds().await;
        let strict = async || scope.try_apply("bad-too", json!({"delaySeconds": "soon"})).await.map(|_| ());
        _ = eventually("the API server refuses again", strict, Result::is_err).await;

        let operator = scope.world.operator(&[]).await;
        scope.apply("good", json!({})).await;
        eventually(
            "the other is ready",
            async || scope.queues.get_opt("good").await.ok().flatten(),
            |queue| queue.as_ref().is_some_and(is_ready),
        )
        .await;
        let log = operator.says("cannot be read and is left alone").await;
        assert!(log.contains(&format!("{}/bad", scope.name)), "it is named");
        // Nothing holds it back.
        api.delete("bad", &kube::api::DeleteParams::default()).await.unwrap();
        assert!(api.get_opt("bad").await.unwrap().is_none());
    });
}
