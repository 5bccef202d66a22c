//! What the values of a statement may be. These rules hold always: SQS refuses what breaks them, or could never
//! match it. (Dates are left to SQS.)

use std::net::IpAddr;

use super::actions::expand;
use super::compile::StatementContext;
use super::condition::{AccountKey, Operator};
use super::principal::{Principal, arn_parts, is_account_id, is_unique_id};
use super::statement::{Folded, RESERVED_SID_PREFIX, Scope, Statement};
use super::trust::Trust;
use crate::domain::field::FieldError;

/// The longest Sid. Source: `AddPermission` in the SQS API reference, whose label becomes the Sid.
const MAX_SID_LENGTH: usize = 80;

/// All that is wrong with the values of `statement`, which stands at the path `at`.
pub(super) fn check(statement: &Statement, at: &str, context: &StatementContext) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(rule) = statement.sid().and_then(sid_rule) {
        errors.push(FieldError::new(format!("{at}.Sid"), rule));
    }
    let element = statement.principals.element("Principal");
    for principal in statement.principals.values() {
        if let Some(rule) = principal_rule(principal, context) {
            errors.push(FieldError::new(format!("{at}.{element}.{}", principal.kind()), rule));
        }
    }
    let element = statement.actions.element("Action");
    for action in statement.actions.values() {
        if let Some(rule) = action_rule(action, context) {
            errors.push(FieldError::new(format!("{at}.{element}"), rule));
        }
    }
    if let Scope::Only(resources) = &statement.resources {
        for resource in resources.iter().filter(|resource| *resource != context.queue_arn) {
            let rule =
                format!("{resource:?} is not this queue; leave Resource out, it is {} by itself", context.queue_arn);
            errors.push(FieldError::new(format!("{at}.Resource"), rule));
        }
    }
    conditions(statement, at, &mut errors);
    errors
}

/// SQS takes more than IAM's letters and digits: the console itself writes `__owner_statement`.
fn sid_rule(sid: &str) -> Option<String> {
    if sid.starts_with(RESERVED_SID_PREFIX) {
        return Some(format!("{sid:?}: Sids that begin with {RESERVED_SID_PREFIX} are the operator's own; rename it"));
    }
    if sid.len() > MAX_SID_LENGTH {
        return Some(format!("has {} characters; a Sid may have {MAX_SID_LENGTH}", sid.len()));
    }
    let bad = sid.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))?;
    Some(format!("{sid:?} has {bad:?}; a Sid may have letters, digits, '-' and '_'"))
}

/// What is wrong with one principal.
pub(super) fn principal_rule(principal: &Principal, context: &StatementContext) -> Option<String> {
    match principal {
        Principal::Anyone | Principal::Account(_) => None,
        Principal::Aws(text) => aws_principal_rule(text, context),
        Principal::Service(name) => {
            let is_host_name = name.contains('.')
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
            (!is_host_name).then(|| format!("{name:?} is not a service; write one by name, like sns.amazonaws.com"))
        }
        Principal::Federated(name) | Principal::CanonicalUser(name) => {
            (name.is_empty() || name.contains('*')).then(|| format!("{name:?} must name one principal"))
        }
    }
}

fn aws_principal_rule(text: &str, context: &StatementContext) -> Option<String> {
    if text.contains(['*', '?']) {
        return Some(format!(
            "{text:?}: IAM takes no wildcard in a principal but \"*\" alone; \
             use \"*\" with a condition such as ArnLike on aws:PrincipalArn"
        ));
    }
    if is_unique_id(text) {
        return Some(format!("{text:?} is the id of a principal that may be gone; name it by its ARN"));
    }
    let Some([_, partition, service, _, account, resource]) = arn_parts(text) else {
        return Some(format!("{text:?} must be \"*\", a twelve-digit account id, or the ARN of a role or user"));
    };
    if !is_account_id(account) {
        return Some(format!("{text:?}: the account id {account:?} is not twelve digits"));
    }
    let queue_partition = arn_parts(context.queue_arn).map(|parts| parts[1]);
    if queue_partition.is_some_and(|queue_partition| queue_partition != partition) {
        return Some(format!(
            "{text:?} is in the partition {partition:?}, the queue in {:?}; they cannot meet",
            queue_partition.unwrap_or_default()
        ));
    }
    let names = resource.split('/').skip(1).collect::<Vec<_>>();
    let is_named = !names.is_empty() && names.iter().all(|name| !name.is_empty());
    match (service, resource.split('/').next().unwrap_or_default()) {
        ("iam", "role" | "user") | ("sts", "federated-user") if is_named => None,
        ("sts", "assumed-role") if is_named && names.len() == 2 => None,
        ("sts", "assumed-role") => Some(format!("{text:?} must end in assumed-role/<role>/<session>")),
        ("iam", "group") => Some(format!("{text:?} is a group, which is no principal; name its users, or a role")),
        _ => Some(format!("{text:?} must be \"*\", a twelve-digit account id, or the ARN of a role or user")),
    }
}

