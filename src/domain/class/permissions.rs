//! Whether the policies of a class's role allow what the operator does with queues, and with roles where the class makes any:
//! asked of IAM without doing any of it. Source: `SimulatePrincipalPolicy` in the IAM API reference.

mod roles;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::class::{NamespacesFrom, QueueClass};
use crate::api::conditions::Reason;
use crate::api::queue::QueueType;

use super::super::call::{CallError, ErrorKind};
use super::super::tags::{OWNER_PREFIX, Origin, Owner, Tags};
use super::{Class, Labels};

/// What the operator does, by what such a call carries. A queue that is made with tags needs the right to tag it.
const READS: &[&str] = &["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags"];
const LISTS: &[&str] = &["sqs:ListQueues"];
const CREATES: &[&str] = &["sqs:CreateQueue", "sqs:TagQueue"];
const TAGS: &[&str] = &["sqs:TagQueue"];
const UNTAGS: &[&str] = &["sqs:UntagQueue"];
const CHANGES: &[&str] = &["sqs:DeleteQueue", "sqs:SetQueueAttributes"];

/// The Queue and the `ServiceAccount` that questions are about. Nothing of them is ever made.
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
    /// With each of these: ARNs, or `*`.
    pub resources: Vec<String>,
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

/// What IAM says of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// For example `sqs:CreateQueue`.
    pub action: String,
    /// With what.
    pub resource: String,
    /// Whether it is allowed.
    pub decision: Decision,
    /// Keys that conditions of the policies ask for and that nobody told: the call itself may have them.
    pub missing_context: BTreeSet<String>,
}

/// Whether an action is allowed, and what decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is.
    Allowed,
    /// No statement allows it.
    NotAllowed,
    /// A statement denies it.
    Denied,
    /// The organisation's policies do not allow it.
    RefusedByOrganization,
}

/// An action that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    action: String,
    resource: String,
    decision: Decision,
}

/// What IAM says of what a class's role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// Nothing, and why. It may say more the next time.
    Unknown(String),
    /// Nothing: the operator may not ask. Each time shows as a denied call in the account's logs.
    Withheld(String),
    /// What is not allowed; nothing: all is.
    Told(Vec<Lack>),
    /// What may not be allowed: that depends on these keys, of which nothing is known.
    Open(Vec<Lack>, BTreeSet<String>),
}

/// What to ask of IAM about `class`, under which the operator is `caller_arn` to AWS.
///
/// # Errors
/// Why it cannot be asked.
pub fn questions(class: &QueueClass, built_in: &Class, caller_arn: &str) -> Result<Vec<Question>, Permissions> {
    let role = class.spec.aws.role_arn.as_deref();
    let Some(principal_arn) = role.map_or_else(|| principal_of(caller_arn), |role| Some(role.to_owned())) else {
        let why = format!("{caller_arn} is no role and no user, so IAM cannot be asked about it");
        return Err(Permissions::Unknown(why));
    };
    // Which labels a namespace has is not known here; that it has them is its part.
    let from_labels = class.spec.tags_from_namespace_labels.iter().flatten();
    let labels: Labels = from_labels.map(|(_, label)| (label.clone(), NAMESPACE.to_owned())).collect();
    let types = class.spec.limits.as_ref().and_then(|limits| limits.types.clone());
    let types = types.unwrap_or_else(|| vec![QueueType::Standard, QueueType::Fifo]);
    let allowed = &class.spec.allowed_namespaces;
    let named = allowed.names.iter().flatten().next().filter(|_| allowed.from == NamespacesFrom::Names);
    let namespace = named.map_or(NAMESPACE, String::as_str);
    // Those of another identity are not this one's to ask about.
    let pods = class.spec.iam.as_ref().and_then(|iam| iam.pod_identity.clone());
    let pods = pods.filter(|pods| pods.role_arn.as_deref() == role);
    let class = Class::of(class, built_in, &labels).map_err(|fault| Permissions::Unknown(fault.to_string()))?;
    let asker = Asker { class: &class, principal_arn, is_assumed: role.is_some(), namespace };
    let mut questions = asker.about_queues(types);
    questions.extend(roles::questions(&asker, pods.as_ref()));
    Ok(questions)
}

/// Who asks about what a class's role may do in the name of one namespace.
struct Asker<'a> {
    class: &'a Class,
    principal_arn: String,
    /// Whether the operator assumes a role: then each session has tags.
    is_assumed: bool,
    namespace: &'a str,
}

