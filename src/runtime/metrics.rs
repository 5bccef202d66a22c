//! What the process counts, in the text format of `OpenMetrics`.
//!
//! Each metric is one [`Metric`] of [`ALL`]: its name, its labels and its help. Labels come from closed sets, never from error
//! text or from names of objects, so that the number of series stays bounded.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{self, Registry};

use crate::domain::call::ErrorClass;

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One metric: as it is scraped, and as the documentation lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name in queries, unit included. A histogram adds `_bucket`, `_count` and `_sum`.
    pub name: &'static str,
    /// The labels.
    pub labels: &'static [&'static str],
    /// What it tells, without a full stop.
    pub help: &'static str,
}

/// Calls to AWS.
pub const AWS_CALLS: Metric = Metric {
    name: "prism_queue_aws_calls_total",
    labels: &["action", "class"],
    help: "Calls to AWS by API action and class of answer (ok, throttled, denied, not_found, conflict, invalid, transient)",
};

/// Time of calls to AWS.
pub const AWS_CALL_DURATION: Metric = Metric {
    name: "prism_queue_aws_call_duration_seconds",
    labels: &["action"],
    help: "Time from sending a call to AWS to its answer or timeout",
};

/// The allowance of calls to AWS.
pub const AWS_BUDGET: Metric = Metric {
    name: "prism_queue_aws_budget_calls_per_second",
    labels: &["class", "bucket"],
    help: "Calls to AWS that the operator allows itself now in the place of a class; throttling lowers it, success raises it again",
};

/// Reconciles.
pub const RECONCILES: Metric = Metric {
    name: "prism_queue_reconciles_total",
    labels: &["outcome"],
    help: "Reconciles of Queues and QueueAccesses by outcome (converged, waiting, stalled, failed)",
};

/// Time of reconciles.
pub const RECONCILE_DURATION: Metric = Metric {
    name: "prism_queue_reconcile_duration_seconds",
    labels: &[],
    help: "Time that a reconcile took, calls to AWS and Kubernetes included",
};

/// Queues.
pub const QUEUES: Metric = Metric {
    name: "prism_queue_queues",
    labels: &["reason"],
    help: "Queue objects by the reason of their Ready condition",
};

/// Leadership.
pub const LEADER: Metric = Metric {
    name: "prism_queue_leader",
    labels: &[],
    help: "Whether this process leads (1) or stands by (0); the sum over all replicas is 1",
};

/// Writes to Kubernetes.
pub const KUBERNETES_WRITES: Metric = Metric {
    name: "prism_queue_kubernetes_writes_total",
    labels: &["kind"],
    help: "Writes to the Kubernetes API by kind of object, leader election not counted",
};

/// Answers of the admission webhook.
pub const INJECTIONS: Metric = Metric {
    name: "prism_queue_injections_total",
    labels: &["result"],
    help: "Pods that the admission webhook was asked about, by its answer (injected, unchanged, warned, refused, malformed)",
};

/// Every metric, in the order of the documentation.
pub const ALL: [Metric; 9] = [
    AWS_CALLS,
    AWS_CALL_DURATION,
    AWS_BUDGET,
    RECONCILES,
    RECONCILE_DURATION,
    QUEUES,
    LEADER,
    KUBERNETES_WRITES,
    INJECTIONS,
];

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is as the spec asks; nothing to do before the next resync.
    Converged,
    /// Something is awaited: propagation, a cool-down, messages to be consumed, another Queue.
    Waiting,
    /// A person must mend something first.
    Stalled,
    /// A call failed or the time was up; it is tried again, with backoff.
    Failed,
}

impl Outcome {
    /// The metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Waiting => "waiting",
            Self::Stalled => "stalled",
            Self::Failed => "failed",
        }
    }
}

/// What the admission webhook answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// The Pod got all that it asked for.
    Injected,
    /// The Pod asked for nothing, or had it already.
    Unchanged,
    /// The Pod was admitted although something was wrong.
    Warned,
    /// The Pod was refused.
    Refused,
    /// The request was none that the webhook understands.
    Malformed,
}

