//! From `kubectl apply` to a message received.

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::json;

use crate::budget;
use crate::harness::{ACCOUNT, CLUSTER_NAME, REGION, aws, condition, shared};

#[test]
fn the_smallest_queue_becomes_a_queue_that_a_workload_can_use() {
    shared(async |scope| {
        let queue = scope.apply_ready("images", json!({})).await;

        let secret = scope.secret("images-queue").await;
        let (name, dead_letters) = (scope.queue("images"), scope.dead_letter_queue("images"));
        let keys: Vec<&str> = secret.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "DEAD_LETTER_QUEUE_ARN",
                "DEAD_LETTER_QUEUE_URL",
                "QUEUE_ARN",
                "QUEUE_NAME",
                "QUEUE_REGION",
                "QUEUE_TYPE",
                "QUEUE_URL"
            ]
        );
        assert_eq!(secret["QUEUE_NAME"], name);
        assert_eq!(secret["QUEUE_ARN"], aws::arn(&name));
        assert_eq!(secret["DEAD_LETTER_QUEUE_ARN"], aws::arn(&dead_letters));
        assert_eq!((secret["QUEUE_REGION"].as_str(), secret["QUEUE_TYPE"].as_str()), (REGION, "Standard"));

        let sqs = &scope.world.sqs;
        aws::send(sqs, &secret["QUEUE_URL"], "hello").await;
        assert_eq!(aws::consume(sqs, &secret["QUEUE_URL"]).await.as_deref(), Some("hello"));

        let status = queue.status.unwrap();
        assert_eq!(status.queue_url.as_ref(), Some(&secret["QUEUE_URL"]));
        assert_eq!(status.dead_letter.unwrap().queue_url.as_ref(), Some(&secret["DEAD_LETTER_QUEUE_URL"]));
        let target = status.target.unwrap();
        assert_eq!((target.account_id.as_str(), target.region.as_str()), (ACCOUNT, REGION));
        assert_eq!(target.queue_name, name);
    });
}

#[test]
fn every_attribute_is_as_aws_reports_it() {
    shared(async |scope| {
        let spec = json!({
            "visibilityTimeoutSeconds": 45,
            "messageRetentionSeconds": 7200,
            "receiveWaitTimeSeconds": 7,
            "delaySeconds": 3,
            "maximumMessageSizeBytes": 4096,
            "deadLetter": {"maxReceiveCount": 9, "managed": {"messageRetentionSeconds": 8000}},
            "tags": {"team": "media"},
        });
        let queue = scope.apply_ready("all", spec).await;
        let (name, dead_letters) = (scope.queue("all"), scope.dead_letter_queue("all"));
        let of_source = [
            ("VisibilityTimeout", "45"),
            ("MessageRetentionPeriod", "7200"),
            ("ReceiveMessageWaitTimeSeconds", "7"),
            ("DelaySeconds", "3"),
            ("MaximumMessageSize", "4096"),
        ];
        // A dead-letter queue has settings of its own.
        let of_dead_letters = [
            ("VisibilityTimeout", "300"),
            ("MessageRetentionPeriod", "8000"),
            ("ReceiveMessageWaitTimeSeconds", "20"),
            ("DelaySeconds", "0"),
            ("MaximumMessageSize", "1048576"),
        ];
        for (queue, wanted) in [(&name, of_source), (&dead_letters, of_dead_letters)] {
            let read = scope.attributes(queue).await;
            for (attribute, value) in wanted.iter().chain(&[("SqsManagedSseEnabled", "true")]) {
                assert_eq!(read.get(*attribute).map(String::as_str), Some(*value), "{attribute} of {queue}");
            }
            assert!(read["Policy"].contains("aws:SecureTransport"), "plain HTTP is refused: {}", read["Policy"]);
        }
        let effective = queue.status.unwrap().effective.unwrap();
        assert_eq!((effective.visibility_timeout_seconds, effective.delay_seconds), (45, 3));
        assert_eq!(effective.dead_letter.message_retention_seconds, Some(8000));
    });
}

