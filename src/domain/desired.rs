//! What a Queue asks for, in values that cannot be wrong: `Queue + class + fleet → Desired`, or every user error.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::access::Access;
use crate::api::conditions::Reason;
use crate::api::queue::{
    AdoptionPolicy, DeduplicationScope, DeletionPolicy, EncryptionMode, ManagementPolicy, RedriveAllowMode,
    ThroughputLimit,
};
use crate::api::status::{Effective, Target};
use crate::api::{ALLOW_MESSAGE_LOSS, Queue, QueueSpec};

use super::access::{Admissions, Admitted, Room, admit, in_turn};
use super::arn::QueueArn;
use super::attributes::{Attribute, Attributes};
use super::class::Class;
use super::digest::sha256;
use super::field::FieldError;
use super::fleet::{Fleet, Key};
use super::iam::{DesiredPolicy, Subject, check_permissions};
use super::key_policy::DesiredKeyAccess;
use super::names::QueueName;
use super::outputs::OutputSettings;
use super::policy::{AccessPolicies, NamedPrincipals, PolicyDocument, StatementContext, compile_access};
use super::redrive::{RedriveAllow, RedrivePolicy};
use super::reference::{Source, check_cycle, check_source_count, reference};
use super::settings::{Names, built_in, effective, requires_tls, sqs};
use super::tags::{Owner, Tags, declared_tags};
use super::target::check_target;

/// What a Queue asks for.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Which Queue.
    pub key: Key,
    /// Whose tags its queues carry.
    pub owner: Owner,
    /// Where its queue lives.
    pub target: Target,
    /// The settings after defaults.
    pub effective: Effective,
    /// Its queue.
    pub source: DesiredQueue,
    /// Its dead-letter queue.
    pub dead_letter: DesiredDeadLetter,
    /// Its policies in IAM.
    pub policies: Vec<DesiredPolicy>,
    /// Whether a queue without owner tags is taken over.
    pub adopt: bool,
    /// Whether a queue that was taken over may be deleted: only when the Queue itself says so, whatever its class.
    pub deletes_adopted: bool,
    /// Whether AWS is only read.
    pub observe: bool,
    /// Its Secrets and `ConfigMap`s.
    pub outputs: OutputSettings,
    /// Who else is let in, by `QueueAccess`; the policies above let in all who are admitted.
    pub grants: Admissions,
    /// The UIDs of those that its policies let in.
    pub let_in: BTreeSet<String>,
    /// The policies without grants.
    own_policies: AccessPolicies,
    /// The fields that name a role or user, by its ARN.
    pub named_principals: NamedPrincipals,
    /// What the policy of its KMS key must say for those whom it lets in; `None` without such a key, or when it lets in nobody.
    pub key_access: Option<DesiredKeyAccess>,
    /// The changes that may destroy messages: `field=value`, as the annotation names them.
    pub allowed_losses: BTreeSet<String>,
}

/// One queue in AWS as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredQueue {
    /// Its name.
    pub name: QueueName,
    /// Its ARN.
    pub arn: QueueArn,
    /// What each attribute should be. An attribute that is not here is left as it is.
    pub attributes: Attributes,
    /// Its policy without the principals that AWS may not know: what protects it until they are known.
    pub first_policy: String,
    /// The class's tags and the user's, of which the class's win. The owner tags come on top, by how the queue came to be
    /// ours.
    pub tags: Tags,
    /// The field that sets its retention, below `spec`.
    pub retention_field: &'static str,
}

impl DesiredQueue {
    /// The attributes to create the queue with: empty texts, which remove, and the opposite of what is asked for
    /// have no place there.
    #[must_use]
    pub fn creation_attributes(&self) -> Attributes {
        let mut attributes = self.attributes.clone();
        attributes.retain(|_, value| !value.is_empty());
        if attributes.contains_key(&Attribute::KmsMasterKeyId) {
            attributes.remove(&Attribute::SqsManagedSseEnabled);
        }
        if self.name.is_fifo() {
            attributes.insert(Attribute::FifoQueue, "true".to_owned());
        }
        attributes
    }
}