impl Asker<'_> {
    fn ask(&self, actions: &'static [&'static str], resources: &[String], context: Context) -> Question {
        Question { principal_arn: self.principal_arn.clone(), actions, resources: resources.to_vec(), context }
    }

    /// The owner tags of what is made for an object of this name.
    fn owner_tags(&self, name: &str) -> Tags {
        let (cluster, namespace) = (self.class.cluster.clone(), self.namespace.to_owned());
        Owner { cluster, namespace, name: name.to_owned() }.tags(Origin::Created)
    }

    /// What is true of each call to a region, and the tags of the session in which a role is assumed for it.
    fn call(&self, region: Option<&str>, owner_tags: &Tags, session_keys: &[&str]) -> Context {
        let is_one = |key: &str| key.strip_prefix(OWNER_PREFIX).is_some_and(|key| session_keys.contains(&key));
        let tags = owner_tags.iter().filter(|(key, _)| self.is_assumed && is_one(key));
        joined([every_call(self.class, region, &self.principal_arn), of_tags("aws:PrincipalTag", tags)])
    }

    /// Reads are made as the operator.
    fn read(&self, region: Option<&str>, owner_tags: &Tags) -> Context {
        self.call(region, owner_tags, &["cluster"])
    }

    /// Writes are made in the name of an object.
    fn write(&self, region: Option<&str>, owner_tags: &Tags) -> Context {
        self.call(region, owner_tags, &["cluster", "namespace", "name"])
    }

    fn about_queues(&self, types: Vec<QueueType>) -> Vec<Question> {
        let class = self.class;
        let queues = types.into_iter().flat_map(|queue_type| {
            let naming = &class.naming;
            [naming.queue(self.namespace, NAME, queue_type), naming.dead_letter(self.namespace, NAME, queue_type)]
        });
        let queues: Vec<String> = queues.map(|name| class.place.queue_arn(&name).to_string()).collect();
        let owner_tags = self.owner_tags(NAME);
        let mut tags = class.tags.clone();
        tags.extend(owner_tags.clone());
        let region = Some(class.place.region.as_str());
        let (reads, writes) = (self.read(region, &owner_tags), self.write(region, &owner_tags));
        let keys = || tag_keys(&tags);
        vec![
            self.ask(CREATES, &queues, joined([writes.clone(), in_request(&tags)])),
            self.ask(TAGS, &queues, joined([writes.clone(), on_resource(&tags), in_request(&tags)])),
            self.ask(UNTAGS, &queues, joined([writes.clone(), on_resource(&tags), keys()])),
            self.ask(CHANGES, &queues, joined([writes, on_resource(&tags)])),
            self.ask(READS, &queues, joined([reads.clone(), on_resource(&tags)])),
            self.ask(LISTS, &["*".to_owned()], reads),
        ]
    }
}

type Context = BTreeMap<String, ContextValue>;

fn joined<const N: usize>(parts: [Context; N]) -> Context {
    parts.into_iter().flatten().collect()
}

