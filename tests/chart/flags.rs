//! The chart and the operator's command line belong together.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::helm::{only, render};
use crate::values::{everything, injecting, required};

fn operator(arguments: &[String]) -> Output {
    let clean = std::env::vars().filter(|(name, _)| !name.starts_with("PRISM_QUEUE_"));
    Command::new(env!("CARGO_BIN_EXE_prism-queue")).args(arguments).env_clear().envs(clean).output().unwrap()
}

/// The arguments of the container.
fn arguments(values: &Value) -> Vec<String> {
    let rendered = render("release", "queues", values);
    let arguments = &only(&rendered, "Deployment").data["spec"]["template"]["spec"]["containers"][0]["args"];
    serde_json::from_value(arguments.clone()).unwrap()
}

/// The name in `--name`, `--name=value`, `--name <VALUE>` or `--name[=<VALUE>]`.
fn flag(text: &str) -> Option<String> {
    let (_, flag) = text.split_once("--")?;
    flag.split(['=', '[', ' ']).next().map(str::to_owned)
}

/// The flags that clap's help describes: one a line, indented by six or after a short form, where texts stand further in.
fn described(help: &str) -> BTreeSet<String> {
    let lines = help.lines().filter(|line| line.starts_with("      --") || line.starts_with("  -"));
    lines.filter_map(flag).filter(|flag| !["help", "version"].contains(&flag.as_str())).collect()
}

#[test]
fn every_flag_of_the_operator_can_be_set_by_a_value() {
    let help = operator(&["controller".to_owned(), "--help".to_owned()]);
    let help = String::from_utf8(help.stdout).unwrap();
    let known = described(&help);
    assert!(!known.is_empty(), "the operator names its flags:\n{help}");
    // A certificate comes from one place.
    let set = [everything(), injecting(&json!({}))].map(|values| arguments(&values)).concat();
    let set: BTreeSet<String> = set.iter().filter_map(|argument| flag(argument)).collect();
    assert_eq!(set, known);
}

/// Parsing comes to `--help` after the arguments before it, so a flag or value that it does not know is an error.
#[test]
fn the_operator_understands_what_the_chart_passes() {
    let mut alone = required();
    alone["leaderElection"] = json!({"enabled": false});
    for values in [required(), everything(), injecting(&json!({})), alone] {
        let mut arguments = arguments(&values);
        arguments.push("--help".to_owned());
        let output = operator(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let unknown = operator(&["controller".to_owned(), "--no-such-flag".to_owned(), "--help".to_owned()]);
    assert!(!unknown.status.success(), "an unknown flag is refused even before --help");
}
