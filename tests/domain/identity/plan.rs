//! What is done about a subject's role and policies, and in which order.

use std::collections::BTreeSet;

use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::finding::Circumstances;
use prism_queue::domain::iam::PolicySight;
use prism_queue::domain::identity::{AccountSight, Binding, IdentityStep, RoleArn, RoleSight};
use prism_queue::domain::observed::Memory;
use prism_queue::domain::permission::Permission::Send;
use prism_queue::domain::tags::{Origin, Owner, Tags};

use super::world::{World, policy, role};
use super::{BATCH, BOUNDARY, Case, at_noon, consuming, given, making, member};
use crate::fixtures::*;

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

fn error(kind: ErrorKind) -> CallError {
    CallError { action: "GetRole", kind, code: "Code".to_owned(), message: "no".to_owned() }
}

/// The role and the policy of `web/resizer`, as they should be, and what they were made for.
fn settled() -> (World, Case) {
    let case = Case::of_resizer(consuming()).recorded();
    (World::empty(case.desired()).settled(), case)
}

/// With the role of others, to which this is attached already.
fn with_batch(case: &Case, attached: &[&str]) -> World {
    let arn = RoleArn::parse(BATCH).unwrap();
    World::empty(case.desired()).seeing_role(&arn, RoleSight::Present(role(&arn, Tags::new(), attached)))
}

fn own_role(world: &World) -> RoleArn {
    world.desired.own_role.clone().unwrap()
}

fn deleting(mut case: Case) -> Case {
    case.members.iter_mut().for_each(|member| member.deleting = true);
    case
}

#[test]
fn a_role_is_made_with_its_boundary_then_its_policies_then_it_is_bound() {
    let world = World::empty(Case::of_resizer(consuming()).desired());
    assert_eq!(world.steps(), ["CreateRole", "CreatePolicy", "Attach", "Bind"]);
    let steps = world.plan().steps;
    let IdentityStep::CreateRole { boundary, tags, .. } = &steps[0] else { panic!("{steps:?}") };
    assert_eq!((boundary.as_str(), tags), (BOUNDARY, &world.desired.owner.tags(Origin::Created)));
    let world = world.settled();
    assert_eq!(world.steps(), ["Bind"], "nothing else is left");
    assert_eq!(world.reasons(), [""; 0]);
}

#[test]
fn what_was_changed_from_outside_is_set_back_the_boundary_before_anything_is_attached() {
    let (mut world, _) = settled();
    let own = own_role(&world);
    let (policy, document) = world.desired.policies[0].clone();
    let present = world.role(&own);
    present.role.boundary = None;
    present.role.trust = "{}".to_owned();
    present.attached.clear();
    let present = world.policy(&policy);
    present.digest = "another".to_owned();
    assert_eq!(world.steps(), ["PutBoundary", "UpdateTrust", "UpdatePolicy", "Attach", "Bind"]);
    let mut world = world.settled();
    assert_eq!(world.role(&own).role.boundary.as_deref(), Some(BOUNDARY));
    assert_eq!(world.policy(&policy).digest, document.digest());

    world.role(&own).role.boundary = Some("arn:aws:iam::aws:policy/AdministratorAccess".to_owned());
    assert_eq!(world.steps(), ["PutBoundary", "Bind"]);
}

#[test]
fn the_tags_of_the_cluster_that_this_one_replaces_are_renewed() {
    let mut case = Case::of_resizer(consuming()).recorded();
    let (mut world, _) = settled();
    let previous = Owner { cluster: class().cluster, ..world.desired.owner.clone() };
    let (own, arn) = (own_role(&world), world.desired.policies[0].0.clone());
    case.class.cluster.uid = "cluster-2".to_owned();
    world = world.wanting(case.desired());
    assert_eq!(world.reasons(), ["ClusterIdentityChanged"; 2], "role and policy, until somebody says so");
    assert_eq!(world.steps(), [""; 0]);
    case.class = case.class.replacing("cluster-1");
    let world = world.wanting(case.desired());
    assert_eq!(world.steps(), ["TagRole", "TagPolicy", "Bind"]);
    let mut world = world.settled();
    assert_ne!(world.role(&own).role.tags, previous.tags(Origin::Created));
    let tags = world.role(&own).role.tags.clone();
    assert_eq!(tags, world.policy(&arn).policy.tags);
}

