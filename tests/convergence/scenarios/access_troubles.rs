//! `QueueAccess`: whom others, and trouble, cannot keep out, let in, or leave in.

use prism_queue::api::QueueClass;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::class::{Class, Labels};
use prism_queue::domain::fleet::MOST_GRANTS;
use prism_queue::domain::outputs::OutputKind;
use serde_json::json;

use super::access::{OTHER, WORKER, to_images, with_a_queue};
use crate::cluster::ObjectId;
use crate::model::{Denial, DeniedAs, Timing};
use crate::stage::{ACCOUNT, REGION, Stage, attributes, class, key, somebody, url};

const NOBODY: &str = "arn:aws:iam::123456789012:role/nobody";

#[tokio::test]
async fn strangers_take_nobodys_place() {
    let mut stage = with_a_queue(json!({})).await;
    for n in 0..=MOST_GRANTS {
        stage.grant(&format!("evil/stranger-{n:03}"), to_images(&["Send"], WORKER));
        stage.run(1).await;
    }
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert_eq!(stage.access_ready("evil/stranger-000"), "False/NotAllowedByQueue");
    assert_eq!(stage.access_ready("evil/stranger-200"), "False/NotAllowedByQueue");
}

#[tokio::test]
async fn a_principal_that_went_while_the_policy_was_lost_stalls_no_queue() {
    let none = attributes(&[(Attribute::Policy, "")]);
    for is_queue_lost in [false, true] {
        let mut stage = with_a_queue(json!({})).await;
        stage.grant("media/worker", to_images(&["Send", "Inspect"], WORKER));
        stage.grant("media/other", to_images(&["Send"], OTHER));
        stage.run(120).await;
        stage.world.delete_principal(WORKER);
        for queue in ["media_images", "media_images_dlq"] {
            let world = stage.world.outside(&somebody());
            if is_queue_lost {
                world.delete_queue(&url(queue))
            } else {
                world.set_queue_attributes(&url(queue), &none)
            }
            .unwrap();
        }
        stage.run(1500).await;
        assert_eq!(stage.ready("media/images"), "True/Converged", "{}", stage.words("media/images"));
        assert_eq!(stage.access_ready("media/other"), "True/Granted");
        assert_eq!(stage.access_condition("media/worker", "Stalled"), "True/PrincipalGone");
    }
}

#[tokio::test]
async fn who_is_in_stays_in_when_an_older_one_comes_to_be_allowed() {
    let role = |n: usize| format!("arn:aws:iam::123456789012:role/{}/{n:02}", "x".repeat(400));
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("web/nobody", to_images(&["Send"], &role(99)));
    stage.run(5).await;
    for n in 0..17 {
        stage.world.create_principal(&role(n));
        stage.grant(&format!("media/worker-{n:02}"), to_images(&["Send"], &role(n)));
        stage.run(1).await;
    }
    stage.run(60).await;
    assert_eq!(stage.access_ready("media/worker-16"), "True/Granted");
    stage.applied("media/images", json!({"access": {"allowedNamespaces": {"from": "All"}}})).await;
    stage.run(600).await;
    assert_eq!(stage.access_ready("media/worker-16"), "True/Granted");
    assert_eq!(stage.access_ready("web/nobody"), "False/PolicyFull");
}

#[tokio::test]
async fn a_queue_that_is_refused_is_said_to_be_what_a_deletion_waits_for() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.run(5).await;
    stage.applied("media/images", json!({"deadLetter": {"maxReceiveCount": 99_999}})).await;
    stage.kube.delete_access(&key("media/worker"));
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "False/QueueNotReady", "{}", stage.access_words("media/worker"));
}

#[tokio::test]
async fn a_queue_of_a_wrong_name_is_said_to_be_the_trouble() {
    let mut stage = with_a_queue(json!({"queueName": "web_images"})).await;
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.ready("media/images"), "False/InvalidSpec");
    assert_eq!(stage.access_ready("media/worker"), "False/QueueNotReady", "{}", stage.access_words("media/worker"));
}

