//! What every call goes through: the account's budget before it, classification and counting after it.

use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use super::breaker::Breaker;
use super::budget::{Budget, Cost};
use super::error::{self, Service};
use crate::domain::call::{CallError, ErrorClass, ErrorKind};

/// Told of every call that was sent to AWS, for metrics.
pub trait CallObserver: Send + Sync {
    /// The call `action` (for example `CreateQueue`) ended in `outcome` after `took`, its wait for the
    /// budget not included.
    fn observed(&self, action: &'static str, outcome: Result<(), ErrorClass>, took: Duration);
}

/// Nobody is told.
impl CallObserver for () {
    fn observed(&self, _: &'static str, _: Result<(), ErrorClass>, _: Duration) {}
}

/// Whether this process may change anything right now.
pub type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// The way of all calls.
#[derive(Clone)]
pub(super) struct Meter {
    pub(super) budget: Arc<Budget>,
    pub(super) observer: Arc<dyn CallObserver>,
    /// Whether the target answers.
    pub(super) breaker: Arc<Circuit>,
    /// Asked when a write's turn has come: the wait for it may have been long.
    pub(super) may_write: MayWrite,
}

/// The same words whatever the wait, so that no status is written for it.
const NOT_ANSWERING: &str = "not sent: AWS has not answered the last calls; it is tried again from time to time";

/// A [`Breaker`] and its clock.
#[derive(Debug)]
pub(super) struct Circuit {
    start: Instant,
    breaker: Mutex<Breaker>,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { start: Instant::now(), breaker: Mutex::default() }
    }
}

impl Circuit {
    fn admit(&self) -> Result<(), Duration> {
        self.breaker().admit(self.start.elapsed())
    }

    fn note(&self, is_answered: bool) {
        if is_answered { self.breaker().answered() } else { self.breaker().unanswered(self.start.elapsed()) }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Nothing that holds the lock can leave the breaker half written.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An API action, as the way of all calls needs to know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Action {
    service: Service,
    name: &'static str,
    cost: Cost,
    is_write: bool,
}

impl Action {
    /// An action that only reads.
    pub(super) const fn read(service: Service, name: &'static str) -> Self {
        Self { service, name, cost: Cost::Call, is_write: false }
    }

    /// An action that changes something.
    pub(super) const fn write(service: Service, name: &'static str) -> Self {
        Self { service, name, cost: Cost::Call, is_write: true }
    }

    /// The same, as a tagging call.
    pub(super) const fn tagging(self) -> Self {
        Self { cost: Cost::Tagging, ..self }
    }
}

impl Meter {
    /// Waits for the turn of one call, sends it, and says what came of it.
    pub(super) async fn call<T, E>(
        &self,
        Action { service, name: action, cost, is_write }: Action,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let unsent = |kind, message| CallError { action, kind, code: String::new(), message };
        self.breaker.admit().map_err(|_| unsent(ErrorKind::Transient, NOT_ANSWERING.to_owned()))?;
        self.budget.permit(cost).await.map_err(|exhausted| unsent(ErrorKind::Throttled, exhausted.to_string()))?;
        if is_write && !(self.may_write)() {
            return Err(unsent(ErrorKind::Transient, "not sent: this process may not write any more".to_owned()));
        }
        let begin = Instant::now();
        let answer = request.await;
        // An error that AWS answers may be about this one queue; silence is about the target.
        let is_answered = matches!(answer, Ok(_) | Err(SdkError::ServiceError(_) | SdkError::ResponseError(_)));
        let answer = answer.map_err(|error| error::from_sdk(service, action, &error));
        let outcome = answer.as_ref().map(|_| ()).map_err(CallError::class);
        self.observer.observed(action, outcome, begin.elapsed());
        self.breaker.note(is_answered || outcome != Err(ErrorClass::Transient));
        if outcome == Err(ErrorClass::Throttled) {
            self.budget.throttled(cost);
        }
        answer
    }
}

/// The call was answered with success, but without what it was made for.
pub(super) fn incomplete(action: &'static str, missing: &str) -> CallError {
    CallError {
        action,
        kind: ErrorKind::Transient,
        code: String::new(),
        message: format!("the answer holds no {missing}"),
    }
}
