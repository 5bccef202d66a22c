//! Which grants are in force, and how those that are not come to be.
//!
//! AWS refuses a policy as a whole when a principal in it is not there, and does not say which. Nobody's access may depend on
//! what others name: a grant is in the policy that is kept as declared only once AWS took it. New ones are tried together
//! when all else of the policy is in force; if that is refused, one by one, and who is refused alone is to blame.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::queue::DeletionPolicy;
use crate::api::status::GrantStatus;

use super::super::attributes::Attribute;
use super::super::desired::{Desired, DesiredQueue};
use super::super::diff::{GONE_PRINCIPAL_RETRY, REFUSED_RETRY};
use super::super::names::QueueName;
use super::super::observed::{Memory, PATIENCE, Record, Sight, Trial};
use super::super::plan::{Input, Step, comparison, is_owned, only_reports};
use super::super::policy::PolicyDocument;
use super::super::retire::lets_anybody_in;
use super::{Admitted, Grant};

/// What `input.desired` comes to now: with the grants in its policies that are in force, and those that are on trial.
#[must_use]
pub fn let_in(input: &Input<'_>) -> Desired {
    // Most queues have no grants, and their policies are compiled already.
    if input.desired.grants.admitted.is_empty() {
        return input.desired.clone();
    }
    let force = Force { input };
    let ready: Vec<&Admitted> =
        input.desired.grants.admitted.iter().filter(|admitted| admitted.grant.has_finalizer).collect();
    let (proven, others): (Vec<&Admitted>, Vec<&Admitted>) = ready.into_iter().partition(|a| force.is_proven(&a.grant));
    let base = force.letting_in(&proven);
    if input.desired.observe {
        return base;
    }
    let on_trial: Vec<&Admitted> = others.into_iter().filter(|a| trial_after(&a.grant, input).is_none()).collect();
    let with = |more: &[&Admitted]| force.letting_in(&[&proven, more].concat());
    let all = with(&on_trial);
    if on_trial.is_empty() || force.is_settled(&all) {
        return all;
    }
    let is_base_settled = force.is_settled(&base) || only_reports(&Input { desired: &base, ..*input });
    match on_trial[..] {
        _ if !is_base_settled => base,
        // Together first: most are right.
        [first, _, ..] if force.is_refused(&all) => with(&[first]),
        _ => all,
    }
}

/// The grants to put on record before AWS hears of them.
pub(in crate::domain) fn grants_to_record(input: &Input<'_>) -> Vec<GrantStatus> {
    let mut grants = input.record.grants.clone();
    if input.desired.observe {
        return grants;
    }
    let ready = input.desired.grants.admitted.iter().map(|admitted| &admitted.grant);
    for grant in ready.filter(|grant| grant.has_finalizer && entry(input.record, grant).is_none()) {
        grants.retain(|entry| !is_named(entry, grant));
        grants.push(blank(grant));
    }
    sorted(grants)
}

/// The grants on record after a look at AWS: what it took is in force, and who is neither let in nor about to be is
/// forgotten. As before as long as AWS does not have the policies that `input.desired` says.
#[must_use]
pub fn grants_in_force(input: &Input<'_>) -> Vec<GrantStatus> {
    let force = Force { input };
    if input.desired.observe || !force.is_settled(input.desired) {
        return input.record.grants.clone();
    }
    let admitted = input.desired.grants.admitted.iter();
    let mut grants: Vec<GrantStatus> = Vec::new();
    if leaves_a_queue_open(input) {
        grants.clone_from(&input.record.grants);
    }
    grants.retain(|entry| !admitted.clone().any(|admitted| is_named(entry, &admitted.grant)));
    grants.extend(admitted.filter(|admitted| admitted.grant.has_finalizer).map(|admitted| {
        let grant = &admitted.grant;
        let is_in = input.desired.let_in.contains(&grant.uid);
        let refused_time = entry(input.record, grant).and_then(|entry| entry.refused_time.clone());
        GrantStatus {
            generation: grant.generation.filter(|_| is_in),
            refused_time: refused_time.filter(|_| !is_in),
            ..blank(grant)
        }
    }));
    sorted(grants)
}

