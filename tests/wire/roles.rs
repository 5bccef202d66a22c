//! Roles on the wire: what each call sends, what each answer means, whose credentials sign a write.

use std::sync::Arc;

use prism_queue::aws::Roles as _;
use prism_queue::aws::sdk::{AwsClients, Options};
use prism_queue::aws::target::{Endpoints, Role as Assumed, Session, Target};
use prism_queue::domain::call::{ErrorClass, ErrorKind};
use prism_queue::domain::iam::PolicyArn;
use prism_queue::domain::identity::{Role, RoleArn};
use prism_queue::domain::tags::Tags;

use crate::policies::{answer, assert_sent, refusal};
use crate::server::{Reply, Server};
use crate::target::{assumed, is_signed_by};
use crate::{clients, config, fields, only};

const ARN: &str = "arn:aws:iam::123456789012:role/prism-queue/media_worker_0123456789ab";
const NAME: &str = "media_worker_0123456789ab";
const POLICY: &str = "arn:aws:iam::123456789012:policy/prism-queue/media_worker_access1_0123456789ab";
const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/boundary";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;
const ENCODED: &str = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";

fn arn() -> RoleArn {
    RoleArn::parse(ARN).unwrap()
}

fn policy() -> PolicyArn {
    PolicyArn::parse(POLICY).unwrap()
}

fn tags() -> Tags {
    Tags::from([("queue.prism.io/name".to_owned(), "serviceaccount/worker".to_owned())])
}

/// A role as IAM tells of it.
fn role(arn: &str, more: &str) -> String {
    format!(
        "<Role><Path>/</Path><RoleName>{NAME}</RoleName><RoleId>AROA1</RoleId><Arn>{arn}</Arn>\
         <CreateDate>2026-11-22T08:00:00Z</CreateDate>\
         <AssumeRolePolicyDocument>{ENCODED}</AssumeRolePolicyDocument>{more}</Role>"
    )
}

#[tokio::test]
async fn a_role_is_read_by_name_with_its_trust_its_boundary_and_its_tags() {
    let more = format!(
        "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
         <PermissionsBoundaryArn>{BOUNDARY}</PermissionsBoundaryArn></PermissionsBoundary>\
         <Tags><member><Key>queue.prism.io/name</Key><Value>serviceaccount/worker</Value></member></Tags>"
    );
    let elsewhere = "arn:aws:iam::123456789012:role/elsewhere/media_worker_0123456789ab";
    let server = Server::start([answer("GetRole", &role(elsewhere, &more))]).await;
    let read = clients(&server).await.iam.get_role(&arn()).await.unwrap();
    let want = Role {
        id: "AROA1".to_owned(),
        arn: elsewhere.to_owned(),
        trust: TRUST.to_owned(),
        boundary: Some(BOUNDARY.to_owned()),
        tags: tags(),
    };
    assert_eq!(read, want);
    assert_sent(&server, &[("Action", "GetRole"), ("RoleName", NAME)]);

    let server = Server::start([answer("GetRole", &role(ARN, ""))]).await;
    let read = clients(&server).await.iam.get_role(&arn()).await.unwrap();
    assert_eq!((read.boundary, read.tags), (None, Tags::new()));
}

#[tokio::test]
async fn a_role_is_created_at_its_path_with_its_trust_its_boundary_and_its_tags() {
    let server = Server::start([answer("CreateRole", &role(ARN, ""))]).await;
    let made = clients(&server).await.iam.create_role(&arn(), TRUST, BOUNDARY, &tags()).await.unwrap();
    let want = Role {
        id: "AROA1".to_owned(),
        arn: ARN.to_owned(),
        trust: TRUST.to_owned(),
        boundary: Some(BOUNDARY.to_owned()),
        tags: tags(),
    };
    assert_eq!(made, want);
    assert_sent(
        &server,
        &[
            ("Action", "CreateRole"),
            ("RoleName", NAME),
            ("Path", "/prism-queue/"),
            ("AssumeRolePolicyDocument", TRUST),
            ("PermissionsBoundary", BOUNDARY),
            ("Tags.member.1.Key", "queue.prism.io/name"),
            ("Tags.member.1.Value", "serviceaccount/worker"),
        ],
    );
}

