//! The certificate that the operator makes itself.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use prism_queue::webhook::{CONFIGURATION, FAIL, SECRET};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;

use super::{Mode, Stage, configurations, configured, free_port, pod, secrets, sources};
use crate::harness::Operator;
use crate::harness::wait::eventually;

/// The entries of the Secret that hold certificates, by the second in which they were made.
async fn made(stage: &Stage<'_>) -> BTreeMap<i64, String> {
    let secret = secrets(stage.scope.world).get_opt(SECRET).await.unwrap();
    let data = secret.and_then(|secret| secret.data).unwrap_or_default().into_iter();
    let text = |value: ByteString| String::from_utf8(value.0).unwrap();
    data.filter_map(|(key, value)| Some((key.strip_suffix(".pem")?.parse().ok()?, text(value)))).collect()
}

/// What the API server is told to trust.
async fn trusted(stage: &Stage<'_>) -> String {
    let configuration = configurations(stage.scope.world).get(CONFIGURATION).await.unwrap();
    let bundle = configuration.webhooks.unwrap().remove(0).client_config.ca_bundle;
    bundle.map(|bundle| String::from_utf8(bundle.0).unwrap()).unwrap_or_default()
}

fn count(trusted: &str) -> usize {
    trusted.matches("BEGIN CERTIFICATE").count()
}

