//! What AWS and Kubernetes should hold, recomputed from the specs by simple code that shares nothing with the
//! operator's own decisions. Specs are read as the YAML that people write.

mod policies;

use std::collections::{BTreeMap, BTreeSet};

use prism_queue::api::Queue;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::fleet::Key;
use prism_queue::domain::outputs::OutputKind;
use prism_queue::domain::tags::Tags;
use serde_json::{Value, json};

use crate::cluster::Kube;
use crate::model::{QueueView, World};
use crate::stage::{CLUSTER, CLUSTER_UID, arn, condition, url};

/// The judge of a world at rest.
pub struct Oracle<'a> {
    pub world: &'a World,
    pub kube: &'a Kube,
    /// The principals that exist.
    pub principals: &'a BTreeSet<String>,
    /// Queues that were observed at some time: what they left in AWS then is nobody's fault.
    pub observed: &'a BTreeSet<Key>,
}

/// Among the reasons not to be ready: it may be ready all the same.
const MAYBE: &str = "(maybe)";

/// A Queue as its YAML says it.
struct Declared {
    key: Key,
    queue: Queue,
    spec: Value,
}

impl Declared {
    fn of(queue: &Queue) -> Self {
        let spec = serde_json::to_value(&queue.spec).expect("a spec is JSON");
        Self { key: Key::of(queue), queue: queue.clone(), spec }
    }

    fn text(&self, pointer: &str) -> &str {
        self.spec.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, pointer: &str, default: i64) -> i64 {
        self.spec.pointer(pointer).and_then(Value::as_i64).unwrap_or(default)
    }

    fn is_fifo(&self) -> bool {
        self.text("/type") == "FIFO"
    }

    fn is_deleting(&self) -> bool {
        self.queue.metadata.deletion_timestamp.is_some()
    }

    fn is_suspended(&self) -> bool {
        self.spec["suspend"] == true
    }

    fn observes(&self) -> bool {
        self.text("/managementPolicy") == "Observe"
    }

