//! Carrying out a plan. Writes only, in order; the first failure ends it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::conditions::Reason;
use crate::api::status::{IamStatus, QueueStatus, RetiredDeadLetter};
use crate::api::{FINALIZER, Queue};
use crate::domain::attributes::{Attribute, Attributes};
use crate::domain::call::{CallError, ErrorClass, ErrorKind};
use crate::domain::finding::{Circumstances, Finding, backoff};
use crate::domain::fleet::Key;
use crate::domain::names::QueueName;
use crate::domain::observed::{Memory, Observed, Present, Record, Sight};
use crate::domain::plan::{QueueHandle, Step};
use crate::domain::report::Verdict;
use crate::domain::tags::{OWNER_KEYS, Tags};

use super::super::cluster::{Cluster, ClusterError, Owner};
use super::events;
use super::observe::Observer;

/// The state of a pass that steps change.
pub(super) struct Pass {
    /// The newest version of the object.
    pub(super) queue: Queue,
    pub(super) record: Record,
    pub(super) observed: Observed,
    /// Resource versions that our own writes have replaced.
    pub(super) superseded: Vec<String>,
}

/// Why a step was not carried out.
pub(in super::super) enum Failure {
    /// The Queue cannot go on; people are told.
    Finding(Finding),
    /// The object changed or is gone: this pass is over, the next begins with the newer object.
    Outdated,
    /// This process may not write any more.
    NotLeading,
}

/// Carries out steps.
pub(super) struct Applier<'a> {
    pub(super) observer: Observer<'a>,
    pub(super) cluster: &'a dyn Cluster,
    pub(super) may_write: &'a (dyn Fn() -> bool + Send + Sync),
    pub(super) clock: &'a (dyn Fn() -> Timestamp + Send + Sync),
    /// When the pass began.
    pub(super) now: Timestamp,
}

