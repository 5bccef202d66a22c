//! Tags: whose a queue is.

use std::collections::BTreeMap;

/// Tags of one queue.
pub type Tags = BTreeMap<String, String>;
