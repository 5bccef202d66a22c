//! Who may assume a role: its trust policy.

use serde_json::{Map, Value, json};

use super::super::digest::sha256;

/// The audience of the tokens that IRSA puts into Pods.
/// Source: Amazon EKS User Guide, "Assign IAM roles to Kubernetes service accounts".
const AUDIENCE: &str = "sts.amazonaws.com";

/// What EKS Pod Identity assumes roles as. Source: Amazon EKS User Guide, "Create IAM role with trust policy required by EKS
/// Pod Identity".
const POD_IDENTITY: &str = "pods.eks.amazonaws.com";

/// A trust policy, in canonical form: `==` compares by meaning, as far as lists and single values are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust(Value);

/// A `ServiceAccount` of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub service_account: &'a str,
}

impl Trust {
    /// Trusts tokens of exactly this `ServiceAccount`, issued for AWS by the cluster with this identity provider
    /// (`arn:<partition>:iam::<account>:oidc-provider/<issuer>`).
    #[must_use]
    pub fn in_tokens(provider_arn: &str, workload: &Workload<'_>) -> Self {
        let issuer = provider_arn.split_once('/').map_or("", |(_, issuer)| issuer);
        let Workload { namespace, service_account } = workload;
        let is = json!({
            (format!("{issuer}:aud")): AUDIENCE,
            (format!("{issuer}:sub")): format!("system:serviceaccount:{namespace}:{service_account}"),
        });
        Self::allowing(&json!({"Federated": provider_arn}), &json!(["sts:AssumeRoleWithWebIdentity"]), Some(&is))
    }

    /// Trusts EKS Pod Identity, for exactly this `ServiceAccount` of the cluster with this ARN.
    /// Source of the tags: Amazon EKS User Guide, "Grant Pods access to AWS resources based on tags".
    #[must_use]
    pub fn in_pod_identity(cluster_arn: &str, workload: &Workload<'_>) -> Self {
        let Workload { namespace, service_account } = workload;
        let is = json!({
            "aws:RequestTag/eks-cluster-arn": cluster_arn,
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": service_account,
        });
        Self::allowing(&json!({"Service": POD_IDENTITY}), &json!(["sts:AssumeRole", "sts:TagSession"]), Some(&is))
    }

    /// Trusts one role, which nobody but one `ServiceAccount` can assume.
    #[must_use]
    pub fn in_role(role_arn: &str) -> Self {
        Self::allowing(&json!({"AWS": role_arn}), &json!(["sts:AssumeRole", "sts:TagSession"]), None)
    }

    fn allowing(principal: &Value, actions: &Value, equal: Option<&Value>) -> Self {
        let mut statement = json!({"Effect": "Allow", "Principal": principal, "Action": actions});
        if let Some(equal) = equal {
            statement["Condition"] = json!({"StringEquals": equal});
        }
        Self(canonical(&json!({"Version": "2012-10-17", "Statement": [statement]})))
    }

    /// Reads a trust policy as IAM gives it back; what is no JSON is equal to none.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).map_or_else(|_| Self(Value::Null), |policy| Self(canonical(&policy)))
    }

    /// As compact JSON, the same text for the same policy.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.0.to_string()
    }

    /// What stands for its meaning.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.to_json())
    }
}

/// IAM takes a list of one for the value itself, in any order: here all that can be a list is a sorted one.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let wrapped = object.iter().map(|(key, value)| {
                let value = canonical(value);
                let is_list = matches!(value, Value::Array(_)) || TAKES_ONE.contains(&key.as_str());
                let is_nested = matches!(value, Value::Object(_)) && key != "Statement";
                (key.clone(), if is_list || is_nested { value } else { json!([value]) })
            });
            Value::Object(wrapped.collect::<Map<_, _>>())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(canonical).collect();
            list.sort_by_key(ToString::to_string);
            list.dedup();
            Value::Array(list)
        }
        other => other.clone(),
    }
}

/// Elements that take one value.
const TAKES_ONE: [&str; 4] = ["Version", "Effect", "Id", "Sid"];
