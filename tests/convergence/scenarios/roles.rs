//! `QueueAccess` for `ServiceAccount`s and for roles that others made.

use std::collections::BTreeSet;

use prism_queue::api::RECONCILE_AT;
use prism_queue::api::class::{ClassLimits, DriftMode, IamLimits};
use prism_queue::domain::arn::Place;
use prism_queue::domain::class::Limits;
use prism_queue::domain::identity::{EksCluster, Making, RoleArn, Way};
use prism_queue::domain::operator_policy::Identity;
use prism_queue::domain::tags::Tags;
use serde_json::{Value, json};

use crate::model::{Caller, Fault, RoleView, Timing, Trap};
use crate::stage::{ACCOUNT, BOUNDARY, REGION, Stage, arn, class, key, operator, place, printed};

pub(super) const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC";
pub(super) const BATCH: &str = "arn:aws:iam::123456789012:role/batch/worker";

/// A `QueueAccess` to `media/<queue>` for the `ServiceAccount` `resizer`.
pub(super) fn for_resizer(queue: &str, permissions: &[&str]) -> Value {
    json!({
        "queueRef": {"name": queue, "namespace": "media"},
        "permissions": permissions,
        "subject": {"serviceAccount": {"name": "resizer"}},
    })
}

pub(super) fn for_role(role: &str, permissions: &[&str]) -> Value {
    json!({
        "queueRef": {"name": "images", "namespace": "media"},
        "permissions": permissions,
        "subject": {"roleArn": role},
    })
}

/// A class that makes roles, and lets policies be attached to those of this pattern.
pub(super) fn making_roles(stage: &mut Stage, patterns: &[&str]) {
    let iam = IamLimits {
        role_arn_patterns: Some(patterns.iter().map(|pattern| (*pattern).to_owned()).collect()),
        ..IamLimits::default()
    };
    let limits = ClassLimits { iam: Some(iam), ..ClassLimits::default() };
    let way = Way::Tokens { provider_arn: PROVIDER.to_owned() };
    stage.operator.class = prism_queue::domain::class::Class {
        name: "prod".to_owned(),
        limits: Limits::Class { name: "prod".to_owned(), limits: Box::new(limits) },
        roles: Some(Making { boundary: BOUNDARY.to_owned(), way }),
        ..class()
    };
}

/// A ready Queue `media/images` that the namespace `web` may use, and the `ServiceAccount` `web/resizer`.
pub(super) async fn with_a_queue(timing: Timing) -> Stage {
    seeded(1, timing).await
}

pub(super) async fn seeded(seed: u64, timing: Timing) -> Stage {
    let mut stage = Stage::new(seed, timing);
    making_roles(&mut stage, &["arn:aws:iam::123456789012:role/batch/*"]);
    stage.kube.put_account(&key("web/resizer"), None);
    stage.applied("media/images", open()).await;
    stage
}

pub(super) fn open() -> Value {
    json!({"access": {"allowedNamespaces": {"from": "Names", "names": ["web"]}}})
}

impl Stage {
    pub(super) fn only_role(&self) -> RoleView {
        let roles = self.world.roles();
        assert_eq!(roles.len(), 1, "{roles:?}");
        roles.into_iter().next().unwrap()
    }

    /// What all policies of a role allow, by action and resource.
    pub(super) fn allowed(&self, role: &RoleView) -> BTreeSet<(String, String)> {
        let policies = self.world.policies();
        let attached = policies.iter().filter(|policy| role.attached.contains(&policy.arn.to_string()));
        let mut all = BTreeSet::new();
        for policy in attached {
            let document: Value = serde_json::from_str(&policy.document).unwrap();
            for statement in document["Statement"].as_array().unwrap() {
                for action in strings(&statement["Action"]) {
                    all.extend(strings(&statement["Resource"]).into_iter().map(|resource| (action.clone(), resource)));
                }
            }
        }
        all
    }

