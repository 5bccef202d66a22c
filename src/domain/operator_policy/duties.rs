//! What the operator is there to do: for each class, or for its flags, where, as whom and how far.

use std::collections::BTreeSet;

use crate::api::class::{ClassIam, ClassLimits, PodIdentity, QueueClass, SubjectKind};
use crate::api::queue::{AdoptionPolicy, EncryptionMode};

use super::super::arn::Place;
use super::super::encryption::canonical_key;
use super::super::field::FieldError;
use super::super::iam::IamPath;
use super::super::identity::RoleArn;
use super::super::names::Naming;
use super::super::policy::matches_wildcard;
use super::queue_names;

/// As whom the operator calls AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// Its own identity: the role or user whose credentials it finds.
    Operator,
    /// A role that it assumes, by its ARN.
    Role(String),
}

/// The operator as it is installed.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// `--cluster-name`: the owner tag of all that is made.
    pub cluster_name: String,
    /// The role or user that it is, when that is known.
    pub arn: Option<String>,
    /// The account of its own identity, when that is known.
    pub account_id: Option<String>,
}

/// What is to be done for the Queues of one class, or of the operator's flags.
#[derive(Clone, Debug)]
pub struct Duties {
    pub(super) place: Place,
    /// Who makes queues, policies and roles.
    pub(super) maker: Identity,
    /// What the names of queues can be, as patterns.
    pub(super) queue_names: BTreeSet<String>,
    /// Whether queues that are there may be taken over.
    pub(super) adopts: bool,
    /// The KMS keys that queues may be encrypted with, as ARNs of keys and aliases, or patterns for them.
    pub(super) keys: BTreeSet<String>,
    pub(super) path: IamPath,
    /// Whether managed policies are made.
    pub(super) makes_policies: bool,
    /// The boundary of the roles that are made for `ServiceAccounts`, if any are.
    pub(super) boundary: Option<String>,
    /// Roles of others that policies are attached to, as patterns.
    pub(super) given_roles: BTreeSet<String>,
    pub(super) pod_identity: Option<Associations>,
}

/// What is done in EKS.
#[derive(Clone, Debug)]
pub(super) struct Associations {
    pub identity: Identity,
    pub cluster_name: String,
    /// The cluster's.
    pub place: Place,
    /// The boundary of the roles that are made beside the cluster, where queues are in another account.
    pub boundary: Option<String>,
}

impl Duties {
    /// For Queues that no class stands for: whatever a Queue may ask for without one, with names that begin with `naming`'s
    /// prefix.
    #[must_use]
    pub fn of_flags(place: Place, naming: &Naming) -> Self {
        Self {
            // Without a class, Queues may choose their names; the prefix is what holds them back.
            queue_names: BTreeSet::from([format!("{}*", naming.prefix())]),
            adopts: true,
            keys: BTreeSet::from([any_key(&place)]),
            maker: Identity::Operator,
            path: IamPath::default(),
            makes_policies: true,
            boundary: None,
            given_roles: BTreeSet::new(),
            pod_identity: None,
            place,
        }
    }

    /// For Queues of `class`.
    ///
    /// # Errors
    /// What in the class no policy can be made for, all of it. Some of it the API server refuses; a class may come from a file.
    pub fn of_class(class: &QueueClass, installation: &Installation) -> Result<Self, Vec<FieldError>> {
        let spec = &class.spec;
        let mut errors = Vec::new();
        let mut refuse = |path: &str, rule: String| errors.push(FieldError::new(path, rule));
        let place = spec.aws.place();
        if !is_account(&place.account_id) {
            refuse("spec.aws.accountId", format!("{:?} is no account: want twelve digits", place.account_id));
        }
        if !is_region(&place.region) {
            refuse("spec.aws.region", format!("{:?} is no region", place.region));
        }
        let role = spec.aws.role_arn.as_deref();
        if let Some(rule) = role.and_then(no_role) {
            refuse("spec.aws.roleArn", rule);
        }
        let naming = Naming::of_class(spec.naming.as_ref()).map_err(|error| refuse(&error.path, error.rule));
        let iam = spec.iam.clone().unwrap_or_default();
        let path = iam.path.as_deref().map(IamPath::parse).transpose().map_err(|rule| refuse("spec.iam.path", rule));
        let path = path.ok().flatten().unwrap_or_default();
        let maker = role.map_or(Identity::Operator, |role| Identity::Role(role.to_owned()));
        let limits = spec.limits.clone().unwrap_or_default();
        let mut queue_names: BTreeSet<String> = naming.iter().map(queue_names::of_defaults).collect();
        queue_names.extend(queue_names::of_pattern(limits.queue_name_pattern.as_deref().unwrap_or_default()));
        let mut duties = Self {
            keys: keys_of(&limits, &place),
            adopts: limits.adoption_policies.iter().flatten().any(|policy| *policy == AdoptionPolicy::Adopt),
            makes_policies: limits.iam.as_ref().and_then(|iam| iam.policies.as_ref()).is_none_or(|all| !all.is_empty()),
            given_roles: given_roles_of(&limits),
            boundary: None,
            pod_identity: None,
            place,
            maker,
            queue_names,
            path,
        };
        if allows(&limits, &[SubjectKind::ServiceAccount]) {
            match roles_of(&iam, &duties, installation) {
                Ok((boundary, pod_identity)) => (duties.boundary, duties.pod_identity) = (boundary, pod_identity),
                Err(mut found) => errors.append(&mut found),
            }
        }
        duties.makes_policies |= duties.boundary.is_some() || !duties.given_roles.is_empty();
        errors.append(&mut duties.escapes(installation));
        if errors.is_empty() { Ok(duties) } else { Err(errors) }
    }

