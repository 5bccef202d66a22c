//! From any picture: nothing of others is touched, the order is kept, and it comes to rest as declared, whichever steps fail on
//! the way.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::iam::{PolicyArn, PolicySight};
use prism_queue::domain::identity::{AccountSight, AssociationSight, DesiredRole, IdentityStep, RoleArn, RoleSight};
use prism_queue::domain::permission::Permission;
use prism_queue::domain::plan::Step;
use prism_queue::domain::tags::{Origin, Owner, Ownership, Tags};

use super::world::{World, name, policy, role};
use super::{BATCH, BOUNDARY, Case, associating, batch, given_in, making, member};
use crate::fixtures::*;

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

/// A `QueueAccess` by chance, of the subject's.
#[derive(Clone, Debug)]
struct Chance {
    gives: bool,
    deleting: bool,
    is_bound: bool,
    permissions: Vec<Permission>,
    /// Characters of its key's alias.
    alias: usize,
}

fn chance() -> impl Strategy<Value = Chance> {
    let permissions = subsequence(Permission::ALL.to_vec(), 1..=4);
    let often = || prop::bool::weighted(0.8);
    (often(), prop::bool::weighted(0.3), often(), permissions, select(vec![0, 2000])).prop_map(
        |(gives, deleting, is_bound, permissions, alias)| Chance { gives, deleting, is_bound, permissions, alias },
    )
}

/// Whose something is, by its tags.
fn whose() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0_u8), 3 => 1..=5_u8]
}

fn tags_of(owner: &Owner, whose: u8) -> Tags {
    let mut other = owner.clone();
    match whose {
        0 => {}
        1 => other.name.push('2'),
        2 => other.namespace.push('2'),
        3 => other.cluster.name.push('2'),
        4 => "previous".clone_into(&mut other.cluster.uid),
        _ => return tags([("team", "media")]),
    }
    other.tags(Origin::Created)
}

/// How a role looks, or a policy.
#[derive(Clone, Debug)]
struct Look {
    /// 0: absent, 1: cannot be seen, else there.
    sight: u8,
    whose: u8,
    is_right: bool,
    versions: usize,
    by_others: u32,
    attached: Vec<usize>,
}

fn look() -> impl Strategy<Value = Look> {
    let sight = prop_oneof![2 => Just(0_u8), 1 => Just(1_u8), 5 => Just(2_u8)];
    let attached = subsequence((0..=10).collect::<Vec<usize>>(), 0..4);
    (sight, whose(), any::<bool>(), 0..=4_usize, prop_oneof![3 => Just(0_u32), 1 => Just(2_u32)], attached).prop_map(
        |(sight, whose, is_right, versions, by_others, attached)| Look {
            sight,
            whose,
            is_right,
            versions,
            by_others,
            attached,
        },
    )
}

fn unseen() -> CallError {
    CallError { action: "GetRole", kind: ErrorKind::Transient, code: String::new(), message: "no answer".to_owned() }
}

fn case(kind: usize, chances: &[Chance], before: &[Chance]) -> Case {
    let class = if kind == 1 { associating() } else { making() }.replacing("previous");
    let class = if kind == 2 { prism_queue::domain::class::Class { roles: None, ..class } } else { class };
    let members = |chances: &[Chance]| {
        let each = chances.iter().enumerate().map(|(number, chance)| {
            let kms = (chance.alias > 0).then(|| format!("alias/{number}{}", "k".repeat(chance.alias)));
            let given = given_in(&class.place, &format!("media_q{number}"), &chance.permissions, kms.as_deref());
            let mut member = member(&format!("a{number}"), &class, chance.gives.then_some(given));
            (member.deleting, member.is_bound) = (chance.deleting, chance.is_bound);
            member
        });
        each.collect::<Vec<_>>()
    };
    let mut case = Case::of_resizer(members(before)).under(class.clone());
    if kind == 3 {
        (case.subject, case.account) = (batch(), AccountSight::NotAsked);
    }
    let recorded = case.recorded();
    let mut after = members(chances);
    for (member, before) in after.iter_mut().zip(&recorded.members) {
        member.target.clone_from(&before.target);
    }
    let own = recorded.desired().own_role.map(|role| role.to_string()).unwrap_or_default();
    let case = Case { members: after, ..recorded };
    match kind {
        4 => case.annotated(Some(BATCH)),
        5 => case.annotated(Some(&own)),
        6 => Case { account: AccountSight::Absent, ..case },
        7 => case.annotated(Some("arn:aws:iam::123456789012:role/admin")),
        1 => Case { association: AssociationSight::Absent, ..case },
        _ => case,
    }
}

