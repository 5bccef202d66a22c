//! What is there: queues in AWS, outputs in the cluster, and what was remembered since last time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::api::status::{
    EffectiveRedriveAllow, GrantStatus, LastWrite, PolicyStatus, RetiredDeadLetter, Target, WrittenAttribute,
};
use crate::api::{FINALIZER, Queue, RECONCILE_AT};

use super::attributes::{Attribute, Attributes, QueueAttributes};
use super::call::CallError;
use super::digest::sha256;
use super::encryption::KeyMeanings;
use super::iam::{PolicyArn, PolicySight, PresentPolicy};
use super::key_policy::KeyPolicySeen;
use super::names::QueueName;
use super::outputs::{ObservedOutput, Output, OutputKind};
use super::tags::Tags;

/// What was seen of one queue in AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nobody looked: no URL is known, and creating it is how to find out.
    Unseen,
    /// It does not exist, and that is to be believed: the caller's account is the target's and `ListQueues` agrees.
    Absent,
    /// SQS says that it does not exist, and that is not to be believed; or the caller is denied.
    Hidden(String),
    /// The operator's credentials are of this account, not of the one in which it acts: what is there says nothing.
    OtherAccount(String),
    /// It was created and does not answer yet.
    Appearing,
    /// It answers.
    Present(Present),
    /// Looking failed.
    Failed(CallError),
}

/// A queue that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its URL.
    pub url: String,
    /// Its attributes and counts.
    pub attributes: QueueAttributes,
    /// Its tags.
    pub tags: Tags,
}

impl Sight {
    /// Whether it could not be told what is there.
    #[must_use]
    pub fn is_out_of_sight(&self) -> bool {
        matches!(self, Self::Hidden(_) | Self::OtherAccount(_) | Self::Failed(_))
    }

    /// The queue, when it answers.
    #[must_use]
    pub fn present(&self) -> Option<&Present> {
        match self {
            Self::Present(present) => Some(present),
            _ => None,
        }
    }
}

/// Everything that was seen for one Queue.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Queues in AWS by name.
    pub queues: BTreeMap<String, Sight>,
    /// Policies in IAM by ARN.
    pub policies: BTreeMap<String, PolicySight>,
    /// The Queue's own outputs.
    pub outputs: Vec<ObservedOutput>,
    /// What KMS said that keys mean.
    pub key_meanings: KeyMeanings,
    /// What KMS said of the policy of the queue's key, if that matters.
    pub key_policy: Option<KeyPolicySeen>,
    /// Queues and policies of which AWS denied or refused a write in this pass, with its words.
    pub refused: BTreeMap<String, String>,
    /// Queues whose owner tags were removed in this pass.
    pub released: BTreeSet<String>,
}

impl Observed {
    /// What was seen of the queue `name`.
    #[must_use]
    pub fn sight(&self, name: &QueueName) -> &Sight {
        self.queues.get(name.as_str()).unwrap_or(&Sight::Unseen)
    }

    /// What was seen of the policy `arn`.
    #[must_use]
    pub fn policy(&self, arn: &PolicyArn) -> &PolicySight {
        self.policies.get(&arn.to_string()).unwrap_or(&PolicySight::Unseen)
    }

    /// The queues that answer.
    pub fn present(&self) -> impl Iterator<Item = (QueueName, &Present)> {
        self.queues.iter().filter_map(|(name, sight)| Some((QueueName::parse(name).ok()?, sight.present()?)))
    }

    /// Whether the Queue has this output.
    #[must_use]
    pub fn has_output(&self, kind: OutputKind, name: &str) -> bool {
        self.outputs.iter().any(|seen| seen.output.kind == kind && seen.output.name == name)
    }

    /// An output was written.
    pub fn put_output(&mut self, output: &Output) {
        self.remove_output(output.kind, &output.name);
        self.outputs.push(ObservedOutput { output: output.clone(), labelled: true });
    }

    /// An output was removed.
    pub fn remove_output(&mut self, kind: OutputKind, name: &str) {
        self.outputs.retain(|seen| seen.output.kind != kind || seen.output.name != name);
    }
}

