//! From `kubectl apply` to a message received.

use serde_json::json;

use crate::harness::{ACCOUNT, REGION, aws, shared};

#[test]
fn the_smallest_queue_becomes_a_queue_that_a_workload_can_use() {
    shared(async |scope| {
        let queue = scope.apply_ready("images", json!({})).await;

        let secret = scope.secret("images-queue").await;
        let (name, dead_letters) = (scope.queue("images"), scope.dead_letter_queue("images"));
        let keys: Vec<&str> = secret.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "DEAD_LETTER_QUEUE_ARN",
                "DEAD_LETTER_QUEUE_URL",
                "QUEUE_ARN",
                "QUEUE_NAME",
                "QUEUE_REGION",
                "QUEUE_TYPE",
                "QUEUE_URL"
            ]
        );
        assert_eq!(secret["QUEUE_NAME"], name);
        assert_eq!(secret["QUEUE_ARN"], aws::arn(&name));
        assert_eq!(secret["DEAD_LETTER_QUEUE_ARN"], aws::arn(&dead_letters));
        assert_eq!((secret["QUEUE_REGION"].as_str(), secret["QUEUE_TYPE"].as_str()), (REGION, "Standard"));

        let sqs = &scope.world.sqs;
        aws::send(sqs, &secret["QUEUE_URL"], "hello").await;
        assert_eq!(aws::consume(sqs, &secret["QUEUE_URL"]).await.as_deref(), Some("hello"));

        let status = queue.status.unwrap();
        assert_eq!(status.queue_url.as_ref(), Some(&secret["QUEUE_URL"]));
        assert_eq!(status.dead_letter.unwrap().queue_url.as_ref(), Some(&secret["DEAD_LETTER_QUEUE_URL"]));
        let target = status.target.unwrap();
        assert_eq!((target.account_id.as_str(), target.region.as_str()), (ACCOUNT, REGION));
        assert_eq!(target.queue_name, name);
    });
}
