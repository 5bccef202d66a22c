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
    AccountSight, AssociationKey, AssociationSight, Binding, Bound, Claim, Desired, DesiredRole, Entitlement, Given,
    IdentityStep, Making, Member, Picture, Request, Way, account_on_record, home, word,
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
use super::workplace::{IdentityClients, RoleClients};

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
    /// Of the role in the cluster's own account, where that is another.
    source_picture: Option<Picture>,
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

/// What is to be in one account.
struct Part<'a> {
    desired: &'a Desired,
    /// Of all that is declared of the subject.
    digest: String,
    clients: &'a RoleClients,
    class: &'a Class,
    account_id: &'a str,
    is_source: bool,
}

impl Part<'_> {
    fn slot<'k>(&self, known: &'k mut Known) -> &'k mut Option<Picture> {
        if self.is_source { &mut known.source_picture } else { &mut known.picture }
    }
}

/// The parts in the order in which they are written: a role can be trusted once it is there, and goes once nobody trusts it.
fn parts<'a>(desired: &'a Desired, class: &'a Class, clients: &'a IdentityClients) -> Vec<Part<'a>> {
    let digest = desired.digest();
    let account_id = class.place.account_id.as_str();
    let main = Part { desired, digest: digest.clone(), clients: &clients.roles, class, account_id, is_source: false };
    let source = desired.source.as_ref().zip(clients.cluster.as_ref()).map(|(source, cluster)| Part {
        desired: &source.desired,
        digest,
        clients: &cluster.roles,
        class,
        account_id: source.arn.account_id(),
        is_source: true,
    });
    let is_leaving = desired.role == DesiredRole::Nobody;
    match source {
        None => vec![main],
        Some(source) if is_leaving => vec![main, source],
        Some(source) => vec![source, main],
    }
}

/// How steps ended.
struct Applied {
    findings: Vec<Finding>,
    /// Nothing failed that was to take something away.
    is_withdrawn: bool,
}

/// How bringing something up to date ended.
struct Outcome {
    findings: Vec<Finding>,
    /// All that was to be written is.
    is_done: bool,
    /// Nothing is left of what is not wanted.
    is_withdrawn: bool,
}

impl Default for Outcome {
    fn default() -> Self {
        Self { findings: Vec::new(), is_done: true, is_withdrawn: true }
    }
}

impl Outcome {
    fn failed(finding: Finding) -> Self {
        Self { findings: vec![finding], is_done: false, is_withdrawn: false }
    }

    fn and(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.is_done &= other.is_done;
        self.is_withdrawn &= other.is_withdrawn;
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

        let mut outcome = Outcome::default();
        for part in parts(&desired, class, clients) {
            outcome.and(self.part(&part, &target, scene, clients, known, memory).await?);
        }
        // What went wrong is looked at again; what went well is believed.
        if let Some(picture) = &known.picture {
            target = desired.to_keep(target, picture);
        }
        if outcome.is_withdrawn {
            target = desired.without_source(target);
        }
        if outcome.is_done && outcome.findings.is_empty() {
            memory.recovered();
        } else {
            memory.failed(self.now);
            (known.picture, known.source_picture) = (None, None);
        }
        let is_reported = class.drift == DriftMode::Report && outcome.is_done;
        target.applied_digest = is_reported.then(|| desired.digest()).or(target.applied_digest);
        if self.is_deleting() && outcome.is_withdrawn {
            if scene.members.len() == 1 {
                self.reconciler.identities.forget(&scene.namespace, &scene.subject);
            }
            self.set_finalizer(false, memory).await?;
            return Ok(None);
        }
        let mut findings = outcome.findings;
        findings.extend(desired.finding.clone());
        findings.extend(own.finding.clone());
        findings.extend(given.and_then(|given| desired.hinders(&self.key(), given, class)));
        if findings.is_empty() && !outcome.is_done {
            findings.push(Finding::waiting(Reason::Progressing, "the role is being written", LOOK_AGAIN));
        }
        self.tell(findings, Some(target), scene, memory).await
    }

    /// Brings what is in one account up to date.
    async fn part(
        &self,
        part: &Part<'_>,
        target: &AccessTarget,
        scene: &Scene,
        clients: &IdentityClients,
        known: &mut Known,
        memory: &Memory,
    ) -> Result<Outcome, Failure> {
        let Part { desired, clients: here, class, .. } = part;
        let slot = part.slot(known);
        let mut picture = match slot.take().filter(|picture| picture.serves(desired, self.now)) {
            Some(picture) => picture,
            None => match here.sts.caller_identity().await {
                Ok(caller) if caller.account_id == part.account_id => look_at(here, desired, self.now).await,
                Ok(caller) => return Ok(Outcome::failed(other_account(class, &caller.account_id, part.account_id))),
                Err(error) => {
                    return Ok(Outcome::failed(Finding::of_call("AWS", &error, &self.circumstances(class, memory))));
                }
            },
        };
        let plan = desired.plan(&picture, &self.circumstances(class, memory));
        let is_written = target.applied_digest.as_ref() == Some(&part.digest);
        let mut applied = if class.drift == DriftMode::Report && is_written && !plan.steps.is_empty() {
            Applied { findings: vec![differs(class, &plan.steps)], is_withdrawn: true }
        } else {
            self.apply(&plan.steps, part, scene, clients, &mut picture, known, memory).await?
        };
        let after = desired.plan(&picture, &self.circumstances(class, memory));
        *part.slot(known) = Some(picture);
        let mut rest = after.steps.iter().filter(|step| !matches!(step, IdentityStep::Bind(_))).peekable();
        let is_done = applied.findings.is_empty() && rest.peek().is_none();
        let is_withdrawn = applied.is_withdrawn && after.left.is_empty() && !rest.any(IdentityStep::takes_away);
        applied.findings.extend(after.findings.into_iter().chain(after.left));
        Ok(Outcome { is_done, is_withdrawn, findings: applied.findings })
    }

    /// Carries out the steps. One that fails keeps only those waiting that are about the same: a permission that is to be
    /// taken away does not wait for one that cannot be given.
    async fn apply(
        &self,
        steps: &[IdentityStep],
        part: &Part<'_>,
        scene: &Scene,
        clients: &IdentityClients,
        picture: &mut Picture,
        known: &mut Known,
        memory: &Memory,
    ) -> Result<Applied, Failure> {
        let owner = Owner::from(&self.access);
        let mut failed: BTreeSet<String> = BTreeSet::new();
        let mut applied = Applied { findings: Vec::new(), is_withdrawn: true };
        for step in steps {
            let waits = step.wants_all() && !applied.findings.is_empty();
            if waits || step.waits_for().iter().any(|concern| failed.contains(concern)) {
                continue;
            }
            self.may_write()?;
            let done = match step {
                IdentityStep::Bind(binding) => self.bind(binding, scene, clients, known, memory).await?,
                step => carry_out(part.clients, step, picture).await,
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
                    applied.is_withdrawn &= !step.takes_away();
                    applied.findings.push(self.failed(step, &error, known, memory));
                }
            }
        }
        Ok(applied)
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
        let (Some(key), Some(cluster)) = (key, &clients.cluster) else { return Ok(()) };
        let associations = &cluster.associations;
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
    let (Some(key), Some(cluster)) = (association_key(scene, class), &clients.cluster) else {
        return AssociationSight::NotAsked;
    };
    match cluster.associations.find(&key).await {
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

fn other_account(class: &Class, account_id: &str, wanted: &str) -> Finding {
    let message = format!(
        "the credentials of {} are of account {account_id}, and those of account {wanted} are wanted; nothing is written",
        class.in_words()
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
