//! The AWS SDK behind the traits: ordinary AWS configuration, no hidden retries, every call bounded in time.

/// What clients that write have alike: those of the SDK share no trait.
macro_rules! writing_client {
    ($sdk:ty, $service:ident) => {
        impl $sdk {
            pub(super) fn new(client: $service::Client, meter: Meter, signer: Signer) -> Self {
                Self { client, meter, signer }
            }

            /// The same client, which writes in the name of `session` where a role is assumed.
            #[must_use]
            pub fn writing_as(&self, session: Session) -> Self {
                Self { signer: self.signer.of_session(session), ..self.clone() }
            }

            pub(super) async fn writer(&self) -> $service::Client {
                let Some(credentials) = self.signer.credentials().await else {
                    return self.client.clone();
                };
                let config = self.client.config().to_builder().credentials_provider(credentials);
                // They are kept for the clients of all services.
                $service::Client::from_conf(config.identity_cache($service::config::IdentityCache::no_cache()).build())
            }

            pub(super) fn writing_while(mut self, may_write: MayWrite) -> Self {
                self.meter.may_write = may_write;
                self
            }
        }
    };
}

mod associations;
mod iam;
mod kms;
mod policies;
mod roles;
mod sqs;
mod sts;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{FrameworkMetadata, IdentityCache, ProvideCredentials, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;

pub use associations::SdkEks;
pub use iam::SdkIam;
pub use kms::SdkKms;
pub use sqs::SdkSqs;
pub use sts::SdkSts;

use super::budget::Budget;
use super::endpoint::check_endpoint;
use super::error::credentials_message;
use super::meter::{CallObserver, MayWrite, Meter};
use super::target::{Endpoints, Session, Signer, Target, Writers, with_endpoint};

/// What the command line may override of the ordinary AWS configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The region; `None` leaves it to the AWS configuration.
    pub region: Option<String>,
    /// One endpoint for all services; `None` leaves it to the AWS configuration.
    pub endpoint_url: Option<String>,
    /// Whether endpoints may be plain `http` on other machines.
    pub allow_insecure_endpoints: bool,
    /// How long calls may take.
    pub timeouts: Timeouts,
}

/// How long calls may take, the wait for the budget not included.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To open a connection.
    pub connect: Duration,
    /// From the first byte sent to the last received.
    pub attempt: Duration,
    /// The whole call, loading of credentials included.
    pub operation: Duration,
}

impl Default for Timeouts {
    /// 5 s, 15 s, 20 s.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), attempt: Duration::from_secs(15), operation: Duration::from_secs(20) }
    }
}

/// Why there can be no clients; each is one line for the person who starts the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// An endpoint is refused, see [`check_endpoint`].
    #[error("{0}")]
    Endpoint(String),
    /// Neither the command line nor the AWS configuration names a region.
    #[error(
        "no AWS region: give --region, set AWS_REGION, or name one in the AWS profile (instance metadata named none)"
    )]
    NoRegion,
    /// No credentials, and what was tried.
    #[error("{0}")]
    NoCredentials(String),
}

/// Clients of one account and region, drawing on one budget.
#[derive(Clone)]
pub struct AwsClients {
    /// The region in which queues are made.
    pub region: String,
    /// Amazon SQS.
    pub sqs: SdkSqs,
    /// AWS Security Token Service.
    pub sts: SdkSts,
    /// AWS Key Management Service.
    pub kms: SdkKms,
    /// AWS Identity and Access Management.
    pub iam: SdkIam,
    /// Amazon Elastic Kubernetes Service.
    pub eks: SdkEks,
    /// The account's budget of calls.
    pub budget: Arc<Budget>,
    base: Base,
}

/// What clients of other targets are made from.
#[derive(Clone)]
struct Base {
    /// The operator's own identity and settings.
    config: SdkConfig,
    allow_insecure_endpoints: bool,
    observer: Arc<dyn CallObserver>,
    may_write: MayWrite,
    iam_budgets: IamBudgets,
}

/// IAM is global in an account: all places in one share a budget. By account; `None`: the operator's own.
type IamBudgets = Arc<Mutex<HashMap<Option<String>, Arc<Budget>>>>;

impl AwsClients {
    /// Clients from the ordinary AWS configuration (environment, profile, web identity, container credentials
    /// such as EKS Pod Identity, EC2 metadata) with `options` on top. `observer` is told of every call.
    ///
    /// # Errors
    /// No region, no credentials or a refused endpoint. Whether AWS accepts the credentials is not asked.
    pub async fn connect(options: &Options, observer: Arc<dyn CallObserver>) -> Result<Self, ConnectError> {
        if let Some(url) = &options.endpoint_url {
            check_endpoint(url, options.allow_insecure_endpoints).map_err(ConnectError::Endpoint)?;
        }
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        Self::from_config(loader.load().await, options, observer).await
    }

