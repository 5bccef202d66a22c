//! A call to AWS as it looks on the wire: which action, which queue, in which protocol.

use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;

/// What the proxy remembers of one call, in the order in which the calls came.
#[derive(Clone, Debug)]
pub struct Call {
    /// For example `CreateQueue`; empty when the request is none of AWS's.
    pub action: String,
    /// The queue's name, when the call is about one.
    pub queue: Option<String>,
    /// The parameters; those of the query protocol as an object of texts.
    pub body: Value,
    /// Whether it was passed on.
    pub reached: bool,
    /// What was answered; none when the connection was dropped, or as long as the call is under way.
    pub status: Option<u16>,
}

/// How a service spells requests and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// SQS: AWS JSON 1.0, with the codes of its older protocol in a header.
    SqsJson,
    /// KMS and others: AWS JSON 1.1.
    Json,
    /// STS, IAM: a form, answered in XML.
    Query,
}

impl Call {
    /// Reads a request.
    pub(super) fn parse(parts: &Parts, body: &Bytes) -> (Self, Protocol) {
        let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        let (protocol, action, body) = if let Some((service, action)) = target.and_then(|target| target.split_once('.'))
        {
            let protocol = if service == "AmazonSQS" { Protocol::SqsJson } else { Protocol::Json };
            (protocol, action.to_owned(), serde_json::from_slice(body).unwrap_or_default())
        } else {
            let form: serde_json::Map<String, Value> = form_urlencoded::parse(body)
                .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())))
                .collect();
            let action = form.get("Action").and_then(Value::as_str).unwrap_or_default().to_owned();
            (Protocol::Query, action, Value::Object(form))
        };
        let queue = queue_of(&body);
        (Self { action, queue, body, reached: false, status: None }, protocol)
    }

    /// Whether it is `action` on `queue`, none meaning any.
    pub(super) fn is(&self, action: Option<&str>, queue: Option<&str>) -> bool {
        action.is_none_or(|action| action == self.action)
            && queue.is_none_or(|queue| Some(queue) == self.queue.as_deref())
    }
}

fn queue_of(body: &Value) -> Option<String> {
    let text = |key| body.get(key).and_then(Value::as_str);
    let name = text("QueueName").or_else(|| text("QueueUrl")?.rsplit('/').next())?;
    Some(name.to_owned())
}
