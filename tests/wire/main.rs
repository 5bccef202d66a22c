//! The SDK on the wire: what each call sends, what each answer means, and that one call is one request.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests, too, fail by panicking")]

mod associations;
mod policies;
mod roles;
mod server;
mod target;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::sdk_config::TimeSource;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use prism_queue::aws::sdk::{AwsClients, ConnectError, Options, Timeouts};
use prism_queue::aws::{CallObserver, CallerIdentity, Iam, Kms, Sqs, Sts};
use prism_queue::domain::attributes::{Attribute, Attributes, Counts};
use prism_queue::domain::call::{CallError, ErrorClass, ErrorKind};
use prism_queue::domain::class::{ContextValue, Decision, Evaluation, Question};
use prism_queue::domain::names::QueueName;
use prism_queue::domain::tags::Tags;
use serde_json::json;

use server::{Reply, Seen, Server};

const URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/media_images";

/// Remembers what it was told.
#[derive(Default)]
struct Observed(Mutex<Vec<(&'static str, Result<(), ErrorClass>)>>);

impl CallObserver for Observed {
    fn observed(&self, action: &'static str, outcome: Result<(), ErrorClass>, _: Duration) {
        self.0.lock().unwrap().push((action, outcome));
    }
}

/// The time, as the ordinary configuration has it.
#[derive(Debug)]
struct Now;

impl TimeSource for Now {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A configuration that owes nothing to the environment of the test.
fn config(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .time_source(Now)
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDTEST", "secret", None, None, "test",
        )))
        .build()
}

async fn clients(server: &Server) -> AwsClients {
    AwsClients::from_config(config(&server.url), &Options::default(), Arc::new(())).await.unwrap()
}

fn ok(body: &serde_json::Value) -> Reply {
    Reply::Answer(200, None, body.to_string())
}

fn refusal(status: u16, code: &str) -> Reply {
    Reply::Answer(status, None, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "No."}).to_string())
}

fn name() -> QueueName {
    QueueName::parse("media_images").unwrap()
}

/// The only request that the server saw.
fn only(server: &Server) -> Seen {
    let [seen] = <[Seen; 1]>::try_from(server.seen()).expect("one call, one request");
    seen
}

/// Checks that the server saw exactly one request: this action of SQS with this body.
fn assert_sent(server: &Server, action: &str, body: &serde_json::Value) {
    let seen = only(server);
    assert_eq!(seen.header("x-amz-target"), format!("AmazonSQS.{action}"));
    assert_eq!(&seen.json(), body);
}

