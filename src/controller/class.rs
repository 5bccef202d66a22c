//! The `QueueClass`: whether it can be used, and by how many Queues it is.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use kube::ResourceExt;
use kube_runtime::reflector::Store;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::Queue;
use crate::api::class::QueueClass;
use crate::aws::sdk::AwsClients;
use crate::aws::{Iam, Sts};
use crate::domain::class::{Permissions, Reach, questions, status_of_class};

use super::classes::Classes;
use super::kubernetes::Kubernetes;

/// How often counts are brought up to date, and what failed is tried again.
const ROUND: Duration = Duration::from_secs(30);

/// How often IAM is asked again about what is missing: each time is half a dozen of an account's few calls.
const ASK_SOON: Duration = Duration::from_mins(2);

/// How often AWS is asked whether credentials that were good still are.
const ASK_AGAIN: Duration = Duration::from_mins(5);

/// How often IAM is asked that said nothing: each time shows as a denied call in the account's logs.
const ASK_SELDOM: Duration = Duration::from_hours(1);

/// Keeps the status of classes.
pub(super) struct ClassReporter {
    pub(super) classes: Arc<Classes>,
    pub(super) kubernetes: Arc<Kubernetes>,
    pub(super) queues: Store<Queue>,
    /// Told when a class changes.
    pub(super) changed: Arc<Notify>,
}

/// What AWS said, of which version of a class, and when.
struct Asked {
    /// Another object of the same name begins with the same generation.
    version: Version,
    reach: Reach,
    at: Instant,
    permissions: Permissions,
    permissions_at: Instant,
}

type Version = (Option<String>, Option<i64>);

impl Asked {
    /// Whether it is time to ask again.
    fn is_due(&self, class: &QueueClass) -> bool {
        let rest = match self.reach {
            Reach::As { .. } if self.permissions.is_lacking() => ASK_SOON,
            Reach::As { .. } => ASK_AGAIN,
            _ => ROUND,
        };
        self.version != version(class) || self.at.elapsed() >= rest
    }

    /// Whether IAM need not be asked again yet, because it would not say anything.
    fn is_withheld(&self) -> bool {
        matches!(self.permissions, Permissions::Withheld(_)) && self.permissions_at.elapsed() < ASK_SELDOM
    }
}

fn version(class: &QueueClass) -> Version {
    (class.metadata.uid.clone(), class.metadata.generation)
}

impl ClassReporter {
    /// Reports until the process ends.
    pub(super) async fn run(self) {
        if self.queues.wait_until_ready().await.is_err() {
            return std::future::pending().await; // The process is about to end.
        }
        let mut asked: BTreeMap<String, Arc<Asked>> = BTreeMap::new();
        let mut rounds = tokio::time::interval(ROUND);
        // Each class by itself: one that answers nothing keeps no other waiting.
        let mut asking = FuturesUnordered::new();
        let mut in_question = BTreeSet::new();
        loop {
            let mut answer: Option<(String, Asked)> = None;
            let is_round = tokio::select! {
                _ = rounds.tick() => true,
                () = self.changed.notified() => false,
                Some(came) = asking.next() => {
                    answer = Some(came);
                    false
                }
            };
            let answered = answer.as_ref().map(|(name, _)| name.clone());
            if let Some((name, answer)) = answer {
                in_question.remove(&name);
                asked.insert(name, Arc::new(answer));
            }
            let mut all = self.classes.all();
            asked.retain(|name, _| all.iter().any(|class| class.name_any() == *name));
            for class in &all {
                let (name, before) = (class.name_any(), asked.get(&class.name_any()).cloned());
                let is_due = before.as_ref().is_none_or(|asked| asked.is_due(class));
                if is_due && in_question.insert(name.clone()) {
                    let class = class.clone();
                    let this = &self;
                    asking.push(Box::pin(async move { (name, this.ask(&class, before.as_deref()).await) }));
                }
            }
            // Nothing but an answer changes what is said of a class, and a round what is counted.
            all.retain(|class| is_round || answered.as_ref() == Some(&class.name_any()));
            self.report(all, &asked, is_round).await;
        }
    }

