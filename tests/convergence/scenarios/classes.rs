//! Classes: limits that come later, classes that change, drift that is only told.

use prism_queue::api::QueueClass;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::class::{Class, Labels};
use serde_json::{Value, json};

use crate::stage::{ACCOUNT, REGION, Stage, attributes, class, somebody, url};

/// The class `prod` of this account and region.
fn prod(rules: &Value) -> Class {
    let mut spec = json!({"aws": {"region": REGION, "accountId": ACCOUNT}, "allowedNamespaces": {"from": "All"}});
    spec.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    let object = QueueClass::new("prod", serde_json::from_value(spec).unwrap());
    Class::of(&object, &class(), &Labels::new()).unwrap()
}

/// The operator goes on with other rules.
async fn ruled(stage: &mut Stage, class: Class) {
    stage.operator.class = class;
    stage.operator.restart();
    stage.run(30).await;
}

fn class_on_record(stage: &Stage) -> String {
    stage.queue("media/images").status.unwrap().target.unwrap().queue_class_name
}

#[tokio::test]
async fn a_class_of_the_same_place_takes_over_from_the_flags_and_only_what_differs_is_written() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"tags": {"team": "media"}})).await;
    let mark = stage.world.mark();
    ruled(&mut stage, prod(&json!({}))).await;
    assert_eq!(
        (stage.ready("media/images"), class_on_record(&stage)),
        ("True/Converged".to_owned(), "prod".to_owned())
    );
    assert_eq!(stage.writes(mark), 0);
    ruled(&mut stage, prod(&json!({"defaults": {"delaySeconds": 3}, "tags": {"cost-center": "42", "team": "house"}})))
        .await;
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "3");
    for name in ["media_images", "media_images_dlq"] {
        let tags = stage.aws(name).tags;
        assert_eq!((tags["cost-center"].as_str(), tags["team"].as_str()), ("42", "house"), "{name}");
    }
    // What the class gave goes with it, and the Queue's own comes back.
    ruled(&mut stage, prod(&json!({}))).await;
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "0");
    let tags = stage.aws("media_images").tags;
    assert_eq!((tags.get("cost-center"), tags["team"].as_str()), (None, "media"));
}

#[tokio::test]
async fn a_tightened_limit_leaves_the_queue_as_it_is_and_says_so_until_it_is_kept() {
    let mut stage = Stage::prompt();
    ruled(&mut stage, prod(&json!({}))).await;
    stage.applied("media/images", json!({"delaySeconds": 9})).await;
    let secret = stage.secret("media/images-queue");
    let mark = stage.world.mark();
    ruled(&mut stage, prod(&json!({"limits": {"delaySeconds": {"max": 5}}}))).await;
    assert_eq!(stage.condition("media/images", "Stalled"), "True/NotAllowedByClass");
    assert_eq!(
        stage.words("media/images"),
        "spec.delaySeconds: 9 is not allowed by class \"prod\", which allows at most 5"
    );
    stage.run(3600).await;
    assert_eq!(stage.writes(mark), 0);
    assert_eq!(stage.secret("media/images-queue"), secret);
    stage.applied("media/images", json!({"delaySeconds": 5})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "5");
}

#[tokio::test]
async fn a_queue_with_a_deletion_policy_that_is_not_allowed_is_held_back_with_retain_as_the_way_out() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deletionPolicy": "Delete"})).await;
    ruled(&mut stage, prod(&json!({"limits": {"deletionPolicies": ["DeleteIfEmpty"]}}))).await;
    stage.delete("media/images");
    stage.run(600).await;
    assert_eq!(stage.ready("media/images"), "False/NotAllowedByClass");
    assert!(stage.has("media_images"));
    stage.applied("media/images", json!({"deletionPolicy": "Retain"})).await;
    assert!(stage.is_gone("media/images") && stage.has("media_images"));
}

#[tokio::test]
async fn where_drift_is_only_told_nothing_from_outside_is_undone_and_the_spec_still_is_applied() {
    let mut stage = Stage::prompt();
    ruled(&mut stage, prod(&json!({"drift": {"mode": "Report", "intervalSeconds": 60}}))).await;
    stage.applied("media/images", json!({})).await;
    assert_eq!(stage.condition("media/images", "Drifted"), "-");
    stage.run(1000).await;

    let outside = attributes(&[(Attribute::DelaySeconds, "7"), (Attribute::RedrivePolicy, "")]);
    stage.world.outside(&somebody()).set_queue_attributes(&url("media_images"), &outside).unwrap();
    let mark = stage.world.mark();
    stage.run(120).await;
    assert_eq!(stage.condition("media/images", "Drifted"), "True/Differs");
    assert_eq!(stage.ready("media/images"), "True/Converged");
    stage.operator.restart();
    stage.run(3600).await;
    assert_eq!(stage.writes(mark), 0);
    let kube_mark = stage.kube.mark();
    stage.operator.round().await;
    assert!(stage.kube.writes_since(kube_mark).is_empty(), "at rest");

    stage.applied("media/images", json!({"visibilityTimeoutSeconds": 9})).await;
    assert_eq!(stage.attribute("media_images", Attribute::VisibilityTimeout), "9");
    assert_eq!(stage.attribute("media_images", Attribute::DelaySeconds), "0");
    assert_eq!(
        (stage.ready("media/images").as_str(), stage.condition("media/images", "Drifted").as_str()),
        ("True/Converged", "-")
    );
}

