//! `Queue`: one SQS queue, its dead-letter queue, policy and outputs.
// The descriptions are what `kubectl explain` shows: plain text, no Markdown.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Access;
use super::iam::Iam;
use super::schema;
use super::status::QueueStatus;

/// What one SQS queue should be. `spec: {}` is a complete Queue.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "queue.prism.io",
    version = "v1alpha1",
    kind = "Queue",
    plural = "queues",
    shortname = "pq",
    category = "prism",
    namespaced,
    status = "QueueStatus",
    derive = "PartialEq",
    doc = "A Queue is one Amazon SQS queue with its dead-letter queue, queue policy and outputs. The operator makes the queue in AWS, keeps it as declared here, and writes its URL to a Secret for workloads.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(
        name = "Messages",
        type_ = "integer",
        json_path = ".status.messages.available",
        description = "Messages that a receive may return, approximately"
    ),
    printcolumn(
        name = "Dead Letters",
        type_ = "integer",
        json_path = ".status.messages.deadLetters",
        description = "Messages in the dead-letter queue, approximately"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.queueUrl", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name: must be a DNS label: at most 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"),
    validation = Rule::new(
        "!has(self.spec.outputs) || !has(self.spec.outputs.binding) || !has(self.spec.outputs.secret) || !has(self.spec.outputs.secret.name) || self.spec.outputs.secret.name != self.metadata.name + '-binding'"
    )
    .message("outputs.secret.name: <name>-binding is the name of the Service Binding Secret; choose another")
    .field_path(".spec.outputs.secret.name"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == oldSelf.type")
        .message("type is immutable: SQS fixes it when the queue is created")
        .field_path(".type"),
    validation = Rule::new("has(self.queueName) == has(oldSelf.queueName) && (!has(self.queueName) || self.queueName == oldSelf.queueName)")
        .message("queueName is immutable, also from unset to set and back: a queue cannot be renamed; set deletionPolicy Retain, delete this Queue and create another")
        .field_path(".queueName"),
    validation = Rule::new("!has(self.fifo) || self.type == 'FIFO'")
        .message("fifo is allowed only with type FIFO")
        .field_path(".fifo"),
    validation = Rule::new("!has(self.queueName) || self.queueName.endsWith('.fifo') == (self.type == 'FIFO')")
        .message("queueName must end in .fifo with type FIFO, and must not with type Standard")
        .field_path(".queueName"),
    validation = Rule::new("!has(self.deadLetter) || !has(self.deadLetter.managed) || !has(self.deadLetter.managed.queueName) || self.deadLetter.managed.queueName.endsWith('.fifo') == (self.type == 'FIFO')")
        .message("the dead-letter queue is of the same type as its source: its queueName must end in .fifo with type FIFO, and must not with type Standard")
        .field_path(".deadLetter.managed.queueName"),
    validation = Rule::new("!has(self.queueName) || !has(self.deadLetter) || !has(self.deadLetter.managed) || !has(self.deadLetter.managed.queueName) || self.deadLetter.managed.queueName != self.queueName")
        .message("the dead-letter queue needs a name of its own, other than queueName")
        .field_path(".deadLetter.managed.queueName"),
    validation = Rule::new("!has(self.deadLetter) || !has(self.deadLetter.reference) || !has(self.deadLetter.reference.queueArn) || self.deadLetter.reference.queueArn.endsWith('.fifo') == (self.type == 'FIFO')")
        .message("the dead-letter queue must be of the same type as its source: a FIFO queue's ARN ends in .fifo")
        .field_path(".deadLetter.reference.queueArn"),
    validation = Rule::new("!has(self.iam) || !has(self.iam.policies) || !has(self.deadLetter) || !has(self.deadLetter.mode) || self.deadLetter.mode != 'None' || !self.iam.policies.exists(p, p == 'Inspect' || p == 'Redrive')")
        .message("Inspect and Redrive are about the dead-letter queue, and deadLetter.mode is None: remove them, or choose another mode")
        .field_path(".iam.policies"),
)]
pub struct QueueSpec {
    /// Standard or FIFO. Immutable: SQS fixes it when the queue is created.
    #[serde(rename = "type", default)]
    pub queue_type: QueueType,

