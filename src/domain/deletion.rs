//! The plan for a Queue that is being deleted: in a safe order, each deletion confirmed, and always a way out.

use jiff::{SignedDuration, Timestamp};

use crate::api::Queue;
use crate::api::conditions::Reason;
use crate::api::queue::{DeletionPolicy, ManagementPolicy};

use super::attributes::Counts;
use super::call::ErrorClass;
use super::class::Class;
use super::desired::Refusal;
use super::finding::{Circumstances, Finding};
use super::fleet::{Fleet, Key};
use super::iam::{DoomedPolicies, PolicyArn, policy_arns};
use super::names::QueueName;
use super::observed::{Memory, Observed, PATIENCE, Present, Record, Sight};
use super::plan::{Plan, Step};
use super::policy::FENCE_SID;
use super::retire::{CONFIRM, Fate, Retirement, is_fenced};
use super::settings::{Names, deletion_policy};
use super::tags::{Origin, Owner};
use super::target::way_back;

/// How long a queue just created may not answer, nor be listed. `CreateQueue` in the SQS API reference asks for a second.
const APPEARANCE: SignedDuration = SignedDuration::from_secs(10);

/// What a Queue may have to answer for in AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Its queue.
    pub source: Option<QueueName>,
    /// Its dead-letter queues: the one in use, and those no longer used.
    pub dead_letters: Vec<QueueName>,
    /// Its policies in IAM.
    pub policies: Vec<PolicyArn>,
}

impl Doomed {
    /// By status, and by spec in case that status was lost or the dead-letter queue had just been created.
    #[must_use]
    pub fn of(queue: &Queue, record: &Record, class: &Class) -> Self {
        let names = Names::of(queue, class).ok();
        let recorded = record.target.as_ref().and_then(|target| QueueName::parse(&target.queue_name).ok());
        let source = recorded.or_else(|| names.as_ref().map(|names| names.queue.clone()));
        let retired = record.retired.iter().filter_map(|retired| QueueName::parse(&retired.queue_name).ok());
        let in_use = record.dead_letter.iter().map(|(name, _)| name.clone());
        let declared = names.and_then(|names| names.dead_letter);
        let mut dead_letters: Vec<QueueName> = in_use.chain(declared).chain(retired).collect();
        dead_letters.sort();
        dead_letters.dedup();
        dead_letters.retain(|name| Some(name) != source.as_ref());
        let policies = policy_arns(queue, class).into_iter().map(|(_, arn)| arn).collect();
        Self { source, dead_letters, policies }
    }

    /// All queues.
    pub fn all(&self) -> impl Iterator<Item = &QueueName> {
        self.source.iter().chain(&self.dead_letters)
    }
}

/// All that the plan of a deletion depends on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The object.
    pub queue: &'a Queue,
    /// What it may have to answer for in AWS.
    pub doomed: &'a Doomed,
    /// What is there.
    pub observed: &'a Observed,
    /// What the object remembers.
    pub record: &'a Record,
    /// What this process remembers.
    pub memory: &'a Memory,
    /// All Queues.
    pub fleet: &'a Fleet,
    /// The rules of the house.
    pub class: &'a Class,
    /// The time of this pass.
    pub now: Timestamp,
}

/// The next steps of a deletion. The last one removes the finalizer.
#[must_use]
pub fn plan_deletion(input: &Input<'_>) -> Plan {
    if !input.record.has_finalizer {
        return Plan::default();
    }
    let key = Key::of(input.queue);
    let owner =
        Owner { cluster: input.class.cluster.clone(), namespace: key.namespace.clone(), name: key.name.clone() };
    let policy = if lets_go(input.queue, input.class) {
        DeletionPolicy::Retain
    } else {
        deletion_policy(&input.class.spec_of(input.queue))
    };
    if let Some(rule) = input.class.limits.refuses_deletion(policy) {
        let message = format!(
            "spec.deletionPolicy: {rule}; set one of these, or Retain, which is always allowed for a Queue that is being deleted"
        );
        let finding = Finding::stalled(Reason::NotAllowedByClass, message, SignedDuration::from_mins(5));
        return Plan { findings: vec![finding], ..Plan::default() };
    }
    let deletion = Deletion { input, key, owner, policy };
    match elsewhere(input) {
        Some(finding) if policy == DeletionPolicy::Retain => {
            release(Plan { left_behind: vec![finding.message], ..Plan::default() })
        }
        Some(finding) => Plan { findings: vec![finding], ..Plan::default() },
        None => deletion.plan(),
    }
}

