//! Classes for which no policy is made, because the operator could do more with it than it says.

use serde_json::{Value, json};

use prism_queue::domain::operator_policy::Duties;

use super::{BOUNDARY, OPERATOR, PROVIDER, everything, installation};
use crate::class::object;

/// The fields that are complained about.
fn refused(spec: &Value) -> Vec<(String, String)> {
    let found = Duties::of_class(&object("prod", spec), &installation());
    found.err().unwrap_or_default().into_iter().map(|error| (error.path, error.rule)).collect()
}

fn paths(spec: &Value) -> Vec<String> {
    refused(spec).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn the_operator_is_not_given_a_way_to_rewrite_what_holds_it_back() {
    assert_eq!(refused(&everything()), []);
    let mut boundary = everything();
    boundary["iam"]["permissionsBoundaryArn"] = json!("arn:aws:iam::123456789012:policy/prism-queue/boundary");
    assert_eq!(paths(&boundary), ["spec.iam.permissionsBoundaryArn"]);
    assert!(refused(&boundary)[0].1.contains("could rewrite it"), "{boundary}");

    let mut own = everything();
    own["aws"] = json!({"region": "eu-central-1", "accountId": "123456789012",
        "roleArn": "arn:aws:iam::123456789012:role/prism-queue/operator"});
    assert_eq!(paths(&own), ["spec.iam.path"]);

    for pattern in ["arn:aws:iam::123456789012:role/*", OPERATOR, "arn:aws:iam::123456789012:role/prism-*"] {
        let mut wide = everything();
        wide["limits"]["iam"]["roleArnPatterns"] = json!(["arn:aws:iam::123456789012:role/teams/*", pattern]);
        assert_eq!(paths(&wide), ["spec.limits.iam.roleArnPatterns"], "{pattern}");
        assert!(refused(&wide)[0].1.contains(OPERATOR), "{pattern}");
    }
}

#[test]
fn what_a_file_says_and_the_api_server_would_refuse_is_told_all_at_once() {
    let class = json!({
        "aws": {"region": "eu-central-1*", "accountId": "*", "roleArn": "arn:aws:iam::*:role/x"},
        "naming": {"prefix": "a*"},
        "iam": {"path": "prism-queue*", "permissionsBoundaryArn": "*", "oidcProviderArn": PROVIDER},
    });
    let expected = [
        "spec.aws.accountId",
        "spec.aws.region",
        "spec.aws.roleArn",
        "spec.naming",
        "spec.iam.path",
        "spec.iam.permissionsBoundaryArn",
    ];
    assert_eq!(paths(&class), expected);
    let pods = json!({"permissionsBoundaryArn": BOUNDARY,
        "podIdentity": {"clusterName": "*", "region": "*", "roleArn": "*"}});
    let expected = ["clusterName", "region", "roleArn"].map(|field| format!("spec.iam.podIdentity.{field}"));
    assert_eq!(paths(&json!({"iam": pods})), expected);
}

#[test]
fn a_cluster_in_another_account_needs_a_boundary_there() {
    let mut class = everything();
    class["iam"]["podIdentity"]["roleArn"] = json!("arn:aws:iam::300000000002:role/pods");
    assert_eq!(paths(&class), ["spec.iam.podIdentity.permissionsBoundaryArn"]);
    class["iam"]["podIdentity"]["permissionsBoundaryArn"] = json!("arn:aws:iam::300000000002:policy/boundary");
    assert_eq!(refused(&class), []);
    class["iam"]["podIdentity"]["roleArn"] = json!("arn:aws:iam::300000000002:role/prism-queue/pods");
    assert_eq!(paths(&class), ["spec.iam.path"], "it could rewrite its own trust and boundary");
}

#[test]
fn where_the_cluster_is_must_be_known() {
    let mut class = everything();
    class["aws"] =
        json!({"region": "eu-central-1", "accountId": "300000000002", "roleArn": "arn:aws:iam::300000000002:role/q"});
    class["limits"]["iam"] = json!({});
    let unknown = prism_queue::domain::operator_policy::Installation { account_id: None, arn: None, ..installation() };
    let errors = Duties::of_class(&object("prod", &class), &unknown).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("--operator-arn"), "{}", errors[0]);
}
