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
