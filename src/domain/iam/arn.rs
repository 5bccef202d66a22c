//! Where a policy is in IAM: its path, its name, its ARN.

use std::fmt;

use crate::api::iam::Permission;

use super::super::arn::Place;
use super::super::fleet::Key;
use super::entity::{EntityArn, hashed_name};

/// The most characters of a policy's name. Source: "IAM and AWS STS quotas".
pub const MAX_NAME: usize = 128;

/// The most characters of a path. Source: `CreatePolicy` in the IAM API reference.
const MAX_PATH: usize = 512;

/// The path of what is made in IAM: it begins and ends with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IamPath(String);

impl IamPath {
    /// Checks a path. Of what IAM allows in one, wildcards and what needs quoting are left out: a path stands in policies.
    ///
    /// # Errors
    /// The rule that it breaks, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_whole = text.starts_with('/') && text.ends_with('/') && !text.contains("//");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/+=,.@_-".contains(c);
        if !is_whole || !text.chars().all(is_plain) || text.len() > MAX_PATH {
            return Err(format!(
                "{text:?} is no path: want at most {MAX_PATH} letters, digits and + = , . @ _ - in parts between '/', beginning and ending with '/'"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for IamPath {
    /// `/prism-queue/`.
    fn default() -> Self {
        Self("/prism-queue/".to_owned())
    }
}

/// The ARN of a customer managed policy: `arn:<partition>:iam::<account>:policy<path><name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyArn(EntityArn);

const POLICY: &str = "policy";

impl PolicyArn {
    /// The ARN of the policy `name` at `path` in the account of `place`. A name has at most [`MAX_NAME`] letters, digits
    /// and `+=,.@_-`.
    #[must_use]
    pub fn at(place: &Place, path: &IamPath, name: String) -> Self {
        Self(EntityArn::at(place, path, name))
    }

    /// Reads an ARN; `None` when it is not one of a customer managed policy.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        EntityArn::parse(text, POLICY, MAX_NAME).map(Self)
    }

    /// The twelve digits of the account.
    #[must_use]
    pub fn account_id(&self) -> &str {
        self.0.account_id()
    }

    /// The path, for `CreatePolicy`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The name, for `CreatePolicy`: unique in the account, whatever the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

impl fmt::Display for PolicyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(POLICY, f)
    }
}

/// The ARN of the policy that allows `permission` on the queue of `key`: `<namespace>_<name>_<permission>_<hash>` at `path`.
/// The hash is of all that tells it from others, because names are unique in an account, across regions and clusters.
#[must_use]
pub fn policy_arn(cluster: &str, place: &Place, path: &IamPath, key: &Key, permission: Permission) -> PolicyArn {
    let Place { account_id, region } = place;
    let Key { namespace, name } = key;
    let all = [cluster, account_id, region, namespace, name, permission.as_str()];
    let word = format!("_{}", permission.as_str());
    let name = hashed_name(&all, format!("{namespace}_{name}"), &word, MAX_NAME);
    PolicyArn::at(place, path, name)
}
