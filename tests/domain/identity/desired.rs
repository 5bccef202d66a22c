//! What all `QueueAccess`es of one subject come to: which role, under which class, with which policies.

use std::collections::BTreeSet;

use prism_queue::api::conditions::Reason;
use prism_queue::api::queue_access::AccessTarget;
use prism_queue::domain::access::Subject;
use prism_queue::domain::arn::Place;
use prism_queue::domain::class::Class;
use prism_queue::domain::iam::IamPath;
use prism_queue::domain::identity::{AccountSight, Desired, DesiredRole, Member, account_on_record, home, word};
use prism_queue::domain::permission::Permission::{self, Consume, Send};
use serde_json::Value;

use super::{
    BATCH, BOUNDARY, Case, IdentityClass as _, OTHER_ACCOUNT, consuming, documents, given, given_in, making, member,
};
use crate::fixtures::*;

fn reason(desired: &Desired) -> Option<(Reason, bool)> {
    desired.finding.as_ref().map(|finding| (finding.reason, finding.is_stalled))
}

/// All actions and resources that the policies name.
fn named(desired: &Desired) -> BTreeSet<String> {
    let strings =
        |value: &Value| value.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let statements: Vec<Value> =
        documents(desired).iter().flat_map(|d| d["Statement"].as_array().unwrap().clone()).collect();
    statements
        .iter()
        .flat_map(|statement| [strings(&statement["Action"]), strings(&statement["Resource"])].concat())
        .collect()
}

#[test]
fn a_role_is_made_at_the_classs_path_with_its_boundary_and_for_this_subject() {
    let class = Class { iam_path: IamPath::parse("/teams/web/").unwrap(), ..making() };
    let desired = Case::of_resizer(consuming()).under(class).desired();
    let DesiredRole::Made { arn, boundary, .. } = &desired.role else { panic!("{:?}", desired.role) };
    assert_eq!((arn.path(), arn.account_id(), boundary.as_str()), ("/teams/web/", ACCOUNT, BOUNDARY));
    assert_eq!(desired.own_role.as_ref(), Some(arn));
    assert_eq!((desired.owner.namespace.as_str(), desired.owner.name.as_str()), ("web", "serviceaccount/resizer"));
    assert_eq!(desired.policies.len(), 1);
    assert_eq!((desired.policies[0].0.path(), desired.finding.clone()), ("/teams/web/", None));
    assert!(named(&desired).contains("sqs:ReceiveMessage") && !named(&desired).contains("sqs:SendMessage"));
}

#[test]
fn no_role_is_made_under_a_class_that_says_too_little() {
    let silent = Class { roles: None, ..making() };
    let desired = Case::of_resizer(consuming()).under(silent.clone()).desired();
    assert_eq!((&desired.role, desired.policies.len()), (&DesiredRole::Nobody, 0));
    assert_eq!(reason(&desired), Some((Reason::NotAllowedByClass, true)));
    // A class that comes to say too little takes nothing away that was made.
    let recorded = Case::of_resizer(consuming()).recorded().under(silent).desired();
    assert_eq!(recorded.role, DesiredRole::Kept(recorded.own_role.clone().unwrap()));
    assert_eq!(recorded.policies.len(), 1);
    assert_eq!(reason(&recorded), Some((Reason::NotAllowedByClass, true)));
}

#[test]
fn a_service_account_that_is_not_there_is_waited_for_and_what_was_made_stays() {
    let absent = |mut case: Case| {
        case.account = AccountSight::Absent;
        case.desired()
    };
    let desired = absent(Case::of_resizer(consuming()));
    assert_eq!(
        (&desired.role, reason(&desired)),
        (&DesiredRole::Nobody, Some((Reason::ServiceAccountNotFound, false)))
    );
    assert!(desired.finding.unwrap().message.contains("resizer"));
    let desired = absent(Case::of_resizer(consuming()).recorded());
    assert_eq!(desired.role, DesiredRole::Kept(desired.own_role.clone().unwrap()));
}