/// The next steps of a deletion of a Queue that has no class: nobody knows where its queues are to be looked for. It waits,
/// unless nothing in AWS is to be deleted.
#[must_use]
pub fn plan_deletion_without_class(queue: &Queue, record: &Record, refusal: &Refusal) -> Plan {
    if !record.has_finalizer {
        return Plan::default();
    }
    let message = format!("{}. To let the queue go as it is, set spec.deletionPolicy: Retain", refusal.message());
    if queue.spec.suspend || observes(queue) || queue.spec.deletion_policy == Some(DeletionPolicy::Retain) {
        let target = record.target.as_ref().filter(|_| !observes(queue));
        let left = target.map(|target| {
            format!("{} was left as it is, with its owner tags: {}", target.queue_name, refusal.message())
        });
        let policies = record.policies.iter().filter(|_| !observes(queue)).map(|policy| {
            format!("{} was left as it is, with its owner tags: {}", policy.policy_arn, refusal.message())
        });
        return release(Plan { left_behind: left.into_iter().chain(policies).collect(), ..Plan::default() });
    }
    let finding = Finding {
        reason: refusal.reason,
        message,
        is_stalled: !refusal.is_waiting(),
        retry: SignedDuration::from_mins(5),
    };
    Plan { findings: vec![finding], ..Plan::default() }
}

/// Whether the deletion of `queue` keeps what is in AWS. A suspended Queue lets go as `Retain` does, and one that only
/// observes has nothing to let go of.
#[must_use]
pub fn lets_go(queue: &Queue, class: &Class) -> bool {
    queue.spec.suspend || observes(queue) || deletion_policy(&class.spec_of(queue)) == DeletionPolicy::Retain
}

fn observes(queue: &Queue) -> bool {
    queue.spec.management_policy == Some(ManagementPolicy::Observe)
}

/// Whether the queues live in another place than the one the operator acts in.
fn elsewhere(input: &Input<'_>) -> Option<Finding> {
    let target = input.record.target.as_ref()?;
    let place = target.place();
    (place != input.class.place).then(|| {
        let message = format!(
            "status.target: {} lives in {place}, and {} now acts in {}; {}, or set spec.deletionPolicy: Retain to let the queue go as it is",
            target.queue_name,
            input.class.in_words(),
            input.class.place,
            way_back(&target.queue_class_name, input.class)
        );
        Finding::stalled(Reason::TargetChanged, message, SignedDuration::from_mins(5))
    })
}

/// Without anything left to do or to wait for, lets the Queue go.
fn release_when_over(plan: Plan) -> Plan {
    if plan.is_over() { release(plan) } else { plan }
}

fn release(mut plan: Plan) -> Plan {
    plan.steps.push(Step::RemoveFinalizer);
    plan
}

struct Deletion<'a> {
    input: &'a Input<'a>,
    key: Key,
    owner: Owner,
    policy: DeletionPolicy,
}

/// A queue that answers and is ours.
struct Ours<'a> {
    name: &'a QueueName,
    present: &'a Present,
    origin: Origin,
}

