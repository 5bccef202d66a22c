//! Roles of IAM.

use prism_queue::aws::{Policies, Roles};
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::identity::RoleArn;
use prism_queue::domain::tags::Tags;
use serde_json::{Value, json};

use super::{ACCOUNT, REGION, kind, operator, prompt, tags};
use crate::model::{Caller, Client, RoleView, Timing, World};

const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:SendMessage"],"Resource":["*"]}]}"#;
const OF_AWS: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
const OIDC: &str = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/E";

fn arn(path_and_name: &str) -> RoleArn {
    RoleArn::parse(&format!("arn:aws:iam::{ACCOUNT}:role{path_and_name}")).unwrap()
}

fn policy(name: &str) -> PolicyArn {
    PolicyArn::parse(&format!("arn:aws:iam::{ACCOUNT}:policy/{name}")).unwrap()
}

fn statement() -> Value {
    json!({"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]})
}

fn trust(statement: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// Makes a role and a policy beside it.
async fn made(client: &Client) -> (RoleArn, PolicyArn) {
    let (role, policy) = (arn("/a/worker"), policy("send"));
    client.create_role(&role, &trust(&statement()), OF_AWS, &tags(&[("a", "1")])).await.unwrap();
    client.create_policy(&policy, DOCUMENT, &Tags::new()).await.unwrap();
    (role, policy)
}

fn only(world: &World) -> RoleView {
    let [role] = <[RoleView; 1]>::try_from(world.roles()).unwrap();
    role
}

#[tokio::test]
async fn a_name_is_unique_in_the_account_and_calls_go_by_it_whatever_the_path() {
    let (world, client) = prompt();
    let (role, policy) = made(&client).await;
    for taken in ["/a/worker", "/b/worker", "/Worker"] {
        let answer = client.create_role(&arn(taken), &trust(&statement()), OF_AWS, &Tags::new()).await;
        assert_eq!(kind(answer), ErrorKind::EntityAlreadyExists, "{taken}");
    }
    let elsewhere = arn("/b/worker");
    assert_eq!(client.get_role(&elsewhere).await.unwrap().arn, role.to_string());
    client.attach(&elsewhere, &policy).await.unwrap();
    assert!(only(&world).attached.contains(&policy.to_string()), "so a path protects nobody");

    let far = world.client(&Caller::role("999999999999", REGION, "prism-queue"));
    assert_eq!(kind(far.get_role(&role).await), ErrorKind::EntityDoesNotExist);
    let answer = far.create_role(&role, &trust(&statement()), OF_AWS, &Tags::new()).await;
    assert_eq!(kind(answer), ErrorKind::Denied);
}

#[tokio::test]
async fn a_role_is_what_was_written_last() {
    let (world, client) = prompt();
    let (role, _) = made(&client).await;
    let read = client.get_role(&role).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read.trust).unwrap()["Statement"][0], statement());
    assert_eq!((read.boundary.as_deref(), &read.tags), (Some(OF_AWS), &tags(&[("a", "1")])));
    let other = json!({"Effect": "Allow", "Principal": {"Federated": OIDC}, "Action": "sts:AssumeRoleWithWebIdentity"});
    client.update_trust(&role, &trust(&other)).await.unwrap();
    client.create_policy(&policy("boundary"), DOCUMENT, &Tags::new()).await.unwrap();
    client.put_boundary(&role, &policy("boundary").to_string()).await.unwrap();
    client.tag_role(&role, &tags(&[("b", "2")])).await.unwrap();
    let read = client.get_role(&role).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read.trust).unwrap()["Statement"][0], other);
    assert_eq!(read.boundary, Some(policy("boundary").to_string()));
    assert_eq!(read.tags, tags(&[("a", "1"), ("b", "2")]));
    assert_eq!(world.role(&role).unwrap(), only(&world));
}