/// What the object itself remembers: its metadata and status.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Whether our finalizer is on it.
    pub has_finalizer: bool,
    /// Where its queue lives.
    pub target: Option<Target>,
    /// Its queue's URL.
    pub queue_url: Option<String>,
    /// The managed dead-letter queue, made or about to be made, with its URL when known.
    pub dead_letter: Option<(QueueName, Option<String>)>,
    /// Dead-letter queues no longer used.
    pub retired: Vec<RetiredDeadLetter>,
    /// The policies in IAM, made or about to be made.
    pub policies: Vec<PolicyStatus>,
    /// The grants that the queue policy takes in, or is about to.
    pub grants: Vec<GrantStatus>,
    /// The user tags that we set.
    pub managed_tag_keys: BTreeSet<String>,
    /// Who may use its queue as their dead-letter queue, as AWS took it last.
    pub redrive_allow: Option<EffectiveRedriveAllow>,
    /// What was written to AWS and when.
    pub written: Option<LastWrite>,
    /// What the declaration was when it was last applied in full, where the class reports changes from outside.
    pub applied_digest: Option<String>,
    /// Whether this generation of the spec was converged before: what differs now was changed from outside.
    pub was_converged: bool,
}

impl Record {
    /// What `queue` remembers.
    #[must_use]
    pub fn of(queue: &Queue) -> Self {
        let status = queue.status.clone().unwrap_or_default();
        // Whoever wrote it there: a queue in use is not retired.
        let own = status.target.as_ref().map(|target| target.queue_name.clone());
        let mut retired = status.retired_dead_letters;
        retired.retain(|retired| Some(&retired.queue_name) != own.as_ref());
        let managed = status.target.as_ref().and_then(|target| target.dead_letter_queue_name.clone());
        let dead_letter = managed.and_then(|name| QueueName::parse(&name).ok()).map(|name| {
            let wired = status.dead_letter.filter(|wired| wired.queue_arn.ends_with(&format!(":{name}")));
            (name, wired.and_then(|wired| wired.queue_url))
        });
        let is_ready =
            status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        Self {
            has_finalizer: queue.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER),
            target: status.target,
            queue_url: status.queue_url,
            dead_letter,
            retired,
            policies: status.iam.map(|iam| iam.policies).unwrap_or_default(),
            grants: status.grants,
            managed_tag_keys: status.managed_tag_keys.into_iter().collect(),
            redrive_allow: status.effective.map(|effective| effective.redrive_allow),
            written: status.last_write,
            applied_digest: status.applied_digest,
            was_converged: is_ready && status.observed_generation == queue.metadata.generation,
        }
    }

    /// Remembers that `attributes` of the queue `name` were written, and forgets what must show by now.
    pub fn wrote(&mut self, name: &QueueName, attributes: &Attributes, now: Timestamp) {
        // Kubernetes keeps whole seconds: what is read back must equal what was written.
        let time = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
        let written = self.written.get_or_insert_with(|| LastWrite { time: time.clone(), queues: BTreeMap::new() });
        written.time = time.clone();
        let entries = written.queues.entry(name.to_string()).or_default();
        for (attribute, value) in attributes {
            let entry = WrittenAttribute { value: digest(value), time: time.clone() };
            entries.insert(attribute.to_string(), entry);
        }
        for entries in written.queues.values_mut() {
            entries.retain(|attribute, entry| is_recent(attribute, entry, now));
        }
        written.queues.retain(|_, entries| !entries.is_empty());
    }

    /// What is on record of the policy `arn`.
    pub fn policy_mut(&mut self, arn: &PolicyArn) -> Option<&mut PolicyStatus> {
        let arn = arn.to_string();
        self.policies.iter_mut().find(|entry| entry.policy_arn == arn)
    }

    /// Takes in what is remembered elsewhere of writes to IAM: the later of two counts.
    pub fn also_wrote_policies(&mut self, others: &[PolicyStatus]) {
        for other in others {
            let known = self.policies.iter_mut().find(|known| known.policy_arn == other.policy_arn);
            if let Some(known) = known.filter(|known| known.written_time < other.written_time) {
                known.clone_from(other);
            }
        }
    }

    /// Takes in what is remembered elsewhere of writes to AWS: the later of two counts.
    pub fn also_wrote(&mut self, other: Option<&LastWrite>) {
        let Some(other) = other else { return };
        let written =
            self.written.get_or_insert_with(|| LastWrite { time: other.time.clone(), queues: BTreeMap::new() });
        written.time = written.time.clone().max(other.time.clone());
        for (queue, attributes) in &other.queues {
            let known = written.queues.entry(queue.clone()).or_default();
            for (attribute, entry) in attributes {
                if known.get(attribute).is_none_or(|known| known.time < entry.time) {
                    known.insert(attribute.clone(), entry.clone());
                }
            }
        }
    }

    /// A write of `attributes` to the queue `name` got no answer: it may take effect, or not.
    pub fn wrote_perhaps(&mut self, name: &QueueName, attributes: &Attributes, now: Timestamp) {
        // A number is remembered: a retention that was perhaps raised is guarded as if it were.
        let number = |value: &str| value.parse::<i64>().map_or_else(|_| String::new(), |number| number.to_string());
        let unknown =
            attributes.iter().map(|(attribute, value)| (*attribute, format!("{UNKNOWN}{}", number(value)))).collect();
        self.wrote(name, &unknown, now);
    }

    /// What was written to `attribute` of the queue `name` so recently that AWS may still read back an older value.
    #[must_use]
    pub fn under_way(&self, name: &QueueName, attribute: Attribute, now: Timestamp) -> Option<&WrittenAttribute> {
        let entry = self.written.as_ref()?.queues.get(name.as_str())?.get(attribute.as_str())?;
        is_recent(attribute.as_str(), entry, now).then_some(entry)
    }
}

