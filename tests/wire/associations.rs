//! EKS Pod Identity on the wire: what each call sends, what each answer means, whose credentials sign it.

use std::sync::Arc;

use prism_queue::aws::Associations as _;
use prism_queue::aws::sdk::{AwsClients, Options};
use prism_queue::aws::target::{Endpoints, Role, Session, Target};
use prism_queue::domain::call::{ErrorClass, ErrorKind};
use prism_queue::domain::identity::{Association, AssociationKey};
use prism_queue::domain::tags::Tags;
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::target::{assumed, is_signed_by};
use crate::{clients, config, fields, ok, only};

const ID: &str = "a-9njjin9gfghecgocd";
const ARN: &str = "arn:aws:eks:eu-central-1:123456789012:podidentityassociation/prod/a-9njjin9gfghecgocd";
const ROLE: &str = "arn:aws:iam::123456789012:role/worker";
const TARGET: &str = "arn:aws:iam::999999999999:role/media_worker_0123456789ab";
const ALL: &str = "/clusters/prod/pod-identity-associations";
const ONE: &str = "/clusters/prod/pod-identity-associations/a-9njjin9gfghecgocd";

fn key() -> AssociationKey {
    AssociationKey { cluster: "prod".to_owned(), namespace: "media".to_owned(), service_account: "worker".to_owned() }
}

fn tags() -> Tags {
    Tags::from([("queue.prism.io/name".to_owned(), "serviceaccount/worker".to_owned())])
}

/// An association as EKS tells of it, and as it is read.
fn association(target: Option<&str>) -> (Value, Association) {
    let mut told = json!({
        "clusterName": "prod", "namespace": "media", "serviceAccount": "worker", "roleArn": ROLE,
        "associationArn": ARN, "associationId": ID, "tags": tags(), "createdAt": 1_732_262_400.5, "modifiedAt": 1_732_262_400.5,
    });
    if let Some(target) = target {
        told["targetRoleArn"] = json!(target);
        told["externalId"] = json!("0d1c");
    }
    let read = Association {
        id: ID.to_owned(),
        arn: ARN.to_owned(),
        role_arn: ROLE.to_owned(),
        target_role_arn: target.map(str::to_owned),
        external_id: target.map(|_| "0d1c".to_owned()),
        tags: tags(),
    };
    (told, read)
}

/// An answer that holds an association.
fn one(target: Option<&str>) -> Reply {
    ok(&json!({"association": association(target).0}))
}

/// A page of a list.
fn listed(service_accounts: &[&str], next: Option<&str>) -> Reply {
    let all = service_accounts.iter().map(|name| {
        json!({"clusterName": "prod", "namespace": "media", "serviceAccount": name, "associationArn": ARN, "associationId": ID})
    });
    ok(&json!({"associations": all.collect::<Vec<_>>(), "nextToken": next}))
}

fn refusal(status: u16, code: &'static str) -> Reply {
    Reply::Answer(status, Some(("x-amzn-errortype", code)), json!({"message": "No."}).to_string())
}

fn lines(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.line).collect()
}

#[tokio::test]
async fn the_association_of_a_service_account_is_found_and_read() {
    for target in [None, Some(TARGET)] {
        let server = Server::start([listed(&["worker"], None), one(target)]).await;
        assert_eq!(clients(&server).await.eks.find(&key()).await.unwrap(), Some(association(target).1));
        let asked = format!("GET {ALL}?namespace=media&serviceAccount=worker");
        assert_eq!(lines(&server), [asked, format!("GET {ONE}")]);
    }
}

#[tokio::test]
async fn an_empty_target_role_is_none() {
    let mut told = association(None).0;
    told["targetRoleArn"] = json!("");
    let server = Server::start([listed(&["worker"], None), ok(&json!({"association": told}))]).await;
    assert_eq!(clients(&server).await.eks.find(&key()).await.unwrap(), Some(association(None).1));
}

