//! `QueueAccess`: principals that others let in to a queue.

use prism_queue::api::QueueAccessSpec;
use prism_queue::domain::attributes::Attribute;
use serde_json::{Value, json};

use crate::model::{Fault, Trap};
use crate::stage::{Stage, arn, key};

pub(super) const WORKER: &str = "arn:aws:iam::123456789012:role/worker";
pub(super) const OTHER: &str = "arn:aws:iam::123456789012:role/other";

/// A `QueueAccess` to `media/images`.
pub(super) fn to_images(permissions: &[&str], principal: &str) -> Value {
    json!({
        "queueRef": {"name": "images", "namespace": "media"},
        "permissions": permissions,
        "subject": {"principalArn": principal},
    })
}

impl Stage {
    /// Creates the `QueueAccess` `namespace/name`, or replaces its spec.
    pub fn grant(&self, name: &str, value: Value) {
        let spec: QueueAccessSpec = serde_json::from_value(value).expect("a spec");
        match self.kube.access(&key(name)) {
            Some(_) => self.kube.edit_access(&key(name), spec),
            None => self.kube.create_access(&key(name), spec),
        }
    }

    /// `status/reason` of a condition of a `QueueAccess`, `-` when it is not there.
    pub fn access_condition(&self, name: &str, type_: &str) -> String {
        let status = self.kube.access(&key(name)).expect("it is there").status.expect("a status");
        let found = status.conditions.iter().find(|condition| condition.type_ == type_);
        found.map_or("-".to_owned(), |condition| format!("{}/{}", condition.status, condition.reason))
    }

    pub fn access_ready(&self, name: &str) -> String {
        self.access_condition(name, "Ready")
    }

    pub fn access_words(&self, name: &str) -> String {
        let status = self.kube.access(&key(name)).expect("it is there").status.expect("a status");
        status.conditions.iter().find(|condition| condition.type_ == "Ready").expect("Ready").message.clone()
    }

    /// Whether a queue's policy names the principal.
    pub fn lets_in(&self, queue: &str, principal: &str) -> bool {
        self.attribute(queue, Attribute::Policy).contains(principal)
    }
}

/// A ready Queue, and two whom AWS knows.
pub(super) async fn with_a_queue(spec: Value) -> Stage {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    stage.world.create_principal(OTHER);
    stage.applied("media/images", spec).await;
    stage
}

fn open() -> Value {
    json!({"access": {"allowedNamespaces": {"from": "Names", "names": ["web"]}}})
}

