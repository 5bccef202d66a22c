//! The status that follows from a pass: from what was applied and read back, never from what was meant.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::class::DriftMode;
use crate::api::conditions::{ConditionType, Reason};
use crate::api::status::{
    BindingStatus, DeadLetterStatus, Effective, EffectiveRedriveAllow, IamStatus, Messages, OutputReference,
    QueueStatus, Target,
};

use super::access::AccessPlan;
use super::attributes::{Attribute, Counts};
use super::call::ErrorClass;
use super::desired::{Desired, Refusal};
use super::finding::Finding;
use super::iam::PolicySight;
use super::key_policy::key_policy_status;
use super::names::QueueName;
use super::observed::{Observed, Present, Record, Sight};
use super::outputs::{Coordinates, Output, OutputKind};
use super::plan::{Input, Plan, coordinates, is_owned};
use super::redrive::RedriveAllow;
use super::tags::Ownership;

/// A finding's retry when nothing of the spec is written to AWS: a change of the object is seen at once.
const REFUSED_RETRY: SignedDuration = SignedDuration::from_mins(5);

/// What a pass found, for status.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What keeps the Queue from being ready; what a person must mend first.
    pub findings: Vec<Finding>,
    /// Whether steps are left.
    pub is_unfinished: bool,
    /// Whether AWS reads back what was written, and the words for it; nothing for who writes nothing there.
    pub propagated: Option<Propagated>,
    /// What differs and is left so.
    pub differences: Vec<String>,
    /// What to say when ready.
    pub ready: (Reason, String),
}

/// Whether AWS reads back what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Propagated {
    /// It does.
    Yes,
    /// Not yet, for these.
    NotYet(Vec<String>),
    /// It was not asked, or nothing was written.
    Unknown(String),
}

impl Verdict {
    /// After a plan was carried out as far as it went.
    #[must_use]
    pub fn of_plan(desired: &Desired, plan: &Plan, failures: Vec<Finding>) -> Self {
        let name = &desired.source.name;
        let propagated = match (desired.observe, plan.is_read && failures.is_empty()) {
            (true, _) => Propagated::Unknown("managementPolicy is Observe: nothing is written".to_owned()),
            (false, false) => Propagated::Unknown("AWS was not read to the end".to_owned()),
            (false, true) => {
                let attributes = plan.awaiting.iter().map(|(name, attribute)| format!("{name}: {attribute}"));
                let policies = plan.awaiting_policies.iter().map(ToString::to_string);
                let awaiting: Vec<String> = attributes.chain(policies).collect();
                if awaiting.is_empty() { Propagated::Yes } else { Propagated::NotYet(awaiting) }
            }
        };
        let ready = if desired.observe {
            (Reason::Observed, format!("{name} exists; managementPolicy is Observe, so nothing is written to AWS"))
        } else if !plan.differences.is_empty() {
            (
                Reason::Converged,
                format!("{name} was made as declared; what was changed from outside since is told and left so"),
            )
        } else {
            (Reason::Converged, format!("{name} is as declared"))
        };
        // Steps that are left because one failed are tried again when the failure says.
        let is_unfinished = !plan.steps.is_empty() && failures.is_empty();
        let findings = plan.findings.iter().cloned().chain(failures).collect();
        let propagated = Some(propagated);
        Self { findings, is_unfinished, propagated, differences: plan.differences.clone(), ready }.sorted()
    }

    /// Before the first write to AWS.
    #[must_use]
    pub fn in_progress() -> Self {
        Self {
            findings: Vec::new(),
            is_unfinished: true,
            propagated: Some(Propagated::Unknown("nothing was written yet".to_owned())),
            differences: Vec::new(),
            ready: (Reason::Progressing, String::new()),
        }
    }

    /// When nothing of the spec is written to AWS.
    #[must_use]
    pub fn of_refusal(refusal: &Refusal, failures: Vec<Finding>) -> Self {
        let mut refused = Finding::stalled(refusal.reason, refusal.message(), REFUSED_RETRY);
        refused.is_stalled = !refusal.is_waiting();
        Self {
            findings: std::iter::once(refused).chain(failures).collect(),
            is_unfinished: false,
            propagated: Some(Propagated::Unknown("nothing of this generation was written".to_owned())),
            differences: Vec::new(),
            ready: (Reason::Converged, String::new()),
        }
    }