#[test]
fn a_role_of_others_in_its_place_is_left_untouched() {
    let strangers = |world: &World| {
        let owner = world.desired.owner.clone();
        let another = |change: &dyn Fn(&mut Owner)| {
            let mut owner = owner.clone();
            change(&mut owner);
            owner.tags(Origin::Created)
        };
        [
            (Tags::new(), "NotOwned"),
            (tags([("team", "media")]), "NotOwned"),
            (another(&|owner| owner.name = "serviceaccount/other".to_owned()), "NameConflict"),
            (another(&|owner| owner.name = "resizer".to_owned()), "NameConflict"),
            (another(&|owner| owner.namespace = "shop".to_owned()), "NameConflict"),
            (another(&|owner| owner.cluster.name = "test".to_owned()), "NotOwned"),
            (another(&|owner| owner.cluster.uid = "cluster-0".to_owned()), "ClusterIdentityChanged"),
        ]
    };
    let (world, case) = settled();
    let (own, arn) = (own_role(&world), world.desired.policies[0].0.clone());
    for (tags, reason) in strangers(&world) {
        let mut of_others = world.clone();
        of_others.role(&own).role.tags = tags.clone();
        of_others.role(&own).role.boundary = None;
        assert_eq!((of_others.steps(), of_others.reasons()), (vec![], vec![reason]), "{tags:?}");
        let of_others = of_others.wanting(deleting(case.clone()).desired());
        assert_eq!(of_others.steps(), ["Detach", "DeletePolicy"], "what is ours goes, from wherever it is: {tags:?}");

        let mut of_others = world.clone();
        of_others.policy(&arn).policy.tags = tags.clone();
        of_others.policy(&arn).digest = "another".to_owned();
        assert_eq!((of_others.steps(), of_others.reasons()), (vec![], vec![reason]), "{tags:?}");
        let of_others = of_others.wanting(deleting(case.clone()).desired());
        let touched =
            of_others.plan().steps.iter().flat_map(IdentityStep::concerns).any(|concern| concern == arn.to_string());
        assert!(!touched, "{tags:?}");
    }
}

/// Calls about roles go by name: what answers is another role.
#[test]
fn a_role_of_the_name_at_another_path_is_left_untouched() {
    let (mut world, case) = settled();
    let own = own_role(&world);
    world.role(&own).role.arn = format!("arn:aws:iam::{ACCOUNT}:role/{}", own.name());
    assert_eq!((world.steps(), world.reasons()), (vec![], vec!["NameConflict"]));
    world.role(&own).attached.clear();
    let world = world.wanting(deleting(case).desired());
    assert!(!world.steps().contains(&"DeleteRole".to_owned()));

    let batch = RoleArn::parse(BATCH).unwrap();
    let case = Case::of_role(consuming()).recorded();
    let mut elsewhere = with_batch(&case, &[]);
    elsewhere.role(&batch).role.arn = "arn:aws:iam::123456789012:role/worker".to_owned();
    assert_eq!((elsewhere.steps(), elsewhere.reasons()), (vec![], vec!["RoleNotAllowed"]));
}

#[test]
fn of_a_role_of_others_only_attachments_are_changed() {
    let case = Case::of_role(consuming()).recorded();
    let batch = RoleArn::parse(BATCH).unwrap();
    let mut world = with_batch(&case, &[READ_ONLY]);
    assert_eq!(world.steps(), ["CreatePolicy", "Attach"]);
    let before = world.role(&batch).role.clone();
    let mut world = world.settled();
    assert_eq!(world.role(&batch).role, before);
    assert_eq!(world.role(&batch).attached.len(), 2);
    let mut world = world.wanting(deleting(case).desired());
    assert_eq!(world.steps(), ["Detach", "DeletePolicy"]);
    world = world.settled();
    assert_eq!(world.role(&batch).attached, BTreeSet::from([READ_ONLY.to_owned()]));
    assert_eq!(world.role(&batch).role, before);
}

