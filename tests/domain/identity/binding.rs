//! How a `ServiceAccount` comes to its role and goes without again: by the annotation or by an association.

use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::identity::{AccountSight, Association, AssociationSight, Binding, DesiredRole};
use prism_queue::domain::tags::{Origin, Owner, Tags};

use super::{BATCH, Case, associating, consuming, member};
use crate::fixtures::*;

fn owner() -> Owner {
    Owner { cluster: class().cluster, namespace: "web".to_owned(), name: "serviceaccount/resizer".to_owned() }
}

fn by_association() -> Case {
    let class = associating();
    Case::of_resizer(vec![member("consume", &class, consuming().remove(0).given)]).under(class)
}

fn own_role(case: &Case) -> String {
    case.desired().own_role.unwrap().to_string()
}

fn association(role_arn: &str, tags: Tags) -> AssociationSight {
    AssociationSight::Present(Association {
        id: "a-1".to_owned(),
        arn: "arn:aws:eks:eu-central-1:123456789012:podidentityassociation/prod-1/a-1".to_owned(),
        role_arn: role_arn.to_owned(),
        target_role_arn: None,
        external_id: None,
        tags,
    })
}

impl Case {
    fn associated(mut self, association: AssociationSight) -> Self {
        self.association = association;
        self
    }

    fn deleted(mut self) -> Self {
        self.members.iter_mut().for_each(|member| member.deleting = true);
        self
    }
}

#[test]
fn by_tokens_the_annotation_is_set_once_and_taken_away_at_the_end() {
    let case = Case::of_resizer(consuming()).recorded();
    let own = own_role(&case);
    assert_eq!(case.desired().bindings, [Binding::Annotate(own.clone())]);
    let bound = case.annotated(Some(&own));
    assert_eq!(bound.desired().bindings, []);
    assert_eq!(bound.deleted().desired().bindings, [Binding::Unannotate]);
}

#[test]
fn the_annotation_of_others_is_never_written_nor_removed() {
    for foreign in [BATCH, "arn:aws:iam::123456789012:role/admin", "arn:aws:iam::999999999999:role/x", "nonsense", ""] {
        for case in [Case::of_resizer(consuming()), Case::of_resizer(consuming()).recorded()] {
            let case = case.annotated(Some(foreign));
            assert_eq!(case.desired().bindings, [], "{foreign}");
            assert_eq!(case.deleted().desired().bindings, [], "{foreign}");
        }
    }
}

#[test]
fn a_service_account_that_is_not_there_is_not_written() {
    let mut case = Case::of_resizer(consuming()).recorded();
    case.account = AccountSight::Absent;
    assert_eq!(case.desired().bindings, []);
    assert_eq!(case.deleted().desired().bindings, []);
}

#[test]
fn what_works_stays_bound_while_a_queue_withdraws_it() {
    let mut case = Case::of_resizer(consuming()).recorded();
    let own = own_role(&case);
    case.members[0].given = None;
    assert_eq!(case.annotated(Some(&own)).desired().bindings, []);
}

#[test]
fn by_pod_identity_an_association_is_made_kept_right_and_deleted() {
    let case = by_association().recorded();
    let own = own_role(&case);
    let tags = owner().tags(Origin::Created);
    let made = Binding::Associate { role_arn: own.clone(), target_role_arn: None, tags: tags.clone() };
    assert_eq!(case.clone().associated(AssociationSight::Absent).desired().bindings, [made]);
    let there = case.clone().associated(association(&own, tags.clone()));
    assert_eq!(there.desired().bindings, []);
    let wrong = case.clone().associated(association(BATCH, tags.clone()));
    let again = Binding::Reassociate { id: "a-1".to_owned(), role_arn: own.clone(), target_role_arn: None };
    assert_eq!(wrong.desired().bindings, [again]);
    let ends = Binding::Dissociate { id: "a-1".to_owned() };
    assert_eq!(there.deleted().desired().bindings, std::slice::from_ref(&ends));
    assert_eq!(wrong.deleted().desired().bindings, [ends]);
    assert_eq!(case.associated(AssociationSight::Absent).deleted().desired().bindings, []);
}

/// SDKs follow the annotation first.
#[test]
fn by_pod_identity_the_operators_own_annotation_goes() {
    let case = by_association().recorded();
    let own = own_role(&case);
    let case = case.annotated(Some(&own)).associated(association(&own, owner().tags(Origin::Created)));
    assert_eq!(case.desired().bindings, [Binding::Unannotate]);
}

#[test]
fn an_association_of_others_is_a_role_of_others_and_stays() {
    let another = Owner { name: "serviceaccount/other".to_owned(), ..owner() };
    for tags in [Tags::new(), another.tags(Origin::Created)] {
        let case = by_association().associated(association(BATCH, tags.clone()));
        let desired = case.desired();
        assert!(matches!(&desired.role, DesiredRole::Foreign(role) if role.to_string() == BATCH), "{:?}", desired.role);
        assert_eq!(desired.bindings, []);
        let case = case.recorded();
        assert_eq!(case.deleted().desired().bindings, []);
        let stranger = "arn:aws:iam::123456789012:role/admin";
        let refused = by_association().associated(association(stranger, tags)).desired();
        assert_eq!((refused.role, refused.bindings), (DesiredRole::Nobody, vec![]));
        let message = refused.finding.unwrap().message;
        assert!(message.contains("the EKS Pod Identity association a-1") && message.contains(stranger), "{message}");
    }
}

#[test]
fn what_eks_does_not_tell_is_not_written_over() {
    let error = CallError {
        action: "ListPodIdentityAssociations",
        kind: ErrorKind::Denied,
        code: "AccessDeniedException".to_owned(),
        message: "no".to_owned(),
    };
    for (kind, reason) in [
        (ErrorKind::Denied, "Denied"),
        (ErrorKind::Transient, "AWSUnavailable"),
        (ErrorKind::EntityDoesNotExist, "Refused"),
    ] {
        let failed = AssociationSight::Failed(CallError { kind, ..error.clone() });
        // Nobody can say that Pods have the role, nor that nothing is left behind.
        for case in [by_association(), by_association().recorded(), by_association().recorded().deleted()] {
            let desired = case.associated(failed.clone()).desired();
            assert_eq!(desired.bindings, [], "{kind:?}");
            assert_eq!(desired.unread.map(|finding| finding.reason.as_str()), Some(reason));
        }
        let new = by_association().associated(failed.clone()).desired();
        assert_eq!(new.role, DesiredRole::Nobody, "it may be of others");
        let kept = by_association().recorded().associated(failed).desired();
        assert!(matches!(kept.role, DesiredRole::Kept(_)));
    }
}
