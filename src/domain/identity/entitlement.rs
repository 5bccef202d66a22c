//! What one `QueueAccess` gives its subject: what its Queue, and the Queue's class, allow.
//!
//! It is read from the Queue's status, not from its spec: a permission that works must not end because somebody mistyped
//! a field of the Queue. What was given stays while nobody can say; nothing new is given meanwhile.

use std::collections::BTreeSet;

use crate::api::conditions::Reason;
use crate::api::queue::{DeadLetterMode, ManagementPolicy};
use crate::api::status::Target;
use crate::api::{Queue, QueueAccess};

use super::super::access::{Subject, allows_namespace, in_short, not_found, queue_of, stalled};
use super::super::arn::Place;
use super::super::class::{Class, Labels};
use super::super::desired::Refusal;
use super::super::field::FieldError;
use super::super::finding::Finding;
use super::super::fleet::Key;
use super::super::iam::{Grant, GrantedQueue};
use super::super::names::QueueName;
use super::super::outputs::Coordinates;
use super::super::permission::Permission;
use super::super::settings::dead_letter_mode;
use super::desired::SLOW;

/// What a `QueueAccess` depends on.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The object.
    pub access: &'a QueueAccess,
    /// The labels of its namespace, when they are known.
    pub labels: Option<&'a Labels>,
    /// The Queue that it points to, when it is there, and its class.
    pub queue: Option<(&'a Queue, Result<&'a Class, &'a Refusal>)>,
}

/// What a `QueueAccess` comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// What it gives.
    pub given: Option<Given>,
    /// What keeps it from being as declared.
    pub finding: Option<Finding>,
}

/// Permissions on a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where the queue is.
    pub place: Place,
    /// The queue.
    pub coordinates: Coordinates,
    /// The Queue's UID: another Queue of the name is another's to give.
    pub queue_uid: String,
    /// What may be done with it.
    pub grants: Vec<Grant>,
}

impl Claim<'_> {
    /// What it gives.
    #[must_use]
    pub fn entitlement(&self) -> Entitlement {
        let refused = |finding| Entitlement { given: None, finding: Some(finding) };
        let to = queue_of(self.access);
        let namespace = self.access.metadata.namespace.as_deref().unwrap_or_default();
        let found = self.queue.filter(|(queue, _)| allows_namespace(queue, namespace, self.labels));
        let Some((queue, class)) = found else {
            return refused(not_found(&to, namespace));
        };
        let on_record = Coordinates::on_record(queue).zip(queue.status.as_ref().and_then(|s| s.target.as_ref()));
        let Some((coordinates, target)) = on_record else {
            let why = class.err().map_or_else(|| "its queue is not there yet".to_owned(), in_short);
            return refused(not_ready(&to, &why));
        };
        let queue_uid = queue.metadata.uid.clone().unwrap_or_default();
        let given_before = self.given_before(&queue_uid, &coordinates);
        let (permissions, errors) = self.permissions(queue, target, class.ok());
        let given =
            Given { place: target.place(), grants: grants(&permissions, queue, target), coordinates, queue_uid };
        // IAM takes no policy that says nothing.
        let given = Some(given).filter(|given| !given.grants.is_empty());
        // Nobody proves whose queue it is that is only observed.
        let doubt = match class {
            Err(refusal) => Some(in_short(refusal)),
            Ok(class) if class.place.account_id != target.account_id => Some(format!(
                "its queue is in account {} and its class in {}",
                target.account_id, class.place.account_id
            )),
            Ok(_) if queue.metadata.deletion_timestamp.is_some() => Some("it is being deleted".to_owned()),
            Ok(_) if queue.spec.management_policy == Some(ManagementPolicy::Observe) => {
                Some("it is only observed".to_owned())
            }
            Ok(_) => None,
        };
        let refusal =
            class.ok().and_then(|class| class.limits.refuses_subject(Subject::of(&self.access.spec.subject).kind()));
        match (doubt, refusal) {
            (_, Some(error)) => refused(stalled(&Refusal::of(vec![error]))),
            (Some(why), None) => {
                let narrowed = given.map(|mut given| {
                    given.grants.retain(|grant| given_before.contains(&grant.permission));
                    given
                });
                let given = narrowed.filter(|given| !given.grants.is_empty());
                Entitlement { given, finding: Some(not_ready(&to, &why)) }
            }
            (None, None) if errors.is_empty() => Entitlement { given, finding: None },
            // A dead-letter queue that went must not take the queue along.
            (None, None) => Entitlement { given, finding: Some(stalled(&Refusal::of(errors))) },
        }
    }

    /// What it gave on this very queue of this very Queue before.
    fn given_before(&self, queue_uid: &str, coordinates: &Coordinates) -> &[Permission] {
        let target = self.access.status.as_ref().and_then(|status| status.target.as_ref());
        let same = target
            .filter(|target| target.queue_uid.as_deref() == Some(queue_uid) && target.queue_arn == coordinates.arn);
        same.map_or(&[], |target| &target.permissions)
    }

    /// The permissions that the Queue can give, and what is wrong with the others.
    fn permissions(
        &self,
        queue: &Queue,
        target: &Target,
        class: Option<&Class>,
    ) -> (BTreeSet<Permission>, Vec<FieldError>) {
        let wanted: BTreeSet<Permission> = self.access.spec.permissions.iter().copied().collect();
        let has_own = managed_dead_letter(queue, target).is_some();
        let mode = class.map(|class| dead_letter_mode(&class.spec_of(queue)));
        if has_own && mode.is_none_or(|mode| mode == DeadLetterMode::Managed) {
            return (wanted, Vec::new());
        }
        let (refused, given): (BTreeSet<_>, BTreeSet<_>) =
            wanted.into_iter().partition(|permission| permission.needs_dead_letter_queue());
        let words: Vec<&str> = refused.iter().map(|permission| permission.as_str()).collect();
        let rule = format!(
            "{} cannot be given: Queue {} has no managed dead-letter queue, or none yet; point a QueueAccess to the Queue that is its dead-letter queue",
            words.join(" and "),
            queue_of(self.access)
        );
        (given, words.first().map(|_| FieldError::new("spec.permissions", rule)).into_iter().collect())
    }
}

/// The managed dead-letter queue that the queue has in AWS. One that it uses by reference is another's to give.
fn managed_dead_letter(queue: &Queue, target: &Target) -> Option<String> {
    let name = QueueName::parse(target.dead_letter_queue_name.as_deref()?).ok()?;
    let arn = target.place().queue_arn(&name).to_string();
    let in_use = queue.status.as_ref()?.dead_letter.as_ref()?;
    (in_use.queue_arn == arn).then_some(arn)
}

fn grants(permissions: &BTreeSet<Permission>, queue: &Queue, target: &Target) -> Vec<Grant> {
    let status = queue.status.as_ref();
    let key =
        status.and_then(|status| status.effective.as_ref()).and_then(|effective| effective.encryption.key.clone());
    let granted = |arn: String| GrantedQueue { arn, key: key.clone() };
    let Some(arn) = status.and_then(|status| status.queue_arn.clone()) else {
        return Vec::new();
    };
    let dead_letter = managed_dead_letter(queue, target).map(granted);
    let grant = |permission: &Permission| Grant {
        permission: *permission,
        queue: granted(arn.clone()),
        dead_letter: dead_letter.clone(),
    };
    permissions.iter().map(grant).collect()
}

fn not_ready(queue: &Key, why: &str) -> Finding {
    Finding::waiting(Reason::QueueNotReady, format!("nothing new is given on Queue {queue} now: {why}"), SLOW)
}