    /// Who makes the queues.
    #[must_use]
    pub fn maker(&self) -> &Identity {
        &self.maker
    }

    /// All who act for these Queues: who makes the queues comes first, and where a role is assumed the operator is among them.
    #[must_use]
    pub fn identities(&self) -> Vec<Identity> {
        let mut all = vec![self.maker.clone()];
        all.extend(self.pod_identity.as_ref().map(|associations| associations.identity.clone()));
        if all.iter().any(|identity| *identity != Identity::Operator) {
            all.push(Identity::Operator);
        }
        let mut seen = BTreeSet::new();
        all.retain(|identity| seen.insert(identity.clone()));
        all
    }

    /// Ways in which the operator could give itself more than it was given: what it may rewrite must not hold it back, and
    /// policies that it writes must not be for itself.
    fn escapes(&self, installation: &Installation) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = self.path.as_str();

        let is_under_path = |arn: &str, kind: &str| {
            let beginning = format!(":{kind}{path}");
            arn.splitn(6, ':').nth(5).is_some_and(|resource| format!(":{resource}").starts_with(&beginning))
        };
        for (field, boundary) in [
            ("spec.iam.permissionsBoundaryArn", self.boundary.as_deref()),
            (
                "spec.iam.podIdentity.permissionsBoundaryArn",
                self.pod_identity.as_ref().and_then(|pods| pods.boundary.as_deref()),
            ),
        ] {
            if let Some(boundary) = boundary.filter(|arn| is_under_path(arn, "policy")) {
                let rule = format!(
                    "{boundary} is under the path {path}, where the operator could rewrite it; keep it elsewhere"
                );
                errors.push(FieldError::new(field, rule));
            }
        }
        let mut own: BTreeSet<&str> = installation.arn.as_deref().into_iter().collect();
        let roles = [Some(&self.maker), self.pod_identity.as_ref().map(|pods| &pods.identity)];
        own.extend(roles.into_iter().flatten().filter_map(|identity| match identity {
            Identity::Role(arn) => Some(arn.as_str()),
            Identity::Operator => None,
        }));
        // Where roles are made.
        let mut accounts: BTreeSet<&str> = self.boundary.iter().map(|_| self.place.account_id.as_str()).collect();
        let beside = self.pod_identity.as_ref().filter(|pods| pods.boundary.is_some());
        accounts.extend(beside.map(|pods| pods.place.account_id.as_str()));
        for arn in own {
            if is_under_path(arn, "role") && accounts.contains(account_of(arn)) {
                let rule = format!(
                    "{arn}, as which the operator acts, is under the path {path}, where it could change what it may do itself"
                );
                errors.push(FieldError::new("spec.iam.path", rule));
            }
            let own_pattern =
                self.given_roles.iter().find(|pattern| matches_wildcard(pattern.as_bytes(), arn.as_bytes()));
            if let Some(pattern) = own_pattern {
                let rule = format!(
                    "{pattern} fits {arn}, as which the operator acts: it could give itself any permission; narrow the pattern"
                );
                errors.push(FieldError::new("spec.limits.iam.roleArnPatterns", rule));
            }
        }
        errors
    }
}

/// Whether subjects of one of these kinds may have a role's permissions.
fn allows(limits: &ClassLimits, kinds: &[SubjectKind]) -> bool {
    let allowed = limits.iam.as_ref().and_then(|iam| iam.subject_kinds.as_ref());
    allowed.is_none_or(|allowed| kinds.iter().any(|kind| allowed.contains(kind)))
}

