//! AWS as the emulator answers it: SQS in the JSON that the AWS command line shows too, and a role for the class of the examples.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http;

/// The account of the demo; the emulator takes an access key of twelve digits for the account.
pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-central-1";
/// Signatures are not checked.
pub const SECRET_KEY: &str = "demo";

/// The account of the class in examples/, and its role there.
pub const OTHER_ACCOUNT: &str = "300000000002";
const OTHER_ROLE: &str = "prism-queue";

/// Makes the role of the class in examples/, with the policy that it needs.
pub fn make_role(endpoint: &str) -> Result<()> {
    let document = |statement: &Value| json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let own = format!("arn:aws:iam::{ACCOUNT}:root");
    let trust = document(&json!({
        "Effect": "Allow", "Principal": {"AWS": own}, "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"sts:ExternalId": "acme"}},
    }));
    let policy = document(&json!({"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}));
    let iam = |action: &str, more: &[(&str, &str)]| -> Result<()> {
        let form = [("Action", action), ("Version", "2010-05-08"), ("RoleName", OTHER_ROLE)];
        let mut answer = http::agent()
            .post(endpoint)
            .header("Authorization", authorization(OTHER_ACCOUNT, "iam"))
            .send_form(form.iter().chain(more).copied())
            .with_context(|| format!("{action}: no answer"))?;
        ensure!(answer.status().is_success(), "{action}: {}", answer.body_mut().read_to_string()?);
        Ok(())
    };
    iam("CreateRole", &[("AssumeRolePolicyDocument", &trust)])?;
    iam("PutRolePolicy", &[("PolicyName", "queues"), ("PolicyDocument", &policy)])
}

fn authorization(account: &str, service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={account}/19700101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=none"
    )
}

/// SQS in the demo's account.
pub struct Sqs {
    endpoint: String,
}

impl Sqs {
    pub fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned() }
    }

    /// The answer to one action of the SQS API, such as `SendMessage`.
    pub fn call(&self, action: &str, request: &Value) -> Result<Value> {
        let mut answer = http::agent()
            .post(&self.endpoint)
            .header("X-Amz-Target", format!("AmazonSQS.{action}"))
            .header("Authorization", authorization(ACCOUNT, "sqs"))
            .content_type("application/x-amz-json-1.0")
            .send(request.to_string())
            .with_context(|| format!("{action}: no answer"))?;
        let text = answer.body_mut().read_to_string()?;
        // Actions such as SetQueueAttributes answer nothing.
        let body = if text.is_empty() { json!({}) } else { serde_json::from_str(&text).context(text)? };
        if !answer.status().is_success() {
            bail!("{action}: {}: {}", text_at(&body, "/__type"), text_at(&body, "/message"));
        }
        Ok(body)
    }

    /// The attributes of the queue at `url`.
    pub fn attributes(&self, url: &str) -> Result<Value> {
        let mut answer = self.call("GetQueueAttributes", &json!({"QueueUrl": url, "AttributeNames": ["All"]}))?;
        Ok(answer["Attributes"].take())
    }
}

/// The text at a JSON pointer, empty when there is none.
pub fn text_at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
