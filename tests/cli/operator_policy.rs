//! `kubectl queue render operator-policy`: for whom it prints which policy, and what it says where it prints none.

use serde_json::{Value, json};

use crate::judge::{Request, allows};
use crate::{Ended, run};

const OPERATOR: &str = "arn:aws:iam::123456789012:role/prism-queue";
const FAR: &str = "arn:aws:iam::300000000002:role/prism-queue";

fn render(arguments: &[&str], input: &str) -> Ended {
    run(&[&["render", "operator-policy", "--cluster-name=prod-1"], arguments].concat(), input)
}

/// A policy, and what was said beside it.
fn printed(arguments: &[&str], input: &str) -> (Value, String) {
    let Ended { code, out, err } = render(arguments, input);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    (serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")), err)
}

/// Why nothing is printed.
fn refused(arguments: &[&str], input: &str) -> String {
    let Ended { code, out, err } = render(arguments, input);
    assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
    err.strip_prefix("error: ").unwrap_or_else(|| panic!("{err}")).to_owned()
}

fn class(name: &str, spec: &Value) -> Value {
    let mut all = json!({"aws": {"region": "eu-central-1", "accountId": "123456789012"},
        "naming": {"prefix": "acme-"}, "allowedNamespaces": {"from": "All"}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"apiVersion": "queue.prism.io/v1alpha1", "kind": "QueueClass", "metadata": {"name": name}, "spec": all})
}

fn far() -> Value {
    class("far", &json!({"aws": {"region": "eu-west-1", "accountId": "300000000002", "roleArn": FAR}}))
}

fn creates(policy: &Value, queue: &str) -> bool {
    let create = Request::new("sqs:CreateQueue", format!("arn:aws:sqs:{queue}"));
    allows(policy, &create.tagging("queue.prism.io/cluster", "prod-1"))
}

#[test]
fn without_a_class_it_is_for_the_operators_flags() {
    let flags = ["--region=eu-central-1", "--name-prefix=acme-", "--operator-arn", OPERATOR];
    let (policy, said) = printed(&flags, "");
    assert!(creates(&policy, "eu-central-1:123456789012:acme-media_orders"));
    assert!(!creates(&policy, "eu-central-1:123456789012:billing"));
    assert!(allows(&policy, &Request::new("iam:SimulatePrincipalPolicy", OPERATOR)));
    assert!(said.contains("The policy of the operator's own identity"), "{said}");
    assert!(!said.contains("Another one"), "{said}");

    let (policy, said) = printed(&["--region=eu-central-1", "--account-id=123456789012"], "");
    assert!(creates(&policy, "eu-central-1:123456789012:billing"), "without a prefix there is no such fence");
    assert!(!policy.to_string().contains("SimulatePrincipalPolicy"));
    assert!(said.contains("Without --operator-arn"), "{said}");
}

#[test]
fn a_class_with_a_role_is_for_that_role_and_the_operator_may_assume_it() {
    let file = far().to_string();
    let (of_role, said) = printed(&["--filename=-"], &file);
    assert!(creates(&of_role, "eu-west-1:300000000002:acme-media_orders"));
    assert!(allows(&of_role, &Request::new("iam:SimulatePrincipalPolicy", FAR)));
    assert!(said.contains(&format!("The policy of the role {FAR}")), "{said}");
    assert!(said.contains("Another one is needed for the operator's own identity: --identity operator"), "{said}");

    let (of_operator, said) = printed(&["--filename=-", "--identity=operator"], &file);
    assert!(allows(&of_operator, &Request::new("sts:AssumeRole", FAR)));
    assert!(!of_operator.to_string().contains("sqs:"));
    assert!(said.contains(&format!("--identity {FAR}")), "{said}");
    let (again, _) = printed(&["--filename=-", "--identity", FAR], &file);
    assert_eq!(again, of_role);
}

#[test]
fn the_class_of_the_examples_is_read_from_its_file() {
    let (policy, _) = printed(&["-f", "examples/06-class.yaml"], "");
    assert!(creates(&policy, "eu-west-1:300000000002:acme-pay-billing_invoices"));
}

#[test]
fn several_classes_are_taken_together_as_kubectl_lists_them() {
    let near = class("near", &json!({}));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [near, far()]}).to_string();
    let why = refused(&["--filename=-"], &list);
    assert!(why.contains("choose one with --identity") && why.contains(&format!("operator, {FAR}")), "{why}");
    let (of_operator, _) = printed(&["--filename=-", "--identity=operator"], &list);
    assert!(creates(&of_operator, "eu-central-1:123456789012:acme-media_orders"));
    assert!(allows(&of_operator, &Request::new("sts:AssumeRole", FAR)));
    // The flags too, where they are given.
    let flags = ["--filename=-", "--identity=operator", "--region=us-east-1", "--account-id=123456789012"];
    let (with_flags, _) = printed(&flags, &list);
    assert!(creates(&with_flags, "us-east-1:123456789012:a") && !creates(&of_operator, "us-east-1:123456789012:a"));
}

