//! AWS as it refuses, and who calls it.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_sts::error::ProvideErrorMetadata as _;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::types::Tag;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::harness::{Operator, REGION, Surroundings, World, environment};
use crate::proxy::{FaultProxy, connector, http_client};

/// The emulator that enforces policies, with TLS in front of it.
pub struct Aws {
    /// Where the operator finds it.
    pub proxy: FaultProxy,
    /// Where the tests find it: these calls are not among the operator's.
    window: FaultProxy,
    client: SharedHttpClient,
    connector: SharedHttpConnector,
    /// The certificate that the operator must trust, as PEM.
    certificate: String,
    /// The emulator itself, without TLS.
    plain: String,
}

/// Somebody who calls AWS.
pub struct Caller {
    pub credentials: Credentials,
    pub sqs: aws_sdk_sqs::Client,
    /// The same who forgets TLS.
    pub plain_sqs: aws_sdk_sqs::Client,
    pub sts: aws_sdk_sts::Client,
}

/// A policy of these statements.
pub fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The ARN of a role.
pub fn role_arn(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:role/{name}")
}

impl Aws {
    pub fn start() -> Self {
        let plain = environment("PRISM_TEST_ENFORCING_ENDPOINT");
        let (proxy, certificate) = FaultProxy::start_with_tls(&plain);
        let (window, of_window) = FaultProxy::start_with_tls(&plain);
        proxy.scale_cool_down(0.0);
        window.scale_cool_down(0.0);
        let connector = connector(&of_window);
        Self { proxy, window, client: http_client(connector.clone()), connector, certificate, plain }
    }