#[tokio::test]
async fn create_queue_sends_attributes_and_tags() {
    let server = Server::start([ok(&json!({"QueueUrl": URL}))]).await;
    let attributes = Attributes::from([
        (Attribute::VisibilityTimeout, "300".to_owned()),
        (Attribute::RedrivePolicy, r#"{"maxReceiveCount":5}"#.to_owned()),
    ]);
    let tags = Tags::from([("team".to_owned(), "media".to_owned())]);
    assert_eq!(clients(&server).await.sqs.create_queue(&name(), &attributes, &tags).await.unwrap(), URL);
    assert_sent(
        &server,
        "CreateQueue",
        &json!({
            "QueueName": "media_images",
            "Attributes": {"VisibilityTimeout": "300", "RedrivePolicy": r#"{"maxReceiveCount":5}"#},
            "tags": {"team": "media"},
        }),
    );
}

#[tokio::test]
async fn create_queue_leaves_out_what_is_empty() {
    let server = Server::start([ok(&json!({"QueueUrl": URL}))]).await;
    clients(&server).await.sqs.create_queue(&name(), &Attributes::new(), &Tags::new()).await.unwrap();
    assert_sent(&server, "CreateQueue", &json!({"QueueName": "media_images"}));
}

#[tokio::test]
async fn get_queue_url_asks_by_name() {
    let server = Server::start([ok(&json!({"QueueUrl": URL}))]).await;
    assert_eq!(clients(&server).await.sqs.get_queue_url(&name()).await.unwrap(), URL);
    assert_sent(&server, "GetQueueUrl", &json!({"QueueName": "media_images"}));
}

#[tokio::test]
async fn get_queue_attributes_splits_settings_from_counts_and_ignores_the_rest() {
    let server = Server::start([ok(&json!({"Attributes": {
        "ApproximateNumberOfMessages": "7",
        "ApproximateNumberOfMessagesNotVisible": "2",
        "ApproximateNumberOfMessagesDelayed": "1",
        "CreatedTimestamp": "1700000000",
        "QueueArn": "arn:aws:sqs:eu-central-1:123456789012:media_images",
        "DelaySeconds": "0",
        "Policy": "",
        "InventedNextYear": "x",
    }}))])
    .await;
    let answer = clients(&server).await.sqs.get_queue_attributes(URL).await.unwrap();
    assert_eq!(answer.counts, Counts { available: 7, in_flight: 2, delayed: 1 });
    assert_eq!(answer.settings, Attributes::from([(Attribute::DelaySeconds, "0".to_owned())]));
    assert_sent(&server, "GetQueueAttributes", &json!({"QueueUrl": URL, "AttributeNames": ["All"]}));
}

#[tokio::test]
async fn a_missing_count_is_never_taken_for_zero() {
    let (available, in_flight, delayed) =
        ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed");
    for missing in [available, in_flight, delayed] {
        let mut attributes = BTreeMap::from([(available, "0"), (in_flight, "0"), (delayed, "0")]);
        attributes.remove(missing);
        let server = Server::start([ok(&json!({"Attributes": attributes}))]).await;
        let error = clients(&server).await.sqs.get_queue_attributes(URL).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        assert!(error.message.ends_with(missing), "{error}");
    }
}

#[tokio::test]
async fn set_queue_attributes_sends_only_what_it_is_given_and_keeps_empty_texts() {
    let server = Server::start([ok(&json!({}))]).await;
    let attributes = Attributes::from([(Attribute::Policy, String::new())]);
    clients(&server).await.sqs.set_queue_attributes(URL, &attributes).await.unwrap();
    assert_sent(&server, "SetQueueAttributes", &json!({"QueueUrl": URL, "Attributes": {"Policy": ""}}));
}

#[tokio::test]
async fn delete_queue_names_the_queue() {
    let server = Server::start([ok(&json!({}))]).await;
    clients(&server).await.sqs.delete_queue(URL).await.unwrap();
    assert_sent(&server, "DeleteQueue", &json!({"QueueUrl": URL}));
}

#[tokio::test]
async fn tags_are_listed_added_and_removed() {
    let tags = Tags::from([("team".to_owned(), "media".to_owned())]);

    let server = Server::start([ok(&json!({"Tags": tags}))]).await;
    assert_eq!(clients(&server).await.sqs.list_queue_tags(URL).await.unwrap(), tags);
    assert_sent(&server, "ListQueueTags", &json!({"QueueUrl": URL}));

    let server = Server::start([ok(&json!({}))]).await;
    assert_eq!(clients(&server).await.sqs.list_queue_tags(URL).await.unwrap(), Tags::new());

    let server = Server::start([ok(&json!({}))]).await;
    clients(&server).await.sqs.tag_queue(URL, &tags).await.unwrap();
    assert_sent(&server, "TagQueue", &json!({"QueueUrl": URL, "Tags": {"team": "media"}}));

    let server = Server::start([ok(&json!({}))]).await;
    clients(&server).await.sqs.untag_queue(URL, &["team".to_owned()]).await.unwrap();
    assert_sent(&server, "UntagQueue", &json!({"QueueUrl": URL, "TagKeys": ["team"]}));
}

#[tokio::test]
async fn list_queues_reads_one_page_and_no_more() {
    let server = Server::start([ok(&json!({"QueueUrls": [URL], "NextToken": "more"}))]).await;
    assert_eq!(clients(&server).await.sqs.list_queues(&name()).await.unwrap(), [URL]);
    assert_sent(&server, "ListQueues", &json!({"QueueNamePrefix": "media_images", "MaxResults": 1000}));

    let server = Server::start([ok(&json!({}))]).await;
    assert!(clients(&server).await.sqs.list_queues(&name()).await.unwrap().is_empty());
}

#[tokio::test]
async fn sts_says_who_the_caller_is() {
    let answer = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
        <Arn>arn:aws:iam::123456789012:user/me</Arn><Account>123456789012</Account>\
        </GetCallerIdentityResult></GetCallerIdentityResponse>";
    let server = Server::start([Reply::Answer(200, None, answer.to_owned())]).await;
    let who = clients(&server).await.sts.caller_identity().await.unwrap();
    let want =
        CallerIdentity { account_id: "123456789012".to_owned(), arn: "arn:aws:iam::123456789012:user/me".to_owned() };
    assert_eq!(who, want);
    assert!(only(&server).body.contains("Action=GetCallerIdentity"));
}

#[tokio::test]
async fn kms_says_which_key_an_alias_means() {
    let arn = "arn:aws:kms:eu-central-1:123456789012:key/0d1c";
    let server = Server::start([ok(&json!({"KeyMetadata": {"KeyId": "0d1c", "Arn": arn}}))]).await;
    assert_eq!(clients(&server).await.kms.key_arn("alias/media").await.unwrap(), arn);
    let seen = only(&server);
    assert_eq!(seen.header("x-amz-target"), "TrentService.DescribeKey");
    assert_eq!(seen.json(), json!({"KeyId": "alias/media"}));

    let server = Server::start([ok(&json!({"Policy": "{}", "PolicyName": "default"}))]).await;
    assert_eq!(clients(&server).await.kms.key_policy(arn).await.unwrap(), "{}");
    assert_eq!(only(&server).header("x-amz-target"), "TrentService.GetKeyPolicy");
    assert_eq!(only(&server).json(), json!({"KeyId": arn}));

    let server = Server::start([refusal(400, "NotFoundException")]).await;
    assert_eq!(clients(&server).await.kms.key_arn("alias/media").await.unwrap_err().kind, ErrorKind::KmsDenied);
}

/// What IAM answers: results, and where the next page begins.
fn simulated(results: &str, next: Option<&str>) -> Reply {
    let more = next.map_or("<IsTruncated>false</IsTruncated>".to_owned(), |marker| {
        format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>")
    });
    let answer = format!(
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult>\
         <EvaluationResults>{results}</EvaluationResults>{more}\
         </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    );
    Reply::Answer(200, None, answer)
}

fn result(action: &str, decision: &str, more: &str) -> String {
    format!(
        "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>arn</EvalResourceName>\
         <EvalDecision>{decision}</EvalDecision>{more}</member>"
    )
}

#[tokio::test]
async fn iam_says_what_policies_allow_on_all_pages() {
    let question = Question {
        principal_arn: "arn:aws:iam::123456789012:role/prism-queue".to_owned(),
        actions: &["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:TagQueue"],
        resources: ["acme-any", "acme-any_dlq"]
            .map(|name| format!("arn:aws:sqs:eu-central-1:123456789012:{name}"))
            .into(),
        context: BTreeMap::from([
            ("aws:RequestedRegion".to_owned(), ContextValue::Text("eu-central-1".to_owned())),
            ("aws:SecureTransport".to_owned(), ContextValue::Truth(true)),
            ("aws:TagKeys".to_owned(), ContextValue::Texts(vec!["a".to_owned(), "b".to_owned()])),
        ]),
    };
    let by_resource = "<ResourceSpecificResults>\
         <member><EvalResourceName>one</EvalResourceName><EvalResourceDecision>allowed</EvalResourceDecision></member>\
         <member><EvalResourceName>other</EvalResourceName><EvalResourceDecision>explicitDeny</EvalResourceDecision>\
         <MissingContextValues><member>aws:SourceVpce</member></MissingContextValues></member>\
         </ResourceSpecificResults>";
    let by_organization = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>";
    let first = [result("sqs:CreateQueue", "allowed", ""), result("sqs:DeleteQueue", "explicitDeny", by_resource)];
    let server = Server::start([
        simulated(&first.concat(), Some("page-2")),
        simulated(
            &[result("sqs:TagQueue", "implicitDeny", ""), result("sqs:UntagQueue", "implicitDeny", by_organization)]
                .concat(),
            None,
        ),
    ])
    .await;
    let said = clients(&server).await.iam.simulate(&question).await.unwrap();
    let want = [
        ("sqs:CreateQueue", "arn", Decision::Allowed, None),
        ("sqs:DeleteQueue", "one", Decision::Allowed, None),
        ("sqs:DeleteQueue", "other", Decision::Denied, Some("aws:SourceVpce")),
        ("sqs:TagQueue", "arn", Decision::NotAllowed, None),
        ("sqs:UntagQueue", "arn", Decision::RefusedByOrganization, None),
    ];
    let want = want.map(|(action, resource, decision, missing)| Evaluation {
        action: action.to_owned(),
        resource: resource.to_owned(),
        decision,
        missing_context: missing.map(str::to_owned).into_iter().collect(),
    });
    assert_eq!(said, want);
    let sent: Vec<BTreeMap<_, _>> = server.seen().iter().map(|seen| fields(&seen.body)).collect();
    let all = [
        ("Action", "SimulatePrincipalPolicy"),
        ("PolicySourceArn", "arn:aws:iam::123456789012:role/prism-queue"),
        ("ActionNames.member.3", "sqs:TagQueue"),
        ("ResourceArns.member.2", "arn:aws:sqs:eu-central-1:123456789012:acme-any_dlq"),
        ("ContextEntries.member.1.ContextKeyName", "aws:RequestedRegion"),
        ("ContextEntries.member.1.ContextKeyType", "string"),
        ("ContextEntries.member.2.ContextKeyType", "boolean"),
        ("ContextEntries.member.2.ContextKeyValues.member.1", "true"),
        ("ContextEntries.member.3.ContextKeyType", "stringList"),
        ("ContextEntries.member.3.ContextKeyValues.member.2", "b"),
    ];
    for (name, value) in all {
        assert!(sent.iter().all(|fields| fields[name] == value), "{name}: {sent:?}");
    }
    assert_eq!((sent[0].get("Marker"), sent[1]["Marker"].as_str()), (None, "page-2"));
}

/// The fields of a body in the query protocol.
fn fields(body: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn calls_are_signed_for_the_region_and_carry_our_name() {
    let server = Server::start([ok(&json!({}))]).await;
    clients(&server).await.sqs.delete_queue(URL).await.unwrap();
    let seen = only(&server);
    assert!(seen.header("authorization").contains("/eu-central-1/sqs/aws4_request"));
    let version = env!("CARGO_PKG_VERSION");
    assert!(seen.header("user-agent").contains(&format!("lib/prism-queue/{version}")), "{seen:?}");
}

#[tokio::test]
async fn calls_go_to_the_endpoint_whatever_host_the_queue_url_names() {
    let server = Server::start([ok(&json!({}))]).await;
    let elsewhere = "http://192.0.2.1:9/123456789012/media_images";
    clients(&server).await.sqs.delete_queue(elsewhere).await.unwrap();
    assert_sent(&server, "DeleteQueue", &json!({"QueueUrl": elsewhere}));
}

/// What `DeleteQueue` makes of a reply, after exactly one request.
async fn judged(reply: Reply) -> CallError {
    let server = Server::start([reply]).await;
    let error = clients(&server).await.sqs.delete_queue(URL).await.unwrap_err();
    only(&server);
    assert_eq!(error.action, "DeleteQueue");
    error
}

#[tokio::test]
async fn refusals_are_classified_and_never_retried() {
    for (status, code, want) in [
        (400, "QueueDoesNotExist", ErrorKind::QueueDoesNotExist),
        (400, "QueueDeletedRecently", ErrorKind::QueueDeletedRecently),
        (400, "QueueNameExists", ErrorKind::QueueNameExists),
        (400, "InvalidAttributeValue", ErrorKind::Invalid),
        (400, "KmsAccessDenied", ErrorKind::KmsDenied),
        (403, "AccessDeniedException", ErrorKind::Denied),
        (400, "ThrottlingException", ErrorKind::Throttled),
        (429, "TooManyRequestsException", ErrorKind::Throttled),
        (503, "ServiceUnavailable", ErrorKind::Transient),
        (500, "InternalFailure", ErrorKind::Transient),
    ] {
        let error = judged(refusal(status, code)).await;
        assert_eq!((error.kind, error.code.as_str(), error.message.as_str()), (want, code, "No."));
    }
}

#[tokio::test]
async fn the_header_of_the_older_protocol_is_understood() {
    let header = ("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender");
    let body = json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "No."}).to_string();
    let error = judged(Reply::Answer(400, Some(header), body)).await;
    assert_eq!(error.kind, ErrorKind::QueueDoesNotExist);
    assert_eq!(error.code, "AWS.SimpleQueueService.NonExistentQueue");
}

#[tokio::test]
async fn answers_that_are_not_of_sqs_are_judged_by_status() {
    for (status, body, want) in [
        (503, "", ErrorKind::Transient),
        (502, "<html>Bad Gateway</html>", ErrorKind::Transient),
        (429, "", ErrorKind::Throttled),
        (403, "<html>Forbidden</html>", ErrorKind::Denied),
        (404, "<html>Not Found</html>", ErrorKind::Transient),
    ] {
        let error = judged(Reply::Answer(status, None, body.to_owned())).await;
        assert_eq!((error.kind, error.code.as_str()), (want, ""), "{status} {body}");
        assert!(error.message.contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_transient_and_the_call_is_not_repeated() {
    for reply in [Reply::Drop, Reply::CutOff, Reply::Answer(200, None, "<html>".to_owned())] {
        let server = Server::start([reply]).await;
        let error =
            clients(&server).await.sqs.create_queue(&name(), &Attributes::new(), &Tags::new()).await.unwrap_err();
        only(&server);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Transient, ""), "{error}");
        assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn a_lost_answer_on_a_connection_in_use_is_not_repeated_either() {
    let server = Server::start([ok(&json!({})), Reply::Drop]).await;
    let sqs = clients(&server).await.sqs;
    sqs.delete_queue(URL).await.unwrap();
    assert_eq!(sqs.delete_queue(URL).await.unwrap_err().kind, ErrorKind::Transient);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends() {
    let server = Server::start([Reply::Hang]).await;
    let timeouts = Timeouts { attempt: Duration::from_millis(200), ..Timeouts::default() };
    let options = Options { timeouts, ..Options::default() };
    let clients = AwsClients::from_config(config(&server.url), &options, Arc::new(())).await.unwrap();
    assert_eq!(clients.sqs.delete_queue(URL).await.unwrap_err().kind, ErrorKind::Transient);
    only(&server);
}

#[tokio::test]
async fn where_nobody_listens_is_transient() {
    // Bound, so that nobody else gets the port, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let clients = AwsClients::from_config(config(&endpoint), &Options::default(), Arc::new(())).await.unwrap();
    assert_eq!(clients.sqs.delete_queue(URL).await.unwrap_err().kind, ErrorKind::Transient);
}

#[tokio::test]
async fn an_answer_without_what_was_asked_for_is_an_error() {
    let server = Server::start([ok(&json!({}))]).await;
    let error = clients(&server).await.sqs.get_queue_url(&name()).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Transient, "the answer holds no QueueUrl"));
}

#[tokio::test]
async fn a_write_whose_turn_comes_when_writing_is_over_is_not_sent() {
    let answer = ok(&json!({"QueueUrl": URL}));
    let server = Server::start([answer]).await;
    let clients = clients(&server).await.writing_while(Arc::new(|| false));
    let writes = [
        clients.sqs.create_queue(&name(), &Attributes::new(), &Tags::new()).await.map(|_| ()),
        clients.sqs.set_queue_attributes(URL, &Attributes::new()).await,
        clients.sqs.delete_queue(URL).await,
        clients.sqs.tag_queue(URL, &Tags::new()).await,
        clients.sqs.untag_queue(URL, &[]).await,
    ];
    for write in writes {
        assert_eq!(write.unwrap_err().kind, ErrorKind::Transient);
    }
    assert!(server.seen().is_empty());
    clients.sqs.get_queue_url(&name()).await.unwrap();
}

#[tokio::test]
async fn every_call_is_observed_once_with_its_class() {
    let server = Server::start([ok(&json!({})), refusal(400, "QueueDoesNotExist"), Reply::Drop]).await;
    let observed = Arc::new(Observed::default());
    let clients = AwsClients::from_config(config(&server.url), &Options::default(), observed.clone()).await.unwrap();
    clients.sqs.delete_queue(URL).await.unwrap();
    clients.sqs.list_queue_tags(URL).await.unwrap_err();
    clients.kms.key_arn("alias/media").await.unwrap_err();
    assert_eq!(
        *observed.0.lock().unwrap(),
        [
            ("DeleteQueue", Ok(())),
            ("ListQueueTags", Err(ErrorClass::NotFound)),
            ("DescribeKey", Err(ErrorClass::Transient)),
        ]
    );
}

#[tokio::test]
async fn a_throttled_call_slows_the_budget_of_all_and_other_errors_do_not() {
    let server = Server::start([
        refusal(400, "AccessDenied"),
        refusal(503, "ServiceUnavailable"),
        refusal(400, "ThrottlingException"),
        refusal(400, "ThrottlingException"),
    ])
    .await;
    let clients = clients(&server).await;
    let full = clients.budget.rates();

    clients.sqs.delete_queue(URL).await.unwrap_err();
    clients.sqs.delete_queue(URL).await.unwrap_err();
    assert_eq!(clients.budget.rates(), full);

    clients.sqs.delete_queue(URL).await.unwrap_err();
    let slow = clients.budget.rates();
    assert!(slow.calls < full.calls, "{slow:?}");
    assert_eq!(slow.tagging.to_bits(), full.tagging.to_bits(), "tagging has a quota of its own");

    clients.sqs.list_queue_tags(URL).await.unwrap_err();
    assert!(clients.budget.rates().tagging < full.tagging);
}

/// Credentials that can be loaded this often.
#[derive(Debug)]
struct Loads(AtomicUsize);

impl Loads {
    fn times(count: usize) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Self(AtomicUsize::new(count)))
    }
}

impl ProvideCredentials for Loads {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        future::ProvideCredentials::ready(match left {
            Ok(_) => Ok(Credentials::new("AKIDTEST", "secret", None, None, "test")),
            Err(_) => Err(CredentialsError::not_loaded("AWS_PROFILE is not set")),
        })
    }
}

