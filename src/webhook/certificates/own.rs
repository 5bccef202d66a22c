//! Certificates that the operator makes itself: the leader makes them, keeps them in a Secret and tells the API server to trust them; every
//! replica reads the Secret and shows the one that is due.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Instant;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, TestOperation};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::{MANAGED_BY_LABEL, MANAGER};
use crate::runtime::lease::{Claim, WRITE_MARGIN};
use crate::runtime::metrics::Metrics;

use super::super::tls::Pem;
use super::stock::{Stock, VALID};
use super::{Certificates, Look};

/// The configuration whose webhooks are told whom to trust. One operator serves a cluster, so that its name is fixed, and RBAC can name it.
pub const CONFIGURATION: &str = "prism-queue-injection";

/// The Secret that holds the certificates and their keys, in the operator's own namespace.
pub const SECRET: &str = "prism-queue-webhook";

/// The Secret's entry that says for which host they are. The others are called after the second in which they were made.
const HOST: &str = "host";
const ENTRY: &str = ".pem";

/// Clocks of API servers may be behind.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Certificates in the Secret [`SECRET`].
pub(in crate::webhook) struct Own {
    secrets: Api<Secret>,
    configurations: Api<MutatingWebhookConfiguration>,
    host: String,
    claim: Claim,
    metrics: Metrics,
    /// What this process shows. It goes on to, though the Secret be gone, until there is another that API servers had time to learn of.
    shown: Option<(Timestamp, Pem)>,
    /// A certificate that was made and is not in the Secret yet: a write that fails does not have one made after the other.
    fresh: Option<Pem>,
}

impl Own {
    /// Certificates for `host`, in the client's own namespace, made while `claim` is held.
    pub(in crate::webhook) fn new(client: Client, host: String, claim: Claim, metrics: Metrics) -> Self {
        Self {
            secrets: Api::default_namespaced(client.clone()),
            configurations: Api::all(client),
            host,
            claim,
            metrics,
            shown: None,
            fresh: None,
        }
    }

    /// Makes what is missing, and removes what is not needed any more. A Secret that is somebody else's is left alone.
    async fn tend(&mut self, found: Option<&Secret>, now: Timestamp) -> Result<Stock, String> {
        let is_labelled = |secret: &Secret| secret.labels().get(MANAGED_BY_LABEL).is_some_and(|by| by == MANAGER);
        if !found.is_none_or(is_labelled) {
            return Err(format!(
                "the Secret {SECRET} is somebody else's: it lacks the label {MANAGED_BY_LABEL}: {MANAGER}"
            ));
        }
        let before = self.stock(found);
        let mut stock = before.clone().tidied(now);
        if stock.is_due(now) {
            let fresh = match self.fresh.take() {
                Some(fresh) => fresh,
                None => make(&self.host, now)?,
            };
            stock.0.insert(now, self.fresh.insert(fresh).clone());
        }
        // Before the Secret: nothing is shown that is not trusted.
        self.have_trusted(&stock, now).await?;
        if stock != before {
            self.store(found, &stock).await?;
        }
        if self.fresh.take().is_some() {
            tracing::info!(host = self.host, "a new certificate for the webhook");
        }
        Ok(stock)
    }

    /// The certificates in the Secret; those for another host count for nothing.
    fn stock(&self, secret: Option<&Secret>) -> Stock {
        let data = secret.and_then(|secret| secret.data.as_ref());
        let is_ours = data.and_then(|data| data.get(HOST)).is_some_and(|host| host.0 == self.host.as_bytes());
        let entry = |(key, value): (&String, &ByteString)| {
            let seconds = key.strip_suffix(ENTRY)?.parse().ok()?;
            Some((Timestamp::from_second(seconds).ok()?, Pem(String::from_utf8(value.0.clone()).ok()?)))
        };
        Stock(data.filter(|_| is_ours).into_iter().flatten().filter_map(entry).collect())
    }

