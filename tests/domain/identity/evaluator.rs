//! A small judge of who may assume a role by its trust policy, written from IAM's evaluation logic and sharing no code with
//! what it judges. It knows what such policies hold, and panics at everything else.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::fixtures::ACCOUNT;

/// Somebody who wants to be the role.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Of which kind the principal is, and which it is.
    principal: (&'static str, String),
    /// All that the one request asks for.
    actions: &'static [&'static str],
    context: BTreeMap<String, String>,
}

/// A token as a cluster issues it to a Pod, presented with `AssumeRoleWithWebIdentity`. STS finds the provider by the issuer
/// among those of the role's account, and checks the signature.
pub(super) struct Token<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) namespace: &'a str,
    pub(super) service_account: &'a str,
}

impl Token<'_> {
    pub(super) fn attempt(&self) -> Attempt {
        let Self { issuer, audience, namespace, service_account } = self;
        let subject = format!("system:serviceaccount:{namespace}:{service_account}");
        Attempt {
            principal: ("Federated", format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")),
            actions: &["sts:AssumeRoleWithWebIdentity"],
            context: BTreeMap::from([
                (format!("{issuer}:aud"), (*audience).to_owned()),
                (format!("{issuer}:sub"), subject),
            ]),
        }
    }
}

/// A service that assumes the role for a Pod, with session tags as EKS Pod Identity sets them.
pub(super) struct Service<'a> {
    pub(super) name: &'a str,
    pub(super) cluster_arn: &'a str,
    pub(super) namespace: &'a str,
    /// The `ServiceAccount`.
    pub(super) account: &'a str,
}

impl Service<'_> {
    pub(super) fn attempt(&self) -> Attempt {
        let Self { name, cluster_arn, namespace, account } = self;
        let tags = [
            ("eks-cluster-arn", cluster_arn),
            ("kubernetes-namespace", namespace),
            ("kubernetes-service-account", account),
            ("kubernetes-pod-name", &"resizer-5f7d"),
        ];
        let context = tags.map(|(key, value)| (format!("aws:RequestTag/{key}"), (*value).to_owned()));
        Attempt {
            principal: ("Service", (*name).to_owned()),
            actions: &["sts:AssumeRole", "sts:TagSession"],
            context: context.into(),
        }
    }
}

/// A role of the account that assumes it.
pub(super) fn by_role(arn: &str) -> Attempt {
    Attempt {
        principal: ("AWS", arn.to_owned()),
        actions: &["sts:AssumeRole", "sts:TagSession"],
        context: BTreeMap::new(),
    }
}

/// Whether the trust policy lets it in: each action of the request needs a statement that allows it.
pub(super) fn lets_in(trust: &str, attempt: &Attempt) -> bool {
    let trust: Value = serde_json::from_str(trust).unwrap();
    assert_eq!(strings(&trust["Version"]), ["2012-10-17"]);
    let statements = trust["Statement"].as_array().unwrap();
    attempt.actions.iter().all(|action| {
        statements.iter().any(|statement| {
            let elements: Vec<&String> = statement.as_object().unwrap().keys().collect();
            let known = ["Action", "Condition", "Effect", "Principal"];
            assert!(elements.iter().all(|element| known.contains(&element.as_str())), "{elements:?}");
            assert_eq!(statement["Effect"], "Allow");
            let (kind, who) = &attempt.principal;
            strings(&statement["Action"]).iter().any(|allowed| allowed == action)
                && statement["Principal"].get(kind).is_some_and(|principal| strings(principal).contains(who))
                && statement.get("Condition").is_none_or(|condition| holds(condition, &attempt.context))
        })
    })
}

/// A key that the request does not have makes `StringEquals` false.
fn holds(condition: &Value, context: &BTreeMap<String, String>) -> bool {
    condition.as_object().unwrap().iter().all(|(operator, keys)| {
        assert_eq!(operator, "StringEquals");
        let keys = keys.as_object().unwrap();
        keys.iter().all(|(key, wanted)| context.get(key).is_some_and(|found| strings(wanted).contains(found)))
    })
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        Value::String(text) => vec![text.clone()],
        other => panic!("not IAM's grammar: {other}"),
    }
}

#[test]
fn the_judge_knows_iam() {
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ["a", "b"]}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": "a"}, "Action": ["sts:TagSession"]},
        {"Effect": "Allow", "Principal": {"Service": "s"}, "Action": ["sts:AssumeRole", "sts:TagSession"],
         "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": ["web", "shop"]}}},
    ]});
    let judge = |attempt: &Attempt| lets_in(&trust.to_string(), attempt);
    assert!(judge(&by_role("a")));
    assert!(!judge(&by_role("b")), "it may not tag the session");
    assert!(!judge(&by_role("c")));
    let service = |name, namespace| Service { name, cluster_arn: "c", namespace, account: "x" }.attempt();
    assert!(judge(&service("s", "web")) && judge(&service("s", "shop")));
    assert!(!judge(&service("s", "media")) && !judge(&service("t", "web")));
}