    pub(super) fn may(&self, role: &RoleView, action: &str, queue: &str) -> bool {
        self.allowed(role).contains(&(action.to_owned(), arn(queue)))
    }

    pub(super) fn annotation(&self) -> Option<String> {
        self.kube.role_of(&key("web/resizer"))
    }

    /// Asks for a look at what is there now.
    pub(super) async fn ask(&mut self, access: &str) {
        self.kube.annotate_access(&key(access), RECONCILE_AT, &self.world.now().to_string());
        self.run(30).await;
    }

    pub(super) fn assert_nothing_left(&self) {
        assert_eq!(self.world.roles(), [], "no role");
        assert!(self.world.policies().is_empty(), "no policy: {:?}", self.world.policies());
        assert_eq!(self.annotation(), None);
    }

    /// From here on nothing is written, to AWS or to Kubernetes.
    pub(super) async fn assert_at_rest(&mut self) {
        self.run(600).await;
        let (in_aws, in_kube) = (self.world.mark(), self.kube.mark());
        self.operator.round().await;
        self.run(4000).await;
        assert_eq!(self.world.writes_since(in_aws).len(), 0, "{:?}", self.world.writes_since(in_aws));
        let changed: Vec<_> =
            self.kube.writes_since(in_kube).into_iter().filter(|write| write.action != "WriteStatus").collect();
        assert!(changed.is_empty(), "{changed:?}");
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        other => other.as_str().map(str::to_owned).into_iter().collect(),
    }
}

#[tokio::test]
async fn a_service_account_gets_a_role_of_its_own() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(30).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted", "{}", stage.access_words("web/consume"));
    let role = stage.only_role();
    assert_eq!(role.arn.path(), "/prism-queue/");
    assert_eq!(role.boundary.as_deref(), Some(BOUNDARY));
    assert_eq!(role.tags["queue.prism.io/name"], "serviceaccount/resizer");
    let trust = role.trust.to_string();
    assert!(trust.contains("system:serviceaccount:web:resizer") && trust.contains("sts.amazonaws.com"), "{trust}");
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_images"));
    assert!(!stage.may(&role, "sqs:SendMessage", "media_images"));
    assert_eq!(stage.annotation(), Some(role.arn.to_string()));
    let status = stage.kube.access(&key("web/consume")).unwrap().status.unwrap();
    let target = status.target.unwrap();
    assert_eq!(target.role_arn, Some(role.arn.to_string()));
    assert_eq!(target.policy_arns, role.attached.iter().cloned().collect::<Vec<_>>());
    assert_eq!(target.queue_class_name.as_deref(), Some("prod"));
    assert!(stage.secret("web/consume-access").is_some());
    stage.assert_at_rest().await;
}

#[tokio::test]
async fn all_accesses_of_a_service_account_share_the_role_and_the_last_one_takes_it_along() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.applied("media/orders", open()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.grant("web/send", for_resizer("orders", &["Send"]));
    stage.run(60).await;
    let role = stage.only_role();
    assert_eq!(role.attached.len(), 1, "one policy holds both");
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_images"));
    assert!(stage.may(&role, "sqs:SendMessage", "media_orders"));
    for access in ["web/consume", "web/send"] {
        assert_eq!(stage.access_ready(access), "True/Granted", "{}", stage.access_words(access));
    }

    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    let role = stage.only_role();
    assert!(!stage.may(&role, "sqs:ReceiveMessage", "media_images"), "what it gave is gone");
    assert!(stage.may(&role, "sqs:SendMessage", "media_orders"), "what others give stays");

    stage.kube.delete_access(&key("web/send"));
    stage.run(60).await;
    assert!(stage.kube.access(&key("web/send")).is_none());
    stage.assert_nothing_left();
}

