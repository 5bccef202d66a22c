//! What docs/security.md says of the operator's permissions is what the chart gives, and what docs/install.md advises for AWS is
//! what the dry check asks about.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use prism_queue::api::class::{QueueClass, QueueClassSpec};
use prism_queue::domain::class::questions;
use serde_json::Value;

use crate::examples::class;
use crate::pages::{self, Block, Page, root};

/// Resource and verbs of each rule in the chart.
fn granted() -> BTreeSet<(String, String)> {
    let files = ["cluster-role.yaml", "injection/cluster-role.yaml", "injection/own-certificates.yaml"];
    let rules = files.into_iter().flat_map(|file| -> Vec<Value> {
        let text = fs::read_to_string(root().join("charts/prism-queue/files").join(file)).unwrap();
        serde_yaml::from_str(&text).unwrap()
    });
    let words = |rule: &Value, key: &str| -> Vec<String> {
        rule[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let of_rule = |rule: &Value| -> Vec<(String, String)> {
        let verbs = words(rule, "verbs").join(", ");
        // One object is named as itself, a whole resource by its plural.
        let key = if rule["resourceNames"].is_array() { "resourceNames" } else { "resources" };
        words(rule, key).into_iter().map(|name| (name, verbs.clone())).collect()
    };
    rules.flat_map(|rule| of_rule(&rule)).collect()
}

/// The rows of the table: what stands in backticks in the first cell, and the second cell.
fn told() -> BTreeSet<(String, String)> {
    let page = pages::all().into_iter().find(|page| page.path.ends_with("docs/security.md")).unwrap();
    let mut told = BTreeSet::new();
    for row in page.prose.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let names = cells[0].split('`').skip(1).step_by(2);
        told.extend(names.map(|name| (name.to_owned(), cells[1].to_owned())));
    }
    told
}

#[test]
fn the_security_page_tells_every_permission_and_no_other() {
    let (granted, mut told) = (granted(), told());
    // The Lease is in the Role of one namespace.
    told.retain(|(name, _)| name != "prism-queue");
    assert_eq!(told, granted);
}

/// Every action in the operator's policy in docs/install.md.
fn advised() -> BTreeSet<String> {
    let page = pages::all().into_iter().find(|page| page.path.ends_with("docs/install.md")).unwrap();
    let shown = printed(&page);
    let policy: Value = serde_json::from_str(&shown[0].1.text).unwrap();
    let texts = |value: &Value| match value {
        Value::Array(all) => all.iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
        text => vec![text.as_str().unwrap().to_owned()],
    };
    policy["Statement"].as_array().unwrap().iter().flat_map(|statement| texts(&statement["Action"])).collect()
}

/// The commands that print a policy, each with the policy that is shown after it.
fn printed(page: &Page) -> Vec<(&Block, &Block)> {
    let is_command = |block: &Block| block.text.starts_with("kubectl queue render operator-policy");
    let pairs = page.blocks.iter().zip(page.blocks.iter().skip(1));
    pairs.filter(|(command, shown)| is_command(command) && shown.language == "json").collect()
}

/// What a command of a page prints. A file that it reads is the class of that name on the page.
fn print(page: &Page, command: &str) -> String {
    let command = command.replace("\\\n", " ");
    let words = command.split_whitespace().skip(2).take_while(|word| *word != ">");
    let mut input = String::new();
    let arguments = words.map(|word| match word.strip_suffix(".yaml") {
        Some(name) => {
            let named = format!("kind: QueueClass\nmetadata: {{name: {name}}}\n");
            let class = page.blocks.iter().find(|block| block.text.contains(&named));
            input.clone_from(&class.unwrap_or_else(|| panic!("{} shows no class {name}", page.path.display())).text);
            "-".to_owned()
        }
        None => word.to_owned(),
    });
    let arguments: Vec<String> = arguments.collect();
    let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-queue"));
    program.args(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_policy_shown_is_what_the_command_before_it_prints() {
    let mut count = 0;
    for page in pages::all() {
        for (command, shown) in printed(&page) {
            let place = format!("{}:{}", page.path.display(), shown.line);
            assert_eq!(print(&page, &command.text), shown.text, "{place} is not what is printed");
            count += 1;
        }
    }
    assert!(count > 1, "{count} policies are shown");
}

#[test]
fn every_call_about_policies_is_in_the_install_guide_and_no_other() {
    let source = fs::read_to_string(root().join("src/aws/sdk/policies.rs")).unwrap();
    let texts = source.split('"').skip(1).step_by(2);
    let verbs = ["Get", "List", "Create", "Delete", "Tag", "Untag"];
    let is_call = |text: &&str| verbs.iter().any(|verb| text.starts_with(verb)) && text.contains("Policy");
    let mut called: BTreeSet<String> = texts.filter(is_call).map(|call| format!("iam:{call}")).collect();
    // That of the dry check.
    called.insert("iam:SimulatePrincipalPolicy".to_owned());
    let mut advised = advised();
    advised.retain(|action| action.starts_with("iam:"));
    assert!(called.len() > 9, "{called:?}");
    assert_eq!(called, advised);
}

#[test]
fn a_class_asks_about_every_action_on_queues_that_the_install_guide_advises_and_no_other() {
    let prod = QueueClass::new("prod", QueueClassSpec::default());
    let caller = "arn:aws:iam::123456789012:role/prism-queue";
    let asked = questions(&prod, &class(), caller).unwrap();
    let asked: BTreeSet<String> = asked.iter().flat_map(|question| question.actions).map(ToString::to_string).collect();
    let mut advised = advised();
    advised.retain(|action| action.starts_with("sqs:"));
    assert_eq!(asked, advised);
}
