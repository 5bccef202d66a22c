//! What the API server asks, and the answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, META_API_VERSION_V1, Operation};
use kube::{Api, Client};
use tokio::time::timeout;

use crate::api::{Queue, QueueAccess};
use crate::domain::injection::{
    Asked, Decision, FailurePolicy, Found, Source, decide, secret_of_access, secret_of_queue,
};
use crate::runtime::metrics::{Injection, Metrics};

/// The path of a webhook that fails closed: a Pod that cannot have what it asks for is refused.
pub const FAIL: &str = "/inject/fail";

/// The path of a webhook that fails open: a Pod gets what it can, and warnings.
pub const IGNORE: &str = "/inject/ignore";

/// The API server takes objects of 3 MiB (k8s.io/apiserver, `MaxRequestBodyBytes`), and says a little more about each.
const MOST_BYTES: usize = 4 << 20;

/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

/// How long the objects that a Pod names are waited for: less than the API server waits for the answer (the chart: 5 s), so that what went
/// wrong is said.
const LOOK: Duration = Duration::from_secs(3);

/// What a Pod may name, as it is now.
#[async_trait]
pub(super) trait Objects: Send + Sync {
    async fn queue(&self, namespace: &str, name: &str) -> Result<Option<Queue>, String>;
    async fn access(&self, namespace: &str, name: &str) -> Result<Option<QueueAccess>, String>;
}

/// From the API server itself.
pub(super) struct FromApi(pub(super) Client);

#[async_trait]
impl Objects for FromApi {
    async fn queue(&self, namespace: &str, name: &str) -> Result<Option<Queue>, String> {
        Api::namespaced(self.0.clone(), namespace).get_opt(name).await.map_err(|error| error.to_string())
    }

    async fn access(&self, namespace: &str, name: &str) -> Result<Option<QueueAccess>, String> {
        Api::namespaced(self.0.clone(), namespace).get_opt(name).await.map_err(|error| error.to_string())
    }
}

/// What answers.
pub(super) struct Admission {
    pub(super) objects: Box<dyn Objects>,
    pub(super) metrics: Metrics,
}

/// The paths.
pub(super) fn pages(admission: Arc<Admission>) -> Router {
    let with = |policy: FailurePolicy| {
        post(async move |State(admission): State<Arc<Admission>>, body: Body| admission.answer(policy, body).await)
    };
    Router::new()
        .route(FAIL, with(FailurePolicy::Fail))
        .route(IGNORE, with(FailurePolicy::Ignore))
        .with_state(admission)
}

impl Admission {
    async fn answer(&self, policy: FailurePolicy, body: Body) -> Response {
        let request = match timeout(ARRIVAL, to_bytes(body, MOST_BYTES)).await {
            Ok(Ok(body)) => read(&body),
            Ok(Err(error)) => Err(format!("the request cannot be read, or is longer than {MOST_BYTES} bytes: {error}")),
            Err(_) => Err(format!("the request did not arrive within {} s", ARRIVAL.as_secs())),
        };
        match request {
            Ok(request) => self.review(policy, &request).await,
            // To the API server this is a webhook that fails, and its failurePolicy says what follows.
            Err(why) => {
                self.metrics.injection(Injection::Malformed);
                tracing::warn!(why, "the webhook was sent what it does not understand");
                (StatusCode::BAD_REQUEST, why).into_response()
            }
        }
    }

