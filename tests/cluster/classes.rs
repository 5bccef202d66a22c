//! Classes: where their queues are made, and what their Queues may ask for.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use prism_queue::api::{Queue, QueueClass};
use serde_json::{Value, json};

use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, Scope, alone, aws, condition, is_ready, shared};
use crate::proxy::{Fault, Gate, Rule, When};

/// Another account than that of the operator.
const FAR: &str = "300000000002";
const FAR_REGION: &str = "us-east-1";

/// What a class needs to make queues there.
fn far() -> Value {
    json!({"accountId": FAR, "region": FAR_REGION, "roleArn": format!("arn:aws:iam::{FAR}:role/prism-queue"), "externalId": "acme"})
}

fn near() -> Value {
    json!({"accountId": ACCOUNT, "region": "eu-west-1"})
}

fn message(queue: &Queue) -> String {
    condition(queue, "Ready").map(|ready| ready.message.clone()).unwrap_or_default()
}

async fn label(scope: &Scope, labels: Value) {
    let namespaces: Api<Namespace> = Api::all(scope.world.kube.clone());
    let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
    namespaces.patch(&scope.name, &PatchParams::default(), &patch).await.expect("the namespace can be labelled");
}

#[test]
fn a_class_makes_queues_in_its_account_and_region_through_its_role() {
    shared(async |scope| {
        let far = scope.class("far", json!({"aws": far()})).await;
        let near = scope.class("near", json!({"aws": near()})).await;
        let mark = scope.world.proxy.mark();
        for (name, class, account, region) in [("away", &far, FAR, FAR_REGION), ("here", &near, ACCOUNT, "eu-west-1")] {
            let queue = scope.apply_ready(name, json!({"queueClassName": class})).await;
            let target = queue.status.unwrap().target.unwrap();
            assert_eq!((target.queue_class_name, target.account_id), (class.clone(), account.to_owned()));
            let sqs = aws::client_in(scope.world.proxy.endpoint(), account, region);
            let queue = format!("{}_{name}", scope.name);
            let tags = aws::tags(&sqs, &queue).await;
            assert_eq!(tags["queue.prism.io/name"], name);
            assert!(aws::url(&scope.world.sqs, &queue).await.is_none(), "nowhere else");
            let secret = scope.secret(&format!("{name}-queue")).await;
            assert_eq!(secret["QUEUE_REGION"], region);
            assert!(secret["QUEUE_ARN"].contains(account), "{}", secret["QUEUE_ARN"]);
        }
        let assumed: Vec<String> = scope
            .world
            .proxy
            .since(mark)
            .iter()
            .filter(|call| call.action == "AssumeRole")
            .map(|call| call.body["RoleSessionName"].as_str().unwrap_or_default().to_owned())
            .collect();
        let shows = format!("{}.away@", scope.name);
        assert!(assumed.iter().any(|name| name.starts_with(&shows)), "the session shows the Queue: {assumed:?}");
        scope.delete("away").await;
        scope.gone("away").await;
        let sqs = aws::client_in(scope.world.proxy.endpoint(), FAR, FAR_REGION);
        let gone = async || aws::url(&sqs, &format!("{}_away", scope.name)).await;
        eventually("the queue over there is deleted", gone, Option::is_none).await;
    });
}