#[test]
fn a_role_of_others_that_is_not_there_is_waited_for() {
    let world = World::empty(Case::of_role(consuming()).recorded().desired());
    assert_eq!((world.steps(), world.reasons()), (vec![], vec!["PrincipalGone"]));
}

#[test]
fn at_the_end_it_is_unbound_then_detached_then_deleted() {
    let (mut world, case) = settled();
    let (own, arn) = (own_role(&world), world.desired.policies[0].0.clone());
    world.policy(&arn).others = vec!["v0".to_owned()];
    let bound = deleting(case).annotated(Some(&own.to_string()));
    let world = world.wanting(bound.desired());
    assert_eq!(world.steps(), ["Unbind", "Detach", "DeletePolicyVersion", "DeletePolicy", "DeleteRole"]);
    let world = world.settled();
    assert_eq!(world.picture.roles[&own], RoleSight::Absent);
    assert_eq!(world.picture.policies[&arn], PolicySight::Absent);
}

#[test]
fn what_others_put_to_use_is_not_taken_from_them() {
    let (mut world, case) = settled();
    let (own, arn) = (own_role(&world), world.desired.policies[0].0.clone());
    world.role(&own).attached.insert(READ_ONLY.to_owned());
    world.policy(&arn).policy.attachments = 3;
    let world = world.wanting(deleting(case).desired());
    assert_eq!(world.steps(), ["Detach"]);
    assert_eq!(world.reasons(), ["PolicyAttached", "RoleInUse"]);
    let messages: Vec<String> = world.plan().left.into_iter().map(|finding| finding.message).collect();
    assert!(messages[0].contains("attached 2 times by others") && messages[1].contains(READ_ONLY), "{messages:?}");
    let mut world = world.settled();
    world.role(&own).attached.clear();
    world.policy(&arn).policy.attachments = 0;
    assert_eq!(world.steps(), ["DeletePolicy", "DeleteRole"]);
}

#[test]
fn from_its_own_role_to_one_of_others_the_new_one_has_all_before_the_old_one_goes() {
    let (world, case) = settled();
    let case = case.annotated(Some(BATCH));
    let batch = RoleArn::parse(BATCH).unwrap();
    let world = world.seeing_role(&batch, RoleSight::Present(role(&batch, Tags::new(), &[]))).wanting(case.desired());
    assert_eq!(world.steps(), ["Attach", "Detach", "DeleteRole"]);
    let IdentityStep::Attach { role, .. } = &world.plan().steps[0] else { panic!("{:?}", world.plan().steps) };
    assert_eq!(role.to_string(), BATCH);
    world.settled();
}

#[test]
fn a_policy_that_is_wanted_no_longer_goes_while_the_others_stay() {
    let large = |n: usize| {
        let kms = format!("alias/{n}{}", "k".repeat(2000));
        member(
            &format!("a{n}"),
            &making(),
            Some(super::given_in(&class().place, &format!("q{n}"), &[Send], Some(&kms))),
        )
    };
    let case = Case::of_resizer((0..4).map(large).collect()).recorded();
    let mut world = World::empty(case.desired()).settled();
    assert_eq!(world.desired.policies.len(), 2);
    let fewer = Case { members: case.members[..2].to_vec(), ..case };
    let own = own_role(&world);
    let world_after = world.clone().wanting(fewer.desired());
    assert_eq!(world_after.steps(), ["Bind", "Detach", "DeletePolicy"]);
    assert_eq!(world_after.settled().role(&own).attached.len(), 1);
    // A lost record hides nothing that is attached.
    let mut forgetful = fewer.clone();
    forgetful.members.iter_mut().for_each(|member| member.target = None);
    let second = world.desired.policies[1].clone();
    let seen = world.policy(&second.0).clone();
    let world = world.wanting(forgetful.desired()).seeing_policy(&second.0, PolicySight::Present(seen));
    assert_eq!(world.steps(), ["Bind", "Detach", "DeletePolicy"]);
}

