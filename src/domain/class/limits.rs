//! A class's limits: what Queues may ask for, defaults included. Each error has the path of the Queue's field, the class's
//! name and what it allows.

use regex::bytes::RegexBuilder;
use serde::Serialize;

use crate::api::class::{ClassLimits, Range, SubjectKind};
use crate::api::queue::{AdoptionPolicy, DeadLetterMode, DeletionPolicy, EncryptionMode, QueueSpec};

use super::super::field::FieldError;
use super::super::policy::{Trust, matches_wildcard};
use super::super::settings::{
    built_in, dead_letter_mode, deletion_policy, encryption_mode, max_receive_count, requires_tls, sqs,
};
use super::super::tags::Tags;

/// What `queueNamePattern` may use for the Queue's namespace.
const NAMESPACE: &str = "{namespace}";

/// Bytes that a compiled pattern may take: enough for names, and too little to hurt.
const PATTERN_SIZE: usize = 1 << 20;

/// What Queues may ask for.
#[derive(Clone, Debug)]
pub enum Limits {
    /// No class stands behind the operator's flags: everything that is safe.
    Flags {
        /// Whether `access` may grant what is unsafe.
        allow_unsafe_statements: bool,
    },
    /// A class's.
    Class {
        /// The class's name.
        name: String,
        /// Its limits.
        limits: Box<ClassLimits>,
    },
}

impl Limits {
    /// Everything in `spec`, a spec with defaults, and in `tags`, all but the owner's, that is not allowed in
    /// `namespace`. Not among it: dead-letter queues by ARN, see [`Limits::refuses_dead_letter_arn`], and whom `access`
    /// lets in, see [`Limits::trust`].
    #[must_use]
    pub fn check(&self, spec: &QueueSpec, tags: &Tags, namespace: &str) -> Vec<FieldError> {
        let Self::Class { name, limits } = self else {
            return Vec::new();
        };
        let mut check = Check { class: name, errors: self.check_names(spec, namespace) };
        check.settings(limits, spec);
        check.numbers(limits, spec);
        check.tags(limits, tags);
        check.errors
    }

    /// Why a `QueueAccess` may not have a subject of this kind; nothing when it may.
    #[must_use]
    pub fn refuses_subject(&self, kind: SubjectKind) -> Option<FieldError> {
        let Self::Class { name, limits } = self else {
            return None;
        };
        let kinds = limits.iam.as_ref()?.subject_kinds.as_ref()?;
        let rule = || format!("a subject of the kind {} is {}", kind.as_str(), not_allowed(name, &words(kinds)));
        (!kinds.contains(&kind)).then(|| FieldError::of_class("spec.subject", rule()))
    }

    /// Whether policies may be attached to a role that is there.
    #[must_use]
    pub fn allows_role(&self, arn: &str) -> bool {
        let Self::Class { limits, .. } = self else {
            return false;
        };
        let patterns = limits.iam.as_ref().and_then(|iam| iam.role_arn_patterns.as_deref());
        patterns.into_iter().flatten().any(|pattern| matches_wildcard(pattern.as_bytes(), arn.as_bytes()))
    }

    /// The custom names in `spec` that are not allowed in `namespace`.
    #[must_use]
    pub fn check_names(&self, spec: &QueueSpec, namespace: &str) -> Vec<FieldError> {
        let Self::Class { name: class, limits } = self else {
            return Vec::new();
        };
        let managed = spec.dead_letter.as_ref().filter(|_| dead_letter_mode(spec) == DeadLetterMode::Managed);
        let managed = managed.and_then(|dead_letter| dead_letter.managed.as_ref()?.queue_name.as_ref());
        let custom = [("spec.queueName", spec.queue_name.as_ref()), ("spec.deadLetter.managed.queueName", managed)];
        let pattern = limits.queue_name_pattern.as_deref().unwrap_or_default();
        custom
            .into_iter()
            .filter_map(|(path, name)| {
                let rule = name_rule(pattern, name?, namespace)?;
                Some(FieldError::of_class(path, format!("{:?} is not allowed by class {class:?}, {rule}", name?)))
            })
            .collect()
    }

