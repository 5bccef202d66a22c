//! The `QueueAccess`: one pass reads what its Queue says, and writes a Secret and a status. For a principal it calls AWS for
//! nothing: the Queue's own reconcile lets it in. Other subjects have roles, which are kept here.

mod binding;
mod identity;
mod known;
mod part;
mod roles;
mod workplace;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::conditions::EventReason;
use crate::api::queue_access::SecretReference;
use crate::api::{Queue, QueueAccess, QueueAccessStatus};
use crate::domain::access::{AccessInput, AccessPlan, GrantingQueue, Subject, plan_access, queue_of};
use crate::domain::desired::Desired;
use crate::domain::finding::{Finding, resync_after};
use crate::domain::fleet::Key;
use crate::domain::observed::{Memory, Observed};
use crate::domain::outputs::OutputKind;
use crate::domain::plan::Step;
use crate::domain::report::Verdict;
use crate::runtime::metrics;

use super::cluster::{Announcement, Cluster, ClusterError, Owner};
use super::queue::Outcome;
use super::queue::apply::{Failure, finalizers, superseded};
use super::queue::events;

pub use known::Identities;
pub use workplace::{ClusterClients, IdentityClients, RoleClients, Workplace};

/// How soon to begin again when the object changed during a pass; its watch event usually comes first.
const OUTDATED_RETRY: SignedDuration = SignedDuration::from_secs(1);

/// How often an object at rest is looked at although nothing it depends on has changed.
const RESYNC: SignedDuration = SignedDuration::from_mins(10);

/// Reconciles `QueueAccess`es.
pub struct AccessReconciler {
    /// Kubernetes.
    pub cluster: Arc<dyn Cluster>,
    /// Classes, and clients for AWS.
    pub workplace: Arc<dyn Workplace>,
    /// What is known of subjects that have roles.
    pub identities: Identities,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Whether this process may still write: it holds the leader lease by its own clock.
    pub may_write: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl AccessReconciler {
    /// One pass over `access`. It never fails: what goes wrong is in the object's status, and decides when to look again.
    pub async fn pass(&self, access: &QueueAccess, memory: &mut Memory) -> Outcome<QueueAccess> {
        let now = (self.clock)();
        let uid = access.metadata.uid.clone().unwrap_or_default();
        let mut pass =
            Pass { reconciler: self, access: access.clone(), uid, superseded: Vec::new(), looks_again: None, now };
        let ended = match Subject::of(&access.spec.subject) {
            Subject::Principal(_) => pass.work(memory).await,
            subject => pass.work_on_identity(&subject, memory).await,
        };
        let at_rest = resync_after(RESYNC, &pass.uid);
        let at_rest = pass.looks_again.map_or(at_rest, |again| again.min(at_rest));
        let (requeue, kind) = match ended {
            Ok(None) => (at_rest, metrics::Outcome::Converged),
            Ok(Some(finding)) if finding.is_stalled => (finding.retry.min(at_rest), metrics::Outcome::Stalled),
            Ok(Some(finding)) => (finding.retry.min(at_rest), metrics::Outcome::Waiting),
            Err(Failure::Outdated | Failure::NotLeading) => (OUTDATED_RETRY, metrics::Outcome::Waiting),
            Err(Failure::Finding(finding)) => {
                memory.failed(now);
                let key = Key::of_metadata(&access.metadata);
                tracing::warn!(kind = "QueueAccess", %key, reason = finding.reason.as_str(), "{}", finding.message);
                (finding.retry, metrics::Outcome::Failed)
            }
        };
        Outcome { requeue, kind, superseded: pass.superseded, newest: pass.access }
    }
}

/// One pass.
struct Pass<'a> {
    reconciler: &'a AccessReconciler,
    /// The newest version of the object.
    access: QueueAccess,
    uid: String,
    /// Resource versions that our own writes have replaced.
    superseded: Vec<String>,
    /// How soon to look again at what IAM may not show yet.
    looks_again: Option<SignedDuration>,
    now: Timestamp,
}