    /// While the Queue is being deleted.
    #[must_use]
    pub fn of_deletion(plan: &Plan, failures: Vec<Finding>) -> Self {
        let progressing =
            Finding::waiting(Reason::Deleting, "the Queue is being deleted", SignedDuration::from_secs(5));
        let mut findings: Vec<Finding> = plan.findings.iter().cloned().chain(failures).collect();
        if findings.is_empty() {
            findings.push(progressing);
        }
        Self {
            findings,
            is_unfinished: false,
            propagated: Some(Propagated::Unknown("the Queue is being deleted".to_owned())),
            differences: Vec::new(),
            ready: (Reason::Converged, String::new()),
        }
        .sorted()
    }

    /// Of a `QueueAccess`.
    #[must_use]
    pub fn of_access(plan: &AccessPlan, failures: Vec<Finding>) -> Self {
        Self {
            findings: plan.finding.iter().cloned().chain(failures).collect(),
            is_unfinished: false,
            propagated: None,
            differences: Vec::new(),
            ready: (Reason::Granted, plan.ready.clone().unwrap_or_else(by_queue_policy)),
        }
        .sorted()
    }

    fn sorted(mut self) -> Self {
        self.findings.sort_by_key(|finding| !finding.is_stalled);
        self
    }

    /// When to look again because of what was found.
    #[must_use]
    pub fn retry(&self) -> Option<SignedDuration> {
        self.findings.iter().map(|finding| finding.retry).min()
    }

    /// The conditions, each with `generation`; those that did not change keep their time.
    #[must_use]
    pub fn conditions(&self, previous: &[Condition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
        let mut conditions = Conditions::after(previous, generation, now);
        let first = self.findings.first();
        let words = self.words();
        match first {
            Some(finding) => conditions.add(ConditionType::Ready.as_str(), "False", finding.reason, words.clone()),
            None if self.is_unfinished => {
                conditions.add(
                    ConditionType::Ready.as_str(),
                    "False",
                    Reason::Progressing,
                    "work is in progress".to_owned(),
                );
            }
            None => conditions.add(ConditionType::Ready.as_str(), "True", self.ready.0, self.ready.1.clone()),
        }
        match &self.propagated {
            None => {}
            Some(Propagated::Yes) => {
                conditions.add(
                    ConditionType::Propagated.as_str(),
                    "True",
                    Reason::ReadBack,
                    "AWS reads back what was written".to_owned(),
                );
            }
            Some(Propagated::NotYet(awaiting)) => {
                let message = format!("written, and not read back yet: {}", awaiting.join(", "));
                conditions.add(ConditionType::Propagated.as_str(), "False", Reason::Propagating, message);
            }
            Some(Propagated::Unknown(why)) => {
                conditions.add(ConditionType::Propagated.as_str(), "Unknown", Reason::NotRead, why.clone());
            }
        }
        match first {
            Some(finding) if finding.is_stalled => {
                conditions.add(ConditionType::Stalled.as_str(), "True", finding.reason, words);
            }
            Some(finding) => conditions.add(ConditionType::Reconciling.as_str(), "True", finding.reason, words),
            None if self.is_unfinished => {
                conditions.add(
                    ConditionType::Reconciling.as_str(),
                    "True",
                    Reason::Progressing,
                    "work is in progress".to_owned(),
                );
            }
            None => {}
        }
        if !self.differences.is_empty() {
            conditions.add(ConditionType::Drifted.as_str(), "True", Reason::Differs, self.differences.join("; "));
        }
        conditions.made()
    }

    /// All findings in one text.
    fn words(&self) -> String {
        const MAX: usize = 4096; // The API server takes 32,768; nobody reads more than this.
        let lines: Vec<&str> = self.findings.iter().map(|finding| finding.message.as_str()).collect();
        let text = lines.join("; ");
        text.char_indices().nth(MAX).map_or(text.clone(), |(end, _)| format!("{}…", &text[..end]))
    }
}

/// Conditions in the making; those that do not change keep their time.
pub(super) struct Conditions<'a> {
    previous: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    made: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    pub(super) fn after(previous: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { previous, generation, now, made: Vec::new() }
    }

    pub(super) fn made(self) -> Vec<Condition> {
        self.made
    }

    pub(super) fn add(&mut self, type_: &str, status: &str, reason: Reason, message: String) {
        let before = self.previous.iter().find(|condition| condition.type_ == type_);
        let since = before.filter(|before| before.status == status).map(|before| before.last_transition_time.clone());
        self.made.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: self.generation,
            last_transition_time: since.unwrap_or(Time(self.now)),
        });
    }
}

