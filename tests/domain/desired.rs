//! What a spec comes to in AWS, and why nothing of it is applied.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use prism_queue::api::conditions::Reason;
use prism_queue::api::queue::RedriveAllowMode;
use prism_queue::api::status::Target;
use prism_queue::api::{ALLOW_MESSAGE_LOSS, Queue};
use prism_queue::domain::attributes::Attribute;
use prism_queue::domain::class::FLAGS;
use prism_queue::domain::desired::{Desired, DesiredDeadLetter, DesiredQueue, Refusal};
use prism_queue::domain::fleet::Fleet;
use prism_queue::domain::policy::PolicyDocument;

use crate::fixtures::*;

fn of(spec: Value) -> Desired {
    desired(&queue("orders", spec)).unwrap()
}

fn refusal(spec: Value) -> Refusal {
    desired(&queue("orders", spec)).unwrap_err()
}

/// A queue's attributes without its policies.
fn plain(queue: &DesiredQueue) -> BTreeMap<&str, &str> {
    let policies = [Attribute::Policy, Attribute::RedrivePolicy, Attribute::RedriveAllowPolicy];
    let plain = queue.attributes.iter().filter(|(attribute, _)| !policies.contains(attribute));
    plain.map(|(attribute, value)| (attribute.as_str(), value.as_str())).collect()
}

fn json_of(queue: &DesiredQueue, attribute: Attribute) -> Value {
    serde_json::from_str(&queue.attributes[&attribute]).unwrap()
}

fn sids(queue: &DesiredQueue) -> Vec<String> {
    let policy = PolicyDocument::parse(&queue.attributes[&Attribute::Policy]).unwrap();
    policy.statements().iter().map(|statement| statement.sid().unwrap_or("-").to_owned()).collect()
}

fn among(me: &Queue, others: &[Queue]) -> Result<Desired, Refusal> {
    Desired::of(me, &class(), &Fleet::of(others.iter().chain([me]), &class()))
}

fn to(name: &str) -> Value {
    json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": name}}}})
}

fn to_arn(arn: &str) -> Value {
    json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn}}})
}

fn why_not_ready(desired: &Desired) -> &str {
    match &desired.dead_letter {
        DesiredDeadLetter::NotReady { why } => why,
        other => panic!("{other:?}"),
    }
}

// What comes out.

#[test]
fn an_empty_spec_is_a_complete_queue() {
    let desired = of(empty());
    assert_eq!(desired.source.name.as_str(), "media_orders");
    assert_eq!(
        plain(&desired.source),
        BTreeMap::from([
            ("VisibilityTimeout", "300"),
            ("MessageRetentionPeriod", "345600"),
            ("ReceiveMessageWaitTimeSeconds", "20"),
            ("DelaySeconds", "0"),
            ("MaximumMessageSize", "1048576"),
            ("SqsManagedSseEnabled", "true"),
            ("KmsMasterKeyId", ""),
        ])
    );
    assert_eq!(
        json_of(&desired.source, Attribute::RedrivePolicy),
        json!({"deadLetterTargetArn": arn("media_orders_dlq"), "maxReceiveCount": 5})
    );
    assert_eq!(json_of(&desired.source, Attribute::RedriveAllowPolicy), json!({"redrivePermission": "denyAll"}));
    assert_eq!(sids(&desired.source), ["PrismQueueRequireTLS"]);
    assert!(!desired.adopt && !desired.observe);
    assert_eq!(
        desired.target,
        Target {
            queue_class_name: FLAGS.to_owned(),
            account_id: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
            queue_name: "media_orders".to_owned(),
            dead_letter_queue_name: Some("media_orders_dlq".to_owned()),
            ..Target::default()
        }
    );
}

