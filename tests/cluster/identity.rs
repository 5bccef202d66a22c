//! The operator's own clients for roles and for EKS Pod Identity, with the emulator behind them: what is written is there,
//! and what is not there is told so.

use std::sync::Arc;
use std::time::SystemTime;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_types::sdk_config::TimeSource;
use prism_queue::aws::sdk::{AwsClients, Options};
use prism_queue::aws::{Associations as _, Policies as _, Roles as _};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::identity::{AssociationKey, RoleArn};
use prism_queue::domain::tags::Tags;
use serde_json::{Value, json};

use crate::harness::environment;

/// The account of these tests alone: twelve digits as access key choose it.
const ACCOUNT: &str = "200000000002";
const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:SendMessage"],"Resource":["*"]}]}"#;

#[derive(Debug)]
struct Now;

impl TimeSource for Now {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

fn config() -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .time_source(Now)
        .endpoint_url(environment("PRISM_TEST_ENDPOINT"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(ACCOUNT, "secret", None, None, "test")))
        .build()
}

async fn clients() -> AwsClients {
    AwsClients::from_config(config(), &Options::default(), Arc::new(())).await.expect("clients")
}

fn kind<T: std::fmt::Debug>(answer: Result<T, CallError>) -> ErrorKind {
    answer.expect_err("a refusal").kind
}

fn policy(name: &str) -> PolicyArn {
    PolicyArn::parse(&format!("arn:aws:iam::{ACCOUNT}:policy/prism-queue/{name}")).unwrap()
}

fn tags(value: &str) -> Tags {
    Tags::from([("queue.prism.io/name".to_owned(), value.to_owned())])
}

fn trust(service: &str) -> String {
    let statement =
        json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

#[tokio::test]
async fn a_role_is_made_changed_and_deleted() {
    let iam = clients().await.iam;
    let role = RoleArn::parse(&format!("arn:aws:iam::{ACCOUNT}:role/prism-queue/media_worker")).unwrap();
    let (first, second) = (policy("boundary-1"), policy("boundary-2"));
    for boundary in [&first, &second] {
        iam.create_policy(boundary, DOCUMENT, &Tags::new()).await.unwrap();
    }
    assert_eq!(kind(iam.get_role(&role).await), ErrorKind::EntityDoesNotExist);
    let made = iam.create_role(&role, &trust("pods.eks.amazonaws.com"), &first.to_string(), &tags("a")).await.unwrap();
    assert_eq!((made.arn, &made.tags), (role.to_string(), &tags("a")));
    let again = iam.create_role(&role, &trust("pods.eks.amazonaws.com"), &first.to_string(), &tags("a")).await;
    assert_eq!(kind(again), ErrorKind::EntityAlreadyExists);

    iam.update_trust(&role, &trust("ec2.amazonaws.com")).await.unwrap();
    iam.put_boundary(&role, &second.to_string()).await.unwrap();
    iam.tag_role(&role, &tags("b")).await.unwrap();
    let read = iam.get_role(&role).await.unwrap();
    assert_eq!((&read.id, read.boundary, read.tags), (&made.id, Some(second.to_string()), tags("b")));
    let said: Value = serde_json::from_str(&read.trust).expect("JSON");
    assert_eq!(said["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com");

    let access = policy("access");
    iam.create_policy(&access, DOCUMENT, &Tags::new()).await.unwrap();
    iam.attach(&role, &access).await.unwrap();
    iam.attach(&role, &access).await.unwrap();
    assert_eq!(iam.attached_policies(&role).await.unwrap(), [access.to_string()]);
    assert_eq!(kind(iam.delete_role(&role).await), ErrorKind::DeleteConflict);
    assert_eq!(kind(iam.delete_policy(&access).await), ErrorKind::DeleteConflict);
    iam.detach(&role, &access).await.unwrap();
    assert_eq!(kind(iam.detach(&role, &access).await), ErrorKind::EntityDoesNotExist);
    iam.delete_role(&role).await.unwrap();
    assert_eq!(kind(iam.delete_role(&role).await), ErrorKind::EntityDoesNotExist);
    iam.delete_policy(&access).await.unwrap();
}

#[tokio::test]
async fn an_association_is_made_found_changed_and_deleted() {
    const ROLE: &str = "arn:aws:iam::200000000002:role/worker";
    const OTHER: &str = "arn:aws:iam::200000000002:role/other";
    const TARGET: &str = "arn:aws:iam::200000000003:role/target";
    let eks = clients().await.eks;
    let key = |name: &str| AssociationKey {
        cluster: "identity".to_owned(),
        namespace: "media".to_owned(),
        service_account: name.to_owned(),
    };
    assert_eq!(kind(eks.find(&key("worker")).await), ErrorKind::EntityDoesNotExist, "there is no such cluster");
    assert_eq!(kind(eks.create(&key("worker"), ROLE, None, &Tags::new()).await), ErrorKind::EntityDoesNotExist);
    let vpc = aws_sdk_eks::types::VpcConfigRequest::builder().build();
    let cluster = aws_sdk_eks::Client::new(&config()).create_cluster().name("identity").role_arn(ROLE);
    cluster.resources_vpc_config(vpc).send().await.unwrap();

    assert_eq!(eks.find(&key("worker")).await.unwrap(), None);
    let made = eks.create(&key("worker"), ROLE, None, &tags("a")).await.unwrap();
    assert_eq!((made.role_arn.as_str(), &made.target_role_arn, &made.tags), (ROLE, &None, &tags("a")));
    assert_eq!(kind(eks.create(&key("worker"), ROLE, None, &tags("a")).await), ErrorKind::EntityAlreadyExists);
    eks.create(&key("other"), ROLE, None, &Tags::new()).await.unwrap();
    assert_eq!(eks.find(&key("worker")).await.unwrap().as_ref(), Some(&made));

    let moved = eks.update(&key("worker"), &made.id, OTHER, Some(TARGET)).await.unwrap();
    assert_eq!((moved.role_arn.as_str(), moved.target_role_arn.as_deref()), (OTHER, Some(TARGET)));
    assert!(moved.external_id.is_some() && moved.id == made.id);
    assert_eq!(eks.find(&key("worker")).await.unwrap(), Some(moved));

    eks.delete(&key("worker"), &made.id).await.unwrap();
    assert_eq!(kind(eks.delete(&key("worker"), &made.id).await), ErrorKind::EntityDoesNotExist);
    assert_eq!(eks.find(&key("worker")).await.unwrap(), None);
}
