//! What holds for every Queue of a class: where queues live, how they are named, what is omitted, what is allowed.

mod catalog;
mod defaults;
mod limits;
mod permissions;
mod report;
mod satisfiable;
mod selector;

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::api::class::{ClassDefaults, DriftMode, QueueClass};
use crate::api::queue::{Queue, QueueSpec};

use super::arn::Place;
use super::field::FieldError;
use super::iam::IamPath;
use super::identity::Making;
use super::names::Naming;
use super::tags::{ClusterIdentity, Tags};
pub use catalog::Catalog;
pub use limits::Limits;
pub use permissions::{ContextValue, Decision, Evaluation, Permissions, Question, questions};
pub use report::{Reach, status_of_class};
pub use satisfiable::satisfiable;
pub(in crate::domain) use selector::matches as selects;

/// The name under which `status.target` records that the operator's flags stood in for a class. It is no valid
/// object name, so that no class can ever be taken for it.
pub const FLAGS: &str = "(operator flags)";

/// Labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// The rules of the house for the Queues of one namespace.
#[derive(Clone, Debug)]
pub struct Class {
    /// Recorded in `status.target`.
    pub name: String,
    /// The account and region in which queues are made.
    pub place: Place,
    /// Who the operator is to AWS: a policy must not lock it out.
    pub caller_arn: String,
    /// How default names are made.
    pub naming: Naming,
    /// Which cluster the operator acts for.
    pub cluster: ClusterIdentity,
    /// Tags of every queue, the namespace's labels among them; they win over the Queue's own.
    pub tags: Tags,
    /// What an omitted field means.
    pub defaults: ClassDefaults,
    /// What Queues may ask for.
    pub limits: Limits,
    /// What is done about changes from outside.
    pub drift: DriftMode,
    /// What workloads get as `AWS_ENDPOINT_URL_SQS`.
    pub workload_endpoint_url: Option<String>,
    /// How often a Queue is compared with AWS when nothing happens.
    pub resync: SignedDuration,
    /// How long a queue must read as empty before it is deleted.
    pub empty_for: SignedDuration,
    /// Where policies and roles are made in IAM.
    pub iam_path: IamPath,
    /// How roles are made for `ServiceAccount`s; `None`: they are not.
    pub roles: Option<Making>,
}

impl Class {
    /// What `object` says to the Queues of a namespace with these labels; the rest is as in `built_in`.
    ///
    /// # Errors
    /// The rule that its naming or its path breaks, which the API server refuses.
    pub fn of(object: &QueueClass, built_in: &Self, labels: &Labels) -> Result<Self, FieldError> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let spec = &object.spec;
        let naming = Naming::of_class(spec.naming.as_ref())?;
        let drift = spec.drift.clone().unwrap_or_default();
        let iam_path = spec.iam.as_ref().and_then(|iam| iam.path.as_deref()).map(IamPath::parse).transpose();
        let from_labels = spec.tags_from_namespace_labels.iter().flatten();
        let mut tags: Tags =
            from_labels.filter_map(|(tag, label)| Some((tag.clone(), labels.get(label)?.clone()))).collect();
        tags.extend(spec.tags.clone().unwrap_or_default());
        Ok(Self {
            place: spec.aws.place(),
            caller_arn: spec.aws.role_arn.clone().unwrap_or_else(|| built_in.caller_arn.clone()),
            naming,
            cluster: built_in.cluster.clone(),
            tags,
            defaults: spec.defaults.clone().unwrap_or_default(),
            limits: Limits::Class { name: name.clone(), limits: Box::new(spec.limits.clone().unwrap_or_default()) },
            drift: drift.mode.unwrap_or_default(),
            workload_endpoint_url: spec.aws.workload_endpoint_url.clone(),
            resync: drift.interval_seconds.map_or(built_in.resync, |seconds| SignedDuration::from_secs(seconds.into())),
            empty_for: built_in.empty_for,
            roles: spec.iam.as_ref().and_then(|iam| Making::of(iam, &built_in.place.account_id)),
            iam_path: iam_path.map_err(|rule| FieldError::new("spec.iam.path", rule))?.unwrap_or_default(),
            name,
        })
    }

    /// The spec of `queue` with the class's defaults in the place of what it omits.
    #[must_use]
    pub fn spec_of(&self, queue: &Queue) -> QueueSpec {
        defaults::merge(&self.defaults, &queue.spec)
    }

    /// Whether the operator's flags stand in for a class.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.name == FLAGS
    }

    /// How the class is called in a sentence about where queues are made.
    #[must_use]
    pub fn in_words(&self) -> String {
        if self.is_built_in() { "the operator".to_owned() } else { format!("class {:?}", self.name) }
    }
}
