//! Roles, sessions and endpoints: whose credentials sign which call, and where it goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use prism_queue::aws::Sqs as _;
use prism_queue::aws::sdk::{AwsClients, ConnectError, Options};
use prism_queue::aws::target::{Endpoints, Role, Session, Target};
use prism_queue::aws::{Kms as _, Sts as _};
use prism_queue::domain::attributes::Attributes;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::tags::Tags;
use serde_json::json;

use crate::server::{Reply, Seen, Server};
use crate::{URL, config, name, ok};

const ROLE: &str = "arn:aws:iam::210987654321:role/prism-queue";

/// What STS answers: credentials that are known by their key.
pub fn assumed(key: &str) -> Reply {
    assumed_until(key, "2999-01-01T00:00:00Z")
}

fn assumed_until(key: &str, expiration: &str) -> Reply {
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><Arn>arn:aws:sts::210987654321:assumed-role/prism-queue/x</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
         <Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    Reply::Answer(200, Some(("content-type", "text/xml")), body)
}

fn sts_refusal(status: u16, code: &str) -> Reply {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"
    );
    Reply::Answer(status, Some(("content-type", "text/xml")), body)
}

fn target(sqs: &Server, sts: &Server) -> Target {
    Target {
        region: "us-east-1".to_owned(),
        role: Some(Role { arn: ROLE.to_owned(), external_id: Some("acme".to_owned()) }),
        endpoints: Endpoints { sqs: Some(sqs.url.clone()), sts: Some(sts.url.clone()), ..Endpoints::default() },
        ..Target::default()
    }
}

async fn clients(target: &Target) -> AwsClients {
    let own = AwsClients::from_config(config("http://127.0.0.1:1"), &Options::default(), Arc::new(())).await.unwrap();
    own.of_target(target, &Session::of_operator("prod")).await.unwrap()
}

pub fn is_signed_by(seen: &Seen, key: &str) -> bool {
    seen.header("authorization").contains(&format!("Credential={key}/"))
}

