//! Rows: policy, principals. And what a policy does: the fence of a queue about to be deleted.

use prism_queue::aws::Sqs;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::call::ErrorKind;
use serde_json::{Value, json};

use super::{REGION, create, kind, operator, prompt, read, set, worker};
use crate::model::{Caller, Client, Timing, World};

const POLICY: Attribute = Attribute::Policy;

fn statement(principal: &Value) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", "Resource": "*"})
}

fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

async fn read_json(client: &Client, url: &str) -> Value {
    serde_json::from_str(&read(client, url, POLICY).await.unwrap()).unwrap()
}

/// Whether SQS takes this policy.
async fn accepts(text: &str) -> bool {
    let (_, client) = prompt();
    let url = create(&client, "q", &[]).await.unwrap();
    match set(&client, &url, &[(POLICY, text)]).await {
        Ok(()) => true,
        Err(error) => {
            assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Invalid, "InvalidAttributeValue"));
            false
        }
    }
}

#[tokio::test]
async fn a_policy_has_a_grammar() {
    assert!(accepts(&policy(&[statement(&json!("*"))])).await);
    for bad in ["no JSON", "[]", "{}", r#"{"Statement":[]}"#, r#"{"Statement":["x"]}"#, r#"{"Statement":[],"More":1}"#]
    {
        assert!(!accepts(bad).await, "{bad}");
    }
    assert!(!accepts(&json!({"Version": "2020-01-01", "Statement": [statement(&json!("*"))]}).to_string()).await);
    for (element, value) in [
        ("Effect", json!("Maybe")),
        ("Action", json!("s3:GetObject")),
        ("Action", json!([])),
        ("Action", json!(7)),
        ("Resource", json!("my-queue")),
        ("Principal", json!("somebody")),
        ("Principal", json!({"Person": "somebody"})),
        ("Principal", json!({"AWS": []})),
        ("Condition", json!("always")),
        ("NotAction", json!("sqs:SendMessage")),
        ("Extra", json!(1)),
    ] {
        let mut bad = statement(&json!("*"));
        bad[element] = value;
        assert!(!accepts(&policy(&[bad.clone()])).await, "{bad}");
    }
    for element in ["Effect", "Action", "Resource", "Principal"] {
        let mut bad = statement(&json!("*"));
        bad.as_object_mut().unwrap().remove(element);
        assert!(!accepts(&policy(&[bad])).await, "without {element}");
    }
    let mut twin = statement(&json!("*"));
    twin["Sid"] = json!("same");
    assert!(!accepts(&policy(&[twin.clone(), twin])).await, "Sids are unique");
}

#[tokio::test]
async fn a_policy_has_limits() {
    let many = |n: usize| vec![statement(&json!("*")); n];
    assert!(accepts(&policy(&many(20))).await);
    assert!(!accepts(&policy(&many(21))).await);
    let services = |n: usize| statement(&json!({"Service": (0..n).map(|i| format!("s{i}")).collect::<Vec<_>>()}));
    assert!(accepts(&policy(&[services(50)])).await);
    assert!(!accepts(&policy(&[services(51)])).await);
    let with = |element: &str, value: Value| {
        let mut statement = statement(&json!("*"));
        statement[element] = value;
        policy(&[statement])
    };
    let actions = |n: usize| json!((0..n).map(|i| format!("sqs:A{i}")).collect::<Vec<_>>());
    assert!(accepts(&with("Action", actions(7))).await);
    assert!(!accepts(&with("Action", actions(8))).await);
    let conditions = |n: usize| {
        let keys = |from: usize| {
            (from..n).step_by(2).map(|i| (format!("aws:k{i}"), json!("v"))).collect::<serde_json::Map<_, _>>()
        };
        json!({"StringEquals": keys(0), "StringLike": keys(1)})
    };
    assert!(accepts(&with("Condition", conditions(10))).await);
    assert!(!accepts(&with("Condition", conditions(11))).await);
    let frame = with("Sid", json!("")).len();
    assert!(accepts(&with("Sid", json!("x".repeat(8_192 - frame)))).await);
    assert!(!accepts(&with("Sid", json!("x".repeat(8_193 - frame)))).await);
}

#[tokio::test]
async fn a_policy_reads_back_rewritten() {
    let (_, client) = prompt();
    let written = json!({"Statement": {
        "Effect": "Allow",
        "Principal": {"AWS": ["123456789012"], "Service": ["sns.amazonaws.com", "s3.amazonaws.com"]},
        "Action": ["sqs:SendMessage"],
        "Resource": ["*"],
        "Condition": {"ArnEquals": {"aws:SourceArn": ["arn:aws:sns:eu-central-1:123456789012:t"]}},
    }});
    let url = create(&client, "q", &[(POLICY, &written.to_string())]).await.unwrap();
    let shown = json!({"Version": "2008-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root", "Service": ["s3.amazonaws.com", "sns.amazonaws.com"]},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:eu-central-1:123456789012:t"}},
    }]});
    assert_eq!(read_json(&client, &url).await, shown);
    // What SQS shows, it also takes.
    set(&client, &url, &[(POLICY, &shown.to_string())]).await.unwrap();
}

#[tokio::test]
async fn an_empty_policy_removes_it() {
    let (_, client) = prompt();
    let url = create(&client, "q", &[(POLICY, &policy(&[statement(&json!("*"))]))]).await.unwrap();
    set(&client, &url, &[(POLICY, "")]).await.unwrap();
    assert_eq!(read(&client, &url, POLICY).await, None);
}

