//! EKS Pod Identity for queues of another account than the cluster's: a role in each, of which one may be the other.

use serde_json::Value;

use prism_queue::api::conditions::Reason;
use prism_queue::domain::arn::Place;
use prism_queue::domain::class::Class;
use prism_queue::domain::identity::{
    Association, AssociationSight, Binding, Desired, DesiredRole, EksCluster, Making, Source, Way,
};
use prism_queue::domain::tags::Origin;

use super::super::iam::evaluator::{Request, allows};
use super::evaluator::{Service, by_role, lets_in};
use super::{BOUNDARY, Case, OTHER_ACCOUNT, consuming, making, member};
use crate::fixtures::*;

const BOUNDARY_THERE: &str = "arn:aws:iam::999999999999:policy/boundary";

/// A class whose cluster is in another account.
fn across(boundary_there: Option<&str>) -> Class {
    let cluster = EksCluster {
        name: "prod-1".to_owned(),
        place: Place { account_id: OTHER_ACCOUNT.to_owned(), region: "us-east-1".to_owned() },
        boundary: boundary_there.map(str::to_owned),
    };
    Class { roles: Some(Making { boundary: BOUNDARY.to_owned(), way: Way::PodIdentity(cluster) }), ..making() }
}

fn case(boundary_there: Option<&str>) -> Case {
    let class = across(boundary_there);
    let mut case = Case::of_resizer(vec![member("consume", &class, consuming().remove(0).given)]).under(class);
    case.association = AssociationSight::Absent;
    case
}

fn source(desired: &Desired) -> &Source {
    desired.source.as_deref().unwrap()
}

/// Who may assume a role, and the ARN of its boundary.
fn made(role: &DesiredRole) -> (String, &str) {
    match role {
        DesiredRole::Made { trust, boundary, .. } => (trust.to_json(), boundary),
        other => panic!("not made: {other:?}"),
    }
}

#[test]
fn pods_come_to_the_role_of_the_queues_through_one_of_the_clusters_account_and_no_other_way() {
    let desired = case(Some(BOUNDARY_THERE)).desired();
    let (own, source) = (desired.own_role.clone().unwrap(), source(&desired));
    assert_eq!((own.account_id(), source.arn.account_id()), (ACCOUNT, OTHER_ACCOUNT));
    let (trust, boundary) = made(&desired.role);
    assert_eq!(boundary, BOUNDARY);
    assert!(lets_in(&trust, &by_role(&source.arn.to_string())));
    let pod = |account: &str, namespace: &str| {
        let cluster_arn = format!("arn:aws:eks:us-east-1:{account}:cluster/prod-1");
        Service { name: "pods.eks.amazonaws.com", cluster_arn: &cluster_arn, namespace, account: "resizer" }.attempt()
    };
    let of_own_account = source.arn.to_string().replace(OTHER_ACCOUNT, ACCOUNT);
    for attempt in [pod(OTHER_ACCOUNT, "web"), by_role(&of_own_account), by_role("arn:aws:iam::999999999999:root")] {
        assert!(!lets_in(&trust, &attempt), "{attempt:?}");
    }

    let (trust, boundary) = made(&source.desired.role);
    assert_eq!(boundary, BOUNDARY_THERE);
    assert!(lets_in(&trust, &pod(OTHER_ACCOUNT, "web")));
    assert!(!lets_in(&trust, &pod(OTHER_ACCOUNT, "shop")) && !lets_in(&trust, &pod(ACCOUNT, "web")));
}

#[test]
fn the_role_of_the_clusters_account_may_be_the_other_and_nothing_else() {
    let desired = case(Some(BOUNDARY_THERE)).desired();
    let own = desired.own_role.clone().unwrap().to_string();
    let [(_, document)] = &source(&desired).desired.policies[..] else { panic!("one policy") };
    let document: Value = serde_json::from_str(&document.to_json()).unwrap();
    for action in
        ["sts:AssumeRole", "sts:TagSession", "sts:AssumeRoleWithWebIdentity", "sqs:ReceiveMessage", "iam:PassRole"]
    {
        for resource in [own.as_str(), &format!("{own}2"), "*", &source(&desired).arn.to_string()] {
            let request = Request { action: action.to_owned(), resource: resource.to_owned(), context: [].into() };
            let wanted = resource == own && ["sts:AssumeRole", "sts:TagSession"].contains(&action);
            assert_eq!(allows(&document, &request), wanted, "{request:?}");
        }
    }
}

#[test]
fn the_association_names_both_and_goes_with_both() {
    let case = case(Some(BOUNDARY_THERE)).recorded();
    let desired = case.desired();
    let (own, arn) = (desired.own_role.clone().unwrap().to_string(), source(&desired).arn.to_string());
    let tags = desired.owner.tags(Origin::Created);
    let wanted = Binding::Associate { role_arn: arn.clone(), target_role_arn: Some(own.clone()), tags: tags.clone() };
    assert_eq!(desired.bindings, [wanted]);
    let association = |target_role_arn: Option<String>| {
        let (id, arn_of_it) =
            ("a-1".to_owned(), "arn:aws:eks:us-east-1:999999999999:podidentityassociation/prod-1/a-1");
        let (role_arn, tags, arn) = (arn.clone(), tags.clone(), arn_of_it.to_owned());
        AssociationSight::Present(Association { id, arn, role_arn, target_role_arn, external_id: None, tags })
    };
    let right = Case { association: association(Some(own.clone())), ..case.clone() };
    assert_eq!(right.desired().bindings, []);
    let without_target = Case { association: association(None), ..case };
    let again = Binding::Reassociate { id: "a-1".to_owned(), role_arn: arn, target_role_arn: Some(own) };
    assert_eq!(without_target.desired().bindings, [again]);

    let mut ending = right;
    ending.members[0].deleting = true;
    let desired = ending.desired();
    assert_eq!(desired.bindings, [Binding::Dissociate { id: "a-1".to_owned() }]);
    let source = source(&desired);
    assert_eq!(source.desired.role, DesiredRole::Nobody);
    assert!(source.desired.former_roles.contains(&source.arn));
    assert_eq!((source.desired.policies.len(), source.desired.former_policies.len()), (0, 1));
}

/// No role is made without a boundary, in whichever account.
#[test]
fn without_a_boundary_in_the_clusters_account_neither_is_made() {
    let desired = case(None).desired();
    assert_eq!(desired.role, DesiredRole::Nobody);
    assert_eq!(source(&desired).desired.role, DesiredRole::Nobody);
    assert_eq!(desired.bindings, []);
    let finding = desired.finding.unwrap();
    assert_eq!((finding.reason, finding.is_stalled), (Reason::NotAllowedByClass, true));
    assert!(finding.message.contains("iam.podIdentity.permissionsBoundaryArn"), "{}", finding.message);
}
