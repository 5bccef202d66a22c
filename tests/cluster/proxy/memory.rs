//! What the proxy knows of queues: what was read before a change, which names cool down, and what real SQS
//! would say where the emulator says less.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::Call;

/// SQS refuses a name for so long after its deletion.
const COOL_DOWN: Duration = Duration::from_mins(1);

/// Memory by queue name.
#[derive(Debug)]
pub(super) struct Memory {
    /// The attributes that were read last, and truly.
    last_read: HashMap<String, Value>,
    /// The attributes that were read last before the last change.
    before_change: HashMap<String, Value>,
    deleted: HashMap<String, Instant>,
    cool_down: Duration,
}

impl Memory {
    pub fn new() -> Self {
        Self { last_read: HashMap::new(), before_change: HashMap::new(), deleted: HashMap::new(), cool_down: COOL_DOWN }
    }

    /// Lets time run slower (above 1) or faster (below 1) for the name cool-down.
    pub fn scale(&mut self, scale: f64) {
        self.cool_down = COOL_DOWN.mul_f64(scale);
    }

    /// Whether the queue's name was deleted too recently to be used again.
    pub fn is_cooling(&self, queue: &str) -> bool {
        self.deleted.get(queue).is_some_and(|at| at.elapsed() < self.cool_down)
    }

    /// Whether there is something stale to show of the queue.
    pub fn was_changed(&self, queue: &str) -> bool {
        self.before_change.contains_key(queue)
    }

    /// Takes note of a call that succeeded, and repairs or ages its answer.
    pub fn learn(&mut self, call: &Call, answer: &mut Value, stale: bool) {
        let Some(queue) = call.queue.clone() else { return };
        match call.action.as_str() {
            "DeleteQueue" => {
                self.last_read.remove(&queue);
                self.before_change.remove(&queue);
                self.deleted.insert(queue, Instant::now());
            }
            "SetQueueAttributes" => {
                if let Some(read) = self.last_read.get(&queue) {
                    self.before_change.insert(queue, read.clone());
                }
            }
            "GetQueueAttributes" => {
                repair_encryption(call, answer);
                match self.before_change.get(&queue).filter(|_| stale) {
                    Some(old) => make_stale(answer, old),
                    None => {
                        self.last_read.insert(queue, answer.clone());
                    }
                }
            }
            _ => {}
        }
    }
}

/// Shows the old settings with the counts of now: those are wrong in a way of their own.
fn make_stale(answer: &mut Value, old: &Value) {
    let Some(old) = old.get("Attributes").and_then(Value::as_object) else { return };
    let Some(attributes) = answer.get_mut("Attributes").and_then(Value::as_object_mut) else { return };
    attributes.retain(|name, _| name.starts_with("ApproximateNumberOf"));
    for (name, value) in old {
        attributes.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// SSE-SQS is on by default and off when there is a KMS key; ministack leaves it out.
fn repair_encryption(call: &Call, answer: &mut Value) {
    let asked = call
        .body
        .get("AttributeNames")
        .and_then(Value::as_array)
        .is_some_and(|names| names.iter().any(|name| name == "All" || name == "SqsManagedSseEnabled"));
    if !asked {
        return;
    }
    if answer.get("Attributes").is_none_or(Value::is_null) {
        answer["Attributes"] = json!({});
    }
    let attributes = &mut answer["Attributes"];
    let has_key = attributes.get("KmsMasterKeyId").and_then(Value::as_str).is_some_and(|key| !key.is_empty());
    if has_key {
        attributes["SqsManagedSseEnabled"] = json!("false");
    } else if attributes.get("SqsManagedSseEnabled").is_none() {
        attributes["SqsManagedSseEnabled"] = json!("true");
    }
}
