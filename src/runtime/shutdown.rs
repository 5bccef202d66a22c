//! From a signal to an orderly end.
//!
//! One [`CancellationToken`] is shared by every task. A token, not a watch channel: it can be waited on from
//! any number of places without losing the news, has children for the phases of an end (work first, then the
//! lease, then the HTTP server), and cancelling it twice does no harm, so that a task which fails can end the
//! others in the same way as a signal does.

use std::io;
use std::pin::pin;

use futures::{Stream, StreamExt, stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Ctrl-C.
    Interrupt,
    /// What kubelet sends first.
    Terminate,
}

impl Request {
    /// The exit code by which shells know a process that a signal ended: 128 and the signal's number.
    fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// Begins to listen for SIGTERM and SIGINT. The first cancels the token; the second ends the process at once,
/// with the exit code 143 or 130, for whoever does not want to wait for an orderly end.
///
/// Must be called within a tokio runtime.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub fn listen() -> io::Result<CancellationToken> {
    let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let requests = stream::unfold(signals, async |(mut interrupt, mut terminate)| {
        let request = tokio::select! {
            _ = interrupt.recv() => Request::Interrupt,
            _ = terminate.recv() => Request::Terminate,
        };
        Some((request, (interrupt, terminate)))
    });
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        if let Some(second) = obey(requests, &shutdown).await {
            std::process::exit(second.exit_code());
        }
    });
    Ok(token)
}

/// Cancels `shutdown` on the first request and returns the second.
async fn obey(requests: impl Stream<Item = Request>, shutdown: &CancellationToken) -> Option<Request> {
    let mut requests = pin!(requests);
    let first = requests.next().await?;
    info!("{}: shutting down; a second signal ends the process at once", first.name());
    shutdown.cancel();
    let second = requests.next().await?;
    warn!("{} again: ending at once", second.name());
    Some(second)
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;

    use super::*;

    #[tokio::test]
    async fn the_first_signal_cancels_and_only_the_second_ends_at_once() {
        let (sender, requests) = mpsc::unbounded();
        let shutdown = CancellationToken::new();
        let mut obeyed = Box::pin(obey(requests, &shutdown));

        assert!(futures::poll!(&mut obeyed).is_pending());
        assert!(!shutdown.is_cancelled());

        sender.unbounded_send(Request::Terminate).unwrap();
        assert!(futures::poll!(&mut obeyed).is_pending(), "the first signal must leave time for an orderly end");
        assert!(shutdown.is_cancelled());

        sender.unbounded_send(Request::Interrupt).unwrap();
        assert_eq!(obeyed.await, Some(Request::Interrupt));
    }

    #[test]
    fn exit_codes_are_those_of_the_signals() {
        assert_eq!(Request::Interrupt.exit_code(), 128 + SignalKind::interrupt().as_raw_value());
        assert_eq!(Request::Terminate.exit_code(), 128 + SignalKind::terminate().as_raw_value());
    }
}