#[tokio::test]
async fn both_deleted_at_once_leave_nothing() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.grant("web/send", for_resizer("images", &["Send"]));
    stage.run(60).await;
    stage.kube.delete_access(&key("web/consume"));
    stage.kube.delete_access(&key("web/send"));
    stage.delete("media/images");
    stage.run(300).await;
    assert!(stage.kube.access(&key("web/consume")).is_none() && stage.kube.access(&key("web/send")).is_none());
    stage.assert_nothing_left();
}

#[tokio::test]
async fn what_the_queue_withdraws_is_withdrawn_in_aws() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(30).await;
    stage.apply("media/images", json!({}));
    stage.run(30).await;
    assert_eq!(stage.access_ready("web/consume"), "False/NotAllowedByQueue");
    assert!(stage.allowed(&stage.only_role()).is_empty());
    assert!(stage.world.policies().is_empty(), "a policy that allows nothing cannot be");
    stage.apply("media/images", open());
    stage.run(30).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted");
    assert!(stage.may(&stage.only_role(), "sqs:ReceiveMessage", "media_images"));
}

#[tokio::test]
async fn a_queue_that_is_mistyped_takes_nothing_away_and_one_that_is_gone_does() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(30).await;
    let mut mistyped = open();
    mistyped["messageRetentionSeconds"] = json!(1);
    stage.apply("media/images", mistyped);
    stage.run(600).await;
    assert_eq!(stage.ready("media/images"), "False/InvalidSpec");
    assert!(stage.may(&stage.only_role(), "sqs:ReceiveMessage", "media_images"));
    stage.apply("media/images", open());
    stage.run(30).await;

    stage.delete("media/images");
    stage.run(2).await;
    assert!(stage.may(&stage.only_role(), "sqs:ReceiveMessage", "media_images"), "messages are consumed to the last");
    assert_eq!(stage.access_ready("web/consume"), "False/QueueNotReady");
    stage.run(600).await;
    assert!(stage.is_gone("media/images"));
    assert_eq!(stage.access_ready("web/consume"), "False/NotAllowedByQueue", "as if there had never been one");
    assert!(stage.allowed(&stage.only_role()).is_empty());
}

#[tokio::test]
async fn a_queue_that_is_only_observed_gives_nothing_new() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(30).await;
    let mut observed = open();
    observed["managementPolicy"] = json!("Observe");
    stage.apply("media/images", observed.clone());
    stage.grant("web/send", for_resizer("images", &["Send"]));
    stage.run(60).await;
    let role = stage.only_role();
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_images"), "what was given stays");
    assert!(!stage.may(&role, "sqs:SendMessage", "media_images"), "nobody proves whose queue it is");
    assert_eq!(stage.access_ready("web/send"), "False/QueueNotReady");

    // Another Queue of that name was never proved to have the queue.
    stage.delete("media/images");
    stage.run(600).await;
    stage.apply("media/images", observed);
    stage.run(600).await;
    assert!(stage.allowed(&stage.only_role()).is_empty());
}

#[tokio::test]
async fn a_service_account_that_is_not_there_is_waited_for() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.kube.delete_account(&key("web/resizer"));
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "False/ServiceAccountNotFound");
    assert_eq!(stage.world.roles(), []);
    stage.kube.put_account(&key("web/resizer"), None);
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted");
    // It goes, and comes again: the role is the same, and it is annotated anew.
    stage.kube.delete_account(&key("web/resizer"));
    stage.run(700).await;
    assert_eq!(stage.access_ready("web/consume"), "False/ServiceAccountNotFound");
    assert_eq!(stage.world.roles().len(), 1);
    stage.kube.put_account(&key("web/resizer"), None);
    stage.run(60).await;
    assert_eq!(stage.annotation(), Some(stage.only_role().arn.to_string()));
}

