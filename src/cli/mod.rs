//! The plugin of kubectl: `kubectl queue …`, which is the program `kubectl-queue`.
//!
//! What is asked for goes to standard output, and nothing else, so that it can be piped; what there is to know about it goes to
//! standard error.
// The descriptions are what `--help` shows: plain text, no Markdown.
#![allow(rustdoc::invalid_html_tags)]

mod classes;
mod cluster;
mod render;
mod yaml;

use std::io::{self, Write as _};

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

/// Works with the queues of Prism Queue.
#[derive(Debug, Parser)]
#[command(name = "kubectl-queue", bin_name = "kubectl queue", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints what the operator needs from elsewhere, to be applied by other means.
    #[command(subcommand, arg_required_else_help = true)]
    Render(render::Render),
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON, as AWS takes it.
    Json,
    /// YAML.
    Yaml,
}

/// Runs what the command line says.
///
/// # Errors
/// What went wrong and what to do, for people.
pub async fn run(cli: Cli) -> Result<(), String> {
    let Command::Render(render) = cli.command;
    let (text, notes) = render::render(render).await?;
    for note in notes {
        eprintln!("{note}");
    }
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read it has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| format!("cannot write to standard output: {error}")),
    }
}

impl Format {
    fn write(self, document: &impl Serialize) -> Result<String, String> {
        match self {
            Self::Json => {
                serde_json::to_string_pretty(document).map(|text| text + "\n").map_err(|error| error.to_string())
            }
            Self::Yaml => yaml::write(document),
        }
    }
}
