//! Managed policies: made, changed, rotated, repaired, left alone, removed.

use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::tags::{OWNER_KEYS, Tags};
use serde_json::{Value, json};

use crate::model::{Denial, DeniedAs, Fault, PolicyView, Timing, Trap};
use crate::stage::{Stage, arn, key, place, somebody, tags};

const IMAGES: &str = "media/images";

fn policies(permissions: &[&str]) -> Value {
    json!({"iam": {"policies": permissions}})
}

/// The policy of `media/images` for a permission, which is there.
fn policy(stage: &Stage, permission: &str) -> PolicyView {
    let found = stage.world.policies_named(&format!("media_images_{permission}_"));
    assert_eq!(found.len(), 1, "{permission}: {found:?}");
    found.into_iter().next().unwrap()
}

fn says(policy: &PolicyView) -> Value {
    serde_json::from_str(&policy.document).unwrap()
}

/// The actions on IAM that changed something since `mark`.
fn iam_writes(stage: &Stage, mark: usize) -> Vec<&'static str> {
    let calls = stage.world.writes_since(mark).into_iter().filter(|call| call.policy.is_some() && call.took_effect);
    calls.map(|call| call.action).collect()
}

/// A stage on which IAM shows every write 10 s late.
fn late() -> Stage {
    Stage::new(1, Timing { iam_shows_after: 10..=10, ..Timing::prompt() })
}

const ANOTHER: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:*"],"Resource":["*"]}]}"#;

#[tokio::test]
async fn each_permission_becomes_a_policy_and_status_names_them() {
    let mut stage = Stage::prompt();
    stage.apply(IMAGES, policies(&["Send", "Consume", "Inspect", "Redrive"]));
    stage.run(0).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged", "in one pass");
    let status = stage.queue(IMAGES).status.unwrap().iam.unwrap().policies;
    for entry in &status {
        let found = policy(&stage, entry.permission.as_str());
        assert_eq!(
            (found.arn.to_string(), Some(found.default_version.clone())),
            (entry.policy_arn.clone(), entry.version_id.clone())
        );
        assert!(OWNER_KEYS.iter().all(|key| found.tags.contains_key(*key)), "{:?}", found.tags);
    }
    assert_eq!(status.len(), 4);
    let send = says(&policy(&stage, "Send"));
    assert_eq!(send["Statement"][0]["Resource"], json!([arn("media_images")]));
    let inspect = says(&policy(&stage, "Inspect"));
    assert_eq!(inspect["Statement"][0]["Resource"], json!([arn("media_images_dlq")]));
}

#[tokio::test]
async fn making_a_policy_is_one_call_and_looking_at_it_is_one() {
    let mut stage = Stage::prompt();
    stage.apply(IMAGES, policies(&["Send"]));
    stage.run(0).await;
    let calls = stage.world.calls_since(0).into_iter().filter(|call| call.policy.is_some());
    assert_eq!(calls.map(|call| call.action).collect::<Vec<_>>(), ["CreatePolicy"]);
    assert_eq!(stage.count("GetCallerIdentity", 0), 1, "asked once before the first create");
    let mark = stage.world.mark();
    stage.operator.round().await;
    let calls = stage.world.calls_since(mark).into_iter().filter(|call| call.policy.is_some());
    assert_eq!(calls.map(|call| call.action).collect::<Vec<_>>(), ["GetPolicy"], "its version is known");
}

#[tokio::test]
async fn at_rest_nothing_is_written_and_iam_is_asked_seldom() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, policies(&["Send", "Redrive"])).await;
    stage.run(1200).await;
    let (mark, kube_mark) = (stage.world.mark(), stage.kube.mark());
    stage.run(6 * 3600).await;
    assert_eq!(stage.writes(mark), 0);
    assert!(stage.kube.writes_since(kube_mark).is_empty());
    let reads = stage.count("GetPolicy", mark);
    assert!((2 * 8..=2 * 13).contains(&reads), "{reads} looks at two policies in 6 h");
    assert_eq!(stage.count("GetPolicyVersion", mark) + stage.count("ListPolicyVersions", mark), 0);
}

#[tokio::test]
async fn a_queue_without_policies_never_calls_iam() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, json!({})).await;
    stage.delete(IMAGES);
    stage.run(400).await;
    assert!(stage.is_gone(IMAGES));
    assert!(stage.world.calls_since(0).iter().all(|call| call.policy.is_none()));
}

