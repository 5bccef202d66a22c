//! Objects, houses and worlds to decide about. Everything chains, so that a test says only what it is about.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ObjectMeta;
use serde_json::{Value, json};

use prism_queue::api::class::{ClassDefaults, DriftMode};
use prism_queue::api::status::{DeadLetterStatus, IamStatus, Target};
use prism_queue::api::{FINALIZER, Queue, QueueStatus};
use prism_queue::domain::arn::Place;
use prism_queue::domain::attributes::{Attributes, Counts, QueueAttributes};
use prism_queue::domain::class::{Class, FLAGS, Limits};
use prism_queue::domain::deletion::{self, Doomed, plan_deletion};
use prism_queue::domain::desired::{Desired, Refusal};
use prism_queue::domain::fleet::Fleet;
use prism_queue::domain::iam::{
    IamPath, Policy, PolicyArn, PolicySight, PresentPolicy, remember_created, remember_version,
};
use prism_queue::domain::names::{NamePrefix, Naming};
use prism_queue::domain::observed::{Memory, Observed, Present, Record, Sight};
use prism_queue::domain::plan::{Input, Plan, Step, plan};
use prism_queue::domain::report::status_of_plan;
use prism_queue::domain::tags::{ClusterIdentity, Origin, Owner, Tags};

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-central-1";
pub const UID: &str = "c0ffee00-0000-4000-8000-000000000001";

/// The time of every pass, unless a test lets time go by.
pub fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// The house that every test lives in.
pub fn class() -> Class {
    Class {
        name: FLAGS.to_owned(),
        place: Place { account_id: ACCOUNT.to_owned(), region: REGION.to_owned() },
        caller_arn: format!("arn:aws:iam::{ACCOUNT}:role/prism-queue"),
        naming: Naming::default(),
        cluster: ClusterIdentity { name: "prod".to_owned(), uid: "cluster-1".to_owned(), previous_uid: None },
        tags: Tags::new(),
        defaults: ClassDefaults::default(),
        limits: Limits::Flags { allow_unsafe_statements: false },
        drift: DriftMode::Repair,
        workload_endpoint_url: None,
        resync: SignedDuration::from_mins(10),
        empty_for: seconds(60),
        iam_path: IamPath::default(),
        roles: None,
    }
}

/// Classes, by what is different about them.
pub trait ClassExt: Sized {
    fn with_prefix(self, prefix: &str) -> Self;
    fn replacing(self, previous_uid: &str) -> Self;
    fn in_region(self, region: &str) -> Self;
}

impl ClassExt for Class {
    fn with_prefix(mut self, prefix: &str) -> Self {
        self.naming = Naming::new(NamePrefix::parse(prefix).unwrap());
        self
    }

    fn replacing(mut self, previous_uid: &str) -> Self {
        self.cluster.previous_uid = Some(previous_uid.to_owned());
        self
    }

    fn in_region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.place.region);
        self
    }
}

/// The Queue `media/<name>` as the API server gives it, with the spec of `spec`.
pub fn queue(name: &str, spec: Value) -> Queue {
    Queue {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("media".to_owned()),
            uid: Some(UID.to_owned()),
            generation: Some(1),
            resource_version: Some("1".to_owned()),
            creation_timestamp: Some(Time(now())),
            ..ObjectMeta::default()
        },
        spec: serde_json::from_value(spec).unwrap(),
        status: None,
    }
}

/// Queues, by what is different about them.
pub trait QueueExt: Sized {
    fn in_namespace(self, namespace: &str) -> Self;
    /// `seconds` younger than other Queues.
    fn younger_by(self, seconds: i64) -> Self;
    fn uid(self, uid: &str) -> Self;
    fn deleting(self) -> Self;
    fn annotated(self, key: &str, value: &str) -> Self;
    fn finalized(self) -> Self;
    fn with_status(self, change: impl FnOnce(&mut QueueStatus)) -> Self;
    /// With the status that a pass leaves when all is well, as far as others look at it.
    fn existing(self) -> Self;
}

