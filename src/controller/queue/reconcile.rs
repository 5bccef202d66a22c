//! One pass over one Queue.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::Queue;
use crate::api::conditions::EventReason;
use crate::api::status::QueueStatus;
use crate::aws::{Kms, Policies, Sqs, Sts};
use crate::domain::access::{blame, grants_in_force, let_in, only_tries};
use crate::domain::class::Class;
use crate::domain::deletion::{self, Doomed, plan_deletion, plan_deletion_without_class};
use crate::domain::desired::{Desired, Refusal};
use crate::domain::finding::{Finding, resync_after};
use crate::domain::fleet::{Fleet, Key};
use crate::domain::observed::{EmptyWatch, Memory, Observed, Record};
use crate::domain::outputs::OutputKind;
use crate::domain::plan::{Input, Plan, Step, outputs_on_record, plan};
use crate::domain::report::{Verdict, is_blip, status_of_plan};
use crate::domain::retire::is_closed;

use crate::runtime::metrics;

use super::super::cluster::{Announcement, Cluster, Owner};
use super::apply::{Applier, Failure, Pass};
use super::events;
use super::observe::{Observer, is_troubled};
use super::policies::look_at_doomed;

/// A plan is made again after its steps, until none is left; a pass that needs more rounds than this goes on later.
const MAX_ROUNDS: usize = 8;

/// How soon to begin again after a pass that was given up.
const GIVEN_UP_RETRY: SignedDuration = SignedDuration::from_mins(1);

/// How soon a pass goes on that needs more rounds.
const UNFINISHED_RETRY: SignedDuration = SignedDuration::from_secs(2);

/// How soon to begin again when the object changed during a pass; its watch event usually comes first.
const OUTDATED_RETRY: SignedDuration = SignedDuration::from_secs(1);

/// Reconciles Queues against one place in AWS.
pub struct Reconciler {
    /// SQS.
    pub sqs: Arc<dyn Sqs>,
    /// STS.
    pub sts: Arc<dyn Sts>,
    /// KMS.
    pub kms: Arc<dyn Kms>,
    /// Policies in IAM.
    pub iam: Arc<dyn Policies>,
    /// Kubernetes.
    pub cluster: Arc<dyn Cluster>,
    /// The rules of the house.
    pub class: Class,
    /// The time, for what is written down; a pass decides by the time at which it began.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Whether this process may still write: it holds the leader lease by its own clock.
    pub may_write: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// How a pass ended.
#[derive(Clone, Debug)]
pub struct Outcome<K = Queue> {
    /// When to look again.
    pub requeue: SignedDuration,
    /// The kind of end, for metrics.
    pub kind: metrics::Outcome,
    /// Resource versions that this pass replaced: a cache that still shows one of them is behind.
    pub superseded: Vec<String>,
    /// The object after the pass' own writes.
    pub newest: K,
}

impl<K: Clone> Outcome<K> {
    /// A pass over `object` that was given up.
    #[must_use]
    pub fn given_up(object: &K) -> Self {
        Self { requeue: GIVEN_UP_RETRY, kind: metrics::Outcome::Failed, superseded: Vec::new(), newest: object.clone() }
    }
}

impl Reconciler {
    /// One pass over `queue`. It never fails: what goes wrong is in the object's status, and decides when to look
    /// again.
    pub async fn pass(&self, queue: &Queue, memory: &mut Memory) -> Outcome {
        self.work(queue, None, memory).await
    }

    /// One pass over a Queue that has no class: nothing is asked of AWS.
    pub async fn pass_without_class(&self, queue: &Queue, refusal: &Refusal, memory: &mut Memory) -> Outcome {
        self.work(queue, Some(refusal), memory).await
    }

