//! A class's defaults: objects merge by field, lists replace, and what the Queue says wins.
//!
//! A default that does not fit what the Queue chose is dropped, so that a Queue can always undo its class's default with
//! one word. What the Queue itself says is never dropped: what of it does not fit is an error, told where settings are
//! made.

use crate::api::access::Access;
use crate::api::class::{ClassDefaults, DefaultDeadLetterMode, DefaultOutput, DefaultRedriveAllowMode};
use crate::api::queue::{
    BindingOutput, DeadLetter, DeadLetterMode, DeduplicationScope, Encryption, EncryptionMode, Fifo, Kms,
    ManagedDeadLetter, Output, Outputs, QueueSpec, QueueType, RedriveAllow, RedriveAllowMode, ThroughputLimit,
};

/// `spec` with `defaults` in the place of what it omits.
pub(super) fn merge(defaults: &ClassDefaults, spec: &QueueSpec) -> QueueSpec {
    QueueSpec {
        visibility_timeout_seconds: spec.visibility_timeout_seconds.or(defaults.visibility_timeout_seconds),
        message_retention_seconds: spec.message_retention_seconds.or(defaults.message_retention_seconds),
        receive_wait_time_seconds: spec.receive_wait_time_seconds.or(defaults.receive_wait_time_seconds),
        delay_seconds: spec.delay_seconds.or(defaults.delay_seconds),
        maximum_message_size_bytes: spec.maximum_message_size_bytes.or(defaults.maximum_message_size_bytes),
        fifo: match (&defaults.fifo, spec.queue_type) {
            (Some(default), QueueType::Fifo) => Some(fifo(default, &spec.fifo.clone().unwrap_or_default())),
            _ => spec.fifo.clone(),
        },
        dead_letter: dead_letter(defaults, spec),
        redrive_allow: redrive_allow(defaults, spec),
        encryption: encryption(defaults, spec),
        access: access(defaults, spec),
        outputs: outputs(defaults, spec),
        deletion_policy: spec.deletion_policy.or(defaults.deletion_policy),
        ..spec.clone()
    }
}

fn fifo(default: &Fifo, own: &Fifo) -> Fifo {
    let deduplication_scope = own.deduplication_scope.or(default.deduplication_scope);
    // It needs the scope MessageGroup, which the Queue may have undone.
    let fits = |limit: &ThroughputLimit| {
        *limit == ThroughputLimit::PerQueue || deduplication_scope == Some(DeduplicationScope::MessageGroup)
    };
    Fifo {
        content_based_deduplication: own.content_based_deduplication.or(default.content_based_deduplication),
        deduplication_scope,
        throughput_limit: own.throughput_limit.or(default.throughput_limit.filter(fits)),
    }
}

fn dead_letter(defaults: &ClassDefaults, spec: &QueueSpec) -> Option<DeadLetter> {
    let Some(default) = &defaults.dead_letter else {
        return spec.dead_letter.clone();
    };
    let own = spec.dead_letter.clone().unwrap_or_default();
    let mode = own.mode.or(default.mode.map(|mode| match mode {
        DefaultDeadLetterMode::Managed => DeadLetterMode::Managed,
        DefaultDeadLetterMode::None => DeadLetterMode::None,
    }));
    let in_effect = mode.unwrap_or(DeadLetterMode::Managed);
    let managed = match (&default.managed, in_effect) {
        (Some(default), DeadLetterMode::Managed) => {
            let own = own.managed.unwrap_or_default();
            let seconds = own.message_retention_seconds.or(default.message_retention_seconds);
            Some(ManagedDeadLetter { message_retention_seconds: seconds, ..own })
        }
        _ => own.managed,
    };
    let count = default.max_receive_count.filter(|_| in_effect != DeadLetterMode::None);
    let max_receive_count = own.max_receive_count.or(count);
    Some(DeadLetter { mode, max_receive_count, managed, reference: own.reference })
}

fn redrive_allow(defaults: &ClassDefaults, spec: &QueueSpec) -> Option<RedriveAllow> {
    let Some(mode) = defaults.redrive_allow.as_ref().and_then(|default| default.mode) else {
        return spec.redrive_allow.clone();
    };
    let own = spec.redrive_allow.clone().unwrap_or_default();
    let mode = match mode {
        DefaultRedriveAllowMode::Auto => RedriveAllowMode::Auto,
        DefaultRedriveAllowMode::AllowAll => RedriveAllowMode::AllowAll,
        DefaultRedriveAllowMode::DenyAll => RedriveAllowMode::DenyAll,
    };
    Some(RedriveAllow { mode: own.mode.or(Some(mode)), ..own })
}

fn encryption(defaults: &ClassDefaults, spec: &QueueSpec) -> Option<Encryption> {
    let Some(default) = &defaults.encryption else {
        return spec.encryption.clone();
    };
    let own = spec.encryption.clone().unwrap_or_default();
    let mode = own.mode.or(default.mode);
    let kms = match (&default.kms, mode) {
        (Some(default), Some(EncryptionMode::KMS)) => {
            let own = own.kms.unwrap_or_default();
            Some(Kms {
                key: own.key.or_else(|| default.key.clone()),
                data_key_reuse_seconds: own.data_key_reuse_seconds.or(default.data_key_reuse_seconds),
            })
        }
        _ => own.kms,
    };
    Some(Encryption { mode, kms })
}

fn access(defaults: &ClassDefaults, spec: &QueueSpec) -> Option<Access> {
    let Some(default) = &defaults.access else {
        return spec.access.clone();
    };
    let own = spec.access.clone().unwrap_or_default();
    Some(Access { require_tls: own.require_tls.or(default.require_tls), ..own })
}

fn outputs(defaults: &ClassDefaults, spec: &QueueSpec) -> Option<Outputs> {
    let Some(default) = &defaults.outputs else {
        return spec.outputs.clone();
    };
    let own = spec.outputs.clone().unwrap_or_default();
    let binding = own.binding.as_ref().and_then(|binding| binding.mode);
    let default_binding = default.binding.as_ref().and_then(|binding| binding.mode);
    Some(Outputs {
        secret: output(default.secret.as_ref(), own.secret),
        config_map: output(default.config_map.as_ref(), own.config_map),
        binding: binding.or(default_binding).map(|mode| BindingOutput { mode: Some(mode) }),
    })
}

fn output(default: Option<&DefaultOutput>, own: Option<Output>) -> Option<Output> {
    let Some(default) = default else {
        return own;
    };
    let own = own.unwrap_or_default();
    let key_prefix = own.key_prefix.or_else(|| default.key_prefix.clone());
    Some(Output { mode: own.mode.or(default.mode), key_prefix, name: own.name })
}