#[test]
fn owner_tags_say_whose_the_queue_is() {
    shared(async |scope| {
        scope.apply_ready("images", json!({"tags": {"team": "media"}})).await;
        for queue in [scope.queue("images"), scope.dead_letter_queue("images")] {
            let tags = aws::tags(&scope.world.sqs, &queue).await;
            let tag = |key: &str| tags.get(key).map(String::as_str);
            assert_eq!(tag("team"), Some("media"));
            assert_eq!(tag("queue.prism.io/cluster"), Some(CLUSTER_NAME));
            assert_eq!(tag("queue.prism.io/namespace"), Some(scope.name.as_str()));
            assert_eq!(tag("queue.prism.io/name"), Some("images"));
            assert_eq!(tag("queue.prism.io/origin"), Some("created"));
            assert!(tag("queue.prism.io/cluster-uid").is_some_and(|uid| !uid.is_empty()));
        }
    });
}

#[test]
fn a_fifo_queue_with_high_throughput_keeps_the_order_within_a_group() {
    shared(async |scope| {
        let fifo = json!({
            "contentBasedDeduplication": true,
            "deduplicationScope": "MessageGroup",
            "throughputLimit": "PerMessageGroupId",
        });
        scope.apply_ready("orders", json!({"type": "FIFO", "fifo": fifo})).await;
        let secret = scope.secret("orders-queue").await;
        assert_eq!(secret["QUEUE_NAME"], format!("{}.fifo", scope.queue("orders")));
        assert_eq!(secret["QUEUE_TYPE"], "FIFO");
        assert!(secret["DEAD_LETTER_QUEUE_URL"].ends_with("_dlq.fifo"), "{secret:?}");
        let read = scope.attributes(&secret["QUEUE_NAME"]).await;
        assert_eq!(read["ContentBasedDeduplication"], "true");
        assert_eq!(read["DeduplicationScope"], "messageGroup");
        assert_eq!(read["FifoThroughputLimit"], "perMessageGroupId");

        let (sqs, url) = (&scope.world.sqs, &secret["QUEUE_URL"]);
        for body in ["first", "second"] {
            sqs.send_message().queue_url(url).message_group_id("one").message_body(body).send().await.unwrap();
        }
        assert_eq!(aws::consume(sqs, url).await.as_deref(), Some("first"));
        assert_eq!(aws::consume(sqs, url).await.as_deref(), Some("second"));
    });
}

#[test]
fn encryption_switches_between_its_modes_in_one_call() {
    shared(async |scope| {
        let kms = json!({"mode": "KMS", "kms": {"key": "alias/aws/sqs", "dataKeyReuseSeconds": 600}});
        scope.apply_ready("secret", json!({"encryption": kms, "deadLetter": {"mode": "None"}})).await;
        let name = scope.queue("secret");
        let read = scope.attributes(&name).await;
        assert_eq!(
            (read["KmsMasterKeyId"].as_str(), read["KmsDataKeyReusePeriodSeconds"].as_str()),
            ("alias/aws/sqs", "600")
        );

        let mark = scope.world.proxy.mark();
        scope
            .apply_ready("secret", json!({"encryption": {"mode": "SQSManaged"}, "deadLetter": {"mode": "None"}}))
            .await;
        let read = scope.attributes(&name).await;
        assert_eq!(read.get("KmsMasterKeyId").map_or("", String::as_str), "");
        assert_eq!(read["SqsManagedSseEnabled"], "true");
        let calls = scope.world.proxy.since(mark).into_iter();
        let writes: Vec<_> =
            calls.filter(|c| c.action == "SetQueueAttributes" && c.queue.as_ref() == Some(&name)).collect();
        assert_eq!(writes.len(), 1, "{writes:#?}");
    });
}

#[test]
fn statements_become_part_of_the_queue_policy() {
    shared(async |scope| {
        let statement = json!({
            "Sid": "Topic",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:eu-central-1:300000000001:images"}},
        });
        scope.apply_ready("images", json!({"access": {"statements": [statement]}})).await;
        let name = scope.queue("images");
        let policy: serde_json::Value = serde_json::from_str(&scope.attributes(&name).await["Policy"]).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let topic = statements.iter().find(|statement| statement["Sid"] == "Topic").expect("the statement is there");
        assert!(topic["Resource"].to_string().contains(&aws::arn(&name)), "Resource defaults to this queue: {topic}");
        assert_eq!(statements.len(), 2, "beside it, the refusal of plain HTTP: {policy}");
    });
}

