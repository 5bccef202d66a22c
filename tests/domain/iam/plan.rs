//! The plan for the policies of a Queue that lives.

use serde_json::json;

use prism_queue::api::class::DriftMode;
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::iam::{IamPath, PolicySight};
use prism_queue::domain::plan::{Plan, Step};
use prism_queue::domain::tags::{Origin, Owner, Tags};

use super::{arn_of, document, first, policy_steps, settled, with_policies};
use crate::fixtures::*;

// Beginning.

#[test]
fn a_policy_is_on_record_before_it_is_made_and_made_after_its_queue() {
    let mut world = World::untouched(queue("orders", with_policies(["Consume", "Send"])));
    let plan = world.plan();
    assert_eq!(step_names(&plan), ["AddFinalizer", "Record"]);
    world.carry_out(&plan);
    let on_record: Vec<_> = world.record.policies.iter().map(|entry| entry.permission.as_str()).collect();
    assert_eq!(on_record, ["Send", "Consume"]);
    assert!(world.record.policies.iter().all(|entry| entry.version_id.is_none()), "none is there");

    let mut made = Vec::new();
    for _ in 0..4 {
        let plan = world.plan();
        made.push(step_names(&plan));
        world.carry_out(&plan);
    }
    // The source comes once its dead-letter queue is proved, and nobody is let in before the source is.
    assert_eq!(made, [vec!["CreateQueue"], vec!["CreateQueue"], vec!["CreatePolicy", "CreatePolicy"], vec![]]);
}

#[test]
fn a_policy_carries_the_owner_tags_and_status_tells_where_it_is() {
    let mut world = settled(with_policies(["Send"]));
    assert_eq!(first(&mut world).policy.tags, owner("orders").tags(Origin::Created));
    let entry = &world.queue.status.as_ref().unwrap().iam.as_ref().unwrap().policies[0];
    assert_eq!(entry.version_id.as_deref(), Some("v1"));
    assert!(entry.policy_arn.contains(":policy/prism-queue/media_orders_Send_"), "{}", entry.policy_arn);
    assert_eq!(entry.document_digest, world.desired().policies[0].digest());
}

#[test]
fn without_policies_there_is_nothing_in_status_and_nothing_to_do() {
    let world = settled(empty());
    assert_eq!(world.queue.status.unwrap().iam, None);
}

#[test]
fn at_rest_nothing_is_written() {
    let world = settled(with_policies(["Send", "Consume", "Inspect", "Redrive"]));
    let plan = world.plan();
    assert_eq!((step_names(&plan), reasons(&plan)), (vec![], vec![]));
}

#[test]
fn nobody_is_let_in_to_a_queue_that_is_not_ours() {
    let stranger = Owner { namespace: "shop".to_owned(), ..owner("orders") };
    let world = World::of(queue("orders", with_policies(["Send", "Inspect"])))
        .seeing("media_orders", created_by(&stranger, "media_orders"))
        .seeing("media_orders_dlq", created_by(&owner("orders"), "media_orders_dlq"));
    assert_eq!(policy_steps(&world.plan()), [""; 0]);

    let foreign_letters = World::of(queue("orders", with_policies(["Send", "Inspect", "Redrive"])))
        .seeing("media_orders", created_by(&owner("orders"), "media_orders"))
        .seeing("media_orders_dlq", created_by(&stranger, "media_orders_dlq"));
    let plan = foreign_letters.plan();
    assert_eq!(policy_steps(&plan), ["CreatePolicy"]);
    assert!(!document(&plan).to_string().contains("_dlq"), "Send is not about the dead-letter queue");
}

#[test]
fn a_policy_about_a_dead_letter_queue_waits_for_it() {
    let spec = json!({
        "iam": {"policies": ["Send", "Redrive"]},
        "deadLetter": {"mode": "Reference", "reference": {"queueRef": {"name": "dead"}}},
    });
    let world = World::of(queue("orders", spec)).seeing("media_orders", created_by(&owner("orders"), "media_orders"));
    let plan = world.plan();
    assert_eq!(policy_steps(&plan), ["CreatePolicy"]);
    assert!(reasons(&plan).contains(&"DeadLetterNotReady"));
}

