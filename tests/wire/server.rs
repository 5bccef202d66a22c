//! An HTTP server on this machine that answers as it is told and remembers what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the server does with one request.
pub enum Reply {
    /// Answers with a status, a header (or none) and a body.
    Answer(u16, Option<(&'static str, &'static str)>, String),
    /// Closes the connection without a word.
    Drop,
    /// Closes the connection in the middle of the answer.
    CutOff,
    /// Never answers.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method and path, with the query.
    pub line: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    seen: Vec<Seen>,
}

/// Runs until it is dropped.
pub struct Server {
    pub url: String,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts a server that gives these replies, one a request; what comes after them is answered with 599.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script { replies: replies.into_iter().collect(), seen: Vec::new() }));
        let task = tokio::spawn(accept(listener, script.clone()));
        Self { url, script, task }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let script = script.clone();
        let service = service_fn(move |request| reply(request, script.clone()));
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

type Body = BoxBody<Bytes, io::Error>;

async fn reply(request: Request<Incoming>, script: Arc<Mutex<Script>>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let line = format!("{} {}", head.method, head.uri);
    let next = {
        let mut script = script.lock().unwrap();
        script.seen.push(Seen { line, headers: head.headers, body });
        script.replies.pop_front()
    };
    match next.unwrap_or(Reply::Answer(599, None, "the script of this server is over".to_owned())) {
        Reply::Answer(status, header, body) => {
            let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}).boxed();
            let answer = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
            Ok(header.into_iter().fold(answer, |answer, (name, value)| answer.header(name, value)).body(body).unwrap())
        }
        Reply::Drop => Err(io::ErrorKind::ConnectionReset.into()),
        Reply::CutOff => {
            let parts = [Ok(Frame::data(Bytes::from_static(b"{\"QueueUrl\":"))), Err(io::ErrorKind::BrokenPipe.into())];
            let body = BodyExt::boxed(StreamBody::new(futures::stream::iter(parts)));
            Ok(Response::builder().header("content-length", 100).body(body).unwrap())
        }
        Reply::Hang => std::future::pending().await,
    }
}
