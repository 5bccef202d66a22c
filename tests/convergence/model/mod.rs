//! A strict AWS in memory: SQS, and of STS, KMS, IAM and EKS what queues need, as `sqs-semantics.md` describes them.
//!
//! A test makes a [`World`], hands the operator a [`Client`] of it, and moves the clock. Beside the operator
//! there are strangers that change things ([`World::outside`]), senders and consumers of messages, and
//! trouble ([`World::inject`], [`World::chaos`], [`World::deny`]). Afterwards the [journal](World::calls_since)
//! says what was called, and the [ledger](World::messages) how every message ended.

mod access;
mod attributes;
mod caller;
mod client;
mod eks;
mod faults;
mod gate;
mod iam;
mod journal;
mod keys;
mod late;
mod messages;
mod operations;
mod outside;
mod permit;
mod policy;
mod queue;
mod redrive;
mod refusal;
mod state;
mod tags;
mod tests;
mod timing;
mod traffic;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prism_queue::domain::arn::{Place, QueueArn};
use prism_queue::domain::attributes::{Attribute, Attributes, Counts};
use prism_queue::domain::tags::Tags;

pub use caller::Caller;
pub use client::Client;
pub use faults::{Chaos, Denial, DeniedAs, Fault, Faults, Trap};
pub use iam::{PolicyView, RoleView};
pub use journal::Call;
pub use messages::{Fate, Message};
pub use outside::Outside;
pub use refusal::Answer;
pub use timing::Timing;

use messages::{counts_at, seconds};
use queue::{Queue, arn_of};
use state::State;

/// All of AWS, shared by everyone who holds a clone.
#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

/// A queue as it truly is, whatever reads of it show.
#[derive(Clone, Debug)]
pub struct QueueView {
    pub arn: QueueArn,
    pub url: String,
    /// As written last; the policy in the form in which SQS gives it back.
    pub attributes: Attributes,
    pub tags: Tags,
    pub counts: Counts,
}