/// The dead-letter queue that a Queue asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesiredDeadLetter {
    /// None.
    None,
    /// One made for this Queue.
    Managed(Box<DesiredQueue>),
    /// A queue that is there and allows this source.
    Reference {
        /// Its ARN.
        arn: String,
    },
    /// A queue that cannot be used yet.
    NotReady {
        /// What is missing, in words.
        why: String,
    },
}

/// Why nothing of a spec is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The condition's reason.
    pub reason: Reason,
    /// Every error.
    pub errors: Vec<FieldError>,
}

impl Refusal {
    /// A refusal for what the spec says.
    #[must_use]
    pub fn of(errors: Vec<FieldError>) -> Self {
        let is_of_class = errors.iter().all(|error| error.is_of_class);
        let reason = if is_of_class { Reason::NotAllowedByClass } else { Reason::InvalidSpec };
        Self { reason, errors }
    }

    /// Whether it may end without anybody mending the Queue.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.reason == Reason::ClassNotFound
    }

    /// All errors in one text.
    #[must_use]
    pub fn message(&self) -> String {
        let lines: Vec<String> = self.errors.iter().map(ToString::to_string).collect();
        lines.join("; ")
    }
}

impl Desired {
    /// What `queue` asks for.
    ///
    /// # Errors
    /// Every rule that the spec breaks, all at once.
    pub fn of(queue: &Queue, class: &Class, fleet: &Fleet) -> Result<Self, Refusal> {
        let key = Key::of(queue);
        let spec = &class.spec_of(queue);
        let mut errors = Vec::new();
        let names = Names::of(queue, class).map_err(|more| errors.extend(more)).ok();
        let settings = effective(spec).map_err(|more| errors.extend(more)).ok();
        let tags = declared_tags(spec, class, &mut errors);
        check_key_prefixes(spec, &mut errors);
        check_permissions(spec, &mut errors);
        errors.extend(class.limits.check(spec, &tags, &key.namespace));

        // A wrong name must not hide what else is wrong.
        let source_arn = class.place.queue_arn(&names.as_ref().map_or_else(
            || class.naming.queue(&key.namespace, &key.name, spec.queue_type),
            |names| names.queue.clone(),
        ));
        let dead_letter_arn =
            names.as_ref().and_then(|names| names.dead_letter.as_ref()).map(|name| class.place.queue_arn(name));
        let queue_arn = source_arn.to_string();
        let dead_letter_text = dead_letter_arn.as_ref().map(ToString::to_string);
        let context = statement_context(&queue_arn, class);
        let none = Access::default();
        let access = spec.access.as_ref().unwrap_or(&none);
        let access = compile_access(access, requires_tls(spec), dead_letter_text.as_deref(), &context);
        let access = access.map_err(|more| errors.extend(more)).ok();
        let retention = settings.as_ref().map(|settings| settings.message_retention_seconds);
        let source = Source { key: &key, arn: &source_arn, queue_type: spec.queue_type, retention };
        let reference = reference(spec, &source, class, fleet).map_err(|error| errors.push(error)).ok();

        let (Some(names), Some(mut settings), Some(access), Some(reference), true) =
            (names, settings, access, reference, errors.is_empty())
        else {
            return Err(Refusal::of(errors));
        };

        let builder = Builder { class, settings: &settings, tags: &tags };
        let allow = redrive_allow(spec, &key, fleet);
        let dead_letter = match names.dead_letter {
            Some(name) => {
                DesiredDeadLetter::Managed(Box::new(builder.dead_letter(name, &source_arn, &access.dead_letter)))
            }
            None => reference,
        };
        let kms_key = settings.encryption.key.clone();
        let subject = Subject { queue, arn: source_arn.to_string(), kms_key, dead_letter: &dead_letter };
        let policies = subject.policies(class, fleet, &mut errors);
        if !errors.is_empty() {
            return Err(Refusal::of(errors));
        }
        let source = builder.source(names.queue, source_arn, &dead_letter, &allow, &access.source);
        settings.redrive_allow = allow.effective();

        let target = Target {
            queue_class_name: class.name.clone(),
            account_id: class.place.account_id.clone(),
            region: class.place.region.clone(),
            queue_name: source.name.to_string(),
            dead_letter_queue_name: match &dead_letter {
                DesiredDeadLetter::Managed(queue) => Some(queue.name.to_string()),
                _ => None,
            },
            queue_type: spec.queue_type,
        };
        check_target(queue, &target, class)?;
        check_cycle(&key, fleet)?;
        check_source_count(&key, &source.arn.to_string(), fleet)?;
        let room = Room {
            spec,
            policies: &access,
            dead_letter_arn: dead_letter_text.as_deref(),
            context: &context,
            limits: &class.limits,
        };
        let grants = admit(&key, in_turn(queue, fleet.principals_on(&key)).into_iter(), &room);
        let desired = Self {
            owner: Owner { cluster: class.cluster.clone(), namespace: key.namespace.clone(), name: key.name.clone() },
            target,
            effective: settings,
            source,
            dead_letter,
            policies,
            adopt: spec.adoption_policy == Some(AdoptionPolicy::Adopt),
            deletes_adopted: queue.spec.deletion_policy == Some(DeletionPolicy::Delete),
            observe: spec.management_policy == Some(ManagementPolicy::Observe),
            outputs: OutputSettings::of(queue, class),
            grants,
            let_in: BTreeSet::new(),
            key_access: None,
            named_principals: access.named.clone(),
            own_policies: access,
            allowed_losses: allowed_losses(queue),
            key,
        };
        Ok(desired.letting_in(&desired.grants.admitted))
    }

