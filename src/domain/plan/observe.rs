//! The plan for a Queue that only observes.

use crate::api::conditions::Reason;

use super::super::finding::Finding;
use super::super::observed::Sight;
use super::{Input, Plan, SLOW, Step, circumstances, comparison, write_outputs};

/// `managementPolicy: Observe`: no write to AWS, no finalizer, no ownership asked.
pub(super) fn observe_only(input: &Input<'_>) -> Plan {
    let (retired, policies) = (input.record.retired.clone(), input.record.policies.clone());
    let mut plan = Plan { retired, policies, ..Plan::default() };
    if input.record.has_finalizer {
        plan.steps.push(Step::RemoveFinalizer);
    }
    let source = &input.desired.source;
    match input.observed.sight(&source.name) {
        Sight::Present(present) => {
            plan.is_there = true;
            write_outputs(input, present, &mut plan);
            plan.differences = comparison(input).differences(source, &present.attributes);
        }
        Sight::Absent | Sight::Unseen | Sight::Appearing => {
            let message = format!("there is no queue {} in {} to observe", source.name, input.class.place);
            plan.findings.push(Finding::stalled(Reason::NotFound, message, SLOW));
        }
        sight @ (Sight::Hidden(_) | Sight::OtherAccount(_) | Sight::Failed(_)) => {
            plan.findings.extend(circumstances(input).out_of_sight(&source.name, sight));
        }
    }
    plan
}
