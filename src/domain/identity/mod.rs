//! As whom workloads act: one role for each `ServiceAccount`, its trust and its policies, and the policies of roles that
//! others made. All `QueueAccess`es of one subject come to one [`Desired`].

mod arn;
mod desired;
mod entitlement;
mod names;
mod picture;
mod plan;
mod association;
mod role;
mod trust;

use crate::api::class::ClassIam;

pub use arn::{MAX_ROLE_NAME, RoleArn};
pub use desired::{
    AccountSight, Annotation, Desired, DesiredRole, MAX_POLICIES, Member, Request, ServiceAccount, word,
};
pub use entitlement::{Claim, Entitlement, Given};
pub use names::Names;
pub use picture::{Picture, PresentRole, RoleSight};
pub use plan::{IdentityPlan, IdentityStep};
pub use association::{Association, AssociationKey};
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
    /// What a class says; `None` when it says too little to make a role.
    #[must_use]
    pub fn of(iam: &ClassIam) -> Option<Self> {
        let way = Way::Tokens { provider_arn: iam.oidc_provider_arn.clone()? };
        Some(Self { boundary: iam.permissions_boundary_arn.clone()?, way })
    }
}

/// How Pods come to their role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// IAM roles for service accounts: by the tokens of the cluster's OpenID Connect provider in IAM.
    Tokens {
        /// The provider's ARN.
        provider_arn: String,
    },
}
