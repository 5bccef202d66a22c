//! What a class does not allow.

use prism_queue::api::QueueSpec;
use prism_queue::api::class::ClassLimits;
use prism_queue::domain::class::Limits;
use prism_queue::domain::policy::{StatementContext, compile_access};
use serde_json::{Value, json};

use super::{LIMITS, dry_run, label, name_of, near, policies, refused, taken, under};
use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, Scope, condition, shared, unattended};

/// A limit of each sort, all of which the built-in defaults keep.
fn strict() -> Value {
    json!({
        "types": ["Standard"],
        "visibilityTimeoutSeconds": {"max": 300},
        "messageRetentionSeconds": {"min": 3600, "max": 345_600},
        "receiveWaitTimeSeconds": {"min": 5},
        "delaySeconds": {"max": 0},
        "maximumMessageSizeBytes": {"min": 2048},
        "deadLetter": {"modes": ["Managed", "Reference"], "maxReceiveCount": {"min": 2, "max": 20}},
        "encryption": {"modes": ["SQSManaged", "KMS"], "kms": {"keys": ["alias/queues", "alias/more"]}},
        "access": {"requireTLS": true},
        "iam": {"policies": ["Send"]},
        "deletionPolicies": ["DeleteIfEmpty", "Retain"],
        "requiredTags": ["team", "owner"],
        "queueNamePattern": "{namespace}-[a-z]+",
    })
}

/// A spec that is allowed, but for these changes.
fn spec(class: &str, changes: &Value) -> Value {
    let mut spec = json!({"queueClassName": class, "tags": {"team": "media", "owner": "me"}});
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    spec
}