#[test]
fn a_managed_dead_letter_queue_is_as_safe_as_its_source_and_keeps_messages_longer() {
    let desired = of(json!({
        "delaySeconds": 7, "visibilityTimeoutSeconds": 9, "tags": {"team": "media"},
        "encryption": {"mode": "KMS", "kms": {"key": "alias/media"}},
    }));
    let dead_letter = desired.managed_dead_letter().unwrap();
    assert_eq!(dead_letter.name.as_str(), "media_orders_dlq");
    assert_eq!(
        plain(dead_letter),
        BTreeMap::from([
            ("VisibilityTimeout", "300"),
            ("MessageRetentionPeriod", "1209600"),
            ("ReceiveMessageWaitTimeSeconds", "20"),
            ("DelaySeconds", "0"),
            ("MaximumMessageSize", "1048576"),
            ("SqsManagedSseEnabled", "false"),
            ("KmsMasterKeyId", "alias/media"),
            ("KmsDataKeyReusePeriodSeconds", "300"),
        ])
    );
    assert_eq!(dead_letter.attributes[&Attribute::RedrivePolicy], "", "it has none of its own");
    assert_eq!(
        json_of(dead_letter, Attribute::RedriveAllowPolicy),
        json!({"redrivePermission": "byQueue", "sourceQueueArns": [arn("media_orders")]})
    );
    assert_eq!(sids(dead_letter), ["PrismQueueRequireTLS"]);
    assert_eq!(dead_letter.tags, tags([("team", "media")]));
}

#[test]
fn a_fifo_queue_and_its_dead_letter_queue_are_fifo() {
    let desired = of(json!({"type": "FIFO", "fifo": {
        "contentBasedDeduplication": false, "deduplicationScope": "MessageGroup", "throughputLimit": "PerMessageGroupId"
    }}));
    for queue in [&desired.source, desired.managed_dead_letter().unwrap()] {
        assert!(queue.name.is_fifo());
        assert_eq!(queue.attributes[&Attribute::ContentBasedDeduplication], "false");
        assert_eq!(queue.attributes[&Attribute::DeduplicationScope], "messageGroup");
        assert_eq!(queue.attributes[&Attribute::FifoThroughputLimit], "perMessageGroupId");
        assert!(!queue.attributes.contains_key(&Attribute::FifoQueue), "settable at creation only");
        assert_eq!(queue.creation_attributes()[&Attribute::FifoQueue], "true");
    }
    let standard = of(empty()).source;
    assert!(!standard.creation_attributes().contains_key(&Attribute::FifoQueue), "SQS refuses `false`");
    assert!(!standard.attributes.contains_key(&Attribute::DeduplicationScope));
}

