//! Tags: whose a queue is, which tags it is to have, and which are ours to change.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::QueueSpec;

use super::class::Class;
use super::field::FieldError;

/// Tags of one queue.
pub type Tags = BTreeMap<String, String>;

/// The prefix of every owner tag; reserved, so that no Queue or class can set one.
pub const OWNER_PREFIX: &str = "queue.prism.io/";
const CLUSTER: &str = "queue.prism.io/cluster";
const CLUSTER_UID: &str = "queue.prism.io/cluster-uid";
const NAMESPACE: &str = "queue.prism.io/namespace";
const NAME: &str = "queue.prism.io/name";
const ORIGIN: &str = "queue.prism.io/origin";

/// Tags that a queue may have. Source: `TagQueue` in the SQS API reference, "Amazon SQS message and queue quotas".
pub const MAX_TAGS: usize = 50;

/// The keys of all owner tags: what `Retain` removes as it lets go.
pub const OWNER_KEYS: [&str; 5] = [CLUSTER, CLUSTER_UID, NAMESPACE, NAME, ORIGIN];

/// Which cluster the operator acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// `--cluster-name`.
    pub name: String,
    /// The UID of the namespace `kube-system`: it tells two clusters of one name apart.
    pub uid: String,
    /// `--previous-cluster-uid`: the cluster of this name that this one replaces.
    pub previous_uid: Option<String>,
}

/// The Queue that a queue in AWS belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterIdentity,
    /// The Queue's namespace.
    pub namespace: String,
    /// The Queue's name.
    pub name: String,
}

/// How a queue came to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We created it.
    Created,
    /// It was there, without owner tags, and the Queue said `Adopt`.
    Adopted,
}

impl Origin {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Adopted => "adopted",
        }
    }
}

/// Whose a queue is, by its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This Queue's.
    Ours {
        /// How it came to be ours.
        origin: Origin,
    },
    /// This Queue's, from the cluster that this one replaces: its tags are to be renewed.
    OursFromPreviousCluster {
        /// How it came to be ours.
        origin: Origin,
    },
    /// No owner tags at all.
    Nobodys,
    /// Another Queue's of this cluster.
    AnotherQueues {
        /// `namespace/name`.
        owner: String,
    },
    /// Another cluster's, or tagged in part.
    AnotherClusters {
        /// In words.
        owner: String,
    },
    /// The same Queue's, of a cluster of the same name with another UID.
    AnotherClusterOfThisName {
        /// That cluster's UID.
        uid: String,
    },
}

impl Owner {
    /// Whether what carries these tags is ours, under this cluster or the one that it replaces.
    #[must_use]
    pub fn owns(&self, tags: &Tags) -> bool {
        matches!(self.ownership(tags), Ownership::Ours { .. } | Ownership::OursFromPreviousCluster { .. })
    }

