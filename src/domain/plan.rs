//! The plan for a Queue that lives: which steps bring AWS and the cluster nearer to what it asks for, and what keeps
//! it from being ready. Planning reads nothing, writes nothing and cannot fail.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::conditions::{EventReason, Reason};
use crate::api::status::{RetiredDeadLetter, Target};

use super::attributes::{Attribute, Attributes};
use super::class::Class;
use super::desired::{Desired, DesiredDeadLetter, DesiredQueue};
use super::diff::{Comparison, Diff, GONE_PRINCIPAL_RETRY, REFUSED_POLICY_RETRY};
use super::finding::{Circumstances, Finding};
use super::fleet::Fleet;
use super::names::QueueName;
use super::observed::{Memory, Observed, PATIENCE, Present, Record, Sight};
use super::outputs::{Coordinates, Output, OutputChange, OutputKind, output_changes};
use super::redrive::RedrivePolicy;
use super::retire::{Fate, Retirement};
use super::tags::{Origin, Ownership, TagChange, Tags};

/// One write. A step is data: it can be printed, compared, counted and refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put our finalizer on the Queue, before anything that it must hold back for.
    AddFinalizer,
    /// Let the Queue go.
    RemoveFinalizer,
    /// Write to status where the queues live, before AWS hears of them.
    Record {
        /// The queue and its managed dead-letter queue.
        target: Target,
        /// Dead-letter queues no longer used.
        retired: Vec<RetiredDeadLetter>,
        /// The keys of the tags that are or will be set.
        tag_keys: BTreeSet<String>,
    },
    /// Create a queue, then read back its tags and attributes.
    CreateQueue {
        /// Its name.
        name: QueueName,
        /// Its attributes.
        attributes: Attributes,
        /// Its tags, the owner tags among them.
        tags: Tags,
    },
    /// Write attributes of a queue.
    SetAttributes {
        /// The queue.
        queue: QueueHandle,
        /// Just these.
        attributes: Attributes,
        /// What the event says.
        event: EventReason,
    },
    /// Add or overwrite tags.
    TagQueue {
        /// The queue.
        queue: QueueHandle,
        /// Just these.
        tags: Tags,
        /// What the event says.
        event: EventReason,
    },
    /// Remove tags.
    UntagQueue {
        /// The queue.
        queue: QueueHandle,
        /// Just these.
        keys: Vec<String>,
        /// What the event says.
        event: EventReason,
    },
    /// Delete a queue with all its messages.
    DeleteQueue {
        /// The queue.
        queue: QueueHandle,
    },
    /// Make a Secret or `ConfigMap` so.
    WriteOutput(Output),
    /// Remove a Secret or `ConfigMap` of this Queue.
    DeleteOutput {
        /// Secret or `ConfigMap`.
        kind: OutputKind,
        /// Its name.
        name: String,
    },
}

impl Step {
    /// Its name, for logs: a step's content may be a workload's.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddFinalizer => "AddFinalizer",
            Self::RemoveFinalizer => "RemoveFinalizer",
            Self::Record { .. } => "Record",
            Self::CreateQueue { .. } => "CreateQueue",
            Self::SetAttributes { .. } => "SetAttributes",
            Self::TagQueue { .. } => "TagQueue",
            Self::UntagQueue { .. } => "UntagQueue",
            Self::DeleteQueue { .. } => "DeleteQueue",
            Self::WriteOutput(_) => "WriteOutput",
            Self::DeleteOutput { .. } => "DeleteOutput",
        }
    }
}

impl Plan {
    /// Whether it says that AWS refuses a queue policy.
    #[must_use]
    pub fn tells_of_refused_policy(&self) -> bool {
        self.findings.iter().any(|finding| matches!(finding.reason, Reason::Refused | Reason::PrincipalGone))
    }
}

/// A queue that answers: its name for people, its URL for calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueHandle {
    /// Its name.
    pub name: QueueName,
    /// Its URL.
    pub url: String,
}

