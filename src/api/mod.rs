//! The kinds of `queue.prism.io/v1alpha1`: types, condition types and reasons.
//!
//! The API is the product. Nothing here decides anything: [`crate::domain`] does.

pub mod access;
pub mod class;
pub mod conditions;
pub mod crd;
pub mod iam;
pub mod queue;
pub mod queue_access;
mod schema;
pub mod status;

pub use class::{QueueClass, QueueClassSpec, QueueClassStatus};
pub use queue::{Queue, QueueSpec};
pub use queue_access::{QueueAccess, QueueAccessSpec, QueueAccessStatus};
pub use status::QueueStatus;

/// The API group of every kind.
pub const GROUP: &str = "queue.prism.io";

/// Held on a Queue while a queue in AWS may have to be let go or deleted first, and on a `QueueAccess` while a queue policy may
/// let its subject in.
pub const FINALIZER: &str = "queue.prism.io/finalizer";

/// On every Secret and `ConfigMap` that the operator makes; it watches no others.
pub const MANAGED_BY_LABEL: &str = "queue.prism.io/managed-by";

/// The value of [`MANAGED_BY_LABEL`], and the field manager of every write.
pub const MANAGER: &str = "prism-queue";

/// Annotation: any change of its value reconciles the Queue now.
pub const RECONCILE_AT: &str = "queue.prism.io/reconcile-at";

/// Annotation: names exactly the changes that may destroy messages, as `field=value[,field=value]`.
pub const ALLOW_MESSAGE_LOSS: &str = "queue.prism.io/allow-message-loss";

/// Annotation: `"true"` on the one `QueueClass` that is for Queues which name none.
pub const IS_DEFAULT_CLASS: &str = "queue.prism.io/is-default-class";

/// Annotation on a Pod: the Queues and `QueueAccess`es of its namespace whose environment it gets, by name, separated by commas.
pub const INJECT: &str = "queue.prism.io/inject";

/// Annotation that the webhook puts on a Pod: what it got, and from which Secrets.
pub const INJECTED: &str = "queue.prism.io/injected";

/// Annotation that the webhook puts on a Pod which it admitted although something was wrong: what.
pub const INJECTION_WARNINGS: &str = "queue.prism.io/injection-warnings";
