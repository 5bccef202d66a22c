//! The CRD as the API server understands it.

mod accesses;
mod changes;
mod classes;
mod refusals;
mod schema;

use kube::core::Status;

/// Where a refusal finds the fault, and what it says about it.
fn faults(refusal: &Status) -> Vec<(String, String)> {
    let causes = refusal.details.iter().flat_map(|details| &details.causes);
    causes.map(|cause| (cause.field.clone(), cause.message.clone())).collect()
}

/// Fails unless a refusal is about `field` and says `words`.
fn assert_refused(what: &str, refusal: &Status, field: &str, words: &str) {
    assert_eq!(refusal.code, 422, "{what}: {}", refusal.message);
    let faults = faults(refusal);
    let is_said = faults.iter().any(|(at, said)| at == field && said.contains(words));
    assert!(is_said, "{what}: wanted {field}: …{words}…, got {faults:#?}");
}
