//! A world, a cluster and an operator, and the words in which scenarios are told.

use std::sync::{Arc, LazyLock};

use jiff::SignedDuration;
use prism_queue::api::class::{ClassDefaults, DriftMode};
use prism_queue::api::{Queue, QueueClass, QueueSpec};
use prism_queue::domain::arn::Place;
use prism_queue::domain::attributes::{Attribute, Attributes};
use prism_queue::domain::class::{Class, FLAGS, Limits};
use prism_queue::domain::fleet::Key;
use prism_queue::domain::iam::IamPath;
use prism_queue::domain::names::{Naming, QueueName};
use prism_queue::domain::operator_policy::{Duties, Identity, Installation, operator_policy};
use prism_queue::domain::outputs::OutputKind;
use prism_queue::domain::tags::{ClusterIdentity, Tags};
use serde_json::{Value, json};

use crate::cluster::{Kube, Object, ObjectId};
use crate::driver::Operator;
use crate::model::{Caller, QueueView, Timing, World};

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-central-1";
pub const CLUSTER: &str = "prod";
/// The boundary of the roles that are made.
pub const BOUNDARY: &str = "arn:aws:iam::aws:policy/PowerUserAccess";
pub const CLUSTER_UID: &str = "11111111-1111-1111-1111-111111111111";

/// Everything that a scenario plays on.
pub struct Stage {
    pub world: World,
    pub kube: Kube,
    pub operator: Operator,
}

/// The account and region that all is about.
pub fn place() -> Place {
    Place { account_id: ACCOUNT.to_owned(), region: REGION.to_owned() }
}

/// The operator's role, which may do what `kubectl queue render operator-policy` prints for a class that allows all that any
/// test asks for.
pub fn operator() -> Caller {
    static POLICY: LazyLock<Arc<Value>> = LazyLock::new(|| Arc::new(printed(&Identity::Operator, &json!({}))));
    Caller::role(ACCOUNT, REGION, "prism-queue").under(POLICY.clone())
}

/// The policy that is printed for `identity` under such a class, with these fields of `iam.podIdentity`.
pub fn printed(identity: &Identity, pods: &Value) -> Value {
    let mut cluster = json!({"clusterName": "prod-1", "region": REGION});
    cluster.as_object_mut().expect("an object").extend(pods.as_object().expect("an object").clone());
    let roles = ["worker*", "admin"].map(|role| format!("arn:aws:iam::{ACCOUNT}:role/batch/{role}"));
    let spec = json!({
        "aws": {"accountId": ACCOUNT, "region": REGION},
        "allowedNamespaces": {"from": "All"},
        "limits": {
            "queueNamePattern": ".*",
            "adoptionPolicies": ["Never", "Adopt"],
            "iam": {"roleArnPatterns": roles},
        },
        "iam": {"permissionsBoundaryArn": BOUNDARY, "podIdentity": cluster},
    });
    let class = QueueClass::new("all", serde_json::from_value(spec).expect("a class"));
    let installation =
        Installation { cluster_name: CLUSTER.to_owned(), arn: None, account_id: Some(ACCOUNT.to_owned()) };
    let duties = Duties::of_class(&class, &installation).expect("a policy can be made for it");
    serde_json::to_value(operator_policy(identity, &[duties], &installation)).expect("it is JSON")
}

/// A workload, or a person with a console.
pub fn somebody() -> Caller {
    Caller::role(ACCOUNT, REGION, "somebody")
}

/// The operator's flags, but for those that a test is about.
pub fn class() -> Class {
    Class {
        name: FLAGS.to_owned(),
        place: place(),
        caller_arn: operator().arn,
        naming: Naming::default(),
        cluster: ClusterIdentity { name: CLUSTER.to_owned(), uid: CLUSTER_UID.to_owned(), previous_uid: None },
        tags: Tags::new(),
        defaults: ClassDefaults::default(),
        limits: Limits::Flags { allow_unsafe_statements: false },
        drift: DriftMode::Repair,
        workload_endpoint_url: None,
        resync: SignedDuration::from_mins(10),
        empty_for: SignedDuration::from_secs(60),
        iam_path: IamPath::default(),
        roles: None,
    }
}

