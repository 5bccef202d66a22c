//! The AWS emulator: installed once, apart from the system's Python, and started for each run.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache;
use crate::http;
use crate::supervisor::{Program, Run, Service};
use crate::terminal::Progress;

/// What the operator manages or asks, and no more.
const SERVICES: &str = "sqs,iam,sts,kms,cloudwatch,eks,tagging";
/// What policies of queues let in besides roles and users.
const CALLERS: &str = "sns,organizations";
const START: Duration = Duration::from_mins(1);

/// Whether an emulator asks who calls, and what the policies say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policies {
    Kept,
    Enforced,
}

/// An emulator that answers.
pub struct Emulator {
    pub endpoint: String,
    pub service: Service,
}

/// The Python that has the emulator, installed first if need be.
pub fn install(run: &Run) -> Result<PathBuf> {
    let requirements = crate::root().join("tools/emulator/requirements.txt");
    let wanted = fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = Program::new("python3").args(["-c", "import sys; print(sys.prefix, sys.version)"]);
    let version = run.run_quietly(&version, None)?.checked("asking python3 for its version")?;
    let environment = cache::folder()?.join("emulator").join(cache::key(&[&wanted, version.as_bytes()]));
    cache::ensure(&environment, |built| {
        let mut progress = Progress::start("installing the AWS emulator, once");
        let venv = Program::new("python3").args(["-m", "venv"]).arg(built);
        run.run_quietly(&venv, Some(&mut progress))?.checked("python3 -m venv")?;
        let install = Program::new(built.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"])
            .arg("--requirement")
            .arg(&requirements);
        run.run_quietly(&install, Some(&mut progress))?.checked("pip install")?;
        progress.done();
        Ok(())
    })?;
    Ok(environment.join("bin/python"))
}

impl Emulator {
    /// Starts one that knows nothing yet.
    pub fn start(run: &Run, python: PathBuf, policies: Policies) -> Result<Self> {
        let (name, services, auth) = match policies {
            Policies::Kept => ("emulator", SERVICES.to_owned(), "false"),
            Policies::Enforced => ("enforcing-emulator", format!("{SERVICES},{CALLERS}"), "true"),
        };
        let [port] = http::free_ports()?;
        let state = run.path(name);
        fs::create_dir(&state)?;
        let program = Program::new(python)
            .args(["-m", "ministack"])
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("SERVICES", services)
            .env("STATE_DIR", &state)
            .env("AUTH", auth)
            .folder(state);
        Ok(Self { endpoint: format!("http://127.0.0.1:{port}"), service: run.serve(name, &program)? })
    }

    pub fn wait(&mut self) -> Result<()> {
        let health = format!("{}/_ministack/health", self.endpoint);
        self.service.until(START, || Ok(http::is_well(&health).then_some(())))
    }
}
