//! Injection: what the annotation [`crate::api::INJECT`] of a Pod means for its containers.
//!
//! A Pod names Queues and `QueueAccess`es of its own namespace, and gets what a person would write by hand: `envFrom` with the
//! Secret of each, in every container and init container. References are by name, so nothing of a Secret passes through here,
//! and Kubernetes holds the Pod until the Secret is there. What the Pod says itself always wins: `env` before `envFrom`, and of
//! two `envFrom` the later, so ours come first.
//!
//! [`Asked`] reads the annotation, [`secret_of_queue`] and [`secret_of_access`] say which Secret is meant, [`decide`] answers.

mod decide;
mod patch;
mod source;

pub use decide::{Decision, FailurePolicy, Found, decide};
pub use source::{Asked, NoSecret, Source, secret_of_access, secret_of_queue};