#[tokio::test]
async fn who_is_still_in_is_told_so() {
    let queue =
        |from: &str, suspend: bool| json!({"suspend": suspend, "access": {"allowedNamespaces": {"from": from}}});
    let mut stage = with_a_queue(queue("All", false)).await;
    stage.grant("web/worker", to_images(&["Send"], WORKER));
    stage.run(5).await;
    stage.applied("media/images", queue("None", true)).await;
    let told = "; the queue policy still lets it in as it did before";
    assert_eq!(stage.access_ready("web/worker"), "False/NotAllowedByQueue");
    assert!(stage.lets_in("media_images", WORKER) && stage.access_words("web/worker").ends_with(told));
    stage.applied("media/images", queue("None", false)).await;
    assert_eq!(stage.access_ready("web/worker"), "False/NotAllowedByQueue");
    assert!(!stage.lets_in("media_images", WORKER) && !stage.access_words("web/worker").ends_with(told));
}

#[tokio::test]
async fn a_dead_letter_queue_no_longer_used_lets_nobody_in() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/worker", to_images(&["Inspect", "Redrive"], WORKER));
    stage.run(5).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    stage.world.send(&somebody(), &url("media_images_dlq")).unwrap();
    let denial = |queue: &str| Denial {
        action: Some("SetQueueAttributes"),
        queue: Some(queue.to_owned()),
        answer: DeniedAs::AccessDenied,
    };
    stage.world.deny(denial("media_images_dlq"));
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
    stage.kube.delete_access(&key("media/worker"));
    stage.run(600).await;
    assert!(stage.lets_in("media_images_dlq", WORKER) && !stage.lets_in("media_images", WORKER));
    assert!(stage.kube.access(&key("media/worker")).is_some(), "it waits until it is out everywhere");
    stage.world.calm();
    stage.run(600).await;
    assert!(stage.has("media_images_dlq"), "it holds a message");
    assert!(!stage.lets_in("media_images_dlq", WORKER));
    assert!(stage.attribute("media_images_dlq", Attribute::Policy).contains("PrismQueueRequireTLS"));
    assert!(stage.kube.access(&key("media/worker")).is_none());
    let mark = stage.world.mark();
    stage.run(3600).await;
    assert_eq!(stage.writes(mark), 0, "at rest");
}

#[tokio::test]
async fn a_queueaccess_goes_only_when_its_principal_is_out_whatever_the_caches_show() {
    for seed in 0..12_u64 {
        let mut stage = Stage::new(seed, Timing::prompt());
        stage.world.create_principal(WORKER);
        stage.applied("media/images", json!({})).await;
        stage.operator.lag = 4;
        stage.grant("media/worker", to_images(&["Send"], WORKER));
        while !stage.lets_in("media_images", WORKER) {
            stage.run(1).await;
        }
        stage.world.deny(Denial { action: Some("SetQueueAttributes"), queue: None, answer: DeniedAs::AccessDenied });
        stage.kube.delete_access(&key("media/worker"));
        stage.run(60).await;
        assert!(stage.kube.access(&key("media/worker")).is_some(), "seed {seed}");
    }
}

#[tokio::test]
async fn one_that_goes_while_it_is_put_on_record_is_not_let_in() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.kube.meanwhile("WriteStatus", |kube| kube.delete_access(&key("media/worker")));
    let mark = stage.world.mark();
    stage.run(60).await;
    assert!(stage.kube.access(&key("media/worker")).is_none());
    assert_eq!(stage.count("SetQueueAttributes", mark), 0);
    assert!(stage.queue("media/images").status.unwrap().grants.is_empty());
}

#[tokio::test]
async fn a_principal_just_made_is_let_in_soon() {
    let mut stage = with_a_queue(json!({})).await;
    stage.grant("media/nobody", to_images(&["Send"], NOBODY));
    stage.run(5).await;
    assert_eq!(stage.access_condition("media/nobody", "Reconciling"), "True/PrincipalGone");
    stage.world.create_principal(NOBODY);
    stage.run(40).await;
    assert_eq!(stage.access_ready("media/nobody"), "True/Granted");
}

