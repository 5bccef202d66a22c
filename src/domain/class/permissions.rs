//! Whether the policies of a class's role allow what the operator does with queues: asked of IAM without doing any of it.

use std::collections::BTreeMap;

use crate::api::class::{NamespacesFrom, QueueClass};
use crate::api::conditions::Reason;

use super::super::call::{CallError, ErrorKind};
use super::super::tags::{OWNER_PREFIX, Origin, Owner, Tags};
use super::{Class, Labels};

/// What the operator reads of a queue, as itself.
const READS: &[&str] = &["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags"];

/// What it changes, in the name of a Queue.
const WRITES: &[&str] =
    &["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue"];

/// What has no resource in IAM.
const LISTS: &[&str] = &["sqs:ListQueues"];

/// The Queue that questions are about. Nothing of it is ever made.
const NAME: &str = "prism-queue-dry-check";

/// A namespace to ask about where the class names none.
const NAMESPACE: &str = "any";

/// May this principal do this?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The role or user.
    pub principal_arn: String,
    /// What it wants to do.
    pub actions: &'static [&'static str],
    /// With what: an ARN, or `*`.
    pub resource: String,
    /// What conditions of policies may ask of such a call.
    pub context: BTreeMap<String, ContextValue>,
}

/// The value of a condition key in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextValue {
    /// A text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// Yes or no.
    Truth(bool),
}

/// An action that the policies do not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For example `sqs:CreateQueue`.
    pub action: String,
    /// Whether a statement denies it; else none allows it.
    pub is_explicit: bool,
}

/// What IAM says of what a class's role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// Nothing: it was not asked, or does not answer, and why.
    Unknown(String),
    /// What is not allowed, with what; nothing: all is allowed.
    Told(Vec<(String, Vec<Refused>)>),
}

/// Whose policies count for a caller.
enum Principal {
    /// The account's root user, which has none.
    Root,
    /// A role or user, by its ARN.
    Named(String),
    /// None that IAM can be asked about.
    Unknown,
}

/// What to ask of IAM about `class`, under which the operator is `caller_arn` to AWS.
///
/// # Errors
/// What is known without asking: all is allowed, or why it cannot be asked.
pub fn questions(class: &QueueClass, built_in: &Class, caller_arn: &str) -> Result<Vec<Question>, Permissions> {
    let role = class.spec.aws.role_arn.as_deref();
    let principal_arn = match role.map_or_else(|| principal_of(caller_arn), |role| Principal::Named(role.to_owned())) {
        Principal::Root => return Err(Permissions::Told(Vec::new())),
        Principal::Named(arn) => arn,
        Principal::Unknown => {
            return Err(Permissions::Unknown(format!(
                "{caller_arn} is no role and no user, so IAM cannot be asked about it"
            )));
        }
    };
    let allowed = &class.spec.allowed_namespaces;
    let named = allowed.names.iter().flatten().next().filter(|_| allowed.from == NamespacesFrom::Names);
    let namespace = named.map_or(NAMESPACE, String::as_str);
    let types = class.spec.limits.as_ref().and_then(|limits| limits.types.as_deref()).unwrap_or_default();
    let queue_type = types.first().copied().unwrap_or_default();
    let Ok(class) = Class::of(class, built_in, &Labels::new()) else {
        return Err(Permissions::Unknown("the class cannot be followed".to_owned()));
    };
    let queue = class.place.queue_arn(&class.naming.queue(namespace, NAME, queue_type)).to_string();
    let owner = Owner { cluster: class.cluster.clone(), namespace: namespace.to_owned(), name: NAME.to_owned() };
    let tags = owner.tags(Origin::Created);
    let ask = |actions, resource: &str, context| Question {
        principal_arn: principal_arn.clone(),
        actions,
        resource: resource.to_owned(),
        context,
    };
    // The tags of the session in which a role is assumed.
    let session = |keys: &[&str]| {
        let is_one = |key: &String| key.strip_prefix(OWNER_PREFIX).is_some_and(|key| keys.contains(&key));
        let tags: Tags = tags.clone().into_iter().filter(|(key, _)| role.is_some() && is_one(key)).collect();
        of_tags("aws:PrincipalTag", &tags)
    };
    let mut reads = every_call(&class);
    reads.extend(session(&["cluster"]));
    let lists = reads.clone();
    reads.extend(of_tags("aws:ResourceTag", &tags));
    let mut writes = reads.clone();
    writes.extend(session(&["namespace", "name"]));
    let mut all_tags = class.tags.clone();
    all_tags.extend(tags.clone());
    writes.insert("aws:TagKeys".to_owned(), ContextValue::Texts(all_tags.keys().cloned().collect()));
    writes.extend(of_tags("aws:RequestTag", &all_tags));
    Ok(vec![ask(READS, &queue, reads), ask(WRITES, &queue, writes), ask(LISTS, "*", lists)])
}

