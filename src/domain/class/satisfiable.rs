//! Whether a class can be used at all: what is wrong with it by itself, and whether `spec: {}` is possible.

use std::collections::BTreeMap;

use crate::api::class::QueueClass;
use crate::api::queue::{QueueSpec, QueueType};

use super::super::field::FieldError;
use super::super::names::Naming;
use super::super::outputs::type_word;
use super::super::settings::effective;
use super::super::tags::{MAX_TAGS, OWNER_KEYS, Tags};
use super::{Limits, defaults, limits};

/// A namespace that stands for every other.
const ANY_NAMESPACE: &str = "namespace";

/// What keeps a class from being ready, whatever AWS says: rules that it breaks by itself, and, for each type that it
/// allows, what keeps `spec: {}` from being possible with built-in and its own defaults. A tag from a namespace's label
/// counts as given: the label is the namespace's to have.
#[must_use]
pub fn satisfiable(class: &QueueClass) -> Vec<FieldError> {
    let spec = &class.spec;
    let mut errors: Vec<FieldError> = Naming::of_class(spec.naming.as_ref()).err().into_iter().collect();
    let limits = spec.limits.clone().unwrap_or_default();
    if let Some(fault) = limits.queue_name_pattern.as_deref().and_then(limits::pattern_fault) {
        errors.push(FieldError::new("spec.limits.queueNamePattern", fault));
    }
    let from_labels = spec.tags_from_namespace_labels.iter().flatten();
    let mut tags: Tags = from_labels.map(|(tag, label)| (tag.clone(), label.clone())).collect();
    tags.extend(spec.tags.clone().unwrap_or_default());
    let most = MAX_TAGS - OWNER_KEYS.len();
    if tags.len() > most {
        let rule = format!(
            "{} tags, those of tagsFromNamespaceLabels among them; SQS allows {MAX_TAGS}, of which {} are the operator's own",
            tags.len(),
            OWNER_KEYS.len()
        );
        errors.push(FieldError::new("spec.tags", rule));
    }
    let types = limits.types.clone().unwrap_or_else(|| vec![QueueType::Standard, QueueType::Fifo]);
    let name = class.metadata.name.clone().unwrap_or_default();
    let limits = Limits::Class { name, limits: Box::new(limits) };
    let defaults = spec.defaults.clone().unwrap_or_default();

    let mut impossible: BTreeMap<FieldError, Vec<&str>> = BTreeMap::new();
    for queue_type in types {
        let empty = defaults::merge(&defaults, &QueueSpec { queue_type, ..QueueSpec::default() });
        let faults = effective(&empty).err().into_iter().flatten();
        for fault in faults.chain(limits.check(&empty, &tags, ANY_NAMESPACE)) {
            impossible.entry(fault).or_default().push(type_word(queue_type));
        }
    }
    errors.extend(impossible.into_iter().map(|(fault, types)| {
        let at = if fault.is_of_class { "spec.limits" } else { "spec.defaults" };
        FieldError::new(at, format!("a Queue with spec: {{}} and type {} is not possible: {fault}", types.join(" or ")))
    }));
    errors
}