// Changing.

#[test]
fn another_key_is_one_new_version() {
    let mut world = settled(with_policies(["Send"]));
    let spec = json!({"iam": {"policies": ["Send"]}, "encryption": {"mode": "KMS", "kms": {"key": "alias/media"}}});
    world = world.edited(spec);
    let plan = world.plan();
    assert_eq!(policy_steps(&plan), ["UpdatePolicy"]);
    assert!(document(&plan).to_string().contains("kms:GenerateDataKey"));
    world.carry_out(&plan);
    assert_eq!(policy_steps(&world.plan()), [""; 0]);
    assert_eq!(world.settled().record.policies[0].version_id.as_deref(), Some("v2"));
}

#[test]
fn one_more_permission_is_one_write() {
    let mut world = settled(with_policies(["Send"])).edited(with_policies(["Send", "Consume"]));
    let plan = world.plan();
    assert_eq!(step_names(&plan), ["Record"]);
    world.carry_out(&plan);
    assert_eq!(step_names(&world.plan()), ["CreatePolicy"]);
}

#[test]
fn the_fifth_version_goes_only_once_its_successor_is_in_force() {
    let mut world = settled(with_policies(["Send"]));
    // Somebody put an older version in force.
    let present = first(&mut world);
    "v2".clone_into(&mut present.policy.default_version);
    present.others = ["v1", "v3", "v4", "v5"].map(str::to_owned).to_vec();
    "another".clone_into(&mut present.digest);
    let world = world.later(seconds(61));
    let plan = world.plan();
    let versions = |plan: &Plan| {
        let version = |step: &Step| match step {
            Step::DeletePolicyVersion { version, .. } => version.clone(),
            Step::UpdatePolicy { .. } => "new".to_owned(),
            other => panic!("{other:?}"),
        };
        plan.steps.iter().map(version).collect::<Vec<_>>()
    };
    assert_eq!(versions(&plan), ["v1", "new", "v3"], "others filled it up");
    let mut world = world;
    first(&mut world).others.pop();
    assert_eq!(versions(&world.plan()), ["new", "v1"]);
    first(&mut world).others.pop();
    assert_eq!(versions(&world.plan()), ["new"], "there is room for one more");
}

#[test]
fn what_was_changed_from_outside_is_set_back_and_told_as_such() {
    let mut world = settled(with_policies(["Send"]));
    let present = first(&mut world);
    "v7".clone_into(&mut present.policy.default_version);
    "another".clone_into(&mut present.digest);
    let plan = world.plan();
    let [Step::UpdatePolicy { event, .. }] = &plan.steps[..] else { panic!("{:?}", plan.steps) };
    assert_eq!(event.as_str(), "DriftRepaired");
}

#[test]
fn a_class_that_reports_is_told_of_changes_and_repairs_none() {
    let mut reporting = class();
    reporting.drift = DriftMode::Report;
    let mut world = World::of(queue("orders", with_policies(["Send"]))).with_class(reporting).settled();
    world.settle();
    let present = first(&mut world);
    "v2".clone_into(&mut present.policy.default_version);
    "another".clone_into(&mut present.digest);
    let plan = world.plan();
    assert_eq!((policy_steps(&plan), plan.differences.len()), (vec![], 1), "{:?}", plan.differences);

    let arn = arn_of(&world, 0);
    world.observed.policies.insert(arn.to_string(), PolicySight::Absent);
    let plan = world.later(seconds(61)).plan();
    assert_eq!((policy_steps(&plan), reasons(&plan)), (vec![], vec!["NotFound"]));
}

#[test]
fn another_path_or_cluster_name_moves_no_policy() {
    let world = settled(with_policies(["Send"]));
    let before = arn_of(&world, 0);
    let mut moved = class();
    moved.iam_path = IamPath::parse("/elsewhere/").unwrap();
    let world = world.with_class(moved);
    assert_eq!(world.desired().policies[0].arn, before);
    assert_eq!(step_names(&world.plan()), [""; 0]);
}

