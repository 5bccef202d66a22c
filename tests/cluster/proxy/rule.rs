//! Which calls go wrong, and how.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::call::Call;

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It takes so much longer.
    Delay(Duration),
    /// It is refused as too fast.
    Throttle(Throttle),
    /// It is refused with an error of AWS.
    Error { status: u16, code: &'static str, message: &'static str },
    /// The connection is dropped.
    Drop(When),
    /// It waits until the gate is opened.
    Hold(Gate, When),
    /// A `GetQueueAttributes` shows what was read before the last `SetQueueAttributes`.
    /// A read of a queue that was not changed, or not read before the change, does not count.
    Stale,
}

/// The forms in which AWS throttles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// 400 with `ThrottlingException`.
    BadRequest,
    /// 429, without an error that can be read.
    TooManyRequests,
    /// 503 with `ServiceUnavailable`.
    Unavailable,
}

/// Before the call reaches AWS, or after it took effect there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

impl Fault {
    /// 500 with `InternalFailure`.
    pub fn internal() -> Self {
        Self::Error { status: 500, code: "InternalFailure", message: "An internal error occurred" }
    }

    /// 403 with `AccessDenied`.
    pub fn access_denied() -> Self {
        Self::Error { status: 403, code: "AccessDenied", message: "User is not authorized to perform this action" }
    }
}

/// A fault for some calls. Of several rules that match a call, the first wins.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    action: Option<String>,
    queue: Option<String>,
    skip: usize,
    times: Option<usize>,
}

impl Rule {
    /// `fault` for every call.
    pub fn new(fault: Fault) -> Self {
        Self { fault, action: None, queue: None, skip: 0, times: None }
    }

    /// Only for calls of `action`.
    #[must_use]
    pub fn action(mut self, action: &str) -> Self {
        self.action = Some(action.to_owned());
        self
    }

    /// Only for calls about the queue of this name.
    #[must_use]
    pub fn queue(mut self, queue: &str) -> Self {
        self.queue = Some(queue.to_owned());
        self
    }

    /// Lets so many of them through first.
    #[must_use]
    pub fn after(mut self, calls: usize) -> Self {
        self.skip = calls;
        self
    }

    /// Only so many of them.
    #[must_use]
    pub fn times(mut self, calls: usize) -> Self {
        self.times = Some(calls);
        self
    }

    /// Whether it is for calls about this queue alone.
    pub(super) fn is_about(&self, queue: &str) -> bool {
        self.queue.as_deref() == Some(queue)
    }

    /// The fault, if this rule has one for `call`. `was_changed`: whether there is something stale to show.
    pub(super) fn catch(&mut self, call: &Call, was_changed: bool) -> Option<Fault> {
        let applies = match self.fault {
            Fault::Stale => call.action == "GetQueueAttributes" && was_changed,
            _ => true,
        };
        if !applies || self.times == Some(0) || !call.is(self.action.as_deref(), self.queue.as_deref()) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.map(|times| times - 1);
        Some(self.fault.clone())
    }
}

/// Something that calls wait at until the test opens it.
#[derive(Clone, Debug)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
    waiting: Arc<watch::Sender<usize>>,
}

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self { open: Arc::new(watch::Sender::new(false)), waiting: Arc::new(watch::Sender::new(0)) }
    }

    /// Lets through those who wait, and those who come.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns when `calls` calls have come to the gate since it was made.
    pub async fn reached_by(&self, calls: usize) {
        let mut waiting = self.waiting.subscribe();
        // The sender lives in `self`, so this cannot end early.
        let _ = waiting.wait_for(|count| *count >= calls).await;
    }

    pub(super) async fn pass(&self) {
        self.waiting.send_modify(|count| *count += 1);
        let mut open = self.open.subscribe();
        let _ = open.wait_for(|open| *open).await;
    }
}
