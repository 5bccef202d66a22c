//! Roles of `ServiceAccount`s from end to end: in IAM and EKS as the emulator keeps them, and in Kubernetes. What trust and
//! policies mean is proved by the judges in tests/domain, and by real calls in `enforcement`.

use std::collections::BTreeSet;

use aws_sdk_iam::operation::get_role::GetRoleError;
use aws_sdk_iam::types::Role;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use percent_encoding::percent_decode_str;
use prism_queue::domain::identity::ROLE_ANNOTATION;
use serde_json::{Value, json};

use crate::grants::Workload;
use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, PREFIX, REGION, Scope, alone, aws, shared};
use crate::proxy::{Fault, Gate, Rule, When};

/// The `ServiceAccount` of these tests.
const ACCOUNT_NAME: &str = "resizer";

fn provider() -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.{REGION}.amazonaws.com/id/ABC")
}

fn boundary() -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/boundary")
}

/// A class that makes roles by tokens, and lets policies be attached to these; for all namespaces.
async fn making(scope: &Scope, name: &str, role_arn_patterns: &[&str]) -> String {
    let iam = json!({"permissionsBoundaryArn": boundary(), "oidcProviderArn": provider()});
    class(scope, name, &iam, role_arn_patterns).await
}

async fn class(scope: &Scope, name: &str, iam: &Value, role_arn_patterns: &[&str]) -> String {
    let spec = json!({
        "aws": {"accountId": ACCOUNT, "region": REGION},
        "naming": {"prefix": PREFIX},
        "iam": iam,
        "limits": {"iam": {"roleArnPatterns": role_arn_patterns}},
    });
    scope.class(name, spec).await
}

/// What a Queue of this class says when every namespace may use it.
fn open(class: &str) -> Value {
    json!({"queueClassName": class, "access": {"allowedNamespaces": {"from": "All"}}})
}

/// A `QueueAccess` for the `ServiceAccount`.
fn to(scope: &Scope, queue: &str, permissions: &[&str]) -> Value {
    json!({
        "queueRef": {"name": queue, "namespace": scope.name},
        "permissions": permissions,
        "subject": {"serviceAccount": {"name": ACCOUNT_NAME}},
    })
}

fn accounts(scope: &Scope, namespace: &str) -> Api<ServiceAccount> {
    Api::namespaced(scope.world.kube.clone(), namespace)
}

async fn make_account(scope: &Scope, namespace: &str, role_arn: Option<&str>) {
    let annotations = role_arn.map(|arn| json!({(ROLE_ANNOTATION): arn}));
    let object = json!({"metadata": {"name": ACCOUNT_NAME, "annotations": annotations}});
    let object = serde_json::from_value(object).expect("a ServiceAccount");
    accounts(scope, namespace).create(&PostParams::default(), &object).await.expect("it is new");
}

/// The role that the `ServiceAccount` is annotated with.
async fn annotation(scope: &Scope, namespace: &str) -> Option<String> {
    let account = accounts(scope, namespace).get(ACCOUNT_NAME).await.expect("it is there");
    account.annotations().get(ROLE_ANNOTATION).cloned()
}

async fn annotate(scope: &Scope, namespace: &str, role_arn: Option<&str>) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {(ROLE_ANNOTATION): role_arn}}}));
    accounts(scope, namespace).patch(ACCOUNT_NAME, &PatchParams::default(), &patch).await.expect("it can be annotated");
}

/// The role of this ARN, if it is there.
async fn role(scope: &Scope, arn: &str) -> Option<Role> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    match scope.world.iam().get_role().role_name(name).send().await {
        Ok(found) => found.role,
        Err(error) if error.as_service_error().is_some_and(GetRoleError::is_no_such_entity_exception) => None,
        Err(error) => panic!("{arn}: {error:?}"),
    }
}

async fn attached(scope: &Scope, arn: &str) -> BTreeSet<String> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let listed = scope.world.iam().list_attached_role_policies().role_name(name).send().await.expect("they are listed");
    listed.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn).collect()
}

fn decoded(document: &str) -> String {
    percent_decode_str(document).decode_utf8().expect("UTF-8").into_owned()
}

/// What a policy says.
async fn document(scope: &Scope, arn: &str) -> String {
    let iam = scope.world.iam();
    let policy = iam.get_policy().policy_arn(arn).send().await.expect("it is there").policy.expect("it is told");
    let version = policy.default_version_id.expect("a version");
    let read = iam.get_policy_version().policy_arn(arn).version_id(version).send().await.expect("it is there");
    decoded(&read.policy_version.and_then(|version| version.document).expect("a document"))
}