#[tokio::test]
async fn where_drift_is_only_told_a_queue_deleted_from_outside_is_missed() {
    let mut stage = Stage::prompt();
    ruled(&mut stage, prod(&json!({"drift": {"mode": "Report"}}))).await;
    stage.applied("media/images", json!({})).await;
    for name in ["media_images", "media_images_dlq"] {
        stage.world.outside(&somebody()).delete_queue(&url(name)).unwrap();
    }
    let mark = stage.world.mark();
    stage.run(3600).await;
    assert_eq!((stage.ready("media/images").as_str(), stage.writes(mark)), ("False/NotFound", 0));
    stage.applied("media/images", json!({"delaySeconds": 1})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.has("media_images") && stage.has("media_images_dlq"));
}

fn elsewhere(rules: &Value) -> Class {
    let mut class = prod(rules);
    class.place.account_id = "222222222222".to_owned();
    class
}

#[tokio::test]
async fn observe_in_a_class_of_another_account_looks_at_no_queue_of_the_callers() {
    let mut stage = Stage::prompt();
    stage
        .world
        .outside(&somebody())
        .create_queue(&crate::stage::queue_name("media_images"), &attributes(&[]), &crate::stage::tags(&[]))
        .unwrap();
    ruled(&mut stage, elsewhere(&json!({}))).await;
    stage.applied("media/images", json!({"managementPolicy": "Observe"})).await;
    assert!(stage.secret("media/images-queue").is_none());
}

#[tokio::test]
async fn adopt_in_a_class_of_another_account_takes_no_queue_of_the_callers() {
    let mut stage = Stage::prompt();
    stage
        .world
        .outside(&somebody())
        .create_queue(&crate::stage::queue_name("jobs"), &attributes(&[]), &crate::stage::tags(&[]))
        .unwrap();
    ruled(
        &mut stage,
        elsewhere(&json!({"limits": {"adoptionPolicies": ["Adopt", "Never"], "queueNamePattern": "jobs"}})),
    )
    .await;
    stage.apply(
        "media/first",
        json!({"queueName": "jobs", "adoptionPolicy": "Adopt", "deadLetter": {"mode": "None"}, "suspend": true}),
    );
    stage.run(5).await;
    let mark = stage.world.mark();
    stage
        .applied(
            "media/second",
            json!({"queueName": "jobs", "adoptionPolicy": "Adopt", "deadLetter": {"mode": "None"}}),
        )
        .await;
    assert_eq!(stage.writes(mark), 0);
}

#[tokio::test]
async fn own_identity_of_another_account_deletes_nothing_of_its_own_account() {
    let mut stage = Stage::prompt();
    // Made under a class of the account 2222 with its role.
    let (own, far) = (stage.operator.caller.clone(), crate::model::Caller::role("222222222222", REGION, "prism-queue"));
    stage.operator.caller = far;
    ruled(&mut stage, elsewhere(&json!({}))).await;
    stage.applied("media/images", json!({"deletionPolicy": "Delete", "deadLetter": {"mode": "None"}})).await;
    // A queue of this Queue's former self, left in the operator's own account with its owner tags.
    let theirs = stage.world.queue("https://sqs.eu-central-1.amazonaws.com/222222222222/media_images").unwrap().tags;
    stage
        .world
        .outside(&somebody())
        .create_queue(&crate::stage::queue_name("media_images"), &attributes(&[]), &theirs)
        .unwrap();
    // The class loses its role.
    stage.operator.caller = own;
    stage.operator.restart();
    let mark = stage.world.mark();
    stage.run(1200).await;
    let live = stage.writes(mark);
    stage.delete("media/images");
    stage.run(1200).await;
    assert!(live == 0 && stage.has("media_images"));
}

#[tokio::test]
async fn a_class_made_anew_elsewhere_does_not_repoint_the_secret() {
    let mut stage = Stage::prompt();
    let aws =
        |region: &str, url: &str| json!({"aws": {"region": region, "accountId": ACCOUNT, "workloadEndpointUrl": url}});
    ruled(&mut stage, prod(&aws(REGION, "https://here"))).await;
    stage.applied("media/images", json!({})).await;
    let before = stage.secret("media/images-queue");
    ruled(&mut stage, prod(&aws("us-east-1", "https://there"))).await;
    assert_eq!(stage.condition("media/images", "Stalled"), "True/TargetChanged");
    assert_eq!(stage.secret("media/images-queue").map(|s| s.content), before.map(|s| s.content));
}

#[tokio::test]
async fn a_class_with_limits_holds_for_a_queue_made_under_the_flags_that_it_refuses() {
    use prism_queue::api::IS_DEFAULT_CLASS;
    use prism_queue::domain::class::Catalog;
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deletionPolicy": "Delete"})).await;
    let rules = json!({"limits": {"deletionPolicies": ["Retain"]}});
    let mut spec = json!({"aws": {"region": REGION, "accountId": ACCOUNT}, "allowedNamespaces": {"from": "All"}});
    spec.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    let mut object = QueueClass::new("prod", serde_json::from_value(spec).unwrap());
    object.metadata.annotations.get_or_insert_default().insert(IS_DEFAULT_CLASS.to_owned(), "true".to_owned());
    let mut catalog = Catalog::new(class());
    catalog.put_class(object);
    stage.operator.class = catalog.class_for(&stage.queue("media/images")).unwrap();
    stage.operator.restart();
    stage.run(60).await;
    assert_eq!(stage.condition("media/images", "Stalled"), "True/NotAllowedByClass");
    stage.operator.claim.store(0, std::sync::atomic::Ordering::Relaxed);
    stage.delete("media/images");
    stage.operator.class = catalog.class_for(&stage.queue("media/images")).unwrap();
    stage.operator.claim.store(usize::MAX, std::sync::atomic::Ordering::Relaxed);
    stage.operator.restart();
    stage.run(600).await;
    assert!(stage.has("media_images"), "deleted by Delete, which the default class forbids");
}
