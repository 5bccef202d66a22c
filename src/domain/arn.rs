//! Amazon Resource Names of queues, and where a queue lives.
//!
//! A queue's ARN is derivable from its [`Place`] and its name, so no call is needed to know it
//! (`arn:<partition>:sqs:<region>:<account>:<name>`).

use std::fmt;

use crate::api::class::ClassAws;
use crate::api::status::Target;

use super::names::{FIFO_SUFFIX, QueueName};

/// The account and region in which queues are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Twelve digits.
    pub account_id: String,
    /// For example `eu-central-1`.
    pub region: String,
}

impl Target {
    /// Where the queue lives.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { account_id: self.account_id.clone(), region: self.region.clone() }
    }
}

impl ClassAws {
    /// Where the class's queues live.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { account_id: self.account_id.clone(), region: self.region.clone() }
    }
}

impl Place {
    /// The ARN of the queue `name` in this place.
    #[must_use]
    pub fn queue_arn(&self, name: &QueueName) -> QueueArn {
        QueueArn {
            partition: partition_of(&self.region).to_owned(),
            region: self.region.clone(),
            account_id: self.account_id.clone(),
            name: name.as_str().to_owned(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {} in {}", self.account_id, self.region)
    }
}

/// The AWS partition that a region belongs to.
/// Source: AWS General Reference, "Amazon Resource Names (ARNs)".
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        r if r.starts_with("us-iso-") => "aws-iso",
        r if r.starts_with("us-isob-") => "aws-iso-b",
        r if r.starts_with("eu-isoe-") => "aws-iso-e",
        r if r.starts_with("us-isof-") => "aws-iso-f",
        r if r.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

/// What the names of AWS services end in, in the partition of a region.
/// Source: `dnsSuffix` in the SDKs' `partitions.json`.
#[must_use]
pub fn dns_suffix_of(region: &str) -> &'static str {
    match partition_of(region) {
        "aws-cn" => "amazonaws.com.cn",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        "aws-iso-e" => "cloud.adc-e.uk",
        "aws-iso-f" => "csp.hci.ic.gov",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

/// SQS of a region, as the condition key `kms:ViaService` names it.
#[must_use]
pub fn sqs_of(region: &str) -> String {
    format!("sqs.{region}.{}", dns_suffix_of(region))
}

/// The ARN of an SQS queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueArn {
    partition: String,
    region: String,
    account_id: String,
    name: String,
}

impl QueueArn {
    /// Reads `arn:<partition>:sqs:<region>:<account>:<name>`.
    ///
    /// # Errors
    /// A sentence that says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let [arn, partition, service, region, account_id, name] = parts[..] else {
            return Err(format!("{text:?} is not a queue ARN: want arn:<partition>:sqs:<region>:<account>:<name>"));
        };
        if arn != "arn" || service != "sqs" || partition.is_empty() || region.is_empty() {
            return Err(format!("{text:?} is not a queue ARN: want arn:<partition>:sqs:<region>:<account>:<name>"));
        }
        if account_id.len() != 12 || !account_id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("{text:?}: the account id {account_id:?} is not twelve digits"));
        }
        QueueName::parse(name).map_err(|rule| format!("{text:?}: {rule}"))?;
        Ok(Self {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account_id: account_id.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The queue's name, with its `.fifo` suffix when it has one.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The twelve digits of the account.
    #[must_use]
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether this is the ARN of a FIFO queue.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO_SUFFIX)
    }

    /// Whether the queue lives in `place`.
    #[must_use]
    pub fn is_in(&self, place: &Place) -> bool {
        self.account_id == place.account_id && self.region == place.region
    }
}

impl fmt::Display for QueueArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account_id, name } = self;
        write!(f, "arn:{partition}:sqs:{region}:{account_id}:{name}")
    }
}