#[tokio::test]
async fn a_class_that_makes_no_roles_says_so() {
    let mut stage = Stage::prompt();
    stage.kube.put_account(&key("web/resizer"), None);
    stage.applied("media/images", open()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(30).await;
    assert_eq!(stage.access_ready("web/consume"), "False/NotAllowedByClass");
    assert!(
        stage.access_words("web/consume").contains("permissionsBoundaryArn"),
        "{}",
        stage.access_words("web/consume")
    );
    assert_eq!(stage.world.roles(), []);
    stage.kube.delete_access(&key("web/consume"));
    stage.run(30).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
}

#[tokio::test]
async fn a_role_that_is_annotated_already_is_used_if_the_class_allows_it_and_never_overwritten() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    let foreign = "arn:aws:iam::123456789012:role/admin";
    stage.world.put_role(&RoleArn::parse(foreign).unwrap(), &Tags::new(), &[]);
    stage.kube.put_account(&key("web/resizer"), Some(foreign));
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "False/RoleNotAllowed");
    assert_eq!(stage.access_condition("web/consume", "Stalled"), "True/RoleNotAllowed");
    assert_eq!(stage.annotation().as_deref(), Some(foreign));
    assert!(stage.world.policies().is_empty());

    let batch = RoleArn::parse(BATCH).unwrap();
    stage.world.put_role(&batch, &Tags::new(), &["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
    stage.kube.put_account(&key("web/resizer"), Some(BATCH));
    stage.run(600).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted", "{}", stage.access_words("web/consume"));
    let role = stage.world.role(&batch).unwrap();
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_images"));
    assert_eq!(role.attached.len(), 2);
    assert_eq!((role.boundary.clone(), role.tags.clone()), (None, Tags::new()), "nothing else of it is touched");
    stage.assert_at_rest().await;

    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    let role = stage.world.role(&batch).unwrap();
    assert_eq!(role.attached, ["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()].into());
    assert!(stage.world.policies().is_empty());
    assert_eq!(stage.annotation().as_deref(), Some(BATCH));
}

#[tokio::test]
async fn from_an_own_role_to_one_of_others_and_back() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    let batch = RoleArn::parse(BATCH).unwrap();
    stage.world.put_role(&batch, &Tags::new(), &[]);
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    stage.kube.put_account(&key("web/resizer"), Some(BATCH));
    stage.run(700).await;
    assert!(stage.may(&stage.world.role(&batch).unwrap(), "sqs:ReceiveMessage", "media_images"));
    assert_eq!(stage.world.roles().len(), 1, "the own one is removed");
    stage.kube.put_account(&key("web/resizer"), None);
    stage.run(700).await;
    assert!(stage.world.role(&batch).unwrap().attached.is_empty());
    assert_eq!(stage.world.roles().len(), 2);
    assert_eq!(stage.access_ready("web/consume"), "True/Granted");
    stage.world.drop_role(&batch);
    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    stage.assert_nothing_left();
}

#[tokio::test]
async fn the_role_of_another_path_is_not_the_role_that_is_allowed() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    let admin = RoleArn::parse("arn:aws:iam::123456789012:role/admin").unwrap();
    stage.world.put_role(&admin, &Tags::new(), &[]);
    // Calls about roles go by name alone.
    stage.grant("web/consume", for_role("arn:aws:iam::123456789012:role/batch/admin", &["Consume"]));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "False/RoleNotAllowed");
    assert!(stage.world.role(&admin).unwrap().attached.is_empty());
    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    assert!(stage.world.policies().is_empty());
}