    async fn work(&self, queue: &Queue, refusal: Option<&Refusal>, memory: &mut Memory) -> Outcome {
        let now = (self.clock)();
        let is_deleting = queue.metadata.deletion_timestamp.is_some();
        let uid = queue.metadata.uid.clone().unwrap_or_default();
        let at_rest = resync_after(self.class.resync, &uid);
        if queue.spec.suspend && !is_deleting {
            return Outcome {
                requeue: at_rest,
                kind: metrics::Outcome::Converged,
                superseded: Vec::new(),
                newest: queue.clone(),
            };
        }
        let mut record = Record::of(queue);
        record.also_wrote(memory.written.as_ref());
        record.also_wrote_policies(&memory.policies);
        memory.follow_request(&queue.metadata);
        let mut pass = Pass { record, queue: queue.clone(), observed: Observed::default(), superseded: Vec::new() };
        let ended = match (refusal, is_deleting) {
            (None, false) => self.life(&mut pass, memory, now).await,
            (None, true) => self.deletion(&mut pass, memory, now).await,
            (Some(refusal), false) => self.refused(&self.applier(now), refusal, &mut pass, memory, now).await,
            (Some(refusal), true) => self.deletion_without_class(refusal, &mut pass, memory, now).await,
        };
        let Pass { superseded, queue: newest, record, .. } = pass;
        memory.written = record.written;
        memory.policies = record.policies;
        match ended {
            Ok(Ended { verdict, look_again }) => {
                let unfinished = verdict.is_unfinished.then_some(UNFINISHED_RETRY);
                let waits = verdict.retry().into_iter().chain(look_again).chain(unfinished).chain([at_rest]);
                let requeue = waits.min().unwrap_or(at_rest);
                let kind = match (memory.attempts > 0, verdict.findings.first()) {
                    (true, _) => metrics::Outcome::Failed,
                    (false, None) => metrics::Outcome::Converged,
                    (false, Some(finding)) if finding.is_stalled => metrics::Outcome::Stalled,
                    (false, Some(_)) => metrics::Outcome::Waiting,
                };
                Outcome { requeue, kind, superseded, newest }
            }
            Err(Failure::Outdated | Failure::NotLeading) => {
                Outcome { requeue: OUTDATED_RETRY, kind: metrics::Outcome::Waiting, superseded, newest }
            }
            Err(Failure::Finding(finding)) => {
                memory.failed(now);
                tracing::warn!(queue = %Key::of(queue), reason = finding.reason.as_str(), "{}", finding.message);
                Outcome { requeue: finding.retry, kind: metrics::Outcome::Failed, superseded, newest }
            }
        }
    }

    async fn life(&self, pass: &mut Pass, memory: &mut Memory, now: Timestamp) -> Result<Ended, Failure> {
        let fleet = self.cluster.fleet_around(&pass.queue, &self.class);
        let applier = self.applier(now);
        let uid = pass.queue.metadata.uid.clone().unwrap_or_default();
        let declared = match Desired::of(&pass.queue, &self.class, &fleet) {
            Ok(declared) => declared,
            Err(refusal) => return self.refused(&applier, &refusal, pass, memory, now).await,
        };
        pass.observed = self.observer().live(&declared, &pass.record, &fleet, memory, now).await;
        self.note_outputs(pass, memory);
        self.note_counts(pass, memory);
        let look = Look { fleet: &fleet, class: &self.class, uid: &uid, now };
        let plan_for = |pass: &mut Pass, memory: &Memory| {
            let desired = let_in(&look.input(&declared, pass, memory));
            pass.record.grants = grants_in_force(&look.input(&desired, pass, memory));
            let made = plan(&look.input(&desired, pass, memory));
            (desired, made)
        };

        let (mut failures, mut done) = (Vec::new(), Vec::new());
        let (mut desired, mut made) = plan_for(pass, memory);
        for _ in 0..MAX_ROUNDS {
            let steps = news(&made.steps, &done);
            if steps.is_empty() {
                break;
            }
            let (failed, refused) = (failures.len(), pass.observed.refused.len());
            self.try_to(&applier, &steps, pass, memory, &mut failures).await?;
            if steps.iter().any(|step| matches!(step, Step::Record { .. })) && self.has_lost_some(&declared, pass) {
                return Err(Failure::Outdated);
            }
            if failures.len() == failed {
                done.extend(steps);
            }
            if let Some(blame) = blame(&look.input(&desired, pass, memory)) {
                blame.note(&mut pass.record, memory);
            }
            pass.record.grants = grants_in_force(&look.input(&desired, pass, memory));
            // After a failure too, for a status that tells how far it went.
            (desired, made) = plan_for(pass, memory);
            // What AWS refuses of one queue keeps no other waiting: the next plan leaves that queue out.
            if failures.len() > failed && pass.observed.refused.len() == refused {
                break;
            }
        }
        self.write_outputs(&applier, &made.outputs, pass, memory, &mut failures).await?;
        note_failures(&failures, &pass.observed, memory, now);
        memory.watched.clone_from(&made.watched);
        let waits = |uid: &String| {
            declared.grants.admitted.iter().any(|a| a.grant.uid == *uid) && !desired.let_in.contains(uid)
        };
        memory.trials.retain(|uid, _| waits(uid));
        // Nothing depends on it, so it comes last.
        pass.observed.key_policy = self.observer().key_policy(&desired, memory, now).await;

        let mut verdict = Verdict::of_plan(&desired, &made, failures);
        let mut look_again = made.look_again;
        if verdict.is_unfinished && only_tries(&look.input(&desired, pass, memory), &made.steps) {
            // The Queue has what it asks for; whom AWS knows of the others is found out by and by.
            verdict.is_unfinished = false;
            look_again = Some(UNFINISHED_RETRY);
        }
        let previous = pass.queue.status.clone().unwrap_or_default();
        let input = look.input(&desired, pass, memory);
        if verdict.findings.len() == made.findings.len() && is_blip(&input, &made) {
            return Ok(Ended { verdict, look_again });
        }
        let status = status_of_plan(&input, &made, &previous);
        self.report(&applier, pass, memory, &verdict, status).await?;
        Ok(Ended { verdict, look_again })
    }

