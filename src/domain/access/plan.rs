//! The plan for a `QueueAccess`: how it stands, by what its Queue says. Planning reads nothing, writes nothing and cannot fail.

use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::Reason;
use crate::api::queue::{ManagementPolicy, Output as OutputSpec, Switch};
use crate::api::queue_access::AccessTarget;
use crate::api::status::{GrantStatus, Target};
use crate::api::{FINALIZER, Queue, QueueAccess};

use super::super::class::{Class, Labels};
use super::super::desired::{Desired, Refusal};
use super::super::field::FieldError;
use super::super::finding::Finding;
use super::super::fleet::Key;
use super::super::observed::{Memory, Observed, PATIENCE};
use super::super::outputs::{Coordinates, OutputSettings, default_secret_of_access};
use super::super::plan::{Step, output_steps};
use super::admission::{allows_namespace, crowded_out, no_such_queue};
use super::grant::queue_of;

/// How soon to look again at what a Queue's own reconcile does; that is seen at once as well.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// How soon to look again at what only a person can change; that is seen at once as well.
const SLOW: SignedDuration = SignedDuration::from_mins(5);

/// All that the plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct AccessInput<'a> {
    /// The object.
    pub access: &'a QueueAccess,
    /// The labels of its namespace, when they are known.
    pub labels: Option<&'a Labels>,
    /// The Queue that it points to, when it is there.
    pub queue: Option<GrantingQueue<'a>>,
    /// The outputs that the object has.
    pub observed: &'a Observed,
    /// What this process remembers of the object.
    pub memory: &'a Memory,
    /// The time of this pass.
    pub now: Timestamp,
}

/// The Queue that a `QueueAccess` points to.
#[derive(Clone, Copy, Debug)]
pub struct GrantingQueue<'a> {
    /// The object.
    pub queue: &'a Queue,
    /// Its class and what it asks for, or why it asks for nothing. The second is missing when so many older grants point to it
    /// that this one is not looked at.
    pub desired: Result<(&'a Class, Option<&'a Desired>), &'a Refusal>,
}

/// What to do, and what stands in the way.
#[derive(Clone, Debug, Default)]
pub struct AccessPlan {
    /// The finalizer is to be put on, or taken off.
    pub finalizer: Option<bool>,
    /// Writes of the Secret.
    pub outputs: Vec<Step>,
    /// What keeps it from being ready.
    pub finding: Option<Finding>,
    /// The queue that the subject is let in to.
    pub target: Option<AccessTarget>,
    /// What Ready says when nothing stands in the way, if it is not the queue policy.
    pub ready: Option<String>,
}

/// The next steps.
#[must_use]
pub fn plan_access(input: &AccessInput<'_>) -> AccessPlan {
    let access = Access { input, queue: queue_of(input.access) };
    let is_held = input.access.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
    if input.access.metadata.deletion_timestamp.is_some() {
        return if is_held { access.deletion() } else { AccessPlan::default() };
    }
    match access.in_force() {
        Ok((class, coordinates, target)) => AccessPlan {
            finalizer: (!is_held).then_some(true),
            outputs: output_steps(
                &OutputSettings::of_access(input.access, class),
                &coordinates,
                input.observed,
                input.memory,
            ),
            finding: None,
            target: Some(target),
            ready: None,
        },
        Err(Standing::Admitted(finding)) => {
            AccessPlan { finalizer: (!is_held).then_some(true), finding: Some(finding), ..AccessPlan::default() }
        }
        Err(Standing::Out(mut finding)) => {
            // A Queue that is suspended or refused keeps whom it does not allow any more, too.
            if access.is_still_in() {
                finding.message.push_str("; the queue policy still lets it in as it did before");
            }
            AccessPlan { finding: Some(finding), ..AccessPlan::default() }
        }
    }
}

struct Access<'a> {
    input: &'a AccessInput<'a>,
    queue: Key,
}

