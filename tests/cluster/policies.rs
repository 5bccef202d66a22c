//! Managed policies, as IAM has them and as a role that is given one would be judged. The emulator does not enforce policies
//! here; its `SimulatePrincipalPolicy` evaluates them.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{PolicyEvaluationDecisionType, Tag};
use percent_encoding::percent_decode_str;
use prism_queue::api::Queue;
use serde_json::{Value, json};

use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, aws, condition, shared};

/// The ARN of the policy for a permission, by status, once it is there.
fn policy_arn(queue: &Queue, permission: &str) -> Option<String> {
    let policies = &queue.status.as_ref()?.iam.as_ref()?.policies;
    let entry = policies.iter().find(|entry| entry.permission.as_str() == permission)?;
    entry.version_id.as_ref().map(|_| entry.policy_arn.clone())
}

/// The version in force and what it says.
async fn in_force(iam: &Client, arn: &str) -> Option<(String, Value)> {
    let version = iam.get_policy().policy_arn(arn).send().await.ok()?.policy?.default_version_id?;
    let read = iam.get_policy_version().policy_arn(arn).version_id(&version).send().await.ok()?;
    let document = read.policy_version?.document?;
    let text = percent_decode_str(&document).decode_utf8().expect("UTF-8").into_owned();
    Some((version, serde_json::from_str(&text).expect("JSON")))
}

/// Whether a role of this name may do so.
async fn may(iam: &Client, role: &str, action: &str, queue: &str) -> bool {
    let simulation = iam.simulate_principal_policy().action_names(action).resource_arns(aws::arn(queue));
    let role = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
    let answer = simulation.policy_source_arn(role).send().await.expect("the emulator simulates");
    let results = answer.evaluation_results.expect("results");
    assert_eq!(results.len(), 1);
    results[0].eval_decision == PolicyEvaluationDecisionType::Allowed
}

#[test]
fn a_role_that_is_given_a_policy_may_do_what_it_is_for_and_nothing_else() {
    shared(async |scope| {
        let queue = scope.apply_ready("work", json!({"iam": {"policies": ["Send", "Inspect"]}})).await;
        let (iam, role) = (scope.world.iam(), format!("{}-worker", scope.name));
        aws::make_role(&iam, &role).await;
        let (source, letters) = (scope.queue("work"), scope.dead_letter_queue("work"));
        assert!(!may(&iam, &role, "sqs:SendMessage", &source).await, "not yet");
        for (permission, of_source, of_letters) in
            [("Send", "sqs:SendMessage", ""), ("Inspect", "", "sqs:ReceiveMessage")]
        {
            let arn = policy_arn(&queue, permission).expect("status names the policy");
            iam.attach_role_policy().role_name(&role).policy_arn(&arn).send().await.unwrap();
            for action in ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:PurgeQueue"] {
                assert_eq!(may(&iam, &role, action, &source).await, action == of_source, "{permission}: {action}");
                assert_eq!(may(&iam, &role, action, &letters).await, action == of_letters, "{permission}: {action}");
                assert!(!may(&iam, &role, action, &scope.queue("other")).await, "{permission}: {action}");
            }
            iam.detach_role_policy().role_name(&role).policy_arn(&arn).send().await.unwrap();
        }
        let tags = iam.list_policy_tags().policy_arn(policy_arn(&queue, "Send").unwrap()).send().await.unwrap().tags;
        let name = Tag::builder().key("queue.prism.io/name").value("work").build().unwrap();
        assert!(tags.contains(&name), "{tags:?}");
    });
}

#[test]
fn another_key_is_a_new_version_and_what_others_change_is_set_back() {
    shared(async |scope| {
        let queue = scope.apply_ready("work", json!({"iam": {"policies": ["Consume"]}})).await;
        let (iam, arn) = (scope.world.iam(), policy_arn(&queue, "Consume").expect("it is there"));
        let (first, before) = in_force(&iam, &arn).await.unwrap();
        assert_eq!((first.as_str(), before["Statement"].as_array().unwrap().len()), ("v1", 1));

        let key = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let kms = json!({"mode": "KMS", "kms": {"key": key}});
        scope.apply_ready("work", json!({"iam": {"policies": ["Consume"]}, "encryption": kms})).await;
        let (second, document) = in_force(&iam, &arn).await.unwrap();
        assert_eq!(second, "v2");
        assert!(document.to_string().contains(&format!("key/{key}")), "{document}");

        let other = iam.create_policy_version().policy_arn(&arn).policy_document(before.to_string());
        other.set_as_default(true).send().await.unwrap();
        scope.poke("work").await;
        let look = async || in_force(&iam, &arn).await.unwrap();
        eventually("it is set back", look, |(_, now)| *now == document).await;
        let told = async || scope.events("work").await;
        let is_told = |events: &Vec<(String, String)>| {
            events.iter().any(|(reason, note)| reason == "DriftRepaired" && note.contains(&arn))
        };
        eventually("the repair is told", told, is_told).await;
    });
}

#[test]
fn an_attached_policy_outlives_its_permission_and_its_queue_until_it_is_detached() {
    shared(async |scope| {
        let queue = scope.apply_ready("work", json!({"iam": {"policies": ["Send"]}, "deletionPolicy": "Delete"})).await;
        let (iam, role) = (scope.world.iam(), format!("{}-worker", scope.name));
        let arn = policy_arn(&queue, "Send").expect("it is there");
        aws::make_role(&iam, &role).await;
        iam.attach_role_policy().role_name(&role).policy_arn(&arn).send().await.unwrap();

        scope.apply("work", json!({"deletionPolicy": "Delete", "delaySeconds": 3})).await;
        let queue = scope.says("work", "PolicyAttached").await;
        assert!(condition(&queue, "Stalled").is_none());
        scope.reads(&scope.queue("work"), "DelaySeconds", "3").await;
        scope.delete("work").await;
        scope.is_deleted(&scope.queue("work")).await;
        scope.says("work", "PolicyAttached").await;
        assert!(in_force(&iam, &arn).await.is_some(), "nobody lost it");

        iam.detach_role_policy().role_name(&role).policy_arn(&arn).send().await.unwrap();
        scope.poke("work").await;
        scope.gone("work").await;
        assert_eq!(in_force(&iam, &arn).await, None);
    });
}

#[test]
fn a_policy_of_somebody_else_is_left_alone() {
    shared(async |scope| {
        let queue = scope.apply_ready("work", json!({"iam": {"policies": ["Send"]}, "deletionPolicy": "Retain"})).await;
        let (iam, arn) = (scope.world.iam(), policy_arn(&queue, "Send").expect("it is there"));
        scope.delete("work").await;
        scope.gone("work").await;
        let tags = iam.list_policy_tags().policy_arn(&arn).send().await.unwrap().tags;
        assert_eq!(tags, [], "Retain lets it go");

        let spec = json!({"iam": {"policies": ["Send"]}, "adoptionPolicy": "Adopt"});
        scope.apply("work", spec).await;
        let queue = scope.says("work", "NotOwned").await;
        assert!(condition(&queue, "Stalled").is_some_and(|stalled| stalled.message.contains(&arn)));
        assert_eq!(in_force(&iam, &arn).await.unwrap().0, "v1");
        iam.delete_policy().policy_arn(&arn).send().await.unwrap();
        scope.poke("work").await;
        scope.ready("work").await;
    });
}
