//! `kubectl` as one of the cluster's users.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use crate::supervisor::{Output, Program, Run};

/// The program, and who it speaks for.
pub struct Kubectl {
    pub program: PathBuf,
    pub kubeconfig: PathBuf,
}

impl Kubectl {
    /// It with arguments, not started yet.
    pub fn with(&self, arguments: &[&str]) -> Program {
        Program::new(&self.program).env("KUBECONFIG", &self.kubeconfig).args(arguments)
    }

    /// Runs it to its end.
    pub fn output(&self, run: &Run, arguments: &[&str]) -> Result<Output> {
        run.run_quietly(&self.with(arguments), None)
    }

    /// What it prints; an error when it fails.
    pub fn run(&self, run: &Run, arguments: &[&str]) -> Result<String> {
        self.output(run, arguments)?.checked(&format!("kubectl {}", arguments.join(" ")))
    }
}

/// A kubeconfig (JSON is YAML) for the API server on `port`, whose certificate is at `authority`.
pub fn config(port: u16, authority: &Path, user: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "prism-queue",
            "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority": authority},
        }],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "prism-queue", "context": {"cluster": "prism-queue", "user": user}}],
        "current-context": "prism-queue",
    })
}