/// What to do, and what stands in the way.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Writes, in order. Without any, the Queue is as near to its declaration as it can be now.
    pub steps: Vec<Step>,
    /// Writes of outputs, once no step is left or one has failed: workloads find the queue as it is.
    pub outputs: Vec<Step>,
    /// What keeps the Queue from being ready.
    pub findings: Vec<Finding>,
    /// What was written and is not read back yet: `queue: attribute`.
    pub awaiting: Vec<String>,
    /// What differs and is left so.
    pub differences: Vec<String>,
    /// Dead-letter queues no longer used and not gone yet.
    pub retired: Vec<RetiredDeadLetter>,
    /// Queues in AWS that stay as they are when the Queue is let go, each with the reason why.
    pub left_behind: Vec<String>,
    /// Whether the queue is there and, unless it is only observed, proved to be this Queue's.
    pub is_there: bool,
    /// When to look again although nothing stands in the way.
    pub look_again: Option<SignedDuration>,
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

/// How soon to look again at a queue that was just made and does not answer.
const APPEARING: SignedDuration = SignedDuration::from_secs(2);

/// How soon to look again at what only a person or another Queue can change; both are seen at once as well.
const SLOW: SignedDuration = SignedDuration::from_mins(5);

/// The next steps.
#[must_use]
pub fn plan(input: &Input<'_>) -> Plan {
    if input.desired.observe { observe_only(input) } else { manage(input) }
}

/// How one queue stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It answers, is ours, and has nothing left to write.
    Settled,
    /// It will be so after the plan's steps.
    InWork,
    /// It is not there, or not proved to be ours.
    Blocked,
}

