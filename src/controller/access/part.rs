//! What is to be in one account for a subject: its role and policies, brought up to date.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::api::class::DriftMode;
use crate::api::conditions::Reason;
use crate::domain::call::{CallError, ErrorClass, ErrorKind};
use crate::domain::class::Class;
use crate::domain::finding::Finding;
use crate::domain::identity::{Desired, DesiredRole, IdentityStep, Picture};

use super::super::cluster::Owner;
use super::super::queue::apply::Failure;
use super::super::queue::events;
use super::Pass;
use super::identity::{LOOK_AGAIN, SLOW, Work};
use super::known::Known;
use super::roles::{carry_out, look_at};
use super::workplace::RoleClients;

/// A name that is taken by nothing to be seen is another path's rather than one of a thing just made.
const APPEARANCE: SignedDuration = SignedDuration::from_mins(1);

/// What is to be in one account.
pub(super) struct Part<'a> {
    desired: &'a Desired,
    clients: &'a RoleClients,
    account_id: &'a str,
    is_source: bool,
    /// All that is declared was written before.
    was_written: bool,
}

impl Part<'_> {
    fn slot<'k>(&self, known: &'k mut Known) -> &'k mut Option<Picture> {
        if self.is_source { &mut known.source_picture } else { &mut known.picture }
    }
}

/// The parts in the order in which they are written: a role can be trusted once it is there, and goes once nobody trusts it.
pub(super) fn parts<'a>(desired: &'a Desired, applied_digest: Option<&str>, work: &Work<'a>) -> Vec<Part<'a>> {
    let was_written = applied_digest == Some(&desired.digest());
    let (clients, account_id) = (&work.clients.roles, work.class.place.account_id.as_str());
    let main = Part { desired, clients, account_id, is_source: false, was_written };
    let source = desired.source.as_ref().zip(work.clients.cluster.as_ref()).map(|(source, cluster)| Part {
        desired: &source.desired,
        clients: &cluster.roles,
        account_id: source.arn.account_id(),
        is_source: true,
        was_written,
    });
    let is_leaving = desired.role == DesiredRole::Nobody;
    match source {
        None => vec![main],
        Some(source) if is_leaving => vec![main, source],
        Some(source) => vec![source, main],
    }
}

/// How steps ended.
#[derive(Default)]
struct Applied {
    findings: Vec<Finding>,
    /// Nothing failed that was to take something away.
    is_withdrawn: bool,
    /// Nobody knows whether some write took effect.
    is_uncertain: bool,
    /// What there is may be another than was seen.
    is_in_doubt: bool,
}

/// How bringing something up to date ended.
pub(super) struct Outcome {
    pub(super) findings: Vec<Finding>,
    /// All that was to be written is.
    pub(super) is_done: bool,
    /// Nothing is left of what is not wanted.
    pub(super) is_withdrawn: bool,
    /// What there is may be another than was seen.
    pub(super) is_in_doubt: bool,
}

impl Default for Outcome {
    fn default() -> Self {
        Self { findings: Vec::new(), is_done: true, is_withdrawn: true, is_in_doubt: false }
    }
}

impl Outcome {
    fn failed(finding: Finding) -> Self {
        Self { findings: vec![finding], is_done: false, is_withdrawn: false, is_in_doubt: true }
    }

    pub(super) fn and(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.is_done &= other.is_done;
        self.is_withdrawn &= other.is_withdrawn;
        self.is_in_doubt |= other.is_in_doubt;
    }
}