#[test]
fn a_recorded_policy_of_another_account_is_not_believed() {
    let mut world = settled(with_policies(["Send"]));
    let iam = world.queue.status.as_mut().unwrap().iam.as_mut().unwrap();
    iam.policies[0].policy_arn = "arn:aws:iam::999999999999:policy/x".to_owned();
    assert_eq!(world.desired().policies[0].arn.account_id(), ACCOUNT);
}

// Lateness.

#[test]
fn a_policy_just_made_that_does_not_show_is_waited_for() {
    let mut world = settled(with_policies(["Send"]));
    let arn = arn_of(&world, 0).to_string();
    world.observed.policies.insert(arn, PolicySight::Absent);
    let plan = world.clone().later(seconds(59)).plan();
    assert_eq!((step_names(&plan), plan.awaiting_policies.len(), reasons(&plan)), (vec![], 1, vec![]));
    // Then somebody deleted it.
    assert_eq!(step_names(&world.later(seconds(61)).plan()), ["CreatePolicy"]);
}

#[test]
fn an_older_version_that_shows_for_a_while_is_not_written_over() {
    let mut world = settled(with_policies(["Send"]));
    world.record.policies[0].version_id = Some("v10".to_owned());
    let present = first(&mut world);
    "v9".clone_into(&mut present.policy.default_version);
    "older".clone_into(&mut present.digest);
    let plan = world.clone().later(seconds(59)).plan();
    assert_eq!((step_names(&plan), plan.awaiting_policies.len()), (vec![], 1));
    assert_eq!(step_names(&world.clone().later(seconds(61)).plan()), ["UpdatePolicy"]);
    // One of another incarnation is no older version.
    "ANPAOTHER".clone_into(&mut first(&mut world).policy.id);
    assert_eq!(step_names(&world.plan()), ["UpdatePolicy"]);
}

#[test]
fn a_name_that_is_taken_by_nothing_to_be_seen_is_waited_for_and_then_told() {
    let mut world = settled(with_policies(["Send"]));
    let arn = arn_of(&world, 0).to_string();
    world.observed.policies.insert(arn.clone(), PolicySight::NameTaken);
    let begun = world.now;
    world.memory.name_taken.insert(arn, begun);
    let plan = world.plan();
    assert_eq!((step_names(&plan), reasons(&plan)), (vec![], vec!["Progressing"]));
    let plan = world.later(seconds(60)).plan();
    assert_eq!(reasons(&plan), ["NameConflict"]);
    assert!(plan.findings[0].is_stalled && plan.findings[0].message.contains("another path"));
}

// Whose it is.

#[test]
fn a_policy_that_is_not_ours_is_left_untouched() {
    let of = |owner: Owner| owner.tags(Origin::Created);
    let other_cluster = {
        let mut owner = owner("orders");
        owner.cluster.name = "test".to_owned();
        owner
    };
    let other_uid = {
        let mut owner = owner("orders");
        owner.cluster.uid = "cluster-0".to_owned();
        owner
    };
    for (tags, reason, word) in [
        (Tags::new(), "NotOwned", "not adopted"),
        (of(owner("letters")), "NameConflict", "media/letters"),
        (of(other_cluster), "NotOwned", "test"),
        (of(other_uid), "ClusterIdentityChanged", "--previous-cluster-uid cluster-0"),
    ] {
        let mut world = settled(with_policies(["Send"]));
        let present = first(&mut world);
        present.policy.tags = tags;
        "another".clone_into(&mut present.digest);
        let plan = world.clone().later(seconds(61)).plan();
        assert_eq!((step_names(&plan), reasons(&plan)), (vec![], vec![reason]));
        assert!(plan.findings[0].is_stalled && plan.findings[0].message.contains(word), "{:?}", plan.findings);
        // And when it is not wanted any more, it is forgotten.
        let plan = world.edited(empty()).plan();
        assert_eq!((step_names(&plan), plan.policies.len()), (vec![], 0));
    }
}

