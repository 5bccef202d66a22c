//! What differs between a queue and its declaration, by meaning: SQS rewrites policies, spells numbers as text,
//! and shows changes late.

use jiff::{SignedDuration, Timestamp};

use crate::api::status::WrittenAttribute;

use super::arn::Place;
use super::attributes::{Attribute, Attributes, Counts, QueueAttributes};
use super::desired::DesiredQueue;
use super::encryption::{KeyMeanings, same_key};
use super::observed::{Memory, Record, Refused};
use super::policy::PolicyDocument;
use super::redrive::{RedriveAllow, RedrivePolicy};

use std::collections::BTreeSet;

/// How often a policy with a principal that is gone is tried again.
pub const GONE_PRINCIPAL_RETRY: SignedDuration = SignedDuration::from_mins(15);

/// How often a value that AWS refused is tried again: a principal just made is known within this time.
pub const REFUSED_RETRY: SignedDuration = SignedDuration::from_secs(30);

/// What differs, and what is to be done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// To write, in one call.
    pub write: Attributes,
    /// To write each in a call of its own, because AWS refused it before, or may have.
    pub alone: Attributes,
    /// Written, and not read back yet.
    pub awaiting: Vec<Attribute>,
    /// Not written, because messages could be lost.
    pub held: Option<HeldRetention>,
    /// ARNs in the policy of principals that were deleted.
    pub gone_principals: Vec<String>,
    /// What AWS refused and is not tried again yet.
    pub refused: Vec<(Attribute, Refused)>,
}

/// A shorter retention that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRetention {
    /// What the annotation must say to allow it.
    pub change: String,
    /// Seconds now.
    pub observed: i64,
    /// Messages in the queue.
    pub messages: u64,
}

/// What a comparison needs besides the two sides.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// Where the queue lives.
    pub place: &'a Place,
    /// What KMS said that keys mean.
    pub meanings: &'a KeyMeanings,
    /// What was written before.
    pub record: &'a Record,
    /// What AWS refused before.
    pub memory: &'a Memory,
    /// The changes that may destroy messages.
    pub allowed_losses: &'a BTreeSet<String>,
    /// How long a queue must read as empty to be taken for empty.
    pub empty_for: SignedDuration,
    /// The time of this pass.
    pub now: Timestamp,
}

