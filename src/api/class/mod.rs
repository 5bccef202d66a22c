//! `QueueClass`: where and how the queues of a class are made, and what their Queues may ask for.
// The descriptions are what `kubectl explain` shows: plain text, no Markdown.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags)]

mod defaults;
mod limits;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
pub use defaults::{
    ClassDefaults, DefaultAccess, DefaultDeadLetter, DefaultDeadLetterMode, DefaultManagedDeadLetter, DefaultOutput,
    DefaultOutputs, DefaultRedriveAllow, DefaultRedriveAllowMode,
};
pub use limits::{
    AccessLimits, ClassLimits, DeadLetterLimits, EncryptionLimits, IamLimits, KmsLimits, Range, SubjectKind,
};

/// The rules of the house for one kind of queues.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "queue.prism.io",
    version = "v1alpha1",
    kind = "QueueClass",
    plural = "queueclasses",
    shortname = "pqc",
    category = "prism",
    status = "QueueClassStatus",
    derive = "PartialEq",
    doc = "A QueueClass says where and how queues are made: account, region, role, names, tags, defaults, and what a Queue may ask for. Queues name it in spec.queueClassName; the one marked with the annotation queue.prism.io/is-default-class is for those that name none.",
    printcolumn(
        name = "Default",
        type_ = "string",
        json_path = r".metadata.annotations.queue\.prism\.io/is-default-class"
    ),
    printcolumn(name = "Account", type_ = "string", json_path = ".spec.aws.accountId"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.aws.region"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Queues", type_ = "integer", json_path = ".status.queues"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.aws.roleArn", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name: must be a DNS label: at most 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.aws.region == oldSelf.aws.region")
        .message("aws.region is immutable: queues are not moved; make another class")
        .field_path(".aws.region"),
    validation = Rule::new("self.aws.accountId == oldSelf.aws.accountId")
        .message("aws.accountId is immutable: queues are not moved; make another class")
        .field_path(".aws.accountId"),
    validation = Rule::new("has(self.naming) == has(oldSelf.naming) && (!has(self.naming) || self.naming == oldSelf.naming)")
        .message("naming is immutable, also from unset to set and back: queues cannot be renamed; make another class")
        .field_path(".naming"),
    validation = Rule::new("(has(self.iam) && has(self.iam.path) ? self.iam.path : '/prism-queue/') == (has(oldSelf.iam) && has(oldSelf.iam.path) ? oldSelf.iam.path : '/prism-queue/')")
        .message("iam.path is immutable, and /prism-queue/ when unset: IAM moves nothing to another path; make another class")
        .field_path(".iam.path"),
    validation = Rule::new("!has(oldSelf.iam) || !has(oldSelf.iam.podIdentity) || (has(self.iam) && has(self.iam.podIdentity) && self.iam.podIdentity.clusterName == oldSelf.iam.podIdentity.clusterName && self.iam.podIdentity.region == oldSelf.iam.podIdentity.region && (has(self.iam.podIdentity.roleArn) ? self.iam.podIdentity.roleArn.split(':')[4] : '') == (has(oldSelf.iam.podIdentity.roleArn) ? oldSelf.iam.podIdentity.roleArn.split(':')[4] : ''))")
        .message("iam.podIdentity cannot be taken away, and its clusterName, region and the account of its roleArn are immutable: associations would be left behind; make another class")
        .field_path(".iam.podIdentity"),
    validation = Rule::new("!has(self.iam) || !has(self.iam.permissionsBoundaryArn) || self.iam.permissionsBoundaryArn.split(':')[4] in ['aws', self.aws.accountId]")
        .message("iam.permissionsBoundaryArn must be a policy of aws.accountId, or one of AWS: roles are made in that account")
        .field_path(".iam.permissionsBoundaryArn"),
    validation = Rule::new("!has(self.iam) || !has(self.iam.oidcProviderArn) || self.iam.oidcProviderArn.split(':')[4] == self.aws.accountId")
        .message("iam.oidcProviderArn must be a provider in aws.accountId: roles trust providers of their own account")
        .field_path(".iam.oidcProviderArn"),
)]
pub struct QueueClassSpec {
    /// Where the queues are made, and as whom.
    pub aws: ClassAws,

