//! `kubectl queue` as people and pipes meet it: the program itself, without a cluster.

// All of this is test code; the exemption in clippy.toml ends at the test functions themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../judge/mod.rs"]
mod judge;
mod operator_policy;

use std::io::Write as _;
use std::process::{Command, Stdio};

/// How the program ended, and what it said.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// Runs it with this on standard input, and nothing of whoever runs the tests around it.
fn run(arguments: &[&str], input: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-queue"));
    command.args(arguments).env_clear().current_dir(env!("CARGO_MANIFEST_DIR"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that does not read its input may have ended already.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn without_a_command_it_tells_how_to_use_it() {
    for arguments in [&[][..], &["render"]] {
        let ended = run(arguments, "");
        assert_eq!((ended.code, ended.out.as_str()), (2, ""));
        assert!(ended.err.contains("Usage: kubectl queue"), "{}", ended.err);
    }
    let help = run(&["render", "operator-policy", "--help"], "");
    assert_eq!(help.code, 0);
    assert!(help.out.contains("--cluster-name <NAME>"), "{}", help.out);
    let version = run(&["--version"], "");
    assert_eq!(version.out.trim(), format!("kubectl-queue {}", env!("CARGO_PKG_VERSION")));
}