#[tokio::test]
async fn one_more_permission_is_one_write() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, policies(&["Send"])).await;
    let mark = stage.world.mark();
    stage.applied(IMAGES, policies(&["Send", "Consume"])).await;
    assert_eq!(iam_writes(&stage, mark), ["CreatePolicy"]);
    let mark = stage.world.mark();
    stage.applied(IMAGES, policies(&["Consume"])).await;
    assert_eq!(iam_writes(&stage, mark), ["DeletePolicy"]);
    assert_eq!(stage.world.policies().len(), 1);
    assert_eq!(stage.ready(IMAGES), "True/Converged");
}

#[tokio::test]
async fn another_key_or_dead_letter_queue_is_a_new_version_of_what_is_about_it() {
    let mut stage = Stage::prompt();
    stage.world.create_key(&place(), "1234", "alias/media");
    stage.applied(IMAGES, policies(&["Send", "Inspect"])).await;
    let kms = json!({"mode": "KMS", "kms": {"key": "alias/media"}});
    let mark = stage.world.mark();
    stage.applied(IMAGES, json!({"iam": {"policies": ["Send", "Inspect"]}, "encryption": kms})).await;
    assert_eq!(iam_writes(&stage, mark), ["CreatePolicyVersion", "CreatePolicyVersion"]);
    for permission in ["Send", "Inspect"] {
        let text = policy(&stage, permission).document;
        assert!(text.contains("alias/media") && text.contains("sqs.eu-central-1.amazonaws.com"), "{text}");
    }
    let mark = stage.world.mark();
    let renamed = json!({"managed": {"queueName": "letters"}});
    let spec = json!({"iam": {"policies": ["Send", "Inspect"]}, "encryption": kms, "deadLetter": renamed});
    stage.applied(IMAGES, spec).await;
    assert_eq!(iam_writes(&stage, mark), ["CreatePolicyVersion"], "Send is not about it");
    assert!(policy(&stage, "Inspect").document.contains(&arn("letters")));
    assert_eq!(policy(&stage, "Send").default_version, "v2");
}

#[tokio::test]
async fn the_key_of_a_referenced_dead_letter_queue_is_followed() {
    let mut stage = Stage::prompt();
    stage.world.create_key(&place(), "1234", "alias/media");
    stage.applied("media/dead", json!({"deadLetter": {"mode": "None"}, "messageRetentionSeconds": 1_209_600})).await;
    let reference = json!({"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}});
    stage.applied(IMAGES, json!({"iam": {"policies": ["Inspect"]}, "deadLetter": reference})).await;
    stage.run(60).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
    assert!(!policy(&stage, "Inspect").document.contains("kms:"));
    let kms = json!({"mode": "KMS", "kms": {"key": "alias/media"}});
    stage.apply(
        "media/dead",
        json!({"deadLetter": {"mode": "None"}, "messageRetentionSeconds": 1_209_600, "encryption": kms}),
    );
    stage.run(60).await;
    let text = policy(&stage, "Inspect").document;
    assert!(text.contains("kms:Decrypt") && text.contains("alias/media"), "{text}");
}

#[tokio::test]
async fn versions_rotate_within_five_and_the_one_in_force_is_never_deleted() {
    let mut stage = Stage::prompt();
    stage.world.create_key(&place(), "1234", "alias/media");
    for n in 0..12 {
        let managed = json!({"managed": {"queueName": format!("letters{n}")}});
        stage.apply(IMAGES, json!({"iam": {"policies": ["Inspect"]}, "deadLetter": managed}));
        stage.run(120).await;
        let found = policy(&stage, "Inspect");
        assert!(found.document.contains(&format!("letters{n}")), "{n}: {found:?}");
        assert!(found.versions.len() <= 4 && found.default_version == format!("v{}", n + 1), "{n}: {found:?}");
    }
    let refused = |kind| {
        stage.world.calls_since(0).iter().filter(|call| call.policy.is_some() && call.answer == Err(kind)).count()
    };
    assert_eq!((refused(ErrorKind::LimitExceeded), refused(ErrorKind::DeleteConflict)), (0, 0));
    let deleted = stage.world.writes_since(0).into_iter().filter(|call| call.action == "DeletePolicyVersion");
    let deleted: Vec<String> = deleted.map(|call| call.arguments.keys[0].clone()).collect();
    assert_eq!(deleted, (1..=8).map(|n| format!("v{n}")).collect::<Vec<_>>(), "the oldest first");
    let writes = stage.world.writes_since(0).into_iter().map(|call| call.action);
    let of_versions: Vec<_> = writes.filter(|action| action.ends_with("PolicyVersion")).collect();
    let is_in_order = |pair: &[&str]| pair[0] == "CreatePolicyVersion" || pair[1] == "CreatePolicyVersion";
    assert!(of_versions.windows(2).all(is_in_order), "each goes once its successor is in force: {of_versions:?}");
}

#[tokio::test]
async fn a_policy_changed_from_outside_is_set_back() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, policies(&["Send"])).await;
    let before = policy(&stage, "Send");
    stage.world.make_version(&somebody(), &before.arn, ANOTHER).unwrap();
    stage.run(2700).await;
    assert_eq!(policy(&stage, "Send").document, before.document);
    let events = stage.kube.announcements(&key(IMAGES));
    assert!(events.iter().any(|event| event.reason == "DriftRepaired" && event.note.contains("policy")), "{events:?}");

    // An older version is put in force, of a policy that has as many as it may.
    while policy(&stage, "Send").versions.len() < 5 {
        stage.world.make_version(&somebody(), &before.arn, ANOTHER).unwrap();
    }
    stage.world.put_in_force(&before.arn, "v2");
    stage.run(2700).await;
    assert_eq!(policy(&stage, "Send").document, before.document);

    stage.world.delete_policy(&before.arn);
    stage.run(2700).await;
    assert_eq!(policy(&stage, "Send").document, before.document);
    assert_eq!(stage.ready(IMAGES), "True/Converged");
}

