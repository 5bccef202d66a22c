//! Nothing that the task runner starts outlives it.

#![allow(clippy::unwrap_used, reason = "what helpers of tests cannot do fails the test")]

mod processes;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;
use tempfile::TempDir;

use processes::{is_gone, wait_until};

fn run_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    File::create(folder.path().join("lock")).unwrap();
    folder
}

fn guard(folder: &Path, grace_ms: u32, script: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["guard", "--grace-ms", &grace_ms.to_string(), "--lock"])
        .arg(folder.join("lock"))
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The numbers of the processes that `script` prints, one a line.
fn printed<const N: usize>(guard: &mut Child) -> [Pid; N] {
    let mut lines = BufReader::new(guard.stdout.take().unwrap()).lines();
    std::array::from_fn(|_| Pid::from_raw(lines.next().unwrap().unwrap().parse().unwrap()).unwrap())
}

#[test]
fn the_end_of_the_pipe_ends_a_program_and_what_it_started() {
    let folder = run_folder();
    let mut guard = guard(folder.path(), 20_000, "sleep 1000 & echo $!; echo $$; wait");
    let started: [Pid; 2] = printed(&mut guard);
    drop(guard.stdin.take());
    assert_eq!(guard.wait().unwrap().code(), Some(128 + 15));
    for process in started {
        wait_until("the program and its child are gone", || is_gone(process));
    }
}

#[test]
fn a_program_that_does_not_listen_is_killed() {
    let folder = run_folder();
    let mut guard = guard(folder.path(), 1, "trap '' TERM; echo $$; while :; do sleep 1000; done");
    let [program] = printed(&mut guard);
    drop(guard.stdin.take());
    assert_eq!(guard.wait().unwrap().code(), Some(128 + 9));
    wait_until("the program is gone", || is_gone(program));
}

#[test]
fn what_a_program_leaves_behind_is_ended_with_it() {
    let folder = run_folder();
    let mut guard = guard(folder.path(), 20_000, "sleep 1000 & echo $!; exit 7");
    let [left] = printed(&mut guard);
    // Waiting would close the pipe, and so end the program first.
    let _pipe = guard.stdin.take();
    assert_eq!(guard.wait().unwrap().code(), Some(7));
    wait_until("what was left is gone", || is_gone(left));
}

#[test]
fn a_folder_is_removed_after_the_last_program_has_ended() {
    let folder = run_folder();
    let path = folder.path().to_owned();
    let mut guard = guard(&path, 20_000, "echo $$; exec sleep 1000");
    let [program] = printed(&mut guard);
    let mut sweeper = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("sweep")
        .arg(&path)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(sweeper.stdin.take());
    // It cannot go on before the guard has let go of the lock.
    assert!(path.exists() && sweeper.try_wait().unwrap().is_none());
    drop(guard.stdin.take());
    guard.wait().unwrap();
    assert!(is_gone(program));
    let mut said = String::new();
    sweeper.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(sweeper.wait().unwrap().success(), "{said}");
    assert!(!path.exists());
}