/// What is attached is on record, or not when `may_be_lost`: then nothing but the attachment tells of it.
fn picture(case: &Case, roles: &[Look], policies: &[Look], may_be_lost: bool) -> World {
    let desired = case.desired();
    let owner = desired.owner.clone();
    let mut world = World::empty(desired.clone());
    let names: Vec<String> = desired.names.iter().map(ToString::to_string).chain([READ_ONLY.to_owned()]).collect();
    let all: BTreeSet<RoleArn> = desired.roles().cloned().collect();
    for (arn, look) in all.iter().zip(roles) {
        let attached = look.attached.iter().map(|index| names[*index].as_str());
        let is_known = |arn: &&str| {
            may_be_lost || *arn == READ_ONLY || desired.all_policies().any(|known| known.to_string() == **arn)
        };
        let attached: Vec<&str> = attached.filter(is_known).collect();
        let mut present = role(arn, tags_of(&owner, look.whose), &attached);
        if let (true, DesiredRole::Made { trust, .. }) = (look.is_right, &desired.role) {
            (present.role.trust, present.role.boundary) = (trust.to_json(), Some(BOUNDARY.to_owned()));
        }
        let sight = match look.sight {
            0 => RoleSight::Absent,
            1 => RoleSight::Failed(unseen()),
            _ => RoleSight::Present(present),
        };
        world = world.seeing_role(arn, sight);
    }
    // What is attached is there, and its attachments are counted.
    let attachments = |arn: &PolicyArn, world: &World| {
        let counts = world.picture.roles.values().filter(|sight| match sight {
            RoleSight::Present(present) => present.attached.contains(&arn.to_string()),
            RoleSight::Absent | RoleSight::Failed(_) => false,
        });
        u32::try_from(counts.count()).unwrap()
    };
    let seen: BTreeSet<PolicyArn> = desired.all_policies().chain(&desired.names).cloned().collect();
    let documents = &desired.policies;
    let some = super::consuming();
    let fallback = Case::of_resizer(some).desired().policies[0].1.clone();
    for (arn, look) in seen.iter().zip(policies.iter().cycle()) {
        let count = attachments(arn, &world);
        let wanted = documents.iter().find(|(wanted, _)| wanted == arn).map(|(_, document)| document);
        let document = wanted.filter(|_| look.is_right).unwrap_or(&fallback);
        let mut present = policy(document, tags_of(&owner, look.whose), count + look.by_others);
        present.others = (0..look.versions).map(|n| format!("v{}", n + 2)).collect();
        let sight = match look.sight {
            0 if count == 0 => PolicySight::Absent,
            1 => PolicySight::Failed(unseen()),
            _ => PolicySight::Present(present),
        };
        world = world.seeing_policy(arn, sight);
    }
    world
}

fn is_ours(owner: &Owner, tags: &Tags) -> bool {
    matches!(owner.ownership(tags), Ownership::Ours { .. } | Ownership::OursFromPreviousCluster { .. })
}

