//! `spec.access`: who is named may do what the list says, and who is not may do nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::account::{Aws, Caller};
use super::as_installed;
use super::calls::{CONSUMING, INSPECTING, NOTHING, SENDING, TRIED, permitted};
use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, Scope, aws};

/// The roles of an application. No policy of their own allows them anything.
struct Roles {
    producer: Caller,
    consumer: Caller,
    stranger: Caller,
}

impl Roles {
    fn all(&self) -> [&Caller; 3] {
        [&self.producer, &self.consumer, &self.stranger]
    }
}

fn name(scope: &Scope, role: &str) -> String {
    format!("{role}-{}", scope.name)
}

async fn roles(scope: &Scope, aws: &Aws) -> Roles {
    let session = async |role| aws.session(ACCOUNT, &name(scope, role), &[]).await;
    Roles {
        producer: session("producer").await,
        consumer: session("consumer").await,
        stranger: session("stranger").await,
    }
}

fn access(scope: &Scope) -> Value {
    let entry = |role| json!([{"principalArn": format!("arn:aws:iam::{ACCOUNT}:role/{}", name(scope, role))}]);
    json!({"access": {"producers": entry("producer"), "consumers": entry("consumer")}})
}

/// The URLs of a Queue's queue and dead-letter queue.
async fn urls(scope: &Scope, queue: &str) -> (String, String) {
    let status = scope.ready(queue).await.status.expect("a ready Queue has a status");
    let dead_letters = status.dead_letter.and_then(|dead_letter| dead_letter.queue_url);
    (status.queue_url.expect("its URL"), dead_letters.expect("the URL of its dead-letter queue"))
}

#[test]
fn producers_send_and_consumers_receive_and_nobody_does_more() {
    as_installed(&[], async |scope, aws| {
        let roles = roles(scope, aws).await;
        scope.apply_ready("work", access(scope)).await;
        scope.apply_ready("other", json!({})).await;
        let (work, dead_letters) = urls(scope, "work").await;
        let (other, _) = urls(scope, "other").await;
        for (who, of_work, of_dead_letters) in [
            (&roles.producer, &SENDING[..], &NOTHING[..]),
            (&roles.consumer, &CONSUMING[..], &INSPECTING[..]),
            (&roles.stranger, &NOTHING[..], &NOTHING[..]),
        ] {
            assert_eq!(permitted(&who.sqs, &work).await, of_work.iter().copied().collect());
            assert_eq!(permitted(&who.sqs, &dead_letters).await, of_dead_letters.iter().copied().collect());
            assert_eq!(permitted(&who.sqs, &other).await, NOTHING.into(), "another queue");
        }
        // And it is of use: what one sends, the other gets. One message is from the calls above.
        aws::send(&roles.producer.sqs, &work, "a message").await;
        let receive = async || aws::consume(&roles.consumer.sqs, &work).await;
        let received = BTreeSet::from([receive().await, receive().await, receive().await]);
        assert_eq!(received, BTreeSet::from([Some(TRIED.to_owned()), Some("a message".to_owned()), None]));
    });
}

#[test]
fn without_tls_nobody_may_do_anything() {
    as_installed(&[], async |scope, aws| {
        let roles = roles(scope, aws).await;
        let everything = json!({"Effect": "Allow", "Action": "sqs:*", "Resource": "*"});
        let administrator = aws.session(ACCOUNT, &name(scope, "administrator"), &[everything]).await;
        scope.apply_ready("work", access(scope)).await;
        let (work, dead_letters) = urls(scope, "work").await;
        for who in roles.all().into_iter().chain([&administrator, &aws.root(ACCOUNT)]) {
            for url in [&work, &dead_letters] {
                assert_eq!(permitted(&who.plain_sqs, url).await, NOTHING.into(), "{:?}", who.credentials);
            }
        }
        assert!(permitted(&administrator.sqs, &work).await.contains("SendMessage"), "it is for want of TLS");

        let mut open = access(scope);
        open["access"]["requireTLS"] = json!(false);
        scope.apply("work", open).await;
        let sends = async || permitted(&roles.producer.plain_sqs, &work).await;
        eventually("who was asked for no TLS sends without", sends, |sends| *sends == SENDING.into()).await;
    });
}

#[test]
fn an_entry_that_is_removed_takes_its_permission_with_it() {
    as_installed(&[], async |scope, aws| {
        let roles = roles(scope, aws).await;
        scope.apply_ready("work", access(scope)).await;
        let (work, dead_letters) = urls(scope, "work").await;
        assert_eq!(permitted(&roles.producer.sqs, &work).await, SENDING.into());
        scope.apply("work", json!({})).await;
        for who in roles.all() {
            for url in [&work, &dead_letters] {
                let may = async || permitted(&who.sqs, url).await;
                eventually("nothing works any more", may, BTreeSet::is_empty).await;
            }
        }
    });
}