    /// The QueueClass: where and how the queue is made. Omitted: the default class. A queue is never moved: once it has
    /// been made, only another class of the same account, region and names is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub queue_class_name: Option<String>,

    /// The queue's name in AWS. Omitted: `<prefix><namespace>_<name>`, with `.fifo` last for FIFO.
    /// 1-80 letters, digits, '-' and '_', the .fifo suffix included. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80), regex(pattern = r"^[A-Za-z0-9_-]+(\.fifo)?$"))]
    pub queue_name: Option<String>,

    /// Seconds that a received message stays hidden from other consumers: 0-43200. Omitted: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 43200))]
    pub visibility_timeout_seconds: Option<i32>,

    /// Seconds that SQS keeps a message that nobody deletes: 60-1209600 (14 days). Omitted: 345600 (4 days).
    /// Lowering it deletes older messages: held back while the queue holds any, see the annotation
    /// queue.prism.io/allow-message-loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 1_209_600))]
    pub message_retention_seconds: Option<i32>,

    /// Seconds that a receive waits for messages (long polling): 0-20. Omitted: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub receive_wait_time_seconds: Option<i32>,

    /// Seconds that a new message stays hidden: 0-900. Omitted: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 900))]
    pub delay_seconds: Option<i32>,

    /// Bytes that a message may have: 1024-1048576. Omitted: 1048576.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub maximum_message_size_bytes: Option<i32>,

    /// What only FIFO queues have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fifo: Option<Fifo>,

    /// Where messages go that were received too often without being deleted. Omitted: a managed
    /// dead-letter queue after 5 receives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,

    /// Which queues may use this queue as their dead-letter queue. Omitted: Auto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive_allow: Option<RedriveAllow>,

    /// Encryption at rest. Omitted: SQSManaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,

    /// Who may use the queue: its queue policy. Omitted: no statements but the refusal of plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,

    /// Managed policies in IAM for those who use the queue. Omitted: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<Iam>,

    /// What workloads read. Omitted: a Secret `<name>-queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,

    /// Tags of the queue and its dead-letter queue: at most 40; keys of 1-128, values of 0-256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::tags")]
    #[x_kube(
        validation = Rule::new("self.all(k, k.size() >= 1 && k.size() <= 128)").message("tags: a key has 1 to 128 characters"),
        validation = Rule::new("self.all(k, !k.startsWith('queue.prism.io/'))").message("tags: the prefix queue.prism.io/ is reserved for the operator's owner tags"),
        validation = Rule::new("self.all(k, !k.lowerAscii().startsWith('aws:'))").message("tags: the prefix aws: is reserved by AWS"),
        validation = Rule::new(r"self.all(k, k.matches('^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$') && self[k].matches('^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$'))")
            .message("tags: keys and values may have letters, digits, spaces and _ . : / = + - @"),
    )]
    pub tags: Option<BTreeMap<String, String>>,

    /// What to do with a queue of this name that exists and carries no owner tags. Omitted: Never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption_policy: Option<AdoptionPolicy>,

    /// Manage: make the queue as declared. Observe: never write to AWS; outputs are written, and
    /// differences are reported in the condition Drifted. Omitted: Manage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,

    /// What happens to the queue in AWS when this Queue is deleted. Omitted: DeleteIfEmpty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Stops every write, to AWS and to Kubernetes. A Queue deleted while suspended lets its queue go
    /// as deletionPolicy Retain does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(schema_with = "schema::plain_bool")]
    pub suspend: bool,
}

/// Standard or FIFO.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum QueueType {
    /// At-least-once delivery, best-effort order.
    #[default]
    Standard,
    /// First in, first out within a message group.
    #[serde(rename = "FIFO")]
    Fifo,
}

