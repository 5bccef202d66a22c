//! The admission webhook: Pods that ask for the environment of Queues get it as they are created.
//!
//! Every replica serves it, leader or not: it decides by what the API server says at that moment, not by caches that only the
//! leader fills. What it answers is decided in [`crate::domain::injection`].
//!
//! The path that the API server calls says what becomes of a Pod that cannot have what it asks for ([`FAIL`], [`IGNORE`]), so that it
//! stands in the webhook's configuration beside `failurePolicy`, which says the same of a webhook that cannot be reached.

mod admission;
mod certificates;
mod server;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::runtime::health::Health;
use crate::runtime::lease::Claim;
use crate::runtime::metrics::Metrics;
use crate::runtime::settings::{Certificate, WebhookSettings};

pub use admission::{FAIL, IGNORE};
pub use certificates::{CONFIGURATION, SECRET};

use admission::{Admission, FromApi};
use certificates::{Certificates, Files, Keeper, Own};

/// For how long requests still come to a process that was asked to end: its address is taken out of the Service meanwhile.
const DRAIN: Duration = Duration::from_secs(5);

/// How long the certificate may go without a look before the process is taken for hung.
const LONGEST_SILENCE: Duration = Duration::from_mins(2);

/// What the webhook shares with the rest of the process.
pub struct Around {
    /// The cluster.
    pub client: Client,
    /// Whether this process may write: the leader alone makes certificates.
    pub claim: Claim,
    /// Told when requests are answered.
    pub health: Health,
    /// Counts.
    pub metrics: Metrics,
}

/// A webhook that has its address and does not answer yet.
pub struct Webhook {
    listener: TcpListener,
    address: SocketAddr,
    admission: Arc<Admission>,
    keeper: Keeper,
}

impl Webhook {
    /// Takes the address of `settings`; `None` when there is none.
    ///
    /// # Errors
    /// The address is taken, or not this machine's. The message names it.
    pub async fn bind(settings: &WebhookSettings, around: Around) -> io::Result<Option<Self>> {
        let Some((address, certificate)) = settings.wanted() else { return Ok(None) };
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(named)?;
        let address = listener.local_addr().map_err(named)?;
        let Around { client, claim, health, metrics } = around;
        let certificates: Box<dyn Certificates> = match certificate {
            Certificate::InDirectory(directory) => Box::new(Files::new(directory)),
            Certificate::MadeFor(host) => Box::new(Own::new(client.clone(), host, claim, metrics.clone())),
        };
        let heartbeat = health.task("webhook certificate", LONGEST_SILENCE, Instant::now());
        let keeper = Keeper { certificates, heartbeat, ready: health.part("webhook") };
        let admission = Arc::new(Admission { objects: Box::new(FromApi(client)), metrics });
        Ok(Some(Self { listener, address, admission, keeper }))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until some seconds after `stop` is cancelled.
    pub async fn serve(self, stop: CancellationToken) {
        let (tell, tls) = watch::channel(None);
        let drained = CancellationToken::new();
        let drain = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
            drained.cancel();
        };
        let serving = async {
            server::serve(self.listener, tls, admission::pages(self.admission), drained.clone()).await;
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(serving, drain) } => {}
            () = self.keeper.keep(tell) => {}
        }
    }
}