#[test]
fn each_encryption_mode_clears_the_other() {
    let encryption = |spec: Value| {
        let source = of(json!({"encryption": spec})).source;
        let get = |attribute| source.attributes.get(&attribute).cloned();
        (
            get(Attribute::SqsManagedSseEnabled),
            get(Attribute::KmsMasterKeyId),
            get(Attribute::KmsDataKeyReusePeriodSeconds),
        )
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(encryption(json!({"mode": "SQSManaged"})), (text("true"), text(""), None));
    assert_eq!(encryption(json!({"mode": "None"})), (text("false"), text(""), None));
    assert_eq!(
        encryption(json!({"mode": "KMS", "kms": {"key": "alias/media", "dataKeyReuseSeconds": 60}})),
        (text("false"), text("alias/media"), text("60"))
    );
}

#[test]
fn a_queue_is_created_with_values_only_and_one_kind_of_encryption() {
    let created =
        of(json!({"encryption": {"mode": "KMS", "kms": {"key": "alias/media"}}})).source.creation_attributes();
    assert!(!created.contains_key(&Attribute::SqsManagedSseEnabled));
    assert_eq!(created[&Attribute::KmsMasterKeyId], "alias/media");
    let created = of(json!({"encryption": {"mode": "None"}})).source.creation_attributes();
    assert_eq!(created[&Attribute::SqsManagedSseEnabled], "false", "SQS would turn it on");
    assert!(created.values().all(|value| !value.is_empty()), "{created:?}");
}

#[test]
fn plain_http_is_refused_unless_the_spec_says_otherwise() {
    let desired = of(json!({"access": {"requireTLS": false}}));
    assert_eq!(desired.source.attributes[&Attribute::Policy], "");
    assert_eq!(desired.managed_dead_letter().unwrap().attributes[&Attribute::Policy], "");
}

#[test]
fn statements_join_the_operators_own_in_the_queue_policy() {
    let statement = json!({
        "Sid": "Orders", "Effect": "Allow", "Action": "sqs:SendMessage",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:role/shop")},
    });
    let desired = of(json!({"access": {"statements": [statement]}}));
    let mut found = sids(&desired.source);
    found.sort();
    assert_eq!(found, ["Orders", "PrismQueueRequireTLS"]);
    assert_eq!(sids(desired.managed_dead_letter().unwrap()), ["PrismQueueRequireTLS"], "not the dead-letter queue's");
    let policy = json_of(&desired.source, Attribute::Policy);
    let resources: Vec<&Value> = policy["Statement"].as_array().unwrap().iter().map(|s| &s["Resource"]).collect();
    assert_eq!(resources, [&json!(arn("media_orders")); 2], "Resource defaults to this queue");
}

#[test]
fn entries_come_to_the_policies_of_the_queue_and_of_its_dead_letter_queue() {
    let worker = format!("arn:aws:iam::{ACCOUNT}:role/worker");
    let access = json!({"producers": [{"accountId": ACCOUNT}], "consumers": [{"principalArn": worker}]});
    let desired = of(json!({"access": access}));
    assert_eq!(sids(&desired.source), ["-", "-", "PrismQueueRequireTLS"]);
    let dead_letter = desired.managed_dead_letter().unwrap();
    assert_eq!(sids(dead_letter), ["-", "PrismQueueRequireTLS"]);
    let policy = json_of(dead_letter, Attribute::Policy);
    assert_eq!(policy["Statement"][0]["Principal"], json!({"AWS": worker}));
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Resource"], dead_letter.arn.to_string());
    }
    let plain = of(json!({"access": {"requireTLS": false, "producers": [{"accountId": ACCOUNT}]}}));
    assert_eq!(plain.managed_dead_letter().unwrap().attributes[&Attribute::Policy], "", "producers have no part in it");
    assert!(plain.digest() != of(json!({"access": {"requireTLS": false}})).digest());
    // The policy of a queue that others share is its own Queue's.
    let shared = of(json!({"access": access, "deadLetter": {"mode": "None"}}));
    assert_eq!(sids(&shared.source), ["-", "-", "PrismQueueRequireTLS"]);
}

#[test]
fn entries_are_refused_together_with_the_rest() {
    let access = json!({"producers": [{"accountId": "111122223333"}], "consumers": [{}]});
    let refusal = refusal(json!({"delaySeconds": 901, "access": access}));
    let expected = ["spec.delaySeconds", "spec.access.producers[0].accountId", "spec.access.consumers[0]"];
    assert_eq!(paths(&refusal), expected, "{}", refusal.message());
    assert!(refusal.message().contains("an operator started with --allow-unsafe-statements accepts it"));
}

#[test]
fn no_dead_letter_queue_removes_the_redrive_policy() {
    let desired = of(json!({"deadLetter": {"mode": "None"}}));
    assert_eq!(desired.dead_letter, DesiredDeadLetter::None);
    assert_eq!(desired.source.attributes[&Attribute::RedrivePolicy], "");
}

#[test]
fn effective_shows_what_auto_came_to() {
    let dead = queue("dead", empty());
    let sources = [queue("a", to("dead")), queue("b", to("dead"))];
    let allow = among(&dead, &sources).unwrap().effective.redrive_allow;
    assert_eq!(allow.mode, RedriveAllowMode::ByQueue);
    assert_eq!(allow.source_queue_arns, [arn("media_a"), arn("media_b")]);
    assert_eq!(among(&dead, &[]).unwrap().effective.redrive_allow.mode, RedriveAllowMode::DenyAll);
}

#[test]
fn redrive_allow_does_as_its_mode_says() {
    for (spec, expected) in [
        (json!({"mode": "AllowAll"}), json!({"redrivePermission": "allowAll"})),
        (json!({"mode": "DenyAll"}), json!({"redrivePermission": "denyAll"})),
        (
            json!({"mode": "ByQueue", "sourceQueueArns": [arn("x")]}),
            json!({"redrivePermission": "byQueue", "sourceQueueArns": [arn("x")]}),
        ),
        (
            json!({"sourceQueueArns": [arn("x")]}),
            json!({"redrivePermission": "byQueue", "sourceQueueArns": [arn("media_a"), arn("x")]}),
        ),
    ] {
        let dead = queue("dead", json!({"redriveAllow": spec}));
        let desired = among(&dead, &[queue("a", to("dead"))]).unwrap();
        assert_eq!(json_of(&desired.source, Attribute::RedriveAllowPolicy), expected);
    }
}