/// What is true of every call of the operator.
fn every_call(class: &Class) -> BTreeMap<String, ContextValue> {
    [
        ("aws:SecureTransport", ContextValue::Truth(true)),
        ("aws:RequestedRegion", ContextValue::Text(class.place.region.clone())),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn of_tags(key: &str, tags: &Tags) -> BTreeMap<String, ContextValue> {
    tags.iter().map(|(tag, value)| (format!("{key}/{tag}"), ContextValue::Text(value.clone()))).collect()
}

/// Sessions belong to their role; its path is not told, so that it can be asked about only without one.
fn principal_of(caller_arn: &str) -> Principal {
    let parts: Vec<&str> = caller_arn.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts[..] else { return Principal::Unknown };
    match (service, resource.split('/').collect::<Vec<_>>().as_slice()) {
        ("iam", ["root"]) => Principal::Root,
        ("iam", ["user" | "role", _, ..]) => Principal::Named(caller_arn.to_owned()),
        ("sts", ["assumed-role", role, _]) => {
            Principal::Named(format!("{arn}:{partition}:iam:{region}:{account}:role/{role}"))
        }
        _ => Principal::Unknown,
    }
}

impl Permissions {
    /// What the answers to all questions come to. One that is missing leaves it open.
    pub fn of(answers: impl IntoIterator<Item = (Question, Result<Vec<Refused>, CallError>)>) -> Self {
        let mut missing = Vec::new();
        for (Question { principal_arn: who, resource, .. }, answer) in answers {
            match answer {
                Ok(refused) if refused.is_empty() => {}
                Ok(refused) => missing.push((resource, refused)),
                Err(error) if error.kind == ErrorKind::Denied => {
                    return Self::Unknown(format!(
                        "to know what {who} may do, the operator needs iam:SimulatePrincipalPolicy on it: {error}"
                    ));
                }
                Err(error) => return Self::Unknown(format!("IAM does not say what {who} may do: {error}")),
            }
        }
        Self::Told(missing)
    }

    /// Whether nothing is known, and asking again soon is of no use.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// Whether something is known to be missing.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        matches!(self, Self::Told(missing) if !missing.is_empty())
    }

    /// The condition that says so.
    pub(super) fn condition(&self) -> (&'static str, Reason, String) {
        match self {
            Self::Unknown(why) => ("Unknown", Reason::NotAsked, why.clone()),
            Self::Told(missing) if missing.is_empty() => {
                ("True", Reason::Permitted, "the policies allow all that the operator does with queues".to_owned())
            }
            Self::Told(missing) => {
                let missing: Vec<String> =
                    missing.iter().map(|(resource, refused)| in_words(resource, refused)).collect();
                let message =
                    format!("IAM says that the policies of the operator's role do not allow {}", missing.join("; "));
                ("False", Reason::MissingPermissions, message)
            }
        }
    }
}

fn in_words(resource: &str, refused: &[Refused]) -> String {
    let actions: Vec<String> = refused
        .iter()
        .map(
            |Refused { action, is_explicit }| {
                if *is_explicit { format!("{action} (a statement denies it)") } else { action.clone() }
            },
        )
        .collect();
    format!("{} on {resource}", actions.join(", "))
}