#[tokio::test]
async fn a_principal_is_let_in_and_out_again() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/worker", to_images(&["Send", "Consume"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert_eq!(stage.access_condition("media/worker", "Reconciling"), "-");
    assert!(stage.lets_in("media_images", WORKER));
    assert!(!stage.lets_in("media_images_dlq", WORKER), "neither is about the dead-letter queue");
    assert_eq!(stage.ready("media/images"), "True/Converged");
    let status = stage.kube.access(&key("media/worker")).unwrap().status.unwrap();
    assert_eq!(status.target.unwrap().queue_arn, arn("media_images"));
    assert_eq!(status.secret.unwrap().name, "worker-access");
    let secret = stage.secret("media/worker-access").unwrap().content.data;
    assert_eq!(secret["QUEUE_ARN"], arn("media_images"));
    let listed = stage.queue("media/images").status.unwrap().grants;
    assert_eq!(
        listed.iter().map(|grant| (grant.name.as_str(), grant.generation)).collect::<Vec<_>>(),
        [("worker", Some(1))]
    );

    let (mark, kube_mark) = (stage.world.mark(), stage.kube.mark());
    stage.run(3600).await;
    assert_eq!((stage.writes(mark), stage.kube.writes_since(kube_mark).len()), (0, 0), "at rest nothing is written");

    stage.kube.delete_access(&key("media/worker"));
    stage.run(5).await;
    assert!(stage.kube.access(&key("media/worker")).is_none());
    assert!(!stage.lets_in("media_images", WORKER));
    assert!(stage.queue("media/images").status.unwrap().grants.is_empty());
    assert!(stage.secret("media/worker-access").is_none(), "it goes with its owner");
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn what_is_about_the_dead_letter_queue_is_in_its_policy() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/worker", to_images(&["Inspect"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert!(stage.lets_in("media_images_dlq", WORKER));
    assert!(!stage.lets_in("media_images", WORKER));
    stage.grant("media/worker", to_images(&["Redrive"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert!(stage.lets_in("media_images", WORKER), "what is moved back is sent");
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
    assert_eq!(stage.access_ready("media/worker"), "False/InvalidSpec");
    assert!(stage.access_words("media/worker").contains("Queue media/images has none"));
    assert_eq!(stage.ready("media/images"), "True/Converged");
}

#[tokio::test]
async fn another_namespace_is_let_in_as_long_as_the_queue_allows_it() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("web/worker", to_images(&["Send"], WORKER));
    stage.grant("web/nowhere", json!({
        "queueRef": {"name": "nothing", "namespace": "media"}, "permissions": ["Send"], "subject": {"principalArn": WORKER},
    }));
    stage.run(5).await;
    assert_eq!(stage.access_condition("web/worker", "Stalled"), "True/NotAllowedByQueue");
    assert_eq!(
        stage.access_words("web/worker").replace("images", "nothing"),
        stage.access_words("web/nowhere"),
        "whether there is such a Queue is not told"
    );
    assert!(!stage.lets_in("media_images", WORKER));
    assert!(stage.kube.access(&key("web/worker")).unwrap().metadata.finalizers.is_none());

    stage.applied("media/images", open()).await;
    assert_eq!(stage.access_ready("web/worker"), "True/Granted");
    assert!(stage.lets_in("media_images", WORKER));
    assert!(stage.secret("web/worker-access").is_some(), "in the workload's namespace");

    stage.applied("media/images", json!({"access": {"allowedNamespaces": {"from": "None"}}})).await;
    assert_eq!(stage.access_condition("web/worker", "Stalled"), "True/NotAllowedByQueue");
    assert!(!stage.lets_in("media_images", WORKER), "withdrawn");
    assert!(stage.secret("web/worker-access").is_some(), "workloads keep what they read");
    stage.kube.delete_access(&key("web/worker"));
    stage.run(5).await;
    assert!(stage.kube.access(&key("web/worker")).is_none());
}

#[tokio::test]
async fn a_queue_made_anew_lets_nobody_in_whom_it_does_not_allow() {
    let mut stage = with_a_queue(open()).await;
    stage.grant("web/worker", to_images(&["Send"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.access_ready("web/worker"), "True/Granted");
    stage.delete("media/images");
    stage.run(300).await;
    assert!(stage.is_gone("media/images"));
    assert_eq!(stage.access_ready("web/worker"), "False/NotAllowedByQueue");
    assert!(stage.secret("web/worker-access").is_some(), "it goes with its own object");
    stage.applied("media/images", json!({})).await;
    assert_eq!(stage.access_ready("web/worker"), "False/NotAllowedByQueue");
    assert!(!stage.lets_in("media_images", WORKER));
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_waited_for() {
    let mut stage = Stage::prompt();
    stage.world.create_principal(WORKER);
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "False/QueueNotFound");
    assert_eq!(stage.access_condition("media/worker", "Stalled"), "-");
    stage.applied("media/images", json!({})).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    stage.delete("media/images");
    stage.run(10).await;
    assert_eq!(stage.access_ready("media/worker"), "False/QueueNotReady");
    stage.run(300).await;
    assert_eq!(stage.access_ready("media/worker"), "False/QueueNotFound");
    stage.kube.delete_access(&key("media/worker"));
    stage.run(5).await;
    assert!(stage.kube.access(&key("media/worker")).is_none());
}

#[tokio::test]
async fn who_has_no_room_left_is_told_and_the_queue_is_not() {
    let mut stage = with_a_queue(json!({})).await;
    // Seventeen of these fill 8,192 bytes.
    let role = |n: usize| format!("arn:aws:iam::123456789012:role/{}/{n:02}", "x".repeat(400));
    for n in 0..20 {
        stage.world.create_principal(&role(n));
        stage.grant(&format!("media/worker-{n:02}"), to_images(&["Send"], &role(n)));
        stage.run(1).await;
    }
    stage.run(60).await;
    let refused = |stage: &Stage| {
        let names = (0..20).map(|n| format!("media/worker-{n:02}"));
        let names = names.filter(|name| stage.kube.access(&key(name)).is_some());
        names.filter(|name| stage.access_ready(name) != "True/Granted").collect::<Vec<_>>()
    };
    assert_eq!(refused(&stage), ["media/worker-17", "media/worker-18", "media/worker-19"]);
    assert_eq!(stage.access_condition("media/worker-17", "Stalled"), "True/PolicyFull");
    assert!(
        stage.access_words("media/worker-17").contains("SQS allows 8192"),
        "{}",
        stage.access_words("media/worker-17")
    );
    assert_eq!(stage.ready("media/images"), "True/Converged");
    // The owner's own come first: the youngest makes room.
    stage.world.create_principal(&role(99));
    stage.applied("media/images", json!({"access": {"producers": [{"principalArn": role(99)}]}})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.lets_in("media_images", &role(99)));
    assert_eq!(refused(&stage).len(), 4);
    assert_eq!(stage.access_ready("media/worker-16"), "False/PolicyFull");
    stage.kube.delete_access(&key("media/worker-00"));
    stage.run(30).await;
    assert_eq!(stage.access_ready("media/worker-16"), "True/Granted", "the oldest of those who wait");
}

#[tokio::test]
async fn a_principal_that_is_not_there_holds_up_nobody_else() {
    const NOBODY: &str = "arn:aws:iam::123456789012:role/nobody";
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/nobody", to_images(&["Send", "Inspect"], NOBODY));
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert_eq!(stage.ready("media/images"), "True/Converged", "it is not the Queue's fault");
    assert_eq!(stage.access_condition("media/nobody", "Reconciling"), "True/PrincipalGone", "it may be new");
    stage.applied("media/images", json!({"delaySeconds": 7, "access": {"consumers": [{"principalArn": OTHER}]}})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.lets_in("media_images", OTHER));
    stage.run(600).await;
    assert_eq!(stage.access_condition("media/nobody", "Stalled"), "True/PrincipalGone");
    let mark = stage.world.mark();
    stage.run(3600).await;
    assert!(stage.writes(mark) <= 10, "two queues, one try in 15 min: {}", stage.writes(mark));
    assert_eq!(stage.ready("media/images"), "True/Converged");
    stage.world.create_principal(NOBODY);
    stage.run(1000).await;
    assert_eq!(stage.access_ready("media/nobody"), "True/Granted");
}

#[tokio::test]
async fn a_principal_that_goes_takes_nobody_along() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.grant("media/other", to_images(&["Send"], OTHER));
    stage.run(30).await;
    stage.world.delete_principal(WORKER);
    stage.run(1200).await;
    assert_eq!(stage.access_condition("media/worker", "Stalled"), "True/PrincipalGone");
    assert_eq!(stage.access_ready("media/other"), "True/Granted");
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.lets_in("media_images", OTHER));
    let (mark, kube_mark) = (stage.world.mark(), stage.kube.mark());
    stage.run(3600).await;
    assert!(stage.writes(mark) <= 5, "{}", stage.writes(mark));
    assert_eq!(stage.kube.writes_since(kube_mark).len(), 0);
    // One that goes in the same moment in which the owner changes the policy.
    stage.world.delete_principal(OTHER);
    stage.world.create_principal(WORKER);
    stage.applied("media/images", json!({"access": {"producers": [{"principalArn": WORKER}]}})).await;
    stage.run(1200).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert_eq!(stage.access_ready("media/other"), "False/PrincipalGone");
    stage.kube.delete_access(&key("media/other"));
    stage.run(5).await;
    assert!(stage.kube.access(&key("media/other")).is_none());
}

#[tokio::test]
async fn a_suspended_or_observed_queue_keeps_who_is_in_and_takes_nobody_more() {
    for switch in [json!({"suspend": true}), json!({"managementPolicy": "Observe"})] {
        let mut stage = with_a_queue(json!({})).await;
        stage.grant("media/worker", to_images(&["Send"], WORKER));
        stage.run(5).await;
        stage.applied("media/images", switch).await;
        assert_eq!(stage.access_ready("media/worker"), "True/Granted");
        stage.grant("media/other", to_images(&["Send"], OTHER));
        stage.kube.delete_access(&key("media/worker"));
        stage.run(60).await;
        assert_eq!(stage.access_ready("media/other"), "False/QueueNotReady");
        assert_eq!(stage.access_ready("media/worker"), "False/QueueNotReady", "its deletion waits");
        assert!(stage.lets_in("media_images", WORKER) && !stage.lets_in("media_images", OTHER));
        stage.applied("media/images", json!({})).await;
        assert!(stage.kube.access(&key("media/worker")).is_none());
        assert_eq!(stage.access_ready("media/other"), "True/Granted");
        assert!(!stage.lets_in("media_images", WORKER));
    }
}

#[tokio::test]
async fn a_status_that_is_lost_takes_nothing_away() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.grant("media/other", to_images(&["Consume"], OTHER));
    stage.run(30).await;
    let mark = stage.world.mark();
    stage.kube.lose_status(&key("media/images"));
    stage.operator.restart();
    stage.run(60).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert_eq!(stage.access_ready("media/other"), "True/Granted");
    assert_eq!(stage.count("SetQueueAttributes", mark), 0, "the policy is as it should be");
}

