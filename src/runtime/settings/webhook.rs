//! The flags of the admission webhook.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::domain::names::is_dns_label;

/// Whether, where and as whom the webhook answers.
#[derive(Clone, Debug, Default, Args)]
#[allow(clippy::doc_markdown, reason = "these comments are the help texts, which show backticks as they are")]
pub struct WebhookSettings {
    /// Where the admission webhook answers that injects the environment of Queues into Pods: an IP address and a port. Left out, there is none.
    ///
    /// Needs --webhook-host or --webhook-certificate-dir. What calls it is the MutatingWebhookConfiguration that the chart makes.
    #[arg(long, env = "PRISM_QUEUE_WEBHOOK_ADDRESS", value_name = "IP:PORT", requires = "webhook certificate")]
    pub webhook_address: Option<SocketAddr>,

    /// The operator makes and renews the webhook's certificate itself, for this DNS name or IP address: the one that the API server calls.
    ///
    /// The certificate is kept in the Secret prism-queue-webhook, in the Pod's own namespace or that of the kubeconfig's context. The
    /// MutatingWebhookConfiguration prism-queue-injection is told to trust it.
    #[arg(
        long,
        env = "PRISM_QUEUE_WEBHOOK_HOST",
        value_name = "HOST",
        group = "webhook certificate",
        requires = "webhook_address",
        value_parser = host
    )]
    pub webhook_host: Option<String>,

    /// The folder with the webhook's tls.crt and tls.key, which somebody else makes and renews. They are read again as they change.
    #[arg(
        long,
        env = "PRISM_QUEUE_WEBHOOK_CERTIFICATE_DIR",
        value_name = "FOLDER",
        group = "webhook certificate",
        requires = "webhook_address"
    )]
    pub webhook_certificate_dir: Option<PathBuf>,
}

/// Where the webhook's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// The operator makes it, for this host.
    MadeFor(String),
    /// From `tls.crt` and `tls.key` in this folder.
    InDirectory(PathBuf),
}

impl WebhookSettings {
    /// The address and the certificate; `None` when there is to be no webhook.
    #[must_use]
    pub fn wanted(&self) -> Option<(SocketAddr, Certificate)> {
        let made = self.webhook_host.clone().map(Certificate::MadeFor);
        let certificate = made.or_else(|| self.webhook_certificate_dir.clone().map(Certificate::InDirectory))?;
        Some((self.webhook_address?, certificate))
    }
}

fn host(text: &str) -> Result<String, String> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    if !is_address && (text.len() > 253 || !text.split('.').all(is_dns_label)) {
        return Err("a host is a DNS name in lower-case letters, digits, '-' and '.', or an IP address".to_owned());
    }
    Ok(text.to_owned())
}