impl Pass<'_> {
    /// Brings what is in one account up to date.
    pub(super) async fn part(&self, part: &Part<'_>, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let Part { desired, clients, account_id, .. } = part;
        let class = work.class;
        let known = part.slot(work.known).take();
        let known = known.filter(|picture| picture.serves(desired, self.now) && work.known.trusts(picture, self.now));
        let mut picture = match known {
            Some(picture) => picture,
            None => match clients.sts.caller_identity().await {
                Ok(caller) if caller.account_id == *account_id => {
                    let picture = look_at(clients, desired, self.now).await;
                    work.known.looked(&picture, self.now);
                    picture
                }
                Ok(caller) => return Ok(Outcome::failed(other_account(class, &caller.account_id, account_id))),
                Err(error) => {
                    let circumstances = self.circumstances(class, work.memory);
                    return Ok(Outcome::failed(Finding::of_call("AWS", &error, &circumstances)));
                }
            },
        };
        let plan = desired.plan(&picture, &self.circumstances(class, work.memory));
        // A pass that is given up midway leaves writes behind of which nobody knows.
        let certain_since = work.known.certain_since.take();
        let mut applied = if class.drift == DriftMode::Report && part.was_written && !plan.steps.is_empty() {
            Applied { findings: vec![differs(class, &plan.steps)], is_withdrawn: true, ..Applied::default() }
        } else {
            self.apply(&plan.steps, part, &mut picture, work).await?
        };
        work.known.certain_since = certain_since.filter(|_| !applied.is_uncertain);
        let after = desired.plan(&picture, &self.circumstances(class, work.memory));
        *part.slot(work.known) = Some(picture);
        let mut rest = after.steps.iter().filter(|step| !matches!(step, IdentityStep::Bind(_))).peekable();
        let is_done = applied.findings.is_empty() && rest.peek().is_none();
        let is_withdrawn = applied.is_withdrawn && after.left.is_empty() && !rest.any(IdentityStep::takes_away);
        let is_in_doubt = applied.is_in_doubt || (!is_done && applied.findings.is_empty());
        applied.findings.extend(after.findings.into_iter().chain(after.left));
        Ok(Outcome { is_done, is_withdrawn, is_in_doubt, findings: applied.findings })
    }

    /// Carries out the steps. One that fails keeps only those waiting that are about the same: a permission that is to be
    /// taken away does not wait for one that cannot be given.
    async fn apply(
        &self,
        steps: &[IdentityStep],
        part: &Part<'_>,
        picture: &mut Picture,
        work: &mut Work<'_>,
    ) -> Result<Applied, Failure> {
        let owner = Owner::from(&self.access);
        let mut failed: BTreeSet<String> = BTreeSet::new();
        let mut applied = Applied { is_withdrawn: true, ..Applied::default() };
        for step in steps {
            let waits = step.wants_all() && !applied.findings.is_empty();
            if waits || step.waits_for().iter().any(|concern| failed.contains(concern)) {
                continue;
            }
            self.may_write()?;
            let done = match step {
                IdentityStep::Bind(binding) => match self.bind(binding, work).await {
                    Err(Failure::Finding(finding)) => {
                        applied.is_withdrawn &= !step.takes_away();
                        applied.findings.push(finding);
                        continue;
                    }
                    other => other?,
                },
                step => carry_out(part.clients, step, picture).await,
            };
            match done {
                Ok(()) => {
                    work.known.wrote(&step.concerns(), self.now);
                    work.known.taken_since = None;
                    if let Some(event) = events::of_identity_step(step) {
                        self.reconciler.cluster.publish(&owner, event).await;
                    }
                }
                Err(error) => {
                    failed.extend(step.concerns());
                    applied.is_withdrawn &= !step.takes_away();
                    applied.is_uncertain |= error.class() == ErrorClass::Transient;
                    applied.is_in_doubt |= !matches!(error.class(), ErrorClass::Denied | ErrorClass::Throttled);
                    applied.findings.push(self.failed(step, &error, work));
                }
            }
        }
        Ok(applied)
    }

    fn failed(&self, step: &IdentityStep, error: &CallError, work: &mut Work<'_>) -> Finding {
        if error.kind != ErrorKind::EntityAlreadyExists {
            return step.failed(error, &self.circumstances(work.class, work.memory));
        }
        let since = *work.known.taken_since.get_or_insert(self.now);
        if self.now.duration_since(since) < APPEARANCE {
            return Finding::waiting(Reason::Progressing, format!("{error}; it is looked for"), LOOK_AGAIN);
        }
        let message =
            format!("{error}; there is one of this name at another path. Delete it, or take it away from the account");
        Finding::stalled(Reason::NameConflict, message, SLOW)
    }
}

fn other_account(class: &Class, account_id: &str, wanted: &str) -> Finding {
    let message = format!(
        "the credentials of {} are of account {account_id}, and those of account {wanted} are wanted; nothing is written",
        class.in_words()
    );
    Finding::stalled(Reason::WrongAccount, message, SLOW)
}

fn differs(class: &Class, steps: &[IdentityStep]) -> Finding {
    let mut what: Vec<String> = steps.iter().map(IdentityStep::subject).collect();
    what.dedup();
    let message = format!(
        "changed from outside: {}; class {:?} reports such changes (drift.mode: Report) and does not undo them",
        what.join(", "),
        class.name
    );
    Finding::stalled(Reason::Differs, message, SLOW)
}