/// What the operator has against a spec of a class with these limits and without defaults.
fn words_of_the_operator(scope: &Scope, class: &str, limits: &Value, spec: &Value) -> String {
    let limits: ClassLimits = serde_json::from_value(limits.clone()).unwrap();
    let limits = Limits::Class { name: class.to_owned(), limits: Box::new(limits) };
    let spec: QueueSpec = serde_json::from_value(spec.clone()).unwrap();
    let tags = spec.tags.clone().unwrap_or_default();
    let context = StatementContext {
        queue_arn: &format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:work"),
        account_id: ACCOUNT,
        caller_arn: &format!("arn:aws:iam::{ACCOUNT}:user/operator"),
        trust: limits.trust(),
    };
    let mut errors = limits.check(&spec, &tags, &scope.name);
    errors.extend(compile_access(&spec.access.unwrap_or_default(), true, None, &context).err().unwrap_or_default());
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn each_limit_is_refused_by_its_path_in_the_operators_words() {
    unattended(async |scope| {
        let class = scope.class("strict", json!({"aws": near(), "limits": strict()})).await;
        let (name, inside) = (format!("{}-images", scope.name), format!("x{}-images", scope.name));
        let wrong = [
            ("spec.type: FIFO", json!({"type": "FIFO"})),
            ("spec.visibilityTimeoutSeconds: 301", json!({"visibilityTimeoutSeconds": 301})),
            ("spec.messageRetentionSeconds: 3599", json!({"messageRetentionSeconds": 3599})),
            ("spec.messageRetentionSeconds: 345601", json!({"messageRetentionSeconds": 345_601})),
            ("spec.receiveWaitTimeSeconds: 4", json!({"receiveWaitTimeSeconds": 4})),
            ("spec.delaySeconds: 1", json!({"delaySeconds": 1})),
            ("spec.maximumMessageSizeBytes: 2047", json!({"maximumMessageSizeBytes": 2047})),
            ("spec.deadLetter.maxReceiveCount: 1 ", json!({"deadLetter": {"maxReceiveCount": 1}})),
            ("spec.deadLetter.maxReceiveCount: 21", json!({"deadLetter": {"maxReceiveCount": 21}})),
            ("spec.deadLetter.mode: None", json!({"deadLetter": {"mode": "None"}})),
            ("spec.encryption.mode: None", json!({"encryption": {"mode": "None"}})),
            (
                "spec.encryption.kms.key: arn:aws:kms:eu-west-1:123456789012:alias/queues",
                json!({"encryption": {"mode": "KMS", "kms": {"key": "arn:aws:kms:eu-west-1:123456789012:alias/queues"}}}),
            ),
            ("spec.access.requireTLS: false", json!({"access": {"requireTLS": false}})),
            ("spec.deletionPolicy: Delete ", json!({"deletionPolicy": "Delete"})),
            ("spec.iam.policies: Redrive", json!({"iam": {"policies": ["Send", "Redrive"]}})),
            ("spec.adoptionPolicy: Adopt", json!({"adoptionPolicy": "Adopt"})),
            ("spec.queueName: \"images\"", json!({"queueName": "images"})),
            ("spec.queueName", json!({"queueName": inside})),
            ("spec.deadLetter.managed.queueName", json!({"deadLetter": {"managed": {"queueName": "images"}}})),
            ("spec.tags: class", json!({"tags": {"team": "media"}})),
            ("the tag \"team\"", json!({"tags": {}})),
        ];
        under(LIMITS, scope, async || {
            for (words, changes) in &wrong {
                let spec = spec(&class, changes);
                let refusal = refused(scope, "work", &spec, words).await;
                assert_eq!(refusal, words_of_the_operator(scope, &class, &strict(), &spec));
            }
            let mut all = spec(&class, &json!({}));
            for (_, changes) in &wrong[1..] {
                all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            }
            let refusal = refused(scope, "work", &all, "spec.deletionPolicy").await;
            assert_eq!(refusal, words_of_the_operator(scope, &class, &strict(), &all), "all at once");

            let to_the_limit = json!({
                "queueName": name, "visibilityTimeoutSeconds": 300, "messageRetentionSeconds": 3600, "receiveWaitTimeSeconds": 5,
                "delaySeconds": 0, "maximumMessageSizeBytes": 2048,
                "deadLetter": {"mode": "Managed", "maxReceiveCount": 2, "managed": {"queueName": format!("{name}s")}},
                "encryption": {"mode": "KMS", "kms": {"key": "alias/more"}}, "access": {"requireTLS": true},
                "deletionPolicy": "Retain", "adoptionPolicy": "Never",
            });
            taken(scope, "work", &spec(&class, &to_the_limit)).await;
            taken(scope, "work", &spec(&class, &json!({}))).await;
        })
        .await;
    });
}

#[test]
fn a_class_without_limits_refuses_custom_names_and_adoption() {
    unattended(async |scope| {
        let class = scope.class("plain", json!({"aws": near()})).await;
        under(LIMITS, scope, async || {
            for (words, changes) in [
                ("spec.queueName", json!({"queueName": "images"})),
                ("spec.adoptionPolicy", json!({"adoptionPolicy": "Adopt"})),
            ] {
                let spec = spec(&class, &changes);
                let refusal = refused(scope, "work", &spec, words).await;
                assert_eq!(refusal, words_of_the_operator(scope, &class, &json!({}), &spec));
            }
            taken(scope, "work", &spec(&class, &json!({"type": "FIFO", "deletionPolicy": "Delete"}))).await;
        })
        .await;
    });
}

#[test]
fn a_required_tag_may_come_from_the_queue_the_class_or_the_namespace() {
    unattended(async |scope| {
        label(scope, json!({"team": "media"})).await;
        let class = scope
            .class(
                "tags",
                json!({
                    "aws": near(), "tags": {"cost": "42"}, "tagsFromNamespaceLabels": {"unit": "team", "stage": "stage"},
                    "limits": {"requiredTags": ["cost", "unit", "stage", "owner"]},
                }),
            )
            .await;
        under(LIMITS, scope, async || {
            let wants =
                |tag: &str| format!("spec.tags: class {class:?} wants every queue to have the tag {tag:?}; set it");
            let refusal = refused(scope, "work", &json!({"queueClassName": class}), "owner").await;
            assert_eq!(refusal, format!("{}; {}", wants("stage"), wants("owner")));
            let own = json!({"queueClassName": class, "tags": {"owner": "me"}});
            assert_eq!(refused(scope, "work", &own, "stage").await, wants("stage"));
            let empty = json!({"queueClassName": class, "tags": {"owner": ""}});
            assert_eq!(refused(scope, "work", &empty, "owner").await, refusal);
            // The label comes, and with it the tag.
            label(scope, json!({"stage": "prod"})).await;
            let answer = async || dry_run(scope, "work", &own).await;
            eventually("the tag is there", answer, Result::is_ok).await.unwrap();
        })
        .await;
    });
}

#[test]
fn whom_a_class_does_not_let_in_is_refused_by_its_path_in_the_operators_words() {
    unattended(async |scope| {
        let limits = json!({"access": {
            "principalAccounts": ["111122223333"], "services": ["sns.amazonaws.com", "s3.amazonaws.com"], "organizationIds": ["o-a1b2c3d4e5"],
        }});
        let strict = scope.class("strict", json!({"aws": near(), "limits": limits})).await;
        let (none, public) = (json!({"access": {"services": []}}), json!({"access": {"allowPublic": true}}));
        let closed = scope.class("closed", json!({"aws": near(), "limits": none})).await;
        let open = scope.class("open", json!({"aws": near(), "limits": public})).await;
        let plain = scope.class("plain", json!({"aws": near()})).await;
        let of = |class: &str, producers: &Value, consumers: &Value| json!({"queueClassName": class, "access": {"producers": producers, "consumers": consumers}});
        let foreign = "222233334444";
        let role = |account: &str| json!({"principalArn": format!("arn:aws:iam::{account}:role/worker")});
        let source = |account: &str| json!({"service": "sns.amazonaws.com", "sourceArn": format!("arn:aws:sns:eu-west-1:{account}:topic")});
        let bucket = |account: &str| json!({"service": "s3.amazonaws.com", "sourceArn": "arn:aws:s3:::bucket", "sourceAccount": account});
        let events = json!({"service": "events.amazonaws.com", "sourceAccount": ACCOUNT});
        let organization = |id: &str| json!({"organizationId": id});
        let good = |account: &str| json!([role(account), {"accountId": account}, {"vpcEndpointId": "vpce-0a1b2c3d"}]);
        under(LIMITS, scope, async || {
            for (words, entry) in [
                ("principalArn: arn:aws:iam::222233334444:role/worker is not of account", role(foreign)),
                ("accountId: 222233334444 is not of account", json!({"accountId": foreign})),
                ("sourceArn: arn:aws:sns:eu-west-1:222233334444:topic is not", source(foreign)),
                ("sourceAccount: 222233334444 is not", bucket(foreign)),
                ("service: events.amazonaws.com is none of the services", events.clone()),
                ("organizationId: o-zzzzzzzzzz is none of the organizations", organization("o-zzzzzzzzzz")),
            ] {
                let spec = of(&strict, &json!([role(ACCOUNT), entry]), &json!([]));
                let refusal = refused(scope, "work", &spec, &format!("spec.access.producers[1].{words}")).await;
                assert_eq!(refusal, words_of_the_operator(scope, &strict, &limits, &spec));
            }
            let many = json!([bucket(foreign), role("111122223333"), {"service": "x.amazonaws.com", "sourceAccount": foreign}]);
            let all = of(&strict, &many, &json!([organization("o-zzzzzzzzzz"), {"accountId": foreign}]));
            let refusal = refused(scope, "work", &all, "spec.access.consumers[1].accountId").await;
            assert_eq!(refusal, words_of_the_operator(scope, &strict, &limits, &all), "all at once");
            let all = of(&closed, &json!([bucket(ACCOUNT), organization("o-a1b2c3d4e5")]), &good(foreign));
            let refusal = refused(scope, "work", &all, "may be allowed: none").await;
            assert_eq!(refusal, words_of_the_operator(scope, &closed, &none, &all));

            for account in [ACCOUNT, "111122223333"] {
                let producers = json!([source(account), bucket(account), organization("o-a1b2c3d4e5")]);
                taken(scope, "work", &of(&strict, &producers, &good(account))).await;
            }
            taken(scope, "work", &of(&plain, &json!([events, bucket(ACCOUNT)]), &good(ACCOUNT))).await;
            taken(scope, "work", &of(&open, &json!([organization("o-zzzzzzzzzz")]), &good(ACCOUNT))).await;
        })
        .await;
    });
}

/// The API server bounds what rules may cost, and a policy that costs more says nothing.
#[test]
fn the_largest_class_is_still_asked_and_a_long_message_is_cut() {
    unattended(async |scope| {
        let many = |count: usize, name: &dyn Fn(usize) -> String| (0..count).map(name).collect::<Value>();
        let long = |n: usize, size: usize| format!("{n:0size$}");
        let expressions: Vec<Value> = (0..20)
            .map(|n| json!({"key": format!("k{n}"), "operator": "NotIn", "values": many(64, &|n| long(n, 63))}))
            .collect();
        let labels: serde_json::Map<_, _> = (0..20).map(|n| (format!("l{n}"), json!(long(n, 63)))).collect();
        label(scope, Value::Object(labels.clone())).await;
        let pattern = format!("({})+", "[a-z]*|".repeat(36));
        let limits = json!({
            "encryption": {"kms": {"keys": many(100, &|n| long(n, 2048))}},
            "requiredTags": many(40, &|n| long(n, 128)),
            "queueNamePattern": pattern,
            "access": {
                "principalAccounts": many(100, &|n| long(n, 12)), "services": many(100, &|n| format!("{}.amazonaws.com", long(n, 114))),
                "organizationIds": many(100, &|n| format!("o-{}", long(n, 32))),
            },
        });
        let selector = json!({"matchLabels": labels, "matchExpressions": expressions});
        let class = scope
            .class(
                "large",
                json!({"aws": near(), "limits": limits, "allowedNamespaces": {"from": "Selector", "selector": selector}}),
            )
            .await;
        let key = "x".repeat(2048);
        let entry = |n: usize| json!({"principalArn": format!("arn:aws:iam::{ACCOUNT}:role/{}", long(n, 993))});
        let entries: Value = (0..50).map(entry).collect();
        let spec = json!({
            "queueClassName": class, "queueName": "0".repeat(80), "encryption": {"mode": "KMS", "kms": {"key": key}},
            "access": {"producers": entries, "consumers": entries},
        });
        under(LIMITS, scope, async || {
            let refusal = refused(scope, "work", &spec, "spec.queueName").await;
            assert!(refusal.ends_with('…') && refusal.chars().count() == 4001, "{refusal}");
            label(scope, json!({"l7": "other"})).await;
            refused(scope, "work", &spec, "its allowedNamespaces are those with the labels").await;
        })
        .await;
    });
}

/// The API server's controller looks at policies with the kinds at hand: a misspelt field would be told here.
#[test]
fn the_rules_fit_the_kinds() {
    unattended(async |scope| {
        under(LIMITS, scope, async || {
            let name = name_of(scope, LIMITS);
            let look = async || policies(&scope.world.kube).get(&name).await.expect("the policy is there").status;
            let checked = eventually("the policy is checked", look, |status| {
                status.as_ref().is_some_and(|status| status.type_checking.is_some())
            });
            let warnings = checked.await.and_then(|status| status.type_checking?.expression_warnings);
            assert_eq!(warnings.unwrap_or_default(), []);
        })
        .await;
    });
}

/// The last word is the operator's: without the policies it refuses the same, in the same words.
#[test]
fn without_the_policies_the_operator_says_the_same() {
    shared(async |scope| {
        let class = scope.class("strict", json!({"aws": near(), "limits": strict()})).await;
        let only = json!({"from": "Selector", "selector": {
            "matchLabels": {"tier": "gold"},
            "matchExpressions": [{"key": "stage", "operator": "In", "values": ["prod", "test"]}, {"key": "old", "operator": "DoesNotExist"}],
        }});
        let others = scope.class("others", json!({"aws": near(), "allowedNamespaces": only})).await;
        let nobodys = json!({"from": "Names", "names": ["nobody"]});
        let nobodys = scope.class("nobodys", json!({"aws": near(), "allowedNamespaces": nobodys})).await;
        let wrong = json!({
            "type": "FIFO", "messageRetentionSeconds": 60, "deletionPolicy": "Delete", "queueName": "images.fifo", "tags": {},
        });
        let mut said = Vec::new();
        let specs = [spec(&class, &wrong), json!({"queueClassName": others}), json!({"queueClassName": nobodys})];
        for (n, spec) in specs.into_iter().enumerate() {
            let name = format!("work{n}");
            scope.apply(&name, spec.clone()).await;
            let queue = scope.says(&name, "NotAllowedByClass").await;
            let stalled = condition(&queue, "Stalled").expect("a person must mend it").message.clone();
            assert!(!stalled.is_empty());
            said.push((spec, stalled));
        }
        under(LIMITS, scope, async || {
            for (spec, stalled) in &said {
                assert_eq!(&refused(scope, "another", spec, "spec.").await, stalled);
            }
        })
        .await;
    });
}
