//! The HTTP side of a long-running process: `/healthz`, `/readyz` and `/metrics`. It serves probes and scrapers of the
//! cluster, holds nothing secret and takes no input.

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::health::{Check, Health};
use super::lease::Claim;
use super::metrics::{self, Metrics};

/// How long requests that are being answered may hold up the end of the process.
const GRACE: Duration = Duration::from_secs(2);

/// What the pages tell about.
#[derive(Clone, Debug)]
struct Subject {
    health: Health,
    claim: Claim,
    metrics: Metrics,
}

/// A server that has its address and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes `address`; port 0 is any free one.
    ///
    /// # Errors
    /// The address is taken, or not this machine's. The message names it.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(named)?;
        let address = listener.local_addr().map_err(named)?;
        Ok(Self { listener, address })
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is cancelled, and two seconds longer at most.
    ///
    /// # Errors
    /// The socket failed.
    pub async fn serve(
        self,
        health: Health,
        claim: Claim,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let pages = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(scrape))
            .with_state(Subject { health, claim, metrics });
        let drain = stop.clone().cancelled_owned();
        let served = axum::serve(self.listener, pages).with_graceful_shutdown(drain).into_future();
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = served => ended,
            () = overdue => Ok(()),
        }
    }
}

async fn healthz(State(subject): State<Subject>) -> Response {
    report(&subject.health.live(Instant::now()))
}

async fn readyz(State(subject): State<Subject>) -> Response {
    report(&subject.health.ready(Instant::now()))
}

async fn scrape(State(subject): State<Subject>) -> Response {
    // Asked at this moment: a claim runs out without anybody there to say so.
    subject.metrics.leader(subject.claim.is_held(Instant::now()));
    match subject.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// One line a check, in the form of the API server's own health pages.
fn report(checks: &[Check]) -> Response {
    let line = |check: &Check| match &check.trouble {
        None => format!("[+] {}: ok\n", check.name),
        Some(trouble) => format!("[-] {}: {trouble}\n", check.name),
    };
    let well = checks.iter().all(|check| check.trouble.is_none());
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, checks.iter().map(line).collect::<String>()).into_response()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    async fn start(health: Health, claim: Claim, stop: &CancellationToken) -> (SocketAddr, JoinHandle<io::Result<()>>) {
        let server = Server::bind(ANY_PORT).await.unwrap();
        let address = server.address();
        (address, tokio::spawn(server.serve(health, claim, Metrics::new(), stop.clone())))
    }

    /// The status code and the whole answer.
    async fn fetch(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (code, answer)
    }

    #[tokio::test]
    async fn probes_tell_what_is_wrong_and_then_that_it_is_right() {
        let stop = CancellationToken::new();
        let health = Health::new(Claim::always());
        let beat = health.task("controller", Duration::ZERO, Instant::now());
        let queues = health.cache("Queues");
        let (address, served) = start(health, Claim::always(), &stop).await;

        let (code, answer) = fetch(address, "/healthz").await;
        assert_eq!(code, 503);
        assert!(answer.contains("[-] controller: no progress"), "{answer}");
        // A beat ahead of time stands for a task that is beating all the while.
        beat.beat(Instant::now() + Duration::from_hours(1));
        assert_eq!(fetch(address, "/healthz").await.0, 200);

        let (code, answer) = fetch(address, "/readyz").await;
        assert_eq!(code, 503);
        assert!(answer.contains("[+] leader election: ok") && answer.contains("[-] Queues: not yet"), "{answer}");
        queues.synced();
        assert_eq!(fetch(address, "/readyz").await.0, 200);

        assert_eq!(fetch(address, "/").await.0, 404);
        stop.cancel();
        served.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn metrics_are_open_metrics_and_leadership_is_asked_at_the_scrape() {
        let stop = CancellationToken::new();
        let (term, claim) = super::super::lease::term();
        let (address, served) = start(Health::new(claim.clone()), claim, &stop).await;

        let (code, answer) = fetch(address, "/metrics").await;
        assert_eq!(code, 200);
        assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
        assert!(answer.contains("prism_queue_leader 0\n") && answer.ends_with("# EOF\n"), "{answer}");

        term.lead_until(Instant::now() + Duration::from_hours(1));
        assert!(fetch(address, "/metrics").await.1.contains("prism_queue_leader 1\n"));
        stop.cancel();
        served.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_open_connection_does_not_hold_up_the_end() {
        let stop = CancellationToken::new();
        let (address, served) = start(Health::new(Claim::always()), Claim::always(), &stop).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        stop.cancel();
        timeout(Duration::from_secs(30), served).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_taken_address_is_named() {
        let first = Server::bind(ANY_PORT).await.unwrap();
        let error = Server::bind(first.address()).await.unwrap_err();
        assert!(error.to_string().contains(&first.address().to_string()), "{error}");
    }
}
