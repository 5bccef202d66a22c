//! Passes over Queues, in lanes: each place in AWS has a work queue of its own, so that one that answers nothing keeps no
//! other waiting.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kube_runtime::controller::{Action, Config, ReconcileRequest, applier};
use kube_runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::api::Queue;

/// How soon to ask again for a Queue that another lane is at work on: its class was changed this very moment.
const BUSY: Duration = Duration::from_secs(1);

/// Makes passes over Queues as `turned` brings them and as passes ask to be made again, until `stop` is cancelled and those
/// under way have ended. In each lane, `concurrency` at a time; over one Queue, one at a time.
///
/// `lane_of` tells the lane of a Queue, and may change its mind. `pass` answers when to look at the Queue again.
pub async fn work<L, P>(
    mut turned: UnboundedReceiver<ObjectRef<Queue>>,
    queues: Store<Queue>,
    lane_of: impl Fn(&Queue) -> L + Clone,
    pass: impl Fn(Arc<Queue>) -> P + Clone,
    concurrency: u16,
    stop: CancellationToken,
) where
    L: Eq + Hash + Clone,
    P: Future<Output = Duration>,
{
    let busy: Busy = Arc::default();
    let mut lanes: HashMap<L, UnboundedSender<ObjectRef<Queue>>> = HashMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        let turn = tokio::select! {
            turn = turned.recv() => turn,
            Some(()) = running.next() => continue,
            () = stop.cancelled() => None,
        };
        let Some(turn) = turn else { break };
        // A Queue that was deleted while it waited for its turn.
        let Some(queue) = queues.get(&turn) else { continue };
        let lane = lane_of(&queue);
        let way = lanes.entry(lane.clone()).or_insert_with(|| {
            let (way, turns) = unbounded_channel();
            let (lane_of, pass, busy) = (lane_of.clone(), pass.clone(), busy.clone());
            let pass = move |queue: Arc<Queue>| {
                // A Queue that has gone to another lane is that lane's.
                let work = (lane_of(&queue) == lane).then(|| (busy.clone(), pass.clone()));
                async move {
                    let Some((busy, pass)) = work else { return Action::await_change() };
                    let Some(_turn) = Turn::take(&busy, &queue) else { return Action::requeue(BUSY) };
                    Action::requeue(pass(queue).await)
                }
            };
            running.push(follow(turns, queues.clone(), pass, concurrency, stop.clone()));
            way
        });
        // The lane's end is this function's.
        let _ = way.send(turn);
    }
    drop(lanes);
    while running.next().await.is_some() {}
}

/// One lane.
async fn follow<P>(
    mut turns: UnboundedReceiver<ObjectRef<Queue>>,
    queues: Store<Queue>,
    pass: impl Fn(Arc<Queue>) -> P,
    concurrency: u16,
    stop: CancellationToken,
) where
    P: Future<Output = Action>,
{
    let requests = futures::stream::poll_fn(move |context| turns.poll_recv(context))
        .map(|turn| Ok::<_, Infallible>(ReconcileRequest::from(turn)))
        .take_until(stop.cancelled_owned());
    let passes = applier(
        |queue, _| {
            let passing = pass(queue);
            Box::pin(async move { Ok::<_, Infallible>(passing.await) })
        },
        |_, never: &Infallible, _| match *never {},
        Arc::new(()),
        queues,
        requests,
        Config::default().concurrency(concurrency),
    );
    passes
        .for_each(|ended| async move {
            if let Err(error) = ended {
                tracing::debug!(%error, "a turn came to nothing");
            }
        })
        .await;
}

/// The Queues that are worked on.
type Busy = Arc<Mutex<HashSet<ObjectRef<Queue>>>>;

/// The right to work on one Queue, until it is dropped.
struct Turn {
    busy: Busy,
    queue: ObjectRef<Queue>,
}

impl Turn {
    fn take(busy: &Busy, queue: &Queue) -> Option<Self> {
        let queue = ObjectRef::from_obj(queue);
        let is_free = busy.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.clone());
        is_free.then(|| Self { busy: busy.clone(), queue })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.queue);
    }
}
