//! Generated files. The generator is the test that holds them: told to, it writes instead of comparing.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::cargo;
use crate::supervisor::Run;

/// `cargo xtask crds`.
pub fn run() -> Result<ExitCode> {
    let run = Run::start()?;
    let generate = cargo()
        .args(["test", "--workspace", "--test", "docs", "generated_files_are_current"])
        .env("PRISM_TEST_UPDATE", "1");
    Ok(if run.run(&generate)?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
