//! The plan for a Queue that lives: which steps bring AWS and the cluster nearer to what it asks for, and what keeps
//! it from being ready. Planning reads nothing, writes nothing and cannot fail.

mod converge;
mod observe;
mod step;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::Queue;
use crate::api::class::DriftMode;
use crate::api::conditions::Reason;
use crate::api::status::{PolicyStatus, RetiredDeadLetter, RetiredState, Target};

use super::access::{grants_to_record, next_trial};
use super::attributes::Attribute;
use super::class::Class;
use super::desired::{Desired, DesiredDeadLetter, DesiredQueue, Refusal};
use super::diff::Comparison;
use super::finding::{Circumstances, Finding};
use super::fleet::Fleet;
use super::iam::{PolicyArn, converge_policies, policies_to_record};
use super::names::QueueName;
use super::observed::{Memory, Observed, Present, Record, Sight};
use super::outputs::{Coordinates, OutputChange, OutputKind, OutputSettings, output_changes};
use super::redrive::RedrivePolicy;
use super::retire::{Fate, Retirement};
use super::tags::Ownership;
use converge::{Standing, converge};
use observe::observe_only;
pub use step::{QueueHandle, Step};

/// What to do, and what stands in the way.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Writes, in order. Without any, the Queue is as near to its declaration as it can be now.
    pub steps: Vec<Step>,
    /// Writes of outputs, once no step is left or one has failed: workloads find the queue as it is.
    pub outputs: Vec<Step>,
    /// What keeps the Queue from being ready.
    pub findings: Vec<Finding>,
    /// What was written and is not read back yet.
    pub awaiting: Vec<(QueueName, Attribute)>,
    /// Queues whose shorter retention waits until they are seen to be empty.
    pub watched: BTreeSet<String>,
    /// What differs and is left so.
    pub differences: Vec<String>,
    /// Dead-letter queues no longer used and not gone yet.
    pub retired: Vec<RetiredDeadLetter>,
    /// Policies in IAM, made or about to be made, and those that are no longer wanted and not gone yet.
    pub policies: Vec<PolicyStatus>,
    /// Policies that were written, and are not read back yet.
    pub awaiting_policies: Vec<PolicyArn>,
    /// Queues and policies in AWS that stay as they are when the Queue is let go, each with the reason why.
    pub left_behind: Vec<String>,
    /// Whether what is there of the policies must be read before more can be planned.
    pub needs_policies: bool,
    /// Whether the queue is there and, unless it is only observed, proved to be this Queue's.
    pub is_there: bool,
    /// Whether every queue that should be there was read and is this Queue's.
    pub is_read: bool,
    /// When to look again although nothing stands in the way.
    pub look_again: Option<SignedDuration>,
}

impl Plan {
    /// Whether there is nothing left to do or to wait for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.steps.is_empty() && self.findings.is_empty()
    }
}

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What the Queue asks for.
    pub desired: &'a Desired,
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
    /// The object's UID; it spreads waits.
    pub uid: &'a str,
    /// The time of this pass.
    pub now: Timestamp,
}

/// How soon to look again while AWS has not read back what was written.
const READ_BACK: SignedDuration = SignedDuration::from_secs(10);

/// How soon to look again while AWS takes longer than it does for most attributes.
const READ_BACK_LATER: SignedDuration = SignedDuration::from_mins(1);

/// How soon to look again at what only a person or another Queue can change; both are seen at once as well.
pub(super) const SLOW: SignedDuration = SignedDuration::from_mins(5);

/// The next steps.
#[must_use]
pub fn plan(input: &Input<'_>) -> Plan {
    if input.desired.observe { observe_only(input) } else { manage(input) }
}

