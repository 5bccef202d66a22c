//! The world through the operator's own traits.

use async_trait::async_trait;
use prism_queue::aws::{CallerIdentity, Kms, Sqs, Sts};
use prism_queue::domain::arn::QueueArn;
use prism_queue::domain::attributes::{Attributes, QueueAttributes};
use prism_queue::domain::call::CallError;
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::identity::{AssociationKey, RoleArn};
use prism_queue::domain::names::QueueName;
use prism_queue::domain::tags::Tags;

use super::World;
use super::caller::Caller;
use super::gate::{Outcome, Request};
use super::journal::Arguments;
use super::queue::arn_of;
use super::refusal::{Answer, Refusal};
use super::state::State;

/// What `caller` sees of the world.
#[derive(Clone)]
pub struct Client {
    pub(super) world: World,
    pub(super) caller: Caller,
}

impl Client {
    /// A call; in a dead process it never comes back.
    async fn call<T>(
        &self,
        action: &'static str,
        queue: Option<QueueArn>,
        arguments: Arguments,
        effect: impl FnOnce(&mut State, &Caller) -> Answer<T>,
    ) -> Result<T, CallError> {
        self.send(Request { queue, ..Request::new(&self.caller, action, arguments) }, effect).await
    }

    /// A call about a policy.
    pub(super) async fn on_policy<T>(
        &self,
        action: &'static str,
        arn: &PolicyArn,
        arguments: Arguments,
        effect: impl FnOnce(&mut State, &Caller) -> Answer<T>,
    ) -> Result<T, CallError> {
        let request = Request { policy: Some(arn.clone()), ..Request::new(&self.caller, action, arguments) };
        self.send(request, effect).await
    }

    /// A call about a role.
    pub(super) async fn on_role<T>(
        &self,
        action: &'static str,
        arn: &RoleArn,
        arguments: Arguments,
        effect: impl FnOnce(&mut State, &Caller) -> Answer<T>,
    ) -> Result<T, CallError> {
        let request = Request { role: Some(arn.clone()), ..Request::new(&self.caller, action, arguments) };
        self.send(request, effect).await
    }

    /// A call about an association.
    pub(super) async fn on_association<T>(
        &self,
        action: &'static str,
        key: &AssociationKey,
        arguments: Arguments,
        effect: impl FnOnce(&mut State, &Caller) -> Answer<T>,
    ) -> Result<T, CallError> {
        let request = Request { association: Some(key.clone()), ..Request::new(&self.caller, action, arguments) };
        self.send(request, effect).await
    }

    async fn send<T>(
        &self,
        request: Request<'_>,
        effect: impl FnOnce(&mut State, &Caller) -> Answer<T>,
    ) -> Result<T, CallError> {
        let action = request.action;
        let outcome = self.world.state().call(request, |state| effect(state, &self.caller));
        match outcome {
            Outcome::Answered(answer) => answer.map_err(|refusal| refusal.into_error(action)),
            Outcome::Crashed => std::future::pending().await,
        }
    }

    /// A call about the queue at `url`.
    async fn on_queue<T>(
        &self,
        action: &'static str,
        url: &str,
        arguments: Arguments,
        effect: impl FnOnce(&mut State, &Caller, &QueueArn) -> Answer<T>,
    ) -> Result<T, CallError> {
        let arn = arn_of(url);
        self.call(action, arn.clone(), arguments, |state, caller| {
            effect(state, caller, arn.as_ref().ok_or_else(Refusal::missing)?)
        })
        .await
    }
}

#[async_trait]
impl Sqs for Client {
    async fn create_queue(&self, name: &QueueName, attributes: &Attributes, tags: &Tags) -> Result<String, CallError> {
        let arn = self.caller.place.queue_arn(name);
        let arguments = Arguments { attributes: attributes.clone(), tags: tags.clone(), ..Arguments::default() };
        self.call("CreateQueue", Some(arn), arguments, |state, caller| {
            state.create_queue(caller, name, attributes, tags)
        })
        .await
    }

    async fn get_queue_url(&self, name: &QueueName) -> Result<String, CallError> {
        let arn = self.caller.place.queue_arn(name);
        self.call("GetQueueUrl", Some(arn.clone()), Arguments::default(), |state, caller| {
            state.get_queue_url(caller, &arn)
        })
        .await
    }

    async fn get_queue_attributes(&self, queue_url: &str) -> Result<QueueAttributes, CallError> {
        self.on_queue("GetQueueAttributes", queue_url, Arguments::default(), State::get_queue_attributes).await
    }

    async fn set_queue_attributes(&self, queue_url: &str, attributes: &Attributes) -> Result<(), CallError> {
        let arguments = Arguments { attributes: attributes.clone(), ..Arguments::default() };
        self.on_queue("SetQueueAttributes", queue_url, arguments, |state, caller, arn| {
            state.set_queue_attributes(caller, arn, attributes)
        })
        .await
    }

    async fn delete_queue(&self, queue_url: &str) -> Result<(), CallError> {
        self.on_queue("DeleteQueue", queue_url, Arguments::default(), State::delete_queue).await
    }

    async fn list_queue_tags(&self, queue_url: &str) -> Result<Tags, CallError> {
        self.on_queue("ListQueueTags", queue_url, Arguments::default(), State::list_queue_tags).await
    }

    async fn tag_queue(&self, queue_url: &str, tags: &Tags) -> Result<(), CallError> {
        let arguments = Arguments { tags: tags.clone(), ..Arguments::default() };
        self.on_queue("TagQueue", queue_url, arguments, |state, caller, arn| state.tag_queue(caller, arn, tags)).await
    }

    async fn untag_queue(&self, queue_url: &str, keys: &[String]) -> Result<(), CallError> {
        let arguments = Arguments { keys: keys.to_vec(), ..Arguments::default() };
        self.on_queue("UntagQueue", queue_url, arguments, |state, caller, arn| state.untag_queue(caller, arn, keys))
            .await
    }

    async fn list_queues(&self, prefix: &QueueName) -> Result<Vec<String>, CallError> {
        self.call("ListQueues", None, Arguments::default(), |state, caller| Ok(state.list_queues(caller, prefix))).await
    }
}

#[async_trait]
impl Sts for Client {
    async fn caller_identity(&self) -> Result<CallerIdentity, CallError> {
        self.call("GetCallerIdentity", None, Arguments::default(), |_, caller| {
            Ok(CallerIdentity { account_id: caller.place.account_id.clone(), arn: caller.arn.clone() })
        })
        .await
    }
}

#[async_trait]
impl Kms for Client {
    async fn key_arn(&self, key: &str) -> Result<String, CallError> {
        self.call("DescribeKey", None, Arguments::default(), |state, caller| state.keys.find(&caller.place, key)).await
    }

    async fn key_policy(&self, key: &str) -> Result<String, CallError> {
        self.call("GetKeyPolicy", None, Arguments::default(), |state, caller| state.keys.policy(&caller.place, key))
            .await
    }
}