/// How long reads may fail before a Queue that was ready is so no more: AWS forgets an answer now and then, and others in
/// the account use up its quotas.
const BLIP: SignedDuration = SignedDuration::from_mins(2);

/// Whether all that is wrong is that AWS did not let itself be read for a moment: nothing is known to have changed, and
/// nothing is told.
#[must_use]
pub fn is_blip(input: &Input<'_>, plan: &Plan) -> bool {
    let is_passing = |reason: Reason| matches!(reason, Reason::Throttled | Reason::AWSUnavailable);
    let unread = input.observed.queues.values().filter_map(|sight| match sight {
        Sight::Failed(error) => Some(error.class()),
        _ => None,
    });
    let unread = unread.chain(input.observed.policies.values().filter_map(|sight| match sight {
        PolicySight::Failed(error) => Some(error.class()),
        _ => None,
    }));
    let since = input.memory.failing_since;
    input.record.was_converged
        && plan.steps.is_empty()
        && !plan.findings.is_empty()
        && plan.findings.iter().all(|finding| is_passing(finding.reason))
        && unread.clone().next().is_some()
        && unread.clone().all(|class| matches!(class, ErrorClass::Throttled | ErrorClass::Transient))
        && since.is_none_or(|since| input.now.duration_since(since) < BLIP)
}

/// The status of a Queue whose spec was applied as far as it went.
#[must_use]
pub fn status_of_plan(input: &Input<'_>, plan: &Plan, previous: &QueueStatus) -> QueueStatus {
    let desired = input.desired;
    let mut status = previous.clone();
    status.target.clone_from(&input.record.target);
    if desired.observe && plan.is_there {
        // Where it was found is where it is looked for from now on: no flag repoints its outputs.
        let found = || Target { dead_letter_queue_name: None, ..desired.target.clone() };
        status.target = status.target.take().or_else(|| Some(found()));
    }
    if let Some(target) = &mut status.target {
        // Who only observes records nothing before; a class of the same place and names may have taken over there too.
        target.queue_class_name.clone_from(&desired.target.queue_class_name);
    }
    status.effective = Some(Effective { redrive_allow: redrive_allow(input), ..desired.effective.clone() });
    if plan.is_there
        && let Some(present) = input.observed.sight(&desired.source.name).present()
    {
        status.queue_url = Some(present.url.clone());
        status.queue_arn = Some(desired.source.arn.to_string());
        status.queue_name = Some(desired.source.name.to_string());
        status.dead_letter = dead_letter_status(input);
        // The specification projects whatever Secret is named here: only one that was written.
        let is_written = |name: &String| input.observed.has_output(OutputKind::Secret, name);
        let binding = desired.outputs.binding.clone().filter(is_written);
        status.binding = binding.map(|name| BindingStatus { name });
    }
    // Of a source that cannot be read nobody knows that it let go of the dead-letter queue that it had.
    let is_out_of_sight = input.observed.sight(&desired.source.name).is_out_of_sight();
    let is_known = plan.is_there || (is_out_of_sight && previous.dead_letter.is_some());
    if !is_known
        && let Some(queue) = desired.managed_dead_letter()
        && is_owned(input, &queue.name)
        && let Some(present) = input.observed.sight(&queue.name).present()
    {
        // Made before its source: it is found again by this while the source is waited for.
        let (queue_url, queue_arn) = (Some(present.url.clone()), queue.arn.to_string());
        status.dead_letter = Some(DeadLetterStatus { queue_url, queue_arn });
    }
    status.outputs = output_references(input.observed);
    status.retired_dead_letters.clone_from(&plan.retired);
    status.grants.clone_from(&input.record.grants);
    let policies = plan.policies.clone();
    status.iam = (!policies.is_empty()).then_some(IamStatus { policies });
    let seen = input.observed.key_policy.as_ref();
    status.key_policy =
        desired.key_access.as_ref().map(|key_access| key_policy_status(key_access, seen, previous.key_policy.as_ref()));
    if !desired.observe {
        status.managed_tag_keys = managed_tag_keys(desired, input.observed, input.record);
    }
    status.last_write.clone_from(&input.record.written);
    status.applied_digest = applied_digest(input, plan);
    status.messages = messages(input, previous.messages.as_ref());
    status
}

