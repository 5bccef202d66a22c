//! The command line of `prism-queue`. Every flag is an environment variable as well: `PRISM_QUEUE_` and the flag in capitals.
//!
//! A value that cannot be right is refused here, at the start, with its flag and the rule that it breaks.
// The descriptions are what `--help` shows: plain text, no Markdown.
#![allow(rustdoc::invalid_html_tags)]

use std::net::SocketAddr;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use jiff::SignedDuration;

use super::logs;
use crate::domain::names::{NamePrefix, is_dns_label};

mod webhook;

pub use webhook::{Certificate, WebhookSettings};

/// Makes Amazon SQS queues declarative: Queue objects in, queues out.
#[derive(Debug, Parser)]
#[command(name = "prism-queue", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The long-running processes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the operator: keeps SQS queues as the Queue objects of the cluster ask for.
    ///
    /// AWS credentials are found in the usual places: environment, profile, web identity, EKS Pod Identity, instance
    /// metadata. The cluster is the one that the process runs in, or that of the kubeconfig.
    Controller(ControllerSettings),
}

/// The operator's settings.
#[derive(Clone, Debug, Args)]
#[allow(clippy::doc_markdown, reason = "these comments are the help texts, which show backticks as they are")]
pub struct ControllerSettings {
    /// The AWS region that the queues live in, for example eu-central-1.
    ///
    /// Left out, the AWS configuration decides (environment, profile, instance metadata).
    #[arg(long, env = "PRISM_QUEUE_REGION", value_name = "REGION", value_parser = region)]
    pub region: Option<String>,

    /// Where to reach AWS, all of its services, instead of the region's own endpoints: an emulator.
    ///
    /// For one service alone, such as SQS over a VPC endpoint, set AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL_STS or AWS_ENDPOINT_URL_KMS.
    /// http:// only to a loopback address, or with --allow-insecure-endpoints.
    #[arg(long, env = "PRISM_QUEUE_ENDPOINT_URL", value_name = "URL", value_parser = endpoint_url)]
    pub endpoint_url: Option<String>,

    /// Accept an --endpoint-url of http:// that leaves this machine. Anybody on the way can then read and change what is sent.
    #[arg(
        long,
        env = "PRISM_QUEUE_ALLOW_INSECURE_ENDPOINTS",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    pub allow_insecure_endpoints: bool,

    /// This cluster's name in the owner tags of its queues: 1–63 letters, digits, '.', '_' or '-'.
    ///
    /// Each cluster that makes queues in one AWS account needs a name of its own, for ever: the tag says whose a queue is.
    #[arg(long, env = "PRISM_QUEUE_CLUSTER_NAME", value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: String,

    /// The UID that the kube-system namespace had before this cluster was rebuilt under the same name.
    ///
    /// Queues tagged with it are taken for this cluster's own. Only for a cluster that is gone: naming one that
    /// is alive lets two clusters fight over the same queues.
    #[arg(long, env = "PRISM_QUEUE_PREVIOUS_CLUSTER_UID", value_name = "UID", value_parser = cluster_uid)]
    pub previous_cluster_uid: Option<String>,