    /// Clients from an AWS configuration that was made by other means. Of `options`, the region and the endpoint
    /// are not looked at: they are in `config`.
    ///
    /// # Errors
    /// As [`AwsClients::connect`].
    pub async fn from_config(
        config: SdkConfig,
        options: &Options,
        observer: Arc<dyn CallObserver>,
    ) -> Result<Self, ConnectError> {
        for url in configured_endpoints(&config) {
            check_endpoint(&url, options.allow_insecure_endpoints).map_err(ConnectError::Endpoint)?;
        }
        let region = config.region().map(ToString::to_string).ok_or(ConnectError::NoRegion)?;
        check_credentials(&config, options.timeouts.operation).await?;

        let Timeouts { connect, attempt, operation } = options.timeouts;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(connect)
            .operation_attempt_timeout(attempt)
            .operation_timeout(operation)
            .build();
        let mut builder = config
            .into_builder()
            .timeout_config(timeouts)
            // The reconciler retries: it knows of the budget, and what a lost answer may have done.
            .retry_config(RetryConfig::standard().with_max_attempts(1));
        builder.set_framework_metadata(user_agent());
        let config = builder.build();
        let allow_insecure_endpoints = options.allow_insecure_endpoints;
        let base = Base {
            config: config.clone(),
            allow_insecure_endpoints,
            observer,
            may_write: Arc::new(|| true),
            iam_budgets: Arc::default(),
        };
        let target = Target { region, ..Target::default() };
        Ok(base.clients(&target, &config, None))
    }

    /// Clients of `target`, which read in the name of `session`. They have a budget of their own. Credentials of a role are
    /// got when they are needed, and renewed.
    ///
    /// # Errors
    /// A refused endpoint.
    pub async fn of_target(&self, target: &Target, session: &Session) -> Result<Self, ConnectError> {
        for url in target.endpoints.given() {
            check_endpoint(url, self.base.allow_insecure_endpoints).map_err(ConnectError::Endpoint)?;
        }
        let own = target.configure(&self.base.config);
        let (config, writers) = match &target.role {
            None => (own, None),
            Some(role) => {
                let provider = SharedCredentialsProvider::new(target.assume(role, session, &own).await);
                // The cache of the operator's own credentials is small, and theirs not to share.
                let cache = IdentityCache::lazy().build();
                let config = own.to_builder().credentials_provider(provider).identity_cache(cache).build();
                (config, Some(Writers::new(target.clone(), role.clone(), own)))
            }
        };
        Ok(self.base.clients(target, &config, writers))
    }

    /// The same clients, which send a write only while `may_write` says so at the moment of sending.
    #[must_use]
    pub fn writing_while(mut self, may_write: MayWrite) -> Self {
        self.base.may_write = may_write.clone();
        self.sqs = self.sqs.writing_while(may_write.clone());
        self.iam = self.iam.writing_while(may_write.clone());
        self.eks = self.eks.writing_while(may_write);
        self
    }
}

impl Base {
    fn clients(&self, target: &Target, config: &SdkConfig, writers: Option<Writers>) -> AwsClients {
        let Endpoints { sqs, sts, kms, iam, eks } = &target.endpoints;
        let budget = Arc::new(Budget::default());
        let signer = Signer::new(writers);
        let (observer, may_write) = (self.observer.clone(), self.may_write.clone());
        // A breaker for each service: one that is silent says nothing about the others.
        let meter = |budget: &Arc<Budget>| Meter {
            budget: budget.clone(),
            observer: observer.clone(),
            breaker: Arc::default(),
            may_write: may_write.clone(),
        };
        let of_service = |ceiling| Arc::new(Budget::of_service(ceiling));
        let of = |endpoint: &Option<String>| with_endpoint(config, endpoint.as_deref());
        AwsClients {
            region: target.region.clone(),
            sqs: SdkSqs::new(aws_sdk_sqs::Client::new(&of(sqs)), meter(&budget), signer.clone()),
            sts: SdkSts::new(aws_sdk_sts::Client::new(&of(sts)), meter(&budget)),
            // What throttles KMS or EKS says nothing about SQS.
            kms: SdkKms::new(aws_sdk_kms::Client::new(&of(kms)), meter(&of_service(Budget::KMS))),
            eks: SdkEks::new(aws_sdk_eks::Client::new(&of(eks)), meter(&of_service(Budget::EKS)), signer.clone()),
            iam: SdkIam::new(aws_sdk_iam::Client::new(&of(iam)), meter(&self.iam_budget(target)), signer),
            budget,
            base: self.clone(),
        }
    }

    fn iam_budget(&self, target: &Target) -> Arc<Budget> {
        let account = target.role.as_ref().and_then(|role| role.arn.split(':').nth(4)).map(ToOwned::to_owned);
        let mut budgets = self.iam_budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.entry(account).or_insert_with(|| Arc::new(Budget::of_service(Budget::IAM))).clone()
    }
}

/// What the operator's calls are known by in AWS's logs: `lib/prism-queue/<version>`.
fn user_agent() -> Option<FrameworkMetadata> {
    FrameworkMetadata::new("prism-queue", Some(env!("CARGO_PKG_VERSION"))).ok()
}

/// Every endpoint that the environment or a profile sets for the services we call: the one for all and
/// those for one (`AWS_ENDPOINT_URL_SQS`).
fn configured_endpoints(config: &SdkConfig) -> Vec<String> {
    let of_service = |service_id| {
        let key = ServiceConfigKey::builder()
            .service_id(service_id)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        config.service_config()?.load_config(key)
    };
    let services = ["SQS", "STS", "KMS", "IAM", "EKS"].into_iter().filter_map(of_service);
    config.endpoint_url().map(ToOwned::to_owned).into_iter().chain(services).collect()
}

/// Loads the credentials once, so that a start without any fails at the start.
async fn check_credentials(config: &SdkConfig, patience: Duration) -> Result<(), ConnectError> {
    let Some(provider) = config.credentials_provider() else {
        return Err(ConnectError::NoCredentials("the AWS configuration has no source of credentials".to_owned()));
    };
    match tokio::time::timeout(patience, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(ConnectError::NoCredentials(credentials_message(&error))),
        Err(_) => Err(ConnectError::NoCredentials(format!("no AWS credentials came within {} s", patience.as_secs()))),
    }
}
