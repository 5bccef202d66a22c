//! Typed entries, those of `spec.access.producers` and `spec.access.consumers`: who is let in, and when.
//!
//! What an entry may be is checked here again, whatever the API server let through: a value with a wildcard or a policy
//! variable would open the queue.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::StatementContext;
use super::grammar::principal_rule;
use super::principal::{Identity, Principal, account_of_arn, arn_parts, is_account_id};
use super::statement::{Conditions, Effect, Folded, Scope, Statement};
use super::trust::Trust;
use crate::api::access::AccessEntry;
use crate::domain::field::FieldError;

/// Who is let in, and under which conditions.
#[derive(Clone, Debug)]
pub(super) struct Grantee {
    principal: Principal,
    conditions: Conditions,
}

impl Grantee {
    /// Reads the entry that stands at the path `at`.
    ///
    /// # Errors
    /// Everything that is wrong with it; of an entry that makes no sense, not also whom it must not let in.
    pub(super) fn read(entry: &AccessEntry, at: &str, context: &StatementContext) -> Result<Self, Vec<FieldError>> {
        let mut errors = contradictions(entry, at);
        errors.extend(values(entry, at, context));
        if errors.is_empty() && !matches!(context.trust, Trust::Anything) {
            errors.extend(distrusted(entry, at, context));
        }
        if errors.is_empty() { Ok(Self::of(entry, context)) } else { Err(errors) }
    }

    fn of(entry: &AccessEntry, context: &StatementContext) -> Self {
        let named = [("AWS", &entry.principal_arn), ("AWS", &entry.account_id), ("Service", &entry.service)];
        let principal = named.into_iter().find_map(|(kind, value)| Principal::read(kind, value.as_deref()?));
        // Nothing else ties a VPC endpoint to an account.
        let own_account = (principal.is_none() && entry.organization_id.is_none()).then_some(context.account_id);
        let conditions = [
            ("StringEquals", "aws:PrincipalOrgID", entry.organization_id.as_deref()),
            ("StringEquals", "aws:SourceVpce", entry.vpc_endpoint_id.as_deref()),
            ("StringEquals", "aws:PrincipalAccount", own_account),
            ("ArnLike", "aws:SourceArn", entry.source_arn.as_deref()),
            ("StringEquals", "aws:SourceAccount", entry.source_account.as_deref()),
        ];
        let mut grantee = Self { principal: principal.unwrap_or(Principal::Anyone), conditions: Conditions::new() };
        for (operator, key, value) in conditions {
            if let Some(value) = value {
                let keys: &mut BTreeMap<_, _> = grantee.conditions.entry(operator.to_owned()).or_default();
                keys.insert(Folded::new(key), BTreeSet::from([value.to_owned()]));
            }
        }
        grantee
    }

    /// Whether this is an AWS service.
    pub(super) fn is_service(&self) -> bool {
        matches!(self.principal, Principal::Service(_))
    }

    /// The statement that allows `actions` on the queue with this ARN. It has no Sid, so that [`super::compose`] may merge
    /// it with any other.
    pub(super) fn allowing(&self, actions: &[&str], queue_arn: &str) -> Statement {
        Statement {
            sid: None,
            effect: Effect::Allow,
            principals: Scope::only([self.principal.clone()]),
            actions: Scope::only(actions.iter().copied().map(Folded::new)),
            resources: Scope::only([queue_arn.to_owned()]),
            conditions: self.conditions.clone(),
        }
    }
}

impl Grantee {
    /// The statement of a key's policy that allows `actions` on it. A service is tied to what it acts for as on the queue;
    /// others come through SQS, which hides the VPC endpoint.
    pub(super) fn using_key(&self, actions: &[&str], via_service: &str) -> Statement {
        let mut statement = self.allowing(actions, "*");
        if !self.is_service() {
            let keys: &mut BTreeMap<_, _> = statement.conditions.entry("StringEquals".to_owned()).or_default();
            keys.remove(&Folded::new("aws:SourceVpce"));
            keys.insert(Folded::new("kms:ViaService"), BTreeSet::from([via_service.to_owned()]));
        }
        statement
    }
}