#[tokio::test]
async fn a_crash_at_any_write_leaves_nobody_in_who_is_gone() {
    for action in ["SetAccessFinalizers", "WriteStatus", "WriteAccessStatus", "CreateOutput"] {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseAnswer] {
            for nth in 0..3 {
                let mut stage = with_a_queue(json!({})).await;
                stage.kube.inject(Trap::new(fault).on(action).after(nth));
                stage.grant("media/worker", to_images(&["Send"], WORKER));
                stage.run(120).await;
                assert_eq!(stage.access_ready("media/worker"), "True/Granted", "{action} {fault:?}");
                stage.kube.delete_access(&key("media/worker"));
                stage.run(120).await;
                assert!(stage.kube.access(&key("media/worker")).is_none(), "{action} {fault:?}");
                assert!(!stage.lets_in("media_images", WORKER), "{action} {fault:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_crash_between_policy_and_status_is_made_up_for() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseAnswer] {
        let mut stage = with_a_queue(json!({})).await;
        stage.world.inject(Trap::new(fault).on("SetQueueAttributes"));
        stage.grant("media/worker", to_images(&["Send"], WORKER));
        stage.run(1).await;
        stage.kube.delete_access(&key("media/worker"));
        stage.run(180).await;
        assert!(stage.kube.access(&key("media/worker")).is_none(), "{fault:?}");
        assert!(!stage.lets_in("media_images", WORKER), "{fault:?}");
    }
}

#[tokio::test]
async fn somebody_elses_secret_is_left_alone() {
    let mut stage = with_a_queue(json!({})).await;
    let mut to = to_images(&["Send"], WORKER);
    to["secret"] = json!({"name": "images-queue"});
    let before = stage.secret("media/images-queue").unwrap();
    stage.grant("media/worker", to.clone());
    stage.run(5).await;
    assert_eq!(stage.access_condition("media/worker", "Stalled"), "True/OutputConflict");
    assert!(stage.access_words("media/worker").contains("spec.secret"));
    assert_eq!(stage.secret("media/images-queue"), Some(before));
    to["secret"] = json!({"keyPrefix": "IMAGES_"});
    stage.grant("media/worker", to.clone());
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    let secret = stage.secret("media/worker-access").unwrap();
    assert!(secret.content.data.contains_key("IMAGES_QUEUE_URL"));
    // It is kept as it should be, and goes when it is turned off.
    let key = crate::cluster::ObjectId {
        kind: prism_queue::domain::outputs::OutputKind::Secret,
        namespace: "media".to_owned(),
        name: "worker-access".to_owned(),
    };
    stage.kube.delete_object(&key);
    stage.run(5).await;
    assert_eq!(stage.secret("media/worker-access").map(|s| s.content), Some(secret.content));
    to["secret"] = json!({"mode": "Disabled"});
    stage.grant("media/worker", to);
    stage.run(5).await;
    assert!(stage.secret("media/worker-access").is_none());
}
