//! What may not change once it is set, nor be set once it was left out.

use serde_json::json;

use super::assert_refused;
use crate::harness::unattended;

#[test]
fn the_type_and_the_name_in_aws_never_change() {
    let (suspend, name) = (true, "one");
    let table = [
        (json!({}), json!({"type": "FIFO"}), "spec.type", "type is immutable"),
        (json!({"type": "FIFO"}), json!({}), "spec.type", "type is immutable"),
        (json!({"queueName": name}), json!({"queueName": "two"}), "spec.queueName", "queueName is immutable"),
        (json!({}), json!({"queueName": name}), "spec.queueName", "queueName is immutable"),
        (json!({"queueName": name}), json!({}), "spec.queueName", "queueName is immutable"),
    ];
    unattended(async |scope| {
        for (number, (mut before, mut after, field, words)) in table.into_iter().enumerate() {
            // Nothing is to be made of these, whoever looks.
            before["suspend"] = json!(suspend);
            after["suspend"] = json!(suspend);
            let object = format!("fixed-{number}");
            scope.apply(&object, before).await;
            let what = format!("{object}: {after}");
            let refusal = scope.try_apply(&object, after).await.expect_err(&what);
            assert_refused(&what, &refusal, field, words);
        }
    });
}

#[test]
fn everything_else_may_change() {
    unattended(async |scope| {
        scope.apply("free", json!({"suspend": true, "delaySeconds": 1, "deadLetter": {"mode": "None"}})).await;
        let all = json!({
            "suspend": true,
            "visibilityTimeoutSeconds": 1,
            "deadLetter": {"managed": {"queueName": "elsewhere"}},
            "encryption": {"mode": "None"},
            "redriveAllow": {"mode": "AllowAll"},
            "deletionPolicy": "Retain",
            "iam": {"policies": ["Send"]},
            "tags": {"team": "x"},
        });
        scope.apply("free", all).await;
    });
}
