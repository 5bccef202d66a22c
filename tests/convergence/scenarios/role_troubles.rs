//! What goes wrong around roles: crashes and lost answers while IAM shows late, classes that differ, and people who meddle.

use prism_queue::domain::class::Class;
use prism_queue::domain::identity::{EksCluster, Making, RoleArn, Way};
use prism_queue::domain::tags::Tags;
use serde_json::json;

use super::roles::{BATCH, PROVIDER, for_resizer, for_role, making_roles, open, with_a_queue};
use crate::model::{Caller, Fault, Timing, Trap};
use crate::stage::{ACCOUNT, BOUNDARY, REGION, Stage, key, place};

const OTHER_ACCOUNT: &str = "222222222222";

/// A write takes effect, nobody learns of it, IAM does not show it yet, and the `QueueAccess` is deleted at once.
#[tokio::test]
async fn what_a_lost_write_made_is_found_although_it_shows_late() {
    for action in ["CreateRole", "CreatePolicy", "AttachRolePolicy"] {
        for fault in [Fault::CrashAfter, Fault::LoseAnswer] {
            for shows_after in [8, 30] {
                let mut stage =
                    with_a_queue(Timing { iam_shows_after: shows_after..=shows_after, ..Timing::prompt() }).await;
                stage.world.inject(Trap::new(fault).on(action));
                stage.grant("web/consume", for_resizer("images", &["Consume"]));
                let mut waited = 0;
                while !stage.world.calls_since(0).iter().any(|call| call.action == action) && waited < 300 {
                    stage.run(1).await;
                    waited += 1;
                }
                stage.kube.delete_access(&key("web/consume"));
                stage.run(1800).await;
                let words = format!("{action} {fault:?} {shows_after}");
                assert!(stage.kube.access(&key("web/consume")).is_none(), "{words}");
                assert_eq!(stage.world.roles(), [], "{words}");
                assert_eq!(stage.world.policies().len(), 0, "{words}");
                assert_eq!(stage.annotation(), None, "{words}");
            }
        }
    }
}

/// What was deleted still shows for a while.
#[tokio::test]
async fn deleted_and_made_again_at_once_it_works() {
    for wait in [0, 1, 3, 8] {
        let mut stage = with_a_queue(Timing { iam_shows_after: 10..=10, ..Timing::prompt() }).await;
        stage.grant("web/consume", for_resizer("images", &["Consume"]));
        stage.run(300).await;
        stage.kube.delete_access(&key("web/consume"));
        while stage.kube.access(&key("web/consume")).is_some() {
            stage.run(1).await;
        }
        stage.run(wait).await;
        stage.grant("web/consume", for_resizer("images", &["Consume"]));
        stage.run(200).await;
        assert_eq!(stage.access_ready("web/consume"), "True/Granted", "{}", stage.access_words("web/consume"));
        let roles = stage.world.roles();
        assert!(roles.len() == 1 && stage.may(&roles[0], "sqs:ReceiveMessage", "media_images"), "{wait}: {roles:?}");
    }
}

/// A change takes effect, nobody learns of it, and it is taken back before IAM shows it.
#[tokio::test]
async fn a_lost_change_that_is_taken_back_is_taken_back_in_aws() {
    for fault in [Fault::CrashAfter, Fault::LoseAnswer] {
        let mut stage = with_a_queue(Timing { iam_shows_after: 30..=30, ..Timing::prompt() }).await;
        stage.grant("web/consume", for_resizer("images", &["Consume"]));
        stage.run(300).await;
        stage.world.inject(Trap::new(fault).on("CreatePolicyVersion"));
        let mark = stage.world.mark();
        stage.grant("web/consume", for_resizer("images", &["Consume", "Send"]));
        while stage.count("CreatePolicyVersion", mark) == 0 {
            stage.run(1).await;
        }
        stage.grant("web/consume", for_resizer("images", &["Consume"]));
        stage.run(300).await;
        let role = stage.only_role();
        assert!(!stage.may(&role, "sqs:SendMessage", "media_images"), "{fault:?}");
        assert_eq!(stage.access_ready("web/consume"), "True/Granted");
    }
}

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

