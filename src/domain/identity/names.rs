//! What roles and their policies are called.

use super::super::arn::Place;
use super::super::iam::{IamPath, MAX_NAME, PolicyArn, hashed_name};
use super::{MAX_ROLE_NAME, RoleArn};

/// Whose role or policies: a subject of a namespace of a cluster, in one account.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// The account and, for its partition, a region of it: one role serves all regions, so the region is in no name.
    pub place: &'a Place,
    /// Where all is made.
    pub path: &'a IamPath,
    /// The namespace.
    pub namespace: &'a str,
    /// The subject in a word that no other kind of subject has: `serviceaccount/resizer`.
    pub subject: &'a str,
}

impl Names<'_> {
    /// The role: `<namespace>_<name>_<hash>`.
    #[must_use]
    pub fn role(&self) -> RoleArn {
        RoleArn::at(self.place, self.path, self.name("role", "", MAX_ROLE_NAME))
    }

    /// The role in the cluster's own account, that assumes the other.
    #[must_use]
    pub fn source_role(&self) -> RoleArn {
        RoleArn::at(self.place, self.path, self.name("source-role", "", MAX_ROLE_NAME))
    }

    /// The policy of this number, counted from 1: `<namespace>_<name>_access<number>_<hash>`.
    #[must_use]
    pub fn policy(&self, number: usize) -> PolicyArn {
        let word = format!("access{number}");
        PolicyArn::at(self.place, self.path, self.name(&word, &word, MAX_NAME))
    }

    /// The policy of the role in the cluster's own account.
    #[must_use]
    pub fn source_policy(&self) -> PolicyArn {
        PolicyArn::at(self.place, self.path, self.name("assume", "assume", MAX_NAME))
    }

    fn name(&self, what: &str, word: &str, most: usize) -> String {
        let all = [what, self.cluster, &self.place.account_id, self.namespace, self.subject];
        let word = if word.is_empty() { String::new() } else { format!("_{word}") };
        let subject = self.subject.rsplit('/').next().unwrap_or_default();
        hashed_name(&all, format!("{}_{subject}", self.namespace), &word, most)
    }
}
