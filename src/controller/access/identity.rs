//! Subjects that have a role: one pass over a `QueueAccess` brings all of its subject's role and policies up to date, and
//! reports on that one `QueueAccess`. Passes over the same subject wait for each other.

use jiff::SignedDuration;

use crate::api::class::DriftMode;
use crate::api::conditions::Reason;
use crate::api::queue_access::AccessTarget;
use crate::api::{FINALIZER, QueueAccess};
use crate::aws::target::Session;
use crate::domain::access::{AccessPlan, Subject, queue_of};
use crate::domain::class::Class;
use crate::domain::finding::{Circumstances, Finding};
use crate::domain::fleet::Key;
use crate::domain::iam::SETTLING;
use crate::domain::identity::{
    AccountSight, AssociationSight, Bound, Claim, Desired, Entitlement, Given, Member, Request, account_on_record,
    home, word,
};
use crate::domain::observed::Memory;
use crate::domain::outputs::OutputSettings;
use crate::domain::plan::output_steps;
use crate::domain::report::Verdict;

use super::super::queue::apply::Failure;
use super::Pass;
use super::binding::association;
use super::known::Known;
use super::part::{Outcome, parts};
use super::workplace::IdentityClients;

/// How soon to look again at what is being written.
pub(super) const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// How soon to look again at what only a person can change.
pub(super) const SLOW: SignedDuration = SignedDuration::from_mins(5);

/// All that a subject's role depends on, of one pass.
pub(super) struct Scene {
    pub(super) subject: Subject,
    pub(super) namespace: String,
    members: Vec<Member>,
    /// What the `QueueAccess` of this pass comes to.
    own: Entitlement,
    own_class: Option<Class>,
    pub(super) account: AccountSight,
}

/// All that a pass has at hand when it writes.
pub(super) struct Work<'w> {
    pub(super) scene: &'w Scene,
    pub(super) class: &'w Class,
    pub(super) clients: &'w IdentityClients,
    pub(super) known: &'w mut Known,
    pub(super) memory: &'w mut Memory,
}

