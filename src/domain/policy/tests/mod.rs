mod access;
mod compose;
mod document;
mod entries;
mod evaluator;
mod grammar;
mod key;
mod limits;
mod safety;
mod strategy;
mod trust;

use serde_json::{Value, json};

use super::{PolicyDocument, Statement, StatementContext, Trust, compile_statements};

const OWN: &str = "123456789012";
const FOREIGN: &str = "999999999999";
const QUEUE: &str = "arn:aws:sqs:eu-central-1:123456789012:jobs";
const OPERATOR: &str = "arn:aws:sts::123456789012:assumed-role/operator/session-7";
const PATH: &str = "spec.access.statements";

fn context() -> StatementContext<'static> {
    StatementContext { queue_arn: QUEUE, account_id: OWN, caller_arn: OPERATOR, trust: Trust::OwnAccount }
}

fn compile(raw: &[Value]) -> Result<Vec<Statement>, Vec<(String, String)>> {
    compile_in(raw, &context())
}

fn compile_unsafe(raw: &[Value]) -> Result<Vec<Statement>, Vec<(String, String)>> {
    compile_in(raw, &StatementContext { trust: Trust::Anything, ..context() })
}

fn compile_in(raw: &[Value], context: &StatementContext) -> Result<Vec<Statement>, Vec<(String, String)>> {
    compile_statements(raw, PATH, context)
        .map_err(|errors| errors.into_iter().map(|error| (error.path, error.rule)).collect())
}

/// The policy as SQS would get it.
fn as_value(document: &PolicyDocument) -> Value {
    serde_json::from_str(&document.to_json()).unwrap()
}

/// A statement that nothing is wrong with, with `changes` on it; `null` takes an element away.
fn statement(changes: &Value) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:role/worker"},
        "Action": "sqs:SendMessage",
    });
    let object = statement.as_object_mut().unwrap();
    for (key, value) in changes.as_object().unwrap() {
        object.insert(key.clone(), value.clone());
    }
    object.retain(|_, value| !value.is_null());
    statement
}

/// The paths of the errors below the first statement, in order of appearance.
fn paths(result: Result<Vec<Statement>, Vec<(String, String)>>) -> Vec<String> {
    let errors = result.err().unwrap_or_default();
    errors.into_iter().map(|(path, _)| path.strip_prefix("spec.access.statements[0]").unwrap().to_owned()).collect()
}
