//! A small judge of what a policy of an identity allows, written from IAM's evaluation logic and sharing no code with what it
//! judges. It knows what the operator's policies hold, and panics at everything else.

use std::collections::BTreeMap;

use serde_json::Value;

/// One thing that AWS asks the policies about. A call can be several: one that makes something with tags is also one that tags it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// For example `sqs:CreateQueue`.
    pub action: String,
    /// What it is about, an ARN or `*`.
    pub resource: String,
    /// By condition key. Several values: a multi-valued key.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Request {
    /// One without anything that conditions could ask for.
    pub fn new(action: &str, resource: impl Into<String>) -> Self {
        Self { action: action.to_owned(), resource: resource.into(), context: BTreeMap::new() }
    }

    /// With this value of a condition key.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: &str) -> Self {
        self.context.entry(key.into()).or_default().push(value.to_owned());
        self
    }

    /// Where the call itself has this tag.
    #[must_use]
    pub fn tagging(self, key: &str, value: &str) -> Self {
        self.with(format!("aws:RequestTag/{key}"), value)
    }

    /// About something that has this tag.
    #[must_use]
    pub fn tagged(self, key: &str, value: &str) -> Self {
        self.with(format!("aws:ResourceTag/{key}"), value)
    }
}

/// The Sids of the statements that allow a request; none: it is refused.
pub fn allowing<'a>(policy: &'a Value, request: &Request) -> Vec<&'a str> {
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().unwrap().iter();
    let allowing = statements.filter(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        let elements: Vec<&String> = statement.as_object().unwrap().keys().collect();
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
        assert!(elements.iter().all(|element| known.contains(&element.as_str())), "{elements:?}");
        texts(&statement["Action"]).any(|action| action.eq_ignore_ascii_case(&request.action))
            && texts(&statement["Resource"]).any(|resource| fits(resource, &request.resource))
            && statement.get("Condition").is_none_or(|condition| holds(condition, request))
    });
    allowing.map(|statement| statement["Sid"].as_str().unwrap()).collect()
}

/// Whether a request is allowed.
pub fn allows(policy: &Value, request: &Request) -> bool {
    !allowing(policy, request).is_empty()
}

/// The policy without one statement.
pub fn without(policy: &Value, sid: &str) -> Value {
    let mut less = policy.clone();
    let statements = less["Statement"].as_array_mut().unwrap();
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != sid);
    assert_eq!(statements.len() + 1, before, "{sid} is one of them");
    less
}

fn holds(condition: &Value, request: &Request) -> bool {
    condition.as_object().unwrap().iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, wanted)| {
            let known = request.context.iter().find(|(known, _)| known.eq_ignore_ascii_case(key));
            let found = known.map(|(_, values)| values.as_slice()).unwrap_or_default();
            let one = |holds: &dyn Fn(&str) -> bool| found.len() == 1 && holds(&found[0]);
            let is_wanted = |found: &str| texts(wanted).any(|wanted| wanted == found);
            match operator.as_str() {
                "StringEquals" => one(&is_wanted),
                "StringEqualsIfExists" => found.is_empty() || one(&is_wanted),
                "ForAnyValue:StringEquals" => found.iter().any(|found| is_wanted(found)),
                "ArnEquals" | "ArnLike" => one(&|found| texts(wanted).any(|wanted| fits_arn(wanted, found))),
                other => panic!("the judge does not know {other}"),
            }
        })
    })
}

/// Part by part, so that no wildcard reaches across a colon.
fn fits_arn(pattern: &str, arn: &str) -> bool {
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| fits(pattern, part))
}

fn fits(pattern: &str, text: &str) -> bool {
    assert!(!pattern.contains("${"), "the judge does not know {pattern}");
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), None) => fits(&pattern[1..], text),
        (Some('*'), Some(c)) => fits(&pattern[1..], text) || fits(pattern, &text[c.len_utf8()..]),
        (Some(p), Some(c)) => (p == '?' || p == c) && fits(&pattern[p.len_utf8()..], &text[c.len_utf8()..]),
        _ => false,
    }
}

/// A text, or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let all = if let Value::Array(items) = value { items.as_slice() } else { std::slice::from_ref(value) };
    all.iter().map(|item| item.as_str().unwrap_or_else(|| panic!("not IAM's grammar: {item}")))
}

#[test]
fn the_judge_knows_iam() {
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Plain", "Effect": "Allow", "Action": ["sqs:GetQueueUrl"], "Resource": ["arn:q-*_*", "other"]},
        {"Sid": "Owned", "Effect": "Allow", "Action": "sqs:DeleteQueue", "Resource": "*", "Condition": {
            "StringEquals": {"aws:ResourceTag/cluster": "a"}}},
        {"Sid": "New", "Effect": "Allow", "Action": "sqs:TagQueue", "Resource": "*", "Condition": {
            "StringEquals": {"aws:RequestTag/cluster": ["a", "b"]}, "StringEqualsIfExists": {"aws:ResourceTag/cluster": "a"}}},
        {"Sid": "Attach", "Effect": "Allow", "Action": "iam:AttachRolePolicy", "Resource": "*", "Condition": {
            "ArnLike": {"iam:PolicyARN": "arn:aws:iam::1:policy/p/*"}, "ArnEquals": {"iam:PermissionsBoundary": "arn:aws:iam::1:policy/b"}}},
        {"Sid": "Keys", "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*", "Condition": {
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/a"}}},
    ]});
    let may = |request: &Request| allows(&policy, request);
    assert!(fits("a?c*", "abc") && !fits("a?c", "ac") && !fits("a??", "ab"));
    assert_eq!(allowing(&policy, &Request::new("SQS:getqueueurl", "arn:q-a_b")), ["Plain"]);
    assert!(may(&Request::new("sqs:GetQueueUrl", "other")) && !may(&Request::new("sqs:GetQueueUrl", "others")));
    assert!(!may(&Request::new("sqs:GetQueueUrl", "arn:q-ab")) && !may(&Request::new("sqs:SendMessage", "arn:q-a_b")));
    let delete = Request::new("sqs:DeleteQueue", "q");
    assert!(may(&delete.clone().tagged("cluster", "a")));
    assert!(!may(&delete) && !may(&delete.clone().tagged("cluster", "b")) && !may(&delete.tagging("cluster", "a")));
    let tag = Request::new("sqs:TagQueue", "q").tagging("Cluster", "b");
    assert!(may(&tag) && may(&tag.clone().tagged("cluster", "a")) && !may(&tag.tagged("cluster", "b")));
    assert!(!may(&Request::new("sqs:TagQueue", "q").tagged("cluster", "a")), "the call itself does not tag");
    let attach = |policy: &str, boundary: &str| {
        let request = Request::new("iam:AttachRolePolicy", "r").with("iam:PolicyARN", policy);
        may(&request.with("iam:PermissionsBoundary", boundary))
    };
    assert!(attach("arn:aws:iam::1:policy/p/q/r", "arn:aws:iam::1:policy/b"));
    assert!(!attach("arn:aws:iam::1:policy/q", "arn:aws:iam::1:policy/b"));
    assert!(!attach("arn:aws:iam::1:policy/p/q", "arn:aws:iam::1:policy/bb"));
    let key = Request::new("kms:DescribeKey", "k").with("kms:ResourceAliases", "alias/b");
    assert!(!may(&key) && may(&key.with("kms:ResourceAliases", "alias/a")));
    assert_eq!(without(&policy, "Keys")["Statement"].as_array().unwrap().len(), 4);
}
