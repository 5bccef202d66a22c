//! Subjects that have a role: one pass over a `QueueAccess` brings all of its subject's role and policies up to date, and
//! reports on that one `QueueAccess`. Passes over the same subject wait for each other.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::api::class::DriftMode;
use crate::api::conditions::Reason;
use crate::api::queue_access::AccessTarget;
use crate::api::{FINALIZER, QueueAccess};
use crate::aws::target::Session;
use crate::domain::access::{AccessPlan, Subject, queue_of};
use crate::domain::call::{CallError, ErrorKind};
use crate::domain::class::Class;
use crate::domain::finding::{Circumstances, Finding};
use crate::domain::fleet::Key;
use crate::domain::identity::{
    AccountSight, AssociationKey, AssociationSight, Binding, Bound, Claim, Desired, Entitlement, Given, IdentityStep,
    Making, Member, Picture, Request, Way, account_on_record, home, word,
};
use crate::domain::observed::Memory;
use crate::domain::outputs::OutputSettings;
use crate::domain::plan::output_steps;
use crate::domain::report::Verdict;

use super::super::cluster::Owner;
use super::super::queue::apply::Failure;
use super::super::queue::events;
use super::Pass;
use super::roles::{carry_out, gone, look_at};
use super::workplace::IdentityClients;

/// How soon to look again at what is being written.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// How soon to look again at what only a person can change.
const SLOW: SignedDuration = SignedDuration::from_mins(5);

/// A name that is taken by nothing to be seen is another path's rather than one of a thing just made.
const APPEARANCE: SignedDuration = SignedDuration::from_mins(1);

/// What is known of all subjects between passes.
#[derive(Default)]
pub struct Identities(Mutex<HashMap<(String, Subject), Arc<tokio::sync::Mutex<Known>>>>);

/// What is known of one subject.
#[derive(Default)]
struct Known {
    picture: Option<Picture>,
    association: Option<AssociationSight>,
    /// Since when a name is taken by nothing to be seen.
    taken_since: Option<Timestamp>,
}

impl Identities {
    fn of(&self, namespace: &str, subject: &Subject) -> Arc<tokio::sync::Mutex<Known>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((namespace.to_owned(), subject.clone())).or_default().clone()
    }

    /// Forgets a subject of which nothing is left.
    fn forget(&self, namespace: &str, subject: &Subject) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(namespace.to_owned(), subject.clone()));
    }
}

/// All that a subject's role depends on, of one pass.
struct Scene {
    subject: Subject,
    namespace: String,
    members: Vec<Member>,
    /// What the `QueueAccess` of this pass comes to.
    own: Entitlement,
    own_class: Option<Class>,
    account: AccountSight,
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
        if memory.follow_request(&self.access.metadata) {
            *known = Known::default();
        }
        let scene = self.scene(subject, namespace, memory).await?;
        let Some(class) = self.home(&scene) else {
            return self.without_class(&scene, memory).await;
        };
        if scene.own.given.is_some() && !self.is_deleting() && !self.is_held() {
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
        self.bring_up_to_date(&scene, &class, &clients, &mut known, memory).await
    }

