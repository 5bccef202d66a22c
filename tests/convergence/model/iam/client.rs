//! IAM through the operator's own traits.

use async_trait::async_trait;
use prism_queue::aws::{Policies, Roles};
use prism_queue::domain::call::CallError;
use prism_queue::domain::iam::{Policy, PolicyArn};
use prism_queue::domain::identity::{Role, RoleArn};
use prism_queue::domain::tags::Tags;

use crate::model::Client;
use crate::model::journal::Arguments;

#[async_trait]
impl Policies for Client {
    async fn get_policy(&self, arn: &PolicyArn) -> Result<Policy, CallError> {
        self.on_policy("GetPolicy", arn, Arguments::default(), |state, caller| state.get_policy(caller, arn)).await
    }

    async fn get_policy_version(&self, arn: &PolicyArn, version: &str) -> Result<String, CallError> {
        self.on_policy("GetPolicyVersion", arn, Arguments::default(), |state, caller| {
            state.get_policy_version(caller, arn, version)
        })
        .await
    }

    async fn other_versions(&self, arn: &PolicyArn) -> Result<Vec<String>, CallError> {
        self.on_policy("ListPolicyVersions", arn, Arguments::default(), |state, caller| {
            state.other_versions(caller, arn)
        })
        .await
    }

    async fn create_policy(&self, arn: &PolicyArn, document: &str, tags: &Tags) -> Result<Policy, CallError> {
        let arguments = Arguments { tags: tags.clone(), document: document.to_owned(), ..Arguments::default() };
        self.on_policy("CreatePolicy", arn, arguments, |state, caller| state.create_policy(caller, arn, document, tags))
            .await
    }

    async fn create_policy_version(&self, arn: &PolicyArn, document: &str) -> Result<String, CallError> {
        let arguments = Arguments { document: document.to_owned(), ..Arguments::default() };
        self.on_policy("CreatePolicyVersion", arn, arguments, |state, caller| {
            state.create_policy_version(caller, arn, document)
        })
        .await
    }

    async fn delete_policy_version(&self, arn: &PolicyArn, version: &str) -> Result<(), CallError> {
        let arguments = Arguments { keys: vec![version.to_owned()], ..Arguments::default() };
        self.on_policy("DeletePolicyVersion", arn, arguments, |state, caller| {
            state.delete_policy_version(caller, arn, version)
        })
        .await
    }

    async fn delete_policy(&self, arn: &PolicyArn) -> Result<(), CallError> {
        self.on_policy("DeletePolicy", arn, Arguments::default(), |state, caller| state.delete_policy(caller, arn))
            .await
    }

    async fn tag_policy(&self, arn: &PolicyArn, tags: &Tags) -> Result<(), CallError> {
        let arguments = Arguments { tags: tags.clone(), ..Arguments::default() };
        self.on_policy("TagPolicy", arn, arguments, |state, caller| state.tag_policy(caller, arn, tags)).await
    }

    async fn untag_policy(&self, arn: &PolicyArn, keys: &[String]) -> Result<(), CallError> {
        let arguments = Arguments { keys: keys.to_vec(), ..Arguments::default() };
        self.on_policy("UntagPolicy", arn, arguments, |state, caller| state.untag_policy(caller, arn, keys)).await
    }
}

#[async_trait]
impl Roles for Client {
    async fn get_role(&self, arn: &RoleArn) -> Result<Role, CallError> {
        self.on_role("GetRole", arn, Arguments::default(), |state, caller| state.get_role(caller, arn.name())).await
    }

    async fn create_role(&self, arn: &RoleArn, trust: &str, boundary: &str, tags: &Tags) -> Result<Role, CallError> {
        let arguments = Arguments {
            tags: tags.clone(),
            document: trust.to_owned(),
            boundary: boundary.to_owned(),
            ..Arguments::default()
        };
        self.on_role("CreateRole", arn, arguments, |state, caller| {
            state.create_role(caller, arn, trust, Some(boundary), tags)
        })
        .await
    }

    async fn update_trust(&self, arn: &RoleArn, trust: &str) -> Result<(), CallError> {
        let arguments = Arguments { document: trust.to_owned(), ..Arguments::default() };
        self.on_role("UpdateAssumeRolePolicy", arn, arguments, |state, caller| {
            state.update_trust(caller, arn.name(), trust)
        })
        .await
    }

    async fn put_boundary(&self, arn: &RoleArn, boundary: &str) -> Result<(), CallError> {
        let arguments = Arguments { boundary: boundary.to_owned(), ..Arguments::default() };
        self.on_role("PutRolePermissionsBoundary", arn, arguments, |state, caller| {
            state.put_boundary(caller, arn.name(), boundary)
        })
        .await
    }

    async fn tag_role(&self, arn: &RoleArn, tags: &Tags) -> Result<(), CallError> {
        let arguments = Arguments { tags: tags.clone(), ..Arguments::default() };
        self.on_role("TagRole", arn, arguments, |state, caller| state.tag_role(caller, arn.name(), tags)).await
    }

    async fn delete_role(&self, arn: &RoleArn) -> Result<(), CallError> {
        self.on_role("DeleteRole", arn, Arguments::default(), |state, caller| state.delete_role(caller, arn.name()))
            .await
    }

    async fn attached_policies(&self, arn: &RoleArn) -> Result<Vec<String>, CallError> {
        self.on_role("ListAttachedRolePolicies", arn, Arguments::default(), |state, caller| {
            state.attached_policies(caller, arn.name())
        })
        .await
    }

    async fn attach(&self, arn: &RoleArn, policy: &PolicyArn) -> Result<(), CallError> {
        let arguments = Arguments { keys: vec![policy.to_string()], ..Arguments::default() };
        self.on_role("AttachRolePolicy", arn, arguments, |state, caller| state.attach(caller, arn.name(), policy)).await
    }

    async fn detach(&self, arn: &RoleArn, policy: &PolicyArn) -> Result<(), CallError> {
        let arguments = Arguments { keys: vec![policy.to_string()], ..Arguments::default() };
        self.on_role("DetachRolePolicy", arn, arguments, |state, caller| state.detach(caller, arn.name(), policy)).await
    }
}
