//! The operator as a process, which ends with the test run however that ends.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;

use super::wait::{SOON, eventually};
use super::{ACCOUNT, Identity, World};

const GUARD: &str = include_str!("guard.sh");

/// A running operator. It is killed when this is dropped.
pub struct Operator {
    folder: PathBuf,
    pid: String,
    ended: watch::Receiver<Option<i32>>,
    /// As long as this pipe is open, the operator may live.
    _life: ChildStdin,
    _guard: Child,
}

/// What an operator finds around it, beside Kubernetes.
#[derive(Default)]
pub struct Surroundings<'a> {
    /// More of the environment.
    pub environment: &'a [(&'a str, &'a str)],
    /// A certificate, as PEM, in place of the system's roots. Kubernetes has a root of its own.
    pub trusts: Option<&'a str>,
}

/// How an operator ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// All that it said.
    pub log: String,
}

impl Operator {
    /// Starts one with the ordinary flags and these, which win.
    pub async fn start(world: &World, identity: &Identity, flags: &[&str]) -> Self {
        Self::start_in(world, identity, flags, &Surroundings::default()).await
    }

    /// The same in these surroundings.
    pub async fn start_in(world: &World, identity: &Identity, flags: &[&str], around: &Surroundings<'_>) -> Self {
        let replaced = |flag: &str| flags.contains(&flag);
        let ordinary = world.flags();
        let kept = ordinary.chunks(2).filter(|pair| !replaced(&pair[0])).flatten().map(String::as_str);
        let flags: Vec<&str> = kept.chain(flags.iter().copied()).collect();
        Self::run(Some(identity), &flags, around).await
    }

    /// Starts one with just these flags, in these surroundings.
    pub async fn run(identity: Option<&Identity>, flags: &[&str], around: &Surroundings<'_>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("operator-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique);
        std::fs::create_dir_all(&folder).expect("a folder for the operator");
        let kubeconfig = folder.join("kubeconfig");
        if let Some(identity) = identity {
            let text = serde_json::to_string(&identity.kubeconfig).expect("a kubeconfig is JSON");
            std::fs::File::create(&kubeconfig).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
        }
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(&folder);
        command.args([env!("CARGO_BIN_EXE_prism-queue"), "controller"]).args(flags);
        // Nothing of whoever runs the tests reaches it: neither a real account nor a real cluster.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
            .env("KUBECONFIG", &kubeconfig)
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(around.environment.iter().copied());
        if let Some(certificate) = around.trusts {
            let roots = folder.join("roots.pem");
            std::fs::write(&roots, certificate).expect("written");
            command.env("SSL_CERT_FILE", roots);
        }
        // Ctrl-C is for the test run; the guard follows it through the pipe.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = tokio::process::Command::from(command).spawn().expect("sh runs");
        let life = guard.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(guard.stdout.take().expect("a pipe")).lines();
        let pid = lines.next_line().await.expect("the guard speaks").expect("the guard names its program");
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            if let Ok(Some(line)) = lines.next_line().await {
                tell.send_replace(line.strip_prefix("ended ").and_then(|code| code.parse().ok()));
            }
        });
        Self { folder, pid, ended, _life: life, _guard: guard }
    }

    /// All that it said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits until it has ended by itself.
    pub async fn end(mut self) -> Ended {
        let ended = tokio::time::timeout(SOON, self.ended.wait_for(Option::is_some)).await;
        let code = ended.ok().and_then(|code| *code.expect("the guard says how it ended"));
        let log = self.log();
        Ended { code: code.unwrap_or_else(|| panic!("the operator does not end:\n{log}")), log }
    }

    /// Asks it to end, as Kubernetes does, and waits.
    pub async fn terminate(self) -> Ended {
        self.signal("-TERM");
        self.end().await
    }

    /// Kills it at once, as a crash does, and waits.
    pub async fn kill(self) -> Ended {
        self.signal("-KILL");
        self.end().await
    }

    /// Sends it a signal, in the words of `kill`.
    pub fn signal(&self, signal: &str) {
        if !self.has_ended() {
            let sent = Command::new("kill").args([signal, &self.pid]).status().expect("kill runs");
            assert!(sent.success(), "kill {signal} {}", self.pid);
        }
    }

    /// Waits until it has said something.
    pub async fn says(&self, words: &str) -> String {
        let log = eventually(words, async || self.log(), |log| log.contains(words) || self.has_ended()).await;
        assert!(log.contains(words), "the operator ended without saying {words:?}:\n{log}");
        log
    }

    /// Waits until it leads and has filled its caches.
    pub async fn works(&self) {
        self.says("\"message\":\"ready\"").await;
    }

    /// What it answers to GET on `path`.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let log = self.says("serving /healthz").await;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut addresses = lines.filter_map(|line| line["address"].as_str().map(str::to_owned));
        let address = addresses.next().expect("an address");
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let url = format!("http://{address}{path}").parse().expect("a URL");
        let answer = tokio::time::timeout(Duration::from_secs(10), client.get(url)).await;
        let answer = answer.expect("an answer in time").expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// The sum of a counter's samples whose labels satisfy.
    pub async fn metric(&self, name: &str, labels: impl Fn(&str) -> bool) -> u64 {
        self.samples(name, labels).await.iter().filter_map(|sample| sample.parse::<u64>().ok()).sum()
    }

    /// A gauge that has these labels, once it was set.
    pub async fn gauge(&self, name: &str, labels: &str) -> Option<f64> {
        self.samples(name, |line| line.contains(labels)).await.first()?.parse().ok()
    }

    async fn samples(&self, name: &str, labels: impl Fn(&str) -> bool) -> Vec<String> {
        let (_, text) = self.get("/metrics").await;
        let lines = text.lines().filter(|line| line.starts_with(name) && labels(line));
        lines.filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if !self.has_ended() {
            // The guard would do it too, a little later.
            let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
        }
    }
}
