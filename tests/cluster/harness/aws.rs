//! AWS as a test sees it.

use std::collections::BTreeMap;

use aws_sdk_iam::operation::create_role::CreateRoleError;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;

use super::{ACCOUNT, REGION};

/// An ordinary client of SQS in the tests' account.
pub fn client(endpoint: &str) -> Client {
    client_in(endpoint, ACCOUNT, REGION)
}

/// An ordinary client of SQS in another account or region.
pub fn client_in(endpoint: &str, account: &str, region: &'static str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(Credentials::new(account, "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

/// The URL of a queue, if it exists.
pub async fn url(sqs: &Client, queue: &str) -> Option<String> {
    match sqs.get_queue_url().queue_name(queue).send().await {
        Ok(found) => found.queue_url,
        Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => None,
        Err(error) => panic!("GetQueueUrl {queue}: {error:?}"),
    }
}

/// All attributes of a queue as AWS reports them; none when it does not exist.
pub async fn attributes(sqs: &Client, queue: &str) -> Option<BTreeMap<String, String>> {
    let url = url(sqs, queue).await?;
    let read = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await.ok()?;
    let read = read.attributes.unwrap_or_default();
    Some(read.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect())
}

/// All tags of a queue that exists.
pub async fn tags(sqs: &Client, queue: &str) -> BTreeMap<String, String> {
    let url = url(sqs, queue).await.unwrap_or_else(|| panic!("{queue} exists"));
    let read = sqs.list_queue_tags().queue_url(url).send().await.expect("tags are readable");
    read.tags.unwrap_or_default().into_iter().collect()
}

/// The names of all queues that begin so.
pub async fn names(sqs: &Client, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut pages = sqs.list_queues().queue_name_prefix(prefix).max_results(1000).into_paginator().send();
    while let Some(page) = pages.next().await {
        let urls = page.expect("queues are listed").queue_urls.unwrap_or_default();
        names.extend(urls.iter().filter_map(|url| url.rsplit('/').next()).map(str::to_owned));
    }
    names.sort();
    names
}

/// Sends one message to a Standard queue.
pub async fn send(sqs: &Client, url: &str, body: &str) {
    let message = sqs.send_message().queue_url(url).message_body(body);
    message.send().await.unwrap_or_else(|error| panic!("SendMessage {url}: {error:?}"));
}

/// Receives one message and deletes it, if there is one.
pub async fn consume(sqs: &Client, url: &str) -> Option<String> {
    let received = sqs.receive_message().queue_url(url).wait_time_seconds(0).send().await.expect("ReceiveMessage");
    let message = received.messages.unwrap_or_default().into_iter().next()?;
    let receipt = message.receipt_handle.expect("a received message has a receipt");
    sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await.expect("DeleteMessage");
    message.body
}

/// An ordinary client of IAM in an account.
pub fn iam(endpoint: &str, account: &str) -> aws_sdk_iam::Client {
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(account, "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    aws_sdk_iam::Client::from_conf(config)
}

/// An ordinary client of EKS in an account.
pub fn eks(endpoint: &str, account: &str) -> aws_sdk_eks::Client {
    let config = aws_sdk_eks::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(account, "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    aws_sdk_eks::Client::from_conf(config)
}

/// Makes a role that nobody may assume, unless it is there.
pub async fn make_role(iam: &aws_sdk_iam::Client, role: &str) {
    let trust = json!({"Version": "2012-10-17", "Statement": []}).to_string();
    let made = iam.create_role().role_name(role).assume_role_policy_document(trust).send().await;
    if let Err(error) = made {
        assert!(error.as_service_error().is_some_and(CreateRoleError::is_entity_already_exists_exception), "{error:?}");
    }
}

/// Makes a role whose policy allows these actions on everything, or changes it so.
pub async fn role_allows(endpoint: &str, account: &str, role: &str, actions: &[&str]) {
    let iam = iam(endpoint, account);
    make_role(&iam, role).await;
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let put = iam.put_role_policy().role_name(role).policy_name("operator").policy_document(policy);
    put.send().await.expect("the role can be given a policy");
}

/// The ARN of a queue in the tests' place.
pub fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}