#[tokio::test]
async fn what_changes_a_role_says_what() {
    let server = Server::start([answer("UpdateAssumeRolePolicy", "")]).await;
    clients(&server).await.iam.update_trust(&arn(), TRUST).await.unwrap();
    assert_sent(&server, &[("Action", "UpdateAssumeRolePolicy"), ("RoleName", NAME), ("PolicyDocument", TRUST)]);

    let server = Server::start([answer("PutRolePermissionsBoundary", "")]).await;
    clients(&server).await.iam.put_boundary(&arn(), BOUNDARY).await.unwrap();
    let want = [("Action", "PutRolePermissionsBoundary"), ("RoleName", NAME), ("PermissionsBoundary", BOUNDARY)];
    assert_sent(&server, &want);

    let server = Server::start([answer("TagRole", "")]).await;
    clients(&server).await.iam.tag_role(&arn(), &tags()).await.unwrap();
    let want = [("Action", "TagRole"), ("RoleName", NAME), ("Tags.member.1.Value", "serviceaccount/worker")];
    assert_sent(&server, &want);

    let server = Server::start([answer("DeleteRole", "")]).await;
    clients(&server).await.iam.delete_role(&arn()).await.unwrap();
    assert_sent(&server, &[("Action", "DeleteRole"), ("RoleName", NAME)]);

    let server = Server::start([answer("AttachRolePolicy", "")]).await;
    clients(&server).await.iam.attach(&arn(), &policy()).await.unwrap();
    assert_sent(&server, &[("Action", "AttachRolePolicy"), ("RoleName", NAME), ("PolicyArn", POLICY)]);

    let server = Server::start([answer("DetachRolePolicy", "")]).await;
    clients(&server).await.iam.detach(&arn(), &policy()).await.unwrap();
    assert_sent(&server, &[("Action", "DetachRolePolicy"), ("RoleName", NAME), ("PolicyArn", POLICY)]);
}

fn attached(arn: &str, next: Option<&str>) -> Reply {
    let more = next.map_or("<IsTruncated>false</IsTruncated>".to_owned(), |marker| {
        format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>")
    });
    let member = format!("<member><PolicyName>x</PolicyName><PolicyArn>{arn}</PolicyArn></member>");
    answer("ListAttachedRolePolicies", &format!("<AttachedPolicies>{member}</AttachedPolicies>{more}"))
}

#[tokio::test]
async fn attached_policies_are_read_on_all_pages() {
    const OF_AWS: &str = "arn:aws:iam::aws:policy/AmazonSQSFullAccess";
    let server = Server::start([attached(POLICY, Some("page-2")), attached(OF_AWS, None)]).await;
    assert_eq!(clients(&server).await.iam.attached_policies(&arn()).await.unwrap(), [POLICY, OF_AWS]);
    let sent: Vec<_> = server.seen().iter().map(|seen| fields(&seen.body)).collect();
    assert!(sent.iter().all(|sent| sent["Action"] == "ListAttachedRolePolicies" && sent["RoleName"] == NAME));
    assert_eq!((sent[0].get("Marker"), sent[1]["Marker"].as_str()), (None, "page-2"));
}

#[tokio::test]
async fn part_of_a_list_never_passes_for_all_of_it() {
    let server = Server::start([attached(POLICY, Some("page-2")), refusal(400, "Throttling")]).await;
    let error = clients(&server).await.iam.attached_policies(&arn()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled);

    let server = Server::start((0..20).map(|_| attached(POLICY, Some("more"))).collect::<Vec<_>>()).await;
    let error = clients(&server).await.iam.attached_policies(&arn()).await.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (ErrorKind::Transient, 20), "a list without an end");
}

#[tokio::test]
async fn refusals_about_roles_are_told_apart() {
    for (status, code, kind, class) in [
        (404, "NoSuchEntity", ErrorKind::EntityDoesNotExist, ErrorClass::NotFound),
        (409, "EntityAlreadyExists", ErrorKind::EntityAlreadyExists, ErrorClass::Conflict),
        (409, "DeleteConflict", ErrorKind::DeleteConflict, ErrorClass::Conflict),
        // Only a person makes room: never tried again hotly.
        (409, "LimitExceeded", ErrorKind::LimitExceeded, ErrorClass::Invalid),
        (400, "MalformedPolicyDocument", ErrorKind::Invalid, ErrorClass::Invalid),
        (400, "InvalidInput", ErrorKind::Invalid, ErrorClass::Invalid),
        (400, "PolicyNotAttachable", ErrorKind::Invalid, ErrorClass::Invalid),
        (400, "UnmodifiableEntity", ErrorKind::Denied, ErrorClass::Denied),
        (409, "ConcurrentModification", ErrorKind::Transient, ErrorClass::Transient),
        (500, "ServiceFailure", ErrorKind::Transient, ErrorClass::Transient),
        (400, "Throttling", ErrorKind::Throttled, ErrorClass::Throttled),
        (403, "AccessDenied", ErrorKind::Denied, ErrorClass::Denied),
    ] {
        let server = Server::start([refusal(status, code)]).await;
        let error = clients(&server).await.iam.attach(&arn(), &policy()).await.unwrap_err();
        assert_eq!((error.kind, error.action, error.code.as_str()), (kind, "AttachRolePolicy", code));
        assert_eq!(error.class(), class, "{code}");
        only(&server);
    }
}

