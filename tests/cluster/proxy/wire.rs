//! Errors as AWS puts them on the wire.

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::call::Protocol;
use super::rule::Throttle;

/// An answer whose body is known.
pub(super) type Answer = Response<Full<Bytes>>;

const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// A refusal in one of the forms of throttling.
pub(super) fn throttled(protocol: Protocol, form: Throttle) -> Answer {
    match form {
        Throttle::BadRequest => error(protocol, 400, "ThrottlingException", "Rate exceeded"),
        Throttle::TooManyRequests => answer(429, "text/plain", String::from("Too Many Requests")),
        Throttle::Unavailable => error(protocol, 503, "ServiceUnavailable", "Service Unavailable"),
    }
}

/// A refusal with an error code, spelled as the service of this protocol spells it.
pub(super) fn error(protocol: Protocol, status: u16, code: &str, message: &str) -> Answer {
    let side = if status < 500 { "Sender" } else { "Receiver" };
    let json = |code: String| serde_json::json!({"__type": code, "message": message}).to_string();
    match protocol {
        Protocol::SqsJson => {
            let body = json(format!("com.amazonaws.sqs#{code}"));
            let mut answer = answer(status, "application/x-amz-json-1.0", body);
            if let Ok(value) = HeaderValue::from_str(&format!("{};{side}", older_code(code))) {
                answer.headers_mut().insert(QUERY_ERROR, value);
            }
            answer
        }
        Protocol::Json => answer(status, "application/x-amz-json-1.1", json(code.to_owned())),
        Protocol::Query => answer(
            status,
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>fault-proxy</RequestId></ErrorResponse>"
            ),
        ),
    }
}

/// What SQS's older protocol called it; clients get it in a header.
fn older_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "QueueDeletedRecently" => format!("AWS.SimpleQueueService.{code}"),
        other => other.to_owned(),
    }
}

fn answer(status: u16, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).expect("a status code of HTTP");
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
