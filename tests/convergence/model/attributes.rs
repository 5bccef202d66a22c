//! Which attributes SQS takes: ranges, FIFO rules, encryption. Source: `SetQueueAttributes` in the SQS API reference.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use prism_queue::domain::attributes::{Attribute, Attributes};

use super::refusal::{Answer, Refusal};

/// What a call changes: the new value, or none to remove the attribute.
pub type Changes = BTreeMap<Attribute, Option<String>>;

/// What a queue has when nothing is said.
pub fn defaults(fifo: bool) -> Attributes {
    let mut defaults = Attributes::from([
        (Attribute::VisibilityTimeout, "30".to_owned()),
        (Attribute::MessageRetentionPeriod, "345600".to_owned()),
        (Attribute::ReceiveMessageWaitTimeSeconds, "0".to_owned()),
        (Attribute::DelaySeconds, "0".to_owned()),
        (Attribute::MaximumMessageSize, "1048576".to_owned()),
        (Attribute::SqsManagedSseEnabled, "true".to_owned()),
        (Attribute::KmsDataKeyReusePeriodSeconds, "300".to_owned()),
    ]);
    if fifo {
        defaults.insert(Attribute::FifoQueue, "true".to_owned());
        defaults.insert(Attribute::ContentBasedDeduplication, "false".to_owned());
        defaults.insert(Attribute::DeduplicationScope, "queue".to_owned());
        defaults.insert(Attribute::FifoThroughputLimit, "perQueue".to_owned());
    }
    defaults
}

/// Checks what a `CreateQueue` or `SetQueueAttributes` supplies, against a queue that has `current`.
/// Policies are only passed on: their checks need the rest of the world.
pub fn check(supplied: &Attributes, current: &Attributes, fifo: bool) -> Answer<Changes> {
    let mut changes = Changes::new();
    for (attribute, text) in supplied {
        changes.insert(*attribute, check_one(*attribute, text, fifo)?);
    }
    check_throughput(&changes, current)?;
    check_encryption(&mut changes, current)?;
    Ok(changes)
}

fn check_one(attribute: Attribute, text: &str, fifo: bool) -> Answer<Option<String>> {
    match attribute {
        Attribute::VisibilityTimeout => number(attribute, text, 0..=43_200),
        Attribute::MessageRetentionPeriod => number(attribute, text, 60..=1_209_600),
        Attribute::ReceiveMessageWaitTimeSeconds => number(attribute, text, 0..=20),
        Attribute::DelaySeconds => number(attribute, text, 0..=900),
        Attribute::MaximumMessageSize => number(attribute, text, 1_024..=1_048_576),
        Attribute::KmsDataKeyReusePeriodSeconds => number(attribute, text, 60..=86_400),
        Attribute::FifoQueue
        | Attribute::ContentBasedDeduplication
        | Attribute::DeduplicationScope
        | Attribute::FifoThroughputLimit
            if !fifo =>
        {
            Err(unknown(attribute))
        }
        Attribute::FifoQueue if text == "true" => Ok(Some(text.to_owned())),
        Attribute::FifoQueue => Err(unknown(attribute)),
        Attribute::SqsManagedSseEnabled | Attribute::ContentBasedDeduplication => {
            word(attribute, text, &["true", "false"])
        }
        Attribute::DeduplicationScope => word(attribute, text, &["queue", "messageGroup"]),
        Attribute::FifoThroughputLimit => word(attribute, text, &["perQueue", "perMessageGroupId"]),
        Attribute::RedrivePolicy | Attribute::RedriveAllowPolicy | Attribute::Policy | Attribute::KmsMasterKeyId => {
            Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
        }
    }
}

fn number(attribute: Attribute, text: &str, range: RangeInclusive<i64>) -> Answer<Option<String>> {
    match text.parse::<i64>() {
        Ok(value) if range.contains(&value) => Ok(Some(value.to_string())),
        _ => Err(Refusal::invalid_attribute(format!("Invalid value for the parameter {attribute}."))),
    }
}

fn word(attribute: Attribute, text: &str, words: &[&str]) -> Answer<Option<String>> {
    if words.contains(&text) {
        return Ok(Some(text.to_owned()));
    }
    Err(Refusal::invalid_attribute(format!("Invalid value for the parameter {attribute}.")))
}

fn unknown(attribute: Attribute) -> Refusal {
    let mut refusal = Refusal::invalid(format!("Unknown Attribute {attribute}."));
    refusal.code = "InvalidAttributeName";
    refusal
}

/// The value an attribute has once `changes` are made.
fn after<'a>(attribute: Attribute, changes: &'a Changes, current: &'a Attributes) -> Option<&'a str> {
    match changes.get(&attribute) {
        Some(change) => change.as_deref(),
        None => current.get(&attribute).map(String::as_str),
    }
}

fn check_throughput(changes: &Changes, current: &Attributes) -> Answer<()> {
    let per_group = after(Attribute::FifoThroughputLimit, changes, current) == Some("perMessageGroupId");
    if per_group && after(Attribute::DeduplicationScope, changes, current) != Some("messageGroup") {
        return Err(Refusal::invalid_attribute(
            "The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup.",
        ));
    }
    Ok(())
}

/// SSE-KMS or SSE-SQS, never both. Setting a key turns SSE-SQS off; turning SSE-SQS on needs the key
/// cleared in the same call.
fn check_encryption(changes: &mut Changes, current: &Attributes) -> Answer<()> {
    let key_is_set = matches!(changes.get(&Attribute::KmsMasterKeyId), Some(Some(_)));
    if key_is_set && !changes.contains_key(&Attribute::SqsManagedSseEnabled) {
        changes.insert(Attribute::SqsManagedSseEnabled, Some("false".to_owned()));
    }
    let keyed = after(Attribute::KmsMasterKeyId, changes, current).is_some();
    if keyed && after(Attribute::SqsManagedSseEnabled, changes, current) == Some("true") {
        return Err(Refusal::invalid_attribute(
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.",
        ));
    }
    Ok(())
}
