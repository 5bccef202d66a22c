//! Everything that is checked without running the program.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::cargo;
use crate::supervisor::{Program, Run};
use crate::terminal::{self, Progress};
use crate::{cache, go, prerequisites};

/// The version of cargo-deny.
const DENY: &str = "0.20.2";

/// What the chart has no default for, so that its templates are rendered to the end.
const CHART_VALUES: [&str; 2] = ["--set", "clusterName=lint,image.repository=example.com/prism-queue"];

/// `cargo xtask lint`: all checks are made, also after one has failed.
pub fn run(advisories: bool) -> Result<ExitCode> {
    prerequisites::check(&[go::HELM], false)?;
    let run = Run::start()?;
    let helm = go::HELM.path(&run)?;
    let deny = cargo_deny(&run)?;

    // The advisories are a Git repository elsewhere: what a clone without network can check is checked always.
    let mut dependencies = vec!["--workspace", "check", "bans", "licenses", "sources"];
    if advisories {
        dependencies.push("advisories");
    }
    let checks = [
        ("formatting", cargo().args(["fmt", "--all", "--check"])),
        ("clippy", cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])),
        ("documentation", cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings")),
        ("chart", Program::new(helm).args(["lint", "--strict", "charts/prism-queue"]).args(CHART_VALUES)),
        ("dependencies", Program::new(deny).args(dependencies)),
    ];
    let mut failed = Vec::new();
    for (name, check) in &checks {
        terminal::heading(name);
        if !run.run(check)?.success() {
            failed.push(*name);
        }
    }
    println!();
    if failed.is_empty() {
        terminal::good("lints");
        return Ok(ExitCode::SUCCESS);
    }
    terminal::bad(&format!("lints: {}", failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

/// cargo-deny of our own version, beside whatever the developer has installed.
fn cargo_deny(run: &Run) -> Result<PathBuf> {
    let installed = cache::folder()?.join("cargo-deny").join(cache::key(&[DENY.as_bytes()]));
    cache::ensure(&installed, |built| {
        let mut progress = Progress::start("building cargo-deny, once; this takes minutes");
        let install = cargo()
            .args(["install", "--quiet", "--locked", "cargo-deny", "--version", DENY, "--no-track", "--root"])
            .arg(built)
            // Ours may be kept from one run to the next, and is none of its business.
            .env("CARGO_TARGET_DIR", built.with_extension("target"));
        run.run_quietly(&install, Some(&mut progress))?.checked("cargo install cargo-deny")?;
        progress.done();
        Ok(())
    })?;
    Ok(installed.join("bin/cargo-deny"))
}