#[tokio::test]
async fn what_iam_shows_late_is_not_written_again() {
    let mut stage = late();
    stage.world.create_key(&place(), "1234", "alias/media");
    stage.apply(IMAGES, policies(&["Send"]));
    stage.run(0).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
    stage.operator.round().await;
    assert_eq!(stage.ready(IMAGES), "True/Converged", "a policy that does not show yet is no news");
    assert_eq!(stage.condition(IMAGES, "Propagated"), "False/Propagating");
    stage.run(30).await;
    assert_eq!(stage.condition(IMAGES, "Propagated"), "True/ReadBack");
    let kms = json!({"mode": "KMS", "kms": {"key": "alias/media"}});
    stage.apply(IMAGES, json!({"iam": {"policies": ["Send"]}, "encryption": kms}));
    stage.run(0).await;
    stage.operator.restart();
    stage.run(5).await;
    stage.operator.round().await;
    stage.run(60).await;
    assert_eq!(iam_writes(&stage, 0), ["CreatePolicy", "CreatePolicyVersion"], "after a restart neither");
    assert_eq!(policy(&stage, "Send").default_version, "v2");
}

#[tokio::test]
async fn what_was_written_before_a_status_that_failed_is_not_forgotten() {
    let mut stage = late();
    stage.world.create_key(&place(), "1234", "alias/media");
    stage.applied(IMAGES, policies(&["Send"])).await;
    stage.run(60).await;
    let kms = json!({"mode": "KMS", "kms": {"key": "alias/media"}});
    stage.apply(IMAGES, json!({"iam": {"policies": ["Send"]}, "encryption": kms}));
    stage.kube.inject(Trap::new(Fault::Refuse(ErrorKind::Transient)).on("WriteStatus"));
    stage.run(60).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
    assert_eq!(iam_writes(&stage, 0), ["CreatePolicy", "CreatePolicyVersion"]);
}

#[tokio::test]
async fn a_change_of_a_policy_that_does_not_show_yet_waits_for_it() {
    let mut stage = late();
    stage.world.create_key(&place(), "1234", "alias/media");
    stage.apply(IMAGES, policies(&["Send"]));
    stage.run(0).await;
    let kms = json!({"mode": "KMS", "kms": {"key": "alias/media"}});
    stage.apply(IMAGES, json!({"iam": {"policies": ["Send"]}, "encryption": kms}));
    stage.run(0).await;
    assert_eq!(stage.ready(IMAGES), "False/Progressing");
    stage.run(30).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
    assert!(policy(&stage, "Send").document.contains("alias/media"));
}