/// Why a grant is not in force.
enum Standing {
    /// It comes by the Queue's own reconcile.
    Admitted(Finding),
    /// The Queue does not take it in, or not now.
    Out(Finding),
}

impl<'a> Access<'a> {
    /// The class of the Queue and where its queue is, when the queue policy lets the subject in as declared.
    fn in_force(&self) -> Result<(&'a Class, Coordinates, AccessTarget), Standing> {
        let granting = self.granting().map_err(Standing::Out)?;
        if let Some(finding) = own_errors(self.input.access) {
            return Err(Standing::Out(finding));
        }
        let queue = granting.queue;
        if queue.metadata.deletion_timestamp.is_some() {
            return Err(Standing::Out(self.not_ready("it is being deleted")));
        }
        let key = Key::of_metadata(&self.input.access.metadata);
        let (class, desired) = granting.desired.map_err(|refusal| Standing::Out(self.refused(refusal)))?;
        let Some(desired) = desired else {
            return Err(Standing::Out(stalled(&crowded_out(&self.queue))));
        };
        if let Some(refusal) = desired.grants.refused.get(&key) {
            return Err(Standing::Out(stalled(refusal)));
        }
        let entry = self.entry(queue);
        let is_taken = entry.is_some_and(|entry| {
            entry.generation.is_some() && entry.generation == self.input.access.metadata.generation
        });
        let place = queue.status.as_ref().and_then(|status| status.target.as_ref()).map(Target::place);
        if let Some(((coordinates, place), true)) =
            Coordinates::on_record(queue).zip(place).map(|found| (found, is_taken))
        {
            let target = AccessTarget {
                account_id: place.account_id,
                region: place.region,
                queue_arn: coordinates.arn.clone(),
                queue_class_name: Some(class.name.clone()),
                ..AccessTarget::default()
            };
            return Ok((class, coordinates, target));
        }
        if let Some(why) = unwritten(queue) {
            return Err(Standing::Out(self.not_ready(why)));
        }
        Err(Standing::Admitted(self.coming(entry)))
    }

