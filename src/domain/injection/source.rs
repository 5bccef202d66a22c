//! What a Pod names, and which Secret that is.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

use crate::api::conditions::Reason;
use crate::api::queue::Switch;
use crate::api::{INJECT, Queue, QueueAccess};

use super::super::names::is_dns_label;
use super::super::outputs::{OutputKind, default_secret_of_access, default_secret_of_queue};

/// Before the name of a `QueueAccess`; a bare name is always a Queue's. So what an annotation means never changes with what
/// else is in the namespace: a `QueueAccess` that comes to be called like a Queue takes nothing from it.
const ACCESS: &str = "access/";

/// More would cost the API server a read each.
const MOST: usize = 20;

/// Something in the Pod's namespace that has a Secret for workloads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A Queue.
    Queue(String),
    /// A `QueueAccess`, to a Queue of this namespace or of another.
    Access(String),
}

impl Source {
    fn parse(text: &str) -> Option<Self> {
        let source = match text.strip_prefix(ACCESS) {
            Some(name) => Self::Access(name.to_owned()),
            None => Self::Queue(text.to_owned()),
        };
        is_dns_label(source.name()).then_some(source)
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Access(name) => name,
        }
    }

    /// Its Secret when it says nothing else.
    #[must_use]
    pub fn default_secret(&self) -> String {
        match self {
            Self::Queue(name) => default_secret_of_queue(name),
            Self::Access(name) => default_secret_of_access(name),
        }
    }

    /// What its variables begin with where a Pod names several: the name in capitals, with `_` for `-`, and `_`. One `_` goes
    /// before what could not begin a variable's name, and before `AWS_`, which belongs to the AWS clients of the Pod.
    #[must_use]
    pub fn prefix(&self) -> String {
        let name = self.name().to_ascii_uppercase().replace('-', "_") + "_";
        let is_taken = name.starts_with(|c: char| c.is_ascii_digit()) || name.starts_with("AWS_");
        if is_taken { format!("_{name}") } else { name }
    }
}

/// As the annotation writes it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(name) => f.write_str(name),
            Self::Access(name) => write!(f, "{ACCESS}{name}"),
        }
    }
}

/// What a Pod asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Each once, in the order of the annotation.
    pub sources: Vec<Source>,
    /// What is wrong with the annotation, in sentences.
    pub errors: Vec<String>,
    /// Whether variables carry a prefix.
    pub is_several: bool,
}

impl Asked {
    /// Reads the annotation of `pod`: names, separated by commas. Without it, or with nothing in it, nothing is asked for.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let annotations = pod.metadata.annotations.as_ref();
        let text = annotations.and_then(|all| all.get(INJECT)).map(|text| text.trim()).unwrap_or_default();
        if text.is_empty() {
            return Self::default();
        }
        let mut asked = Self::default();
        for entry in text.split(',').map(str::trim) {
            match Source::parse(entry) {
                None => asked
                    .errors
                    .push(format!("{entry:?} is not the name of a Queue, nor {ACCESS} and that of a QueueAccess")),
                Some(source) if asked.sources.contains(&source) => {}
                Some(source) => asked.take(source),
            }
        }
        asked.is_several = asked.sources.len() + asked.errors.len() > 1;
        if asked.sources.len() > MOST {
            asked.errors.push(format!("it names {}; at most {MOST} are looked at", asked.sources.len()));
            asked.sources.truncate(MOST);
        }
        asked
    }

    fn take(&mut self, source: Source) {
        match self.sources.iter().find(|other| other.prefix() == source.prefix()) {
            Some(other) => self.errors.push(format!("{other} and {source} would both begin with {}", source.prefix())),
            None => self.sources.push(source),
        }
    }
}

/// Why something has no Secret for workloads, in words that follow its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSecret(pub(super) String);

/// The Secret of `queue`. It may not be there yet: its name is known all the same.
///
/// # Errors
/// The Queue has none, or somebody else's Secret has the name.
pub fn secret_of_queue(queue: &Queue) -> Result<String, NoSecret> {
    let spec = queue.spec.outputs.as_ref().and_then(|outputs| outputs.secret.as_ref());
    let mode = spec.and_then(|secret| secret.mode);
    let name = spec.and_then(|secret| secret.name.clone());
    let name = name.unwrap_or_else(|| default_secret_of_queue(queue.metadata.name.as_deref().unwrap_or_default()));
    if mode == Some(Switch::Disabled) {
        return Err(NoSecret("writes no Secret: spec.outputs.secret.mode is Disabled".to_owned()));
    }
    let status = queue.status.as_ref().filter(|status| status.observed_generation == queue.metadata.generation);
    let Some(status) = status else { return Ok(name) };
    let is_there =
        status.outputs.iter().any(|output| output.kind == OutputKind::Secret.as_str() && output.name == name);
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    match ready {
        _ if is_there => Ok(name),
        Some(ready) if ready.reason == Reason::OutputConflict.as_str() => Err(conflict(&name)),
        // All that it was to write is written, so its class turns the Secret off.
        Some(ready) if ready.status == "True" => {
            Err(NoSecret("writes no Secret: its class sets outputs.secret.mode to Disabled".to_owned()))
        }
        _ => Ok(name),
    }
}

/// The Secret of `access`. It may not be there yet: its name is known all the same.
///
/// # Errors
/// The `QueueAccess` has none, or somebody else's Secret has the name.
pub fn secret_of_access(access: &QueueAccess) -> Result<String, NoSecret> {
    let spec = access.spec.secret.as_ref();
    if spec.and_then(|secret| secret.mode) == Some(Switch::Disabled) {
        return Err(NoSecret("writes no Secret: spec.secret.mode is Disabled".to_owned()));
    }
    let name = spec.and_then(|secret| secret.name.clone());
    let name = name.unwrap_or_else(|| default_secret_of_access(access.metadata.name.as_deref().unwrap_or_default()));
    let status = access.status.as_ref().filter(|status| status.observed_generation == access.metadata.generation);
    let Some(status) = status else { return Ok(name) };
    let is_there = status.secret.as_ref().is_some_and(|secret| secret.name == name);
    let in_conflict = status
        .conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.reason == Reason::OutputConflict.as_str());
    if in_conflict && !is_there { Err(conflict(&name)) } else { Ok(name) }
}

fn conflict(name: &str) -> NoSecret {
    NoSecret(format!("has no Secret: {name} is somebody else's (OutputConflict)"))
}