/// What is wrong with one action.
pub(super) fn action_rule(action: &Folded, context: &StatementContext) -> Option<String> {
    let Some((service, name)) = action.as_str().split_once(':') else {
        let guess = Folded::new(format!("sqs:{action}"));
        return Some(match expand(&guess).next() {
            Some(_) => format!("{action:?} names no service; did you mean {guess}?", action = action.as_str()),
            None => format!("{:?} is no SQS action; write one like sqs:SendMessage", action.as_str()),
        });
    };
    let is_well_formed = service.eq_ignore_ascii_case("sqs")
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'*' | b'?'));
    if !is_well_formed {
        return Some(format!("{:?} is no SQS action; write one like sqs:SendMessage", action.as_str()));
    }
    if expand(action).next().is_some() {
        return None;
    }
    if let Some(single) = strip_batch(action.as_str()).map(Folded::new).filter(|single| expand(single).next().is_some())
    {
        return Some(format!("{action} is no action of its own; {single} covers batches too"));
    }
    // SQS may learn actions that this list lacks: the way round is the same as for those refused as unsafe.
    let way_round = match context.trust {
        Trust::Anything => return None,
        Trust::OwnAccount => "; an operator started with --allow-unsafe-statements passes it on to SQS",
        Trust::Class { .. } => "",
    };
    Some(format!("{action} matches no SQS action; check its spelling{way_round}"))
}

fn strip_batch(action: &str) -> Option<&str> {
    let (stem, suffix) = action.split_at_checked(action.len().checked_sub("Batch".len())?)?;
    suffix.eq_ignore_ascii_case("Batch").then_some(stem)
}

fn conditions(statement: &Statement, at: &str, errors: &mut Vec<FieldError>) {
    for (name, keys) in &statement.conditions {
        let path = format!("{at}.Condition.{name}");
        let Some(operator) = Operator::parse(name) else {
            let hint = Operator::suggestion(name)
                .map_or("see IAM's list of condition operators".to_owned(), |known| format!("did you mean {known}?"));
            errors.push(FieldError::new(path, format!("is no condition operator; {hint}")));
            continue;
        };
        for (key, values) in keys {
            let path = format!("{path}.{key}");
            let is_key =
                key.as_str().split_once(':').is_some_and(|(prefix, name)| !prefix.is_empty() && !name.is_empty());
            if !is_key {
                errors
                    .push(FieldError::new(path, "is no condition key; write one with its prefix, like aws:SourceArn"));
                continue;
            }
            let rules = values.iter().filter_map(|value| value_rule(operator, key, value));
            errors.extend(rules.map(|rule| FieldError::new(path.clone(), rule)));
        }
    }
}

fn value_rule(operator: Operator, key: &Folded, value: &str) -> Option<String> {
    if value.contains("${") {
        return None;
    }
    let account_key = AccountKey::of(key);
    match operator.base {
        "Bool" | "Null" => (!["true", "false"].contains(&value)).then(|| format!("{value:?} must be true or false")),
        base if base.starts_with("Numeric") => {
            value.parse::<f64>().is_err().then(|| format!("{value:?} must be a number"))
        }
        "IpAddress" | "NotIpAddress" => {
            (!is_ip_range(value)).then(|| format!("{value:?} must be an IP address or a range such as 203.0.113.0/24"))
        }
        base if base.starts_with("Arn") => (value != "*" && arn_parts(value).is_none())
            .then(|| format!("{value:?} must be an ARN with all six parts, arn:aws:…; each may have wildcards")),
        // A number in YAML loses the zeros in front of it.
        "StringEquals" | "StringNotEquals" if account_key.is_some_and(|key| !key.is_arn) => {
            (!is_account_id(value)).then(|| format!("{value:?} must be a twelve-digit account id, in quotes"))
        }
        _ => None,
    }
}

fn is_ip_range(text: &str) -> bool {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= bits))
}