impl Pass<'_> {
    /// Answers what keeps the object from being ready.
    pub(super) async fn work_on_identity(
        &mut self,
        subject: &Subject,
        memory: &mut Memory,
    ) -> Result<Option<Finding>, Failure> {
        let namespace = self.access.metadata.namespace.clone().unwrap_or_default();
        let known = self.reconciler.identities.of(&namespace, subject);
        let mut known = known.lock().await;
        if self.is_deleting() && !self.is_held() {
            return Ok(None);
        }
        known.left_at = None;
        if memory.follow_request(&self.access.metadata) {
            *known = Known::default();
        }
        let scene = self.scene(subject, namespace, memory).await?;
        let Some(class) = self.home(&scene) else {
            return self.without_class(&scene, memory).await;
        };
        // Whoever may edit the object may take its finalizer off: what is on record is to be taken away all the same.
        let has_made = self.target().is_some_and(AccessTarget::has_made);
        if (scene.own.given.is_some() || has_made) && !self.is_deleting() && !self.is_held() {
            self.set_finalizer(true, memory).await?;
        }
        if !self.is_held() {
            return self.tell(scene.own.finding.clone().into_iter().collect(), None, &scene, memory).await;
        }
        let session = Session::of_queue(&class.cluster.name, &scene.namespace, &word(subject));
        let clients = match self.reconciler.workplace.clients_of(&class, session).await {
            Ok(clients) => clients,
            Err(refusal) => {
                let finding = Finding::waiting(refusal.reason, refusal.message(), SLOW);
                return self.tell(vec![finding], None, &scene, memory).await;
            }
        };
        let work = Work { scene: &scene, class: &class, clients: &clients, known: &mut known, memory };
        self.bring_up_to_date(work).await
    }

    async fn bring_up_to_date(&mut self, mut work: Work<'_>) -> Result<Option<Finding>, Failure> {
        let Work { scene, class, .. } = work;
        let association = self.association(&mut work).await;
        let bound = Bound { account: &scene.account, association: &association };
        let Scene { namespace, subject, members, own, .. } = scene;
        let desired = Desired::of(&Request { namespace, subject, class, members, bound });
        let before = self.target().cloned();
        let given = own.given.as_ref().filter(|_| !self.is_deleting());
        let mut target = desired.to_record(before.as_ref(), given, class);
        if before.as_ref() != Some(&target) {
            self.record(&target, work.memory).await?;
        }

        let mut outcome = Outcome { is_withdrawn: desired.unread.is_none(), ..Outcome::default() };
        for part in parts(&desired, target.applied_digest.as_deref(), &work) {
            outcome.and(self.part(&part, &mut work).await?);
        }
        let recorded = members.iter().filter_map(|member| member.target.as_ref()).flat_map(on_record).collect();
        let is_sure = work.known.is_sure(&desired, &recorded);
        if let Some(picture) = work.known.picture.as_ref().filter(|_| is_sure) {
            target = desired.to_keep(target, picture);
        }
        if outcome.is_withdrawn && is_sure {
            target = desired.without_source(target);
        }
        self.settle(&outcome, &mut work);
        let is_reported = class.drift == DriftMode::Report && outcome.is_done;
        target.applied_digest = is_reported.then(|| desired.digest()).or(target.applied_digest);
        if self.is_deleting() && outcome.is_withdrawn && is_sure {
            if members.len() == 1 {
                work.known.left_at = Some(self.now);
            }
            self.reconciler.identities.tidy(self.now);
            self.set_finalizer(false, work.memory).await?;
            return Ok(None);
        }
        let mut findings = outcome.findings;
        if self.is_deleting() && outcome.is_withdrawn {
            let message = "what was made for its subject does not show in IAM: perhaps not yet; it is looked for again";
            findings.push(Finding::waiting(Reason::Progressing, message, SETTLING));
        }
        findings.extend(desired.unread.clone());
        findings.extend(desired.finding.clone());
        findings.extend(own.finding.clone());
        findings.extend(given.and_then(|given| desired.hinders(&self.key(), given, class, scene.own_class.as_ref())));
        if findings.is_empty() && !outcome.is_done {
            findings.push(Finding::waiting(Reason::Progressing, "the role is being written", LOOK_AGAIN));
        }
        self.tell(findings, Some(target), scene, work.memory).await
    }

    /// What went well is believed, once all that was written before shows; what may be otherwise is looked at again.
    fn settle(&mut self, outcome: &Outcome, work: &mut Work<'_>) {
        let is_well = outcome.is_done && outcome.findings.is_empty();
        work.known.is_in_trouble = !is_well;
        if is_well {
            work.memory.recovered();
        } else {
            work.memory.failed(self.now);
        }
        if outcome.is_in_doubt {
            (work.known.picture, work.known.source_picture) = (None, None);
        }
        self.looks_again = work.known.is_to_settle().then_some(SETTLING);
    }

    /// What the `ServiceAccount` is associated with in EKS: read as often as the rest.
    async fn association(&self, work: &mut Work<'_>) -> AssociationSight {
        let known = work.known.association.clone();
        let is_fresh = work.known.picture.as_ref().is_some_and(|picture| work.known.trusts(picture, self.now));
        if let Some(sight) = known.filter(|sight| is_fresh && !matches!(sight, AssociationSight::Failed(_))) {
            return sight;
        }
        let sight = association(work).await;
        work.known.association.insert(sight).clone()
    }

    /// What the `QueueAccess`es of the subject come to.
    async fn scene(&self, subject: &Subject, namespace: String, memory: &Memory) -> Result<Scene, Failure> {
        let cluster = &self.reconciler.cluster;
        let labels = cluster.labels_around(&self.access);
        let mut own = Entitlement::default();
        let mut own_class = None;
        let mut members = Vec::new();
        for access in cluster.accesses_of(&namespace, subject) {
            let is_own = access.metadata.uid == self.access.metadata.uid;
            let access = if is_own { &self.access } else { &access };
            let queue = cluster.queue(&queue_of(access));
            let class = queue.as_ref().map(|queue| self.reconciler.workplace.class_of(queue));
            let queue = queue.as_ref().zip(class.as_ref().map(Result::as_ref));
            let entitlement = Claim { access, labels: labels.as_ref(), queue }.entitlement();
            let class = class.and_then(Result::ok);
            let is_held = is_held(access);
            let target = access.status.as_ref().and_then(|status| status.target.clone());
            let deleting = access.metadata.deletion_timestamp.is_some();
            members.push(Member {
                key: Key::of_metadata(&access.metadata),
                is_bound: is_own || (is_held && target.as_ref().is_some_and(|target| target.role_arn.is_some())),
                deleting,
                class: class.clone(),
                target,
                given: entitlement.given.clone(),
            });
            if is_own {
                (own, own_class) = (entitlement, class);
            }
        }
        let account = match subject {
            Subject::ServiceAccount(name) => {
                let found = cluster.service_account(&namespace, name).await;
                self.in_cluster(found, memory)?.map_or(AccountSight::Absent, AccountSight::Present)
            }
            Subject::Role(_) | Subject::Principal(_) => AccountSight::NotAsked,
        };
        Ok(Scene { subject: subject.clone(), namespace, members, own, own_class, account })
    }

    /// Without a class nothing of AWS can be reached.
    async fn without_class(&mut self, scene: &Scene, memory: &mut Memory) -> Result<Option<Finding>, Failure> {
        let target = self.target();
        let is_empty = target.is_none_or(|target| !target.has_made());
        if self.is_deleting() && is_empty {
            self.set_finalizer(false, memory).await?;
            return Ok(None);
        }
        let class = target.and_then(|target| target.queue_class_name.as_deref()).unwrap_or_default();
        let message = format!(
            "the QueueClass {class:?}, under which the role or the policies were made, is not there or cannot be used; it is waited for. If its account is gone for good, take the finalizer off: what is left there has the owner tags of the subject"
        );
        let gone = (!is_empty).then(|| Finding::waiting(Reason::ClassNotFound, message, SLOW));
        self.tell(gone.into_iter().chain(scene.own.finding.clone()).collect(), None, scene, memory).await
    }

    /// The class under which the subject's role is made.
    fn home(&self, scene: &Scene) -> Option<Class> {
        let account_id = account_on_record(&scene.members);
        let found = home(&scene.members, account_id.as_deref()).cloned();
        found.or_else(|| {
            let account_id = account_id?;
            let targets = scene.members.iter().filter_map(|member| member.target.as_ref());
            let mut names = targets.filter_map(|target| target.queue_class_name.as_deref());
            names.find_map(|name| {
                let class = self.reconciler.workplace.class_named(name)?;
                (class.place.account_id == account_id).then_some(class)
            })
        })
    }

    /// Puts on record what is about to be made.
    async fn record(&mut self, target: &AccessTarget, memory: &Memory) -> Result<(), Failure> {
        let mut status = self.access.status.clone().unwrap_or_default();
        status.target = Some(target.clone());
        self.write_status(status, memory).await
    }

    /// Writes the Secret and the status.
    async fn tell(
        &mut self,
        findings: Vec<Finding>,
        target: Option<AccessTarget>,
        scene: &Scene,
        memory: &mut Memory,
    ) -> Result<Option<Finding>, Failure> {
        let mut observed = self.observed(memory);
        let role = target.as_ref().and_then(|target| target.role_arn.clone());
        let given = scene.own.given.as_ref().filter(|_| findings.is_empty());
        let outputs = match (given, &scene.own_class) {
            (Some(Given { coordinates, .. }), Some(class)) => {
                let settings = OutputSettings::of_access(&self.access, class);
                output_steps(&settings, coordinates, &observed, memory)
            }
            _ => Vec::new(),
        };
        let failures = self.write_outputs(&outputs, &mut observed, memory).await?;
        let plan = AccessPlan { target, ready: role.map(|role| in_words(&role)), ..AccessPlan::default() };
        let verdict = Verdict::of_access(&plan, findings.into_iter().chain(failures).collect());
        self.report(&plan, &verdict, &observed, memory).await?;
        Ok(verdict.findings.into_iter().next())
    }

    pub(super) fn circumstances<'a>(&'a self, class: &'a Class, memory: &'a Memory) -> Circumstances<'a> {
        Circumstances { memory, uid: &self.uid, caller_arn: &class.caller_arn, now: self.now }
    }

    /// What it has on record.
    fn target(&self) -> Option<&AccessTarget> {
        self.access.status.as_ref().and_then(|status| status.target.as_ref())
    }

    fn key(&self) -> Key {
        Key::of_metadata(&self.access.metadata)
    }

    fn is_deleting(&self) -> bool {
        self.access.metadata.deletion_timestamp.is_some()
    }

    fn is_held(&self) -> bool {
        is_held(&self.access)
    }
}

/// All that may have been made.
fn on_record(target: &AccessTarget) -> impl Iterator<Item = String> {
    target.made().chain(&target.source_role_arn).cloned()
}

fn is_held(access: &QueueAccess) -> bool {
    access.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

fn in_words(role_arn: &str) -> String {
    format!("the role {role_arn} has what is declared; Pods that ran before it was there need a restart")
}