impl QueueExt for Queue {
    fn in_namespace(mut self, namespace: &str) -> Self {
        self.metadata.namespace = Some(namespace.to_owned());
        self
    }

    fn younger_by(mut self, younger: i64) -> Self {
        self.metadata.creation_timestamp = Some(Time(now() + seconds(younger)));
        self
    }

    fn uid(mut self, uid: &str) -> Self {
        self.metadata.uid = Some(uid.to_owned());
        self
    }

    fn deleting(mut self) -> Self {
        self.metadata.deletion_timestamp = Some(Time(now()));
        self.finalized()
    }

    fn annotated(mut self, key: &str, value: &str) -> Self {
        self.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        self
    }

    fn finalized(mut self) -> Self {
        self.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        self
    }

    fn with_status(mut self, change: impl FnOnce(&mut QueueStatus)) -> Self {
        change(self.status.get_or_insert_default());
        self
    }

    fn existing(self) -> Self {
        let desired = Desired::of(&self, &class(), &Fleet::of([&self], &class())).unwrap();
        let dead_letter = desired.managed_dead_letter().map(|dead_letter| DeadLetterStatus {
            queue_url: Some(url(dead_letter.name.as_str())),
            queue_arn: dead_letter.arn.to_string(),
        });
        self.finalized().with_status(|status| {
            status.queue_url = Some(url(desired.source.name.as_str()));
            status.dead_letter = dead_letter;
            status.target = Some(desired.target);
            status.effective = Some(desired.effective);
        })
    }
}

/// The URL of the queue `name`.
pub fn url(name: &str) -> String {
    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}")
}

/// The ARN of the queue `name`.
pub fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

