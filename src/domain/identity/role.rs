//! A role as IAM tells of it.

use super::super::tags::Tags;

/// A role as `GetRole` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// IAM's own id of it: another one after it was deleted and made again.
    pub id: String,
    /// Its own ARN: calls go by name, so what answers may be at another path than the one that was meant.
    pub arn: String,
    /// Who may assume it: its trust policy as JSON. IAM writes what it was given anew, so only its meaning is compared.
    pub trust: String,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// Its tags.
    pub tags: Tags,
}
