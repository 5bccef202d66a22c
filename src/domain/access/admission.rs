//! Which grants a queue takes in: those that its Queue, its class and the limits of SQS allow; who is in first, then the older.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::access::{GrantNamespaces, GrantNamespacesFrom};
use crate::api::conditions::Reason;
use crate::api::queue::DeadLetterMode;
use crate::api::{Queue, QueueSpec};

use super::super::class::{Labels, Limits, selects};
use super::super::desired::Refusal;
use super::super::field::FieldError;
use super::super::fleet::{Key, MOST_GRANTS};
use super::super::policy::{AccessPolicies, PrincipalGrant, StatementContext};
use super::super::settings::dead_letter_mode;
use super::Grant;

/// Where a `QueueAccess` says what it wants.
const PERMISSIONS: &str = "spec.permissions";
const SUBJECT: &str = "spec.subject.principalArn";

/// The grants of a Queue.
#[derive(Clone, Debug, Default)]
pub struct Admissions {
    /// Those that its policy takes in, in turn.
    pub admitted: Vec<Admitted>,
    /// The others, and why.
    pub refused: BTreeMap<Key, Refusal>,
}

/// A grant that the queue policy takes in.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Which.
    pub grant: Arc<Grant>,
    /// Its part in the policies.
    pub part: PrincipalGrant,
}

/// Where grants have to fit in.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain) struct Room<'a> {
    /// The Queue's spec, after defaults.
    pub(in crate::domain) spec: &'a QueueSpec,
    /// What its owner has in the policies.
    pub(in crate::domain) policies: &'a AccessPolicies,
    /// The ARN of its managed dead-letter queue.
    pub(in crate::domain) dead_letter_arn: Option<&'a str>,
    /// Where it lives, and whom its class lets in.
    pub(in crate::domain) context: &'a StatementContext<'a>,
    /// What its class allows.
    pub(in crate::domain) limits: &'a Limits,
}

/// `grants`, sorted by seniority, as `queue` looks at them: who is in stays in, whoever may come later, if only to be refused
/// by AWS.
pub(in crate::domain) fn in_turn<'a>(
    queue: &Queue,
    grants: impl Iterator<Item = &'a Arc<Grant>>,
) -> Vec<&'a Arc<Grant>> {
    let listed = queue.status.iter().flat_map(|status| &status.grants);
    let in_force: BTreeSet<&str> =
        listed.filter(|entry| entry.generation.is_some()).map(|entry| entry.uid.as_str()).collect();
    let (mut all, others): (Vec<_>, Vec<_>) = grants.partition(|grant| in_force.contains(grant.uid.as_str()));
    all.extend(others);
    all
}

/// Which of `grants`, [in turn](in_turn), the Queue `key` takes in.
pub(in crate::domain) fn admit<'a>(
    key: &Key,
    grants: impl Iterator<Item = &'a Arc<Grant>>,
    room: &Room<'_>,
) -> Admissions {
    let mut refused = BTreeMap::new();
    let mut fitting = Vec::new();
    for grant in grants.filter(|grant| !grant.deleting) {
        match part_of(key, grant, room) {
            Ok(part) => fitting.push(Admitted { grant: grant.clone(), part }),
            Err(refusal) => _ = refused.insert(grant.key.clone(), refusal),
        }
    }
    let younger = fitting.split_off(first_that_fit(&fitting, room));
    let mut admitted = fitting;
    // A younger one may need less room, or none of its own.
    for one in younger {
        admitted.push(one);
        if let Err(errors) = fits(&admitted, room) {
            refused.extend(admitted.pop().map(|one| (one.grant.key.clone(), full(key, errors))));
        }
    }
    Admissions { admitted, refused }
}

/// How many of the oldest fit together: found by halves, as what fits grows with fewer.
fn first_that_fit(grants: &[Admitted], room: &Room<'_>) -> usize {
    if fits(grants, room).is_ok() {
        return grants.len();
    }
    let (mut fit, mut too_many) = (0, grants.len());
    while too_many - fit > 1 {
        let half = fit.midpoint(too_many);
        if fits(&grants[..half], room).is_ok() { fit = half } else { too_many = half }
    }
    fit
}

fn fits(admitted: &[Admitted], room: &Room<'_>) -> Result<AccessPolicies, Vec<FieldError>> {
    let parts: Vec<&PrincipalGrant> = admitted.iter().map(|admitted| &admitted.part).collect();
    room.policies.with_grants(&parts, room.context.queue_arn, room.dead_letter_arn)
}

