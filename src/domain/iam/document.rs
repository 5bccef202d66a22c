//! What a managed policy says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::digest::sha256;

/// The most characters of a managed policy, white space not counted. Source: "IAM and AWS STS quotas".
pub const MAX_CHARACTERS: usize = 6_144;

/// A policy that only allows, in canonical form: `==` compares by meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityPolicy {
    statements: BTreeSet<Allow>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Allow {
    pub(super) resources: BTreeSet<String>,
    pub(super) actions: BTreeSet<String>,
    /// Operator, then key, then the values of which one must match.
    pub(super) conditions: Conditions,
}

pub(super) type Conditions = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

impl IdentityPolicy {
    pub(super) fn of(statements: impl IntoIterator<Item = Allow>) -> Self {
        Self { statements: statements.into_iter().collect() }
    }

    /// A policy that allows `actions` on `resource` and nothing else.
    #[must_use]
    pub fn allowing(actions: &[&str], resource: &str) -> Self {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Self::of([Allow { resources: BTreeSet::from([resource.to_owned()]), actions, conditions: Conditions::new() }])
    }

    /// A policy that allows what each of `policies` does.
    #[must_use]
    pub fn union(policies: impl IntoIterator<Item = Self>) -> Self {
        Self { statements: policies.into_iter().flat_map(|policy| policy.statements).collect() }
    }

    /// Reads a policy as IAM gives it back. `None` when it says anything that the operator never says: it is another one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Value::Object(mut elements) = serde_json::from_str(text).ok()? else {
            return None;
        };
        let is_current = elements.remove("Version")? == VERSION;
        let statements = match elements.remove("Statement")? {
            Value::Array(statements) => statements,
            statement => vec![statement],
        };
        let statements: Option<BTreeSet<Allow>> = statements.into_iter().map(Allow::parse).collect();
        (is_current && elements.is_empty()).then_some(Self { statements: statements? })
    }

    /// The policy as compact JSON, the same text for the same policy.
    #[must_use]
    pub fn to_json(&self) -> String {
        let statements: Vec<Value> = self.statements.iter().map(Allow::to_value).collect();
        json!({"Version": VERSION, "Statement": statements}).to_string()
    }

    /// How many characters of [`MAX_CHARACTERS`] it takes.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.to_json().chars().filter(|c| !c.is_whitespace()).count()
    }

    /// What stands for its meaning in status.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.to_json())
    }
}

/// What stands for the meaning of the policy `text`: of one that the operator could have written, its digest.
#[must_use]
pub fn digest_of(text: &str) -> String {
    IdentityPolicy::parse(text).map_or_else(|| sha256(text), |policy| policy.digest())
}

const VERSION: &str = "2012-10-17";

impl Allow {
    fn parse(statement: Value) -> Option<Self> {
        let Value::Object(mut elements) = statement else {
            return None;
        };
        let is_allow = elements.remove("Effect")? == "Allow";
        let actions = strings(elements.remove("Action")?)?;
        let resources = strings(elements.remove("Resource")?)?;
        let conditions = elements.remove("Condition").map_or(Some(Conditions::new()), parse_conditions)?;
        (is_allow && elements.is_empty()).then_some(Self { resources, actions, conditions })
    }

    fn to_value(&self) -> Value {
        let mut elements = Map::new();
        elements.insert("Effect".to_owned(), json!("Allow"));
        elements.insert("Action".to_owned(), json!(self.actions));
        elements.insert("Resource".to_owned(), json!(self.resources));
        if !self.conditions.is_empty() {
            elements.insert("Condition".to_owned(), json!(self.conditions));
        }
        Value::Object(elements)
    }
}

fn parse_conditions(value: Value) -> Option<Conditions> {
    let Value::Object(operators) = value else {
        return None;
    };
    let operators = operators.into_iter().map(|(operator, keys)| {
        let Value::Object(keys) = keys else { return None };
        let keys: Option<_> = keys.into_iter().map(|(key, values)| Some((key, strings(values)?))).collect();
        Some((operator, keys?))
    });
    operators.collect()
}

/// A string, or a list of them.
fn strings(value: Value) -> Option<BTreeSet<String>> {
    let values = match value {
        Value::Array(values) => values,
        one => vec![one],
    };
    values.into_iter().map(|value| if let Value::String(text) = value { Some(text) } else { None }).collect()
}