#[tokio::test]
async fn a_role_goes_once_nothing_is_attached_and_a_policy_once_nobody_has_it() {
    let (world, client) = prompt();
    let (role, policy) = made(&client).await;
    client.attach(&role, &policy).await.unwrap();
    client.attach(&role, &policy).await.unwrap();
    assert_eq!(client.attached_policies(&role).await.unwrap(), [policy.to_string()]);
    assert_eq!(client.get_policy(&policy).await.unwrap().attachments, 1);
    assert_eq!(kind(client.delete_role(&role).await), ErrorKind::DeleteConflict);
    assert_eq!(kind(client.delete_policy(&policy).await), ErrorKind::DeleteConflict);
    client.detach(&role, &policy).await.unwrap();
    assert_eq!(kind(client.detach(&role, &policy).await), ErrorKind::EntityDoesNotExist);
    let id = only(&world).id;
    client.delete_role(&role).await.unwrap();
    client.delete_policy(&policy).await.unwrap();
    for gone in [
        client.get_role(&role).await.map(|_| ()),
        client.attached_policies(&role).await.map(|_| ()),
        client.update_trust(&role, &trust(&statement())).await,
        client.delete_role(&role).await,
    ] {
        assert_eq!(kind(gone), ErrorKind::EntityDoesNotExist);
    }
    made(&client).await;
    assert_ne!(only(&world).id, id, "it is another one");
}

#[tokio::test]
async fn a_policy_that_bounds_a_role_is_in_use() {
    let (world, client) = prompt();
    let (role, policy) = made(&client).await;
    client.put_boundary(&role, &policy.to_string()).await.unwrap();
    assert_eq!(client.get_policy(&policy).await.unwrap().attachments, 1);
    assert_eq!(kind(client.delete_policy(&policy).await), ErrorKind::DeleteConflict);
    world.unbind_role(&role);
    client.delete_policy(&policy).await.unwrap();
}

#[tokio::test]
async fn a_boundary_is_a_policy_that_is_there() {
    let (_, client) = prompt();
    let (role, _) = made(&client).await;
    for (boundary, want) in [
        ("boundary", ErrorKind::Invalid),
        ("arn:aws:iam::123456789012:role/worker", ErrorKind::Invalid),
        ("arn:aws:iam::123456789012:policy/none", ErrorKind::EntityDoesNotExist),
        ("arn:aws:iam::999999999999:policy/send", ErrorKind::EntityDoesNotExist),
    ] {
        assert_eq!(kind(client.put_boundary(&role, boundary).await), want, "{boundary}");
        let answer = client.create_role(&arn("/other"), &trust(&statement()), boundary, &Tags::new()).await;
        assert_eq!(kind(answer), want, "{boundary}");
    }
}

#[tokio::test]
async fn a_role_takes_ten_policies_that_are_there() {
    let (world, client) = prompt();
    let role = arn("/theirs");
    world.put_role(&role, &tags(&[("team", "media")]), &[OF_AWS]);
    assert_eq!(kind(client.attach(&role, &policy("none")).await), ErrorKind::EntityDoesNotExist);
    for n in 0..9 {
        client.create_policy(&policy(&format!("p{n}")), DOCUMENT, &Tags::new()).await.unwrap();
        client.attach(&role, &policy(&format!("p{n}"))).await.unwrap();
    }
    client.create_policy(&policy("p9"), DOCUMENT, &Tags::new()).await.unwrap();
    assert_eq!(kind(client.attach(&role, &policy("p9")).await), ErrorKind::LimitExceeded);
    client.attach(&role, &policy("p0")).await.unwrap();
    assert_eq!(client.attached_policies(&role).await.unwrap().len(), 10);
}

#[tokio::test]
async fn what_is_written_to_a_role_shows_late() {
    let world = World::new(1, Timing { iam_shows_after: 10..=10, ..Timing::prompt() });
    let client = world.client(&operator());
    let (role, policy) = made(&client).await;
    assert_eq!(kind(client.get_role(&role).await), ErrorKind::EntityDoesNotExist);
    assert_eq!(kind(client.attach(&role, &policy).await), ErrorKind::EntityDoesNotExist);
    let answer = client.create_role(&role, &trust(&statement()), OF_AWS, &Tags::new()).await;
    assert_eq!(kind(answer), ErrorKind::EntityAlreadyExists);
    world.advance(10);
    client.attach(&role, &policy).await.unwrap();
    client.tag_role(&role, &tags(&[("b", "2")])).await.unwrap();
    assert!(client.attached_policies(&role).await.unwrap().is_empty());
    assert_eq!(client.get_role(&role).await.unwrap().tags, tags(&[("a", "1")]));
    world.advance(10);
    assert_eq!(client.attached_policies(&role).await.unwrap(), [policy.to_string()]);
    assert_eq!(client.get_role(&role).await.unwrap().tags.len(), 2);
    client.detach(&role, &policy).await.unwrap();
    client.delete_role(&role).await.unwrap();
    assert!(client.get_role(&role).await.is_ok(), "a deleted one still shows");
    world.advance(10);
    assert_eq!(kind(client.get_role(&role).await), ErrorKind::EntityDoesNotExist);
}