    /// The same with policies that let in just these; the youngest are left out if there is no room for them.
    #[must_use]
    pub fn letting_in(&self, admitted: &[Admitted]) -> Self {
        let queue_arn = self.source.arn.to_string();
        let dead_letter_arn = self.managed_dead_letter().map(|queue| queue.arn.to_string());
        // All fit together; without some of them, others may be merged less well.
        let fitting = (0..=admitted.len()).rev().find_map(|most| {
            let parts: Vec<_> = admitted[..most].iter().map(|admitted| &admitted.part).collect();
            let policies = self.own_policies.with_grants(&parts, &queue_arn, dead_letter_arn.as_deref());
            policies.ok().zip(Some(&admitted[..most]))
        });
        let (policies, let_in) = fitting.unwrap_or_else(|| (self.own_policies.clone(), &[]));
        let mut desired = self.clone();
        desired.let_in = let_in.iter().map(|admitted| admitted.grant.uid.clone()).collect();
        let kms_key = desired.effective.encryption.key.clone().filter(|_| !policies.key.is_empty());
        desired.key_access = kms_key.map(|key| DesiredKeyAccess { key, statements: policies.key.clone() });
        desired.source.attributes.insert(Attribute::Policy, policies.source.to_attribute());
        if let DesiredDeadLetter::Managed(queue) = &mut desired.dead_letter {
            queue.attributes.insert(Attribute::Policy, policies.dead_letter.to_attribute());
        }
        desired
    }

    /// A digest of all that is declared of the queues and policies: it stays the same while neither the Queue, nor its class, nor
    /// another Queue asks for anything else. Whom others let in is no part of it.
    #[must_use]
    pub fn digest(&self) -> String {
        let source = (&self.source, &self.own_policies.source);
        let dead_letter = self.managed_dead_letter().map(|queue| (queue, &self.own_policies.dead_letter));
        let declared: Vec<Value> = std::iter::once(source)
            .chain(dead_letter)
            .map(|(DesiredQueue { arn, attributes, tags, .. }, policy)| {
                let own = policy.to_attribute();
                let of = |(attribute, value): (&Attribute, &String)| {
                    let value = if *attribute == Attribute::Policy { &own } else { value };
                    (attribute.as_str(), value.clone())
                };
                json!([arn.to_string(), attributes.iter().map(of).collect::<BTreeMap<_, _>>(), tags])
            })
            .collect();
        let policies: Vec<Value> =
            self.policies.iter().map(|policy| json!([policy.arn.to_string(), policy.digest()])).collect();
        // Without policies it is as it was before there were any: what is on record stays true.
        let all = if policies.is_empty() { Value::from(declared) } else { json!([declared, policies]) };
        sha256(&all.to_string())
    }

