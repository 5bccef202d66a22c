//! `kubectl queue`: reads the command line and runs a command; nothing else.

use std::process::ExitCode;

use clap::Parser;
use prism_queue::cli::{self, Cli};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match cli::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
