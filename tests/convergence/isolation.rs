//! Three places, of which one answers nothing: the others' Queues are ready at the very time at which they are without it.
//!
//! The real lanes, schedule and reconciler, in tokio's paused time; a call to AWS takes a while here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube_runtime::reflector::{self, ObjectRef};
use kube_runtime::watcher::Event;
use prism_queue::api::Queue;
use prism_queue::aws::{CallerIdentity, Kms, Sqs, Sts};
use prism_queue::controller::lanes;
use prism_queue::controller::queue::Reconciler;
use prism_queue::controller::schedule::{Gate, Schedule};
use prism_queue::domain::arn::Place;
use prism_queue::domain::attributes::{Attributes, QueueAttributes};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::class::Class;
use prism_queue::domain::fleet::Key;
use prism_queue::domain::names::QueueName;
use prism_queue::domain::tags::Tags;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Change, Kube, View};
use crate::model::{Caller, Client, Timing, World};
use crate::stage::{REGION, class, condition, spec};

/// A namespace for each place, and the account that it stands for.
const PLACES: [(&str, &str); 3] = [("one", "111111111111"), ("two", "222222222222"), ("silent", "333333333333")];
/// Fewer than make an account throttle, more than are worked on at a time.
const QUEUES: usize = 12;
const CONCURRENCY: u16 = 4;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a call takes, and how long one is waited for.
const CALL: Duration = Duration::from_millis(40);
const TIMEOUT: Duration = Duration::from_secs(20);

/// AWS at a distance.
struct Far {
    near: Client,
    is_silent: bool,
}

impl Far {
    async fn travel(&self, action: &'static str) -> Result<(), CallError> {
        if self.is_silent {
            tokio::time::sleep(TIMEOUT).await;
            let message = "no answer".to_owned();
            return Err(CallError { action, kind: ErrorKind::Transient, code: String::new(), message });
        }
        tokio::time::sleep(CALL).await;
        Ok(())
    }
}

#[async_trait]
impl Sqs for Far {
    async fn create_queue(&self, name: &QueueName, attributes: &Attributes, tags: &Tags) -> Result<String, CallError> {
        self.travel("CreateQueue").await?;
        self.near.create_queue(name, attributes, tags).await
    }

    async fn get_queue_url(&self, name: &QueueName) -> Result<String, CallError> {
        self.travel("GetQueueUrl").await?;
        self.near.get_queue_url(name).await
    }

    async fn get_queue_attributes(&self, queue_url: &str) -> Result<QueueAttributes, CallError> {
        self.travel("GetQueueAttributes").await?;
        self.near.get_queue_attributes(queue_url).await
    }

    async fn set_queue_attributes(&self, queue_url: &str, attributes: &Attributes) -> Result<(), CallError> {
        self.travel("SetQueueAttributes").await?;
        self.near.set_queue_attributes(queue_url, attributes).await
    }

    async fn delete_queue(&self, queue_url: &str) -> Result<(), CallError> {
        self.travel("DeleteQueue").await?;
        self.near.delete_queue(queue_url).await
    }

    async fn list_queue_tags(&self, queue_url: &str) -> Result<Tags, CallError> {
        self.travel("ListQueueTags").await?;
        self.near.list_queue_tags(queue_url).await
    }

    async fn tag_queue(&self, queue_url: &str, tags: &Tags) -> Result<(), CallError> {
        self.travel("TagQueue").await?;
        self.near.tag_queue(queue_url, tags).await
    }

    async fn untag_queue(&self, queue_url: &str, keys: &[String]) -> Result<(), CallError> {
        self.travel("UntagQueue").await?;
        self.near.untag_queue(queue_url, keys).await
    }

    async fn list_queues(&self, prefix: &QueueName) -> Result<Vec<String>, CallError> {
        self.travel("ListQueues").await?;
        self.near.list_queues(prefix).await
    }
}

#[async_trait]
impl Sts for Far {
    async fn caller_identity(&self) -> Result<CallerIdentity, CallError> {
        self.travel("GetCallerIdentity").await?;
        self.near.caller_identity().await
    }
}

#[async_trait]
impl Kms for Far {
    async fn key_arn(&self, key: &str) -> Result<String, CallError> {
        self.travel("DescribeKey").await?;
        self.near.key_arn(key).await
    }

    async fn key_policy(&self, key: &str) -> Result<String, CallError> {
        self.travel("GetKeyPolicy").await?;
        self.near.key_policy(key).await
    }
}