/// A role of others is a subject itself, or that of a `ServiceAccount` which is annotated with it.
fn given_roles_of(limits: &ClassLimits) -> BTreeSet<String> {
    let patterns = limits.iam.as_ref().and_then(|iam| iam.role_arn_patterns.clone());
    let is_allowed = allows(limits, &[SubjectKind::Role, SubjectKind::ServiceAccount]);
    patterns.filter(|_| is_allowed).into_iter().flatten().collect()
}

type Roles = (Option<String>, Option<Associations>);

/// The boundary of the roles that are made, and where Pods are associated with them.
fn roles_of(iam: &ClassIam, duties: &Duties, installation: &Installation) -> Result<Roles, Vec<FieldError>> {
    let Some(boundary) =
        iam.permissions_boundary_arn.clone().filter(|_| iam.oidc_provider_arn.is_some() || iam.pod_identity.is_some())
    else {
        return Ok((None, None));
    };
    let mut errors = Vec::new();
    let mut check = |path: &str, rule: Option<String>| errors.extend(rule.map(|rule| FieldError::new(path, rule)));
    check("spec.iam.permissionsBoundaryArn", no_boundary(&boundary));
    let Some(PodIdentity { cluster_name, region, role_arn, permissions_boundary_arn }) = iam.pod_identity.clone()
    else {
        return if errors.is_empty() { Ok((Some(boundary), None)) } else { Err(errors) };
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if cluster_name.is_empty() || !cluster_name.chars().all(is_name) {
        check("spec.iam.podIdentity.clusterName", Some(format!("{cluster_name:?} is no name of a cluster in EKS")));
    }
    if !is_region(&region) {
        check("spec.iam.podIdentity.region", Some(format!("{region:?} is no region")));
    }
    check("spec.iam.podIdentity.roleArn", role_arn.as_deref().and_then(no_role));
    let of_role = role_arn.as_deref().and_then(RoleArn::parse).map(|role| role.account_id().to_owned());
    let own = || match duties.maker {
        Identity::Operator => Some(duties.place.account_id.clone()),
        Identity::Role(_) => installation.account_id.clone(),
    };
    let Some(account_id) = of_role.or_else(own) else {
        let rule = "is omitted, so that the cluster is in the account of the operator's own identity, which is not known here; name it with --operator-arn or --account-id";
        check("spec.iam.podIdentity.roleArn", Some(rule.to_owned()));
        return Err(errors);
    };
    let is_elsewhere = account_id != duties.place.account_id;
    let beside = permissions_boundary_arn.filter(|_| is_elsewhere);
    if is_elsewhere {
        let rule = beside.as_deref().map_or_else(
            || Some(format!("is needed: the cluster is in the account {account_id}, where roles are made too")),
            no_boundary,
        );
        check("spec.iam.podIdentity.permissionsBoundaryArn", rule);
    }
    let identity = role_arn.map_or(Identity::Operator, Identity::Role);
    let pods = Associations { identity, cluster_name, place: Place { account_id, region }, boundary: beside };
    if errors.is_empty() { Ok((Some(boundary), Some(pods))) } else { Err(errors) }
}

/// The keys that a class allows: none when it allows no encryption by KMS.
fn keys_of(limits: &ClassLimits, place: &Place) -> BTreeSet<String> {
    let encryption = limits.encryption.as_ref();
    let modes = encryption.and_then(|limits| limits.modes.as_ref());
    if modes.is_some_and(|modes| !modes.contains(&EncryptionMode::KMS)) {
        return BTreeSet::new();
    }
    let listed = encryption.and_then(|limits| limits.kms.as_ref()?.keys.as_ref());
    match listed {
        Some(keys) => keys.iter().map(|key| canonical_key(key, place)).collect(),
        None => BTreeSet::from([any_key(place)]),
    }
}

fn any_key(place: &Place) -> String {
    canonical_key("*", place)
}

fn no_role(arn: &str) -> Option<String> {
    RoleArn::parse(arn).is_none().then(|| format!("{arn:?} is no ARN of a role"))
}

/// A boundary is a policy of an account, or one of AWS.
fn no_boundary(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/+=,.@_-".contains(c);
    let is_policy = match parts[..] {
        ["arn", partition, "iam", "", account, resource] => {
            !partition.is_empty()
                && (account == "aws" || is_account(account))
                && resource.strip_prefix("policy/").is_some_and(|name| !name.is_empty() && name.chars().all(is_plain))
        }
        _ => false,
    };
    (!is_policy).then(|| format!("{arn:?} is no ARN of a policy"))
}

fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