/// The declaration, when all of it has been applied; what differs from then on was changed from outside.
fn applied_digest(input: &Input<'_>, plan: &Plan) -> Option<String> {
    if input.class.drift != DriftMode::Report || input.desired.observe {
        return None;
    }
    let digest = input.desired.digest();
    let is_applied =
        plan.is_read && plan.steps.is_empty() && plan.findings.is_empty() && input.observed.refused.is_empty();
    (is_applied || input.record.applied_digest.as_ref() == Some(&digest)).then_some(digest)
}

/// Who may use the queue as their dead-letter queue: what AWS took, for sources rely on it; before there is a queue, what
/// is meant.
fn redrive_allow(input: &Input<'_>) -> EffectiveRedriveAllow {
    const ALLOW: Attribute = Attribute::RedriveAllowPolicy;
    let source = &input.desired.source;
    let want = source.attributes.get(&ALLOW);
    let is_under_way =
        || want.is_some_and(|want| input.record.under_way(&source.name, ALLOW, input.now).is_some_and(|w| w.is(want)));
    let meant = &input.desired.effective.redrive_allow;
    match input.observed.sight(&source.name).present() {
        Some(present) if !input.desired.observe && !is_under_way() => {
            let have = present.attributes.settings.get(&ALLOW).map_or("", String::as_str);
            RedriveAllow::parse(have).map_or_else(|| meant.clone(), |allow| allow.effective())
        }
        _ => meant.clone(),
    }
}

/// The outputs that there are.
fn output_references(observed: &Observed) -> Vec<OutputReference> {
    let of = |output: &Output| OutputReference { kind: output.kind.as_str().to_owned(), name: output.name.clone() };
    let mut all: Vec<OutputReference> = observed.outputs.iter().map(|seen| of(&seen.output)).collect();
    all.sort();
    all
}

/// The dead-letter queue that the queue names in AWS, whatever it should name.
fn dead_letter_status(input: &Input<'_>) -> Option<DeadLetterStatus> {
    let present = input.observed.sight(&input.desired.source.name).present()?;
    let Coordinates { dead_letter_url, dead_letter_arn, .. } = coordinates(input, present);
    Some(DeadLetterStatus { queue_url: dead_letter_url, queue_arn: dead_letter_arn? })
}

/// The keys that we set: those declared, and those set before that may still be there to be removed.
fn managed_tag_keys(desired: &Desired, observed: &Observed, record: &Record) -> Vec<String> {
    let all_seen = observed.queues.values().all(|sight| matches!(sight, Sight::Present(_) | Sight::Absent));
    // Of a queue that is not ours, we set none.
    let is_ours = |present: &Present| {
        matches!(
            desired.owner.ownership(&present.tags),
            Ownership::Ours { .. } | Ownership::OursFromPreviousCluster { .. }
        )
    };
    let is_on = |present: &Present, key: &String| is_ours(present) && present.tags.contains_key(key);
    let is_left = |key: &&String| !all_seen || observed.present().any(|(_, present)| is_on(present, key));
    let before = record.managed_tag_keys.iter();
    let is_wanted = |key: &&String| desired.source.tags.contains_key(*key);
    before.filter(|key| is_wanted(key) || is_left(key)).cloned().collect()
}

/// The counts as read, when a drift interval has passed since they were last written; else as they were.
fn messages(input: &Input<'_>, previous: Option<&Messages>) -> Option<Messages> {
    let desired = input.desired;
    let counts = |name: &QueueName| input.observed.sight(name).present().map(|present| present.attributes.counts);
    let Some(Counts { available, in_flight, delayed }) = counts(&desired.source.name) else {
        return previous.cloned();
    };
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let read = Messages {
        available: whole(available),
        in_flight: whole(in_flight),
        delayed: whole(delayed),
        dead_letters: desired.managed_dead_letter().and_then(|queue| counts(&queue.name)).map(|c| whole(c.total())),
        observed_time: Time(input.now),
    };
    match previous {
        Some(before) if same_counts(before, &read) => Some(before.clone()),
        // Less a tenth: waits are shortened by up to that much to spread them.
        Some(before) if input.now.duration_since(before.observed_time.0) < input.class.resync * 9 / 10 => {
            Some(before.clone())
        }
        _ => Some(read),
    }
}

fn same_counts(one: &Messages, other: &Messages) -> bool {
    let counts = |m: &Messages| (m.available, m.in_flight, m.delayed, m.dead_letters);
    counts(one) == counts(other)
}

fn by_queue_policy() -> String {
    "the queue policy lets the subject in as declared".to_owned()
}
