//! KMS keys, as far as queues need them.

use std::collections::BTreeMap;

use prism_queue::domain::arn::Place;
use prism_queue::domain::call::ErrorKind;
use serde_json::json;

use super::refusal::{Answer, Refusal};

/// The keys of all accounts, by ARN.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    enabled: BTreeMap<String, bool>,
    /// Alias ARN to key ARN.
    aliases: BTreeMap<String, String>,
    /// By key ARN.
    policies: BTreeMap<String, String>,
}

impl Keys {
    /// Makes a key and returns its ARN.
    pub fn create(&mut self, place: &Place, id: &str, alias: &str) -> String {
        let arn = arn_in(place, &format!("key/{id}"));
        self.enabled.insert(arn.clone(), true);
        self.aliases.insert(arn_in(place, alias), arn.clone());
        arn
    }

    pub fn disable(&mut self, arn: &str) {
        if let Some(enabled) = self.enabled.get_mut(arn) {
            *enabled = false;
        }
    }

    /// The ARN of the key that an id, alias, key ARN or alias ARN means in `place`. Enabled or not.
    pub fn find(&self, place: &Place, key: &str) -> Answer<String> {
        let arn = match key {
            arn if arn.starts_with("arn:") => arn.to_owned(),
            alias if alias.starts_with("alias/") => arn_in(place, alias),
            id => arn_in(place, &format!("key/{id}")),
        };
        let arn = self.aliases.get(&arn).cloned().unwrap_or(arn);
        if self.enabled.contains_key(&arn) {
            return Ok(arn);
        }
        Err(Refusal::new(ErrorKind::KmsDenied, "NotFoundException", format!("Key {arn} does not exist")))
    }

    /// What KMS gives every key made by its console: all is left to IAM.
    fn default_policy(arn: &str) -> String {
        let root = arn.split(':').nth(4).map(|account| format!("arn:aws:iam::{account}:root"));
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"});
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    pub fn put_policy(&mut self, arn: &str, policy: String) {
        self.policies.insert(arn.to_owned(), policy);
    }

    /// The policy of the key that an id or key ARN means; aliases are not taken.
    pub fn policy(&self, place: &Place, key: &str) -> Answer<String> {
        if key.contains("alias/") {
            return Err(Refusal::new(ErrorKind::Invalid, "InvalidArnException", format!("{key} is no key")));
        }
        let arn = self.find(place, key)?;
        Ok(self.policies.get(&arn).cloned().unwrap_or_else(|| Self::default_policy(&arn)))
    }

    /// Whether messages can be encrypted with it.
    pub fn usable(&self, place: &Place, key: &str) -> Answer<()> {
        match self.enabled.get(&self.find(place, key)?) {
            Some(true) => Ok(()),
            _ => Err(Refusal::of(ErrorKind::KmsDenied)),
        }
    }
}

fn arn_in(place: &Place, resource: &str) -> String {
    format!("arn:aws:kms:{}:{}:{resource}", place.region, place.account_id)
}
