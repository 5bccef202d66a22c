//! Names: the cool-down, two claims to one name, and where a queue lives.

use prism_queue::domain::attributes::Attributes;
use prism_queue::domain::names::{NamePrefix, Naming};
use prism_queue::domain::tags::Tags;
use serde_json::json;

use crate::model::Caller;
use crate::stage::{Stage, key, operator, queue_name, somebody, url};

#[tokio::test]
async fn a_queue_deleted_in_aws_comes_back_after_the_visible_wait_for_its_name() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    stage.world.outside(&somebody()).delete_queue(&url("media_images")).unwrap();
    stage.operator.round().await;
    assert_eq!(stage.ready("media/images"), "False/NameCoolDown");
    assert_eq!(stage.condition("media/images", "Reconciling"), "True/NameCoolDown");
    assert_eq!(stage.condition("media/images", "Stalled"), "-");
    assert!(stage.words("media/images").contains("60 s"), "{}", stage.words("media/images"));
    stage.run(90).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.has("media_images"));
    let told = stage.kube.announcements(&key("media/images"));
    assert!(told.iter().any(|event| event.reason == "NameCoolDown"), "{told:?}");
}

#[tokio::test]
async fn while_no_queue_exists_the_older_object_gets_the_name() {
    let mut stage = Stage::prompt();
    stage.apply("media/older", json!({"queueName": "shared"}));
    stage.world.advance(1);
    stage.apply("media/younger", json!({"queueName": "shared"}));
    stage.run(30).await;
    assert_eq!(stage.ready("media/older"), "True/Converged");
    assert_eq!(stage.ready("media/younger"), "False/NameConflict");
    assert_eq!(stage.condition("media/younger", "Stalled"), "True/NameConflict");
    assert!(stage.words("media/younger").contains("media/older"), "{}", stage.words("media/younger"));
}

#[tokio::test]
async fn of_two_objects_of_one_age_the_smaller_uid_gets_the_name() {
    let mut stage = Stage::prompt();
    stage.apply("media/first", json!({"queueName": "shared"}));
    stage.apply("media/second", json!({"queueName": "shared"}));
    stage.run(30).await;
    assert_eq!(stage.ready("media/first"), "True/Converged");
    assert_eq!(stage.ready("media/second"), "False/NameConflict");
}

#[tokio::test]
async fn the_owner_tag_in_aws_wins_over_age() {
    let mut stage = Stage::prompt();
    stage.apply("media/older", json!({}));
    stage.world.advance(1);
    stage.applied("media/younger", json!({"deadLetter": {"managed": {"queueName": "letters"}}})).await;
    // The older one asks for a name that the younger one's queue has already.
    stage.applied("media/older", json!({"deadLetter": {"managed": {"queueName": "letters"}}})).await;
    assert_eq!(stage.ready("media/younger"), "True/Converged");
    assert_eq!(stage.ready("media/older"), "False/NameConflict");
    assert!(stage.words("media/older").contains("media/younger"), "{}", stage.words("media/older"));
}

#[tokio::test]
async fn the_name_goes_to_the_next_claimant_when_its_owner_is_deleted() {
    let mut stage = Stage::prompt();
    stage.apply("media/older", json!({"queueName": "shared"}));
    stage.world.advance(1);
    stage.applied("media/younger", json!({"queueName": "shared"})).await;
    stage.delete("media/older");
    stage.run(400).await;
    assert!(stage.is_gone("media/older"));
    assert_eq!(stage.ready("media/younger"), "True/Converged");
}

#[tokio::test]
async fn a_queue_is_never_made_a_second_time_in_another_place() {
    let moves: [fn(&mut Stage); 3] = [
        |stage| stage.operator.class.naming = Naming::new(NamePrefix::parse("new-").unwrap()),
        |stage| stage.operator.class.place.region = "us-east-1".to_owned(),
        |stage| stage.operator.class.place.account_id = "210987654321".to_owned(),
    ];
    for change in moves {
        let mut stage = Stage::prompt();
        stage.applied("media/images", json!({})).await;
        let secret = stage.secret("media/images-queue");
        let mark = stage.world.mark();
        change(&mut stage);
        let place = stage.operator.class.place.clone();
        stage.operator.caller = Caller { place, ..operator() };
        stage.operator.restart();
        stage.run(1200).await;
        assert_eq!(stage.ready("media/images"), "False/TargetChanged");
        assert_eq!(stage.condition("media/images", "Stalled"), "True/TargetChanged");
        assert_eq!(stage.writes(mark), 0);
        assert_eq!(stage.secret("media/images-queue"), secret, "the Secret is never repointed");
        assert_eq!(stage.world.queues().len(), 2);
    }
}

#[tokio::test]
async fn moving_is_deliberate_retain_delete_create() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({"deletionPolicy": "Retain"})).await;
    stage.operator.class.naming = Naming::new(NamePrefix::parse("new-").unwrap());
    stage.operator.restart();
    stage.run(30).await;
    assert_eq!(stage.ready("media/images"), "False/TargetChanged");
    stage.delete("media/images");
    stage.run(30).await;
    assert!(stage.is_gone("media/images"));
    assert!(stage.has("media_images"));
    stage.applied("media/images", json!({})).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert!(stage.has("new-media_images"));
}

#[tokio::test]
async fn a_cluster_of_the_same_name_is_told_apart_until_it_is_named_as_the_previous_one() {
    let mut stage = Stage::prompt();
    stage.applied("media/images", json!({})).await;
    let old = stage.operator.class.cluster.uid.clone();
    let tags: Tags = stage.aws("media_images").tags;
    // The cluster is rebuilt from Git.
    stage.kube.lose_status(&key("media/images"));
    stage.operator.class.cluster.uid = "22222222-2222-2222-2222-222222222222".to_owned();
    stage.operator.restart();
    let mark = stage.world.mark();
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "False/ClusterIdentityChanged");
    assert!(stage.words("media/images").contains(&old), "{}", stage.words("media/images"));
    assert!(stage.world.trespasses_since(mark, |_, _| false).is_empty());
    assert_eq!(stage.aws("media_images").tags, tags);

    stage.operator.class.cluster.previous_uid = Some(old);
    stage.operator.restart();
    stage.run(60).await;
    assert_eq!(stage.ready("media/images"), "True/Converged");
    assert_eq!(stage.aws("media_images").tags["queue.prism.io/cluster-uid"], stage.operator.class.cluster.uid);
    assert_eq!(stage.aws("media_images_dlq").tags["queue.prism.io/cluster-uid"], stage.operator.class.cluster.uid);
}

#[tokio::test]
async fn a_create_that_meets_an_equal_queue_proves_nothing_about_ownership() {
    let mut stage = Stage::prompt();
    // Just as the operator would make it, and somebody else's.
    stage.applied("media/images", json!({"deadLetter": {"mode": "None"}})).await;
    let attributes: Attributes = stage.aws("media_images").attributes;
    stage.world.outside(&somebody()).create_queue(&queue_name("copy"), &attributes, &Tags::new()).unwrap();
    let mark = stage.world.mark();
    stage.applied("media/copy", json!({"queueName": "copy", "deadLetter": {"mode": "None"}})).await;
    assert_eq!(stage.ready("media/copy"), "False/NotOwned");
    assert!(stage.world.trespasses_since(mark, |_, _| false).is_empty());
    assert!(stage.secret("media/copy-queue").is_none());
}