#[test]
fn versions_are_rotated_within_the_limit_and_the_oldest_goes_after_its_successor_is_in_force() {
    let (mut world, _) = settled();
    let arn = world.desired.policies[0].0.clone();
    let present = world.policy(&arn);
    present.digest = "another".to_owned();
    present.others = (0..3).map(|n| format!("v{n}")).collect();
    assert_eq!(world.steps(), ["UpdatePolicy", "DeletePolicyVersion", "Bind"]);
    let present = world.policy(&arn);
    present.others = (0..4).map(|n| format!("v{n}")).collect();
    assert_eq!(world.steps(), ["DeletePolicyVersion", "UpdatePolicy", "DeletePolicyVersion", "Bind"]);
    world.settled();
}

#[test]
fn what_cannot_be_seen_is_neither_written_nor_taken_for_gone() {
    let (world, case) = settled();
    let (own, arn) = (own_role(&world), world.desired.policies[0].0.clone());
    let role_unseen = world.clone().seeing_role(&own, RoleSight::Failed(error(ErrorKind::Denied)));
    assert_eq!((role_unseen.steps(), role_unseen.reasons()), (vec![], vec!["Denied"]));
    let policy_unseen = world.clone().seeing_policy(&arn, PolicySight::Failed(error(ErrorKind::Transient)));
    assert_eq!((policy_unseen.steps(), policy_unseen.reasons()), (vec![], vec!["AWSUnavailable"]), "not bound either");

    let last = deleting(case).desired();
    let world = world.wanting(last);
    let role_unseen = world.clone().seeing_role(&own, RoleSight::Failed(error(ErrorKind::Denied)));
    assert!(role_unseen.reasons().contains(&"Denied"));
    assert_eq!(role_unseen.steps(), [""; 0], "it may be attached to that role");
    let policy_unseen = world.seeing_policy(&arn, PolicySight::Failed(error(ErrorKind::Transient)));
    assert!(policy_unseen.reasons().contains(&"AWSUnavailable"));
    assert!(!policy_unseen.steps().contains(&"DeletePolicy".to_owned()));
}

#[test]
fn a_subject_that_waits_says_why_and_keeps_what_it_has() {
    let (world, mut case) = settled();
    case.account = AccountSight::Absent;
    let mut world = world.wanting(case.desired());
    assert_eq!((world.steps(), world.reasons()), (vec![], vec!["ServiceAccountNotFound"]));
    // What it has is kept as declared all the same.
    let own = own_role(&world);
    world.role(&own).attached.clear();
    assert_eq!(world.steps(), ["Attach"]);
    case.members[0].given = Some(given("media_orders", &[Send]));
    world = world.wanting(case.desired());
    assert_eq!(world.steps(), ["UpdatePolicy", "Attach"]);
}

#[test]
fn a_step_that_fails_keeps_its_own_waiting_and_nothing_else() {
    // A permission that is to be taken away does not wait for one that cannot be given.
    let (world, case) = settled();
    let own = own_role(&world);
    let arn = world.desired.policies[0].0.clone();
    let detach = IdentityStep::Detach { role: own.clone(), policy: arn.clone() };
    let attach = IdentityStep::Attach { role: own.clone(), policy: arn.clone() };
    assert_eq!(detach.waits_for(), [""; 0]);
    assert_eq!(attach.waits_for(), [own.to_string(), arn.to_string()]);
    // But what is still attached cannot be deleted.
    assert_eq!(detach.concerns(), [own.to_string(), arn.to_string()]);
    let is = |word: &'static str| move |step: &IdentityStep| super::world::name(step) == word;
    for (fails, done) in [
        ("CreateRole", vec!["CreatePolicy"]),
        ("CreatePolicy", vec!["CreateRole"]),
        ("Attach", vec!["CreateRole", "CreatePolicy"]),
        ("Bind", vec!["CreateRole", "CreatePolicy", "Attach"]),
    ] {
        let mut world = World::empty(case.desired());
        let steps: Vec<String> = world.pass(is(fails)).iter().map(super::world::name).collect();
        assert_eq!(steps, done, "{fails} fails");
    }
    let bound = deleting(case).annotated(Some(&own.to_string()));
    let last = world.wanting(bound.desired());
    for (fails, done) in [
        ("Unbind", vec!["Detach", "DeletePolicy", "DeleteRole"]),
        ("Detach", vec!["Unbind"]),
        ("DeletePolicy", vec!["Unbind", "Detach", "DeleteRole"]),
        ("DeleteRole", vec!["Unbind", "Detach", "DeletePolicy"]),
    ] {
        let mut world = last.clone();
        let steps: Vec<String> = world.pass(is(fails)).iter().map(super::world::name).collect();
        assert_eq!(steps, done, "{fails} fails");
    }
}

