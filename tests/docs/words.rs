//! Words in backticks that look like a name of ours are one: flags, variables, metrics, annotations, tags, reasons, fields.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray};
use prism_queue::api::conditions::{ConditionType, EventReason, Reason};
use prism_queue::api::{
    ALLOW_MESSAGE_LOSS, FINALIZER, INJECT, INJECTED, INJECTION_WARNINGS, IS_DEFAULT_CLASS, MANAGED_BY_LABEL,
    RECONCILE_AT, crd,
};
use prism_queue::cli as plugin;
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::tags::OWNER_KEYS;
use prism_queue::runtime::metrics;
use prism_queue::runtime::settings::Cli;
use serde_json::Value;

use crate::pages;

/// Flags of other programs that the documentation names.
const FLAGS_OF_OTHERS: [&str; 3] = ["--advisories", "--output", "--"];

/// Words in capitals that are neither of our API nor attributes of a queue: kinds, calls to AWS, parts of policies and their Sids, code.
const WORDS_OF_OTHERS: [&str; 29] = [
    "CreateContainerConfigError",
    "CreatePolicy",
    "CreatePolicyVersion",
    "CreateQueue",
    "DeletePolicyVersion",
    "Desired",
    "Effective",
    "False",
    "GetPolicy",
    "GetQueueAttributes",
    "ListPolicyVersions",
    "ListQueueTags",
    "NotAction",
    "NotPrincipal",
    "NotResource",
    "Option",
    "PrismQueue",
    "Queue",
    "QueueAccess",
    "QueueClass",
    "QueueRedrive",
    "ReadKeys",
    "Resource",
    "SayWhatIsMissing",
    "ServiceBinding",
    "SetQueueAttributes",
    "Terminating",
    "True",
    "Unknown",
];

#[test]
fn every_flag_and_variable_named_exists() {
    let mut flags = flags_of(&Cli::command());
    let variables: BTreeSet<String> =
        flags.iter().map(|flag| format!("PRISM_QUEUE_{}", flag[2..].to_uppercase().replace('-', "_"))).collect();
    flags.extend(flags_of(&plugin::Cli::command()));
    check("flag", |word| {
        let flag = word.split([' ', '=']).next().filter(|flag| flag.starts_with("--"))?;
        Some(flags.contains(flag) || FLAGS_OF_OTHERS.contains(&flag))
    });
    check("variable", |word| {
        let variable = word.split('=').next().filter(|variable| variable.starts_with("PRISM_QUEUE_"))?;
        Some(variables.contains(variable))
    });
}

/// Of all its subcommands.
fn flags_of(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|arg| arg.get_long().map(|long| format!("--{long}")));
    own.chain(command.get_subcommands().flat_map(flags_of)).collect()
}

#[test]
fn every_metric_named_exists() {
    let names: Vec<&str> = metrics::ALL.iter().map(|metric| metric.name).collect();
    let exists = |name: &str| {
        let stem = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        names.contains(&name) || names.contains(&stem)
    };
    check("metric", |word| word.split('{').next().filter(|name| name.starts_with("prism_queue_")).map(exists));
    let queries: Vec<String> = queries().collect();
    assert!(!queries.is_empty(), "no query is shown");
    for query in queries {
        let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let unknown: Vec<&str> = words.filter(|word| word.starts_with("prism_queue_") && !exists(word)).collect();
        assert!(unknown.is_empty(), "no such metrics: {unknown:?}");
    }
}

#[test]
fn every_reason_in_a_query_exists() {
    let reasons: Vec<&str> = Reason::ALL.iter().map(|(reason, _)| reason.as_str()).collect();
    for query in queries() {
        let selectors = query.split("reason=~\"").skip(1).filter_map(|rest| rest.split_once('"'));
        let unknown: Vec<&str> =
            selectors.flat_map(|(words, _)| words.split('|')).filter(|word| !reasons.contains(word)).collect();
        assert!(unknown.is_empty(), "no such reasons: {unknown:?}");
    }
}

/// What the documentation asks Prometheus.
fn queries() -> impl Iterator<Item = String> {
    let blocks = pages::all().into_iter().flat_map(|page| page.blocks);
    blocks.filter(|block| block.language == "promql").map(|block| block.text)
}

#[test]
fn every_word_of_the_api_named_exists() {
    let mut known: BTreeSet<String> = WORDS_OF_OTHERS.map(str::to_owned).into();
    for schema in schemas() {
        words(&schema, &mut known);
    }
    known.extend(words_of_the_chart());
    known.extend(ConditionType::ALL.map(|condition| condition.as_str().to_owned()));
    known.extend(Reason::ALL.iter().map(|(reason, _)| reason.as_str().to_owned()));
    known.extend(EventReason::ALL.iter().map(|(reason, _)| reason.as_str().to_owned()));
    known.extend(Attribute::ALL.map(|attribute| attribute.as_str().to_owned()));
    check("word", |word| {
        let looks_like_one = word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.contains(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric());
        looks_like_one.then(|| known.contains(word))
    });
}

/// The words of every enumeration among the chart's values.
fn words_of_the_chart() -> Vec<String> {
    fn collect(schema: &Value, words: &mut Vec<String>) {
        match schema {
            Value::Object(fields) => {
                let own = fields.get("enum").and_then(Value::as_array).into_iter().flatten();
                words.extend(own.filter_map(|word| word.as_str().map(str::to_owned)));
                fields.values().for_each(|field| collect(field, words));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, words)),
            _ => {}
        }
    }
    let schema = fs::read_to_string(pages::root().join("charts/prism-queue/values.schema.json")).unwrap();
    let mut words = Vec::new();
    collect(&serde_json::from_str(&schema).unwrap(), &mut words);
    words
}

/// The schemas of all kinds.
fn schemas() -> Vec<JSONSchemaProps> {
    let crds = [crd::queue().unwrap(), crd::queue_class().unwrap(), crd::queue_access().unwrap()];
    crds.map(|crd| crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap()).into()
}

/// The words of every enumeration.
fn words(schema: &JSONSchemaProps, known: &mut BTreeSet<String>) {
    known.extend(schema.enum_.iter().flatten().filter_map(|word| word.0.as_str().map(str::to_owned)));
    schema.properties.iter().flatten().for_each(|(_, field)| words(field, known));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        words(items, known);
    }
}

#[test]
fn every_key_with_our_prefix_exists() {
    let ours = [
        FINALIZER,
        MANAGED_BY_LABEL,
        RECONCILE_AT,
        ALLOW_MESSAGE_LOSS,
        IS_DEFAULT_CLASS,
        INJECT,
        INJECTED,
        INJECTION_WARNINGS,
    ];
    let keys: BTreeSet<&str> = OWNER_KEYS.into_iter().chain(ours).collect();
    check("key", |word| {
        let key = word.split([':', '=']).next()?.trim();
        let name = key.strip_prefix("queue.prism.io/")?;
        // The prefix by itself, and the API's versions.
        Some(name.is_empty() || name == "v1alpha1" || keys.contains(key))
    });
}

#[test]
fn every_field_named_exists() {
    let mut paths = BTreeSet::new();
    for schema in schemas() {
        collect(&schema, "", &mut paths);
    }
    check("field", |word| {
        let path =
            word.split([':', '[', ' ', '=']).next().filter(|p| p.starts_with("spec.") || p.starts_with("status."))?;
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
