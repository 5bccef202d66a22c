//! Rows: ranges, names, FIFO, encryption, tags, fair queues (no attribute), cross-account writes.

use prism_queue::aws::{Kms, Sqs};
use prism_queue::domain::arn::Place;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::tags::Tags;
use proptest::prelude::*;

use super::{ACCOUNT, REGION, attributes, create, kind, name, operator, prompt, read, set, tags, worker};
use crate::model::Caller;

const RANGES: [(Attribute, i64, i64, &str); 5] = [
    (Attribute::DelaySeconds, 0, 900, "0"),
    (Attribute::MaximumMessageSize, 1_024, 1_048_576, "1048576"),
    (Attribute::MessageRetentionPeriod, 60, 1_209_600, "345600"),
    (Attribute::ReceiveMessageWaitTimeSeconds, 0, 20, "0"),
    (Attribute::VisibilityTimeout, 0, 43_200, "30"),
];

#[tokio::test]
async fn numbers_have_ranges_and_defaults() {
    let (_, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    for (attribute, least, most, default) in RANGES {
        assert_eq!(read(&client, &url, attribute).await.as_deref(), Some(default), "{attribute}");
        for value in [least, most] {
            let value = value.to_string();
            set(&client, &url, &[(attribute, &value)]).await.unwrap();
            assert_eq!(read(&client, &url, attribute).await, Some(value), "{attribute}");
        }
        for value in [(least - 1).to_string(), (most + 1).to_string(), String::new(), "many".to_owned()] {
            assert_eq!(
                kind(set(&client, &url, &[(attribute, &value)]).await),
                ErrorKind::Invalid,
                "{attribute} {value}"
            );
            assert_eq!(kind(create(&client, "r", &[(attribute, &value)]).await), ErrorKind::Invalid);
        }
    }
    assert_eq!(kind(set(&client, &url, &[]).await), ErrorKind::Invalid, "a call must set something");
}

#[tokio::test]
async fn a_refused_call_changes_nothing() {
    let (world, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    let before = world.queue(&url).unwrap().attributes;
    let half_wrong = [(Attribute::DelaySeconds, "5"), (Attribute::VisibilityTimeout, "-1")];
    assert_eq!(kind(set(&client, &url, &half_wrong).await), ErrorKind::Invalid);
    assert_eq!(world.queue(&url).unwrap().attributes, before);
}

#[tokio::test]
async fn fifo_is_set_at_creation_only_and_never_to_false() {
    let (_, client) = prompt();
    let fifo = Attribute::FifoQueue;
    assert_eq!(kind(create(&client, "q", &[(fifo, "false")]).await), ErrorKind::Invalid);
    assert_eq!(kind(create(&client, "q", &[(fifo, "true")]).await), ErrorKind::Invalid, "the suffix is missing");
    assert_eq!(kind(create(&client, "q.fifo", &[]).await), ErrorKind::Invalid, "the attribute is missing");
    assert_eq!(kind(create(&client, "q.fifo", &[(fifo, "false")]).await), ErrorKind::Invalid);
    let url = create(&client, "q.fifo", &[(fifo, "true")]).await.unwrap();
    assert_eq!(read(&client, &url, fifo).await.as_deref(), Some("true"));
    for value in ["true", "false"] {
        assert_eq!(kind(set(&client, &url, &[(fifo, value)]).await), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn fifo_attributes_are_for_fifo_queues() {
    let (_, client) = prompt();
    let standard = create(&client, "q", &[]).await.unwrap();
    assert_eq!(read(&client, &standard, Attribute::FifoQueue).await, None);
    for (attribute, value) in [
        (Attribute::ContentBasedDeduplication, "true"),
        (Attribute::DeduplicationScope, "queue"),
        (Attribute::FifoThroughputLimit, "perQueue"),
    ] {
        assert_eq!(kind(set(&client, &standard, &[(attribute, value)]).await), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn throughput_by_group_needs_deduplication_by_group() {
    let (_, client) = prompt();
    let (limit, scope) = (Attribute::FifoThroughputLimit, Attribute::DeduplicationScope);
    let url = create(&client, "q.fifo", &[(Attribute::FifoQueue, "true")]).await.unwrap();
    assert_eq!(kind(set(&client, &url, &[(limit, "perMessageGroupId")]).await), ErrorKind::Invalid);
    set(&client, &url, &[(limit, "perMessageGroupId"), (scope, "messageGroup")]).await.unwrap();
    assert_eq!(kind(set(&client, &url, &[(scope, "queue")]).await), ErrorKind::Invalid);
    set(&client, &url, &[(scope, "queue"), (limit, "perQueue")]).await.unwrap();
    assert_eq!(kind(set(&client, &url, &[(limit, "perGroup")]).await), ErrorKind::Invalid);
}

#[tokio::test]
async fn encryption_is_one_kind_at_a_time() {
    let (_, client) = prompt();
    let (key, reuse, managed) =
        (Attribute::KmsMasterKeyId, Attribute::KmsDataKeyReusePeriodSeconds, Attribute::SqsManagedSseEnabled);
    let url = create(&client, "q", &[]).await.unwrap();
    assert_eq!(read(&client, &url, managed).await.as_deref(), Some("true"), "the default");
    assert_eq!(read(&client, &url, reuse).await, None, "no key, no reuse period");
    assert_eq!(kind(set(&client, &url, &[(key, "alias/k"), (managed, "true")]).await), ErrorKind::Invalid);
    set(&client, &url, &[(key, "alias/k")]).await.unwrap();
    assert_eq!(read(&client, &url, managed).await.as_deref(), Some("false"), "a key turns the other off");
    assert_eq!(read(&client, &url, reuse).await.as_deref(), Some("300"));
    for seconds in ["59", "86401"] {
        assert_eq!(kind(set(&client, &url, &[(reuse, seconds)]).await), ErrorKind::Invalid);
    }
    assert_eq!(
        kind(set(&client, &url, &[(managed, "true")]).await),
        ErrorKind::Invalid,
        "the key must go in this call"
    );
    set(&client, &url, &[(managed, "true"), (key, "")]).await.unwrap();
    assert_eq!(read(&client, &url, key).await, None);
    assert_eq!(read(&client, &url, reuse).await, None);
    set(&client, &url, &[(managed, "false")]).await.unwrap();
    assert_eq!(read(&client, &url, managed).await.as_deref(), Some("false"));
}

#[tokio::test]
async fn a_key_has_an_id_an_arn_and_an_alias() {
    let (world, client) = prompt();
    let place = Place { account_id: ACCOUNT.to_owned(), region: REGION.to_owned() };
    let arn = world.create_key(&place, "1234", "alias/media");
    for key in ["1234", "alias/media", arn.as_str(), "arn:aws:kms:eu-central-1:123456789012:alias/media"] {
        assert_eq!(client.key_arn(key).await.unwrap(), arn);
    }
    assert_eq!(kind(client.key_arn("alias/other").await), ErrorKind::KmsDenied);
}

#[tokio::test]
async fn a_send_needs_the_key() {
    let (world, client) = prompt();
    let place = Place { account_id: ACCOUNT.to_owned(), region: REGION.to_owned() };
    let url = create(&client, "q", &[(Attribute::KmsMasterKeyId, "alias/media")]).await.unwrap();
    assert_eq!(world.send(&worker(), &url).unwrap_err().kind, ErrorKind::KmsDenied);
    let arn = world.create_key(&place, "1234", "alias/media");
    world.send(&worker(), &url).unwrap();
    world.disable_key(&arn);
    assert_eq!(world.send(&worker(), &url).unwrap_err().kind, ErrorKind::KmsDenied);
}

#[tokio::test]
async fn tags_have_limits() {
    let (_, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    let long_key = "k".repeat(129);
    let long_value = "v".repeat(257);
    for bad in [
        ("", "v"),
        (long_key.as_str(), "v"),
        ("k", long_value.as_str()),
        ("aws:k", "v"),
        ("AWS:k", "v"),
        ("k<", "v"),
        ("k", "*"),
    ] {
        assert_eq!(kind(client.tag_queue(&url, &tags(&[bad])).await), ErrorKind::Invalid, "{bad:?}");
        assert_eq!(kind(client.create_queue(&name("r"), &attributes(&[]), &tags(&[bad])).await), ErrorKind::Invalid);
    }
    let fifty: Tags = (0..50).map(|i| (format!("k{i}"), String::new())).collect();
    client.tag_queue(&url, &fifty).await.unwrap();
    assert_eq!(kind(client.tag_queue(&url, &tags(&[("one-more", "")])).await), ErrorKind::Invalid);
    client.tag_queue(&url, &tags(&[("k7", "other")])).await.unwrap();
    client.untag_queue(&url, &["k8".to_owned(), "never-there".to_owned()]).await.unwrap();
    client.tag_queue(&url, &tags(&[("one-more", "")])).await.unwrap();
    let now = client.list_queue_tags(&url).await.unwrap();
    assert_eq!((now.len(), now["k7"].as_str(), now.contains_key("k8")), (50, "other", false));
}

#[tokio::test]
async fn a_queue_policy_does_not_grant_management_to_another_account() {
    let (world, client) = prompt();
    let policy =
        r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"sqs:*","Resource":"*"}}"#;
    let url = create(&client, "q", &[(Attribute::Policy, policy)]).await.unwrap();
    let stranger = Caller::role("210987654321", REGION, "their-operator");
    world.send(&stranger, &url).unwrap();
    let stranger = world.client(&stranger);
    stranger.get_queue_attributes(&url).await.unwrap();
    let missing = ErrorKind::QueueDoesNotExist;
    assert_eq!(kind(set(&stranger, &url, &[(Attribute::DelaySeconds, "5")]).await), missing);
    assert_eq!(kind(stranger.delete_queue(&url).await), missing);
    assert_eq!(kind(stranger.tag_queue(&url, &tags(&[("a", "b")])).await), missing);
    assert_eq!(kind(stranger.list_queue_tags(&url).await), missing);
}

proptest! {
    /// Whatever is written and accepted is what a read shows once it has settled.
    #[test]
    fn what_is_accepted_is_shown_in_the_end(seed: u64, values in proptest::collection::vec((0usize..5, -1i64..1_300_000), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = crate::model::World::new(seed, crate::model::Timing::aws());
            let client = world.client(&operator());
            let url = create(&client, "q", &[]).await.unwrap();
            world.advance(2);
            let mut accepted = client.get_queue_attributes(&url).await.unwrap().settings;
            for (index, value) in values {
                let (attribute, text) = (RANGES[index].0, value.to_string());
                if set(&client, &url, &[(attribute, &text)]).await.is_ok() {
                    accepted.insert(attribute, text);
                }
                world.advance(value.rem_euclid(40));
            }
            world.advance(900);
            assert_eq!(client.get_queue_attributes(&url).await.unwrap().settings, accepted);
        });
    }
}
