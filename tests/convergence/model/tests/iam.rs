//! Managed policies of IAM.

use prism_queue::aws::Policies;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::tags::Tags;

use super::{ACCOUNT, kind, operator, prompt, tags, worker};
use crate::model::{Caller, Timing, World};

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:SendMessage"],"Resource":["arn:aws:sqs:eu-central-1:123456789012:q"]}]}"#;

fn arn(path_and_name: &str) -> PolicyArn {
    PolicyArn::parse(&format!("arn:aws:iam::{ACCOUNT}:policy{path_and_name}")).unwrap()
}

#[tokio::test]
async fn a_name_is_unique_in_the_account_whatever_its_path_and_case() {
    let (world, client) = prompt();
    client.create_policy(&arn("/a/x"), DOCUMENT, &Tags::new()).await.unwrap();
    for taken in ["/a/x", "/b/x", "/X"] {
        let answer = client.create_policy(&arn(taken), DOCUMENT, &Tags::new()).await;
        assert_eq!(kind(answer), ErrorKind::EntityAlreadyExists, "{taken}");
    }
    let far = world.client(&Caller::role("999999999999", super::REGION, "prism-queue"));
    let theirs = PolicyArn::parse("arn:aws:iam::999999999999:policy/a/x").unwrap();
    far.create_policy(&theirs, DOCUMENT, &Tags::new()).await.unwrap();
    assert_eq!(kind(far.get_policy(&arn("/a/x")).await), ErrorKind::Denied);
}

#[tokio::test]
async fn five_versions_are_kept_and_the_one_in_force_cannot_be_deleted() {
    let (world, client) = prompt();
    let arn = arn("/x");
    let made = client.create_policy(&arn, DOCUMENT, &tags(&[("a", "1")])).await.unwrap();
    for version in ["v2", "v3", "v4", "v5"] {
        assert_eq!(client.create_policy_version(&arn, DOCUMENT).await.unwrap(), version);
    }
    assert_eq!(kind(client.create_policy_version(&arn, DOCUMENT).await), ErrorKind::LimitExceeded);
    assert_eq!(kind(client.delete_policy_version(&arn, "v5").await), ErrorKind::DeleteConflict);
    client.delete_policy_version(&arn, "v1").await.unwrap();
    assert_eq!(client.create_policy_version(&arn, DOCUMENT).await.unwrap(), "v6", "no version is made twice");
    assert_eq!(client.other_versions(&arn).await.unwrap(), ["v2", "v3", "v4", "v5"]);
    let read = client.get_policy(&arn).await.unwrap();
    assert_eq!((read.id, read.default_version.as_str(), read.tags), (made.id, "v6", tags(&[("a", "1")])));
    assert_eq!(world.policies()[0].versions.len(), 5);
}

#[tokio::test]
async fn a_policy_goes_once_it_is_detached_and_has_one_version() {
    let (world, client) = prompt();
    let arn = arn("/x");
    client.create_policy(&arn, DOCUMENT, &Tags::new()).await.unwrap();
    client.create_policy_version(&arn, DOCUMENT).await.unwrap();
    assert_eq!(kind(client.delete_policy(&arn).await), ErrorKind::DeleteConflict);
    client.delete_policy_version(&arn, "v1").await.unwrap();
    world.attach(&arn, &worker().arn);
    assert_eq!(client.get_policy(&arn).await.unwrap().attachments, 1);
    assert_eq!(kind(client.delete_policy(&arn).await), ErrorKind::DeleteConflict);
    world.detach(&arn);
    client.delete_policy(&arn).await.unwrap();
    assert_eq!(kind(client.get_policy(&arn).await), ErrorKind::EntityDoesNotExist);
    let again = client.create_policy(&arn, DOCUMENT, &Tags::new()).await.unwrap();
    assert_ne!(again.id, "ANPA00000001", "it is another one");
}

#[tokio::test]
async fn what_is_written_shows_late() {
    let world = World::new(1, Timing { iam_shows_after: 10..=10, ..Timing::prompt() });
    let (client, arn) = (world.client(&operator()), arn("/x"));
    client.create_policy(&arn, DOCUMENT, &Tags::new()).await.unwrap();
    assert_eq!(kind(client.get_policy(&arn).await), ErrorKind::EntityDoesNotExist);
    assert_eq!(kind(client.create_policy_version(&arn, DOCUMENT).await), ErrorKind::EntityDoesNotExist);
    assert_eq!(kind(client.create_policy(&arn, DOCUMENT, &Tags::new()).await), ErrorKind::EntityAlreadyExists);
    world.advance(10);
    client.create_policy_version(&arn, DOCUMENT).await.unwrap();
    assert_eq!(client.get_policy(&arn).await.unwrap().default_version, "v1");
    world.advance(10);
    assert_eq!(client.get_policy(&arn).await.unwrap().default_version, "v2");
    client.delete_policy_version(&arn, "v1").await.unwrap();
    client.delete_policy(&arn).await.unwrap();
    assert!(client.get_policy(&arn).await.is_ok(), "a deleted one still shows");
    world.advance(10);
    assert_eq!(kind(client.get_policy(&arn).await), ErrorKind::EntityDoesNotExist);
}

#[tokio::test]
async fn what_is_no_policy_is_refused() {
    let (_, client) = prompt();
    let change = |from: &str, to: &str| DOCUMENT.replace(from, to);
    let long = change(":q\"", &format!(":{}\"", "q".repeat(6144)));
    for bad in [
        "no JSON".to_owned(),
        change("2012-10-17", "2008-10-17"),
        change("\"Allow\"", "\"Perhaps\""),
        change("\"Effect\"", "\"Principal\":\"*\",\"Effect\""),
        change("sqs:SendMessage", "SendMessage"),
        change("arn:aws:sqs:eu-central-1:123456789012:q", "q"),
        change("[\"sqs:SendMessage\"]", "[]"),
    ] {
        let answer = client.create_policy(&arn("/x"), &bad, &Tags::new()).await;
        assert_eq!(kind(answer), ErrorKind::Invalid, "{bad:.120}");
    }
    let answer = client.create_policy(&arn("/x"), &long, &Tags::new()).await;
    assert_eq!(kind(answer), ErrorKind::LimitExceeded);
    client.create_policy(&arn("/x"), &change("[{", "[   {"), &Tags::new()).await.unwrap();
}
