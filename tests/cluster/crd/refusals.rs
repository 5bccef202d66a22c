//! Every bad Queue that the API server can see to be bad is refused at once, with the field's path and the rule.

use kube::api::PostParams;
use prism_queue::api::Queue;
use serde_json::{Value, json};

use super::assert_refused;
use crate::harness::{Scope, unattended};

/// Asks the API server whether it would take a Queue.
async fn dry_run(scope: &Scope, name: &str, spec: &Value) -> Result<(), Box<kube::core::Status>> {
    let api: kube::Api<kube::api::DynamicObject> =
        kube::Api::namespaced_with(scope.world.kube.clone(), &scope.name, &kube::api::ApiResource::erase::<Queue>(&()));
    let object = json!({
        "apiVersion": "queue.prism.io/v1alpha1", "kind": "Queue", "metadata": {"name": name}, "spec": spec,
    });
    let parameters = PostParams { dry_run: true, field_manager: None };
    match api.create(&parameters, &serde_json::from_value(object).unwrap()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

/// Fails unless each spec is refused at its field in these words.
fn refused(table: &[(Value, &str, &str)]) {
    unattended(async |scope| {
        for (spec, field, words) in table {
            let what = spec.to_string();
            let refusal = dry_run(scope, "bad", spec).await.expect_err(&what);
            assert_refused(&what, &refusal, field, words);
        }
    });
}

#[test]
fn good_extremes_are_taken() {
    unattended(async |scope| {
        let tags: serde_json::Map<_, _> = (0..40).map(|n| (format!("key-{n}"), json!("x".repeat(256)))).collect();
        let statement =
            json!({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"});
        let table = [
            json!({}),
            json!({"visibilityTimeoutSeconds": 0, "messageRetentionSeconds": 60, "receiveWaitTimeSeconds": 0,
                   "delaySeconds": 0, "maximumMessageSizeBytes": 1024, "deadLetter": {"maxReceiveCount": 1}}),
            json!({"visibilityTimeoutSeconds": 43200, "messageRetentionSeconds": 1_209_600, "receiveWaitTimeSeconds": 20,
                   "delaySeconds": 900, "maximumMessageSizeBytes": 1_048_576, "deadLetter": {"maxReceiveCount": 1000}}),
            json!({"queueName": "x".repeat(80)}),
            json!({"type": "FIFO", "queueName": format!("{}.fifo", "x".repeat(75))}),
            json!({"tags": tags}),
            json!({"tags": {"x".repeat(128): ""}}),
            json!({"access": {"statements": vec![statement; 20]}}),
            json!({"access": {"producers": longest(50), "consumers": longest(50)}}),
            json!({"access": {"producers": [
                {"principalArn": "arn:aws-cn:iam::123456789012:user/path/to/alice+queues@example.com"},
                {"accountId": "123456789012"},
                {"organizationId": "o-a1b2c3d4e5"},
                {"vpcEndpointId": "vpce-0a1b2c3d4e5f60718"},
                {"organizationId": "o-a1b2c3d4e5", "vpcEndpointId": "vpce-0a1b2c3d"},
                {"service": "sns.amazonaws.com", "sourceArn": "arn:aws:sns:eu-central-1:123456789012:*"},
                {"service": "s3.amazonaws.com", "sourceArn": "arn:aws:s3:::media-*", "sourceAccount": "123456789012"},
                {"service": "events.amazonaws.com", "sourceAccount": "123456789012"},
            ]}}),
            json!({"redriveAllow": {"sourceQueueArns": vec!["arn:aws-cn:sqs:cn-north-1:123456789012:orders.fifo"; 10]}}),
            json!({"encryption": {"mode": "KMS", "kms": {"key": "arn:aws:kms:eu-central-1:123456789012:key/0b7d6f3a-9f5e"}}}),
            json!({"iam": {"policies": ["Redrive", "Inspect", "Consume", "Send"]}}),
            json!({"iam": {"policies": []}, "deadLetter": {"mode": "None"}}),
            json!({"iam": {"policies": ["Send", "Consume"]}, "deadLetter": {"mode": "None"}}),
        ];
        for spec in &table {
            dry_run(scope, "good", spec).await.unwrap_or_else(|refusal| panic!("{spec}: {}", refusal.message));
        }
        dry_run(scope, &"x".repeat(63), &json!({})).await.unwrap();
    });
}

/// Entries as long as they can be.
fn longest(count: usize) -> Value {
    let role = "r".repeat(1024 - "arn:aws:iam::123456789012:role/".len());
    let entry = json!({"principalArn": format!("arn:aws:iam::123456789012:role/{role}"), "vpcEndpointId": "vpce-0a1b2c3d4e5f60718"});
    vec![entry; count].into()
}

#[test]
fn numbers_out_of_range_are_refused() {
    let ranges: [(&str, i64, i64); 8] = [
        ("visibilityTimeoutSeconds", 0, 43200),
        ("messageRetentionSeconds", 60, 1_209_600),
        ("receiveWaitTimeSeconds", 0, 20),
        ("delaySeconds", 0, 900),
        ("maximumMessageSizeBytes", 1024, 1_048_576),
        ("deadLetter.maxReceiveCount", 1, 1000),
        ("deadLetter.managed.messageRetentionSeconds", 60, 1_209_600),
        ("encryption.kms.dataKeyReuseSeconds", 60, 86400),
    ];
    let mut table = Vec::new();
    let paths: Vec<String> = ranges.iter().map(|(path, ..)| format!("spec.{path}")).collect();
    let words: Vec<[String; 2]> = ranges
        .iter()
        .map(|(_, min, max)| [format!("greater than or equal to {min}"), format!("less than or equal to {max}")])
        .collect();
    for (((path, min, max), field), words) in ranges.iter().zip(&paths).zip(&words) {
        for (value, words) in [min - 1, max + 1].into_iter().zip(words) {
            let spec = path.rsplit('.').fold(json!(value), |inner, name| json!({name: inner}));
            table.push((spec, field.as_str(), words.as_str()));
        }
    }
    refused(&table);
}

#[test]
fn words_that_are_no_choice_are_refused() {
    let choices = [
        ("type", "\"Standard\", \"FIFO\""),
        ("fifo.deduplicationScope", "\"Queue\", \"MessageGroup\""),
        ("fifo.throughputLimit", "\"PerQueue\", \"PerMessageGroupId\""),
        ("deadLetter.mode", "\"Managed\", \"Reference\", \"None\""),
        ("redriveAllow.mode", "\"Auto\", \"AllowAll\", \"DenyAll\", \"ByQueue\""),
        ("encryption.mode", "\"SQSManaged\", \"KMS\", \"None\""),
        ("outputs.secret.mode", "\"Enabled\", \"Disabled\""),
        ("outputs.configMap.mode", "\"Enabled\", \"Disabled\""),
        ("outputs.binding.mode", "\"Enabled\", \"Disabled\""),
        ("adoptionPolicy", "\"Never\", \"Adopt\""),
        ("managementPolicy", "\"Manage\", \"Observe\""),
        ("deletionPolicy", "\"DeleteIfEmpty\", \"Delete\", \"Retain\""),
    ];
    let paths: Vec<String> = choices.iter().map(|(path, _)| format!("spec.{path}")).collect();
    let table: Vec<_> = choices
        .iter()
        .zip(&paths)
        .map(|((path, words), field)| {
            (path.rsplit('.').fold(json!("Sometimes"), |inner, name| json!({name: inner})), field.as_str(), *words)
        })
        .collect();
    refused(&table);
}

#[test]
fn names_that_aws_or_kubernetes_would_not_take_are_refused() {
    let too_long = "x".repeat(81);
    refused(&[
        (json!({"queueClassName": ""}), "spec.queueClassName", "at least 1 char"),
        (json!({"queueClassName": "(operator flags)"}), "spec.queueClassName", "should match"),
        (json!({"queueName": ""}), "spec.queueName", "should match"),
        (json!({"queueName": "with space"}), "spec.queueName", "should match"),
        (json!({"queueName": "dots.inside"}), "spec.queueName", "should match"),
        (json!({"queueName": too_long}), "spec.queueName", "may not be more than 80"),
        (json!({"queueName": "orders.fifo"}), "spec.queueName", "must end in .fifo with type FIFO"),
        (json!({"type": "FIFO", "queueName": "orders"}), "spec.queueName", "must end in .fifo with type FIFO"),
        (
            json!({"deadLetter": {"managed": {"queueName": "dots.inside"}}}),
            "spec.deadLetter.managed.queueName",
            "should match",
        ),
        (
            json!({"deadLetter": {"managed": {"queueName": too_long}}}),
            "spec.deadLetter.managed.queueName",
            "may not be more than 80",
        ),
        (
            json!({"deadLetter": {"managed": {"queueName": "dead.fifo"}}}),
            "spec.deadLetter.managed.queueName",
            "same type as its source",
        ),
        (
            json!({"queueName": "one", "deadLetter": {"managed": {"queueName": "one"}}}),
            "spec.deadLetter.managed.queueName",
            "needs a name of its own",
        ),
        (json!({"outputs": {"secret": {"name": "Upper"}}}), "spec.outputs.secret.name", "should match"),
        (json!({"outputs": {"configMap": {"name": "-x"}}}), "spec.outputs.configMap.name", "should match"),
        (
            json!({"outputs": {"secret": {"name": "x".repeat(254)}}}),
            "spec.outputs.secret.name",
            "may not be more than 253",
        ),
        (
            json!({"outputs": {"secret": {"name": "bad-binding"}, "binding": {"mode": "Enabled"}}}),
            "spec.outputs.secret.name",
            "choose another",
        ),
        (json!({"outputs": {"secret": {"keyPrefix": "AWS_"}}}), "spec.outputs.secret.keyPrefix", "AWS_"),
        (json!({"outputs": {"configMap": {"keyPrefix": "AWS_X"}}}), "spec.outputs.configMap.keyPrefix", "AWS_"),
        (json!({"outputs": {"secret": {"keyPrefix": "1-"}}}), "spec.outputs.secret.keyPrefix", "should match"),
        (
            json!({"outputs": {"secret": {"keyPrefix": "X".repeat(65)}}}),
            "spec.outputs.secret.keyPrefix",
            "may not be more than 64",
        ),
    ]);
}

#[test]
fn a_queue_whose_name_is_no_dns_label_is_refused() {
    unattended(async |scope| {
        for name in ["with.dot", &"x".repeat(64)] {
            let refusal = dry_run(scope, name, &json!({})).await.expect_err(name);
            assert!(refusal.message.contains("metadata.name: must be a DNS label"), "{}", refusal.message);
        }
    });
}

#[test]
fn fields_that_contradict_each_other_are_refused() {
    let arn = "arn:aws:sqs:eu-central-1:123456789012:dead";
    let reference = |reference: Value| json!({"deadLetter": {"mode": "Reference", "reference": reference}});
    refused(&[
        (json!({"fifo": {"contentBasedDeduplication": true}}), "spec.fifo", "only with type FIFO"),
        (
            json!({"deadLetter": {"mode": "None"}, "iam": {"policies": ["Send", "Redrive"]}}),
            "spec.iam.policies",
            "Inspect and Redrive are about the dead-letter queue",
        ),
        (json!({"iam": {"policies": ["Send", "Consume", "Send"]}}), "spec.iam.policies[2]", "Duplicate value"),
        (
            json!({"iam": {"policies": ["Purge"]}}),
            "spec.iam.policies[0]",
            "\"Send\", \"Consume\", \"Inspect\", \"Redrive\"",
        ),
        (
            json!({"type": "FIFO", "fifo": {"throughputLimit": "PerMessageGroupId", "deduplicationScope": "Queue"}}),
            "spec.fifo.throughputLimit",
            "needs deduplicationScope MessageGroup",
        ),
        (
            json!({"deadLetter": {"reference": {"queueRef": {"name": "x"}}}}),
            "spec.deadLetter.reference",
            "only with mode Reference",
        ),
        (json!({"deadLetter": {"mode": "Reference"}}), "spec.deadLetter.reference", "mode Reference needs reference"),
        (json!({"deadLetter": {"mode": "None", "managed": {}}}), "spec.deadLetter.managed", "only with mode Managed"),
        (
            json!({"deadLetter": {"mode": "None", "maxReceiveCount": 3}}),
            "spec.deadLetter.maxReceiveCount",
            "no meaning with mode None",
        ),
        (reference(json!({})), "spec.deadLetter.reference", "exactly one of queueRef and queueArn"),
        (
            reference(json!({"queueRef": {"name": "x"}, "queueArn": arn})),
            "spec.deadLetter.reference",
            "exactly one of queueRef and queueArn",
        ),
        (reference(json!({"queueRef": {"name": ""}})), "spec.deadLetter.reference.queueRef.name", "at least 1 char"),
        (
            reference(json!({"queueRef": {"name": "x".repeat(64)}})),
            "spec.deadLetter.reference.queueRef.name",
            "may not be more than 63",
        ),
        (reference(json!({"queueRef": {}})), "spec.deadLetter.reference.queueRef.name", "Required"),
        (reference(json!({"queueArn": "dead"})), "spec.deadLetter.reference.queueArn", "should match"),
        (
            reference(json!({"queueArn": format!("{arn}.fifo")})),
            "spec.deadLetter.reference.queueArn",
            "same type as its source",
        ),
        (
            json!({"redriveAllow": {"mode": "AllowAll", "sourceQueueArns": [arn]}}),
            "spec.redriveAllow.sourceQueueArns",
            "only with mode Auto or ByQueue",
        ),
        (json!({"redriveAllow": {"mode": "ByQueue"}}), "spec.redriveAllow.sourceQueueArns", "needs at least one ARN"),
        (
            json!({"redriveAllow": {"sourceQueueArns": ["dead"]}}),
            "spec.redriveAllow.sourceQueueArns[0]",
            "should match",
        ),
        (
            json!({"redriveAllow": {"sourceQueueArns": vec![arn; 11]}}),
            "spec.redriveAllow.sourceQueueArns",
            "must have at most 10 items",
        ),
        (
            json!({"encryption": {"mode": "None", "kms": {"key": "alias/x"}}}),
            "spec.encryption.kms",
            "only with mode KMS",
        ),
        (json!({"encryption": {"mode": "KMS", "kms": {"key": "no key!"}}}), "spec.encryption.kms.key", "should match"),
        (json!({"encryption": {"mode": "KMS", "kms": {"key": ""}}}), "spec.encryption.kms.key", "at least 1 char"),
        (json!({"access": {"statements": vec![json!({}); 21]}}), "spec.access.statements", "at most 20 items"),
        (json!({"access": {"statements": ["text"]}}), "spec.access.statements[0]", "must be of type object"),
        (json!({"access": {"producers": longest(51)}}), "spec.access.producers", "at most 50 items"),
        (json!({"access": {"consumers": longest(51)}}), "spec.access.consumers", "at most 50 items"),
    ]);
}

#[test]
fn entries_that_let_in_nobody_several_or_anybody_are_refused() {
    let own = "123456789012";
    let topic = "arn:aws:sns:eu-central-1:123456789012:topic";
    let role = "arn:aws:iam::123456789012:role/worker";
    let sns = "sns.amazonaws.com";
    let entries = [
        (json!({}), "", "names nobody; set principalArn"),
        (json!({"principalArn": role, "accountId": own}), "", "names several; an entry lets in exactly one"),
        (json!({"service": sns, "sourceAccount": own, "organizationId": "o-a1b2c3d4e5"}), "", "names several"),
        (json!({"service": sns}), ".service", "acts for whoever asks it to; say for whom"),
        (
            json!({"service": sns, "sourceAccount": own, "vpcEndpointId": "vpce-0a1b2c3d"}),
            ".vpcEndpointId",
            "does not come through",
        ),
        (json!({"principalArn": role, "sourceArn": topic}), ".sourceArn", "is only for a service"),
        (json!({"accountId": own, "sourceAccount": own}), ".sourceAccount", "is only for a service"),
        (json!({"service": "s3.amazonaws.com", "sourceArn": "arn:aws:s3:::bucket"}), ".sourceArn", "add sourceAccount"),
        (json!({"service": sns, "sourceArn": "arn:aws:sns:*:123456789012:topic"}), ".sourceArn", "should match"),
        (
            json!({"service": sns, "sourceArn": "arn:aws:sns:eu-central-1:12345678901?:topic"}),
            ".sourceArn",
            "should match",
        ),
        (
            json!({"service": sns, "sourceArn": format!("{topic}-${{aws:username}}")}),
            ".sourceArn",
            "takes no policy variable",
        ),
        (json!({"service": sns, "sourceArn": format!("{topic}{}", "x".repeat(1024))}), ".sourceArn", "more than 1024"),
        (json!({"service": sns, "sourceAccount": "1234"}), ".sourceAccount", "should match"),
        (json!({"service": "sns", "sourceAccount": own}), ".service", "should match"),
        (json!({"accountId": "*"}), ".accountId", "should match"),
        (json!({"principalArn": "*"}), ".principalArn", "should match"),
        (json!({"principalArn": format!("{role}*")}), ".principalArn", "should match"),
        (json!({"principalArn": "arn:aws:iam::123456789012:root"}), ".principalArn", "should match"),
        (json!({"principalArn": "arn:aws:iam::123456789012:group/all"}), ".principalArn", "should match"),
        (json!({"principalArn": "arn:aws:sts::123456789012:assumed-role/a/b"}), ".principalArn", "should match"),
        (json!({"organizationId": "*"}), ".organizationId", "should match"),
        (json!({"vpcEndpointId": "vpc-0a1b2c3d"}), ".vpcEndpointId", "should match"),
    ];
    let fields: Vec<String> = entries.iter().map(|(_, field, _)| format!("spec.access.producers[1]{field}")).collect();
    let mut table: Vec<_> = entries
        .iter()
        .zip(&fields)
        .map(|((entry, _, words), field)| {
            (json!({"access": {"producers": [{"accountId": own}, entry]}}), field.as_str(), *words)
        })
        .collect();
    let lambda = json!({"service": "lambda.amazonaws.com", "sourceAccount": own});
    table.push((json!({"access": {"consumers": [lambda]}}), "spec.access.consumers", "name that as principalArn"));
    refused(&table);
}

#[test]
fn tags_that_aws_would_not_take_or_that_are_ours_are_refused() {
    let tags = |key: &str, value: &str| json!({"tags": {key: value}});
    let many: serde_json::Map<_, _> = (0..41).map(|n| (format!("key-{n}"), json!("x"))).collect();
    let long_value = json!({"tags": {"key": "x".repeat(257)}});
    refused(&[
        (tags("", "x"), "spec.tags", "1 to 128 characters"),
        (tags(&"x".repeat(129), "x"), "spec.tags", "1 to 128 characters"),
        (long_value, "spec.tags.key", "may not be more than 256"),
        (tags("queue.prism.io/cluster", "x"), "spec.tags", "reserved for the operator"),
        (tags("aws:x", "x"), "spec.tags", "reserved by AWS"),
        (tags("AWS:x", "x"), "spec.tags", "reserved by AWS"),
        (tags("semi;colon", "x"), "spec.tags", "letters, digits, spaces"),
        (tags("key", "semi;colon"), "spec.tags", "letters, digits, spaces"),
        (json!({"tags": many}), "spec.tags", "at most 40 items"),
    ]);
}

#[test]
fn fields_that_do_not_exist_are_refused() {
    unattended(async |scope| {
        let paths = [
            "visibilityTimeout",
            "deadLetter.managed.fifo",
            // What a later version may know: until then nobody may think that it has an effect.
            "className",
            "alarms",
        ];
        for path in paths {
            let spec = path.rsplit('.').fold(json!({}), |inner, name| json!({name: inner}));
            let refusal = scope.try_apply("bad", spec).await.expect_err(path);
            let words = format!(".spec.{path}: field not declared in schema");
            assert!(refusal.message.contains(&words), "{}", refusal.message);
        }
    });
}
