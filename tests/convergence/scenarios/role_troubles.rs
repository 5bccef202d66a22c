//! What goes wrong around roles: crashes and lost answers while IAM shows late, classes that differ, and people who meddle.

use prism_queue::domain::class::Class;
use prism_queue::domain::identity::{EksCluster, Making, RoleArn, Way};
use prism_queue::domain::tags::Tags;
use serde_json::json;

use super::roles::{BATCH, for_resizer, for_role, making_roles, open, with_a_queue};
use crate::model::{Caller, Fault, Timing, Trap};
use crate::stage::{BOUNDARY, REGION, Stage, key, place};

const OTHER_ACCOUNT: &str = "222222222222";

/// Who may edit a `QueueAccess` may take its finalizer off, too.
#[tokio::test]
async fn without_its_finalizer_a_withdrawn_access_ends_as_well() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    stage.kube.tear_off_access_finalizers(&key("web/consume"));
    stage.apply("media/images", json!({}));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/consume"), "False/NotAllowedByQueue");
    assert!(stage.world.roles().iter().all(|role| stage.allowed(role).is_empty()), "the Queue took it back");
    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    stage.assert_nothing_left();
}

#[tokio::test]
async fn a_service_account_that_cannot_be_written_keeps_nobody_his_permissions() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    stage
        .kube
        .inject(Trap::new(Fault::Refuse(prism_queue::domain::call::ErrorKind::Transient)).on("Annotate").times(1000));
    stage.kube.delete_access(&key("web/consume"));
    stage.run(120).await;
    assert!(stage.world.roles().iter().all(|role| stage.allowed(role).is_empty()), "it is taken away");
    stage.kube.calm();
    stage.run(900).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    stage.assert_nothing_left();
}

/// Names of roles are unique in an account whatever their path: one of these two is not there.
#[tokio::test]
async fn roles_of_one_name_at_two_paths_share_nothing() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    let batch = RoleArn::parse(BATCH).unwrap();
    stage.world.put_role(&batch, &Tags::new(), &[]);
    stage.grant("web/consume", for_role(BATCH, &["Consume"]));
    stage.run(60).await;
    stage.grant("web/send", for_role("arn:aws:iam::123456789012:role/batch/other/worker", &["Send"]));
    stage.run(60).await;
    let role = stage.world.role(&batch).unwrap();
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_images"));
    assert!(!stage.may(&role, "sqs:SendMessage", "media_images"), "given to another role");
    stage.kube.delete_access(&key("web/send"));
    stage.run(60).await;
    let role = stage.world.role(&batch).unwrap();
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_images"), "it is not the other's to take");
    stage.assert_at_rest().await;
}

/// Whoever attaches something to a role keeps it from being deleted.
#[tokio::test]
async fn no_pattern_allows_a_role_that_the_operator_made_for_another_nor_its_own() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    making_roles(&mut stage, &["*"]);
    stage.operator.restart();
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    let role = stage.only_role();
    let own = RoleArn::parse("arn:aws:iam::123456789012:role/prism-queue").unwrap();
    stage.world.put_role(&own, &Tags::new(), &[]);
    stage.grant("web/other", for_role(&role.arn.to_string(), &["Send"]));
    stage.grant("web/operator", for_role(&own.to_string(), &["Send"]));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/other"), "False/RoleNotAllowed", "{}", stage.access_words("web/other"));
    assert_eq!(stage.access_ready("web/operator"), "False/RoleNotAllowed");
    assert!(stage.world.role(&own).unwrap().attached.is_empty());
    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    assert_eq!(stage.world.role(&role.arn), None);
}

/// Of the class of `media/orders`.
fn another_class(stage: &mut Stage, patterns: &[&str], change: impl FnOnce(&mut Class)) {
    let before = stage.operator.class.clone();
    making_roles(stage, patterns);
    let mut class = std::mem::replace(&mut stage.operator.class, before);
    "other".clone_into(&mut class.name);
    if let prism_queue::domain::class::Limits::Class { name, .. } = &mut class.limits {
        "other".clone_into(name);
    }
    change(&mut class);
    let caller = Caller::role(&class.place.account_id, REGION, "prism-queue");
    stage.operator.other_classes.insert(key("media/orders"), (class, caller));
    stage.operator.restart();
}

#[tokio::test]
async fn who_is_left_out_because_his_class_does_not_allow_the_role_says_so() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    another_class(&mut stage, &[], |_| ());
    stage.applied("media/orders", open()).await;
    let batch = RoleArn::parse(BATCH).unwrap();
    stage.world.put_role(&batch, &Tags::new(), &[]);
    stage.kube.put_account(&key("web/resizer"), Some(BATCH));
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(5).await;
    stage.grant("web/orders", for_resizer("orders", &["Consume"]));
    stage.run(60).await;
    let role = stage.world.role(&batch).unwrap();
    assert_eq!(stage.access_ready("web/consume"), "True/Granted");
    assert!(!stage.may(&role, "sqs:ReceiveMessage", "media_orders"), "its class does not allow it");
    assert_eq!(stage.access_ready("web/orders"), "False/RoleNotAllowed");
    stage.assert_at_rest().await;
}

#[tokio::test]
async fn an_association_that_cannot_be_read_is_waited_for() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    let cluster = EksCluster { name: "prod-1".to_owned(), place: place(), boundary: None };
    stage.operator.class.roles = Some(Making { boundary: BOUNDARY.to_owned(), way: Way::PodIdentity(cluster) });
    stage.operator.restart();
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    assert!(stage.access_ready("web/consume").starts_with("False/"), "there is no such cluster");
    stage.world.make_cluster(&place(), "prod-1");
    stage.run(900).await;
    assert_eq!(stage.access_ready("web/consume"), "True/Granted", "{}", stage.access_words("web/consume"));
    stage.assert_at_rest().await;
}