    fn suffix(&self) -> &'static str {
        if self.is_fifo() { ".fifo" } else { "" }
    }

    fn name(&self) -> String {
        match self.text("/queueName") {
            "" => format!("{}_{}{}", self.key.namespace, self.key.name, self.suffix()),
            custom => custom.to_owned(),
        }
    }

    fn dead_letter_mode(&self) -> &str {
        match self.text("/deadLetter/mode") {
            "" => "Managed",
            mode => mode,
        }
    }

    fn managed_name(&self) -> Option<String> {
        let recorded = self.queue.status.as_ref().and_then(|s| s.target.as_ref()?.dead_letter_queue_name.clone());
        (self.dead_letter_mode() == "Managed").then(|| match (self.text("/deadLetter/managed/queueName"), recorded) {
            // The one that it has is kept: a changed default must not move it.
            ("", Some(recorded)) => recorded,
            ("", None) => format!("{}_{}_dlq{}", self.key.namespace, self.key.name, self.suffix()),
            (custom, _) => custom.to_owned(),
        })
    }

    /// The mistakes that these histories make: dead letters that die before their queue's own messages, and permissions on a
    /// dead-letter queue where there is none.
    fn is_invalid(&self, others: &[Declared]) -> bool {
        let used = self.uses(others).and_then(|key| others.iter().find(|other| other.key == key));
        let is_elsewhere = used.is_none() && !self.text("/deadLetter/reference/queueArn").is_empty();
        if (self.dead_letter_mode() == "None" || is_elsewhere)
            && self.permissions().iter().any(|permission| permission == "Inspect" || permission == "Redrive")
        {
            return true;
        }
        let dead_letters = match (self.dead_letter_mode(), used) {
            ("Managed", _) => self.number("/deadLetter/managed/messageRetentionSeconds", 1_209_600),
            (_, Some(used)) if !used.is_short_itself() => used.retention(),
            _ => return false,
        };
        !self.is_fifo() && dead_letters < self.retention()
    }

    fn retention(&self) -> i64 {
        self.number("/messageRetentionSeconds", 345_600)
    }

    fn is_short_itself(&self) -> bool {
        self.dead_letter_mode() == "Managed" && self.is_invalid(&[])
    }

    /// The Queue that it names as its dead-letter queue.
    fn uses(&self, others: &[Declared]) -> Option<Key> {
        if self.dead_letter_mode() != "Reference" {
            return None;
        }
        let by_arn = self.text("/deadLetter/reference/queueArn");
        let found = others.iter().find(|other| {
            other.key.namespace == self.key.namespace
                && (other.key.name == self.text("/deadLetter/reference/queueRef/name") || arn(&other.name()) == by_arn)
        });
        found.map(|other| other.key.clone())
    }

    fn list(&self, path: &str) -> Vec<Value> {
        self.spec.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default()
    }

    /// The statements of its queue's policy, but for that about TLS.
    fn statements(&self) -> Vec<Value> {
        let send = self.list("/access/producers").into_iter().map(|producer| {
            let only = json!({"ArnLike": {"aws:SourceArn": producer["sourceArn"]}});
            json!({"Effect": "Allow", "Principal": {"Service": producer["service"]}, "Action": "sqs:SendMessage", "Condition": only})
        });
        let consume = self.for_consumers(&["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"]);
        self.list("/access/statements").into_iter().chain(send).chain(consume).collect()
    }

    /// The same of its dead-letter queue's.
    fn dead_letter_statements(&self) -> Vec<Value> {
        self.for_consumers(&["ReceiveMessage", "ChangeMessageVisibility"])
    }

    fn for_consumers(&self, actions: &[&str]) -> Vec<Value> {
        let actions: Vec<String> =
            actions.iter().chain(&["GetQueueUrl", "GetQueueAttributes"]).map(|name| format!("sqs:{name}")).collect();
        let consumers = self.list("/access/consumers").into_iter();
        let allow = |consumer: Value| json!({"Effect": "Allow", "Principal": {"AWS": consumer["principalArn"]}, "Action": actions});
        consumers.map(allow).collect()
    }

    fn permissions(&self) -> Vec<String> {
        let all = self.spec.pointer("/iam/policies").and_then(Value::as_array).cloned().unwrap_or_default();
        all.iter().filter_map(|permission| permission.as_str().map(str::to_owned)).collect()
    }

    /// The KMS key by name.
    fn kms_key(&self) -> Option<&str> {
        (self.text("/encryption/mode") == "KMS").then(|| self.text("/encryption/kms/key"))
    }

    fn requires_tls(&self) -> bool {
        self.spec.pointer("/access/requireTLS") != Some(&json!(false))
    }

    fn tags(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.spec.get("tags").cloned().unwrap_or(json!({}))).expect("tags")
    }
}

/// Whose a queue in AWS is.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    Queue(Key),
    Stranger,
}

