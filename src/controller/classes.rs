//! The classes as last seen, and the clients of the places that they point to.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use kube::ResourceExt;
use tokio::sync::Mutex;

use crate::api::Queue;
use crate::api::class::QueueClass;
use crate::api::conditions::Reason;
use crate::aws::budget::Budget;
use crate::aws::sdk::AwsClients;
use crate::aws::target::{Endpoints, Role, Session, Target};
use crate::domain::class::{Catalog, Class, FLAGS, Labels};
use crate::domain::desired::Refusal;
use crate::domain::field::FieldError;

use super::access::{ClusterClients, IdentityClients, RoleClients, Workplace};

/// Which class a Queue is of, and how its place in AWS is reached. Places do not share clients, budgets or lanes: one that
/// throttles or answers nothing slows no other.
pub struct Classes {
    catalog: RwLock<Catalog>,
    /// Clients of the operator's own identity and place.
    own: AwsClients,
    places: Mutex<HashMap<Target, AwsClients>>,
}

/// The lane of a Queue: Queues of one place share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The operator's own place.
    Own,
    /// The place of a class.
    Of(Box<Target>),
    /// None: nothing is asked of AWS.
    Nowhere,
}

impl Classes {
    /// No classes but the operator's flags, which say `built_in` and act through `own`.
    #[must_use]
    pub fn new(built_in: Class, own: AwsClients) -> Self {
        Self { catalog: RwLock::new(Catalog::new(built_in)), own, places: Mutex::default() }
    }

    /// The lane of `queue`.
    #[must_use]
    pub fn lane_of(&self, queue: &Queue) -> Lane {
        match self.catalog().object_for(queue) {
            Ok(None) => Lane::Own,
            Ok(Some(class)) => Lane::Of(Box::new(target_of(class))),
            Err(_) => Lane::Nowhere,
        }
    }

    /// The lane of Queues of the class of this name.
    #[must_use]
    pub fn lane_named(&self, name: &str) -> Lane {
        match self.catalog().get(name) {
            _ if name == FLAGS => Lane::Own,
            Some(class) => Lane::Of(Box::new(target_of(class))),
            None => Lane::Nowhere,
        }
    }

