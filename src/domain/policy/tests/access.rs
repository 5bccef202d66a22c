//! Typed entries: what they are checked for, and the statements that they become.

use serde_json::{Value, json};

use super::{FOREIGN, OWN, QUEUE, as_value, context, statement};
use crate::api::access::Access;
use crate::api::class::AccessLimits;
use crate::domain::policy::{AccessPolicies, StatementContext, Trust, compile_access};

pub(super) const DEAD_LETTERS: &str = "arn:aws:sqs:eu-central-1:123456789012:jobs_dlq";
pub(super) const STRANGER: &str = "888888888888";
pub(super) const WORKER: &str = "arn:aws:iam::123456789012:role/worker";
pub(super) const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:topic";
pub(super) const ORGANIZATION: &str = "o-a1b2c3d4e5";
pub(super) const ENDPOINT: &str = "vpce-0a1b2c3d";

pub(super) fn access(access: &Value) -> Access {
    serde_json::from_value(access.clone()).unwrap()
}

pub(super) fn compile_as(access: &Access, trust: Trust) -> Result<AccessPolicies, Vec<(String, String)>> {
    let context = StatementContext { trust, ..context() };
    compile_access(access, access.require_tls.unwrap_or(true), Some(DEAD_LETTERS), &context)
        .map_err(|errors| errors.into_iter().map(|error| (error.path, error.rule)).collect())
}

/// The policies of the queue and its dead-letter queue.
fn policies(spec: &Value) -> [Value; 2] {
    let policies = compile_as(&access(spec), Trust::OwnAccount).unwrap();
    [as_value(&policies.source), as_value(&policies.dead_letter)]
}

/// The one error of a spec with this entry as the second producer.
fn fault(entry: &Value, trust: Trust) -> (String, String) {
    let errors = compile_as(&access(&json!({"producers": [{"principalArn": WORKER}, entry]})), trust).unwrap_err();
    assert_eq!(errors.len(), 1, "{entry}: {errors:?}");
    let (path, rule) = errors.into_iter().next().unwrap();
    (path.strip_prefix("spec.access.producers[1]").unwrap().to_owned(), rule)
}