    /// Whether a grant of `declared` is none any more. Asked once it is on record, before AWS hears of it: from then on a
    /// `QueueAccess` waits for its end, and one that did not has gone before.
    fn has_lost_some(&self, declared: &Desired, pass: &Pass) -> bool {
        let admitted = &declared.grants.admitted;
        let fleet = (!admitted.is_empty()).then(|| self.cluster.fleet_around(&pass.queue, &self.class));
        fleet.is_some_and(|fleet| {
            let is_there = |key: &Key, uid: &str| fleet.grant(key).is_some_and(|grant| grant.uid == uid);
            !admitted.iter().all(|admitted| is_there(&admitted.grant.key, &admitted.grant.uid))
        })
    }

    /// A spec that is refused changes nothing in AWS; workloads keep what they read.
    async fn refused(
        &self,
        applier: &Applier<'_>,
        refusal: &Refusal,
        pass: &mut Pass,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<Ended, Failure> {
        self.note_outputs(pass, memory);
        let mut failures = Vec::new();
        let outputs = outputs_on_record(&pass.queue, &self.class, refusal, &pass.observed, memory);
        self.write_outputs(applier, &outputs, pass, memory, &mut failures).await?;
        note_failures(&failures, &pass.observed, memory, now);
        let verdict = Verdict::of_refusal(refusal, failures);
        let status = pass.queue.status.clone().unwrap_or_default();
        self.report(applier, pass, memory, &verdict, status).await?;
        Ok(Ended { verdict, look_again: None })
    }

    /// Takes in which outputs the Queue has.
    fn note_outputs(&self, pass: &mut Pass, memory: &mut Memory) {
        pass.observed.outputs = self.cluster.outputs_of(&Owner::from(&pass.queue));
        memory.outputs.extend(pass.observed.outputs.iter().map(|seen| (seen.output.kind, seen.output.name.clone())));
        // One that lost its label while nobody looked is on record.
        let on_record = pass.queue.status.iter().flat_map(|status| &status.outputs);
        memory
            .outputs
            .extend(on_record.filter_map(|output| Some((OutputKind::parse(&output.kind)?, output.name.clone()))));
    }

    /// Workloads need each of them, whatever else fails; and they keep an old one while its successor cannot be written.
    async fn write_outputs(
        &self,
        applier: &Applier<'_>,
        outputs: &[Step],
        pass: &mut Pass,
        memory: &mut Memory,
        failures: &mut Vec<Finding>,
    ) -> Result<(), Failure> {
        let mut failed = Vec::new();
        for output in outputs {
            if matches!(output, Step::DeleteOutput { kind, .. } if failed.contains(kind)) {
                continue;
            }
            let before = failures.len();
            self.try_to(applier, std::slice::from_ref(output), pass, memory, failures).await?;
            if let Step::WriteOutput(output) = output
                && failures.len() > before
            {
                failed.push(output.kind);
            }
        }
        Ok(())
    }

    /// Carries out steps; what keeps them from being carried out is added to `failures`.
    async fn try_to(
        &self,
        applier: &Applier<'_>,
        steps: &[Step],
        pass: &mut Pass,
        memory: &mut Memory,
        failures: &mut Vec<Finding>,
    ) -> Result<(), Failure> {
        match applier.apply(steps, pass, memory).await {
            Err(Failure::Finding(finding)) => failures.push(finding),
            other => other?,
        }
        Ok(())
    }

    async fn deletion(&self, pass: &mut Pass, memory: &mut Memory, now: Timestamp) -> Result<Ended, Failure> {
        let fleet = self.cluster.fleet_around(&pass.queue, &self.class);
        let applier = self.applier(now);
        let doomed = Doomed::of(&pass.queue, &pass.record, &self.class);
        if pass.record.has_finalizer {
            pass.observed = self.observer().doomed(&doomed, &pass.record).await;
        }
        self.note_counts(pass, memory);
        let (mut failures, mut done) = (Vec::new(), Vec::new());
        let mut made = Plan::default();
        for _ in 0..MAX_ROUNDS {
            let queue = pass.queue.clone();
            made = plan_deletion(&deletion::Input {
                queue: &queue,
                doomed: &doomed,
                observed: &pass.observed,
                record: &pass.record,
                memory,
                fleet: &fleet,
                class: &self.class,
                now,
            });
            if made.needs_policies {
                let sights = look_at_doomed(self.iam.as_ref(), &doomed.policies, &pass.record).await;
                pass.observed.policies = sights;
                continue;
            }
            let steps = news(&made.steps, &done);
            if steps.is_empty() || !failures.is_empty() {
                break;
            }
            let refused = pass.observed.refused.len();
            self.try_to(&applier, &steps, pass, memory, &mut failures).await?;
            if failures.is_empty() {
                done.extend(steps);
            }
            if deletion::lets_go(&pass.queue, &self.class) && pass.observed.refused.len() > refused {
                failures.clear(); // What AWS refuses to let go is left as it is by the next plan.
            }
            if !pass.record.has_finalizer {
                break; // Gone; the plan that let it go says what stays behind.
            }
            forget_filled(&pass.observed, memory);
        }
        let mut status = pass.queue.status.clone().unwrap_or_default();
        status.last_write.clone_from(&pass.record.written);
        self.report_deletion(&applier, pass, memory, &made, failures, status).await
    }

    /// Tells how far a deletion went, or, when it is over, what stays behind.
    async fn report_deletion(
        &self,
        applier: &Applier<'_>,
        pass: &mut Pass,
        memory: &mut Memory,
        made: &Plan,
        failures: Vec<Finding>,
        status: QueueStatus,
    ) -> Result<Ended, Failure> {
        note_failures(&failures, &pass.observed, memory, applier.now);
        let verdict = Verdict::of_deletion(made, failures);
        if pass.record.has_finalizer {
            self.report(applier, pass, memory, &verdict, status).await?;
        } else {
            self.announce(&pass.queue, EventReason::LeftBehind, true, &made.left_behind).await;
        }
        Ok(Ended { verdict, look_again: None })
    }

    async fn deletion_without_class(
        &self,
        refusal: &Refusal,
        pass: &mut Pass,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<Ended, Failure> {
        let applier = self.applier(now);
        let made = plan_deletion_without_class(&pass.queue, &pass.record, refusal);
        let mut failures = Vec::new();
        self.try_to(&applier, &made.steps, pass, memory, &mut failures).await?;
        let status = pass.queue.status.clone().unwrap_or_default();
        self.report_deletion(&applier, pass, memory, &made, failures, status).await
    }

    /// One status write, and none when nothing changed.
    async fn report(
        &self,
        applier: &Applier<'_>,
        pass: &mut Pass,
        memory: &Memory,
        verdict: &Verdict,
        mut status: QueueStatus,
    ) -> Result<(), Failure> {
        let previous = pass.queue.status.clone().unwrap_or_default();
        let generation = pass.queue.metadata.generation;
        status.conditions = verdict.conditions(&previous.conditions, generation, applier.now);
        status.observed_generation = generation;
        if !(self.may_write)() {
            return Err(Failure::NotLeading);
        }
        let news = verdict.findings.first().and_then(|finding| events::of_finding(finding, &previous.conditions));
        if let Some(event) = news {
            self.cluster.publish(&Owner::from(&pass.queue), event).await;
        }
        if status == previous {
            return Ok(());
        }
        applier.write_status(pass, memory, status).await
    }

    /// One event for each note.
    async fn announce(&self, queue: &Queue, reason: EventReason, is_warning: bool, notes: &[String]) {
        for note in notes {
            let event = Announcement { is_warning, reason: reason.as_str(), note: note.clone() };
            self.cluster.publish(&Owner::from(queue), event).await;
        }
    }

    fn observer(&self) -> Observer<'_> {
        let Self { sqs, sts, kms, iam, class, .. } = self;
        Observer { sqs: sqs.as_ref(), sts: sts.as_ref(), kms: kms.as_ref(), iam: iam.as_ref(), class }
    }

    fn applier(&self, now: Timestamp) -> Applier<'_> {
        Applier {
            observer: self.observer(),
            cluster: self.cluster.as_ref(),
            may_write: self.may_write.as_ref(),
            clock: self.clock.as_ref(),
            now,
        }
    }

