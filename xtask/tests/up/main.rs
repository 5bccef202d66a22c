//! `cargo xtask up` as a person starts and ends it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what helpers of tests cannot do fails the test")]

#[path = "../processes/mod.rs"]
mod processes;
mod system;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::{env, iter};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use processes::{is_gone, wait_until};
use system::Socket;

/// What `up` consists of, by the names of its processes.
const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "prism-queue", "python"];

/// A `cargo xtask up` that says that it is up. It is killed when this is dropped.
struct Up {
    xtask: Child,
    // As long as it speaks, somebody listens.
    output: BufReader<ChildStdout>,
    /// Where it may leave temporary files.
    temporary: TempDir,
    /// Holds what stands before Go and Python, and the calls of these.
    tools: TempDir,
}

impl Up {
    fn start() -> Self {
        assert!(env::var_os("PRISM_TEST_KUBECONFIG").is_some(), "run `cargo xtask test`: it gets what this needs");
        let [temporary, tools] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let path = env::var_os("PATH").unwrap();
        stand_before("go", "exit 1", tools.path());
        let python = env::split_paths(&path).map(|folder| folder.join("python3")).find(|file| file.is_file()).unwrap();
        stand_before("python3", &format!("exec '{}' \"$@\"", python.display()), tools.path());
        let said = tools.path().join("said");
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("up")
            .env("TMPDIR", temporary.path())
            .env("PATH", env::join_paths(iter::once(tools.path().to_owned()).chain(env::split_paths(&path))).unwrap())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(xtask.stdout.take().unwrap());
        let mut up = Self { xtask, output, temporary, tools };
        // The last of the lines to copy.
        let is_up = (&mut up.output).lines().map_while(Result::ok).any(|line| line.starts_with("tail -f"));
        assert!(is_up, "it does not come up:\n{}", fs::read_to_string(said).unwrap());
        up
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.xtask)
    }

    /// All that it has started, and where that listens.
    fn stock(&self) -> (Vec<Pid>, Vec<Socket>) {
        let started = system::descendants(self.id());
        for program in PROGRAMS {
            assert!(started.iter().any(|(name, _)| name.starts_with(program)), "no {program} in {started:?}");
        }
        let started: Vec<Pid> = started.into_iter().map(|(_, process)| process).collect();
        let listening: Vec<Socket> = system::listening().into_iter().filter(|it| it.is_of(&started)).collect();
        // etcd, the API server, the emulator and the operator.
        assert!(listening.len() >= PROGRAMS.len(), "{listening:?}");
        (started, listening)
    }

    /// Waits until it has ended by itself.
    fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("it ends", || {
            ended = self.xtask.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }

    /// Waits until nothing is left of it.
    fn is_no_more(&self, (started, listening): &(Vec<Pid>, Vec<Socket>)) {
        for process in started {
            wait_until(&format!("process {process:?} is gone"), || is_gone(*process));
        }
        wait_until("the ports are free", || system::listening().iter().all(|socket| !listening.contains(socket)));
        wait_until("the temporary files are gone", || fs::read_dir(self.temporary.path()).unwrap().next().is_none());
    }

    /// The calls of Go and Python, each with its first argument.
    fn calls(&self) -> String {
        fs::read_to_string(self.tools.path().join("calls")).unwrap_or_default()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // A test has failed, or this has ended already.
        let _ = self.xtask.kill();
        let _ = self.xtask.wait();
    }
}

/// Puts a program of this name into `folder`, which takes note of the call and then does `then`.
fn stand_before(name: &str, then: &str, folder: &Path) {
    let program = folder.join(name);
    let calls = folder.join("calls");
    fs::write(&program, format!("#!/bin/sh\necho \"{name} $1\" >> '{}'\n{then}\n", calls.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn ctrl_c_ends_it_and_leaves_nothing_behind() {
    let mut up = Up::start();
    let stock = up.stock();
    // A terminal sends it to all of the foreground.
    kill_process_group(up.id(), Signal::INT).unwrap();
    assert!(up.end().success());
    up.is_no_more(&stock);
}

#[test]
fn also_when_it_is_killed_nothing_is_left_behind() {
    let mut up = Up::start();
    let stock = up.stock();
    kill_process(up.id(), Signal::KILL).unwrap();
    up.end();
    up.is_no_more(&stock);
}

#[test]
fn a_start_with_all_at_hand_builds_nothing_and_listens_on_loopback_alone() {
    let up = Up::start();
    // Python is asked for its version, and neither for an environment nor for a package.
    let calls = up.calls();
    assert!(calls.lines().all(|call| call == "python3 -c") && !calls.is_empty(), "{calls}");
    let (_, listening) = up.stock();
    let elsewhere: Vec<_> = listening.iter().filter(|socket| !socket.is_on_loopback()).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}
