use serde_json::{Value, json};

use super::{QUEUE, compile, compile_unsafe, paths, statement};

/// The path and a part of the rule of the only error; refused with `--allow-unsafe-statements` just the same.
fn assert_refused(raw: &Value, path: &str, words: &str) {
    for result in [compile(std::slice::from_ref(raw)), compile_unsafe(std::slice::from_ref(raw))] {
        let errors = result.expect_err(&format!("{raw} was accepted"));
        assert_eq!(errors.len(), 1, "{raw}: {errors:?}");
        let (found, rule) = &errors[0];
        assert_eq!(found, &format!("spec.access.statements[0]{path}"), "{raw}: {rule}");
        assert!(rule.contains(words), "{raw}: {rule:?} does not say {words:?}");
        assert!(!rule.ends_with('.'), "{rule:?} ends in a full stop");
    }
}

#[test]
fn elements_that_iam_does_not_know_are_named() {
    let table = [
        (json!("{}"), "", "not JSON in a string"),
        (json!([]), "", "must be a statement"),
        (statement(&json!({"Effect": null, "effect": "Allow"})), ".effect", "did you mean Effect?"),
        (statement(&json!({"Action": null, "Actions": "sqs:SendMessage"})), ".Actions", "did you mean Action?"),
        (statement(&json!({"Principal": null, "notPrincipal": "*"})), ".notPrincipal", "did you mean NotPrincipal?"),
        (statement(&json!({"conditions": {}})), ".conditions", "did you mean Condition?"),
        (statement(&json!({"SID": "x"})), ".SID", "did you mean Sid?"),
        (statement(&json!({"Version": "2012-10-17"})), ".Version", "entries of its Statement list"),
        (statement(&json!({"Frobnicate": 1})), ".Frobnicate", "IAM knows Sid, Effect"),
        (statement(&json!({"Effect": null})), ".Effect", "is missing; write Allow or Deny"),
        (statement(&json!({"Effect": "allow"})), ".Effect", "must be Allow or Deny"),
        (statement(&json!({"Principal": null})), ".Principal", "is missing"),
        (statement(&json!({"Action": null})), ".Action", "is missing"),
        (statement(&json!({"NotPrincipal": "*"})), ".NotPrincipal", "cannot stand beside Principal"),
        (statement(&json!({"NotAction": "*"})), ".NotAction", "cannot stand beside Action"),
        (statement(&json!({"Resource": QUEUE, "NotResource": QUEUE})), ".NotResource", "cannot stand beside Resource"),
    ];
    for (raw, path, words) in table {
        assert_refused(&raw, path, words);
    }
}

#[test]
fn principals_follow_iam() {
    let aws = |value: Value| statement(&json!({"Principal": {"AWS": value}}));
    let table = [
        (
            statement(&json!({"Principal": "arn:aws:iam::123456789012:root"})),
            ".Principal",
            "must be \"*\" or an object",
        ),
        (statement(&json!({"Principal": {}})), ".Principal", "must be \"*\" or an object"),
        (statement(&json!({"Principal": ["*"]})), ".Principal", "must be \"*\" or an object"),
        (statement(&json!({"Principal": {"aws": "123456789012"}})), ".Principal.aws", "did you mean AWS?"),
        (statement(&json!({"Principal": {"Services": "x.y"}})), ".Principal.Services", "did you mean Service?"),
        (statement(&json!({"Principal": {"Group": "x"}})), ".Principal.Group", "IAM knows AWS, Service"),
        (aws(json!(123_456_789_012_u64)), ".Principal.AWS", "put account ids in quotes"),
        (aws(json!(["123456789012", 1])), ".Principal.AWS[1]", "put account ids in quotes"),
        (aws(json!([])), ".Principal.AWS", "must not be an empty list"),
        (aws(json!("arn:aws:iam::123456789012:role/*")), ".Principal.AWS", "aws:PrincipalArn"),
        (aws(json!("AROAEXAMPLEEXAMPLE123")), ".Principal.AWS", "name it by its ARN"),
        (aws(json!("12345")), ".Principal.AWS", "a twelve-digit account id"),
        (aws(json!("arn:aws:iam::12345:role/a")), ".Principal.AWS", "is not twelve digits"),
        (aws(json!("arn:aws-cn:iam::123456789012:role/a")), ".Principal.AWS", "partition"),
        (aws(json!("arn:aws:iam::123456789012:group/a")), ".Principal.AWS", "a group"),
        (aws(json!("arn:aws:iam::123456789012:role/")), ".Principal.AWS", "ARN of a role or user"),
        (aws(json!("arn:aws:s3:::bucket")), ".Principal.AWS", "is not twelve digits"),
        (aws(json!("arn:aws:sns:eu-central-1:123456789012:t")), ".Principal.AWS", "ARN of a role or user"),
        (aws(json!("arn:aws:sts::123456789012:assumed-role/a")), ".Principal.AWS", "assumed-role/<role>/<session>"),
        (statement(&json!({"Principal": {"Service": "*"}})), ".Principal.Service", "like sns.amazonaws.com"),
        (statement(&json!({"Principal": {"Service": "sns"}})), ".Principal.Service", "like sns.amazonaws.com"),
        (statement(&json!({"Principal": {"Federated": "*"}})), ".Principal.Federated", "must name one"),
    ];
    for (raw, path, words) in table {
        assert_refused(&raw, path, words);
    }
    let accepted = [
        json!("123456789012"),
        json!("arn:aws:iam::123456789012:root"),
        json!(["arn:aws:iam::123456789012:role/a/b/c", "arn:aws:iam::123456789012:user/u"]),
        json!("arn:aws:sts::123456789012:assumed-role/a/session"),
        json!("arn:aws:sts::123456789012:federated-user/bob"),
    ];
    for principal in accepted {
        assert!(compile(&[aws(principal.clone())]).is_ok(), "{principal}");
    }
}

