//! From a spec to effective settings: names and defaults, with every user error found, all at once.

use crate::api::Queue;
use crate::api::queue::{
    DeadLetterMode, DeduplicationScope, DeletionPolicy, EncryptionMode, QueueSpec, QueueType, RedriveAllowMode,
    ThroughputLimit,
};
use crate::api::status::{Effective, EffectiveDeadLetter, EffectiveEncryption, EffectiveFifo, EffectiveRedriveAllow};

use super::class::Class;
use super::field::FieldError;
use super::names::QueueName;

/// Built-in defaults: what an omitted field means where no class says otherwise.
pub(super) mod built_in {
    pub(in crate::domain) const VISIBILITY_TIMEOUT_SECONDS: i32 = 300;
    pub(in crate::domain) const MESSAGE_RETENTION_SECONDS: i32 = 345_600;
    pub(in crate::domain) const RECEIVE_WAIT_TIME_SECONDS: i32 = 20;
    pub(in crate::domain) const MAX_RECEIVE_COUNT: i32 = 5;
    pub(in crate::domain) const DEAD_LETTER_RETENTION_SECONDS: i32 = 1_209_600;
    pub(in crate::domain) const DATA_KEY_REUSE_SECONDS: i32 = 300;
}

/// SQS's own defaults, where there is no built-in one. Written out, so that a removed field goes back to them.
pub(super) mod sqs {
    pub(in crate::domain) const DELAY_SECONDS: i32 = 0;
    /// 1 MiB since August 2025.
    pub(in crate::domain) const MAXIMUM_MESSAGE_SIZE_BYTES: i32 = 1_048_576;
}

/// The names in AWS that a Queue claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Its queue's.
    pub queue: QueueName,
    /// Its managed dead-letter queue's, with mode Managed.
    pub dead_letter: Option<QueueName>,
}

impl Names {
    /// The names of `queue`.
    ///
    /// # Errors
    /// Every name that breaks a rule.
    pub fn of(queue: &Queue, class: &Class) -> Result<Self, Vec<FieldError>> {
        let namespace = queue.metadata.namespace.as_deref().unwrap_or_default();
        let name = queue.metadata.name.as_deref().unwrap_or_default();
        let spec = &class.spec_of(queue);
        let queue_type = spec.queue_type;
        let mut errors = Vec::new();
        let custom = |path: &str, text: &str, errors: &mut Vec<FieldError>| match QueueName::custom(text, queue_type) {
            Ok(custom) if class.naming.is_shaped_like_another_namespaces(&custom, namespace) => {
                errors.push(FieldError::new(
                    path,
                    format!("{text:?} has the shape of a default name of another namespace, which could keep a Queue there from being made; choose a name without '_', or leave the field out"),
                ));
                None
            }
            Ok(custom) => Some(custom),
            Err(rule) => {
                errors.push(FieldError::new(path, rule));
                None
            }
        };

        let queue_name = match &spec.queue_name {
            None => Some(class.naming.queue(namespace, name, queue_type)),
            Some(text) => custom("spec.queueName", text, &mut errors),
        };
        let managed = spec.dead_letter.as_ref().and_then(|dead_letter| dead_letter.managed.as_ref());
        let target = queue.status.as_ref().and_then(|status| status.target.as_ref());
        let recorded = target.and_then(|target| QueueName::parse(target.dead_letter_queue_name.as_ref()?).ok());
        // Whoever wrote it there: a queue is not its own dead-letter queue.
        let recorded = recorded.filter(|recorded| Some(recorded) != queue_name.as_ref());
        let dead_letter = (dead_letter_mode(spec) == DeadLetterMode::Managed)
            .then(|| match managed.and_then(|managed| managed.queue_name.as_ref()) {
                // The name that it has is kept, though the default be another by now.
                None => recorded.or_else(|| Some(class.naming.dead_letter(namespace, name, queue_type))),
                Some(text) => custom("spec.deadLetter.managed.queueName", text, &mut errors),
            })
            .flatten();
        if queue_name.is_some() && queue_name == dead_letter {
            errors.push(FieldError::new(
                "spec.deadLetter.managed.queueName",
                "the dead-letter queue needs a name of its own, other than the queue's",
            ));
        }
        match queue_name {
            Some(queue) if errors.is_empty() => Ok(Self { queue, dead_letter }),
            _ => Err(errors),
        }
    }
}

/// The dead-letter mode in effect.
#[must_use]
pub fn dead_letter_mode(spec: &QueueSpec) -> DeadLetterMode {
    spec.dead_letter.as_ref().and_then(|dead_letter| dead_letter.mode).unwrap_or(DeadLetterMode::Managed)
}