impl Applier<'_> {
    /// Carries out `steps` in order.
    pub(super) async fn apply(&self, steps: &[Step], pass: &mut Pass, memory: &mut Memory) -> Result<(), Failure> {
        for step in steps {
            if !(self.may_write)() {
                return Err(Failure::NotLeading);
            }
            tracing::debug!(queue = %Key::of(&pass.queue), step = step.name(), "a step");
            let is_news = self.step(step, pass, memory).await?;
            if let Some(event) = events::of_step(step).filter(|_| is_news) {
                self.cluster.publish(&Owner::from(&pass.queue), event).await;
            }
        }
        Ok(())
    }

    /// Carries out one step. Answers whether it did what it says, so that people may be told.
    async fn step(&self, step: &Step, pass: &mut Pass, memory: &mut Memory) -> Result<bool, Failure> {
        match step {
            Step::CreateQueue { name, attributes, tags } => {
                return self.create(name, attributes, tags, pass, memory).await;
            }
            Step::SetAttributes { queue, attributes, .. } => return self.set(queue, attributes, pass, memory).await,
            Step::AddFinalizer => self.set_finalizer(pass, memory, true).await?,
            Step::RemoveFinalizer => self.set_finalizer(pass, memory, false).await?,
            Step::Record { target, retired, policies, grants, tag_keys, applied_digest } => {
                let mut status = pass.queue.status.clone().unwrap_or_default();
                status.target = Some(target.clone());
                status.retired_dead_letters.clone_from(retired);
                status.grants.clone_from(grants);
                let policies = policies.clone();
                status.iam = (!policies.is_empty()).then_some(IamStatus { policies });
                status.managed_tag_keys = tag_keys.iter().cloned().collect();
                status.applied_digest.clone_from(applied_digest);
                self.record(status, pass, memory).await?;
            }
            Step::TagQueue { queue, tags, .. } => {
                let result = self.observer.sqs.tag_queue(&queue.url, tags).await;
                result.map_err(|error| self.failed(&queue.name, &error, pass, memory))?;
                memory.tagged.insert(queue.name.to_string(), (self.clock)());
                let before = pass.observed.sight(&queue.name).present().map(|present| &present.tags);
                if before.is_some_and(|before| OWNER_KEYS.iter().all(|key| !before.contains_key(*key))) {
                    // What it carried when it was adopted, we did not set.
                    pass.record.managed_tag_keys.retain(|key| tags.contains_key(key));
                }
                self.look_again(queue, pass).await;
            }
            Step::UntagQueue { queue, keys, .. } => {
                let result = self.observer.sqs.untag_queue(&queue.url, keys).await;
                result.map_err(|error| self.failed(&queue.name, &error, pass, memory))?;
                self.untagged(queue, keys, pass).await;
            }
            Step::DeleteQueue { queue } => {
                match self.observer.sqs.delete_queue(&queue.url).await {
                    Err(error) if error.kind != ErrorKind::QueueDoesNotExist => {
                        return Err(self.failed(&queue.name, &error, pass, memory));
                    }
                    _ => _ = memory.deleted.insert(queue.name.to_string(), (self.clock)()),
                }
                memory.created.remove(queue.name.as_str());
                self.look_at_all_again(pass).await;
            }
            Step::CreatePolicy { arn, .. }
            | Step::UpdatePolicy { arn, .. }
            | Step::DeletePolicyVersion { arn, .. }
            | Step::DeletePolicy { arn }
            | Step::TagPolicy { arn, .. }
            | Step::UntagPolicy { arn, .. } => return self.policy_step(step, arn, pass, memory).await,
            Step::WriteOutput(output) => {
                self.in_cluster(self.cluster.write_output(&Owner::from(&pass.queue), output).await, pass, memory)?;
                pass.observed.put_output(output);
                memory.outputs.insert((output.kind, output.name.clone()));
            }
            Step::DeleteOutput { kind, name } => {
                self.in_cluster(
                    self.cluster.delete_output(&Owner::from(&pass.queue), *kind, name).await,
                    pass,
                    memory,
                )?;
                pass.observed.remove_output(*kind, name);
                memory.outputs.remove(&(*kind, name.clone()));
            }
        }
        Ok(true)
    }

    /// Writes to status where the queues and policies live, before AWS hears of them.
    async fn record(&self, mut status: QueueStatus, pass: &mut Pass, memory: &Memory) -> Result<(), Failure> {
        let generation = pass.queue.metadata.generation;
        let before = pass.queue.status.clone().unwrap_or_default();
        // Who comes and goes by a `QueueAccess` says nothing of the Queue.
        let is_about_grants = QueueStatus { grants: status.grants.clone(), ..before } == status;
        if !is_about_grants || status.observed_generation != generation {
            status.conditions = Verdict::in_progress().conditions(&status.conditions, generation, self.now);
            status.observed_generation = generation;
        }
        let is_new = |dead_letter: &&RetiredDeadLetter| !pass.record.retired.contains(dead_letter);
        let newly_retired: Vec<_> =
            status.retired_dead_letters.iter().filter(is_new).map(|r| r.queue_name.clone()).collect();
        let recorded = (status.target.clone(), status.iam.clone());
        self.write_status(pass, memory, status).await?;
        let written = pass.record.written.take();
        pass.record = Record { written, ..Record::of(&pass.queue) };
        if pass.queue.status.as_ref().map(|status| (status.target.clone(), status.iam.clone())) != Some(recorded) {
            return Err(Failure::Finding(pruned()));
        }
        for name in newly_retired {
            self.cluster.publish(&Owner::from(&pass.queue), events::of_retirement(&name)).await;
        }
        Ok(())
    }

    /// Creates a queue and reads back whose it is.
    async fn create(
        &self,
        name: &QueueName,
        attributes: &Attributes,
        tags: &Tags,
        pass: &mut Pass,
        memory: &mut Memory,
    ) -> Result<bool, Failure> {
        let answer = self.observer.sqs.create_queue(name, attributes, tags).await;
        let is_made = answer.is_ok();
        // Without an answer it may have been made all the same.
        if answer.as_ref().err().is_none_or(|error| error.kind == ErrorKind::Transient) {
            if *pass.observed.sight(name) == Sight::Absent {
                memory.created.remove(name.as_str());
            }
            memory.created.entry(name.to_string()).or_insert_with(|| (self.clock)());
        }
        let sight = match answer {
            Ok(url) => self.observer.look_at_new(&url).await,
            // It is there, with other attributes: whose it is, its tags say.
            Err(error) if error.kind == ErrorKind::QueueNameExists => {
                match self.observer.look(name, None, true).await {
                    // It was just made, and its creation is all that AWS shows of it.
                    Sight::Absent => Sight::Appearing,
                    sight => sight,
                }
            }
            // Where only what is nobody's may be tagged, so that it is refused to make one that somebody has.
            Err(error) if error.kind == ErrorKind::Denied => match self.observer.look(name, None, true).await {
                sight @ Sight::Present(_) => sight,
                _ => return Err(self.failed(name, &error, pass, memory)),
            },
            // Which of its attributes AWS means, it does not say: the plan goes on with those that it always takes.
            Err(error) if error.kind == ErrorKind::Invalid && memory.suspect(name, attributes) => return Ok(false),
            Err(error) => return Err(self.failed(name, &error, pass, memory)),
        };
        memory.deleted.remove(name.as_str());
        // One that was there, of the same attributes, carries other tags.
        let has_our_tags = |present: &Present| OWNER_KEYS.iter().all(|key| present.tags.get(*key) == tags.get(*key));
        let is_ours = is_made && sight.present().is_some_and(has_our_tags);
        pass.observed.queues.insert(name.to_string(), sight);
        Ok(is_ours)
    }

    /// Writes attributes, remembers that it did, and reads them back.
    async fn set(
        &self,
        queue: &QueueHandle,
        attributes: &Attributes,
        pass: &mut Pass,
        memory: &mut Memory,
    ) -> Result<bool, Failure> {
        if let Err(error) = self.observer.sqs.set_queue_attributes(&queue.url, attributes).await {
            if error.kind == ErrorKind::Invalid && pass.queue.metadata.deletion_timestamp.is_none() {
                // The plan goes on without what was refused, and says so; it keeps nothing else back.
                let only = attributes.first_key_value().filter(|_| attributes.len() == 1);
                if let Some((attribute, value)) = only.filter(|(attribute, _)| attribute.depends_on_others()) {
                    memory.was_refused(&queue.name, *attribute, value, &error.message, self.now);
                    return Ok(false);
                }
                // Which of several AWS means, it does not say.
                if memory.suspect(&queue.name, attributes) {
                    return Ok(false);
                }
            }
            if error.kind == ErrorKind::Transient {
                pass.record.wrote_perhaps(&queue.name, attributes, (self.clock)());
            }
            return Err(self.failed(&queue.name, &error, pass, memory));
        }
        memory.were_accepted(&queue.name, attributes);
        if attributes.contains_key(&Attribute::Policy) {
            // Zeros read under another policy count for nothing.
            memory.empty.remove(queue.name.as_str());
        }
        pass.record.wrote(&queue.name, attributes, (self.clock)());
        self.look_again(queue, pass).await;
        Ok(true)
    }

    /// Writes the status and goes on with the newer object.
    pub(super) async fn write_status(
        &self,
        pass: &mut Pass,
        memory: &Memory,
        status: QueueStatus,
    ) -> Result<(), Failure> {
        let newer = self.in_cluster(self.cluster.write_status(&pass.queue, status).await, pass, memory)?;
        pass.replace(newer);
        Ok(())
    }

    async fn set_finalizer(&self, pass: &mut Pass, memory: &Memory, with_ours: bool) -> Result<(), Failure> {
        let all = finalizers(&pass.queue.metadata, with_ours);
        match self.cluster.set_finalizers(&pass.queue, all).await {
            // Without any finalizer left, an object being deleted is gone at once.
            Err(ClusterError::Gone) if !with_ours => {}
            result => {
                let newer = self.in_cluster(result, pass, memory)?;
                pass.replace(newer);
            }
        }
        pass.record.has_finalizer = with_ours;
        Ok(())
    }

    /// Reads back a queue that lost tags. Who may read only what carries the owner tags cannot see that it carries them
    /// no longer.
    async fn untagged(&self, queue: &QueueHandle, keys: &[String], pass: &mut Pass) {
        let is_released = keys.iter().any(|key| OWNER_KEYS.contains(&key.as_str()));
        let before = pass.observed.sight(&queue.name).present().cloned().filter(|_| is_released);
        if is_released {
            pass.observed.released.insert(queue.name.to_string());
        }
        self.look_again(queue, pass).await;
        if let Some(mut released) = before.filter(|_| pass.observed.sight(&queue.name).present().is_none()) {
            released.tags.retain(|key, _| !keys.contains(key));
            pass.observed.queues.insert(queue.name.to_string(), Sight::Present(released));
        }
    }

    /// Reads back what was written: with luck it shows at once.
    async fn look_again(&self, queue: &QueueHandle, pass: &mut Pass) {
        let sight = self.observer.look(&queue.name, Some(&queue.url), true).await;
        pass.observed.queues.insert(queue.name.to_string(), sight);
    }

    /// A deletion changes what the other queues' counts mean: all are read anew.
    async fn look_at_all_again(&self, pass: &mut Pass) {
        let names: Vec<QueueName> =
            pass.observed.queues.keys().filter_map(|name| QueueName::parse(name).ok()).collect();
        for name in names {
            let url = pass.observed.sight(&name).present().map(|present| present.url.clone());
            let sight = self.observer.look(&name, url.as_deref(), true).await;
            pass.observed.queues.insert(name.to_string(), sight);
        }
    }

    fn failed(&self, name: &QueueName, error: &CallError, pass: &mut Pass, memory: &Memory) -> Failure {
        if matches!(error.class(), ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::NotFound) {
            pass.observed.refused.insert(name.to_string(), error.to_string());
        }
        let uid = pass.queue.metadata.uid.as_deref().unwrap_or_default();
        let caller_arn = &self.observer.class.caller_arn;
        let circumstances = Circumstances { memory, uid, caller_arn, now: self.now };
        Failure::Finding(Finding::of_call(name.as_str(), error, &circumstances))
    }

    fn in_cluster<T>(&self, result: Result<T, ClusterError>, pass: &Pass, memory: &Memory) -> Result<T, Failure> {
        let uid = pass.queue.metadata.uid.as_deref().unwrap_or_default();
        result.map_err(|error| Failure::of_cluster(&error, "spec.outputs", memory, uid, self.now))
    }
}