    /// The managed dead-letter queue.
    #[must_use]
    pub fn managed_dead_letter(&self) -> Option<&DesiredQueue> {
        match &self.dead_letter {
            DesiredDeadLetter::Managed(queue) => Some(queue),
            _ => None,
        }
    }

    /// The dead-letter queue's ARN, when it is known.
    #[must_use]
    pub fn dead_letter_arn(&self) -> Option<String> {
        match &self.dead_letter {
            DesiredDeadLetter::Managed(queue) => Some(queue.arn.to_string()),
            DesiredDeadLetter::Reference { arn } => Some(arn.clone()),
            DesiredDeadLetter::None | DesiredDeadLetter::NotReady { .. } => None,
        }
    }
}

/// Makes the two queues out of effective settings.
struct Builder<'a> {
    class: &'a Class,
    settings: &'a Effective,
    tags: &'a Tags,
}

impl Builder<'_> {
    fn source(
        &self,
        name: QueueName,
        arn: QueueArn,
        dead_letter: &DesiredDeadLetter,
        allow: &RedriveAllow,
        policy: &PolicyDocument,
    ) -> DesiredQueue {
        let settings = self.settings;
        let mut attributes = self.shared();
        attributes.extend([
            (Attribute::VisibilityTimeout, settings.visibility_timeout_seconds.to_string()),
            (Attribute::MessageRetentionPeriod, settings.message_retention_seconds.to_string()),
            (Attribute::ReceiveMessageWaitTimeSeconds, settings.receive_wait_time_seconds.to_string()),
            (Attribute::DelaySeconds, settings.delay_seconds.to_string()),
            (Attribute::MaximumMessageSize, settings.maximum_message_size_bytes.to_string()),
        ]);
        attributes.insert(Attribute::RedriveAllowPolicy, allow.to_json());
        attributes.insert(Attribute::Policy, policy.to_attribute());
        let redrive = |dead_letter_arn: String| {
            let max_receive_count = settings.dead_letter.max_receive_count.unwrap_or_default().unsigned_abs();
            RedrivePolicy { dead_letter_arn, max_receive_count }.to_json()
        };
        match dead_letter {
            DesiredDeadLetter::None => attributes.insert(Attribute::RedrivePolicy, String::new()),
            DesiredDeadLetter::Managed(queue) => {
                attributes.insert(Attribute::RedrivePolicy, redrive(queue.arn.to_string()))
            }
            DesiredDeadLetter::Reference { arn } => attributes.insert(Attribute::RedrivePolicy, redrive(arn.clone())),
            // Left as it is: SQS would refuse it, or the queue would lose the dead-letter queue it has.
            DesiredDeadLetter::NotReady { .. } => None,
        };
        let retention_field = "messageRetentionSeconds";
        let first_policy = policy.without_named_principals().to_attribute();
        DesiredQueue { name, arn, attributes, first_policy, tags: self.tags.clone(), retention_field }
    }

    fn dead_letter(&self, name: QueueName, source: &QueueArn, policy: &PolicyDocument) -> DesiredQueue {
        let retention = self.settings.dead_letter.message_retention_seconds.unwrap_or_default();
        let arn = self.class.place.queue_arn(&name);
        let mut attributes = self.shared();
        // Its own settings are the defaults: a change of the source's need not touch it.
        attributes.extend([
            (Attribute::VisibilityTimeout, built_in::VISIBILITY_TIMEOUT_SECONDS.to_string()),
            (Attribute::MessageRetentionPeriod, retention.to_string()),
            (Attribute::ReceiveMessageWaitTimeSeconds, built_in::RECEIVE_WAIT_TIME_SECONDS.to_string()),
            (Attribute::DelaySeconds, sqs::DELAY_SECONDS.to_string()),
            (Attribute::MaximumMessageSize, sqs::MAXIMUM_MESSAGE_SIZE_BYTES.to_string()),
            (Attribute::RedrivePolicy, String::new()),
        ]);
        attributes
            .insert(Attribute::RedriveAllowPolicy, RedriveAllow::only(BTreeSet::from([source.to_string()])).to_json());
        attributes.insert(Attribute::Policy, policy.to_attribute());
        let retention_field = "deadLetter.managed.messageRetentionSeconds";
        let first_policy = policy.without_named_principals().to_attribute();
        DesiredQueue { name, arn, attributes, first_policy, tags: self.tags.clone(), retention_field }
    }

    /// What a queue shares with its dead-letter queue: messages must be as safe there, and in the same order.
    fn shared(&self) -> Attributes {
        let settings = self.settings;
        let mut attributes = Attributes::new();
        if let Some(fifo) = &settings.fifo {
            let scope = match fifo.deduplication_scope {
                DeduplicationScope::Queue => "queue",
                DeduplicationScope::MessageGroup => "messageGroup",
            };
            let limit = match fifo.throughput_limit {
                ThroughputLimit::PerQueue => "perQueue",
                ThroughputLimit::PerMessageGroupId => "perMessageGroupId",
            };
            attributes.insert(Attribute::ContentBasedDeduplication, fifo.content_based_deduplication.to_string());
            attributes.insert(Attribute::DeduplicationScope, scope.to_owned());
            attributes.insert(Attribute::FifoThroughputLimit, limit.to_owned());
        }
        let encryption = &settings.encryption;
        let managed = encryption.mode == EncryptionMode::SQSManaged;
        attributes.insert(Attribute::SqsManagedSseEnabled, managed.to_string());
        attributes.insert(Attribute::KmsMasterKeyId, encryption.key.clone().unwrap_or_default());
        if let Some(seconds) = encryption.data_key_reuse_seconds {
            attributes.insert(Attribute::KmsDataKeyReusePeriodSeconds, seconds.to_string());
        }
        attributes
    }
}

