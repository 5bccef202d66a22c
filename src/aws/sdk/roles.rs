//! Roles of IAM through the SDK.

use async_trait::async_trait;

use super::SdkIam;
use super::iam::MAX_PAGES;
use super::policies::{decode, read, tags_from_sdk, tags_to_sdk, write};
use crate::aws::Roles;
use crate::aws::meter::incomplete;
use crate::domain::call::CallError;
use crate::domain::iam::PolicyArn;
use crate::domain::identity::{Role, RoleArn};
use crate::domain::tags::Tags;

#[async_trait]
impl Roles for SdkIam {
    async fn get_role(&self, arn: &RoleArn) -> Result<Role, CallError> {
        const ACTION: &str = "GetRole";
        let request = self.client.get_role().role_name(arn.name());
        let answer = self.meter.call(read(ACTION), request.send()).await?;
        from_sdk(ACTION, answer.role)
    }

    async fn create_role(&self, arn: &RoleArn, trust: &str, boundary: &str, tags: &Tags) -> Result<Role, CallError> {
        const ACTION: &str = "CreateRole";
        let request = self
            .writer()
            .await
            .create_role()
            .role_name(arn.name())
            .path(arn.path())
            .assume_role_policy_document(trust)
            .permissions_boundary(boundary)
            .set_tags(Some(tags_to_sdk(ACTION, tags)?));
        let answer = self.meter.call(write(ACTION), request.send()).await?;
        // It holds no tags and no boundary but those that were sent.
        Ok(Role { boundary: Some(boundary.to_owned()), tags: tags.clone(), ..from_sdk(ACTION, answer.role)? })
    }

    async fn update_trust(&self, arn: &RoleArn, trust: &str) -> Result<(), CallError> {
        let request = self.writer().await.update_assume_role_policy().role_name(arn.name()).policy_document(trust);
        self.meter.call(write("UpdateAssumeRolePolicy"), request.send()).await?;
        Ok(())
    }

    async fn put_boundary(&self, arn: &RoleArn, boundary: &str) -> Result<(), CallError> {
        let writer = self.writer().await;
        let request = writer.put_role_permissions_boundary().role_name(arn.name()).permissions_boundary(boundary);
        self.meter.call(write("PutRolePermissionsBoundary"), request.send()).await?;
        Ok(())
    }

    async fn tag_role(&self, arn: &RoleArn, tags: &Tags) -> Result<(), CallError> {
        const ACTION: &str = "TagRole";
        let request = self.writer().await.tag_role().role_name(arn.name());
        self.meter.call(write(ACTION), request.set_tags(Some(tags_to_sdk(ACTION, tags)?)).send()).await?;
        Ok(())
    }

    async fn delete_role(&self, arn: &RoleArn) -> Result<(), CallError> {
        let request = self.writer().await.delete_role().role_name(arn.name());
        self.meter.call(write("DeleteRole"), request.send()).await?;
        Ok(())
    }

    async fn attached_policies(&self, arn: &RoleArn) -> Result<Vec<String>, CallError> {
        const ACTION: &str = "ListAttachedRolePolicies";
        let mut attached = Vec::new();
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let request = self.client.list_attached_role_policies().role_name(arn.name()).set_marker(marker.take());
            let answer = self.meter.call(read(ACTION), request.send()).await?;
            for policy in answer.attached_policies.unwrap_or_default() {
                attached.push(policy.policy_arn.ok_or_else(|| incomplete(ACTION, "PolicyArn"))?);
            }
            marker = answer.marker.filter(|_| answer.is_truncated);
            if marker.is_none() {
                return Ok(attached);
            }
        }
        // Part of a list must not pass for all of it.
        Err(incomplete(ACTION, "last page"))
    }

    async fn attach(&self, arn: &RoleArn, policy: &PolicyArn) -> Result<(), CallError> {
        let request = self.writer().await.attach_role_policy().role_name(arn.name()).policy_arn(policy.to_string());
        self.meter.call(write("AttachRolePolicy"), request.send()).await?;
        Ok(())
    }

    async fn detach(&self, arn: &RoleArn, policy: &PolicyArn) -> Result<(), CallError> {
        let request = self.writer().await.detach_role_policy().role_name(arn.name()).policy_arn(policy.to_string());
        self.meter.call(write("DetachRolePolicy"), request.send()).await?;
        Ok(())
    }
}

fn from_sdk(action: &'static str, role: Option<aws_sdk_iam::types::Role>) -> Result<Role, CallError> {
    let role = role.ok_or_else(|| incomplete(action, "Role"))?;
    let trust = role.assume_role_policy_document.ok_or_else(|| incomplete(action, "AssumeRolePolicyDocument"))?;
    // The SDK fills in nothing where the answer has nothing.
    let given = |text: String, name: &str| if text.is_empty() { Err(incomplete(action, name)) } else { Ok(text) };
    Ok(Role {
        id: given(role.role_id, "RoleId")?,
        arn: given(role.arn, "Arn")?,
        trust: decode(action, &trust)?,
        boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
        tags: tags_from_sdk(role.tags),
    })
}