    async fn review(&self, policy: FailurePolicy, request: &AdmissionRequest<Pod>) -> Response {
        let response = AdmissionResponse::from(request);
        let namespace = request.namespace.as_deref().unwrap_or_default();
        // Containers do not change once a Pod is there.
        let pod = request.object.as_ref().filter(|_| request.operation == Operation::Create);
        let Some(pod) = pod else {
            self.metrics.injection(Injection::Unchanged);
            return reply(response);
        };
        let asked = Asked::of(pod);
        let found = join_all(asked.sources.iter().map(|source| self.find(namespace, source))).await;
        let name = pod.metadata.name.clone().or_else(|| pod.metadata.generate_name.clone()).unwrap_or_default();
        match decide(pod, namespace, &asked, &found, policy) {
            Decision::Refuse(why) => {
                self.metrics.injection(Injection::Refused);
                tracing::info!(namespace, pod = name, why, "a Pod was refused");
                reply(response.deny(why))
            }
            Decision::Admit { patch, warnings } => {
                self.metrics.injection(match (warnings.is_empty(), patch.is_empty()) {
                    (false, _) => Injection::Warned,
                    (true, true) => Injection::Unchanged,
                    (true, false) => Injection::Injected,
                });
                if !warnings.is_empty() {
                    tracing::info!(
                        namespace,
                        pod = name,
                        why = warnings.join("; "),
                        "a Pod was admitted with warnings"
                    );
                }
                let patched = if patch.is_empty() { Ok(response) } else { response.with_patch(patch) };
                match patched {
                    Ok(mut response) => {
                        response.warnings = (!warnings.is_empty()).then_some(warnings);
                        reply(response)
                    }
                    Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
                }
            }
        }
    }

    /// Looks at what a Pod names: in its own namespace, and in no other.
    async fn find(&self, namespace: &str, source: &Source) -> Found {
        let look = async {
            match source {
                Source::Queue(name) => {
                    self.objects.queue(namespace, name).await.map(|found| found.as_ref().map(secret_of_queue))
                }
                Source::Access(name) => {
                    self.objects.access(namespace, name).await.map(|found| found.as_ref().map(secret_of_access))
                }
            }
        };
        match timeout(LOOK, look).await {
            Ok(Ok(Some(secret))) => Found::Secret(secret),
            Ok(Ok(None)) => Found::Nothing,
            Ok(Err(why)) => Found::Unknown(why),
            Err(_) => Found::Unknown(format!("no answer within {} s", LOOK.as_secs())),
        }
    }
}

fn read(body: &Bytes) -> Result<AdmissionRequest<Pod>, String> {
    let review: AdmissionReview<Pod> =
        serde_json::from_slice(body).map_err(|error| format!("this is no AdmissionReview of a Pod: {error}"))?;
    if review.types.api_version != META_API_VERSION_V1 {
        return Err(format!("{} is not {META_API_VERSION_V1}", review.types.api_version));
    }
    review.try_into().map_err(|_| "the AdmissionReview holds no request".to_owned())
}

