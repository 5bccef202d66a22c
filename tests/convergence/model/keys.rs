//! KMS keys, as far as queues need them.

use std::collections::BTreeMap;

use prism_queue::domain::arn::Place;
use prism_queue::domain::call::ErrorKind;

use super::refusal::{Answer, Refusal};

/// The keys of all accounts, by ARN.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    enabled: BTreeMap<String, bool>,
    /// Alias ARN to key ARN.
    aliases: BTreeMap<String, String>,
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
