//! The operator from its start to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, Resource};
use kube_runtime::reflector::{self, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::class::{ClassDefaults, DriftMode};
use crate::api::{Queue, QueueAccess, crd};
use crate::aws::sdk::{AwsClients, Options};
use crate::aws::target::Session;
use crate::aws::{CallObserver, MayWrite, Sts};
use crate::domain::access::{Subject, queue_of};
use crate::domain::arn::Place;
use crate::domain::call::ErrorClass;
use crate::domain::class::{Class, FLAGS, Limits};
use crate::domain::fleet::Key;
use crate::domain::iam::IamPath;
use crate::domain::names::Naming;
use crate::domain::observed::Memory;
use crate::domain::tags::{ClusterIdentity, Tags};
use crate::runtime::health::Health;
use crate::runtime::http::Server;
use crate::runtime::identity::holder_identity;
use crate::runtime::lease::{Claim, Elector, KubernetesLease, SystemClock};
use crate::runtime::metrics::Metrics;
use crate::runtime::settings::ControllerSettings;
use crate::webhook::{Around, Webhook};

use super::access::{AccessReconciler, Identities};
use super::class::ClassReporter;
use super::classes::{Classes, Lane};
use super::cluster::Cluster as _;
use super::kubernetes::{Caches, Kubernetes};
use super::lanes;
use super::queue::{Outcome, Reconciler};
use super::schedule::{Gate, Schedule};
use super::watch::{Known, Watches, outputs};

/// Why the operator does not start, or ended: one line for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(String);

/// How long a call at the start may take.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a pass may take: each of its calls is bounded, and there are not many.
const PASS_TIMEOUT: Duration = Duration::from_mins(10);

/// How long a task may go without a sign of life before the process is taken for hung.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// How often the gauges are brought up to date.
const GAUGES: Duration = Duration::from_secs(10);

/// Runs the operator until `stop` is cancelled.
///
/// # Errors
/// In one line: what keeps it from starting, or that it lost the leader lease.
pub async fn run(settings: ControllerSettings, stop: CancellationToken) -> Result<(), Fatal> {
    let metrics = Metrics::new();
    let client = Client::try_default()
        .await
        .map_err(|error| Fatal(format!("no Kubernetes cluster: {error}. Run in a Pod, or set KUBECONFIG")))?;
    check_crds(&client).await?;
    let cluster_uid = cluster_uid(&client).await?;
    let observer: Arc<dyn CallObserver> = Arc::new(Observer(metrics.clone()));
    let options = Options {
        region: settings.region.clone(),
        endpoint_url: settings.endpoint_url.clone(),
        allow_insecure_endpoints: settings.allow_insecure_endpoints,
        ..Options::default()
    };
    let aws = AwsClients::connect(&options, observer).await.map_err(|error| Fatal(error.to_string()))?;
    let class = class(&settings, &aws, cluster_uid).await?;
    tracing::info!(place = %class.place, caller = class.caller_arn, cluster = class.cluster.name, "starting");

    let server = Server::bind(settings.http_address).await.map_err(|error| Fatal(error.to_string()))?;
    tracing::info!(address = %server.address(), "serving /healthz, /readyz and /metrics");
    let mut tasks = JoinSet::new();
    let after_work = CancellationToken::new();
    let (health, claim, instance) = stand(&settings, &client, &stop, &after_work, &mut tasks);
    let (counts, end) = (metrics.clone(), after_work.clone());
    let (probed, shown) = (health.clone(), claim.clone());
    tasks
        .spawn(async move { server.serve(probed, shown, counts, end).await.map_err(|error| Fatal(error.to_string())) });

    let around =
        Around { client: client.clone(), claim: claim.clone(), health: health.clone(), metrics: metrics.clone() };
    if let Some(webhook) = Webhook::bind(&settings.webhook, around).await.map_err(|error| Fatal(error.to_string()))? {
        tracing::info!(address = %webhook.address(), "serving the admission webhook");
        let stop = stop.clone();
        tasks.spawn(async move {
            webhook.serve(stop).await;
            Ok(())
        });
    }

    let leads = tokio::select! {
        acquired = claim.acquired() => acquired,
        () = stop.cancelled() => false,
        Some(ended) = tasks.join_next() => return flatten(ended),
    };
    let worked = if leads {
        let concurrency = settings.concurrency;
        let held = claim.clone();
        let may_write: MayWrite = Arc::new(move || held.is_held(Instant::now()));
        let classes = Arc::new(Classes::new(class, aws.writing_while(may_write.clone())));
        let work = Work { client, classes, may_write, metrics, health, claim, instance, concurrency };
        tokio::select! {
            () = work.run(stop.clone()) => Ok(()),
            // The lease is lost, or the server failed: what was begun under the claim must not go on.
            Some(ended) = tasks.join_next() => flatten(ended),
        }
    } else {
        Ok(())
    };
    stop.cancel();
    after_work.cancel();
    let mut ended = worked;
    while let Some(task) = tasks.join_next().await {
        ended = ended.and(flatten(task));
    }
    ended
}

fn flatten(ended: Result<Result<(), Fatal>, tokio::task::JoinError>) -> Result<(), Fatal> {
    ended.unwrap_or_else(|error| Err(Fatal(format!("a task of the operator failed: {error}"))))
}

/// Stands for election, or leads at once where there is none.
fn stand(
    settings: &ControllerSettings,
    client: &Client,
    stop: &CancellationToken,
    after_work: &CancellationToken,
    tasks: &mut JoinSet<Result<(), Fatal>>,
) -> (Health, Claim, String) {
    let identity = holder_identity();
    if !settings.leader_elect {
        let claim = Claim::always();
        return (Health::new(claim.clone()), claim, identity);
    }
    let namespace = settings.leader_election_namespace.clone();
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let lease = KubernetesLease::new(client.clone(), &namespace);
    let (elector, claim) = Elector::new(lease, SystemClock, identity.clone());
    let health = Health::new(claim.clone());
    let heartbeat = health.task("leader election", LONGEST_SILENCE, Instant::now());
    let (given_up, stop) = (after_work.clone(), stop.clone());
    tasks.spawn(async move {
        let ended = elector.run(given_up, |now| heartbeat.beat(now)).await;
        stop.cancel();
        ended.map_err(|lost| Fatal(lost.to_string()))
    });
    (health, claim, identity)
}

/// The CRDs must be there before anything else makes sense.
async fn check_crds(client: &Client) -> Result<(), Fatal> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for name in [crd::QUEUES, crd::QUEUE_CLASSES, crd::QUEUE_ACCESSES] {
        if bounded("read the CustomResourceDefinition", api.get_opt(name)).await?.is_none() {
            return Err(Fatal(format!(
                "the CustomResourceDefinition {name} is not installed: install the chart, or apply crds/ of this release"
            )));
        }
    }
    Ok(())
}