    /// Counts reads of queues as empty, once a pass.
    fn note_counts(&self, Pass { observed, record, .. }: &Pass, memory: &mut Memory) {
        let now = (self.clock)();
        for (name, present) in observed.present() {
            let is_closed = is_closed(&name, present, record, &self.class, now);
            let is_watched = is_closed || memory.watched.contains(name.as_str());
            let messages = present.attributes.counts.total();
            if is_closed && messages > 0 {
                memory.held.insert(name.to_string());
            }
            let before = memory.empty.remove(name.as_str());
            if let Some(watch) = EmptyWatch::after(before, is_watched, messages, now) {
                memory.empty.insert(name.to_string(), watch);
            }
        }
    }
}

/// What stays the same throughout a pass over a Queue that lives.
#[derive(Clone, Copy)]
struct Look<'a> {
    fleet: &'a Fleet,
    class: &'a Class,
    uid: &'a str,
    now: Timestamp,
}

impl<'a> Look<'a> {
    fn input(&self, desired: &'a Desired, pass: &'a Pass, memory: &'a Memory) -> Input<'a> {
        let Self { fleet, class, uid, now } = *self;
        Input { desired, observed: &pass.observed, record: &pass.record, memory, fleet, class, uid, now }
    }
}

/// A pass that came to a verdict.
struct Ended {
    verdict: Verdict,
    look_again: Option<SignedDuration>,
}

/// The steps that were not carried out in this pass yet: what shows no effect now may show it later.
fn news(steps: &[Step], done: &[Step]) -> Vec<Step> {
    steps.iter().filter(|step| !done.contains(step)).cloned().collect()
}

/// A queue that was read as empty and is not any more begins anew.
fn forget_filled(observed: &Observed, memory: &mut Memory) {
    for (name, present) in observed.present() {
        if present.attributes.counts.total() > 0 {
            memory.empty.remove(name.as_str());
        }
    }
}

/// Waits grow while passes fail.
fn note_failures(failures: &[Finding], observed: &Observed, memory: &mut Memory, now: Timestamp) {
    if failures.is_empty() && !is_troubled(observed) { memory.recovered() } else { memory.failed(now) }
}