#[test]
fn a_role_of_others_is_used_when_the_class_allows_it_and_only_then() {
    let all = making().allowing(&["*"], None);
    let rest = making().allowing(&["arn:aws:iam::123456789012:role/batch-*", "arn:aws:iam::*:role/x/*/y"], None);
    let none = Class { limits: class().limits, ..making() };
    for (annotation, class, is_allowed) in [
        (BATCH, making(), true),
        ("arn:aws:iam::123456789012:role/batch/deep/worker", making(), true),
        ("arn:aws:iam::123456789012:role/batch", making(), false),
        ("arn:aws:iam::123456789012:role/batches/worker", making(), false),
        ("arn:aws:iam::123456789012:role/x/batch/worker", making(), false),
        ("arn:aws:iam::123456789012:role/Batch/worker", making(), false),
        ("arn:aws:iam::123456789012:role/admin", making(), false),
        ("arn:aws:iam::999999999999:role/batch/worker", making(), false),
        ("arn:aws:iam::999999999999:role/admin", all.clone(), false),
        ("arn:aws:iam::123456789012:user/admin", all.clone(), false),
        ("arn:aws:sts::123456789012:assumed-role/admin/session", all.clone(), false),
        ("anything", all.clone(), false),
        ("arn:aws:iam::123456789012:role/admin", all, true),
        ("arn:aws:iam::123456789012:role/batch-1", rest.clone(), true),
        ("arn:aws:iam::123456789012:role/x/1/2/y", rest.clone(), true),
        ("arn:aws:iam::123456789012:role/x/y", rest, false),
        (BATCH, none, false),
    ] {
        let members = vec![member("consume", &class, Some(given("media_orders", &[Consume])))];
        let by_annotation =
            Case::of_resizer(members.clone()).annotated(Some(annotation)).under(class.clone()).desired();
        let mut by_name = Case::of_role(members).under(class.clone());
        by_name.subject = Subject::Role(annotation.to_owned());
        for desired in [by_annotation, by_name.desired()] {
            if is_allowed {
                let role = desired.role.arn().map(ToString::to_string);
                assert!(
                    matches!(desired.role, DesiredRole::Foreign(_)) && role.as_deref() == Some(annotation),
                    "{role:?}"
                );
                assert_eq!((desired.policies.len(), &desired.finding), (1, &None));
            } else {
                assert_eq!((&desired.role, desired.policies.len()), (&DesiredRole::Nobody, 0), "{annotation}");
                assert_eq!(reason(&desired), Some((Reason::RoleNotAllowed, true)), "{annotation}");
                assert!(desired.finding.unwrap().message.contains(annotation));
            }
        }
    }
}

#[test]
fn the_annotation_that_the_operator_set_is_not_one_of_others() {
    let own = Case::of_resizer(consuming()).desired().own_role.unwrap().to_string();
    let desired = Case::of_resizer(consuming()).annotated(Some(&own)).desired();
    assert!(matches!(desired.role, DesiredRole::Made { .. }));
}

/// What one class allows is no other's to give.
#[test]
fn a_role_of_others_gets_what_is_of_classes_that_allow_it() {
    let strict = making().named("strict").allowing(&[], None);
    let members = vec![
        member("one", &making(), Some(given("media_one", &[Consume]))),
        member("two", &strict, Some(given("media_two", &[Consume]))),
        // Nobody can say by now what its class allows, and it was given.
        Member { class: None, ..member("three", &strict, Some(given("media_three", &[Consume]))) },
    ];
    for case in [Case::of_role(members.clone()), Case::of_resizer(members).annotated(Some(BATCH))] {
        let named = named(&case.desired());
        assert!(named.contains(&arn("media_one")) && named.contains(&arn("media_three")));
        assert!(!named.contains(&arn("media_two")), "{named:?}");
    }
}

#[test]
fn only_what_is_on_record_and_lives_is_in_the_policies() {
    let mut members = ["one", "two", "three", "four"]
        .map(|name| member(name, &making(), Some(given(&format!("media_{name}"), &[Consume]))));
    members[1].is_bound = false;
    members[2].deleting = true;
    members[3].given = None;
    let named = named(&Case::of_resizer(members.to_vec()).desired());
    assert!(named.contains(&arn("media_one")));
    for name in ["two", "three", "four"] {
        assert!(!named.contains(&arn(&format!("media_{name}"))), "{name}");
    }
}