    async fn bring_up_to_date(
        &mut self,
        scene: &Scene,
        class: &Class,
        clients: &IdentityClients,
        known: &mut Known,
        memory: &mut Memory,
    ) -> Result<Option<Finding>, Failure> {
        let is_fresh = known.picture.as_ref().is_some_and(|picture| picture.is_fresh(self.now));
        if !is_fresh || known.association.is_none() {
            known.association = Some(association(scene, class, clients).await);
        }
        let association = known.association.clone().unwrap_or(AssociationSight::NotAsked);
        let bound = Bound { account: &scene.account, association: &association };
        let Scene { namespace, subject, members, own, .. } = scene;
        let desired = Desired::of(&Request { namespace, subject, class, members, bound });
        let before = self.access.status.as_ref().and_then(|status| status.target.clone());
        let given = own.given.as_ref().filter(|_| !self.is_deleting());
        let mut target = desired.to_record(before.as_ref(), given, class);
        if before.as_ref() != Some(&target) {
            self.record(&target, memory).await?;
        }

        let serves = known.picture.as_ref().is_some_and(|picture| picture.serves(&desired, self.now));
        let mut findings = Vec::new();
        if !serves {
            known.picture = None;
            match clients.sts.caller_identity().await {
                Ok(caller) if caller.account_id == class.place.account_id => {
                    known.picture = Some(look_at(clients, &desired, self.now).await);
                }
                Ok(caller) => findings.push(other_account(class, &caller.account_id)),
                Err(error) => findings.push(Finding::of_call("AWS", &error, &self.circumstances(class, memory))),
            }
        }
        let Some(mut picture) = known.picture.take() else {
            memory.failed(self.now);
            return self.tell(findings, None, scene, memory).await;
        };
        let is_written = |target: &AccessTarget| target.applied_digest.as_ref() == Some(&desired.digest());
        let plan = desired.plan(&picture, &self.circumstances(class, memory));
        if class.drift == DriftMode::Report && is_written(&target) && !plan.steps.is_empty() {
            findings.push(differs(class, &plan.steps));
        } else {
            findings.extend(self.apply(&plan.steps, scene, clients, &mut picture, known, memory).await?);
        }
        let after = desired.plan(&picture, &self.circumstances(class, memory));
        let is_done = findings.is_empty() && after.steps.iter().all(|step| matches!(step, IdentityStep::Bind(_)));
        let is_withdrawn = is_done && after.findings.iter().all(|finding| desired.finding.as_ref() == Some(finding));
        // What went wrong is looked at again; what went well is believed.
        if is_done && after.findings.is_empty() {
            memory.recovered();
        } else {
            memory.failed(self.now);
        }
        target = desired.to_keep(target, &picture);
        target.applied_digest =
            (class.drift == DriftMode::Report && is_done).then(|| desired.digest()).or(target.applied_digest);
        known.picture = is_withdrawn.then_some(picture);
        if self.is_deleting() && is_withdrawn {
            if scene.members.len() == 1 {
                self.reconciler.identities.forget(&scene.namespace, &scene.subject);
            }
            self.set_finalizer(false, memory).await?;
            return Ok(None);
        }
        findings.extend(after.findings);
        findings.extend(own.finding.clone());
        findings.extend(given.and_then(|given| desired.hinders(&self.key(), given, class)));
        if findings.is_empty() && !is_done {
            findings.push(Finding::waiting(Reason::Progressing, "the role is being written", LOOK_AGAIN));
        }
        self.tell(findings, Some(target), scene, memory).await
    }

    /// Carries out the steps. One that fails keeps only those waiting that are about the same: a permission that is to be
    /// taken away does not wait for one that cannot be given.
    async fn apply(
        &self,
        steps: &[IdentityStep],
        scene: &Scene,
        clients: &IdentityClients,
        picture: &mut Picture,
        known: &mut Known,
        memory: &Memory,
    ) -> Result<Vec<Finding>, Failure> {
        let owner = Owner::from(&self.access);
        let mut failed: BTreeSet<String> = BTreeSet::new();
        let mut findings = Vec::new();
        for step in steps {
            let waits = step.wants_all() && !findings.is_empty();
            if waits || step.waits_for().iter().any(|concern| failed.contains(concern)) {
                continue;
            }
            self.may_write()?;
            let done = match step {
                IdentityStep::Bind(binding) => self.bind(binding, scene, clients, known, memory).await?,
                step => carry_out(clients, step, picture).await,
            };
            match done {
                Ok(()) => {
                    known.taken_since = None;
                    if let Some(event) = events::of_identity_step(step) {
                        self.reconciler.cluster.publish(&owner, event).await;
                    }
                }
                Err(error) => {
                    failed.extend(step.concerns());
                    findings.push(self.failed(step, &error, known, memory));
                }
            }
        }
        Ok(findings)
    }

    fn failed(&self, step: &IdentityStep, error: &CallError, known: &mut Known, memory: &Memory) -> Finding {
        if error.kind != ErrorKind::EntityAlreadyExists {
            let circumstances = Circumstances { memory, uid: &self.uid, caller_arn: "", now: self.now };
            return step.failed(error, &circumstances);
        }
        let since = *known.taken_since.get_or_insert(self.now);
        if self.now.duration_since(since) < APPEARANCE {
            return Finding::waiting(Reason::Progressing, format!("{error}; it is looked for"), LOOK_AGAIN);
        }
        let message =
            format!("{error}; there is one of this name at another path. Delete it, or take it away from the account");
        Finding::stalled(Reason::NameConflict, message, SLOW)
    }

