//! Where queues live, and as whom the operator acts there: clients of one target.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::domain::digest::sha256;

/// A place in AWS and the way to it. Targets that are equal share their clients, credentials and budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Target {
    /// The region.
    pub region: String,
    /// The role to assume; `None`: the operator's own identity.
    pub role: Option<Role>,
    /// Endpoints that replace the region's own.
    pub endpoints: Endpoints,
    /// Whether FIPS endpoints are used.
    pub use_fips: bool,
    /// Whether dual-stack endpoints are used.
    pub use_dual_stack: bool,
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy asks of who assumes it.
    pub external_id: Option<String>,
}

/// Endpoints by service: one of SQS must not break STS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoints {
    /// Amazon SQS.
    pub sqs: Option<String>,
    /// AWS Security Token Service.
    pub sts: Option<String>,
    /// AWS Key Management Service.
    pub kms: Option<String>,
    /// AWS Identity and Access Management.
    pub iam: Option<String>,
    /// Amazon Elastic Kubernetes Service.
    pub eks: Option<String>,
}

impl Endpoints {
    /// Those that are given.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        [&self.sqs, &self.sts, &self.kms, &self.iam, &self.eks].into_iter().flatten().map(String::as_str)
    }
}

/// In whose name a role is assumed: what `CloudTrail` shows of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `RoleSessionName`.
    pub name: String,
    /// Session tags, `aws:PrincipalTag/…` in policies.
    pub tags: BTreeMap<String, String>,
}

/// The longest session name. Source: `AssumeRole` in the STS API reference.
const MAX_SESSION_NAME: usize = 64;

impl Session {
    /// Of the operator itself: what it reads.
    #[must_use]
    pub fn of_operator(cluster: &str) -> Self {
        let tags = BTreeMap::from([(tag("cluster"), cluster.to_owned())]);
        Self { name: session_name(&format!("prism-queue@{cluster}")), tags }
    }

    /// Of what the operator writes for the Queue `namespace/name`, or for a subject whose `name` has a `/` in it.
    #[must_use]
    pub fn of_queue(cluster: &str, namespace: &str, name: &str) -> Self {
        let tags = [("cluster", cluster), ("namespace", namespace), ("name", name)];
        let tags = tags.map(|(key, value)| (tag(key), value.to_owned())).into();
        // '.' cannot occur in a namespace nor in a Queue's name, and '/' not in a session's.
        let name = name.replace('/', ".");
        Self { name: session_name(&format!("{namespace}.{name}@{cluster}")), tags }
    }
}

fn tag(key: &str) -> String {
    format!("queue.prism.io/{key}")
}

/// A name that STS takes: cut with a hash when it is too long. What it is made of is checked elsewhere: DNS labels and a
/// cluster name, of which every character is allowed.
fn session_name(text: &str) -> String {
    const HASH: usize = 10;
    if text.len() <= MAX_SESSION_NAME {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_SESSION_NAME - HASH - 1);
    format!("{}-{}", &text[..end], &sha256(text)[..HASH])
}

impl Target {
    /// `base` for this target, before any role: its region and its variants of endpoints.
    pub(super) fn configure(&self, base: &SdkConfig) -> SdkConfig {
        let mut builder = base.to_builder().region(Region::new(self.region.clone()));
        builder.set_use_fips(Some(self.use_fips)).set_use_dual_stack(Some(self.use_dual_stack));
        // What the environment sets for one service is for the operator's own region.
        builder.set_service_config(Some(Unset));
        builder.build()
    }

    /// Credentials of the role in the name of `session`, got through STS with `config`.
    pub(super) async fn assume(&self, role: &Role, session: &Session, config: &SdkConfig) -> AssumeRoleProvider {
        let config = with_endpoint(config, self.endpoints.sts.as_deref());
        let mut builder = AssumeRoleProvider::builder(&role.arn)
            .session_name(&session.name)
            .tags(session.tags.clone())
            .configure(&config);
        if let Some(external_id) = &role.external_id {
            builder = builder.external_id(external_id);
        }
        builder.build().await
    }
}