impl Injection {
    /// The metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Unchanged => "unchanged",
            Self::Warned => "warned",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
        }
    }
}

/// Seconds. From a fast answer of SQS to the slowest that is waited for.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// A label's name and value.
type Label = (&'static str, &'static str);

/// Class and bucket: names of classes are few, and known only at run time.
type BudgetLabels = [(&'static str, String); 2];

/// All metrics of the process. Cheap to clone; clones share their counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    aws_calls: Family<[Label; 2], Counter>,
    aws_call_duration: Family<[Label; 1], Histogram, fn() -> Histogram>,
    aws_budget: Family<BudgetLabels, Gauge<f64, AtomicU64>>,
    budgets_seen: Arc<Mutex<BTreeSet<BudgetLabels>>>,
    reconciles: Family<[Label; 1], Counter>,
    reconcile_duration: Histogram,
    queues: Family<[Label; 1], Gauge>,
    reasons_seen: Arc<Mutex<BTreeSet<&'static str>>>,
    leader: Gauge,
    kubernetes_writes: Family<[Label; 1], Counter>,
    injections: Family<[Label; 1], Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        Self {
            aws_calls: register(&mut registry, AWS_CALLS, Family::default()),
            aws_call_duration: register(&mut registry, AWS_CALL_DURATION, Family::new_with_constructor(histogram)),
            aws_budget: register(&mut registry, AWS_BUDGET, Family::default()),
            budgets_seen: Arc::default(),
            reconciles: register(&mut registry, RECONCILES, Family::default()),
            reconcile_duration: register(&mut registry, RECONCILE_DURATION, histogram()),
            queues: register(&mut registry, QUEUES, Family::default()),
            reasons_seen: Arc::default(),
            leader: register(&mut registry, LEADER, Gauge::default()),
            kubernetes_writes: register(&mut registry, KUBERNETES_WRITES, Family::default()),
            injections: register(&mut registry, INJECTIONS, Family::default()),
            registry: Arc::new(registry),
        }
    }

    /// A call of `action` (as AWS names it, for example `CreateQueue`) was answered, or given up, after `took`.
    pub fn aws_call(&self, action: &'static str, answer: Result<(), ErrorClass>, took: Duration) {
        let class = answer.err().map_or("ok", ErrorClass::as_str);
        self.aws_calls.get_or_create(&[("action", action), ("class", class)]).inc();
        self.aws_call_duration.get_or_create(&[("action", action)]).observe(took.as_secs_f64());
    }

    /// The budgets of all places, by class and bucket: so many calls a second from now on.
    pub fn aws_budgets(&self, budgets: impl IntoIterator<Item = (String, &'static str, f64)>) {
        let mut before = self.budgets_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for (class, bucket, calls_per_second) in budgets {
            let labels = [("class", class), ("bucket", bucket.to_owned())];
            self.aws_budget.get_or_create(&labels).set(calls_per_second);
            now.insert(labels);
        }
        // Classes come and go.
        for gone in before.difference(&now) {
            self.aws_budget.remove(gone);
        }
        *before = now;
    }

    /// A reconcile ended after `took`.
    pub fn reconcile(&self, outcome: Outcome, took: Duration) {
        self.reconciles.get_or_create(&[("outcome", outcome.as_str())]).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// An object of `kind` (for example `Secret`, or `Queue/status`) was written.
    pub fn kubernetes_write(&self, kind: &'static str) {
        self.kubernetes_writes.get_or_create(&[("kind", kind)]).inc();
    }

    /// The admission webhook answered.
    pub fn injection(&self, result: Injection) {
        self.injections.get_or_create(&[("result", result.as_str())]).inc();
    }

    /// The reasons of the Ready conditions of all Queues that there are, one each.
    pub fn queues(&self, reasons: impl IntoIterator<Item = &'static str>) {
        // Reasons that no Queue has any longer stay, at zero: a series that ends would leave its last value in graphs.
        let mut seen = self.reasons_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: std::collections::BTreeMap<_, i64> = seen.iter().map(|reason| (*reason, 0)).collect();
        for reason in reasons {
            *counts.entry(reason).or_default() += 1;
        }
        for (reason, count) in counts {
            seen.insert(reason);
            self.queues.get_or_create(&[("reason", reason)]).set(count);
        }
    }

    /// Whether this process leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Everything, as [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// None that is known; the encoder's signature allows for one.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// Registers a metric under its name in queries; the encoder adds `_total` to counters by itself.
fn register<M: registry::Metric + Clone>(registry: &mut Registry, about: Metric, metric: M) -> M {
    registry.register(about.name.strip_suffix("_total").unwrap_or(about.name), about.help, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metrics of which each was used once.
    fn used() -> Metrics {
        let metrics = Metrics::new();
        metrics.aws_call("CreateQueue", Ok(()), Duration::from_millis(20));
        metrics.aws_call("CreateQueue", Err(ErrorClass::Throttled), Duration::from_secs(3));
        metrics.aws_budgets([("gone".to_owned(), "calls", 1.0)]);
        metrics.aws_budgets([("prod".to_owned(), "calls", 2.5)]);
        metrics.reconcile(Outcome::Converged, Duration::from_millis(300));
        metrics.queues(["Ready", "Ready", "NotOwned"]);
        metrics.leader(true);
        metrics.kubernetes_write("Secret");
        metrics.injection(Injection::Injected);
        metrics
    }

    #[test]
    fn what_happened_is_scraped() {
        let text = used().encode().unwrap();
        for line in [
            r#"prism_queue_aws_calls_total{action="CreateQueue",class="ok"} 1"#,
            r#"prism_queue_aws_calls_total{action="CreateQueue",class="throttled"} 1"#,
            r#"prism_queue_aws_call_duration_seconds_count{action="CreateQueue"} 2"#,
            r#"prism_queue_aws_call_duration_seconds_bucket{le="0.025",action="CreateQueue"} 1"#,
            r#"prism_queue_aws_budget_calls_per_second{class="prod",bucket="calls"} 2.5"#,
            r#"prism_queue_reconciles_total{outcome="converged"} 1"#,
            "prism_queue_reconcile_duration_seconds_sum 0.3",
            r#"prism_queue_queues{reason="Ready"} 2"#,
            r#"prism_queue_queues{reason="NotOwned"} 1"#,
            "prism_queue_leader 1",
            r#"prism_queue_kubernetes_writes_total{kind="Secret"} 1"#,
            r#"prism_queue_injections_total{result="injected"} 1"#,
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("gone"), "a class that is gone has no budget");
    }

    #[test]
    fn what_is_scraped_is_what_is_listed() {
        let text = used().encode().unwrap();
        let mut scraped: Vec<String> = Vec::new();
        for line in text.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                scraped.push(if kind == "counter" { format!("{name}_total") } else { name.to_owned() });
            }
        }
        let mut listed: Vec<&str> = ALL.iter().map(|metric| metric.name).collect();
        scraped.sort();
        listed.sort_unstable();
        assert_eq!(scraped, listed);

        for metric in ALL {
            assert!(text.contains(metric.help), "{} has another help", metric.name);
            let samples = text.lines().filter(|line| line.starts_with(metric.name) && !line.contains("_bucket{"));
            for sample in samples {
                let labels = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
                let names: Vec<&str> = labels
                    .map(|(labels, _)| labels.split(',').filter_map(|label| Some(label.split_once('=')?.0)).collect())
                    .unwrap_or_default();
                assert_eq!(names, metric.labels, "{sample}");
            }
        }
    }

    #[test]
    fn reasons_that_no_queue_has_fall_to_zero() {
        let metrics = used();
        metrics.queues(["Ready"]);
        let text = metrics.encode().unwrap();
        assert!(text.contains("prism_queue_queues{reason=\"Ready\"} 1\n"), "{text}");
        assert!(text.contains("prism_queue_queues{reason=\"NotOwned\"} 0\n"), "{text}");
    }
}
