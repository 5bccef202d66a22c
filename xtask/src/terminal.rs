//! How this task runner speaks to a person.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a long step says that it still runs, when lines cannot be rewritten.
const REMINDER: Duration = Duration::from_secs(30);

/// A long step: one line with its elapsed seconds, rewritten on a terminal.
pub struct Progress {
    what: String,
    started: Instant,
    shown: Duration,
    live: bool,
    done: bool,
}

impl Progress {
    pub fn start(what: impl Into<String>) -> Self {
        let progress = Self {
            what: what.into(),
            started: Instant::now(),
            shown: Duration::ZERO,
            live: io::stderr().is_terminal(),
            done: false,
        };
        if progress.live {
            progress.rewrite();
        } else {
            eprintln!("  {} …", progress.what);
        }
        progress
    }

    /// Shows the elapsed time when it is time to.
    pub fn tick(&mut self) {
        let elapsed = self.started.elapsed();
        let due = if self.live { Duration::from_secs(1) } else { REMINDER };
        if elapsed < self.shown + due {
            return;
        }
        self.shown = elapsed;
        if self.live {
            self.rewrite();
        } else {
            eprintln!("  {} … {} s", self.what, elapsed.as_secs());
        }
    }

    /// Closes the line: the step is done.
    pub fn done(mut self) {
        self.done = true;
        let seconds = self.started.elapsed().as_secs_f32();
        let start = if self.live { "\r\x1b[K" } else { "" };
        eprintln!("{start}  {} ({seconds:.1} s)", self.what);
    }

    fn rewrite(&self) {
        eprint!("\r\x1b[K  {} … {} s", self.what, self.started.elapsed().as_secs());
        // A line that cannot be shown is no reason to stop.
        let _ = io::stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // What is told next, why the step failed, gets a line of its own.
        if self.live && !self.done {
            eprintln!();
        }
    }
}

/// A heading.
pub fn heading(text: &str) {
    println!("\n{}", paint("1;36", &format!("── {text} ")));
}

/// A command as a person would type it.
pub fn command(text: &str) {
    println!("{}", paint("1", &format!("$ {text}")));
}

/// A step, or a check, that went well.
pub fn good(text: &str) {
    println!("{} {text}", paint("1;32", "✓"));
}

/// A step, or a check, that did not.
pub fn bad(text: &str) {
    println!("{} {text}", paint("1;31", "✗"));
}

fn paint(code: &str, text: &str) -> String {
    let plain = !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}
