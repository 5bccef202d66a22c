//! A proxy between the operator and an AWS emulator that counts calls and makes them go wrong.
//!
//! It passes requests on as they are, `Host` included: signatures stay valid, and the emulator puts the proxy's
//! address into the queue URLs that it answers with, so that everyone who uses one comes through here too.

mod call;
mod memory;
mod rule;
mod tests;
mod tls;
mod wire;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use call::Call;
pub use rule::{Fault, Gate, Rule, Throttle, When};
pub use tls::{connector, http_client};

use call::Protocol;
use memory::Memory;
use wire::Answer;

/// What those who end TLS tell the server behind them.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A running proxy on a free loopback port. It ends when it is dropped.
pub struct FaultProxy {
    endpoint: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    upstream: String,
    /// Ends TLS, if clients come with it.
    tls: Option<TlsAcceptor>,
    client: Client<HttpConnector, Full<Bytes>>,
    state: Mutex<State>,
    /// Moves with every call that comes or ends.
    changes: watch::Sender<()>,
}

struct State {
    calls: Vec<Call>,
    rules: Vec<Rule>,
    memory: Memory,
}

/// The connection is dropped without an answer.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the fault proxy drops this connection")
    }
}

impl std::error::Error for Dropped {}

impl FaultProxy {
    /// Starts a proxy in front of `upstream` (`http://host:port`). Needs a tokio runtime around it.
    pub fn start(upstream: &str) -> Self {
        Self::listen(upstream, None)
    }

    /// The same for clients that come with TLS, of which it tells the one behind it. Answers the certificate that they
    /// must trust too, as PEM.
    pub fn start_with_tls(upstream: &str) -> (Self, String) {
        let (tls, certificate) = tls::acceptor();
        (Self::listen(upstream, Some(tls)), certificate)
    }

    fn listen(upstream: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", listener.local_addr().expect("the address of a bound socket"));
        let listener = TcpListener::from_std(listener).expect("a tokio runtime");
        let shared = Arc::new(Shared {
            upstream: upstream.trim_end_matches('/').to_owned(),
            tls,
            client: Client::builder(TokioExecutor::new()).build_http(),
            state: Mutex::new(State { calls: Vec::new(), rules: Vec::new(), memory: Memory::new() }),
            changes: watch::Sender::new(()),
        });
        let server = tokio::spawn(serve(listener, shared.clone())).abort_handle();
        Self { endpoint, shared, server }
    }

    /// Where clients find it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Adds a rule.
    pub fn inject(&self, rule: Rule) {
        self.shared.state().rules.push(rule);
    }

    /// Ends all rules. Calls that are held stay held until their gate opens.
    pub fn calm(&self) {
        self.shared.state().rules.clear();
    }

    /// Ends the rules for calls about one queue.
    pub fn calm_about(&self, queue: &str) {
        self.shared.state().rules.retain(|rule| !rule.is_about(queue));
    }

    /// Scales the 60 s for which the name of a queue deleted through this proxy is refused; 0 ends it.
    pub fn scale_cool_down(&self, scale: f64) {
        self.shared.state().memory.scale(scale);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.clone()
    }

    /// How many calls of `action` there were, about `queue` if one is given.
    pub fn count(&self, action: &str, queue: Option<&str>) -> usize {
        self.calls().iter().filter(|call| call.is(Some(action), queue)).count()
    }

    /// This point in the sequence of calls.
    pub fn mark(&self) -> usize {
        self.shared.state().calls.len()
    }

    /// The calls since `mark`.
    pub fn since(&self, mark: usize) -> Vec<Call> {
        self.shared.state().calls[mark..].to_vec()
    }

