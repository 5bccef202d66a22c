//! What IAM should hold, written down from `api.md` and the SQS Developer Guide a second time.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Declared, Oracle, Owner, owner};
use crate::model::PolicyView;
use crate::stage::{arn, condition};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234";

/// What one statement allows of one action on one resource, in words.
type Permissions = BTreeSet<String>;

impl Oracle<'_> {
    /// The policy of `queue` for a permission.
    fn policy(&self, queue: &Declared, permission: &str) -> Option<PolicyView> {
        let name = format!("{}_{}_{permission}_", queue.key.namespace, queue.key.name);
        self.world.policies_named(&name).into_iter().next()
    }

    /// Why a Queue may not be ready for the policies that it has or wants.
    pub(super) fn policy_reasons(&self, queue: &Declared) -> Vec<&'static str> {
        let wanted = queue.permissions();
        let found = ["Send", "Consume", "Inspect", "Redrive"];
        let found = found.into_iter().filter_map(|permission| Some((permission, self.policy(queue, permission)?)));
        found
            .filter_map(|(permission, policy)| {
                let is_ours = owner(&policy.tags) == Owner::Queue(queue.key.clone());
                match wanted.iter().any(|wanted| wanted == permission) {
                    true if !is_ours => Some("NotOwned"),
                    false if is_ours && !policy.attached_to.is_empty() => Some("PolicyAttached"),
                    _ => None,
                }
            })
            .collect()
    }

    /// Whether a policy of `queue` is attached to anybody.
    pub(super) fn has_attached_policy(&self, queue: &Declared) -> bool {
        let of = |policy: &PolicyView| owner(&policy.tags) == Owner::Queue(queue.key.clone());
        self.world.policies().iter().any(|policy| of(policy) && !policy.attached_to.is_empty())
    }

    /// How the policies of a ready Queue differ from what it declares.
    pub(super) fn policy_differences(&self, queue: &Declared, all: &[Declared]) -> Vec<String> {
        let mut wrong = Vec::new();
        for permission in queue.permissions() {
            let Some(policy) = self.policy(queue, &permission) else {
                wrong.push(format!("there is no policy for {permission}"));
                continue;
            };
            let (is, wanted) = (allowed(&policy.document), Self::wanted(queue, &permission, all));
            if is != wanted {
                wrong.push(format!("{permission} allows {is:?}, declared is {wanted:?}"));
            }
            let recorded = queue.queue.status.iter().filter_map(|status| status.iam.as_ref());
            let mut recorded = recorded.flat_map(|iam| &iam.policies);
            let is_told = recorded.any(|entry| {
                entry.policy_arn == policy.arn.to_string() && entry.version_id.as_ref() == Some(&policy.default_version)
            });
            if !is_told {
                wrong.push(format!("status does not tell of {} {}", policy.arn, policy.default_version));
            }
        }
        wrong
    }

    fn wanted(queue: &Declared, permission: &str, all: &[Declared]) -> Permissions {
        let source = arn(&queue.name());
        let used = queue.uses(all).and_then(|key| all.iter().find(|other| other.key == key));
        let (letters, letters_key) = match (queue.dead_letter_mode(), used) {
            ("Managed", _) => (queue.managed_name().map(|name| arn(&name)), queue.kms_key()),
            ("Reference", Some(used)) => (Some(arn(&used.name())), used.kms_key()),
            ("Reference", None) => (Some(queue.text("/deadLetter/reference/queueArn").to_owned()), None),
            _ => (None, None),
        };
        let (letters, key) = (letters.unwrap_or_default(), queue.kms_key());
        let on = |resource: &str, actions: &[&str]| {
            actions.iter().map(|action| format!("sqs:{action} on {resource}")).collect::<Permissions>()
        };
        let with = |key: Option<&str>, actions: &[&str]| {
            let through = "through sqs.eu-central-1.amazonaws.com";
            let name = key.map(|key| match key {
                "alias/media" => format!("with alias/media {through}"),
                _ => format!("with {KEY} {through}"),
            });
            name.into_iter().flat_map(|name| actions.iter().map(move |action| format!("kms:{action} {name}"))).collect()
        };
        let parts: Vec<Permissions> = match permission {
            "Send" => vec![
                on(&source, &["SendMessage", "GetQueueUrl", "GetQueueAttributes"]),
                with(key, &["GenerateDataKey", "Decrypt"]),
            ],
            "Consume" => vec![
                on(
                    &source,
                    &[
                        "ReceiveMessage",
                        "DeleteMessage",
                        "ChangeMessageVisibility",
                        "GetQueueUrl",
                        "GetQueueAttributes",
                    ],
                ),
                with(key, &["Decrypt"]),
            ],
            "Inspect" => vec![
                on(&letters, &["ReceiveMessage", "ChangeMessageVisibility", "GetQueueUrl", "GetQueueAttributes"]),
                with(letters_key, &["Decrypt"]),
            ],
            _ => vec![
                on(&source, &["SendMessage"]),
                on(
                    &letters,
                    &[
                        "StartMessageMoveTask",
                        "CancelMessageMoveTask",
                        "ListMessageMoveTasks",
                        "ReceiveMessage",
                        "DeleteMessage",
                        "GetQueueAttributes",
                    ],
                ),
                with(key, &["GenerateDataKey", "Decrypt"]),
                with(letters_key, &["Decrypt"]),
            ],
        };
        parts.into_iter().flatten().collect()
    }

    /// Policies that carry owner tags and belong to nobody any more.
    pub(super) fn leftover_policies(&self, all: &[Declared]) -> Vec<String> {
        let mut wrong = Vec::new();
        for policy in self.world.policies() {
            let Owner::Queue(key) = owner(&policy.tags) else { continue };
            let arn = policy.arn.to_string();
            let is_known = all.iter().find(|queue| queue.key == key).is_some_and(|queue| {
                let is_ready = condition(&queue.queue, "Ready").is_some_and(|(status, _)| status == "True");
                let is_wanted = queue.permissions().iter().any(|p| arn.contains(&format!("_{p}_")));
                // Whoever is stuck keeps what it has.
                is_wanted || !is_ready || queue.observes() || queue.is_suspended() || queue.is_deleting()
            });
            let told = self.kube.announcements(&key);
            let is_told = told.iter().any(|event| event.reason == "LeftBehind" && event.note.contains(&arn));
            if !is_known && !is_told && !self.observed.contains(&key) {
                wrong.push(format!("{arn} is left behind, with the tags of {key}"));
            }
        }
        wrong
    }
}

fn allowed(document: &str) -> Permissions {
    let document: Value = serde_json::from_str(document).expect("IAM checked it");
    let texts = |value: &Value| {
        value.as_array().into_iter().flatten().map(|v| v.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let mut all = Permissions::new();
    for statement in document["Statement"].as_array().expect("a list") {
        let condition = statement.get("Condition").cloned().unwrap_or(json!({}));
        for action in texts(&statement["Action"]) {
            for resource in texts(&statement["Resource"]) {
                all.insert(match action.split_once(':') {
                    Some(("kms", _)) => {
                        let via = condition.pointer("/StringEquals/kms:ViaService").cloned().unwrap_or_default();
                        let aliases = condition.pointer("/ForAnyValue:StringEquals/kms:ResourceAliases");
                        let key = aliases.map_or(resource, |aliases| texts(aliases).join(","));
                        format!("{action} with {key} through {}", texts(&via).join(","))
                    }
                    _ => format!("{action} on {resource}"),
                });
            }
        }
    }
    all
}
