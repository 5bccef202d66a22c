//! What every call goes through: the account's budget before it, classification and counting after it.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

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
    /// Asked when a write's turn has come: the wait for it may have been long.
    pub(super) may_write: MayWrite,
}

impl Meter {
    /// Waits for the turn of one call that changes something, sends it if that is still allowed, and says what came of it.
    pub(super) async fn write<T, E>(
        &self,
        (service, action): (Service, &'static str),
        cost: Cost,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.turn(action, cost).await?;
        if !(self.may_write)() {
            let message = "not sent: this process may not write any more".to_owned();
            return Err(CallError { action, kind: ErrorKind::Transient, code: String::new(), message });
        }
        self.send((service, action), cost, request).await
    }

    /// Waits for the turn of one call that only reads, sends it, and says what came of it.
    pub(super) async fn call<T, E>(
        &self,
        (service, action): (Service, &'static str),
        cost: Cost,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.turn(action, cost).await?;
        self.send((service, action), cost, request).await
    }

    async fn turn(&self, action: &'static str, cost: Cost) -> Result<(), CallError> {
        self.budget.permit(cost).await.map_err(|exhausted| CallError {
            action,
            kind: ErrorKind::Throttled,
            code: String::new(),
            message: exhausted.to_string(),
        })
    }

    async fn send<T, E>(
        &self,
        (service, action): (Service, &'static str),
        cost: Cost,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let begin = Instant::now();
        let answer = request.await.map_err(|error| error::from_sdk(service, action, &error));
        let outcome = answer.as_ref().map(|_| ()).map_err(CallError::class);
        self.observer.observed(action, outcome, begin.elapsed());
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
