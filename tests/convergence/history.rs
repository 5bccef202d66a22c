//! Histories: everything that people, workloads, strangers and bad luck do to six Queues in two namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::fleet::Key;
use prism_queue::domain::outputs::{Output, OutputKind};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use crate::cluster::ObjectId;
use crate::model::{Chaos, Denial, DeniedAs, Fault, Timing, Trap};
use crate::stage::{Stage, arn, attributes, key, place, queue_name, somebody, spec, tags, url};

/// The Queues: namespace/name, whether FIFO, and a name of its own in AWS. Two want the same one.
const SLOTS: [(&str, bool, Option<&str>); 6] = [
    ("a/one", false, None),
    ("a/two", false, None),
    ("a/three", false, Some("shared")),
    ("a/fast", true, None),
    ("b/one", false, None),
    ("b/two", false, Some("shared")),
];

const WORKER: &str = "arn:aws:iam::123456789012:role/worker";
const GHOST: &str = "arn:aws:iam::123456789012:role/ghost";

/// A spec, shown as JSON.
#[derive(Clone)]
pub struct Spec(Value);

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A Queue is created, or its spec replaced.
    Apply(usize, Spec),
    Delete(usize),
    /// Time passes.
    Run(i64),
    /// Somebody changes a queue in AWS: of which Queue, whether its dead-letter queue, and how.
    Drift(usize, bool, Drift),
    Send(usize),
    Receive(usize),
    /// The oldest message that is left is consumed.
    Consume,
    /// Somebody changes the Secret of a Queue.
    Tamper(usize, Tamper),
    Trouble(Trouble),
    Calm,
    Restart,
    /// A role that some policies name comes or goes.
    Ghost(bool),
    /// Somebody makes a queue of a Queue's name.
    Squat(usize),
    /// Somebody does something to the policies of a Queue.
    Meddle(usize, Meddling),
}

#[derive(Clone, Copy, Debug)]
pub enum Meddling {
    /// Gives them to a role, or takes them away.
    Attach,
    Detach,
    /// Makes them allow something else, or what they did at first.
    Rewrite,
    Revert,
    LoseOwner,
    Delete,
}

#[derive(Clone, Copy, Debug)]
pub enum Drift {
    Settings,
    Redrive,
    Policy,
    AutoTag,
    Tag,
    Untag,
    LoseOwner,
    Delete,
}

#[derive(Clone, Copy, Debug)]
pub enum Tamper {
    Edit,
    Unlabel,
    Delete,
    /// Puts an object of somebody else in the place, if it is free.
    Occupy,
}

#[derive(Clone, Debug)]
pub enum Trouble {
    Storm,
    /// The nth call from now ends so.
    Aws(Fault, u32),
    /// The nth write from now ends so.
    Kubernetes(Fault, u32),
    Deny(Option<&'static str>, DeniedAs),
    Throttle,
    /// Watches are behind by so many changes.
    Lag(usize),
}

/// A world with a history.
pub struct Play {
    pub stage: Stage,
    pub principals: BTreeSet<String>,
    /// Queues that were observed at some time.
    pub observed: BTreeSet<Key>,
    /// Where each message was sent.
    sent: BTreeMap<u64, String>,
}

impl Play {
    pub fn new(seed: u64) -> Self {
        // Messages of these histories are received seldom enough that counts which lag so little tell the truth.
        let stage = Stage::new(seed, Timing { counts_lag: 30, ..Timing::aws() });
        stage.world.create_principal(WORKER);
        stage.world.create_key(&place(), "1234", "alias/media");
        let outside = stage.world.outside(&somebody());
        outside.create_queue(&queue_name("legacy-letters"), &attributes(&[]), &tags(&[])).expect("a queue");
        let principals = BTreeSet::from([WORKER.to_owned()]);
        Self { stage, principals, observed: BTreeSet::new(), sent: BTreeMap::new() }
    }

