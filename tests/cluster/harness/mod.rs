//! One world for all tests: the API server, AWS's emulator behind a fault proxy, and one operator between them.
//!
//! An operator looks after all Queues of its cluster, so there is one at a time. Most tests share it, each in a
//! namespace of its own, and may run side by side. A test that needs the operator to itself, to kill it or to start it
//! with other flags, has the world for itself meanwhile.

pub mod audit;
pub mod aws;
pub mod identity;
mod operator;
mod scope;
pub mod wait;

use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;

use futures::FutureExt as _;
use kube::Client;
use kube::config::Kubeconfig;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OnceCell, RwLock};
use tokio::time::timeout;

use crate::proxy::FaultProxy;

pub use identity::Identity;
pub use operator::{Ended, Operator, Surroundings};
pub use scope::{Scope, condition, is_ready, ready_reason};

/// The AWS account of these tests: twelve digits as access key choose it in the emulator.
pub const ACCOUNT: &str = "300000000001";
pub const REGION: &str = "eu-central-1";
pub const CLUSTER_NAME: &str = "cluster-tests";
/// What the default names of queues begin with.
pub const PREFIX: &str = "ct-";
/// How long the name of a deleted queue is refused, as a part of SQS's 60 s.
const COOL_DOWN: f64 = 0.05;

/// What all tests share. It outlives them, as does the runtime that drives its connections.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a tokio runtime"));
static WORLD: OnceCell<World> = OnceCell::const_new();
/// Read by tests that share the operator, written by those that have the world for themselves.
static TURNS: RwLock<()> = RwLock::const_new(());
/// The operator that is shared, if it runs.
static SHARED: Mutex<Option<Operator>> = Mutex::const_new(None);

/// The API server and AWS.
pub struct World {
    /// The API server, as its administrator.
    pub kube: Client,
    /// Where the operator finds AWS: calls are counted and broken here.
    pub proxy: FaultProxy,
    /// SQS as the tests see it: these calls are neither counted nor broken.
    pub sqs: aws_sdk_sqs::Client,
    /// The operator's identity in Kubernetes: exactly the chart's rules.
    pub identity: Identity,
    /// What `sqs` goes through: it shows queues as AWS would.
    window: FaultProxy,
}

/// A variable that `cargo xtask test` sets.
pub fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"))
}

impl World {
    async fn start() -> Self {
        let admin = Kubeconfig::read_from(environment("PRISM_TEST_KUBECONFIG")).expect("the kubeconfig is readable");
        let upstream = environment("PRISM_TEST_ENDPOINT");
        let kube = identity::client(&admin).await;
        identity::install_crds(&kube).await;
        let identity = Identity::make(&kube, &admin).await;
        let (proxy, window) = (FaultProxy::start(&upstream), FaultProxy::start(&upstream));
        proxy.scale_cool_down(COOL_DOWN);
        window.scale_cool_down(0.0);
        let sqs = aws::client(window.endpoint());
        Self { kube, proxy, sqs, identity, window }
    }

    /// Installs the CRDs again, for a test that removed them.
    pub async fn install_crds(&self) {
        identity::install_crds(&self.kube).await;
    }

    /// Starts the one operator, with these flags beside the ordinary ones, and waits until it works.
    pub async fn operator(&self, flags: &[&str]) -> Operator {
        self.operator_in(&Surroundings::default(), flags).await
    }

    /// The same in these surroundings.
    pub async fn operator_in(&self, around: &Surroundings<'_>, flags: &[&str]) -> Operator {
        // The lease of one that was killed need not run out first: it is dead for sure.
        self.identity.drop_lease(&self.kube).await;
        let operator = Operator::start_in(self, &self.identity, flags, around).await;
        operator.works().await;
        operator
    }

    /// The flags that every operator here has.
    pub fn flags(&self) -> Vec<String> {
        let namespace = &self.identity.namespace;
        let flags = [
            ["--cluster-name", CLUSTER_NAME],
            ["--name-prefix", PREFIX],
            ["--region", REGION],
            ["--endpoint-url", self.proxy.endpoint()],
            ["--leader-election-namespace", namespace],
            ["--http-address", "127.0.0.1:0"],
            ["--empty-for", "1s"],
            ["--log-format", "json"],
            ["--log-filter", "info,prism_queue=debug"],
        ];
        flags.concat().into_iter().map(str::to_owned).collect()
    }

    /// IAM as the tests see it: these calls are neither counted nor broken.
    pub fn iam(&self) -> aws_sdk_iam::Client {
        aws::iam(self.window.endpoint(), ACCOUNT)
    }

    /// EKS as the tests see it.
    pub fn eks(&self) -> aws_sdk_eks::Client {
        aws::eks(self.window.endpoint(), ACCOUNT)
    }

    /// A client of SQS that comes to it as the operator does.
    pub fn sqs_through_the_proxy(&self) -> aws_sdk_sqs::Client {
        aws::client(self.proxy.endpoint())
    }
}

async fn world() -> &'static World {
    let start = timeout(wait::SOON, WORLD.get_or_init(World::start)).await;
    start.expect("the API server and the emulator answer")
}

/// Runs a test in a namespace of its own, beside others, under the operator that they share.
pub fn shared(test: impl AsyncFnOnce(&Scope)) {
    RUNTIME.block_on(async {
        let _turn = TURNS.read().await;
        let world = world().await;
        {
            let mut shared = SHARED.lock().await;
            if shared.as_ref().is_none_or(Operator::has_ended) {
                *shared = Some(world.operator(&[]).await);
            }
        }
        in_scope(world, test, async || SHARED.lock().await.as_ref().map(Operator::log).unwrap_or_default()).await;
    });
}

/// A gauge of the operator that is shared.
pub async fn shared_gauge(name: &str, labels: &str) -> Option<f64> {
    SHARED.lock().await.as_ref()?.gauge(name, labels).await
}

/// Runs a test in a namespace of its own with the world for itself: no operator runs, and no other test.
pub fn alone(test: impl AsyncFnOnce(&Scope)) {
    RUNTIME.block_on(async {
        let _turn = TURNS.write().await;
        let world = world().await;
        if let Some(shared) = SHARED.lock().await.take() {
            let ended = shared.terminate().await;
            assert_eq!(ended.code, 0, "{}", ended.log);
            let refused = ended.log.lines().find(|line| line.contains("is forbidden: User"));
            assert_eq!(refused, None, "the chart's rules are enough");
            let asked = audit::asked(&world.identity.user(), None).into_iter();
            let foreign = asked.filter(|asked| asked.is_of_outputs() && !asked.is_labelled());
            assert_eq!(foreign.collect::<Vec<_>>(), [], "nobody else's Secrets were listed or watched");
        }
        world.proxy.calm();
        in_scope(world, test, async || String::new()).await;
        world.proxy.calm();
    });
}

/// Runs a test that needs the API server and no operator, beside others.
pub fn unattended(test: impl AsyncFnOnce(&Scope)) {
    RUNTIME.block_on(async {
        let _turn = TURNS.read().await;
        in_scope(world().await, test, async || String::new()).await;
    });
}

async fn in_scope(world: &'static World, test: impl AsyncFnOnce(&Scope), log: impl AsyncFnOnce() -> String) {
    let scope = Scope::new(world).await;
    let outcome = AssertUnwindSafe(test(&scope)).catch_unwind().await;
    if let Err(panic) = outcome {
        scope.explain(&log().await).await;
        scope.clear().await;
        std::panic::resume_unwind(panic);
    }
    scope.clear().await;
}
