//! What the ARNs of policies and roles have in common.

use std::fmt;

use super::super::arn::{Place, partition_of};
use super::super::digest::sha256;
use super::IamPath;

/// `arn:<partition>:iam::<account>:<kind><path><name>`, of which the owner of this knows the kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::domain) struct EntityArn {
    partition: String,
    account_id: String,
    path: String,
    name: String,
}

impl EntityArn {
    /// The ARN of `name` at `path` in the account and partition of `place`.
    pub fn at(place: &Place, path: &IamPath, name: String) -> Self {
        let Place { account_id, region } = place;
        Self {
            partition: partition_of(region).to_owned(),
            account_id: account_id.clone(),
            path: path.as_str().to_owned(),
            name,
        }
    }

    /// Reads the ARN of a `kind` whose name has `most` characters at most; `None` when it is no such one.
    pub fn parse(text: &str, kind: &str, most: usize) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account_id, resource] = parts[..] else {
            return None;
        };
        let whole = resource.strip_prefix(kind)?;
        let (path, name) = whole.split_at(whole.rfind('/')? + 1);
        let is_account = account_id.len() == 12 && account_id.bytes().all(|b| b.is_ascii_digit());
        // Source: "IAM and AWS STS quotas", which names the characters of names.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
        let is_name = (1..=most).contains(&name.len()) && name.chars().all(is_plain);
        (!partition.is_empty() && is_account && is_name && IamPath::parse(path).is_ok()).then(|| Self {
            partition: partition.to_owned(),
            account_id: account_id.to_owned(),
            path: path.to_owned(),
            name: name.to_owned(),
        })
    }

    pub fn partition(&self) -> &str {
        &self.partition
    }

    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn write(&self, kind: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, account_id, path, name } = self;
        write!(f, "arn:{partition}:iam::{account_id}:{kind}{path}{name}")
    }
}

/// Digits of the hash that a name ends in; 48 bits.
const HASH_DIGITS: usize = 12;

/// `<readable><word>_<hash>` in `most` characters, for which `readable` is cut. The hash is of `all` that tells it from others,
/// because names are unique in an account. What it is made of is ASCII, so that bytes are characters.
pub(in crate::domain) fn hashed_name(all: &[&str], mut readable: String, word: &str, most: usize) -> String {
    let hash = sha256(&serde_json::Value::from(all.to_vec()).to_string());
    let tail = format!("{word}_{}", &hash[..HASH_DIGITS]);
    readable.truncate(most - tail.len());
    readable + &tail
}