impl WrittenAttribute {
    /// Whether this is what was written.
    #[must_use]
    pub fn is(&self, value: &str) -> bool {
        self.value == digest(value)
    }

    /// Whether nobody knows what was written.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.value.starts_with(UNKNOWN)
    }

    /// The number that was written, or perhaps was.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        self.value.strip_prefix(UNKNOWN).unwrap_or(&self.value).parse().ok()
    }
}

/// Stands for a value of which nobody knows whether it was written.
const UNKNOWN: &str = "unknown: ";

/// How long SQS may read back an older value after a write was accepted. Source: `SetQueueAttributes` in the SQS
/// API reference.
#[must_use]
pub fn propagation(attribute: &str) -> SignedDuration {
    if attribute == Attribute::MessageRetentionPeriod.as_str() {
        SignedDuration::from_mins(15)
    } else {
        SignedDuration::from_secs(60)
    }
}

fn is_recent(attribute: &str, entry: &WrittenAttribute, now: Timestamp) -> bool {
    // A clock that was ahead must not stop repairs until this one has caught up.
    now.duration_since(entry.time.0).abs() < propagation(attribute)
}

/// A value to remember: itself when short, else its SHA-256 (policies take up to 8 KiB).
fn digest(value: &str) -> String {
    const SHORT: usize = 64;
    if value.len() <= SHORT {
        return value.to_owned();
    }
    format!("sha256:{}", sha256(value))
}

/// What this process remembers of one Queue or `QueueAccess`. Losing it is safe: waits begin anew, and what must outlive the process is in
/// [`Record`].
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Passes in a row that ended with a failed call.
    pub attempts: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// Values that AWS refused, or may have refused, by queue and attribute.
    pub doubts: BTreeMap<(String, Attribute), Doubt>,
    /// Queues that read as empty.
    pub empty: BTreeMap<String, EmptyWatch>,
    /// What was written to AWS, also by passes that ended before their status was written.
    pub written: Option<LastWrite>,
    /// Outputs that the Queue had: one that lost its label is seen no more.
    pub outputs: BTreeSet<(OutputKind, String)>,
    /// Queues that held messages since they were closed.
    pub held: BTreeSet<String>,
    /// Queues that we created, and when.
    pub created: BTreeMap<String, Timestamp>,
    /// Queues and policies that we deleted, and when.
    pub deleted: BTreeMap<String, Timestamp>,
    /// What was written to IAM, also by passes that ended before their status was written.
    pub policies: Vec<PolicyStatus>,
    /// Policies that were there, and when they were looked at.
    pub seen_policies: BTreeMap<String, (Timestamp, PresentPolicy)>,
    /// What KMS said last of the policy of the queue's key.
    pub key_policy: Option<KeyPolicySeen>,
    /// The annotation by which somebody asked for a look, as it was when it was last followed.
    pub asked: Option<String>,
    /// Policies that are not there and whose names are taken, and since when.
    pub name_taken: BTreeMap<String, Timestamp>,
    /// Policies whose owner tags we removed, and when.
    pub released: BTreeMap<String, Timestamp>,
    /// Queues that we tagged, and when.
    pub tagged: BTreeMap<String, Timestamp>,
    /// Grants that AWS refused, by the UID of the `QueueAccess`.
    pub trials: BTreeMap<String, Trial>,
    /// Queues that are watched for being empty although they are open: a shorter retention waits for it.
    pub watched: BTreeSet<String>,
}

/// Denied calls and refused values may be right a little later (IAM and tags take time to be known): only after this
/// long does a person have to mend them.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

impl Memory {
    /// Somebody asks for a look at everything, unless that was followed already. Answers whether it is so.
    pub fn follow_request(&mut self, metadata: &ObjectMeta) -> bool {
        let asked = metadata.annotations.as_ref().and_then(|all| all.get(RECONCILE_AT));
        let is_new = asked != self.asked.as_ref();
        if is_new {
            self.asked = asked.cloned();
            self.seen_policies.clear();
            self.key_policy = None;
        }
        is_new
    }