/// The UID of the namespace `kube-system`: it tells two clusters of one name apart.
async fn cluster_uid(client: &Client) -> Result<String, Fatal> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = bounded("read the namespace kube-system", api.get("kube-system")).await?;
    namespace.metadata.uid.ok_or_else(|| Fatal("the namespace kube-system has no UID".to_owned()))
}

async fn bounded<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Fatal> {
    match tokio::time::timeout(START_TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Fatal(format!("cannot {what}: {error}"))),
        Err(_) => Err(Fatal(format!("cannot {what}: no answer within {} s", START_TIMEOUT.as_secs()))),
    }
}

/// The flags stand in for a class.
async fn class(settings: &ControllerSettings, aws: &AwsClients, cluster_uid: String) -> Result<Class, Fatal> {
    let caller = aws.sts.caller_identity().await.map_err(|error| {
        Fatal(format!(
            "the AWS credentials do not work: {error}. Check the environment, profile, role or Pod Identity association"
        ))
    })?;
    Ok(Class {
        name: FLAGS.to_owned(),
        place: Place { account_id: caller.account_id, region: aws.region.clone() },
        caller_arn: caller.arn,
        naming: Naming::new(settings.name_prefix.clone()),
        cluster: ClusterIdentity {
            name: settings.cluster_name.clone(),
            uid: cluster_uid,
            previous_uid: settings.previous_cluster_uid.clone(),
        },
        tags: Tags::new(),
        defaults: ClassDefaults::default(),
        limits: Limits::Flags { allow_unsafe_statements: settings.allow_unsafe_statements },
        drift: DriftMode::Repair,
        workload_endpoint_url: None,
        resync: signed(settings.resync),
        empty_for: signed(settings.empty_for),
        iam_path: IamPath::default(),
        roles: None,
    })
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// What the leader does.
struct Work {
    client: Client,
    classes: Arc<Classes>,
    may_write: MayWrite,
    metrics: Metrics,
    health: Health,
    claim: Claim,
    instance: String,
    concurrency: u16,
}

/// What every pass shares.
struct Shared {
    classes: Arc<Classes>,
    cluster: Arc<Kubernetes>,
    may_write: MayWrite,
    schedule: Arc<Schedule>,
    metrics: Metrics,
    access: AccessReconciler,
}

impl Work {
    async fn run(self, stop: CancellationToken) {
        let (queues, queue_writer) = reflector::store::<Queue>();
        let (accesses, access_writer) = reflector::store::<QueueAccess>();
        let (secrets, secret_writer) = reflector::store::<Secret>();
        let (config_maps, config_map_writer) = reflector::store::<ConfigMap>();
        let caches = Caches {
            queues: queues.clone(),
            accesses: accesses.clone(),
            secrets: secrets.clone(),
            config_maps: config_maps.clone(),
        };
        let (instance, metrics) = (self.instance.clone(), self.metrics.clone());
        let kubernetes = Arc::new(Kubernetes::new(self.client.clone(), instance, metrics, self.claim.clone(), caches));
        let schedule = Arc::new(Schedule::default());
        let (turns, turned) = mpsc::unbounded_channel();
        let (access_turns, access_turned) = mpsc::unbounded_channel();
        let watches = Watches {
            client: self.client.clone(),
            kubernetes: kubernetes.clone(),
            schedule: schedule.clone(),
            classes: self.classes.clone(),
            queues: queues.clone(),
            accesses: accesses.clone(),
            turns,
            access_turns,
            changed: Arc::default(),
            known: Known { classes: watch::Sender::new(false), namespaces: watch::Sender::new(false) },
        };
        let others = [watches.known.classes.subscribe(), watches.known.namespaces.subscribe()];
        let known = async {
            for mut known in others {
                if known.wait_for(|known| *known).await.is_err() {
                    return false;
                }
            }
            let filled = tokio::join!(
                queues.wait_until_ready(),
                accesses.wait_until_ready(),
                secrets.wait_until_ready(),
                config_maps.wait_until_ready()
            );
            filled.0.is_ok() && filled.1.is_ok() && filled.2.is_ok() && filled.3.is_ok()
        };
        let reporter = ClassReporter {
            classes: self.classes.clone(),
            kubernetes: kubernetes.clone(),
            queues: queues.clone(),
            changed: watches.changed.clone(),
        };
        let shared = Arc::new(Shared {
            classes: self.classes.clone(),
            access: AccessReconciler {
                cluster: kubernetes.clone(),
                workplace: self.classes.clone(),
                identities: Identities::default(),
                clock: Arc::new(Timestamp::now),
                may_write: self.may_write.clone(),
            },
            cluster: kubernetes,
            may_write: self.may_write.clone(),
            schedule,
            metrics: self.metrics.clone(),
        });
        let gauges = self.keep_gauges(&queues);
        tokio::select! {
            // The work ends when it is asked to; the others end with it.
            () = self.passes(shared, (&queues, turned), (&accesses, access_turned), known, stop) => {}
            () = watches.follow_queues(queue_writer) => {}
            () = watches.follow_accesses(access_writer) => {}
            () = watches.follow_classes() => {}
            () = watches.follow_namespaces() => {}
            () = reporter.run() => {}
            () = watches.follow_outputs(outputs(self.client.clone(), secret_writer)) => {}
            () = watches.follow_outputs(outputs(self.client.clone(), config_map_writer)) => {}
            () = gauges => {}
        }
    }

    /// Passes over Queues and `QueueAccess`es, from when all is `known` until `stop` is cancelled and those under way have
    /// ended.
    async fn passes(
        &self,
        shared: Arc<Shared>,
        (queues, turned): (&Store<Queue>, Turns<Queue>),
        (accesses, access_turned): (&Store<QueueAccess>, Turns<QueueAccess>),
        known: impl Future<Output = bool>,
        stop: CancellationToken,
    ) {
        // Decisions about one Queue depend on the others: none is made before all are known.
        let caches = ["Queues", "QueueAccesses", "Secrets", "ConfigMaps", "QueueClasses", "Namespaces"]
            .map(|name| self.health.cache(name));
        tokio::select! {
            is_known = known => if !is_known { return },
            () = stop.cancelled() => return,
        }
        caches.iter().for_each(crate::runtime::health::CacheSync::synced);
        tracing::info!(queues = queues.len(), accesses = accesses.len(), "ready");
        let classes = self.classes.clone();
        let lane_of = move |queue: &Queue| classes.lane_of(queue);
        let to_access = shared.clone();
        let cluster = shared.cluster.clone();
        let pass = move |queue| pass(queue, shared.clone());
        let classes = self.classes.clone();
        let lane_of_access = move |access: &QueueAccess| {
            // Nothing is asked of AWS.
            if let Subject::Principal(_) = Subject::of(&access.spec.subject) {
                return Lane::Nowhere;
            }
            if let Some(queue) = cluster.queue(&queue_of(access)) {
                return classes.lane_of(&queue);
            }
            // What was made under a class is taken away under it.
            let target = access.status.as_ref().and_then(|status| status.target.as_ref());
            let class = target.and_then(|target| target.queue_class_name.as_deref());
            class.map_or(Lane::Nowhere, |name| classes.lane_named(name))
        };
        let pass_over_access = move |access| access_pass(access, to_access.clone());
        tokio::join!(
            lanes::work(turned, queues.clone(), lane_of, pass, self.concurrency, stop.clone()),
            lanes::work(access_turned, accesses.clone(), lane_of_access, pass_over_access, self.concurrency, stop),
        );
    }

    async fn keep_gauges(&self, queues: &Store<Queue>) {
        let mut ticks = tokio::time::interval(GAUGES);
        // The passes share this task: when one blocks it, nobody beats.
        let heartbeat = self.health.task("controller", LONGEST_SILENCE, Instant::now());
        loop {
            ticks.tick().await;
            heartbeat.beat(Instant::now());
            let budgets = self.classes.budgets().await.into_iter().flat_map(|(class, budget)| {
                let rates = budget.rates();
                [(class.clone(), "calls", rates.calls), (class, "tagging", rates.tagging)]
            });
            self.metrics.aws_budgets(budgets);
            let reasons = queues.state().iter().map(|queue| ready_reason(queue)).collect::<Vec<_>>();
            self.metrics.queues(reasons);
        }
    }
}

/// The reason of the Ready condition, as one of the constants: metric labels come from closed sets.
fn ready_reason(queue: &Queue) -> &'static str {
    let conditions = queue.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    let known = ready.and_then(|ready| {
        crate::api::conditions::Reason::ALL.iter().find(|(reason, _)| reason.as_str() == ready.reason)
    });
    known.map_or("Unknown", |(reason, _)| reason.as_str())
}

