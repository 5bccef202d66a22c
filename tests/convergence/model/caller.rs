//! Who makes a call, and what it may do by its own identity policy.

use std::sync::Arc;

use prism_queue::domain::arn::Place;
use prism_queue::domain::tags::Tags;
use serde_json::Value;

/// An IAM identity with a client for one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The identity's account, the client's region.
    pub place: Place,
    /// The identity's ARN.
    pub arn: String,
    /// What its identity policy allows.
    pub access: Access,
}

/// What an identity policy allows in the caller's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Creating with this tag, listing, and any call to a queue that carries it (`aws:ResourceTag`).
    Tagged { key: String, value: String },
    /// What this policy says.
    Policy(Arc<Value>),
}

impl Caller {
    /// The role `role` of the account, with full access there.
    pub fn role(account_id: &str, region: &str, role: &str) -> Self {
        Self {
            place: Place { account_id: account_id.to_owned(), region: region.to_owned() },
            arn: format!("arn:aws:iam::{account_id}:role/{role}"),
            access: Access::Full,
        }
    }

    /// The same caller, allowed only what carries this tag.
    #[must_use]
    pub fn only_tagged(mut self, key: &str, value: &str) -> Self {
        self.access = Access::Tagged { key: key.to_owned(), value: value.to_owned() };
        self
    }

    /// The same caller, allowed only what this policy says.
    #[must_use]
    pub fn under(mut self, policy: Arc<Value>) -> Self {
        self.access = Access::Policy(policy);
        self
    }
}

impl Access {
    /// Whether a queue may be created with these tags.
    pub fn may_create(&self, tags: &Tags) -> bool {
        match self {
            // The policy was asked before.
            Self::Full | Self::Policy(_) => true,
            Self::Tagged { key, value } => tags.get(key) == Some(value),
        }
    }
}