/// A certificate for 127.0.0.1, as the operator makes them, and its key.
fn certificate() -> String {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1));
    let key = KeyPair::generate().unwrap();
    format!("{}{}", params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// Puts certificates in the Secret that were made so long ago.
async fn store(stage: &Stage<'_>, certificates: &[(SignedDuration, &str)]) {
    let entry = |(age, pem): &(SignedDuration, &str)| {
        let made = (Timestamp::now() - *age).as_second();
        (format!("{made}.pem"), ByteString(pem.as_bytes().to_vec()))
    };
    let host = ("host".to_owned(), ByteString(b"127.0.0.1".to_vec()));
    let mut secret = Secret { data: Some(certificates.iter().map(entry).chain([host]).collect()), ..Secret::default() };
    secret.metadata.name = Some(SECRET.to_owned());
    secret.metadata.labels = Some([("queue.prism.io/managed-by".to_owned(), "prism-queue".to_owned())].into());
    let _ = secrets(stage.scope.world).delete(SECRET, &DeleteParams::default()).await;
    secrets(stage.scope.world).create(&PostParams::default(), &secret).await.unwrap();
}

/// The same certificates, made so long ago; the oldest first. The operator that comes next finds them so.
async fn let_time_pass(stage: &Stage<'_>, ages: [SignedDuration; 2]) {
    let certificates: Vec<String> = made(stage).await.into_values().collect();
    let [old, new] = certificates.as_slice() else { panic!("two certificates") };
    store(stage, &[(ages[0], old), (ages[1], new)]).await;
}

/// Ends the operator, and with it the connections that the API server holds to it: the next one shows its certificate anew.
async fn replaced(stage: &Stage<'_>, operator: Operator) -> Operator {
    operator.kill().await;
    stage.operator(&[]).await
}

#[test]
fn a_certificate_is_made_once_and_found_again_by_the_next_process() {
    configured(Mode::Closed, async |stage| {
        let operator = stage.operator(&[]).await;
        let first = made(stage).await;
        assert_eq!((first.len(), count(&trusted(stage).await)), (1, 1));
        let (code, page) = operator.get("/readyz").await;
        assert!(code == 200 && page.contains("[+] webhook: ok"), "{page}");

        let operator = replaced(stage, operator).await;
        assert_eq!(made(stage).await, first);
        assert_eq!(count(&trusted(stage).await), 1);

        // A deployment that writes the configuration as it was takes the trust away.
        stage.reconfigure("clientConfig/caBundle", json!(null)).await;
        eventually("it is trusted again", async || count(&trusted(stage).await), |count| *count == 1).await;
        stage.answers().await;
        operator.kill().await;
    });
}

#[test]
fn a_certificate_is_renewed_without_a_pod_refused() {
    configured(Mode::Closed, async |stage| {
        let (days, minutes) = (|days: i64| SignedDuration::from_hours(24 * days), SignedDuration::from_mins);
        stage.scope.apply("orders", json!({})).await;
        let asking = pod("p", "orders", &json!({}));
        let create = async || {
            let created = stage.dry_run(&asking).await.expect("no Pod is refused");
            assert_eq!(sources(&created), ["main:  orders-queue"]);
        };
        // Two months old: the next is made and trusted, and the first still shown.
        let first = certificate();
        store(stage, &[(days(60), &first)]).await;
        let operator = stage.operator(&[]).await;
        eventually("the next is made", async || made(stage).await.len(), |made| *made == 2).await;
        assert_eq!(count(&trusted(stage).await), 2);
        assert!(made(stage).await.into_values().next() == Some(first), "the first is still there");
        create().await;

        // Ten minutes later the same process shows the next.
        operator.kill().await;
        let_time_pass(stage, [days(60), minutes(10) - SignedDuration::from_secs(3)]).await;
        let operator = stage.operator(&[]).await;
        while operator.log().matches("the webhook shows a new certificate").count() < 2 {
            create().await;
            assert!(!operator.has_ended());
        }
        let operator = replaced(stage, operator).await;
        create().await;
        assert_eq!(count(&trusted(stage).await), 2, "another replica may be late");

        // And ten later the first is gone for good.
        operator.kill().await;
        let_time_pass(stage, [days(60), minutes(20)]).await;
        let operator = stage.operator(&[]).await;
        create().await;
        eventually("the first is gone", async || made(stage).await.len(), |made| *made == 1).await;
        assert_eq!(count(&trusted(stage).await), 1);
        create().await;
        operator.kill().await;
    });
}

#[test]
fn a_secret_that_is_deleted_is_made_again_without_a_pod_refused() {
    configured(Mode::Closed, async |stage| {
        stage.scope.apply("orders", json!({})).await;
        let operator = stage.operator(&[]).await;
        let first = made(stage).await;
        secrets(stage.scope.world).delete(SECRET, &DeleteParams::default()).await.unwrap();
        let is_there = async || {
            stage.dry_run(&pod("p", "orders", &json!({}))).await.expect("no Pod is refused");
            made(stage).await.len()
        };
        eventually("another is made", is_there, |made| *made == 1).await;
        assert_ne!(made(stage).await, first);
        assert_eq!(count(&trusted(stage).await), 2, "the first is shown until everybody knows the second");
        operator.kill().await;
    });
}

#[test]
fn a_secret_of_somebody_elses_is_left_alone() {
    configured(Mode::Closed, async |stage| {
        let data = [("password".to_owned(), ByteString(b"p".to_vec()))];
        let mut foreign = Secret { data: Some(data.into()), ..Secret::default() };
        foreign.metadata.name = Some(SECRET.to_owned());
        secrets(stage.scope.world).create(&PostParams::default(), &foreign).await.unwrap();
        let address = format!("127.0.0.1:{}", stage.port);
        let flags = ["--webhook-address", &address, "--webhook-host", "127.0.0.1"];
        let operator = stage.scope.world.operator(&flags).await;
        operator.says("the Secret prism-queue-webhook is somebody else's").await;
        let (code, page) = operator.get("/readyz").await;
        assert!(code == 503 && page.contains("[-] webhook: not yet at work"), "{page}");
        assert_eq!(secrets(stage.scope.world).get(SECRET).await.unwrap().data, foreign.data);
        operator.kill().await;
    });
}

#[test]
fn a_replica_that_does_not_lead_answers_with_the_leaders_certificate() {
    configured(Mode::Closed, async |stage| {
        stage.scope.apply("orders", json!({})).await;
        let leader = stage.operator(&[]).await;
        let port = free_port();
        let flags = ["--webhook-address", &format!("127.0.0.1:{port}"), "--webhook-host", "127.0.0.1"];
        let standby = Operator::start(stage.scope.world, &stage.scope.world.identity, &flags).await;
        standby.says("the webhook shows a new certificate").await;
        let is_ready = |(code, page): &(u16, String)| *code == 200 && page.contains("[+] webhook: ok");
        eventually("the standby is ready", async || standby.get("/readyz").await, is_ready).await;
        stage.reconfigure("clientConfig/url", json!(format!("https://127.0.0.1:{port}{FAIL}"))).await;
        let asked = async || {
            let created = stage.dry_run(&pod("p", "orders", &json!({}))).await.expect("no Pod is refused");
            assert_eq!(sources(&created), ["main:  orders-queue"]);
            standby.metric("prism_queue_injections_total", |labels| labels.contains("\"injected\"")).await
        };
        eventually("the standby answers", asked, |injected| *injected > 0).await;
        assert_eq!(made(stage).await.len(), 1);
        standby.kill().await;
        leader.kill().await;
    });
}

/// As cert-manager's, which are mounted.
#[test]
fn certificates_in_files_are_read_again_as_they_change() {
    configured(Mode::Closed, async |stage| {
        stage.scope.apply("orders", json!({})).await;
        let (first, second) = (certificate(), certificate());
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(&stage.scope.name);
        std::fs::create_dir_all(&folder).unwrap();
        let write = |pem: &str| {
            let at = pem.find("-----BEGIN PRIVATE KEY").unwrap();
            std::fs::write(folder.join("tls.crt"), &pem[..at]).unwrap();
            std::fs::write(folder.join("tls.key"), &pem[at..]).unwrap();
        };
        let trust = async |pem: &str| {
            stage.reconfigure("clientConfig/caBundle", json!(ByteString(pem.as_bytes().to_vec()))).await;
        };
        let public = |pem: &str| pem[..pem.find("-----BEGIN PRIVATE KEY").unwrap()].to_owned();
        write(&first);
        trust(&public(&first)).await;
        let operator = stage.operator(&["--webhook-certificate-dir", folder.to_str().unwrap()]).await;

        // A file that is of no use changes nothing.
        std::fs::write(folder.join("tls.key"), "nothing").unwrap();
        operator.says("the key cannot be read").await;
        stage.dry_run(&pod("p", "orders", &json!({}))).await.unwrap();

        write(&second);
        let shown = |log: &String| log.matches("the webhook shows a new certificate").count() == 2;
        eventually("the new one is shown", async || operator.log(), shown).await;
        // Another authority is another connection.
        trust(&public(&second)).await;
        stage.answers().await;
        let created = stage.dry_run(&pod("p", "orders", &json!({}))).await.unwrap();
        assert_eq!(sources(&created), ["main:  orders-queue"]);
        assert_eq!(secrets(stage.scope.world).get_opt(SECRET).await.unwrap(), None, "it makes none itself");
        operator.kill().await;
        std::fs::remove_dir_all(&folder).unwrap();
    });
}
