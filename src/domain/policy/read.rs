//! The structure of a statement: which elements, and of which type. What their values may be is `grammar`'s.
//!
//! One reader for both ends: users' statements and those that SQS hands back.
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::principal::{KINDS, Principal};
use super::statement::{Conditions, Effect, Folded, Scope, Statement};
use crate::domain::field::FieldError;

const ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// What came of reading one statement.
pub(super) struct Reading {
    /// There when all that decides its meaning could be read, even if something beside it is wrong.
    pub(super) statement: Option<Statement>,
    /// All that is wrong.
    pub(super) errors: Vec<FieldError>,
}

/// Reads `raw`, which stands at the path `at`. A statement without Resource gets `default_resource`.
pub(super) fn read(raw: &Value, at: &str, default_resource: Option<&str>) -> Reading {
    let Value::Object(object) = raw else {
        let rule = "must be a statement, an object with Effect, Principal and Action, not JSON in a string or a list";
        return Reading { statement: None, errors: vec![FieldError::new(at, rule)] };
    };
    let mut reader = Reader { object, at, errors: Vec::new() };
    reader.unknown_elements();
    let sid = reader.sid();
    let effect = reader.effect();
    let principals = reader.principals();
    let actions = reader.actions();
    let resources = reader.resources(default_resource);
    let conditions = reader.conditions();
    let errors = reader.errors;
    let statement = match (effect, principals, actions, resources, conditions) {
        (Some(effect), Some(principals), Some(actions), Some(resources), Some(conditions)) => {
            Some(Statement { sid, effect, principals, actions, resources, conditions })
        }
        _ => None,
    };
    Reading { statement, errors }
}

struct Reader<'a> {
    object: &'a Map<String, Value>,
    at: &'a str,
    errors: Vec<FieldError>,
}

/// An element that is there, under its own name or its `Not…` form.
struct Found<'a> {
    value: &'a Value,
    negated: bool,
    path: String,
}

impl<'a> Reader<'a> {
    fn refuse(&mut self, path: impl Into<String>, rule: impl Into<String>) {
        self.errors.push(FieldError::new(path, rule));
    }

    fn unknown_elements(&mut self) {
        for name in self.object.keys().filter(|name| !ELEMENTS.contains(&name.as_str())) {
            let rule = match meant(name, &ELEMENTS) {
                Some(element) => format!("is no element of a statement; did you mean {element}?"),
                None if ["Version", "Id", "Statement"].contains(&name.as_str()) => {
                    "belongs to a whole policy; put only the entries of its Statement list here".to_owned()
                }
                None => format!("is no element of a statement; IAM knows {}", ELEMENTS.join(", ")),
            };
            self.refuse(format!("{}.{name}", self.at), rule);
        }
    }

    /// Whether an unknown element was probably meant to be `element`, so that saying it is missing would be noise.
    fn is_misspelled(&self, element: &str) -> bool {
        self.object.keys().any(|name| !ELEMENTS.contains(&name.as_str()) && meant(name, &[element]).is_some())
    }

    fn sid(&mut self) -> Option<String> {
        let Value::String(text) = self.object.get("Sid")? else {
            self.refuse(format!("{}.Sid", self.at), "must be a string");
            return None;
        };
        // An empty Sid is none: nothing can be found by it.
        (!text.is_empty()).then(|| text.clone())
    }

    fn effect(&mut self) -> Option<Effect> {
        let path = format!("{}.Effect", self.at);
        match self.object.get("Effect") {
            Some(Value::String(text)) if text == "Allow" => Some(Effect::Allow),
            Some(Value::String(text)) if text == "Deny" => Some(Effect::Deny),
            Some(_) => {
                self.refuse(path, "must be Allow or Deny, spelled so");
                None
            }
            None => {
                if !self.is_misspelled("Effect") {
                    self.refuse(path, "is missing; write Allow or Deny");
                }
                None
            }
        }
    }