#[test]
fn producers_send_consumers_receive_and_look_into_the_dead_letter_queue() {
    let [source, dead_letter] =
        policies(&json!({"producers": [{"principalArn": WORKER}], "consumers": [{"accountId": OWN}]}));
    let tls = |arn: &str| {
        json!({"Sid": "PrismQueueRequireTLS", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn,
               "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    };
    let consume = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
    ];
    let send = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"];
    let inspect = ["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"];
    assert_eq!(
        source["Statement"],
        json!([
            {"Effect": "Allow", "Principal": {"AWS": OWN}, "Action": consume, "Resource": QUEUE},
            {"Effect": "Allow", "Principal": {"AWS": WORKER}, "Action": send, "Resource": QUEUE},
            tls(QUEUE),
        ])
    );
    assert_eq!(
        dead_letter["Statement"],
        json!([
            {"Effect": "Allow", "Principal": {"AWS": OWN}, "Action": inspect, "Resource": DEAD_LETTERS},
            tls(DEAD_LETTERS),
        ])
    );
}

#[test]
fn each_kind_of_entry_has_its_principal_and_its_conditions() {
    let bucket = "arn:aws:s3:::media-*";
    for (entry, principal, condition) in [
        (json!({"principalArn": WORKER}), json!({"AWS": WORKER}), json!(null)),
        (
            json!({"principalArn": WORKER, "vpcEndpointId": ENDPOINT}),
            json!({"AWS": WORKER}),
            json!({"StringEquals": {"aws:SourceVpce": ENDPOINT}}),
        ),
        (json!({"accountId": FOREIGN}), json!({"AWS": FOREIGN}), json!(null)),
        (
            json!({"service": "sns.amazonaws.com", "sourceArn": TOPIC}),
            json!({"Service": "sns.amazonaws.com"}),
            json!({"ArnLike": {"aws:SourceArn": TOPIC}}),
        ),
        (
            json!({"service": "s3.amazonaws.com", "sourceArn": bucket, "sourceAccount": OWN}),
            json!({"Service": "s3.amazonaws.com"}),
            json!({"ArnLike": {"aws:SourceArn": bucket}, "StringEquals": {"aws:SourceAccount": OWN}}),
        ),
        (
            json!({"organizationId": ORGANIZATION, "vpcEndpointId": ENDPOINT}),
            json!("*"),
            json!({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION, "aws:SourceVpce": ENDPOINT}}),
        ),
        (
            json!({"vpcEndpointId": ENDPOINT}),
            json!("*"),
            json!({"StringEquals": {"aws:PrincipalAccount": OWN, "aws:SourceVpce": ENDPOINT}}),
        ),
    ] {
        let spec = access(&json!({"requireTLS": false, "producers": [entry]}));
        let policy = as_value(&compile_as(&spec, Trust::Anything).unwrap().source);
        let of_entry = &policy["Statement"][0];
        assert_eq!((&of_entry["Principal"], &of_entry["Condition"]), (&principal, &condition), "{entry}");
    }
}

#[test]
fn entries_that_are_alike_share_a_statement() {
    let topic = |n: usize| json!({"service": "sns.amazonaws.com", "sourceArn": format!("{TOPIC}-{n}")});
    let role = |n: usize| json!({"principalArn": format!("{WORKER}-{n}")});
    let both: Vec<Value> = (0..15).map(topic).chain((0..20).map(role)).collect();
    let consumers: Vec<Value> = (0..20).map(role).collect();
    let [source, dead_letter] = policies(&json!({"producers": both, "consumers": consumers}));
    let list = source["Statement"].as_array().unwrap();
    assert_eq!(list.len(), 3, "{source}");
    // Who sends and receives has one statement for both; so do a raw statement and an entry.
    assert_eq!(list[0]["Action"].as_array().unwrap().len(), 6);
    assert_eq!(list[1]["Condition"]["ArnLike"]["aws:SourceArn"].as_array().unwrap().len(), 15);
    assert_eq!(dead_letter["Statement"].as_array().unwrap().len(), 2);
    let raw = statement(&json!({"Principal": {"AWS": WORKER}, "Action": "sqs:ReceiveMessage"}));
    let [source, _] = policies(&json!({"producers": [{"principalArn": WORKER}], "statements": [raw]}));
    assert_eq!(source["Statement"].as_array().unwrap().len(), 2);
}

#[test]
fn what_sqs_has_no_room_for_is_refused_after_merging_and_with_room_for_the_fence() {
    let roles =
        |count: usize| -> Value { (0..count).map(|n| json!({"principalArn": format!("{WORKER}-{n}")})).collect() };
    // One principal is the fence's, one that of the rule about TLS.
    assert!(compile_as(&access(&json!({"producers": roles(48)})), Trust::OwnAccount).is_ok());
    let errors = compile_as(&access(&json!({"producers": roles(49)})), Trust::OwnAccount).unwrap_err();
    assert_eq!(errors[0].0, "spec.access");
    assert!(errors[0].1.contains("51 principals"), "{errors:?}");
    // The dead-letter queue's name may make the difference: its policy is measured too.
    let long: Vec<Value> = (0..48).map(|n| json!({"principalArn": format!("{WORKER}-{n:0100}")})).collect();
    let spec = access(&json!({"requireTLS": false, "consumers": long}));
    let size = compile_as(&spec, Trust::OwnAccount).unwrap().source.to_json().len();
    let dead_letters = format!("{DEAD_LETTERS}{}", "x".repeat(8_192 - size));
    let errors = compile_access(&spec, false, Some(&dead_letters), &context()).unwrap_err();
    assert!(errors[0].rule.contains("bytes"), "{errors:?}");
}

#[test]
fn contradictions_are_refused_at_their_fields() {
    let sns = |changes: Value| {
        let mut entry = json!({"service": "sns.amazonaws.com", "sourceArn": TOPIC});
        entry.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        entry.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        entry
    };
    for (entry, field, words) in [
        (json!({}), "", "names nobody"),
        (json!({"principalArn": WORKER, "accountId": OWN}), "", "names several"),
        (json!({"accountId": OWN, "organizationId": ORGANIZATION}), "", "names several"),
        (sns(json!({"sourceArn": null})), ".service", "say for whom, with sourceArn, sourceAccount or both"),
        (sns(json!({"vpcEndpointId": ENDPOINT})), ".vpcEndpointId", "does not come through"),
        (sns(json!({"sourceArn": "arn:aws:s3:::bucket"})), ".sourceArn", "add sourceAccount"),
        (sns(json!({"sourceArn": "arn:aws:sns:*:123456789012:topic"})), ".sourceArn", "in its last part only"),
        (
            sns(json!({"sourceArn": "arn:aws:sns:eu-central-1:1234567890??:topic"})),
            ".sourceArn",
            "in its last part only",
        ),
        (sns(json!({"sourceArn": format!("{TOPIC}-${{aws:username}}")})), ".sourceArn", "no policy variable"),
        (sns(json!({"sourceArn": "topic"})), ".sourceArn", "all six parts"),
        (sns(json!({"sourceArn": "arn:aws:sns:eu-central-1:1234:topic"})), ".sourceArn", "not twelve digits"),
        (sns(json!({"sourceArn": "arn:aws-cn:sns:cn-north-1:123456789012:topic"})), ".sourceArn", "cannot meet"),
        (sns(json!({"sourceAccount": "1234"})), ".sourceAccount", "twelve-digit"),
        (sns(json!({"service": "SNS"})), ".service", "is not a service"),
        (json!({"accountId": OWN, "sourceAccount": OWN}), ".sourceAccount", "only for a service"),
        (json!({"accountId": OWN, "sourceArn": TOPIC}), ".sourceArn", "only for a service"),
        (json!({"accountId": "*"}), ".accountId", "twelve-digit"),
        (json!({"principalArn": "*"}), ".principalArn", "takes no wildcard"),
        (json!({"principalArn": format!("{WORKER}*")}), ".principalArn", "takes no wildcard"),
        (json!({"principalArn": "AROAEXAMPLEEXAMPLE123"}), ".principalArn", "id of a principal"),
        (json!({"principalArn": OWN}), ".principalArn", "ARN of a role or user"),
        (json!({"principalArn": "arn:aws:iam::123456789012:root"}), ".principalArn", "ARN of a role or user"),
        (json!({"principalArn": "arn:aws:iam::123456789012:group/all"}), ".principalArn", "is a group"),
        (
            json!({"principalArn": "arn:aws:sts::123456789012:assumed-role/worker/session"}),
            ".principalArn",
            "must be the ARN of a role or user",
        ),
        (json!({"principalArn": "arn:aws-cn:iam::123456789012:role/worker"}), ".principalArn", "cannot meet"),
        (json!({"organizationId": "*"}), ".organizationId", "id of an organization"),
        (json!({"organizationId": "${aws:PrincipalOrgID}"}), ".organizationId", "id of an organization"),
        (json!({"vpcEndpointId": "vpce-*"}), ".vpcEndpointId", "id of a VPC endpoint"),
    ] {
        // No trust makes sense of them.
        for trust in [Trust::OwnAccount, Trust::Anything] {
            let (path, rule) = fault(&entry, trust);
            assert!(path == field && rule.contains(words), "{entry}: {path}: {rule}");
        }
    }
}

#[test]
fn a_service_that_reads_is_refused_with_the_way_to_do_it() {
    let lambda = json!({"service": "lambda.amazonaws.com", "sourceAccount": OWN});
    let errors = compile_as(&access(&json!({"consumers": [lambda]})), Trust::Anything).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].0, "spec.access.consumers[0].service");
    assert!(errors[0].1.contains("name that as principalArn"), "{errors:?}");
}

