//! The operator's own permissions: the policy that is printed for it is enough for all that it does, and nothing of it can be
//! left out.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sqs::types::QueueAttributeName;
use kube::Api;
use prism_queue::api::QueueClass;
use serde_json::{Value, json};

use super::account::{Aws, policy, role_arn};
use super::calls::{NOTHING, permitted};
use super::{as_installed, emulated, operator_role, pages, printed, replay};
use crate::harness::wait::eventually;
use crate::harness::{ACCOUNT, CLUSTER_NAME, PREFIX, REGION, Scope, aws as seen, condition};
use crate::judge::{Request, allows, without};

/// A key, and an alias of it.
async fn key(scope: &Scope, aws: &Aws) -> (String, String) {
    let kms = aws.kms(ACCOUNT);
    let made = kms.create_key().send().await.expect("CreateKey").key_metadata.expect("a key");
    let alias = format!("alias/{}-{}", scope.name, made.key_id);
    kms.create_alias().alias_name(&alias).target_key_id(&made.key_id).send().await.expect("CreateAlias");
    (made.key_id, alias)
}

/// What a class says of the operator's permissions: reason and message.
async fn permitted_says(scope: &Scope, class: &str) -> (String, String) {
    let classes: Api<QueueClass> = Api::all(scope.world.kube.clone());
    let status = classes.get(class).await.expect("a class").status.unwrap_or_default();
    let found = status.conditions.into_iter().find(|condition| condition.type_ == "Permitted");
    found.map(|found| (found.reason, found.message)).unwrap_or_default()
}

fn class_of_our_own() -> Value {
    json!({"aws": {"accountId": ACCOUNT, "region": REGION}, "naming": {"prefix": PREFIX}})
}

async fn set(aws: &Aws, queue: &str, attribute: QueueAttributeName, value: &str) {
    let sqs = aws.root(ACCOUNT).sqs;
    let url = seen::url(&sqs, queue).await.unwrap_or_else(|| panic!("{queue} exists"));
    sqs.set_queue_attributes().queue_url(url).attributes(attribute, value).send().await.expect("SetQueueAttributes");
}

/// Waits until an attribute of a queue reads so.
async fn reads(aws: &Aws, queue: &str, attribute: &str, value: &str) {
    let sqs = aws.root(ACCOUNT).sqs;
    let look = async || seen::attributes(&sqs, queue).await.and_then(|mut all| all.remove(attribute));
    eventually(&format!("{attribute} of {queue}"), look, |seen| seen.as_deref() == Some(value)).await;
}

/// The policy for `Inspect` of a Queue whose dead-letter queue has this name.
fn inspected(dead_letters: &str) -> Value {
    json!({"iam": {"policies": ["Inspect"]}, "deadLetter": {"managed": {"queueName": format!("{PREFIX}{dead_letters}")}}})
}

/// Puts a version in force that says something else.
async fn tamper(scope: &Scope, aws: &Aws, name: &str) {
    let status = scope.get(name).await.status.unwrap_or_default();
    let arn = status.iam.expect("policies").policies[0].policy_arn.clone();
    let nothing = policy(&[json!({"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"})]);
    let version = aws.iam(ACCOUNT).create_policy_version().policy_arn(arn).set_as_default(true);
    version.policy_document(nothing.to_string()).send().await.expect("CreatePolicyVersion");
}

/// What the operator asked of AWS, as IAM calls it.
fn asked(aws: &Aws) -> BTreeSet<String> {
    let service = |action: &str| match action {
        "DescribeKey" | "GetKeyPolicy" => "kms",
        action if action.contains("Policy") => "iam",
        "GetCallerIdentity" => "sts",
        _ => "sqs",
    };
    aws.proxy.calls().iter().map(|call| format!("{}:{}", service(&call.action), call.action)).collect()
}