fn owner(tags: &Tags) -> Owner {
    let tag = |name: &str| tags.get(&format!("queue.prism.io/{name}")).map(String::as_str);
    match (tag("cluster"), tag("cluster-uid"), tag("namespace"), tag("name")) {
        (None, None, None, None) => Owner::Nobody,
        (Some(CLUSTER), Some(CLUSTER_UID), Some(namespace), Some(name)) => {
            Owner::Queue(Key { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Owner::Stranger,
    }
}

impl Oracle<'_> {
    /// Everything that is wrong.
    pub fn complaints(&self) -> Vec<String> {
        let all: Vec<Declared> = self.kube.queues().iter().map(Declared::of).collect();
        let mut complaints = Vec::new();
        for queue in &all {
            let wrong = self.judge(queue, &all);
            complaints.extend(wrong.into_iter().map(|what| format!("{}: {what}", queue.key)));
        }
        complaints.extend(self.leftovers(&all));
        complaints.extend(self.leftover_policies(&all));
        complaints
    }

    fn aws(&self, name: &str) -> Option<QueueView> {
        self.world.queue(&url(name))
    }

    fn judge(&self, queue: &Declared, all: &[Declared]) -> Vec<String> {
        let ready = condition(&queue.queue, "Ready");
        let (status, reason) = ready.unwrap_or_default();
        if queue.is_deleting() {
            return match reason.as_str() {
                "WaitingForEmpty" if self.holds_messages(queue) => Vec::new(),
                "PolicyAttached" if self.has_attached_policy(queue) => Vec::new(),
                "InUseAsDeadLetter" if all.iter().any(|o| !o.is_deleting() && self.is_source(o, queue, all)) => {
                    Vec::new()
                }
                _ => vec![format!("is still there: {reason}: {}", words(queue))],
            };
        }
        if queue.is_suspended() {
            return Vec::new();
        }
        let mut wrong = Vec::new();
        let seen = queue.queue.status.as_ref().and_then(|status| status.observed_generation);
        if seen != queue.queue.metadata.generation {
            wrong.push(format!("observedGeneration {seen:?} of {:?}", queue.queue.metadata.generation));
        }
        let reasons = if queue.is_invalid(all) {
            vec!["InvalidSpec"]
        } else if is_in_cycle(queue, all) {
            vec!["DeadLetterCycle"]
        } else if queue.observes() {
            self.observe_reasons(queue)
        } else {
            self.reasons(queue, all)
        };
        match (status.as_str(), reasons.is_empty()) {
            ("True", false) if reasons.contains(&MAYBE) => {}
            ("True", true) if queue.observes() => {
                if !queue.queue.metadata.finalizers.clone().unwrap_or_default().is_empty() {
                    wrong.push("observes and has a finalizer".to_owned());
                }
            }
            ("True", true) => {
                wrong.extend(self.differences(queue, all));
                wrong.extend(self.policy_differences(queue, all));
            }
            ("False", false) if reasons.contains(&reason.as_str()) => {}
            _ => wrong.push(format!("Ready is {status}/{reason} ({}), expected {reasons:?}", words(queue))),
        }
        wrong
    }

    fn observe_reasons(&self, queue: &Declared) -> Vec<&'static str> {
        let is_absent = self.aws(&queue.name()).is_none();
        let mut reasons: Vec<&str> = if is_absent { vec!["NotFound"] } else { Vec::new() };
        if !is_absent && self.has_foreign_output(queue) {
            reasons.push("OutputConflict");
        }
        reasons
    }

    fn holds_messages(&self, queue: &Declared) -> bool {
        let retired = queue.queue.status.iter().flat_map(|status| &status.retired_dead_letters);
        let in_use = queue.queue.status.iter().filter_map(|status| status.dead_letter.as_ref());
        let in_use = in_use.filter_map(|dead_letter| dead_letter.queue_arn.rsplit(':').next().map(str::to_owned));
        let names = std::iter::once(queue.name())
            .chain(queue.managed_name())
            .chain(in_use)
            .chain(retired.map(|r| r.queue_name.clone()));
        names.filter_map(|name| self.aws(&name)).any(|found| found.counts.total() > 0)
    }

    /// The reasons for which a managed Queue may not be ready; none when it must be.
    fn reasons(&self, queue: &Declared, all: &[Declared]) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        for name in std::iter::once(queue.name()).chain(queue.managed_name()) {
            match self.aws(&name).map(|found| owner(&found.tags)) {
                Some(Owner::Queue(key)) if key == queue.key => {}
                Some(Owner::Queue(_)) => reasons.push("NameConflict"),
                Some(Owner::Stranger) => reasons.push("NotOwned"),
                Some(Owner::Nobody) if queue.text("/adoptionPolicy") != "Adopt" => reasons.push("NotOwned"),
                None if all.iter().any(|other| is_rival(other, queue, &name)) => reasons.push("NameConflict"),
                // It must have been adopted or made by now.
                Some(Owner::Nobody) | None => {}
            }
        }
        if queue.dead_letter_mode() == "Reference" {
            match self.can_use_dead_letter(queue, all) {
                Some(true) => {}
                Some(false) => reasons.extend(["DeadLetterNotReady", "Refused"]),
                None => reasons.extend([MAYBE, "DeadLetterNotReady", "Refused"]),
            }
        }
        let retentions = [
            (queue.name(), queue.number("/messageRetentionSeconds", 345_600)),
            (
                queue.managed_name().unwrap_or_default(),
                queue.number("/deadLetter/managed/messageRetentionSeconds", 1_209_600),
            ),
        ];
        for (name, wanted) in retentions {
            if let Some(found) = self.aws(&name)
                && found.counts.total() > 0
                && found.attributes[&Attribute::MessageRetentionPeriod].parse::<i64>().is_ok_and(|is| is > wanted)
            {
                reasons.push("HeldBack");
            }
        }
        let principals =
            queue.statements().into_iter().filter_map(|s| s["Principal"]["AWS"].as_str().map(str::to_owned));
        if principals.into_iter().any(|principal| !self.principals.contains(&principal)) {
            reasons.extend(["PrincipalGone", "Refused"]);
        }
        if self.has_foreign_output(queue) {
            reasons.push("OutputConflict");
        }
        reasons.extend(self.policy_reasons(queue));
        reasons
    }

    /// Whether AWS would take the dead-letter queue that `queue` names; `None` when that depends on how it came to be
    /// as it is.
    fn can_use_dead_letter(&self, queue: &Declared, all: &[Declared]) -> Option<bool> {
        let Some(to) = queue.uses(all) else {
            // By ARN, of a queue that is not one of ours: it must be there.
            let by_arn = queue.text("/deadLetter/reference/queueArn");
            return Some(by_arn.rsplit(':').next().is_some_and(|name| self.aws(name).is_some()));
        };
        let to = all.iter().find(|other| other.key == to)?;
        let is_plain =
            !is_in_cycle(to, all) && !to.is_invalid(all) && !to.is_suspended() && !to.observes() && !to.is_deleting();
        if !is_plain || !self.reasons(to, all).is_empty() {
            return None;
        }
        let is_there = self.aws(&to.name()).is_some_and(|found| owner(&found.tags) == Owner::Queue(to.key.clone()));
        let allowed = match Self::allow(to, all) {
            Allow::All => true,
            Allow::Only(sources) => sources.contains(&arn(&queue.name())),
        };
        Some(is_there && allowed)
    }

    fn has_foreign_output(&self, queue: &Declared) -> bool {
        let uid = queue.queue.metadata.uid.as_deref();
        wanted_outputs(queue).iter().any(|(kind, name)| {
            let found = self
                .kube
                .objects()
                .into_iter()
                .find(|(id, _)| id.kind == *kind && id.namespace == queue.key.namespace && id.name == *name);
            found.is_some_and(|(_, object)| !object.is_owned_by(uid))
        })
    }

    /// How AWS and the outputs differ from what a ready Queue declares.
    fn differences(&self, queue: &Declared, all: &[Declared]) -> Vec<String> {
        let mut wrong = Vec::new();
        let target = match queue.dead_letter_mode() {
            "Managed" => queue.managed_name(),
            "Reference" => Some(match queue.text("/deadLetter/reference/queueArn") {
                "" => all
                    .iter()
                    .find(|other| Some(&other.key) == queue.uses(all).as_ref())
                    .map(Declared::name)
                    .unwrap_or_default(),
                by_arn => by_arn.rsplit(':').next().unwrap_or_default().to_owned(),
            }),
            _ => None,
        };
        let source = [
            ("VisibilityTimeout", queue.number("/visibilityTimeoutSeconds", 300)),
            ("MessageRetentionPeriod", queue.number("/messageRetentionSeconds", 345_600)),
            ("ReceiveMessageWaitTimeSeconds", queue.number("/receiveWaitTimeSeconds", 20)),
            ("DelaySeconds", queue.number("/delaySeconds", 0)),
            ("MaximumMessageSize", queue.number("/maximumMessageSizeBytes", 1_048_576)),
        ];
        let dead_letter = [
            ("VisibilityTimeout", 300),
            ("MessageRetentionPeriod", queue.number("/deadLetter/managed/messageRetentionSeconds", 1_209_600)),
            ("ReceiveMessageWaitTimeSeconds", 20),
            ("DelaySeconds", 0),
            ("MaximumMessageSize", 1_048_576),
        ];
        let redrive = target.as_ref().map(|target| {
            json!({"deadLetterTargetArn": arn(target), "maxReceiveCount": queue.number("/deadLetter/maxReceiveCount", 5)})
        });
        let statements = queue.statements();
        wrong.extend(self.queue_differences(
            queue,
            &queue.name(),
            &source,
            redrive.as_ref(),
            &Self::allow(queue, all),
            &statements,
        ));
        if let Some(name) = queue.managed_name() {
            let only = Allow::Only(BTreeSet::from([arn(&queue.name())]));
            let statements = queue.dead_letter_statements();
            wrong.extend(self.queue_differences(queue, &name, &dead_letter, None, &only, &statements));
        }
        wrong.extend(self.output_differences(queue, target.as_deref()));
        wrong
    }

    fn queue_differences(
        &self,
        queue: &Declared,
        name: &str,
        numbers: &[(&str, i64)],
        redrive: Option<&Value>,
        allowed: &Allow,
        statements: &[Value],
    ) -> Vec<String> {
        let Some(found) = self.aws(name) else { return vec![format!("{name} does not exist")] };
        let is = |attribute: &str| {
            let attribute = Attribute::from_name(attribute).expect("an attribute");
            found.attributes.get(&attribute).cloned().unwrap_or_default()
        };
        let parsed = |attribute: &str| serde_json::from_str::<Value>(&is(attribute)).ok();
        let mut wrong = Vec::new();
        let mut expect = |what: &str, is: String, wanted: String| {
            if is != wanted {
                wrong.push(format!("{name}: {what} is {is:?}, declared is {wanted:?}"));
            }
        };
        for (attribute, wanted) in numbers {
            expect(attribute, is(attribute), wanted.to_string());
        }
        if queue.is_fifo() {
            let fifo = |field: &str| queue.spec.pointer(&format!("/fifo/{field}")).cloned();
            let deduplicates = fifo("contentBasedDeduplication").unwrap_or(json!(true));
            expect("ContentBasedDeduplication", is("ContentBasedDeduplication"), deduplicates.to_string());
            let scope =
                if fifo("deduplicationScope") == Some(json!("MessageGroup")) { "messageGroup" } else { "queue" };
            expect("DeduplicationScope", is("DeduplicationScope"), scope.to_owned());
        }
        expect("RedrivePolicy", format!("{:?}", parsed("RedrivePolicy")), format!("{redrive:?}"));
        let allow = parsed("RedriveAllowPolicy").unwrap_or(json!({"redrivePermission": "allowAll"}));
        let sources = |value: &Value| {
            let list = value["sourceQueueArns"].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(|arn| arn.as_str().map(str::to_owned)).collect::<BTreeSet<_>>()
        };
        let wanted = match allowed {
            Allow::All => "\"allowAll\" {}".to_owned(),
            Allow::Only(some) => format!("{some:?}"),
        };
        let found_allow = match allowed {
            Allow::All => format!("{} {:?}", allow["redrivePermission"], sources(&allow)),
            Allow::Only(_) if allow["redrivePermission"] == "allowAll" => "all".to_owned(),
            // A source that waits may be wired to a queue that its spec names no longer, or have been when it was last
            // looked at; it is allowed, or not.
            Allow::Only(some) => {
                let mut found = sources(&allow);
                found.retain(|source| some.contains(source) || !(self.is_wired(source, name) || self.is_stuck(source)));
                format!("{found:?}")
            }
        };
        expect("RedriveAllowPolicy", found_allow, wanted);
        let mode = queue.text("/encryption/mode");
        expect("SqsManagedSseEnabled", is("SqsManagedSseEnabled"), matches!(mode, "" | "SQSManaged").to_string());
        // Every key of these tests is one and the same, by several names.
        expect("encrypted by KMS", (!is("KmsMasterKeyId").is_empty()).to_string(), (mode == "KMS").to_string());
        let tls = json!({"Sid": "PrismQueueRequireTLS", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn(name), "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        let mut wanted: BTreeSet<String> = statements.iter().map(|s| normal(s, name)).collect();
        if queue.requires_tls() {
            wanted.insert(normal(&tls, name));
        }
        let policy = parsed("Policy").unwrap_or(json!({"Statement": []}));
        let list = policy["Statement"].as_array().cloned().unwrap_or_else(|| vec![policy["Statement"].clone()]);
        let is_statements: BTreeSet<String> = list.iter().map(|s| normal(s, name)).collect();
        expect("Policy", format!("{is_statements:?}"), format!("{wanted:?}"));

        let mut tags = queue.tags();
        for (key, value) in [
            ("cluster", CLUSTER),
            ("cluster-uid", CLUSTER_UID),
            ("namespace", &queue.key.namespace),
            ("name", &queue.key.name),
        ] {
            tags.insert(format!("queue.prism.io/{key}"), value.to_owned());
        }
        // What a queue carried when it was adopted stays, or found again after a Queue that only observed was deleted.
        let is_adopted = found.tags.get("queue.prism.io/origin").is_some_and(|origin| origin == "adopted")
            || self.observed.contains(&queue.key);
        let own = |key: &String| {
            key != "queue.prism.io/origin" && !key.starts_with("auto") && (!is_adopted || tags.contains_key(key))
        };
        let found: BTreeMap<String, String> = found.tags.into_iter().filter(|(key, _)| own(key)).collect();
        expect("tags", format!("{found:?}"), format!("{tags:?}"));
        wrong
    }

    fn output_differences(&self, queue: &Declared, dead_letter: Option<&str>) -> Vec<String> {
        let mut wrong = Vec::new();
        let uid = queue.queue.metadata.uid.as_deref();
        let wanted = wanted_outputs(queue);
        // An object whose label somebody took is out of the operator's sight until it is wanted, or goes with the Queue.
        for (id, _) in self.kube.objects().iter().filter(|(_, object)| object.is_owned_by(uid) && object.labelled) {
            if !wanted.contains(&(id.kind, id.name.clone())) {
                wrong.push(format!("{} {} is left", id.kind.as_str(), id.name));
            }
        }
        for (kind, name) in &wanted {
            let found = self
                .kube
                .objects()
                .into_iter()
                .find(|(id, _)| id.kind == *kind && id.name == *name && id.namespace == queue.key.namespace);
            let Some((_, found)) = found else {
                wrong.push(format!("{} {name} is missing", kind.as_str()));
                continue;
            };
            if name.ends_with("-binding") {
                continue;
            }
            let field = if *kind == OutputKind::Secret { "secret" } else { "configMap" };
            let prefix = queue.text(&format!("/outputs/{field}/keyPrefix"));
            let mut data = BTreeMap::from([
                ("QUEUE_URL", url(&queue.name())),
                ("QUEUE_ARN", arn(&queue.name())),
                ("QUEUE_NAME", queue.name()),
                ("QUEUE_TYPE", if queue.is_fifo() { "FIFO" } else { "Standard" }.to_owned()),
                ("QUEUE_REGION", crate::stage::REGION.to_owned()),
            ]);
            if let Some(dead_letter) = dead_letter {
                data.insert("DEAD_LETTER_QUEUE_URL", url(dead_letter));
                data.insert("DEAD_LETTER_QUEUE_ARN", arn(dead_letter));
            }
            let data: BTreeMap<String, String> =
                data.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect();
            if found.content.data != data || !found.labelled {
                wrong.push(format!("{} {name} holds {:?}, declared is {data:?}", kind.as_str(), found.content.data));
            }
        }
        wrong
    }

    /// Who may use the queue of `queue` as their dead-letter queue.
    fn allow(queue: &Declared, all: &[Declared]) -> Allow {
        let listed = queue.spec.pointer("/redriveAllow/sourceQueueArns").and_then(Value::as_array).cloned();
        let mut sources: BTreeSet<String> =
            listed.unwrap_or_default().iter().filter_map(|arn| arn.as_str().map(str::to_owned)).collect();
        match queue.text("/redriveAllow/mode") {
            "AllowAll" => Allow::All,
            "DenyAll" => Allow::Only(BTreeSet::new()),
            "ByQueue" => Allow::Only(sources),
            _ => {
                let users =
                    all.iter().filter(|o| o.is_fifo() == queue.is_fifo() && o.uses(all).as_ref() == Some(&queue.key));
                sources.extend(users.map(|user| arn(&user.name())));
                Allow::Only(sources)
            }
        }
    }

    /// Whether `source` uses the queue of `to` as its dead-letter queue, or still does in AWS.
    fn is_source(&self, source: &Declared, to: &Declared, all: &[Declared]) -> bool {
        source.uses(all).as_ref() == Some(&to.key) || self.is_wired(&arn(&source.name()), &to.name())
    }

    /// Whether the Queue of the queue `source` is not ready, or suspended.
    fn is_stuck(&self, source: &str) -> bool {
        let mut all = self.kube.queues().into_iter().map(|queue| Declared::of(&queue));
        all.any(|queue| {
            let is_ready = condition(&queue.queue, "Ready").is_some_and(|(status, _)| status == "True");
            arn(&queue.name()) == source && (!is_ready || queue.is_suspended())
        })
    }

    /// Whether AWS names the queue `to` as the dead-letter queue of `source`.
    fn is_wired(&self, source: &str, to: &str) -> bool {
        let found = source.rsplit(':').next().and_then(|name| self.aws(name));
        let redrive = found.and_then(|found| found.attributes.get(&Attribute::RedrivePolicy).cloned());
        let redrive = redrive.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        redrive.is_some_and(|redrive| redrive["deadLetterTargetArn"] == arn(to))
    }

    /// Queues in AWS that carry owner tags and belong to nobody any more.
    fn leftovers(&self, all: &[Declared]) -> Vec<String> {
        let mut wrong = Vec::new();
        for found in self.world.queues() {
            let Owner::Queue(key) = owner(&found.tags) else { continue };
            let name = found.arn.name();
            let is_known = all.iter().find(|queue| queue.key == key).is_some_and(|queue| {
                let status = queue.queue.status.clone().unwrap_or_default();
                let retired = status.retired_dead_letters.iter().any(|r| r.queue_name == name);
                // Whoever is stuck keeps what it has.
                let is_ready = condition(&queue.queue, "Ready").is_some_and(|(status, _)| status == "True");
                let is_waiting = found.counts.total() > 0 || !is_ready || queue.observes() || queue.is_suspended();
                queue.name() == name
                    || queue.managed_name().as_deref() == Some(name)
                    || (retired && is_waiting)
                    || queue.is_suspended()
                    || queue.is_deleting()
                    || !is_ready
            });
            // Whoever lets go need not wait for ever for what AWS does not answer; people are told.
            let told = self.kube.announcements(&key);
            let is_told = told.iter().any(|event| event.reason == "LeftBehind" && event.note.contains(name));
            if !is_known && !is_told && !self.observed.contains(&key) {
                wrong.push(format!("{name} is left behind, with the tags of {key}"));
            }
        }
        wrong
    }
}

enum Allow {
    All,
    Only(BTreeSet<String>),
}

fn is_in_cycle(queue: &Declared, all: &[Declared]) -> bool {
    let mut at = queue.uses(all);
    for _ in 0..all.len() {
        if at.as_ref() == Some(&queue.key) {
            return true;
        }
        at = at.and_then(|key| all.iter().find(|other| other.key == key)?.uses(all));
    }
    false
}

/// Whether `other` has the better right to `name`.
fn is_rival(other: &Declared, queue: &Declared, name: &str) -> bool {
    let age = |queue: &Declared| {
        (queue.queue.metadata.creation_timestamp.clone().map(|time| time.0), queue.queue.metadata.uid.clone())
    };
    let claims = other.name() == name || other.managed_name().as_deref() == Some(name);
    other.key != queue.key && claims && !other.observes() && age(other) < age(queue)
}

fn wanted_outputs(queue: &Declared) -> Vec<(OutputKind, String)> {
    let name = |field: &str| match queue.text(&format!("/outputs/{field}/name")) {
        "" => format!("{}-queue", queue.key.name),
        custom => custom.to_owned(),
    };
    let mode = |field: &str| queue.text(&format!("/outputs/{field}/mode")).to_owned();
    let mut wanted = Vec::new();
    if mode("secret") != "Disabled" {
        wanted.push((OutputKind::Secret, name("secret")));
    }
    if mode("configMap") == "Enabled" {
        wanted.push((OutputKind::ConfigMap, name("configMap")));
    }
    if mode("binding") == "Enabled" {
        wanted.push((OutputKind::Secret, format!("{}-binding", queue.key.name)));
    }
    wanted
}

/// A statement in one spelling: lists sorted, a list of one as its element, `Resource` filled in.
fn normal(statement: &Value, name: &str) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(list) if list.len() == 1 => sorted(&list[0]),
            Value::Array(list) => {
                let mut texts: Vec<String> = list.iter().map(ToString::to_string).collect();
                texts.sort();
                json!(texts)
            }
            Value::Object(map) if map.get("AWS") == Some(&json!("*")) => json!("*"),
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect(),
            other => other.clone(),
        }
    }
    let mut statement = statement.clone();
    statement["Resource"] = json!(arn(name));
    sorted(&statement).to_string()
}

fn words(queue: &Declared) -> String {
    let conditions = queue.queue.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().find(|c| c.type_ == "Ready").map(|c| c.message.clone()).unwrap_or_default()
}
