//! The `QueueClass`: whether it can be used, and by how many Queues it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube_runtime::reflector::Store;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::Queue;
use crate::api::class::QueueClass;
use crate::aws::Sts;
use crate::domain::class::{Reach, status_of_class};

use super::classes::Classes;
use super::kubernetes::Kubernetes;

/// How often counts are brought up to date, and what failed is tried again.
const ROUND: Duration = Duration::from_secs(30);

/// How often AWS is asked whether credentials that were good still are.
const ASK_AGAIN: Duration = Duration::from_mins(5);

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
    generation: Option<i64>,
    reach: Reach,
    at: Instant,
}

impl ClassReporter {
    /// Reports until the process ends.
    pub(super) async fn run(self) {
        let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            let is_round = tokio::select! {
                _ = rounds.tick() => true,
                () = self.changed.notified() => false,
            };
            let all = self.classes.all();
            asked.retain(|name, _| all.iter().any(|class| class.name_any() == *name));
            let users = self.users();
            for class in all {
                let name = class.name_any();
                let known = asked.get(&name).filter(|asked| {
                    let is_good = matches!(asked.reach, Reach::As { .. });
                    asked.generation == class.metadata.generation
                        && asked.at.elapsed() < if is_good { ASK_AGAIN } else { ROUND }
                });
                let reach = if let Some(known) = known {
                    known.reach.clone()
                } else {
                    let reach = self.reach(&class).await;
                    let generation = class.metadata.generation;
                    asked.insert(name.clone(), Asked { generation, reach: reach.clone(), at: Instant::now() });
                    reach
                };
                // Between two rounds the count may be behind: it changes with every Queue.
                let count = match class.status.as_ref().and_then(|status| status.queues) {
                    Some(before) if !is_round => usize::try_from(before).unwrap_or_default(),
                    _ => users.get(&name).copied().unwrap_or_default(),
                };
                let status = status_of_class(&class, &reach, count, Timestamp::now());
                if class.status.as_ref() != Some(&status) {
                    self.kubernetes.write_class_status(&class, status).await;
                }
            }
        }
    }

    async fn reach(&self, class: &QueueClass) -> Reach {
        match self.classes.clients_of_object(class).await {
            Err(why) => Reach::Impossible(why),
            Ok(clients) => match clients.sts.caller_identity().await {
                Ok(caller) => Reach::As { account_id: caller.account_id, caller_arn: caller.arn },
                Err(error) => Reach::Failed(error),
            },
        }
    }

    /// How many Queues are of each class: by what they say, or by where their queues are on record.
    fn users(&self) -> BTreeMap<String, usize> {
        let mut users = BTreeMap::new();
        for queue in self.queues.state() {
            let recorded = queue.status.as_ref().and_then(|status| status.target.as_ref());
            let class = match (self.classes.class_for(&queue), recorded) {
                (Ok(class), _) => class.name,
                (Err(_), Some(target)) => target.queue_class_name.clone(),
                (Err(_), None) => continue,
            };
            *users.entry(class).or_default() += 1;
        }
        users
    }
}