/// A configuration in which nothing is set for one service.
#[derive(Debug)]
struct Unset;

impl LoadServiceConfig for Unset {
    fn load_config(&self, _: ServiceConfigKey<'_>) -> Option<String> {
        None
    }
}

/// `config` with another endpoint, if one is given.
pub(super) fn with_endpoint(config: &SdkConfig, endpoint: Option<&str>) -> SdkConfig {
    match endpoint {
        Some(url) => config.to_builder().endpoint_url(url).build(),
        None => config.clone(),
    }
}

/// Credentials to write with in the name of a Queue. They are kept for as long as they are among the last ones used: a
/// Queue that is at rest writes nothing. Clients of all services share them.
pub(super) struct Writers {
    target: Target,
    role: Role,
    /// The operator's own identity, to assume the role with.
    own: SdkConfig,
    made: Mutex<Made>,
}

/// How many sets of credentials are kept.
const KEPT: usize = 256;

#[derive(Default)]
struct Made {
    sessions: BTreeMap<String, (u64, SharedCredentialsProvider)>,
    uses: u64,
}

impl Writers {
    pub(super) fn new(target: Target, role: Role, own: SdkConfig) -> Self {
        Self { target, role, own, made: Mutex::default() }
    }

    /// The credentials of `session`.
    pub(super) async fn credentials(&self, session: &Session) -> SharedCredentialsProvider {
        if let Some(credentials) = self.made().find(&session.name) {
            return credentials;
        }
        let provider = self.target.assume(&self.role, session, &self.own).await;
        let credentials = SharedCredentialsProvider::new(Kept { provider, held: tokio::sync::Mutex::default() });
        self.made().keep(&session.name, credentials.clone());
        credentials
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn find(&mut self, session: &str) -> Option<SharedCredentialsProvider> {
        self.uses += 1;
        let (used, credentials) = self.sessions.get_mut(session)?;
        *used = self.uses;
        Some(credentials.clone())
    }

    fn keep(&mut self, session: &str, credentials: SharedCredentialsProvider) {
        self.sessions.insert(session.to_owned(), (self.uses, credentials));
        if self.sessions.len() > KEPT {
            let oldest = self.sessions.iter().min_by_key(|(_, (used, _))| *used).map(|(session, _)| session.clone());
            oldest.map(|oldest| self.sessions.remove(&oldest));
        }
    }
}

/// In whose name a client writes.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    writers: Option<Arc<Writers>>,
    session: Option<Session>,
}

impl Signer {
    /// Nobody's but the client's own, where no role is assumed.
    pub(super) fn new(writers: Option<Writers>) -> Self {
        Self { writers: writers.map(Arc::new), session: None }
    }

    /// The same, in the name of `session` where a role is assumed.
    pub(super) fn of_session(&self, session: Session) -> Self {
        Self { session: Some(session), ..self.clone() }
    }

    /// The credentials to write with; `None`: the client's own.
    pub(super) async fn credentials(&self) -> Option<SharedCredentialsProvider> {
        let (writers, session) = (self.writers.as_ref()?, self.session.as_ref()?);
        Some(writers.credentials(session).await)
    }
}

/// Credentials are got again so long before they expire.
const RENEWAL: Duration = Duration::from_mins(5);

/// A role's credentials, assumed once: the SDK's own caches are one for each client.
#[derive(Debug)]
struct Kept {
    provider: AssumeRoleProvider,
    held: tokio::sync::Mutex<Option<Credentials>>,
}

impl ProvideCredentials for Kept {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let mut held = self.held.lock().await;
            let is_fresh = |held: &Credentials| held.expiry().is_none_or(|expiry| SystemTime::now() + RENEWAL < expiry);
            if let Some(credentials) = held.as_ref().filter(|held| is_fresh(held)) {
                return Ok(credentials.clone());
            }
            let credentials = self.provider.provide_credentials().await?;
            *held = Some(credentials.clone());
            Ok(credentials)
        })
    }
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers").field("role", &self.role.arn).finish_non_exhaustive()
    }
}
