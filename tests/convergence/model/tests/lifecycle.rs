//! Rows: create, delete, missing queue, set, counts, fresh tags, ARN, tagging rate.

use prism_queue::aws::{Sqs, Sts};
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::tags::Tags;

use super::{ACCOUNT, create, kind, name, operator, prompt, read, set, tags, worker};
use crate::model::{Caller, Timing, World};

#[tokio::test]
async fn a_new_queue_answers_only_after_a_second() {
    let timing = Timing { usable_after: 1..=1, ..Timing::prompt() };
    let world = World::new(1, timing);
    let client = world.client(&operator());
    let url = create(&client, "q", &[]).await.unwrap();
    assert_eq!(kind(client.get_queue_attributes(&url).await), ErrorKind::QueueDoesNotExist);
    assert_eq!(kind(client.get_queue_url(&name("q")).await), ErrorKind::QueueDoesNotExist);
    assert_eq!(client.list_queues(&name("q")).await.unwrap(), Vec::<String>::new());
    world.advance(1);
    assert_eq!(client.get_queue_url(&name("q")).await.unwrap(), url);
    assert_eq!(client.list_queues(&name("q")).await.unwrap(), vec![url.clone()]);
    assert!(client.get_queue_attributes(&url).await.is_ok());
}

#[tokio::test]
async fn creating_what_is_there_is_silent_and_changes_nothing() {
    let (world, client) = prompt();
    let theirs = tags(&[("owner", "them")]);
    let settings = super::attributes(&[(Attribute::DelaySeconds, "5")]);
    let url = world.outside(&worker()).create_queue(&name("q"), &settings, &theirs).unwrap();
    let ours = tags(&[("owner", "us")]);
    assert_eq!(client.create_queue(&name("q"), &settings, &ours).await.unwrap(), url);
    // What is not supplied is not compared.
    assert_eq!(create(&client, "q", &[]).await.unwrap(), url);
    assert_eq!(client.list_queue_tags(&url).await.unwrap(), theirs);
}

#[tokio::test]
async fn creating_what_is_there_with_other_attributes_is_refused() {
    let (_, client) = prompt();
    let url = create(&client, "q", &[(Attribute::DelaySeconds, "5")]).await.unwrap();
    assert_eq!(kind(create(&client, "q", &[(Attribute::DelaySeconds, "6")]).await), ErrorKind::QueueNameExists);
    assert_eq!(read(&client, &url, Attribute::DelaySeconds).await.as_deref(), Some("5"));
}

#[tokio::test]
async fn a_deleted_name_cools_down_for_a_minute() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    client.delete_queue(&url).await.unwrap();
    assert_eq!(kind(create(&client, "q", &[]).await), ErrorKind::QueueDeletedRecently);
    world.advance(59);
    assert_eq!(kind(create(&client, "q", &[]).await), ErrorKind::QueueDeletedRecently);
    world.advance(1);
    assert_eq!(create(&client, "q", &[]).await.unwrap(), url);
}

#[tokio::test]
async fn the_cool_down_can_fall_a_few_seconds_behind() {
    let late = async |seed| {
        let world = World::new(seed, Timing { cool_down: 60..=65, ..Timing::prompt() });
        let client = world.client(&operator());
        let url = create(&client, "q", &[]).await.unwrap();
        client.delete_queue(&url).await.unwrap();
        world.advance(60);
        let at_sixty = create(&client, "q", &[]).await.is_err();
        world.advance(5);
        assert!(create(&client, "q", &[]).await.is_ok());
        at_sixty
    };
    let mut seen = Vec::new();
    for seed in 0..20 {
        seen.push(late(seed).await);
    }
    assert!(seen.contains(&true) && seen.contains(&false));
}

#[tokio::test]
async fn a_deletion_takes_a_while_in_which_calls_may_succeed() {
    let world = World::new(1, Timing { delete_takes: 60..=60, ..Timing::prompt() });
    let client = world.client(&operator());
    let url = create(&client, "q", &[]).await.unwrap();
    client.delete_queue(&url).await.unwrap();
    assert!(world.queue(&url).is_none(), "to the test it is deleted at once");
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(client.get_queue_attributes(&url).await.is_ok());
    }
    assert!(answers.contains(&true) && answers.contains(&false));
    world.advance(60);
    for _ in 0..40 {
        assert_eq!(kind(client.get_queue_attributes(&url).await), ErrorKind::QueueDoesNotExist);
    }
}

#[tokio::test]
async fn another_account_is_told_that_there_is_no_queue() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    let stranger = world.client(&Caller::role("210987654321", super::REGION, "prism-queue"));
    assert_eq!(stranger.caller_identity().await.unwrap().account_id, "210987654321");
    assert_eq!(kind(stranger.get_queue_attributes(&url).await), ErrorKind::QueueDoesNotExist);
    assert_eq!(kind(stranger.get_queue_url(&name("q")).await), ErrorKind::QueueDoesNotExist);
    assert_eq!(stranger.list_queues(&name("q")).await.unwrap(), Vec::<String>::new());
    // The same name is another queue there; so is it in another region.
    assert_ne!(create(&stranger, "q", &[]).await.unwrap(), url);
    let elsewhere = world.client(&Caller::role(ACCOUNT, "us-east-1", "prism-queue"));
    assert_eq!(kind(elsewhere.get_queue_attributes(&url).await), ErrorKind::QueueDoesNotExist);
}