    /// Waits until the calls satisfy `condition`; false when they do not within `deadline`.
    pub async fn until(&self, deadline: Duration, condition: impl Fn(&[Call]) -> bool) -> bool {
        let mut changes = self.shared.changes.subscribe();
        let satisfied = changes.wait_for(|()| condition(&self.shared.state().calls));
        tokio::time::timeout(deadline, satisfied).await.is_ok()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // The server's task owns the connections, so they end with it.
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let shared = shared.clone();
                connections.spawn(async move {
                    match shared.tls.clone() {
                        None => converse(stream, shared).await,
                        // One who does not trust the certificate, or speaks plain HTTP, is not served.
                        Some(tls) => if let Ok(stream) = tls.accept(stream).await { converse(stream, shared).await },
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request| handle(shared.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(connection.await);
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Dropped> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let (call, protocol) = Call::parse(&parts, &body);
    let (index, fault) = shared.arrive(call.clone());
    let result = shared.go_through(index, &call, protocol, fault, parts, body).await;
    shared.change(index, |call| call.status = result.as_ref().ok().map(|answer| answer.status().as_u16()));
    result
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked has failed anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a call, and finds out what is to go wrong with it.
    fn arrive(&self, call: Call) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let State { calls, rules, memory } = &mut *state;
        let was_changed = call.queue.as_deref().is_some_and(|queue| memory.was_changed(queue));
        let fault = rules.iter_mut().find_map(|rule| rule.catch(&call, was_changed));
        calls.push(call);
        let index = calls.len() - 1;
        drop(state);
        self.changes.send_replace(());
        (index, fault)
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Call)) {
        change(&mut self.state().calls[index]);
        self.changes.send_replace(());
    }

    async fn go_through(
        &self,
        index: usize,
        call: &Call,
        protocol: Protocol,
        fault: Option<Fault>,
        parts: Parts,
        body: Bytes,
    ) -> Result<Answer, Dropped> {
        match &fault {
            Some(Fault::Drop(When::Before)) => return Err(Dropped),
            Some(Fault::Throttle(form)) => return Ok(wire::throttled(protocol, *form)),
            Some(Fault::Error { status, code, message }) => return Ok(wire::error(protocol, *status, code, message)),
            Some(Fault::Delay(by)) => tokio::time::sleep(*by).await,
            Some(Fault::Hold(gate, When::Before)) => gate.pass().await,
            Some(Fault::Drop(When::After) | Fault::Hold(_, When::After) | Fault::Stale) | None => {}
        }
        let queue = call.queue.as_deref().unwrap_or_default();
        if call.action == "CreateQueue" && self.state().memory.is_cooling(queue) {
            let message =
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
            return Ok(wire::error(protocol, 400, "QueueDeletedRecently", message));
        }
        self.change(index, |call| call.reached = true);
        let answer = self.pass_on(parts, body).await?;
        let answer = self.learn(call, answer, matches!(fault, Some(Fault::Stale)));
        match fault {
            Some(Fault::Drop(When::After)) => return Err(Dropped),
            Some(Fault::Hold(gate, When::After)) => gate.pass().await,
            _ => {}
        }
        Ok(answer)
    }

    /// Asks the emulator. Its answer is read whole: after that, the call has taken effect.
    async fn pass_on(&self, mut parts: Parts, body: Bytes) -> Result<Answer, Dropped> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.upstream).parse::<Uri>().map_err(|_| Dropped)?;
        parts.headers.remove(TRANSFER_ENCODING);
        if self.tls.is_some() {
            parts.headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        }
        let answer = self.client.request(Request::from_parts(parts, Full::new(body))).await.map_err(|_| Dropped)?;
        let (mut parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        parts.headers.remove(TRANSFER_ENCODING);
        Ok(Answer::from_parts(parts, Full::new(body)))
    }

    /// Lets the memory learn from an answer, and changes the answer only where the memory does.
    fn learn(&self, call: &Call, answer: Answer, stale: bool) -> Answer {
        if !answer.status().is_success() || call.queue.is_none() {
            return answer;
        }
        let (mut parts, body) = answer.into_parts();
        let body = body.into_inner().unwrap_or_default();
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut told = said.clone();
        self.state().memory.learn(call, &mut told, stale);
        if told == said {
            return Answer::from_parts(parts, Full::new(body));
        }
        parts.headers.remove(CONTENT_LENGTH);
        Answer::from_parts(parts, Full::new(Bytes::from(told.to_string())))
    }
}
