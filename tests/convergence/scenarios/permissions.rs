//! The operator's own permissions: a life of Queues and `QueueAccess`es under the printed policy, and what fails when a statement
//! of it is left out.

use std::collections::BTreeSet;
use std::sync::Arc;

use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::class::{Class, Limits};
use prism_queue::domain::identity::{EksCluster, Making, RoleArn, Way};
use prism_queue::domain::operator_policy::Identity;
use prism_queue::domain::tags::{Origin, Owner, Tags};
use serde_json::{Value, json};

use crate::driver::Operator;
use crate::judge::without;
use crate::model::Timing;
use crate::stage::{
    ACCOUNT, BOUNDARY, Stage, attributes, class, key, operator, place, printed, queue_name, somebody, url,
};

const BATCH: &str = "arn:aws:iam::123456789012:role/batch/worker";
const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

fn policy() -> Value {
    printed(&Identity::Operator, &json!({}))
}

fn stage_under(policy: Value) -> Stage {
    let mut stage = Stage::new(1, Timing::prompt());
    let limits = json!({"iam": {"roleArnPatterns": [BATCH]}, "adoptionPolicies": ["Never", "Adopt"]});
    let limits = serde_json::from_value(limits).expect("limits");
    let cluster = EksCluster { name: "prod-1".to_owned(), place: place(), boundary: None };
    let class = Class {
        name: "prod".to_owned(),
        limits: Limits::Class { name: "prod".to_owned(), limits: Box::new(limits) },
        roles: Some(Making { boundary: BOUNDARY.to_owned(), way: Way::PodIdentity(cluster) }),
        ..class()
    };
    let caller = operator().under(Arc::new(policy));
    stage.operator = Operator::new(&stage.world, &stage.kube, &caller, &class);
    stage.world.make_cluster(&place(), "prod-1");
    stage.world.create_key(&place(), "1234", "alias/media");
    stage
}

fn images(extra: &Value) -> Value {
    let mut spec = json!({
        "encryption": {"mode": "KMS", "kms": {"key": "alias/media"}},
        "access": {"producers": [{"accountId": ACCOUNT}], "allowedNamespaces": {"from": "All"}},
        "iam": {"policies": ["Inspect"]},
        "tags": {"team": "media"},
    });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    spec
}

/// All that the operator does for Queues.
async fn queues(stage: &mut Stage) {
    stage.world.outside(&somebody()).create_queue(&queue_name("media_legacy"), &attributes(&[]), &Tags::new()).unwrap();
    stage.applied("media/legacy", json!({"adoptionPolicy": "Adopt", "deletionPolicy": "Delete"})).await;
    stage.applied("media/missing", json!({"managementPolicy": "Observe"})).await;
    stage.applied("media/images", images(&json!({}))).await;
    // The key by another name, other tags, and another dead-letter queue for the policy.
    let there = attributes(&[(Attribute::KmsMasterKeyId, "1234"), (Attribute::DelaySeconds, "9")]);
    drop(stage.world.outside(&somebody()).set_queue_attributes(&url("media_images"), &there));
    stage.operator.round().await;
    let another = json!({"tags": {"cost-center": "42"}, "deadLetter": {"managed": {"queueName": "another"}}});
    stage.applied("media/images", images(&another)).await;
    for policy in stage.world.policies() {
        drop(stage.world.make_version(&somebody(), &policy.arn, NOTHING));
    }
    for policy in stage.world.policies() {
        stage.world.put_in_force(&policy.arn, policy.versions.last().expect("versions"));
    }
    stage.run(4000).await;
}

/// All that it does for `QueueAccess`es.
async fn accesses(stage: &mut Stage) {
    let access = |subject: Value| {
        json!({
            "queueRef": {"name": "images", "namespace": "media"}, "permissions": ["Consume"], "subject": subject,
        })
    };
    stage.kube.put_account(&key("web/resizer"), None);
    stage.world.put_role(&RoleArn::parse(BATCH).unwrap(), &Tags::new(), &[]);
    stage.grant("web/resizer", access(json!({"serviceAccount": {"name": "resizer"}})));
    stage.grant("web/batch", access(json!({"roleArn": BATCH})));
    stage.run(300).await;
    // What others do is set back.
    for role in stage.world.roles().into_iter().filter(|role| role.arn.to_string() != BATCH) {
        stage.world.put_trust(&role.arn, serde_json::from_str(NOTHING).unwrap());
        stage.world.unbind_role(&role.arn);
    }
    for policy in stage.world.policies() {
        stage.world.detach(&policy.arn);
    }
    let owner =
        Owner { cluster: class().cluster, namespace: "web".to_owned(), name: "serviceaccount/resizer".to_owned() };
    for (key, _) in stage.world.associations() {
        stage.world.associate(&operator(), &key, BATCH, &owner.tags(Origin::Created)).unwrap();
    }
    stage.run(4000).await;
}

async fn live(policy: Value) -> Stage {
    let mut stage = stage_under(policy);
    queues(&mut stage).await;
    accesses(&mut stage).await;
    for access in ["web/resizer", "web/batch"] {
        stage.kube.delete_access(&key(access));
    }
    stage.run(900).await;
    for queue in ["media/images", "media/legacy", "media/missing"] {
        stage.delete(queue);
    }
    stage.run(900).await;
    stage
}

/// What was denied, as actions.
fn denied(stage: &Stage) -> BTreeSet<&'static str> {
    let calls = stage.world.calls_since(0).into_iter();
    let denied = calls.filter(|call| matches!(call.answer, Err(ErrorKind::Denied | ErrorKind::KmsDenied)));
    denied.map(|call| call.action).collect()
}

#[tokio::test]
async fn the_printed_policy_is_enough_for_queues_and_for_all_subjects() {
    let stage = live(policy()).await;
    assert_eq!(denied(&stage), BTreeSet::new());
    let names: Vec<String> = stage.world.queues().iter().map(|queue| queue.arn.name().to_owned()).collect();
    assert_eq!(names, [""; 0]);
    let roles: Vec<String> = stage.world.roles().iter().map(|role| role.arn.to_string()).collect();
    assert_eq!(roles, [BATCH]);
    assert!(stage.world.policies().is_empty() && stage.world.associations().is_empty());
}

#[tokio::test]
async fn without_any_one_statement_of_it_a_call_is_denied() {
    let whole = policy();
    let sids = whole["Statement"].as_array().unwrap().iter().map(|statement| statement["Sid"].as_str().unwrap());
    let mut unmissed = Vec::new();
    for sid in sids {
        let stage = live(without(&whole, sid)).await;
        if denied(&stage).is_empty() {
            unmissed.push(sid);
        }
    }
    assert_eq!(unmissed, [""; 0], "nothing is denied without them");
}
