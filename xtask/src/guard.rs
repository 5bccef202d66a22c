//! What stands between this task runner and each program that it starts.
//!
//! A guard is this executable again, with one program as its child and a pipe from the task runner
//! as its standard input. However the task runner ends, SIGKILL included, the pipe closes, and the
//! guard ends its program and all that the program started. Guard and program have process groups of
//! their own, so that Ctrl-C reaches the task runner alone and things are stopped in order.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use std::{fs, io, thread};

use anyhow::Context;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// The file in a run's folder that guards hold locked while their program may live.
pub const LOCK: &str = "lock";

/// The command line of a guard.
#[derive(clap::Args)]
pub struct Guard {
    /// Locked, shared, for as long as the program may live
    #[arg(long)]
    pub lock: PathBuf,
    /// How long the program may take to end by itself
    #[arg(long, value_parser = |text: &str| text.parse().map(Duration::from_millis))]
    pub grace_ms: Duration,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Runs the program of `guard` and answers as it did.
pub fn run(guard: &Guard) -> ExitCode {
    match supervise(guard) {
        Ok(status) => {
            // As a shell reports it: 128 and the signal's number.
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(127)
        }
    }
}

fn supervise(guard: &Guard) -> anyhow::Result<ExitStatus> {
    let lock = File::open(&guard.lock)?;
    lock.lock_shared()?;
    let [program, arguments @ ..] = guard.command.as_slice() else { anyhow::bail!("no program given") };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let group = Pid::from_child(&child);
    let grace = guard.grace_ms;
    thread::spawn(move || {
        wait_for_end_of_input();
        // A group that is gone already is as wished.
        let _ = kill_process_group(group, Signal::TERM);
        thread::sleep(grace);
        let _ = kill_process_group(group, Signal::KILL);
    });
    // Not reaped yet, so that the group's number cannot have passed to others when what is left of it is ended.
    while let Err(Errno::INTR) = waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {}
    let _ = kill_process_group(group, Signal::KILL);
    Ok(child.wait()?)
}

/// Removes `folder` once standard input is closed and no guard holds its lock.
pub fn sweep(folder: &Path) -> ExitCode {
    wait_for_end_of_input();
    let unlocked = File::open(folder.join(LOCK)).and_then(|lock| lock.lock());
    match unlocked.and_then(|()| fs::remove_dir_all(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot remove {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn wait_for_end_of_input() {
    // An unreadable pipe has ended too.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
}