    /// Binds the `ServiceAccount` to its role, or lets it go.
    async fn bind(
        &self,
        binding: &Binding,
        scene: &Scene,
        clients: &IdentityClients,
        known: &mut Known,
        memory: &Memory,
    ) -> Result<Result<(), CallError>, Failure> {
        let Subject::ServiceAccount(name) = &scene.subject else { return Ok(Ok(())) };
        let (role_arn, account) = match (binding, &scene.account) {
            (Binding::Annotate(role_arn), AccountSight::Present(account)) => (Some(role_arn.as_str()), account),
            (Binding::Unannotate, AccountSight::Present(account)) => (None, account),
            _ => return Ok(self.associate(binding, scene, clients, known).await),
        };
        let written = self.reconciler.cluster.annotate(&scene.namespace, name, account, role_arn).await;
        self.in_cluster(written, memory).map(Ok)
    }

    /// Makes, changes or deletes the association.
    async fn associate(
        &self,
        binding: &Binding,
        scene: &Scene,
        clients: &IdentityClients,
        known: &mut Known,
    ) -> Result<(), CallError> {
        let key = self.home(scene).and_then(|class| association_key(scene, &class));
        let (Some(key), Some(associations)) = (key, &clients.associations) else { return Ok(()) };
        known.association = None;
        let there = match binding {
            Binding::Associate { role_arn, target_role_arn, tags } => {
                associations.create(&key, role_arn, target_role_arn.as_deref(), tags).await?
            }
            Binding::Reassociate { id, role_arn, target_role_arn } => {
                associations.update(&key, id, role_arn, target_role_arn.as_deref()).await?
            }
            Binding::Dissociate { id } => {
                gone(associations.delete(&key, id).await)?;
                known.association = Some(AssociationSight::Absent);
                return Ok(());
            }
            Binding::Annotate(_) | Binding::Unannotate => return Ok(()),
        };
        known.association = Some(AssociationSight::Present(there));
        Ok(())
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
        let target = self.access.status.as_ref().and_then(|status| status.target.as_ref());
        let is_empty = target.is_none_or(|target| !target.has_made());
        if self.is_deleting() && is_empty {
            self.set_finalizer(false, memory).await?;
            return Ok(None);
        }
        let class = target.and_then(|target| target.queue_class_name.as_deref()).unwrap_or_default();
        let message = format!(
            "the QueueClass {class:?}, under which the role or the policies were made, is not there or cannot be used; it is waited for"
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

    fn circumstances<'a>(&'a self, class: &'a Class, memory: &'a Memory) -> Circumstances<'a> {
        Circumstances { memory, uid: &self.uid, caller_arn: &class.caller_arn, now: self.now }
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

fn is_held(access: &QueueAccess) -> bool {
    access.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

fn in_words(role_arn: &str) -> String {
    format!("the role {role_arn} has what is declared; Pods that ran before it was there need a restart")
}

/// What a `ServiceAccount` is associated with in EKS.
async fn association(scene: &Scene, class: &Class, clients: &IdentityClients) -> AssociationSight {
    let (Some(key), Some(associations)) = (association_key(scene, class), &clients.associations) else {
        return AssociationSight::NotAsked;
    };
    match associations.find(&key).await {
        Ok(found) => found.map_or(AssociationSight::Absent, AssociationSight::Present),
        Err(error) => AssociationSight::Failed(error),
    }
}

fn association_key(scene: &Scene, class: &Class) -> Option<AssociationKey> {
    let (Subject::ServiceAccount(name), Some(Making { way: Way::PodIdentity(cluster), .. })) =
        (&scene.subject, &class.roles)
    else {
        return None;
    };
    let (namespace, service_account) = (scene.namespace.clone(), name.clone());
    Some(AssociationKey { cluster: cluster.name.clone(), namespace, service_account })
}

fn other_account(class: &Class, account_id: &str) -> Finding {
    let message = format!(
        "the credentials of {} are of account {account_id}, and it is for account {}; nothing is written there",
        class.in_words(),
        class.place.account_id
    );
    Finding::stalled(Reason::WrongAccount, message, SLOW)
}

fn differs(class: &Class, steps: &[IdentityStep]) -> Finding {
    let mut what: Vec<String> = steps.iter().flat_map(IdentityStep::concerns).collect();
    what.dedup();
    let message = format!(
        "changed from outside: {}; class {:?} reports such changes (drift.mode: Report) and does not undo them",
        what.join(", "),
        class.name
    );
    Finding::stalled(Reason::Differs, message, SLOW)
}
