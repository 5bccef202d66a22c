//! What a pass over a `QueueAccess` needs of classes and of AWS.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::Queue;
use crate::aws::target::Session;
use crate::aws::{Associations, Policies, Roles, Sts};
use crate::domain::class::Class;
use crate::domain::desired::Refusal;

/// Which class a Queue is of, and how its place in AWS is reached.
#[async_trait]
pub trait Workplace: Send + Sync {
    /// The class of `queue`.
    ///
    /// # Errors
    /// Why it has none.
    fn class_of(&self, queue: &Queue) -> Result<Class, Refusal>;

    /// The class of this name, whosever Queues are of it; `None` when it is not there or cannot be read.
    fn class_named(&self, name: &str) -> Option<Class>;

    /// Clients of the place of `class`, which write in the name of `session`.
    ///
    /// # Errors
    /// Why it cannot be reached.
    async fn clients_of(&self, class: &Class, session: Session) -> Result<IdentityClients, Refusal>;
}

/// Clients for a subject's roles.
#[derive(Clone)]
pub struct IdentityClients {
    /// In the account of the queues.
    pub roles: RoleClients,
    /// Where the class uses EKS Pod Identity: in the cluster's account.
    pub cluster: Option<ClusterClients>,
}

/// Clients for roles and policies in one account.
#[derive(Clone)]
pub struct RoleClients {
    /// Managed policies.
    pub policies: Arc<dyn Policies>,
    /// Roles.
    pub roles: Arc<dyn Roles>,
    /// Whose credentials these are.
    pub sts: Arc<dyn Sts>,
}

/// Clients for the cluster itself.
#[derive(Clone)]
pub struct ClusterClients {
    /// EKS Pod Identity.
    pub associations: Arc<dyn Associations>,
    /// Roles in the cluster's account.
    pub roles: RoleClients,
}
