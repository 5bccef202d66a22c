//! One policy out of statements from several places, in as few statements as keep the meaning.

use std::collections::{BTreeMap, BTreeSet};

use super::document::PolicyDocument;
use super::limits::MAX_ACTIONS;
use super::statement::{Scope, Statement};

/// The part in which two statements may differ and still be one.
#[derive(Clone, Copy)]
enum Part {
    Actions,
    Principals,
}

/// Puts statements together: the same one twice counts once, and statements of one Sid, or of none, that differ only
/// in Action, or only in Principal, become one, as long as it stays within SQS's actions a statement. The meaning stays
/// the same, and so does the result, in whatever order the parts come.
#[must_use]
pub fn compose(parts: Vec<Statement>) -> PolicyDocument {
    let mut statements: BTreeSet<Statement> = parts.into_iter().collect();
    loop {
        let before = statements.len();
        statements = merge(statements, Part::Actions);
        statements = merge(statements, Part::Principals);
        if statements.len() == before {
            return PolicyDocument::of(statements);
        }
    }
}

fn merge(statements: BTreeSet<Statement>, part: Part) -> BTreeSet<Statement> {
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
/// is "all but these", of which the union says less than both together.
fn rest(statement: &Statement, part: Part) -> Option<Statement> {
    let mut rest = statement.clone();
    match part {
        Part::Actions => clear(&mut rest.actions)?,
        Part::Principals => clear(&mut rest.principals)?,
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
    union
}