    /// Changes what is known. Answers as `change` does: whether Queues may have to decide anew.
    pub fn change<T>(&self, change: impl FnOnce(&mut Catalog) -> T) -> T {
        change(&mut self.catalog.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the operator's flags say.
    #[must_use]
    pub fn built_in(&self) -> Class {
        self.catalog().built_in().clone()
    }

    /// The labels of a namespace, when they are known.
    #[must_use]
    pub fn labels_of_namespace(&self, name: &str) -> Option<Labels> {
        self.catalog().labels_of(name).cloned()
    }

    /// The class of `queue`.
    ///
    /// # Errors
    /// Why it has none.
    pub fn class_for(&self, queue: &Queue) -> Result<Class, Refusal> {
        self.catalog().class_for(queue)
    }

    /// Clients of the operator's own place.
    #[must_use]
    pub fn own_clients(&self) -> AwsClients {
        self.own.clone()
    }

    /// Clients of the place of `class`.
    ///
    /// # Errors
    /// Why it cannot be reached as the class says.
    pub async fn clients_of(&self, class: &Class) -> Result<AwsClients, Refusal> {
        let object = self.catalog().get(&class.name).map(target_of);
        match object {
            _ if class.is_built_in() => Ok(self.own.clone()),
            Some(target) => self.clients_at(&target, &class.cluster.name).await.map_err(|why| unusable(class, &why)),
            // It went between two looks.
            None => {
                let rule = format!("there is no QueueClass {:?}; it is waited for", class.name);
                let errors = vec![FieldError::new("spec.queueClassName", rule)];
                Err(Refusal { reason: Reason::ClassNotFound, errors })
            }
        }
    }

    /// Clients of the place that `class` points to, whether it may be used or not.
    ///
    /// # Errors
    /// A refused endpoint.
    pub async fn clients_of_object(&self, class: &QueueClass) -> Result<AwsClients, String> {
        let cluster = self.built_in().cluster.name;
        self.clients_at(&target_of(class), &cluster).await
    }

    async fn clients_at(&self, target: &Target, cluster: &str) -> Result<AwsClients, String> {
        let mut places = self.places.lock().await;
        if let Some(clients) = places.get(target) {
            return Ok(clients.clone());
        }
        let session = Session::of_operator(cluster);
        let clients = self.own.of_target(target, &session).await.map_err(|error| error.to_string())?;
        places.insert(target.clone(), clients.clone());
        Ok(clients)
    }

    /// The budgets that classes draw on, as far as they have called AWS; the operator's own first.
    pub async fn budgets(&self) -> Vec<(String, Arc<Budget>)> {
        let places = self.places.lock().await;
        let of_class = |class: QueueClass| Some((class.name_any(), places.get(&target_of(&class))?.budget.clone()));
        let own = (FLAGS.to_owned(), self.own.budget.clone());
        std::iter::once(own).chain(self.all().into_iter().filter_map(of_class)).collect()
    }

    /// Forgets places that no class points to any more.
    pub async fn tidy(&self) {
        let used: Vec<Target> =
            self.catalog().all().flat_map(|class| std::iter::once(target_of(class)).chain(cluster_of(class))).collect();
        self.places.lock().await.retain(|target, _| used.contains(target));
    }

    /// All classes.
    #[must_use]
    pub fn all(&self) -> Vec<QueueClass> {
        self.catalog().all().cloned().collect()
    }
}

#[async_trait]
impl Workplace for Classes {
    fn class_of(&self, queue: &Queue) -> Result<Class, Refusal> {
        self.class_for(queue)
    }

    fn class_named(&self, name: &str) -> Option<Class> {
        self.catalog().class_named(name)
    }

    async fn clients_of(&self, class: &Class, session: Session) -> Result<IdentityClients, Refusal> {
        let roles = role_clients(self.clients_of(class).await?, session.clone());
        let target = self.catalog().get(&class.name).and_then(cluster_of);
        let cluster = match target {
            Some(target) => {
                let clients = self.clients_at(&target, &class.cluster.name).await;
                let clients = clients.map_err(|why| unusable(class, &why))?;
                let associations = Arc::new(clients.eks.writing_as(session.clone()));
                Some(ClusterClients { associations, roles: role_clients(clients, session) })
            }
            None => None,
        };
        Ok(IdentityClients { roles, cluster })
    }
}

fn role_clients(clients: AwsClients, session: Session) -> RoleClients {
    let iam = Arc::new(clients.iam.writing_as(session));
    RoleClients { policies: iam.clone(), roles: iam, sts: Arc::new(clients.sts) }
}

fn unusable(class: &Class, why: &str) -> Refusal {
    let rule = format!("class {:?} cannot be used: {why}", class.name);
    Refusal { reason: Reason::ClassNotFound, errors: vec![FieldError::new("spec.queueClassName", rule)] }
}

/// Where the cluster of a class is in EKS.
fn cluster_of(class: &QueueClass) -> Option<Target> {
    let cluster = class.spec.iam.as_ref()?.pod_identity.as_ref()?;
    let Target { endpoints, use_fips, use_dual_stack, .. } = target_of(class);
    let role = cluster.role_arn.clone().map(|arn| Role { arn, external_id: None });
    Some(Target { region: cluster.region.clone(), role, endpoints, use_fips, use_dual_stack })
}

/// Where a class points to.
fn target_of(class: &QueueClass) -> Target {
    let aws = &class.spec.aws;
    let endpoints = aws.endpoints.clone().unwrap_or_default();
    Target {
        region: aws.region.clone(),
        role: aws.role_arn.clone().map(|arn| Role { arn, external_id: aws.external_id.clone() }),
        endpoints: Endpoints {
            sqs: endpoints.sqs,
            sts: endpoints.sts,
            kms: endpoints.kms,
            iam: endpoints.iam,
            eks: None,
        },
        use_fips: aws.use_fips.unwrap_or_default(),
        use_dual_stack: aws.use_dual_stack.unwrap_or_default(),
    }
}

/// The labels of an object.
pub(super) fn labels_of<T: ResourceExt>(object: &T) -> Labels {
    object.labels().clone()
}
