//! `prism-queue`: reads the command line and starts a subcommand; nothing else.

use std::process::ExitCode;

use clap::Parser;
use prism_queue::controller;
use prism_queue::runtime::settings::{Cli, Command};
use prism_queue::runtime::{logs, shutdown};

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command: Command::Controller(settings) } = Cli::parse();
    let started = logs::parse_filter(&settings.log_filter)
        .and_then(|filter| logs::init(settings.log_format, filter).map_err(|error| error.to_string()))
        .and_then(|()| shutdown::listen().map_err(|error| error.to_string()));
    let ended = match started {
        Ok(stop) => Box::pin(controller::run(settings, stop)).await.map_err(|fatal| fatal.to_string()),
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prism-queue: {error}");
            ExitCode::FAILURE
        }
    }
}