#[tokio::test]
async fn a_crash_or_a_lost_answer_makes_nothing_twice() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseAnswer, Fault::Refuse(ErrorKind::Transient)] {
        for action in ["CreatePolicy", "CreatePolicyVersion", "DeletePolicyVersion", "DeletePolicy"] {
            for mut stage in [Stage::prompt(), late()] {
                stage.world.create_key(&place(), "1234", "alias/media");
                stage.world.inject(Trap::new(fault).on(action));
                stage.apply(IMAGES, policies(&["Send"]));
                stage.run(120).await;
                assert_eq!(stage.ready(IMAGES), "True/Converged", "{fault:?} {action}");
                assert_eq!(stage.world.policies().len(), 1, "{fault:?} {action}");
                let kms = json!({"mode": "KMS", "kms": {"key": "alias/media"}});
                stage.apply(IMAGES, json!({"iam": {"policies": ["Send"]}, "encryption": kms}));
                stage.run(120).await;
                assert_eq!(stage.ready(IMAGES), "True/Converged", "{fault:?} {action}");
                assert!(policy(&stage, "Send").document.contains("alias/media"), "{fault:?} {action}");
                stage.apply(IMAGES, json!({}));
                stage.run(120).await;
                assert_eq!(stage.world.policies(), [], "{fault:?} {action}");
                assert_eq!(stage.ready(IMAGES), "True/Converged", "{fault:?} {action}");
                assert_eq!(stage.queue(IMAGES).status.unwrap().iam, None, "{fault:?} {action}");
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_policy_of_the_name_is_left_untouched_and_the_queue_works() {
    let other = tags(&[
        ("queue.prism.io/cluster", "other"),
        ("queue.prism.io/cluster-uid", "x"),
        ("queue.prism.io/namespace", "media"),
        ("queue.prism.io/name", "images"),
    ]);
    for owner in [Tags::new(), tags(&[("team", "media")]), other] {
        let mut probe = Stage::prompt();
        probe.applied(IMAGES, policies(&["Send"])).await;
        let arn = policy(&probe, "Send").arn;

        let mut stage = Stage::prompt();
        stage.world.make_policy(&somebody(), &arn, ANOTHER, &owner).unwrap();
        let before = policy(&stage, "Send");
        stage.applied(IMAGES, json!({"iam": {"policies": ["Send", "Consume"]}, "delaySeconds": 5})).await;
        assert_eq!(stage.ready(IMAGES), "False/NotOwned", "{owner:?}");
        assert_eq!(stage.condition(IMAGES, "Stalled"), "True/NotOwned");
        assert!(stage.words(IMAGES).contains(&arn.to_string()));
        assert_eq!(stage.attribute("media_images", prism_queue::domain::attributes::Attribute::DelaySeconds), "5");
        assert!(stage.secret("media/images-queue").is_some());
        policy(&stage, "Consume");
        stage.delete(IMAGES);
        stage.run(400).await;
        assert!(stage.is_gone(IMAGES));
        assert_eq!(stage.world.policies(), [before], "{owner:?}");
    }
}

#[tokio::test]
async fn a_policy_of_the_name_at_another_path_is_told() {
    let mut probe = Stage::prompt();
    probe.applied(IMAGES, policies(&["Send"])).await;
    let arn = policy(&probe, "Send").arn.to_string().replace("/prism-queue/", "/elsewhere/");
    let mut stage = Stage::prompt();
    stage.world.make_policy(&somebody(), &PolicyArn::parse(&arn).unwrap(), ANOTHER, &Tags::new()).unwrap();
    stage.applied(IMAGES, policies(&["Send"])).await;
    assert_eq!(stage.ready(IMAGES), "False/Progressing", "it may be one just made");
    stage.run(120).await;
    assert_eq!(stage.ready(IMAGES), "False/NameConflict");
    stage.world.delete_policy(&PolicyArn::parse(&arn).unwrap());
    stage.run(400).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
}

#[tokio::test]
async fn a_policy_that_is_attached_is_taken_from_nobody() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, policies(&["Send", "Consume"])).await;
    let send = policy(&stage, "Send");
    stage.world.attach(&send.arn, "worker");
    let mark = stage.world.mark();
    stage.applied(IMAGES, json!({"iam": {"policies": ["Consume"]}, "delaySeconds": 5})).await;
    assert_eq!(stage.ready(IMAGES), "False/PolicyAttached");
    assert_eq!(stage.condition(IMAGES, "Stalled"), "-");
    assert!(stage.words(IMAGES).contains("attached 1 times"), "{}", stage.words(IMAGES));
    assert_eq!(stage.attribute("media_images", prism_queue::domain::attributes::Attribute::DelaySeconds), "5");
    stage.run(3600).await;
    assert_eq!(iam_writes(&stage, mark), [""; 0]);
    assert!(policy(&stage, "Send").attached_to.contains("worker"));
    let looks = stage.count("GetPolicy", mark);
    assert!(looks < 30, "{looks} looks in an hour");

    stage.delete(IMAGES);
    stage.run(600).await;
    assert_eq!(stage.ready(IMAGES), "False/PolicyAttached", "the Queue waits");
    assert!(!stage.has("media_images"), "its queue does not");
    stage.world.detach(&send.arn);
    stage.run(400).await;
    assert!(stage.is_gone(IMAGES));
    assert_eq!(stage.world.policies(), []);
}

#[tokio::test]
async fn a_permission_that_comes_back_finds_its_policy() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, policies(&["Send"])).await;
    let before = policy(&stage, "Send");
    stage.world.attach(&before.arn, "worker");
    stage.applied(IMAGES, json!({})).await;
    stage.applied(IMAGES, policies(&["Send"])).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
    assert_eq!(policy(&stage, "Send").attached_to, std::collections::BTreeSet::from(["worker".to_owned()]));
    // Removed and wanted again at once.
    stage.world.detach(&before.arn);
    for mut stage in [stage, late()] {
        for _ in 0..3 {
            stage.apply(IMAGES, json!({}));
            stage.run(1).await;
            stage.apply(IMAGES, policies(&["Send"]));
            stage.run(1).await;
        }
        stage.run(3600).await;
        assert_eq!(stage.ready(IMAGES), "True/Converged");
        assert_eq!(policy(&stage, "Send").document, before.document);
    }
}

