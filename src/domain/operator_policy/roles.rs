//! What the operator may do in IAM and in EKS: only under its path, only to what carries its tags, and a role never without the
//! boundary.
//!
//! Source of what can be asked of each action: "Actions, resources, and condition keys for AWS Identity and Access Management
//! (IAM)" and "… for Amazon Elastic Kubernetes Service" in the Service Authorization Reference. Tags cannot hold back
//! `iam:PassRole` (IAM User Guide, "Grant a user permissions to pass a role to an AWS service"): there the path does.

use super::super::arn::{Place, partition_of};
use super::Terms;
use super::document::Operator::{ArnEquals, ArnLike, StringEquals};
use super::document::Statement;
use super::duties::{Associations, Duties};

/// What EKS Pod Identity is to IAM, in every partition.
const POD_IDENTITY: &str = "pods.eks.amazonaws.com";

const POLICY_ARN: &str = "iam:PolicyARN";
const BOUNDARY: &str = "iam:PermissionsBoundary";

/// What is under the path in an account.
struct Path {
    policies: String,
    roles: String,
    /// Roles of our names, `<readable>_<twelve digits>`, at whatever path. Calls name a role without its path, which IAM
    /// learns from the role: about one that is not there it can only ask by the bare name.
    named_roles: String,
}

impl Path {
    fn of(duties: &Duties, place: &Place) -> Self {
        let account = format!("arn:{}:iam::{}", partition_of(&place.region), place.account_id);
        let path = duties.path.as_str();
        Self {
            policies: format!("{account}:policy{path}*"),
            roles: format!("{account}:role{path}*"),
            named_roles: format!("{account}:role/*_????????????"),
        }
    }
}

/// In the account of the queues.
pub(super) fn statements(duties: &Duties, terms: &Terms<'_>) -> Vec<Statement> {
    let path = Path::of(duties, &duties.place);
    let mut all = Vec::new();
    if duties.makes_policies {
        all.extend(policies(&path, terms));
    }
    if let Some(boundary) = &duties.boundary {
        all.extend(made_roles(&path, boundary, terms));
    }
    if !duties.given_roles.is_empty() {
        let roles = || duties.given_roles.iter().cloned();
        let named = roles().chain(duties.given_roles.iter().filter_map(|pattern| bare(pattern)));
        let attach = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"];
        let attach = Statement::allow("AttachOurPoliciesToGivenRoles", &attach, roles());
        all.extend([
            Statement::allow("SeeGivenRoles", &["iam:GetRole"], named),
            Statement::allow("SeeWhatIsAttachedToGivenRoles", &["iam:ListAttachedRolePolicies"], roles()),
            attach.when(ArnLike, POLICY_ARN, [path.policies.as_str()]),
        ]);
    }
    all
}

/// The pattern without a path, for roles that are not there; nothing where that would be any role at all.
fn bare(pattern: &str) -> Option<String> {
    let (account, role) = pattern.split_once(":role/")?;
    let name = role.rsplit('/').next()?;
    name.contains(|c| c != '*').then(|| format!("{account}:role/{name}"))
}

/// In the account of the cluster.
pub(super) fn of_pod_identity(pods: &Associations, duties: &Duties, terms: &Terms<'_>) -> Vec<Statement> {
    let path = Path::of(duties, &pods.place);
    let mut all = Vec::new();
    if let Some(boundary) = &pods.boundary {
        all.extend(policies(&path, terms));
        all.extend(made_roles(&path, boundary, terms));
    }
    let Place { account_id, region } = &pods.place;
    let service = format!("arn:{}:eks:{region}:{account_id}", partition_of(region));
    let cluster = || [format!("{service}:cluster/{}", pods.cluster_name)];
    let associations = || [format!("{service}:podidentityassociation/{}/*", pods.cluster_name)];
    let pass = Statement::allow("PassOurRolesToPodIdentityOnly", &["iam:PassRole"], [path.roles.clone()]);
    all.extend([
        Statement::allow("ListAssociations", &["eks:ListPodIdentityAssociations"], cluster()),
        Statement::allow("SeeAssociations", &["eks:DescribePodIdentityAssociation"], associations()),
        terms.in_request(Statement::allow(
            "CreateAssociationsAsOurs",
            &["eks:CreatePodIdentityAssociation"],
            cluster(),
        )),
        terms.claiming(Statement::allow("TagNewAssociationsAsOurs", &["eks:TagResource"], associations())),
        terms.on_ours(Statement::allow(
            "ChangeAndDeleteOurAssociations",
            &["eks:UpdatePodIdentityAssociation", "eks:DeletePodIdentityAssociation"],
            associations(),
        )),
        pass.when(StringEquals, "iam:PassedToService", [POD_IDENTITY]),
    ]);
    all
}

fn policies(path: &Path, terms: &Terms<'_>) -> [Statement; 3] {
    let policies = || [path.policies.clone()];
    let create = Statement::allow("CreatePoliciesAsOurs", &["iam:CreatePolicy", "iam:TagPolicy"], policies());
    [
        Statement::allow(
            "SeePoliciesUnderOurPath",
            &["iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListPolicyVersions"],
            policies(),
        ),
        terms.claiming(create),
        terms.on_ours(Statement::allow(
            "ChangeAndDeleteOurPolicies",
            &["iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:UntagPolicy", "iam:DeletePolicy"],
            policies(),
        )),
    ]
}

fn made_roles(path: &Path, boundary: &str, terms: &Terms<'_>) -> [Statement; 8] {
    let allow = |sid, actions: &[&str]| Statement::allow(sid, actions, [path.roles.clone()]);
    let bound = |statement: Statement| statement.when(ArnEquals, BOUNDARY, [boundary]);
    let about_ours = |statement: Statement| statement.when(ArnLike, POLICY_ARN, [path.policies.as_str()]);
    [
        Statement::allow("SeeRolesOfOurNames", &["iam:GetRole"], [path.named_roles.clone()]),
        allow("SeeWhatIsAttachedToOurRoles", &["iam:ListAttachedRolePolicies"]),
        bound(terms.in_request(allow("CreateRolesAsOursWithTheBoundary", &["iam:CreateRole"]))),
        terms.claiming(allow("TagNewRolesAsOurs", &["iam:TagRole"])),
        bound(terms.on_ours(allow("SetTheBoundaryOfOurRoles", &["iam:PutRolePermissionsBoundary"]))),
        about_ours(bound(terms.on_ours(allow("AttachOurPoliciesToOurBoundRoles", &["iam:AttachRolePolicy"])))),
        // Also where somebody has taken the boundary or our tags from a role, or it has the boundary of another time.
        about_ours(terms.on_nobody_elses(allow("DetachOurPoliciesFromRoles", &["iam:DetachRolePolicy"]))),
        terms.on_ours(allow("ChangeAndDeleteOurRoles", &["iam:UpdateAssumeRolePolicy", "iam:DeleteRole"])),
    ]
}
