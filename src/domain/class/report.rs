//! The status that a class deserves: whether it is possible by itself, and whether AWS is reached as it says.

use jiff::Timestamp;

use crate::api::class::{QueueClass, QueueClassStatus};
use crate::api::conditions::{ClassConditionType, Reason};

use super::super::call::{CallError, ErrorKind};
use super::super::report::Conditions;
use super::{Permissions, satisfiable};

/// What was found when AWS was asked who the operator is under a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody asked yet.
    Unknown,
    /// This account, as this identity.
    As {
        /// Twelve digits.
        account_id: String,
        /// The identity's ARN.
        caller_arn: String,
    },
    /// The class cannot be followed at all.
    Impossible(String),
    /// The call failed.
    Failed(CallError),
}

/// The status of `class`, which `queues` Queues use.
#[must_use]
pub fn status_of_class(
    class: &QueueClass,
    reach: &Reach,
    permissions: &Permissions,
    queues: usize,
    now: Timestamp,
) -> QueueClassStatus {
    let previous = class.status.clone().unwrap_or_default();
    let generation = class.metadata.generation;
    let mut conditions = Conditions::after(&previous.conditions, generation, now);
    let reachable = reachable(class, reach);
    let errors: Vec<String> = satisfiable(class).iter().map(ToString::to_string).collect();
    let satisfiable = if errors.is_empty() {
        ("True", Reason::Satisfiable, "spec: {} is possible for every type that the class allows".to_owned())
    } else {
        ("False", Reason::Unsatisfiable, errors.join("; "))
    };
    let permitted = permissions.condition();
    let first = |wanted| [&satisfiable, &reachable, &permitted].into_iter().find(|(status, ..)| *status == wanted);
    let ready = match (first("False"), &reachable) {
        (Some(not_ready), _) => not_ready.clone(),
        // What IAM does not say may be all right; whether AWS answers must be known.
        (None, unknown) if unknown.0 != "True" => unknown.clone(),
        (None, _) => ("True", Reason::Usable, "the class can be used".to_owned()),
    };
    for (type_, (status, reason, message)) in [
        (ClassConditionType::Ready, ready),
        (ClassConditionType::Reachable, reachable),
        (ClassConditionType::Permitted, permitted),
        (ClassConditionType::Satisfiable, satisfiable),
    ] {
        conditions.add(type_.as_str(), status, reason, message);
    }
    let (account_id, caller_arn) = match reach {
        Reach::As { account_id, caller_arn } => (Some(account_id.clone()), Some(caller_arn.clone())),
        Reach::Unknown | Reach::Impossible(_) | Reach::Failed(_) => (previous.account_id, previous.caller_arn),
    };
    QueueClassStatus {
        observed_generation: generation,
        conditions: conditions.made(),
        account_id,
        caller_arn,
        queues: Some(i64::try_from(queues).unwrap_or(i64::MAX)),
    }
}

fn reachable(class: &QueueClass, reach: &Reach) -> (&'static str, Reason, String) {
    let wanted = &class.spec.aws.account_id;
    match reach {
        Reach::Unknown => ("Unknown", Reason::NotRead, "AWS was not asked yet".to_owned()),
        Reach::As { account_id, caller_arn } if account_id == wanted => {
            ("True", Reason::Reached, format!("AWS answers to {caller_arn}"))
        }
        Reach::As { account_id, .. } => {
            let message = format!(
                "spec.aws.accountId: the credentials are of account {account_id}, the class is for {wanted}; nothing is done there. Set spec.aws.roleArn to a role of {wanted}"
            );
            ("False", Reason::WrongAccount, message)
        }
        Reach::Impossible(why) => ("False", Reason::InvalidSpec, why.clone()),
        Reach::Failed(error) => {
            let reason = match error.kind {
                ErrorKind::Throttled => Reason::Throttled,
                ErrorKind::Denied | ErrorKind::KmsDenied => Reason::Denied,
                _ => Reason::AWSUnavailable,
            };
            ("False", reason, error.to_string())
        }
    }
}