/// Fails when a step touches what is not the subject's by its tags; but for its own policies at a role that is allowed.
fn assert_touches_nothing_of_others(world: &World) {
    let World { desired, picture } = world;
    let steps = world.plan().steps;
    let mut made: BTreeSet<String> = BTreeSet::new();
    let role_is_ours = |arn: &RoleArn, made: &BTreeSet<String>| {
        let seen = picture.role(arn).is_some_and(|present| is_ours(&desired.owner, &present.role.tags));
        seen || made.contains(&arn.to_string())
    };
    let policy_is_ours = |arn: &PolicyArn, made: &BTreeSet<String>| {
        let tags = match picture.policies.get(arn) {
            Some(PolicySight::Present(present)) => Some(&present.policy.tags),
            _ => None,
        };
        tags.is_some_and(|tags| is_ours(&desired.owner, tags)) || made.contains(&arn.to_string())
    };
    for step in &steps {
        match step {
            IdentityStep::CreateRole { arn, tags, boundary, .. } => {
                assert_eq!(picture.roles.get(arn), Some(&RoleSight::Absent));
                assert!(desired.is_own(arn) && is_ours(&desired.owner, tags) && boundary == BOUNDARY);
                made.insert(arn.to_string());
            }
            IdentityStep::TagRole { arn, .. }
            | IdentityStep::UpdateTrust { arn, .. }
            | IdentityStep::PutBoundary { arn, .. }
            | IdentityStep::DeleteRole { arn } => assert!(desired.is_own(arn) && role_is_ours(arn, &made), "{step:?}"),
            IdentityStep::Policy { arn, step: Step::CreatePolicy { tags, .. } } => {
                assert_eq!(picture.policies.get(arn), Some(&PolicySight::Absent));
                assert!(is_ours(&desired.owner, tags));
                made.insert(arn.to_string());
            }
            IdentityStep::Policy { arn, .. } => assert!(policy_is_ours(arn, &made), "{step:?}"),
            IdentityStep::Attach { role, policy } => {
                let is_foreign = matches!(&desired.role, DesiredRole::Foreign(foreign) if foreign == role);
                assert!(is_foreign && picture.role(role).is_some() || role_is_ours(role, &made), "{step:?}");
                assert!(policy_is_ours(policy, &made), "{step:?}");
            }
            IdentityStep::Detach { policy, .. } => assert!(policy_is_ours(policy, &made), "{step:?}"),
            IdentityStep::Bind(_) => {}
        }
    }
}

fn assert_in_order(world: &World) {
    let steps = world.plan().steps;
    let at = |wanted: &dyn Fn(&IdentityStep) -> bool| -> Vec<usize> {
        steps.iter().enumerate().filter(|(_, step)| wanted(step)).map(|(index, _)| index).collect()
    };
    let before = |first: Vec<usize>, then: Vec<usize>, what: &str| {
        let is_ordered = first.iter().max() < then.iter().min() || first.is_empty() || then.is_empty();
        assert!(is_ordered, "{what}: {:?}", steps.iter().map(name).collect::<Vec<_>>());
    };
    let is = |word: &'static str| at(&move |step: &IdentityStep| name(step) == word);
    for word in ["CreateRole", "PutBoundary", "UpdateTrust", "TagRole"] {
        before(is(word), is("Attach"), "the role first");
        before(is(word), is("CreatePolicy"), "the boundary before policies");
    }
    before(is("Attach"), is("Bind"), "all before it is bound");
    before(is("Unbind"), is("Detach"), "unbound before it is detached");
    for (index, step) in steps.iter().enumerate() {
        match step {
            IdentityStep::Policy { arn, step: Step::DeletePolicy { .. } } => {
                let of_it = |step: &IdentityStep| step.concerns().contains(&arn.to_string());
                assert_eq!(at(&of_it).last(), Some(&index), "deleted last");
            }
            IdentityStep::DeleteRole { arn } => {
                let of_it = |step: &IdentityStep| step.concerns().contains(&arn.to_string());
                assert_eq!(at(&of_it).last(), Some(&index), "deleted last");
            }
            IdentityStep::Attach { policy, .. } => {
                let made = |step: &IdentityStep| matches!(step, IdentityStep::Policy { arn, step: Step::CreatePolicy { .. } | Step::UpdatePolicy { .. } } if arn == policy);
                assert!(at(&made).iter().all(|made| *made < index), "attached as it is to be");
            }
            _ => {}
        }
    }
}

