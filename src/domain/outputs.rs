//! Outputs: what workloads read, as Secrets and a `ConfigMap` that the Queue owns.

use std::collections::BTreeMap;

use crate::api::Queue;
use crate::api::queue::{Output as OutputSpec, QueueType, Switch};

use super::class::Class;

/// Which outputs a Queue asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputSettings {
    secret: Option<Keys>,
    config_map: Option<Keys>,
    /// The Service Binding Secret's name.
    pub binding: Option<String>,
    /// What the SDK of a workload is told to ask instead of the region's own endpoint.
    endpoint_url: Option<String>,
}

/// An object's name and what its keys begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Keys {
    name: String,
    prefix: String,
}

/// A Secret or a `ConfigMap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputKind {
    /// A Secret.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
}

impl OutputKind {
    /// Reads what [`OutputKind::as_str`] says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Secret, Self::ConfigMap].into_iter().find(|kind| kind.as_str() == text)
    }

    /// The Kubernetes kind.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// One object that workloads read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Secret or `ConfigMap`.
    pub kind: OutputKind,
    /// Its name, in the Queue's namespace.
    pub name: String,
    /// The Secret's type; empty for a `ConfigMap`.
    pub secret_type: String,
    /// Its whole content.
    pub data: BTreeMap<String, String>,
}

/// Where a workload finds the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordinates {
    /// The queue's URL.
    pub url: String,
    /// The queue's ARN.
    pub arn: String,
    /// The queue's name.
    pub name: String,
    /// Standard or FIFO.
    pub queue_type: QueueType,
    /// The region.
    pub region: String,
    /// The dead-letter queue's URL, when known.
    pub dead_letter_url: Option<String>,
    /// The dead-letter queue's ARN, when there is one.
    pub dead_letter_arn: Option<String>,
}

/// An output as it is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedOutput {
    /// The object.
    pub output: Output,
    /// Whether it carries the operator's label, so that it is seen when it changes.
    pub labelled: bool,
}

/// What to do about an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputChange {
    /// Make it so; an object of this name that is not the Queue's is left alone.
    Write(Output),
    /// Remove it.
    Delete {
        /// Secret or `ConfigMap`.
        kind: OutputKind,
        /// Its name.
        name: String,
    },
}

/// Read by every AWS SDK, so that no prefix goes before it.
pub(in crate::domain) const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL_SQS";

const OPAQUE: &str = "Opaque";
const BINDING_TYPE: &str = "servicebinding.io/sqs";

/// The Secret and the `ConfigMap` of the Queue `name` where it names none.
#[must_use]
pub fn default_secret_of_queue(name: &str) -> String {
    format!("{name}-queue")
}

/// The Secret of the `QueueAccess` `name` where it names none.
#[must_use]
pub fn default_secret_of_access(name: &str) -> String {
    format!("{name}-access")
}

impl OutputSettings {
    /// What `queue` asks for, after defaults.
    #[must_use]
    pub fn of(queue: &Queue, class: &Class) -> Self {
        let queue_name = queue.metadata.name.as_deref().unwrap_or_default();
        let outputs = class.spec_of(queue).outputs.unwrap_or_default();
        let keys = |spec: Option<OutputSpec>, default: Switch| {
            let spec = spec.unwrap_or_default();
            (spec.mode.unwrap_or(default) == Switch::Enabled).then(|| Keys {
                name: spec.name.unwrap_or_else(|| default_secret_of_queue(queue_name)),
                prefix: spec.key_prefix.unwrap_or_default(),
            })
        };
        let binding = outputs.binding.and_then(|binding| binding.mode) == Some(Switch::Enabled);
        Self {
            secret: keys(outputs.secret, Switch::Enabled),
            config_map: keys(outputs.config_map, Switch::Disabled),
            binding: binding.then(|| format!("{queue_name}-binding")),
            endpoint_url: class.workload_endpoint_url.clone(),
        }
    }

    /// One Secret, of this name and with this prefix, or none.
    pub(super) fn secret_only(secret: Option<(String, String)>, class: &Class) -> Self {
        Self {
            secret: secret.map(|(name, prefix)| Keys { name, prefix }),
            endpoint_url: class.workload_endpoint_url.clone(),
            ..Self::default()
        }
    }