/// What only FIFO queues have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.throughputLimit) || self.throughputLimit != 'PerMessageGroupId' || !has(self.deduplicationScope) || self.deduplicationScope == 'MessageGroup'")
        .message("throughputLimit PerMessageGroupId needs deduplicationScope MessageGroup")
        .field_path(".throughputLimit"),
)]
pub struct Fifo {
    /// Deduplicate by a hash of the body when the sender gives no deduplication id. Omitted: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_based_deduplication: Option<bool>,
    /// Deduplicate within the whole queue or within a message group. Omitted: Queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deduplication_scope: Option<DeduplicationScope>,
    /// Whether the throughput quota is the queue's or each message group's (high throughput; needs
    /// deduplicationScope MessageGroup). Omitted: PerQueue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_limit: Option<ThroughputLimit>,
}

/// Where a FIFO queue looks for duplicates.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum DeduplicationScope {
    /// In the whole queue.
    Queue,
    /// Within a message group.
    MessageGroup,
}

/// What a FIFO queue's throughput quota applies to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum ThroughputLimit {
    /// The whole queue.
    PerQueue,
    /// Each message group.
    PerMessageGroupId,
}

/// Where messages go that were received too often without being deleted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.reference) || (has(self.mode) && self.mode == 'Reference')")
        .message("reference is allowed only with mode Reference")
        .field_path(".reference"),
    validation = Rule::new("!has(self.mode) || self.mode != 'Reference' || has(self.reference)")
        .message("mode Reference needs reference: {queueRef: {name: ...}} or {queueArn: ...}")
        .field_path(".reference"),
    validation = Rule::new("!has(self.managed) || !has(self.mode) || self.mode == 'Managed'")
        .message("managed is allowed only with mode Managed")
        .field_path(".managed"),
    validation = Rule::new("!has(self.maxReceiveCount) || !has(self.mode) || self.mode != 'None'")
        .message("maxReceiveCount has no meaning with mode None: remove it")
        .field_path(".maxReceiveCount"),
)]
pub struct DeadLetter {
    /// Managed: a dead-letter queue made for this Queue. Reference: another queue. None: none.
    /// Omitted: Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DeadLetterMode>,
    /// How often a message may be received before it is moved: 1-1000. Omitted: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_receive_count: Option<i32>,
    /// With mode Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDeadLetter>,
    /// With mode Reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<DeadLetterReference>,
}

/// What kind of dead-letter queue.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum DeadLetterMode {
    /// One made for this Queue alone.
    Managed,
    /// Another Queue, or a queue by its ARN.
    Reference,
    /// None: messages are received until their retention ends.
    None,
}

/// The dead-letter queue made for one Queue.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ManagedDeadLetter {
    /// Its name in AWS. Omitted: `<prefix><namespace>_<name>_dlq`, with `.fifo` last for FIFO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80), regex(pattern = r"^[A-Za-z0-9_-]+(\.fifo)?$"))]
    pub queue_name: Option<String>,
    /// Seconds that it keeps a message: 60-1209600, and on a Standard queue no less than the source's,
    /// because SQS counts from the first enqueueing. Omitted: 1209600 (14 days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 1_209_600))]
    pub message_retention_seconds: Option<i32>,
}

/// Another queue used as dead-letter queue. Exactly one of the two.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.queueRef) != has(self.queueArn)").message("exactly one of queueRef and queueArn is needed"),
)]
pub struct DeadLetterReference {
    /// A Queue in this namespace, of the same type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_ref: Option<QueueRef>,
    /// A queue by its ARN, in the same account and region and of the same type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 160),
        regex(pattern = r"^arn:[a-z0-9-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?$")
    )]
    pub queue_arn: Option<String>,
}

