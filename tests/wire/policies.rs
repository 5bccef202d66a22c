//! Managed policies on the wire: what each call sends, what each answer means, whose credentials sign a write.

use std::collections::BTreeMap;
use std::sync::Arc;

use prism_queue::aws::sdk::{AwsClients, Options};
use prism_queue::aws::target::{Endpoints, Role, Session, Target};
use prism_queue::aws::{Policies as _, Sqs as _};
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::iam::{Policy, PolicyArn};
use prism_queue::domain::tags::Tags;
use serde_json::json;

use crate::server::{Reply, Server};
use crate::target::{assumed, is_signed_by};
use crate::{URL, clients, config, fields, ok, only};

const ARN: &str = "arn:aws:iam::123456789012:policy/prism-queue/media_images_Send_0123456789ab";
const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

fn arn() -> PolicyArn {
    PolicyArn::parse(ARN).unwrap()
}

fn tags() -> Tags {
    Tags::from([("queue.prism.io/name".to_owned(), "images".to_owned())])
}

/// An answer of `action` with this result.
pub fn answer(action: &str, result: &str) -> Reply {
    let namespace = "https://iam.amazonaws.com/doc/2010-05-08/";
    let body =
        format!("<{action}Response xmlns=\"{namespace}\"><{action}Result>{result}</{action}Result></{action}Response>");
    Reply::Answer(200, Some(("content-type", "text/xml")), body)
}

pub fn refusal(status: u16, code: &str) -> Reply {
    let body = format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>No.</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    Reply::Answer(status, Some(("content-type", "text/xml")), body)
}

fn policy(tags: &str) -> String {
    format!(
        "<Policy><PolicyName>x</PolicyName><PolicyId>ANPA1</PolicyId><Arn>{ARN}</Arn><DefaultVersionId>v7</DefaultVersionId>\
         <AttachmentCount>2</AttachmentCount><PermissionsBoundaryUsageCount>1</PermissionsBoundaryUsageCount>{tags}</Policy>"
    )
}

/// Checks that the server saw exactly one request, with these fields.
pub fn assert_sent(server: &Server, want: &[(&str, &str)]) {
    let sent = fields(&only(server).body);
    for (name, value) in want {
        assert_eq!(sent.get(*name).map(String::as_str), Some(*value), "{name}: {sent:?}");
    }
}

#[tokio::test]
async fn a_policy_is_read_with_its_tags_and_all_that_use_it() {
    let tagged = "<Tags><member><Key>queue.prism.io/name</Key><Value>images</Value></member></Tags>";
    let server = Server::start([answer("GetPolicy", &policy(tagged))]).await;
    let read = clients(&server).await.iam.get_policy(&arn()).await.unwrap();
    // Two roles have it, and a third has it as a boundary.
    let want = Policy { id: "ANPA1".to_owned(), default_version: "v7".to_owned(), attachments: 3, tags: tags() };
    assert_eq!(read, want);
    assert_sent(&server, &[("Action", "GetPolicy"), ("PolicyArn", ARN)]);
}

