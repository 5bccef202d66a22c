//! What IAM takes for a managed policy.

use serde_json::Value;

use crate::model::refusal::{Answer, Refusal};
use prism_queue::domain::call::ErrorKind;

const MOST_CHARACTERS: usize = 6_144;

pub(super) fn check(text: &str) -> Answer<()> {
    let malformed = |why: &str| Err(Refusal::new(ErrorKind::Invalid, "MalformedPolicyDocument", why));
    if text.chars().filter(|c| !c.is_whitespace()).count() > MOST_CHARACTERS {
        let words = "Cannot exceed quota for PolicySize: 6144";
        return Err(Refusal::new(ErrorKind::LimitExceeded, "LimitExceeded", words));
    }
    let Ok(Value::Object(policy)) = serde_json::from_str(text) else {
        return malformed("Syntax errors in policy.");
    };
    if policy.get("Version").and_then(Value::as_str) != Some("2012-10-17") {
        return malformed("Policy document must be version 2012-10-17 or greater.");
    }
    let Some(statements) = policy.get("Statement").and_then(Value::as_array).filter(|all| !all.is_empty()) else {
        return malformed("Syntax errors in policy.");
    };
    for statement in statements {
        let Some(statement) = statement.as_object() else { return malformed("Syntax errors in policy.") };
        let is_known = |key: &String| ["Effect", "Action", "Resource", "Condition", "Sid"].contains(&key.as_str());
        if !statement.keys().all(is_known) {
            return malformed("Policy document should not specify a principal.");
        }
        if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
            return malformed("Policy statement must contain an effect.");
        }
        let Some(actions) = statement.get("Action").and_then(Value::as_array).filter(|all| !all.is_empty()) else {
            return malformed("Policy statement must contain actions.");
        };
        if !actions.iter().all(|action| action.as_str().is_some_and(|action| action.contains(':'))) {
            return malformed("Actions/Conditions must be prefaced by a vendor.");
        }
        let Some(resources) = statement.get("Resource").and_then(Value::as_array).filter(|all| !all.is_empty()) else {
            return malformed("Policy statement must contain resources.");
        };
        let is_arn =
            |resource: &str| resource == "*" || resource.split(':').count() >= 6 && resource.starts_with("arn:");
        if !resources.iter().all(|resource| resource.as_str().is_some_and(is_arn)) {
            return malformed("Resource must be in ARN format or \"*\".");
        }
    }
    Ok(())
}