/// When each Queue became ready, for as long as those outside the third place are not.
async fn times(is_silent: bool) -> BTreeMap<Key, Duration> {
    let world = World::new(1, Timing::prompt());
    let kube = Kube::new(1, world.clone());
    for n in 0..QUEUES {
        for (namespace, _) in PLACES {
            kube.create(&Key { namespace: namespace.to_owned(), name: format!("q{n:02}") }, spec(json!({})));
        }
    }
    let view = Arc::new(View::new(&kube, &class()));
    let reconcilers: BTreeMap<&str, Reconciler> = PLACES
        .into_iter()
        .map(|(namespace, account)| {
            let near = world.client(&Caller::role(account, REGION, "prism-queue"));
            // No Queue of these has policies.
            let iam = Arc::new(near.clone());
            let far = Arc::new(Far { near, is_silent: is_silent && namespace == "silent" });
            let place = Place { account_id: account.to_owned(), region: REGION.to_owned() };
            let world = world.clone();
            let reconciler = Reconciler {
                sqs: far.clone(),
                sts: far.clone(),
                kms: far,
                iam,
                cluster: view.clone(),
                class: Class { place, ..class() },
                clock: Arc::new(move || world.now()),
                may_write: Arc::new(|| true),
            };
            (namespace, reconciler)
        })
        .collect();
    let (queues, mut writer) = reflector::store::<Queue>();
    let (turns, turned) = mpsc::unbounded_channel();
    let (reconcilers, schedule) = (Arc::new(reconcilers), Arc::new(Schedule::default()));
    let turn = |key: &Key| _ = turns.send(ObjectRef::new(&key.name).within(&key.namespace));
    writer.apply_watcher_event(&Event::Init);
    for queue in kube.queues() {
        writer.apply_watcher_event(&Event::InitApply(queue.clone()));
        turn(&Key::of(&queue));
    }
    writer.apply_watcher_event(&Event::InitDone);

    let clock = world.clone();
    let pass = move |queue: Arc<Queue>| {
        let (reconcilers, schedule, world) = (reconcilers.clone(), schedule.clone(), clock.clone());
        async move {
            let now = world.now();
            let mut memory = match schedule.enter(queue.as_ref(), now) {
                Gate::Closed(rest) => return rest.unsigned_abs(),
                Gate::Open(memory) => memory,
            };
            let reconciler = &reconcilers[Key::of(&queue).namespace.as_str()];
            let outcome = Box::pin(reconciler.pass(&queue, &mut memory)).await;
            schedule.leave(queue.as_ref(), *memory, &outcome, now);
            outcome.requeue.unsigned_abs()
        }
    };
    let lane_of = |queue: &Queue| Key::of(queue).namespace;
    let begin = Instant::now();
    let (mut ready, mut seconds) = (BTreeMap::new(), 0);
    let watching = async {
        // The watch of Queues, and the ears of whoever waits for them.
        loop {
            while view.behind().0 > 0 {
                if let Change::Queue { key, .. } = view.next_queue() {
                    let queue = view.cached(&key).expect("the cache shows what the watch brought");
                    let is_ready = condition(&queue, "Ready").is_some_and(|(status, _)| status == "True");
                    if is_ready {
                        ready.entry(key.clone()).or_insert_with(|| begin.elapsed());
                    }
                    writer.apply_watcher_event(&Event::Apply(queue));
                    turn(&key);
                }
            }
            if ready.keys().filter(|key| key.namespace != "silent").count() == 2 * QUEUES {
                return;
            }
            if begin.elapsed() > PATIENCE {
                let told = kube
                    .queues()
                    .iter()
                    .map(|q| format!("{} {:?}", Key::of(q), condition(q, "Ready")))
                    .collect::<Vec<_>>();
                panic!("not ready in {PATIENCE:?}: {told:#?}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            // The world's clock counts whole seconds.
            if begin.elapsed().as_secs() > seconds {
                seconds += 1;
                world.advance(1);
            }
        }
    };
    let stop = CancellationToken::new();
    tokio::select! {
        () = lanes::work(turned, queues, lane_of, pass, CONCURRENCY, stop) => panic!("nobody asked it to end"),
        () = watching => {}
    }
    ready
}

#[tokio::test(start_paused = true)]
async fn a_place_that_answers_nothing_changes_nothing_for_the_others() {
    let (without, with) = (times(false).await, times(true).await);
    // In calls, as the watch takes a moment; which of them comes first is the scheduler's business.
    let calls = |time: &Duration| (time.as_millis() + CALL.as_millis() / 2) / CALL.as_millis();
    let of_others = |times: &BTreeMap<Key, Duration>| {
        let others = times.iter().filter(|(key, _)| key.namespace != "silent");
        let mut times: Vec<(String, u128)> = others.map(|(key, time)| (key.namespace.clone(), calls(time))).collect();
        times.sort();
        times
    };
    assert_eq!(of_others(&without).len(), 2 * QUEUES);
    assert_eq!(of_others(&with), of_others(&without));
    assert!(without.keys().any(|key| key.namespace == "silent") && !with.keys().any(|key| key.namespace == "silent"));
    let longest = without.values().max().expect("some");
    assert!(*longest < TIMEOUT, "they do not wait for a call that gets no answer: {longest:?}");
}