#[tokio::test]
async fn an_answer_without_all_of_a_role_is_none() {
    let whole = role(ARN, "");
    let without = |part: &str| whole.replace(part, "");
    let document = format!("<AssumeRolePolicyDocument>{ENCODED}</AssumeRolePolicyDocument>");
    for result in [
        String::new(),
        without("<RoleId>AROA1</RoleId>"),
        without(&format!("<Arn>{ARN}</Arn>")),
        without(&document),
        whole.replace(ENCODED, "%FF"),
    ] {
        let server = Server::start([answer("GetRole", &result)]).await;
        let error = clients(&server).await.iam.get_role(&arn()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient, "{result}");
    }
    let nameless = "<AttachedPolicies><member><PolicyName>x</PolicyName></member></AttachedPolicies>";
    let server = Server::start([answer("ListAttachedRolePolicies", nameless)]).await;
    assert_eq!(clients(&server).await.iam.attached_policies(&arn()).await.unwrap_err().kind, ErrorKind::Transient);
}

#[tokio::test]
async fn changes_of_roles_are_signed_in_the_session_of_who_wants_them_and_reads_are_not() {
    let changes = ["UpdateAssumeRolePolicy", "PutRolePermissionsBoundary", "TagRole", "AttachRolePolicy"];
    let changes = changes.into_iter().chain(["DetachRolePolicy", "DeleteRole"]).map(|action| answer(action, ""));
    let reads = [answer("GetRole", &role(ARN, "")), attached(POLICY, None)];
    let create = [answer("CreateRole", &role(ARN, ""))];
    let iam = Server::start(create.into_iter().chain(changes).chain(reads)).await;
    let sts = Server::start([assumed("ASIAWRITER"), assumed("ASIAREADER")]).await;
    let endpoints = Endpoints { sts: Some(sts.url.clone()), iam: Some(iam.url.clone()), ..Endpoints::default() };
    let by = Assumed { arn: "arn:aws:iam::123456789012:role/prism-queue".to_owned(), external_id: None };
    let target = Target { region: "us-east-1".to_owned(), role: Some(by), endpoints, ..Target::default() };
    let own = AwsClients::from_config(config("http://127.0.0.1:1"), &Options::default(), Arc::new(())).await.unwrap();
    let clients = own.of_target(&target, &Session::of_operator("prod")).await.unwrap();
    let writer = clients.iam.writing_as(Session::of_queue("prod", "media", "images"));
    writer.create_role(&arn(), TRUST, BOUNDARY, &tags()).await.unwrap();
    writer.update_trust(&arn(), TRUST).await.unwrap();
    writer.put_boundary(&arn(), BOUNDARY).await.unwrap();
    writer.tag_role(&arn(), &tags()).await.unwrap();
    writer.attach(&arn(), &policy()).await.unwrap();
    writer.detach(&arn(), &policy()).await.unwrap();
    writer.delete_role(&arn()).await.unwrap();
    writer.get_role(&arn()).await.unwrap();
    writer.attached_policies(&arn()).await.unwrap();
    let signed: Vec<bool> = iam.seen().iter().map(|seen| is_signed_by(seen, "ASIAWRITER")).collect();
    assert_eq!(signed, [[true; 7].as_slice(), &[false; 2]].concat());
    assert!(iam.seen()[7..].iter().all(|seen| is_signed_by(seen, "ASIAREADER")));
}

#[tokio::test]
async fn no_role_is_changed_without_the_right_to() {
    let server = Server::start([]).await;
    let iam = clients(&server).await.writing_while(Arc::new(|| false)).iam;
    for write in [
        iam.create_role(&arn(), TRUST, BOUNDARY, &tags()).await.map(|_| ()),
        iam.update_trust(&arn(), TRUST).await,
        iam.put_boundary(&arn(), BOUNDARY).await,
        iam.tag_role(&arn(), &tags()).await,
        iam.delete_role(&arn()).await,
        iam.attach(&arn(), &policy()).await,
        iam.detach(&arn(), &policy()).await,
    ] {
        assert_eq!(write.unwrap_err().kind, ErrorKind::Transient);
    }
    assert!(server.seen().is_empty());
}
