//! The reference of metrics.

use prism_queue::runtime::metrics::ALL;

use super::markdown::{HEADER, code, codes, prose, table};

/// The page.
pub fn page() -> String {
    let row = |metric: prism_queue::runtime::metrics::Metric| {
        [code(metric.name), codes(metric.labels.iter().copied(), "and"), prose(metric.help)]
    };
    [
        HEADER,
        "# Metrics\n",
        "Served at `/metrics` in the OpenMetrics text format. Labels come from closed sets, so the number of series stays \
         bounded. A histogram adds `_bucket`, `_count` and `_sum` to its name. What to alert on: \
         [operations](../operations.md#metrics).\n",
        &table(["Name", "Labels", "Meaning"], ALL.map(row)),
    ]
    .join("\n")
}
