//! The operator's policy as a document of IAM, statement by statement.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::iam::MAX_CHARACTERS;

/// A policy of an identity. It only allows. Its statements stand in the order in which they are to be read, and each says by
/// its Sid what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OperatorPolicy {
    version: &'static str,
    statement: Vec<Statement>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    sid: String,
    effect: &'static str,
    action: OneOrMore,
    resource: OneOrMore,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<Operator, BTreeMap<String, OneOrMore>>,
}

/// How a condition compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Operator {
    StringEquals,
    /// It holds for a request without the key, too.
    StringEqualsIfExists,
    ArnEquals,
    ArnLike,
    #[serde(rename = "ForAnyValue:StringEquals")]
    AnyStringEquals,
}

/// IAM takes a single text for a list of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn of(texts: impl IntoIterator<Item = String>) -> Self {
        let mut texts: Vec<String> = texts.into_iter().collect();
        match texts.len() {
            1 => Self::One(texts.remove(0)),
            _ => Self::More(texts),
        }
    }

    fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::More(texts) => texts,
        }
    }
}

impl Statement {
    /// Allows `actions` on `resources`.
    pub(super) fn allow(sid: &str, actions: &[&str], resources: impl IntoIterator<Item = String>) -> Self {
        Self {
            sid: sid.to_owned(),
            effect: "Allow",
            action: OneOrMore::of(actions.iter().map(|action| (*action).to_owned())),
            resource: OneOrMore::of(resources),
            condition: BTreeMap::new(),
        }
    }

    /// Only where `key` has one of `values`.
    #[must_use]
    pub(super) fn when<'a>(mut self, operator: Operator, key: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        let values = OneOrMore::of(values.into_iter().map(str::to_owned));
        self.condition.entry(operator).or_default().insert(key.to_owned(), values);
        self
    }

    /// What it is for.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// What it allows, for example `sqs:CreateQueue`.
    #[must_use]
    pub fn actions(&self) -> &[String] {
        self.action.texts()
    }

    /// The same of other resources.
    fn on(&self, resources: impl IntoIterator<Item = String>) -> Self {
        Self { resource: OneOrMore::of(resources), ..self.clone() }
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.sid == other.sid && self.action == other.action && self.condition == other.condition
    }
}

impl OperatorPolicy {
    /// The policy of `statements`. Those that differ in their resources alone become one; of those that have a Sid in common
    /// the later ones are numbered.
    pub(super) fn of(statements: impl IntoIterator<Item = Statement>) -> Self {
        let mut merged: Vec<Statement> = Vec::new();
        for statement in statements {
            match merged.iter_mut().find(|known| known.is_alike(&statement)) {
                Some(known) => {
                    let all = known.resource.texts().iter().chain(statement.resource.texts()).cloned();
                    known.resource = OneOrMore::of(minimal(all));
                }
                None => merged.push(statement.on(minimal(statement.resource.texts().iter().cloned()))),
            }
        }
        Self::numbered(merged)
    }

    fn numbered(mut statements: Vec<Statement>) -> Self {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for statement in &mut statements {
            let count = seen.entry(statement.sid.clone()).or_default();
            *count += 1;
            if *count > 1 {
                statement.sid = format!("{}{count}", statement.sid);
            }
        }
        Self { version: "2012-10-17", statement: statements }
    }

    /// Its statements.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statement
    }

    /// How many characters it has of those that IAM counts: white space is not.
    #[must_use]
    pub fn characters(&self) -> usize {
        let text = serde_json::to_string(self).unwrap_or_default();
        text.chars().filter(|c| !c.is_whitespace()).count()
    }

    /// The same in as many managed policies as it needs: [`MAX_CHARACTERS`] fit in one.
    #[must_use]
    pub fn managed_policies(&self) -> Vec<Self> {
        let alone = |statement: &Statement| Self { version: self.version, statement: vec![statement.clone()] };
        let mut parts: Vec<Self> = Vec::new();
        let mut waiting: Vec<Statement> = self.statement.iter().rev().cloned().collect();
        while let Some(statement) = waiting.pop() {
            let resources = statement.resource.texts();
            if alone(&statement).characters() > MAX_CHARACTERS && resources.len() > 1 {
                let (first, second) = resources.split_at(resources.len() / 2);
                waiting.push(statement.on(second.iter().cloned()));
                waiting.push(statement.on(first.iter().cloned()));
                continue;
            }
            let fits = |part: &Self| {
                let mut fuller = part.clone();
                fuller.statement.push(statement.clone());
                (fuller.characters() <= MAX_CHARACTERS).then_some(fuller)
            };
            match parts.last().and_then(fits) {
                Some(fuller) => {
                    parts.pop();
                    parts.push(fuller);
                }
                None => parts.push(alone(&statement)),
            }
        }
        parts.into_iter().map(|part| Self::numbered(part.statement)).collect()
    }
}

/// The patterns without those that another covers. `*` at the end is the only wildcard that covers.
pub(super) fn minimal(patterns: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let all: BTreeSet<String> = patterns.into_iter().collect();
    let is_covered = |pattern: &String| {
        let covers = |other: &String| {
            other != pattern && other.strip_suffix('*').is_some_and(|beginning| pattern.starts_with(beginning))
        };
        all.iter().any(covers)
    };
    all.iter().filter(|pattern| !is_covered(pattern)).cloned().collect()
}