/// How often a message may be received before it is moved.
pub(super) fn max_receive_count(spec: &QueueSpec) -> i32 {
    let declared = spec.dead_letter.as_ref().and_then(|dead_letter| dead_letter.max_receive_count);
    declared.unwrap_or(built_in::MAX_RECEIVE_COUNT)
}

/// The encryption mode in effect.
pub(super) fn encryption_mode(spec: &QueueSpec) -> EncryptionMode {
    spec.encryption.as_ref().and_then(|encryption| encryption.mode).unwrap_or(EncryptionMode::SQSManaged)
}

/// The deletion policy in effect.
#[must_use]
pub fn deletion_policy(spec: &QueueSpec) -> DeletionPolicy {
    spec.deletion_policy.unwrap_or(DeletionPolicy::DeleteIfEmpty)
}

/// Whether requests over plain HTTP are refused.
#[must_use]
pub fn requires_tls(spec: &QueueSpec) -> bool {
    spec.access.as_ref().and_then(|access| access.require_tls).unwrap_or(true)
}

/// The settings of `spec`, a spec with the class's defaults, with every other default filled in. What depends on several effective values is checked here,
/// and so is what the CRD checks, for objects that were stored under an older CRD.
///
/// # Errors
/// Every field that breaks a rule.
pub fn effective(spec: &QueueSpec) -> Result<Effective, Vec<FieldError>> {
    let mut check = Checks::default();
    let visibility = check.range(
        "spec.visibilityTimeoutSeconds",
        spec.visibility_timeout_seconds,
        built_in::VISIBILITY_TIMEOUT_SECONDS,
        0,
        43_200,
    );
    let retention = check.range(
        "spec.messageRetentionSeconds",
        spec.message_retention_seconds,
        built_in::MESSAGE_RETENTION_SECONDS,
        60,
        1_209_600,
    );
    let receive_wait = check.range(
        "spec.receiveWaitTimeSeconds",
        spec.receive_wait_time_seconds,
        built_in::RECEIVE_WAIT_TIME_SECONDS,
        0,
        20,
    );
    let delay = check.range("spec.delaySeconds", spec.delay_seconds, sqs::DELAY_SECONDS, 0, 900);
    let size = check.range(
        "spec.maximumMessageSizeBytes",
        spec.maximum_message_size_bytes,
        sqs::MAXIMUM_MESSAGE_SIZE_BYTES,
        1024,
        1_048_576,
    );
    check.redrive_allow(spec);
    let fifo = check.fifo(spec);
    let dead_letter = check.dead_letter(spec, retention);
    let encryption = check.encryption(spec);
    if check.errors.is_empty() {
        Ok(Effective {
            visibility_timeout_seconds: visibility,
            message_retention_seconds: retention,
            receive_wait_time_seconds: receive_wait,
            delay_seconds: delay,
            maximum_message_size_bytes: size,
            fifo,
            dead_letter,
            redrive_allow: EffectiveRedriveAllow { mode: RedriveAllowMode::DenyAll, source_queue_arns: Vec::new() },
            encryption,
            require_tls: requires_tls(spec),
            deletion_policy: deletion_policy(spec),
        })
    } else {
        Err(check.errors)
    }
}

/// Collects errors while it fills in defaults.
#[derive(Default)]
struct Checks {
    errors: Vec<FieldError>,
}

impl Checks {
    fn range(&mut self, path: &str, value: Option<i32>, default: i32, min: i32, max: i32) -> i64 {
        let value = value.unwrap_or(default);
        if !(min..=max).contains(&value) {
            self.errors.push(FieldError::new(path, format!("{value} is out of range: {min} to {max}")));
        }
        i64::from(value)
    }

    fn fifo(&mut self, spec: &QueueSpec) -> Option<EffectiveFifo> {
        let fifo = spec.fifo.as_ref();
        if spec.queue_type == QueueType::Standard {
            if fifo.is_some() {
                self.errors.push(FieldError::new("spec.fifo", "is allowed only with type FIFO"));
            }
            return None;
        }
        let effective = EffectiveFifo {
            content_based_deduplication: fifo.and_then(|fifo| fifo.content_based_deduplication).unwrap_or(true),
            deduplication_scope: fifo.and_then(|fifo| fifo.deduplication_scope).unwrap_or(DeduplicationScope::Queue),
            throughput_limit: fifo.and_then(|fifo| fifo.throughput_limit).unwrap_or(ThroughputLimit::PerQueue),
        };
        if effective.throughput_limit == ThroughputLimit::PerMessageGroupId
            && effective.deduplication_scope != DeduplicationScope::MessageGroup
        {
            self.errors.push(FieldError::new(
                "spec.fifo.throughputLimit",
                "PerMessageGroupId needs spec.fifo.deduplicationScope: MessageGroup",
            ));
        }
        Some(effective)
    }

