//! The way of a call into the world: faults, throttling, denial, effect, journal.

use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::identity::{AssociationKey, RoleArn};

use super::caller::Caller;
use super::faults::{DeniedAs, Fault};
use super::journal::{Arguments, Call};
use super::refusal::{Answer, Refusal};
use super::state::State;

/// Tagging calls that an account may make in a second.
const TAGGING_PER_SECOND: usize = 30;

/// A call before it is made.
pub(super) struct Request<'a> {
    pub caller: &'a Caller,
    pub action: &'static str,
    pub queue: Option<QueueArn>,
    pub policy: Option<PolicyArn>,
    pub role: Option<RoleArn>,
    pub association: Option<AssociationKey>,
    pub arguments: Arguments,
}

impl<'a> Request<'a> {
    /// A call that is about nothing yet.
    pub fn new(caller: &'a Caller, action: &'static str, arguments: Arguments) -> Self {
        Self { caller, action, queue: None, policy: None, role: None, association: None, arguments }
    }

    /// Whether nobody hides that he denies.
    fn is_not_about_queues(&self) -> bool {
        self.policy.is_some() || self.role.is_some() || self.association.is_some()
    }
}

/// What the caller learns of a call.
pub(super) enum Outcome<T> {
    Answered(Answer<T>),
    /// Nothing: its process is dead.
    Crashed,
}

impl State {
    /// Makes a call, or lets the fault happen that awaits it.
    pub fn call<T>(&mut self, request: Request<'_>, effect: impl FnOnce(&mut Self) -> Answer<T>) -> Outcome<T> {
        if *self.crashed.borrow() {
            return Outcome::Crashed;
        }
        self.settle();
        let dice = self.dice();
        let fault = self.faults.next(request.action, dice);
        let tags_before = request.queue.as_ref().and_then(|arn| self.queues.get(arn)).map(|queue| queue.tags.clone());
        let tags_before = tags_before.or_else(|| self.iam.tags(request.policy.as_ref()?));
        let tags_before = tags_before.or_else(|| self.iam.tags_of_role(request.caller, request.role.as_ref()?));
        let tags_before = tags_before.or_else(|| self.eks.tags(request.caller, request.association.as_ref()?));
        let effect_of_call = match fault {
            Some(Fault::Refuse(kind)) => Err(Refusal::of(kind)),
            Some(Fault::CrashBefore) => Err(Refusal::of(ErrorKind::Transient)),
            _ => self.admit(&request).and_then(|()| self.permit(&request)).and_then(|()| effect(self)),
        };
        let took_effect = effect_of_call.is_ok();
        let answer = match fault {
            Some(Fault::LoseAnswer | Fault::CrashAfter) => Err(Refusal::of(ErrorKind::Transient)),
            _ => effect_of_call,
        };
        self.journal.push(Call {
            at: self.now,
            caller: request.caller.arn.clone(),
            action: request.action,
            queue: request.queue,
            policy: request.policy,
            role: request.role,
            association: request.association,
            arguments: request.arguments,
            answer: answer.as_ref().map(|_| ()).map_err(|refusal| refusal.kind),
            took_effect,
            tags_before,
        });
        if matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter)) {
            self.crashed.send_replace(true);
            return Outcome::Crashed;
        }
        Outcome::Answered(answer)
    }

    fn admit(&mut self, request: &Request<'_>) -> Answer<()> {
        let account_id = &request.caller.place.account_id;
        let limit = self.faults.calls_per_second.unwrap_or(usize::MAX);
        let is_tagging = matches!(request.action, "ListQueueTags" | "TagQueue" | "UntagQueue");
        if !self.calls.admits(self.now, account_id, limit)
            || (is_tagging && !self.tagging_calls.admits(self.now, account_id, TAGGING_PER_SECOND))
        {
            return Err(Refusal::of(ErrorKind::Throttled));
        }
        let denied = self.faults.denied(request.action, request.queue.as_ref().map(QueueArn::name));
        match (denied, request.action) {
            // `GetCallerIdentity` needs no permission; what `ListQueues` hides, it hides queue by queue.
            (None, _) | (_, "GetCallerIdentity") | (Some(DeniedAs::DoesNotExist), "ListQueues") => Ok(()),
            (_, "DescribeKey") => Err(Refusal::of(ErrorKind::KmsDenied)),
            _ if request.is_not_about_queues() => Err(Refusal::denied()),
            (Some(DeniedAs::DoesNotExist), action) if action != "CreateQueue" => Err(Refusal::missing()),
            _ => Err(Refusal::denied()),
        }
    }
}