    /// A policy was looked at.
    pub fn saw_policy(&mut self, arn: &PolicyArn, sight: &PolicySight, now: Timestamp) {
        match sight {
            PolicySight::Present(present) => self.seen_policies.insert(arn.to_string(), (now, present.clone())),
            _ => self.seen_policies.remove(&arn.to_string()),
        };
    }

    /// A pass failed at `now`: waits grow.
    pub fn failed(&mut self, now: Timestamp) {
        self.attempts = self.attempts.saturating_add(1);
        self.failing_since.get_or_insert(now);
    }

    /// A pass went through.
    pub fn recovered(&mut self) {
        self.attempts = 0;
        self.failing_since = None;
    }

    /// Whether passes have failed for longer than [`PATIENCE`].
    #[must_use]
    pub fn is_past_patience(&self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| now.duration_since(since) >= PATIENCE)
    }

    /// What is known against writing `value` to `attribute` of the queue `name` together with others.
    #[must_use]
    pub fn doubt(&self, name: &QueueName, attribute: Attribute, value: &str) -> Option<&Doubt> {
        self.doubts.get(&(name.to_string(), attribute)).filter(|doubt| doubt.value == value)
    }

    /// AWS refused a call with several attributes for the queue `name`, and does not say which it means. Those whose
    /// value may be right another day are tried by themselves. Answers whether any of them was not in doubt before.
    pub fn suspect(&mut self, name: &QueueName, attributes: &Attributes) -> bool {
        let mut is_news = false;
        for (attribute, value) in attributes.iter().filter(|(attribute, _)| attribute.depends_on_others()) {
            if self.doubt(name, *attribute, value).is_none() {
                let doubt = Doubt { value: value.clone(), refused: None };
                self.doubts.insert((name.to_string(), *attribute), doubt);
                is_news = true;
            }
        }
        is_news
    }

    /// AWS refused `value` by itself, in these words.
    pub fn was_refused(&mut self, name: &QueueName, attribute: Attribute, value: &str, words: &str, now: Timestamp) {
        let before = self.doubt(name, attribute, value).and_then(|doubt| doubt.refused.as_ref());
        let since = before.map_or(now, |before| before.since);
        let refused = Some(Refused { since, last: now, words: words.to_owned() });
        self.doubts.insert((name.to_string(), attribute), Doubt { value: value.to_owned(), refused });
    }

    /// AWS took these.
    pub fn were_accepted(&mut self, name: &QueueName, attributes: &Attributes) {
        for attribute in attributes.keys() {
            self.doubts.remove(&(name.to_string(), *attribute));
        }
    }
}

/// A grant that AWS refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// When it was refused first.
    pub since: Timestamp,
    /// When it was refused last.
    pub last: Timestamp,
}

/// A value that AWS refused by itself, or perhaps together with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The value; another one is tried at once.
    pub value: String,
    /// How it was refused when it was sent alone; `None` before that.
    pub refused: Option<Refused>,
}

/// A value that AWS refused by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it was refused first.
    pub since: Timestamp,
    /// When it was refused last.
    pub last: Timestamp,
    /// AWS's words.
    pub words: String,
}

/// How long a queue has read as empty: one that is fenced, or one whose shorter retention waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptyWatch {
    /// The first of the reads.
    pub since: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many, each at another time.
    pub reads: u32,
}

/// SQS's counts are approximate: a single zero proves nothing.
pub const EMPTY_READS: u32 = 3;

/// How much longer a closed queue must read as empty that held messages since it was closed: one that is received and comes
/// back again and again is counted as in flight here and as visible there, and between the two as none.
pub const HELD_FACTOR: i32 = 3;

/// How soon to read again a queue that must read as empty for `empty_for`: the reads are spread over that time.
#[must_use]
pub fn read_for_empty_every(empty_for: SignedDuration) -> SignedDuration {
    const PARTS: i32 = 4;
    (empty_for / PARTS).max(SignedDuration::from_millis(200))
}

impl EmptyWatch {
    /// The watch after another read; `None` begins anew.
    #[must_use]
    pub fn after(previous: Option<Self>, is_watched: bool, messages: u64, now: Timestamp) -> Option<Self> {
        match previous {
            _ if !is_watched || messages > 0 => None,
            None => Some(Self { since: now, last: now, reads: 1 }),
            Some(watch) if watch.last == now => Some(watch),
            Some(watch) => Some(Self { last: now, reads: watch.reads.saturating_add(1), ..watch }),
        }
    }

    /// Whether the queue may be taken for empty.
    #[must_use]
    pub fn is_over(&self, empty_for: SignedDuration) -> bool {
        self.reads >= EMPTY_READS && self.last.duration_since(self.since) >= empty_for
    }
}
