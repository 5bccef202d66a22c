//! The start: what is wrong is said in one line.

use axum::Router;
use axum::http::{StatusCode, header};
use serde_json::json;

use crate::harness::{Ended, Identity, Operator, REGION, Surroundings, unattended};
use crate::proxy::{Fault, FaultProxy, Rule};

/// What an operator that could not start said last.
fn last_line(ended: &Ended) -> &str {
    assert_ne!(ended.code, 0, "{}", ended.log);
    ended.log.lines().last().unwrap_or_default()
}

/// A kubeconfig for a cluster at another address.
fn elsewhere(identity: &Identity, server: &str) -> Identity {
    let mut kubeconfig = identity.kubeconfig.clone();
    for named in &mut kubeconfig.clusters {
        let cluster = named.cluster.get_or_insert_default();
        cluster.server = Some(server.to_owned());
        cluster.certificate_authority = None;
        cluster.certificate_authority_data = None;
    }
    Identity { namespace: identity.namespace.clone(), kubeconfig }
}

#[test]
fn a_cluster_without_the_crd_is_named_with_what_to_do() {
    unattended(async |scope| {
        // A Kubernetes that has nothing.
        let missing = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
            "message": "customresourcedefinitions.apiextensions.k8s.io \"queues.queue.prism.io\" not found",
        });
        let answer = (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], missing.to_string());
        let app = Router::new().fallback(async move || answer);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });

        let identity = elsewhere(&scope.world.identity, &server);
        let ended = Operator::start(scope.world, &identity, &[]).await.end().await;
        serving.abort();
        let said = last_line(&ended);
        assert!(said.contains("queues.queue.prism.io is not installed") && said.contains("crds/"), "{said}");
    });
}

#[test]
fn a_cluster_that_does_not_answer_is_named() {
    unattended(async |scope| {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = format!("http://{}", taken.local_addr().unwrap());
        drop(taken);
        let identity = elsewhere(&scope.world.identity, &server);
        let ended = Operator::start(scope.world, &identity, &[]).await.end().await;
        let said = last_line(&ended);
        assert!(said.contains("cannot read the CustomResourceDefinition"), "{said}");
    });
}

#[test]
fn credentials_that_do_not_work_are_named() {
    unattended(async |scope| {
        let invalid = Fault::Error {
            status: 403,
            code: "InvalidClientTokenId",
            message: "The security token included in the request is invalid.",
        };
        let proxy = FaultProxy::start(scope.world.proxy.endpoint());
        proxy.inject(Rule::new(invalid).action("GetCallerIdentity"));
        let flags = ["--endpoint-url", proxy.endpoint()];
        let ended = Operator::start(scope.world, &scope.world.identity, &flags).await.end().await;
        let said = last_line(&ended);
        assert!(said.contains("the AWS credentials do not work") && said.contains("InvalidClientTokenId"), "{said}");
    });
}

#[test]
fn credentials_that_are_missing_are_named() {
    unattended(async |scope| {
        let flags = scope.world.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let none = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
        let around = Surroundings { environment: &none, trusts: None };
        let ended = Operator::run(Some(&scope.world.identity), &flags, &around).await.end().await;
        let said = last_line(&ended);
        assert!(said.contains("credentials"), "{said}");
    });
}

#[test]
fn plain_http_that_leaves_the_machine_is_refused() {
    unattended(async |scope| {
        let flags = ["--endpoint-url", "http://sqs.example.com"];
        let ended = Operator::start(scope.world, &scope.world.identity, &flags).await.end().await;
        let said = last_line(&ended);
        assert!(said.contains("http://sqs.example.com") && said.contains("--allow-insecure-endpoints"), "{said}");
    });
}

#[test]
fn a_cluster_name_is_required() {
    unattended(async |_| {
        let ended = Operator::run(None, &["--region", REGION], &Surroundings::default()).await.end().await;
        assert_ne!(ended.code, 0);
        assert!(ended.log.contains("--cluster-name"), "{}", ended.log);
    });
}
