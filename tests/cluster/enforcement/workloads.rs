//! What workloads may do by the roles of their `ServiceAccount`s, by real calls with what STS gave for a token.
//!
//! The emulator holds a token's issuer, audience and subject against the trust policy. It asks neither who signed it, nor until
//! when it holds, nor whether the account has such a provider. What the operator itself needs for roles is the matter of
//! `permissions`; here it may do all in IAM.

use std::collections::BTreeSet;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::account::{Aws, Caller, policy, role_arn};
use super::calls::{CONSUMING, INSPECTING, NOTHING, SENDING, TRIED, permitted};
use super::{emulated, enforced, operator_role, printed};
use crate::grants::Workload;
use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, PREFIX, REGION, Scope, aws as seen};

const ISSUER: &str = "https://oidc.eks.eu-central-1.amazonaws.com/id/ABC";
const AUDIENCE: &str = "sts.amazonaws.com";

/// Runs a test under an operator that may make roles.
fn with_roles(test: impl AsyncFnOnce(&Scope, &Aws)) {
    enforced(async |scope, aws| {
        let mut statements = emulated(printed(scope));
        statements.push(json!({"Effect": "Allow", "Action": ["iam:*", "eks:*"], "Resource": "*"}));
        let caller = aws.session(ACCOUNT, &operator_role(scope), &statements).await;
        let operator = aws.operator(scope.world, &caller, &[]).await;
        test(scope, aws).await;
        drop(operator);
    });
}

/// Makes the managed policy `name` of the test, which allows `action` on everything. Answers its ARN.
async fn boundary(scope: &Scope, aws: &Aws, name: &str, action: &str) -> String {
    let document = policy(&[json!({"Effect": "Allow", "Action": action, "Resource": "*"})]);
    let name = format!("{name}-{}", scope.name);
    let create = aws.iam(ACCOUNT).create_policy().policy_name(name).policy_document(document.to_string()).send().await;
    create.expect("CreatePolicy").policy.and_then(|policy| policy.arn).expect("its ARN")
}

/// Applies the class that makes roles with this boundary. Answers its name.
async fn class(scope: &Scope, boundary: &str, way: &Value, role_arn_patterns: &[&str]) -> String {
    let mut iam = json!({"permissionsBoundaryArn": boundary});
    iam.as_object_mut().expect("an object").extend(way.as_object().expect("an object").clone());
    let spec = json!({
        "aws": {"accountId": ACCOUNT, "region": REGION}, "naming": {"prefix": PREFIX}, "iam": iam,
        "limits": {"iam": {"roleArnPatterns": role_arn_patterns}},
    });
    scope.class("roles", spec).await
}

