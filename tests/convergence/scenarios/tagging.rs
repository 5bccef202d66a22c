//! Tags: only what we set is ever removed.

use serde_json::json;

use crate::stage::{Stage, somebody, tags, url};

const NAMES: [&str; 2] = ["media_images", "media_images_dlq"];

#[tokio::test]
async fn auto_taggers_keep_theirs_and_only_managed_keys_are_removed() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"tags": {"team": "media", "app": "images"}})).await;
    for name in NAMES {
        stage.world.outside(&somebody()).tag_queue(&url(name), &tags(&[("auto", "1")])).unwrap();
    }
    stage.applied("media/images", json!({"tags": {"team": "video"}})).await;
    for name in NAMES {
        let tags = stage.aws(name).tags;
        assert_eq!(tags.get("team").map(String::as_str), Some("video"), "{name}");
        assert_eq!(tags.get("app"), None, "{name}");
        assert_eq!(tags.get("auto").map(String::as_str), Some("1"), "{name}");
    }
    let managed = stage.queue("media/images").status.unwrap().managed_tag_keys;
    assert_eq!(managed, ["team"]);
}

#[tokio::test]
async fn a_tag_edited_or_removed_from_outside_is_repaired() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"tags": {"team": "media", "app": "images"}})).await;
    let outside = stage.world.outside(&somebody());
    outside.tag_queue(&url("media_images"), &tags(&[("team", "mine")])).unwrap();
    outside.untag_queue(&url("media_images"), &["app".to_owned()]).unwrap();
    stage.operator.round().await;
    let tags = stage.aws("media_images").tags;
    assert_eq!((tags["team"].as_str(), tags["app"].as_str()), ("media", "images"));
}

#[tokio::test]
async fn a_tag_that_we_did_not_set_stays_when_the_spec_never_took_effect() {
    let mut stage = Stage::prompt();
    let foreign = tags(&[("team", "theirs")]);
    stage
        .world
        .outside(&somebody())
        .create_queue(&crate::stage::queue_name("legacy"), &crate::stage::attributes(&[]), &foreign)
        .unwrap();
    let plain = json!({"queueName": "legacy", "deadLetter": {"mode": "None"}, "tags": {"team": "media"}});
    stage.applied("media/images", plain).await;
    assert_eq!(stage.ready("media/images"), "False/NotOwned");
    let adopting = json!({"queueName": "legacy", "deadLetter": {"mode": "None"}, "adoptionPolicy": "Adopt"});
    stage.applied("media/images", adopting).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.aws("legacy").tags.get("team").map(String::as_str), Some("theirs"));
}

#[tokio::test]
async fn a_tag_is_removed_from_both_queues_though_one_could_not_be_seen_for_a_while() {
    use crate::model::{Fault, Trap};
    use prism_queue::domain::call::ErrorKind;
    for action in ["GetQueueAttributes", "ListQueueTags", "UntagQueue"] {
        for after in 0..4 {
            let mut stage = Stage::prompt();
            stage.applied("media/images", json!({"tags": {"team": "media"}})).await;
            stage.world.inject(Trap::new(Fault::Refuse(ErrorKind::Transient)).on(action).after(after));
            stage.apply("media/images", json!({}));
            stage.run(900).await;
            for name in NAMES {
                assert!(!stage.aws(name).tags.contains_key("team"), "{name}, {action} failing after {after}");
            }
        }
    }
}

#[tokio::test]
async fn a_tag_set_just_before_a_crash_is_removed_when_the_spec_drops_it() {
    use crate::model::{Fault, Trap};
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.world.inject(Trap::new(Fault::CrashAfter).on("TagQueue"));
    stage.apply("media/images", json!({"tags": {"team": "media"}}));
    stage.run(5).await;
    stage.apply("media/images", json!({}));
    stage.run(60).await;
    for name in NAMES {
        assert!(!stage.aws(name).tags.contains_key("team"), "{name}");
    }
}

#[tokio::test]
async fn a_tag_dropped_before_the_queue_answered_is_removed() {
    use crate::model::Timing;
    let mut stage = Stage::new(1, Timing { usable_after: 2..=2, ..Timing::prompt() });
    stage.apply("media/images", json!({"deadLetter": {"mode": "None"}, "tags": {"team": "media"}}));
    stage.run(1).await;
    stage.apply("media/images", json!({"deadLetter": {"mode": "None"}, "delaySeconds": 1}));
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(!stage.aws("media_images").tags.contains_key("team"));
}

#[tokio::test]
async fn a_tag_dropped_in_the_edit_that_adopts_a_dead_letter_queue_leaves_the_source_and_no_other() {
    use crate::model::{Denial, DeniedAs};

    let mut stage = Stage::prompt();
    let foreign = tags(&[("team", "theirs")]);
    let outside = stage.world.outside(&somebody());
    outside.create_queue(&crate::stage::queue_name("letters"), &crate::stage::attributes(&[]), &foreign).unwrap();
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}, "tags": {"team": "media"}})).await;
    stage.world.deny(Denial { action: Some("UntagQueue"), queue: None, answer: DeniedAs::AccessDenied });
    let edit = json!({"deadLetter": {"managed": {"queueName": "letters"}}, "adoptionPolicy": "Adopt"});
    stage.applied("media/images", edit).await;
    stage.operator.restart();
    stage.run(60).await;
    stage.world.calm();
    stage.run(900).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.aws("media_images").tags.get("team"), None);
    assert_eq!(stage.aws("letters").tags.get("team").map(String::as_str), Some("theirs"));
}
