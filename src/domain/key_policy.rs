//! What the policy of a Queue's KMS key must say for those whom `spec.access` lets in, and whether it does. It is told, and
//! nothing depends on it: the key is somebody else's to give.

use jiff::{SignedDuration, Timestamp};

use crate::api::status::{KeyPolicyStatus, KeyStatement, KeyStatementState};

use super::call::{CallError, ErrorClass};
use super::policy::{KeyAccess, PolicyDocument, Statement, key_access};

/// How soon to ask again for a policy that lacks something, or did not come.
const ASK_SOON: SignedDuration = SignedDuration::from_mins(5);

/// How soon to ask again where nothing is missing, or the operator may not ask.
const ASK_SELDOM: SignedDuration = SignedDuration::from_mins(30);

/// The key of a queue, and what its policy must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredKeyAccess {
    /// The key as the Queue names it: id, ARN or alias.
    pub key: String,
    /// The statements that its policy needs; never empty.
    pub statements: Vec<Statement>,
}

/// What KMS said of a key's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPolicySeen {
    /// Of this key, as the Queue names it.
    pub key: String,
    /// When it was asked.
    pub at: Timestamp,
    /// The policy, or why it is not known.
    pub policy: Result<PolicyDocument, String>,
    /// Whether that may be otherwise soon.
    is_passing: bool,
}

impl KeyPolicySeen {
    /// What KMS answered at `now`: the text of a policy, or an error. An answer that did not come takes nothing back.
    #[must_use]
    pub fn after(before: Option<Self>, key: &str, answer: Result<String, CallError>, now: Timestamp) -> Self {
        let is_passing =
            answer.as_ref().is_err_and(|error| matches!(error.class(), ErrorClass::Transient | ErrorClass::Throttled));
        let known = before.filter(|before| is_passing && before.key == key && before.policy.is_ok());
        let policy = match known {
            Some(before) => before.policy,
            None => answer.map_err(|error| error.to_string()).and_then(|text| PolicyDocument::parse(&text)),
        };
        Self { key: key.to_owned(), at: now, policy, is_passing }
    }

    /// Whether KMS is to be asked again about what `desired` needs.
    #[must_use]
    pub fn is_due(&self, desired: &DesiredKeyAccess, now: Timestamp) -> bool {
        let lacks = |policy: &PolicyDocument| {
            desired.statements.iter().any(|needed| key_access(policy, needed) == KeyAccess::Missing)
        };
        let is_open = self.is_passing || self.policy.as_ref().is_ok_and(lacks);
        let rest = if is_open { ASK_SOON } else { ASK_SELDOM };
        self.key != desired.key || now.duration_since(self.at).abs() >= rest
    }
}

/// What status tells. Where KMS was not asked, or does not answer, that is what it told `before` of the same.
#[must_use]
pub fn key_policy_status(
    desired: &DesiredKeyAccess,
    seen: Option<&KeyPolicySeen>,
    before: Option<&KeyPolicyStatus>,
) -> KeyPolicyStatus {
    let seen = seen.filter(|seen| seen.key == desired.key);
    let is_open = seen.is_none_or(|seen| seen.is_passing && seen.policy.is_err());
    let is_same = |before: &&KeyPolicyStatus| {
        let told = before.statements.iter().map(|told| &told.statement);
        before.key == desired.key && told.eq(&desired.statements.iter().map(Statement::to_value).collect::<Vec<_>>())
    };
    if let Some(before) = before.filter(is_same).filter(|_| is_open) {
        return before.clone();
    }
    let statements = desired.statements.iter().map(|needed| KeyStatement {
        state: match seen.map(|seen| &seen.policy) {
            Some(Ok(policy)) => match key_access(policy, needed) {
                KeyAccess::Present => KeyStatementState::Present,
                KeyAccess::Delegated => KeyStatementState::Delegated,
                KeyAccess::Unclear => KeyStatementState::Unknown,
                KeyAccess::Missing => KeyStatementState::Missing,
            },
            Some(Err(_)) | None => KeyStatementState::Unknown,
        },
        statement: needed.to_value(),
    });
    KeyPolicyStatus {
        key: desired.key.clone(),
        statements: statements.collect(),
        message: seen.and_then(|seen| seen.policy.as_ref().err().cloned()),
    }
}