/// A Queue in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct QueueRef {
    /// The Queue's metadata.name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// Which queues may use this queue as their dead-letter queue.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.sourceQueueArns) || self.sourceQueueArns.size() == 0 || !has(self.mode) || self.mode in ['Auto', 'ByQueue']")
        .message("sourceQueueArns is allowed only with mode Auto or ByQueue")
        .field_path(".sourceQueueArns"),
    validation = Rule::new("!has(self.mode) || self.mode != 'ByQueue' || (has(self.sourceQueueArns) && self.sourceQueueArns.size() > 0)")
        .message("mode ByQueue needs at least one ARN in sourceQueueArns; to allow none, use DenyAll")
        .field_path(".sourceQueueArns"),
)]
pub struct RedriveAllow {
    /// Auto: the Queues of this namespace that name this one, and sourceQueueArns; none of both: DenyAll.
    /// AllowAll, DenyAll, ByQueue: as in SQS. Omitted: Auto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RedriveAllowMode>,
    /// With ByQueue; with Auto, added to the sources found. SQS allows 10 sources in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 10),
        inner(
            length(max = 160),
            regex(pattern = r"^arn:[a-z0-9-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?$")
        )
    )]
    pub source_queue_arns: Option<Vec<String>>,
}

/// Which queues may use this queue as their dead-letter queue.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum RedriveAllowMode {
    /// The sources known; none when none is known.
    Auto,
    /// Every queue of the account and region.
    AllowAll,
    /// No queue.
    DenyAll,
    /// The queues of `sourceQueueArns`.
    ByQueue,
}

/// Encryption at rest.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.kms) || !has(self.mode) || self.mode == 'KMS'")
        .message("kms is allowed only with mode KMS")
        .field_path(".kms"),
)]
pub struct Encryption {
    /// SQSManaged: with a key that SQS owns. KMS: with a key of AWS KMS. None: not encrypted.
    /// Omitted: SQSManaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<EncryptionMode>,
    /// With mode KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms: Option<Kms>,
}

/// How a queue is encrypted at rest.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum EncryptionMode {
    /// SSE-SQS.
    SQSManaged,
    /// SSE-KMS.
    KMS,
    /// Not encrypted.
    None,
}

/// A key of AWS KMS.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Kms {
    /// The key's id, its ARN, or an alias (`alias/...` or an alias ARN).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 2048),
        regex(
            pattern = r"^(arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:(key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)|alias/[A-Za-z0-9/_-]+|[A-Za-z0-9-]+)$"
        )
    )]
    pub key: Option<String>,
    /// Seconds that SQS reuses a data key before it asks KMS again: 60-86400. Omitted: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 86400))]
    pub data_key_reuse_seconds: Option<i32>,
}

/// What workloads read.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// A Secret with QUEUE_URL, QUEUE_ARN and so on. Omitted: on, `<name>-queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Output>,
    /// A ConfigMap with the same keys. Omitted: off; when on, `<name>-queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<Output>,
    /// A Secret `<name>-binding` of the Service Binding specification. Omitted: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingOutput>,
}

/// A Secret or ConfigMap with the queue's coordinates.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Enabled or Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Switch>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: Option<String>,
    /// What every key begins with, so that one Pod can read several: an environment variable's
    /// beginning, for example `IMAGES_`. It must not begin with AWS_, which would redirect AWS clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^([A-Za-z_][A-Za-z0-9_]*)?$"))]
    #[x_kube(validation = Rule::new("!self.startsWith('AWS_')").message("keyPrefix must not begin with AWS_: such keys redirect the AWS clients of a Pod"))]
    pub key_prefix: Option<String>,
}

/// The Service Binding Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BindingOutput {
    /// Enabled or Disabled. Omitted: Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Switch>,
}

/// On or off, in words that can undo a default.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum Switch {
    /// On.
    Enabled,
    /// Off.
    Disabled,
}

/// What to do with a queue that exists and carries no owner tags.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum AdoptionPolicy {
    /// Leave it alone and say so.
    Never,
    /// Take it: tag it as owned and make it as declared.
    Adopt,
}

/// Whether the operator writes to AWS.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum ManagementPolicy {
    /// Make the queue as declared.
    Manage,
    /// Never write to AWS.
    Observe,
}

/// What happens to the queue in AWS when its Queue is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum DeletionPolicy {
    /// Refuse new messages, wait until none is left, then delete.
    DeleteIfEmpty,
    /// Delete with all messages.
    Delete,
    /// Keep the queue: remove the owner tags and let go.
    Retain,
}