    fn dead_letter(&mut self, spec: &QueueSpec, source_retention: i64) -> EffectiveDeadLetter {
        let mode = dead_letter_mode(spec);
        let dead_letter = spec.dead_letter.as_ref();
        let max_receive_count = (mode != DeadLetterMode::None).then(|| {
            let count = dead_letter.and_then(|dead_letter| dead_letter.max_receive_count);
            self.range("spec.deadLetter.maxReceiveCount", count, built_in::MAX_RECEIVE_COUNT, 1, 1000)
        });
        // The mode may be the class's default, of which the API server knows nothing.
        if mode == DeadLetterMode::None
            && dead_letter.is_some_and(|dead_letter| dead_letter.max_receive_count.is_some())
        {
            let rule = "has no meaning with mode None; remove it, or set spec.deadLetter.mode";
            self.errors.push(FieldError::new("spec.deadLetter.maxReceiveCount", rule));
        }
        if mode != DeadLetterMode::Managed && dead_letter.is_some_and(|dead_letter| dead_letter.managed.is_some()) {
            let rule = "is allowed only with mode Managed; remove it, or set spec.deadLetter.mode: Managed";
            self.errors.push(FieldError::new("spec.deadLetter.managed", rule));
        }
        let managed_retention = (mode == DeadLetterMode::Managed).then(|| {
            let path = "spec.deadLetter.managed.messageRetentionSeconds";
            let managed = dead_letter.and_then(|dead_letter| dead_letter.managed.as_ref());
            let seconds = managed.and_then(|managed| managed.message_retention_seconds);
            let retention = self.range(path, seconds, built_in::DEAD_LETTER_RETENTION_SECONDS, 60, 1_209_600);
            // A FIFO dead-letter queue counts from the move; a standard one from the first enqueueing.
            if spec.queue_type == QueueType::Standard && retention < source_retention {
                self.errors.push(FieldError::new(
                    path,
                    format!("{retention} is less than the queue's own messageRetentionSeconds, {source_retention}: SQS counts from the first enqueueing, so messages would be deleted early, some before anybody sees them"),
                ));
            }
            retention
        });
        EffectiveDeadLetter { mode, max_receive_count, message_retention_seconds: managed_retention }
    }

    /// The mode may be the class's default, of which the API server knows nothing.
    fn redrive_allow(&mut self, spec: &QueueSpec) {
        let allow = spec.redrive_allow.as_ref();
        let mode = allow.and_then(|allow| allow.mode).unwrap_or(RedriveAllowMode::Auto);
        let lists_sources =
            allow.and_then(|allow| allow.source_queue_arns.as_ref()).is_some_and(|arns| !arns.is_empty());
        if lists_sources && !matches!(mode, RedriveAllowMode::Auto | RedriveAllowMode::ByQueue) {
            let rule = "is allowed only with mode Auto or ByQueue; remove it, or set spec.redriveAllow.mode";
            self.errors.push(FieldError::new("spec.redriveAllow.sourceQueueArns", rule));
        }
    }

    fn encryption(&mut self, spec: &QueueSpec) -> EffectiveEncryption {
        let encryption = spec.encryption.as_ref();
        let mode = encryption_mode(spec);
        let kms = encryption.and_then(|encryption| encryption.kms.as_ref());
        if mode != EncryptionMode::KMS {
            if kms.is_some() {
                self.errors
                    .push(FieldError::new("spec.encryption.kms", "is allowed only with spec.encryption.mode: KMS"));
            }
            return EffectiveEncryption { mode, key: None, data_key_reuse_seconds: None };
        }
        let key = kms.and_then(|kms| kms.key.clone());
        if key.is_none() {
            self.errors.push(FieldError::new(
                "spec.encryption.kms.key",
                "is required with mode KMS: a key id, a key ARN, or an alias such as alias/queues",
            ));
        }
        let reuse = self.range(
            "spec.encryption.kms.dataKeyReuseSeconds",
            kms.and_then(|kms| kms.data_key_reuse_seconds),
            built_in::DATA_KEY_REUSE_SECONDS,
            60,
            86_400,
        );
        EffectiveEncryption { mode, key, data_key_reuse_seconds: Some(reuse) }
    }
}
