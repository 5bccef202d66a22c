//! A whole policy, as the value of SQS's `Policy` attribute.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::principal::Principal;
use super::read;
use super::statement::{Effect, Scope, Statement};

const CURRENT_VERSION: &str = "2012-10-17";
const OLD_VERSION: &str = "2008-10-17";

/// A policy in canonical form: `==` compares by meaning.
///
/// What does not count: the order of statements and of lists, a string or a list of that one string, the policy's Id,
/// an account id or its root ARN, `"*"` or `{"AWS": "*"}`, the case of action names and condition keys, and how
/// booleans and numbers are quoted. Sids count: SQS keeps them, and the operator knows its own statements by them.
/// Version counts only where it changes the meaning, which is where a statement holds a policy variable (`${…}`): under
/// 2008-10-17, SQS's default, that is plain text.
/// Source: IAM User Guide, "IAM JSON policy elements: Version".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyDocument {
    /// Sorted, without duplicates.
    statements: Vec<Statement>,
    /// Statements that IAM's grammar as we know it does not cover, and so never equal to ours; sorted.
    unreadable: Vec<Value>,
    /// Elements beside Version, Id and Statement.
    others: BTreeMap<String, Value>,
    /// Whether the policy holds policy variables that its Version makes plain text.
    has_plain_variables: bool,
}