    /// The owner tags of a queue that is ours by `origin`.
    #[must_use]
    pub fn tags(&self, origin: Origin) -> Tags {
        [
            (CLUSTER, self.cluster.name.as_str()),
            (CLUSTER_UID, &self.cluster.uid),
            (NAMESPACE, &self.namespace),
            (NAME, &self.name),
            (ORIGIN, origin.as_str()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }

    /// Whose the queue with these tags is.
    #[must_use]
    pub fn ownership(&self, tags: &Tags) -> Ownership {
        let tag = |key: &str| tags.get(key).map(String::as_str);
        let identifying = [CLUSTER, CLUSTER_UID, NAMESPACE, NAME];
        if identifying.iter().all(|key| tag(key).is_none()) {
            return Ownership::Nobodys;
        }
        let [Some(cluster), Some(uid), Some(namespace), Some(name)] = identifying.map(tag) else {
            let present: Vec<&str> = identifying.into_iter().filter(|key| tag(key).is_some()).collect();
            return Ownership::AnotherClusters {
                owner: format!("unknown: of the owner tags only {} are there", present.join(", ")),
            };
        };
        if cluster != self.cluster.name {
            return Ownership::AnotherClusters { owner: format!("cluster {cluster:?}, Queue {namespace}/{name}") };
        }
        let ours = namespace == self.namespace && name == self.name;
        // Without the tag it may have been adopted, and what was adopted is deleted only on demand.
        let origin = if tag(ORIGIN) == Some(Origin::Created.as_str()) { Origin::Created } else { Origin::Adopted };
        match (uid == self.cluster.uid, self.cluster.previous_uid.as_deref() == Some(uid)) {
            (true, _) if ours => Ownership::Ours { origin },
            (false, true) if ours => Ownership::OursFromPreviousCluster { origin },
            (true, _) | (false, true) => Ownership::AnotherQueues { owner: format!("{namespace}/{name}") },
            (false, false) => Ownership::AnotherClusterOfThisName { uid: uid.to_owned() },
        }
    }
}

/// What to change so that a queue carries `desired`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    /// To add or overwrite.
    pub set: Tags,
    /// To remove.
    pub remove: Vec<String>,
}

impl TagChange {
    /// The difference between `desired` and `observed`. Of the keys in `observed` only those in `managed`, which
    /// we set before, are ever removed: auto-taggers keep theirs.
    #[must_use]
    pub fn between(desired: &Tags, observed: &Tags, managed: &BTreeSet<String>) -> Self {
        let set = desired.iter().filter(|(key, value)| observed.get(*key) != Some(*value));
        let remove = managed.iter().filter(|key| observed.contains_key(*key) && !desired.contains_key(*key));
        Self { set: set.map(|(k, v)| (k.clone(), v.clone())).collect(), remove: remove.cloned().collect() }
    }

    /// What differs in `observed`, tag by tag.
    #[must_use]
    pub fn in_words(&self, observed: &Tags) -> Vec<String> {
        let set = self.set.iter().map(|(key, declared)| match observed.get(key) {
            Some(is) => format!("the tag {key} is {is:?}, declared is {declared:?}"),
            None => format!("the tag {key} is not set, declared is {declared:?}"),
        });
        let remove = self.remove.iter().map(|key| format!("the tag {key} is set, declared is none"));
        set.chain(remove).collect()
    }
}

/// The class's tags and the Queue's own, of which the class's win.
pub(super) fn declared_tags(spec: &QueueSpec, class: &Class, errors: &mut Vec<FieldError>) -> Tags {
    let mut tags = spec.tags.clone().unwrap_or_default();
    check_tags(&tags, errors);
    tags.extend(class.tags.clone());
    if tags.len() + OWNER_KEYS.len() > MAX_TAGS {
        let rule = format!(
            "{} tags with the {} of class {:?}; SQS allows {MAX_TAGS}, of which {} are the operator's own",
            tags.len(),
            class.tags.len(),
            class.name,
            OWNER_KEYS.len()
        );
        errors.push(FieldError::new("spec.tags", rule));
    }
    tags
}

/// The tag rules again, for objects stored under an older CRD.
fn check_tags(tags: &Tags, errors: &mut Vec<FieldError>) {
    const MAX: usize = 40;
    if tags.len() > MAX {
        errors.push(FieldError::new("spec.tags", format!("{} tags; at most {MAX} are allowed", tags.len())));
    }
    for (key, value) in tags {
        let path = format!("spec.tags[{key:?}]");
        if key.starts_with(OWNER_PREFIX) {
            errors.push(FieldError::new(
                &path,
                format!("the prefix {OWNER_PREFIX} is reserved for the operator's owner tags"),
            ));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            errors.push(FieldError::new(&path, "the prefix aws: is reserved by AWS"));
        }
        if key.is_empty() || key.chars().count() > 128 {
            errors.push(FieldError::new(&path, "a key has 1 to 128 characters"));
        }
        if value.chars().count() > 256 {
            errors.push(FieldError::new(&path, "a value has at most 256 characters"));
        }
    }
}