    /// Lets one thing happen.
    pub async fn play(&mut self, event: &Event) {
        let stage = &mut self.stage;
        match event {
            Event::Apply(slot, Spec(value)) => {
                let (name, ..) = SLOTS[*slot];
                if value["managementPolicy"] == "Observe" {
                    self.observed.insert(key(name));
                }
                stage.apply(name, value.clone());
            }
            Event::Delete(slot) => stage.delete(SLOTS[*slot].0),
            Event::Run(seconds) => stage.run(*seconds).await,
            Event::Drift(slot, of_dead_letters, drift) => drift.apply(stage, &aws_name(*slot, *of_dead_letters)),
            Event::Send(slot) => {
                let to = url(&aws_name(*slot, false));
                if let Ok(id) = stage.world.send(&somebody(), &to) {
                    self.sent.insert(id, to);
                }
            }
            Event::Receive(slot) => _ = stage.world.receive(&somebody(), &url(&aws_name(*slot, false))),
            Event::Consume => {
                if let Some(message) = stage.world.messages().iter().find(|message| message.fate.is_none()) {
                    stage.world.consume(message.id);
                }
            }
            Event::Tamper(slot, tamper) => tamper.apply(stage, SLOTS[*slot].0),
            Event::Trouble(trouble) => trouble.apply(stage),
            Event::Calm => self.calm(),
            Event::Restart => stage.operator.restart(),
            Event::Ghost(true) if !self.principals.contains(GHOST) => {
                stage.world.create_principal(GHOST);
                self.principals.insert(GHOST.to_owned());
            }
            Event::Ghost(false) if self.principals.remove(GHOST) => stage.world.delete_principal(GHOST),
            Event::Ghost(_) => {}
            Event::Meddle(slot, meddling) => meddling.apply(stage, SLOTS[*slot].0),
            Event::Squat(slot) => {
                let fifo = if SLOTS[*slot].1 { attributes(&[(Attribute::FifoQueue, "true")]) } else { attributes(&[]) };
                let name = queue_name(&aws_name(*slot, false));
                let _ = stage.world.outside(&somebody()).create_queue(&name, &fifo, &tags(&[("auto", "squatter")]));
            }
        }
    }

    /// Ends all disturbance.
    pub fn calm(&mut self) {
        self.stage.world.calm();
        self.stage.kube.calm();
        self.stage.operator.lag = 0;
    }

    /// Consumes every message that is left.
    pub fn drain(&self) {
        for message in self.stage.world.messages() {
            self.stage.world.consume(message.id);
        }
    }

    /// Takes every policy from everybody.
    pub fn detach_all(&self) {
        for policy in self.stage.world.policies() {
            self.stage.world.detach(&policy.arn);
        }
    }

    /// Deletes every Queue so that nothing of it may be left.
    pub fn delete_all(&self) {
        for queue in self.stage.kube.queues() {
            let mut spec = queue.spec.clone();
            spec.suspend = false;
            spec.management_policy = None;
            spec.deletion_policy = Some(prism_queue::api::queue::DeletionPolicy::Delete);
            let key = Key::of(&queue);
            self.stage.kube.edit(&key, spec);
            self.stage.kube.delete(&key);
        }
    }

