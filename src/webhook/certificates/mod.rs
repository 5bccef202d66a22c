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
const LOOK: Duration = Duration::from_secs(5);
const LOOK_FOR_THE_FIRST: Duration = Duration::from_millis(500);

/// Where the certificate comes from.
#[async_trait]
pub(super) trait Certificates: Send + Sync {
    /// The certificate to show now; `None` while there is none to be had.
    async fn current(&mut self) -> Result<Option<Pem>, String>;
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
            let current = self.certificates.current().await;
            let trouble = match current {
                Ok(None) => Some("there is none yet".to_owned()),
                Ok(pem) if pem == shown => None,
                Ok(Some(pem)) => match server_config(&pem) {
                    Ok(config) => {
                        tell.send_replace(Some(Arc::new(config)));
                        self.ready.synced();
                        tracing::info!(first = shown.is_none(), "the webhook shows a new certificate");
                        shown = Some(pem);
                        None
                    }
                    Err(why) => Some(why),
                },
                Err(why) => Some(why),
            };
            // Said once, until it changes.
            if let Some(why) = trouble.as_ref().filter(|why| **why != complained) {
                tracing::warn!(why, "the webhook's certificate");
            }
            complained = trouble.unwrap_or_default();
            sleep(if shown.is_some() { LOOK } else { LOOK_FOR_THE_FIRST }).await;
        }
    }
}
