//! Strangers: people, other tools, other clusters.

use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::attributes::Attributes;
use prism_queue::domain::names::QueueName;
use prism_queue::domain::tags::Tags;

use super::World;
use super::caller::Caller;
use super::queue::arn_of;
use super::refusal::{Answer, Refusal};
use super::state::State;

/// Somebody who changes things beside the operator, under SQS's rules but out of reach of the test's faults.
pub struct Outside {
    pub(super) world: World,
    pub(super) caller: Caller,
}

impl Outside {
    pub fn create_queue(&self, name: &QueueName, attributes: &Attributes, tags: &Tags) -> Answer<String> {
        self.world.state().create_queue(&self.caller, name, attributes, tags)
    }

    pub fn set_queue_attributes(&self, url: &str, attributes: &Attributes) -> Answer<()> {
        self.on_queue(url, |state, arn| state.set_queue_attributes(&self.caller, arn, attributes))
    }

    pub fn delete_queue(&self, url: &str) -> Answer<()> {
        self.on_queue(url, |state, arn| state.delete_queue(&self.caller, arn))
    }

    pub fn tag_queue(&self, url: &str, tags: &Tags) -> Answer<()> {
        self.on_queue(url, |state, arn| state.tag_queue(&self.caller, arn, tags))
    }

    pub fn untag_queue(&self, url: &str, keys: &[String]) -> Answer<()> {
        self.on_queue(url, |state, arn| state.untag_queue(&self.caller, arn, keys))
    }

    fn on_queue<T>(&self, url: &str, effect: impl FnOnce(&mut State, &QueueArn) -> Answer<T>) -> Answer<T> {
        effect(&mut self.world.state(), &arn_of(url).ok_or_else(Refusal::missing)?)
    }
}
