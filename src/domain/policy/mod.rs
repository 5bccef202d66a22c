//! Queue policies: grammar, meaning, safety, limits.
//!
//! What a user writes goes through [`compile_access`]: typed entries become statements, raw ones go through
//! [`compile_statements`] (IAM's grammar, then our safety rules); all are put together with the operator's own by
//! [`compose`], measured by [`check_limits`] and written as [`PolicyDocument::to_json`]. What SQS hands back goes through [`PolicyDocument::parse`]. Both ends are in
//! one canonical form, so `==` compares by meaning: SQS rewrites the text of every policy it is given.

mod access;
mod actions;
mod compile;
mod compose;
mod condition;
mod document;
mod grammar;
mod grant;
mod grantee;
mod key;
mod limits;
mod lockout;
mod principal;
mod read;
mod safety;
mod statement;
#[cfg(test)]
mod tests;
mod trust;

pub use access::{AccessPolicies, NamedPrincipals, compile_access};
pub(super) use actions::matches as matches_wildcard;
pub use compile::{StatementContext, compile_statements};
pub use compose::compose;
pub use document::PolicyDocument;
pub use grant::PrincipalGrant;
pub use key::{KeyAccess, key_access};
pub use limits::{MAX_ACTIONS, MAX_BYTES, MAX_CONDITIONS, MAX_PRINCIPALS, MAX_STATEMENTS, check_limits};

pub use statement::{FENCE_SID, REQUIRE_TLS_SID, Statement, fence, require_tls};
pub use trust::Trust;
