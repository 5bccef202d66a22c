//! What a key's policy must say, and whether it does.

use serde_json::{Value, json};

use super::super::{KeyAccess, PolicyDocument, Statement, key_access};
use super::access::{access, compile_as};
use super::{FOREIGN, OWN, Trust};

const WORKER: &str = "arn:aws:iam::123456789012:role/worker";
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:images";
const SQS: &str = "sqs.eu-central-1.amazonaws.com";

/// What the key's policy must say for this access, as JSON.
fn needed(spec: &Value) -> Vec<Value> {
    let key = compile_as(&access(spec), Trust::Anything).unwrap().key;
    key.iter().map(Statement::to_value).collect()
}

/// What a key policy with these statements comes to for this access.
fn judged(spec: &Value, policy: &Value) -> Vec<KeyAccess> {
    let policy = PolicyDocument::parse(&json!({"Version": "2012-10-17", "Statement": policy}).to_string()).unwrap();
    let key = compile_as(&access(spec), Trust::Anything).unwrap().key;
    key.iter().map(|statement| key_access(&policy, statement)).collect()
}

#[test]
fn producers_make_data_keys_and_consumers_decrypt_through_sqs_only() {
    let statements = needed(&json!({
        "producers": [{"principalArn": WORKER}, {"service": "sns.amazonaws.com", "sourceArn": TOPIC}],
        "consumers": [{"accountId": FOREIGN}, {"vpcEndpointId": "vpce-0a1b2c3d"}],
    }));
    let through_sqs = json!({"StringEquals": {"kms:ViaService": SQS}});
    let mut anybody_here = through_sqs.clone();
    anybody_here["StringEquals"]["aws:PrincipalAccount"] = json!(OWN);
    let want = [
        json!({"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*", "Condition": anybody_here}),
        json!({"Effect": "Allow", "Principal": {"AWS": FOREIGN}, "Action": "kms:Decrypt", "Resource": "*", "Condition": through_sqs}),
        json!({"Effect": "Allow", "Principal": {"AWS": WORKER}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*", "Condition": through_sqs}),
        json!({
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*",
            "Condition": {"ArnLike": {"aws:SourceArn": TOPIC}},
        }),
    ];
    assert_eq!(statements.len(), want.len());
    for statement in want {
        assert!(statements.contains(&statement), "{statement} is not among {statements:#?}");
    }
    assert_eq!(needed(&json!({})), [Value::Null; 0]);
}

#[test]
fn a_statement_is_there_when_it_says_as_much_in_whatever_words() {
    let spec = json!({"producers": [{"principalArn": WORKER}]});
    let allow = |principal: Value, action: Value| json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"});
    let worker = || json!({"AWS": WORKER});
    let with = |mut statement: Value, condition: Value| {
        statement["Condition"] = condition;
        statement
    };
    let root = json!({"AWS": format!("arn:aws:iam::{OWN}:root")});
    let on = |operator: &str, key: &str, value: &str| json!({operator: {key: value}});
    let via = |service: &str| on("StringEquals", "kms:ViaService", service);
    let both = json!(["kms:Decrypt", "kms:GenerateDataKey"]);
    for (policy, access) in [
        (json!([allow(worker(), both.clone())]), KeyAccess::Present),
        (json!([allow(worker(), json!("kms:*"))]), KeyAccess::Present),
        (json!([allow(worker(), json!(["kms:decrypt", "kms:GenerateDataKey*"]))]), KeyAccess::Present),
        (
            json!([allow(worker(), json!("kms:Decrypt")), allow(worker(), json!("kms:GenerateDataKey"))]),
            KeyAccess::Present,
        ),
        (json!([with(allow(worker(), both.clone()), via(SQS))]), KeyAccess::Present),
        (json!([with(allow(json!("*"), both.clone()), via(SQS))]), KeyAccess::Present),
        (json!([allow(root.clone(), json!("kms:*"))]), KeyAccess::Delegated),
        (json!([allow(worker(), json!("kms:Decrypt")), allow(root.clone(), json!("kms:*"))]), KeyAccess::Delegated),
        (json!([allow(worker(), json!("kms:Decrypt"))]), KeyAccess::Missing),
        (json!([with(allow(worker(), both.clone()), via("sqs.us-east-1.amazonaws.com"))]), KeyAccess::Missing),
        // What is known of every such call counts, and what is not leaves it open.
        (
            json!([with(allow(worker(), both.clone()), on("StringEquals", "kms:CallerAccount", OWN))]),
            KeyAccess::Present,
        ),
        (
            json!([with(
                allow(json!("*"), both.clone()),
                on("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/work*")
            )]),
            KeyAccess::Present,
        ),
        (
            json!([with(allow(worker(), both.clone()), on("StringEquals", "kms:CallerAccount", FOREIGN))]),
            KeyAccess::Missing,
        ),
        (
            json!([with(allow(worker(), both.clone()), on("Bool", "kms:GrantIsForAWSResource", "true"))]),
            KeyAccess::Unclear,
        ),
        (json!([allow(root.clone(), json!("*"))]), KeyAccess::Delegated),
        (json!([allow(json!({"AWS": "arn:aws:iam::123456789012:role/other"}), both.clone())]), KeyAccess::Missing),
        (json!([allow(json!({"AWS": FOREIGN}), both.clone())]), KeyAccess::Missing),
        (json!([{"Effect": "Deny", "Principal": worker(), "Action": both, "Resource": "*"}]), KeyAccess::Missing),
        (json!([]), KeyAccess::Missing),
    ] {
        assert_eq!(judged(&spec, &policy), [access], "{policy}");
    }
}

#[test]
fn another_accounts_principals_are_not_covered_by_delegation() {
    let whole = |account: &str| json!([{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}, "Action": "kms:*", "Resource": "*"}]);
    let foreign = json!({"consumers": [{"principalArn": format!("arn:aws:iam::{FOREIGN}:role/theirs")}]});
    assert_eq!(judged(&foreign, &whole(OWN)), [KeyAccess::Missing]);
    assert_eq!(judged(&foreign, &whole(FOREIGN)), [KeyAccess::Delegated], "their administrators say who of them");
    assert_eq!(judged(&json!({"consumers": [{"accountId": FOREIGN}]}), &whole(FOREIGN)), [KeyAccess::Present]);
}

#[test]
fn a_service_is_let_in_for_what_it_acts_for() {
    let spec = json!({"producers": [{"service": "sns.amazonaws.com", "sourceArn": TOPIC}]});
    let sns = |condition: &Value| {
        let mut statement = json!({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "kms:*", "Resource": "*"});
        if !condition.is_null() {
            statement["Condition"] = condition.clone();
        }
        judged(&spec, &json!([statement]))
    };
    assert_eq!(sns(&Value::Null), [KeyAccess::Present]);
    assert_eq!(
        sns(&json!({"ArnLike": {"aws:SourceArn": [TOPIC, "arn:aws:sns:eu-central-1:123456789012:other"]}})),
        [KeyAccess::Present]
    );
    assert_eq!(
        sns(&json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:eu-central-1:123456789012:other"}})),
        [KeyAccess::Missing]
    );
}

#[test]
fn the_key_that_aws_manages_lets_in_the_account_and_no_service() {
    let policy = json!([
        {
            "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*",
            "Condition": {"StringEquals": {"kms:CallerAccount": OWN, "kms:ViaService": SQS}},
        },
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{OWN}:root")}, "Action": ["kms:Describe*", "kms:Get*"], "Resource": "*"},
    ]);
    assert_eq!(judged(&json!({"producers": [{"principalArn": WORKER}]}), &policy), [KeyAccess::Present]);
    assert_eq!(judged(&json!({"consumers": [{"vpcEndpointId": "vpce-0a1b2c3d"}]}), &policy), [KeyAccess::Present]);
    let topic = json!({"producers": [{"service": "sns.amazonaws.com", "sourceArn": TOPIC}]});
    assert_eq!(judged(&topic, &policy), [KeyAccess::Unclear], "whose account SNS calls from is not known");
}

#[test]
fn one_statement_for_each_topic_is_as_good_as_one_for_all() {
    let topic = |name: &str| format!("arn:aws:sns:eu-central-1:{OWN}:{name}");
    let spec = json!({"producers": [
        {"service": "sns.amazonaws.com", "sourceArn": topic("a")}, {"service": "sns.amazonaws.com", "sourceArn": topic("b")},
    ]});
    let allow = |operator: &str, sources: Value| {
        json!({
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "kms:*", "Resource": "*",
            "Condition": {operator: {"aws:SourceArn": sources}},
        })
    };
    let one = |name: &str| allow("ArnLike", json!(topic(name)));
    for (policy, access) in [
        (json!([one("a"), one("b")]), KeyAccess::Present),
        (json!([allow("ArnEquals", json!([topic("a"), topic("b")]))]), KeyAccess::Present),
        (json!([allow("ArnLike", json!(topic("*")))]), KeyAccess::Present),
        (json!([one("a")]), KeyAccess::Missing),
    ] {
        assert_eq!(judged(&spec, &policy), [access], "{policy}");
    }
}

#[test]
fn who_comes_through_an_endpoint_may_be_left_to_iam() {
    let root = json!([{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{OWN}:root")}, "Action": "kms:*", "Resource": "*"}]);
    assert_eq!(judged(&json!({"consumers": [{"vpcEndpointId": "vpce-0a1b2c3d"}]}), &root), [KeyAccess::Delegated]);
}
