//! One pass over one Queue.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::Queue;
use crate::api::conditions::EventReason;
use crate::api::status::QueueStatus;
use crate::aws::{Kms, Sqs, Sts};
use crate::domain::class::Class;
use crate::domain::deletion::{self, Doomed, plan_deletion};
use crate::domain::desired::Desired;
use crate::domain::finding::{Finding, resync_after};
use crate::domain::fleet::{Fleet, Key};
use crate::domain::observed::{EmptyWatch, Memory, Observed, Record, Sight};
use crate::domain::plan::{Input, Plan, Step, plan};
use crate::domain::report::{Verdict, status_of_plan};
use crate::domain::retire::is_fenced;

use crate::runtime::metrics;

use super::super::cluster::{Announcement, Cluster};
use super::apply::{Applier, Failure, Pass};
use super::events;
use super::observe::{Observer, is_troubled};

/// A plan is made again after its steps, until none is left; a pass that needs more rounds than this goes on later.
const MAX_ROUNDS: usize = 8;

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
    /// Kubernetes.
    pub cluster: Arc<dyn Cluster>,
    /// The rules of the house.
    pub class: Class,
    /// Whether this process may still write: it holds the leader lease by its own clock.
    pub may_write: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// How a pass ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When to look again.
    pub requeue: SignedDuration,
    /// The kind of end, for metrics.
    pub kind: metrics::Outcome,
    /// Resource versions that this pass replaced: a cache that still shows one of them is behind.
    pub superseded: Vec<String>,
    /// The object after the pass' own writes.
    pub newest: Queue,
}

impl Reconciler {
    /// One pass over `queue`. It never fails: what goes wrong is in the object's status, and decides when to look
    /// again.
    pub async fn pass(&self, queue: &Queue, memory: &mut Memory, now: Timestamp) -> Outcome {
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
        let mut pass = Pass {
            record: Record::of(queue),
            queue: queue.clone(),
            observed: Observed::default(),
            superseded: Vec::new(),
        };
        let ended = if is_deleting {
            self.deletion(&mut pass, memory, now).await
        } else {
            self.life(&mut pass, memory, now).await
        };
        let Pass { superseded, queue: newest, .. } = pass;
        match ended {
            Ok(Ended { verdict, look_again }) => {
                let waits = verdict.retry().into_iter().chain(look_again).chain([at_rest]);
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
                tracing::warn!(queue = %Key::of(queue), reason = finding.reason.as_str(), "{}", finding.message);
                Outcome { requeue: finding.retry, kind: metrics::Outcome::Failed, superseded, newest }
            }
        }
    }

    async fn life(&self, pass: &mut Pass, memory: &mut Memory, now: Timestamp) -> Result<Ended, Failure> {
        let fleet = self.fleet(&pass.queue);
        let applier = self.applier(now);
        let uid = pass.queue.metadata.uid.clone().unwrap_or_default();
        let desired = match Desired::of(&pass.queue, &self.class, &fleet) {
            Ok(desired) => desired,
            Err(refusal) => {
                let verdict = Verdict::of_refusal(&refusal);
                let status = pass.queue.status.clone().unwrap_or_default();
                self.report(&applier, pass, &verdict, status, now).await?;
                return Ok(Ended { verdict, look_again: None });
            }
        };
        pass.observed = self.observer().live(&desired, &pass.record, &fleet).await;
        pass.observed.outputs = self.cluster.outputs_of(&pass.queue);
        note_counts(&pass.observed, memory, now);

        let mut failure = None;
        let mut made = Plan::default();
        for round in 0..=MAX_ROUNDS {
            let (observed, record) = (&pass.observed, &pass.record);
            made = plan(&Input {
                desired: &desired,
                observed,
                record,
                memory,
                fleet: &fleet,
                class: &self.class,
                uid: &uid,
                now,
            });
            if made.steps.is_empty() || failure.is_some() || round == MAX_ROUNDS {
                break;
            }
            match applier.apply(&made.steps, pass, memory).await {
                Ok(()) => {}
                // The plan is made once more, for a status that tells how far it went.
                Err(Failure::Finding(finding)) => failure = Some(finding),
                Err(other) => return Err(other),
            }
        }
        note_failure(&failure, &pass.observed, memory, now);
        let verdict = Verdict::of_plan(&desired, &made, failure);
        let input = Input {
            desired: &desired,
            observed: &pass.observed,
            record: &pass.record,
            memory,
            fleet: &fleet,
            class: &self.class,
            uid: &uid,
            now,
        };
        let was_retired = |name: &String| pass.record.retired.iter().any(|retired| retired.queue_name == *name);
        let retired: Vec<String> = made
            .retired
            .iter()
            .map(|retired| &retired.queue_name)
            .filter(|name| !was_retired(name))
            .map(|name| format!("{name} is no longer the dead-letter queue; it is followed until it is empty"))
            .collect();
        self.announce(&pass.queue, EventReason::DeadLetterRetired, false, &retired).await;
        let previous = pass.queue.status.clone().unwrap_or_default();
        let status = status_of_plan(&input, &made, &previous);
        self.report(&applier, pass, &verdict, status, now).await?;
        Ok(Ended { verdict, look_again: made.look_again })
    }