    /// Why `arn`, which no Queue stands for, may not be used as a dead-letter queue; nothing when it may.
    #[must_use]
    pub fn refuses_dead_letter_arn(&self, arn: &str) -> Option<String> {
        let Self::Class { name, limits } = self else {
            return None;
        };
        let allowed = limits.dead_letter.as_ref().and_then(|limits| limits.queue_arns.as_deref()).unwrap_or_default();
        let is_allowed = allowed.iter().any(|allowed| allowed == arn);
        let words = || not_allowed(name, &list(allowed.iter().map(String::as_str)));
        (!is_allowed).then(|| format!("{arn}, which no Queue stands for, is {}", words()))
    }

    /// Why a Queue that is being deleted may not be with this policy; nothing when it may. `Retain` always may: the way out.
    #[must_use]
    pub fn refuses_deletion(&self, policy: DeletionPolicy) -> Option<String> {
        let Self::Class { name, limits } = self else {
            return None;
        };
        let allowed = limits.deletion_policies.as_deref().filter(|allowed| !allowed.contains(&policy))?;
        let is_refused = policy != DeletionPolicy::Retain;
        is_refused.then(|| format!("{} is {}", word(policy), not_allowed(name, &words(allowed))))
    }

    /// Whom `access` may let in.
    #[must_use]
    pub fn trust(&self) -> Trust<'_> {
        match self {
            Self::Flags { allow_unsafe_statements: false } => Trust::OwnAccount,
            Self::Flags { allow_unsafe_statements: true } => Trust::Anything,
            Self::Class { name, limits } => Trust::Class { name, limits: limits.access.as_ref() },
        }
    }
}

/// Why a pattern for custom names cannot be used; nothing when it can.
pub(super) fn pattern_fault(pattern: &str) -> Option<String> {
    compile(pattern, "namespace").err()
}

/// Why a custom name is not allowed.
fn name_rule(pattern: &str, name: &str, namespace: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("which allows no custom names; leave the field out".to_owned());
    }
    match compile(pattern, namespace) {
        Ok(regex) => {
            (!regex.is_match(name.as_bytes())).then(|| format!("which allows names that match {pattern} as a whole"))
        }
        Err(fault) => Some(format!("whose limits.queueNamePattern cannot be used: {fault}")),
    }
}