impl Failure {
    /// What a refused or failed write within Kubernetes means, for an object whose outputs are named at the path `outputs`.
    pub(in super::super) fn of_cluster(
        error: &ClusterError,
        outputs: &str,
        memory: &Memory,
        uid: &str,
        now: Timestamp,
    ) -> Self {
        let finding = |reason, message: String, class, is_stalled| {
            Self::Finding(Finding { reason, message, is_stalled, retry: backoff(class, memory.attempts, uid) })
        };
        match error {
            ClusterError::Stale | ClusterError::Gone => Self::Outdated,
            ClusterError::NotLeading => Self::NotLeading,
            ClusterError::Foreign { .. } => finding(
                Reason::OutputConflict,
                format!("{error}; it is left untouched. Choose another name in {outputs}, or remove that object"),
                ErrorClass::Invalid,
                true,
            ),
            ClusterError::Refused(words) => finding(
                Reason::KubernetesRefused,
                format!("the API server refuses a write: {words}"),
                ErrorClass::Invalid,
                memory.is_past_patience(now),
            ),
            ClusterError::Failed(words) => finding(
                Reason::KubernetesUnavailable,
                format!("the API server did not take a write: {words}"),
                ErrorClass::Transient,
                false,
            ),
        }
    }
}

impl Pass {
    fn replace(&mut self, newer: Queue) {
        self.superseded.extend(superseded(&self.queue.metadata, &newer.metadata));
        self.queue = newer;
    }
}

/// The version that a write replaced. One that changes nothing leaves the version as it is.
pub(in super::super) fn superseded(before: &ObjectMeta, after: &ObjectMeta) -> Option<String> {
    before.resource_version.clone().filter(|before| after.resource_version.as_ref() != Some(before))
}

/// The finalizers of an object, with or without ours.
pub(in super::super) fn finalizers(metadata: &ObjectMeta, with_ours: bool) -> Vec<String> {
    let others = metadata.finalizers.iter().flatten().filter(|finalizer| *finalizer != FINALIZER);
    others.cloned().chain(with_ours.then(|| FINALIZER.to_owned())).collect()
}

/// What was written to status is not there: without it nothing may be written to AWS.
fn pruned() -> Finding {
    let message = "the API server drops fields of status that the operator writes: the CustomResourceDefinition is of another release; apply crds/ of this one";
    Finding::stalled(Reason::KubernetesRefused, message, SignedDuration::from_mins(1))
}
