//! Principals of IAM: which exist, and by which unique id policies keep them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::refusal::{Answer, Refusal};

/// Roles and users by ARN, each with the unique id of its present life.
#[derive(Clone, Debug, Default)]
pub struct Principals {
    ids: BTreeMap<String, String>,
    made: u64,
}

impl Principals {
    /// Makes the role or user `arn`, with a new unique id if it was there before, and answers with the id.
    pub fn create(&mut self, arn: &str) -> String {
        self.made += 1;
        let kind = if arn.contains(":user/") { "AIDA" } else { "AROA" };
        let id = format!("{kind}{:016}", self.made);
        self.ids.insert(arn.to_owned(), id.clone());
        id
    }

    /// Deletes it: policies that name it read back with its unique id from now on.
    pub fn delete(&mut self, arn: &str) {
        self.ids.remove(arn);
    }

    /// The ARN of a unique id, or the text itself when it is none that exists.
    pub fn arn_of<'a>(&'a self, text: &'a str) -> &'a str {
        self.ids.iter().find(|(_, id)| *id == text).map_or(text, |(arn, _)| arn)
    }

    /// Whether a policy may name `text` as a principal.
    pub fn may_be_named(&self, text: &str) -> bool {
        self.keep(text).is_some()
    }

    /// Replaces what a policy's author wrote by what SQS keeps.
    pub(super) fn resolve(&self, principal: &mut Value) -> Answer<()> {
        each_aws(principal, |text| match self.keep(text) {
            Some(kept) => {
                *text = kept;
                Ok(())
            }
            None => Err(Refusal::invalid_attribute("Invalid value for the parameter Policy.")),
        })
    }

    /// Replaces what SQS keeps by what it shows.
    pub(super) fn name(&self, principal: &mut Value) {
        let shown: Answer<()> = each_aws(principal, |text| {
            *text = self.arn_of(text).to_owned();
            Ok(())
        });
        debug_assert!(shown.is_ok());
    }

    fn keep(&self, text: &str) -> Option<String> {
        if is_account(text) {
            return Some(format!("arn:aws:iam::{text}:root"));
        }
        if text == "*" || text.ends_with(":root") || text.contains(":sts:") {
            return Some(text.to_owned());
        }
        // A unique id may be written back only as long as its principal is there.
        self.ids.get(text).or_else(|| self.ids.values().find(|id| *id == text)).cloned()
    }
}

fn each_aws(principal: &mut Value, mut change: impl FnMut(&mut String) -> Answer<()>) -> Answer<()> {
    match principal.get_mut("AWS") {
        Some(Value::String(text)) => change(text),
        Some(Value::Array(list)) => list.iter_mut().try_for_each(|item| match item {
            Value::String(text) => change(text),
            _ => Ok(()),
        }),
        _ => Ok(()),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