#[test]
fn switches_are_read() {
    let desired = of(json!({"adoptionPolicy": "Adopt", "managementPolicy": "Observe"}));
    assert!(desired.adopt && desired.observe);
}

#[test]
fn the_annotation_names_exactly_the_changes_that_may_lose_messages() {
    let annotated = queue("orders", empty())
        .annotated(ALLOW_MESSAGE_LOSS, "messageRetentionSeconds=3600, deadLetter.managed.messageRetentionSeconds=60");
    let allowed: Vec<String> = desired(&annotated).unwrap().allowed_losses.into_iter().collect();
    assert_eq!(allowed, ["deadLetter.managed.messageRetentionSeconds=60", "messageRetentionSeconds=3600"]);
    assert!(of(empty()).allowed_losses.is_empty());
}

// References.

#[test]
fn a_reference_is_used_when_its_queue_is_there_and_allows_this_source() {
    let me = queue("orders", to("dead"));
    let dead = queue("dead", empty());
    let there = |allowed: &[&str]| {
        let allowed = allowed.iter().map(|name| arn(name)).collect();
        dead.clone().existing().with_status(|status| {
            let allow = &mut status.effective.as_mut().unwrap().redrive_allow;
            allow.mode = RedriveAllowMode::ByQueue;
            allow.source_queue_arns = allowed;
        })
    };
    let ready = there(&["media_orders"]);
    let used = among(&me, std::slice::from_ref(&ready)).unwrap();
    assert_eq!(used.dead_letter, DesiredDeadLetter::Reference { arn: arn("media_dead") });
    assert_eq!(
        json_of(&used.source, Attribute::RedrivePolicy),
        json!({"deadLetterTargetArn": arn("media_dead"), "maxReceiveCount": 5})
    );
    for (others, why) in [
        (vec![], "there is no Queue media/dead"),
        (vec![dead.clone()], "Queue media/dead has no queue in AWS yet"),
        (vec![there(&["media_x"])], "Queue media/dead does not allow this queue as a source yet"),
        (vec![ready.clone().deleting()], "Queue media/dead is being deleted"),
    ] {
        let waits = among(&me, &others).unwrap();
        assert!(why_not_ready(&waits).starts_with(why), "{:?}", waits.dead_letter);
        let is_left = !waits.source.attributes.contains_key(&Attribute::RedrivePolicy);
        assert!(is_left, "what the queue has stays until the new one can be used");
    }
    // The same queue by its ARN is the same queue.
    let me = queue("orders", to_arn(&arn("media_dead")));
    assert!(matches!(among(&me, &[ready]).unwrap().dead_letter, DesiredDeadLetter::Reference { .. }));
    assert!(why_not_ready(&among(&me, &[dead]).unwrap()).starts_with("Queue media/dead has no queue in AWS yet"));
}

#[test]
fn a_queue_of_nobodys_is_used_by_its_arn_as_it_is() {
    let used = of(to_arn(&arn("legacy-dead")));
    assert_eq!(used.dead_letter, DesiredDeadLetter::Reference { arn: arn("legacy-dead") });
}

#[test]
fn who_only_observes_a_queue_does_not_say_whom_it_allows() {
    let watcher = queue("dead", json!({"queueName": "legacy-dead", "managementPolicy": "Observe"})).existing();
    for spec in [to_arn(&arn("legacy-dead")), to("dead")] {
        let used = among(&queue("orders", spec), std::slice::from_ref(&watcher)).unwrap();
        assert_eq!(used.dead_letter, DesiredDeadLetter::Reference { arn: arn("legacy-dead") });
    }
}

