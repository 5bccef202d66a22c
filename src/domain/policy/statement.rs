//! One statement of a queue policy, in canonical form.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::principal::Principal;

/// The beginning of the Sids that the operator keeps for its own statements.
pub(super) const RESERVED_SID_PREFIX: &str = "PrismQueue";

/// The Sid of [`require_tls`].
pub const REQUIRE_TLS_SID: &str = "PrismQueueRequireTLS";

/// The Sid of [`fence`].
pub const FENCE_SID: &str = "PrismQueueFence";

/// One statement: what it allows or denies, to whom, on which queue, and when.
///
/// Canonical: a string and a list of that one string are the same, lists are sorted sets, an account id and its root
/// ARN are the same, `"*"` and `{"AWS": "*"}` are the same, and case counts only where IAM says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    pub(super) principals: Scope<Principal>,
    pub(super) actions: Scope<Folded>,
    pub(super) resources: Scope<String>,
    pub(super) conditions: Conditions,
}

/// Operator, then key, then the values of which one must match.
pub(super) type Conditions = BTreeMap<String, BTreeMap<Folded, BTreeSet<String>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    Allow,
    Deny,
}

impl Effect {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// An element and its `Not…` form: these, or all but these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope<T> {
    Only(BTreeSet<T>),
    Except(BTreeSet<T>),
}

impl<T: Ord> Scope<T> {
    pub(super) fn only(values: impl IntoIterator<Item = T>) -> Self {
        Self::Only(values.into_iter().collect())
    }

    pub(super) fn values(&self) -> &BTreeSet<T> {
        match self {
            Self::Only(values) | Self::Except(values) => values,
        }
    }

    pub(super) fn values_mut(&mut self) -> &mut BTreeSet<T> {
        match self {
            Self::Only(values) | Self::Except(values) => values,
        }
    }

    /// The element's name in a policy: `name`, or its `Not…` form.
    pub(super) fn element(&self, name: &str) -> String {
        match self {
            Self::Only(_) => name.to_owned(),
            Self::Except(_) => format!("Not{name}"),
        }
    }
}

/// Text that IAM compares without regard to case (action names, condition keys), spelled as it was written.
/// Source: IAM User Guide, "IAM JSON policy elements: Action" and "… Condition".
#[derive(Clone, Debug)]
pub(super) struct Folded(String);

impl Folded {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }
}

impl PartialEq for Folded {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Folded {}

impl PartialOrd for Folded {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Folded {
    fn cmp(&self, other: &Self) -> Ordering {
        let lower = |text: &Self| text.0.to_ascii_lowercase();
        lower(self).cmp(&lower(other))
    }
}

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Statement {
    /// The statement's id, when it has one.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// The statement as a policy holds it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        if let Some(sid) = &self.sid {
            object.insert("Sid".to_owned(), Value::from(sid.as_str()));
        }
        object.insert("Effect".to_owned(), Value::from(self.effect.as_str()));
        object.insert(self.principals.element("Principal"), Principal::to_value(self.principals.values()));
        object.insert(self.actions.element("Action"), string_or_list(self.actions.values().iter().map(Folded::as_str)));
        object.insert(
            self.resources.element("Resource"),
            string_or_list(self.resources.values().iter().map(String::as_str)),
        );
        if !self.conditions.is_empty() {
            object.insert("Condition".to_owned(), conditions_to_value(&self.conditions));
        }
        Value::Object(object)
    }
}

/// Denies every call that does not come over TLS, to everyone, on the queue with this ARN.
#[must_use]
pub fn require_tls(queue_arn: &str) -> Statement {
    let insecure = BTreeMap::from([(Folded::new("aws:SecureTransport"), BTreeSet::from(["false".to_owned()]))]);
    Statement {
        sid: Some(REQUIRE_TLS_SID.to_owned()),
        effect: Effect::Deny,
        principals: Scope::only([Principal::Anyone]),
        actions: Scope::only([Folded::new("sqs:*")]),
        resources: Scope::only([queue_arn.to_owned()]),
        conditions: BTreeMap::from([("Bool".to_owned(), insecure)]),
    }
}

/// Denies sending to everyone, on the queue with this ARN: set before a queue is deleted, so that it can run empty.
#[must_use]
pub fn fence(queue_arn: &str) -> Statement {
    Statement {
        sid: Some(FENCE_SID.to_owned()),
        effect: Effect::Deny,
        principals: Scope::only([Principal::Anyone]),
        actions: Scope::only([Folded::new("sqs:SendMessage")]),
        resources: Scope::only([queue_arn.to_owned()]),
        conditions: Conditions::new(),
    }
}

/// One value as itself, more as a list: the shorter form, and the one that SQS hands back.
pub(super) fn string_or_list<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    let mut values: Vec<Value> = values.map(Value::from).collect();
    match values.len() {
        1 => values.remove(0),
        _ => Value::Array(values),
    }
}

fn conditions_to_value(conditions: &Conditions) -> Value {
    let object = conditions.iter().map(|(operator, keys)| {
        let keys = keys
            .iter()
            .map(|(key, values)| (key.as_str().to_owned(), string_or_list(values.iter().map(String::as_str))));
        (operator.clone(), Value::Object(keys.collect()))
    });
    Value::Object(object.collect())
}