fn by_tokens() -> Value {
    let issuer = ISSUER.trim_start_matches("https://");
    json!({"oidcProviderArn": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")})
}

fn open(class: &str) -> Value {
    json!({"queueClassName": class, "access": {"allowedNamespaces": {"from": "All"}}})
}

/// A token as the cluster would put it into a Pod.
fn token(issuer: &str, audience: &str, namespace: &str, service_account: &str) -> String {
    let part = |value: &Value| {
        let encoded = serde_json::to_value(ByteString(value.to_string().into_bytes())).expect("base64");
        let encoded = encoded.as_str().expect("text").trim_end_matches('=');
        encoded.replace('+', "-").replace('/', "_")
    };
    let claims = json!({
        "iss": issuer, "aud": audience, "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
    });
    format!("{}.{}.{}", part(&json!({"alg": "RS256"})), part(&claims), part(&json!("nobody signed this")))
}

/// A `ServiceAccount` with a `QueueAccess` of its own.
struct Pod {
    name: &'static str,
    role_arn: String,
}

impl Pod {
    /// Makes both, and waits until it has a role.
    async fn start(scope: &Scope, place: &Workload<'_>, name: &'static str, permissions: &[&str]) -> Self {
        let accounts: Api<ServiceAccount> = Api::namespaced(scope.world.kube.clone(), &place.namespace);
        let account = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a ServiceAccount");
        accounts.create(&PostParams::default(), &account).await.expect("it is new");
        let spec = json!({
            "queueRef": {"name": "work", "namespace": scope.name},
            "permissions": permissions,
            "subject": {"serviceAccount": {"name": name}},
        });
        place.apply(name, spec).await;
        place.says(name, "Granted").await;
        let target = place.get(name).await.status.and_then(|status| status.target);
        let role_arn = target.and_then(|target| target.role_arn).expect("the role is on record");
        Self { name, role_arn }
    }

    /// What STS gives it for its token.
    async fn session(&self, aws: &Aws, place: &Workload<'_>) -> Option<Caller> {
        aws.assume_with(&self.role_arn, &token(ISSUER, AUDIENCE, &place.namespace, self.name)).await
    }
}

/// The URLs of the queue and the dead-letter queue of a Queue.
async fn urls(scope: &Scope, aws: &Aws, queue: &str) -> (String, String) {
    let administrator = aws.root(ACCOUNT).sqs;
    let url = async |queue: String| seen::url(&administrator, &queue).await.expect("it exists");
    (url(scope.queue(queue)).await, url(scope.dead_letter_queue(queue)).await)
}

#[test]
fn a_workload_may_do_what_its_access_gives_and_nothing_once_it_is_gone() {
    with_roles(async |scope, aws| {
        let boundary = boundary(scope, aws, "queues", "sqs:*").await;
        let class = class(scope, &boundary, &by_tokens(), &[]).await;
        scope.apply_ready("work", open(&class)).await;
        scope.apply_ready("other", open(&class)).await;
        let (work, letters) = urls(scope, aws, "work").await;
        let (other, _) = urls(scope, aws, "other").await;
        let web = Workload::elsewhere(scope).await;
        let producer = Pod::start(scope, &web, "producer", &["Send"]).await;
        let consumer = Pod::start(scope, &web, "consumer", &["Consume", "Inspect"]).await;
        let sender = producer.session(aws, &web).await.expect("its own token");
        let reader = consumer.session(aws, &web).await.expect("its own token");
        let may = async |who: &Caller, url: &str| permitted(&who.sqs, url).await;
        assert_eq!(may(&sender, &work).await, SENDING.into());
        assert_eq!(may(&reader, &work).await, CONSUMING.into());
        assert_eq!((may(&sender, &letters).await, may(&reader, &letters).await), (NOTHING.into(), INSPECTING.into()));
        for who in [&sender, &reader] {
            assert_eq!(may(who, &other).await, NOTHING.into(), "another queue");
        }
        // And it is of use: what one sends, the other gets. One message is from the calls above.
        seen::send(&sender.sqs, &work, "a message").await;
        let receive = async || seen::consume(&reader.sqs, &work).await;
        let received = BTreeSet::from([receive().await, receive().await, receive().await]);
        assert_eq!(received, BTreeSet::from([Some(TRIED.to_owned()), Some("a message".to_owned()), None]));

        web.delete("producer").await;
        assert_eq!(may(&sender, &work).await, NOTHING.into(), "what STS gave before is of no more use");
        assert!(producer.session(aws, &web).await.is_none(), "the role is gone");
        assert_eq!(may(&reader, &work).await, CONSUMING.into(), "the other one has what it had");

        // The Queue takes it back.
        scope.apply("work", json!({"queueClassName": class})).await;
        web.says("consumer", "NotAllowedByQueue").await;
        assert_eq!((may(&reader, &work).await, may(&reader, &letters).await), (NOTHING.into(), NOTHING.into()));
        scope.apply("work", open(&class)).await;
        web.says("consumer", "Granted").await;
        assert_eq!(may(&reader, &work).await, CONSUMING.into());
        web.delete("consumer").await;
        assert_eq!(may(&reader, &work).await, NOTHING.into());
    });
}

#[test]
fn a_token_of_another_service_account_namespace_issuer_or_audience_is_refused() {
    with_roles(async |scope, aws| {
        let boundary = boundary(scope, aws, "queues", "sqs:*").await;
        let class = class(scope, &boundary, &by_tokens(), &[]).await;
        scope.apply_ready("work", open(&class)).await;
        let here = Workload::beside(scope);
        let web = Workload::elsewhere(scope).await;
        let resizer = Pod::start(scope, &here, "resizer", &["Send"]).await;
        let other = Pod::start(scope, &here, "other", &["Send"]).await;
        // One of the same name.
        let namesake = Pod::start(scope, &web, "resizer", &["Send"]).await;
        let own = scope.name.as_str();
        for (what, issuer, audience, namespace, name) in [
            ("another ServiceAccount", ISSUER, AUDIENCE, own, "other"),
            ("a longer name", ISSUER, AUDIENCE, own, "resizer2"),
            ("another namespace", ISSUER, AUDIENCE, web.namespace.as_str(), "resizer"),
            ("another issuer", "https://oidc.eks.eu-central-1.amazonaws.com/id/ABD", AUDIENCE, own, "resizer"),
            ("another audience", ISSUER, "https://kubernetes.default.svc", own, "resizer"),
        ] {
            let got = aws.assume_with(&resizer.role_arn, &token(issuer, audience, namespace, name)).await;
            assert!(got.is_none(), "{what}");
        }
        for pod in [&other, &namesake] {
            let got = aws.assume_with(&pod.role_arn, &token(ISSUER, AUDIENCE, own, "resizer")).await;
            assert!(got.is_none(), "the role of {}", pod.role_arn);
        }
        assert!(resizer.session(aws, &here).await.is_some(), "the right one is let in");
        // Nobody comes to it by other ways either.
        assert!(aws.root(ACCOUNT).assume(aws, &resizer.role_arn, None).await.is_err(), "its account");
        let everything = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"});
        let stranger = aws.session(ACCOUNT, &format!("stranger-{}", scope.name), &[everything]).await;
        assert!(stranger.assume(aws, &resizer.role_arn, None).await.is_err(), "whoever may assume roles");
    });
}

/// EKS itself cannot be had here. The emulator takes the account's root user for any service that a trust policy names, so that
/// it stands for EKS: what it shows is which session tags are let in. That no other service is, the judge in tests/domain says.
#[test]
fn a_pod_of_another_cluster_namespace_or_service_account_is_refused() {
    with_roles(async |scope, aws| {
        let boundary = boundary(scope, aws, "queues", "sqs:*").await;
        let cluster = scope.name.clone();
        aws.make_cluster(ACCOUNT, &cluster).await;
        let way = json!({"podIdentity": {"clusterName": cluster, "region": REGION}});
        let class = class(scope, &boundary, &way, &[]).await;
        scope.apply_ready("work", open(&class)).await;
        let (work, _) = urls(scope, aws, "work").await;
        let here = Workload::beside(scope);
        let resizer = Pod::start(scope, &here, "resizer", &["Consume"]).await;
        let arn = |cluster: &str| format!("arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{cluster}");
        let pod = async |cluster: &str, namespace: &str, name: &str| {
            let cluster = arn(cluster);
            let tags = [
                ("eks-cluster-arn", cluster.as_str()),
                ("kubernetes-namespace", namespace),
                ("kubernetes-service-account", name),
                ("kubernetes-pod-name", "resizer-5f7d"),
            ];
            aws.root(ACCOUNT).assume_tagged(aws, &resizer.role_arn, &tags).await
        };
        for (what, cluster, namespace, name) in [
            ("another ServiceAccount", cluster.as_str(), scope.name.as_str(), "other"),
            ("another namespace", cluster.as_str(), "web", "resizer"),
            ("another cluster", "another", scope.name.as_str(), "resizer"),
        ] {
            assert!(pod(cluster, namespace, name).await.is_none(), "{what}");
        }
        assert!(aws.root(ACCOUNT).assume(aws, &resizer.role_arn, None).await.is_err(), "without tags");
        let reader = pod(&cluster, &scope.name, "resizer").await.expect("the right one");
        assert_eq!(permitted(&reader.sqs, &work).await, CONSUMING.into());
        let by_token = aws.assume_with(&resizer.role_arn, &token(ISSUER, AUDIENCE, &scope.name, "resizer")).await;
        assert!(by_token.is_none(), "it is for Pods of EKS, not for tokens");
        here.delete("resizer").await;
        assert_eq!(permitted(&reader.sqs, &work).await, NOTHING.into());
    });
}

#[test]
fn a_role_may_never_do_what_its_boundary_does_not_allow() {
    with_roles(async |scope, aws| {
        let topics = boundary(scope, aws, "topics", "sns:*").await;
        let queues = boundary(scope, aws, "queues", "sqs:*").await;
        let name = class(scope, &topics, &by_tokens(), &[]).await;
        scope.apply_ready("work", open(&name)).await;
        let (work, letters) = urls(scope, aws, "work").await;
        let here = Workload::beside(scope);
        let pod = Pod::start(scope, &here, "resizer", &["Send", "Consume", "Inspect"]).await;
        let session = pod.session(aws, &here).await.expect("its own token");
        assert_eq!(permitted(&session.sqs, &work).await, NOTHING.into());
        assert_eq!(permitted(&session.sqs, &letters).await, NOTHING.into());
        // The class names another one.
        assert_eq!(class(scope, &queues, &by_tokens(), &[]).await, name);
        let all: BTreeSet<&str> = SENDING.into_iter().chain(CONSUMING).collect();
        let may = async || permitted(&session.sqs, &work).await;
        eventually("the new boundary is in force", may, |may| *may == all).await;
        assert_eq!(permitted(&session.sqs, &letters).await, INSPECTING.into());
        here.delete("resizer").await;
    });
}

#[test]
fn a_role_of_others_may_do_what_is_attached_to_it_for_as_long_as_it_is() {
    with_roles(async |scope, aws| {
        let role = format!("worker-{}", scope.name);
        let arn = role_arn(ACCOUNT, &role);
        let boundary = boundary(scope, aws, "queues", "sqs:*").await;
        let class = class(scope, &boundary, &by_tokens(), &[&arn]).await;
        let worker = aws.session(ACCOUNT, &role, &[]).await;
        scope.apply_ready("work", open(&class)).await;
        let (work, letters) = urls(scope, aws, "work").await;
        let may = async |url: &str| permitted(&worker.sqs, url).await;
        assert_eq!(may(&work).await, NOTHING.into(), "before it is given anything");
        let here = Workload::beside(scope);
        let spec = json!({"queueRef": {"name": "work"}, "permissions": ["Consume"], "subject": {"roleArn": arn}});
        here.apply("worker", spec).await;
        here.says("worker", "Granted").await;
        assert_eq!((may(&work).await, may(&letters).await), (CONSUMING.into(), NOTHING.into()));
        here.delete("worker").await;
        assert_eq!(may(&work).await, NOTHING.into());
    });
}
