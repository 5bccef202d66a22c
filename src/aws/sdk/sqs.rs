//! SQS through the SDK.
//!
//! The SDK sends every call to the configured endpoint and puts the queue URL into the body; the host in
//! the URL plays no part (`QueueUrl` is no parameter of its endpoint rules, unlike in other languages' SDKs).
//! So a queue URL in status, written by whom ever, can never send signed calls to another host.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use crate::aws::Sqs;
use crate::aws::error::Service;
use crate::aws::meter::{Action, MayWrite, Meter, incomplete};
use crate::aws::target::{Session, Signer};
use crate::domain::attributes::{Attribute, Attributes, Counts, QueueAttributes};
use crate::domain::call::CallError;
use crate::domain::names::QueueName;
use crate::domain::tags::Tags;

/// The most URLs on a page of `ListQueues`.
const PAGE: i32 = 1_000;

/// [`Sqs`] by the AWS SDK.
#[derive(Clone)]
pub struct SdkSqs {
    client: Client,
    meter: Meter,
    signer: Signer,
}

writing_client!(SdkSqs, aws_sdk_sqs);

impl SdkSqs {
    /// Lists one queue, whichever: whether SQS answers, and lets queues be listed.
    ///
    /// # Errors
    /// As every call.
    pub async fn any_queue(&self) -> Result<(), CallError> {
        let request = self.client.list_queues().max_results(1);
        self.meter.call(read("ListQueues"), request.send()).await.map(|_| ())
    }
}

#[async_trait]
impl Sqs for SdkSqs {
    async fn create_queue(&self, name: &QueueName, attributes: &Attributes, tags: &Tags) -> Result<String, CallError> {
        let request = self
            .writer()
            .await
            .create_queue()
            .queue_name(name.as_str())
            .set_attributes(Some(to_sdk(attributes)).filter(|attributes| !attributes.is_empty()))
            .set_tags(Some(tags.clone().into_iter().collect()).filter(|tags: &HashMap<_, _>| !tags.is_empty()));
        let answer = self.meter.call(write("CreateQueue"), request.send()).await?;
        answer.queue_url.ok_or_else(|| incomplete("CreateQueue", "QueueUrl"))
    }

    async fn get_queue_url(&self, name: &QueueName) -> Result<String, CallError> {
        let request = self.client.get_queue_url().queue_name(name.as_str());
        let answer = self.meter.call(read("GetQueueUrl"), request.send()).await?;
        answer.queue_url.ok_or_else(|| incomplete("GetQueueUrl", "QueueUrl"))
    }

    async fn get_queue_attributes(&self, queue_url: &str) -> Result<QueueAttributes, CallError> {
        let request = self.client.get_queue_attributes().queue_url(queue_url).attribute_names(QueueAttributeName::All);
        let answer = self.meter.call(read("GetQueueAttributes"), request.send()).await?;
        from_sdk(&answer.attributes.unwrap_or_default())
    }

    async fn set_queue_attributes(&self, queue_url: &str, attributes: &Attributes) -> Result<(), CallError> {
        let request =
            self.writer().await.set_queue_attributes().queue_url(queue_url).set_attributes(Some(to_sdk(attributes)));
        self.meter.call(write("SetQueueAttributes"), request.send()).await?;
        Ok(())
    }

    async fn delete_queue(&self, queue_url: &str) -> Result<(), CallError> {
        let request = self.writer().await.delete_queue().queue_url(queue_url);
        self.meter.call(write("DeleteQueue"), request.send()).await?;
        Ok(())
    }

    async fn list_queue_tags(&self, queue_url: &str) -> Result<Tags, CallError> {
        let request = self.client.list_queue_tags().queue_url(queue_url);
        let answer = self.meter.call(read("ListQueueTags").tagging(), request.send()).await?;
        Ok(answer.tags.unwrap_or_default().into_iter().collect())
    }

    async fn tag_queue(&self, queue_url: &str, tags: &Tags) -> Result<(), CallError> {
        let request =
            self.writer().await.tag_queue().queue_url(queue_url).set_tags(Some(tags.clone().into_iter().collect()));
        self.meter.call(write("TagQueue").tagging(), request.send()).await?;
        Ok(())
    }

    async fn untag_queue(&self, queue_url: &str, keys: &[String]) -> Result<(), CallError> {
        let request = self.writer().await.untag_queue().queue_url(queue_url).set_tag_keys(Some(keys.to_vec()));
        self.meter.call(write("UntagQueue").tagging(), request.send()).await?;
        Ok(())
    }

    async fn list_queues(&self, prefix: &QueueName) -> Result<Vec<String>, CallError> {
        let request = self.client.list_queues().queue_name_prefix(prefix.as_str()).max_results(PAGE);
        let answer = self.meter.call(read("ListQueues"), request.send()).await?;
        Ok(answer.queue_urls.unwrap_or_default())
    }
}

const fn read(action: &'static str) -> Action {
    Action::read(Service::Sqs, action)
}

const fn write(action: &'static str) -> Action {
    Action::write(Service::Sqs, action)
}

fn to_sdk(attributes: &Attributes) -> HashMap<QueueAttributeName, String> {
    attributes.iter().map(|(name, value)| (QueueAttributeName::from(name.as_str()), value.clone())).collect()
}

/// Splits settings from counts. What the operator does not set is left out, and so is an empty text, which
/// means that the attribute has no value. A count that is missing is never zero: deletion relies on it.
fn from_sdk(answered: &HashMap<QueueAttributeName, String>) -> Result<QueueAttributes, CallError> {
    let count = |name: QueueAttributeName| {
        let value = answered.get(&name).and_then(|text| text.parse().ok());
        value.ok_or_else(|| incomplete("GetQueueAttributes", name.as_str()))
    };
    let counts = Counts {
        available: count(QueueAttributeName::ApproximateNumberOfMessages)?,
        in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
        delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
    };
    let settings = answered
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some((Attribute::from_name(name.as_str())?, value.clone())))
        .collect();
    Ok(QueueAttributes { settings, counts })
}
