//! What is there. Reads only.

use jiff::Timestamp;

use crate::aws::{Kms, LIST_PAGE, Policies, Sqs, Sts};
use crate::domain::attributes::Attribute;
use crate::domain::call::{CallError, ErrorKind};
use crate::domain::class::Class;
use crate::domain::deletion::Doomed;
use crate::domain::desired::{Desired, DesiredQueue};
use crate::domain::encryption::{canonical_key, keys_to_ask_about};
use crate::domain::fleet::Fleet;
use crate::domain::iam::PolicySight;
use crate::domain::key_policy::KeyPolicySeen;
use crate::domain::names::QueueName;
use crate::domain::observed::{Memory, Observed, Present, Record, Sight};

use super::policies::look_at_all;

/// Looks at AWS.
#[derive(Clone, Copy)]
pub(super) struct Observer<'a> {
    pub(super) sqs: &'a dyn Sqs,
    pub(super) sts: &'a dyn Sts,
    pub(super) kms: &'a dyn Kms,
    pub(super) iam: &'a dyn Policies,
    pub(super) class: &'a Class,
}

impl Observer<'_> {
    /// What is there of a Queue that lives. A queue whose URL is not known is looked for only where creating it
    /// would be wrong.
    pub(super) async fn live(
        &self,
        desired: &Desired,
        record: &Record,
        fleet: &Fleet,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Observed {
        let mut observed = Observed::default();
        let source = &desired.source.name;
        // Where changes from outside are only told, nothing is made to find out what is there.
        let is_applied = record.applied_digest.is_some();
        let must_find = |name: &QueueName| desired.observe || is_applied || fleet.rival(&desired.key, name).is_some();
        let sight = self.look(source, record.queue_url.as_deref(), must_find(source)).await;
        observed.queues.insert(source.to_string(), sight);

        let known = record.dead_letter.as_ref();
        if let Some(queue) = desired.managed_dead_letter().filter(|_| !desired.observe) {
            let url = known.filter(|(name, _)| *name == queue.name).and_then(|(_, url)| url.as_deref());
            let sight = self.look(&queue.name, url, must_find(&queue.name)).await;
            observed.queues.insert(queue.name.to_string(), sight);
        }
        if !desired.observe {
            observed.policies = look_at_all(self.iam, desired, record, memory, now).await;
        }
        // Creating is how to find out, but only in the right account. That of the policies is the one in which the queue is
        // proved to be this Queue's: no queue policy lets another account read tags.
        if observed.queues.values().any(|sight| *sight == Sight::Unseen)
            && let Some(obstacle) = self.other_account().await
        {
            for sight in observed.queues.values_mut().filter(|sight| **sight == Sight::Unseen) {
                *sight = obstacle.clone();
            }
        }
        let retired = record.retired.iter().filter_map(|retired| QueueName::parse(&retired.queue_name).ok());
        let retiring = known.map(|(name, _)| name.clone());
        for name in retired.chain(retiring) {
            if !desired.observe && !observed.queues.contains_key(name.as_str()) {
                observed.queues.insert(name.to_string(), self.look(&name, None, true).await);
            }
        }
        self.ask_about_keys(&desired.source, &mut observed).await;
        if let Some(queue) = desired.managed_dead_letter() {
            self.ask_about_keys(queue, &mut observed).await;
        }
        observed
    }

    /// What is there of a Queue that is being deleted.
    pub(super) async fn doomed(&self, doomed: &Doomed, record: &Record) -> Observed {
        let mut observed = Observed::default();
        for name in doomed.all() {
            let known = record.dead_letter.as_ref().filter(|(dead_letter, _)| dead_letter == name);
            let url = known.and_then(|(_, url)| url.as_deref());
            let url = if doomed.source.as_ref() == Some(name) { record.queue_url.as_deref() } else { url };
            observed.queues.insert(name.to_string(), self.look(name, url, true).await);
        }
        observed
    }

    /// Looks at one queue: at `url`, or, when `must_find`, wherever its name leads.
    pub(super) async fn look(&self, name: &QueueName, url: Option<&str>, must_find: bool) -> Sight {
        // A URL in status that is not this queue's, or of another account, is not followed.
        let known = url.filter(|url| url.rsplit('/').next() == Some(name.as_str()) && self.stranger(url).is_none());
        let Some(url) = known else {
            if !must_find {
                return Sight::Unseen;
            }
            return match self.sqs.get_queue_url(name).await {
                Ok(found) => self.look_at(name, &found).await,
                Err(error) => self.missing(name, error).await,
            };
        };
        match self.read(url).await {
            Ok(present) => Sight::Present(present),
            // A URL in status is a hint: the name is what counts.
            Err(error) if error.kind == ErrorKind::QueueDoesNotExist => match self.sqs.get_queue_url(name).await {
                Ok(found) if found != url => self.look_at(name, &found).await,
                _ => self.missing(name, error).await,
            },
            Err(error) => self.missing(name, error).await,
        }
    }

    /// Looks at the queue that its name led to. It was looked for in the account of the credentials, which need not be the
    /// class's.
    async fn look_at(&self, name: &QueueName, url: &str) -> Sight {
        if let Some(account) = self.stranger(url) {
            return Sight::OtherAccount(account);
        }
        match self.read(url).await {
            Ok(present) => Sight::Present(present),
            Err(error) => self.missing(name, error).await,
        }
    }

    /// The account in a queue's URL (`…/<account>/<name>`), when it is not the one in which the operator acts here.
    fn stranger(&self, url: &str) -> Option<String> {
        let account = url.rsplit('/').nth(1).unwrap_or_default();
        (account != self.class.place.account_id).then(|| account.to_owned())
    }

    /// Looks at a queue that was just created: it may not answer for a moment.
    pub(super) async fn look_at_new(&self, url: &str) -> Sight {
        match self.read(url).await {
            Ok(present) => Sight::Present(present),
            Err(error) if error.kind == ErrorKind::QueueDoesNotExist => Sight::Appearing,
            Err(error) => Sight::Failed(error),
        }
    }

    async fn read(&self, url: &str) -> Result<Present, CallError> {
        let attributes = self.sqs.get_queue_attributes(url).await?;
        let tags = self.sqs.list_queue_tags(url).await?;
        Ok(Present { url: url.to_owned(), attributes, tags })
    }

    /// "Does not exist" is how SQS also answers those without access. It is believed only when the caller's account
    /// is the target's and `ListQueues` agrees.
    async fn missing(&self, name: &QueueName, error: CallError) -> Sight {
        if error.kind != ErrorKind::QueueDoesNotExist {
            return Sight::Failed(error);
        }
        if let Some(obstacle) = self.other_account().await {
            return obstacle;
        }
        match self.sqs.list_queues(name).await {
            Ok(urls) if urls.iter().any(|url| url.rsplit('/').next() == Some(name.as_str())) => Sight::Hidden(
                "SQS says that it does not exist and lists it all the same: it is being created or deleted, or the operator lacks permission (sqs:GetQueueAttributes, sqs:GetQueueUrl, sqs:ListQueueTags)".to_owned(),
            ),
            Ok(urls) if urls.len() >= LIST_PAGE => Sight::Hidden(format!(
                "SQS says that it does not exist, and {LIST_PAGE} or more queues have names that begin with its name, so that a list of them proves nothing"
            )),
            Ok(_) => Sight::Absent,
            Err(error) if error.kind == ErrorKind::Denied => Sight::Hidden(
                "SQS says that it does not exist, which is also its answer to callers without access, and sqs:ListQueues, which could tell, is denied to the operator".to_owned(),
            ),
            Err(error) => Sight::Failed(error),
        }
    }

    /// What keeps the operator from acting: its credentials may be of another account by now.
    async fn other_account(&self) -> Option<Sight> {
        match self.sts.caller_identity().await {
            Ok(caller) if caller.account_id == self.class.place.account_id => None,
            Ok(caller) => Some(Sight::OtherAccount(caller.account_id)),
            Err(error) => Some(Sight::Failed(error)),
        }
    }

    /// What the policy of the queue's key says, where somebody is let in who needs the key.
    pub(super) async fn key_policy(
        &self,
        desired: &Desired,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Option<KeyPolicySeen> {
        let Some(key_access) = &desired.key_access else {
            memory.key_policy = None;
            return None;
        };
        if memory.key_policy.as_ref().is_none_or(|seen| seen.is_due(key_access, now)) {
            let answer = self.read_key_policy(&key_access.key).await;
            let seen = KeyPolicySeen::after(memory.key_policy.take(), &key_access.key, answer, now);
            memory.key_policy = Some(seen);
        }
        memory.key_policy.clone()
    }

    async fn read_key_policy(&self, key: &str) -> Result<String, CallError> {
        let key = canonical_key(key, &self.class.place);
        let is_alias = key.contains(":alias/");
        self.kms.key_policy(&if is_alias { self.kms.key_arn(&key).await? } else { key }).await
    }

    /// Asks KMS about aliases that differ from what is set only by their spelling, perhaps.
    async fn ask_about_keys(&self, desired: &DesiredQueue, observed: &mut Observed) {
        let key = |settings: &crate::domain::attributes::Attributes| {
            settings.get(&Attribute::KmsMasterKeyId).filter(|key| !key.is_empty()).cloned()
        };
        let have = observed.sight(&desired.name).present().and_then(|present| key(&present.attributes.settings));
        let (Some(want), Some(have)) = (key(&desired.attributes), have) else {
            return;
        };
        for alias in keys_to_ask_about(&want, &have, &self.class.place) {
            match self.kms.key_arn(&alias).await {
                Ok(arn) => _ = observed.key_meanings.insert(canonical_key(&alias, &self.class.place), arn),
                // Not known: the two are taken for different, and the declared one is written, once.
                Err(error) => tracing::debug!(alias, %error, "cannot ask KMS what an alias means"),
            }
        }
    }
}

/// Whether anything could not be seen, so that waits grow.
pub(super) fn is_troubled(observed: &Observed) -> bool {
    let is_troubled = |sight: &PolicySight| matches!(sight, PolicySight::Failed(_));
    observed.queues.values().any(|sight| sight.is_out_of_sight() || *sight == Sight::Appearing)
        || observed.policies.values().any(is_troubled)
}