#[tokio::test]
async fn a_principal_must_be_there_and_reads_back_by_id_when_it_is_gone() {
    let (world, client) = prompt();
    let role = "arn:aws:iam::123456789012:role/worker";
    let text = policy(&[statement(&json!({"AWS": role}))]);
    let url = create(&client, "q", &[]).await.unwrap();
    assert_eq!(kind(set(&client, &url, &[(POLICY, &text)]).await), ErrorKind::Invalid, "there is no such role");
    world.create_principal(role);
    set(&client, &url, &[(POLICY, &text)]).await.unwrap();
    assert_eq!(read_json(&client, &url).await["Statement"][0]["Principal"]["AWS"], role);

    world.delete_principal(role);
    let gone = read_json(&client, &url).await["Statement"][0]["Principal"]["AWS"].as_str().unwrap().to_owned();
    assert!(gone.starts_with("AROA"), "{gone}");
    assert_eq!(kind(set(&client, &url, &[(POLICY, &text)]).await), ErrorKind::Invalid);
    let by_id = policy(&[statement(&json!({"AWS": gone}))]);
    assert_eq!(kind(set(&client, &url, &[(POLICY, &by_id)]).await), ErrorKind::Invalid);

    // A role of the same name is another principal, until the policy is written again.
    world.create_principal(role);
    assert_eq!(read_json(&client, &url).await["Statement"][0]["Principal"]["AWS"], gone);
    set(&client, &url, &[(POLICY, &text)]).await.unwrap();
    assert_eq!(read_json(&client, &url).await["Statement"][0]["Principal"]["AWS"], role);
}

#[tokio::test]
async fn a_user_has_an_id_of_its_own_kind() {
    let (world, client) = prompt();
    let user = "arn:aws:iam::123456789012:user/somebody";
    world.create_principal(user);
    let text = policy(&[statement(&json!({"AWS": [user, "arn:aws:iam::123456789012:root"]}))]);
    let url = create(&client, "q", &[(POLICY, &text)]).await.unwrap();
    world.delete_principal(user);
    let listed = read_json(&client, &url).await["Statement"][0]["Principal"]["AWS"].clone();
    assert!(listed[1].as_str().unwrap().starts_with("AIDA"), "{listed}");
}

#[tokio::test]
async fn a_deny_fences_senders_once_it_shows() {
    let world = World::new(1, Timing { attributes_show_after: 60..=60, ..Timing::prompt() });
    let client = world.client(&operator());
    let url = create(&client, "q", &[]).await.unwrap();
    let fence = policy(&[
        json!({"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}),
        json!({"Effect": "Deny", "Principal": "*", "Action": "SQS:Send*", "Resource": world.queue(&url).unwrap().arn.to_string()}),
    ]);
    set(&client, &url, &[(POLICY, &fence)]).await.unwrap();
    world.send(&worker(), &url).unwrap();
    world.advance(60);
    assert_eq!(world.send(&worker(), &url).unwrap_err().kind, ErrorKind::Denied);
    world.receive(&worker(), &url).unwrap().unwrap();
    set(&client, &url, &[(POLICY, "")]).await.unwrap();
    world.advance(60);
    world.send(&worker(), &url).unwrap();
}

#[tokio::test]
async fn a_deny_locks_out_the_operator_too() {
    let (_, client) = prompt();
    let deny = json!({"Effect": "Deny", "Principal": "*", "NotAction": "sqs:SendMessage", "Resource": "*"});
    let url = create(&client, "q", &[(POLICY, &policy(&[deny]))]).await.unwrap();
    assert_eq!(kind(client.get_queue_attributes(&url).await), ErrorKind::Denied);
    assert_eq!(kind(set(&client, &url, &[(POLICY, "")]).await), ErrorKind::Denied);
}

#[tokio::test]
async fn conditions_narrow_a_statement() {
    let deny = |condition: Value| {
        policy(&[
            json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "NotResource": "arn:aws:s3:::b", "Condition": condition}),
        ])
    };
    for (condition, denied) in [
        (json!({"Bool": {"aws:SecureTransport": "false"}}), false),
        (json!({"Bool": {"aws:SecureTransport": true}}), true),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/work?r"}}), true),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/wrk?r"}}), false),
        (json!({"ArnNotLike": {"aws:PrincipalArn": "*/worker"}}), false),
        (json!({"StringNotEquals": {"aws:PrincipalAccount": ["1", "2"]}}), true),
        (json!({"StringEquals": {"aws:PrincipalAccount": "123456789012", "aws:SourceArn": "x"}}), false),
        (json!({"DateGreaterThan": {"aws:PrincipalAccount": "2020"}}), false),
    ] {
        let (world, client) = prompt();
        let url = create(&client, "q", &[(POLICY, &deny(condition.clone()))]).await.unwrap();
        assert_eq!(world.send(&worker(), &url).is_err(), denied, "{condition}");
    }
}

#[tokio::test]
async fn another_account_may_do_what_a_policy_grants() {
    let (world, client) = prompt();
    let stranger = Caller::role("210987654321", REGION, "sender");
    let root = statement(&json!({"AWS": "210987654321"}));
    let url = create(&client, "q", &[(POLICY, &policy(&[root]))]).await.unwrap();
    world.send(&stranger, &url).unwrap();
    assert_eq!(world.receive(&stranger, &url).unwrap_err().kind, ErrorKind::QueueDoesNotExist);
    assert!(world.send(&Caller::role("333333333333", REGION, "sender"), &url).is_err());
    let nobody_else =
        json!({"Effect": "Deny", "NotPrincipal": {"AWS": "123456789012"}, "Action": "sqs:*", "Resource": "*"});
    set(&client, &url, &[(POLICY, &policy(&[statement(&json!("*")), nobody_else]))]).await.unwrap();
    assert!(world.send(&stranger, &url).is_err());
    world.send(&worker(), &url).unwrap();
}
