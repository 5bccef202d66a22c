//! What we ask of Kubernetes, as narrowly as of AWS.

use async_trait::async_trait;

use crate::api::status::QueueStatus;
use crate::api::{Queue, QueueAccess, QueueAccessStatus};
use crate::domain::access::Subject;
use crate::domain::class::{Class, Labels};
use crate::domain::fleet::{Fleet, Key};
use crate::domain::identity::ServiceAccount;
use crate::domain::outputs::{ObservedOutput, Output, OutputKind};

/// The reads and writes in Kubernetes that a reconcile makes, and no others. Reads are from caches, unless they say otherwise.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// The Queues, as last seen, that decisions about `queue` depend on, and `queue` itself in this version.
    fn fleet_around(&self, queue: &Queue, class: &Class) -> Fleet;

    /// The Queue of this name, as last seen.
    fn queue(&self, key: &Key) -> Option<Queue>;

    /// The Queue of this name, from the API server itself; one that cannot be read counts as gone.
    async fn newest_queue(&self, key: &Key) -> Result<Option<Queue>, ClusterError>;

    /// The labels of the namespace of `access`, when they are known.
    fn labels_around(&self, access: &QueueAccess) -> Option<Labels>;

    /// The `QueueAccess`es of a namespace for one subject, as last seen, the oldest first.
    fn accesses_of(&self, namespace: &str, subject: &Subject) -> Vec<QueueAccess>;

    /// The `ServiceAccount`, read now: they are not watched.
    async fn service_account(&self, namespace: &str, name: &str) -> Result<Option<ServiceAccount>, ClusterError>;

    /// Annotates a `ServiceAccount` with a role, or takes the annotation away. Refused as [`ClusterError::Stale`] when the
    /// object changed since `account` was read.
    async fn annotate(
        &self,
        namespace: &str,
        name: &str,
        account: &ServiceAccount,
        role_arn: Option<&str>,
    ) -> Result<(), ClusterError>;

    /// The outputs that `owner` owns, as last seen.
    fn outputs_of(&self, owner: &Owner) -> Vec<ObservedOutput>;

    /// Replaces the finalizers. Refused as [`ClusterError::Stale`] when the object changed since `queue` was read.
    async fn set_finalizers(&self, queue: &Queue, finalizers: Vec<String>) -> Result<Queue, ClusterError>;

    /// Replaces the status. Refused as [`ClusterError::Stale`] when the object changed since `queue` was read.
    async fn write_status(&self, queue: &Queue, status: QueueStatus) -> Result<Queue, ClusterError>;

    /// Replaces the finalizers of a `QueueAccess`, as [`Cluster::set_finalizers`] does.
    async fn set_access_finalizers(
        &self,
        access: &QueueAccess,
        finalizers: Vec<String>,
    ) -> Result<QueueAccess, ClusterError>;

    /// Replaces the status of a `QueueAccess`, as [`Cluster::write_status`] does.
    async fn write_access_status(
        &self,
        access: &QueueAccess,
        status: QueueAccessStatus,
    ) -> Result<QueueAccess, ClusterError>;

    /// Makes an output so, whether it is there or not. An object of this name that `owner` does not own is left
    /// alone and answered with [`ClusterError::Foreign`].
    async fn write_output(&self, owner: &Owner, output: &Output) -> Result<(), ClusterError>;

    /// Removes an output that `owner` owns, in the cache or not; one that is gone already, or another's, is fine.
    async fn delete_output(&self, owner: &Owner, kind: OutputKind, name: &str) -> Result<(), ClusterError>;

    /// Tells people. Failing to is logged and changes nothing.
    async fn publish(&self, owner: &Owner, event: Announcement);
}

/// An object that owns outputs, and that events are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Of which kind it is.
    pub kind: OwnerKind,
    /// Its namespace and name.
    pub key: Key,
    /// Its UID.
    pub uid: String,
}

/// The kinds that own outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// A Queue.
    Queue,
    /// A `QueueAccess`.
    QueueAccess,
}

impl OwnerKind {
    /// Reads what [`OwnerKind::as_str`] says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queue, Self::QueueAccess].into_iter().find(|kind| kind.as_str() == text)
    }

    /// The Kubernetes kind.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "Queue",
            Self::QueueAccess => "QueueAccess",
        }
    }
}

impl From<&Queue> for Owner {
    fn from(queue: &Queue) -> Self {
        let uid = queue.metadata.uid.clone().unwrap_or_default();
        Self { kind: OwnerKind::Queue, key: Key::of(queue), uid }
    }
}

impl From<&QueueAccess> for Owner {
    fn from(access: &QueueAccess) -> Self {
        let uid = access.metadata.uid.clone().unwrap_or_default();
        Self { kind: OwnerKind::QueueAccess, key: Key::of_metadata(&access.metadata), uid }
    }
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
    /// An object of this name exists and is not the owner's.
    #[error("{} {name} exists and does not belong to this {}", kind.as_str(), owner.as_str())]
    Foreign {
        /// The kind of whom it should belong to.
        owner: OwnerKind,
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
