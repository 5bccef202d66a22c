//! KMS through the SDK.

use async_trait::async_trait;
use aws_sdk_kms::Client;

use crate::aws::Kms;
use crate::aws::error::Service;
use crate::aws::meter::{Action, Meter, incomplete};
use crate::domain::call::CallError;

/// [`Kms`] by the AWS SDK.
#[derive(Clone)]
pub struct SdkKms {
    client: Client,
    meter: Meter,
}

impl SdkKms {
    pub(super) fn new(client: Client, meter: Meter) -> Self {
        Self { client, meter }
    }
}

#[async_trait]
impl Kms for SdkKms {
    async fn key_arn(&self, key: &str) -> Result<String, CallError> {
        const ACTION: &str = "DescribeKey";
        let request = self.client.describe_key().key_id(key);
        let answer = self.meter.call(Action::read(Service::Kms, ACTION), request.send()).await?;
        answer.key_metadata.and_then(|key| key.arn).ok_or_else(|| incomplete(ACTION, "Arn"))
    }

    async fn key_policy(&self, key: &str) -> Result<String, CallError> {
        const ACTION: &str = "GetKeyPolicy";
        let request = self.client.get_key_policy().key_id(key);
        let answer = self.meter.call(Action::read(Service::Kms, ACTION), request.send()).await?;
        answer.policy.ok_or_else(|| incomplete(ACTION, "Policy"))
    }
}
