//! api.md, "`QueueClass`".

mod catalog;
mod defaults;
mod drift;
mod effects;
mod limits;
mod naming;
mod permissions;
mod satisfiable;

use serde_json::{Value, json};

use prism_queue::api::QueueClass;
use prism_queue::domain::class::{Class, Labels};
use prism_queue::domain::desired::{Desired, Refusal};
use prism_queue::domain::fleet::Fleet;

use crate::fixtures::*;

/// The class `name` of every test's account and region, for all namespaces, unless `spec` says otherwise.
pub fn object(name: &str, spec: &Value) -> QueueClass {
    let mut all = json!({"aws": {"region": REGION, "accountId": ACCOUNT}, "allowedNamespaces": {"from": "All"}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    QueueClass::new(name, serde_json::from_value(all).unwrap())
}

/// The class `prod` as the namespace `media` sees it.
pub fn prod(spec: &Value) -> Class {
    with_labels(spec, [])
}

pub fn with_labels<const N: usize>(spec: &Value, labels: [(&str, &str); N]) -> Class {
    Class::of(&object("prod", spec), &class(), &Labels::from(map(labels))).unwrap()
}

/// What a Queue of `class` asks for when it is alone.
pub fn desired_in(class: &Class, spec: Value) -> Result<Desired, Refusal> {
    let queue = queue("orders", spec);
    Desired::of(&queue, class, &Fleet::of([&queue], class))
}