    /// What the default names of queues begin with: at most 40 letters, digits or '-'.
    ///
    /// The default name is <prefix><namespace>_<name>. Queues that exist keep their names: one whose default name changes
    /// with the prefix is stalled (TargetChanged), never made again elsewhere.
    #[arg(
        long,
        env = "PRISM_QUEUE_NAME_PREFIX",
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true,
        value_parser = NamePrefix::parse
    )]
    pub name_prefix: NamePrefix,

    /// How often each queue is compared with AWS and drift repaired: 10s to 24h, spread by some jitter.
    ///
    /// Each comparison costs two calls to SQS a queue, so four for a Queue with its dead-letter queue. Changes of objects in the cluster are acted on at once, whatever
    /// this says.
    #[arg(long, env = "PRISM_QUEUE_RESYNC", value_name = "DURATION", default_value = "10m", value_parser = resync)]
    pub resync: Duration,

    /// How long a queue must be seen empty before deletionPolicy DeleteIfEmpty deletes it: 0s to 1h.
    ///
    /// SQS counts approximately, and its counts settle about a minute after the last send: below 60s, a message that was just sent
    /// may be missed and lost with the queue. Shorter times are for tests.
    #[arg(long, env = "PRISM_QUEUE_EMPTY_FOR", value_name = "DURATION", default_value = "60s", value_parser = empty_for)]
    pub empty_for: Duration,

    /// How many Queues are reconciled at the same time at one place (account, region and role): 1 to 256.
    #[arg(
        long,
        env = "PRISM_QUEUE_CONCURRENCY",
        value_name = "COUNT",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub concurrency: u16,

    /// Accept in spec.access what is refused otherwise: producers and consumers of foreign accounts and of organizations;
    /// statements open to the public, to foreign accounts, with NotPrincipal, NotAction or NotResource, or locking the operator out.
    #[arg(
        long,
        env = "PRISM_QUEUE_ALLOW_UNSAFE_STATEMENTS",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    pub allow_unsafe_statements: bool,

    /// Act only while holding the Lease prism-queue, so that several replicas can run and one acts.
    ///
    /// With false, no second process may run for this cluster.
    #[arg(
        long,
        env = "PRISM_QUEUE_LEADER_ELECT",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    pub leader_elect: bool,

    /// The namespace of the Lease. Left out: the Pod's own, or that of the kubeconfig's context.
    #[arg(
        long,
        env = "PRISM_QUEUE_LEADER_ELECTION_NAMESPACE",
        value_name = "NAMESPACE",
        value_parser = namespace
    )]
    pub leader_election_namespace: Option<String>,

    /// Where /healthz, /readyz and /metrics are served: an IP address and a port.
    #[arg(long, env = "PRISM_QUEUE_HTTP_ADDRESS", value_name = "IP:PORT", default_value = "0.0.0.0:8080")]
    pub http_address: SocketAddr,

    /// The admission webhook.
    #[command(flatten)]
    pub webhook: WebhookSettings,

    /// The form of the log on standard error.
    #[arg(long, env = "PRISM_QUEUE_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = logs::Format::Text)]
    pub log_format: logs::Format,

    /// What is logged: a level (off, error, warn, info, debug, trace), or levels by module: info,prism_queue=debug.
    #[arg(
        long,
        env = "PRISM_QUEUE_LOG_FILTER",
        value_name = "FILTER",
        default_value = "info",
        value_parser = |text: &str| logs::parse_filter(text).map(|_| text.to_owned())
    )]
    pub log_filter: String,
}

pub(crate) fn region(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(allowed) {
        return Err("a region is written in lower-case letters, digits and '-', for example eu-central-1".to_owned());
    }
    Ok(text.to_owned())
}

/// The form only; whether plain HTTP is allowed there depends on another flag.
fn endpoint_url(text: &str) -> Result<String, String> {
    match text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("an endpoint is a URL that begins with https:// (or http://) and names a host".to_owned()),
    }
}

pub(crate) fn cluster_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !(1..=63).contains(&text.len()) || !text.chars().all(allowed) {
        return Err("a cluster name has 1 to 63 letters, digits, '.', '_' or '-'".to_owned());
    }
    Ok(text.to_owned())
}

fn cluster_uid(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !(1..=63).contains(&text.len()) || !text.chars().all(allowed) {
        let command = "kubectl get namespace kube-system -o jsonpath={.metadata.uid}";
        return Err(format!("a UID has 1 to 63 letters, digits or '-', as `{command}` prints it"));
    }
    Ok(text.to_owned())
}

fn namespace(text: &str) -> Result<String, String> {
    if !is_dns_label(text) {
        return Err("a namespace has 1 to 63 lower-case letters, digits or '-', and no '-' at either end".to_owned());
    }
    Ok(text.to_owned())
}

fn resync(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(10), "10s", Duration::from_hours(24), "24h")
}

fn empty_for(text: &str) -> Result<Duration, String> {
    duration(text, Duration::ZERO, "0s", Duration::from_hours(1), "1h")
}