/// Whose turn it is.
type Turns<K> = mpsc::UnboundedReceiver<reflector::ObjectRef<K>>;

/// One pass over a Queue. Answers when to look at it again.
async fn pass(queue: Arc<Queue>, shared: Arc<Shared>) -> Duration {
    let work = async |memory: &mut Memory| Box::pin(shared.pass(&queue, memory)).await;
    timed(queue.as_ref(), &shared, work).await
}

/// One pass over a `QueueAccess`. Answers when to look at it again.
async fn access_pass(access: Arc<QueueAccess>, shared: Arc<Shared>) -> Duration {
    let work = async |memory: &mut Memory| Box::pin(shared.access.pass(&access, memory)).await;
    timed(access.as_ref(), &shared, work).await
}

/// Does `work` on `object` when it is time to, and for as long as a pass may take.
async fn timed<K>(object: &K, shared: &Shared, work: impl AsyncFnOnce(&mut Memory) -> Outcome<K>) -> Duration
where
    K: Resource<DynamicType = ()> + Clone,
{
    let now = Timestamp::now();
    let mut memory = match shared.schedule.enter(object, now) {
        Gate::Closed(rest) => return rest.unsigned_abs(),
        Gate::Open(memory) => memory,
    };
    let begun = Instant::now();
    let passed = tokio::time::timeout(PASS_TIMEOUT, work(&mut memory)).await;
    let outcome = passed.unwrap_or_else(|_| {
        let key = Key::of_metadata(object.meta());
        tracing::warn!(kind = %K::kind(&()), %key, "a pass took longer than {} s and was given up", PASS_TIMEOUT.as_secs());
        memory.failed(now);
        Outcome::given_up(object)
    });
    shared.metrics.reconcile(outcome.kind, begun.elapsed());
    shared.schedule.leave(object, *memory, &outcome, now);
    outcome.requeue.unsigned_abs()
}

