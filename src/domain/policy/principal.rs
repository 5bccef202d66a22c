//! Who a statement is about.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::statement::string_or_list;

/// The elements of a principal map, as IAM spells them.
pub(super) const KINDS: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];

/// One principal, normalised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Principal {
    /// `"*"`, which a policy may also write as `{"AWS": "*"}`.
    Anyone,
    /// A whole account: twelve digits, or its root ARN (SQS turns the first into the second).
    Account(String),
    /// An ARN under `AWS`, or what SQS shows once the principal is deleted: its id.
    Aws(String),
    /// An AWS service, for example `sns.amazonaws.com`.
    Service(String),
    /// An identity provider.
    Federated(String),
    /// S3's name of an account.
    CanonicalUser(String),
}

/// A caller as IAM tells them apart: sessions belong to their role or user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity<'a> {
    account: &'a str,
    kind: IdentityKind,
    /// Without path and session: names are unique in an account.
    name: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
enum IdentityKind {
    Role,
    User,
}

impl Principal {
    /// Reads one value of the `kind` element of a principal map; `None` when there is no such element.
    pub(super) fn read(kind: &str, value: &str) -> Option<Self> {
        let owned = value.to_owned();
        match kind {
            "AWS" if value == "*" => Some(Self::Anyone),
            "AWS" => Some(account_as_principal(value).map_or(Self::Aws(owned), |id| Self::Account(id.to_owned()))),
            "Service" => Some(Self::Service(owned)),
            "Federated" => Some(Self::Federated(owned)),
            "CanonicalUser" => Some(Self::CanonicalUser(owned)),
            _ => None,
        }
    }

    /// The element of a principal map that this one is written under.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Anyone | Self::Account(_) | Self::Aws(_) => "AWS",
            Self::Service(_) => "Service",
            Self::Federated(_) => "Federated",
            Self::CanonicalUser(_) => "CanonicalUser",
        }
    }

    /// The value under that element. An account is its id, which is right in every partition.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Anyone => "*",
            Self::Account(text)
            | Self::Aws(text)
            | Self::Service(text)
            | Self::Federated(text)
            | Self::CanonicalUser(text) => text,
        }
    }

    /// The account that this principal belongs to, when its name tells.
    pub(super) fn account(&self) -> Option<&str> {
        match self {
            Self::Account(id) => Some(id),
            Self::Aws(arn) => account_of_arn(arn),
            _ => None,
        }
    }

    /// Whether this is the id that SQS shows in place of a deleted role, user or group.
    pub(super) fn is_unique_id(&self) -> bool {
        let Self::Aws(text) = self else { return false };
        is_unique_id(text)
    }

    /// The principals as a policy holds them.
    pub(super) fn to_value(principals: &BTreeSet<Self>) -> Value {
        if principals.len() == 1 && principals.contains(&Self::Anyone) {
            return Value::from("*");
        }
        let mut object = Map::new();
        for kind in KINDS {
            let of_kind: Vec<&str> = principals.iter().filter(|p| p.kind() == kind).map(Self::as_str).collect();
            if !of_kind.is_empty() {
                object.insert(kind.to_owned(), string_or_list(of_kind.into_iter()));
            }
        }
        Value::Object(object)
    }
}

impl<'a> Identity<'a> {
    /// The role or user behind an ARN: of itself, of an assumed-role session, or of a federated user.
    /// `None` for anything else. Source: IAM User Guide, "IAM identifiers".
    pub(super) fn of_arn(arn: &'a str) -> Option<Self> {
        let [_, _, service, _, account, resource] = arn_parts(arn)?;
        let (kind, rest) = resource.split_once('/')?;
        let last = rest.rsplit('/').next()?;
        let (kind, name) = match (service, kind) {
            ("iam", "role") => (IdentityKind::Role, last),
            ("sts", "assumed-role") => (IdentityKind::Role, rest.split('/').next()?),
            ("iam", "user") | ("sts", "federated-user") => (IdentityKind::User, last),
            _ => return None,
        };
        Some(Self { account, kind, name })
    }
}

/// The six parts of an ARN; the last may hold more colons. Source: AWS General Reference, "ARNs".
pub(super) fn arn_parts(arn: &str) -> Option<[&str; 6]> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let parts: [&str; 6] = parts.try_into().ok()?;
    (parts[0] == "arn").then_some(parts)
}

/// The account that an ARN names; some, like those of S3 buckets, name none.
pub(super) fn account_of_arn(arn: &str) -> Option<&str> {
    let [_, _, _, _, account, _] = arn_parts(arn)?;
    is_account_id(account).then_some(account)
}

/// Twelve digits.
pub(super) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// `AROA…`, `AIDA…`, `AGPA…`. Source: IAM User Guide, "Unique identifiers".
pub(super) fn is_unique_id(text: &str) -> bool {
    ["AROA", "AIDA", "AGPA"].iter().any(|prefix| text.starts_with(prefix))
        && text.len() >= 16
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn account_as_principal(value: &str) -> Option<&str> {
    if is_account_id(value) {
        return Some(value);
    }
    match arn_parts(value)? {
        [_, _, "iam", "", account, "root"] if is_account_id(account) => Some(account),
        _ => None,
    }
}