#[test]
fn yaml_says_the_same_as_json() {
    let flags = ["--region=eu-central-1", "--operator-arn", OPERATOR];
    let (json, _) = printed(&flags, "");
    let yaml = render(&[&flags[..], &["-o", "yaml"]].concat(), "");
    assert_eq!(serde_yaml::from_str::<Value>(&yaml.out).unwrap(), json);
    assert!(yaml.out.starts_with("Version: 2012-10-17\n"), "{}", yaml.out);
}

#[test]
fn a_policy_that_is_too_long_says_so_and_is_printed_in_parts() {
    let classes: Vec<Value> = (0..6)
        .map(|n| {
            class(
                &format!("class-{n}"),
                &json!({"naming": {"prefix": format!("acme-{n}-")}, "iam": {
                    "path": format!("/prism-queue/{n}/"),
                    "permissionsBoundaryArn": format!("arn:aws:iam::123456789012:policy/boundary-{n}"),
                    "oidcProviderArn": "arn:aws:iam::123456789012:oidc-provider/oidc.example.com",
                }}),
            )
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": classes}).to_string();
    let (whole, said) = printed(&["--filename=-"], &list);
    let count = whole["Statement"].as_array().unwrap().len();
    let parts: usize =
        said.split("--part 1 to --part ").nth(1).unwrap_or_else(|| panic!("{said}"))[..1].parse().unwrap();
    assert!(parts > 1);
    let mut statements = 0;
    for part in 1..=parts {
        let (policy, said) = printed(&["--filename=-", &format!("--part={part}")], &list);
        assert!(policy.to_string().chars().filter(|c| !c.is_whitespace()).count() <= 6_144);
        assert!(said.contains(&format!("part {part} of {parts}")), "{said}");
        statements += policy["Statement"].as_array().unwrap().len();
    }
    assert_eq!(statements, count);
    let why = refused(&["--filename=-", &format!("--part={}", parts + 1)], &list);
    assert!(why.contains(&format!("the policy has {parts}")), "{why}");
}

#[test]
fn what_it_cannot_print_it_says_in_words_for_people() {
    let with = |spec: Value| class("prod", &spec).to_string();
    let cases: &[(&[&str], String, &str)] = &[
        (&[], String::new(), "give --region, for the operator's flags, or --class or --filename"),
        (&["--region=eu-central-1"], String::new(), "give --operator-arn or --account-id"),
        (
            &["--region=eu-central-1", "--account-id=300000000002", "--operator-arn", OPERATOR],
            String::new(),
            "which is it?",
        ),
        (&["--filename=no-such-file"], String::new(), "cannot read no-such-file"),
        (&["--filename=README.md"], String::new(), "README.md: "),
        (&["--filename=examples/01-minimal.yaml"], String::new(), "examples/01-minimal.yaml has no QueueClass"),
        (&["--filename=-"], String::new(), "- has no QueueClass"),
        (
            &["--filename=-"],
            with(json!({"limit": {}})),
            "QueueClass \"prod\" of -: this program does not know spec.limit",
        ),
        (
            &["--filename=-"],
            with(json!({"iam": {"permissionsBoundary": "arn:x"}})),
            "this program does not know spec.iam.permissionsBoundary",
        ),
        (
            &["--filename=-"],
            json!({"apiVersion": "queue.prism.io/v9", "kind": "QueueClass", "metadata": {"name": "prod"}}).to_string(),
            "this program knows queue.prism.io/v1alpha1",
        ),
        (
            &["--filename=-"],
            with(json!({"iam": {"path": "x"}, "aws": {"region": "eu-central-1", "accountId": "1"}})),
            "no policy can be made for the class \"prod\":\n  spec.aws.accountId: \"1\" is no account: want twelve digits\n  spec.iam.path:",
        ),
        (&["--filename=-", "--identity", FAR], with(json!({})), "those who do: operator"),
        (&["--class=prod"], String::new(), "no cluster to ask: "),
    ];
    for (arguments, input, words) in cases {
        let why = refused(arguments, input);
        assert!(why.contains(words), "{arguments:?}: {why}");
    }
}

#[test]
fn flags_that_cannot_be_right_are_refused_with_the_rule() {
    let cases: &[(&[&str], &str)] = &[
        (&["--operator-arn=arn:aws:sts::123456789012:assumed-role/prism-queue/session"], "that is a session of a role"),
        (&["--operator-arn=prism-queue"], "want the ARN of a role or a user"),
        (&["--operator-arn=arn:aws:iam::123456789012:role/*"], "want the ARN of a role or a user"),
        (&["--account-id=1234"], "an account is twelve digits"),
        (&["--identity=me"], "want operator, or the ARN of a role"),
        (&["--region=*"], "a region is written in"),
        (&["--name-prefix=acme-"], "--region"),
        (&["--part=0"], "0"),
        (&["--cluster-name=*"], "a cluster name has"),
    ];
    for (arguments, words) in cases {
        let mut line = vec!["render", "operator-policy"];
        if !arguments[0].starts_with("--cluster-name") {
            line.push("--cluster-name=prod-1");
        }
        let ended = run(&[&line[..], arguments].concat(), "");
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.err.contains(words), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(run(&["render", "operator-policy", "--region=eu-central-1"], "").code, 2, "--cluster-name is required");
}
