//! Passes over objects, in lanes: each place in AWS has a work queue of its own, so that one that answers nothing keeps no
//! other waiting.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kube::Resource;
use kube_runtime::controller::{Action, Config, ReconcileRequest, applier};
use kube_runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// How soon to ask again for an object that another lane is at work on: its class was changed this very moment.
const BUSY: Duration = Duration::from_secs(1);

/// Makes passes over objects as `turned` brings them and as passes ask to be made again, until `stop` is cancelled and those
/// under way have ended. In each lane, `concurrency` at a time; over one object, one at a time.
///
/// `lane_of` tells the lane of an object, and may change its mind. `pass` answers when to look at the object again.
pub async fn work<K, L, P>(
    mut turned: UnboundedReceiver<ObjectRef<K>>,
    objects: Store<K>,
    lane_of: impl Fn(&K) -> L + Clone,
    pass: impl Fn(Arc<K>) -> P + Clone,
    concurrency: u16,
    stop: CancellationToken,
) where
    K: Kind,
    L: Eq + Hash + Clone,
    P: Future<Output = Duration>,
{
    let busy: Busy<K> = Arc::default();
    let mut lanes: HashMap<L, UnboundedSender<ObjectRef<K>>> = HashMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        let turn = tokio::select! {
            turn = turned.recv() => turn,
            Some(()) = running.next() => continue,
            () = stop.cancelled() => None,
        };
        let Some(turn) = turn else { break };
        // One that was deleted while it waited for its turn.
        let Some(object) = objects.get(&turn) else { continue };
        let lane = lane_of(&object);
        let way = lanes.entry(lane.clone()).or_insert_with(|| {
            let (way, turns) = unbounded_channel();
            let (lane_of, pass, busy) = (lane_of.clone(), pass.clone(), busy.clone());
            let pass = move |object: Arc<K>| {
                // One that has gone to another lane is that lane's.
                let work = (lane_of(&object) == lane).then(|| (busy.clone(), pass.clone()));
                async move {
                    let Some((busy, pass)) = work else { return Action::await_change() };
                    let Some(_turn) = Turn::take(&busy, &object) else { return Action::requeue(BUSY) };
                    Action::requeue(pass(object).await)
                }
            };
            running.push(follow(turns, objects.clone(), pass, concurrency, stop.clone()));
            way
        });
        // The lane's end is this function's.
        let _ = way.send(turn);
    }
    drop(lanes);
    while running.next().await.is_some() {}
}

/// What passes are made over.
pub trait Kind: Resource<DynamicType = ()> + Clone + Send + Sync + 'static {}

impl<K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static> Kind for K {}

/// One lane.
async fn follow<K, P>(
    mut turns: UnboundedReceiver<ObjectRef<K>>,
    objects: Store<K>,
    pass: impl Fn(Arc<K>) -> P,
    concurrency: u16,
    stop: CancellationToken,
) where
    K: Kind,
    P: Future<Output = Action>,
{
    let requests = futures::stream::poll_fn(move |context| turns.poll_recv(context))
        .map(|turn| Ok::<_, Infallible>(ReconcileRequest::from(turn)))
        .take_until(stop.cancelled_owned());
    let passes = applier(
        |object, _| {
            let passing = pass(object);
            Box::pin(async move { Ok::<_, Infallible>(passing.await) })
        },
        |_, never: &Infallible, _| match *never {},
        Arc::new(()),
        objects,
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

/// The objects that are worked on.
type Busy<K> = Arc<Mutex<HashSet<ObjectRef<K>>>>;

/// The right to work on one object, until it is dropped.
struct Turn<K: Kind> {
    busy: Busy<K>,
    object: ObjectRef<K>,
}

impl<K: Kind> Turn<K> {
    fn take(busy: &Busy<K>, object: &K) -> Option<Self> {
        let object = ObjectRef::from_obj(object);
        let is_free = busy.lock().unwrap_or_else(PoisonError::into_inner).insert(object.clone());
        is_free.then(|| Self { busy: busy.clone(), object })
    }
}

impl<K: Kind> Drop for Turn<K> {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.object);
    }
}
