//! `cargo xtask`: the project's only task runner.

mod aws;
mod cache;
mod cargo;
mod control_plane;
mod emulator;
mod generate;
mod go;
mod guard;
mod http;
mod interrupt;
mod kubectl;
mod lint;
mod operator;
mod prerequisites;
mod supervisor;
mod terminal;
mod test;
mod tour;
mod world;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development chores of Prism Queue.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start a control plane, an AWS emulator and the operator, and show what the operator does
    Demo {
        /// Exit after the tour: 0, or 1 when a step fell short
        #[arg(long)]
        once: bool,
    },
    /// Start the same without the tour, and stay up until Ctrl-C
    Up,
    /// Run every test, with a control plane and an emulator of their own
    Test {
        /// Given to each `cargo test`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Write what is generated from the types: crds/, the chart's copy of it, docs/reference/
    Crds,
    /// Check formatting, clippy, documentation, the chart and the dependencies
    Lint {
        /// Check the dependencies against the advisory database too (fetched over the network)
        #[arg(long)]
        advisories: bool,
    },
    /// Run one program, and end it when standard input closes
    #[command(hide = true)]
    Guard(guard::Guard),
    /// Remove a run's folder when standard input is closed and the run's last program has ended
    #[command(hide = true)]
    Sweep { folder: PathBuf },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Guard(guard) => return guard::run(&guard),
        Task::Sweep { folder } => return guard::sweep(&folder),
        task => interrupt::install().and_then(|()| perform(task)),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if error.is::<interrupt::Interrupted>() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Demo { once } => world::demo(once),
        Task::Up => world::up(),
        Task::Test { arguments } => test::run(&arguments),
        Task::Crds => generate::run(),
        Task::Lint { advisories } => lint::run(advisories),
        Task::Guard(_) | Task::Sweep { .. } => unreachable!("answered before the task runner's own set-up"),
    }
}

/// The checkout that we work on: where cargo found our package now, which need not be where it was compiled.
fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut root = PathBuf::from(package);
    root.pop();
    root
}
