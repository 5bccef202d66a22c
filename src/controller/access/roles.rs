//! A subject's role and policies in IAM: looked at, and written step by step.

use jiff::Timestamp;

use crate::domain::call::{CallError, ErrorKind};
use crate::domain::iam::{IdentityPolicy, PolicySight, PresentPolicy};
use crate::domain::identity::{Desired, IdentityStep, Picture, PresentRole, RoleArn, RoleSight};
use crate::domain::plan::Step;

use super::super::queue::policies::look;
use super::workplace::RoleClients;

/// Looks at all that decisions about `desired` depend on.
pub(super) async fn look_at(clients: &RoleClients, desired: &Desired, now: Timestamp) -> Picture {
    let mut picture = Picture { roles: [].into(), policies: [].into(), at: now };
    for arn in desired.roles() {
        picture.roles.insert(arn.clone(), look_at_role(clients, arn).await);
    }
    let unwanted = desired.unwanted(&picture);
    for arn in desired.all_policies().chain(&unwanted) {
        if !picture.policies.contains_key(arn) {
            let wanted = desired.policies.iter().find(|(policy, _)| policy == arn);
            let digest = wanted.map(|(_, document)| document.digest());
            let mut sight = look(clients.policies.as_ref(), arn, None, digest.as_deref()).await;
            if let PolicySight::Present(present) = &mut sight
                && digest.as_ref() == Some(&present.digest)
                && let Ok(others) = clients.policies.other_versions(arn).await
            {
                // What is as declared now may have to change, or to go, before the next look.
                present.others = others;
            }
            picture.policies.insert(arn.clone(), sight);
        }
    }
    picture
}

async fn look_at_role(clients: &RoleClients, arn: &RoleArn) -> RoleSight {
    match read_role(clients, arn).await {
        Ok(present) => RoleSight::Present(present),
        Err(error) if error.kind == ErrorKind::EntityDoesNotExist => RoleSight::Absent,
        Err(error) => RoleSight::Failed(error),
    }
}

/// Calls go by name: what answers may be at another path, and then it is another role.
async fn read_role(clients: &RoleClients, arn: &RoleArn) -> Result<PresentRole, CallError> {
    let role = clients.roles.get_role(arn).await?;
    let is_meant = role.arn == arn.to_string();
    let attached = if is_meant { clients.roles.attached_policies(arn).await? } else { Vec::new() };
    Ok(PresentRole { role, attached: attached.into_iter().collect() })
}

/// Carries out a step in IAM, and notes in `picture` what is there now. Steps that bind a `ServiceAccount` are not among them.
pub(super) async fn carry_out(
    clients: &RoleClients,
    step: &IdentityStep,
    picture: &mut Picture,
) -> Result<(), CallError> {
    let RoleClients { policies, roles, .. } = clients;
    match step {
        IdentityStep::CreateRole { arn, trust, boundary, tags } => {
            let role = roles.create_role(arn, &trust.to_json(), boundary, tags).await?;
            let present = PresentRole { role, attached: [].into() };
            picture.roles.insert(arn.clone(), RoleSight::Present(present));
        }
        IdentityStep::TagRole { arn, tags } => {
            roles.tag_role(arn, tags).await?;
            picture.change_role(arn, |role| role.tags.extend(tags.clone()));
        }
        IdentityStep::UpdateTrust { arn, trust } => {
            roles.update_trust(arn, &trust.to_json()).await?;
            picture.change_role(arn, |role| role.trust = trust.to_json());
        }
        IdentityStep::PutBoundary { arn, boundary } => {
            roles.put_boundary(arn, boundary).await?;
            picture.change_role(arn, |role| role.boundary = Some(boundary.clone()));
        }
        IdentityStep::DeleteRole { arn } => {
            gone(roles.delete_role(arn).await)?;
            picture.roles.insert(arn.clone(), RoleSight::Absent);
        }
        IdentityStep::Attach { role, policy } => {
            roles.attach(role, policy).await?;
            picture.attached(role, policy, true);
        }
        IdentityStep::Detach { role, policy } => {
            gone(roles.detach(role, policy).await)?;
            picture.attached(role, policy, false);
        }
        IdentityStep::Policy { arn, step } => match step {
            Step::CreatePolicy { document, tags, .. } => {
                let policy = policies.create_policy(arn, &document.to_json(), tags).await?;
                let present = PresentPolicy { policy, digest: document.digest(), others: Vec::new() };
                picture.policies.insert(arn.clone(), PolicySight::Present(present));
            }
            Step::UpdatePolicy { document, .. } => {
                let version = policies.create_policy_version(arn, &document.to_json()).await?;
                picture.change_policy(arn, |present| in_force(present, version, document));
            }
            Step::DeletePolicyVersion { version, .. } => {
                gone(policies.delete_policy_version(arn, version).await)?;
                picture.change_policy(arn, |present| present.others.retain(|other| other != version));
            }
            Step::DeletePolicy { .. } => {
                gone(policies.delete_policy(arn).await)?;
                picture.policies.insert(arn.clone(), PolicySight::Absent);
            }
            Step::TagPolicy { tags, .. } => {
                policies.tag_policy(arn, tags).await?;
                picture.change_policy(arn, |present| present.policy.tags.extend(tags.clone()));
            }
            _ => {}
        },
        IdentityStep::Bind(_) => {}
    }
    Ok(())
}

fn in_force(present: &mut PresentPolicy, version: String, document: &IdentityPolicy) {
    let before = std::mem::replace(&mut present.policy.default_version, version);
    present.others.push(before);
    present.digest = document.digest();
}

/// What is gone already need not be deleted.
pub(super) fn gone(answer: Result<(), CallError>) -> Result<(), CallError> {
    answer.or_else(|error| if error.kind == ErrorKind::EntityDoesNotExist { Ok(()) } else { Err(error) })
}
