//! `spec.access` of a Queue: who may use it.
// The descriptions are what `kubectl explain` shows: plain text, no Markdown.
#![allow(clippy::doc_markdown, rustdoc::invalid_html_tags)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Who may use the queue: its queue policy.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Refuse every request over plain HTTP. Omitted: true.
    #[serde(default, rename = "requireTLS", skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<bool>,
    /// Who may send: sqs:SendMessage, GetQueueUrl and GetQueueAttributes, of which a service gets only the first. Nothing on
    /// the dead-letter queue. At most 50. Accounts other than the queue's own, and organizations, are for the class to allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub producers: Option<Vec<AccessEntry>>,
    /// Who may receive: sqs:ReceiveMessage, DeleteMessage, ChangeMessageVisibility, GetQueueUrl and GetQueueAttributes; on the
    /// managed dead-letter queue the same without DeleteMessage. At most 50. Accounts other than the queue's own, and
    /// organizations, are for the class to allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    #[x_kube(validation = Rule::new("self.all(entry, !has(entry.service))")
        .message("a service is a producer only: it reads as a role (Lambda's execution role, a pipe's role); name that as principalArn"))]
    pub consumers: Option<Vec<AccessEntry>>,
    /// Statements of the queue policy in IAM's own grammar (Effect, Principal, Action, Condition ...), as
    /// YAML, for what producers and consumers cannot say. Resource defaults to this queue. At most 20. Refused by default:
    /// public access, foreign accounts, NotPrincipal, NotAction, NotResource, anything but message actions, and a Deny that
    /// would lock the operator out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::statements")]
    pub statements: Option<Vec<serde_json::Value>>,
    /// Whose QueueAccess may point here besides this namespace's own. Omitted: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<GrantNamespaces>,
}

/// Which other namespaces may have a QueueAccess on a Queue.
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
pub struct GrantNamespaces {
    /// None, All, Names or Selector.
    pub from: GrantNamespacesFrom,
    /// With Names: these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespaces")]
    pub names: Option<Vec<String>>,
    /// With Selector: those whose labels match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub selector: Option<LabelSelector>,
}

/// How other namespaces are chosen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(transform = schema::undescribed)]
pub enum GrantNamespacesFrom {
    /// No other.
    #[default]
    None,
    /// Every namespace.
    All,
    /// Those of a list.
    Names,
    /// Those whose labels match.
    Selector,
}

/// Who is let in: exactly one of principalArn, accountId, service and organizationId; or vpcEndpointId alone, which stands for
/// any principal of the queue's own account that comes through it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "[has(self.principalArn), has(self.accountId), has(self.service), has(self.organizationId)].filter(who, who).size() <= 1"
    )
    .message("names several; an entry lets in exactly one of principalArn, accountId, service and organizationId"),
    validation = Rule::new(
        "has(self.principalArn) || has(self.accountId) || has(self.service) || has(self.organizationId) || has(self.vpcEndpointId)"
    )
    .message("names nobody; set principalArn, accountId, service, organizationId or vpcEndpointId"),
    validation = Rule::new("!has(self.service) || has(self.sourceArn) || has(self.sourceAccount)")
        .message("a service acts for whoever asks it to; say for whom, with sourceArn, sourceAccount or both")
        .field_path(".service"),
    validation = Rule::new("!has(self.service) || !has(self.vpcEndpointId)")
        .message("a service does not come through a VPC endpoint of yours")
        .field_path(".vpcEndpointId"),
    validation = Rule::new("!has(self.sourceArn) || has(self.service)")
        .message("sourceArn is only for a service")
        .field_path(".sourceArn"),
    validation = Rule::new("!has(self.sourceAccount) || has(self.service)")
        .message("sourceAccount is only for a service")
        .field_path(".sourceAccount"),
    validation = Rule::new("!has(self.sourceArn) || has(self.sourceAccount) || self.sourceArn.matches('^arn:[^:]*:[^:]*:[^:]*:[0-9]{12}:')")
        .message("sourceArn names no account, as the ARN of an S3 bucket does not; add sourceAccount")
        .field_path(".sourceArn"),
)]
pub struct AccessEntry {
    /// A role or user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 1024),
        regex(pattern = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:(role|user)(/[A-Za-z0-9+=,.@_-]+)+$")
    )]
    pub principal_arn: Option<String>,
    /// A whole account: twelve digits, in quotes. Its administrators say by IAM policies who of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12), regex(pattern = r"^[0-9]{12}$"))]
    pub account_id: Option<String>,
    /// An AWS service, for example sns.amazonaws.com; producers only. It needs sourceArn, sourceAccount or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"))]
    pub service: Option<String>,
    /// An AWS organization: every principal of its accounts. Only where the class lists it in limits.access.organizationIds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 34), regex(pattern = r"^o-[a-z0-9]{10,32}$"))]
    pub organization_id: Option<String>,
    /// A VPC endpoint, through which the request must come. Alone, it lets in any principal of the queue's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 22), regex(pattern = r"^vpce-[0-9a-f]{8}([0-9a-f]{9})?$"))]
    pub vpc_endpoint_id: Option<String>,
    /// What a service acts for: the ARN of a topic, bucket, rule and so on. The part after the account may have the wildcards *
    /// and ?. Where the ARN names no account, as that of an S3 bucket, sourceAccount is needed as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12})?:[!-~]+$"))]
    #[x_kube(validation = Rule::new("!self.contains('${')").message("sourceArn takes no policy variable"))]
    pub source_arn: Option<String>,
    /// The account that a service acts for: twelve digits, in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12), regex(pattern = r"^[0-9]{12}$"))]
    pub source_account: Option<String>,
}