#[tokio::test]
async fn others_change_roles_too() {
    let (world, client) = prompt();
    let (role, policy) = made(&client).await;
    world.put_trust(&role, json!({"Version": "2012-10-17", "Statement": []}));
    world.untag_role(&role);
    world.unbind_role(&role);
    world.attach(&policy, &role.to_string());
    let read = client.get_role(&role).await.unwrap();
    assert_eq!((read.trust.contains("pods"), read.boundary, read.tags), (false, None, Tags::new()));
    assert_eq!(client.attached_policies(&role).await.unwrap(), [policy.to_string()]);
    world.detach(&policy);
    assert!(client.attached_policies(&role).await.unwrap().is_empty());
    world.attach(&policy, &role.to_string());
    world.drop_role(&role);
    assert_eq!(kind(client.get_role(&role).await), ErrorKind::EntityDoesNotExist);
    client.delete_policy(&policy).await.unwrap();
}

#[tokio::test]
async fn what_is_no_trust_policy_is_refused() {
    let (world, client) = prompt();
    let refused = async |text: &str| {
        let answer = client.create_role(&arn("/worker"), text, OF_AWS, &Tags::new()).await;
        assert_eq!(kind(answer), ErrorKind::Invalid, "{text}");
    };
    for bad in ["", "no JSON", "[]", "{}", r#"{"Version":"2012-10-17","Statement":[]}"#] {
        refused(bad).await;
    }
    refused(&trust(&statement()).replace("2012", "2020")).await;
    for (element, value) in [
        ("Effect", json!("Maybe")),
        ("Resource", json!("*")),
        ("Extra", json!(1)),
        ("Action", json!([])),
        ("Action", json!("sqs:SendMessage")),
        ("Action", json!("sts:AssumeRoleWithWebIdentity")),
        ("Principal", json!("somebody")),
        ("Principal", json!({})),
        ("Principal", json!({"Person": "somebody"})),
        ("Principal", json!({"Service": "pods"})),
        ("Principal", json!({"Federated": OIDC})),
        ("Principal", json!({"AWS": "arn:aws:iam::123456789012:role/nobody"})),
        ("Condition", json!("always")),
        ("Condition", json!({"StringEquals": "always"})),
        ("Condition", json!({"StringEquals": {"aws:SourceAccount": {}}})),
    ] {
        let mut bad = statement();
        bad[element] = value;
        refused(&trust(&bad)).await;
    }
    let mut long = statement();
    long["Sid"] = json!("s".repeat(2_048));
    let answer = client.create_role(&arn("/worker"), &trust(&long), OF_AWS, &Tags::new()).await;
    assert_eq!(kind(answer), ErrorKind::LimitExceeded);

    world.create_principal("arn:aws:iam::123456789012:role/somebody");
    let mut whole = statement();
    whole["Principal"] = json!({"AWS": "arn:aws:iam::123456789012:role/somebody"});
    whole["Condition"] = json!({"StringEquals": {"aws:SourceAccount": ["123456789012"]}});
    client.create_role(&arn("/worker"), &trust(&whole), OF_AWS, &Tags::new()).await.unwrap();
}

#[tokio::test]
async fn calls_about_roles_are_in_the_journal() {
    let (world, client) = prompt();
    let (role, policy) = made(&client).await;
    let mark = world.mark();
    client.attach(&role, &policy).await.unwrap();
    client.get_role(&role).await.unwrap();
    let [attached] = &world.writes_since(mark)[..] else { panic!("one write") };
    assert_eq!((attached.action, attached.subject()), ("AttachRolePolicy", role.to_string()));
    assert_eq!((&attached.role, &attached.arguments.keys[..]), (&Some(role), &[policy.to_string()][..]));
    assert_eq!(attached.tags_before, Some(tags(&[("a", "1")])));
    assert!(attached.touched_existing() && world.calls_since(mark).len() == 2);
}