/// Trust that cannot be set right must not keep a policy on the role that is wanted no longer.
#[test]
fn what_is_to_be_taken_away_does_not_wait_for_what_cannot_be_given() {
    let (mut world, mut case) = settled();
    let own = own_role(&world);
    let arn = world.desired.names[1].clone();
    world.role(&own).role.trust = "{}".to_owned();
    world.role(&own).attached.insert(arn.to_string());
    let document = world.desired.policies[0].1.clone();
    let present = policy(&document, world.desired.owner.tags(Origin::Created), 1);
    world = world.seeing_policy(&arn, PolicySight::Present(present));
    case.members[0].target.as_mut().unwrap().policy_arns.push(arn.to_string());
    let mut world = world.wanting(case.desired());
    let steps = world.pass(|step| matches!(step, IdentityStep::UpdateTrust { .. }));
    let steps: Vec<String> = steps.iter().map(super::world::name).collect();
    assert_eq!(steps, ["Detach", "DeletePolicy"]);
}

#[test]
fn only_what_lets_go_is_bound_before_all_else_went_well() {
    let annotate = IdentityStep::Bind(Binding::Annotate("arn".to_owned()));
    let release = IdentityStep::Bind(Binding::Unannotate);
    assert!(annotate.wants_all() && !release.wants_all());
    assert!(!IdentityStep::Bind(Binding::Dissociate { id: "a".to_owned() }).wants_all());
    assert!(annotate.waits_for().is_empty());
}

#[test]
fn a_failed_call_says_what_a_person_has_to_do() {
    let (world, _) = settled();
    let (own, arn) = (own_role(&world), world.desired.policies[0].0.clone());
    let create = World::empty(world.desired.clone()).plan().steps[0].clone();
    let attach = IdentityStep::Attach { role: own.clone(), policy: arn };
    let memory = Memory::default();
    let circumstances = Circumstances { memory: &memory, uid: UID, caller_arn: "", now: at_noon() };
    let put = IdentityStep::PutBoundary { arn: own.clone(), boundary: BOUNDARY.to_owned() };
    for (step, kind, reason, is_stalled, words) in [
        (&create, ErrorKind::EntityDoesNotExist, "Refused", true, BOUNDARY),
        (&put, ErrorKind::EntityDoesNotExist, "Refused", true, "iam.permissionsBoundaryArn"),
        (&attach, ErrorKind::LimitExceeded, "PolicyFull", true, "no room"),
        (&attach, ErrorKind::EntityDoesNotExist, "Progressing", false, "AWS does not agree with itself"),
        (
            &IdentityStep::DeleteRole { arn: own.clone() },
            ErrorKind::DeleteConflict,
            "RoleInUse",
            false,
            "once that is gone",
        ),
        (&create, ErrorKind::Denied, "Denied", false, "GetRole"),
        (&create, ErrorKind::Throttled, "Throttled", false, "slows down"),
    ] {
        let finding = step.failed(&error(kind), &circumstances);
        assert_eq!((finding.reason.as_str(), finding.is_stalled), (reason, is_stalled), "{step:?} {kind:?}");
        assert!(finding.message.contains(words), "{}", finding.message);
    }
}
