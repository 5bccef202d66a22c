//! Whom entries and statements may let in: what the operator's flags or a class widen the safety rules by.

use super::compile::StatementContext;
use crate::api::class::AccessLimits;
use crate::domain::field::FieldError;

/// Whom entries and statements may let in.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Principals of the queue's own account, and services that act for it.
    OwnAccount,
    /// Whatever SQS takes (`--allow-unsafe-statements`).
    Anything,
    /// What a class allows.
    Class {
        /// The class's name.
        name: &'a str,
        /// Its `limits.access`; without it, as [`Trust::OwnAccount`].
        limits: Option<&'a AccessLimits>,
    },
}

impl<'a> Trust<'a> {
    /// A refusal that names who could allow it.
    pub(super) fn refuse(self, path: String, rule: &str) -> FieldError {
        match self {
            Self::Class { name, .. } => FieldError::of_class(path, format!("{rule}; class {name:?} does not allow it")),
            Self::OwnAccount | Self::Anything => {
                FieldError::new(path, format!("{rule}; an operator started with --allow-unsafe-statements accepts it"))
            }
        }
    }

    /// Whether anyone may be let in, and services that act for anyone.
    pub(super) fn allows_public(self) -> bool {
        self.limits().and_then(|limits| limits.allow_public).unwrap_or(false)
    }

    /// Whether a service may be let in, as long as it acts for a trusted account.
    pub(super) fn allows_service(self, name: &str) -> bool {
        self.services().is_none_or(|services| services.iter().any(|service| service == name))
    }

    /// Whether every principal of an organization may be let in. Anyone includes them.
    pub(super) fn allows_organization(self, id: &str) -> bool {
        self.allows_public() || self.organizations().iter().any(|organization| organization == id)
    }

    /// Why a service is refused.
    pub(super) fn service_rule(self, name: &str) -> String {
        let allowed = in_words(self.services().unwrap_or_default());
        format!("{name} is none of the services that may be allowed: {allowed}")
    }

    /// Why an organization is refused.
    pub(super) fn organization_rule(self, id: &str) -> String {
        let allowed = in_words(self.organizations());
        format!("{id} is none of the organizations that may be allowed: {allowed}")
    }

    /// Whether no list says which services may be let in.
    pub(super) fn allows_every_service(self) -> bool {
        self.services().is_none()
    }

    /// The accounts that may be let in besides the queue's own, as the end of a sentence.
    pub(super) fn accounts_in_words(self) -> String {
        let accounts = self.accounts();
        if accounts.is_empty() { String::new() } else { format!(", nor of {}", accounts.join(", ")) }
    }

    fn limits(self) -> Option<&'a AccessLimits> {
        match self {
            Self::Class { limits, .. } => limits,
            Self::OwnAccount | Self::Anything => None,
        }
    }

    fn services(self) -> Option<&'a [String]> {
        self.limits()?.services.as_deref()
    }

    fn accounts(self) -> &'a [String] {
        self.limits().and_then(|limits| limits.principal_accounts.as_deref()).unwrap_or_default()
    }

    fn organizations(self) -> &'a [String] {
        self.limits().and_then(|limits| limits.organization_ids.as_deref()).unwrap_or_default()
    }
}

fn in_words(allowed: &[String]) -> String {
    if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") }
}

impl StatementContext<'_> {
    /// Whether principals of `account` may be let in.
    pub(super) fn trusts_account(&self, account: &str) -> bool {
        account == self.account_id || self.trust.accounts().iter().any(|trusted| trusted == account)
    }

    /// Why `name`, an account or something of it, is refused.
    pub(super) fn foreign_rule(&self, name: &str) -> String {
        format!(
            "{name} is not of account {}, which this queue is in{}",
            self.account_id,
            self.trust.accounts_in_words()
        )
    }
}