fn manage(input: &Input<'_>) -> Plan {
    let (retired, policies) = (input.record.retired.clone(), input.record.policies.clone());
    let mut plan = Plan { retired, policies, ..Plan::default() };
    if !input.record.has_finalizer {
        plan.steps.push(Step::AddFinalizer);
    }
    let (target, retired) = to_record(input);
    let policies = policies_to_record(input);
    let grants = grants_to_record(input);
    let tag_keys: BTreeSet<String> =
        input.record.managed_tag_keys.iter().chain(input.desired.source.tags.keys()).cloned().collect();
    let record = input.record;
    let applied_digest = record.applied_digest.clone().filter(|_| only_reports(input));
    if record.target.as_ref() != Some(&target)
        || record.retired != retired
        || record.policies != policies
        || record.grants != grants
        || record.managed_tag_keys != tag_keys
        || record.applied_digest != applied_digest
    {
        plan.steps.push(Step::Record { target, retired, policies, grants, tag_keys, applied_digest });
    }
    if !plan.steps.is_empty() {
        return plan;
    }
    let source = &input.desired.source;
    let dead_letter = input
        .desired
        .managed_dead_letter()
        .map_or(Standing::Settled, |queue| converge(input, &outliving(input, queue), &mut plan));
    if let DesiredDeadLetter::NotReady { why } = &input.desired.dead_letter {
        plan.findings.push(Finding::waiting(Reason::DeadLetterNotReady, why.clone(), SLOW));
    }
    let standing = match dead_letter {
        // A source names no dead-letter queue that is not there, or not proved to be ours.
        Standing::Blocked if input.observed.sight(&source.name).present().is_none() => {
            let sight = input.observed.sight(&source.name);
            plan.findings.extend(circumstances(input).out_of_sight(&source.name, sight));
            Standing::Blocked
        }
        Standing::Blocked => converge(input, &without_redrive(source), &mut plan),
        Standing::Settled | Standing::InWork => converge(input, source, &mut plan),
    };
    plan.is_there = is_owned(input, &source.name);
    plan.is_read = standing != Standing::Blocked && dead_letter != Standing::Blocked;
    let is_settled = standing == Standing::Settled && dead_letter == Standing::Settled;
    retire(input, is_settled, &mut plan);
    plan.policies.clear();
    converge_policies(input, &mut plan);
    if plan.is_there
        && let Some(present) = input.observed.sight(&source.name).present()
    {
        write_outputs(input, present, &mut plan);
    }
    if let Some(wait) = next_trial(input) {
        plan.look_again = Some(plan.look_again.map_or(wait, |sooner| sooner.min(wait)));
    }
    if !plan.awaiting.is_empty() || !plan.awaiting_policies.is_empty() {
        let read_back = read_back(input);
        plan.look_again = Some(plan.look_again.map_or(read_back, |sooner| sooner.min(read_back)));
    }
    plan
}

/// Where the queues live. A dead-letter queue that is no longer wanted is on record as retired before it is unwired,
/// and one that is wanted again is taken back.
fn to_record(input: &Input<'_>) -> (Target, Vec<RetiredDeadLetter>) {
    let wanted = input.desired.target.dead_letter_queue_name.clone();
    let mut target = input.record.target.clone().unwrap_or_else(|| input.desired.target.clone());
    // A class of the same place and names may take the place of another.
    target.queue_class_name.clone_from(&input.desired.target.queue_class_name);
    let before = std::mem::replace(&mut target.dead_letter_queue_name, wanted.clone());
    let mut retired = input.record.retired.clone();
    retired.retain(|retired| Some(&retired.queue_name) != wanted.as_ref());
    if let Some(queue_name) = before.filter(|before| Some(before) != wanted.as_ref())
        && !retired.iter().any(|retired| retired.queue_name == queue_name)
    {
        let retired_time = Time(input.now);
        retired.push(RetiredDeadLetter { queue_name, retired_time, state: Some(RetiredState::InUse) });
    }
    (target, retired)
}

/// While its source keeps messages longer than is declared, a standard dead-letter queue is not made to keep them shorter
/// than that: SQS counts from the first enqueueing, and what is moved there would be deleted at once.
fn outliving(input: &Input<'_>, queue: &DesiredQueue) -> DesiredQueue {
    const RETENTION: Attribute = Attribute::MessageRetentionPeriod;
    let source = &input.desired.source;
    let present = |name: &QueueName| input.observed.sight(name).present();
    let seconds = |text: Option<&String>| text.and_then(|text| text.parse::<i64>().ok());
    let held = present(&source.name).and_then(|present| comparison(input).diff(source, &present.attributes).held);
    let mut queue = queue.clone();
    if let (Some(held), Some(want), Some(present)) =
        (held, seconds(queue.attributes.get(&RETENTION)), present(&queue.name))
        && !queue.name.is_fifo()
        && want < held.observed
        && seconds(present.attributes.settings.get(&RETENTION)) > Some(want)
    {
        queue.attributes.remove(&RETENTION);
    }
    queue
}

