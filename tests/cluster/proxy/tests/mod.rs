//! The proxy against an upstream in this process.

mod faults;
mod passing;
mod secure;
mod upstream;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::FaultProxy;
use upstream::Upstream;

/// What a client gets to see.
#[derive(Debug)]
struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn code(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["__type"].as_str().unwrap_or_default().to_owned())
    }
}

/// A proxy and what is behind it.
async fn start() -> (Upstream, FaultProxy) {
    let upstream = Upstream::start().await;
    let proxy = FaultProxy::start(&upstream.endpoint);
    (upstream, proxy)
}

async fn post(proxy: &FaultProxy, headers: &[(&str, &str)], body: String) -> Option<Seen> {
    let mut request = Request::post(proxy.endpoint());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Full::new(Bytes::from(body))).unwrap()).await.ok()?;
    let (parts, body) = answer.into_parts();
    let text = String::from_utf8(body.collect().await.ok()?.to_bytes().to_vec()).unwrap();
    Some(Seen { status: parts.status, headers: parts.headers, text })
}

/// A call of SQS, or nothing when the connection was dropped.
async fn sqs(proxy: &FaultProxy, action: &str, body: Value) -> Option<Seen> {
    post(proxy, &[("x-amz-target", &format!("AmazonSQS.{action}"))], body.to_string()).await
}

fn url(queue: &str) -> Value {
    json!({"QueueUrl": format!("http://somewhere:1/123456789012/{queue}")})
}

fn read(queue: &str) -> Value {
    json!({"QueueUrl": format!("http://somewhere:1/123456789012/{queue}"), "AttributeNames": ["All"]})
}