#[test]
fn an_empty_spec_follows_the_rules_of_the_house() {
    shared(async |scope| {
        label(scope, json!({"team": "media"})).await;
        let class = scope
            .class(
                "house",
                json!({
                    "aws": near(), "naming": {"prefix": "acme-"},
                    "tags": {"cost-center": "42"}, "tagsFromNamespaceLabels": {"team": "team"},
                    "defaults": {"visibilityTimeoutSeconds": 77, "deadLetter": {"maxReceiveCount": 9}},
                    "limits": {"requiredTags": ["team"], "messageRetentionSeconds": {"max": 345_600}, "deletionPolicies": ["DeleteIfEmpty", "Retain"]},
                }),
            )
            .await;
        scope.apply_ready("work", json!({"queueClassName": class})).await;
        let sqs = aws::client_in(scope.world.proxy.endpoint(), ACCOUNT, "eu-west-1");
        let name = format!("acme-{}_work", scope.name);
        let attributes = aws::attributes(&sqs, &name).await.expect("the class's prefix is in the name");
        assert_eq!(attributes["VisibilityTimeout"], "77");
        assert!(attributes["RedrivePolicy"].contains('9'), "{}", attributes["RedrivePolicy"]);
        let tags = aws::tags(&sqs, &name).await;
        assert_eq!((tags["cost-center"].as_str(), tags["team"].as_str()), ("42", "media"));

        let refused = scope
            .apply(
                "work",
                json!({"queueClassName": class, "messageRetentionSeconds": 400_000, "deletionPolicy": "Delete"}),
            )
            .await;
        let _ = refused;
        let queue = scope.says("work", "NotAllowedByClass").await;
        for words in ["spec.messageRetentionSeconds", "345600", "spec.deletionPolicy", class.as_str()] {
            assert!(message(&queue).contains(words), "{words}: {}", message(&queue));
        }
        assert_eq!(
            aws::attributes(&sqs, &name).await.unwrap()["MessageRetentionPeriod"],
            "345600",
            "it keeps what it has"
        );
    });
}

