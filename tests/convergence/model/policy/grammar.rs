//! The grammar and the limits of a queue policy. Sources: "IAM JSON policy elements reference" and
//! "Amazon SQS policy quotas".

use serde_json::{Map, Value};

use crate::model::refusal::{Answer, Refusal};

const MAX_BYTES: usize = 8_192;
const MAX_STATEMENTS: usize = 20;
const MAX_PRINCIPALS: usize = 50;
const MAX_CONDITIONS: usize = 10;
const MAX_ACTIONS: usize = 7;

const STATEMENT_ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// Reads a policy, or says what SQS would refuse it for.
pub fn check(text: &str) -> Answer<Map<String, Value>> {
    if text.len() > MAX_BYTES {
        return Err(bad(&format!("it has {} bytes; {MAX_BYTES} are allowed", text.len())));
    }
    let Ok(Value::Object(mut policy)) = serde_json::from_str(text) else {
        return Err(bad("it is not a JSON object"));
    };
    if let Some(element) = policy.keys().find(|key| !["Version", "Id", "Statement"].contains(&key.as_str())) {
        return Err(bad(&format!("unknown element {element}")));
    }
    if let Some(version) = policy.get("Version")
        && !["2012-10-17", "2008-10-17"].contains(&version.as_str().unwrap_or_default())
    {
        return Err(bad("Version must be 2012-10-17 or 2008-10-17"));
    }
    if let Some(statement @ Value::Object(_)) = policy.get_mut("Statement") {
        *statement = Value::Array(vec![statement.take()]);
    }
    let Some(Value::Array(statements)) = policy.get("Statement") else {
        return Err(bad("Statement is missing"));
    };
    if statements.is_empty() || statements.len() > MAX_STATEMENTS {
        return Err(bad(&format!("it must have 1 to {MAX_STATEMENTS} statements")));
    }
    let mut sids = Vec::new();
    for statement in statements {
        let statement = statement.as_object().ok_or_else(|| bad("a statement is not an object"))?;
        check_statement(statement)?;
        if let Some(sid) = statement.get("Sid") {
            if sids.contains(&sid) {
                return Err(bad("Sids must be unique"));
            }
            sids.push(sid);
        }
    }
    Ok(policy)
}

/// The statements of a checked policy.
pub fn statements_mut(policy: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    policy.get_mut("Statement").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// A text, or a list of texts, as a list.
pub fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn check_statement(statement: &Map<String, Value>) -> Answer<()> {
    if let Some(element) = statement.keys().find(|key| !STATEMENT_ELEMENTS.contains(&key.as_str())) {
        return Err(bad(&format!("unknown element {element}")));
    }
    if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
        return Err(bad("Effect must be Allow or Deny"));
    }
    check_principal(one_of(statement, "Principal", "NotPrincipal")?)?;
    let actions = texts(one_of(statement, "Action", "NotAction")?).ok_or_else(|| bad("Action must be texts"))?;
    if actions.is_empty() || actions.len() > MAX_ACTIONS {
        return Err(bad(&format!("a statement must have 1 to {MAX_ACTIONS} actions")));
    }
    if let Some(action) =
        actions.iter().find(|action| **action != "*" && !action.to_ascii_lowercase().starts_with("sqs:"))
    {
        return Err(bad(&format!("{action} is not an action of SQS")));
    }
    let resources =
        texts(one_of(statement, "Resource", "NotResource")?).ok_or_else(|| bad("Resource must be texts"))?;
    if resources.is_empty() || !resources.iter().all(|resource| *resource == "*" || resource.starts_with("arn:")) {
        return Err(bad("Resource must be ARNs or *"));
    }
    match statement.get("Condition") {
        Some(condition) => check_condition(condition),
        None => Ok(()),
    }
}

fn check_principal(principal: &Value) -> Answer<()> {
    match principal {
        Value::String(text) if text == "*" => Ok(()),
        Value::Object(kinds) => {
            let mut count = 0;
            for (kind, list) in kinds {
                if !["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str()) {
                    return Err(bad(&format!("unknown kind of principal {kind}")));
                }
                count += texts(list).ok_or_else(|| bad("principals must be texts"))?.len();
            }
            if (1..=MAX_PRINCIPALS).contains(&count) {
                return Ok(());
            }
            Err(bad(&format!("a statement must have 1 to {MAX_PRINCIPALS} principals")))
        }
        _ => Err(bad("Principal must be * or an object")),
    }
}

fn check_condition(condition: &Value) -> Answer<()> {
    let operators = condition.as_object().ok_or_else(|| bad("Condition must be an object"))?;
    let mut count = 0;
    for tests in operators.values() {
        let tests = tests.as_object().ok_or_else(|| bad("a condition operator must hold an object"))?;
        count += tests.len();
    }
    if count > MAX_CONDITIONS {
        return Err(bad(&format!("a statement may have {MAX_CONDITIONS} conditions")));
    }
    Ok(())
}

/// The one of two elements that must be there, alone.
fn one_of<'a>(statement: &'a Map<String, Value>, positive: &str, negative: &str) -> Answer<&'a Value> {
    match (statement.get(positive), statement.get(negative)) {
        (Some(value), None) | (None, Some(value)) => Ok(value),
        _ => Err(bad(&format!("a statement must have either {positive} or {negative}"))),
    }
}

fn bad(reason: &str) -> Refusal {
    Refusal::invalid_attribute(format!("Invalid value for the parameter Policy: {reason}."))
}
