//! Carrying out a plan. Writes only, in order; the first failure ends it.

use jiff::{SignedDuration, Timestamp};

use crate::api::Queue;
use crate::api::conditions::Reason;
use crate::api::status::QueueStatus;
use crate::domain::attributes::Attribute;
use crate::domain::call::{CallError, ErrorKind};
use crate::domain::finding::Finding;
use crate::domain::fleet::Key;
use crate::domain::names::QueueName;
use crate::domain::observed::{Memory, Observed, Record};
use crate::domain::plan::{QueueHandle, Step};
use crate::domain::report::Verdict;

use super::super::cluster::{Cluster, ClusterError};
use super::events;
use super::observe::{Observer, finalizers};

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
pub(super) enum Failure {
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
    pub(super) now: Timestamp,
}

/// How soon to try again after the API server refused a write.
const KUBERNETES_RETRY: SignedDuration = SignedDuration::from_secs(10);

impl Applier<'_> {
    /// Carries out `steps` in order.
    pub(super) async fn apply(&self, steps: &[Step], pass: &mut Pass, memory: &mut Memory) -> Result<(), Failure> {
        for step in steps {
            if !(self.may_write)() {
                return Err(Failure::NotLeading);
            }
            tracing::debug!(queue = %Key::of(&pass.queue), step = step.name(), "a step");
            self.step(step, pass, memory).await?;
            if let Some(event) = events::of_step(step) {
                self.cluster.publish(&pass.queue, event).await;
            }
        }
        Ok(())
    }

    async fn step(&self, step: &Step, pass: &mut Pass, memory: &mut Memory) -> Result<(), Failure> {
        match step {
            Step::AddFinalizer => self.set_finalizer(pass, true).await,
            Step::RemoveFinalizer => self.set_finalizer(pass, false).await,
            Step::RecordTarget(target) => {
                let mut status = pass.queue.status.clone().unwrap_or_default();
                status.target = Some(target.clone());
                let conditions =
                    Verdict::in_progress().conditions(&status.conditions, pass.queue.metadata.generation, self.now);
                status.conditions = conditions;
                status.observed_generation = pass.queue.metadata.generation;
                self.write_status(pass, status).await?;
                pass.record.target = Some(target.clone());
                Ok(())
            }
            Step::CreateQueue { name, attributes, tags } => {
                let sight = match self.observer.sqs.create_queue(name, attributes, tags).await {
                    Ok(url) => self.observer.look_at_new(&url).await,
                    // It is there, with other attributes: whose it is, its tags say.
                    Err(error) if error.kind == ErrorKind::QueueNameExists => {
                        self.observer.look(name, None, true).await
                    }
                    Err(error) => return Err(self.failed(name, &error, pass, memory)),
                };
                memory.deleted.remove(name.as_str());
                pass.observed.queues.insert(name.to_string(), sight);
                Ok(())
            }
            Step::SetAttributes { queue, attributes, .. } => {
                if let Err(error) = self.observer.sqs.set_queue_attributes(&queue.url, attributes).await {
                    if error.kind == ErrorKind::Invalid
                        && let Some(policy) = attributes.get(&Attribute::Policy)
                    {
                        memory.policy_was_refused(&queue.name, policy, &error.message, self.now);
                    }
                    return Err(self.failed(&queue.name, &error, pass, memory));
                }
                if attributes.contains_key(&Attribute::Policy) {
                    memory.refused_policies.remove(queue.name.as_str());
                }
                pass.record.wrote(&queue.name, attributes, self.now);
                self.look_again(queue, pass).await;
                Ok(())
            }
            Step::TagQueue { queue, tags, .. } => {
                let result = self.observer.sqs.tag_queue(&queue.url, tags).await;
                result.map_err(|error| self.failed(&queue.name, &error, pass, memory))?;
                self.look_again(queue, pass).await;
                Ok(())
            }
            Step::UntagQueue { queue, keys, .. } => {
                let result = self.observer.sqs.untag_queue(&queue.url, keys).await;
                result.map_err(|error| self.failed(&queue.name, &error, pass, memory))?;
                self.look_again(queue, pass).await;
                Ok(())
            }
            Step::DeleteQueue { queue } => {
                match self.observer.sqs.delete_queue(&queue.url).await {
                    Err(error) if error.kind != ErrorKind::QueueDoesNotExist => {
                        return Err(self.failed(&queue.name, &error, pass, memory));
                    }
                    _ => _ = memory.deleted.insert(queue.name.to_string(), self.now),
                }
                self.look_at_all_again(pass).await;
                Ok(())
            }
            Step::WriteOutput(output) => {
                self.in_cluster(self.cluster.write_output(&pass.queue, output).await)?;
                pass.observed.put_output(output);
                Ok(())
            }
            Step::DeleteOutput { kind, name } => {
                self.in_cluster(self.cluster.delete_output(&pass.queue, *kind, name).await)?;
                pass.observed.remove_output(*kind, name);
                Ok(())
            }
        }
    }

    /// Writes the status and goes on with the newer object.
    pub(super) async fn write_status(&self, pass: &mut Pass, status: QueueStatus) -> Result<(), Failure> {
        let newer = self.in_cluster(self.cluster.write_status(&pass.queue, status).await)?;
        pass.replace(newer);
        Ok(())
    }

    async fn set_finalizer(&self, pass: &mut Pass, with_ours: bool) -> Result<(), Failure> {
        let all = finalizers(&pass.queue, with_ours);
        match self.cluster.set_finalizers(&pass.queue, all).await {
            // Without any finalizer left, an object being deleted is gone at once.
            Err(ClusterError::Gone) if !with_ours => {}
            result => pass.replace(self.in_cluster(result)?),
        }
        pass.record.has_finalizer = with_ours;
        Ok(())
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

    fn failed(&self, name: &QueueName, error: &CallError, pass: &Pass, memory: &Memory) -> Failure {
        let uid = pass.queue.metadata.uid.as_deref().unwrap_or_default();
        Failure::Finding(Finding::of_call(name.as_str(), error, memory, uid, self.now))
    }

    fn in_cluster<T>(&self, result: Result<T, ClusterError>) -> Result<T, Failure> {
        result.map_err(|error| match error {
            ClusterError::Stale | ClusterError::Gone => Failure::Outdated,
            ClusterError::Foreign { .. } => {
                let message = format!(
                    "{error}; it is left untouched. Choose another name in spec.outputs, or remove that object"
                );
                Failure::Finding(Finding::stalled(Reason::OutputConflict, message, SignedDuration::from_mins(1)))
            }
            ClusterError::Failed(words) => {
                let message = format!("the API server refuses a write: {words}");
                Failure::Finding(Finding::waiting(Reason::KubernetesUnavailable, message, KUBERNETES_RETRY))
            }
        })
    }
}

impl Pass {
    fn replace(&mut self, newer: Queue) {
        self.superseded.extend(self.queue.metadata.resource_version.take());
        self.queue = newer;
    }
}