#[test]
fn strangers_are_refused_at_their_fields_in_words_that_say_who_could_allow_them() {
    let foreign_topic = TOPIC.replace(OWN, STRANGER);
    let limits: AccessLimits = serde_json::from_value(json!({
        "principalAccounts": [FOREIGN], "services": ["sns.amazonaws.com", "s3.amazonaws.com"], "organizationIds": [ORGANIZATION],
    }))
    .unwrap();
    let class = Trust::Class { name: "prod", limits: Some(&limits) };
    let not_of = |name: &str| format!("{name} is not of account {OWN}, which this queue is in, nor of {FOREIGN}");
    let stranger = WORKER.replace(OWN, STRANGER);
    for (entry, field, rule) in [
        (json!({"principalArn": stranger}), ".principalArn", not_of(&stranger)),
        (json!({"accountId": STRANGER}), ".accountId", not_of(STRANGER)),
        (json!({"service": "sns.amazonaws.com", "sourceArn": foreign_topic}), ".sourceArn", not_of(&foreign_topic)),
        (json!({"service": "sns.amazonaws.com", "sourceAccount": STRANGER}), ".sourceAccount", not_of(STRANGER)),
        (
            json!({"service": "events.amazonaws.com", "sourceAccount": OWN}),
            ".service",
            "events.amazonaws.com is none of the services that may be allowed: sns.amazonaws.com, s3.amazonaws.com"
                .to_owned(),
        ),
        (
            json!({"organizationId": "o-zzzzzzzzzz"}),
            ".organizationId",
            format!("o-zzzzzzzzzz is none of the organizations that may be allowed: {ORGANIZATION}"),
        ),
    ] {
        let (path, words) = fault(&entry, class);
        assert_eq!((path.as_str(), words), (field, format!("{rule}; class \"prod\" does not allow it")));
    }
    let (path, words) = fault(&json!({"organizationId": ORGANIZATION}), Trust::OwnAccount);
    assert_eq!(path, ".organizationId");
    assert!(words.contains("none; an operator started with --allow-unsafe-statements accepts it"), "{words}");
}

