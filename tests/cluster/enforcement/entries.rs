//! The kinds of entries in `spec.access`, by callers of each kind.
//!
//! `vpcEndpointId` is proved only as far as it shuts out: the emulator has no endpoints, so that nobody comes through one.
//! That it lets in is proved by the evaluator in `src/domain/policy/tests`.

use serde_json::{Value, json};

use super::account::{Aws, Caller, role_arn};
use super::as_installed;
use super::calls::{NOTHING, SENDING, permitted};
use crate::harness::{ACCOUNT, REGION, Scope, aws as seen};

/// Accounts of others.
const PARTNER: &str = "300000000003";
const STRANGER: &str = "300000000004";

/// A role of an account that may send anywhere, as far as its own account is asked.
async fn sender(scope: &Scope, aws: &Aws, account: &str, role: &str) -> Caller {
    let sends = json!({"Effect": "Allow", "Action": "sqs:*", "Resource": "*"});
    aws.session(account, &format!("{role}-{}", scope.name), &[sends]).await
}

/// Makes a queue with these producers. Answers its URL.
async fn queue(scope: &Scope, name: &str, producers: Value) -> String {
    let queue = scope.apply_ready(name, json!({"access": {"producers": producers}})).await;
    queue.status.and_then(|status| status.queue_url).expect("a URL")
}

#[test]
fn another_account_needs_an_entry_and_a_policy_of_its_own() {
    as_installed(&["--allow-unsafe-statements"], async |scope, aws| {
        let (allowed, other) =
            (sender(scope, aws, PARTNER, "allowed").await, sender(scope, aws, PARTNER, "other").await);
        let silent = aws.session(PARTNER, &format!("silent-{}", scope.name), &[]).await;
        let stranger = sender(scope, aws, STRANGER, "stranger").await;
        let arn = |role: &str| role_arn(PARTNER, &format!("{role}-{}", scope.name));
        let by_name = json!([{"principalArn": arn("allowed")}, {"principalArn": arn("silent")}]);
        let by_name = queue(scope, "by-name", by_name).await;
        let by_account = queue(scope, "by-account", json!([{"accountId": PARTNER}])).await;
        for (who, of_name, of_account) in [
            (&allowed, &SENDING[..], &SENDING[..]),
            (&other, &NOTHING[..], &SENDING[..]),
            (&silent, &NOTHING[..], &NOTHING[..]),
            (&stranger, &NOTHING[..], &NOTHING[..]),
        ] {
            assert_eq!(permitted(&who.sqs, &by_name).await, of_name.iter().copied().collect());
            assert_eq!(permitted(&who.sqs, &by_account).await, of_account.iter().copied().collect());
        }
    });
}

#[test]
fn an_organization_lets_in_its_accounts_and_no_other() {
    as_installed(&["--allow-unsafe-statements"], async |scope, aws| {
        let (member, stranger) =
            (sender(scope, aws, PARTNER, "member").await, sender(scope, aws, STRANGER, "stranger").await);
        // In the emulator each account that asks is an organization of its own.
        let organization = async |account| {
            let target = [("x-amz-target", "AWSOrganizationsV20161128.DescribeOrganization")];
            let answer = aws.ask(account, "organizations", &target, "{}".to_owned()).await;
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            answer["Organization"]["Id"].as_str().expect("an id").to_owned()
        };
        let (ours, theirs) = (organization(PARTNER).await, organization(STRANGER).await);
        assert_ne!(ours, theirs);
        let url = queue(scope, "work", json!([{"organizationId": ours}])).await;
        assert_eq!(permitted(&member.sqs, &url).await, SENDING.into());
        assert_eq!(permitted(&stranger.sqs, &url).await, NOTHING.into());
    });
}

#[test]
fn a_role_that_must_come_through_an_endpoint_is_shut_out_elsewhere() {
    as_installed(&[], async |scope, aws| {
        let role = format!("worker-{}", scope.name);
        let worker = aws.session(ACCOUNT, &role, &[]).await;
        let entry = |more: Value| {
            let mut entry = json!({"principalArn": role_arn(ACCOUNT, &role)});
            entry.as_object_mut().expect("an entry").extend(more.as_object().expect("fields").clone());
            json!([entry])
        };
        let through = queue(scope, "through", entry(json!({"vpcEndpointId": "vpce-0a1b2c3d4e5f60718"}))).await;
        let anywhere = queue(scope, "anywhere", entry(json!({}))).await;
        let anybody = queue(scope, "anybody", json!([{"vpcEndpointId": "vpce-0a1b2c3d4e5f60718"}])).await;
        assert_eq!(permitted(&worker.sqs, &through).await, NOTHING.into());
        assert_eq!(permitted(&worker.sqs, &anybody).await, NOTHING.into());
        assert_eq!(permitted(&worker.sqs, &anywhere).await, SENDING.into(), "it is for want of the endpoint");
    });
}

#[test]
fn a_service_delivers_for_the_source_that_is_named_and_for_no_other() {
    as_installed(&[], async |scope, aws| {
        let sns = async |account: &str, action: &str, more: &[(&str, &str)]| {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("Action", action).append_pair("Version", "2010-03-31").extend_pairs(more);
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            aws.ask(account, "sns", &headers, form.finish()).await
        };
        let topic = |account: &str, name: &str| format!("arn:aws:sns:{REGION}:{account}:{name}-{}", scope.name);
        let videos = topic(ACCOUNT, "videos");
        let url = queue(scope, "work", json!([{"service": "sns.amazonaws.com", "sourceArn": videos}])).await;
        let queue = seen::arn(&scope.queue("work"));
        let publish = async |account: &str, name: &str| {
            let (arn, short) = (topic(account, name), format!("{name}-{}", scope.name));
            sns(account, "CreateTopic", &[("Name", &short)]).await;
            let raw = [("Attributes.entry.1.key", "RawMessageDelivery"), ("Attributes.entry.1.value", "true")];
            let to = [("TopicArn", arn.as_str()), ("Protocol", "sqs"), ("Endpoint", &queue)];
            sns(account, "Subscribe", &[&to[..], &raw].concat()).await;
            sns(account, "Publish", &[("TopicArn", &arn), ("Message", &short)]).await;
        };
        publish(ACCOUNT, "music").await;
        publish(STRANGER, "videos").await;
        publish(ACCOUNT, "videos").await;
        let root = aws.root(ACCOUNT).sqs;
        let received = async || seen::consume(&root, &url).await;
        let first = crate::harness::wait::eventually("a message", received, Option::is_some).await;
        assert_eq!(first, Some(format!("videos-{}", scope.name)));
        assert_eq!(seen::consume(&root, &url).await, None, "of the three topics one may send");
    });
}