    /// Where a message was sent.
    pub fn sent_to(&self, id: u64) -> Option<&String> {
        self.sent.get(&id)
    }
}

/// The name in AWS of a Queue's queue, or of its default dead-letter queue.
fn aws_name(slot: usize, of_dead_letters: bool) -> String {
    let (name, fifo, custom) = SLOTS[slot];
    let default = name.replace('/', "_");
    let suffix = if fifo { ".fifo" } else { "" };
    match (of_dead_letters, custom) {
        (true, _) => format!("{default}_dlq{suffix}"),
        (false, Some(custom)) => custom.to_owned(),
        (false, None) => format!("{default}{suffix}"),
    }
}

impl Drift {
    fn apply(self, stage: &Stage, name: &str) {
        let (outside, at) = (stage.world.outside(&somebody()), url(name));
        let Some(found) = stage.world.queue(&at) else { return };
        let user_tag = found.tags.keys().find(|key| ["team", "app"].contains(&key.as_str())).cloned();
        let set = |settings: &[(Attribute, &str)]| outside.set_queue_attributes(&at, &attributes(settings));
        // Whatever SQS refuses did not happen.
        let _ = match self {
            Self::Settings => set(&[(Attribute::VisibilityTimeout, "121"), (Attribute::DelaySeconds, "3")]),
            Self::Redrive => set(&[(Attribute::RedrivePolicy, "")]),
            Self::Policy => set(&[(Attribute::Policy, "")]),
            Self::AutoTag => outside.tag_queue(&at, &tags(&[("auto", "1")])),
            Self::Tag => match user_tag {
                Some(key) => outside.tag_queue(&at, &tags(&[(&key, "other")])),
                None => Ok(()),
            },
            Self::Untag => match user_tag {
                Some(key) => outside.untag_queue(&at, &[key]),
                None => Ok(()),
            },
            Self::LoseOwner => {
                let owner = found.tags.keys().filter(|key| key.starts_with("queue.prism.io/")).cloned();
                outside.untag_queue(&at, &owner.collect::<Vec<_>>())
            }
            Self::Delete => outside.delete_queue(&at),
        };
    }
}

impl Meddling {
    fn apply(self, stage: &Stage, name: &str) {
        const OTHER: &str =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:*"],"Resource":["*"]}]}"#;
        let world = &stage.world;
        for policy in world.policies_named(&format!("{}_", name.replace('/', "_"))) {
            let arn = &policy.arn;
            match self {
                Self::Attach => world.attach(arn, "worker"),
                Self::Detach => world.detach(arn),
                // Whatever IAM refuses did not happen.
                Self::Rewrite => _ = world.make_version(&somebody(), arn, OTHER),
                Self::Revert => world.put_in_force(arn, &policy.versions[0]),
                Self::LoseOwner => world.untag_policy(arn),
                Self::Delete if policy.attached_to.is_empty() => world.delete_policy(arn),
                Self::Delete => {}
            }
        }
    }
}

impl Tamper {
    fn apply(self, stage: &Stage, name: &str) {
        let Key { namespace, name } = key(name);
        let id = ObjectId { kind: OutputKind::Secret, namespace, name: format!("{name}-queue") };
        match self {
            Self::Edit => stage.kube.edit_object(&id, |object| {
                object.content.data.insert("QUEUE_URL".to_owned(), "https://elsewhere".to_owned());
                object.content.data.insert("EXTRA".to_owned(), "1".to_owned());
            }),
            Self::Unlabel => stage.kube.edit_object(&id, |object| object.labelled = false),
            Self::Delete => stage.kube.delete_object(&id),
            Self::Occupy if stage.kube.object(&id).is_none() => {
                let data = BTreeMap::from([("password".to_owned(), "x".to_owned())]);
                let content = Output { kind: id.kind, name: id.name.clone(), secret_type: "Opaque".to_owned(), data };
                stage.kube.create_object(&id, content);
            }
            Self::Occupy => {}
        }
    }
}

impl Trouble {
    fn apply(&self, stage: &mut Stage) {
        match self {
            Self::Storm => {
                let chaos = Chaos { throttled: 4, transient: 4, lost_answers: 4, crashes: 3 };
                stage.world.chaos(chaos);
                stage.kube.chaos(chaos);
            }
            Self::Aws(fault, nth) => stage.world.inject(Trap::new(*fault).after(*nth)),
            Self::Kubernetes(fault, nth) => stage.kube.inject(Trap::new(*fault).after(*nth)),
            Self::Deny(action, answer) => stage.world.deny(Denial { action: *action, queue: None, answer: *answer }),
            Self::Throttle => stage.world.throttle(9),
            Self::Lag(changes) => stage.operator.lag = *changes,
        }
    }
}

/// A history of at most `most` events.
pub fn histories(most: usize) -> impl Strategy<Value = Vec<Event>> {
    vec(event(), 3..most)
}

fn event() -> impl Strategy<Value = Event> {
    let slot = || 0..SLOTS.len();
    prop_oneof![
        30 => slot().prop_flat_map(|slot| declared(slot).prop_map(move |spec| Event::Apply(slot, Spec(spec)))),
        5 => slot().prop_map(Event::Delete),
        25 => select(vec![1, 3, 10, 30, 70, 200, 700]).prop_map(Event::Run),
        8 => (slot(), any::<bool>(), drift()).prop_map(|(slot, which, drift)| Event::Drift(slot, which, drift)),
        5 => slot().prop_map(Event::Send),
        4 => slot().prop_map(Event::Receive),
        3 => Just(Event::Consume),
        4 => (slot(), tamper()).prop_map(|(slot, tamper)| Event::Tamper(slot, tamper)),
        8 => trouble().prop_map(Event::Trouble),
        3 => Just(Event::Calm),
        2 => Just(Event::Restart),
        2 => any::<bool>().prop_map(Event::Ghost),
        2 => slot().prop_map(Event::Squat),
        5 => (slot(), meddling()).prop_map(|(slot, meddling)| Event::Meddle(slot, meddling)),
    ]
}

fn drift() -> impl Strategy<Value = Drift> {
    prop_oneof![
        3 => Just(Drift::Settings),
        2 => Just(Drift::Redrive),
        2 => Just(Drift::Policy),
        2 => Just(Drift::AutoTag),
        1 => Just(Drift::Tag),
        1 => Just(Drift::Untag),
        1 => Just(Drift::LoseOwner),
        2 => Just(Drift::Delete),
    ]
}

fn meddling() -> impl Strategy<Value = Meddling> {
    use Meddling::{Attach, Delete, Detach, LoseOwner, Revert, Rewrite};
    select(vec![Attach, Attach, Detach, Rewrite, Rewrite, Revert, LoseOwner, Delete])
}

fn tamper() -> impl Strategy<Value = Tamper> {
    prop_oneof![Just(Tamper::Edit), Just(Tamper::Unlabel), Just(Tamper::Delete), Just(Tamper::Occupy)]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let fault = || {
        select(vec![
            Fault::CrashBefore,
            Fault::CrashAfter,
            Fault::LoseAnswer,
            Fault::Refuse(ErrorKind::Throttled),
            Fault::Refuse(ErrorKind::Transient),
        ])
    };
    // Whoever is told that nothing exists by every call, `ListQueues` among them, cannot know better.
    let denials = ["GetQueueAttributes", "SetQueueAttributes", "TagQueue", "DeleteQueue", "CreatePolicy", "GetPolicy"];
    let denials = denials.map(Some).into_iter();
    let denials: Vec<_> = denials
        .flat_map(|action| [(action, DeniedAs::AccessDenied), (action, DeniedAs::DoesNotExist)])
        .chain([(None, DeniedAs::AccessDenied)])
        .collect();
    prop_oneof![
        2 => Just(Trouble::Storm),
        4 => (fault(), 0..12_u32).prop_map(|(fault, nth)| Trouble::Aws(fault, nth)),
        3 => (fault(), 0..6_u32).prop_map(|(fault, nth)| Trouble::Kubernetes(fault, nth)),
        1 => select(denials).prop_map(|(action, answer)| Trouble::Deny(action, answer)),
        1 => Just(Trouble::Throttle),
        2 => (1..5_usize).prop_map(Trouble::Lag),
    ]
}

/// A spec of the Queue in `slot`. What cannot be changed is always the same.
fn declared(slot: usize) -> impl Strategy<Value = Value> {
    let (_, fifo, custom) = SLOTS[slot];
    let rarely = |strategy: BoxedStrategy<Value>| weighted(0.2, strategy);
    let one_of = |values: Vec<Value>| select(values).boxed();
    let numbers = (
        rarely(one_of(vec![json!(120), json!(300), json!(600)])),
        rarely(one_of(vec![json!(86_400), json!(345_600), json!(1_209_600)])),
        rarely(one_of(vec![json!(0), json!(20)])),
        rarely(one_of(vec![json!(0), json!(5)])),
        rarely(one_of(vec![json!(2048), json!(1_048_576)])),
    );
    let policies = (
        rarely(one_of(vec![json!("Never"), json!("Adopt"), json!("Adopt")])),
        weighted(0.08, one_of(vec![json!("Observe")])),
        weighted(0.4, one_of(vec![json!("DeleteIfEmpty"), json!("Delete"), json!("Retain")])),
        weighted(0.06, one_of(vec![json!(true)])),
    );
    let rest = (
        weighted(0.6, dead_letter(fifo)),
        rarely(redrive_allow(fifo)),
        weighted(0.3, encryption()),
        rarely(access()),
        rarely(outputs()),
        (weighted(0.3, user_tags()), weighted(0.4, iam())),
        of(one_of(vec![
            json!({}),
            json!({"deduplicationScope": "MessageGroup"}),
            json!({"contentBasedDeduplication": false}),
        ])),
    );
    (numbers, policies, rest).prop_map(move |(numbers, policies, rest)| {
        let (visibility, retention, wait, delay, size) = numbers;
        let (adoption, management, deletion, suspend) = policies;
        let (dead_letter, redrive_allow, encryption, access, outputs, (tags, iam), fifo_settings) = rest;
        let fields = [
            ("type", fifo.then(|| json!("FIFO"))),
            ("queueName", custom.map(|name| json!(name))),
            ("visibilityTimeoutSeconds", visibility),
            ("messageRetentionSeconds", retention),
            ("receiveWaitTimeSeconds", wait),
            ("delaySeconds", delay),
            ("maximumMessageSizeBytes", size),
            ("adoptionPolicy", adoption),
            ("managementPolicy", management),
            ("deletionPolicy", deletion),
            ("suspend", suspend),
            ("deadLetter", dead_letter),
            ("redriveAllow", redrive_allow),
            ("encryption", encryption),
            ("access", access),
            ("outputs", outputs),
            ("tags", tags),
            ("iam", iam),
            ("fifo", fifo_settings.filter(|_| fifo)),
        ];
        let fields: Map<String, Value> =
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let value = Value::Object(fields);
        // What is no spec is a mistake of this function, found here and not in the middle of a history.
        let _ = spec(value.clone());
        value
    })
}

fn dead_letter(fifo: bool) -> BoxedStrategy<Value> {
    let suffix = if fifo { ".fifo" } else { "" };
    let reference = |name: &str| json!({"mode": "Reference", "reference": {"queueRef": {"name": name}}});
    let mut modes = vec![
        json!({"mode": "None"}),
        json!({"mode": "None"}),
        json!({"maxReceiveCount": 1}),
        json!({"mode": "Managed", "maxReceiveCount": 3, "managed": {"queueName": format!("letters{suffix}")}}),
        reference("fast"),
    ];
    if !fifo {
        modes.retain(|mode| *mode != reference("fast"));
        modes.extend(["one", "two", "three"].map(reference));
        modes.push(json!({"mode": "Reference", "reference": {"queueArn": arn("legacy-letters")}}));
        modes.push(json!({"managed": {"messageRetentionSeconds": 1_209_500}, "maxReceiveCount": 2}));
    }
    select(modes).boxed()
}

fn redrive_allow(fifo: bool) -> BoxedStrategy<Value> {
    let other = arn(if fifo { "other.fifo" } else { "other" });
    select(vec![
        json!({"mode": "AllowAll"}),
        json!({"mode": "DenyAll"}),
        json!({"mode": "Auto", "sourceQueueArns": [other]}),
        json!({"mode": "ByQueue", "sourceQueueArns": [other]}),
        json!({"mode": "ByQueue", "sourceQueueArns": [arn("a_one"), arn("a_two")]}),
    ])
    .boxed()
}

fn encryption() -> BoxedStrategy<Value> {
    let kms = |key: &str| json!({"mode": "KMS", "kms": {"key": key}});
    select(vec![
        json!({"mode": "None"}),
        json!({"mode": "SQSManaged"}),
        kms("alias/media"),
        kms("1234"),
        kms("arn:aws:kms:eu-central-1:123456789012:key/1234"),
    ])
    .boxed()
}

fn access() -> BoxedStrategy<Value> {
    let allow = |sid: &str, role: &str, actions: Value| json!({"Sid": sid, "Effect": "Allow", "Principal": {"AWS": role}, "Action": actions});
    let statements = vec![
        allow("Work", WORKER, json!(["sqs:ReceiveMessage", "sqs:DeleteMessage"])),
        allow("Haunt", GHOST, json!("sqs:SendMessage")),
    ];
    let consumers = vec![json!({"principalArn": WORKER}), json!({"principalArn": GHOST})];
    let topic = "arn:aws:sns:eu-central-1:123456789012:topic";
    let producers = vec![json!({"service": "sns.amazonaws.com", "sourceArn": topic})];
    // One of each: more would be merged, which the oracle does not know.
    (of(any::<bool>()), subsequence(statements, 0..=2), subsequence(consumers, 0..=1), subsequence(producers, 0..=1))
        .prop_map(|(tls, statements, consumers, producers)| {
            let mut access = json!({"statements": statements, "consumers": consumers, "producers": producers});
            if let Some(tls) = tls {
                access["requireTLS"] = json!(tls);
            }
            access
        })
        .boxed()
}

fn iam() -> BoxedStrategy<Value> {
    subsequence(vec!["Send", "Consume", "Inspect", "Redrive"], 1..=3)
        .prop_map(|permissions| json!({"policies": permissions}))
        .boxed()
}

fn outputs() -> BoxedStrategy<Value> {
    select(vec![
        json!({"secret": {"mode": "Disabled"}}),
        json!({"secret": {"name": "renamed", "keyPrefix": "IMAGES_"}}),
        json!({"configMap": {"mode": "Enabled"}}),
        json!({"binding": {"mode": "Enabled"}}),
    ])
    .boxed()
}

fn user_tags() -> BoxedStrategy<Value> {
    select(vec![json!({"team": "media"}), json!({"team": "video", "app": "x"}), json!({"app": "y"})]).boxed()
}
