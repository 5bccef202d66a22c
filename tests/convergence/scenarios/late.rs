//! Attributes show late: that is no drift, and no reason to write again.

use prism_queue::domain::attributes::Attribute;
use serde_json::json;

use crate::model::Timing;
use crate::stage::{Stage, attributes, somebody, url};

/// Everything at once, but that writes show as late as they may.
fn late() -> Timing {
    Timing { attributes_show_after: 60..=60, retention_shows_after: 900..=900, ..Timing::prompt() }
}

#[tokio::test]
async fn a_change_that_shows_late_is_written_once_also_across_restarts() {
    let changes = [
        json!({"visibilityTimeoutSeconds": 60}),
        json!({"messageRetentionSeconds": 604_800}),
        json!({"encryption": {"mode": "None"}}),
        json!({"access": {"requireTLS": false}}),
        json!({"deadLetter": {"maxReceiveCount": 9}}),
    ];
    for change in changes {
        for restarts in [false, true] {
            let mut stage = Stage::new(1, late());
            stage.applied("media/images", json!({})).await;
            stage.run(1200).await;
            let mark = stage.world.mark();
            stage.apply("media/images", change.clone());
            stage.run(5).await;
            assert_eq!(stage.ready("media/images"), "True/Converged", "{change}");
            assert_eq!(stage.condition("media/images", "Propagated"), "False/Propagating", "{change}");
            for _ in 0..20 {
                if restarts {
                    stage.operator.restart();
                }
                stage.run(60).await;
            }
            let each = stage.world.writes_since(mark);
            let queues: std::collections::BTreeSet<_> = each.iter().map(|call| call.queue.clone()).collect();
            assert_eq!(each.len(), queues.len(), "{change}, restarts: {restarts}: one write a queue");
            assert_eq!(stage.condition("media/images", "Propagated"), "True/ReadBack", "{change}");
        }
    }
}

#[tokio::test]
async fn a_change_taken_back_before_it_showed_is_written() {
    let mut stage = Stage::new(1, late());
    stage.applied("media/images", json!({})).await;
    stage.applied("media/images", json!({"visibilityTimeoutSeconds": 60})).await;
    assert_eq!(stage.attribute("media_images", Attribute::VisibilityTimeout), "60");
    // AWS still reads back 300.
    stage.apply("media/images", json!({}));
    stage.run(5).await;
    assert_eq!(stage.attribute("media_images", Attribute::VisibilityTimeout), "300");
    stage.run(90).await;
    assert_eq!(stage.condition("media/images", "Propagated"), "True/ReadBack");
    assert_eq!(stage.attribute("media_images", Attribute::VisibilityTimeout), "300");
}

#[tokio::test]
async fn drift_is_repaired_within_the_interval_once() {
    let mut stage = Stage::new(1, late());
    stage.applied("media/images", json!({})).await;
    stage.run(1200).await;
    let drift = attributes(&[(Attribute::VisibilityTimeout, "1"), (Attribute::DelaySeconds, "9")]);
    stage.world.outside(&somebody()).set_queue_attributes(&url("media_images"), &drift).unwrap();
    let mark = stage.world.mark();
    stage.run(660 + 60).await;
    let writes = stage.world.writes_since(mark);
    let expected = attributes(&[(Attribute::VisibilityTimeout, "300"), (Attribute::DelaySeconds, "0")]);
    assert_eq!(writes.iter().map(|call| &call.arguments.attributes).collect::<Vec<_>>(), [&expected]);
    let told = stage.kube.announcements(&crate::stage::key("media/images"));
    assert!(told.iter().any(|event| event.reason == "DriftRepaired"), "{told:?}");
}

#[tokio::test]
async fn the_fence_is_written_once_though_it_shows_late() {
    let mut stage = Stage::new(1, late());
    stage.applied("media/images", json!({})).await;
    stage.run(1200).await;
    let mark = stage.world.mark();
    stage.delete("media/images");
    stage.run(600).await;
    assert!(stage.is_gone("media/images"));
    assert_eq!(stage.count("SetQueueAttributes", mark), 2, "one fence for the queue, one for its dead-letter queue");
}

#[tokio::test]
async fn the_fence_is_written_once_though_it_shows_late_and_the_operator_restarts() {
    let mut stage = Stage::new(1, late());
    stage.applied("media/images", json!({})).await;
    stage.run(1200).await;
    let mark = stage.world.mark();
    stage.delete("media/images");
    for _ in 0..5 {
        stage.run(10).await;
        stage.operator.restart();
    }
    stage.run(600).await;
    assert!(stage.is_gone("media/images"));
    assert_eq!(stage.count("SetQueueAttributes", mark), 2);
}

#[tokio::test]
async fn a_fence_is_taken_down_once_though_it_shows_late() {
    let mut stage = Stage::new(1, late());
    stage.applied("media/images", json!({})).await;
    stage.world.send(&somebody(), &url("media_images")).unwrap();
    stage.delete("media/images");
    stage.run(300).await;
    assert_eq!(stage.ready("media/images"), "False/WaitingForEmpty");
    let mark = stage.world.mark();
    stage.apply("media/images", json!({"deletionPolicy": "Retain"}));
    stage.run(300).await;
    assert!(stage.is_gone("media/images"));
    assert_eq!(stage.count("SetQueueAttributes", mark), 2);
    assert!(!stage.attribute("media_images", Attribute::Policy).contains("Fence"));
    assert_eq!(stage.lost(), 0);
}