    /// The Queue, when it is there and allows this namespace.
    fn granting(&self) -> Result<GrantingQueue<'a>, Finding> {
        let namespace = self.input.access.metadata.namespace.as_deref().unwrap_or_default();
        let found = self.input.queue.filter(|found| allows_namespace(found.queue, namespace, self.input.labels));
        found.ok_or_else(|| not_found(&self.queue, namespace))
    }

    /// What the Queue has on record of this very object.
    fn entry(&self, queue: &'a Queue) -> Option<&'a GrantStatus> {
        self.listed(queue).filter(|entry| self.input.access.metadata.uid.as_ref() == Some(&entry.uid))
    }

    /// Whether AWS has a policy with it, as far as is on record.
    fn is_still_in(&self) -> bool {
        let entry = self.input.queue.and_then(|found| self.entry(found.queue));
        entry.is_some_and(|entry| entry.generation.is_some())
    }

    fn listed(&self, queue: &'a Queue) -> Option<&'a GrantStatus> {
        let metadata = &self.input.access.metadata;
        let mut grants = queue.status.iter().flat_map(|status| &status.grants);
        grants.find(|entry| {
            metadata.namespace.as_ref() == Some(&entry.namespace) && metadata.name.as_ref() == Some(&entry.name)
        })
    }

    /// What to say of a grant that the Queue takes in and that is not in force.
    fn coming(&self, entry: Option<&GrantStatus>) -> Finding {
        if let Some(since) = entry.and_then(|entry| entry.refused_time.as_ref()) {
            let message = format!(
                "spec.subject.principalArn: AWS refuses a policy that names {}: there is no such role or user, or none any more; create it, and it is tried again",
                self.input.access.spec.subject.principal_arn.as_deref().unwrap_or_default()
            );
            let left = PATIENCE - self.input.now.duration_since(since.0);
            let (is_stalled, retry) = if left.is_positive() { (false, left) } else { (true, SLOW) };
            return Finding { reason: Reason::PrincipalGone, message, is_stalled, retry };
        }
        let message = format!("the queue policy of Queue {} does not let it in yet", self.queue);
        Finding::waiting(Reason::Progressing, message, LOOK_AGAIN)
    }

    fn not_ready(&self, why: &str) -> Finding {
        let message = format!("the queue policy of Queue {} is not written now: {why}", self.queue);
        Finding::waiting(Reason::QueueNotReady, message, SLOW)
    }

    /// The Queue's own message is for those who may read it.
    fn refused(&self, refusal: &Refusal) -> Finding {
        self.not_ready(&in_short(refusal))
    }

    /// Waits until the queue policy lets the subject in no longer.
    fn deletion(&self) -> AccessPlan {
        let listing = self.input.queue.filter(|found| self.listed(found.queue).is_some());
        let Some(found) = listing else {
            return AccessPlan { finalizer: Some(false), ..AccessPlan::default() };
        };
        let is_deleting = found.queue.metadata.deletion_timestamp.is_some();
        let finding = match (found.desired, unwritten(found.queue)) {
            _ if is_deleting => self.not_ready("it is being deleted"),
            (Err(refusal), _) => self.refused(refusal),
            (Ok(_), Some(why)) => self.not_ready(why),
            (Ok(_), None) => {
                let message = format!("the queue policy of Queue {} may still let it in", self.queue);
                Finding::waiting(Reason::Deleting, message, LOOK_AGAIN)
            }
        };
        AccessPlan { finding: Some(finding), ..AccessPlan::default() }
    }
}

/// What to say of a Queue that is not there, or does not allow this namespace.
pub(in crate::domain) fn not_found(queue: &Key, namespace: &str) -> Finding {
    if queue.namespace == namespace {
        let message = format!("there is no Queue {} in this namespace; it is waited for", queue.name);
        return Finding::waiting(Reason::QueueNotFound, message, SLOW);
    }
    stalled(&no_such_queue(queue))
}

/// Why a Queue is refused. Its own message is for those who may read it.
pub(in crate::domain) fn in_short(refusal: &Refusal) -> String {
    format!("{}; its own status says more", refusal.reason.as_str())
}

pub(in crate::domain) fn stalled(refusal: &Refusal) -> Finding {
    Finding::stalled(refusal.reason, refusal.message(), SLOW)
}

/// Why nothing of the Queue's policy is written.
fn unwritten(queue: &Queue) -> Option<&'static str> {
    if queue.spec.suspend {
        return Some("it is suspended");
    }
    (queue.spec.management_policy == Some(ManagementPolicy::Observe)).then_some("it is only observed")
}

/// What the object says wrongly by itself, whatever the API server let through.
fn own_errors(access: &QueueAccess) -> Option<Finding> {
    let prefix = access.spec.secret.as_ref().and_then(|secret| secret.key_prefix.as_deref()).unwrap_or_default();
    prefix.starts_with("AWS_").then(|| {
        let rule = "must not begin with AWS_: such keys redirect the AWS clients of a Pod";
        Finding::stalled(Reason::InvalidSpec, FieldError::new("spec.secret.keyPrefix", rule).to_string(), SLOW)
    })
}

impl OutputSettings {
    /// What `access` asks for, to a Queue of `class`.
    #[must_use]
    pub fn of_access(access: &QueueAccess, class: &Class) -> Self {
        let OutputSpec { mode, name, key_prefix } = access.spec.secret.clone().unwrap_or_default();
        let default = default_secret_of_access(access.metadata.name.as_deref().unwrap_or_default());
        let secret =
            (mode != Some(Switch::Disabled)).then(|| (name.unwrap_or(default), key_prefix.unwrap_or_default()));
        Self::secret_only(secret, class)
    }
}