#[test]
fn a_stranger_that_claims_the_dead_letter_queues_name_stands_in_nobodys_way() {
    let dead = queue("dead", json!({"queueName": "shared-dead", "redriveAllow": {"mode": "AllowAll"}})).existing();
    let stranger = queue("a", json!({"queueName": "shared-dead"})).in_namespace("evil").younger_by(1);
    let me = queue("orders", to_arn(&arn("shared-dead")));
    for others in [[dead.clone(), stranger.clone()], [stranger, dead]] {
        assert!(matches!(among(&me, &others).unwrap().dead_letter, DesiredDeadLetter::Reference { .. }));
    }
}

#[test]
fn a_reference_that_sqs_would_refuse_is_refused_with_its_field() {
    let fifo = queue("dead", json!({"type": "FIFO"}));
    let managed = queue("other", empty()).existing();
    let reference = "spec.deadLetter.reference";
    for (spec, path, rule) in [
        (to("dead"), format!("{reference}.queueRef"), "Queue media/dead is of type FIFO"),
        (to_arn(&arn("dead.fifo")), format!("{reference}.queueArn"), "is not of the source's type"),
        (to_arn(&arn("dead").replace(REGION, "eu-west-1")), format!("{reference}.queueArn"), "is not in account"),
        (to_arn(&arn("dead").replace(ACCOUNT, "210987654321")), format!("{reference}.queueArn"), "is not in account"),
        (to_arn("dead"), format!("{reference}.queueArn"), "is not a queue ARN"),
        (to_arn(&arn("media_other_dlq")), format!("{reference}.queueArn"), "dead-letter queue of Queue media/other"),
        (json!({"deadLetter": {"mode": "Reference"}}), reference.to_owned(), "exactly one of queueRef and queueArn"),
        (
            json!({"deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}, "queueArn": arn("x")}}}),
            reference.to_owned(),
            "exactly one of queueRef and queueArn",
        ),
    ] {
        let refusal = among(&queue("orders", spec), &[fifo.clone(), managed.clone()]).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidSpec);
        assert_eq!(paths(&refusal), [path]);
        assert!(refusal.message().contains(rule), "{}", refusal.message());
    }
}

// Refusals.

#[test]
fn all_errors_of_a_spec_come_at_once_with_their_paths() {
    let refusal = refusal(json!({
        "queueName": "shop_orders",
        "visibilityTimeoutSeconds": -1,
        "deadLetter": {"maxReceiveCount": 0},
        "tags": {"queue.prism.io/name": "x", "AWS:x": "y"},
    }));
    assert_eq!(refusal.reason, Reason::InvalidSpec);
    assert_eq!(
        paths(&refusal),
        [
            "spec.queueName",
            "spec.visibilityTimeoutSeconds",
            "spec.deadLetter.maxReceiveCount",
            "spec.tags[\"AWS:x\"]",
            "spec.tags[\"queue.prism.io/name\"]",
        ]
    );
    for path in paths(&refusal) {
        assert!(refusal.message().contains(&format!("{path}: ")), "{}", refusal.message());
    }
}

#[test]
fn statements_references_and_settings_are_refused_together() {
    let mut spec = to_arn("dead");
    spec["access"] = json!({"statements": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]});
    spec["delaySeconds"] = json!(901);
    let refusal = refusal(spec);
    assert_eq!(paths(&refusal).len(), 3, "{}", refusal.message());
    let statement = paths(&refusal).into_iter().find(|path| path.starts_with("spec.access.statements[0]"));
    assert!(statement.is_some(), "{}", refusal.message());
    assert!(paths(&refusal).contains(&"spec.delaySeconds"));
    assert!(paths(&refusal).contains(&"spec.deadLetter.reference.queueArn"));
}

#[test]
fn a_policy_beyond_sqs_limits_is_refused_together_with_the_rest() {
    let statement = |n: usize| {
        json!({
            "Sid": format!("S{n}"), "Effect": "Allow", "Action": "sqs:SendMessage",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:role/{}", "r".repeat(40))},
        })
    };
    let statements: Vec<Value> = (0..25).map(statement).collect();
    let refusal = refusal(json!({"delaySeconds": 901, "access": {"statements": statements}}));
    assert!(paths(&refusal).contains(&"spec.access"), "{}", refusal.message());
    assert!(paths(&refusal).contains(&"spec.delaySeconds"), "{}", refusal.message());
}

