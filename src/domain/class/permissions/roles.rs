//! What is asked about the roles of `ServiceAccounts`: made, bound, given policies, passed to EKS and deleted.

use std::collections::BTreeMap;

use crate::api::class::{PodIdentity, SubjectKind};

use super::super::super::arn::partition_of;
use super::super::super::identity::Names;
use super::{Asker, Context, NAME, Question, in_request, joined, on_resource, text};

const SEES: &[&str] = &["iam:GetRole", "iam:ListAttachedRolePolicies"];
const CREATES: &[&str] = &["iam:CreateRole"];
const TAGS: &[&str] = &["iam:TagRole"];
const CHANGES: &[&str] = &["iam:PutRolePermissionsBoundary", "iam:UpdateAssumeRolePolicy", "iam:DeleteRole"];
const ATTACHES: &[&str] = &["iam:AttachRolePolicy", "iam:DetachRolePolicy"];
const SEES_POLICIES: &[&str] = &["iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListPolicyVersions"];
const CREATES_POLICIES: &[&str] = &["iam:CreatePolicy", "iam:TagPolicy"];
const CHANGES_POLICIES: &[&str] = &["iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:DeletePolicy"];
const PASSES: &[&str] = &["iam:PassRole"];
const LISTS_ASSOCIATIONS: &[&str] = &["eks:ListPodIdentityAssociations"];
const CREATES_ASSOCIATIONS: &[&str] = &["eks:CreatePodIdentityAssociation"];
const SEES_ASSOCIATIONS: &[&str] = &["eks:DescribePodIdentityAssociation"];
const CHANGES_ASSOCIATIONS: &[&str] = &["eks:UpdatePodIdentityAssociation", "eks:DeletePodIdentityAssociation"];

/// The questions, none where the class makes no roles; about EKS where the same identity acts there.
pub(super) fn questions(asker: &Asker<'_>, pods: Option<&PodIdentity>) -> Vec<Question> {
    let class = asker.class;
    let Some(making) =
        class.roles.as_ref().filter(|_| class.limits.refuses_subject(SubjectKind::ServiceAccount).is_none())
    else {
        return Vec::new();
    };
    let subject = format!("serviceaccount/{NAME}");
    let (cluster, place, path) = (class.cluster.name.as_str(), &class.place, &class.iam_path);
    let names = Names { cluster, place, path, namespace: asker.namespace, subject: &subject };
    let (role, policy) = ([names.role().to_string()], [names.policy(1).to_string()]);
    let tags = asker.owner_tags(&subject);
    let region = region_of_iam(&place.region);
    let (reads, writes) = (|| asker.read(region, &tags), || asker.write(region, &tags));
    let is = |key: &str, value: &str| Context::from([(key.to_owned(), text(value))]);
    let bound = || is("iam:PermissionsBoundary", &making.boundary);
    let ours = || joined([on_resource(&tags), bound()]);
    let mut all = vec![
        asker.ask(SEES, &role, joined([reads(), ours()])),
        asker.ask(CREATES, &role, joined([writes(), in_request(&tags), bound()])),
        asker.ask(TAGS, &role, joined([writes(), in_request(&tags)])),
        asker.ask(ATTACHES, &role, joined([writes(), ours(), is("iam:PolicyARN", &policy[0])])),
        asker.ask(CHANGES, &role, joined([writes(), ours()])),
        asker.ask(SEES_POLICIES, &policy, joined([reads(), on_resource(&tags)])),
        asker.ask(CREATES_POLICIES, &policy, joined([writes(), in_request(&tags)])),
        asker.ask(CHANGES_POLICIES, &policy, joined([writes(), on_resource(&tags)])),
    ];
    if let Some(PodIdentity { cluster_name, region, .. }) = pods {
        let service = format!("arn:{}:eks:{region}:{}", partition_of(region), place.account_id);
        let cluster = [format!("{service}:cluster/{cluster_name}")];
        let association = [format!("{service}:podidentityassociation/{cluster_name}/a-0123456789abcdefg")];
        let (reads, writes) = (|| asker.read(Some(region), &tags), || asker.write(Some(region), &tags));
        all.extend([
            asker.ask(LISTS_ASSOCIATIONS, &cluster, reads()),
            asker.ask(CREATES_ASSOCIATIONS, &cluster, joined([writes(), in_request(&tags)])),
            asker.ask(SEES_ASSOCIATIONS, &association, joined([reads(), on_resource(&tags)])),
            asker.ask(CHANGES_ASSOCIATIONS, &association, joined([writes(), on_resource(&tags)])),
            asker.ask(PASSES, &role, joined([writes(), is("iam:PassedToService", "pods.eks.amazonaws.com")])),
        ]);
    }
    all
}

/// The region that calls to IAM count as made to, whatever the region of the queues, as far as it is known.
/// Source: IAM User Guide, "AWS global condition context keys", aws:RequestedRegion.
fn region_of_iam(region: &str) -> Option<&'static str> {
    let regions = BTreeMap::from([("aws", "us-east-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]);
    regions.get(partition_of(region)).copied()
}
