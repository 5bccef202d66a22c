//! The answer about a Pod.

use json_patch::Patch;
use k8s_openapi::api::core::v1::Pod;

use crate::api::INJECT;

use super::patch::{self, Environment};
use super::source::{Asked, NoSecret, Source};

/// What becomes of a Pod that cannot have all that it asks for, in Kubernetes' words for webhooks that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Closed: it is refused.
    Fail,
    /// Open: it is admitted with what it can have, and warnings.
    Ignore,
}

/// What was found of a [`Source`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The object is there, and has this Secret or none.
    Secret(Result<String, NoSecret>),
    /// There is no such object.
    Nothing,
    /// It could not be looked at, and why.
    Unknown(String),
}

/// The answer about a Pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Admit it so changed.
    Admit {
        /// Empty when the Pod stays as it is.
        patch: Patch,
        /// A sentence each.
        warnings: Vec<String>,
    },
    /// Refuse it: why, all at once.
    Refuse(String),
}

/// Decides about `pod`, which is being created in `namespace` and of whose sources this was `found`, in their order.
#[must_use]
pub fn decide(pod: &Pod, namespace: &str, asked: &Asked, found: &[Found], policy: FailurePolicy) -> Decision {
    let mut troubles = asked.errors.clone();
    let mut environments = Vec::new();
    for (source, found) in asked.sources.iter().zip(found) {
        let (secret, trouble) = secret(source, found, namespace, policy);
        troubles.extend(trouble);
        let prefix = if asked.is_several { source.prefix() } else { String::new() };
        environments.extend(secret.map(|secret| Environment { source: source.to_string(), secret, prefix }));
    }
    match policy {
        FailurePolicy::Fail if !troubles.is_empty() => Decision::Refuse(format!("{INJECT}: {}", troubles.join("; "))),
        _ => Decision::Admit {
            patch: patch::patch(pod, &environments, &troubles),
            warnings: troubles.iter().map(|trouble| format!("{INJECT}: {trouble}")).collect(),
        },
    }
}

/// The Secret to take in, and what is wrong.
fn secret(source: &Source, found: &Found, namespace: &str, policy: FailurePolicy) -> (Option<String>, Option<String>) {
    let (kind, name) = match source {
        Source::Queue(name) => ("Queue", name),
        Source::Access(name) => ("QueueAccess", name),
    };
    match found {
        Found::Secret(Ok(secret)) => (Some(secret.clone()), None),
        Found::Secret(Err(NoSecret(why))) => (None, Some(format!("{kind} {name} {why}"))),
        Found::Unknown(why) => (None, Some(format!("{kind} {name} could not be read: {why}"))),
        Found::Nothing => {
            let nothing = format!("there is no {kind} {name} in namespace {namespace}");
            match policy {
                FailurePolicy::Fail => (None, Some(nothing)),
                // As with an `envFrom` written by hand: better a Pod that waits than one that runs without its queue for ever.
                FailurePolicy::Ignore => {
                    let secret = source.default_secret();
                    let trouble = format!("{nothing}; the Pod waits for the Secret {secret}");
                    (Some(secret), Some(trouble))
                }
            }
        }
    }
}
