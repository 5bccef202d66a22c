//! Words in backticks that look like a name of ours are one: flags, variables, metrics, annotations, tags, reasons, fields.

use std::collections::BTreeSet;

use clap::CommandFactory;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray};
use prism_queue::api::conditions::{EventReason, Reason};
use prism_queue::api::{ALLOW_MESSAGE_LOSS, FINALIZER, MANAGED_BY_LABEL, RECONCILE_AT, crd};
use prism_queue::domain::tags::OWNER_KEYS;
use prism_queue::runtime::metrics;
use prism_queue::runtime::settings::Cli;

use crate::pages;

/// Flags of other programs that the documentation names.
const FLAGS_OF_OTHERS: [&str; 4] = ["--once", "--output", "--ignored", "--take-ownership"];

#[test]
fn every_flag_and_variable_named_exists() {
    let command = Cli::command();
    let flags: BTreeSet<String> = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
        .collect();
    let variables: BTreeSet<String> =
        flags.iter().map(|flag| format!("PRISM_QUEUE_{}", flag[2..].to_uppercase().replace('-', "_"))).collect();
    check("flag", |word| {
        let flag = word.split([' ', '=']).next().filter(|flag| flag.starts_with("--"))?;
        Some(flags.contains(flag) || FLAGS_OF_OTHERS.contains(&flag))
    });
    check("variable", |word| word.starts_with("PRISM_QUEUE_").then(|| variables.contains(word)));
}

#[test]
fn every_metric_named_exists() {
    let names: Vec<&str> = metrics::ALL.iter().map(|metric| metric.name).collect();
    check("metric", |word| {
        let name = word.split('{').next().filter(|name| name.starts_with("prism_queue_"))?;
        let stem = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        Some(names.contains(&name) || names.contains(&stem))
    });
}

#[test]
fn every_key_with_our_prefix_exists() {
    let keys: BTreeSet<&str> =
        OWNER_KEYS.into_iter().chain([FINALIZER, MANAGED_BY_LABEL, RECONCILE_AT, ALLOW_MESSAGE_LOSS]).collect();
    check("key", |word| {
        let key = word.split([':', '=']).next()?.trim();
        let name = key.strip_prefix("queue.prism.io/")?;
        // The prefix by itself, and the API's versions.
        Some(name.is_empty() || name == "v1alpha1" || keys.contains(key))
    });
}

#[test]
fn every_field_named_exists() {
    let crd = crd::queue().unwrap();
    let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
    let mut paths = BTreeSet::new();
    collect(&schema, "", &mut paths);
    check("field", |word| {
        let path = word.split([':', '[', ' ', '=']).next().filter(|p| p.starts_with("spec.") || p.starts_with("status."))?;
        let is_open = ["spec.tags.", "status.lastWrite.queues."].iter().any(|open| path.starts_with(open));
        Some(is_open || paths.contains(path))
    });
}

fn collect(schema: &JSONSchemaProps, path: &str, paths: &mut BTreeSet<String>) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(field, &path, paths);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &field.items {
            collect(items, &path, paths);
        }
        paths.insert(path);
    }
}

#[test]
fn troubleshooting_tells_what_to_do_about_every_reason_and_no_other() {
    let page = pages::all().into_iter().find(|page| page.path.ends_with("docs/troubleshooting.md")).unwrap();
    let told: BTreeSet<&str> = page.prose.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let known: BTreeSet<&str> = Reason::ALL.iter().map(|(reason, _)| reason.as_str()).collect();
    let missing: Vec<_> = known.difference(&told).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md has no heading for {missing:?}");
    let invented: Vec<_> = told.difference(&known).collect();
    assert!(invented.is_empty(), "docs/troubleshooting.md has headings that are no reasons: {invented:?}");
    assert!(EventReason::ALL.iter().all(|(event, _)| !known.contains(event.as_str())), "one word, two meanings");
}

/// Fails with every word in backticks of which `exists` says no.
fn check(what: &str, exists: impl Fn(&str) -> Option<bool>) {
    let mut unknown = Vec::new();
    let mut found = 0;
    for page in pages::all() {
        for word in page.code_words() {
            match exists(word) {
                None => {}
                Some(true) => found += 1,
                Some(false) => unknown.push(format!("{}: {word}", page.path.display())),
            }
        }
    }
    assert!(unknown.is_empty(), "no such {what}: {unknown:#?}");
    assert!(found > 0, "no {what} is named anywhere");
}