    /// Finds `name` or `Not<name>`; both together are refused.
    fn either(&mut self, name: &str) -> Option<Found<'a>> {
        let not_name = format!("Not{name}");
        let found = |name: &str, negated, value| Found { value, negated, path: format!("{}.{name}", self.at) };
        match (self.object.get(name), self.object.get(&not_name)) {
            (Some(value), None) => Some(found(name, false, value)),
            (None, Some(value)) => Some(found(&not_name, true, value)),
            (None, None) => None,
            (Some(_), Some(_)) => {
                self.refuse(format!("{}.{not_name}", self.at), format!("cannot stand beside {name}; keep one of them"));
                None
            }
        }
    }

    /// Like [`Self::either`], and refuses a statement that has neither.
    fn required(&mut self, name: &str, hint: &str) -> Option<Found<'a>> {
        let is_there = [name.to_owned(), format!("Not{name}")].iter().any(|name| self.object.contains_key(name));
        let is_misspelled = self.is_misspelled(name) || self.is_misspelled(&format!("Not{name}"));
        if !is_there && !is_misspelled {
            self.refuse(format!("{}.{name}", self.at), format!("is missing; {hint}"));
        }
        self.either(name)
    }

    fn principals(&mut self) -> Option<Scope<Principal>> {
        let found = self.required("Principal", "say who this is about")?;
        let principals = match found.value {
            Value::String(text) if text == "*" => BTreeSet::from([Principal::Anyone]),
            Value::Object(kinds) if !kinds.is_empty() => self.principal_map(kinds, &found.path)?,
            _ => {
                let rule = format!("must be \"*\" or an object with one or more of {}", KINDS.join(", "));
                self.refuse(found.path, rule);
                return None;
            }
        };
        Some(scope(principals, found.negated))
    }

    fn principal_map(&mut self, kinds: &Map<String, Value>, path: &str) -> Option<BTreeSet<Principal>> {
        let mut principals = BTreeSet::new();
        let mut complete = true;
        for (kind, values) in kinds {
            let path = format!("{path}.{kind}");
            if !KINDS.contains(&kind.as_str()) {
                let rule = match meant(kind, &KINDS) {
                    Some(known) => format!("is no kind of principal; did you mean {known}?"),
                    None => format!("is no kind of principal; IAM knows {}", KINDS.join(", ")),
                };
                self.refuse(path, rule);
                complete = false;
                continue;
            }
            match self.strings(values, &path) {
                Some(values) => principals.extend(values.iter().filter_map(|value| Principal::read(kind, value))),
                None => complete = false,
            }
        }
        complete.then_some(principals)
    }

    fn actions(&mut self) -> Option<Scope<Folded>> {
        let found = self.required("Action", "say what this is about, for example sqs:SendMessage")?;
        let actions = self.strings(found.value, &found.path)?;
        // In the policy of a queue there are no actions but those of SQS.
        let in_sqs = |action: String| Folded::new(if action == "*" { "sqs:*".to_owned() } else { action });
        Some(scope(actions.into_iter().map(in_sqs).collect(), found.negated))
    }

    fn resources(&mut self, default: Option<&str>) -> Option<Scope<String>> {
        let is_absent = !self.object.contains_key("Resource") && !self.object.contains_key("NotResource");
        if is_absent {
            let Some(default) = default else {
                self.refuse(format!("{}.Resource", self.at), "is missing; name the queue's ARN");
                return None;
            };
            return Some(Scope::only([default.to_owned()]));
        }
        let found = self.either("Resource")?;
        Some(scope(self.strings(found.value, &found.path)?.into_iter().collect(), found.negated))
    }

    fn conditions(&mut self) -> Option<Conditions> {
        let path = format!("{}.Condition", self.at);
        let operators = match self.object.get("Condition") {
            None => return Some(Conditions::new()),
            Some(Value::Object(operators)) => operators,
            Some(_) => {
                self.refuse(path, "must be an object: operator, then key, then values");
                return None;
            }
        };
        let mut conditions = Conditions::new();
        let mut complete = true;
        for (operator, keys) in operators {
            match self.condition_keys(keys, operator, &format!("{path}.{operator}")) {
                Some(keys) => {
                    conditions.insert(operator.clone(), keys);
                }
                None => complete = false,
            }
        }
        complete.then_some(conditions)
    }

    fn condition_keys(
        &mut self,
        keys: &Value,
        operator: &str,
        path: &str,
    ) -> Option<BTreeMap<Folded, BTreeSet<String>>> {
        let Value::Object(object) = keys else {
            self.refuse(path, "must be an object: condition keys, each with its values");
            return None;
        };
        if object.is_empty() {
            self.refuse(path, "has no condition key; name one or drop the operator");
            return None;
        }
        let mut keys = BTreeMap::new();
        let mut complete = true;
        for (key, values) in object {
            let path = format!("{path}.{key}");
            let values = self.condition_values(values, operator, &path);
            complete &= values.is_some();
            if keys.insert(Folded::new(key.as_str()), values.unwrap_or_default()).is_some() {
                self.refuse(path, "is there twice in other letters; the case of condition keys does not count");
                complete = false;
            }
        }
        complete.then_some(keys)
    }

    /// Text, booleans and numbers: IAM takes the latter two with or without quotes.
    fn condition_values(&mut self, values: &Value, operator: &str, path: &str) -> Option<BTreeSet<String>> {
        let is_boolean = ["Bool", "Null"].iter().any(|base| operator.contains(base));
        self.list(values, path, "must be a string, a number, a boolean, or a list of them", |value| match value {
            Value::String(text) if is_boolean => Some(text.to_ascii_lowercase()),
            Value::String(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .map(|values| values.into_iter().collect())
    }

    fn strings(&mut self, values: &Value, path: &str) -> Option<Vec<String>> {
        let rule = "must be a string or a list of strings; put account ids in quotes";
        self.list(values, path, rule, |value| value.as_str().map(str::to_owned))
    }

    /// IAM's string-or-list.
    fn list(
        &mut self,
        values: &Value,
        path: &str,
        rule: &str,
        read: impl Fn(&Value) -> Option<String>,
    ) -> Option<Vec<String>> {
        let Value::Array(items) = values else {
            let value = read(values);
            if value.is_none() {
                self.refuse(path, rule);
            }
            return value.map(|value| vec![value]);
        };
        if items.is_empty() {
            self.refuse(path, "must not be an empty list");
            return None;
        }
        let mut read_items = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let item = read(item);
            if item.is_none() {
                self.refuse(format!("{path}[{index}]"), rule);
            }
            read_items.push(item);
        }
        read_items.into_iter().collect()
    }
}

fn scope<T: Ord>(values: BTreeSet<T>, negated: bool) -> Scope<T> {
    if negated { Scope::Except(values) } else { Scope::Only(values) }
}

/// The one of `known` that `name` was probably meant to be: right but for case or a plural.
fn meant<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let singular = name.strip_suffix(['s', 'S']).unwrap_or(name);
    known.iter().copied().find(|known| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(singular))
}