/// While its dead-letter queue cannot be used, a source keeps the redrive policy that it has.
fn without_redrive(queue: &DesiredQueue) -> DesiredQueue {
    let mut queue = queue.clone();
    queue.attributes.remove(&Attribute::RedrivePolicy);
    queue
}

/// Dead-letter queues no longer used: unwired first, then followed to their end.
fn retire(input: &Input<'_>, is_settled: bool, plan: &mut Plan) {
    if !is_settled {
        return; // The source may still use it.
    }
    let source = &input.desired.source.name;
    let wired_to = input.observed.sight(source).present().and_then(redrive_target);
    let is_rewiring = plan.awaiting.contains(&(source.clone(), Attribute::RedrivePolicy));
    let mut kept = Vec::new();
    for retired in std::mem::take(&mut plan.retired) {
        let Ok(name) = QueueName::parse(&retired.queue_name) else {
            continue;
        };
        let retirement = Retirement {
            owner: &input.desired.owner,
            policy: input.desired.effective.deletion_policy,
            deletes_adopted: input.desired.deletes_adopted,
            place: &input.class.place,
            record: input.record,
            memory: input.memory,
            empty_for: input.class.empty_for,
            now: input.now,
        };
        let arn = input.class.place.queue_arn(&name).to_string();
        let sight = input.observed.sight(&name);
        let age = input.now.duration_since(retired.retired_time.0);
        let (fate, state) = if is_rewiring {
            // Until AWS reads back the new redrive policy, messages may still go to the old queue.
            (Fate::Wait(READ_BACK), RetiredState::InUse)
        } else if wired_to.as_deref() == Some(arn.as_str()) {
            // The new dead-letter queue is not ready: that it is will be seen at once.
            (Fate::Wait(SLOW), RetiredState::InUse)
        } else if input.observed.refused.contains_key(name.as_str()) {
            // Told by the failure of this pass.
            (Fate::Wait(SLOW), RetiredState::Refused)
        } else {
            (retirement.fate(&name, sight, age), retirement.state(&name, sight, retired.state))
        };
        match fate {
            Fate::Gone => continue,
            Fate::Do(step) => plan.steps.push(*step),
            Fate::Wait(time) => plan.look_again = Some(plan.look_again.map_or(time, |before| before.min(time))),
        }
        kept.push(RetiredDeadLetter { state: Some(state), ..retired });
    }
    plan.retired = kept;
}

fn write_outputs(input: &Input<'_>, present: &Present, plan: &mut Plan) {
    plan.outputs = output_steps(&input.desired.outputs, &coordinates(input, present), input.observed, input.memory);
}

/// The outputs of a Queue whose spec is refused: its queue is where it was when it was last seen. Another class than the
/// one under which the queue was made says nothing about them.
#[must_use]
pub fn outputs_on_record(
    queue: &Queue,
    class: &Class,
    refusal: &Refusal,
    observed: &Observed,
    memory: &Memory,
) -> Vec<Step> {
    let is_about_outputs = refusal.errors.iter().any(|error| error.path.starts_with("spec.outputs"));
    let target = queue.status.as_ref().and_then(|status| status.target.as_ref());
    let is_of_class =
        target.is_some_and(|target| target.queue_class_name == class.name && target.place() == class.place);
    let found = Coordinates::on_record(queue).filter(|_| is_of_class && !is_about_outputs);
    found.map_or_else(Vec::new, |found| output_steps(&OutputSettings::of(queue, class), &found, observed, memory))
}

