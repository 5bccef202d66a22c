//! The managed policies of `spec.iam.policies`, given to roles, by real calls.

use std::collections::BTreeSet;

use serde_json::json;

use super::as_installed;
use super::calls::{CONSUMING, INSPECTING, NOTHING, SENDING, permitted};
use crate::harness::{ACCOUNT, aws as seen};

#[test]
fn whoever_is_given_a_policy_may_do_what_it_is_for_and_nothing_else() {
    as_installed(&[], async |scope, aws| {
        let policies = json!({"iam": {"policies": ["Send", "Consume", "Inspect"]}});
        let status = scope.apply_ready("work", policies).await.status.expect("a status");
        scope.apply_ready("other", json!({})).await;
        let administrator = aws.root(ACCOUNT).sqs;
        let url = async |queue: String| seen::url(&administrator, &queue).await.expect("it exists");
        let (work, letters) = (url(scope.queue("work")).await, url(scope.dead_letter_queue("work")).await);
        let other = url(scope.queue("other")).await;
        let role = format!("worker-{}", scope.name);
        let worker = aws.session(ACCOUNT, &role, &[]).await;
        let may = async |url: &str| permitted(&worker.sqs, url).await;
        let nothing: BTreeSet<&str> = NOTHING.into();
        assert_eq!(may(&work).await, nothing, "before it is given any");

        let iam = aws.iam(ACCOUNT);
        for entry in status.iam.expect("policies").policies {
            let (of_work, of_letters): (&[&str], &[&str]) = match entry.permission.as_str() {
                "Send" => (&SENDING, &NOTHING),
                "Consume" => (&CONSUMING, &NOTHING),
                _ => (&NOTHING, &INSPECTING),
            };
            let arn = &entry.policy_arn;
            iam.attach_role_policy().role_name(&role).policy_arn(arn).send().await.expect("AttachRolePolicy");
            let word = entry.permission.as_str();
            assert_eq!(may(&work).await, of_work.iter().copied().collect(), "{word}");
            assert_eq!(may(&letters).await, of_letters.iter().copied().collect(), "{word}");
            assert_eq!(may(&other).await, nothing, "{word}");
            iam.detach_role_policy().role_name(&role).policy_arn(arn).send().await.expect("DetachRolePolicy");
            assert_eq!(may(&work).await, nothing, "{word} was taken away");
        }
    });
}
