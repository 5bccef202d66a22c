//! Where a queue was made is where it is looked for, whatever classes, flags and credentials say later.

use crate::api::Queue;
use crate::api::conditions::Reason;
use crate::api::status::Target;

use super::class::{Class, FLAGS};
use super::desired::Refusal;
use super::field::FieldError;

/// A queue is never made a second time in another place.
pub(super) fn check_target(queue: &Queue, target: &Target, class: &Class) -> Result<(), Refusal> {
    let Some(recorded) = queue.status.as_ref().and_then(|status| status.target.as_ref()) else {
        return Ok(());
    };
    let parts = [
        ("account", &recorded.account_id, &target.account_id),
        ("region", &recorded.region, &target.region),
        ("queue name", &recorded.queue_name, &target.queue_name),
    ];
    let errors: Vec<FieldError> = parts
        .into_iter()
        .filter(|(_, is, would_be)| is != would_be)
        .map(|(what, is, would_be)| {
            FieldError::new(
                "status.target",
                format!(
                    "the {what} of this Queue's queue is {is}, and {} now points to {would_be}; {}, or move the queue on purpose: deletionPolicy Retain, delete the Queue, create it again",
                    class.in_words(),
                    way_back(&recorded.queue_class_name, class)
                ),
            )
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Refusal { reason: Reason::TargetChanged, errors }) }
}

/// How a Queue comes back to the place in which its queue was made under the class `recorded`.
pub(super) fn way_back(recorded: &str, class: &Class) -> String {
    if class.is_built_in() && recorded == FLAGS {
        "start the operator as before".to_owned()
    } else if recorded == FLAGS || recorded == class.name {
        "name a class of that place in spec.queueClassName".to_owned()
    } else {
        format!("set spec.queueClassName: {recorded}")
    }
}