    /// Writes the status of the classes about which AWS was asked in their present version.
    async fn report(&self, all: Vec<QueueClass>, asked: &BTreeMap<String, Arc<Asked>>, is_round: bool) {
        // Every Queue is looked at for it.
        let users = LazyCell::new(|| self.users());
        for class in all {
            let name = class.name_any();
            let Some(asked) = asked.get(&name).filter(|asked| asked.version == version(&class)) else { continue };
            // Between two rounds the count may be behind: it changes with every Queue.
            let count = match class.status.as_ref().and_then(|status| status.queues) {
                Some(before) if !is_round => usize::try_from(before).unwrap_or_default(),
                _ => users.get(&name).copied().unwrap_or_default(),
            };
            let status = status_of_class(&class, &asked.reach, &asked.permissions, count, Timestamp::now());
            if class.status.as_ref() != Some(&status) {
                self.kubernetes.write_class_status(&class, status).await;
            }
        }
    }

    async fn ask(&self, class: &QueueClass, before: Option<&Asked>) -> Asked {
        let before = before.filter(|before| before.version == version(class));
        let (reach, clients) = match self.classes.clients_of_object(class).await {
            Err(why) => (Reach::Impossible(why), None),
            Ok(clients) => (Self::reach(class, &clients).await, Some(clients)),
        };
        let at = Instant::now();
        let (permissions, permissions_at) = match (&reach, clients, before) {
            (Reach::As { account_id, .. }, Some(_), Some(before))
                if *account_id == class.spec.aws.account_id && before.is_withheld() =>
            {
                (before.permissions.clone(), before.permissions_at)
            }
            (Reach::As { account_id, caller_arn }, Some(clients), before)
                if *account_id == class.spec.aws.account_id =>
            {
                let answer = self.permissions(class, &clients, caller_arn).await;
                (answer.after(before.map(|before| &before.permissions)), at)
            }
            _ => (Permissions::Unknown("AWS is not reached as the class says".to_owned()), at),
        };
        Asked { version: version(class), reach, at, permissions, permissions_at }
    }

    /// Side by side: what does not answer keeps the others waiting as long as one of them.
    async fn permissions(&self, class: &QueueClass, clients: &AwsClients, caller_arn: &str) -> Permissions {
        let questions = match questions(class, &self.classes.built_in(), caller_arn) {
            Err(known) => return known,
            Ok(questions) => questions,
        };
        let answers = join_all(questions.iter().map(|question| clients.iam.simulate(question))).await;
        Permissions::of(questions.into_iter().zip(answers))
    }

    async fn reach(class: &QueueClass, clients: &AwsClients) -> Reach {
        match clients.sts.caller_identity().await {
            // In the right account SQS is asked too: its endpoint, and the right to list, which everything needs.
            Ok(caller) if caller.account_id == class.spec.aws.account_id => match clients.sqs.any_queue().await {
                Ok(()) => Reach::As { account_id: caller.account_id, caller_arn: caller.arn },
                Err(error) => Reach::Failed(error),
            },
            Ok(caller) => Reach::As { account_id: caller.account_id, caller_arn: caller.arn },
            Err(error) => Reach::Failed(error),
        }
    }

    /// How many Queues are of each class: by what they say, or by where their queues are on record.
    fn users(&self) -> BTreeMap<String, usize> {
        let mut users = BTreeMap::new();
        for queue in self.queues.state() {
            let recorded = queue.status.as_ref().and_then(|status| status.target.as_ref());
            let recorded = recorded.map(|target| target.queue_class_name.clone());
            let chosen = self.classes.class_for(&queue).ok().map(|class| class.name);
            // One whose queue was made under another class may need that one to come back to.
            let of: BTreeSet<String> = recorded.into_iter().chain(chosen).collect();
            for class in of {
                *users.entry(class).or_default() += 1;
            }
        }
        users
    }
}