#[tokio::test]
async fn a_role_by_arn_gets_the_policies_that_its_class_allows() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    let batch = RoleArn::parse(BATCH).unwrap();
    stage.grant("web/consume", for_role(BATCH, &["Consume"]));
    stage.grant("web/other", for_role("arn:aws:iam::123456789012:role/prism-queue", &["Consume"]));
    stage.grant("web/elsewhere", for_role("arn:aws:iam::999999999999:role/batch/worker", &["Consume"]));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "False/PrincipalGone", "it is not there yet");
    assert_eq!(stage.access_ready("web/other"), "False/RoleNotAllowed", "a tenant may not name any role");
    assert_eq!(stage.access_ready("web/elsewhere"), "False/RoleNotAllowed");
    stage.world.put_role(&batch, &Tags::new(), &[]);
    stage.run(600).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted");
    assert!(stage.may(&stage.world.role(&batch).unwrap(), "sqs:ReceiveMessage", "media_images"));

    // The class takes it back.
    making_roles(&mut stage, &[]);
    stage.operator.restart();
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "False/RoleNotAllowed");
    assert!(stage.world.role(&batch).unwrap().attached.is_empty());
    for access in ["web/consume", "web/other", "web/elsewhere"] {
        stage.kube.delete_access(&key(access));
    }
    stage.run(60).await;
    assert!(stage.world.policies().is_empty());
}

#[tokio::test]
async fn a_role_that_fails_first_is_made_by_and_by() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    for action in ["CreateRole", "CreatePolicy", "AttachRolePolicy"] {
        stage.world.inject(Trap::new(Fault::LoseAnswer).on(action));
    }
    stage.kube.inject(Trap::new(Fault::LoseAnswer).on("Annotate"));
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(300).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted", "{}", stage.access_words("web/consume"));
    assert_eq!(stage.annotation(), Some(stage.only_role().arn.to_string()));
}

/// Whatever write the process dies at, the next one ends what it began, and in the end nothing is left.
#[tokio::test]
async fn a_crash_at_any_write_leaves_nothing_behind() {
    let actions = [
        "CreateRole",
        "CreatePolicy",
        "AttachRolePolicy",
        "DetachRolePolicy",
        "DeletePolicy",
        "DeleteRole",
        "CreatePolicyVersion",
    ];
    for action in actions {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let mut stage = with_a_queue(Timing::aws()).await;
            stage.run(300).await;
            stage.world.inject(Trap::new(fault).on(action));
            stage.grant("web/consume", for_resizer("images", &["Consume"]));
            stage.run(900).await;
            stage.grant("web/consume", for_resizer("images", &["Consume", "Send"]));
            stage.run(900).await;
            assert_eq!(stage.access_ready("web/consume"), "True/Granted", "{action}");
            let role = stage.only_role();
            assert!(stage.may(&role, "sqs:SendMessage", "media_images"), "{action}");
            stage.kube.delete_access(&key("web/consume"));
            stage.run(1800).await;
            assert!(stage.kube.access(&key("web/consume")).is_none(), "{action}");
            stage.assert_nothing_left();
        }
    }
}

#[tokio::test]
async fn what_is_changed_from_outside_is_set_back() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    let before = stage.only_role();
    let policy = stage.world.policies().remove(0);
    stage.world.put_trust(&before.arn, json!({"Version": "2012-10-17", "Statement": []}));
    stage.world.unbind_role(&before.arn);
    stage.world.detach(&policy.arn);
    stage.kube.put_account(&key("web/resizer"), None);
    stage.ask("web/consume").await;
    let after = stage.only_role();
    assert_eq!((after.boundary, after.attached), (before.boundary, before.attached));
    assert_eq!(after.trust.to_string(), before.trust.to_string());
    assert_eq!(stage.annotation(), Some(after.arn.to_string()));
    assert_eq!(stage.access_ready("web/consume"), "True/Granted");
}

#[tokio::test]
async fn drift_that_a_class_only_reports_is_reported() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.operator.class.drift = DriftMode::Report;
    stage.operator.restart();
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    let role = stage.only_role();
    stage.world.unbind_role(&role.arn);
    stage.ask("web/consume").await;
    assert_eq!(stage.access_ready("web/consume"), "False/Differs");
    assert_eq!(stage.only_role().boundary, None);
    stage.grant("web/consume", for_resizer("images", &["Consume", "Send"]));
    stage.run(60).await;
    assert!(stage.may(&stage.only_role(), "sqs:SendMessage", "media_images"), "what is declared is written");
}

