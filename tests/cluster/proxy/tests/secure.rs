//! The proxy for clients that come with TLS.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};

use super::post;
use super::upstream::Upstream;
use crate::proxy::{FaultProxy, connector, http_client};

fn client(proxy: &FaultProxy, certificate: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(proxy.endpoint())
        .http_client(http_client(connector(certificate)))
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn the_one_behind_is_told_of_tls_and_only_then() {
    let upstream = Upstream::start().await;
    let (secure, certificate) = FaultProxy::start_with_tls(&upstream.endpoint);
    client(&secure, &certificate).list_queues().send().await.unwrap();
    post(&FaultProxy::start(&upstream.endpoint), &[], String::new()).await.unwrap();
    let told = upstream.requests().into_iter().map(|(parts, _)| parts.headers.get("x-forwarded-proto").cloned());
    let told: Vec<_> = told.map(|told| told.map(|proto| proto.to_str().unwrap().to_owned())).collect();
    assert_eq!(told, [Some("https".to_owned()), None]);
}

#[tokio::test]
async fn who_does_not_trust_the_certificate_or_speaks_plain_http_is_not_served() {
    let upstream = Upstream::start().await;
    let (secure, _) = FaultProxy::start_with_tls(&upstream.endpoint);
    let (_, of_another) = FaultProxy::start_with_tls(&upstream.endpoint);
    client(&secure, &of_another).list_queues().send().await.unwrap_err();
    let plain = secure.endpoint().replace("https", "http");
    let request = hyper::Request::post(plain).body(http_body_util::Empty::<hyper::body::Bytes>::new()).unwrap();
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    http.request(request).await.unwrap_err();
    assert_eq!(upstream.count(), 0);
}
