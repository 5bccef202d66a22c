//! Secrets and `ConfigMap`s.

use prism_queue::domain::outputs::{Output, OutputKind};

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    pub kind: OutputKind,
    pub namespace: String,
    pub name: String,
}

/// A Secret or a `ConfigMap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub uid: u64,
    pub version: u64,
    /// The UID and name of the Queue or `QueueAccess` that owns it.
    pub owner: Option<(String, String)>,
    /// Whether it carries the operator's label.
    pub labelled: bool,
    pub content: Output,
}

impl Object {
    /// Whether the object with `uid` owns it.
    pub fn is_owned_by(&self, uid: Option<&str>) -> bool {
        uid.is_some() && self.owner.as_ref().map(|(uid, _)| uid.as_str()) == uid
    }
}