/// The form that STS was sent.
fn form(seen: &Seen) -> BTreeMap<String, String> {
    form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn a_role_is_assumed_once_and_signs_what_is_read() {
    let (sqs, sts) = (Server::start([ok(&json!({"QueueUrl": URL})), ok(&json!({"QueueUrl": URL}))]).await, {
        Server::start([assumed("ASIAREADER")]).await
    });
    let clients = clients(&target(&sqs, &sts)).await;
    for _ in 0..2 {
        clients.sqs.get_queue_url(&name()).await.unwrap();
    }
    let asked = sts.seen();
    assert_eq!(asked.len(), 1, "credentials are kept");
    assert!(is_signed_by(&asked[0], "AKIDTEST"), "with the operator's own identity");
    let form = form(&asked[0]);
    let said = |key: &str| form.get(key).map(String::as_str);
    assert_eq!(said("RoleArn"), Some(ROLE));
    assert_eq!(said("ExternalId"), Some("acme"));
    assert_eq!(said("RoleSessionName"), Some("prism-queue@prod"));
    assert_eq!(
        (said("Tags.member.1.Key"), said("Tags.member.1.Value")),
        (Some("queue.prism.io/cluster"), Some("prod"))
    );
    for seen in sqs.seen() {
        assert!(is_signed_by(&seen, "ASIAREADER"));
        assert!(seen.header("authorization").contains("/us-east-1/sqs/"), "{}", seen.header("authorization"));
    }
}

#[tokio::test]
async fn credentials_of_a_role_are_renewed_before_they_expire() {
    let sqs = Server::start([ok(&json!({"QueueUrl": URL})), ok(&json!({"QueueUrl": URL}))]).await;
    let sts = Server::start([assumed_until("ASIAOLD", "2020-01-01T00:00:00Z"), assumed("ASIANEW")]).await;
    let clients = clients(&target(&sqs, &sts)).await;
    for _ in 0..2 {
        clients.sqs.get_queue_url(&name()).await.unwrap();
    }
    let keys: Vec<bool> = sqs.seen().iter().map(|seen| is_signed_by(seen, "ASIANEW")).collect();
    assert_eq!((keys, sts.seen().len()), (vec![false, true], 2));
}

#[tokio::test]
async fn a_place_that_throttles_slows_no_other() {
    let own = AwsClients::from_config(config("http://127.0.0.1:1"), &Options::default(), Arc::new(())).await.unwrap();
    let throttling = Server::start([crate::refusal(400, "ThrottlingException")]).await;
    let of = async |region: &str| {
        let endpoints = Endpoints { sqs: Some(throttling.url.clone()), ..Endpoints::default() };
        let target = Target { region: region.to_owned(), endpoints, ..Target::default() };
        own.of_target(&target, &Session::of_operator("prod")).await.unwrap()
    };
    let (here, there) = (of("eu-west-1").await, of("us-east-1").await);
    let full = there.budget.rates();
    here.sqs.get_queue_url(&name()).await.unwrap_err();
    assert!(here.budget.rates().calls < full.calls);
    assert_eq!((there.budget.rates(), own.budget.rates()), (full, full));
}

#[tokio::test]
async fn what_is_written_shows_its_queue_in_the_session_and_reads_do_not() {
    let answers = [ok(&json!({"QueueUrl": URL})), ok(&json!({})), ok(&json!({"QueueUrl": URL}))];
    let (sqs, sts) =
        (Server::start(answers).await, Server::start([assumed("ASIAWRITER"), assumed("ASIAREADER")]).await);
    let clients = clients(&target(&sqs, &sts)).await;
    let writer = clients.sqs.writing_as(Session::of_queue("prod", "media", "images"));
    writer.create_queue(&name(), &Attributes::new(), &Tags::new()).await.unwrap();
    // Another pass over the same Queue.
    let writer = clients.sqs.writing_as(Session::of_queue("prod", "media", "images"));
    writer.delete_queue(URL).await.unwrap();
    writer.get_queue_url(&name()).await.unwrap();
    let keys = ["ASIAWRITER", "ASIAWRITER", "ASIAREADER"];
    assert_eq!(sqs.seen().len(), keys.len());
    for (seen, key) in sqs.seen().iter().zip(keys) {
        assert!(is_signed_by(seen, key), "{}", seen.header("authorization"));
    }
    let asked: Vec<_> = sts.seen().iter().map(form).collect();
    assert_eq!(asked[0]["RoleSessionName"], "media.images@prod");
    let tags: Vec<_> = (1..=3).map(|n| asked[0][&format!("Tags.member.{n}.Value")].as_str()).collect();
    assert_eq!(tags, ["prod", "images", "media"], "by key: cluster, name, namespace");
    assert_eq!(asked[1]["RoleSessionName"], "prism-queue@prod");
}

#[tokio::test]
async fn credentials_to_write_with_are_got_again_before_they_expire() {
    let (sqs, sts) = (Server::start([ok(&json!({})), ok(&json!({}))]).await, {
        Server::start([assumed_until("ASIAOLD", "2001-01-01T00:00:00Z"), assumed("ASIANEW")]).await
    });
    let clients = clients(&target(&sqs, &sts)).await;
    for _ in 0..2 {
        let writer = clients.sqs.writing_as(Session::of_queue("prod", "media", "images"));
        writer.delete_queue(URL).await.unwrap();
    }
    assert!(is_signed_by(&sqs.seen()[1], "ASIANEW"));
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_denied_or_waited_for_and_nothing_is_sent() {
    for (reply, kind) in [
        (sts_refusal(403, "AccessDenied"), ErrorKind::Denied),
        (sts_refusal(400, "Throttling"), ErrorKind::Throttled),
        (Reply::Drop, ErrorKind::Transient),
    ] {
        let (sqs, sts) = (Server::start([]).await, Server::start([reply]).await);
        let error = clients(&target(&sqs, &sts)).await.sqs.get_queue_url(&name()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.starts_with("the role cannot be assumed: "), "{error}");
        assert!(sqs.seen().is_empty());
    }
}

#[tokio::test]
async fn an_endpoint_of_one_service_is_no_other_services() {
    let (sqs, kms) =
        (Server::start([]).await, Server::start([ok(&json!({"KeyMetadata": {"KeyId": "k", "Arn": "arn"}}))]).await);
    let sts = Server::start([sts_refusal(403, "AccessDenied")]).await;
    let endpoints = Endpoints {
        sqs: Some(sqs.url.clone()),
        sts: Some(sts.url.clone()),
        kms: Some(kms.url.clone()),
        ..Endpoints::default()
    };
    let target = Target { region: "us-east-1".to_owned(), endpoints, ..Target::default() };
    let clients = clients(&target).await;
    clients.kms.key_arn("alias/media").await.unwrap();
    clients.sts.caller_identity().await.unwrap_err();
    assert_eq!((kms.seen().len(), sts.seen().len(), sqs.seen().len()), (1, 1, 0));
}

/// Sends nothing, and remembers where it would have.
#[derive(Clone, Debug, Default)]
struct Hosts(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Hosts {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri: http::Uri = request.uri().parse().unwrap();
        self.0.lock().unwrap().push(uri.host().unwrap_or_default().to_owned());
        HttpConnectorFuture::ready(Err(ConnectorError::io("nothing is sent".into())))
    }
}

impl HttpClient for Hosts {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.clone().into_shared()
    }
}

#[tokio::test]
async fn fips_and_dual_stack_choose_the_endpoints_of_the_region() {
    for (use_fips, use_dual_stack, sqs, sts) in [
        (false, false, "sqs.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com"),
        (true, false, "sqs-fips.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com"),
        (false, true, "sqs.us-east-1.api.aws", "sts.us-east-1.api.aws"),
        (true, true, "sqs-fips.us-east-1.api.aws", "sts-fips.us-east-1.api.aws"),
    ] {
        let hosts = Hosts::default();
        let mut base = config("http://127.0.0.1:1").into_builder().http_client(hosts.clone());
        base.set_endpoint_url(None);
        let own = AwsClients::from_config(base.build(), &Options::default(), Arc::new(())).await.unwrap();
        let region = "us-east-1".to_owned();
        let target = Target { region, use_fips, use_dual_stack, ..Target::default() };
        let clients = own.of_target(&target, &Session::of_operator("prod")).await.unwrap();
        clients.sqs.get_queue_url(&name()).await.unwrap_err();
        clients.sts.caller_identity().await.unwrap_err();
        assert_eq!(*hosts.0.lock().unwrap(), [sqs, sts]);
    }
}

#[tokio::test]
async fn an_insecure_endpoint_of_a_target_is_refused() {
    let own = AwsClients::from_config(config("http://127.0.0.1:1"), &Options::default(), Arc::new(())).await.unwrap();
    let endpoints = Endpoints { sts: Some("http://sts.example.com".to_owned()), ..Endpoints::default() };
    let target = Target { region: "us-east-1".to_owned(), endpoints, ..Target::default() };
    let refused = own.of_target(&target, &Session::of_operator("prod")).await.err();
    assert!(matches!(refused, Some(ConnectError::Endpoint(_))), "{refused:?}");
}

#[test]
fn session_names_fit_and_tell_long_ones_apart() {
    let long = |end: &str| Session::of_queue("production", &"n".repeat(40), &format!("{}{end}", "q".repeat(60))).name;
    assert_eq!(Session::of_queue("prod", "media", "images").name, "media.images@prod");
    for name in [long("a"), long("b")] {
        assert!(name.len() <= 64, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_=,.@-+".contains(c)), "{name}");
    }
    assert_ne!(long("a"), long("b"));
    assert_eq!(long("a"), long("a"));
}

#[tokio::test]
async fn a_target_that_is_silent_is_left_alone_and_no_other_is() {
    let silent = Server::start((0..5).map(|_| Reply::Drop).collect::<Vec<_>>()).await;
    let lively = Server::start([ok(&json!({"QueueUrl": URL}))]).await;
    let at = |server: &Server| Target {
        region: "us-east-1".to_owned(),
        endpoints: Endpoints { sqs: Some(server.url.clone()), ..Endpoints::default() },
        ..Target::default()
    };
    let dead = clients(&at(&silent)).await.sqs;
    for _ in 0..5 {
        assert_eq!(dead.get_queue_url(&name()).await.unwrap_err().kind, ErrorKind::Transient);
    }
    let error = dead.get_queue_url(&name()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Transient && error.message.starts_with("not sent: "), "{error}");
    assert_eq!(silent.seen().len(), 5);
    clients(&at(&lively)).await.sqs.get_queue_url(&name()).await.unwrap();
}

#[tokio::test]
async fn errors_that_aws_answers_keep_nothing_back() {
    let refusals = (0..8).map(|_| Reply::Answer(500, None, "{}".to_owned())).collect::<Vec<_>>();
    let server = Server::start(refusals).await;
    let sqs = crate::clients(&server).await.sqs;
    for _ in 0..8 {
        assert_eq!(sqs.get_queue_url(&name()).await.unwrap_err().kind, ErrorKind::Transient);
    }
    assert_eq!(server.seen().len(), 8);
}

#[tokio::test]
async fn what_the_environment_sets_for_one_service_is_not_for_other_places() {
    let (own, far) = (Server::start([]).await, Server::start([ok(&json!({"QueueUrl": URL}))]).await);
    let config = config(&far.url).into_builder().service_config(SqsAt(own.url.clone())).build();
    let clients = AwsClients::from_config(config, &Options::default(), Arc::new(())).await.unwrap();
    let target = Target { region: "us-east-1".to_owned(), ..Target::default() };
    let there = clients.of_target(&target, &Session::of_operator("prod")).await.unwrap();
    there.sqs.get_queue_url(&name()).await.unwrap();
    assert_eq!((own.seen().len(), far.seen().len()), (0, 1));
}

/// `AWS_ENDPOINT_URL_SQS`.
#[derive(Debug)]
struct SqsAt(String);

impl LoadServiceConfig for SqsAt {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        (key.service_id() == "SQS").then(|| self.0.clone())
    }
}