/// Where the statements of a Queue stand, and whom its class lets in.
fn statement_context<'a>(queue_arn: &'a str, class: &'a Class) -> StatementContext<'a> {
    StatementContext {
        queue_arn,
        account_id: &class.place.account_id,
        caller_arn: &class.caller_arn,
        trust: class.limits.trust(),
    }
}

/// No output key may begin with `AWS_`: it would redirect every AWS client of a Pod.
fn check_key_prefixes(spec: &QueueSpec, errors: &mut Vec<FieldError>) {
    let outputs = spec.outputs.as_ref();
    let of = [
        ("secret", outputs.and_then(|outputs| outputs.secret.as_ref())),
        ("configMap", outputs.and_then(|outputs| outputs.config_map.as_ref())),
    ];
    for (output, spec) in of {
        if spec.and_then(|spec| spec.key_prefix.as_ref()).is_some_and(|prefix| prefix.starts_with("AWS_")) {
            let rule = "must not begin with AWS_: such keys redirect the AWS clients of a Pod";
            errors.push(FieldError::new(format!("spec.outputs.{output}.keyPrefix"), rule));
        }
    }
}

fn redrive_allow(spec: &QueueSpec, key: &Key, fleet: &Fleet) -> RedriveAllow {
    match spec.redrive_allow.as_ref().and_then(|allow| allow.mode).unwrap_or(RedriveAllowMode::Auto) {
        RedriveAllowMode::AllowAll => RedriveAllow::AllowAll,
        RedriveAllowMode::DenyAll => RedriveAllow::DenyAll,
        RedriveAllowMode::Auto | RedriveAllowMode::ByQueue => RedriveAllow::only(fleet.allowed_sources(key)),
    }
}

/// The changes that the annotation allows to destroy messages.
fn allowed_losses(queue: &Queue) -> BTreeSet<String> {
    let text = queue.metadata.annotations.as_ref().and_then(|all| all.get(ALLOW_MESSAGE_LOSS));
    text.map(|text| text.split(',').map(|change| change.trim().to_owned()).collect()).unwrap_or_default()
}