/// Why there are no clients for this configuration.
async fn refused(config: SdkConfig) -> ConnectError {
    AwsClients::from_config(config, &Options::default(), Arc::new(())).await.err().expect("no clients")
}

#[tokio::test]
async fn a_start_without_region_or_credentials_says_so_in_one_line() {
    let without_region = config("http://127.0.0.1:1").into_builder().region(None).build();
    let error = refused(without_region).await;
    assert_eq!(error, ConnectError::NoRegion);
    assert!(error.to_string().contains("--region"));

    let error =
        refused(config("http://127.0.0.1:1").into_builder().credentials_provider(Loads::times(0)).build()).await;
    let line = error.to_string();
    assert!(matches!(error, ConnectError::NoCredentials(_)), "{line}");
    assert!(line.contains("web identity") && line.contains("AWS_PROFILE is not set") && !line.contains('\n'), "{line}");
}

#[tokio::test]
async fn credentials_lost_later_are_denied_and_nothing_is_sent() {
    let server = Server::start([]).await;
    let config = config(&server.url).into_builder().credentials_provider(Loads::times(1)).build();
    let clients = AwsClients::from_config(config, &Options::default(), Arc::new(())).await.unwrap();
    let error = clients.sqs.delete_queue(URL).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("AWS_PROFILE is not set"), "{error}");
    assert!(server.seen().is_empty());
}

