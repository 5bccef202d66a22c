//! `spec.access` as a whole: the policies of a queue and of its dead-letter queue.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{StatementContext, compile_statements};
use super::compose::compose;
use super::document::PolicyDocument;
use super::grantee::Grantee;
use super::key::key_statements;
use super::limits::check_limits;
use super::principal::{Principal, arn_parts};
use super::statement::{Statement, fence, require_tls};
use crate::api::access::{Access, AccessEntry};
use crate::domain::arn::sqs_of;
use crate::domain::field::FieldError;
use crate::domain::permission::Permission;

/// Where all of it stands.
const PATH: &str = "spec.access";

/// What an AWS service may do: it is told the URL, and asks nothing.
const SERVICE_SENDS: &[&str] = &["sqs:SendMessage"];

/// The policies that a Queue's access comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessPolicies {
    /// Of the queue.
    pub source: PolicyDocument,
    /// Of its dead-letter queue: consumers may inspect it, producers and statements have no part in it.
    pub dead_letter: PolicyDocument,
    /// For each role and user by its ARN, the fields that name it.
    pub named: NamedPrincipals,
    /// What the policy of a KMS key must say for producers and consumers.
    pub key: Vec<Statement>,
}

/// The fields that name a principal, by its ARN.
pub type NamedPrincipals = BTreeMap<String, BTreeSet<String>>;

/// Compiles `access` for the queue of `context` and its dead-letter queue: typed entries and statements are checked, put
/// together with the operator's own statements, merged, and measured, with room for the [`fence`] on each.
///
/// # Errors
/// Everything that is wrong, each with its exact path.
pub fn compile_access(
    access: &Access,
    requires_tls: bool,
    dead_letter_arn: Option<&str>,
    context: &StatementContext,
) -> Result<AccessPolicies, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut named = NamedPrincipals::new();
    let mut read = |list: &str, entries: &Option<Vec<AccessEntry>>| {
        let entries = entries.as_deref().unwrap_or_default();
        let mut grantees = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let at = format!("{PATH}.{list}[{index}]");
            match Grantee::read(entry, &at, context) {
                Ok(grantee) => grantees.push(grantee),
                Err(more) => errors.extend(more),
            }
            if let Some(arn) = &entry.principal_arn {
                named.entry(arn.clone()).or_default().insert(format!("{at}.principalArn"));
            }
        }
        grantees
    };
    let producers = read("producers", &access.producers);
    let consumers = read("consumers", &access.consumers);
    errors.extend(services_that_read(access));
    let raw = access.statements.as_deref().unwrap_or_default();
    let statements = compile_statements(raw, &format!("{PATH}.statements"), context);
    let statements = statements.map_err(|more| errors.extend(more)).unwrap_or_default();
    if !errors.is_empty() {
        return Err(errors);
    }
    for (index, statement) in statements.iter().enumerate() {
        for arn in statement.principals.values().iter().filter(|principal| matches!(principal, Principal::Aws(_))) {
            let at = format!("{PATH}.statements[{index}]");
            named.entry(arn.as_str().to_owned()).or_default().insert(at);
        }
    }

    let queue = context.queue_arn;
    let source = statements
        .into_iter()
        .chain(producers.iter().map(|producer| producer.allowing(sends(producer), queue)))
        .chain(consumers.iter().map(|consumer| consumer.allowing(Permission::Consume.on_queue(), queue)));
    let source = whole(source, requires_tls, queue)?;
    let dead_letter = match dead_letter_arn {
        Some(arn) => {
            let inspect = Permission::Inspect.on_dead_letter_queue();
            whole(consumers.iter().map(|consumer| consumer.allowing(inspect, arn)), requires_tls, arn)?
        }
        None => PolicyDocument::default(),
    };
    let key = key_statements(&producers, &consumers, &sqs_of(region_of(queue)));
    Ok(AccessPolicies { source, dead_letter, named, key })
}

pub(super) fn region_of(arn: &str) -> &str {
    arn_parts(arn).map_or("", |parts| parts[3])
}

fn sends(producer: &Grantee) -> &'static [&'static str] {
    if producer.is_service() { SERVICE_SENDS } else { Permission::Send.on_queue() }
}

fn services_that_read(access: &Access) -> impl Iterator<Item = FieldError> {
    let consumers = access.consumers.iter().flatten().enumerate();
    consumers.filter(|(_, entry)| entry.service.is_some()).map(|(index, _)| {
        let rule = "a service is a producer only: it reads as a role (Lambda's execution role, a pipe's role); \
                    name that as principalArn";
        FieldError::new(format!("{PATH}.consumers[{index}].service"), rule)
    })
}

/// The policy of the queue with this ARN. There must be room for the fence, or a full policy could never be closed before
/// its queue is deleted.
pub(super) fn whole(
    statements: impl Iterator<Item = Statement>,
    requires_tls: bool,
    arn: &str,
) -> Result<PolicyDocument, Vec<FieldError>> {
    let policy = compose(statements.chain(requires_tls.then(|| require_tls(arn))).collect());
    let errors = check_limits(&policy.with(fence(arn)), PATH);
    if errors.is_empty() { Ok(policy) } else { Err(errors) }
}
