//! One queue: what was written to it, and what reads of it show.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::attributes::{Attribute, Attributes};
use prism_queue::domain::tags::Tags;

use super::late::Late;

/// A queue, from its creation until nothing answers for it any more.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Tells one queue from a later one of the same name.
    pub incarnation: u64,
    pub arn: QueueArn,
    pub attributes: BTreeMap<Attribute, Late<Option<String>>>,
    pub tags: Tags,
    /// When permissions with a condition on a tag begin to see it.
    pub tags_known_at: BTreeMap<String, Timestamp>,
    pub usable_at: Timestamp,
    /// Set by `DeleteQueue`.
    pub deletion: Option<Deletion>,
    /// Who wrote the retention last, for the ledger.
    pub retention_by: String,
}

/// A deletion under way.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// The caller's ARN, for the ledger.
    pub by: String,
    /// From when on no call succeeds any more.
    pub gone_at: Timestamp,
}

impl Queue {
    /// SQS's URL of the queue.
    pub fn url(&self) -> String {
        url_of(&self.arn)
    }

    /// Whether `DeleteQueue` has been called.
    pub fn is_deleted(&self) -> bool {
        self.deletion.is_some()
    }

    /// All attributes as written, whatever reads show.
    pub fn written(&self) -> Attributes {
        self.present(|late| late.written().clone())
    }

    /// All attributes as reads show them at `now`; policies in the form they are kept in.
    pub fn shown(&self, now: Timestamp) -> Attributes {
        self.present(|late| late.shown(now).clone())
    }

    /// A written attribute in its text form.
    pub fn written_value(&self, attribute: Attribute) -> Option<&str> {
        self.attributes.get(&attribute)?.written().as_deref()
    }

    /// An attribute as reads show it at `now`.
    pub fn shown_value(&self, attribute: Attribute, now: Timestamp) -> Option<&str> {
        self.attributes.get(&attribute)?.shown(now).as_deref()
    }

    /// A written attribute that is a number of seconds.
    pub fn seconds(&self, attribute: Attribute) -> i64 {
        self.written_value(attribute).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// SQS leaves out what has no value, and the data-key reuse period of a queue without a key.
    fn present(&self, value: impl Fn(&Late<Option<String>>) -> Option<String>) -> Attributes {
        let mut attributes: Attributes =
            self.attributes.iter().filter_map(|(name, late)| Some((*name, value(late)?))).collect();
        if !attributes.contains_key(&Attribute::KmsMasterKeyId) {
            attributes.remove(&Attribute::KmsDataKeyReusePeriodSeconds);
        }
        attributes
    }
}

/// SQS's URL of the queue with this ARN.
pub fn url_of(arn: &QueueArn) -> String {
    format!("https://sqs.{}.amazonaws.com/{}/{}", arn.region(), arn.account_id(), arn.name())
}

/// The ARN of the queue that `url` names.
pub fn arn_of(url: &str) -> Option<QueueArn> {
    let rest = url.strip_prefix("https://sqs.")?;
    let (region, path) = rest.split_once(".amazonaws.com/")?;
    let (account_id, name) = path.split_once('/')?;
    QueueArn::parse(&format!("arn:aws:sqs:{region}:{account_id}:{name}")).ok()
}
