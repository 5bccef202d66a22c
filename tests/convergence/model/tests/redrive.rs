//! Rows: DLQ, redrive allow policy.

use prism_queue::aws::Sqs;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;

use super::{create, kind, operator, prompt, read, set};
use crate::model::{Timing, World};

const POLICY: Attribute = Attribute::RedrivePolicy;
const ALLOW: Attribute = Attribute::RedriveAllowPolicy;

fn to(queue: &str) -> String {
    format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:123456789012:{queue}","maxReceiveCount":5}}"#)
}

fn by_queue(sources: &[&str]) -> String {
    let arns: Vec<String> =
        sources.iter().map(|name| format!("\"arn:aws:sqs:eu-central-1:123456789012:{name}\"")).collect();
    format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":[{}]}}"#, arns.join(","))
}

#[tokio::test]
async fn a_dead_letter_queue_must_be_there() {
    let world = World::new(1, Timing { usable_after: 1..=1, ..Timing::prompt() });
    let client = world.client(&operator());
    let url = create(&client, "q", &[]).await.unwrap();
    let dead = create(&client, "dlq", &[]).await.unwrap();
    assert_eq!(kind(create(&client, "r", &[(POLICY, &to("dlq"))]).await), ErrorKind::Invalid, "not usable yet");
    world.advance(1);
    set(&client, &url, &[(POLICY, &to("dlq"))]).await.unwrap();
    assert_eq!(kind(set(&client, &url, &[(POLICY, &to("none"))]).await), ErrorKind::Invalid);
    client.delete_queue(&dead).await.unwrap();
    assert_eq!(kind(set(&client, &url, &[(POLICY, &to("dlq"))]).await), ErrorKind::Invalid);
    assert!(read(&client, &url, POLICY).await.is_some(), "the source keeps its dangling policy");
}

#[tokio::test]
async fn a_dead_letter_queue_is_of_the_same_type_account_and_region() {
    let (_, client) = prompt();
    create(&client, "dlq", &[]).await.unwrap();
    create(&client, "dlq.fifo", &[(Attribute::FifoQueue, "true")]).await.unwrap();
    assert_eq!(kind(create(&client, "q", &[(POLICY, &to("dlq.fifo"))]).await), ErrorKind::Invalid);
    let fifo = [(Attribute::FifoQueue, "true"), (POLICY, &to("dlq"))];
    assert_eq!(kind(create(&client, "q.fifo", &fifo).await), ErrorKind::Invalid);
    for elsewhere in ["arn:aws:sqs:us-east-1:123456789012:dlq", "arn:aws:sqs:eu-central-1:210987654321:dlq"] {
        let policy = format!(r#"{{"deadLetterTargetArn":"{elsewhere}","maxReceiveCount":5}}"#);
        assert_eq!(kind(create(&client, "q", &[(POLICY, &policy)]).await), ErrorKind::Invalid);
    }
    create(&client, "q", &[(POLICY, &to("dlq"))]).await.unwrap();
}

#[tokio::test]
async fn a_redrive_policy_has_a_shape() {
    let (_, client) = prompt();
    create(&client, "dlq", &[]).await.unwrap();
    let url = create(&client, "q", &[]).await.unwrap();
    let arn = "arn:aws:sqs:eu-central-1:123456789012:dlq";
    for count in ["1", "1000", "\"5\""] {
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#);
        set(&client, &url, &[(POLICY, &policy)]).await.unwrap();
    }
    for count in ["0", "1001", "-1", "1.5", "\"x\"", "null"] {
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#);
        assert_eq!(kind(set(&client, &url, &[(POLICY, &policy)]).await), ErrorKind::Invalid, "{policy}");
    }
    let no_count = format!(r#"{{"deadLetterTargetArn":"{arn}"}}"#);
    let more = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":5,"more":1}}"#);
    for policy in ["{}", "[]", "no JSON", &no_count, &more, r#"{"deadLetterTargetArn":"x","maxReceiveCount":5}"#] {
        assert_eq!(kind(set(&client, &url, &[(POLICY, policy)]).await), ErrorKind::Invalid, "{policy}");
    }
    set(&client, &url, &[(POLICY, "")]).await.unwrap();
    assert_eq!(read(&client, &url, POLICY).await, None);
}

#[tokio::test]
async fn a_redrive_allow_policy_has_a_shape() {
    let (_, client) = prompt();
    let url = create(&client, "dlq", &[]).await.unwrap();
    assert_eq!(read(&client, &url, ALLOW).await, None, "allowAll is the default, and not shown");
    let names: Vec<String> = (0..11).map(|i| format!("q{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for good in [r#"{"redrivePermission":"allowAll"}"#, r#"{"redrivePermission":"denyAll"}"#, &by_queue(&names[..10])] {
        set(&client, &url, &[(ALLOW, good)]).await.unwrap();
        assert_eq!(read(&client, &url, ALLOW).await.as_deref(), Some(good));
    }
    for bad in [
        "{}",
        "no JSON",
        r#"{"redrivePermission":"maybe"}"#,
        r#"{"redrivePermission":"byQueue"}"#,
        r#"{"redrivePermission":"byQueue","sourceQueueArns":["q"]}"#,
        r#"{"redrivePermission":"denyAll","sourceQueueArns":[]}"#,
        r#"{"redrivePermission":"denyAll","more":1}"#,
        &by_queue(&[]),
        &by_queue(&names),
    ] {
        assert_eq!(kind(set(&client, &url, &[(ALLOW, bad)]).await), ErrorKind::Invalid, "{bad}");
    }
    set(&client, &url, &[(ALLOW, "")]).await.unwrap();
    assert_eq!(read(&client, &url, ALLOW).await, None);
}

#[tokio::test]
async fn a_redrive_needs_the_permission_of_its_target() {
    let (_, client) = prompt();
    let dead = create(&client, "dlq", &[(ALLOW, r#"{"redrivePermission":"denyAll"}"#)]).await.unwrap();
    let url = create(&client, "q", &[]).await.unwrap();
    let wired = to("dlq");
    assert_eq!(kind(set(&client, &url, &[(POLICY, &wired)]).await), ErrorKind::Invalid);
    set(&client, &dead, &[(ALLOW, &by_queue(&["other"]))]).await.unwrap();
    assert_eq!(kind(set(&client, &url, &[(POLICY, &wired)]).await), ErrorKind::Invalid);
    set(&client, &dead, &[(ALLOW, &by_queue(&["other", "q"]))]).await.unwrap();
    set(&client, &url, &[(POLICY, &wired)]).await.unwrap();
    set(&client, &dead, &[(ALLOW, r#"{"redrivePermission":"allowAll"}"#)]).await.unwrap();
    create(&client, "r", &[(POLICY, &wired)]).await.unwrap();
}

#[tokio::test]
async fn a_permission_takes_effect_when_reads_show_it() {
    let world = World::new(1, Timing { attributes_show_after: 60..=60, ..Timing::prompt() });
    let client = world.client(&operator());
    let dead = create(&client, "dlq", &[(ALLOW, r#"{"redrivePermission":"denyAll"}"#)]).await.unwrap();
    set(&client, &dead, &[(ALLOW, &by_queue(&["q"]))]).await.unwrap();
    assert_eq!(kind(create(&client, "q", &[(POLICY, &to("dlq"))]).await), ErrorKind::Invalid);
    world.advance(60);
    create(&client, "q", &[(POLICY, &to("dlq"))]).await.unwrap();
}