impl Deletion<'_> {
    fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        for name in self.input.doomed.all() {
            plan.findings.extend(self.cannot_tell(name));
        }
        if !plan.findings.is_empty() {
            return plan; // Nothing is dropped or released on a guess.
        }
        if !observes(self.input.queue) {
            plan.left_behind = self.input.doomed.all().filter_map(|name| self.left_behind(name)).collect();
        }
        let source = self.input.doomed.source.as_ref().and_then(|name| self.ours(name));
        let mut dead_letters: Vec<Ours<'_>> =
            self.input.doomed.dead_letters.iter().filter_map(|name| self.ours(name)).collect();

        // A source that stays keeps its dead-letter queues.
        if source.as_ref().is_some_and(|source| self.retirement().is_let_go(source.origin))
            || self.policy == DeletionPolicy::Retain
        {
            if self.lets_policies_go(&mut plan) {
                return plan;
            }
            let lets_go = lets_go(self.input.queue, self.input.class);
            let is_refused = |ours: &Ours<'_>| lets_go && self.refused(ours.name).is_some();
            let ours = self.all_ours().filter(|ours| !is_refused(ours));
            let fates = ours.filter_map(|ours| self.let_go(&ours)).collect();
            return release_when_over(self.carry_out(fates, plan));
        }
        if source.is_some()
            && let Some(finding) = self.in_use()
        {
            plan.findings.push(finding);
            return plan;
        }
        if self.policy == DeletionPolicy::DeleteIfEmpty
            && !self.see_empty(source.iter().chain(&dead_letters), &mut plan)
        {
            return plan;
        }
        // The source first; its dead-letter queues are looked at again once it is gone.
        if source.is_some() {
            dead_letters.clear();
        }
        let retirement = self.retirement();
        let fates = source.iter().chain(&dead_letters).map(|ours| {
            if retirement.is_let_go(ours.origin) {
                retirement.let_go(ours.name, ours.present)
            } else {
                retirement.delete(ours.name, ours.present)
            }
        });
        let mut plan = self.carry_out(fates.collect(), plan);
        if plan.is_over() {
            if self.policies().are_unseen() {
                plan.needs_policies = true;
                return plan;
            }
            self.policies().delete(&mut plan);
        }
        release_when_over(plan)
    }

    /// Lets policies go with the queues that stay. Answers whether these have to wait: once they are let go, nothing tells
    /// that the policies were to be.
    fn lets_policies_go(&self, plan: &mut Plan) -> bool {
        if observes(self.input.queue) {
            return false;
        }
        plan.needs_policies = self.policies().are_unseen();
        if !plan.needs_policies {
            self.policies().let_go(plan);
        }
        plan.needs_policies || !plan.findings.is_empty()
    }

    fn policies(&self) -> DoomedPolicies<'_> {
        DoomedPolicies { input: self.input, owner: &self.owner, circumstances: self.circumstances() }
    }

    fn circumstances(&self) -> Circumstances<'_> {
        let input = self.input;
        let uid = input.queue.metadata.uid.as_deref().unwrap_or_default();
        Circumstances { memory: input.memory, uid, caller_arn: &input.class.caller_arn, now: input.now }
    }

    /// Lets go of a queue. Who only observes writes nothing, but a queue must not stay closed that was being emptied before.
    fn let_go(&self, ours: &Ours<'_>) -> Option<Fate> {
        if observes(self.input.queue) {
            self.retirement().reopen(ours.name, ours.present)
        } else {
            Some(self.retirement().let_go(ours.name, ours.present))
        }
    }

    /// Does what there is to do.
    fn carry_out(&self, fates: Vec<Fate>, mut plan: Plan) -> Plan {
        for fate in fates {
            match fate {
                Fate::Do(step) => plan.steps.push(*step),
                Fate::Wait(time) => plan.findings.push(under_way(&self.key, time)),
                Fate::Gone => {}
            }
        }
        plan
    }

    fn all_ours(&self) -> impl Iterator<Item = Ours<'_>> {
        self.input.doomed.all().filter_map(|name| self.ours(name))
    }

    /// AWS's words, when it refused a write of the queue `name` in this pass.
    fn refused(&self, name: &QueueName) -> Option<&String> {
        self.input.observed.refused.get(name.as_str())
    }

    fn retirement(&self) -> Retirement<'_> {
        Retirement {
            owner: &self.owner,
            policy: self.policy,
            deletes_adopted: self.input.queue.spec.deletion_policy == Some(DeletionPolicy::Delete),
            place: &self.input.class.place,
            record: self.input.record,
            memory: self.input.memory,
            empty_for: self.input.class.empty_for,
            now: self.input.now,
        }
    }

    fn ours(&self, name: &QueueName) -> Option<Ours<'_>> {
        let name = self.input.doomed.all().find(|doomed| *doomed == name)?;
        let present = self.input.observed.sight(name).present()?;
        let origin = self.retirement().origin(present)?;
        Some(Ours { name, present, origin })
    }

    /// What to say of a queue that is there, or may be, and is not touched.
    fn left_behind(&self, name: &QueueName) -> Option<String> {
        if self.input.observed.released.contains(name.as_str()) {
            return None; // As asked.
        }
        if let Some(words) = self.refused(name) {
            let present = self.input.observed.sight(name).present();
            let arn = self.input.class.place.queue_arn(name).to_string();
            let is_closed = present.is_some_and(|present| is_fenced(present, &arn));
            let closed = if is_closed {
                format!("; it still refuses new messages: remove the statement {FENCE_SID} from its policy")
            } else {
                String::new()
            };
            return Some(format!("{name} was left with its owner tags: {words}{closed}"));
        }
        match self.input.observed.sight(name) {
            Sight::Present(present) if self.retirement().origin(present).is_none() => {
                Some(format!("{name} does not carry this Queue's owner tags and was left as it is"))
            }
            Sight::Hidden(why) => Some(format!("{name} was left as it is, with its owner tags if it is there: {why}")),
            Sight::OtherAccount(account) => Some(format!(
                "{name} was left as it is, with its owner tags: the operator's credentials are of account {account}"
            )),
            Sight::Failed(error) => Some(format!("{name} was left as it is, with its owner tags: {error}")),
            _ => None,
        }
    }

    /// Whether the queue `name`, which never answered as far as is on record, may have been created by a process that
    /// remembers it no longer: none is once the Queue is being deleted, and a queue answers soon.
    fn may_appear(&self, name: &QueueName) -> bool {
        let record = self.input.record;
        let dead_letter = record.dead_letter.as_ref().filter(|(dead_letter, _)| dead_letter == name);
        let is_known = match dead_letter {
            Some((_, url)) => url.is_some(),
            None => record.queue_url.is_some(),
        };
        let since = self.input.queue.metadata.deletion_timestamp.as_ref();
        let is_new = since.is_some_and(|since| self.input.now.duration_since(since.0) < APPEARANCE);
        record.target.is_some() && !is_known && is_new
    }

    /// What to say when it cannot be told whether the queue `name` is there.
    fn cannot_tell(&self, name: &QueueName) -> Option<Finding> {
        let input = self.input;
        let circumstances = self.circumstances();
        // What failed before the deletion says nothing about it.
        let since = input.queue.metadata.deletion_timestamp.as_ref();
        let is_waiting_long = since.is_some_and(|since| input.now.duration_since(since.0) >= PATIENCE);
        let is_old = is_waiting_long && input.memory.is_past_patience(input.now);
        let finding = match input.observed.sight(name) {
            // A queue just made may not be known everywhere.
            Sight::Absent if self.retirement().was_just_created(name) || self.may_appear(name) => {
                Finding::waiting(Reason::Progressing, format!("{name} was created just now"), CONFIRM)
            }
            Sight::Absent | Sight::Present(_) => return None,
            // `Retain` changes nothing but tags, so it need not wait for what it cannot reach: the way out.
            Sight::Hidden(_) | Sight::OtherAccount(_) if self.policy == DeletionPolicy::Retain => return None,
            Sight::Failed(error)
                if self.policy == DeletionPolicy::Retain && (is_old || error.class() == ErrorClass::Denied) =>
            {
                return None;
            }
            Sight::Hidden(_) if self.retirement().is_being_deleted(name) => being_deleted(name, CONFIRM),
            Sight::Hidden(why) => circumstances
                .denied(format!("{name}: {why}. To let the queue go as it is, set spec.deletionPolicy: Retain")),
            sight @ (Sight::OtherAccount(_) | Sight::Failed(_)) => circumstances.out_of_sight(name, sight)?,
            Sight::Unseen | Sight::Appearing => {
                Finding::waiting(Reason::Progressing, format!("{name} is looked for"), CONFIRM)
            }
        };
        Some(finding)
    }

    /// Sources being deleted block nothing; those that live would lose their dead-letter queue.
    fn in_use(&self) -> Option<Finding> {
        let sources = self.input.fleet.live_sources(&self.key);
        if sources.is_empty() {
            return None;
        }
        let names: Vec<String> = sources.into_iter().map(ToString::to_string).collect();
        let message = format!(
            "still the dead-letter queue of {}; delete those Queues too, point them elsewhere, or set spec.deletionPolicy: Retain",
            names.join(", ")
        );
        Some(Finding::waiting(Reason::InUseAsDeadLetter, message, SignedDuration::from_mins(1)))
    }

    /// Fences the queues and reads them; true when all may be taken for empty.
    fn see_empty<'b>(&self, queues: impl Iterator<Item = &'b Ours<'b>>, plan: &mut Plan) -> bool {
        let mut wait: Option<SignedDuration> = None;
        let mut holding = Vec::new();
        for ours in queues.filter(|ours| !self.retirement().is_let_go(ours.origin)) {
            match self.retirement().emptying(ours.name, ours.present) {
                Fate::Do(step) => plan.steps.push(*step),
                Fate::Wait(time) => wait = Some(wait.map_or(time, |before| before.min(time))),
                Fate::Gone => {}
            }
            let Counts { available, in_flight, delayed } = ours.present.attributes.counts;
            if ours.present.attributes.counts.total() > 0 {
                holding.push(format!("{}: {available} visible, {in_flight} in flight, {delayed} delayed", ours.name));
            }
        }
        if plan.steps.is_empty()
            && let Some(retry) = wait
        {
            let message = if holding.is_empty() {
                format!(
                    "new messages are refused and none is left; the queues must read as empty for {} s",
                    self.input.class.empty_for.as_secs()
                )
            } else {
                format!(
                    "new messages are refused, and these are left: {}. Consume them, or set spec.deletionPolicy: Retain to keep the queues, or Delete to destroy the messages",
                    holding.join("; ")
                )
            };
            plan.findings.push(Finding::waiting(Reason::WaitingForEmpty, message, retry));
        }
        plan.steps.is_empty() && wait.is_none()
    }
}

fn being_deleted(name: &QueueName, retry: SignedDuration) -> Finding {
    Finding::waiting(Reason::Deleting, format!("{name} is being deleted in AWS, which takes up to 60 s"), retry)
}

fn under_way(key: &Key, retry: SignedDuration) -> Finding {
    Finding::waiting(Reason::Deleting, format!("the last changes to the queues of {key} in AWS take up to 60 s"), retry)
}