#[test]
fn actions_are_those_of_sqs() {
    let action = |value: &str| statement(&json!({"Action": value}));
    let table = [
        (action("SendMessage"), ".Action", "did you mean sqs:SendMessage?"),
        (action("Send"), ".Action", "write one like sqs:SendMessage"),
        (action("s3:GetObject"), ".Action", "is no SQS action"),
        (action("s*:*"), ".Action", "is no SQS action"),
        (action("sqs:"), ".Action", "is no SQS action"),
        (action("sqs:SendMessageBatch"), ".Action", "sqs:SendMessage covers batches too"),
        (statement(&json!({"Action": [1]})), ".Action[0]", "must be a string"),
        (statement(&json!({"Action": {}})), ".Action", "must be a string or a list"),
        (statement(&json!({"Action": []})), ".Action", "must not be an empty list"),
    ];
    for (raw, path, words) in table {
        assert_refused(&raw, path, words);
    }
    // An action that this version has not heard of can be had, but not by mistake.
    let unheard = action("sqs:SendMesage");
    assert_eq!(paths(compile(std::slice::from_ref(&unheard))), [".Action"]);
    assert!(compile_unsafe(&[unheard]).is_ok());
}

#[test]
fn a_statement_has_seven_actions_at_most() {
    let actions = |count: usize| {
        let all = ["SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueUrl"];
        let more = ["GetQueueAttributes", "Send*", "Receive*"];
        let names: Vec<String> = all.iter().chain(&more).take(count).map(|name| format!("sqs:{name}")).collect();
        statement(&json!({"Action": names}))
    };
    assert!(compile(&[actions(7)]).is_ok());
    assert_refused(&actions(8), ".Action", "has 8 actions");
}

#[test]
fn the_resource_is_this_queue() {
    assert_eq!(compile(&[statement(&json!({}))]), compile(&[statement(&json!({"Resource": [QUEUE]}))]));
    for other in ["*", "arn:aws:sqs:eu-central-1:123456789012:other", "arn:aws:sqs:eu-central-1:123456789012:jobs*"] {
        assert_refused(&statement(&json!({"Resource": other})), ".Resource", "leave Resource out");
    }
}

#[test]
fn sids_are_unique_short_and_not_ours() {
    for sid in ["__owner_statement", "Queue1-Send", "prism"] {
        assert!(compile(&[statement(&json!({"Sid": sid}))]).is_ok(), "{sid}");
    }
    assert_refused(&statement(&json!({"Sid": "PrismQueueFence"})), ".Sid", "the operator's own");
    assert_refused(&statement(&json!({"Sid": "PrismQueueX"})), ".Sid", "the operator's own");
    assert_refused(&statement(&json!({"Sid": "a b"})), ".Sid", "has ' '");
    assert_refused(&statement(&json!({"Sid": "a".repeat(81)})), ".Sid", "81 characters");
    assert_refused(&statement(&json!({"Sid": 1})), ".Sid", "must be a string");
    let twice = [json!({"Sid": "a"}), json!({"Sid": "b"}), json!({"Sid": "a"})].map(|sid| statement(&sid));
    let errors = compile(&twice).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].0, "spec.access.statements[2].Sid");
    assert!(errors[0].1.contains("spec.access.statements[0]"));
}

