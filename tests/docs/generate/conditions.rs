//! The reference of condition types, condition reasons and event reasons.

use prism_queue::api::conditions::{ConditionType, EventReason, Reason};

use super::markdown::{HEADER, code, prose, table};

/// The page.
pub fn page() -> String {
    let types = ConditionType::ALL.map(|condition| [code(condition.as_str()), meaning(condition).to_owned()]);
    let reasons = Reason::ALL.iter().map(|(reason, about)| [code(reason.as_str()), prose(about)]);
    let events = EventReason::ALL.iter().map(|(reason, about)| [code(reason.as_str()), prose(about)]);
    [
        HEADER,
        "# Conditions and events\n",
        "What to do about each reason: [troubleshooting](../troubleshooting.md).\n",
        "## Condition types\n",
        "They follow [kstatus](https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus): `Ready` and \
         `Propagated` are always there once the operator has seen the object, the others only while they are `True`. \
         Each carries `observedGeneration`, the generation of the spec that it speaks of. A QueueAccess has `Ready`, \
         `Reconciling` and `Stalled`.\n",
        &table(["Type", "Meaning"], types),
        "## Reasons of conditions\n",
        "A condition that is not well carries one of these, and in its message every finding in words.\n",
        &table(["Reason", "Meaning"], reasons),
        "## Reasons of events\n",
        "A Normal event tells what the operator did in AWS. A Warning event tells what is newly wrong; its reason is one of \
         the above.\n",
        &table(["Reason", "Meaning"], events),
    ]
    .join("\n")
}

fn meaning(condition: ConditionType) -> &'static str {
    match condition {
        ConditionType::Ready => {
            "`True`: ownership proved, the URL answers, every write of this generation accepted, nothing held back. Wait on this one."
        }
        ConditionType::Propagated => {
            "Whether AWS reads back what was written. `False` for up to 60 s after a write, for retention up to 15 minutes; \
             `Unknown` while AWS was not read."
        }
        ConditionType::Reconciling => "Work is in progress, or waits for something that comes by itself.",
        ConditionType::Stalled => "A person must mend something. The operator goes on trying, slowly.",
        ConditionType::Drifted => {
            "The queue differs from its declaration and is left so, because the Queue only observes it or its class only \
             reports changes from outside."
        }
    }
}
