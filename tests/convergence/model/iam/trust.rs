//! What IAM takes for the trust policy of a role. Sources: "How to use trust policies with IAM roles", "IAM JSON policy
//! elements: Principal" and "IAM and AWS STS quotas".

use prism_queue::domain::call::ErrorKind;
use serde_json::{Map, Value};

use crate::model::policy::grammar::texts;
use crate::model::policy::principals::Principals;
use crate::model::refusal::{Answer, Refusal};

const MOST_CHARACTERS: usize = 2_048;

/// Each action, and whether it is for those who come with somebody else's token.
const ACTIONS: [(&str, Option<bool>); 5] = [
    ("sts:AssumeRole", Some(false)),
    ("sts:AssumeRoleWithWebIdentity", Some(true)),
    ("sts:AssumeRoleWithSAML", Some(true)),
    ("sts:TagSession", None),
    ("sts:SetSourceIdentity", None),
];

/// Reads a trust policy, or says what IAM would refuse it for.
pub(super) fn check(text: &str, principals: &Principals) -> Answer<Value> {
    if text.chars().filter(|c| !c.is_whitespace()).count() > MOST_CHARACTERS {
        let words = "Cannot exceed quota for ACLSizePerRole: 2048";
        return Err(Refusal::new(ErrorKind::LimitExceeded, "LimitExceeded", words));
    }
    let policy: Value = serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
    let elements = policy.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?;
    only(elements, &["Version", "Id", "Statement"])?;
    if elements.get("Version").and_then(Value::as_str) != Some("2012-10-17") {
        return Err(malformed("The policy must be version 2012-10-17."));
    }
    let statements = elements.get("Statement").and_then(Value::as_array).filter(|all| !all.is_empty());
    for statement in statements.ok_or_else(|| malformed("Syntax errors in policy."))? {
        check_statement(statement.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?, principals)?;
    }
    Ok(policy)
}

fn check_statement(statement: &Map<String, Value>, principals: &Principals) -> Answer<()> {
    if statement.contains_key("Resource") {
        return Err(malformed("Has prohibited field Resource"));
    }
    only(statement, &["Sid", "Effect", "Principal", "Action", "Condition"])?;
    if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
        return Err(malformed("Policy statement must contain an effect."));
    }
    let is_federated = check_principal(statement.get("Principal"), principals)?;
    let actions = statement.get("Action").and_then(texts).filter(|actions| !actions.is_empty());
    for action in actions.ok_or_else(|| malformed("Policy statement must contain actions."))? {
        let known = ACTIONS.iter().find(|(name, _)| *name == action);
        let (_, federated) = known.ok_or_else(|| malformed("may only specify STS AssumeRole actions"))?;
        // It would let nobody in.
        if federated.is_some_and(|federated| federated != is_federated) {
            return Err(malformed("The action is not one for this kind of principal."));
        }
    }
    let is_condition = |tests: &Value| tests.as_object().is_some_and(|tests| tests.values().all(is_operand));
    let is_whole = |all: &Value| all.as_object().is_some_and(|operators| operators.values().all(is_condition));
    if statement.get("Condition").is_some_and(|condition| !is_whole(condition)) {
        return Err(malformed("Syntax errors in policy."));
    }
    Ok(())
}

/// Whether the principal is federated.
fn check_principal(principal: Option<&Value>, principals: &Principals) -> Answer<bool> {
    let kinds = principal.and_then(Value::as_object).filter(|kinds| !kinds.is_empty());
    let kinds = kinds.ok_or_else(|| malformed("AssumeRolePolicy must contain a principal."))?;
    for (kind, named) in kinds {
        let named = texts(named).filter(|named| !named.is_empty()).ok_or_else(|| malformed("Invalid principal"))?;
        let is_known = |name: &&str| match kind.as_str() {
            "AWS" => principals.may_be_named(name),
            "Service" => name.split_once('.').is_some_and(|(_, domain)| domain.ends_with("amazonaws.com")),
            "Federated" => name.contains(":oidc-provider/") || name.contains(":saml-provider/"),
            _ => false,
        };
        if let Some(unknown) = named.iter().find(|name| !is_known(name)) {
            return Err(malformed(&format!("Invalid principal in policy: \"{kind}\":\"{unknown}\"")));
        }
    }
    let is_federated = kinds.contains_key("Federated");
    if is_federated && kinds.len() > 1 {
        return Err(malformed("Federated principals stand alone here."));
    }
    Ok(is_federated)
}

fn is_operand(value: &Value) -> bool {
    texts(value).is_some() || value.is_boolean() || value.is_number()
}

fn only(elements: &Map<String, Value>, known: &[&str]) -> Answer<()> {
    match elements.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(malformed(&format!("Has prohibited field {unknown}"))),
        None => Ok(()),
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(ErrorKind::Invalid, "MalformedPolicyDocument", why)
}