impl World {
    /// An empty world. All chance in it comes from `seed`.
    pub fn new(seed: u64, timing: Timing) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed, timing))))
    }

    /// The world as `caller` reaches it through the operator's traits.
    pub fn client(&self, caller: &Caller) -> Client {
        Client { world: self.clone(), caller: caller.clone() }
    }

    /// The world as somebody else reaches it: no faults, no journal, no delay for the test.
    pub fn outside(&self, caller: &Caller) -> Outside {
        Outside { world: self.clone(), caller: caller.clone() }
    }

    /// Runs `process` until it ends, or until a call crashes it: then there is no output, and none of its calls
    /// ever comes back.
    pub async fn run<F: Future>(&self, process: F) -> Option<F::Output> {
        let mut crashed = {
            let state = self.state();
            state.crashed.send_replace(false);
            state.crashed.subscribe()
        };
        tokio::select! {
            biased;
            _ = crashed.wait_for(|crashed| *crashed) => None,
            output = process => Some(output),
        }
    }

    /// Kills the process that runs: none of its calls ever comes back.
    pub fn crash(&self) {
        self.state().crashed.send_replace(true);
    }

    /// Whether the process that ran is dead.
    pub fn is_crashed(&self) -> bool {
        *self.state().crashed.borrow()
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.state().now
    }

    /// Moves the clock.
    pub fn advance(&self, by: i64) {
        let mut state = self.state();
        state.now += seconds(by);
        state.settle();
    }

    /// Changes how long things take from now on.
    pub fn set_timing(&self, timing: Timing) {
        self.state().timing = timing;
    }

    /// Prepares a fault. Of several that catch the same call, the first wins.
    pub fn inject(&self, trap: Trap) {
        self.state().faults.traps.push(trap);
    }

    /// Random faults from now on.
    pub fn chaos(&self, chaos: Chaos) {
        self.state().faults.chaos = chaos;
    }

    /// Denies calls until [`World::calm`].
    pub fn deny(&self, denial: Denial) {
        self.state().faults.denials.push(denial);
    }

    /// Throttles each account to so many calls a second.
    pub fn throttle(&self, calls_per_second: usize) {
        self.state().faults.calls_per_second = Some(calls_per_second);
    }

    /// Ends all faults, denials and throttling beyond SQS's own.
    pub fn calm(&self) {
        self.state().faults = faults::Faults::default();
    }

    /// Makes the role or user `arn`; if it was deleted before, it has a new unique id.
    pub fn create_principal(&self, arn: &str) {
        self.state().principals.create(arn);
    }

    /// Deletes the role or user `arn`.
    pub fn delete_principal(&self, arn: &str) {
        self.state().principals.delete(arn);
    }

    /// Makes a KMS key with an alias (`alias/…`), and returns its ARN.
    pub fn create_key(&self, place: &Place, id: &str, alias: &str) -> String {
        self.state().keys.create(place, id, alias)
    }

    /// Changes the policy of the key `arn`.
    pub fn put_key_policy(&self, arn: &str, policy: &serde_json::Value) {
        self.state().keys.put_policy(arn, policy.to_string());
    }

    /// Disables the key `arn`.
    pub fn disable_key(&self, arn: &str) {
        self.state().keys.disable(arn);
    }

    /// Sends a message, and returns its id in the ledger.
    pub fn send(&self, sender: &Caller, url: &str) -> Answer<u64> {
        let arn = arn_of(url).ok_or_else(refusal::Refusal::missing)?;
        self.state().send(sender, &arn)
    }

    /// Receives one message, if one is available, and hides it for the visibility timeout.
    pub fn receive(&self, consumer: &Caller, url: &str) -> Answer<Option<u64>> {
        let arn = arn_of(url).ok_or_else(refusal::Refusal::missing)?;
        self.state().receive(consumer, &arn)
    }

    /// Deletes a message as its consumer does.
    pub fn consume(&self, id: u64) {
        self.state().consume(id);
    }

    /// All queues that are not deleted.
    pub fn queues(&self) -> Vec<QueueView> {
        let state = self.state();
        state.queues.values().filter(|queue| !queue.is_deleted()).map(|queue| view(&state, queue)).collect()
    }

    /// The queue at `url`, unless it is deleted.
    pub fn queue(&self, url: &str) -> Option<QueueView> {
        let state = self.state();
        Some(view(&state, state.live(&arn_of(url)?)?))
    }

    /// The ledger: every message there ever was.
    pub fn messages(&self) -> Vec<Message> {
        self.state().messages.clone()
    }

    /// The messages that were lost by the doing of the caller with this ARN.
    pub fn lost_by(&self, caller_arn: &str) -> Vec<Message> {
        let lost = |message: &Message| match &message.fate {
            Some(Fate::QueueDeleted { by } | Fate::SentToDeleted { by } | Fate::RetentionLowered { by }) => {
                by == caller_arn
            }
            None | Some(Fate::Consumed | Fate::Expired) => false,
        };
        self.messages().into_iter().filter(lost).collect()
    }

    /// This point in the journal.
    pub fn mark(&self) -> usize {
        self.state().journal.len()
    }

    /// All calls through clients since `mark`.
    pub fn calls_since(&self, mark: usize) -> Vec<Call> {
        self.state().journal[mark..].to_vec()
    }

    /// The calls since `mark` that asked for a change, whatever became of them.
    pub fn writes_since(&self, mark: usize) -> Vec<Call> {
        self.calls_since(mark).into_iter().filter(Call::is_write).collect()
    }

    /// The calls since `mark` that changed or deleted a queue although `may` says that they must not. It is asked
    /// with the call and the tags that the queue had before it.
    pub fn trespasses_since(&self, mark: usize, may: impl Fn(&Call, &Tags) -> bool) -> Vec<Call> {
        let is_trespass =
            |call: &Call| call.touched_existing() && call.tags_before.as_ref().is_some_and(|tags| !may(call, tags));
        self.calls_since(mark).into_iter().filter(is_trespass).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked has failed anyway; the others have worlds of their own.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn view(state: &State, queue: &Queue) -> QueueView {
    let mut attributes = queue.written();
    if let Some(kept) = attributes.get_mut(&Attribute::Policy) {
        *kept = policy::rewrite(kept, &state.principals);
    }
    QueueView {
        arn: queue.arn.clone(),
        url: queue.url(),
        attributes,
        tags: queue.tags.clone(),
        counts: counts_at(&state.messages, queue.incarnation, state.now),
    }
}