    /// How default names are made. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naming: Option<ClassNaming>,

    /// Which namespaces may use the class.
    pub allowed_namespaces: AllowedNamespaces,

    /// Tags of every queue of the class; they win over the Queue's own.
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

    /// Tags taken from the labels of the Queue's namespace: tag key to label key. A label that is not there gives
    /// no tag. They win over the Queue's own, and tags over them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_tags")]
    #[x_kube(
        validation = Rule::new("self.all(k, k.size() >= 1 && k.size() <= 128 && k.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$'))")
            .message("tagsFromNamespaceLabels: a tag key has 1 to 128 letters, digits, spaces and _ . : / = + - @"),
        validation = Rule::new("self.all(k, !k.startsWith('queue.prism.io/') && !k.lowerAscii().startsWith('aws:'))")
            .message("tagsFromNamespaceLabels: the prefixes queue.prism.io/ and aws: are reserved"),
    )]
    pub tags_from_namespace_labels: Option<BTreeMap<String, String>>,

    /// What an omitted field of a Queue means. Objects merge by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<ClassDefaults>,

    /// What Queues may ask for. Each limit has the path of the Queue's field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ClassLimits>,

    /// How queues are kept as declared. Omitted: repaired, at the operator's own interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<ClassDrift>,

    /// What is made in IAM for the Queues of the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<ClassIam>,
}

/// Where queues are made, and as whom.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.externalId) || has(self.roleArn)")
        .message("externalId has no meaning without roleArn")
        .field_path(".externalId"),
    validation = Rule::new("!has(self.endpoints) || !((has(self.useFips) && self.useFips) || (has(self.useDualStack) && self.useDualStack))")
        .message("endpoints cannot be combined with useFips or useDualStack: name the endpoint that you mean")
        .field_path(".endpoints"),
    validation = Rule::new("!has(self.roleArn) || self.roleArn.split(':')[4] == self.accountId")
        .message("roleArn must be a role of accountId: queues are made in the role's account")
        .field_path(".roleArn"),
)]
pub struct ClassAws {
    /// The region, for example eu-central-1. Immutable.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9-]+$"))]
    pub region: String,
    /// The account, twelve digits. The operator refuses to act in any other. Immutable.
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    pub account_id: String,
    /// The role to assume. Omitted: the operator's own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$"))]
    pub role_arn: Option<String>,
    /// What the role's trust policy asks of who assumes it (sts:ExternalId).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224), regex(pattern = r"^[A-Za-z0-9+=,.@:/_-]+$"))]
    pub external_id: Option<String>,
    /// Where to reach services of AWS, instead of the region's own endpoints. One a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<ClassEndpoints>,
    /// What workloads get as AWS_ENDPOINT_URL_SQS in their outputs, without keyPrefix. Omitted: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint")]
    pub workload_endpoint_url: Option<String>,
    /// Use FIPS endpoints. Omitted: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_fips: Option<bool>,
    /// Use dual-stack endpoints. Omitted: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_dual_stack: Option<bool>,
}

/// Endpoints by service: https, or http to a loopback address. An operator with --allow-insecure-endpoints takes http to
/// any address.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct ClassEndpoints {
    /// Amazon SQS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint")]
    pub sqs: Option<String>,
    /// AWS Security Token Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint")]
    pub sts: Option<String>,
    /// AWS Key Management Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint")]
    pub kms: Option<String>,
    /// AWS Identity and Access Management.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint")]
    pub iam: Option<String>,
    /// Amazon Elastic Kubernetes Service, in the region of iam.podIdentity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint")]
    pub eks: Option<String>,
}

/// How default names are made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.prefix) || !has(self.template) || self.template.contains('{prefix}')")
        .message("prefix has no meaning with a template that does not hold {prefix}")
        .field_path(".prefix"),
    validation = Rule::new("!has(self.template) || self.template.replace('{namespace}_{name}', '').replace('{prefix}', has(self.prefix) ? self.prefix : '').size() <= 40")
        .message("what stands before {namespace}_{name} may have 40 characters, so that room is left for names")
        .field_path(".template"),
)]
pub struct ClassNaming {
    /// What {prefix} stands for: at most 40 letters, digits or '-'. Omitted: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = r"^[A-Za-z0-9-]*$"))]
    pub prefix: Option<String>,
    /// The default name of a queue. It must hold {namespace}_{name}, so that no two Queues meet in one name, and may
    /// begin with letters, digits, '-' and {prefix}. Omitted: {prefix}{namespace}_{name}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80), regex(pattern = r"^([A-Za-z0-9-]|\{prefix\})*\{namespace\}_\{name\}$"))]
    pub template: Option<String>,
}

