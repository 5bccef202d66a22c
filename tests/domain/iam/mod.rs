//! Managed policies: where they are, what they say, and what is done about each.

mod arn;
mod deletion;
mod document;
pub(crate) mod evaluator;
mod grants;
mod plan;

use serde_json::{Value, json};

use prism_queue::domain::iam::{PolicyArn, PresentPolicy};
use prism_queue::domain::plan::{Plan, Step};

use crate::fixtures::*;

/// The Queue `media/orders` with policies for these permissions.
fn with_policies<const N: usize>(permissions: [&str; N]) -> Value {
    json!({"iam": {"policies": permissions.to_vec()}})
}

/// A world in which all is as it should be.
fn settled(spec: Value) -> World {
    World::of(queue("orders", spec)).settled()
}

/// The ARN on record for the nth policy.
fn arn_of(world: &World, nth: usize) -> PolicyArn {
    PolicyArn::parse(&world.record.policies[nth].policy_arn).unwrap()
}

/// The first policy, which must be there.
fn first(world: &mut World) -> &mut PresentPolicy {
    let arn = arn_of(world, 0);
    world.policy(&arn)
}

/// The steps about policies.
fn policy_steps(plan: &Plan) -> Vec<&'static str> {
    step_names(plan).into_iter().filter(|name| name.contains("Policy")).collect()
}

/// What the first step that writes a policy says.
fn document(plan: &Plan) -> Value {
    let document = plan.steps.iter().find_map(|step| match step {
        Step::CreatePolicy { document, .. } | Step::UpdatePolicy { document, .. } => Some(document.to_json()),
        _ => None,
    });
    serde_json::from_str(&document.expect("a step that writes a policy")).unwrap()
}