#[tokio::test]
async fn a_role_or_policy_of_others_is_left_untouched() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    let role = stage.only_role();
    stage.world.untag_role(&role.arn);
    stage.ask("web/consume").await;
    assert_eq!(stage.access_ready("web/consume"), "False/NotOwned");
    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    assert_eq!(stage.world.roles().len(), 1, "it is nobody's of ours");
    assert!(stage.world.policies().is_empty(), "the policies were ours");
}

#[tokio::test]
async fn a_role_is_not_taken_from_those_who_put_something_on_it() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    let role = stage.only_role();
    let others = prism_queue::domain::iam::PolicyArn::parse("arn:aws:iam::123456789012:policy/others").unwrap();
    let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sqs:ListQueues"], "Resource": ["*"]}]});
    stage.world.make_policy(&operator(), &others, &document.to_string(), &Tags::new()).unwrap();
    stage.world.attach(&others, &role.arn.to_string());
    stage.kube.delete_access(&key("web/consume"));
    stage.run(120).await;
    assert_eq!(stage.access_ready("web/consume"), "False/RoleInUse");
    assert!(stage.allowed(&stage.only_role()).iter().all(|(action, _)| action == "sqs:ListQueues"), "ours is gone");
    assert_eq!(stage.annotation(), None);
    stage.world.detach(&others);
    stage.run(600).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    assert_eq!(stage.world.roles(), []);
}

#[tokio::test]
async fn a_lost_status_loses_nothing() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    stage.kube.forget_access_status(&key("web/consume"));
    stage.operator.round().await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted");
    stage.operator.restart();
    stage.kube.forget_access_status(&key("web/consume"));
    stage.kube.delete_access(&key("web/consume"));
    stage.run(120).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    stage.assert_nothing_left();
}

/// More than one policy holds.
const QUEUES: usize = 90;

#[tokio::test]
async fn many_accesses_take_as_few_policies_as_hold_them() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    for number in 0..QUEUES {
        let name = format!("a-queue-with-quite-a-long-name-so-that-few-of-them-fit-{number}");
        stage.apply(&format!("media/{name}"), open());
        stage.grant(&format!("web/{name}"), for_resizer(&name, &["Consume", "Redrive"]));
        if number % 10 == 9 {
            stage.run(30).await;
        }
    }
    stage.run(120).await;
    let role = stage.only_role();
    assert!(role.attached.len() > 1, "{}", role.attached.len());
    assert!(stage.world.policies().iter().all(|policy| policy.document.len() <= 6144));
    let receive = stage
        .allowed(&role)
        .iter()
        .filter(|(action, arn)| action == "sqs:ReceiveMessage" && !arn.ends_with("_dlq"))
        .count();
    assert_eq!(receive, QUEUES);
    for number in 10..QUEUES {
        stage.kube.delete_access(&key(&format!("web/a-queue-with-quite-a-long-name-so-that-few-of-them-fit-{number}")));
        stage.run(5).await;
    }
    stage.run(300).await;
    let role = stage.only_role();
    assert_eq!(role.attached.len(), 1);
    assert_eq!(stage.world.policies().len(), 1);
}

#[tokio::test]
async fn pod_identity_binds_by_an_association() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    let cluster = EksCluster { name: "prod-1".to_owned(), place: place(), boundary: None };
    stage.world.make_cluster(&place(), "prod-1");
    stage.operator.class.roles = Some(Making { boundary: BOUNDARY.to_owned(), way: Way::PodIdentity(cluster) });
    stage.operator.restart();
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted", "{}", stage.access_words("web/consume"));
    let role = stage.only_role();
    let trust = role.trust.to_string();
    assert!(trust.contains("pods.eks.amazonaws.com") && trust.contains("kubernetes-service-account"), "{trust}");
    assert!(trust.contains(&format!("arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod-1")), "{trust}");
    let associations = stage.world.associations();
    assert_eq!(associations.len(), 1);
    assert_eq!(associations[0].0.service_account, "resizer");
    assert_eq!(associations[0].1.role_arn, role.arn.to_string());
    assert_eq!(stage.annotation(), None);
    stage.assert_at_rest().await;
    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    assert_eq!(stage.world.associations(), []);
    stage.assert_nothing_left();
}