    /// Tells the API server to trust what may be shown.
    async fn have_trusted(&self, stock: &Stock, now: Timestamp) -> Result<(), String> {
        let Some(configuration) = bounded(self.configurations.get_opt(CONFIGURATION)).await? else {
            // Nobody calls. It may come to be there a moment later.
            return Ok(());
        };
        let webhooks = configuration.webhooks.iter().flatten().enumerate();
        let changes: Vec<PatchOperation> = webhooks
            .filter_map(|(index, webhook)| {
                let bundle = webhook.client_config.ca_bundle.as_ref();
                let before = bundle.map(|bundle| String::from_utf8_lossy(&bundle.0)).unwrap_or_default();
                let after = stock.trust(&before, now);
                let path = ["webhooks", &index.to_string(), "clientConfig", "caBundle"];
                let path = PointerBuf::from_tokens(path);
                let value = json!(ByteString(after.clone().into_bytes()));
                (after != before).then_some(PatchOperation::Add(AddOperation { path, value }))
            })
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        let seen = TestOperation {
            path: PointerBuf::from_tokens(["metadata", "resourceVersion"]),
            value: json!(configuration.metadata.resource_version),
        };
        let changes = std::iter::once(PatchOperation::Test(seen)).chain(changes).collect();
        let patch = Patch::<()>::Json(json_patch::Patch(changes));
        let params = patch_params();
        self.write("MutatingWebhookConfiguration", self.configurations.patch(CONFIGURATION, &params, &patch)).await
    }

    /// Writes the Secret.
    async fn store(&self, found: Option<&Secret>, stock: &Stock) -> Result<(), String> {
        let entries = stock.0.iter().map(|(made, pem)| (format!("{}{ENTRY}", made.as_second()), pem.0.clone()));
        let data: BTreeMap<String, ByteString> = entries
            .chain([(HOST.to_owned(), self.host.clone())])
            .map(|(key, value)| (key, ByteString(value.into_bytes())))
            .collect();
        let Some(found) = found else {
            let labels = BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned())]);
            let metadata = ObjectMeta { name: Some(SECRET.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
            let secret = Secret { metadata, data: Some(data), ..Secret::default() };
            let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
            return self.write("Secret", self.secrets.create(&params, &secret)).await;
        };
        let surplus = found.data.iter().flatten().map(|(key, _)| key).filter(|key| !data.contains_key(*key));
        let mut changes: serde_json::Map<String, Value> = surplus.map(|key| (key.clone(), Value::Null)).collect();
        changes.extend(data.iter().map(|(key, value)| (key.clone(), json!(value))));
        let patch = json!({"metadata": {"resourceVersion": found.resource_version()}, "data": changes});
        self.write("Secret", self.secrets.patch(SECRET, &patch_params(), &Patch::Merge(&patch))).await
    }

    /// Writes under a live claim only.
    async fn write<T>(&self, kind: &'static str, call: impl Future<Output = kube::Result<T>>) -> Result<(), String> {
        if !self.claim.is_held(Instant::now()) {
            return Err("the lease was lost".to_owned());
        }
        bounded(call).await.map_err(|error| format!("{kind}: {error}"))?;
        self.metrics.kubernetes_write(kind);
        Ok(())
    }
}

#[async_trait]
impl Certificates for Own {
    async fn look(&mut self) -> Look {
        let now = whole_seconds(Timestamp::now());
        let (mut stock, trouble) = match bounded(self.secrets.get_opt(SECRET)).await {
            Err(why) => (Stock::default(), Some(why)),
            Ok(found) if self.claim.is_held(Instant::now()) => match self.tend(found.as_ref(), now).await {
                Ok(stock) => (stock, None),
                // What is in the Secret was trusted before it came there.
                Err(why) => (self.stock(found.as_ref()), Some(why)),
            },
            Ok(found) => (self.stock(found.as_ref()), None),
        };
        stock.0.extend(self.shown.take());
        self.shown = stock.shown(now).map(|(made, pem)| (made, pem.clone()));
        Look { certificate: self.shown.as_ref().map(|(_, pem)| pem.clone()), trouble }
    }
}

/// As the Secret's entries are called.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// A certificate for `host` that is its own issuer.
fn make(host: &str, now: Timestamp) -> Result<Pem, String> {
    let day = |time: Timestamp| {
        let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()))
    };
    let made = || -> Result<Pem, rcgen::Error> {
        let mut params = CertificateParams::new([host.to_owned()])?;
        params.not_before = day(now - SKEW);
        params.not_after = day(now + VALID + SKEW);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, SECRET);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Pem(format!("{}{}", certificate.pem(), key.serialize_pem())))
    };
    made().map_err(|error| format!("no certificate for {host:?} can be made: {error}"))
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match timeout(WRITE_MARGIN, call).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", WRITE_MARGIN.as_secs())),
    }
}