#[tokio::test]
async fn a_document_comes_percent_encoded_and_a_plus_is_a_plus() {
    let result = "<PolicyVersion><Document>%7B%22Resource%22%3A%22a+b%C3%A9%22%7D</Document>\
                  <VersionId>v7</VersionId><IsDefaultVersion>true</IsDefaultVersion></PolicyVersion>";
    let server = Server::start([answer("GetPolicyVersion", result)]).await;
    let read = clients(&server).await.iam.get_policy_version(&arn(), "v7").await.unwrap();
    assert_eq!(read, r#"{"Resource":"a+bé"}"#);
    assert_sent(&server, &[("Action", "GetPolicyVersion"), ("PolicyArn", ARN), ("VersionId", "v7")]);
}

#[tokio::test]
async fn versions_that_are_not_in_force_come_the_oldest_first() {
    let version = |id: &str, is_default: bool| {
        format!("<member><VersionId>{id}</VersionId><IsDefaultVersion>{is_default}</IsDefaultVersion></member>")
    };
    let all = [("v10", false), ("v11", true), ("v9", false), ("v7", false)];
    let all: String = all.into_iter().map(|(id, is_default)| version(id, is_default)).collect();
    let result = format!("<Versions>{all}</Versions><IsTruncated>false</IsTruncated>");
    let server = Server::start([answer("ListPolicyVersions", &result)]).await;
    assert_eq!(clients(&server).await.iam.other_versions(&arn()).await.unwrap(), ["v7", "v9", "v10"]);
}

#[tokio::test]
async fn a_policy_is_created_at_its_path_with_its_tags() {
    let server = Server::start([answer("CreatePolicy", &policy(""))]).await;
    let made = clients(&server).await.iam.create_policy(&arn(), DOCUMENT, &tags()).await.unwrap();
    assert_eq!((made.id.as_str(), made.default_version.as_str(), made.tags), ("ANPA1", "v7", tags()));
    assert_sent(
        &server,
        &[
            ("Action", "CreatePolicy"),
            ("PolicyName", "media_images_Send_0123456789ab"),
            ("Path", "/prism-queue/"),
            ("PolicyDocument", DOCUMENT),
            ("Tags.member.1.Key", "queue.prism.io/name"),
            ("Tags.member.1.Value", "images"),
        ],
    );
}

#[tokio::test]
async fn a_version_is_put_in_force_as_it_is_made() {
    let result = "<PolicyVersion><VersionId>v8</VersionId><IsDefaultVersion>true</IsDefaultVersion></PolicyVersion>";
    let server = Server::start([answer("CreatePolicyVersion", result)]).await;
    assert_eq!(clients(&server).await.iam.create_policy_version(&arn(), DOCUMENT).await.unwrap(), "v8");
    let want =
        [("Action", "CreatePolicyVersion"), ("PolicyArn", ARN), ("PolicyDocument", DOCUMENT), ("SetAsDefault", "true")];
    assert_sent(&server, &want);
}

#[tokio::test]
async fn what_is_removed_is_named() {
    let server = Server::start([answer("DeletePolicyVersion", "")]).await;
    clients(&server).await.iam.delete_policy_version(&arn(), "v3").await.unwrap();
    assert_sent(&server, &[("Action", "DeletePolicyVersion"), ("PolicyArn", ARN), ("VersionId", "v3")]);
    let server = Server::start([answer("DeletePolicy", "")]).await;
    clients(&server).await.iam.delete_policy(&arn()).await.unwrap();
    assert_sent(&server, &[("Action", "DeletePolicy"), ("PolicyArn", ARN)]);
    let server = Server::start([answer("TagPolicy", "")]).await;
    clients(&server).await.iam.tag_policy(&arn(), &tags()).await.unwrap();
    assert_sent(&server, &[("Action", "TagPolicy"), ("PolicyArn", ARN), ("Tags.member.1.Value", "images")]);
    let server = Server::start([answer("UntagPolicy", "")]).await;
    clients(&server).await.iam.untag_policy(&arn(), &["a".to_owned(), "b".to_owned()]).await.unwrap();
    assert_sent(&server, &[("Action", "UntagPolicy"), ("TagKeys.member.1", "a"), ("TagKeys.member.2", "b")]);
}

#[tokio::test]
async fn refusals_of_iam_are_told_apart() {
    for (status, code, kind) in [
        (404, "NoSuchEntity", ErrorKind::EntityDoesNotExist),
        (409, "EntityAlreadyExists", ErrorKind::EntityAlreadyExists),
        (409, "DeleteConflict", ErrorKind::DeleteConflict),
        (409, "LimitExceeded", ErrorKind::LimitExceeded),
        (400, "MalformedPolicyDocument", ErrorKind::Invalid),
        (409, "ConcurrentModification", ErrorKind::Transient),
        (500, "ServiceFailure", ErrorKind::Transient),
        (400, "Throttling", ErrorKind::Throttled),
        (403, "AccessDenied", ErrorKind::Denied),
        (403, "InvalidClientTokenId", ErrorKind::Denied),
    ] {
        let server = Server::start([refusal(status, code)]).await;
        let error = clients(&server).await.iam.delete_policy(&arn()).await.unwrap_err();
        assert_eq!((error.kind, error.action, error.code.as_str()), (kind, "DeletePolicy", code));
        only(&server);
    }
}

#[tokio::test]
async fn an_answer_without_what_was_asked_for_is_none() {
    for result in ["", "<Policy><PolicyName>x</PolicyName></Policy>", "<Policy><PolicyId>ANPA1</PolicyId></Policy>"] {
        let server = Server::start([answer("GetPolicy", result)]).await;
        assert_eq!(clients(&server).await.iam.get_policy(&arn()).await.unwrap_err().kind, ErrorKind::Transient);
    }
}

#[tokio::test]
async fn writes_to_all_services_share_the_session_of_their_queue() {
    let (sqs, iam) = (Server::start([ok(&json!({})), ok(&json!({}))]).await, {
        Server::start([answer("DeletePolicy", ""), answer("DeletePolicy", ""), answer("GetPolicy", &policy(""))]).await
    });
    let sts = Server::start([assumed("ASIAWRITER"), assumed("ASIAREADER")]).await;
    let endpoints = Endpoints {
        sqs: Some(sqs.url.clone()),
        sts: Some(sts.url.clone()),
        iam: Some(iam.url.clone()),
        ..Endpoints::default()
    };
    let role = Role { arn: "arn:aws:iam::210987654321:role/prism-queue".to_owned(), external_id: None };
    let target = Target { region: "us-east-1".to_owned(), role: Some(role), endpoints, ..Target::default() };
    let own = AwsClients::from_config(config("http://127.0.0.1:1"), &Options::default(), Arc::new(())).await.unwrap();
    let clients = own.of_target(&target, &Session::of_operator("prod")).await.unwrap();
    for _ in 0..2 {
        let session = Session::of_queue("prod", "media", "images");
        clients.sqs.writing_as(session.clone()).delete_queue(URL).await.unwrap();
        clients.iam.writing_as(session).delete_policy(&arn()).await.unwrap();
    }
    clients.iam.get_policy(&arn()).await.unwrap();
    assert!(sqs.seen().iter().all(|seen| is_signed_by(seen, "ASIAWRITER")));
    let keys = ["ASIAWRITER", "ASIAWRITER", "ASIAREADER"];
    assert!(iam.seen().iter().zip(keys).all(|(seen, key)| is_signed_by(seen, key)));
    let sessions: Vec<BTreeMap<_, _>> = sts.seen().iter().map(|seen| fields(&seen.body)).collect();
    let names: Vec<&str> = sessions.iter().map(|form| form["RoleSessionName"].as_str()).collect();
    assert_eq!(names, ["media.images@prod", "prism-queue@prod"], "assumed once for both services");
}

#[tokio::test]
async fn iam_has_a_budget_and_a_breaker_of_its_own() {
    let server = Server::start([refusal(400, "Throttling"), ok(&json!({}))]).await;
    let clients = clients(&server).await;
    let before = clients.budget.rates();
    assert_eq!(clients.iam.delete_policy(&arn()).await.unwrap_err().kind, ErrorKind::Throttled);
    assert_eq!(clients.budget.rates(), before, "SQS is not slowed");
    clients.sqs.delete_queue(URL).await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_to_iam_without_the_right_to() {
    let server = Server::start([]).await;
    let clients = clients(&server).await.writing_while(Arc::new(|| false));
    assert_eq!(clients.iam.delete_policy(&arn()).await.unwrap_err().kind, ErrorKind::Transient);
    assert!(server.seen().is_empty());
}