#[test]
fn a_cluster_that_replaces_another_renews_the_owner_tags() {
    let mut world = settled(with_policies(["Send"]));
    let previous = owner("orders").tags(Origin::Created);
    let mut class = class().replacing("cluster-1");
    class.cluster.uid = "cluster-2".to_owned();
    for name in ["media_orders", "media_orders_dlq"] {
        world.present(name).tags.insert("queue.prism.io/cluster-uid".to_owned(), "cluster-2".to_owned());
    }
    assert_eq!(first(&mut world).policy.tags, previous);
    let mut world = world.with_class(class);
    let plan = world.plan();
    assert_eq!(step_names(&plan), ["TagPolicy"]);
    world.carry_out(&plan);
    assert_eq!((step_names(&world.plan()), reasons(&world.plan())), (vec![], vec![]));
}

// Trouble.

#[test]
fn what_cannot_be_seen_keeps_only_the_policy_waiting() {
    let failed = |kind| {
        let error = CallError { action: "GetPolicy", kind, code: String::new(), message: "words".to_owned() };
        PolicySight::Failed(error)
    };
    for (sight, reason) in [
        (failed(ErrorKind::Denied), "Denied"),
        (failed(ErrorKind::Throttled), "Throttled"),
        (failed(ErrorKind::Transient), "AWSUnavailable"),
    ] {
        let mut world = settled(with_policies(["Send"]));
        let arn = arn_of(&world, 0).to_string();
        world.observed.policies.insert(arn, sight);
        world.queue.spec.delay_seconds = Some(9);
        let plan = world.plan();
        assert_eq!((step_names(&plan), reasons(&plan)), (vec!["SetAttributes"], vec![reason]));
        assert_eq!(plan.policies, world.record.policies, "it stays on record");
    }
}

#[test]
fn what_iam_refused_in_this_pass_is_left_out_and_the_others_go_on() {
    let mut world = settled(with_policies(["Send"])).edited(with_policies(["Send", "Consume", "Inspect"])).recorded();
    let arn = arn_of(&world, 1).to_string();
    world.observed.refused.insert(arn, "CreatePolicy: AccessDenied".to_owned());
    let plan = world.plan();
    assert_eq!(step_names(&plan), ["CreatePolicy"]);
    assert!(document(&plan).to_string().contains("_dlq"));
}

// No longer wanted.

#[test]
fn a_permission_that_is_removed_takes_its_policy_and_all_its_versions_with_it() {
    let mut world = settled(with_policies(["Send", "Consume"]));
    first(&mut world).others = vec!["v1".to_owned(), "v2".to_owned()];
    let mut world = world.edited(with_policies(["Consume"]));
    let plan = world.plan();
    assert_eq!(step_names(&plan), ["DeletePolicyVersion", "DeletePolicyVersion", "DeletePolicy"]);
    assert_eq!(plan.policies.len(), 2, "it is on record until it is gone");
    world.carry_out(&plan);
    let plan = world.plan();
    assert_eq!((step_names(&plan), reasons(&plan)), (vec![], vec![]));
    assert_eq!(plan.policies.iter().map(|entry| entry.permission.as_str()).collect::<Vec<_>>(), ["Consume"]);
}

#[test]
fn a_policy_that_is_attached_is_not_taken_from_anybody() {
    let mut world = settled(with_policies(["Send"]));
    first(&mut world).policy.attachments = 2;
    let mut world = world.edited(empty());
    world.queue.spec.delay_seconds = Some(9);
    let plan = world.plan();
    assert_eq!((step_names(&plan), reasons(&plan)), (vec!["SetAttributes"], vec!["PolicyAttached"]));
    let finding = &plan.findings[0];
    assert!(!finding.is_stalled && finding.message.contains("2 times") && finding.retry >= seconds(60), "{finding:?}");
    first(&mut world).policy.attachments = 0;
    assert!(policy_steps(&world.plan()).contains(&"DeletePolicy"));
}

#[test]
fn who_only_observes_writes_nothing_to_iam() {
    let world = settled(with_policies(["Send"]));
    let spec = json!({"managementPolicy": "Observe", "iam": {"policies": ["Consume"]}});
    let plan = world.edited(spec).plan();
    assert_eq!(policy_steps(&plan), [""; 0]);
    assert_eq!(plan.policies.len(), 1, "what was made stays on record");
}
