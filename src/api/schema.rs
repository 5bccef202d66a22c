//! Schemas that the derive cannot say. Lists and maps are bounded, so that the API server can tell what a rule costs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::class::SubjectKind;
use super::iam::{Permission, PolicyStatus};
use super::status::GrantStatus;

/// A DNS label (RFC 1123).
const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// A label key of Kubernetes: a name, with or without a DNS name before it.
const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// A label value of Kubernetes.
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

pub(super) fn tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 40,
        "additionalProperties": {"type": "string", "maxLength": 256},
    })
}

/// Tag keys to label keys.
pub(super) fn label_tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 316, "pattern": LABEL_KEY},
    })
}

pub(super) fn tag_keys(_: &mut SchemaGenerator) -> Schema {
    list(40, &json_schema!({"type": "string", "minLength": 1, "maxLength": 128}))
}

pub(super) fn statements(_: &mut SchemaGenerator) -> Schema {
    list(20, &any_object())
}

/// One statement of a policy.
pub(super) fn statement(_: &mut SchemaGenerator) -> Schema {
    any_object()
}

fn any_object() -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// The URL of a service. Whether plain HTTP is accepted depends on the operator's flags.
pub(super) fn endpoint(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 512, "pattern": "^https?://[^/?#@ ]+/?$"})
}

pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    list(256, &json_schema!({"type": "string", "maxLength": 63, "pattern": LABEL}))
}

/// A label selector of Kubernetes, which the API server does not check by itself in a custom resource.
pub(super) fn selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "type": "object",
                "description": "Labels that must be there with these values.",
                "maxProperties": 20,
                "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
            },
            "matchExpressions": {
                "type": "array",
                "description": "Requirements that must all hold.",
                "maxItems": 20,
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "type": "string",
                            "description": "The label's key.",
                            "minLength": 1,
                            "maxLength": 316,
                            "pattern": LABEL_KEY,
                        },
                        "operator": {
                            "type": "string",
                            "description": "How the label is compared with values. NotIn and DoesNotExist hold where the label is missing.",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "type": "array",
                            "description": "With In and NotIn.",
                            "maxItems": 64,
                            "items": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
                        "message": "values are needed with the operators In and NotIn, and only then",
                        "fieldPath": ".values",
                    }],
                },
            },
        },
    })
}

pub(super) fn queue_arns(_: &mut SchemaGenerator) -> Schema {
    let pattern = r"^arn:[a-z0-9-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?$";
    list(100, &json_schema!({"type": "string", "maxLength": 160, "pattern": pattern}))
}

/// KMS keys as a Queue may write them.
pub(super) fn keys(_: &mut SchemaGenerator) -> Schema {
    list(100, &json_schema!({"type": "string", "minLength": 1, "maxLength": 2048}))
}

pub(super) fn accounts(_: &mut SchemaGenerator) -> Schema {
    list(100, &json_schema!({"type": "string", "maxLength": 12, "pattern": "^[0-9]{12}$"}))
}

pub(super) fn organizations(_: &mut SchemaGenerator) -> Schema {
    list(100, &json_schema!({"type": "string", "maxLength": 34, "pattern": "^o-[a-z0-9]{10,32}$"}))
}

pub(super) fn services(_: &mut SchemaGenerator) -> Schema {
    list(100, &json_schema!({"type": "string", "maxLength": 128, "pattern": r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"}))
}

/// Conditions merge by type.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let items = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// A set of permissions.
pub(super) fn permissions(_: &mut SchemaGenerator) -> Schema {
    set(&Permission::ALL.map(Permission::as_str))
}

/// A set of kinds of subjects.
pub(super) fn subject_kinds(_: &mut SchemaGenerator) -> Schema {
    set(&SubjectKind::ALL.map(SubjectKind::as_str))
}

/// ARNs of roles, with '*' for any characters; the account is written out.
pub(super) fn role_patterns(_: &mut SchemaGenerator) -> Schema {
    let pattern = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/*-]+$";
    list(100, &json_schema!({"type": "string", "maxLength": 1024, "pattern": pattern}))
}

/// A set of permissions, not empty.
pub(super) fn granted_permissions(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = permissions(generator);
    schema.insert("minItems".to_owned(), 1.into());
    schema
}

/// One grant a `QueueAccess`.
pub(super) fn grants(generator: &mut SchemaGenerator) -> Schema {
    let items = generator.subschema_for::<GrantStatus>();
    json_schema!({
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["namespace", "name"],
    })
}

/// One policy a permission.
pub(super) fn policies(generator: &mut SchemaGenerator) -> Schema {
    let items = generator.subschema_for::<PolicyStatus>();
    json_schema!({
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["permission"],
    })
}

/// An enumeration's own description would stand in the place of the field's.
pub(super) fn undescribed(schema: &mut Schema) {
    schema.remove("description");
}

/// A boolean without the default that serde's would put into the CRD.
pub(super) fn plain_bool(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "boolean"})
}

/// A set of `words`.
fn set(words: &[&str]) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": words.len(),
        "items": {"type": "string", "enum": words},
        "x-kubernetes-list-type": "set",
    })
}

/// At most `most` of `items`.
fn list(most: u32, items: &Schema) -> Schema {
    json_schema!({"type": "array", "maxItems": most, "items": items})
}