/// The environment or a profile sets an endpoint for this one service.
#[derive(Debug)]
struct EndpointOf(&'static str);

impl LoadServiceConfig for EndpointOf {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        (key.service_id() == self.0).then(|| "http://aws.example.com".to_owned())
    }
}

#[tokio::test]
async fn every_endpoint_of_the_aws_configuration_is_checked_like_the_flag() {
    let insecure = Options { allow_insecure_endpoints: true, ..Options::default() };
    let sources = [
        config("http://aws.example.com"),
        config("http://127.0.0.1:1").into_builder().service_config(EndpointOf("SQS")).build(),
        config("http://127.0.0.1:1").into_builder().service_config(EndpointOf("STS")).build(),
        config("http://127.0.0.1:1").into_builder().service_config(EndpointOf("KMS")).build(),
        config("http://127.0.0.1:1").into_builder().service_config(EndpointOf("IAM")).build(),
        config("http://127.0.0.1:1").into_builder().service_config(EndpointOf("EKS")).build(),
    ];
    for config in sources {
        let error = refused(config.clone()).await;
        assert!(matches!(&error, ConnectError::Endpoint(why) if why.contains("aws.example.com")), "{error}");
        assert!(AwsClients::from_config(config, &insecure, Arc::new(())).await.is_ok());
    }

    let flag = Options { endpoint_url: Some("http://aws.example.com".to_owned()), ..Options::default() };
    let error = AwsClients::connect(&flag, Arc::new(())).await.err().expect("no clients");
    assert!(matches!(error, ConnectError::Endpoint(_)), "{error}");
}