impl Comparison<'_> {
    /// What differs.
    #[must_use]
    pub fn diff(&self, desired: &DesiredQueue, observed: &QueueAttributes) -> Diff {
        let mut diff = Diff::default();
        for (attribute, want) in &desired.attributes {
            let have = observed.settings.get(attribute).map_or("", String::as_str);
            let is_same = self.same(*attribute, want, have);
            match self.record.under_way(&desired.name, *attribute, self.now) {
                Some(written) if written.is(want) => {
                    if !is_same {
                        diff.awaiting.push(*attribute);
                    }
                    continue;
                }
                None if is_same => continue,
                // Another value may be on its way: what is read now is not what will be.
                Some(_) | None => {}
            }
            match attribute {
                Attribute::MessageRetentionPeriod => match self.held_retention(desired, want, have, observed.counts) {
                    Some(held) => diff.held = Some(held),
                    None => _ = diff.write.insert(*attribute, want.clone()),
                },
                Attribute::Policy => {
                    diff.gone_principals = gone_principals(want, have);
                    self.write(desired, *attribute, want, &mut diff);
                }
                _ => self.write(desired, *attribute, want, &mut diff),
            }
        }
        diff
    }

    /// Whether AWS has `attribute` as declared, or took it and does not show it yet.
    #[must_use]
    pub fn is_taken(&self, desired: &DesiredQueue, attribute: Attribute, observed: &QueueAttributes) -> bool {
        let Some(want) = desired.attributes.get(&attribute) else { return true };
        let have = observed.settings.get(&attribute).map_or("", String::as_str);
        let written = self.record.under_way(&desired.name, attribute, self.now);
        written.map_or_else(|| self.same(attribute, want, have), |written| written.is(want))
    }

    /// The attributes that differ and are not about to change, whatever is to be done about it: for who only looks.
    #[must_use]
    pub fn differences(&self, desired: &DesiredQueue, observed: &QueueAttributes) -> Vec<String> {
        let have = |attribute: &Attribute| observed.settings.get(attribute).map_or("", String::as_str);
        let differing = desired.attributes.iter().filter(|(attribute, want)| {
            let written = self.record.under_way(&desired.name, **attribute, self.now);
            !self.same(**attribute, want, have(attribute)) && !written.is_some_and(|written| written.is(want))
        });
        differing
            .map(|(attribute, want)| match (attribute, have(attribute)) {
                (Attribute::Policy, _) => "Policy differs".to_owned(),
                (_, "") => format!("{attribute} is not set, declared is {want}"),
                (_, have) if want.is_empty() => format!("{attribute} is {have}, declared is none"),
                (_, have) => format!("{attribute} is {have}, declared is {want}"),
            })
            .collect()
    }

    fn same(&self, attribute: Attribute, want: &str, have: &str) -> bool {
        if want == have {
            return true;
        }
        match attribute {
            Attribute::Policy => same_policy(want, have),
            Attribute::RedrivePolicy => {
                !want.is_empty() && !have.is_empty() && RedrivePolicy::parse(want) == RedrivePolicy::parse(have)
            }
            Attribute::RedriveAllowPolicy => RedriveAllow::parse(want) == RedriveAllow::parse(have),
            Attribute::KmsMasterKeyId => {
                !want.is_empty() && !have.is_empty() && same_key(want, have, self.place, self.meanings)
            }
            // Absent means off; absent is never taken for on.
            Attribute::SqsManagedSseEnabled | Attribute::ContentBasedDeduplication => is_true(want) == is_true(have),
            _ => false,
        }
    }

    /// A shorter retention deletes messages that are older: held back until the queue is seen to be empty. What was
    /// written lately counts as well as what is read.
    fn held_retention(&self, desired: &DesiredQueue, want: &str, have: &str, counts: Counts) -> Option<HeldRetention> {
        let written = self.record.under_way(&desired.name, Attribute::MessageRetentionPeriod, self.now);
        let written = written.and_then(WrittenAttribute::number);
        let want: i64 = want.parse().ok()?;
        let have = have.parse::<i64>().ok().max(written)?;
        let change = format!("{}={want}", desired.retention_field);
        // A single zero proves nothing.
        let watch = self.memory.empty.get(desired.name.as_str());
        let is_empty = counts.total() == 0 && watch.is_some_and(|watch| watch.is_over(self.empty_for));
        let is_held = want < have && !is_empty && !self.allowed_losses.contains(&change);
        is_held.then(|| HeldRetention { change, observed: have, messages: counts.total() })
    }

    /// A value that AWS refused is tried again in a call of its own, slowly, so that it keeps nothing else back.
    fn write(&self, desired: &DesiredQueue, attribute: Attribute, want: &str, diff: &mut Diff) {
        let Some(doubt) = self.memory.doubt(&desired.name, attribute, want) else {
            diff.write.insert(attribute, want.to_owned());
            return;
        };
        let is_hopeless = attribute == Attribute::Policy && !diff.gone_principals.is_empty();
        let retry = if is_hopeless { GONE_PRINCIPAL_RETRY } else { REFUSED_RETRY };
        match &doubt.refused {
            Some(refused) if self.now.duration_since(refused.last) < retry => {
                diff.refused.push((attribute, refused.clone()));
            }
            _ => _ = diff.alone.insert(attribute, want.to_owned()),
        }
    }
}

/// The ARNs in the wanted policy of principals that were deleted: AWS reads them back as ids.
fn gone_principals(want: &str, have: &str) -> Vec<String> {
    match (PolicyDocument::parse(want), PolicyDocument::parse(have)) {
        (Ok(want), Ok(have)) => want.gone_principals(&have).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

fn same_policy(want: &str, have: &str) -> bool {
    let parse = |text: &str| if text.is_empty() { Ok(PolicyDocument::default()) } else { PolicyDocument::parse(text) };
    match (parse(want), parse(have)) {
        (Ok(want), Ok(have)) => want == have,
        _ => false,
    }
}
