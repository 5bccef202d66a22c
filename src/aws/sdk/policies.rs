//! Managed policies of IAM through the SDK.

use async_trait::async_trait;
use aws_sdk_iam::types::Tag;
use percent_encoding::percent_decode_str;

use super::SdkIam;
use crate::aws::Policies;
use crate::aws::error::Service;
use crate::aws::meter::{Action, incomplete};
use crate::domain::call::{CallError, ErrorKind};
use crate::domain::iam::{Policy, PolicyArn};
use crate::domain::tags::Tags;

#[async_trait]
impl Policies for SdkIam {
    async fn get_policy(&self, arn: &PolicyArn) -> Result<Policy, CallError> {
        const ACTION: &str = "GetPolicy";
        let request = self.client.get_policy().policy_arn(arn.to_string());
        let answer = self.meter.call(read(ACTION), request.send()).await?;
        from_sdk(ACTION, answer.policy)
    }

    async fn get_policy_version(&self, arn: &PolicyArn, version: &str) -> Result<String, CallError> {
        const ACTION: &str = "GetPolicyVersion";
        let request = self.client.get_policy_version().policy_arn(arn.to_string()).version_id(version);
        let answer = self.meter.call(read(ACTION), request.send()).await?;
        let document = answer.policy_version.and_then(|version| version.document);
        decode(ACTION, &document.ok_or_else(|| incomplete(ACTION, "Document"))?)
    }

    async fn other_versions(&self, arn: &PolicyArn) -> Result<Vec<String>, CallError> {
        const ACTION: &str = "ListPolicyVersions";
        // One page holds 100, and there are five at most.
        let request = self.client.list_policy_versions().policy_arn(arn.to_string());
        let answer = self.meter.call(read(ACTION), request.send()).await?;
        let versions = answer.versions.unwrap_or_default().into_iter();
        let others = versions.filter(|version| !version.is_default_version).map(|version| version.version_id);
        let mut others: Vec<String> = others.collect::<Option<_>>().ok_or_else(|| incomplete(ACTION, "VersionId"))?;
        // v10 comes after v9.
        others.sort_by_key(|version| (version.len(), version.clone()));
        Ok(others)
    }

    async fn create_policy(&self, arn: &PolicyArn, document: &str, tags: &Tags) -> Result<Policy, CallError> {
        const ACTION: &str = "CreatePolicy";
        let request = self
            .writer()
            .await
            .create_policy()
            .policy_name(arn.name())
            .path(arn.path())
            .policy_document(document)
            .set_tags(Some(tags_to_sdk(ACTION, tags)?));
        let answer = self.meter.call(write(ACTION), request.send()).await?;
        // The answer holds no tags but those that were sent.
        Ok(Policy { tags: tags.clone(), ..from_sdk(ACTION, answer.policy)? })
    }

    async fn create_policy_version(&self, arn: &PolicyArn, document: &str) -> Result<String, CallError> {
        const ACTION: &str = "CreatePolicyVersion";
        let writer = self.writer().await;
        let request = writer.create_policy_version().policy_arn(arn.to_string()).policy_document(document);
        let answer = self.meter.call(write(ACTION), request.set_as_default(true).send()).await?;
        let version = answer.policy_version.and_then(|version| version.version_id);
        version.ok_or_else(|| incomplete(ACTION, "VersionId"))
    }

    async fn delete_policy_version(&self, arn: &PolicyArn, version: &str) -> Result<(), CallError> {
        let writer = self.writer().await;
        let request = writer.delete_policy_version().policy_arn(arn.to_string()).version_id(version);
        self.meter.call(write("DeletePolicyVersion"), request.send()).await?;
        Ok(())
    }

    async fn delete_policy(&self, arn: &PolicyArn) -> Result<(), CallError> {
        let request = self.writer().await.delete_policy().policy_arn(arn.to_string());
        self.meter.call(write("DeletePolicy"), request.send()).await?;
        Ok(())
    }

    async fn tag_policy(&self, arn: &PolicyArn, tags: &Tags) -> Result<(), CallError> {
        const ACTION: &str = "TagPolicy";
        let request = self.writer().await.tag_policy().policy_arn(arn.to_string());
        self.meter.call(write(ACTION), request.set_tags(Some(tags_to_sdk(ACTION, tags)?)).send()).await?;
        Ok(())
    }

    async fn untag_policy(&self, arn: &PolicyArn, keys: &[String]) -> Result<(), CallError> {
        let request = self.writer().await.untag_policy().policy_arn(arn.to_string()).set_tag_keys(Some(keys.to_vec()));
        self.meter.call(write("UntagPolicy"), request.send()).await?;
        Ok(())
    }
}

/// A document as it was written: IAM hands it back percent-encoded.
pub(super) fn decode(action: &'static str, encoded: &str) -> Result<String, CallError> {
    let decoded = percent_decode_str(encoded).decode_utf8();
    decoded.map(Into::into).map_err(|_| incomplete(action, "document in UTF-8"))
}

pub(super) const fn read(action: &'static str) -> Action {
    Action::read(Service::Iam, action)
}

pub(super) const fn write(action: &'static str) -> Action {
    Action::write(Service::Iam, action)
}

fn from_sdk(action: &'static str, policy: Option<aws_sdk_iam::types::Policy>) -> Result<Policy, CallError> {
    let policy = policy.ok_or_else(|| incomplete(action, "Policy"))?;
    let uses = [policy.attachment_count, policy.permissions_boundary_usage_count];
    Ok(Policy {
        id: policy.policy_id.ok_or_else(|| incomplete(action, "PolicyId"))?,
        default_version: policy.default_version_id.ok_or_else(|| incomplete(action, "DefaultVersionId"))?,
        attachments: uses.into_iter().flatten().filter_map(|count| u32::try_from(count).ok()).sum(),
        tags: tags_from_sdk(policy.tags),
    })
}

pub(super) fn tags_from_sdk(tags: Option<Vec<Tag>>) -> Tags {
    tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect()
}

pub(super) fn tags_to_sdk(action: &'static str, tags: &Tags) -> Result<Vec<Tag>, CallError> {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    // The builder fails only without a key or a value.
    tags.collect::<Result<_, _>>().map_err(|error| CallError {
        action,
        kind: ErrorKind::Invalid,
        code: String::new(),
        message: error.to_string(),
    })
}
