//! `QueueAccess`: gives one identity named permissions on one Queue, and a Secret in its own namespace.
// The descriptions are what `kubectl explain` shows: plain text, no Markdown.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::iam::Permission;
use super::queue::Output;
use super::schema;

/// Who may do what with which Queue.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "queue.prism.io",
    version = "v1alpha1",
    kind = "QueueAccess",
    plural = "queueaccesses",
    shortname = "pqa",
    category = "prism",
    namespaced,
    status = "QueueAccessStatus",
    derive = "PartialEq",
    doc = "A QueueAccess gives one identity named permissions on one Queue, of this namespace or of another that allows it, and a Secret with the queue's URL in its own namespace. What it gives ends with it.",
    printcolumn(name = "Queue", type_ = "string", json_path = ".spec.queueRef.name"),
    printcolumn(name = "ServiceAccount", type_ = "string", json_path = ".spec.subject.serviceAccount.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Namespace of Queue", type_ = "string", json_path = ".spec.queueRef.namespace", priority = 1),
    printcolumn(name = "Principal", type_ = "string", json_path = ".spec.subject.principalArn", priority = 1),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.target.roleArn", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name: must be a DNS label: at most 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.queueRef == oldSelf.queueRef")
        .message("queueRef is immutable, also from unset to set and back: make another QueueAccess")
        .field_path(".queueRef"),
    validation = Rule::new("self.subject == oldSelf.subject")
        .message("subject is immutable, also from unset to set and back: make another QueueAccess")
        .field_path(".subject"),
)]
pub struct QueueAccessSpec {
    /// The Queue. Immutable.
    pub queue_ref: AccessedQueue,

    /// What the subject may do. Send, Consume: on the queue. Inspect: read its dead-letter queue. Redrive: move the messages
    /// of the dead-letter queue back. Inspect and Redrive are for Queues with a managed dead-letter queue.
    #[schemars(schema_with = "schema::granted_permissions")]
    pub permissions: Vec<Permission>,

    /// Who gets it. Immutable.
    pub subject: AccessSubject,

    /// A Secret in this namespace with QUEUE_URL, QUEUE_ARN and so on, as the Queue's own. Omitted: on, `<name>-access`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Output>,
}

/// A Queue, of this namespace or of another.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AccessedQueue {
    /// The Queue's metadata.name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its namespace. Omitted: this one. Of another, the Queue must allow this namespace, in its
    /// spec.access.allowedNamespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
}

/// Who gets it: exactly one of these.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.serviceAccount), has(self.roleArn), has(self.principalArn)].filter(given, given).size() == 1")
        .message("subject: exactly one of serviceAccount, roleArn, principalArn"),
)]
pub struct AccessSubject {
    /// A ServiceAccount of this namespace. It gets a role in AWS of its own, shared by all QueueAccesses for it, as the
    /// Queue's class says in iam: by IRSA or by EKS Pod Identity. Pods that run already need a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<SubjectServiceAccount>,
    /// A role that is there: the permissions are attached to it as managed policies. Of the account of the Queue's class,
    /// and only what that allows in limits.iam.roleArnPatterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role(/[A-Za-z0-9+=,.@_-]+)+$"))]
    pub role_arn: Option<String>,
    /// A role or user in AWS, which the queue policy lets in. Of the accounts that the Queue's class allows: its own, and
    /// those of limits.access.principalAccounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 1024),
        regex(pattern = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:(role|user)(/[A-Za-z0-9+=,.@_-]+)+$")
    )]
    pub principal_arn: Option<String>,
}

/// A ServiceAccount of the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectServiceAccount {
    /// Its metadata.name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
}

/// What the operator found and did.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct QueueAccessStatus {
    /// The generation of the spec that this status speaks of; -1 before the operator saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The queue that the subject was let in to last, and what is in IAM for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<AccessTarget>,
    /// The Secret that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretReference>,
}

/// A queue in AWS, and what was made for the subject.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AccessTarget {
    /// Twelve digits.
    pub account_id: String,
    /// For example eu-central-1.
    pub region: String,
    /// The queue's ARN.
    pub queue_arn: String,
    /// The UID of the Queue that gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_uid: Option<String>,
    /// What it gives: while nobody can say whether more is allowed, it gives no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub permissions: Vec<Permission>,
    /// The class under which the role or the policies were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_class_name: Option<String>,
    /// The subject's role, on record before anything is written to AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// With EKS Pod Identity, where the cluster is in another account: the role there that assumes the subject's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_role_arn: Option<String>,
    /// Roles that the policies are not attached to any more, until they are detached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub former_role_arns: Vec<String>,
    /// The managed policies of all the subject's QueueAccesses, on record before they are made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub policy_arns: Vec<String>,
    /// Under a class that only reports drift: what stands for all that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_digest: Option<String>,
}

/// A Secret of this namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretReference {
    /// Its name.
    pub name: String,
}
