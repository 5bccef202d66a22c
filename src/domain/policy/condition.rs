//! Condition operators, and what a condition proves about whose account a request comes from.
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "AWS global condition context keys".

use super::principal::{account_of_arn, arn_parts, is_account_id};
use super::statement::Folded;

const BASES: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

/// A condition operator, taken apart: `ForAnyValue:StringEqualsIfExists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    quantifier: Quantifier,
    pub(super) base: &'static str,
    if_exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    None,
    AllValues,
    AnyValue,
}

/// How an operator compares, when it holds only for requests that have the key with a matching value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// Character by character; `*` is itself.
    Exact,
    /// `*` and `?` are wildcards that may run across the colons of an ARN.
    Pattern,
    /// `*` and `?` are wildcards within each of the six parts of an ARN.
    ArnPattern,
}

/// Whose account a condition key tells, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountKey {
    pub(super) tells: Tells,
    pub(super) is_arn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// The caller's account. Services have none.
    Caller,
    /// The account of the resource that a service acts for.
    Source,
}

/// What one value of a condition ties requests to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tie<'a> {
    /// Exactly this account.
    Account(&'a str),
    /// Nothing definite: a wildcard, a policy variable, an ARN without an account.
    Loose,
}

impl Operator {
    /// Reads an operator; `None` when IAM has none of this name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (quantifier, rest) = match text.split_once(':') {
            None => (Quantifier::None, text),
            Some(("ForAllValues", rest)) => (Quantifier::AllValues, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::AnyValue, rest),
            Some(_) => return None,
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some("Null") => return None,
            Some(base) => (base, true),
            None => (rest, false),
        };
        let base = BASES.into_iter().find(|known| *known == base)?;
        Some(Self { quantifier, base, if_exists })
    }

    /// The operator that `text` was probably meant to be.
    pub(super) fn suggestion(text: &str) -> Option<&'static str> {
        BASES.into_iter().find(|known| known.eq_ignore_ascii_case(text))
    }

    /// `…IfExists` and `ForAllValues:` also hold when the key is missing, so they prove nothing.
    fn required_comparison(self) -> Option<Comparison> {
        if self.if_exists || self.quantifier == Quantifier::AllValues {
            return None;
        }
        match self.base {
            "StringEquals" | "StringEqualsIgnoreCase" => Some(Comparison::Exact),
            "StringLike" => Some(Comparison::Pattern),
            // IAM documents the two as the same.
            "ArnEquals" | "ArnLike" => Some(Comparison::ArnPattern),
            _ => None,
        }
    }

    /// Whether it holds only for requests that have the key with one of the values, character by character.
    pub(super) fn is_exact(self) -> bool {
        self.required_comparison() == Some(Comparison::Exact)
    }

    /// Whether two statements that differ in the values of a key under this operator mean as much as one with both: it
    /// compares a key of one value with each of its own, of which one must match.
    pub(super) fn takes_any_value(self) -> bool {
        self.quantifier == Quantifier::None && self.required_comparison().is_some()
    }

    /// Which account `value` of `key` ties requests to; `None` when this operator on this key ties nothing at all.
    pub(super) fn tie(self, key: AccountKey, value: &str) -> Option<Tie<'_>> {
        let comparison = self.required_comparison()?;
        // A policy variable is filled in from the request, and moves the colons.
        if value.contains("${") {
            return Some(Tie::Loose);
        }
        let account = if key.is_arn {
            let crosses_colons = comparison == Comparison::Pattern
                && arn_parts(value).is_none_or(|parts| parts[..5].iter().any(|part| part.contains(['*', '?'])));
            account_of_arn(value).filter(|_| !crosses_colons)
        } else {
            is_account_id(value).then_some(value)
        };
        Some(account.map_or(Tie::Loose, Tie::Account))
    }
}

impl AccountKey {
    /// The key's account, for the few keys that tell one. An organisation, a VPC, an endpoint or an IP address is
    /// not an account: those keys narrow a statement, but anyone's principal may still fit.
    pub(super) fn of(key: &Folded) -> Option<Self> {
        let known = [
            ("aws:PrincipalAccount", Tells::Caller, false),
            ("aws:PrincipalArn", Tells::Caller, true),
            ("aws:SourceAccount", Tells::Source, false),
            ("aws:SourceOwner", Tells::Source, false),
            ("aws:SourceArn", Tells::Source, true),
        ];
        let (_, tells, is_arn) = known.into_iter().find(|(name, ..)| key.is(name))?;
        Some(Self { tells, is_arn })
    }
}