/// The policies in IAM whose names begin with the namespace.
async fn policies(scope: &Scope, namespace: &str) -> Vec<String> {
    let iam = scope.world.iam();
    let mut pages = iam.list_policies().scope("Local".into()).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        let all = page.expect("policies are listed").policies.unwrap_or_default();
        names.extend(all.into_iter().filter_map(|policy| policy.policy_name));
    }
    names.retain(|name| name.starts_with(&format!("{namespace}_")));
    names
}

/// The role of a `QueueAccess` that is granted.
async fn granted_role(workload: &Workload<'_>, access: &str) -> String {
    workload.says(access, "Granted").await;
    let target = workload.get(access).await.status.and_then(|status| status.target);
    target.and_then(|target| target.role_arn).expect("the role is on record")
}

async fn assert_nothing_left(scope: &Scope, namespace: &str, role_arn: &str) {
    assert!(role(scope, role_arn).await.is_none(), "{role_arn}");
    assert_eq!(policies(scope, namespace).await, [""; 0]);
}

#[test]
fn a_service_account_gets_a_role_and_is_without_when_its_access_is_deleted() {
    shared(async |scope| {
        let class = making(scope, "roles", &[]).await;
        scope.apply_ready("work", open(&class)).await;
        make_account(scope, &scope.name, None).await;
        let here = Workload::beside(scope);
        here.apply("consume", to(scope, "work", &["Consume"])).await;
        let arn = granted_role(&here, "consume").await;
        assert!(
            arn.starts_with(&format!("arn:aws:iam::{ACCOUNT}:role/prism-queue/{}_{ACCOUNT_NAME}_", scope.name)),
            "{arn}"
        );

        let made = role(scope, &arn).await.expect("it is there");
        let trust = decoded(made.assume_role_policy_document().expect("a trust policy"));
        let subject = format!("system:serviceaccount:{}:{ACCOUNT_NAME}", scope.name);
        for part in [subject, provider(), "sts.amazonaws.com".to_owned(), "sts:AssumeRoleWithWebIdentity".to_owned()] {
            assert!(trust.contains(&format!("\"{part}\"")), "{part} in {trust}");
        }
        let bound = made.permissions_boundary().and_then(|bound| bound.permissions_boundary_arn()).map(str::to_owned);
        assert_eq!(bound, Some(boundary()));
        let owner = made.tags().iter().find(|tag| tag.key() == "queue.prism.io/name").map(|tag| tag.value().to_owned());
        assert_eq!(owner, Some(format!("serviceaccount/{ACCOUNT_NAME}")));

        let policy = attached(scope, &arn).await.pop_first().expect("a policy");
        let says = document(scope, &policy).await;
        assert!(says.contains("sqs:ReceiveMessage") && says.contains(&aws::arn(&scope.queue("work"))), "{says}");
        assert!(!says.contains("sqs:SendMessage"), "{says}");
        assert_eq!(annotation(scope, &scope.name).await.as_ref(), Some(&arn));
        let secret = here.secret("consume-access").await.expect("it is written");
        assert_eq!(secret["QUEUE_ARN"], aws::arn(&scope.queue("work")));

        // More is given, and less: by the same role.
        here.apply("consume", to(scope, "work", &["Consume", "Send"])).await;
        let sends = async || document(scope, &policy).await.contains("sqs:SendMessage");
        eventually("it may send", sends, |sends| *sends).await;
        here.says("consume", "Granted").await;
        here.apply("consume", to(scope, "work", &["Consume"])).await;
        eventually("it may not send", sends, |sends| !sends).await;
        assert_eq!(attached(scope, &arn).await, BTreeSet::from([policy]));

        here.delete("consume").await;
        assert_nothing_left(scope, &scope.name, &arn).await;
        assert_eq!(annotation(scope, &scope.name).await, None);
        let look = async || here.secret("consume-access").await;
        eventually("the Secret goes with its owner", look, Option::is_none).await;
        scope.ready("work").await;
    });
}

