//! A `ServiceAccount` is bound to its role, by annotation or association, or let go.

use crate::domain::access::Subject;
use crate::domain::call::CallError;
use crate::domain::identity::{AccountSight, AssociationKey, AssociationSight, Binding, Making, Way};

use super::super::queue::apply::Failure;
use super::Pass;
use super::identity::Work;
use super::roles::gone;

impl Pass<'_> {
    /// Binds the `ServiceAccount` to its role, or lets it go.
    pub(super) async fn bind(&self, binding: &Binding, work: &mut Work<'_>) -> Result<Result<(), CallError>, Failure> {
        let scene = work.scene;
        let Subject::ServiceAccount(name) = &scene.subject else { return Ok(Ok(())) };
        let (role_arn, account) = match (binding, &scene.account) {
            (Binding::Annotate(role_arn), AccountSight::Present(account)) => (Some(role_arn.as_str()), account),
            (Binding::Unannotate, AccountSight::Present(account)) => (None, account),
            _ => return Ok(associate(binding, work).await),
        };
        let written = self.reconciler.cluster.annotate(&scene.namespace, name, account, role_arn).await;
        self.in_cluster(written, work.memory).map(Ok)
    }
}

/// What a `ServiceAccount` is associated with in EKS.
pub(super) async fn association(work: &Work<'_>) -> AssociationSight {
    let (Some(key), Some(cluster)) = (association_key(work), &work.clients.cluster) else {
        return AssociationSight::NotAsked;
    };
    match cluster.associations.find(&key).await {
        Ok(found) => found.map_or(AssociationSight::Absent, AssociationSight::Present),
        Err(error) => AssociationSight::Failed(error),
    }
}

/// Makes, changes or deletes the association.
async fn associate(binding: &Binding, work: &mut Work<'_>) -> Result<(), CallError> {
    let (Some(key), Some(cluster)) = (association_key(work), &work.clients.cluster) else { return Ok(()) };
    let associations = &cluster.associations;
    // Should the answer be lost, it is looked for.
    work.known.association = None;
    let there = match binding {
        Binding::Associate { role_arn, target_role_arn, tags } => {
            associations.create(&key, role_arn, target_role_arn.as_deref(), tags).await?
        }
        Binding::Reassociate { id, role_arn, target_role_arn } => {
            associations.update(&key, id, role_arn, target_role_arn.as_deref()).await?
        }
        Binding::Dissociate { id } => {
            gone(associations.delete(&key, id).await)?;
            work.known.association = Some(AssociationSight::Absent);
            return Ok(());
        }
        Binding::Annotate(_) | Binding::Unannotate => return Ok(()),
    };
    work.known.association = Some(AssociationSight::Present(there));
    Ok(())
}

fn association_key(work: &Work<'_>) -> Option<AssociationKey> {
    let (Subject::ServiceAccount(name), Some(Making { way: Way::PodIdentity(cluster), .. })) =
        (&work.scene.subject, &work.class.roles)
    else {
        return None;
    };
    let (namespace, service_account) = (work.scene.namespace.clone(), name.clone());
    Some(AssociationKey { cluster: cluster.name.clone(), namespace, service_account })
}