impl Pass<'_> {
    /// Answers what keeps the object from being ready.
    async fn work(&mut self, memory: &mut Memory) -> Result<Option<Finding>, Failure> {
        let mut observed = self.observed(memory);
        let cluster = self.reconciler.cluster.clone();
        let to = queue_of(&self.access);
        let mut plan = self.plan(cluster.queue(&to).as_ref(), &observed, memory);
        if plan.finalizer == Some(false) {
            // The cache may be behind: what the Queue has on record, it recorded before AWS heard of it.
            let newest = self.in_cluster(cluster.newest_queue(&to).await, memory)?;
            plan = self.plan(newest.as_ref(), &observed, memory);
        }
        if let Some(is_held) = plan.finalizer {
            self.set_finalizer(is_held, memory).await?;
            if !is_held {
                return Ok(None);
            }
        }
        let failures = self.write_outputs(&plan.outputs, &mut observed, memory).await?;
        if failures.is_empty() {
            memory.recovered();
        } else {
            memory.failed(self.now);
        }
        let verdict = Verdict::of_access(&plan, failures);
        self.report(&plan, &verdict, &observed, memory).await?;
        Ok(verdict.findings.into_iter().next())
    }

    /// The outputs that there are, those too that lost their label while nobody looked.
    fn observed(&self, memory: &mut Memory) -> Observed {
        let outputs = self.reconciler.cluster.outputs_of(&Owner::from(&self.access));
        memory.outputs.extend(outputs.iter().map(|seen| (seen.output.kind, seen.output.name.clone())));
        let on_record = self.access.status.iter().filter_map(|status| status.secret.as_ref());
        memory.outputs.extend(on_record.map(|secret| (OutputKind::Secret, secret.name.clone())));
        Observed { outputs, ..Observed::default() }
    }

    fn plan(&self, queue: Option<&Queue>, observed: &Observed, memory: &Memory) -> AccessPlan {
        let (access, cluster) = (&self.access, &self.reconciler.cluster);
        let labels = cluster.labels_around(access);
        let key = Key::of_metadata(&access.metadata);
        let is_deleting = access.metadata.deletion_timestamp.is_some();
        let declared = queue.map(|queue| {
            let class = self.reconciler.workplace.class_of(queue)?;
            let fleet = cluster.fleet_around(queue, &class);
            // Only those that are looked at are worth the work; who is on its way out wants to know what keeps it, and a
            // Queue without a valid name is not among the fleet.
            let is_looked_at = is_deleting || fleet.grant(&key).is_some() || fleet.get(&Key::of(queue)).is_none();
            let desired = is_looked_at.then(|| Desired::of(queue, &class, &fleet)).transpose()?;
            Ok((class, desired))
        });
        let queue = queue.zip(declared.as_ref()).map(|(queue, declared)| GrantingQueue {
            queue,
            desired: declared.as_ref().map(|(class, desired)| (class, desired.as_ref())),
        });
        plan_access(&AccessInput { access, labels: labels.as_ref(), queue, observed, memory, now: self.now })
    }

    async fn set_finalizer(&mut self, is_held: bool, memory: &Memory) -> Result<(), Failure> {
        let all = finalizers(&self.access.metadata, is_held);
        self.may_write()?;
        match self.reconciler.cluster.set_access_finalizers(&self.access, all).await {
            // Without any finalizer left, an object being deleted is gone at once.
            Err(ClusterError::Gone) if !is_held => Ok(()),
            result => {
                let newer = self.in_cluster(result, memory)?;
                self.replace(newer);
                Ok(())
            }
        }
    }

    /// Writes the Secret, then removes the one in whose place it is. Answers what kept it from being written.
    async fn write_outputs(
        &self,
        steps: &[Step],
        observed: &mut Observed,
        memory: &mut Memory,
    ) -> Result<Vec<Finding>, Failure> {
        let owner = Owner::from(&self.access);
        for step in steps {
            self.may_write()?;
            let written = match step {
                Step::WriteOutput(output) => self.reconciler.cluster.write_output(&owner, output).await,
                Step::DeleteOutput { kind, name } => self.reconciler.cluster.delete_output(&owner, *kind, name).await,
                _ => continue,
            };
            match self.in_cluster(written, memory) {
                Err(Failure::Finding(finding)) => return Ok(vec![finding]),
                other => other?,
            }
            match step {
                Step::WriteOutput(output) => {
                    observed.put_output(output);
                    memory.outputs.insert((output.kind, output.name.clone()));
                }
                Step::DeleteOutput { kind, name } => {
                    observed.remove_output(*kind, name);
                    memory.outputs.remove(&(*kind, name.clone()));
                }
                _ => {}
            }
        }
        Ok(Vec::new())
    }

    /// One status write, and none when nothing changed.
    async fn report(
        &mut self,
        plan: &AccessPlan,
        verdict: &Verdict,
        observed: &Observed,
        memory: &Memory,
    ) -> Result<(), Failure> {
        let previous = self.access.status.clone().unwrap_or_default();
        let generation = self.access.metadata.generation;
        let target = plan.target.clone().or_else(|| previous.target.clone());
        let mut secrets = observed.outputs.iter().filter(|seen| seen.output.kind == OutputKind::Secret);
        let status = QueueAccessStatus {
            observed_generation: generation,
            conditions: verdict.conditions(&previous.conditions, generation, self.now),
            target,
            secret: secrets.next().map(|seen| SecretReference { name: seen.output.name.clone() }),
        };
        if status == previous {
            return Ok(());
        }
        let owner = Owner::from(&self.access);
        let was_ready = previous.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        let news = match verdict.findings.first() {
            Some(finding) => events::of_finding(finding, &previous.conditions),
            None => (!was_ready).then(|| Announcement {
                is_warning: false,
                reason: EventReason::LetIn.as_str(),
                note: verdict.ready.1.clone(),
            }),
        };
        if let Some(event) = news.filter(|_| self.may_write().is_ok()) {
            self.reconciler.cluster.publish(&owner, event).await;
        }
        self.write_status(status, memory).await
    }

    async fn write_status(&mut self, status: QueueAccessStatus, memory: &Memory) -> Result<(), Failure> {
        self.may_write()?;
        let newer = self.reconciler.cluster.write_access_status(&self.access, status).await;
        let newer = self.in_cluster(newer, memory)?;
        self.replace(newer);
        Ok(())
    }

    fn may_write(&self) -> Result<(), Failure> {
        if (self.reconciler.may_write)() { Ok(()) } else { Err(Failure::NotLeading) }
    }

    fn in_cluster<T>(&self, result: Result<T, ClusterError>, memory: &Memory) -> Result<T, Failure> {
        result.map_err(|error| Failure::of_cluster(&error, "spec.secret", memory, &self.uid, self.now))
    }

    fn replace(&mut self, newer: QueueAccess) {
        self.superseded.extend(superseded(&self.access.metadata, &newer.metadata));
        self.access = newer;
    }
}