/// Fields that do not go together. The CRD's rules say the same.
fn contradictions(entry: &AccessEntry, at: &str) -> Vec<FieldError> {
    let is_service = entry.service.is_some();
    let who = [entry.principal_arn.is_some(), entry.account_id.is_some(), is_service, entry.organization_id.is_some()];
    let who = who.into_iter().filter(|is_there| *is_there).count();
    let names_no_account = |arn: &String| arn_parts(arn).is_some_and(|parts| parts[4].is_empty());
    let rules = [
        (
            who > 1,
            "",
            "names several; an entry lets in exactly one of principalArn, accountId, service and organizationId",
        ),
        (
            who == 0 && entry.vpc_endpoint_id.is_none(),
            "",
            "names nobody; set principalArn, accountId, service, organizationId or vpcEndpointId",
        ),
        (
            is_service && entry.source_arn.is_none() && entry.source_account.is_none(),
            ".service",
            "a service acts for whoever asks it to; say for whom, with sourceArn, sourceAccount or both",
        ),
        (
            is_service && entry.vpc_endpoint_id.is_some(),
            ".vpcEndpointId",
            "a service does not come through a VPC endpoint of yours",
        ),
        (!is_service && entry.source_arn.is_some(), ".sourceArn", "is only for a service"),
        (!is_service && entry.source_account.is_some(), ".sourceAccount", "is only for a service"),
        (
            entry.source_account.is_none() && entry.source_arn.as_ref().is_some_and(names_no_account),
            ".sourceArn",
            "names no account, as the ARN of an S3 bucket does not; add sourceAccount",
        ),
    ];
    let broken = rules.into_iter().filter(|(is_broken, ..)| *is_broken);
    broken.map(|(_, field, rule)| FieldError::new(format!("{at}{field}"), rule)).collect()
}

/// Values that are not what their field wants.
fn values(entry: &AccessEntry, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let account = |id: &str| (!is_account_id(id)).then(|| format!("{id:?} must be a twelve-digit account id"));
    let rules = [
        ("principalArn", entry.principal_arn.as_deref().and_then(|arn| role_or_user(arn, context))),
        ("accountId", entry.account_id.as_deref().and_then(account)),
        ("service", entry.service.clone().and_then(|service| principal_rule(&Principal::Service(service), context))),
        ("organizationId", entry.organization_id.as_deref().and_then(organization)),
        ("vpcEndpointId", entry.vpc_endpoint_id.as_deref().and_then(vpc_endpoint)),
        ("sourceArn", entry.source_arn.as_deref().and_then(|arn| source(arn, context))),
        ("sourceAccount", entry.source_account.as_deref().and_then(account)),
    ];
    rules.into_iter().filter_map(|(field, rule)| Some(FieldError::new(format!("{at}.{field}"), rule?))).collect()
}

fn role_or_user(arn: &str, context: &StatementContext) -> Option<String> {
    let is_of_iam = arn_parts(arn).is_some_and(|parts| parts[2] == "iam") && Identity::of_arn(arn).is_some();
    match principal_rule(&Principal::Aws(arn.to_owned()), context) {
        None if !is_of_iam => Some(format!("{arn:?} must be the ARN of a role or user")),
        rule => rule,
    }
}

/// Source: AWS Organizations API Reference, `Organization`.
fn organization(id: &str) -> Option<String> {
    let is_id = id.strip_prefix("o-").is_some_and(|rest| {
        (10..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    });
    (!is_id).then(|| format!("{id:?} must be the id of an organization, like o-a1b2c3d4e5"))
}

fn vpc_endpoint(id: &str) -> Option<String> {
    let is_id = id.strip_prefix("vpce-").is_some_and(|rest| {
        [8, 17].contains(&rest.len()) && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });
    (!is_id).then(|| format!("{id:?} must be the id of a VPC endpoint, like vpce-0a1b2c3d4e5f60718"))
}

fn source(arn: &str, context: &StatementContext) -> Option<String> {
    let Some(parts @ [_, partition, _, _, account, _]) = arn_parts(arn).filter(|parts| !parts[5].is_empty()) else {
        return Some(format!("{arn:?} must be an ARN with all six parts"));
    };
    if parts[..5].iter().any(|part| part.contains(['*', '?'])) {
        return Some(format!("{arn:?} may have wildcards in its last part only"));
    }
    if arn.contains("${") {
        return Some(format!("{arn:?} takes no policy variable"));
    }
    if !account.is_empty() && !is_account_id(account) {
        return Some(format!("{arn:?}: the account id {account:?} is not twelve digits"));
    }
    let own = arn_parts(context.queue_arn).map_or("", |parts| parts[1]);
    (partition != own)
        .then(|| format!("{arn:?} is in the partition {partition:?}, the queue in {own:?}; they cannot meet"))
}

/// Whom the entry lets in and must not.
fn distrusted(entry: &AccessEntry, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let trust = context.trust;
    let foreign = |field: &'static str, value: &Option<String>| {
        let value = value.as_deref()?;
        let account = if is_account_id(value) { value } else { account_of_arn(value)? };
        (!context.trusts_account(account)).then(|| (field, context.foreign_rule(value)))
    };
    let service = entry.service.as_deref().filter(|service| !trust.allows_service(service));
    let organization = entry.organization_id.as_deref().filter(|id| !trust.allows_organization(id));
    let rules = [
        foreign("principalArn", &entry.principal_arn),
        foreign("accountId", &entry.account_id),
        service.map(|service| ("service", trust.service_rule(service))),
        organization.map(|id| ("organizationId", trust.organization_rule(id))),
        foreign("sourceArn", &entry.source_arn),
        foreign("sourceAccount", &entry.source_account),
    ];
    rules.into_iter().flatten().map(|(field, rule)| trust.refuse(format!("{at}.{field}"), &rule)).collect()
}
