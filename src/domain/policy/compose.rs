//! One policy out of statements from several places, in as few statements as keep the meaning.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::Operator;
use super::document::PolicyDocument;
use super::limits::MAX_ACTIONS;
use super::statement::{Folded, Scope, Statement};

/// The part in which two statements may differ and still be one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Actions,
    Principals,
    /// The values of one key under one operator.
    Values(String, Folded),
}

/// Puts statements together: the same one twice counts once, and statements of one Sid, or of none, that differ only
/// in Action, only in Principal, or only in the values of one condition key of which any may match, become one, as long
/// as it stays within SQS's actions a statement. The meaning stays the same, and so does the result, in whatever order
/// the parts come.
#[must_use]
pub fn compose(parts: Vec<Statement>) -> PolicyDocument {
    let mut statements: BTreeSet<Statement> = parts.into_iter().collect();
    loop {
        let before = statements.len();
        let values: BTreeSet<Part> = statements.iter().flat_map(mergeable_values).collect();
        for part in [Part::Actions, Part::Principals].into_iter().chain(values) {
            statements = merge(statements, &part);
        }
        if statements.len() == before {
            return PolicyDocument::of(statements);
        }
    }
}

/// The keys of `statement` whose values may be put together.
fn mergeable_values(statement: &Statement) -> impl Iterator<Item = Part> {
    let operators = statement.conditions.iter();
    let operators = operators.filter(|(name, _)| Operator::parse(name).is_some_and(Operator::takes_any_value));
    operators.flat_map(|(name, keys)| keys.keys().map(|key| Part::Values(name.clone(), key.clone())))
}

fn merge(statements: BTreeSet<Statement>, part: &Part) -> BTreeSet<Statement> {
    let mut merged = BTreeSet::new();
    // For each statement without the part: the one that takes in the next that is alike.
    let mut open: BTreeMap<Statement, Statement> = BTreeMap::new();
    for statement in statements {
        let Some(rest) = rest(&statement, part) else {
            merged.insert(statement);
            continue;
        };
        let Some(first) = open.get_mut(&rest) else {
            open.insert(rest, statement);
            continue;
        };
        let union = union(first, &statement);
        if union.actions.values().len() <= MAX_ACTIONS {
            *first = union;
        } else {
            merged.insert(std::mem::replace(first, statement));
        }
    }
    merged.extend(open.into_values());
    merged
}

/// The statement without `part`, but with its Sid: who gives one wants to find the statement again. `None` when the part
/// is not there, or is "all but these", of which the union says less than both together.
fn rest(statement: &Statement, part: &Part) -> Option<Statement> {
    let mut rest = statement.clone();
    match part {
        Part::Actions => clear(&mut rest.actions)?,
        Part::Principals => clear(&mut rest.principals)?,
        Part::Values(operator, key) => rest.conditions.get_mut(operator)?.get_mut(key)?.clear(),
    }
    Some(rest)
}

fn clear<T>(scope: &mut Scope<T>) -> Option<()> {
    let Scope::Only(values) = scope else { return None };
    values.clear();
    Some(())
}

/// Two statements that differ in one part only.
fn union(one: &Statement, other: &Statement) -> Statement {
    let mut union = one.clone();
    union.actions.values_mut().extend(other.actions.values().iter().cloned());
    union.principals.values_mut().extend(other.principals.values().iter().cloned());
    for (operator, keys) in &other.conditions {
        for (key, values) in keys {
            union
                .conditions
                .entry(operator.clone())
                .or_default()
                .entry(key.clone())
                .or_default()
                .extend(values.clone());
        }
    }
    union
}