/// Which namespaces may use a class.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.from == 'Names') == has(self.names)")
        .message("names is needed with from: Names, and only then")
        .field_path(".names"),
    validation = Rule::new("(self.from == 'Selector') == has(self.selector)")
        .message("selector is needed with from: Selector, and only then")
        .field_path(".selector"),
)]
pub struct AllowedNamespaces {
    /// All, Names or Selector.
    pub from: NamespacesFrom,
    /// With Names: these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespaces")]
    pub names: Option<Vec<String>>,
    /// With Selector: those whose labels match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub selector: Option<LabelSelector>,
}

/// How namespaces are chosen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum NamespacesFrom {
    /// Every namespace.
    #[default]
    All,
    /// Those of a list.
    Names,
    /// Those whose labels match.
    Selector,
}

/// How queues are kept as declared.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClassDrift {
    /// Seconds between two looks at a queue at rest: 10-86400. Omitted: the operator's --resync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 86400))]
    pub interval_seconds: Option<i32>,
    /// Repair: changes from outside are undone. Report: they are told in the condition Drifted; changes of the spec are
    /// applied all the same. Omitted: Repair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DriftMode>,
}

/// What is made in IAM for the Queues of a class.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.oidcProviderArn) || !has(self.podIdentity)")
        .message("oidcProviderArn and podIdentity are two ways to the same: give one"),
    validation = Rule::new("has(self.permissionsBoundaryArn) || !(has(self.oidcProviderArn) || has(self.podIdentity))")
        .message("permissionsBoundaryArn is needed with oidcProviderArn and podIdentity: no role is made without a boundary")
        .field_path(".permissionsBoundaryArn"),
)]
pub struct ClassIam {
    /// The path of all that is made, so that the operator's own permissions can be held to it: at most 512 characters,
    /// beginning and ending with '/'. Omitted: /prism-queue/. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^/([A-Za-z0-9+=,.@_-]+/)*$"))]
    pub path: Option<String>,
    /// The permissions boundary of every role that is made for a ServiceAccount: a policy of the class's account, or one
    /// of AWS. Without it no role is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 2048),
        regex(pattern = r"^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy(/[A-Za-z0-9+=,.@_-]+)+$")
    )]
    pub permissions_boundary_arn: Option<String>,
    /// The cluster's OpenID Connect provider in the class's account: ServiceAccounts get their roles by IRSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:oidc-provider/[A-Za-z0-9._/-]+$"))]
    pub oidc_provider_arn: Option<String>,
    /// The cluster in EKS: ServiceAccounts get their roles by EKS Pod Identity. Once given it stays, with the same cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
}

/// The cluster as EKS knows it, in which the operator makes Pod Identity associations.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct PodIdentity {
    /// The cluster's name in EKS.
    #[schemars(length(min = 1, max = 100), regex(pattern = r"^[0-9A-Za-z][A-Za-z0-9_-]*$"))]
    pub cluster_name: String,
    /// The cluster's region.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9-]+$"))]
    pub region: String,
    /// The role to assume in the cluster's account. Omitted: the operator's own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$"))]
    pub role_arn: Option<String>,
    /// The permissions boundary of the roles that are made in the cluster's account; needed when that is not the class's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 2048),
        regex(pattern = r"^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy(/[A-Za-z0-9+=,.@_-]+)+$")
    )]
    pub permissions_boundary_arn: Option<String>,
}

/// What is done about changes from outside.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum DriftMode {
    /// They are undone.
    #[default]
    Repair,
    /// They are told.
    Report,
}

/// What the operator found.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct QueueClassStatus {
    /// The generation of the spec that this status speaks of; -1 before the operator saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reachable, Permitted, Satisfiable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The account that the credentials are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Who the operator is to AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_arn: Option<String>,
    /// How many Queues use the class; brought up to date at most every 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<i64>,
}
