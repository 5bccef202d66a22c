//! The fault proxy and the AWS SDK, with the emulator behind them: what the SDK makes of the faults.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::QueueAttributeName;

use crate::proxy::{Fault, FaultProxy, Rule, Throttle, When};

/// The account of these tests alone: twelve digits as access key choose it.
const ACCOUNT: &str = "200000000001";

fn start() -> (FaultProxy, Client) {
    let upstream = std::env::var("PRISM_TEST_ENDPOINT").expect("PRISM_TEST_ENDPOINT: run `cargo xtask test`");
    let proxy = FaultProxy::start(&upstream);
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new(ACCOUNT, "secret", None, None, "test"))
        .endpoint_url(proxy.endpoint())
        .retry_config(RetryConfig::disabled())
        .build();
    (proxy, Client::from_conf(config))
}

#[tokio::test]
async fn queue_urls_lead_through_the_proxy() {
    let (proxy, sqs) = start();
    let created = sqs.create_queue().queue_name("wire-urls").send().await.unwrap();
    let url = created.queue_url().unwrap();
    assert!(url.starts_with(proxy.endpoint()), "{url}");
    sqs.send_message().queue_url(url).message_body("hello").send().await.unwrap();
    let all = QueueAttributeName::All;
    let read = sqs.get_queue_attributes().queue_url(url).attribute_names(all).send().await.unwrap();
    let read = read.attributes().unwrap();
    assert_eq!(read[&QueueAttributeName::ApproximateNumberOfMessages], "1");
    assert_eq!(read[&QueueAttributeName::SqsManagedSseEnabled], "true");
    sqs.delete_queue().queue_url(url).send().await.unwrap();
    let calls: Vec<_> = proxy.calls().into_iter().map(|call| (call.action, call.queue.unwrap(), call.status)).collect();
    let passed = |action: &str| (action.to_owned(), "wire-urls".to_owned(), Some(200));
    assert_eq!(calls, ["CreateQueue", "SendMessage", "GetQueueAttributes", "DeleteQueue"].map(passed));
}

#[tokio::test]
async fn a_name_that_cools_down_is_a_typed_error() {
    let (_proxy, sqs) = start();
    let created = sqs.create_queue().queue_name("wire-cool-down").send().await.unwrap();
    sqs.delete_queue().queue_url(created.queue_url().unwrap()).send().await.unwrap();
    let refused = sqs.create_queue().queue_name("wire-cool-down").send().await.unwrap_err().into_service_error();
    assert!(refused.is_queue_deleted_recently(), "{refused:?}");
}

#[tokio::test]
async fn errors_reach_the_sdk_with_their_codes() {
    let (proxy, sqs) = start();
    proxy.inject(Rule::new(Fault::Throttle(Throttle::BadRequest)).times(1));
    proxy.inject(Rule::new(Fault::Throttle(Throttle::Unavailable)).times(1));
    proxy.inject(Rule::new(Fault::access_denied()).times(1));
    proxy.inject(Rule::new(Fault::Throttle(Throttle::TooManyRequests)).times(1));
    for code in [Some("ThrottlingException"), Some("ServiceUnavailable"), Some("AccessDenied"), None] {
        let error = sqs.list_queues().send().await.unwrap_err();
        let status = error.raw_response().map(|response| response.status().as_u16());
        assert_eq!((error.code(), status), (code, proxy.calls().last().unwrap().status));
    }
}

#[tokio::test]
async fn a_lost_answer_is_a_failed_dispatch_that_took_effect() {
    let (proxy, sqs) = start();
    proxy.inject(Rule::new(Fault::Drop(When::After)).times(1));
    let lost = sqs.create_queue().queue_name("wire-lost").send().await.unwrap_err();
    assert!(lost.as_service_error().is_none(), "{lost:?}");
    let found = sqs.get_queue_url().queue_name("wire-lost").send().await.unwrap();
    sqs.delete_queue().queue_url(found.queue_url().unwrap()).send().await.unwrap();
}
