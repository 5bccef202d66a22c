//! What we ask of Kubernetes, as narrowly as of AWS.

use async_trait::async_trait;

use crate::api::Queue;
use crate::api::status::QueueStatus;
use crate::domain::class::Class;
use crate::domain::fleet::Fleet;
use crate::domain::outputs::{ObservedOutput, Output, OutputKind};

/// The reads and writes in Kubernetes that a reconcile makes, and no others. Reads are from caches.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// The Queues, as last seen, that decisions about `queue` depend on, and `queue` itself in this version.
    fn fleet_around(&self, queue: &Queue, class: &Class) -> Fleet;

    /// The outputs that `queue` owns, as last seen.
    fn outputs_of(&self, queue: &Queue) -> Vec<ObservedOutput>;

    /// Replaces the finalizers. Refused as [`ClusterError::Stale`] when the object changed since `queue` was read.
    async fn set_finalizers(&self, queue: &Queue, finalizers: Vec<String>) -> Result<Queue, ClusterError>;

    /// Replaces the status. Refused as [`ClusterError::Stale`] when the object changed since `queue` was read.
    async fn write_status(&self, queue: &Queue, status: QueueStatus) -> Result<Queue, ClusterError>;

    /// Makes an output so, whether it is there or not. An object of this name that `queue` does not own is left
    /// alone and answered with [`ClusterError::Foreign`].
    async fn write_output(&self, queue: &Queue, output: &Output) -> Result<(), ClusterError>;

    /// Removes an output that `queue` owns, in the cache or not; one that is gone already, or another's, is fine.
    async fn delete_output(&self, queue: &Queue, kind: OutputKind, name: &str) -> Result<(), ClusterError>;

    /// Tells people. Failing to is logged and changes nothing.
    async fn publish(&self, queue: &Queue, event: Announcement);
}

/// An event to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Whether something is wrong.
    pub is_warning: bool,
    /// The event's reason.
    pub reason: &'static str,
    /// The event's note, for people; what exceeds 1 KiB is cut.
    pub note: String,
}

/// A call to Kubernetes that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The object changed since it was read; the newer one comes through the watch.
    #[error("the object changed in the meantime")]
    Stale,
    /// The object is gone.
    #[error("the object is gone")]
    Gone,
    /// An object of this name exists and is not the Queue's.
    #[error("{} {name} exists and does not belong to this Queue", kind.as_str())]
    Foreign {
        /// Secret or `ConfigMap`.
        kind: OutputKind,
        /// Its name.
        name: String,
    },
    /// This process may not write any more: another leads.
    #[error("this process may not write any more")]
    NotLeading,
    /// The API server will not take this write, in its words.
    #[error("{0}")]
    Refused(String),
    /// Anything that may be over by the next try.
    #[error("{0}")]
    Failed(String),
}