impl PolicyDocument {
    /// Reads the value of the `Policy` attribute as `GetQueueAttributes` returns it. Lenient: what is unknown is kept as
    /// it is, so that the policy can be compared and written back.
    ///
    /// # Errors
    /// A sentence, when `text` is not a JSON object with a Statement.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("the policy is not JSON: {error}"))?;
        let Value::Object(mut elements) = value else {
            return Err("the policy is not a JSON object".to_owned());
        };
        let raw = match elements.remove("Statement") {
            Some(Value::Array(raw)) => raw,
            Some(statement @ Value::Object(_)) => vec![statement],
            Some(_) => return Err("the policy's Statement is neither an object nor a list".to_owned()),
            None => return Err("the policy has no Statement".to_owned()),
        };
        elements.remove("Id");
        let is_current = elements.remove("Version").is_some_and(|version| version == CURRENT_VERSION);
        let mut statements = Vec::new();
        let mut unreadable = Vec::new();
        for raw in raw {
            let reading = read::read(&raw, "Statement", None);
            match reading.statement {
                Some(statement) if reading.errors.is_empty() => statements.push(statement),
                _ => unreadable.push(raw),
            }
        }
        unreadable.sort_by_key(sorted_text);
        let has_variables = (statements.iter().map(Statement::to_value))
            .chain(unreadable.iter().cloned())
            .any(|value| value.to_string().contains("${"));
        Ok(Self {
            unreadable,
            others: elements.into_iter().collect(),
            has_plain_variables: has_variables && !is_current,
            ..Self::of(statements)
        })
    }

    /// The policy with these statements; the same one twice counts once.
    pub(super) fn of(statements: impl IntoIterator<Item = Statement>) -> Self {
        let statements: BTreeSet<Statement> = statements.into_iter().collect();
        Self { statements: statements.into_iter().collect(), ..Self::default() }
    }

    /// The statements, sorted. Those that could not be read are not among them.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Whether there is no statement at all: such a policy is written as the empty string, which removes it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.unreadable.is_empty()
    }

    /// The policy as compact JSON, the same text for the same policy. Its length in bytes is what SQS limits.
    #[must_use]
    pub fn to_json(&self) -> String {
        let version = if self.has_plain_variables { OLD_VERSION } else { CURRENT_VERSION };
        let statements = self.statements.iter().map(Statement::to_value).chain(self.unreadable.iter().cloned());
        let mut object = Map::from_iter([("Version".to_owned(), Value::from(version))]);
        object.extend(self.others.clone());
        object.insert("Statement".to_owned(), statements.collect());
        Value::Object(object).to_string()
    }

    /// This policy with one more statement, unless it is there already.
    #[must_use]
    pub fn with(&self, statement: Statement) -> Self {
        let mut document = self.clone();
        if let Err(place) = document.statements.binary_search(&statement) {
            document.statements.insert(place, statement);
        }
        document
    }

    /// This policy without the statements that name accounts, roles or users: AWS refuses a policy that names one that it does
    /// not know. It allows no more than this one: when a Deny goes, so does every Allow.
    #[must_use]
    pub fn without_named_principals(&self) -> Self {
        let names_somebody = |statement: &Statement| {
            let principals = statement.principals.values();
            principals.iter().any(|principal| matches!(principal, Principal::Aws(_) | Principal::Account(_)))
        };
        let denies = |statement: &Statement| statement.effect == Effect::Deny;
        let loses_a_denial = self.statements.iter().any(|statement| denies(statement) && names_somebody(statement));
        let mut document = self.clone();
        document.statements.retain(|statement| !names_somebody(statement) && (denies(statement) || !loses_a_denial));
        document
    }

    /// This policy without the statements that allow.
    #[must_use]
    pub fn without_allowances(&self) -> Self {
        let mut document = self.clone();
        document.statements.retain(|statement| statement.effect == Effect::Deny);
        document.unreadable.retain(|raw| raw.get("Effect").is_some_and(|effect| effect == "Deny"));
        document
    }

    /// This policy without the statements of this Sid.
    #[must_use]
    pub fn without_sid(&self, sid: &str) -> Self {
        let mut document = self.clone();
        document.statements.retain(|statement| statement.sid() != Some(sid));
        document
    }

    /// The text of the attribute: [`Self::to_json`], or nothing for a policy without statements, which removes it.
    #[must_use]
    pub fn to_attribute(&self) -> String {
        if self.is_empty() { String::new() } else { self.to_json() }
    }

    /// This policy without the principals that were deleted, which SQS shows as ids and does not take back, and without
    /// statements about nobody else. Nobody gains or loses anything by it.
    #[must_use]
    pub fn without_gone_principals(&self) -> Self {
        let mut document = self.clone();
        document.statements.retain_mut(|statement| {
            let Scope::Only(principals) = &mut statement.principals else { return true };
            principals.retain(|principal| !principal.is_unique_id());
            !principals.is_empty()
        });
        document.statements.sort();
        document
    }

    /// Whether a statement names the role or user `arn`.
    #[must_use]
    pub fn names(&self, arn: &str) -> bool {
        let names =
            |statement: &Statement| statement.principals.values().iter().any(|p| *p == Principal::Aws(arn.to_owned()));
        self.statements.iter().any(names)
    }

    /// Whether a statement shows a principal that was deleted: AWS shows an id in its place.
    #[must_use]
    pub fn shows_gone_principals(&self) -> bool {
        self.statements.iter().any(|statement| statement.principals.values().iter().any(Principal::is_unique_id))
    }

    /// The principals of this policy that `observed` shows as deleted: the ARNs, sorted, when `observed` is this policy
    /// but for some principals that read back as ids (`AROA…`, `AIDA…`, `AGPA…`), else `None`. Writing the policy again
    /// would be refused until they exist again.
    #[must_use]
    pub fn gone_principals(&self, observed: &Self) -> Option<Vec<String>> {
        let is_all_readable = |document: &Self| document.unreadable.is_empty() && document.others.is_empty();
        let is_comparable = is_all_readable(self)
            && is_all_readable(observed)
            && self.has_plain_variables == observed.has_plain_variables;
        let (wanted, observed) = (self.principals_by_rest(), observed.principals_by_rest());
        if !is_comparable || !wanted.keys().eq(observed.keys()) {
            return None;
        }
        let mut gone = BTreeSet::new();
        for (wanted, observed) in wanted.values().zip(observed.values()) {
            let missing: Vec<&Principal> = wanted.difference(observed).copied().collect();
            let extra: Vec<&Principal> = observed.difference(wanted).copied().collect();
            let is_explained = missing.len() == extra.len()
                && extra.iter().all(|principal| principal.is_unique_id())
                && missing.iter().all(|principal| matches!(principal, Principal::Aws(_)));
            if !is_explained {
                return None;
            }
            gone.extend(missing.iter().map(|principal| principal.as_str().to_owned()));
        }
        (!gone.is_empty()).then(|| gone.into_iter().collect())
    }

    /// For each statement without its principals, the principals.
    fn principals_by_rest(&self) -> BTreeMap<Statement, BTreeSet<&Principal>> {
        let mut by_rest: BTreeMap<Statement, BTreeSet<&Principal>> = BTreeMap::new();
        for statement in &self.statements {
            let mut rest = statement.clone();
            rest.principals.values_mut().clear();
            by_rest.entry(rest).or_default().extend(statement.principals.values());
        }
        by_rest
    }
}

/// A text to sort by that does not depend on the order of keys.
fn sorted_text(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<&String, String> =
                object.iter().map(|(key, value)| (key, sorted_text(value))).collect();
            format!("{sorted:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(sorted_text).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}