#[test]
fn outputs_are_written_where_asked_and_removed_when_turned_off() {
    shared(async |scope| {
        let outputs = json!({
            "secret": {"name": "for-images", "keyPrefix": "IMAGES_"},
            "configMap": {"mode": "Enabled"},
            "binding": {"mode": "Enabled"},
        });
        let queue = scope.apply_ready("images", json!({"outputs": outputs})).await;
        let url = queue.status.as_ref().unwrap().queue_url.clone().unwrap();
        assert_eq!(scope.secret("for-images").await["IMAGES_QUEUE_URL"], url);
        let config_map = scope.config_maps.get("images-queue").await.unwrap();
        assert_eq!(config_map.data.unwrap()["QUEUE_URL"], url);
        let binding = scope.secrets.get("images-binding").await.unwrap();
        assert_eq!(binding.type_.as_deref(), Some("servicebinding.io/sqs"));
        let binding = scope.secret("images-binding").await;
        assert_eq!((binding["type"].as_str(), binding["uri"].as_str()), ("sqs", url.as_str()));
        assert_eq!(queue.status.unwrap().binding.unwrap().name, "images-binding");

        let off = json!({"mode": "Disabled"});
        let outputs = json!({"secret": off, "configMap": off, "binding": off});
        let queue = scope.apply_ready("images", json!({"outputs": outputs})).await;
        for name in ["for-images", "images-binding"] {
            assert!(scope.secrets.get_opt(name).await.unwrap().is_none(), "Secret {name} is removed");
        }
        assert!(scope.config_maps.get_opt("images-queue").await.unwrap().is_none(), "the ConfigMap is removed");
        assert!(queue.status.unwrap().binding.is_none());
    });
}

#[test]
fn a_change_that_could_destroy_messages_is_held_back_until_it_is_allowed_by_name() {
    shared(async |scope| {
        scope.apply_ready("work", json!({})).await;
        let (queue, url) = (scope.queue("work"), scope.secret("work-queue").await["QUEUE_URL"].clone());
        aws::send(&scope.world.sqs, &url, "kept").await;
        scope.apply("work", json!({"messageRetentionSeconds": 3600, "delaySeconds": 8})).await;
        let held = scope.says("work", "HeldBack").await;
        let message = &condition(&held, "Ready").unwrap().message;
        assert!(message.contains("queue.prism.io/allow-message-loss: messageRetentionSeconds=3600"), "{message}");
        let read = scope.attributes(&queue).await;
        assert_eq!(read["MessageRetentionPeriod"], "345600");
        assert_eq!(read["DelaySeconds"], "8", "everything else goes ahead");

        let allow = |change: &str| json!({"metadata": {"annotations": {"queue.prism.io/allow-message-loss": change}}});
        scope.patch("work", allow("messageRetentionSeconds=7200")).await;
        budget::look(scope, "work").await;
        assert_eq!(scope.attributes(&queue).await["MessageRetentionPeriod"], "345600", "another change was allowed");
        scope.patch("work", allow("messageRetentionSeconds=3600")).await;
        scope.ready("work").await;
        assert_eq!(scope.attributes(&queue).await["MessageRetentionPeriod"], "3600");
    });
}

#[test]
fn the_spec_is_never_rewritten() {
    shared(async |scope| {
        let spec = json!({"deadLetter": {"maxReceiveCount": 3}, "tags": {"team": "media"}});
        let applied = scope.apply("work", spec.clone()).await;
        scope.ready("work").await;
        budget::look(scope, "work").await;
        let seen = scope.get("work").await;
        assert_eq!(seen.spec, applied.spec);
        assert_eq!(seen.metadata.generation, Some(1));
        for fields in seen.metadata.managed_fields.unwrap_or_default() {
            let owned = fields.fields_v1.map(|fields| fields.0).unwrap_or_default();
            let is_ours = fields.manager.as_deref() == Some("prism-queue");
            assert!(!is_ours || owned.get("f:spec").is_none(), "the operator owns {owned}");
        }
        // An apply of the same finds nobody in its way.
        let again = scope.apply("work", spec).await;
        assert_eq!(again.metadata.generation, Some(1));
    });
}

