//! STS through the SDK.

use async_trait::async_trait;
use aws_sdk_sts::Client;

use crate::aws::error::Service;
use crate::aws::meter::{Action, Meter, incomplete};
use crate::aws::{CallerIdentity, Sts};
use crate::domain::call::CallError;

/// [`Sts`] by the AWS SDK.
#[derive(Clone)]
pub struct SdkSts {
    client: Client,
    meter: Meter,
}

impl SdkSts {
    pub(super) fn new(client: Client, meter: Meter) -> Self {
        Self { client, meter }
    }
}

#[async_trait]
impl Sts for SdkSts {
    async fn caller_identity(&self) -> Result<CallerIdentity, CallError> {
        const ACTION: &str = "GetCallerIdentity";
        let request = self.client.get_caller_identity();
        let answer = self.meter.call(Action::read(Service::Sts, ACTION), request.send()).await?;
        Ok(CallerIdentity {
            account_id: answer.account.ok_or_else(|| incomplete(ACTION, "Account"))?,
            arn: answer.arn.ok_or_else(|| incomplete(ACTION, "Arn"))?,
        })
    }
}
