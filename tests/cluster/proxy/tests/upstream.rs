//! A stand-in for the emulator: it keeps one set of attributes for all queues, and what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub(super) struct Upstream {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
    server: AbortHandle,
}

#[derive(Default)]
struct State {
    requests: Vec<(Parts, Bytes)>,
    attributes: BTreeMap<String, Value>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let server = tokio::spawn(serve(listener, state.clone())).abort_handle();
        Self { endpoint, state, server }
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<(Parts, Bytes)> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How many requests came through.
    pub fn count(&self) -> usize {
        self.requests().len()
    }

    pub fn set(&self, name: &str, value: &str) {
        self.state.lock().unwrap().attributes.insert(name.to_owned(), json!(value));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let service = service_fn(move |request| answer(state.clone(), request));
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move { drop(connection.await) });
    }
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let action =
        parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap().to_owned()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut state = state.lock().unwrap();
    state.requests.push((parts, body));
    let answer = match action.as_str() {
        "AmazonSQS.SetQueueAttributes" => {
            let new = asked["Attributes"].as_object().unwrap().clone();
            state.attributes.extend(new);
            json!({})
        }
        "AmazonSQS.GetQueueAttributes" => json!({"Attributes": state.attributes}),
        "AmazonSQS.Refuse" => {
            let answer = Response::builder().status(418).header("x-made-by", "upstream");
            return Ok(answer.body(Full::new(Bytes::from_static(b"no, thanks"))).unwrap());
        }
        _ => json!({"said": "yes"}),
    };
    Ok(Response::new(Full::new(Bytes::from(answer.to_string()))))
}