    /// Starts the one operator as `caller`.
    pub async fn operator(&self, world: &World, caller: &Caller, flags: &[&str]) -> Operator {
        let credentials = &caller.credentials;
        let environment = [
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key()),
            ("AWS_SESSION_TOKEN", credentials.session_token().expect("a session's")),
        ];
        let endpoint = ["--endpoint-url", self.proxy.endpoint()];
        let around = Surroundings { environment: &environment, trusts: Some(&self.certificate) };
        world.operator_in(&around, &[&endpoint, flags].concat()).await
    }

    /// The root user of an account, whom no policy of an identity holds back.
    pub fn root(&self, account: &str) -> Caller {
        self.caller(Credentials::new(account, "secret", None, None, "test"))
    }

    fn config(&self, endpoint: &str, credentials: &Credentials) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .http_client(self.client.clone())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(endpoint)
            .build()
    }

    fn caller(&self, credentials: Credentials) -> Caller {
        let config = self.config(self.window.endpoint(), &credentials);
        let plain = self.config(&self.plain, &credentials);
        Caller {
            sqs: aws_sdk_sqs::Client::new(&config),
            plain_sqs: aws_sdk_sqs::Client::new(&plain),
            sts: aws_sdk_sts::Client::new(&config),
            credentials,
        }
    }

    pub fn iam(&self, account: &str) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.config(self.window.endpoint(), &self.root(account).credentials))
    }

    /// Makes a cluster in EKS, as far as the emulator has clusters.
    pub async fn make_cluster(&self, account: &str, name: &str) {
        let eks = aws_sdk_eks::Client::new(&self.config(self.window.endpoint(), &self.root(account).credentials));
        let vpc = aws_sdk_eks::types::VpcConfigRequest::builder().build();
        let role = self.role(account, &format!("cluster-{name}"), &policy(&[])).await;
        let cluster = eks.create_cluster().name(name).role_arn(role).resources_vpc_config(vpc);
        cluster.send().await.unwrap_or_else(|error| panic!("CreateCluster {name}: {error:?}"));
    }

    /// What STS gives for a token; nothing when the role does not trust it.
    pub async fn assume_with(&self, role: &str, token: &str) -> Option<Caller> {
        let sts = self.root("000000000000").sts;
        let request = sts.assume_role_with_web_identity().role_arn(role).role_session_name("test");
        match request.web_identity_token(token).send().await {
            Ok(assumed) => Some(self.caller_of(assumed.credentials)),
            Err(error) => {
                assert_eq!(error.code(), Some("AccessDenied"), "{error:?}");
                None
            }
        }
    }

    fn caller_of(&self, given: Option<aws_sdk_sts::types::Credentials>) -> Caller {
        let given = given.expect("credentials");
        let token = Some(given.session_token);
        self.caller(Credentials::new(given.access_key_id, given.secret_access_key, token, None, "test"))
    }

    pub fn kms(&self, account: &str) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::new(&self.config(self.window.endpoint(), &self.root(account).credentials))
    }

    /// Asks a service for which there is no SDK here, as the root user of an account. Answers the body.
    pub async fn ask(&self, account: &str, service: &str, headers: &[(&'static str, &str)], body: String) -> String {
        let mut request = HttpRequest::new(body.into());
        request.set_method("POST").expect("a method");
        request.set_uri(format!("{}/", self.window.endpoint())).expect("a URL");
        // Of root users no signature is checked.
        let who = format!(
            "AWS4-HMAC-SHA256 Credential={account}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=none"
        );
        request.headers_mut().insert("authorization", who);
        for (name, value) in headers {
            request.headers_mut().insert(*name, (*value).to_owned());
        }
        let answer = self.connector.call(request).await.expect("an answer");
        assert!(answer.status().is_success(), "{service}: {answer:?}");
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        String::from_utf8(body.to_vec()).expect("text")
    }

    /// Makes a role that may do nothing, with this trust. Answers its ARN.
    pub async fn role(&self, account: &str, name: &str, trust: &Value) -> String {
        let iam = self.iam(account);
        let create = iam.create_role().role_name(name).assume_role_policy_document(trust.to_string());
        create.send().await.unwrap_or_else(|error| panic!("CreateRole {name}: {error:?}"));
        role_arn(account, name)
    }

    /// Gives a role its one policy.
    pub async fn allow(&self, account: &str, role: &str, policy: &Value) {
        let iam = self.iam(account);
        let put = iam.put_role_policy().role_name(role).policy_name("all").policy_document(policy.to_string());
        put.send().await.unwrap_or_else(|error| panic!("PutRolePolicy {role}: {error:?}"));
    }

    /// Makes a role whom its account may assume, and assumes it; it may do what `statements` say.
    // In AWS a root user cannot assume a role. Here it stands for whoever in the account may.
    pub async fn session(&self, account: &str, role: &str, statements: &[Value]) -> Caller {
        let root = format!("arn:aws:iam::{account}:root");
        let trust = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"});
        let arn = self.role(account, role, &policy(&[trust])).await;
        if !statements.is_empty() {
            self.allow(account, role, &policy(statements)).await;
        }
        let assumed = self.root(account).assume(self, &arn, None).await;
        assumed.unwrap_or_else(|error| panic!("AssumeRole {arn}: {error:?}"))
    }
}

impl Caller {
    /// Assumes a role.
    pub async fn assume(&self, aws: &Aws, role: &str, external_id: Option<&str>) -> Result<Caller, AssumeRoleError> {
        let request = self.sts.assume_role().role_arn(role).role_session_name("test");
        let assumed = request.set_external_id(external_id.map(str::to_owned)).send().await;
        let assumed = assumed.map_err(aws_sdk_sts::error::SdkError::into_service_error)?;
        Ok(aws.caller_of(assumed.credentials))
    }

    /// The same with session tags; nothing when the role does not trust whoever has these.
    pub async fn assume_tagged(&self, aws: &Aws, role: &str, tags: &[(&str, &str)]) -> Option<Caller> {
        let tag = |(key, value): &(&str, &str)| Tag::builder().key(*key).value(*value).build().expect("a tag");
        let request = self.sts.assume_role().role_arn(role).role_session_name("test");
        match request.set_tags(Some(tags.iter().map(tag).collect())).send().await {
            Ok(assumed) => Some(aws.caller_of(assumed.credentials)),
            Err(error) => {
                assert_eq!(error.code(), Some("AccessDenied"), "{error:?}");
                None
            }
        }
    }
}
