use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::evaluator::{Decision, Request, evaluate};
use super::strategy::{friends, operator, raw_statement, raw_statements, strangers};
use super::{OPERATOR, OWN, as_value, compile, compile_in, compile_unsafe, context, paths, statement};
use crate::domain::policy::{StatementContext, actions, compose};

/// Refused with exactly these paths by default, accepted when the operator accepts what is unsafe.
fn assert_unsafe(raw: &Value, expected: &[&str]) {
    assert_eq!(paths(compile(std::slice::from_ref(raw))), expected, "{raw}");
    for (_, rule) in compile(std::slice::from_ref(raw)).unwrap_err() {
        assert!(rule.ends_with("--allow-unsafe-statements accepts it"), "{rule:?} names no way round");
    }
    assert!(compile_unsafe(std::slice::from_ref(raw)).is_ok(), "{raw}");
}

fn assert_safe(raw: &Value) {
    assert_eq!(compile(std::slice::from_ref(raw)).err(), None, "{raw}");
}

fn anyone_if(condition: &Value) -> Value {
    statement(&json!({"Principal": "*", "Condition": condition}))
}

#[test]
fn anyone_needs_a_proof_of_the_account() {
    let topic = "arn:aws:sns:eu-central-1:123456789012:topic";
    let proofs = [
        json!({"StringEquals": {"aws:PrincipalAccount": OWN}}),
        json!({"StringEquals": {"AWS:sourceaccount": [OWN]}}),
        json!({"StringEqualsIgnoreCase": {"aws:SourceOwner": OWN}}),
        json!({"StringLike": {"aws:SourceAccount": OWN}}),
        json!({"ArnEquals": {"aws:SourceArn": topic}}),
        json!({"StringEquals": {"aws:SourceArn": topic}}),
        json!({"ArnLike": {"aws:SourceArn": ["arn:aws:sns:*:123456789012:*", topic]}}),
        json!({"StringLike": {"aws:SourceArn": "arn:aws:sns:eu-central-1:123456789012:*"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/*"}}),
        json!({"ForAnyValue:StringEquals": {"aws:PrincipalAccount": OWN}}),
        json!({"StringEquals": {"aws:PrincipalAccount": OWN, "aws:SourceVpce": "vpce-1"}}),
    ];
    for proof in proofs {
        assert_safe(&anyone_if(&proof));
    }
    let no_proofs = [
        json!({}),
        json!({"StringEqualsIfExists": {"aws:PrincipalAccount": OWN}}),
        json!({"ForAllValues:StringEquals": {"aws:PrincipalAccount": OWN}}),
        json!({"StringNotEquals": {"aws:PrincipalAccount": OWN}}),
        json!({"StringLike": {"aws:PrincipalAccount": "1234567890*"}}),
        json!({"StringLike": {"aws:PrincipalAccount": [OWN, "*"]}}),
        json!({"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:eu-central-1:*:topic"}}),
        json!({"ArnLike": {"aws:SourceArn": "*"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}}),
        // A variable may bring colons, and with them a stranger's account.
        json!({"StringLike": {"aws:PrincipalArn": "arn:aws:${aws:PrincipalTag/x}:123456789012:role/*"}}),
        // Under StringLike the first wildcard may swallow a stranger's account.
        json!({"StringLike": {"aws:SourceArn": "arn:aws:sns:*:123456789012:*"}}),
        json!({"Null": {"aws:PrincipalArn": "false"}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}}),
        json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        json!({"Bool": {"aws:SecureTransport": "true"}}),
    ];
    for no_proof in no_proofs {
        assert_unsafe(&anyone_if(&no_proof), &[".Principal"]);
    }
    assert_unsafe(&statement(&json!({"Principal": {"AWS": ["*", OWN]}})), &[".Principal"]);
}

#[test]
fn other_accounts_are_refused() {
    let aws = |value: Value| statement(&json!({"Principal": {"AWS": value}}));
    assert_unsafe(&aws(json!("999999999999")), &[".Principal.AWS"]);
    assert_unsafe(&aws(json!("arn:aws:iam::999999999999:root")), &[".Principal.AWS"]);
    assert_unsafe(&aws(json!("arn:aws:iam::999999999999:role/a")), &[".Principal.AWS"]);
    assert_unsafe(&aws(json!("arn:aws:sts::999999999999:assumed-role/a/b")), &[".Principal.AWS"]);
    assert_unsafe(&aws(json!([OWN, "999999999999", "888888888888"])), &[".Principal.AWS", ".Principal.AWS"]);
    let account = json!({"StringEquals": {"aws:SourceAccount": "999999999999"}});
    assert_unsafe(&anyone_if(&account), &[".Condition.StringEquals.aws:SourceAccount"]);
    let both = json!({"StringEquals": {"aws:PrincipalAccount": [OWN, "999999999999"]}});
    assert_unsafe(&anyone_if(&both), &[".Condition.StringEquals.aws:PrincipalAccount"]);
    let topic = json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:999999999999:*"}});
    assert_unsafe(&anyone_if(&topic), &[".Condition.ArnLike.aws:SourceArn"]);
    // To deny a stranger is always fine.
    assert_safe(&statement(&json!({"Effect": "Deny", "Principal": {"AWS": "999999999999"}, "Action": "sqs:*"})));
}

#[test]
fn services_need_a_proof_of_whom_they_act_for() {
    let service_if =
        |condition: Value| statement(&json!({"Principal": {"Service": "sns.amazonaws.com"}, "Condition": condition}));
    let refused = [
        json!({}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}}),
        json!({"StringEquals": {"aws:PrincipalAccount": OWN}}),
        json!({"StringEqualsIfExists": {"aws:SourceAccount": OWN}}),
        json!({"StringEquals": {"aws:SourceOrgID": "o-1"}}),
    ];
    for condition in refused {
        assert_unsafe(&service_if(condition), &[".Principal.Service"]);
    }
    assert_safe(&service_if(json!({"StringEquals": {"aws:SourceAccount": OWN}})));
    assert_safe(&service_if(json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:123456789012:topic"}})));
    assert_safe(&service_if(json!({
        "ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"},
        "StringEquals": {"aws:SourceAccount": OWN},
    })));
}

#[test]
fn federated_and_canonical_users_tell_no_account() {
    for kind in ["Federated", "CanonicalUser"] {
        let raw = statement(&json!({"Principal": {kind: "79a59df900b949e55d96a1e698fbaced"}}));
        assert_unsafe(&raw, &[&format!(".Principal.{kind}")]);
    }
}

#[test]
fn all_but_these_is_refused() {
    let worker = json!({"AWS": "arn:aws:iam::123456789012:role/worker"});
    assert_unsafe(&statement(&json!({"Principal": null, "NotPrincipal": worker})), &[".NotPrincipal"]);
    assert_unsafe(&statement(&json!({"Action": null, "NotAction": "sqs:SendMessage"})), &[".NotAction"]);
    assert_unsafe(&statement(&json!({"NotResource": "x"})), &[".NotResource"]);
    let deny = statement(&json!({"Effect": "Deny", "Principal": null, "NotPrincipal": worker}));
    assert_unsafe(&deny, &[".NotPrincipal"]);
}

#[test]
fn workloads_get_message_actions_only() {
    for action in actions::ALL {
        let raw = statement(&json!({"Action": format!("sqs:{action}")}));
        if actions::MESSAGE.contains(&action) {
            assert_safe(&raw);
        } else {
            assert_unsafe(&raw, &[".Action"]);
        }
    }
    for action in ["sqs:Send*", "SQS:*MESSAGE", "sqs:GetQueue???", "sqs:GetQueue*"] {
        assert_safe(&statement(&json!({"Action": action})));
    }
    for action in ["*", "sqs:*", "sqs:Set*", "sqs:*Queue", "sqs:?urgequeue", "sqs:Delete*", "sqs:*e*"] {
        assert_unsafe(&statement(&json!({"Action": action})), &[".Action"]);
    }
    let several = json!(["sqs:SendMessage", "sqs:AddPermission", "sqs:PurgeQueue"]);
    assert_unsafe(&statement(&json!({"Action": several})), &[".Action", ".Action"]);
    let rule = &compile(&[statement(&json!({"Action": "sqs:S*"}))]).unwrap_err()[0].1;
    assert!(rule.starts_with("sqs:S* allows sqs:SetQueueAttributes, sqs:StartMessageMoveTask;"), "{rule}");
}

fn deny(principal: &Value, action: &str, condition: &Value) -> Value {
    statement(&json!({"Effect": "Deny", "Principal": principal, "Action": action, "Condition": condition}))
}

#[test]
fn a_deny_must_leave_the_operator_in() {
    let reaching = [
        json!("*"),
        json!({"AWS": OWN}),
        json!({"AWS": "arn:aws:iam::123456789012:root"}),
        json!({"AWS": "arn:aws:iam::123456789012:role/operator"}),
        json!({"AWS": "arn:aws:iam::123456789012:role/some/path/operator"}),
        json!({"AWS": "arn:aws:sts::123456789012:assumed-role/operator/session-7"}),
        json!({"AWS": "arn:aws:sts::123456789012:assumed-role/operator/another"}),
        json!({"AWS": ["arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/operator"]}),
        json!({"Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.eks"}),
        json!({"CanonicalUser": "79a59df900b949e55d96a1e698fbaced"}),
    ];
    for principal in reaching {
        assert_unsafe(&deny(&principal, "sqs:SetQueueAttributes", &json!({})), &[".Action"]);
        assert_safe(&deny(&principal, "sqs:SendMessage", &json!({})));
    }
    let others = [
        json!({"AWS": "arn:aws:iam::123456789012:role/worker"}),
        json!({"AWS": "arn:aws:iam::123456789012:user/operator"}),
        json!({"AWS": "arn:aws:iam::123456789012:role/operator/worker"}),
        json!({"AWS": "arn:aws:iam::999999999999:role/operator"}),
        json!({"Service": "sns.amazonaws.com"}),
    ];
    for principal in others {
        assert_safe(&deny(&principal, "sqs:*", &json!({})));
    }
    for action in actions::ALL {
        let raw = deny(&json!("*"), &format!("sqs:{action}"), &json!({}));
        if actions::OPERATOR.contains(&action) { assert_unsafe(&raw, &[".Action"]) } else { assert_safe(&raw) }
    }
    assert_unsafe(&deny(&json!("*"), "sqs:*Queue", &json!({})), &[".Action"]);
    let rule = &compile(&[deny(&json!("*"), "sqs:?etQueueAttributes", &json!({}))]).unwrap_err()[0].1;
    assert!(rule.contains(OPERATOR) && rule.contains("sqs:GetQueueAttributes, sqs:SetQueueAttributes"), "{rule}");
}

#[test]
fn only_the_tls_condition_saves_a_deny() {
    let tls = |operator: &str, value: Value| json!({operator: {"aws:SecureTransport": value}});
    assert_safe(&deny(&json!("*"), "sqs:*", &tls("Bool", json!("false"))));
    assert_safe(&deny(&json!("*"), "sqs:*", &tls("BoolIfExists", json!(false))));
    assert_safe(&deny(&json!("*"), "*", &json!({"Bool": {"AWS:SECURETRANSPORT": "False"}})));
    for condition in [
        tls("Bool", json!("true")),
        tls("Bool", json!(["true", "false"])),
        tls("StringNotEquals", json!("true")),
        json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/operator"}}),
        json!({"Bool": {"aws:ViaAWSService": "false"}}),
    ] {
        assert_unsafe(&deny(&json!("*"), "sqs:*", &condition), &[".Action"]);
    }
}

#[test]
fn the_operator_is_known_in_every_guise() {
    let table = [
        ("arn:aws:iam::123456789012:user/ops/prism", "arn:aws:iam::123456789012:user/ops/prism"),
        ("arn:aws:iam::123456789012:user/ops/prism", "arn:aws:iam::123456789012:user/prism"),
        ("arn:aws:sts::123456789012:federated-user/prism", "arn:aws:iam::123456789012:user/prism"),
        ("arn:aws:iam::123456789012:role/prism", "arn:aws:sts::123456789012:assumed-role/prism/x"),
        ("arn:aws:iam::123456789012:root", "123456789012"),
        ("arn:aws:sts::888888888888:assumed-role/prism/x", "888888888888"),
    ];
    for (caller_arn, principal) in table {
        let context = StatementContext { caller_arn, ..context() };
        let raw = deny(&json!({"AWS": principal}), "sqs:*", &json!({}));
        assert_eq!(paths(compile_in(&[raw], &context)), [".Action"], "{caller_arn} and {principal}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_accepted_gives_strangers_nothing(raw in raw_statement()) {
        if let Ok(statements) = compile(&[raw]) {
            let policy = as_value(&compose(statements));
            for request in strangers() {
                prop_assert_ne!(evaluate(&policy, &request), Decision::Allow, "{} {:?}", policy, request);
            }
        }
    }

    #[test]
    fn what_is_accepted_gives_nobody_more_than_messages(raw in raw_statement()) {
        if let Ok(statements) = compile(&[raw]) {
            let policy = as_value(&compose(statements));
            for request in friends() {
                let name = request.action.strip_prefix("sqs:").unwrap();
                if !actions::MESSAGE.contains(&name) {
                    prop_assert_ne!(evaluate(&policy, &request), Decision::Allow, "{} {:?}", policy, request);
                }
            }
        }
    }

    #[test]
    fn what_is_accepted_never_stops_the_operator(raw in raw_statements()) {
        if let Ok(statements) = compile(&raw) {
            let policy = as_value(&compose(statements));
            for request in operator() {
                let name = request.action.strip_prefix("sqs:").unwrap();
                if actions::OPERATOR.contains(&name) {
                    prop_assert_ne!(evaluate(&policy, &request), Decision::Deny, "{} {:?}", policy, request);
                }
            }
        }
    }
}

/// The properties above would hold of a module that refuses everything, and of inputs that are never dangerous.
#[test]
fn the_properties_see_both_sides() {
    let mut runner = TestRunner::deterministic();
    let (mut useful, mut dangerous, mut locking) = (0, 0, 0);
    for _ in 0..2_000 {
        let raw = raw_statement().new_tree(&mut runner).unwrap().current();
        let policy = as_value(&compose(compile_unsafe(std::slice::from_ref(&raw)).unwrap()));
        let decides =
            |requests: Vec<Request>, decision| requests.iter().any(|request| evaluate(&policy, request) == decision);
        let is_accepted = compile(&[raw]).is_ok();
        useful += i32::from(is_accepted && decides(friends(), Decision::Allow));
        dangerous += i32::from(!is_accepted && decides(strangers(), Decision::Allow));
        locking += i32::from(!is_accepted && decides(operator(), Decision::Deny));
    }
    assert!(useful > 20 && dangerous > 200 && locking > 100, "{useful} {dangerous} {locking}");
}