#[test]
fn a_subject_to_which_nothing_is_given_keeps_its_role_and_the_last_one_takes_it_along() {
    let mut case = Case::of_resizer(consuming()).recorded();
    let own = case.desired().own_role.unwrap();
    let policy = case.desired().policies[0].0.clone();
    case.members[0].given = None;
    let withdrawn = case.desired();
    assert_eq!((&withdrawn.role, withdrawn.policies.len()), (&DesiredRole::Kept(own.clone()), 0));
    assert_eq!(withdrawn.former_policies, BTreeSet::from([policy.clone()]));
    assert!(withdrawn.former_roles.is_empty());

    case.members[0].deleting = true;
    let last = case.desired();
    assert_eq!((&last.role, &last.former_roles), (&DesiredRole::Nobody, &BTreeSet::from([own.clone()])));
    assert_eq!(last.former_policies, BTreeSet::from([policy]));
    // Also without a record of it.
    case.members[0].target = None;
    assert_eq!(case.desired().former_roles, BTreeSet::from([own]));
    // A role of others is nobody's to take along.
    let mut of_others = Case::of_role(consuming());
    of_others.members[0].deleting = true;
    assert_eq!(of_others.desired().former_roles, BTreeSet::new());
}

#[test]
fn what_is_made_is_on_record_before_and_what_was_made_until_it_is_gone() {
    let case = Case::of_resizer(consuming());
    let own = case.desired().own_role.unwrap().to_string();
    let recorded = case.recorded();
    let target = recorded.members[0].target.clone().unwrap();
    assert_eq!(target.role_arn.as_deref(), Some(own.as_str()));
    assert_eq!((target.policy_arns.len(), target.former_role_arns.len()), (1, 0));
    assert_eq!(target.queue_class_name.as_deref(), Some("prod"));
    assert_eq!(target.queue_uid.as_deref(), Some("uid-of-queue-media_orders"));
    assert_eq!(target.permissions, [Consume]);

    let moved = recorded.annotated(Some(BATCH)).recorded().members[0].target.clone().unwrap();
    assert_eq!((moved.role_arn.as_deref(), &moved.former_role_arns[..]), (Some(BATCH), &[own][..]));
    assert_eq!(moved.policy_arns, target.policy_arns);
}

#[test]
fn the_digest_is_of_all_that_is_declared() {
    let digest = |case: Case| case.desired().digest();
    let plain = || Case::of_resizer(consuming());
    let more = vec![member("consume", &making(), Some(given("media_orders", &[Consume, Send])))];
    let mut bounded = making();
    bounded.roles.as_mut().unwrap().boundary = "arn:aws:iam::123456789012:policy/narrower".to_owned();
    let digests = [
        digest(plain()),
        digest(Case::of_resizer(more)),
        digest(plain().under(bounded)),
        digest(plain().under(super::associating())),
        digest(plain().annotated(Some(BATCH))),
        digest(Case { subject: Subject::ServiceAccount("other".to_owned()), ..plain() }),
    ];
    assert_eq!(BTreeSet::from(digests.clone()).len(), digests.len());
    assert_eq!(digest(plain()), digests[0]);
    assert_eq!(digest(plain().recorded()), digests[0], "what is on record is no declaration");
}

fn far() -> Class {
    making().named("far").in_account(OTHER_ACCOUNT)
}

fn far_given(name: &str) -> prism_queue::domain::identity::Given {
    let place = Place { account_id: OTHER_ACCOUNT.to_owned(), region: REGION.to_owned() };
    given_in(&place, name, &[Permission::Consume], None)
}

fn home_of(members: &[Member]) -> Option<&str> {
    home(members, account_on_record(members).as_deref()).map(|class| class.name.as_str())
}

fn with_role_in(mut member: Member, account_id: &str) -> Member {
    let role_arn = Some(format!("arn:aws:iam::{account_id}:role/prism-queue/web_resizer_0"));
    member.target = Some(AccessTarget { role_arn, account_id: account_id.to_owned(), ..AccessTarget::default() });
    member
}

