//! One folder a kind: observe, plan, apply, report.
