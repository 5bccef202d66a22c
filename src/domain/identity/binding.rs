//! How a `ServiceAccount` comes to its role: the annotation that IRSA reads, or an association of EKS Pod Identity.

use super::super::call::CallError;
use super::super::tags::{Origin, Owner, Tags};
use super::{Association, Desired, DesiredRole, RoleArn};

/// The annotation that IRSA reads. Source: Amazon EKS User Guide, "Assign IAM roles to Kubernetes service accounts".
pub const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// A `ServiceAccount` as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountSight {
    /// The subject is none.
    NotAsked,
    /// It is not there.
    Absent,
    /// It is there.
    Present(ServiceAccount),
}

/// What is to be known of a `ServiceAccount`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The role that it is annotated with.
    pub role_arn: Option<String>,
    /// Its version, for a write that hits no other.
    pub resource_version: Option<String>,
}

/// What was seen of the association of a `ServiceAccount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssociationSight {
    /// The class does not use EKS Pod Identity, or the subject is no `ServiceAccount`.
    NotAsked,
    /// There is none.
    Absent,
    /// Looking failed.
    Failed(CallError),
    /// It is there.
    Present(Association),
}

/// What a `ServiceAccount` is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// The `ServiceAccount`.
    pub account: &'a AccountSight,
    /// Its association.
    pub association: &'a AssociationSight,
}

/// A write that binds a `ServiceAccount` to its role, or lets it go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Annotate it with this role.
    Annotate(String),
    /// Take the annotation away.
    Unannotate,
    /// `CreatePodIdentityAssociation` with this role.
    Associate {
        /// In the cluster's account.
        role_arn: String,
        /// In the account of the queues, if that is another.
        target_role_arn: Option<String>,
        /// Its tags: the owner's.
        tags: Tags,
    },
    /// `UpdatePodIdentityAssociation` to this role.
    Reassociate {
        /// Which.
        id: String,
        /// In the cluster's account.
        role_arn: String,
        /// In the account of the queues, if that is another.
        target_role_arn: Option<String>,
    },
    /// `DeletePodIdentityAssociation`.
    Dissociate {
        /// Which.
        id: String,
    },
}

impl Binding {
    /// What was done.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Annotate(role_arn) => format!("annotated the ServiceAccount with role {role_arn}"),
            Self::Unannotate => "removed the role from the annotations of the ServiceAccount".to_owned(),
            Self::Associate { role_arn, .. } => {
                format!("created the EKS Pod Identity association with role {role_arn}")
            }
            Self::Reassociate { id, role_arn, .. } => {
                format!("set the role of the EKS Pod Identity association {id} to {role_arn}")
            }
            Self::Dissociate { id } => format!("deleted the EKS Pod Identity association {id}"),
        }
    }

    /// Whether it only takes away.
    #[must_use]
    pub fn lets_go(&self) -> bool {
        matches!(self, Self::Unannotate | Self::Dissociate { .. })
    }
}

impl Bound<'_> {
    /// The role of others that the `ServiceAccount` is bound to, and where that is said. SDKs follow the annotation first.
    pub(super) fn foreign_role(&self, own_role: &RoleArn, owner: &Owner) -> Option<(String, String)> {
        let own = own_role.to_string();
        if let AccountSight::Present(ServiceAccount { role_arn: Some(arn), .. }) = self.account
            && *arn != own
        {
            return Some((arn.clone(), format!("the annotation {ROLE_ANNOTATION} of the ServiceAccount")));
        }
        let AssociationSight::Present(association) = self.association else { return None };
        (!owner.owns(&association.tags)).then(|| {
            let arn = association.target_role_arn.as_ref().unwrap_or(&association.role_arn);
            (arn.clone(), format!("the EKS Pod Identity association {}", association.id))
        })
    }
}

impl Desired {
    /// What is to be done so that the `ServiceAccount` has its role. What others bound is left as it is.
    pub(super) fn bindings(&self, bound: &Bound<'_>, by_association: bool) -> Vec<Binding> {
        let Some(own) = self.own_role.as_ref().map(ToString::to_string) else {
            return Vec::new();
        };
        let mut bindings = Vec::new();
        let annotated = match bound.account {
            AccountSight::Present(account) => account.role_arn.as_ref(),
            AccountSight::Absent | AccountSight::NotAsked => None,
        };
        let has_own = annotated == Some(&own);
        match &self.role {
            DesiredRole::Made { .. } if by_association && has_own => bindings.push(Binding::Unannotate),
            DesiredRole::Made { .. } if !by_association && annotated.is_none() => {
                bindings.push(Binding::Annotate(own.clone()));
            }
            DesiredRole::Nobody if has_own => bindings.push(Binding::Unannotate),
            _ => {}
        }
        let (role_arn, target_role_arn) = match &self.source {
            Some(source) => (source.arn.to_string(), Some(own)),
            None => (own, None),
        };
        match (bound.association, &self.role) {
            (AssociationSight::Absent, DesiredRole::Made { .. }) if by_association => {
                let tags = self.owner.tags(Origin::Created);
                bindings.push(Binding::Associate { role_arn, target_role_arn, tags });
            }
            (AssociationSight::Present(there), role) if self.owner.owns(&there.tags) => {
                let id = there.id.clone();
                let is_right = there.role_arn == role_arn && there.target_role_arn == target_role_arn;
                match role {
                    DesiredRole::Made { .. } if by_association && !is_right => {
                        bindings.push(Binding::Reassociate { id, role_arn, target_role_arn });
                    }
                    DesiredRole::Nobody | DesiredRole::Foreign(_) => bindings.push(Binding::Dissociate { id }),
                    DesiredRole::Made { .. } | DesiredRole::Kept(_) => {}
                }
            }
            _ => {}
        }
        bindings
    }
}