#[test]
fn tag_rules_are_checked_for_old_objects_too() {
    let long_key = "k".repeat(129);
    let refusal = refusal(json!({"tags": {"": "x", &long_key: "x", "value": "v".repeat(257)}}));
    let long_path = format!("spec.tags[\"{long_key}\"]");
    assert_eq!(paths(&refusal), ["spec.tags[\"\"]", long_path.as_str(), "spec.tags[\"value\"]"]);
    let many: BTreeMap<String, &str> = (0..41).map(|n| (format!("k{n}"), "v")).collect();
    assert_eq!(paths(&self::refusal(json!({"tags": many}))), ["spec.tags"]);
    let enough: BTreeMap<String, String> = (0..40).map(|n| (format!("k{n:0>127}"), "v".repeat(256))).collect();
    assert_eq!(of(json!({"tags": enough})).source.tags.len(), 40);
}

#[test]
fn a_queue_is_never_made_a_second_time_in_another_place() {
    let recorded = |change: fn(&mut Target)| {
        let mut place = target("media_orders");
        change(&mut place);
        desired(&queue("orders", empty()).with_status(|status| status.target = Some(place)))
    };
    assert!(recorded(|_| {}).is_ok());
    for (change, word) in [
        ((|t| "210987654321".clone_into(&mut t.account_id)) as fn(&mut Target), "the account of this Queue's queue is"),
        (|t| "eu-west-1".clone_into(&mut t.region), "the region of this Queue's queue is eu-west-1"),
        (|t| "old-prefix-media_orders".clone_into(&mut t.queue_name), "the queue name of this Queue's queue is"),
    ] {
        let refusal = recorded(change).unwrap_err();
        assert_eq!((refusal.reason, paths(&refusal)), (Reason::TargetChanged, vec!["status.target"]));
        assert!(refusal.message().contains(word), "{}", refusal.message());
        assert!(refusal.message().contains("deletionPolicy Retain"), "it says how to move: {}", refusal.message());
    }
}

#[test]
fn cycles_are_refused_with_the_way_round() {
    let me = queue("a", to("b"));
    let refusal = among(&me, &[queue("b", to("c")), queue("c", to("a"))]).unwrap_err();
    assert_eq!(refusal.reason, Reason::DeadLetterCycle);
    assert_eq!(paths(&refusal), ["spec.deadLetter.reference"]);
    assert!(refusal.message().contains("media/a -> media/b -> media/c -> media/a"), "{}", refusal.message());
    let itself = desired(&queue("a", to_arn(&arn("media_a")))).unwrap_err();
    assert_eq!(itself.reason, Reason::DeadLetterCycle);
}

#[test]
fn the_eleventh_source_is_refused_by_name_and_by_arn() {
    let mut others: Vec<Queue> = (0..10).map(|n| queue(&format!("source-{n}"), to("dead"))).collect();
    others.push(queue("dead", empty()).existing());
    for spec in [to("dead"), to_arn(&arn("media_dead"))] {
        let eleventh = queue("orders", spec).younger_by(1);
        let refusal = among(&eleventh, &others).unwrap_err();
        assert_eq!((refusal.reason, paths(&refusal)), (Reason::TooManySources, vec!["spec.deadLetter.reference"]));
        let with_room = among(&eleventh, &others[1..]).unwrap();
        assert!(why_not_ready(&with_room).contains("does not allow this queue as a source yet"));
    }
}

#[test]
fn an_arn_does_not_tell_a_tenant_what_another_calls_its_objects() {
    let theirs = queue("secret-project", empty()).in_namespace("shop").existing();
    let said = |spec: Value, theirs: &Queue| {
        let mine = queue("orders", spec);
        format!("{:?}", Desired::of(&mine, &class(), &Fleet::of([theirs, &mine], &class())))
    };
    let managed = theirs.status.as_ref().unwrap().dead_letter.as_ref().unwrap().queue_arn.clone();
    let managed = json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": managed}}});
    let deleted = theirs.clone().deleting();
    for (spec, theirs) in [(managed, &theirs), (to_arn(&arn("shop_secret-project")), &deleted)] {
        let said = said(spec, theirs);
        assert!(said.contains("a Queue of another namespace"), "{said}");
        assert!(!said.contains("shop/secret-project"), "{said}");
    }
}