#[test]
fn all_errors_of_all_entries_and_statements_come_at_once() {
    let service =
        json!({"service": "sns.amazonaws.com", "sourceArn": TOPIC.replace(OWN, FOREIGN), "sourceAccount": STRANGER});
    let spec = json!({
        "producers": [service, {"accountId": FOREIGN}],
        "consumers": [{}, {"principalArn": WORKER}, {"organizationId": ORGANIZATION}],
        "statements": [statement(&json!({"Principal": "*"}))],
    });
    let errors = compile_as(&access(&spec), Trust::OwnAccount).unwrap_err();
    let paths: Vec<&str> = errors.iter().map(|(path, _)| path.strip_prefix("spec.access.").unwrap()).collect();
    assert_eq!(
        paths,
        [
            "producers[0].sourceArn",
            "producers[0].sourceAccount",
            "producers[1].accountId",
            "consumers[0]",
            "consumers[2].organizationId",
            "statements[0].Principal",
        ]
    );
}

#[test]
fn the_fields_that_name_a_principal_are_kept() {
    let raw = statement(&json!({"Principal": {"AWS": [WORKER, OWN]}}));
    let spec = json!({
        "producers": [{"accountId": OWN}, {"principalArn": WORKER}], "consumers": [{"principalArn": WORKER}], "statements": [raw],
    });
    let named = compile_as(&access(&spec), Trust::OwnAccount).unwrap().named;
    assert_eq!(named.keys().collect::<Vec<_>>(), [WORKER]);
    let fields: Vec<&str> = named[WORKER].iter().map(String::as_str).collect();
    let expected =
        ["spec.access.consumers[0].principalArn", "spec.access.producers[1].principalArn", "spec.access.statements[0]"];
    assert_eq!(fields, expected);
}