#[test]
fn all_accesses_of_a_service_account_share_its_role_until_the_last_is_deleted() {
    shared(async |scope| {
        let class = making(scope, "roles", &[]).await;
        scope.apply_ready("work", open(&class)).await;
        scope.apply_ready("other", open(&class)).await;
        let web = Workload::elsewhere(scope).await;
        make_account(scope, &web.namespace, None).await;
        web.apply("consume", to(scope, "work", &["Consume"])).await;
        web.apply("send", to(scope, "other", &["Send"])).await;
        let arn = granted_role(&web, "consume").await;
        assert_eq!(granted_role(&web, "send").await, arn);
        let policy = attached(scope, &arn).await;
        assert_eq!(policy.len(), 1, "one policy holds both");
        let policy = policy.into_iter().next().expect("one");
        let says = document(scope, &policy).await;
        assert!(says.contains(&aws::arn(&scope.queue("work"))) && says.contains(&aws::arn(&scope.queue("other"))));

        web.delete("consume").await;
        let says = document(scope, &policy).await;
        assert!(!says.contains(&aws::arn(&scope.queue("work"))) && says.contains(&aws::arn(&scope.queue("other"))));
        assert_eq!(annotation(scope, &web.namespace).await.as_ref(), Some(&arn));

        // Its Queue no longer allows it: what it gave is gone, the role is not.
        scope.apply("other", json!({"queueClassName": class})).await;
        web.says("send", "NotAllowedByQueue").await;
        assert!(attached(scope, &arn).await.is_empty());
        web.delete("send").await;
        assert_nothing_left(scope, &web.namespace, &arn).await;
        assert_eq!(annotation(scope, &web.namespace).await, None);
    });
}

#[test]
fn a_role_that_others_annotated_is_never_overwritten_and_used_only_where_the_class_allows_it() {
    shared(async |scope| {
        let allowed = format!("worker-{}", scope.name);
        let (batch, admin) =
            (format!("arn:aws:iam::{ACCOUNT}:role/{allowed}"), format!("arn:aws:iam::{ACCOUNT}:role/admin"));
        let class = making(scope, "roles", &[&batch]).await;
        aws::make_role(&scope.world.iam(), &allowed).await;
        scope.apply_ready("work", open(&class)).await;
        make_account(scope, &scope.name, Some(&admin)).await;
        let here = Workload::beside(scope);
        here.apply("consume", to(scope, "work", &["Consume"])).await;
        here.says("consume", "RoleNotAllowed").await;
        assert_eq!(annotation(scope, &scope.name).await.as_ref(), Some(&admin));
        assert!(here.secret("consume-access").await.is_none());

        annotate(scope, &scope.name, Some(&batch)).await;
        here.poke("consume", "1").await;
        assert_eq!(granted_role(&here, "consume").await, batch);
        let policy = attached(scope, &batch).await.pop_first().expect("a policy");
        assert!(document(scope, &policy).await.contains("sqs:ReceiveMessage"));
        assert_eq!(annotation(scope, &scope.name).await.as_ref(), Some(&batch));
        let before = role(scope, &batch).await.expect("it is there");
        assert!(before.tags().is_empty() && before.permissions_boundary().is_none(), "nothing else of it is touched");

        // A role of its own, when the other one is no longer named.
        annotate(scope, &scope.name, None).await;
        here.poke("consume", "2").await;
        let annotated = async || annotation(scope, &scope.name).await;
        let own = eventually("it has a role of its own", annotated, Option::is_some).await.expect("a role");
        assert_eq!(attached(scope, &own).await, BTreeSet::from([policy]));
        let detached = async || attached(scope, &batch).await;
        eventually("the other one is as it was", detached, BTreeSet::is_empty).await;

        // Others take the ServiceAccount over: their annotation stays when all is deleted.
        annotate(scope, &scope.name, Some(&admin)).await;
        here.delete("consume").await;
        assert_nothing_left(scope, &scope.name, &own).await;
        assert_eq!(annotation(scope, &scope.name).await, Some(admin));
        assert!(role(scope, &batch).await.is_some(), "a role of others is not deleted");
    });
}