#[test]
fn conditions_follow_iam() {
    let condition = |value: Value| statement(&json!({"Condition": value}));
    let one = |operator: &str, key: &str, value: Value| condition(json!({operator: {key: value}}));
    let table = [
        (condition(json!([])), ".Condition", "must be an object"),
        (condition(json!({"Bool": true})), ".Condition.Bool", "must be an object"),
        (condition(json!({"Bool": {}})), ".Condition.Bool", "has no condition key"),
        (one("stringEquals", "aws:SourceArn", json!("x")), ".Condition.stringEquals", "did you mean StringEquals?"),
        (one("Equals", "aws:SourceArn", json!("x")), ".Condition.Equals", "is no condition operator"),
        (one("NullIfExists", "aws:SourceArn", json!(true)), ".Condition.NullIfExists", "is no condition operator"),
        (
            one("ForSome:Bool", "aws:SecureTransport", json!(true)),
            ".Condition.ForSome:Bool",
            "is no condition operator",
        ),
        (one("StringEquals", "SourceArn", json!("x")), ".Condition.StringEquals.SourceArn", "like aws:SourceArn"),
        (
            one("StringEquals", "aws:SourceArn", json!(null)),
            ".Condition.StringEquals.aws:SourceArn",
            "must be a string",
        ),
        (one("StringEquals", "aws:a", json!(["x", {}])), ".Condition.StringEquals.aws:a[1]", "must be a string"),
        (one("StringEquals", "aws:a", json!([])), ".Condition.StringEquals.aws:a", "must not be an empty list"),
        (one("Bool", "aws:SecureTransport", json!("yes")), ".Condition.Bool.aws:SecureTransport", "true or false"),
        (one("NumericEquals", "aws:a", json!("x")), ".Condition.NumericEquals.aws:a", "must be a number"),
        (one("IpAddress", "aws:SourceIp", json!("1.2.3.4/33")), ".Condition.IpAddress.aws:SourceIp", "IP address"),
        (one("ArnLike", "aws:SourceArn", json!("arn:aws:sns:*")), ".Condition.ArnLike.aws:SourceArn", "all six parts"),
        (
            one("StringEquals", "aws:SourceAccount", json!(23_456_789_012_u64)),
            ".Condition.StringEquals.aws:SourceAccount",
            "twelve-digit account id, in quotes",
        ),
        (
            condition(json!({"StringEquals": {"aws:username": "a", "AWS:UserName": "b"}})),
            ".Condition.StringEquals.aws:username",
            "is there twice",
        ),
    ];
    for (raw, path, words) in table {
        assert_refused(&raw, path, words);
    }
    let accepted = [
        json!({"StringEquals": {"aws:SourceAccount": 123_456_789_012_u64}}),
        json!({"Bool": {"aws:SecureTransport": true}, "NumericLessThan": {"aws:MultiFactorAuthAge": 60}}),
        json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32", "203.0.113.7"]}}),
        json!({"DateGreaterThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}),
        json!({"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": ["a*"]}}),
        json!({"StringEquals": {"aws:PrincipalTag/team": "${aws:ResourceTag/team}"}}),
    ];
    for value in accepted {
        assert!(compile(&[condition(value.clone())]).is_ok(), "{value}");
    }
}

#[test]
fn all_errors_come_at_once() {
    let raw = [
        statement(
            &json!({"effect": "Allow", "Principal": "*", "Action": ["SendMessage", "sqs:PurgeQueue"], "Sid": "a b"}),
        ),
        json!("text"),
        statement(&json!({"Condition": {"Boole": {"aws:x": 1}}, "Resource": "*"})),
    ];
    let errors = compile(&raw).unwrap_err();
    let found: Vec<&str> =
        errors.iter().map(|(path, _)| path.strip_prefix("spec.access.statements").unwrap()).collect();
    assert_eq!(
        found,
        [
            "[0].effect",
            "[0].Sid",
            "[0].Action",
            "[0].Action",
            "[0].Principal",
            "[1]",
            "[2].Resource",
            "[2].Condition.Boole"
        ]
    );
}