/// Whether a dead-letter queue that is no longer used may let in whom it did: it is still to be closed.
fn leaves_a_queue_open(input: &Input<'_>) -> bool {
    let used = input.desired.managed_dead_letter().map(|queue| queue.name.as_str());
    let retired = input.record.retired.iter().map(|retired| retired.queue_name.as_str());
    let last = input.record.target.as_ref().and_then(|target| target.dead_letter_queue_name.as_deref());
    let mut names = retired.chain(last).filter(|name| Some(*name) != used);
    let is_open = |name| match QueueName::parse(name).map(|name| input.observed.sight(&name)) {
        Ok(Sight::Present(present)) => lets_anybody_in(present),
        Ok(Sight::Absent) | Err(_) => false,
        Ok(_) => true,
    };
    // With `Retain` it is let go as it is.
    input.desired.effective.deletion_policy != DeletionPolicy::Retain && names.any(is_open)
}

/// What a refusal by AWS says of grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It was this one.
    Of {
        /// The UID of the `QueueAccess`.
        uid: String,
        /// When it was refused.
        trial: Trial,
    },
    /// It may have been one of these, by their UIDs: AWS took them once, and does not show them.
    OneOf(BTreeSet<String>),
}

/// Who is to blame, when AWS refused policies at `input.now`: the one grant that was on trial in them, or, when none was,
/// those that were only trusted to be known.
#[must_use]
pub fn blame(input: &Input<'_>) -> Option<Blame> {
    let force = Force { input };
    if !force.was_refused_now(input.desired) {
        return None;
    }
    let admitted = input.desired.grants.admitted.iter().map(|admitted| admitted.grant.as_ref());
    let let_in: Vec<&Grant> = admitted.filter(|grant| input.desired.let_in.contains(&grant.uid)).collect();
    let on_trial: Vec<&Grant> = let_in.iter().copied().filter(|grant| !force.is_proven(grant)).collect();
    match on_trial[..] {
        [] => {
            let unseen = let_in.into_iter().filter(|grant| !force.is_shown(grant)).map(|grant| grant.uid.clone());
            Some(unseen.collect()).filter(|unseen: &BTreeSet<String>| !unseen.is_empty()).map(Blame::OneOf)
        }
        [grant] => {
            // Kubernetes keeps whole seconds: what is read back must equal what was written.
            let now = Timestamp::from_second(input.now.as_second()).unwrap_or(input.now);
            let before = entry(input.record, grant).and_then(|entry| entry.refused_time.as_ref());
            let since = before.map_or(now, |since| since.0);
            Some(Blame::Of { uid: grant.uid.clone(), trial: Trial { since, last: input.now } })
        }
        _ => None,
    }
}

impl Blame {
    /// Remembers it.
    pub fn note(self, record: &mut Record, memory: &mut Memory) {
        match self {
            Self::Of { uid, trial } => {
                if let Some(entry) = record.grants.iter_mut().find(|entry| entry.uid == uid) {
                    entry.refused_time = Some(Time(trial.since));
                    entry.generation = None;
                }
                memory.trials.insert(uid, trial);
            }
            // The policy comes first without them, and then they are tried anew.
            Self::OneOf(uids) => {
                for entry in record.grants.iter_mut().filter(|entry| uids.contains(&entry.uid)) {
                    entry.generation = None;
                }
            }
        }
    }
}

/// Whether others are let in than AWS took last, or otherwise.
pub(in crate::domain) fn are_grants_changing(input: &Input<'_>) -> bool {
    let admitted = input.desired.grants.admitted.iter().map(|admitted| &admitted.grant);
    let let_in = admitted.filter(|grant| input.desired.let_in.contains(&grant.uid));
    let wanted: BTreeSet<_> = let_in.map(|grant| (&grant.uid, grant.generation)).collect();
    let taken = input.record.grants.iter().filter(|entry| entry.generation.is_some());
    taken.map(|entry| (&entry.uid, entry.generation)).collect::<BTreeSet<_>>() != wanted
}

/// Whether `steps` only try grants, and all that the Queue itself asks for is done.
#[must_use]
pub fn only_tries(input: &Input<'_>, steps: &[Step]) -> bool {
    let force = Force { input };
    let admitted = input.desired.grants.admitted.iter().map(|admitted| &admitted.grant);
    let is_policy = |step: &Step| match step {
        Step::SetAttributes { attributes, .. } => attributes.keys().eq([&Attribute::Policy]),
        _ => false,
    };
    let mut on_trial = admitted.filter(|grant| input.desired.let_in.contains(&grant.uid) && !force.is_proven(grant));
    on_trial.next().is_some() && steps.iter().all(is_policy)
}