/// The pattern for the names of a namespace, which matches whole names only.
fn compile(pattern: &str, namespace: &str) -> Result<regex::bytes::Regex, String> {
    let pattern = pattern.replace(NAMESPACE, &regex::escape(namespace));
    let compiled = |text: &str| RegexBuilder::new(text).unicode(false).size_limit(PATTERN_SIZE).build();
    // By itself first: what is wrong by itself could still be right within the parentheses, and mean something else.
    let whole = compiled(&pattern).and_then(|_| compiled(&format!("^(?:{pattern})$")));
    whole.map_err(|error| error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Collects what is not allowed.
struct Check<'a> {
    class: &'a str,
    errors: Vec<FieldError>,
}

impl Check<'_> {
    fn settings(&mut self, limits: &ClassLimits, spec: &QueueSpec) {
        self.one_of("spec.type", spec.queue_type, limits.types.as_deref());
        let dead_letter = limits.dead_letter.as_ref();
        let modes = dead_letter.and_then(|limits| limits.modes.as_deref());
        self.one_of("spec.deadLetter.mode", dead_letter_mode(spec), modes);
        let encryption = limits.encryption.as_ref();
        let mode = encryption_mode(spec);
        self.one_of("spec.encryption.mode", mode, encryption.and_then(|limits| limits.modes.as_deref()));
        let keys = encryption.and_then(|limits| limits.kms.as_ref()?.keys.as_deref());
        let key = spec.encryption.as_ref().and_then(|encryption| encryption.kms.as_ref()?.key.as_ref());
        if let (Some(keys), Some(key), EncryptionMode::KMS) = (keys, key, mode)
            && !keys.contains(key)
        {
            self.refuse("spec.encryption.kms.key", key, &list(keys.iter().map(String::as_str)));
        }
        if limits.access.as_ref().and_then(|limits| limits.require_tls) == Some(true) && !requires_tls(spec) {
            self.refuse("spec.access.requireTLS", "false", "true");
        }
        self.one_of("spec.deletionPolicy", deletion_policy(spec), limits.deletion_policies.as_deref());
        let adoption = limits.adoption_policies.as_deref().unwrap_or(&[AdoptionPolicy::Never]);
        self.one_of("spec.adoptionPolicy", spec.adoption_policy.unwrap_or(AdoptionPolicy::Never), Some(adoption));
        let policies = limits.iam.as_ref().and_then(|limits| limits.policies.as_deref());
        for permission in spec.iam.iter().flat_map(|iam| iam.policies.iter().flatten()) {
            self.one_of("spec.iam.policies", *permission, policies);
        }
    }

    fn numbers(&mut self, limits: &ClassLimits, spec: &QueueSpec) {
        let numbers = [
            (
                "spec.visibilityTimeoutSeconds",
                spec.visibility_timeout_seconds.unwrap_or(built_in::VISIBILITY_TIMEOUT_SECONDS),
                limits.visibility_timeout_seconds,
            ),
            (
                "spec.messageRetentionSeconds",
                spec.message_retention_seconds.unwrap_or(built_in::MESSAGE_RETENTION_SECONDS),
                limits.message_retention_seconds,
            ),
            (
                "spec.receiveWaitTimeSeconds",
                spec.receive_wait_time_seconds.unwrap_or(built_in::RECEIVE_WAIT_TIME_SECONDS),
                limits.receive_wait_time_seconds,
            ),
            ("spec.delaySeconds", spec.delay_seconds.unwrap_or(sqs::DELAY_SECONDS), limits.delay_seconds),
            (
                "spec.maximumMessageSizeBytes",
                spec.maximum_message_size_bytes.unwrap_or(sqs::MAXIMUM_MESSAGE_SIZE_BYTES),
                limits.maximum_message_size_bytes,
            ),
        ];
        for (path, value, range) in numbers {
            self.within(path, value, range);
        }
        if dead_letter_mode(spec) != DeadLetterMode::None {
            let range = limits.dead_letter.as_ref().and_then(|limits| limits.max_receive_count);
            self.within("spec.deadLetter.maxReceiveCount", max_receive_count(spec), range);
        }
    }

    fn tags(&mut self, limits: &ClassLimits, tags: &Tags) {
        let is_missing = |key: &&String| tags.get(*key).is_none_or(String::is_empty);
        for key in limits.required_tags.iter().flatten().filter(is_missing) {
            let rule = format!("class {:?} wants every queue to have the tag {key:?}; set it", self.class);
            self.errors.push(FieldError::of_class("spec.tags", rule));
        }
    }

    fn one_of<T: Serialize + PartialEq + Copy>(&mut self, path: &str, value: T, allowed: Option<&[T]>) {
        if let Some(allowed) = allowed
            && !allowed.contains(&value)
        {
            self.refuse(path, &word(value), &words(allowed));
        }
    }

    fn within(&mut self, path: &str, value: i32, range: Option<Range>) {
        let Some(Range { min, max }) = range else { return };
        if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
            let allowed = match (min, max) {
                (Some(min), Some(max)) => format!("{min} to {max}"),
                (Some(min), None) => format!("at least {min}"),
                (None, _) => format!("at most {}", max.unwrap_or_default()),
            };
            self.refuse(path, &value.to_string(), &allowed);
        }
    }

    fn refuse(&mut self, path: &str, value: &str, allowed: &str) {
        self.errors.push(FieldError::of_class(path, format!("{value} is {}", not_allowed(self.class, allowed))));
    }
}

fn not_allowed(class: &str, allowed: &str) -> String {
    format!("not allowed by class {class:?}, which allows {allowed}")
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn words<T: Serialize + Copy>(values: &[T]) -> String {
    let words: Vec<String> = values.iter().map(|value| word(*value)).collect();
    list(words.iter().map(String::as_str))
}

/// The word of the API for a choice.
fn word<T: Serialize>(choice: T) -> String {
    serde_json::to_value(choice).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}
