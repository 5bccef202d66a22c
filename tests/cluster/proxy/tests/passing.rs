//! What the proxy leaves alone, and what it remembers.

use std::time::Duration;

use serde_json::json;

use super::{post, read, sqs, start, url};
use crate::proxy::{Fault, Gate, Rule, When};

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn requests_and_answers_pass_untouched() {
    let (upstream, proxy) = start().await;
    let headers = [("x-amz-target", "AmazonSQS.Refuse"), ("authorization", "signed"), ("host", "sqs.example:1")];
    let seen = post(&proxy, &headers, "{ \"QueueUrl\" : \"x\" }".to_owned()).await.unwrap();
    assert_eq!((seen.status.as_u16(), seen.text.as_str()), (418, "no, thanks"));
    assert_eq!(seen.headers["x-made-by"], "upstream");
    let (parts, body) = upstream.requests().remove(0);
    assert_eq!(body, "{ \"QueueUrl\" : \"x\" }");
    assert_eq!((parts.method.as_str(), parts.uri.path()), ("POST", "/"));
    // The signature covers the host, and the emulator makes queue URLs of it.
    assert_eq!(parts.headers["host"], "sqs.example:1");
    assert_eq!(parts.headers["authorization"], "signed");
}

#[tokio::test]
async fn calls_are_known_by_action_and_queue_in_every_protocol() {
    let (_upstream, proxy) = start().await;
    sqs(&proxy, "CreateQueue", json!({"QueueName": "a", "tags": {"k": "v"}})).await.unwrap();
    sqs(&proxy, "GetQueueAttributes", url("b.fifo")).await.unwrap();
    post(&proxy, &[("x-amz-target", "TrentService.DescribeKey")], json!({"KeyId": "k"}).to_string()).await.unwrap();
    post(&proxy, &[], "Action=GetCallerIdentity&Version=2011-06-15&X=a%20b".to_owned()).await.unwrap();
    let calls = proxy.calls();
    let known: Vec<_> = calls.iter().map(|call| (call.action.as_str(), call.queue.as_deref(), call.status)).collect();
    assert_eq!(
        known,
        [
            ("CreateQueue", Some("a"), Some(200)),
            ("GetQueueAttributes", Some("b.fifo"), Some(200)),
            ("DescribeKey", None, Some(200)),
            ("GetCallerIdentity", None, Some(200)),
        ]
    );
    assert_eq!(calls[0].body["tags"]["k"], "v");
    assert_eq!(calls[3].body["X"], "a b");
    assert!(calls.iter().all(|call| call.reached));
}

#[tokio::test]
async fn calls_are_counted() {
    let (_upstream, proxy) = start().await;
    for queue in ["a", "b", "a"] {
        sqs(&proxy, "GetQueueAttributes", url(queue)).await.unwrap();
    }
    let mark = proxy.mark();
    sqs(&proxy, "DeleteQueue", url("a")).await.unwrap();
    assert_eq!(proxy.count("GetQueueAttributes", None), 3);
    assert_eq!(proxy.count("GetQueueAttributes", Some("a")), 2);
    assert_eq!(proxy.count("GetQueueAttributes", Some("c")), 0);
    let since: Vec<_> = proxy.since(mark).into_iter().map(|call| call.action).collect();
    assert_eq!(since, ["DeleteQueue"]);
}

#[tokio::test]
async fn a_test_can_wait_for_calls() {
    let (_upstream, proxy) = start().await;
    let gate = Gate::closed();
    proxy.inject(Rule::new(Fault::Hold(gate.clone(), When::Before)));
    let waits = proxy.until(LONG, |calls| calls.iter().any(|call| call.status == Some(200)));
    let calls = sqs(&proxy, "GetQueueUrl", json!({"QueueName": "a"}));
    let opens = async {
        gate.reached_by(1).await;
        gate.open();
    };
    let (satisfied, seen, ()) = tokio::join!(waits, calls, opens);
    assert!(satisfied && seen.is_some());
    assert!(!proxy.until(Duration::ZERO, |calls| calls.len() > 1).await);
}

#[tokio::test]
async fn nothing_behind_it_is_a_dropped_connection() {
    let (upstream, proxy) = start().await;
    drop(upstream);
    // The listener is gone once its task has ended.
    let gone = async {
        while sqs(&proxy, "GetQueueAttributes", url("a")).await.is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
    assert_eq!(proxy.calls().last().unwrap().status, None);
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let (_upstream, proxy) = start().await;
    sqs(&proxy, "GetQueueAttributes", url("a")).await.unwrap();
    let address = proxy.endpoint().trim_start_matches("http://").to_owned();
    drop(proxy);
    let gone = async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
}

#[tokio::test]
async fn managed_encryption_is_on_unless_there_is_a_key() {
    let (upstream, proxy) = start().await;
    let shown = async || {
        let seen = sqs(&proxy, "GetQueueAttributes", read("a")).await.unwrap();
        seen.json()["Attributes"]["SqsManagedSseEnabled"].clone()
    };
    assert_eq!(shown().await, "true");
    upstream.set("SqsManagedSseEnabled", "false");
    assert_eq!(shown().await, "false");
    upstream.set("SqsManagedSseEnabled", "true");
    upstream.set("KmsMasterKeyId", "alias/k");
    assert_eq!(shown().await, "false");
    let others = json!({"QueueUrl": "http://h/1/a", "AttributeNames": ["QueueArn"]});
    upstream.set("SqsManagedSseEnabled", "true");
    let seen = sqs(&proxy, "GetQueueAttributes", others).await.unwrap();
    assert_eq!(seen.json()["Attributes"]["SqsManagedSseEnabled"], "true", "not asked for, not touched");
}