#[tokio::test]
async fn deletion_takes_policies_last_and_retain_lets_them_go() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, json!({"iam": {"policies": ["Send", "Inspect"]}, "deletionPolicy": "Delete"})).await;
    let mark = stage.world.mark();
    stage.delete(IMAGES);
    stage.run(400).await;
    assert!(stage.is_gone(IMAGES));
    let writes: Vec<_> = stage.world.writes_since(mark).into_iter().map(|call| call.action).collect();
    assert_eq!(writes, ["DeleteQueue", "DeleteQueue", "DeletePolicy", "DeletePolicy"]);

    let mut stage = Stage::prompt();
    stage.applied(IMAGES, json!({"iam": {"policies": ["Send"]}, "deletionPolicy": "Retain"})).await;
    let before = policy(&stage, "Send");
    stage.world.attach(&before.arn, "worker");
    stage.delete(IMAGES);
    stage.run(30).await;
    assert!(stage.is_gone(IMAGES));
    let left = policy(&stage, "Send");
    assert_eq!((left.document, left.tags, left.attached_to.len()), (before.document, Tags::new(), 1));
}

#[tokio::test]
async fn who_is_denied_iam_still_has_a_queue_and_gets_the_policy_later() {
    let mut stage = Stage::prompt();
    stage.world.deny(Denial { action: Some("CreatePolicy"), queue: None, answer: DeniedAs::AccessDenied });
    stage.applied(IMAGES, policies(&["Send"])).await;
    assert_eq!(stage.ready(IMAGES), "False/Denied");
    assert!(stage.words(IMAGES).contains("CreatePolicy"), "{}", stage.words(IMAGES));
    assert!(stage.has("media_images") && stage.secret("media/images-queue").is_some());
    stage.run(600).await;
    assert_eq!(stage.condition(IMAGES, "Stalled"), "True/Denied", "when it lasts");
    stage.world.calm();
    stage.run(400).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
}

#[tokio::test]
async fn a_policy_that_iam_refuses_keeps_no_other_waiting() {
    let mut stage = Stage::prompt();
    stage.world.inject(Trap::new(Fault::Refuse(ErrorKind::Denied)).on("CreatePolicy"));
    stage.apply(IMAGES, policies(&["Send", "Consume"]));
    stage.run(0).await;
    assert_eq!(stage.world.policies_named("media_images_Send_"), []);
    policy(&stage, "Consume");
    assert_eq!(stage.ready(IMAGES), "False/Denied");
}

#[tokio::test]
async fn readiness_outlives_a_moment_in_which_iam_does_not_answer() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, policies(&["Send"])).await;
    stage.operator.restart();
    let kube_mark = stage.kube.mark();
    stage.world.inject(Trap::new(Fault::Refuse(ErrorKind::Throttled)).on("GetPolicy"));
    stage.run(60).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
    assert!(stage.kube.writes_since(kube_mark).is_empty());
}