/// How soon a grant is to be tried again that AWS refused.
pub(in crate::domain) fn next_trial(input: &Input<'_>) -> Option<SignedDuration> {
    let admitted = input.desired.grants.admitted.iter().filter(|admitted| admitted.grant.has_finalizer);
    admitted.filter_map(|admitted| trial_after(&admitted.grant, input)).min()
}

fn trial_after(grant: &Grant, input: &Input<'_>) -> Option<SignedDuration> {
    let Trial { since, last } = input.memory.trials.get(&grant.uid)?;
    let is_new = input.now.duration_since(*since) < PATIENCE;
    let wait = if is_new { REFUSED_RETRY } else { GONE_PRINCIPAL_RETRY } - input.now.duration_since(*last);
    wait.is_positive().then_some(wait)
}

fn entry<'a>(record: &'a Record, grant: &Grant) -> Option<&'a GrantStatus> {
    record.grants.iter().find(|entry| is_named(entry, grant) && entry.uid == grant.uid)
}

fn is_named(entry: &GrantStatus, grant: &Grant) -> bool {
    entry.namespace == grant.key.namespace && entry.name == grant.key.name
}

fn blank(grant: &Grant) -> GrantStatus {
    GrantStatus {
        namespace: grant.key.namespace.clone(),
        name: grant.key.name.clone(),
        uid: grant.uid.clone(),
        ..GrantStatus::default()
    }
}

fn sorted(mut grants: Vec<GrantStatus>) -> Vec<GrantStatus> {
    grants.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    grants
}

struct Force<'a> {
    input: &'a Input<'a>,
}

impl Force<'_> {
    fn letting_in(&self, admitted: &[&Admitted]) -> Desired {
        let admitted: Vec<Admitted> = admitted.iter().map(|admitted| (*admitted).clone()).collect();
        self.input.desired.letting_in(&admitted)
    }

    /// Whether AWS is known to know the principal: it took this grant and shows nobody who is gone in its place, or it shows
    /// the principal in a policy.
    fn is_proven(&self, grant: &Grant) -> bool {
        let was_taken = entry(self.input.record, grant).is_some_and(|entry| entry.generation.is_some());
        self.is_shown(grant) || (was_taken && !self.policies().iter().any(PolicyDocument::shows_gone_principals))
    }

    /// Whether AWS shows the principal in a policy.
    fn is_shown(&self, grant: &Grant) -> bool {
        grant.subject.principal_arn().is_some_and(|arn| self.policies().iter().any(|policy| policy.names(arn)))
    }

    /// The policies as AWS shows them.
    fn policies(&self) -> Vec<PolicyDocument> {
        let policy = |queue: &DesiredQueue| {
            let present = self.input.observed.sight(&queue.name).present()?;
            PolicyDocument::parse(present.attributes.settings.get(&Attribute::Policy)?).ok()
        };
        queues(self.input.desired).filter_map(policy).collect()
    }

    /// Whether AWS has these policies, or took them and does not show them yet.
    fn is_settled(&self, desired: &Desired) -> bool {
        let comparison = comparison(self.input);
        queues(desired).all(|queue| {
            let present = self.input.observed.sight(&queue.name).present();
            is_owned(self.input, &queue.name)
                && present.is_some_and(|present| comparison.is_taken(queue, Attribute::Policy, &present.attributes))
        })
    }

    /// Whether AWS refused one of these policies.
    fn is_refused(&self, desired: &Desired) -> bool {
        queues(desired).any(|queue| self.refused(queue).is_some())
    }

    fn was_refused_now(&self, desired: &Desired) -> bool {
        queues(desired).any(|queue| self.refused(queue) == Some(self.input.now))
    }

    fn refused(&self, queue: &DesiredQueue) -> Option<Timestamp> {
        let policy = queue.attributes.get(&Attribute::Policy)?;
        let doubt = self.input.memory.doubt(&queue.name, Attribute::Policy, policy)?;
        Some(doubt.refused.as_ref()?.last)
    }
}

fn queues(desired: &Desired) -> impl Iterator<Item = &DesiredQueue> {
    std::iter::once(&desired.source).chain(desired.managed_dead_letter())
}