#[tokio::test]
async fn nobody_is_blamed_for_a_principal_of_the_owners() {
    let mut stage = with_a_queue(json!({"access": {"consumers": [{"principalArn": NOBODY}]}})).await;
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "False/Refused");
    assert_eq!(stage.access_ready("media/worker"), "False/Progressing");
    stage.world.create_principal(NOBODY);
    stage.run(60).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
}

#[tokio::test]
async fn a_secret_that_lost_its_label_while_nobody_looked_goes_with_its_name() {
    let mut stage = with_a_queue(json!({})).await;
    let mut to = to_images(&["Send"], WORKER);
    stage.grant("media/worker", to.clone());
    stage.run(5).await;
    let (namespace, name) = ("media".to_owned(), "worker-access".to_owned());
    stage.kube.edit_object(&ObjectId { kind: OutputKind::Secret, namespace, name }, |object| object.labelled = false);
    stage.operator.restart();
    to["secret"] = json!({"name": "another"});
    stage.grant("media/worker", to);
    stage.run(5).await;
    assert!(stage.secret("media/another").is_some() && stage.secret("media/worker-access").is_none());
}

#[tokio::test]
async fn a_queue_that_was_ready_stays_so_whoever_comes() {
    let mut stage = with_a_queue(json!({})).await;
    let since = |stage: &Stage| {
        let conditions = stage.queue("media/images").status.unwrap().conditions;
        conditions
            .into_iter()
            .find(|condition| condition.type_ == "Ready")
            .map(|ready| (ready.status, ready.last_transition_time))
    };
    let before = since(&stage);
    for n in 0..10 {
        stage.grant(&format!("media/nobody-{n}"), to_images(&["Send", "Inspect"], &format!("{NOBODY}-{n}")));
    }
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    for _ in 0..60 {
        stage.run(1).await;
        assert_eq!(since(&stage), before);
    }
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert_eq!(stage.access_ready("media/nobody-9"), "False/PrincipalGone");
    stage.kube.delete_access(&key("media/worker"));
    stage.run(30).await;
    assert!(!stage.lets_in("media_images", WORKER));
    let said = || stage.kube.announcements(&key("media/images")).into_iter().map(|event| event.reason);
    assert!(said().any(|reason| reason == "Updated"));
    assert!(!said().any(|reason| reason == "DriftRepaired"));
}

/// The class `prod`, whose drift is only told.
fn reporting() -> Class {
    let spec = json!({
        "aws": {"region": REGION, "accountId": ACCOUNT},
        "allowedNamespaces": {"from": "All"}, "drift": {"mode": "Report", "intervalSeconds": 60},
    });
    let object = QueueClass::new("prod", serde_json::from_value(spec).unwrap());
    Class::of(&object, &class(), &Labels::new()).unwrap()
}

#[tokio::test]
async fn where_drift_is_only_told_no_trial_undoes_it() {
    let mut stage = Stage::prompt();
    stage.operator.class = reporting();
    stage.world.create_principal(WORKER);
    stage.applied("media/images", json!({})).await;
    stage.run(1000).await;
    let outside = attributes(&[(Attribute::DelaySeconds, "7")]);
    stage.world.outside(&somebody()).set_queue_attributes(&url("media_images"), &outside).unwrap();
    stage.run(120).await;
    assert_eq!(stage.condition("media/images", "Drifted"), "True/Differs");
    stage.grant("media/nobody", to_images(&["Send"], NOBODY));
    stage.run(600).await;
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "7");
    let kube_mark = stage.kube.mark();
    stage.run(3600).await;
    assert_eq!(stage.kube.writes_since(kube_mark).len(), 0, "nothing is written to say the same again");
    // Who is known is let in all the same, and out.
    stage.grant("media/worker", to_images(&["Send"], WORKER));
    stage.run(120).await;
    assert_eq!(stage.access_ready("media/worker"), "True/Granted");
    assert!(stage.lets_in("media_images", WORKER));
    stage.kube.delete_access(&key("media/worker"));
    stage.run(120).await;
    assert!(stage.kube.access(&key("media/worker")).is_none() && !stage.lets_in("media_images", WORKER));
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "7");
}
