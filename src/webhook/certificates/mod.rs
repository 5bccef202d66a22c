//! The certificate that the webhook shows, and how it comes to be another one while requests are answered.

mod files;
mod own;
mod stock;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::rustls::ServerConfig;

use crate::runtime::health::{CacheSync, Heartbeat};

use super::tls::{Pem, server_config};

pub(super) use files::Files;
pub(super) use own::Own;
pub use own::{CONFIGURATION, SECRET};

/// How often the certificate is looked at, and how often while there is none.
const INTERVAL: Duration = Duration::from_secs(5);
const INTERVAL_AT_FIRST: Duration = Duration::from_millis(500);

/// Where the certificate comes from.
#[async_trait]
pub(super) trait Certificates: Send + Sync {
    /// The certificate to show now, and what is wrong: one does not exclude the other.
    async fn look(&mut self) -> Look;
}

/// What was found.
#[derive(Debug)]
pub(super) struct Look {
    /// None while there is none to be had.
    pub(super) certificate: Option<Pem>,
    pub(super) trouble: Option<String>,
}

/// Looks after the certificate.
pub(super) struct Keeper {
    pub(super) certificates: Box<dyn Certificates>,
    pub(super) heartbeat: Heartbeat,
    pub(super) ready: CacheSync,
}

impl Keeper {
    /// Tells the server what to speak TLS with, now and whenever it changes. What cannot be used changes nothing: the certificate
    /// before it goes on.
    pub(super) async fn keep(mut self, tell: watch::Sender<Option<Arc<ServerConfig>>>) {
        let mut shown = None;
        let mut complained = String::new();
        loop {
            self.heartbeat.beat(Instant::now());
            let Look { certificate, mut trouble } = self.certificates.look().await;
            if let Some(new) = certificate.filter(|new| shown.as_ref() != Some(new)) {
                match server_config(&new) {
                    Ok(config) => {
                        tell.send_replace(Some(Arc::new(config)));
                        self.ready.synced();
                        tracing::info!(first = shown.is_none(), "the webhook shows a new certificate");
                        shown = Some(new);
                    }
                    Err(why) => trouble = Some(why),
                }
            }
            // Said once, until it changes.
            if let Some(why) = trouble.as_ref().filter(|why| **why != complained) {
                tracing::warn!(why, "the webhook's certificate");
            }
            complained = trouble.unwrap_or_default();
            sleep(if shown.is_some() { INTERVAL } else { INTERVAL_AT_FIRST }).await;
        }
    }
}