#[test]
fn a_role_by_its_arn_gets_a_policy_that_is_detached_before_it_is_deleted() {
    shared(async |scope| {
        let name = format!("worker-{}", scope.name);
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        let class = making(scope, "roles", &[&arn]).await;
        aws::make_role(&scope.world.iam(), &name).await;
        scope.apply_ready("work", open(&class)).await;
        let here = Workload::beside(scope);
        let mut spec = to(scope, "work", &["Send"]);
        spec["subject"] = json!({"roleArn": arn});
        here.apply("send", spec.clone()).await;
        assert_eq!(granted_role(&here, "send").await, arn);
        assert_eq!(attached(scope, &arn).await.len(), 1);
        spec["subject"] = json!({"roleArn": format!("{arn}-2")});
        here.apply("refused", spec).await;
        here.says("refused", "RoleNotAllowed").await;
        here.delete("refused").await;
        here.delete("send").await;
        assert!(attached(scope, &arn).await.is_empty());
        assert_eq!(policies(scope, &scope.name).await, [""; 0]);
        assert!(role(scope, &arn).await.is_some());
    });
}

#[test]
fn a_service_account_that_comes_later_is_waited_for() {
    shared(async |scope| {
        let class = making(scope, "roles", &[]).await;
        scope.apply_ready("work", open(&class)).await;
        let here = Workload::beside(scope);
        here.apply("consume", to(scope, "work", &["Consume"])).await;
        here.says("consume", "ServiceAccountNotFound").await;
        assert_eq!(policies(scope, &scope.name).await, [""; 0]);
        make_account(scope, &scope.name, None).await;
        let arn = granted_role(&here, "consume").await;
        assert_eq!(annotation(scope, &scope.name).await, Some(arn));
        here.delete("consume").await;
    });
}

#[test]
fn by_pod_identity_an_association_is_made_and_deleted() {
    shared(async |scope| {
        let cluster = scope.name.clone();
        let eks = scope.world.eks();
        let role_arn = format!("arn:aws:iam::{ACCOUNT}:role/cluster");
        let vpc = aws_sdk_eks::types::VpcConfigRequest::builder().build();
        eks.create_cluster()
            .name(&cluster)
            .role_arn(role_arn)
            .resources_vpc_config(vpc)
            .send()
            .await
            .expect("a cluster");
        let iam = json!({
            "permissionsBoundaryArn": boundary(), "podIdentity": {"clusterName": cluster, "region": REGION},
        });
        let class = class(scope, "pods", &iam, &[]).await;
        scope.apply_ready("work", open(&class)).await;
        make_account(scope, &scope.name, None).await;
        let here = Workload::beside(scope);
        here.apply("consume", to(scope, "work", &["Consume"])).await;
        let arn = granted_role(&here, "consume").await;
        let trust = role(scope, &arn).await.expect("it is there").assume_role_policy_document.expect("a trust policy");
        let trust = decoded(&trust);
        let arn_of_cluster = format!("arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{cluster}");
        assert!(trust.contains("pods.eks.amazonaws.com") && trust.contains(&arn_of_cluster), "{trust}");
        let list = async || {
            let listed = eks.list_pod_identity_associations().cluster_name(&cluster).send().await.expect("a list");
            listed.associations.unwrap_or_default()
        };
        let made = list().await;
        assert_eq!(made.len(), 1, "{made:?}");
        assert_eq!((made[0].namespace(), made[0].service_account()), (Some(scope.name.as_str()), Some(ACCOUNT_NAME)));
        assert_eq!(annotation(scope, &scope.name).await, None, "an annotation would win over it");
        here.delete("consume").await;
        assert!(list().await.is_empty());
        assert_nothing_left(scope, &scope.name, &arn).await;
    });
}

/// The controller manager deletes what is in the namespace in an order of its own.
#[test]
fn a_namespace_that_is_deleted_is_not_held_up_and_leaves_nothing_in_aws() {
    shared(async |scope| {
        let class = making(scope, "roles", &[]).await;
        scope.apply_ready("work", open(&class)).await;
        let web = Workload::elsewhere(scope).await;
        make_account(scope, &web.namespace, None).await;
        web.apply("consume", to(scope, "work", &["Consume"])).await;
        web.apply("send", to(scope, "work", &["Send"])).await;
        let arn = granted_role(&web, "consume").await;
        assert_eq!(granted_role(&web, "send").await, arn);
        let namespaces: Api<Namespace> = Api::all(scope.world.kube.clone());
        namespaces.delete(&web.namespace, &DeleteParams::default()).await.expect("it can be deleted");
        let look = async || namespaces.get_opt(&web.namespace).await.expect("it can be read");
        eventually("the namespace is gone", look, Option::is_none).await;
        assert_nothing_left(scope, &web.namespace, &arn).await;
        scope.ready("work").await;
    });
}

