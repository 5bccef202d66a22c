//! Who may do what: the queue's policy, the caller's own permissions, and what AWS says to those without.

use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::attributes::Attribute;

use super::caller::{Access, Caller};
use super::policy::evaluate::{Request, Verdict, evaluate};
use super::queue::Queue;
use super::refusal::{Answer, Refusal};
use super::state::State;

/// What a queue policy can grant to another account. Source: "Limitations of cross-account permissions"
/// in the SQS Developer Guide, which lists the others.
const GRANTABLE: [&str; 5] = ["SendMessage", "ReceiveMessage", "DeleteMessage", "GetQueueUrl", "GetQueueAttributes"];

impl State {
    /// Finds the queue for a call of `action`. Without access, a stranger is told that there is none.
    pub fn authorize(&mut self, caller: &Caller, action: &'static str, arn: &QueueArn) -> Answer<&Queue> {
        self.find(arn)?;
        let queue = self.queues.get(arn).ok_or_else(Refusal::missing)?;
        if arn.region() != caller.place.region {
            return Err(Refusal::missing());
        }
        // A policy takes effect when reads begin to show it.
        let verdict = queue.shown_value(Attribute::Policy, self.now).map_or(Verdict::Silent, |policy| {
            let (principal, account_id) = (caller.arn.as_str(), caller.place.account_id.as_str());
            evaluate(policy, Request { action, principal, account_id, resource: &arn.to_string() }, &self.principals)
        });
        if arn.account_id() != caller.place.account_id {
            return match verdict {
                Verdict::Allowed if GRANTABLE.contains(&action) => Ok(queue),
                _ => Err(Refusal::missing()),
            };
        }
        let by_identity = match &caller.access {
            Access::Full | Access::Policy(_) => true,
            Access::Tagged { key, value } => {
                queue.tags.get(key) == Some(value) && queue.tags_known_at.get(key).is_some_and(|at| *at <= self.now)
            }
        };
        match verdict {
            Verdict::Denied => Err(Refusal::denied()),
            Verdict::Silent if !by_identity => Err(Refusal::denied()),
            _ => Ok(queue),
        }
    }
}