/// The writes that bring outputs to what `settings` ask for, for a queue at `coordinates`.
#[must_use]
pub fn output_steps(
    settings: &OutputSettings,
    coordinates: &Coordinates,
    observed: &Observed,
    memory: &Memory,
) -> Vec<Step> {
    let desired = settings.render(coordinates);
    let is_wanted = |(kind, name): &&(OutputKind, String)| {
        desired.iter().any(|output| output.kind == *kind && output.name == *name) || observed.has_output(*kind, name)
    };
    let unseen = memory.outputs.iter().filter(|output| !is_wanted(output));
    let unseen = unseen.map(|(kind, name)| Step::DeleteOutput { kind: *kind, name: name.clone() });
    let changes = output_changes(&desired, &observed.outputs).into_iter().map(|change| match change {
        OutputChange::Write(output) => Step::WriteOutput(output),
        OutputChange::Delete { kind, name } => Step::DeleteOutput { kind, name },
    });
    unseen.chain(changes).collect()
}

/// How soon to look again whether AWS reads back what was written: retention may take 15 minutes.
fn read_back(input: &Input<'_>) -> SignedDuration {
    let newest = input.record.written.as_ref().map(|written| written.time.0);
    let is_fresh = newest.is_none_or(|time| input.now.duration_since(time) < READ_BACK_LATER);
    if is_fresh { READ_BACK } else { READ_BACK_LATER }
}

/// The dead-letter queue that a queue names now.
#[must_use]
pub fn redrive_target(present: &Present) -> Option<String> {
    let text = present.attributes.settings.get(&Attribute::RedrivePolicy)?;
    RedrivePolicy::parse(text).map(|policy| policy.dead_letter_arn)
}

/// Where a workload finds the queue, and the dead-letter queue that it has.
#[must_use]
pub fn coordinates(input: &Input<'_>, present: &Present) -> Coordinates {
    let desired = input.desired;
    let dead_letter_arn = redrive_target(present);
    let dead_letter_url = dead_letter_arn.as_ref().and_then(|arn| {
        let name = arn.rsplit(':').next()?;
        let seen = input.observed.queues.get(name).and_then(Sight::present).map(|present| present.url.clone());
        // A queue of the same account and region has the same URL but for its name.
        seen.or_else(|| Some(format!("{}/{name}", present.url.rsplit_once('/')?.0)))
    });
    Coordinates {
        url: present.url.clone(),
        arn: desired.source.arn.to_string(),
        name: desired.source.name.to_string(),
        queue_type: desired.target.queue_type,
        region: desired.target.region.clone(),
        dead_letter_url,
        dead_letter_arn,
    }
}

pub(super) fn circumstances<'a>(input: &Input<'a>) -> Circumstances<'a> {
    Circumstances { memory: input.memory, uid: input.uid, caller_arn: &input.class.caller_arn, now: input.now }
}

pub(super) fn comparison<'a>(input: &Input<'a>) -> Comparison<'a> {
    Comparison {
        place: &input.class.place,
        meanings: &input.observed.key_meanings,
        record: input.record,
        memory: input.memory,
        allowed_losses: &input.desired.allowed_losses,
        empty_for: input.class.empty_for,
        now: input.now,
    }
}

/// Whether what differs is told and left as it is: the class says so, and all that is declared was applied before.
pub(super) fn only_reports(input: &Input<'_>) -> bool {
    input.class.drift == DriftMode::Report && input.record.applied_digest == Some(input.desired.digest())
}

/// Whether the dead-letter queue is there: the Queue's own, or another that allows this source.
pub(super) fn is_dead_letter_known(input: &Input<'_>) -> bool {
    match &input.desired.dead_letter {
        DesiredDeadLetter::Managed(queue) => is_owned(input, &queue.name),
        DesiredDeadLetter::Reference { .. } => true,
        DesiredDeadLetter::None | DesiredDeadLetter::NotReady { .. } => false,
    }
}

/// Whether the queue `name` answers and is this Queue's.
pub(super) fn is_owned(input: &Input<'_>, name: &QueueName) -> bool {
    input
        .observed
        .sight(name)
        .present()
        .is_some_and(|present| matches!(input.desired.owner.ownership(&present.tags), Ownership::Ours { .. }))
}