#[test]
fn nothing_is_written_twice_and_nothing_at_rest() {
    shared(async |scope| {
        let class = making(scope, "roles", &[]).await;
        scope.apply_ready("work", open(&class)).await;
        let web = Workload::elsewhere(scope).await;
        make_account(scope, &web.namespace, None).await;
        let about_it = |calls: Vec<crate::proxy::Call>| -> Vec<String> {
            let is_about = |call: &crate::proxy::Call| call.body.to_string().contains(&format!("{}_", web.namespace));
            calls.into_iter().filter(is_about).map(|call| call.action).collect()
        };
        let is_read = |action: &String| action.starts_with("Get") || action.starts_with("List");
        let mark = scope.world.proxy.mark();
        web.apply("consume", to(scope, "work", &["Consume"])).await;
        web.says("consume", "Granted").await;
        let writes: Vec<String> = about_it(scope.world.proxy.since(mark)).into_iter().filter(|a| !is_read(a)).collect();
        assert_eq!(writes, ["CreateRole", "CreatePolicy", "AttachRolePolicy"]);
        let in_kubernetes = web.written(0);
        assert!(in_kubernetes.contains(&"patch serviceaccounts".to_owned()), "{in_kubernetes:?}");
        assert!(in_kubernetes.len() <= 7, "finalizer, record, annotation, Secret, status: {in_kubernetes:?}");

        // A look that is asked for reads all, and writes nothing.
        let mark = scope.world.proxy.mark();
        web.poke("consume", "now").await;
        let looked = async || about_it(scope.world.proxy.since(mark));
        eventually("it is looked at", looked, |calls| calls.iter().any(|call| call == "GetPolicy")).await;
        // What comes later has been seen once this has.
        web.apply("other", {
            let mut spec = to(scope, "work", &["Send"]);
            spec["subject"] = json!({"principalArn": format!("arn:aws:iam::{ACCOUNT}:role/other")});
            spec
        })
        .await;
        web.says("other", "Granted").await;
        let calls = about_it(scope.world.proxy.since(mark));
        assert!(calls.iter().all(is_read), "{calls:?}");
        let more = web.written(in_kubernetes.len());
        let of_other = ["patch queueaccesses", "update queueaccesses/status", "create secrets"];
        assert!(more.iter().all(|write| of_other.contains(&write.as_str())) && more.len() <= 4, "{more:?}");
        web.delete("consume").await;
        web.delete("other").await;
    });
}

/// Whatever the process dies at, the next one ends what it began.
#[test]
fn an_operator_that_is_killed_on_the_way_is_followed_by_one_that_goes_on() {
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        let class = making(scope, "roles", &[]).await;
        scope.apply_ready("work", open(&class)).await;
        make_account(scope, &scope.name, None).await;
        let here = Workload::beside(scope);
        let hold = |action: &str| {
            let gate = Gate::closed();
            scope.world.proxy.inject(Rule::new(Fault::Hold(gate.clone(), When::After)).action(action).times(1));
            gate
        };
        let gate = hold("CreateRole");
        here.apply("consume", to(scope, "work", &["Consume"])).await;
        gate.reached_by(1).await;
        operator.kill().await;
        gate.open();

        let operator = scope.world.operator(&[]).await;
        let arn = granted_role(&here, "consume").await;
        assert_eq!(attached(scope, &arn).await.len(), 1);
        assert_eq!(annotation(scope, &scope.name).await.as_ref(), Some(&arn));

        // It is changed while nobody is there.
        operator.kill().await;
        here.apply("consume", to(scope, "work", &["Send"])).await;
        annotate(scope, &scope.name, None).await;
        let operator = scope.world.operator(&[]).await;
        assert_eq!(granted_role(&here, "consume").await, arn);
        assert_eq!(annotation(scope, &scope.name).await.as_ref(), Some(&arn));
        let policy = attached(scope, &arn).await.pop_first().expect("a policy");
        assert!(document(scope, &policy).await.contains("sqs:SendMessage"));

        let gate = hold("DetachRolePolicy");
        here.begin_to_delete("consume").await;
        gate.reached_by(1).await;
        operator.kill().await;
        gate.open();
        let _operator = scope.world.operator(&[]).await;
        here.gone("consume").await;
        assert_nothing_left(scope, &scope.name, &arn).await;
        assert_eq!(annotation(scope, &scope.name).await, None);
    });
}
