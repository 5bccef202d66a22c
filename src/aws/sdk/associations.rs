//! Associations of EKS Pod Identity through the SDK.

use async_trait::async_trait;
use aws_sdk_eks::Client;
use aws_sdk_eks::types::{PodIdentityAssociation, PodIdentityAssociationSummary};

use super::iam::MAX_PAGES;
use crate::aws::Associations;
use crate::aws::error::Service;
use crate::aws::meter::{Action, MayWrite, Meter, incomplete};
use crate::aws::target::{Session, Signer};
use crate::domain::call::{CallError, ErrorKind};
use crate::domain::identity::{Association, AssociationKey};
use crate::domain::tags::Tags;

/// [`Associations`] by the AWS SDK.
#[derive(Clone)]
pub struct SdkEks {
    client: Client,
    meter: Meter,
    signer: Signer,
}

writing_client!(SdkEks, aws_sdk_eks);

impl SdkEks {
    /// The id of the association of a ServiceAccount, if it has one.
    async fn find_id(&self, key: &AssociationKey) -> Result<Option<String>, CallError> {
        const ACTION: &str = "ListPodIdentityAssociations";
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let request = self
                .client
                .list_pod_identity_associations()
                .cluster_name(&key.cluster)
                .namespace(&key.namespace)
                .service_account(&key.service_account)
                .set_next_token(next.take());
            let answer = self.meter.call(read(ACTION), request.send()).await?;
            let mut found = answer.associations.into_iter().flatten();
            if let Some(found) = found.find(|found| is_of(found, key)) {
                return found.association_id.map(Some).ok_or_else(|| incomplete(ACTION, "associationId"));
            }
            // A page may be empty and not the last.
            next = answer.next_token;
            if next.is_none() {
                return Ok(None);
            }
        }
        Err(incomplete(ACTION, "last page"))
    }
}

#[async_trait]
impl Associations for SdkEks {
    async fn find(&self, key: &AssociationKey) -> Result<Option<Association>, CallError> {
        const ACTION: &str = "DescribePodIdentityAssociation";
        let Some(id) = self.find_id(key).await? else {
            return Ok(None);
        };
        let request = self.client.describe_pod_identity_association().cluster_name(&key.cluster).association_id(id);
        match self.meter.call(read(ACTION), request.send()).await {
            Ok(answer) => from_sdk(ACTION, answer.association).map(Some),
            // It went between the two calls.
            Err(error) if error.kind == ErrorKind::EntityDoesNotExist => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(
        &self,
        key: &AssociationKey,
        role_arn: &str,
        target_role_arn: Option<&str>,
        tags: &Tags,
    ) -> Result<Association, CallError> {
        const ACTION: &str = "CreatePodIdentityAssociation";
        let request = self
            .writer()
            .await
            .create_pod_identity_association()
            .cluster_name(&key.cluster)
            .namespace(&key.namespace)
            .service_account(&key.service_account)
            .role_arn(role_arn)
            .set_target_role_arn(target_role_arn.map(ToOwned::to_owned))
            .set_tags(Some(tags.clone().into_iter().collect()));
        let answer = self.meter.call(write(ACTION), request.send()).await?;
        from_sdk(ACTION, answer.association)
    }

    async fn update(
        &self,
        key: &AssociationKey,
        id: &str,
        role_arn: &str,
        target_role_arn: Option<&str>,
    ) -> Result<Association, CallError> {
        const ACTION: &str = "UpdatePodIdentityAssociation";
        let request = self
            .writer()
            .await
            .update_pod_identity_association()
            .cluster_name(&key.cluster)
            .association_id(id)
            .role_arn(role_arn)
            // What is left out stays; nothing takes it away.
            .target_role_arn(target_role_arn.unwrap_or_default());
        let answer = self.meter.call(write(ACTION), request.send()).await?;
        from_sdk(ACTION, answer.association)
    }

    async fn delete(&self, key: &AssociationKey, id: &str) -> Result<(), CallError> {
        let writer = self.writer().await;
        let request = writer.delete_pod_identity_association().cluster_name(&key.cluster).association_id(id);
        self.meter.call(write("DeletePodIdentityAssociation"), request.send()).await?;
        Ok(())
    }
}

const fn read(action: &'static str) -> Action {
    Action::read(Service::Eks, action)
}

const fn write(action: &'static str) -> Action {
    Action::write(Service::Eks, action)
}

fn is_of(found: &PodIdentityAssociationSummary, key: &AssociationKey) -> bool {
    found.namespace.as_ref() == Some(&key.namespace) && found.service_account.as_ref() == Some(&key.service_account)
}

fn from_sdk(action: &'static str, association: Option<PodIdentityAssociation>) -> Result<Association, CallError> {
    let association = association.ok_or_else(|| incomplete(action, "association"))?;
    // No target role is told by nothing at all or by an empty text.
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let given = |text: Option<String>, name: &str| some(text).ok_or_else(|| incomplete(action, name));
    Ok(Association {
        id: given(association.association_id, "associationId")?,
        arn: given(association.association_arn, "associationArn")?,
        role_arn: given(association.role_arn, "roleArn")?,
        target_role_arn: some(association.target_role_arn),
        external_id: some(association.external_id),
        tags: association.tags.unwrap_or_default().into_iter().collect(),
    })
}