#[test]
fn the_printed_policy_is_enough_for_the_whole_life_of_queues_and_holds_nothing_that_is_not_used() {
    as_installed(&[], async |scope, aws| {
        let administrator = aws.root(ACCOUNT).sqs;
        let class = scope.class("ours", class_of_our_own()).await;
        let says = async || permitted_says(scope, &class).await;
        // The emulator's simulation leaves the tags of calls out, without which nothing may be made.
        let is_known = |reason: &str| ["Permitted", "MissingPermissions"].contains(&reason);
        eventually("the class knows its permissions", says, |(reason, _)| is_known(reason)).await;

        let (key, alias) = key(scope, aws).await;
        let mut encrypted = json!({"encryption": {"mode": "KMS", "kms": {"key": alias}}, "tags": {"team": "media"}});
        encrypted["access"] = json!({"producers": [{"accountId": ACCOUNT}]});
        scope.apply_ready("standard", encrypted).await;
        scope.apply_ready("fifo", json!({"type": "FIFO"})).await;
        let foundling = scope.queue("foundling");
        administrator.create_queue().queue_name(&foundling).send().await.expect("CreateQueue");
        scope.apply_ready("foundling", json!({"adoptionPolicy": "Adopt", "deletionPolicy": "Delete"})).await;

        set(aws, &scope.queue("standard"), QueueAttributeName::DelaySeconds, "9").await;
        scope.poke("standard").await;
        reads(aws, &scope.queue("standard"), "DelaySeconds", "0").await;
        scope.apply_ready("standard", json!({"delaySeconds": 3, "tags": {"cost-center": "42"}})).await;
        reads(aws, &scope.queue("standard"), "DelaySeconds", "3").await;
        let tags = seen::tags(&administrator, &scope.queue("standard")).await;
        assert_eq!((tags.get("team"), tags.get("cost-center").map(String::as_str)), (None, Some("42")));
        // The same key by another name is the same key.
        set(aws, &scope.queue("foundling"), QueueAttributeName::KmsMasterKeyId, &key).await;
        let same = json!({"encryption": {"mode": "KMS", "kms": {"key": alias}}});
        scope.patch("foundling", json!({"spec": same})).await;
        scope.ready("foundling").await;

        // A policy: made, changed, set back, let go and deleted.
        scope.apply_ready("policies", inspected("letters-a")).await;
        scope.apply_ready("policies", inspected("letters-b")).await;
        tamper(scope, aws, "policies").await;
        let mark = aws.proxy.mark();
        scope.poke("policies").await;
        let repaired = async || aws.proxy.since(mark).iter().any(|call| call.action == "CreatePolicyVersion");
        eventually("the policy is set back", repaired, |repaired| *repaired).await;
        let mut released = inspected("letters-c");
        released["deletionPolicy"] = json!("Retain");
        scope.apply_ready("released", released).await;
        scope.delete("released").await;
        scope.gone("released").await;

        // Who only watches looks for the queue, whether it is there or not.
        scope
            .apply_ready("watched", json!({"managementPolicy": "Observe", "queueName": scope.queue("standard")}))
            .await;
        scope.apply("missing", json!({"managementPolicy": "Observe"})).await;
        scope.says("missing", "NotFound").await;

        for queue in ["standard", "fifo", "foundling", "policies"] {
            scope.delete(queue).await;
        }
        for queue in ["standard", "fifo", "foundling", "policies"] {
            scope.gone(queue).await;
        }
        let left = seen::names(&administrator, &format!("{PREFIX}{}_", scope.name)).await;
        assert_eq!(left, [scope.queue("released")]);

        let refused: Vec<_> = aws.proxy.calls().into_iter().filter(|call| call.status == Some(403)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        let mut allowed: BTreeSet<String> = printed(scope).iter().flat_map(pages::actions).collect();
        // Who one is may be asked by everyone.
        allowed.insert("sts:GetCallerIdentity".to_owned());
        // AWS asks for it when a policy is created with tags; a call of its own it is only after a change of clusters.
        allowed.remove("iam:TagPolicy");
        assert_eq!(asked(aws), allowed);

        // The same calls as AWS would have looked at them: by the tags of each call, and of what it was about.
        let requests = replay::requests(&aws.proxy.calls());
        let printed = policy(&printed(scope));
        let refused: Vec<&Request> = requests.iter().filter(|request| !allows(&printed, request)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        for statement in printed["Statement"].as_array().expect("statements") {
            let sid = statement["Sid"].as_str().expect("a Sid");
            let less = without(&printed, sid);
            assert!(requests.iter().any(|request| !allows(&less, request)), "nothing fails without {sid}");
        }
    });
}

#[test]
fn a_queue_of_another_cluster_is_seen_and_left_alone_whatever_its_name() {
    as_installed(&[], async |scope, aws| {
        let administrator = aws.root(ACCOUNT).sqs;
        let arn = role_arn(ACCOUNT, &operator_role(scope));
        let operator = aws.root(ACCOUNT).assume(aws, &arn, None).await.expect("the operator's role");
        let seeing = BTreeSet::from(["GetQueueAttributes", "GetQueueUrl", "ListQueueTags"]);
        for (name, owner) in [("theirs", Some("another-cluster")), ("nobodys", None)] {
            let create = administrator.create_queue().queue_name(scope.queue(name));
            let tags = owner.map(|owner| [("queue.prism.io/cluster".to_owned(), owner.to_owned())].into());
            let url = create.set_tags(tags).send().await.expect("CreateQueue").queue_url.expect("a URL");
            assert_eq!(permitted(&operator.sqs, &url).await, seeing, "{name}");
            assert!(operator.sqs.delete_queue().queue_url(&url).send().await.is_err(), "{name}");
            // It is claimed only where there is nobody to claim it from.
            let claim = operator.sqs.tag_queue().queue_url(&url).tags("queue.prism.io/cluster", CLUSTER_NAME);
            let claim = claim.tags("queue.prism.io/origin", "adopted").send().await;
            assert_eq!(claim.is_ok(), owner.is_none(), "{name}");
        }
        scope.apply("theirs", json!({"adoptionPolicy": "Adopt", "deletionPolicy": "Delete"})).await;
        scope.says("theirs", "NotOwned").await;
        scope.delete("theirs").await;
        scope.gone("theirs").await;
        assert!(seen::url(&administrator, &scope.queue("theirs")).await.is_some(), "it is still there");
    });
}

#[test]
fn a_queue_outside_the_prefix_cannot_be_touched_whatever_a_queue_asks_for() {
    as_installed(&[], async |scope, aws| {
        let administrator = aws.root(ACCOUNT).sqs;
        let foreign = format!("billing-{}", scope.name);
        let made = administrator.create_queue().queue_name(&foreign).send().await.expect("CreateQueue");
        let before = seen::attributes(&administrator, &foreign).await;
        scope
            .apply("thief", json!({"queueName": foreign, "adoptionPolicy": "Adopt", "deletionPolicy": "Delete"}))
            .await;
        let thief = scope.says("thief", "Denied").await;
        let message = &condition(&thief, "Ready").expect("it is told").message;
        assert!(message.contains(&foreign), "{message}");
        let squatter = format!("squatter-{}", scope.name);
        scope.apply("squatter", json!({"queueName": squatter})).await;
        scope.says("squatter", "Denied").await;
        assert_eq!(seen::url(&administrator, &squatter).await, None);
        scope.delete("thief").await;
        scope.says("thief", "Denied").await;
        assert_eq!(seen::attributes(&administrator, &foreign).await, before);
        assert_eq!(seen::tags(&administrator, &foreign).await, BTreeMap::new());

        let arn = role_arn(ACCOUNT, &operator_role(scope));
        let operator = aws.root(ACCOUNT).assume(aws, &arn, None).await.expect("the operator's role");
        let url = made.queue_url.expect("a URL");
        assert_eq!(permitted(&operator.sqs, &url).await, NOTHING.into());
        // Of its own queues it sees no message.
        scope.apply_ready("own", json!({})).await;
        let url = seen::url(&administrator, &scope.queue("own")).await.expect("it exists");
        let may = permitted(&operator.sqs, &url).await;
        for message in ["SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"] {
            assert!(!may.contains(message), "{message}");
        }
        assert!(may.contains("TagQueue"), "{may:?}");
    });
}

/// What of a Queue's life fails without an action, and what the Queue says of it; afterwards it goes on.
async fn fails_without(left_out: (&str, &str), scope: &Scope, aws: &Aws, statements: &[Value], all: &[Value]) {
    let role = operator_role(scope);
    let (sid, action) = left_out;
    let name = &format!("{action}-{}", sid.len()).replace(':', "-").to_lowercase();
    let give = async |statements: &[Value]| aws.allow(ACCOUNT, &role, &policy(statements)).await;
    let call = action.split_once(':').map_or(action, |(_, call)| call);
    let denied = async |name: &str| {
        let queue = scope.says(name, "Denied").await;
        let message = &condition(&queue, "Ready").expect("it is told").message;
        assert!(message.contains(call), "{action}: {message}");
    };
    match action {
        "sqs:TagQueue" if sid == "TagQueuesOfNobodyAsOurs" => {
            // AWS asks for it when a queue is created with tags too, the emulator does not.
            let foundling = scope.queue(name);
            aws.root(ACCOUNT).sqs.create_queue().queue_name(&foundling).send().await.expect("CreateQueue");
            give(statements).await;
            scope.apply(name, json!({"adoptionPolicy": "Adopt"})).await;
            denied(name).await;
        }
        "sqs:CreateQueue" | "sqs:GetQueueAttributes" | "sqs:ListQueueTags" => {
            give(statements).await;
            scope.apply(name, json!({})).await;
            denied(name).await;
        }
        // Where nothing is to be created, a queue is looked for.
        "sqs:GetQueueUrl" | "sqs:ListQueues" => {
            give(statements).await;
            scope.apply(name, json!({"managementPolicy": "Observe"})).await;
            denied(name).await;
            scope.patch(name, json!({"spec": {"managementPolicy": "Manage"}})).await;
        }
        "sqs:SetQueueAttributes" | "sqs:TagQueue" | "sqs:UntagQueue" => {
            scope.apply_ready(name, json!({"tags": {"team": "media"}})).await;
            give(statements).await;
            let changed = match call {
                "SetQueueAttributes" => json!({"tags": {"team": "media"}, "delaySeconds": 3}),
                "TagQueue" => json!({"tags": {"team": "film"}}),
                _ => json!({}),
            };
            scope.apply(name, changed).await;
            denied(name).await;
        }
        "sqs:DeleteQueue" => {
            scope.apply_ready(name, json!({"deletionPolicy": "Delete"})).await;
            give(statements).await;
            scope.delete(name).await;
            denied(name).await;
            give(all).await;
            scope.poke(name).await;
            return scope.gone(name).await;
        }
        "kms:DescribeKey" => {
            let (key, alias) = key(scope, aws).await;
            let encrypted = json!({"encryption": {"mode": "KMS", "kms": {"key": alias}}});
            scope.apply_ready(name, encrypted).await;
            set(aws, &scope.queue(name), QueueAttributeName::KmsMasterKeyId, &key).await;
            // The second look begins when the first has ended, and the first leaves the key as it is.
            for _ in 0..2 {
                let mark = aws.proxy.mark();
                scope.poke(name).await;
                let asked = async || aws.proxy.since(mark).iter().any(|call| call.action == "DescribeKey");
                eventually("KMS is asked what the alias means", asked, |asked| *asked).await;
            }
            reads(aws, &scope.queue(name), "KmsMasterKeyId", &key).await;
            give(statements).await;
            scope.poke(name).await;
            // Nobody can say that they are the same: it is taken for drift, and written over.
            reads(aws, &scope.queue(name), "KmsMasterKeyId", &alias).await;
        }
        "iam:SimulatePrincipalPolicy" => {
            give(statements).await;
            let class = scope.class(name, class_of_our_own()).await;
            let says = async || permitted_says(scope, &class).await;
            let (_, message) = eventually("it is told", says, |(reason, _)| reason == "NotKnown").await;
            assert!(message.contains(action), "{message}");
            return give(all).await;
        }
        "kms:GetKeyPolicy" => {
            let (_, alias) = key(scope, aws).await;
            give(statements).await;
            let mut spec = json!({"encryption": {"mode": "KMS", "kms": {"key": alias}}});
            spec["access"] = json!({"producers": [{"accountId": ACCOUNT}]});
            let queue = scope.apply_ready(name, spec).await;
            let told = queue.status.and_then(|status| status.key_policy).and_then(|told| told.message);
            assert!(told.as_ref().is_some_and(|told| told.contains(call)), "{told:?}");
        }
        "iam:CreatePolicy" => {
            give(statements).await;
            scope.apply(name, inspected(name)).await;
            denied(name).await;
        }
        "iam:GetPolicy" => {
            scope.apply_ready(name, inspected(name)).await;
            give(statements).await;
            scope.poke(name).await;
            denied(name).await;
        }
        "iam:CreatePolicyVersion" | "iam:ListPolicyVersions" => {
            scope.apply_ready(name, inspected(name)).await;
            give(statements).await;
            scope.apply(name, inspected(&format!("{name}-2"))).await;
            denied(name).await;
        }
        "iam:GetPolicyVersion" => {
            scope.apply_ready(name, inspected(name)).await;
            give(statements).await;
            tamper(scope, aws, name).await;
            scope.poke(name).await;
            denied(name).await;
        }
        "iam:DeletePolicy" | "iam:DeletePolicyVersion" => {
            scope.apply_ready(name, inspected(name)).await;
            scope.apply_ready(name, inspected(&format!("{name}-2"))).await;
            give(statements).await;
            scope.apply(name, json!({"deadLetter": {"managed": {"queueName": format!("{PREFIX}{name}-2")}}})).await;
            denied(name).await;
        }
        "iam:UntagPolicy" => {
            let mut retained = inspected(name);
            retained["deletionPolicy"] = json!("Retain");
            let queue = scope.apply_ready(name, retained).await;
            give(statements).await;
            scope.delete(name).await;
            // What AWS denies holds nobody back who lets go.
            scope.gone(name).await;
            let arn = queue.status.and_then(|status| status.iam).expect("policies").policies[0].policy_arn.clone();
            let tags = aws.iam(ACCOUNT).list_policy_tags().policy_arn(arn).send().await.expect("ListPolicyTags").tags;
            assert!(tags.iter().any(|tag| tag.key() == "queue.prism.io/name"), "{tags:?}");
            return give(all).await;
        }
        // The emulator does not ask for it when a policy is created with tags; AWS does.
        "iam:TagPolicy" => return,
        other => panic!("{sid} allows {other}: what fails without it?"),
    }
    give(all).await;
    scope.poke(name).await;
    scope.ready(name).await;
}

#[test]
fn without_any_one_action_of_the_printed_policy_something_fails_and_says_which() {
    as_installed(&[], async |scope, aws| {
        let all = emulated(printed(scope));
        for (index, statement) in all.iter().enumerate() {
            for action in pages::actions(statement) {
                let mut less = all.clone();
                let left: Vec<String> = pages::actions(statement).into_iter().filter(|kept| *kept != action).collect();
                if left.is_empty() {
                    less.remove(index);
                } else {
                    less[index]["Action"] = json!(left);
                }
                let sid = statement["Sid"].as_str().expect("a Sid");
                fails_without((sid, &action), scope, aws, &less, &all).await;
            }
        }
    });
}
