//! Whom statements may let in: what the operator's flags or a class widen the safety rules by.

use super::compile::StatementContext;
use crate::api::class::AccessLimits;
use crate::domain::field::FieldError;

/// Whom statements may let in.
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

    /// Whether no list says which services may be let in.
    pub(super) fn allows_every_service(self) -> bool {
        self.services().is_none()
    }

    /// The services that may be let in.
    pub(super) fn services_in_words(self) -> String {
        self.services()
            .filter(|services| !services.is_empty())
            .map_or("none".to_owned(), |services| services.join(", "))
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
}

impl StatementContext<'_> {
    /// Whether principals of `account` may be let in.
    pub(super) fn trusts_account(&self, account: &str) -> bool {
        account == self.account_id || self.trust.accounts().iter().any(|trusted| trusted == account)
    }
}
