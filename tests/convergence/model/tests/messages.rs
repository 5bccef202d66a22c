//! Rows: lowering retention, DLQ retention, delete. And the ledger: how every message ended.

use prism_queue::aws::Sqs;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;

use super::{create, kind, operator, prompt, set, worker};
use crate::model::{Client, Fate, Timing, World};

const RETENTION: Attribute = Attribute::MessageRetentionPeriod;

fn fates(world: &World) -> Vec<Option<Fate>> {
    world.messages().into_iter().map(|message| message.fate).collect()
}

/// A dead-letter queue with this retention and a source with 1,000 s that gives a message one try.
async fn source_and_dlq(client: &Client, suffix: &str, dlq_retention: &str) -> (String, String) {
    let fifo: &[(Attribute, &str)] = if suffix.is_empty() { &[] } else { &[(Attribute::FifoQueue, "true")] };
    let dead = [&[(RETENTION, dlq_retention)], fifo].concat();
    let dead = create(client, &format!("dlq{suffix}"), &dead).await.unwrap();
    let redrive =
        format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:123456789012:dlq{suffix}","maxReceiveCount":1}}"#);
    let source = [&[(RETENTION, "1000"), (Attribute::RedrivePolicy, redrive.as_str())], fifo].concat();
    (create(client, &format!("q{suffix}"), &source).await.unwrap(), dead)
}

#[tokio::test]
async fn a_message_waits_is_hidden_and_comes_back() {
    let (world, client) = prompt();
    let settings = [(Attribute::DelaySeconds, "10"), (Attribute::VisibilityTimeout, "30")];
    let url = create(&client, "q", &settings).await.unwrap();
    let id = world.send(&worker(), &url).unwrap();
    assert_eq!(world.receive(&worker(), &url).unwrap(), None, "delayed");
    world.advance(10);
    assert_eq!(world.receive(&worker(), &url).unwrap(), Some(id));
    assert_eq!(world.receive(&worker(), &url).unwrap(), None, "in flight");
    world.advance(30);
    assert_eq!(world.receive(&worker(), &url).unwrap(), Some(id));
    world.consume(id);
    assert_eq!(fates(&world), [Some(Fate::Consumed)]);
    assert_eq!(world.queue(&url).unwrap().counts.total(), 0);
}

#[tokio::test]
async fn a_message_expires_after_its_retention_and_nobody_lost_it() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[(RETENTION, "100")]).await.unwrap();
    world.send(&worker(), &url).unwrap();
    world.advance(99);
    assert_eq!(fates(&world), [None]);
    world.advance(1);
    assert_eq!(fates(&world), [Some(Fate::Expired)]);
    assert!(world.lost_by(&operator().arn).is_empty());
}

#[tokio::test]
async fn lowering_the_retention_destroys_older_messages() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[(RETENTION, "1000")]).await.unwrap();
    world.send(&worker(), &url).unwrap();
    world.advance(200);
    world.send(&worker(), &url).unwrap();
    set(&client, &url, &[(RETENTION, "100")]).await.unwrap();
    let lowered = Some(Fate::RetentionLowered { by: operator().arn });
    assert_eq!(fates(&world), [lowered.clone(), None]);
    world.advance(100);
    assert_eq!(fates(&world), [lowered.clone(), lowered], "the other one dies early too");
    world.send(&worker(), &url).unwrap();
    world.advance(100);
    assert_eq!(fates(&world)[2], Some(Fate::Expired), "a later one was promised no more");
    assert_eq!(world.lost_by(&operator().arn).len(), 2);
}

#[tokio::test]
async fn a_promise_once_raised_is_kept_to() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[(RETENTION, "100")]).await.unwrap();
    world.send(&worker(), &url).unwrap();
    world.outside(&worker()).set_queue_attributes(&url, &super::attributes(&[(RETENTION, "1000")])).unwrap();
    world.advance(50);
    set(&client, &url, &[(RETENTION, "100")]).await.unwrap();
    world.advance(50);
    assert_eq!(fates(&world), [Some(Fate::RetentionLowered { by: operator().arn })]);
}

#[tokio::test]
async fn deleting_a_queue_destroys_its_messages() {
    let world = World::new(1, Timing { delete_takes: 60..=60, ..Timing::prompt() });
    let client = world.client(&operator());
    let url = create(&client, "q", &[]).await.unwrap();
    world.send(&worker(), &url).unwrap();
    client.delete_queue(&url).await.unwrap();
    while world.send(&worker(), &url).is_err() {}
    let by = operator().arn;
    assert_eq!(
        fates(&world),
        [Some(Fate::QueueDeleted { by: by.clone() }), Some(Fate::SentToDeleted { by: by.clone() })]
    );
    assert_eq!(world.lost_by(&by).len(), 2);
    assert!(world.lost_by(&worker().arn).is_empty());
}

#[tokio::test]
async fn a_queue_of_the_same_name_does_not_get_the_old_messages() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    world.send(&worker(), &url).unwrap();
    world.outside(&worker()).delete_queue(&url).unwrap();
    world.advance(60);
    create(&client, "q", &[]).await.unwrap();
    assert_eq!(world.queue(&url).unwrap().counts.total(), 0);
    assert_eq!(fates(&world), [Some(Fate::QueueDeleted { by: worker().arn })]);
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
    let (world, client) = prompt();
    let (source, dead) = source_and_dlq(&client, "", "2000").await;
    let id = world.send(&worker(), &source).unwrap();
    assert_eq!(world.receive(&worker(), &source).unwrap(), Some(id));
    world.advance(30);
    assert_eq!(world.receive(&worker(), &source).unwrap(), None);
    assert_eq!(world.queue(&source).unwrap().counts.total(), 0);
    assert_eq!(world.receive(&worker(), &dead).unwrap(), Some(id));
    assert_eq!(world.messages()[0].stays.len(), 2);
}

#[tokio::test]
async fn without_its_dead_letter_queue_a_message_stays() {
    let (world, client) = prompt();
    let (source, dead) = source_and_dlq(&client, "", "2000").await;
    let id = world.send(&worker(), &source).unwrap();
    world.receive(&worker(), &source).unwrap();
    client.delete_queue(&dead).await.unwrap();
    world.advance(30);
    assert_eq!(world.receive(&worker(), &source).unwrap(), Some(id));
}

#[tokio::test]
async fn a_standard_dead_letter_queue_keeps_the_age_and_a_fifo_one_resets_it() {
    for (suffix, fate) in [("", Some(Fate::Expired)), (".fifo", None)] {
        let (world, client) = prompt();
        let (source, _) = source_and_dlq(&client, suffix, "500").await;
        world.send(&worker(), &source).unwrap();
        world.receive(&worker(), &source).unwrap();
        world.advance(600);
        assert_eq!(world.receive(&worker(), &source).unwrap(), None);
        assert_eq!(fates(&world), [fate], "{suffix}");
    }
}

#[tokio::test]
async fn a_message_needs_a_queue() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    client.delete_queue(&url).await.unwrap();
    assert_eq!(world.send(&worker(), &url).unwrap_err().kind, ErrorKind::QueueDoesNotExist);
    assert_eq!(world.receive(&worker(), "no URL").unwrap_err().kind, ErrorKind::QueueDoesNotExist);
    assert_eq!(kind(client.delete_queue(&url).await), ErrorKind::QueueDoesNotExist);
}
