//! What the API server cannot see to be wrong, the operator says: all of it at once, with the fields' paths.

use serde_json::json;

use crate::harness::{PREFIX, aws, condition, is_ready, shared};

#[test]
fn all_errors_are_told_at_once_with_their_paths() {
    shared(async |scope| {
        let allow = |principal: &str, action: &str| json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action});
        let theirs = format!("{PREFIX}another-namespace_images");
        let spec = json!({
            "queueName": theirs,
            "messageRetentionSeconds": 1_209_600,
            "deadLetter": {"managed": {"messageRetentionSeconds": 3600}},
            "encryption": {"mode": "KMS"},
            "access": {"statements": [
                allow("*", "sqs:SendMessage"),
                allow("arn:aws:iam::999999999999:root", "sqs:SendMessage"),
                allow("arn:aws:iam::300000000001:root", "sqs:DeleteQueue"),
                {"Effect": "Allow", "NotPrincipal": {"AWS": "*"}, "Action": "sqs:SendMessage"},
            ]},
        });
        let mark = scope.world.proxy.mark();
        scope.apply("wrong", spec).await;
        let queue = scope.says("wrong", "InvalidSpec").await;
        let stalled = condition(&queue, "Stalled").expect("a person must mend it");
        assert_eq!((stalled.status.as_str(), stalled.observed_generation), ("True", queue.metadata.generation));
        for path in [
            "spec.queueName",
            "spec.deadLetter.managed.messageRetentionSeconds",
            "spec.encryption.kms.key",
            "spec.access.statements[0].Principal",
            "spec.access.statements[1].Principal",
            "spec.access.statements[2].Action",
            "spec.access.statements[3].NotPrincipal",
        ] {
            assert!(stalled.message.contains(path), "{path} is missing in: {}", stalled.message);
        }
        assert!(condition(&queue, "Reconciling").is_none(), "nothing comes by itself");
        let calls = scope.world.proxy.since(mark);
        assert!(!calls.iter().any(|call| call.queue.as_deref() == Some(theirs.as_str())), "nothing reaches AWS");

        // Mended, it goes on at once. (Its name is fixed for good, so it takes another object.)
        let spec = json!({"messageRetentionSeconds": 3600, "deadLetter": {"managed": {"messageRetentionSeconds": 60}}});
        scope.apply("mended", spec).await;
        scope.says("mended", "InvalidSpec").await;
        let mended = scope.apply_ready("mended", json!({})).await;
        assert!(condition(&mended, "Stalled").is_none());
    });
}

#[test]
fn a_spec_that_becomes_wrong_changes_nothing_of_what_is_there() {
    shared(async |scope| {
        scope.apply_ready("images", json!({"visibilityTimeoutSeconds": 40})).await;
        let secret = scope.secret("images-queue").await;
        let wrong = json!({
            "visibilityTimeoutSeconds": 50,
            "deadLetter": {"managed": {"messageRetentionSeconds": 60}},
        });
        scope.apply("images", wrong).await;
        let queue = scope.says("images", "InvalidSpec").await;
        assert!(!is_ready(&queue));
        assert_eq!(scope.attributes(&scope.queue("images")).await["VisibilityTimeout"], "40");
        assert_eq!(scope.secret("images-queue").await, secret);
        assert_eq!(queue.status.unwrap().queue_url.as_ref(), Some(&secret["QUEUE_URL"]));
    });
}

#[test]
fn a_bad_queue_and_a_denied_one_disturb_no_other() {
    use crate::proxy::{Fault, Rule};
    shared(async |scope| {
        let denied = scope.queue("denied");
        scope.world.proxy.inject(Rule::new(Fault::access_denied()).action("CreateQueue").queue(&denied));
        scope.apply("bad", json!({"encryption": {"mode": "KMS"}})).await;
        scope.apply("denied", json!({})).await;
        scope.says("bad", "InvalidSpec").await;
        let told = scope.says("denied", "Denied").await;
        let message = &condition(&told, "Ready").unwrap().message;
        assert!(message.contains(&denied) && message.contains("CreateQueue"), "{message}");
        assert!(condition(&told, "Stalled").is_none(), "permissions take a while to be known");

        scope.apply_ready("good", json!({})).await;
        aws::send(&scope.world.sqs, &scope.secret("good-queue").await["QUEUE_URL"], "hello").await;
        scope.apply_ready("good", json!({"delaySeconds": 1})).await;
    });
}