#[tokio::test]
async fn subjects_of_one_name_in_two_namespaces_share_nothing() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.apply("media/images", json!({"access": {"allowedNamespaces": {"from": "All"}}}));
    stage.kube.put_account(&key("shop/resizer"), None);
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.grant("shop/consume", for_resizer("images", &["Send"]));
    stage.run(60).await;
    let roles = stage.world.roles();
    assert_eq!(roles.len(), 2);
    let of = |namespace: &str| roles.iter().find(|role| role.tags["queue.prism.io/namespace"] == namespace).unwrap();
    assert!(stage.may(of("shop"), "sqs:SendMessage", "media_images"));
    assert!(!stage.may(of("web"), "sqs:SendMessage", "media_images"));
    assert_eq!(roles[0].attached.intersection(&roles[1].attached).count(), 0);
}

#[tokio::test]
async fn pod_identity_across_accounts_takes_a_role_in_each() {
    const CLUSTERS: &str = "222222222222";
    let mut stage = with_a_queue(Timing::prompt()).await;
    let there = Place { account_id: CLUSTERS.to_owned(), region: REGION.to_owned() };
    stage.world.make_cluster(&there, "prod-1");
    let class = |boundary: Option<&str>| {
        let boundary_there = boundary.map(str::to_owned);
        let cluster = EksCluster { name: "prod-1".to_owned(), place: there.clone(), boundary: boundary_there };
        Making { boundary: BOUNDARY.to_owned(), way: Way::PodIdentity(cluster) }
    };
    let assumed = format!("arn:aws:iam::{CLUSTERS}:role/prism-queue");
    let pods = json!({"roleArn": assumed, "permissionsBoundaryArn": BOUNDARY});
    let policy = printed(&Identity::Role(assumed), &pods).into();
    stage.operator.cluster_caller = Some(Caller::role(CLUSTERS, REGION, "prism-queue").under(policy));
    stage.operator.class.roles = Some(class(None));
    stage.operator.restart();
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "False/NotAllowedByClass", "no role without a boundary");
    assert_eq!(stage.world.roles(), []);

    stage.operator.class.roles = Some(class(Some(BOUNDARY)));
    stage.operator.restart();
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted", "{}", stage.access_words("web/consume"));
    let roles = stage.world.roles();
    let of = |account: &str| roles.iter().find(|role| role.arn.account_id() == account).unwrap();
    let (source, target) = (of(CLUSTERS), of(ACCOUNT));
    assert_eq!(roles.len(), 2);
    assert!(source.trust.to_string().contains("pods.eks.amazonaws.com"));
    assert_eq!(source.boundary.as_deref(), Some(BOUNDARY));
    assert!(target.trust.to_string().contains(&source.arn.to_string()), "{}", target.trust);
    assert!(stage.may(target, "sqs:ReceiveMessage", "media_images"));
    let may_assume = ("sts:AssumeRole".to_owned(), target.arn.to_string());
    assert!(
        stage.allowed(source).contains(&may_assume) && stage.allowed(source).len() == 2,
        "{:?}",
        stage.allowed(source)
    );
    let (_, association) = stage.world.associations().remove(0);
    assert_eq!(association.role_arn, source.arn.to_string());
    assert_eq!(association.target_role_arn, Some(target.arn.to_string()));
    let target_record = stage.kube.access(&key("web/consume")).unwrap().status.unwrap().target.unwrap();
    assert_eq!(target_record.source_role_arn, Some(source.arn.to_string()));
    stage.assert_at_rest().await;

    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    assert_eq!(stage.world.associations(), []);
    stage.assert_nothing_left();
}