/// The first `QueueAccess` of a subject decides in which account its role is, as long as it is there.
#[tokio::test]
async fn who_waits_for_a_role_in_another_account_gets_it_when_the_others_have_gone() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.applied("media/orders", open()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    // The queue of another account is played by a class of it, and by what the Queue has on record.
    another_class(&mut stage, &[], |class| {
        OTHER_ACCOUNT.clone_into(&mut class.place.account_id);
        let provider_arn = PROVIDER.replace(ACCOUNT, OTHER_ACCOUNT);
        class.roles = Some(Making { boundary: BOUNDARY.to_owned(), way: Way::Tokens { provider_arn } });
    });
    stage.kube.edit(&key("media/orders"), {
        let mut spec = stage.queue("media/orders").spec;
        spec.suspend = true;
        spec
    });
    stage.run(30).await;
    stage.kube.edit_status(&key("media/orders"), |status| {
        status.target.as_mut().unwrap().account_id = OTHER_ACCOUNT.to_owned();
        status.queue_arn = status.queue_arn.as_ref().map(|arn| arn.replace(ACCOUNT, OTHER_ACCOUNT));
        status.queue_url = status.queue_url.as_ref().map(|url| url.replace(ACCOUNT, OTHER_ACCOUNT));
    });
    stage.grant("web/orders", for_resizer("orders", &["Consume"]));
    stage.run(60).await;
    assert_eq!(stage.access_ready("web/orders"), "False/InvalidSpec", "{}", stage.access_words("web/orders"));
    stage.kube.delete_access(&key("web/consume"));
    stage.run(900).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    let role = stage.only_role();
    assert_eq!(role.arn.account_id(), OTHER_ACCOUNT, "nothing is left in the first one");
    assert_eq!(stage.access_ready("web/orders"), "True/Granted", "{}", stage.access_words("web/orders"));
    assert_eq!(stage.annotation(), Some(role.arn.to_string()));
    stage.kube.delete_access(&key("web/orders"));
    stage.run(60).await;
    stage.assert_nothing_left();
}

/// Two classes of one account may have different paths and boundaries: the oldest `QueueAccess` says which.
#[tokio::test]
async fn a_role_moves_with_the_class_that_says_where_it_is() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    another_class(&mut stage, &[], |class| {
        class.iam_path = prism_queue::domain::iam::IamPath::parse("/elsewhere/").unwrap();
        class.roles.as_mut().unwrap().boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned();
    });
    stage.applied("media/orders", open()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(5).await;
    stage.grant("web/orders", for_resizer("orders", &["Consume"]));
    stage.run(60).await;
    let role = stage.only_role();
    assert_eq!((role.arn.path(), role.boundary.as_deref()), ("/prism-queue/", Some(BOUNDARY)));
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_orders"));
    stage.assert_at_rest().await;
    stage.kube.delete_access(&key("web/consume"));
    stage.run(900).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    assert_eq!(stage.access_ready("web/orders"), "True/Granted", "{}", stage.access_words("web/orders"));
    let role = stage.only_role();
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_orders"));
    assert!(!stage.may(&role, "sqs:ReceiveMessage", "media_images"));
    assert_eq!(stage.annotation(), Some(role.arn.to_string()));
    stage.assert_at_rest().await;
    stage.kube.delete_access(&key("web/orders"));
    stage.run(900).await;
    stage.assert_nothing_left();
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

/// Reads of IAM are few: an account's workloads share them.
#[tokio::test]
async fn many_accesses_of_one_service_account_cost_little_while_something_is_denied() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    for number in 0..40 {
        stage.grant(&format!("web/a{number}"), for_resizer("images", &["Consume"]));
    }
    stage.world.deny(crate::model::Denial {
        action: Some("CreateRole"),
        queue: None,
        answer: crate::model::DeniedAs::AccessDenied,
    });
    stage.run(1800).await;
    let mark = stage.world.mark();
    stage.run(3600).await;
    let calls = stage.actions_since(mark);
    assert!(calls.len() < 1000, "{}", calls.len());
}

/// Only what was given stays while nobody can say whose queue it is.
#[tokio::test]
async fn an_access_to_a_queue_that_is_only_observed_gets_no_wider() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.run(60).await;
    let mut observed = open();
    observed["managementPolicy"] = json!("Observe");
    stage.apply("media/images", observed);
    stage.run(60).await;
    stage.grant("web/consume", for_resizer("images", &["Consume", "Send"]));
    stage.run(60).await;
    let role = stage.only_role();
    assert!(stage.may(&role, "sqs:ReceiveMessage", "media_images"));
    assert!(!stage.may(&role, "sqs:SendMessage", "media_images"), "nothing new is given");
    stage.grant("web/consume", for_resizer("images", &["Send"]));
    stage.run(60).await;
    assert!(
        stage.allowed(&stage.only_role()).iter().all(|(action, _)| action != "sqs:ReceiveMessage"),
        "narrower it gets"
    );
}

/// One that never gave anything is not waited for.
#[tokio::test]
async fn the_last_access_that_gave_anything_takes_the_role_along() {
    let mut stage = with_a_queue(Timing::prompt()).await;
    stage.grant("web/consume", for_resizer("images", &["Consume"]));
    stage.grant("web/waits", for_resizer("not-there", &["Consume"]));
    stage.run(60).await;
    stage.kube.delete_access(&key("web/consume"));
    stage.run(60).await;
    assert!(stage.kube.access(&key("web/consume")).is_none());
    stage.assert_nothing_left();
    stage.kube.delete_access(&key("web/waits"));
    stage.run(60).await;
    assert!(stage.kube.access(&key("web/waits")).is_none());
}
