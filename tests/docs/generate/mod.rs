//! Files that follow from the types: the CRDs, and the reference pages.

mod conditions;
mod crd;
mod flags;
mod markdown;
mod metrics;
mod plugin;
mod queue;
mod queue_access;
mod queue_class;
mod schema;

use std::path::PathBuf;

/// Every generated file, by its path in the checkout, with its whole text.
pub fn files() -> Vec<(PathBuf, String)> {
    let queue = prism_queue::api::crd::queue().unwrap();
    let queue_access = prism_queue::api::crd::queue_access().unwrap();
    let queue_class = prism_queue::api::crd::queue_class().unwrap();
    [
        ("crds/queue.prism.io_queues.yaml", crd::manifest(&queue)),
        ("crds/queue.prism.io_queueclasses.yaml", crd::manifest(&queue_class)),
        ("crds/queue.prism.io_queueaccesses.yaml", crd::manifest(&queue_access)),
        // Helm packages no file from outside of the chart.
        ("charts/prism-queue/files/crds/queue.prism.io_queues.yaml", crd::manifest(&queue)),
        ("charts/prism-queue/files/crds/queue.prism.io_queueclasses.yaml", crd::manifest(&queue_class)),
        ("charts/prism-queue/files/crds/queue.prism.io_queueaccesses.yaml", crd::manifest(&queue_access)),
        ("docs/reference/queue.md", queue::page(&queue)),
        ("docs/reference/queueaccess.md", queue_access::page(&queue_access)),
        ("docs/reference/queueclass.md", queue_class::page(&queue_class)),
        ("docs/reference/conditions.md", conditions::page()),
        ("docs/reference/flags.md", flags::page()),
        ("docs/reference/kubectl-queue.md", plugin::page()),
        ("docs/reference/metrics.md", metrics::page()),
    ]
    .map(|(path, text)| (PathBuf::from(path), text))
    .into()
}
