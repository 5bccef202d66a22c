//! Logs: text or JSON, on standard error, one line an event.
//!
//! No log line may hold a secret or a message body. Our own lines hold none; the libraries below us need
//! watching, because some print what they send or receive: see `may_be_shown`.

use std::io;

use clap::ValueEnum;
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Checks a filter: a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or levels by module, comma-separated
/// (`info,prism_queue=debug`). The grammar is that of `tracing_subscriber::EnvFilter`.
///
/// # Errors
/// What is wrong with the filter, as a sentence.
pub fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    if text.trim().is_empty() {
        return Err("a log filter must not be empty; `off` silences the log".to_owned());
    }
    EnvFilter::builder().parse(text).map_err(|error| {
        format!("{error}; write a level such as `info`, or levels by module: `info,prism_queue=debug`")
    })
}

/// Sends the logs of the whole process to standard error. Called once, at the start.
///
/// # Errors
/// When it was called before.
pub fn init(format: Format, filter: EnvFilter) -> Result<(), SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(subscriber(format, filter, io::stderr))
}

fn subscriber<W>(format: Format, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = match format {
        Format::Text => fmt::layer().with_ansi(false).with_writer(writer).boxed(),
        Format::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    };
    registry().with(lines.with_filter(filter.and(filter_fn(may_be_shown))))
}

/// Keeps out what libraries log with the data that they carry, whatever the filter says:
/// at `trace` the AWS SDK prints whole requests and responses, and the HTTP stack the bytes of both;
/// at `warn` the Kubernetes client prints the whole body of an answer that it cannot read, and that may be a Secret.
/// (What went wrong reaches us as an error as well.)
fn may_be_shown(metadata: &Metadata<'_>) -> bool {
    let ours = metadata.target().split("::").next() == Some("prism_queue");
    ours || (*metadata.level() != Level::TRACE && metadata.target() != "kube_client::client")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` leaves behind.
    fn logged(format: Format, filter: &str, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(format, parse_filter(filter).unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_level_target_message_and_fields() {
        let line = logged(Format::Text, "info", || tracing::info!(queue = "media/images", "created"));
        for part in ["INFO", "prism_queue::runtime::logs", "created", "queue=\"media/images\""] {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
        assert!(!line.contains('\u{1b}'), "no colours in a log file");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines = logged(Format::Json, "info", || {
            tracing::info!(queue = "media/images", "created");
            tracing::warn!("two\nlines");
        });
        let objects: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0]["message"], "created");
        assert_eq!(objects[0]["queue"], "media/images");
        assert_eq!(objects[1]["level"], "WARN");
    }

    #[test]
    fn the_filter_decides() {
        let log = || {
            tracing::debug!("ours, detailed");
            tracing::info!(target: "kube_runtime::controller", "theirs");
        };
        let lines = logged(Format::Text, "warn,prism_queue=debug", log);
        assert!(lines.contains("ours, detailed") && !lines.contains("theirs"), "{lines}");
        assert_eq!(logged(Format::Text, "off", log), "");
    }

    #[test]
    fn bodies_stay_out_of_the_log_at_every_level() {
        let lines = logged(Format::Text, "trace", || {
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "request=secret");
            tracing::trace!(target: "hyper::proto", "bytes=secret");
            tracing::warn!(target: "kube_client::client", "body=secret");
            tracing::debug!(target: "kube_client::client::builder", "requesting");
            tracing::trace!("ours");
        });
        assert!(!lines.contains("secret"), "{lines}");
        assert!(lines.contains("requesting") && lines.contains("ours"), "{lines}");
    }

    #[test]
    fn bad_filters_are_refused_with_the_way_to_write_one() {
        for bad in ["", " ", "prism_queue=loud", "a=b=c"] {
            assert!(parse_filter(bad).unwrap_err().contains("off") || parse_filter(bad).unwrap_err().contains("info"));
        }
    }
}