fn reply(response: AdmissionResponse) -> Response {
    match serde_json::to_vec(&response.into_review()) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A cluster in which one Queue is there, one cannot be read, and one is not answered about.
    struct Few;

    #[async_trait]
    impl Objects for Few {
        async fn queue(&self, namespace: &str, name: &str) -> Result<Option<Queue>, String> {
            match (namespace, name) {
                ("media", "orders") => Ok(Some(Queue::new("orders", crate::api::QueueSpec::default()))),
                ("media", "odd") => Err("it does not deserialize".to_owned()),
                ("media", "slow") => std::future::pending().await,
                _ => Ok(None),
            }
        }

        async fn access(&self, _: &str, _: &str) -> Result<Option<QueueAccess>, String> {
            Ok(None)
        }
    }

    fn review(operation: &str, inject: &str) -> Value {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "annotations": {"queue.prism.io/inject": inject}},
            "spec": {"containers": [{"name": "main"}]},
        });
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "namespace": "media", "operation": operation, "userInfo": {},
                "object": pod, "oldObject": null,
            },
        })
    }

    /// The code, the answer and what was counted.
    async fn ask(policy: FailurePolicy, body: impl Into<Body>) -> (StatusCode, Value, String) {
        let admission = Admission { objects: Box::new(Few), metrics: Metrics::new() };
        let answer = admission.answer(policy, body.into()).await;
        let (code, body) = (answer.status(), to_bytes(answer.into_body(), MOST_BYTES).await.unwrap());
        let text = || Value::from(String::from_utf8_lossy(&body).into_owned());
        let answer = serde_json::from_slice(&body).unwrap_or_else(|_| text());
        let counted = admission.metrics.encode().unwrap();
        let mut counted = counted.lines().filter_map(|line| line.strip_prefix("prism_queue_injections_total{result="));
        (code, answer, counted.next().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn an_answer_is_about_the_request_and_carries_the_patch() {
        let (code, answer, counted) = ask(FailurePolicy::Fail, review("CREATE", "orders").to_string()).await;
        assert_eq!((code, counted.as_str()), (StatusCode::OK, "\"injected\"} 1"));
        assert_eq!(
            (&answer["apiVersion"], &answer["kind"]),
            (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
        );
        let response = &answer["response"];
        assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(true)));
        assert_eq!(response["patchType"], "JSONPatch");
        let patch: Vec<u8> = serde_json::from_value(response["patch"].clone()).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert_eq!(patch[0]["path"], "/spec/containers/0/envFrom");
        assert_eq!(patch[0]["value"], json!([{"secretRef": {"name": "orders-queue"}}]));
    }

    #[tokio::test]
    async fn what_cannot_be_looked_at_is_refused_or_warned_of() {
        for (inject, words) in
            [("odd", "it does not deserialize"), ("other", "there is no Queue other in namespace media")]
        {
            let (_, answer, counted) = ask(FailurePolicy::Fail, review("CREATE", inject).to_string()).await;
            assert_eq!((&answer["response"]["allowed"], counted.as_str()), (&json!(false), "\"refused\"} 1"));
            assert!(answer["response"]["status"]["message"].as_str().unwrap().contains(words), "{answer}");
            let (_, answer, counted) = ask(FailurePolicy::Ignore, review("CREATE", inject).to_string()).await;
            assert_eq!((&answer["response"]["allowed"], counted.as_str()), (&json!(true), "\"warned\"} 1"));
            assert!(answer["response"]["warnings"][0].as_str().unwrap().contains(words), "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_does_not_answer_is_not_waited_for() {
        let (_, answer, _) = ask(FailurePolicy::Fail, review("CREATE", "slow").to_string()).await;
        let message = answer["response"]["status"]["message"].as_str().unwrap();
        assert!(message.contains("Queue slow could not be read: no answer within 3 s"), "{message}");
        // Nor a client that does not send.
        let silent = Body::from_stream(futures::stream::pending::<Result<Bytes, std::convert::Infallible>>());
        let (code, answer, counted) = ask(FailurePolicy::Fail, silent).await;
        assert_eq!((code, counted.as_str()), (StatusCode::BAD_REQUEST, "\"malformed\"} 1"));
        assert!(answer.as_str().unwrap().contains("did not arrive within 5 s"), "{answer}");
    }

    #[tokio::test]
    async fn nothing_but_the_creation_of_a_pod_is_changed() {
        for operation in ["UPDATE", "DELETE"] {
            let (_, answer, counted) = ask(FailurePolicy::Fail, review(operation, "other").to_string()).await;
            assert_eq!((&answer["response"]["allowed"], counted.as_str()), (&json!(true), "\"unchanged\"} 1"));
            assert_eq!(answer["response"].get("patch"), None);
        }
    }

    #[tokio::test]
    async fn what_is_no_admission_review_is_refused_with_the_reason() {
        let mut old = review("CREATE", "orders");
        old["apiVersion"] = json!("admission.k8s.io/v1beta1");
        let mut empty = review("CREATE", "orders");
        empty["request"] = json!(null);
        for (body, words) in [
            ("{}".to_owned(), "no AdmissionReview"),
            ("no JSON".to_owned(), "no AdmissionReview"),
            (old.to_string(), "admission.k8s.io/v1beta1 is not admission.k8s.io/v1"),
            (empty.to_string(), "holds no request"),
            (" ".repeat(MOST_BYTES + 1), "longer than 4194304 bytes"),
        ] {
            let (code, answer, counted) = ask(FailurePolicy::Ignore, body).await;
            assert_eq!((code, counted.as_str()), (StatusCode::BAD_REQUEST, "\"malformed\"} 1"));
            assert!(answer.as_str().unwrap().contains(words), "{answer}");
        }
    }
}
