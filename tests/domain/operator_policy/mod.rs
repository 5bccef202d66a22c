//! The operator's own permissions: enough for all that it does, nothing that could be left out, and nothing for anybody else's.

mod dry_check;
mod fences;
mod life;
mod refusals;
mod shapes;

use serde_json::{Value, json};

use prism_queue::domain::operator_policy::{Duties, Identity, Installation, OperatorPolicy, operator_policy};

use crate::class::object;
use crate::fixtures::*;

const CLUSTER: &str = "prod-1";
const OPERATOR: &str = "arn:aws:iam::123456789012:role/prism-queue";
const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/boundary";
const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE";

fn installation() -> Installation {
    Installation {
        cluster_name: CLUSTER.to_owned(),
        arn: Some(OPERATOR.to_owned()),
        account_id: Some(ACCOUNT.to_owned()),
    }
}

fn duties(spec: &Value) -> Duties {
    Duties::of_class(&object("prod", spec), &installation()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn value(policy: &OperatorPolicy) -> Value {
    serde_json::to_value(policy).unwrap()
}

/// What `identity` needs for a class.
fn policy_for(identity: &Identity, spec: &Value) -> Value {
    value(&operator_policy(identity, &[duties(spec)], &installation()))
}

/// What the operator itself needs for a class without a role.
fn policy(spec: &Value) -> Value {
    policy_for(&Identity::Operator, spec)
}

fn sids(policy: &Value) -> Vec<&str> {
    policy["Statement"].as_array().unwrap().iter().map(|statement| statement["Sid"].as_str().unwrap()).collect()
}

/// A class whose Queues may ask for whatever the operator can do.
fn everything() -> Value {
    json!({
        "naming": {"prefix": "acme-"},
        "limits": {
            "adoptionPolicies": ["Never", "Adopt"],
            "queueNamePattern": "legacy-{namespace}-.*",
            "iam": {"roleArnPatterns": ["arn:aws:iam::123456789012:role/teams/*"]},
        },
        "iam": {
            "permissionsBoundaryArn": BOUNDARY,
            "podIdentity": {"clusterName": "eks-1", "region": "eu-central-1"},
        },
    })
}
