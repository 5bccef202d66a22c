//! An association of EKS Pod Identity: which role the Pods of a ServiceAccount have.

use std::fmt;

use super::super::tags::Tags;

/// Whose association it is: EKS keeps one for each ServiceAccount of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationKey {
    /// The cluster's name in EKS.
    pub cluster: String,
    /// The namespace of the ServiceAccount. It need not be there.
    pub namespace: String,
    /// The name of the ServiceAccount. It need not be there.
    pub service_account: String,
}

impl fmt::Display for AssociationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, namespace, service_account } = self;
        write!(f, "the EKS Pod Identity association of {namespace}/{service_account} in cluster {cluster}")
    }
}

/// An association as `DescribePodIdentityAssociation` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// EKS's own id of it, for example `a-9njjin9gfghecgocd`.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The role that Pods get, in the cluster's account.
    pub role_arn: String,
    /// The role, in whichever account, that is assumed with the first one; Pods get this one then.
    pub target_role_arn: Option<String>,
    /// What EKS says to assume the target role, for its trust policy; only where there is a target role.
    pub external_id: Option<String>,
    /// Its tags.
    pub tags: Tags,
}
