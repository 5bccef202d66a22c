//! `kubectl queue` with a cluster: what it reads there, and what it says of what it does not find.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{ACCOUNT, PREFIX, REGION, environment, shared};
use crate::judge::{Request, allows};

/// Runs the plugin with this kubeconfig and nothing else of whoever runs the tests.
fn run(kubeconfig: &[&str], class: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-queue"));
    program.args(["render", "operator-policy", "--cluster-name=prod-1", "--class", class]).args(kubeconfig);
    program.env_clear().output().expect("the plugin runs")
}

fn refused(kubeconfig: &[&str], class: &str) -> String {
    let output = run(kubeconfig, class);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_policy_is_printed_for_a_class_of_the_cluster_as_it_is_there() {
    shared(async |scope| {
        let aws = json!({"region": REGION, "accountId": ACCOUNT});
        let spec =
            json!({"aws": aws, "naming": {"prefix": PREFIX}, "limits": {"encryption": {"modes": ["SQSManaged"]}}});
        let class = scope.class("printed", spec).await;
        let kubeconfig = environment("PRISM_TEST_KUBECONFIG");
        let output = run(&["--kubeconfig", &kubeconfig], &class);
        assert!(output.status.success(), "{output:?}");
        let policy: Value = serde_json::from_slice(&output.stdout).expect("a policy");
        let create = Request::new("sqs:CreateQueue", format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}media_orders"));
        assert!(allows(&policy, &create.tagging("queue.prism.io/cluster", "prod-1")), "{policy}");
        assert!(!policy.to_string().contains("kms:"), "the class allows no keys");

        let missing = refused(&["--kubeconfig", &kubeconfig], "no-such-class");
        assert!(missing.contains("there is no QueueClass \"no-such-class\" in the cluster"), "{missing}");
        let context = refused(&["--kubeconfig", &kubeconfig, "--context", "no-such-context"], &class);
        assert!(context.contains("no cluster to ask") && context.contains("no-such-context"), "{context}");
        let file = refused(&["--kubeconfig", "/no/such/file"], &class);
        assert!(file.contains("/no/such/file"), "{file}");
    });
}