#[tokio::test]
async fn an_empty_page_is_not_the_end_and_what_is_another_ones_is_not_taken() {
    let server = Server::start([listed(&[], Some("page-2")), listed(&["other", "worker"], None), one(None)]).await;
    assert!(clients(&server).await.eks.find(&key()).await.unwrap().is_some());
    assert!(lines(&server)[1].contains("nextToken=page-2"), "{:?}", lines(&server));

    let server = Server::start([listed(&["other"], None)]).await;
    assert_eq!(clients(&server).await.eks.find(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn none_is_told_from_no_cluster_and_from_not_knowing() {
    let server = Server::start([listed(&[], None)]).await;
    assert_eq!(clients(&server).await.eks.find(&key()).await.unwrap(), None);
    // Gone between the two calls.
    let server = Server::start([listed(&["worker"], None), refusal(404, "ResourceNotFoundException")]).await;
    assert_eq!(clients(&server).await.eks.find(&key()).await.unwrap(), None);
    for (replies, kind) in [
        (vec![refusal(404, "ResourceNotFoundException")], ErrorKind::EntityDoesNotExist),
        (vec![listed(&["worker"], None), refusal(403, "AccessDeniedException")], ErrorKind::Denied),
        (vec![listed(&[], Some("more")), refusal(429, "ThrottlingException")], ErrorKind::Throttled),
        (vec![Reply::Answer(404, None, "<html>".to_owned())], ErrorKind::Transient),
        (vec![listed(&["worker"], None), ok(&json!({}))], ErrorKind::Transient),
    ] {
        let server = Server::start(replies).await;
        assert_eq!(clients(&server).await.eks.find(&key()).await.unwrap_err().kind, kind);
    }
}

#[tokio::test]
async fn an_association_is_created_with_its_roles_and_tags() {
    for target in [None, Some(TARGET)] {
        let server = Server::start([one(target)]).await;
        let made = clients(&server).await.eks.create(&key(), ROLE, target, &tags()).await.unwrap();
        assert_eq!(made, association(target).1);
        let seen = only(&server);
        assert_eq!(seen.line, format!("POST {ALL}"));
        let mut sent = seen.json();
        let token = sent.as_object_mut().unwrap().remove("clientRequestToken");
        assert!(token.is_some_and(|token| !token.as_str().unwrap().is_empty()));
        let mut want = json!({"namespace": "media", "serviceAccount": "worker", "roleArn": ROLE, "tags": tags()});
        if let Some(target) = target {
            want["targetRoleArn"] = json!(target);
        }
        assert_eq!(sent, want);
    }
}

#[tokio::test]
async fn an_update_says_both_roles_and_takes_a_target_role_away() {
    for (target, sent_as) in [(None, ""), (Some(TARGET), TARGET)] {
        let server = Server::start([one(target)]).await;
        let changed = clients(&server).await.eks.update(&key(), ID, ROLE, target).await.unwrap();
        assert_eq!(changed, association(target).1);
        let seen = only(&server);
        assert_eq!(seen.line, format!("POST {ONE}"));
        let sent = seen.json();
        assert_eq!((&sent["roleArn"], &sent["targetRoleArn"]), (&json!(ROLE), &json!(sent_as)));
    }
}

#[tokio::test]
async fn an_association_is_deleted_by_its_id() {
    let server = Server::start([one(None)]).await;
    clients(&server).await.eks.delete(&key(), ID).await.unwrap();
    assert_eq!(only(&server).line, format!("DELETE {ONE}"));
}

#[tokio::test]
async fn refusals_of_eks_are_told_apart() {
    for (status, code, kind, class) in [
        (404, "ResourceNotFoundException", ErrorKind::EntityDoesNotExist, ErrorClass::NotFound),
        (409, "ResourceInUseException", ErrorKind::EntityAlreadyExists, ErrorClass::Conflict),
        (400, "ResourceLimitExceededException", ErrorKind::LimitExceeded, ErrorClass::Invalid),
        (400, "InvalidParameterException", ErrorKind::Invalid, ErrorClass::Invalid),
        (400, "InvalidRequestException", ErrorKind::Invalid, ErrorClass::Invalid),
        (400, "ClientException", ErrorKind::Invalid, ErrorClass::Invalid),
        (500, "ServerException", ErrorKind::Transient, ErrorClass::Transient),
        (503, "ServiceUnavailableException", ErrorKind::Transient, ErrorClass::Transient),
        (429, "TooManyRequestsException", ErrorKind::Throttled, ErrorClass::Throttled),
        (429, "ThrottlingException", ErrorKind::Throttled, ErrorClass::Throttled),
        (403, "AccessDeniedException", ErrorKind::Denied, ErrorClass::Denied),
        (403, "UnrecognizedClientException", ErrorKind::Denied, ErrorClass::Denied),
    ] {
        let server = Server::start([refusal(status, code)]).await;
        let error = clients(&server).await.eks.create(&key(), ROLE, None, &tags()).await.unwrap_err();
        assert_eq!((error.kind, error.class()), (kind, class), "{code}");
        assert_eq!((error.action, error.code.as_str()), ("CreatePodIdentityAssociation", code));
        only(&server);
    }
}

#[tokio::test]
async fn an_answer_without_all_of_an_association_is_none() {
    for missing in ["associationId", "associationArn", "roleArn"] {
        let mut told = association(None).0;
        told.as_object_mut().unwrap().remove(missing);
        let server = Server::start([ok(&json!({"association": told}))]).await;
        let error = clients(&server).await.eks.create(&key(), ROLE, None, &tags()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        assert!(error.message.ends_with(missing), "{error}");
    }
}

#[tokio::test]
async fn pod_identity_has_a_region_and_a_role_of_its_own_and_writes_are_signed_in_the_session_of_who_wants_them() {
    let eks = Server::start([one(None), one(None), one(None), listed(&[], None)]).await;
    let sts = Server::start([assumed("ASIAWRITER"), assumed("ASIAREADER")]).await;
    let endpoints = Endpoints { sts: Some(sts.url.clone()), eks: Some(eks.url.clone()), ..Endpoints::default() };
    let role = Role { arn: "arn:aws:iam::123456789012:role/pod-identity".to_owned(), external_id: None };
    let target = Target { region: "us-east-1".to_owned(), role: Some(role), endpoints, ..Target::default() };
    let own = AwsClients::from_config(config("http://127.0.0.1:1"), &Options::default(), Arc::new(())).await.unwrap();
    let clients = own.of_target(&target, &Session::of_operator("prod")).await.unwrap();
    let writer = clients.eks.writing_as(Session::of_queue("prod", "media", "images"));
    writer.create(&key(), ROLE, None, &tags()).await.unwrap();
    writer.update(&key(), ID, ROLE, None).await.unwrap();
    writer.delete(&key(), ID).await.unwrap();
    writer.find(&key()).await.unwrap();
    let keys = ["ASIAWRITER", "ASIAWRITER", "ASIAWRITER", "ASIAREADER"];
    for (seen, key) in eks.seen().iter().zip(keys) {
        assert!(is_signed_by(seen, key), "{}", seen.header("authorization"));
        assert!(seen.header("authorization").contains("/us-east-1/eks/aws4_request"));
    }
    let asked: Vec<_> = sts.seen().iter().map(|seen| fields(&seen.body)).collect();
    let names: Vec<_> = asked.iter().map(|form| form["RoleSessionName"].as_str()).collect();
    assert_eq!(names, ["media.images@prod", "prism-queue@prod"]);
    assert!(asked.iter().all(|form| form["RoleArn"] == "arn:aws:iam::123456789012:role/pod-identity"));
    assert!(sts.seen().iter().all(|seen| is_signed_by(seen, "AKIDTEST")), "assumed by the operator itself");
}

#[tokio::test]
async fn eks_has_a_budget_of_its_own() {
    let server = Server::start([refusal(429, "ThrottlingException")]).await;
    let clients = clients(&server).await;
    let before = clients.budget.rates();
    assert_eq!(clients.eks.find(&key()).await.unwrap_err().kind, ErrorKind::Throttled);
    assert_eq!(clients.budget.rates(), before, "SQS is not slowed");
}

#[tokio::test]
async fn no_association_is_changed_without_the_right_to() {
    let server = Server::start([]).await;
    let eks = clients(&server).await.writing_while(Arc::new(|| false)).eks;
    for write in [
        eks.create(&key(), ROLE, None, &tags()).await.map(|_| ()),
        eks.update(&key(), ID, ROLE, None).await.map(|_| ()),
        eks.delete(&key(), ID).await,
    ] {
        assert_eq!(write.unwrap_err().kind, ErrorKind::Transient);
    }
    assert!(server.seen().is_empty());
}
