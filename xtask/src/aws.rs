//! SQS as the emulator answers it, in the JSON that the AWS command line shows too.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http;

/// The account of the demo; the emulator takes an access key of twelve digits for the account.
pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-central-1";
/// Signatures are not checked.
pub const SECRET_KEY: &str = "demo";

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
        let scope = format!("{ACCOUNT}/19700101/{REGION}/sqs/aws4_request");
        let mut answer = http::agent()
            .post(&self.endpoint)
            .header("X-Amz-Target", format!("AmazonSQS.{action}"))
            .header("Authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"))
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