/// All that is seen, but for what failing steps may change: versions of policies.
fn state(world: &World) -> String {
    let mut picture = world.picture.clone();
    for sight in picture.policies.values_mut() {
        if let PolicySight::Present(present) = sight {
            present.others.clear();
            present.policy.default_version.clear();
        }
    }
    format!("{picture:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn from_any_picture_it_comes_to_rest_and_touches_nothing_of_others(
        kind in 0..8_usize,
        now in vec(chance(), 0..5),
        before in vec(chance(), 5),
        roles in vec(look(), 3),
        policies in vec(look(), 13),
        failing in vec(select(vec![
            "CreateRole", "CreatePolicy", "Attach", "Detach", "DeletePolicy", "DeleteRole", "UpdateTrust", "PutBoundary",
            "UpdatePolicy", "DeletePolicyVersion", "TagRole", "TagPolicy",
        ]), 0..6),
    ) {
        let case = case(kind, &now, &before);
        let start = picture(&case, &roles, &policies, failing.is_empty());
        // A write that fails in each pass, then a world without trouble.
        let mut troubled = start.clone();
        for failing in failing {
            assert_touches_nothing_of_others(&troubled);
            assert_in_order(&troubled);
            troubled.pass(|step| name(step) == failing);
        }
        assert_touches_nothing_of_others(&troubled);
        let troubled = troubled.settled();
        assert_touches_nothing_of_others(&start);
        assert_in_order(&start);
        let calm = start.settled();
        prop_assert_eq!(state(&troubled), state(&calm), "it comes to the same");
        assert_touches_nothing_of_others(&calm);
        if calm.reasons().is_empty() {
            assert_whole(&calm);
        }
    }
}

/// Nothing stands in the way, so all is as declared.
fn assert_whole(world: &World) {
    let World { desired, picture } = world;
    if let Some(arn) = desired.role.arn() {
        let is_kept = matches!(desired.role, DesiredRole::Kept(_));
        let Some(present) = picture.role(arn).filter(|_| !is_kept) else {
            assert!(is_kept, "{arn} is there");
            return;
        };
        for (policy, document) in &desired.policies {
            assert!(present.attached.contains(&policy.to_string()), "{policy}");
            let Some(PolicySight::Present(seen)) = picture.policies.get(policy) else { panic!("{policy}") };
            assert_eq!(seen.digest, document.digest());
        }
        if let DesiredRole::Made { trust, boundary, .. } = &desired.role {
            assert_eq!(prism_queue::domain::identity::Trust::parse(&present.role.trust), *trust);
            assert_eq!(present.role.boundary.as_ref(), Some(boundary));
        }
    }
    for arn in desired.unwanted(picture) {
        let left = match picture.policies.get(&arn) {
            Some(PolicySight::Present(present)) => is_ours(&desired.owner, &present.policy.tags),
            _ => false,
        };
        assert!(!left, "{arn} is left behind");
    }
}

#[test]
fn the_cases_are_of_all_kinds() {
    let some = Chance { gives: true, deleting: false, is_bound: true, permissions: vec![Permission::Send], alias: 0 };
    let kinds: BTreeSet<String> = (0..8)
        .map(|kind| {
            let desired = case(kind, std::slice::from_ref(&some), std::slice::from_ref(&some)).desired();
            format!("{:?}", std::mem::discriminant(&desired.role))
        })
        .collect();
    assert_eq!(kinds.len(), 4, "made, kept, of others and none: {kinds:?}");
}