fn manage(input: &Input<'_>) -> Plan {
    let mut plan = Plan { retired: input.record.retired.clone(), ..Plan::default() };
    if !input.record.has_finalizer {
        plan.steps.push(Step::AddFinalizer);
    }
    let (target, retired) = to_record(input);
    let tag_keys: BTreeSet<String> =
        input.record.managed_tag_keys.iter().chain(input.desired.source.tags.keys()).cloned().collect();
    let record = input.record;
    if record.target.as_ref() != Some(&target) || record.retired != retired || record.managed_tag_keys != tag_keys {
        plan.steps.push(Step::Record { target, retired, tag_keys });
    }
    if !plan.steps.is_empty() {
        return plan;
    }
    let source = &input.desired.source;
    let dead_letter =
        input.desired.managed_dead_letter().map_or(Standing::Settled, |queue| converge(input, queue, &mut plan));
    if let DesiredDeadLetter::NotReady { why } = &input.desired.dead_letter {
        plan.findings.push(Finding::waiting(Reason::DeadLetterNotReady, why.clone(), SLOW));
    }
    let standing = match dead_letter {
        // A source names no dead-letter queue that is not there, or not proved to be ours.
        Standing::Blocked if input.observed.sight(&source.name).present().is_none() => Standing::Blocked,
        Standing::Blocked => converge(input, &without_redrive(source), &mut plan),
        Standing::Settled | Standing::InWork => converge(input, source, &mut plan),
    };
    plan.is_there = is_owned(input, &source.name);
    let is_settled = standing == Standing::Settled && dead_letter == Standing::Settled;
    retire(input, is_settled, &mut plan);
    if plan.is_there
        && let Some(present) = input.observed.sight(&source.name).present()
    {
        write_outputs(input, present, &mut plan);
    }
    if !plan.awaiting.is_empty() {
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
    let before = std::mem::replace(&mut target.dead_letter_queue_name, wanted.clone());
    let mut retired = input.record.retired.clone();
    retired.retain(|retired| Some(&retired.queue_name) != wanted.as_ref());
    if let Some(queue_name) = before.filter(|before| Some(before) != wanted.as_ref())
        && !retired.iter().any(|retired| retired.queue_name == queue_name)
    {
        retired.push(RetiredDeadLetter { queue_name, retired_time: Time(input.now) });
    }
    (target, retired)
}

/// While its dead-letter queue cannot be used, a source keeps the redrive policy that it has.
fn without_redrive(queue: &DesiredQueue) -> DesiredQueue {
    let mut queue = queue.clone();
    queue.attributes.remove(&Attribute::RedrivePolicy);
    queue
}

/// Brings one queue nearer to what it should be.
fn converge(input: &Input<'_>, queue: &DesiredQueue, plan: &mut Plan) -> Standing {
    match input.observed.sight(&queue.name) {
        Sight::Unseen | Sight::Absent => {
            if let Some(rival) = input.fleet.rival(&input.desired.key, &queue.name) {
                let message = format!(
                    "the queue name {} is claimed by Queue {} too, which is older; choose another name for one of them",
                    queue.name, rival.key
                );
                plan.findings.push(Finding::stalled(Reason::NameConflict, message, SLOW));
                return Standing::Blocked;
            }
            plan.steps.push(Step::CreateQueue {
                name: queue.name.clone(),
                attributes: queue.creation_attributes(),
                tags: full_tags(input, queue, Origin::Created),
            });
            // Whose it is will be read back: creating answers with a queue that is there already, whosever it is.
            Standing::Blocked
        }
        Sight::Appearing => {
            let message = format!("{} was created and does not answer yet", queue.name);
            plan.findings.push(Finding::waiting(Reason::Progressing, message, APPEARING));
            Standing::Blocked
        }
        Sight::Hidden(why) => {
            plan.findings.push(circumstances(input).denied(format!("{}: {why}", queue.name)));
            Standing::Blocked
        }
        Sight::Failed(error) => {
            let subject = queue.name.to_string();
            plan.findings.push(Finding::of_call(&subject, error, &circumstances(input)));
            Standing::Blocked
        }
        Sight::Present(present) => owned(input, queue, present, plan),
    }
}

fn owned(input: &Input<'_>, queue: &DesiredQueue, present: &Present, plan: &mut Plan) -> Standing {
    let handle = QueueHandle { name: queue.name.clone(), url: present.url.clone() };
    let origin = match input.desired.owner.ownership(&present.tags) {
        Ownership::Ours { origin } => origin,
        Ownership::OursFromPreviousCluster { origin } => {
            let tags = input.desired.owner.tags(origin);
            plan.steps.push(Step::TagQueue { queue: handle, tags, event: EventReason::Adopted });
            return Standing::InWork;
        }
        Ownership::Nobodys if input.desired.adopt => {
            let tags = full_tags(input, queue, Origin::Adopted);
            plan.steps.push(Step::TagQueue { queue: handle, tags, event: EventReason::Adopted });
            return Standing::InWork;
        }
        stranger => {
            plan.findings.push(not_ours(&queue.name, &stranger));
            return Standing::Blocked;
        }
    };

    let before = plan.steps.len();
    let comparison = comparison(input);
    let diff = comparison.diff(queue, &present.attributes);
    write_attributes(input, &handle, &diff, plan);
    let change = TagChange::between(&full_tags(input, queue, origin), &present.tags, &input.record.managed_tag_keys);
    if !change.set.is_empty() {
        plan.steps.push(Step::TagQueue { queue: handle.clone(), tags: change.set, event: EventReason::Tagged });
    }
    if !change.remove.is_empty() {
        plan.steps.push(Step::UntagQueue { queue: handle, keys: change.remove, event: EventReason::Tagged });
    }
    report_diff(&queue.name, &diff, input, plan);
    if plan.steps.len() == before { Standing::Settled } else { Standing::InWork }
}

fn write_attributes(input: &Input<'_>, handle: &QueueHandle, diff: &Diff, plan: &mut Plan) {
    let event = if input.record.was_converged { EventReason::DriftRepaired } else { EventReason::Updated };
    if !diff.write.is_empty() {
        plan.steps.push(Step::SetAttributes { queue: handle.clone(), attributes: diff.write.clone(), event });
    }
    if let Some(policy) = &diff.retry_policy {
        let attributes = Attributes::from([(Attribute::Policy, policy.clone())]);
        plan.steps.push(Step::SetAttributes { queue: handle.clone(), attributes, event });
    }
}

fn report_diff(name: &QueueName, diff: &Diff, input: &Input<'_>, plan: &mut Plan) {
    plan.awaiting.extend(diff.awaiting.iter().map(|attribute| awaited(name, *attribute)));
    if let Some(held) = &diff.held {
        let message = format!(
            "{name} holds {} messages and keeps them for {} s; {} would delete the older ones. It waits until the queue is empty, or for the annotation {}: {}",
            held.messages,
            held.observed,
            held.change,
            crate::api::ALLOW_MESSAGE_LOSS,
            held.change,
        );
        plan.findings.push(Finding::waiting(Reason::HeldBack, message, SLOW));
    }
    if let Some(refused) = &diff.refused_policy {
        let finding = if diff.gone_principals.is_empty() {
            let is_stalled = input.now.duration_since(refused.since) >= PATIENCE;
            let message = format!(
                "{name}: AWS refuses the queue policy: {}; it is tried again, as a principal just made takes time to be known",
                refused.words
            );
            Finding { reason: Reason::Refused, message, is_stalled, retry: REFUSED_POLICY_RETRY }
        } else {
            let message = format!(
                "{name}: the queue policy names principals that were deleted in IAM: {}; remove them from spec.access.statements or create them again",
                diff.gone_principals.join(", ")
            );
            Finding::stalled(Reason::PrincipalGone, message, GONE_PRINCIPAL_RETRY)
        };
        plan.findings.push(finding);
    }
}

/// What to say of a queue that is not this Queue's.
fn not_ours(name: &QueueName, ownership: &Ownership) -> Finding {
    let (reason, message) = match ownership {
        Ownership::AnotherQueues { owner } => (
            Reason::NameConflict,
            format!("{name} belongs to Queue {owner}, by its owner tags; it is left untouched. Choose another name"),
        ),
        Ownership::AnotherClusters { owner } => (
            Reason::NotOwned,
            format!(
                "{name} belongs to another owner ({owner}); it is left untouched. Choose another name, or remove the owner tags if that owner is gone"
            ),
        ),
        Ownership::AnotherClusterOfThisName { uid } => (
            Reason::ClusterIdentityChanged,
            format!(
                "{name} carries the owner tags of a cluster of this name with the UID {uid}. If this cluster replaces that one, start the operator with --previous-cluster-uid {uid}; if both live, give them different names (--cluster-name)"
            ),
        ),
        Ownership::Nobodys | Ownership::Ours { .. } | Ownership::OursFromPreviousCluster { .. } => (
            Reason::NotOwned,
            format!(
                "{name} exists and has no owner tags; it is left untouched. To take it over, set spec.adoptionPolicy: Adopt; else choose another name"
            ),
        ),
    };
    Finding::stalled(reason, message, SLOW)
}

/// Dead-letter queues no longer used: unwired first, then followed to their end.
fn retire(input: &Input<'_>, is_settled: bool, plan: &mut Plan) {
    if !is_settled {
        return; // The source may still use it.
    }
    let source = &input.desired.source.name;
    let wired_to = input.observed.sight(source).present().and_then(redrive_target);
    let is_rewiring = plan.awaiting.contains(&awaited(source, Attribute::RedrivePolicy));
    let mut kept = Vec::new();
    for retired in std::mem::take(&mut plan.retired) {
        let Ok(name) = QueueName::parse(&retired.queue_name) else {
            continue;
        };
        let retirement = Retirement {
            owner: &input.desired.owner,
            policy: input.desired.effective.deletion_policy,
            place: &input.class.place,
            record: input.record,
            memory: input.memory,
            empty_for: input.class.empty_for,
            now: input.now,
        };
        let arn = input.class.place.queue_arn(&name).to_string();
        let fate = if is_rewiring {
            // Until AWS reads back the new redrive policy, messages may still go to the old queue.
            Fate::Wait(READ_BACK)
        } else if wired_to.as_deref() == Some(arn.as_str()) {
            // The new dead-letter queue is not ready: that it is will be seen at once.
            Fate::Wait(SLOW)
        } else {
            retirement.fate(&name, input.observed.sight(&name))
        };
        match fate {
            Fate::Gone => {}
            Fate::Do(step) => {
                plan.steps.push(step);
                kept.push(retired);
            }
            Fate::Wait(time) => {
                plan.look_again = Some(plan.look_again.map_or(time, |before| before.min(time)));
                kept.push(retired);
            }
        }
    }
    plan.retired = kept;
}

fn write_outputs(input: &Input<'_>, present: &Present, plan: &mut Plan) {
    let desired = input.desired.outputs.render(&coordinates(input, present));
    plan.outputs.extend(output_changes(&desired, &input.observed.outputs).into_iter().map(|change| match change {
        OutputChange::Write(output) => Step::WriteOutput(output),
        OutputChange::Delete { kind, name } => Step::DeleteOutput { kind, name },
    }));
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

/// How [`Plan::awaiting`] names an attribute.
fn awaited(name: &QueueName, attribute: Attribute) -> String {
    format!("{name}: {attribute}")
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

/// `managementPolicy: Observe`: no write to AWS, no finalizer, no ownership asked.
fn observe_only(input: &Input<'_>) -> Plan {
    let mut plan = Plan { retired: input.record.retired.clone(), ..Plan::default() };
    if input.record.has_finalizer {
        plan.steps.push(Step::RemoveFinalizer);
    }
    let source = &input.desired.source;
    match input.observed.sight(&source.name) {
        Sight::Present(present) => {
            plan.is_there = true;
            write_outputs(input, present, &mut plan);
            plan.differences = comparison(input).differences(source, &present.attributes);
        }
        Sight::Absent | Sight::Unseen | Sight::Appearing => {
            let message = format!("there is no queue {} in {} to observe", source.name, input.class.place);
            plan.findings.push(Finding::stalled(Reason::NotFound, message, SLOW));
        }
        Sight::Hidden(why) => plan.findings.push(circumstances(input).denied(format!("{}: {why}", source.name))),
        Sight::Failed(error) => {
            let subject = source.name.to_string();
            plan.findings.push(Finding::of_call(&subject, error, &circumstances(input)));
        }
    }
    plan
}

fn circumstances<'a>(input: &Input<'a>) -> Circumstances<'a> {
    Circumstances { memory: input.memory, uid: input.uid, caller_arn: &input.class.caller_arn, now: input.now }
}

fn comparison<'a>(input: &Input<'a>) -> Comparison<'a> {
    Comparison {
        place: &input.class.place,
        meanings: &input.observed.key_meanings,
        record: input.record,
        memory: input.memory,
        allowed_losses: &input.desired.allowed_losses,
        now: input.now,
    }
}

/// The user's tags and the owner tags; the owner's win.
fn full_tags(input: &Input<'_>, queue: &DesiredQueue, origin: Origin) -> Tags {
    let mut tags = queue.tags.clone();
    tags.extend(input.desired.owner.tags(origin));
    tags
}

/// Whether the queue `name` answers and is this Queue's.
pub(super) fn is_owned(input: &Input<'_>, name: &QueueName) -> bool {
    input
        .observed
        .sight(name)
        .present()
        .is_some_and(|present| matches!(input.desired.owner.ownership(&present.tags), Ownership::Ours { .. }))
}