#[test]
fn an_alias_and_the_key_that_it_means_are_the_same() {
    shared(async |scope| {
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(aws_sdk_kms::config::BehaviorVersion::latest())
            .region(aws_sdk_kms::config::Region::new(REGION))
            .credentials_provider(aws_sdk_kms::config::Credentials::new(ACCOUNT, "secret", None, None, "test"))
            .endpoint_url(scope.world.proxy.endpoint());
        let kms = aws_sdk_kms::Client::from_conf(config.build());
        let key = kms.create_key().send().await.unwrap().key_metadata.unwrap();
        let alias = format!("alias/{}", scope.name);
        kms.create_alias().alias_name(&alias).target_key_id(&key.key_id).send().await.unwrap();

        let spec =
            |key: &str| json!({"deadLetter": {"mode": "None"}, "encryption": {"mode": "KMS", "kms": {"key": key}}});
        scope.apply_ready("work", spec(&alias)).await;
        let writes = || scope.world.proxy.count("SetQueueAttributes", Some(&scope.queue("work")));
        for same in [key.key_id.as_str(), key.arn.as_deref().unwrap(), &alias] {
            let ready = scope.apply_ready("work", spec(same)).await;
            assert_eq!(ready.status.unwrap().effective.unwrap().encryption.key.as_deref(), Some(same));
        }
        assert_eq!(writes(), 0, "nothing is to be changed");
        let other = kms.create_key().send().await.unwrap().key_metadata.unwrap();
        scope.apply_ready("work", spec(&other.key_id)).await;
        assert_eq!(writes(), 1);
    });
}

#[test]
fn kubectl_get_shows_a_queue_in_a_row() {
    shared(async |scope| {
        scope.apply_ready("images", json!({})).await;
        let queue = scope.get("images").await;
        let path = format!("/apis/queue.prism.io/v1alpha1/namespaces/{}/queues/images", scope.name);
        let request = http::Request::get(path).header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
        let table: serde_json::Value = scope.world.kube.request(request.body(Vec::new()).unwrap()).await.unwrap();
        let names =
            table["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap());
        let cells = table["rows"][0]["cells"].as_array().unwrap().iter();
        let row: std::collections::BTreeMap<_, _> = names.zip(cells).collect();
        assert_eq!((row["Name"], row["Type"]), (&json!("images"), &json!("Standard")));
        assert_eq!((row["Ready"], row["Reason"]), (&json!("True"), &json!("Converged")));
        assert_eq!((row["Messages"], row["Dead Letters"]), (&json!(0), &json!(0)));
        assert_eq!(row["URL"], &json!(queue.status.unwrap().queue_url.unwrap()));
        assert!(row["Age"].as_str().is_some_and(|age| age.ends_with('s')), "{row:?}");
    });
}

#[test]
fn a_queue_made_anew_takes_over_the_secret_of_its_former_self() {
    shared(async |scope| {
        // As a slow garbage collector leaves it.
        let left: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": "work-queue",
                "labels": {"queue.prism.io/managed-by": "prism-queue"},
                "ownerReferences": [{
                    "apiVersion": "queue.prism.io/v1alpha1", "kind": "Queue", "name": "work", "controller": true,
                    "uid": "00000000-0000-4000-8000-000000000000",
                }],
            },
            "stringData": {"QUEUE_URL": "https://old", "OLD": "1"},
        }))
        .unwrap();
        scope.secrets.create(&PostParams::default(), &left).await.unwrap();
        scope.apply_ready("work", json!({})).await;
        let content = scope.secret("work-queue").await;
        assert!(content["QUEUE_URL"].ends_with(&scope.queue("work")) && !content.contains_key("OLD"), "{content:?}");
        let told = scope.events("work").await;
        assert!(told.iter().all(|(reason, _)| reason != "OutputConflict"), "{told:?}");
    });
}