#[tokio::test]
async fn changes_show_late() {
    let timing = Timing { attributes_show_after: 60..=60, retention_shows_after: 900..=900, ..Timing::prompt() };
    let world = World::new(1, timing);
    let client = world.client(&operator());
    let (delay, retention) = (Attribute::DelaySeconds, Attribute::MessageRetentionPeriod);
    let url = create(&client, "q", &[(delay, "5"), (retention, "100")]).await.unwrap();
    assert_eq!(read(&client, &url, delay).await.as_deref(), Some("5"), "a creation shows at once");
    set(&client, &url, &[(delay, "6"), (retention, "200")]).await.unwrap();
    world.advance(59);
    assert_eq!(read(&client, &url, delay).await.as_deref(), Some("5"));
    assert_eq!(world.queue(&url).unwrap().attributes[&delay], "6", "what was written is known to the test");
    world.advance(1);
    assert_eq!(read(&client, &url, delay).await.as_deref(), Some("6"));
    world.advance(839);
    assert_eq!(read(&client, &url, retention).await.as_deref(), Some("100"));
    world.advance(1);
    assert_eq!(read(&client, &url, retention).await.as_deref(), Some("200"));
}

#[tokio::test]
async fn an_earlier_change_that_shows_later_does_not_come_back() {
    for seed in 0..50 {
        let world = World::new(seed, Timing { attributes_show_after: 0..=60, ..Timing::prompt() });
        let client = world.client(&operator());
        let url = create(&client, "q", &[]).await.unwrap();
        set(&client, &url, &[(Attribute::DelaySeconds, "1")]).await.unwrap();
        set(&client, &url, &[(Attribute::DelaySeconds, "2")]).await.unwrap();
        let mut last = 0;
        for _ in 0..=60 {
            let shown = read(&client, &url, Attribute::DelaySeconds).await.unwrap().parse().unwrap();
            assert!(last <= shown, "seed {seed}: {shown} after {last}");
            last = shown;
            world.advance(1);
        }
        assert_eq!(last, 2);
    }
}

#[tokio::test]
async fn counts_are_wrong_for_a_minute_in_both_directions() {
    let world = World::new(1, Timing { counts_lag: 60, ..Timing::prompt() });
    let client = world.client(&operator());
    let url = create(&client, "q", &[]).await.unwrap();
    world.advance(120);
    world.send(&worker(), &url).unwrap();
    world.advance(30);
    world.receive(&worker(), &url).unwrap().unwrap();
    world.advance(20);
    let mut totals = Vec::new();
    for _ in 0..100 {
        totals.push(client.get_queue_attributes(&url).await.unwrap().counts.total());
    }
    assert!(totals.contains(&0) && totals.contains(&1) && totals.contains(&2), "{totals:?}");
    assert_eq!(world.queue(&url).unwrap().counts.in_flight, 1, "the test sees the truth");
}

#[tokio::test]
async fn counts_are_right_after_a_quiet_minute() {
    let world = World::new(1, Timing { counts_lag: 60, ..Timing::prompt() });
    let client = world.client(&operator());
    let url = create(&client, "q", &[(Attribute::DelaySeconds, "1")]).await.unwrap();
    world.send(&worker(), &url).unwrap();
    assert_eq!(world.queue(&url).unwrap().counts.delayed, 1);
    world.advance(62);
    for _ in 0..50 {
        let counts = client.get_queue_attributes(&url).await.unwrap().counts;
        assert_eq!((counts.available, counts.in_flight, counts.delayed), (1, 0, 0));
    }
}

#[tokio::test]
async fn a_permission_by_tag_does_not_know_a_fresh_tag() {
    let world = World::new(1, Timing { fresh_tags_for: 30..=30, ..Timing::prompt() });
    let ours = tags(&[("owner", "us")]);
    let client = world.client(&operator().only_tagged("owner", "us"));
    assert_eq!(kind(create(&client, "q", &[]).await), ErrorKind::Denied, "no tag, no queue");
    let url = client.create_queue(&name("q"), &super::attributes(&[]), &ours).await.unwrap();
    assert_eq!(kind(client.list_queue_tags(&url).await), ErrorKind::Denied);
    world.advance(30);
    assert_eq!(client.list_queue_tags(&url).await.unwrap(), ours);
    let theirs = world.outside(&worker()).create_queue(&name("r"), &super::attributes(&[]), &Tags::new()).unwrap();
    assert_eq!(kind(client.delete_queue(&theirs).await), ErrorKind::Denied);
}

#[tokio::test]
async fn an_account_has_thirty_tagging_calls_a_second() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    for _ in 0..30 {
        client.list_queue_tags(&url).await.unwrap();
    }
    assert_eq!(kind(client.tag_queue(&url, &tags(&[("a", "b")])).await), ErrorKind::Throttled);
    assert!(client.get_queue_attributes(&url).await.is_ok(), "only tagging calls share that limit");
    world.advance(1);
    client.tag_queue(&url, &tags(&[("a", "b")])).await.unwrap();
}

#[tokio::test]
async fn an_arn_follows_from_account_region_and_name() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    assert_eq!(world.queue(&url).unwrap().arn.to_string(), "arn:aws:sqs:eu-central-1:123456789012:q");
    let urls: Vec<String> = world.queues().into_iter().map(|queue| queue.url).collect();
    assert_eq!(urls, [url]);
}