/// `namespace/name`.
pub fn key(text: &str) -> Key {
    let (namespace, name) = text.split_once('/').expect("namespace/name");
    Key { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// A spec as YAML would say it.
pub fn spec(value: Value) -> QueueSpec {
    serde_json::from_value(value).expect("a spec")
}

/// The URL of the queue `name`.
pub fn url(name: &str) -> String {
    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}")
}

/// The ARN of the queue `name`.
pub fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

pub fn queue_name(text: &str) -> QueueName {
    QueueName::parse(text).expect("a queue name")
}

pub fn attributes(pairs: &[(Attribute, &str)]) -> Attributes {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A condition of `queue`: its status and reason.
pub fn condition(queue: &Queue, type_: &str) -> Option<(String, String)> {
    let all = &queue.status.as_ref()?.conditions;
    let found = all.iter().find(|condition| condition.type_ == type_)?;
    Some((found.status.clone(), found.reason.clone()))
}

impl Stage {
    /// A stage on which everything in AWS happens at once, but for the name cool-down.
    pub fn prompt() -> Self {
        Self::new(1, Timing::prompt())
    }

    pub fn new(seed: u64, timing: Timing) -> Self {
        let world = World::new(seed, timing);
        let kube = Kube::new(seed, world.clone());
        let operator = Operator::new(&world, &kube, &operator(), &class());
        Self { world, kube, operator }
    }

    /// Creates the Queue `namespace/name`, or replaces its spec.
    pub fn apply(&self, name: &str, value: Value) {
        let key = key(name);
        match self.kube.queue(&key) {
            Some(_) => self.kube.edit(&key, spec(value)),
            None => self.kube.create(&key, spec(value)),
        }
    }

    /// [`Stage::apply`], and time until a Queue is usually ready.
    pub async fn applied(&mut self, name: &str, value: Value) {
        self.apply(name, value);
        self.run(30).await;
    }

    pub fn delete(&self, name: &str) {
        self.kube.delete(&key(name));
    }

    pub async fn run(&mut self, seconds: i64) {
        self.operator.run(seconds).await;
    }

    /// The Queue, which is there.
    pub fn queue(&self, name: &str) -> Queue {
        self.kube.queue(&key(name)).unwrap_or_else(|| panic!("there is no Queue {name}"))
    }

    pub fn is_gone(&self, name: &str) -> bool {
        self.kube.queue(&key(name)).is_none()
    }

    /// `status/reason` of a condition, `-` when it is not there.
    pub fn condition(&self, name: &str, type_: &str) -> String {
        condition(&self.queue(name), type_).map_or("-".to_owned(), |(status, reason)| format!("{status}/{reason}"))
    }

    /// The Ready condition.
    pub fn ready(&self, name: &str) -> String {
        self.condition(name, "Ready")
    }

    /// What Ready says.
    pub fn words(&self, name: &str) -> String {
        let queue = self.queue(name);
        let conditions = &queue.status.as_ref().expect("a status").conditions;
        conditions.iter().find(|condition| condition.type_ == "Ready").expect("Ready").message.clone()
    }

    /// The queue in AWS, which is there.
    pub fn aws(&self, name: &str) -> QueueView {
        self.world.queue(&url(name)).unwrap_or_else(|| panic!("there is no queue {name} in AWS"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.world.queue(&url(name)).is_some()
    }

    /// An attribute as it was written, empty when it is not set.
    pub fn attribute(&self, name: &str, attribute: Attribute) -> String {
        self.aws(name).attributes.get(&attribute).cloned().unwrap_or_default()
    }

    /// A Secret.
    pub fn secret(&self, name: &str) -> Option<Object> {
        self.object(OutputKind::Secret, name)
    }

    pub fn object(&self, kind: OutputKind, name: &str) -> Option<Object> {
        let Key { namespace, name } = key(name);
        self.kube.object(&ObjectId { kind, namespace, name })
    }

    /// The actions of the calls since `mark`, in order.
    pub fn actions_since(&self, mark: usize) -> Vec<&'static str> {
        self.world.calls_since(mark).iter().map(|call| call.action).collect()
    }

    /// How many calls of `action` there were since `mark`.
    pub fn count(&self, action: &str, mark: usize) -> usize {
        self.actions_since(mark).iter().filter(|called| **called == action).count()
    }

    /// How often a call was made that changed a queue.
    pub fn writes(&self, mark: usize) -> usize {
        self.world.writes_since(mark).len()
    }

    /// The messages that the operator lost.
    pub fn lost(&self) -> usize {
        self.world.lost_by(&self.operator.caller.arn).len()
    }
}