/// What is true of every call of the operator.
fn every_call(class: &Class, region: Option<&str>, principal_arn: &str) -> Context {
    let account = &class.place.account_id;
    let mut context: Context = [
        ("aws:SecureTransport", ContextValue::Truth(true)),
        ("aws:ViaAWSService", ContextValue::Truth(false)),
        ("aws:PrincipalIsAWSService", ContextValue::Truth(false)),
        ("aws:PrincipalArn", text(principal_arn)),
        ("aws:PrincipalAccount", text(account)),
        ("aws:ResourceAccount", text(account)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    context.extend(region.map(|region| ("aws:RequestedRegion".to_owned(), text(region))));
    context
}

fn text(text: &str) -> ContextValue {
    ContextValue::Text(text.to_owned())
}

fn of_tags<'a>(key: &str, tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Context {
    tags.into_iter().map(|(tag, value)| (format!("{key}/{tag}"), text(value))).collect()
}

/// Of what the call is about.
fn on_resource(tags: &Tags) -> Context {
    of_tags("aws:ResourceTag", tags)
}

/// Of the call itself.
fn in_request(tags: &Tags) -> Context {
    joined([of_tags("aws:RequestTag", tags), tag_keys(tags)])
}

fn tag_keys(tags: &Tags) -> Context {
    BTreeMap::from([("aws:TagKeys".to_owned(), ContextValue::Texts(tags.keys().cloned().collect()))])
}

/// The role or user whose policies count for a caller. Sessions belong to their role; its path is not told, so that it can
/// be asked about only without one. Of the account's root user nothing can be asked.
fn principal_of(caller_arn: &str) -> Option<String> {
    let parts: Vec<&str> = caller_arn.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts[..] else { return None };
    match (service, resource.split('/').collect::<Vec<_>>().as_slice()) {
        ("iam", ["user" | "role", _, ..]) => Some(caller_arn.to_owned()),
        ("sts", ["assumed-role", role, _]) => Some(format!("{arn}:{partition}:iam:{region}:{account}:role/{role}")),
        _ => None,
    }
}

impl Permissions {
    /// What the answers to all questions come to. One that is missing leaves it open.
    pub fn of(answers: impl IntoIterator<Item = (Question, Result<Vec<Evaluation>, CallError>)>) -> Self {
        let (mut lacks, mut open, mut keys) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (question, answer) in answers {
            let who = &question.principal_arn;
            let evaluations = match answer {
                Ok(evaluations) => evaluations,
                Err(error) if error.kind == ErrorKind::Denied => {
                    return Self::Withheld(format!(
                        "to know what {who} may do, the operator needs iam:SimulatePrincipalPolicy on it: {error}"
                    ));
                }
                Err(error) => return Self::Unknown(format!("IAM does not say what {who} may do: {error}")),
            };
            for action in question.actions {
                let mut of_action = evaluations.iter().filter(|evaluation| evaluation.action == *action).peekable();
                if of_action.peek().is_none() {
                    return Self::Unknown(format!("IAM says nothing of {action} by {who}"));
                }
                let refused = of_action.filter(|evaluation| evaluation.decision != Decision::Allowed);
                // One resource is enough to see which pattern does not fit; what is certain comes first.
                let Some(refused) = refused.min_by_key(|evaluation| !evaluation.missing_context.is_empty()) else {
                    continue;
                };
                let Evaluation { action, resource, decision, missing_context } = refused.clone();
                let lack = Lack { action, resource, decision };
                let list = if missing_context.is_empty() { &mut lacks } else { &mut open };
                if !list.contains(&lack) {
                    list.push(lack);
                }
                keys.extend(missing_context);
            }
        }
        if lacks.is_empty() && !open.is_empty() { Self::Open(open, keys) } else { Self::Told(lacks) }
    }

    /// What is known after this answer and the one before it about the same version of the class: an answer that did not
    /// come takes nothing back.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        match (&self, before) {
            (Self::Unknown(_), Some(before @ (Self::Told(_) | Self::Open(..)))) => before.clone(),
            _ => self,
        }
    }

    /// Whether something is known to be missing: it is soon asked again.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        matches!(self, Self::Told(lacks) if !lacks.is_empty())
    }

    /// The condition that says so.
    pub(super) fn condition(&self) -> (&'static str, Reason, String) {
        match self {
            Self::Unknown(why) | Self::Withheld(why) => ("Unknown", Reason::NotKnown, why.clone()),
            Self::Open(lacks, keys) => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                let message = format!(
                    "IAM cannot say whether the policies of the operator's role allow {}: they depend on {}, which only a call itself shows",
                    in_words(lacks),
                    keys.join(", ")
                );
                ("Unknown", Reason::NotKnown, message)
            }
            Self::Told(lacks) if lacks.is_empty() => (
                "True",
                Reason::Permitted,
                "the policies allow all that the operator does with queues and with the roles of workloads".to_owned(),
            ),
            Self::Told(lacks) => {
                let message =
                    format!("IAM says that the policies of the operator's role do not allow {}", in_words(lacks));
                ("False", Reason::MissingPermissions, message)
            }
        }
    }
}

/// Each action, with the first resource on which it is not allowed.
fn in_words(lacks: &[Lack]) -> String {
    let mut by_resource: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Lack { action, resource, decision } in lacks {
        let action = match decision {
            Decision::Allowed | Decision::NotAllowed => action.clone(),
            Decision::Denied => format!("{action} (a statement denies it)"),
            Decision::RefusedByOrganization => format!("{action} (the organisation's policies refuse it)"),
        };
        let actions = by_resource.entry(resource).or_default();
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
    let words = by_resource.into_iter().map(|(resource, actions)| format!("{} on {resource}", actions.join(", ")));
    words.collect::<Vec<_>>().join("; ")
}
