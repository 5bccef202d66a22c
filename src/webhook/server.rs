//! HTTP over TLS for the API server, with bounds on what a client may cost.

use std::collections::HashMap;
use std::net::IpAddr;
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

/// An API server needs a few. One Pod that takes all that it can get leaves room for it.
const MOST_CONNECTIONS: usize = 256;
const MOST_OF_ONE_ADDRESS: usize = 32;

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
    let mut guests: HashMap<IpAddr, usize> = HashMap::new();
    loop {
        let next = async {
            // Nobody is let in before there is something to show.
            let is_shown = tls.wait_for(Option::is_some).await.is_ok();
            let permit = room.clone().acquire_owned().await.ok().filter(|_| is_shown)?;
            Some((permit, listener.accept().await))
        };
        let next = tokio::select! {
            next = next => next,
            () = stop.cancelled() => None,
        };
        // Those that have ended.
        while let Some(ended) = connections.try_join_next() {
            if let Some(count) = ended.ok().and_then(|address| guests.get_mut(&address)) {
                *count -= 1;
            }
        }
        guests.retain(|_, count| *count > 0);
        // As it is now: the wait may have been long.
        let (Some((permit, accepted)), Some(config)) = (next, tls.borrow().clone()) else { break };
        match accepted {
            Ok((stream, peer)) => {
                let count = guests.entry(peer.ip()).or_default();
                if *count == MOST_OF_ONE_ADDRESS {
                    tracing::debug!(%peer, "too many connections to the webhook");
                    continue;
                }
                *count += 1;
                let (pages, stop) = (pages.clone(), stop.clone());
                connections.spawn(async move {
                    converse(stream, config, pages, stop).await;
                    drop(permit);
                    peer.ip()
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;
    use tokio_rustls::rustls::crypto::aws_lc_rs;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::super::tls::tests::pair;
    use super::super::tls::{Pem, server_config};
    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    struct Running {
        address: SocketAddr,
        show: watch::Sender<Option<Arc<ServerConfig>>>,
        stop: CancellationToken,
        ended: JoinHandle<()>,
    }

    /// A server that answers `hello`, once it has a certificate.
    async fn start(pages: Router) -> Running {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (show, shown) = watch::channel(None);
        let stop = CancellationToken::new();
        let ended = tokio::spawn(serve(listener, shown, pages.route("/", get(async || "hello")), stop.clone()));
        Running { address, show, stop, ended }
    }

    impl Running {
        /// Shows a new certificate, and answers with it.
        fn renew(&self) -> String {
            let (certificate, key) = pair();
            let config = server_config(&Pem(format!("{certificate}{key}"))).unwrap();
            self.show.send_replace(Some(Arc::new(config)));
            certificate
        }

        async fn connect(&self, trusted: &str) -> Result<TlsStream<TcpStream>, std::io::Error> {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
            let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let stream = TcpStream::connect(self.address).await?;
            TlsConnector::from(Arc::new(config)).connect(ServerName::from(self.address.ip()), stream).await
        }
    }

    /// Asks for `path` and reads until the answer holds `words`.
    async fn ask(stream: &mut TlsStream<TcpStream>, path: &str, words: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains(words) {
            let read = timeout(SOON, stream.read_buf(&mut answer)).await.unwrap().unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_new_certificate_is_for_new_connections_and_the_old_ones_go_on() {
        let server = start(Router::new()).await;
        let first = server.renew();
        let mut old = server.connect(&first).await.unwrap();
        ask(&mut old, "/", "hello").await;
        let second = server.renew();
        let mut new = server.connect(&second).await.unwrap();
        ask(&mut new, "/", "hello").await;
        assert!(server.connect(&first).await.is_err(), "the first is shown to nobody any more");
        ask(&mut old, "/", "hello").await;
        server.stop.cancel();
        timeout(SOON, server.ended).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_or_no_tls_holds_up_nobody() {
        let server = start(Router::new()).await;
        let certificate = server.renew();
        let _silent = TcpStream::connect(server.address).await.unwrap();
        let mut plain = TcpStream::connect(server.address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut stream = server.connect(&certificate).await.unwrap();
        ask(&mut stream, "/", "hello").await;
        server.stop.cancel();
        timeout(SOON, server.ended).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn one_address_takes_no_more_than_its_share_and_gets_it_back() {
        let server = start(Router::new()).await;
        let certificate = server.renew();
        let mut share = Vec::new();
        for _ in 0..MOST_OF_ONE_ADDRESS {
            share.push(server.connect(&certificate).await.unwrap());
        }
        assert!(server.connect(&certificate).await.is_err());
        ask(share.last_mut().unwrap(), "/", "hello").await;
        drop(share);
        let again = async {
            while server.connect(&certificate).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, again).await.unwrap();
        server.stop.cancel();
        timeout(SOON, server.ended).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_that_is_being_answered_is_answered_to_its_end() {
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let channels = Arc::new(std::sync::Mutex::new(Some((begun, may_go_on))));
        let slow = get(async move || {
            let (begun, may_go_on) = channels.lock().unwrap().take().unwrap();
            begun.send(()).unwrap();
            may_go_on.await.unwrap();
            "done"
        });
        let server = start(Router::new().route("/slow", slow)).await;
        let certificate = server.renew();
        let mut stream = server.connect(&certificate).await.unwrap();
        let mut rests = server.connect(&certificate).await.unwrap();
        ask(&mut rests, "/", "hello").await;
        let asked = tokio::spawn(async move { ask(&mut stream, "/slow", "done").await });
        has_begun.await.unwrap();
        server.stop.cancel();
        // One that rests is closed at once.
        let mut rest = Vec::new();
        timeout(SOON, rests.read_to_end(&mut rest)).await.unwrap().unwrap();
        go_on.send(()).unwrap();
        let answer = asked.await.unwrap();
        assert!(answer.contains("connection: close"), "{answer}");
        timeout(SOON, server.ended).await.unwrap().unwrap();
    }
}
