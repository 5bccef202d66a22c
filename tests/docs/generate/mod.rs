//! Files that follow from the types: the CRD, and the reference pages.

mod conditions;
mod crd;
mod flags;
mod markdown;
mod metrics;
mod queue;

use std::path::PathBuf;

/// Every generated file, by its path in the checkout, with its whole text.
pub fn files() -> Vec<(PathBuf, String)> {
    let crd = prism_queue::api::crd::queue().unwrap();
    let manifest = crd::manifest(&crd);
    [
        ("crds/queue.prism.io_queues.yaml", manifest.clone()),
        // Helm packages no file from outside of the chart.
        ("charts/prism-queue/files/crds/queue.prism.io_queues.yaml", manifest),
        ("docs/reference/queue.md", queue::page(&crd)),
        ("docs/reference/conditions.md", conditions::page()),
        ("docs/reference/flags.md", flags::page()),
        ("docs/reference/metrics.md", metrics::page()),
    ]
    .map(|(path, text)| (PathBuf::from(path), text))
    .into()
}