#[tokio::test]
async fn an_observed_or_suspended_queue_has_nothing_written_to_iam() {
    for switch in [json!({"managementPolicy": "Observe"}), json!({"suspend": true})] {
        let mut stage = Stage::prompt();
        stage.applied(IMAGES, policies(&["Send"])).await;
        let mark = stage.world.mark();
        let mut spec = switch.clone();
        spec["iam"] = json!({"policies": ["Consume"]});
        stage.applied(IMAGES, spec).await;
        stage.run(3600).await;
        assert_eq!(iam_writes(&stage, mark), [""; 0], "{switch}");
        assert_eq!(stage.world.policies().len(), 1);
    }
}

#[tokio::test]
async fn credentials_of_another_account_make_no_policy_there() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, json!({})).await;
    stage.operator.caller = crate::model::Caller::role("999999999999", crate::stage::REGION, "prism-queue");
    stage.operator.restart();
    stage.apply(IMAGES, policies(&["Send"]));
    stage.run(60).await;
    assert_eq!(stage.world.policies(), []);
    assert_eq!(stage.ready(IMAGES), "False/TargetChanged");
}

#[tokio::test]
async fn what_was_let_go_is_not_touched_again_though_iam_shows_it_late() {
    let mut stage = late();
    let spec = json!({"iam": {"policies": ["Send"]}, "deletionPolicy": "Retain"});
    stage.applied(IMAGES, spec).await;
    // The first pass gets no further than the policy.
    stage.world.inject(Trap::new(Fault::Refuse(ErrorKind::Transient)).on("UntagQueue"));
    let mark = stage.world.mark();
    stage.delete(IMAGES);
    stage.run(60).await;
    assert!(stage.is_gone(IMAGES));
    assert_eq!(iam_writes(&stage, mark), ["UntagPolicy"]);
    let told = stage.kube.announcements(&key(IMAGES));
    assert!(!told.iter().any(|event| event.reason == "LeftBehind"), "{told:?}");
}

#[tokio::test]
async fn a_policy_that_does_not_show_yet_is_not_forgotten_by_letting_go() {
    for deletion_policy in ["Retain", "Delete"] {
        let mut stage = late();
        stage.apply(IMAGES, json!({"iam": {"policies": ["Send"]}, "deletionPolicy": deletion_policy}));
        stage.run(0).await;
        stage.delete(IMAGES);
        stage.run(400).await;
        assert!(stage.is_gone(IMAGES));
        let owned = stage.world.policies().into_iter().filter(|policy| !policy.tags.is_empty());
        assert_eq!(owned.count(), 0, "{deletion_policy}");
    }
}

#[tokio::test]
async fn a_version_that_does_not_show_is_no_policy_that_is_gone() {
    let mut stage = Stage::prompt();
    stage.applied(IMAGES, json!({"iam": {"policies": ["Send"]}})).await;
    stage.run(300).await;
    let before = policy(&stage, "Send");
    // Somebody puts another version in force; IAM shows its number before its text.
    stage.world.make_version(&somebody(), &before.arn, ANOTHER).unwrap();
    stage.world.inject(Trap::new(Fault::Refuse(ErrorKind::EntityDoesNotExist)).on("GetPolicyVersion"));
    stage.world.inject(Trap::new(Fault::Refuse(ErrorKind::EntityDoesNotExist)).on("ListPolicyVersions"));
    stage.apply(IMAGES, json!({}));
    stage.run(900).await;
    assert_eq!(stage.ready(IMAGES), "True/Converged");
    assert_eq!(stage.world.policies_named("media_images_Send_").len(), 0, "none is left behind");
}

#[tokio::test]
async fn a_deletion_that_waits_for_a_policy_names_the_way_out() {
    let mut attached = Stage::prompt();
    attached.applied(IMAGES, json!({"iam": {"policies": ["Send"]}, "deletionPolicy": "Delete"})).await;
    let before = policy(&attached, "Send");
    attached.world.attach(&before.arn, "worker");
    let mut denied = Stage::prompt();
    for action in ["GetPolicy", "CreatePolicy", "DeletePolicy"] {
        denied.world.deny(Denial { action: Some(action), queue: None, answer: DeniedAs::AccessDenied });
    }
    denied.applied(IMAGES, json!({"iam": {"policies": ["Send"]}, "deletionPolicy": "Delete"})).await;
    for stage in [&mut attached, &mut denied] {
        stage.delete(IMAGES);
        stage.run(1800).await;
        let words = stage.words(IMAGES);
        assert!(words.contains("spec.deletionPolicy: Retain"), "{words}");
        stage.apply(IMAGES, json!({"deletionPolicy": "Retain"}));
        stage.run(1800).await;
        assert!(stage.is_gone(IMAGES), "{}", stage.words(IMAGES));
    }
}
