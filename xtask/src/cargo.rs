//! `cargo`, the one that runs us.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::aws::text_at;
use crate::supervisor::{Program, Run};

/// The cargo that runs us.
pub fn cargo() -> Program {
    Program::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds the server binary; its path.
pub fn build_operator(run: &Run) -> Result<PathBuf> {
    let messages = tempfile::NamedTempFile::new()?;
    let build = cargo()
        .args(["build", "--package", "prism-queue", "--bin", "prism-queue"])
        .args(["--message-format", "json-render-diagnostics"]);
    if !run.run_into(&build, messages.reopen()?)?.success() {
        bail!("the operator does not build");
    }
    let messages = std::fs::read_to_string(messages.path())?;
    executable(&messages).context("cargo named no executable")
}

/// The executable that cargo's messages name last.
fn executable(messages: &str) -> Option<PathBuf> {
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.rfind(|message| message["executable"].is_string()).map(|message| text_at(&message, "/executable").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_other_messages() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/target/debug/prism-queue"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/target/debug/prism-queue")));
        assert_eq!(executable(r#"{"reason":"build-finished","success":false}"#), None);
    }
}