/// A duration as people write it, from `min` to `max`, which are `lowest` and `highest` in words.
fn duration(text: &str, min: Duration, lowest: &str, max: Duration, highest: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    match parsed {
        None => Err("write a duration with its unit, for example 60s, 10m or 1h30m".to_owned()),
        Some(duration) if !(min..=max).contains(&duration) => Err(format!("must be from {lowest} to {highest}")),
        Some(duration) => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;

    /// The command line without the environment of whoever runs the tests.
    fn command() -> clap::Command {
        Cli::command().mut_subcommand("controller", |controller| controller.mut_args(|arg| arg.env(None::<&str>)))
    }

    fn parse(flags: &[&str]) -> Result<ControllerSettings, String> {
        let line = ["prism-queue", "controller"].iter().chain(flags);
        let matches = command().try_get_matches_from(line).map_err(|error| error.to_string())?;
        let Command::Controller(settings) = Cli::from_arg_matches(&matches).unwrap().command;
        Ok(settings)
    }

    fn controller() -> clap::Command {
        Cli::command().find_subcommand("controller").unwrap().clone()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_the_cluster_name_is_required_and_the_rest_has_the_documented_defaults() {
        assert!(parse(&[]).unwrap_err().contains("--cluster-name"));

        let settings = parse(&["--cluster-name", "prod.eu_1-a"]).unwrap();
        assert_eq!(settings.cluster_name, "prod.eu_1-a");
        assert_eq!((settings.region, settings.endpoint_url, settings.previous_cluster_uid), (None, None, None));
        assert_eq!(settings.name_prefix, NamePrefix::default());
        assert_eq!(settings.resync, Duration::from_mins(10));
        assert_eq!(settings.empty_for, Duration::from_mins(1));
        assert_eq!(settings.concurrency, 16);
        assert!(settings.leader_elect && !settings.allow_insecure_endpoints && !settings.allow_unsafe_statements);
        assert_eq!(settings.leader_election_namespace, None);
        assert_eq!(settings.http_address.to_string(), "0.0.0.0:8080");
        assert_eq!(settings.webhook.wanted(), None);
        assert_eq!((settings.log_format, settings.log_filter.as_str()), (logs::Format::Text, "info"));
    }

    #[test]
    fn every_flag_is_read() {
        let settings = parse(&[
            "--region=eu-central-1",
            "--endpoint-url=http://127.0.0.1:4566",
            "--allow-insecure-endpoints",
            "--cluster-name=prod",
            "--previous-cluster-uid=0b7d6f3a-9f5e-4a51-9a43-0f8a3d7c2b11",
            "--name-prefix=acme-",
            "--resync=1h30m",
            "--empty-for=0s",
            "--concurrency=256",
            "--allow-unsafe-statements=true",
            "--leader-elect=false",
            "--leader-election-namespace=prism-system",
            "--http-address=[::1]:9000",
            "--webhook-address=127.0.0.1:9443",
            "--webhook-host=prism-queue-webhook.prism-queue.svc",
            "--log-format=json",
            "--log-filter=warn,prism_queue=debug",
        ])
        .unwrap();
        assert_eq!(settings.region.as_deref(), Some("eu-central-1"));
        assert_eq!(settings.endpoint_url.as_deref(), Some("http://127.0.0.1:4566"));
        assert!(settings.allow_insecure_endpoints && settings.allow_unsafe_statements && !settings.leader_elect);
        assert_eq!(settings.previous_cluster_uid.as_deref(), Some("0b7d6f3a-9f5e-4a51-9a43-0f8a3d7c2b11"));
        assert_eq!(settings.name_prefix, NamePrefix::parse("acme-").unwrap());
        assert_eq!((settings.resync, settings.empty_for), (Duration::from_mins(90), Duration::ZERO));
        assert_eq!(settings.concurrency, 256);
        assert_eq!(settings.leader_election_namespace.as_deref(), Some("prism-system"));
        assert_eq!(settings.http_address.to_string(), "[::1]:9000");
        let made = Certificate::MadeFor("prism-queue-webhook.prism-queue.svc".to_owned());
        assert_eq!(settings.webhook.wanted(), Some(("127.0.0.1:9443".parse().unwrap(), made)));
        assert_eq!((settings.log_format, settings.log_filter.as_str()), (logs::Format::Json, "warn,prism_queue=debug"));
    }

    #[test]
    fn every_flag_is_an_environment_variable_and_in_the_help_with_its_default() {
        let help = command().term_width(0).find_subcommand_mut("controller").unwrap().render_long_help().to_string();
        let mut flags = 0;
        for arg in controller().get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version")) {
            let flag = arg.get_long().unwrap();
            let variable = format!("PRISM_QUEUE_{}", flag.to_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
            assert!(arg.get_help().is_some_and(|text| !text.to_string().is_empty()), "--{flag} has no help");
            assert!(help.contains(&format!("--{flag}")), "--{flag} is missing in\n{help}");
            for default in arg.get_default_values().iter().filter_map(|value| value.to_str()).filter(|d| !d.is_empty())
            {
                assert!(help.contains(&format!("[default: {default}]")), "{default} of --{flag} is missing in\n{help}");
            }
            flags += 1;
        }
        assert_eq!(flags, 18);
        let with_variables = controller().render_long_help().to_string();
        assert_eq!(with_variables.matches("[env: PRISM_QUEUE_").count(), flags);
    }

    #[test]
    fn bad_values_are_refused_with_their_flag_and_rule() {
        let long = "x".repeat(64);
        let table: &[(&str, &str, &str)] = &[
            ("--cluster-name", "", "1 to 63"),
            ("--cluster-name", &long, "1 to 63"),
            ("--cluster-name", "my cluster", "1 to 63"),
            ("--region", "", "eu-central-1"),
            ("--region", "EU Central", "eu-central-1"),
            ("--endpoint-url", "127.0.0.1:4566", "https://"),
            ("--endpoint-url", "ftp://host", "https://"),
            ("--endpoint-url", "https:///path", "names a host"),
            ("--previous-cluster-uid", "", "kubectl get namespace kube-system"),
            ("--name-prefix", "acme_", "letters, digits and '-'"),
            ("--name-prefix", &long, "40"),
            ("--resync", "600", "with its unit"),
            ("--resync", "soon", "with its unit"),
            ("--resync", "-10m", "with its unit"),
            ("--resync", "9s", "from 10s to 24h"),
            ("--resync", "25h", "from 10s to 24h"),
            ("--empty-for", "61m", "from 0s to 1h"),
            ("--concurrency", "0", "1..=256"),
            ("--concurrency", "257", "1..=256"),
            ("--leader-elect", "perhaps", "true, false"),
            ("--leader-election-namespace", "Prism", "lower-case"),
            ("--http-address", "8080", "socket address"),
            ("--webhook-address", "9443", "socket address"),
            ("--webhook-host", "Queue.svc", "a DNS name in lower-case"),
            ("--webhook-host", "", "a DNS name in lower-case"),
            ("--log-format", "xml", "text, json"),
            ("--log-filter", "prism_queue=loud", "levels by module"),
        ];
        for (flag, value, rule) in table {
            let bad = format!("{flag}={value}");
            let message = match *flag {
                "--cluster-name" => parse(&[&bad]),
                _ => parse(&["--cluster-name=prod", &bad]),
            }
            .expect_err(&bad);
            assert!(message.contains(flag) && message.contains(rule), "{bad}: {message}");
        }
    }

    #[test]
    fn a_webhook_has_an_address_and_one_source_of_its_certificate() {
        let address = "--webhook-address=127.0.0.1:9443";
        let (host, folder) = ("--webhook-host=queues.svc", "--webhook-certificate-dir=/certificates");
        let with = |flags: &[&str]| parse(&[&["--cluster-name=prod"], flags].concat());
        let read = with(&[address, folder]).unwrap().webhook.wanted();
        assert_eq!(read.unwrap().1, Certificate::InDirectory("/certificates".into()));
        for (flags, words) in [
            (&[address][..], "--webhook-host <HOST>|--webhook-certificate-dir <FOLDER>"),
            (&[host], "--webhook-address <IP:PORT>"),
            (&[folder], "--webhook-address <IP:PORT>"),
            (&[address, host, folder], "cannot be used with"),
        ] {
            let refusal = with(flags).unwrap_err();
            assert!(refusal.contains(words), "{flags:?}: {refusal}");
        }
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        for (text, seconds) in [("60s", 60), ("10m", 600), ("1h30m", 5400), ("1h 30m", 5400), ("24h", 86_400)] {
            assert_eq!(resync(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
    }
}