impl Shared {
    async fn pass(&self, queue: &Queue, memory: &mut Memory) -> Outcome {
        let workplace = match self.classes.class_for(queue) {
            Ok(class) => self.classes.clients_of(&class).await.map(|clients| (class, clients)),
            Err(refusal) => Err(refusal),
        };
        let (class, clients, refusal) = match workplace {
            Ok((class, clients)) => (class, clients, None),
            Err(refusal) => (self.classes.built_in(), self.classes.own_clients(), Some(refusal)),
        };
        let Key { namespace, name } = Key::of(queue);
        let AwsClients { sqs, sts, kms, iam, .. } = &clients;
        let session = Session::of_queue(&class.cluster.name, &namespace, &name);
        let reconciler = Reconciler {
            sqs: Arc::new(sqs.writing_as(session.clone())),
            sts: Arc::new(sts.clone()),
            kms: Arc::new(kms.clone()),
            iam: Arc::new(iam.writing_as(session)),
            cluster: self.cluster.clone(),
            class,
            clock: Arc::new(Timestamp::now),
            may_write: self.may_write.clone(),
        };
        match refusal {
            None => reconciler.pass(queue, memory).await,
            Some(refusal) => reconciler.pass_without_class(queue, &refusal, memory).await,
        }
    }
}

/// Counts calls to AWS.
struct Observer(Metrics);

impl CallObserver for Observer {
    fn observed(&self, action: &'static str, answer: Result<(), ErrorClass>, took: Duration) {
        self.0.aws_call(action, answer, took);
    }
}