fn part_of(key: &Key, grant: &Grant, room: &Room<'_>) -> Result<PrincipalGrant, Refusal> {
    let allowed = room.spec.access.as_ref().and_then(|access| access.allowed_namespaces.as_ref());
    if !is_allowed(key, grant, allowed) {
        return Err(no_such_queue(key));
    }
    let mut errors: Vec<FieldError> = room_for_dead_letters(key, grant, room.spec).into_iter().collect();
    errors.extend(room.limits.refuses_subject(grant.subject.kind()));
    let principal_arn = grant.subject.principal_arn().unwrap_or_default();
    let compiled =
        PrincipalGrant::compile(principal_arn, &grant.permissions, SUBJECT, room.dead_letter_arn, room.context);
    let part = compiled.map_err(|more| errors.extend(more));
    match part {
        Ok(part) if errors.is_empty() => Ok(part),
        _ => Err(Refusal::of(errors)),
    }
}

/// Whether `queue` lets a `QueueAccess` of this namespace in, whose labels are these; without labels, none is let in by them.
#[must_use]
pub fn allows_namespace(queue: &Queue, namespace: &str, labels: Option<&Labels>) -> bool {
    let allowed = queue.spec.access.as_ref().and_then(|access| access.allowed_namespaces.as_ref());
    queue.metadata.namespace.as_deref() == Some(namespace) || allows(allowed, namespace, labels)
}

fn is_allowed(key: &Key, grant: &Grant, allowed: Option<&GrantNamespaces>) -> bool {
    key.namespace == grant.key.namespace || allows(allowed, &grant.key.namespace, grant.labels.as_ref())
}

fn allows(allowed: Option<&GrantNamespaces>, namespace: &str, labels: Option<&Labels>) -> bool {
    allowed.is_some_and(|allowed| match allowed.from {
        GrantNamespacesFrom::None => false,
        GrantNamespacesFrom::All => true,
        GrantNamespacesFrom::Names => allowed.names.iter().flatten().any(|name| name == namespace),
        // A selector may ask for labels to be missing: those that are not known may be there.
        GrantNamespacesFrom::Selector => {
            allowed.selector.as_ref().zip(labels).is_some_and(|(selector, labels)| selects(selector, labels))
        }
    })
}

/// The same words whether there is such a Queue or not: who may not point to it learns nothing of it.
pub(super) fn no_such_queue(queue: &Key) -> Refusal {
    let rule = format!("there is no Queue {queue} that allows this namespace (in its spec.access.allowedNamespaces)");
    Refusal { reason: Reason::NotAllowedByQueue, errors: vec![FieldError::new("spec.queueRef", rule)] }
}

/// Permissions about a dead-letter queue that the Queue's policies cannot give.
fn room_for_dead_letters(key: &Key, grant: &Grant, spec: &QueueSpec) -> Option<FieldError> {
    let wanted: Vec<&str> =
        grant.permissions.iter().filter(|p| p.needs_dead_letter_queue()).map(|p| p.as_str()).collect();
    let why = match dead_letter_mode(spec) {
        _ if wanted.is_empty() => return None,
        DeadLetterMode::Managed => return None,
        DeadLetterMode::None => format!("Queue {key} has none"),
        DeadLetterMode::Reference => {
            format!(
                "that of Queue {key} is another Queue's, whose policy its own owner keeps: point a QueueAccess to that one"
            )
        }
    };
    let is = if wanted.len() == 1 { "is" } else { "are" };
    Some(FieldError::new(PERMISSIONS, format!("{} {is} about the dead-letter queue, and {why}", wanted.join(" and "))))
}

/// More than [`MOST_GRANTS`] point to the Queue, and this is not one of those whose turn it is.
pub(super) fn crowded_out(key: &Key) -> Refusal {
    full(key, vec![FieldError::new("", format!("{MOST_GRANTS} other QueueAccesses come before it"))])
}

fn full(key: &Key, errors: Vec<FieldError>) -> Refusal {
    let rules: Vec<String> = errors.into_iter().map(|error| error.rule).collect();
    let rule = format!("the policy of Queue {key} has no room left for it: {}", rules.join("; "));
    Refusal { reason: Reason::PolicyFull, errors: vec![FieldError::new("spec.queueRef", rule)] }
}
