//! As whom workloads act: one role for each `ServiceAccount`, its trust and its policies, and the policies of roles that
//! others made. All `QueueAccess`es of one subject come to one [`Desired`].

mod arn;
mod association;
mod binding;
mod desired;
mod entitlement;
mod names;
mod picture;
mod plan;
mod record;
mod role;
mod trust;

use crate::api::class::{ClassIam, PodIdentity};

use super::arn::{Place, partition_of};
use super::class::Class;

pub use arn::{MAX_ROLE_NAME, RoleArn};
pub use association::{Association, AssociationKey};
pub use binding::{AccountSight, AssociationSight, Binding, Bound, ROLE_ANNOTATION, ServiceAccount};
pub use desired::{Desired, DesiredRole, MAX_POLICIES, Member, Request, Source, account_on_record, home, word};
pub use entitlement::{Claim, Entitlement, Given};
pub use names::Names;
pub use picture::{Picture, PresentRole, RoleSight};
pub use plan::{IdentityPlan, IdentityStep};
pub use role::Role;
pub use trust::{Trust, Workload};

/// How a class makes roles for `ServiceAccount`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Making {
    /// The ARN of the permissions boundary of every role.
    pub boundary: String,
    /// How Pods come to their role.
    pub way: Way,
}

impl Making {
    /// What a class says; `None` when it says too little to make a role. `own_account` is where the operator's own identity
    /// is.
    #[must_use]
    pub fn of(iam: &ClassIam, own_account: &str) -> Option<Self> {
        let boundary = iam.permissions_boundary_arn.clone()?;
        let tokens = || Some(Way::Tokens { provider_arn: iam.oidc_provider_arn.clone()? });
        let way = iam.pod_identity.as_ref().map(|cluster| Way::PodIdentity(EksCluster::of(cluster, own_account)));
        Some(Self { boundary, way: way.or_else(tokens)? })
    }
}

/// How Pods come to their role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// IAM roles for service accounts: by the tokens of the cluster's identity provider in IAM.
    Tokens {
        /// The provider's ARN.
        provider_arn: String,
    },
    /// EKS Pod Identity.
    PodIdentity(EksCluster),
}

impl Way {
    /// The cluster, when it is in another account than the queues of `class`.
    #[must_use]
    pub fn other_account(&self, class: &Class) -> Option<&EksCluster> {
        match self {
            Self::PodIdentity(cluster) if cluster.place.account_id != class.place.account_id => Some(cluster),
            Self::PodIdentity(_) | Self::Tokens { .. } => None,
        }
    }
}

/// The cluster as EKS knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EksCluster {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The permissions boundary of roles that are made in its account.
    pub boundary: Option<String>,
}

impl EksCluster {
    /// It is in the account of the role that is assumed for it, or in the operator's own.
    fn of(cluster: &PodIdentity, own_account: &str) -> Self {
        let account = cluster.role_arn.as_deref().and_then(|arn| arn.split(':').nth(4)).unwrap_or(own_account);
        Self {
            name: cluster.cluster_name.clone(),
            place: Place { account_id: account.to_owned(), region: cluster.region.clone() },
            boundary: cluster.permissions_boundary_arn.clone(),
        }
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        let Place { account_id, region } = &self.place;
        format!("arn:{}:eks:{region}:{account_id}:cluster/{}", partition_of(region), self.name)
    }
}
