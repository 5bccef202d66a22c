//! HTTP over TLS for the API server, with bounds on what a client may cost.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

/// An API server needs a few.
const MOST_CONNECTIONS: usize = 256;

/// How long a client may take to agree on a key.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may rest. Longer than the API server lets one (90 s: k8s.io/apimachinery, `SetTransportDefaults`), so that
/// none is closed here as a request is on its way: the API server would take that for a failure of the webhook.
const IDLE: Duration = Duration::from_mins(2);

/// How long requests that are being answered may hold up the end.
const GRACE: Duration = Duration::from_secs(2);

/// Answers from when there is a certificate until `stop` is cancelled. A connection keeps the certificate that it began with.
pub(super) async fn serve(
    listener: TcpListener,
    mut tls: watch::Receiver<Option<Arc<ServerConfig>>>,
    pages: Router,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let config = tls.wait_for(Option::is_some).await.ok().and_then(|config| config.clone());
            let permit = room.clone().acquire_owned().await;
            (config, permit, listener.accept().await)
        };
        let (config, permit, accepted) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => break,
        };
        // Those that have ended.
        while connections.try_join_next().is_some() {}
        let (Some(config), Ok(permit)) = (config, permit) else { break };
        match accepted {
            Ok((stream, _)) => {
                let (pages, stop) = (pages.clone(), stop.clone());
                connections.spawn(async move {
                    converse(stream, config, pages, stop).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Such as too many open files, which passes.
                tracing::warn!(%error, "the webhook could not accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, all).await.is_err() {
        tracing::debug!("webhook connections were cut off");
    }
}

async fn converse(stream: TcpStream, config: Arc<ServerConfig>, pages: Router, stop: CancellationToken) {
    let stream = match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        // Port scans and probes do this too.
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake with the webhook failed"),
        Err(_) => return,
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE);
    let mut conversation = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages)));
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = stop.cancelled() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the webhook failed");
    }
}