/// Tags from pairs.
pub fn tags<const N: usize>(pairs: [(&str, &str); N]) -> Tags {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The owner of the queues of `media/<name>`.
pub fn owner(name: &str) -> Owner {
    Owner { cluster: class().cluster, namespace: "media".to_owned(), name: name.to_owned() }
}

/// What a Queue asks for when it is alone.
pub fn desired(queue: &Queue) -> Result<Desired, Refusal> {
    Desired::of(queue, &class(), &Fleet::of([queue], &class()))
}

/// `path: rule` of each error of a refusal, without the rule.
pub fn paths(refusal: &Refusal) -> Vec<&str> {
    refusal.errors.iter().map(|error| error.path.as_str()).collect()
}

/// A Queue, the world around it, and what is remembered of it.
#[derive(Clone, Debug)]
pub struct World {
    pub class: Class,
    pub queue: Queue,
    pub others: Vec<Queue>,
    pub observed: Observed,
    pub record: Record,
    pub memory: Memory,
    pub now: Timestamp,
}

impl World {
    /// Nothing is there but `queue`, with the finalizer, and on record is what AWS will hear of.
    pub fn of(queue: Queue) -> Self {
        let mut world = Self::untouched(queue);
        world.record.has_finalizer = true;
        world.recorded()
    }

    /// Nothing is there but `queue`, which the operator has not seen before.
    pub fn untouched(queue: Queue) -> Self {
        Self {
            class: class(),
            record: Record::of(&queue),
            queue,
            others: Vec::new(),
            observed: Observed::default(),
            memory: Memory::default(),
            now: now(),
        }
    }

    pub fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    pub fn beside(mut self, other: Queue) -> Self {
        self.others.push(other);
        self
    }

    pub fn seeing(mut self, name: &str, sight: Sight) -> Self {
        self.observed.queues.insert(name.to_owned(), sight);
        self
    }

    pub fn later(mut self, by: SignedDuration) -> Self {
        self.now += by;
        self
    }

    pub fn recording(mut self, change: impl FnOnce(&mut Record)) -> Self {
        change(&mut self.record);
        self
    }

    pub fn remembering(mut self, change: impl FnOnce(&mut Memory)) -> Self {
        change(&mut self.memory);
        self
    }

    pub fn fleet(&self) -> Fleet {
        Fleet::of(self.others.iter().chain([&self.queue]), &self.class)
    }

    pub fn desired(&self) -> Desired {
        Desired::of(&self.queue, &self.class, &self.fleet()).unwrap()
    }

    /// Hands the parts of a plan's input to `then`.
    pub fn input<T>(&self, then: impl FnOnce(&Input<'_>) -> T) -> T {
        then(&Input {
            desired: &self.desired(),
            observed: &self.observed,
            record: &self.record,
            memory: &self.memory,
            fleet: &self.fleet(),
            class: &self.class,
            uid: UID,
            now: self.now,
        })
    }

    pub fn plan(&self) -> Plan {
        self.input(plan)
    }

    pub fn plan_deletion(&self) -> Plan {
        let doomed = Doomed::of(&self.queue, &self.record, &self.class);
        plan_deletion(&deletion::Input {
            queue: &self.queue,
            doomed: &doomed,
            observed: &self.observed,
            record: &self.record,
            memory: &self.memory,
            fleet: &self.fleet(),
            class: &self.class,
            now: self.now,
        })
    }

    /// Carries out a plan in a world where every write shows at once; outputs, once no step is left.
    pub fn carry_out(&mut self, plan: &Plan) {
        let is_last = plan.steps.is_empty();
        for step in if is_last { &plan.outputs } else { &plan.steps } {
            self.take(step);
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::AddFinalizer => self.record.has_finalizer = true,
            Step::RemoveFinalizer => self.record.has_finalizer = false,
            Step::Record { target, retired, policies, grants, tag_keys, applied_digest } => {
                let status = self.queue.status.get_or_insert_default();
                status.target = Some(target.clone());
                status.retired_dead_letters.clone_from(retired);
                status.grants.clone_from(grants);
                status.iam = Some(IamStatus { policies: policies.clone() });
                status.managed_tag_keys = tag_keys.iter().cloned().collect();
                status.applied_digest.clone_from(applied_digest);
                self.remember();
            }
            Step::CreateQueue { name, attributes, tags } => {
                let sight = present(name.as_str(), attributes.clone(), tags.clone());
                self.observed.queues.insert(name.to_string(), sight);
            }
            Step::SetAttributes { queue, attributes, .. } => {
                let now = self.now;
                self.record.wrote(&queue.name, attributes, now);
                let settings = &mut self.present(queue.name.as_str()).attributes.settings;
                settings.extend(attributes.clone());
                settings.retain(|_, value| !value.is_empty());
            }
            Step::TagQueue { queue, tags, .. } => self.present(queue.name.as_str()).tags.extend(tags.clone()),
            Step::UntagQueue { queue, keys, .. } => {
                self.present(queue.name.as_str()).tags.retain(|key, _| !keys.contains(key));
            }
            Step::DeleteQueue { queue } => {
                self.memory.deleted.insert(queue.name.to_string(), self.now);
                self.observed.queues.insert(queue.name.to_string(), Sight::Absent);
            }
            Step::CreatePolicy { arn, document, tags } => {
                let id = format!("ANPA{}", self.observed.policies.len());
                let policy = Policy { id, default_version: "v1".to_owned(), attachments: 0, tags: tags.clone() };
                if let Some(entry) = self.record.policy_mut(arn) {
                    remember_created(entry, &policy, &document.digest(), self.now);
                }
                let present = PresentPolicy { policy, digest: document.digest(), others: Vec::new() };
                self.observed.policies.insert(arn.to_string(), PolicySight::Present(present));
            }
            Step::UpdatePolicy { arn, document, .. } => {
                let now = self.now;
                let present = self.policy(arn);
                let next = present.others.iter().chain([&present.policy.default_version]);
                let next = next.map(|version| version[1..].parse::<u32>().unwrap()).max().unwrap() + 1;
                let version = format!("v{next}");
                present.others.push(std::mem::replace(&mut present.policy.default_version, version.clone()));
                present.digest = document.digest();
                if let Some(entry) = self.record.policy_mut(arn) {
                    remember_version(entry, &version, &document.digest(), now);
                }
            }
            Step::DeletePolicyVersion { arn, version } => self.policy(arn).others.retain(|other| other != version),
            Step::DeletePolicy { arn } => {
                self.memory.deleted.insert(arn.to_string(), self.now);
                self.observed.policies.insert(arn.to_string(), PolicySight::Absent);
            }
            Step::TagPolicy { arn, tags } => self.policy(arn).policy.tags.extend(tags.clone()),
            Step::UntagPolicy { arn, keys } => self.policy(arn).policy.tags.retain(|key, _| !keys.contains(key)),
            Step::WriteOutput(output) => self.observed.put_output(output),
            Step::DeleteOutput { kind, name } => self.observed.remove_output(*kind, name),
        }
    }

    /// What the object remembers by now.
    fn remember(&mut self) {
        let Record { has_finalizer, was_converged, written, .. } = self.record.clone();
        self.record = Record { has_finalizer, was_converged, written, ..Record::of(&self.queue) };
    }

    /// Plans and carries out until no step is left, then writes outputs and status, as a pass does.
    pub fn settle(&mut self) -> Plan {
        for _ in 0..8 {
            let plan = self.plan();
            self.carry_out(&plan);
            if plan.steps.is_empty() {
                let previous = self.queue.status.clone().unwrap_or_default();
                self.queue.status = Some(self.input(|input| status_of_plan(input, &plan, &previous)));
                self.remember();
                return plan;
            }
        }
        panic!("no rest after 8 rounds: {:#?}", self.plan().steps);
    }

    /// [`World::settle`], for chains.
    pub fn settled(mut self) -> Self {
        self.settle();
        self
    }

    /// Puts on record what a pass does before AWS hears of it.
    pub fn recorded(mut self) -> Self {
        let plan = self.plan();
        if step_names(&plan) == ["Record"] {
            self.carry_out(&plan);
        }
        self
    }

    /// Gives the object a new spec.
    pub fn edited(mut self, spec: Value) -> Self {
        self.queue.spec = serde_json::from_value(spec).unwrap();
        self
    }

    /// The queue `name`, which must answer.
    pub fn present(&mut self, name: &str) -> &mut Present {
        match self.observed.queues.get_mut(name) {
            Some(Sight::Present(present)) => present,
            other => panic!("{name} does not answer: {other:?}"),
        }
    }

    /// The policy `arn`, which must be there.
    pub fn policy(&mut self, arn: &PolicyArn) -> &mut PresentPolicy {
        match self.observed.policies.get_mut(&arn.to_string()) {
            Some(PolicySight::Present(present)) => present,
            other => panic!("{arn} is not there: {other:?}"),
        }
    }

    pub fn holding(mut self, name: &str, messages: u64) -> Self {
        self.present(name).attributes.counts = Counts { available: messages, ..Counts::default() };
        self
    }
}

/// A queue that answers.
pub fn present(name: &str, settings: Attributes, tags: Tags) -> Sight {
    let attributes = QueueAttributes { settings, counts: Counts::default() };
    Sight::Present(Present { url: url(name), attributes, tags })
}

/// A queue of nobody's, with SQS's own settings.
pub fn nobodys(name: &str) -> Sight {
    present(name, Attributes::new(), Tags::new())
}

/// A queue that `owner` created, with SQS's own settings.
pub fn created_by(owner: &Owner, name: &str) -> Sight {
    present(name, Attributes::new(), owner.tags(Origin::Created))
}

/// The names of a plan's steps.
pub fn step_names(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(Step::name).collect()
}

/// The reasons of a plan's findings.
pub fn reasons(plan: &Plan) -> Vec<&'static str> {
    plan.findings.iter().map(|finding| finding.reason.as_str()).collect()
}

/// A target in this house.
pub fn target(queue_name: &str) -> Target {
    Target {
        queue_class_name: FLAGS.to_owned(),
        account_id: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        queue_name: queue_name.to_owned(),
        ..Target::default()
    }
}

/// The smallest useful spec.
pub fn empty() -> Value {
    json!({})
}

/// A map of borrowed text.
pub fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    tags(pairs)
}
