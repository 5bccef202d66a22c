//! The Lease in a real cluster.

use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use kube::{Client, Error};

use super::{LEASE_NAME, LeaseStore, StoreError};

/// The Lease named [`LEASE_NAME`] in one namespace.
#[derive(Clone, Debug)]
pub struct KubernetesLease(Api<Lease>);

impl KubernetesLease {
    /// The Lease in `namespace`. `Client::default_namespace` is the Pod's own, or that of the kubeconfig's context.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }
}

#[async_trait]
impl LeaseStore for KubernetesLease {
    async fn get(&self) -> Result<Option<Lease>, StoreError> {
        Ok(self.0.get_opt(LEASE_NAME).await?)
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, StoreError> {
        Ok(self.0.create(&params(), lease).await?)
    }

    async fn update(&self, lease: &Lease) -> Result<Lease, StoreError> {
        match self.0.replace(LEASE_NAME, &params(), lease).await {
            // Deleted since it was seen. (On creation, 404 is about the namespace, and an error like others.)
            Err(Error::Api(status)) if status.code == 404 => Err(StoreError::Conflict),
            written => Ok(written?),
        }
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some("prism-queue-leader-election".to_owned()), ..PostParams::default() }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            // Changed, or created, since it was seen.
            Error::Api(status) if status.code == 409 => Self::Conflict,
            Error::Api(status) => Self::Failed(status.message),
            other => Self::Failed(other.to_string()),
        }
    }
}