#[test]
fn a_tenant_is_refused_with_the_rules_words() {
    shared(async |scope| {
        let others = scope.class("others", json!({"aws": near(), "allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"tier": "gold"}}}})).await;
        scope.apply("work", json!({"queueClassName": others})).await;
        let queue = scope.says("work", "NotAllowedByClass").await;
        assert!(message(&queue).contains("tier"), "{}", message(&queue));
        label(scope, json!({"tier": "gold"})).await;
        scope.ready("work").await;

        let strict = scope.class("strict", json!({"aws": near()})).await;
        let public = json!([{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]);
        let foreign = json!([{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sqs:SendMessage"}]);
        let arn = format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:somebodys");
        for (name, spec, words) in [
            ("public", json!({"access": {"statements": public}}), "spec.access.statements[0]"),
            ("foreign", json!({"access": {"statements": foreign}}), "999999999999"),
            (
                "producer",
                json!({"access": {"producers": [{"accountId": "999999999999"}]}}),
                "spec.access.producers[0].accountId",
            ),
            (
                "consumer",
                json!({"access": {"consumers": [{"organizationId": "o-a1b2c3d4e5"}]}}),
                "spec.access.consumers[0].organizationId",
            ),
            ("named", json!({"queueName": "mine"}), "spec.queueName"),
            ("adopting", json!({"adoptionPolicy": "Adopt"}), "spec.adoptionPolicy"),
            (
                "letters",
                json!({"deadLetter": {"mode": "Reference", "reference": {"queueArn": arn}}}),
                "spec.deadLetter.reference.queueArn",
            ),
        ] {
            let mut spec = spec;
            spec["queueClassName"] = json!(strict);
            scope.apply(name, spec).await;
            let queue = scope.until(name, "is refused", |queue| condition(queue, "Stalled").is_some()).await;
            assert!(message(&queue).contains(words), "{name}: {}", message(&queue));
            assert!(queue.status.unwrap().queue_url.is_none());
        }
        // Where custom names are allowed, another namespace's are not.
        let loose = scope.class("loose", json!({"aws": near(), "limits": {"queueNamePattern": ".*"}})).await;
        scope.apply("squatter", json!({"queueClassName": loose, "queueName": "billing_orders"})).await;
        let queue = scope.says("squatter", "InvalidSpec").await;
        assert!(message(&queue).contains("a default name of another namespace"), "{}", message(&queue));
        let reference = json!({"queueRef": {"name": "dead-letters", "namespace": "billing"}});
        let across = json!({"deadLetter": {"mode": "Reference", "reference": reference}});
        let refusal = scope.try_apply("across", across).await.expect_err("a queueRef has no namespace");
        assert!(refusal.message.contains("queueRef.namespace"), "{}", refusal.message);
    });
}

#[test]
fn another_role_of_a_class_moves_nothing_and_the_next_call_goes_the_new_way() {
    shared(async |scope| {
        let spec = |role: &str| {
            let mut aws = far();
            aws["roleArn"] = json!(format!("arn:aws:iam::{FAR}:role/{role}-{}", scope.name));
            json!({"aws": aws})
        };
        let class = scope.class("far", spec("old")).await;
        let before = scope.apply_ready("work", json!({"queueClassName": class})).await.status.unwrap();
        let mark = scope.world.proxy.mark();
        scope.class("far", spec("new")).await;
        let role = format!("new-{}", scope.name);
        let looked = async || {
            scope.poke("work").await;
            let calls = scope.world.proxy.since(mark);
            let assumed = calls.iter().position(|call| {
                call.action == "AssumeRole" && call.body["RoleArn"].as_str().is_some_and(|arn| arn.ends_with(&role))
            });
            assumed
                .is_some_and(|at| calls[at..].iter().any(|call| call.queue.as_deref() == Some(&queue_of_work(scope))))
        };
        eventually("the queue is looked at as the new role", looked, |looked| *looked).await;
        let writes = ["CreateQueue", "SetQueueAttributes", "DeleteQueue", "TagQueue", "UntagQueue"];
        let written = scope.world.proxy.since(mark).into_iter();
        let written: Vec<_> = written
            .filter(|call| {
                call.queue.as_deref() == Some(&queue_of_work(scope)) && writes.contains(&call.action.as_str())
            })
            .map(|call| call.action)
            .collect();
        assert_eq!(written, [""; 0]);
        let after = scope.ready("work").await.status.unwrap();
        assert_eq!((after.target, after.queue_url), (before.target, before.queue_url));
    });
}

/// The name of the queue of `work` under a class without prefix.
fn queue_of_work(scope: &Scope) -> String {
    format!("{}_work", scope.name)
}

#[test]
fn a_class_of_which_iam_says_nothing_keeps_no_other_waiting() {
    alone(async |scope| {
        let gate = Gate::closed();
        scope.world.proxy.inject(Rule::new(Fault::Hold(gate.clone(), When::Before)).action("SimulatePrincipalPolicy"));
        let operator = scope.world.operator(&[]).await;
        let classes: Api<QueueClass> = Api::all(scope.world.kube.clone());
        let told = async |name: &str| {
            let status = classes.get(name).await.expect("a class").status.unwrap_or_default();
            status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        };
        let mute = scope.class("mute", json!({"aws": far()})).await;
        let asked = async || scope.world.proxy.calls().iter().any(|call| call.action == "SimulatePrincipalPolicy");
        eventually("IAM is asked", asked, |asked| *asked).await;
        let other = scope.class("other", json!({"aws": near()})).await;
        eventually("the other is ready", async || told(&other).await, |told| *told).await;
        assert!(!told(&mute).await, "nothing was said of this one");
        gate.open();
        drop(operator);
    });
}

#[test]
fn a_class_that_comes_later_is_waited_for_and_no_queue_reaches_the_flags_by_name() {
    shared(async |scope| {
        let name = format!("{}-later", scope.name);
        scope.apply("work", json!({"queueClassName": name})).await;
        let queue = scope.says("work", "ClassNotFound").await;
        assert!(condition(&queue, "Stalled").is_none(), "it may come");
        scope.class("later", json!({"aws": near()})).await;
        scope.ready("work").await;
        let refusal = scope.try_apply("flags", json!({"queueClassName": "(operator flags)"})).await;
        assert!(refusal.expect_err("no object has this name").message.contains("queueClassName"));
    });
}

#[test]
fn marking_a_class_as_the_default_moves_no_queue() {
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        let before = scope.apply_ready("old", json!({})).await;
        let secret = scope.secret("old-queue").await;
        let class = scope.class("new", json!({"aws": near()})).await;
        scope.mark_default(&class, true).await;
        let queue = scope.says("old", "TargetChanged").await;
        assert_eq!(queue.status.unwrap().target, before.status.unwrap().target);
        assert_eq!(scope.secret("old-queue").await, secret);
        let made = scope.apply_ready("young", json!({})).await;
        assert_eq!(made.status.unwrap().target.unwrap().queue_class_name, class);
        let there = aws::client_in(scope.world.proxy.endpoint(), ACCOUNT, "eu-west-1");
        assert!(aws::url(&there, &format!("{}_old", scope.name)).await.is_none(), "nothing is made in the other place");

        scope.mark_default(&class, false).await;
        scope.ready("old").await;
        // Who has the class keeps it, though nobody new comes to it.
        let young = scope.poke("young").await;
        assert!(is_ready(&young));
        assert_eq!(young.status.unwrap().target.unwrap().queue_class_name, class);
        drop(operator);
    });
}

#[test]
fn a_class_says_whether_it_can_be_used_and_by_how_many_queues_it_is() {
    shared(async |scope| {
        aws::role_allows(scope.world.proxy.endpoint(), FAR, "prism-queue", &["sqs:*"]).await;
        let good = scope.class("good", json!({"aws": far()})).await;
        let wrong = scope.class("wrong", json!({"aws": {"accountId": FAR, "region": FAR_REGION}})).await;
        let narrow =
            scope.class("narrow", json!({"aws": near(), "limits": {"visibilityTimeoutSeconds": {"max": 10}}})).await;
        let classes: Api<QueueClass> = Api::all(scope.world.kube.clone());
        let ready = async |name: &str| {
            let class = classes.get(name).await.expect("a class");
            let conditions = class.status.map(|status| status.conditions).unwrap_or_default();
            let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
            ready.map(|ready| (ready.status, ready.reason, ready.message)).unwrap_or_default()
        };
        for (name, reason, words) in [
            (&good, "Usable", ""),
            (&wrong, "WrongAccount", ACCOUNT),
            (&narrow, "Unsatisfiable", "visibilityTimeoutSeconds"),
        ] {
            let said = eventually(name, async || ready(name).await, |said| said.1 == reason).await;
            assert!(said.2.contains(words), "{}", said.2);
        }
        scope.apply_ready("one", json!({"queueClassName": good})).await;
        let count = async || classes.get(&good).await.expect("a class").status.and_then(|status| status.queues);
        eventually("the Queue is counted", count, |count| *count == Some(1)).await;
        // Nothing is done in the wrong account.
        scope.apply("two", json!({"queueClassName": wrong})).await;
        scope.says("two", "TargetChanged").await;
        let there = aws::client_in(scope.world.proxy.endpoint(), ACCOUNT, FAR_REGION);
        assert!(aws::url(&there, &format!("{}_two", scope.name)).await.is_none());
    });
}

#[test]
fn a_class_names_each_action_that_its_role_lacks() {
    shared(async |scope| {
        let role = format!("weak-{}", scope.name);
        let endpoint = scope.world.proxy.endpoint();
        let all = [
            "sqs:CreateQueue",
            "sqs:DeleteQueue",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ListQueueTags",
            "sqs:SetQueueAttributes",
            "sqs:TagQueue",
            "sqs:UntagQueue",
            "sqs:ListQueues",
        ];
        let but_two: Vec<&str> = all.into_iter().filter(|a| !["sqs:TagQueue", "sqs:ListQueues"].contains(a)).collect();
        aws::role_allows(endpoint, FAR, &role, &but_two).await;
        let spec = json!({"aws": {
            "accountId": FAR, "region": FAR_REGION, "roleArn": format!("arn:aws:iam::{FAR}:role/{role}"),
        }});
        let class = scope.class("weak", spec.clone()).await;
        let classes: Api<QueueClass> = Api::all(scope.world.kube.clone());
        let permitted = async || {
            let status = classes.get(&class).await.expect("a class").status.unwrap_or_default();
            let found = status.conditions.into_iter().find(|condition| condition.type_ == "Permitted");
            found.map(|found| (found.status, found.reason, found.message)).unwrap_or_default()
        };
        let (status, _, message) = eventually("it is told", permitted, |said| said.1 == "MissingPermissions").await;
        let queue = format!("arn:aws:sqs:{FAR_REGION}:{FAR}:{}_prism-queue-dry-check", scope.name);
        let lacks = format!("do not allow sqs:ListQueues on *; sqs:TagQueue on {queue}");
        assert!(status == "False" && message.ends_with(&lacks), "{message}");

        aws::role_allows(endpoint, FAR, &role, &all).await;
        // A class that changes is asked about at once.
        let mut edited = spec;
        edited["tags"] = json!({"cost-center": "42"});
        scope.class("weak", edited).await;
        eventually("it is all there", permitted, |said| said.1 == "Permitted").await;
    });
}

#[test]
fn a_class_edited_under_many_queues_changes_each_once_and_nothing_else() {
    const COUNT: usize = 200;
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        let class = scope.class("many", json!({"aws": near(), "defaults": {"deadLetter": {"mode": "None"}}})).await;
        for n in 0..COUNT {
            scope.apply(&format!("q{n:03}"), json!({"queueClassName": class})).await;
        }
        let ready = async || {
            let all = scope.queues.list(&ListParams::default()).await.expect("Queues can be listed");
            all.items.iter().filter(|queue| is_ready(queue)).count()
        };
        eventually("all are ready", ready, |count| *count == COUNT).await;
        let mark = scope.world.proxy.mark();
        let edited = json!({"aws": near(), "defaults": {"deadLetter": {"mode": "None"}, "delaySeconds": 3}});
        scope.class("many", edited).await;
        let is_write = |action: &str| {
            !matches!(
                action,
                "GetQueueAttributes"
                    | "ListQueueTags"
                    | "GetCallerIdentity"
                    | "ListQueues"
                    | "AssumeRole"
                    | "SimulatePrincipalPolicy"
            )
        };
        let writes = async || {
            scope.world.proxy.since(mark).into_iter().filter(|call| is_write(&call.action)).collect::<Vec<_>>()
        };
        let all = eventually("each is changed", writes, |writes| writes.len() >= COUNT).await;
        assert_eq!(all.len(), COUNT);
        assert!(
            all.iter()
                .all(|call| call.action == "SetQueueAttributes"
                    && call.body["Attributes"] == json!({"DelaySeconds": "3"}))
        );
        drop(operator);
    });
}

#[test]
fn a_role_that_loses_its_trust_is_named_and_waited_for_and_other_classes_go_on() {
    alone(async |scope| {
        let operator = scope.world.operator(&[]).await;
        let (far, near) =
            (scope.class("far", json!({"aws": far()})).await, scope.class("near", json!({"aws": near()})).await);
        scope.apply_ready("early", json!({"queueClassName": far})).await;
        scope.world.proxy.inject(Rule::new(Fault::access_denied()).action("AssumeRole"));
        for n in 0..5 {
            scope.apply(&format!("far{n}"), json!({"queueClassName": far})).await;
        }
        for n in 0..5 {
            scope.apply_ready(&format!("near{n}"), json!({"queueClassName": near})).await;
        }
        let queue = scope.says("far0", "Denied").await;
        assert!(message(&queue).contains("the role cannot be assumed"), "{}", message(&queue));
        scope.world.proxy.calm();
        for n in 0..5 {
            scope.poke(&format!("far{n}")).await;
            scope.ready(&format!("far{n}")).await;
        }
        drop(operator);
    });
}

#[test]
fn deleting_is_no_way_into_a_class_that_is_not_for_the_namespace() {
    shared(async |scope| {
        let limits = json!({"deletionPolicies": ["DeleteIfEmpty"]});
        let strict = scope.class("strict", json!({"aws": near(), "limits": limits})).await;
        let elsewhere = json!({"from": "Names", "names": ["platform"]});
        let lax = scope.class("lax", json!({"aws": near(), "allowedNamespaces": elsewhere})).await;
        scope.apply_ready("work", json!({"queueClassName": strict})).await;
        let sqs = aws::client_in(scope.world.proxy.endpoint(), ACCOUNT, "eu-west-1");
        let queue = format!("{}_work", scope.name);
        let url = aws::url(&sqs, &queue).await.expect("it was made");
        aws::send(&sqs, &url, "precious").await;
        scope.delete("work").await;
        scope.says("work", "WaitingForEmpty").await;
        // No rule of admission looks at an object that is being deleted.
        scope.patch("work", json!({"spec": {"queueClassName": lax, "deletionPolicy": "Delete"}})).await;
        let refused = scope.says("work", "NotAllowedByClass").await;
        let message = &condition(&refused, "Ready").expect("it is told").message;
        assert!(message.contains("spec.deletionPolicy: Delete is not allowed by class"), "{message}");
        assert!(aws::url(&sqs, &queue).await.is_some(), "it holds a message");
        scope.patch("work", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        scope.gone("work").await;
    });
}