    /// The objects to have, for a queue that is there.
    #[must_use]
    pub fn render(&self, queue: &Coordinates) -> Vec<Output> {
        let with_keys = |kind: OutputKind, keys: &Keys| Output {
            kind,
            name: keys.name.clone(),
            secret_type: if kind == OutputKind::Secret { OPAQUE.to_owned() } else { String::new() },
            data: self.variables(queue, &keys.prefix),
        };
        let binding = self.binding.as_ref().map(|name| Output {
            kind: OutputKind::Secret,
            name: name.clone(),
            secret_type: BINDING_TYPE.to_owned(),
            data: queue.binding(),
        });
        let secret = self.secret.as_ref().map(|keys| with_keys(OutputKind::Secret, keys));
        let config_map = self.config_map.as_ref().map(|keys| with_keys(OutputKind::ConfigMap, keys));
        secret.into_iter().chain(config_map).chain(binding).collect()
    }

    /// Environment variables, each behind `prefix` but for the endpoint.
    fn variables(&self, queue: &Coordinates, prefix: &str) -> BTreeMap<String, String> {
        let endpoint_url = self.endpoint_url.iter().map(|url| (ENDPOINT_URL.to_owned(), url.clone()));
        queue.variables().map(|(key, value)| (format!("{prefix}{key}"), value)).chain(endpoint_url).collect()
    }
}

impl Coordinates {
    /// Where the queue of `queue` was when it was last seen; `None` when it never was.
    #[must_use]
    pub fn on_record(queue: &Queue) -> Option<Self> {
        let status = queue.status.as_ref()?;
        let target = status.target.as_ref()?;
        Some(Self {
            url: status.queue_url.clone()?,
            arn: status.queue_arn.clone()?,
            name: status.queue_name.clone()?,
            queue_type: target.queue_type,
            region: target.region.clone(),
            dead_letter_url: status.dead_letter.as_ref().and_then(|dead_letter| dead_letter.queue_url.clone()),
            dead_letter_arn: status.dead_letter.as_ref().map(|dead_letter| dead_letter.queue_arn.clone()),
        })
    }

    /// Environment variables. None begins with `AWS_`: such a key would redirect every AWS client of the Pod.
    fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("QUEUE_URL", Some(self.url.clone())),
            ("QUEUE_ARN", Some(self.arn.clone())),
            ("QUEUE_NAME", Some(self.name.clone())),
            ("QUEUE_TYPE", Some(type_word(self.queue_type).to_owned())),
            ("QUEUE_REGION", Some(self.region.clone())),
            ("DEAD_LETTER_QUEUE_URL", self.dead_letter_url.clone()),
            ("DEAD_LETTER_QUEUE_ARN", self.dead_letter_arn.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| (key, value)))
    }

    /// The well-known entries of the Service Binding specification, and ours.
    fn binding(&self) -> BTreeMap<String, String> {
        [("type", "sqs"), ("provider", "aws"), ("uri", &self.url), ("queue-name", &self.name), ("region", &self.region)]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

/// The word for a queue type in outputs and messages.
#[must_use]
pub fn type_word(queue_type: QueueType) -> &'static str {
    match queue_type {
        QueueType::Standard => "Standard",
        QueueType::Fifo => "FIFO",
    }
}

/// What to do so that the cluster holds `desired` and nothing else of this Queue's.
#[must_use]
pub fn output_changes(desired: &[Output], observed: &[ObservedOutput]) -> Vec<OutputChange> {
    let same_object =
        |output: &Output, seen: &ObservedOutput| output.kind == seen.output.kind && output.name == seen.output.name;
    let is_right = |output: &Output| {
        observed.iter().any(|seen| same_object(output, seen) && seen.labelled && seen.output == *output)
    };
    // A Secret's type cannot be changed; a wrong one is replaced as a whole by deleting it first.
    let retyped = |output: &Output| {
        observed.iter().any(|seen| same_object(output, seen) && seen.output.secret_type != output.secret_type)
    };
    let surplus = observed.iter().filter(|seen| !desired.iter().any(|output| same_object(output, seen)));
    let delete = |kind: OutputKind, name: &str| OutputChange::Delete { kind, name: name.to_owned() };
    let retyped = desired.iter().filter(|output| retyped(output)).map(|output| delete(output.kind, &output.name));
    let mut changes: Vec<OutputChange> = retyped.collect();
    changes.extend(desired.iter().filter(|o| !is_right(o)).cloned().map(OutputChange::Write));
    // Last: workloads keep what they have until there is something in its place.
    changes.extend(surplus.map(|seen| delete(seen.output.kind, &seen.output.name)));
    changes
}