#[test]
fn the_class_of_the_oldest_that_gives_anything_is_home_and_what_is_on_record_decides() {
    let near = |name: &str| member(name, &making(), Some(given("media_orders", &[Consume])));
    let away = |name: &str| member(name, &far(), Some(far_given("media_far")));
    let without = |member: Member| Member { given: None, ..member };
    let deleting = |member: Member| Member { deleting: true, ..member };
    assert_eq!(home_of(&[]), None);
    assert_eq!(home_of(&[near("a"), away("b")]), Some("prod"));
    assert_eq!(home_of(&[away("a"), near("b")]), Some("far"));
    assert_eq!(home_of(&[without(away("a")), near("b")]), Some("prod"));
    assert_eq!(home_of(&[deleting(away("a")), near("b")]), Some("prod"));
    assert_eq!(home_of(&[without(away("a"))]), Some("far"), "so that what a lost record told of is found");
    // One subject has all in one account, until it is gone from there.
    assert_eq!(home_of(&[away("a"), with_role_in(near("b"), ACCOUNT)]), Some("prod"));
    assert_eq!(home_of(&[with_role_in(deleting(away("a")), OTHER_ACCOUNT), near("b")]), Some("far"));
    // Its class is to be found by its name.
    assert_eq!(home_of(&[with_role_in(Member { class: None, ..away("a") }, OTHER_ACCOUNT), near("b")]), None);
}

#[test]
fn a_queue_of_another_account_is_told_so() {
    let near = member("near", &making(), Some(given("media_orders", &[Consume])));
    let away = member("away", &far(), Some(far_given("media_far")));
    let case = Case::of_resizer(vec![near, away.clone()]);
    let desired = case.desired();
    assert_eq!(desired.policies.len(), 1);
    assert!(!named(&desired).iter().any(|name| name.contains(OTHER_ACCOUNT)));
    let finding = desired.hinders(&away.key, &far_given("media_far"), &case.class, Some(&case.class)).unwrap();
    assert_eq!((finding.reason, finding.is_stalled), (Reason::InvalidSpec, true));
    assert!(finding.message.contains(ACCOUNT) && finding.message.contains(OTHER_ACCOUNT), "{}", finding.message);
}

/// When the `QueueAccess` that bound the subject to one account is gone, the others are not bound to it.
#[test]
fn a_subject_is_not_bound_for_ever_to_the_account_of_a_queue_access_that_is_gone() {
    let near = member("near", &making(), Some(given("media_orders", &[Consume])));
    let away = member("away", &far(), Some(far_given("media_far")));
    let mut case = Case::of_resizer(vec![near, away]).recorded();
    case.members[0].deleting = true;
    let last_here = case.desired();
    assert_eq!(last_here.role, DesiredRole::Nobody, "nobody is left in this account");
    assert_eq!(last_here.former_roles, BTreeSet::from([last_here.own_role.clone().unwrap()]));
    let left = [case.members[1].clone()];
    assert_eq!(account_on_record(&left), None, "{:?}", left[0].target);
    assert_eq!(home_of(&left), Some("far"));
}

/// IAM's names are unique in an account, whatever the path: what is on record is where it was recorded.
#[test]
fn a_class_with_another_path_moves_nothing() {
    let one = Class { iam_path: IamPath::parse("/one/").unwrap(), ..making() };
    let two = Class { iam_path: IamPath::parse("/two/").unwrap(), ..making() }.named("two");
    let members = ["a", "b"].map(|name| given(&format!("media_{name}"), &[Consume]));
    let [a, b] = members;
    let case = Case::of_resizer(vec![member("a", &one, Some(a)), member("b", &two, Some(b))]).under(one).recorded();
    let before = case.desired();
    let after = Case { members: vec![case.members[1].clone()], ..case }.under(two).desired();
    assert_eq!(after.role.arn(), before.role.arn());
    assert_eq!(after.policies[0].0, before.policies[0].0);
}

#[test]
fn each_subject_has_names_that_no_other_has_and_a_word_that_iam_takes_for_a_tag() {
    let long = "a".repeat(253);
    let role = |path: &str| Subject::Role(format!("arn:aws:iam::{ACCOUNT}:role/{path}"));
    let account = |name: &str| Subject::ServiceAccount(name.to_owned());
    let all = [
        account("worker"),
        role("worker"),
        role("batch/worker"),
        role("a,b"),
        account(&long),
        account(&format!("{}b", &long[..252])),
    ];
    let policies: BTreeSet<String> = all
        .iter()
        .map(|subject| {
            Case { subject: subject.clone(), ..Case::of_resizer(consuming()) }.desired().names[0].to_string()
        })
        .collect();
    assert_eq!(policies.len(), all.len(), "{policies:?}");
    for word in all.iter().map(word) {
        // Source: "Rules for tagging in IAM and AWS STS".
        let is_plain = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        assert!(word.chars().count() <= 256 && word.chars().all(is_plain), "{word}");
    }
    assert_eq!(word(&account("worker")), "serviceaccount/worker");
}
