//! Label selectors, as Kubernetes means them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::Labels;

/// Whether `selector` takes in an object with `labels`: every requirement must hold, and none is none too many.
/// `NotIn` and `DoesNotExist` hold where the label is missing; an operator that Kubernetes does not know never holds.
/// Source: Kubernetes API reference, `LabelSelector`.
pub(in crate::domain) fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    let is_met = |requirement: &LabelSelectorRequirement| {
        let value = labels.get(&requirement.key);
        let is_listed = value.is_some_and(|value| requirement.values.iter().flatten().any(|listed| listed == value));
        match requirement.operator.as_str() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    };
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().flatten().all(is_met)
}

/// The selector as `kubectl --selector` takes it.
pub(super) fn in_words(selector: &LabelSelector) -> String {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let required = selector.match_expressions.iter().flatten().map(|requirement| {
        let LabelSelectorRequirement { key, operator, values } = requirement;
        let values = values.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(",");
        match operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.clone(),
        }
    });
    equal.chain(required).collect::<Vec<_>>().join(",")
}