    async fn deletion(&self, pass: &mut Pass, memory: &mut Memory, now: Timestamp) -> Result<Ended, Failure> {
        let fleet = self.fleet(&pass.queue);
        let applier = self.applier(now);
        let doomed = Doomed::of(&pass.queue, &pass.record, &self.class);
        if pass.record.has_finalizer {
            pass.observed = self.observer().doomed(&doomed, &pass.record).await;
        }
        note_counts(&pass.observed, memory, now);
        let mut failure = None;
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
            if made.steps.is_empty() {
                break;
            }
            let is_last = made.steps.contains(&Step::RemoveFinalizer);
            match applier.apply(&made.steps, pass, memory).await {
                Ok(()) if is_last => {
                    self.announce(&pass.queue, EventReason::LeftBehind, true, &made.left_behind).await;
                    return Ok(Ended { verdict: Verdict::of_deletion(&Plan::default(), None), look_again: None });
                }
                Ok(()) => note_counts(&pass.observed, memory, now),
                Err(Failure::Finding(finding)) => {
                    failure = Some(finding);
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        note_failure(&failure, &pass.observed, memory, now);
        if !pass.record.has_finalizer {
            return Ok(Ended { verdict: Verdict::of_deletion(&made, failure), look_again: None });
        }
        let verdict = Verdict::of_deletion(&made, failure);
        let status = pass.queue.status.clone().unwrap_or_default();
        self.report(&applier, pass, &verdict, status, now).await?;
        Ok(Ended { verdict, look_again: None })
    }

    /// One status write, and none when nothing changed.
    async fn report(
        &self,
        applier: &Applier<'_>,
        pass: &mut Pass,
        verdict: &Verdict,
        mut status: QueueStatus,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let previous = pass.queue.status.clone().unwrap_or_default();
        let generation = pass.queue.metadata.generation;
        status.conditions = verdict.conditions(&previous.conditions, generation, now);
        status.observed_generation = generation;
        for finding in &verdict.findings {
            if let Some(event) = events::of_finding(finding, &previous.conditions) {
                self.cluster.publish(&pass.queue, event).await;
            }
        }
        if status == previous {
            return Ok(());
        }
        if !(self.may_write)() {
            return Err(Failure::NotLeading);
        }
        applier.write_status(pass, status).await
    }

    /// One event for each note.
    async fn announce(&self, queue: &Queue, reason: EventReason, is_warning: bool, notes: &[String]) {
        for note in notes {
            let event = Announcement { is_warning, reason: reason.as_str(), note: note.clone() };
            self.cluster.publish(queue, event).await;
        }
    }

    /// All Queues, this one in the version that the pass works on.
    fn fleet(&self, queue: &Queue) -> Fleet {
        let mut fleet = self.cluster.fleet();
        fleet.put(queue, &self.class);
        fleet
    }

    fn observer(&self) -> Observer<'_> {
        Observer { sqs: self.sqs.as_ref(), sts: self.sts.as_ref(), kms: self.kms.as_ref(), class: &self.class }
    }

    fn applier(&self, now: Timestamp) -> Applier<'_> {
        Applier { observer: self.observer(), cluster: self.cluster.as_ref(), may_write: self.may_write.as_ref(), now }
    }
}

/// A pass that came to a verdict.
struct Ended {
    verdict: Verdict,
    look_again: Option<SignedDuration>,
}

/// Counts reads of fenced queues as empty, once a pass.
fn note_counts(observed: &Observed, memory: &mut Memory, now: Timestamp) {
    for (name, sight) in &observed.queues {
        if let Sight::Present(present) = sight {
            let messages = present.attributes.counts.total();
            match EmptyWatch::after(memory.empty.remove(name), is_fenced(present), messages, now) {
                Some(watch) => _ = memory.empty.insert(name.clone(), watch),
                None => {}
            }
        }
    }
}

/// Waits grow while passes fail.
fn note_failure(failure: &Option<Finding>, observed: &Observed, memory: &mut Memory, now: Timestamp) {
    if failure.is_some() || is_troubled(observed) {
        memory.attempts = memory.attempts.saturating_add(1);
        memory.failing_since.get_or_insert(now);
    } else {
        memory.attempts = 0;
        memory.failing_since = None;
    }
}
