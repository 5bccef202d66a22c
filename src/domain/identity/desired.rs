//! What is to be in IAM for one subject: its role, and the policies of it that all its `QueueAccess`es come to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::api::conditions::Reason;
use crate::api::queue_access::AccessTarget;

use super::super::access::Subject;
use super::super::call::{CallError, ErrorClass};
use super::super::class::Class;
use super::super::digest::sha256;
use super::super::finding::Finding;
use super::super::fleet::Key;
use super::super::iam::{IamPath, IdentityPolicy, MAX_CHARACTERS, PolicyArn, compile};
use super::super::tags::Owner;
use super::binding::{AccountSight, AssociationSight, Binding, Bound};
use super::names::Names;
use super::trust::{Trust, Workload};
use super::{EksCluster, Given, RoleArn, Way};

/// Managed policies that a role takes. Source: "IAM and AWS STS quotas", which lets an account ask for 20.
pub const MAX_POLICIES: usize = 10;

/// How soon to look again at what only a person can change.
pub(super) const SLOW: SignedDuration = SignedDuration::from_mins(5);

/// How soon to look again for a `ServiceAccount` that is not there: they are not watched.
const MISSING_ACCOUNT: SignedDuration = SignedDuration::from_secs(30);

/// One `QueueAccess` of the subject.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which.
    pub key: Key,
    /// Whether it waits, when deleted, until what it gives is gone, and has on record what is made for it.
    pub is_bound: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The class of its Queue, when that is known.
    pub class: Option<Class>,
    /// What it has on record.
    pub target: Option<AccessTarget>,
    /// What it gives.
    pub given: Option<Given>,
}

impl Member {
    /// Whether nothing in the account is for it: it is on its way out, never had anything, or what it gives is elsewhere.
    fn is_gone_from(&self, account_id: &str) -> bool {
        self.deleting || self.given.as_ref().map_or(!self.is_bound, |given| given.place.account_id != account_id)
    }
}

/// What the desired state depends on.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The namespace of the subject and of its `QueueAccess`es.
    pub namespace: &'a str,
    /// The subject.
    pub subject: &'a Subject,
    /// The class under which all is made.
    pub class: &'a Class,
    /// The `QueueAccess`es of the subject, the oldest first.
    pub members: &'a [Member],
    /// What the `ServiceAccount` is bound to.
    pub bound: Bound<'a>,
}

/// Which role the policies are attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesiredRole {
    /// None.
    Nobody,
    /// One that is made for the subject.
    Made {
        /// Where it is.
        arn: RoleArn,
        /// Who may assume it.
        trust: Trust,
        /// The ARN of its permissions boundary.
        boundary: String,
    },
    /// One that was made for the subject and is left as it is: what its making depends on is missing.
    Kept(RoleArn),
    /// One of others.
    Foreign(RoleArn),
}

impl DesiredRole {
    /// Where it is.
    #[must_use]
    pub fn arn(&self) -> Option<&RoleArn> {
        match self {
            Self::Nobody => None,
            Self::Made { arn, .. } | Self::Kept(arn) | Self::Foreign(arn) => Some(arn),
        }
    }
}

/// What is to be in IAM for one subject.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Whose it is, by its tags.
    pub owner: Owner,
    /// The role that the policies are attached to.
    pub role: DesiredRole,
    /// The policies, in the order in which they are written.
    pub policies: Vec<(PolicyArn, IdentityPolicy)>,
    /// Where the subject's own role is, if it has one.
    pub own_role: Option<RoleArn>,
    /// Roles on record that the policies are not attached to any more.
    pub former_roles: BTreeSet<RoleArn>,
    /// Policies on record that are not wanted any more.
    pub former_policies: BTreeSet<PolicyArn>,
    /// The policies that the subject may have at most, there or not.
    pub names: Vec<PolicyArn>,
    /// What binds the `ServiceAccount` to its role, in this order.
    pub bindings: Vec<Binding>,
    /// The role in the cluster's own account that assumes the subject's role, where that is in another.
    pub source: Option<Box<Source>>,
    /// The `QueueAccess`es for which a role has no room.
    pub left_out: BTreeSet<Key>,
    /// What stands in the way of all of them.
    pub finding: Option<Finding>,
    /// Why it is not known what the `ServiceAccount` is bound to: nobody's association is replaced, nor forgotten, unseen.
    pub unread: Option<Finding>,
}

impl Desired {
    /// What `request` comes to.
    #[must_use]
    pub fn of(request: &Request<'_>) -> Self {
        let Request { namespace, subject, class, members, .. } = *request;
        let in_full = in_full(subject);
        let (cluster, place) = (class.cluster.name.as_str(), &class.place);
        let names = Names { cluster, place, path: &class.iam_path, namespace, subject: &in_full };
        let path = path_on_record(&names, members).unwrap_or_else(|| class.iam_path.clone());
        let names = Names { path: &path, ..names };
        let own_role = matches!(subject, Subject::ServiceAccount(_)).then(|| names.role());
        let owner = Owner { cluster: class.cluster.clone(), namespace: namespace.to_owned(), name: word(subject) };
        let (role, finding) = Choice { request, names: &names, own_role: own_role.as_ref(), owner: &owner }.role();
        let account_id = &class.place.account_id;
        let recorded = || members.iter().filter_map(|member| member.target.as_ref());
        // What one class allows is no other's to give.
        let may_have = |member: &&Member| match (&role, &member.class) {
            (DesiredRole::Foreign(arn), Some(class)) => class.limits.allows_role(&arn.to_string()),
            _ => true,
        };
        let bound = members.iter().filter(|member| member.is_bound && !member.deleting).filter(may_have);
        let given: Vec<(&Key, &Given)> = bound
            .filter_map(|member| Some((&member.key, member.given.as_ref()?)))
            .filter(|(_, given)| given.place.account_id == *account_id)
            .collect();
        let (documents, left_out) = match role {
            DesiredRole::Nobody => (Vec::new(), BTreeSet::new()),
            _ => pack(&given),
        };
        let policies: Vec<(PolicyArn, IdentityPolicy)> =
            documents.into_iter().enumerate().map(|(index, document)| (names.policy(index + 1), document)).collect();
        let is_here = |account: &str| account == account_id;
        // The last one takes the subject's own role with it, should a record be lost.
        let own = own_role.clone().filter(|_| members.iter().all(|member| member.is_gone_from(account_id)));
        let former_roles = recorded()
            .flat_map(|target| target.role_arn.iter().chain(&target.former_role_arns))
            .filter_map(|arn| RoleArn::parse(arn))
            .chain(own)
            .filter(|arn| is_here(arn.account_id()) && role.arn() != Some(arn))
            .collect();
        let former_policies = recorded()
            .flat_map(|target| target.policy_arns.iter().filter_map(|arn| PolicyArn::parse(arn)))
            .filter(|arn| is_here(arn.account_id()) && policies.iter().all(|(wanted, _)| wanted != arn))
            .collect();
        let mut desired = Self {
            owner,
            role,
            policies,
            own_role,
            former_roles,
            former_policies,
            names: (1..=MAX_POLICIES).map(|number| names.policy(number)).collect(),
            bindings: Vec::new(),
            source: None,
            left_out,
            finding,
            unread: match request.bound.association {
                AssociationSight::Failed(error) => Some(no_association(error)),
                _ => None,
            },
        };
        desired.source = source(request, &desired, &names).map(Box::new);
        let by_association = class.roles.as_ref().is_some_and(|making| matches!(making.way, Way::PodIdentity(_)));
        desired.bindings = desired.bindings(&request.bound, by_association);
        desired
    }

    /// A digest of all that is declared: it stays the same while nothing else is asked for.
    #[must_use]
    pub fn digest(&self) -> String {
        let role = match &self.role {
            DesiredRole::Made { arn, trust, boundary } => format!("{arn} {} {boundary}", trust.digest()),
            other => other.arn().map(ToString::to_string).unwrap_or_default(),
        };
        let policies: Vec<String> =
            self.policies.iter().map(|(arn, document)| format!("{arn} {}", document.digest())).collect();
        let source = self.source.as_ref().map(|source| source.desired.digest()).unwrap_or_default();
        sha256(&format!("{role} {} {source}", policies.join(" ")))
    }
}

/// The role in the cluster's own account, and all about it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub arn: RoleArn,
    /// What is to be in IAM there.
    pub desired: Desired,
}

/// EKS gives Pods a role of the cluster's own account only: for queues of another account, that role may assume the subject's.
fn source(request: &Request<'_>, main: &Desired, names: &Names<'_>) -> Option<Source> {
    let class = request.class;
    let cluster = class.roles.as_ref()?.way.other_account(class)?;
    let names = Names { place: &cluster.place, ..*names };
    let (own, policy) = (main.own_role.as_ref()?, names.source_policy());
    let arn = names.source_role();
    let made = match (&main.role, &cluster.boundary, request.subject) {
        (DesiredRole::Made { .. }, Some(boundary), Subject::ServiceAccount(name)) => {
            let workload = Workload { namespace: request.namespace, service_account: name };
            let trust = Trust::in_pod_identity(&cluster.arn(), &workload);
            DesiredRole::Made { arn: arn.clone(), trust, boundary: boundary.clone() }
        }
        (DesiredRole::Kept(_), ..) => DesiredRole::Kept(arn.clone()),
        _ => DesiredRole::Nobody,
    };
    let is_wanted = made != DesiredRole::Nobody;
    let document = IdentityPolicy::allowing(&["sts:AssumeRole", "sts:TagSession"], &own.to_string());
    let desired = Desired {
        owner: main.owner.clone(),
        policies: if is_wanted { vec![(policy.clone(), document)] } else { Vec::new() },
        former_roles: if is_wanted { BTreeSet::new() } else { BTreeSet::from([arn.clone()]) },
        former_policies: if is_wanted { BTreeSet::new() } else { BTreeSet::from([policy]) },
        own_role: Some(arn.clone()),
        role: made,
        names: Vec::new(),
        bindings: Vec::new(),
        source: None,
        left_out: BTreeSet::new(),
        finding: None,
        unread: None,
    };
    Some(Source { arn, desired })
}

/// The subject in a word, which is the value of its owner tag: no name of a Queue holds a `/`. Of what names may have, a tag
/// takes no comma, and 256 characters. Source: "Rules for tagging in IAM and AWS STS".
#[must_use]
pub fn word(subject: &Subject) -> String {
    let word = match subject {
        Subject::ServiceAccount(_) | Subject::Principal(_) => in_full(subject),
        Subject::Role(arn) => format!("role/{}", arn.rsplit('/').next().unwrap_or_default()),
    };
    word.replace(',', "_").chars().take(256).collect()
}

/// The subject so that no other is called the same: of two roles of one name only one can be there, but both can be meant.
fn in_full(subject: &Subject) -> String {
    match subject {
        Subject::ServiceAccount(name) => format!("serviceaccount/{name}"),
        Subject::Role(arn) | Subject::Principal(arn) => arn.clone(),
    }
}

/// The path of what is on record: names are unique in an account, so that another class's path moves nothing.
fn path_on_record(names: &Names<'_>, members: &[Member]) -> Option<IamPath> {
    let (role, policy) = (names.role(), names.policy(1));
    let is_role = |arn: &RoleArn| (arn.account_id(), arn.name()) == (role.account_id(), role.name());
    let is_policy = |arn: &PolicyArn| (arn.account_id(), arn.name()) == (policy.account_id(), policy.name());
    let mut made = members.iter().filter_map(|member| member.target.as_ref()).flat_map(AccessTarget::made);
    let path = made.find_map(|arn| {
        let role = RoleArn::parse(arn).filter(is_role).map(|arn| arn.path().to_owned());
        role.or_else(|| PolicyArn::parse(arn).filter(is_policy).map(|arn| arn.path().to_owned()))
    });
    IamPath::parse(&path?).ok()
}

/// The account in which the `members` have something on record: one subject has all in one account.
#[must_use]
pub fn account_on_record(members: &[Member]) -> Option<String> {
    let targets = members.iter().filter_map(|member| member.target.as_ref());
    targets.flat_map(AccessTarget::made).find_map(|arn| arn.split(':').nth(4).map(str::to_owned))
}

/// The class under which the role of the `members` is made: that of the oldest whose queue is in the account on record; with
/// nothing on record, of the oldest that gives anything, or of any, so that what a lost record told of is found.
#[must_use]
pub fn home<'a>(members: &'a [Member], account_on_record: Option<&str>) -> Option<&'a Class> {
    let mut classes = members.iter().filter_map(|member| member.class.as_ref());
    if let Some(account_id) = account_on_record {
        return classes.find(|class| class.place.account_id == account_id);
    }
    let giving = members.iter().find(|member| member.given.is_some() && !member.deleting);
    giving.and_then(|member| member.class.as_ref()).or_else(|| classes.next())
}

impl AccessTarget {
    /// The ARNs of all that was made, or is about to be.
    pub fn made(&self) -> impl Iterator<Item = &String> {
        self.role_arn.iter().chain(&self.former_role_arns).chain(&self.policy_arns)
    }

    /// Whether anything was made, or is about to be.
    #[must_use]
    pub fn has_made(&self) -> bool {
        self.made().next().is_some()
    }
}

/// Which role it is to be.
struct Choice<'a> {
    request: &'a Request<'a>,
    names: &'a Names<'a>,
    own_role: Option<&'a RoleArn>,
    owner: &'a Owner,
}

impl Choice<'_> {
    fn role(&self) -> (DesiredRole, Option<Finding>) {
        let Request { subject, members, bound, class, .. } = self.request;
        if members.iter().all(|member| member.is_gone_from(&class.place.account_id)) {
            return (DesiredRole::Nobody, None);
        }
        if members.iter().all(|member| member.deleting || member.given.is_none()) {
            return (self.own_role.map_or(DesiredRole::Nobody, |own_role| self.kept(own_role)), None);
        }
        let (name, own_role) = match (subject, self.own_role) {
            (Subject::ServiceAccount(name), Some(own_role)) => (name, own_role),
            (Subject::Role(arn), _) => return self.foreign(arn, "spec.subject.roleArn", DesiredRole::Nobody),
            _ => return (DesiredRole::Nobody, None),
        };
        if *bound.account == AccountSight::Absent {
            let message = format!("there is no ServiceAccount {name} in this namespace; it is waited for");
            let finding = Finding::waiting(Reason::ServiceAccountNotFound, message, MISSING_ACCOUNT);
            return (self.kept(own_role), Some(finding));
        }
        if matches!(bound.association, AssociationSight::Failed(_)) {
            return (self.kept(own_role), None);
        }
        if let Some((arn, at)) = bound.foreign_role(own_role, self.owner) {
            return self.foreign(&arn, &at, self.kept(own_role));
        }
        match &class.roles {
            Some(making) => match self.trust(&making.way, name) {
                Ok(trust) => {
                    (DesiredRole::Made { arn: own_role.clone(), trust, boundary: making.boundary.clone() }, None)
                }
                Err(finding) => (self.kept(own_role), Some(finding)),
            },
            None => (self.kept(own_role), Some(no_roles(class))),
        }
    }

    fn trust(&self, way: &Way, name: &str) -> Result<Trust, Finding> {
        let workload = Workload { namespace: self.request.namespace, service_account: name };
        match way {
            Way::Tokens { provider_arn } => Ok(Trust::in_tokens(provider_arn, &workload)),
            Way::PodIdentity(cluster) => match way.other_account(self.request.class) {
                None => Ok(Trust::in_pod_identity(&cluster.arn(), &workload)),
                Some(_) if cluster.boundary.is_some() => {
                    let source = Names { place: &cluster.place, ..*self.names }.source_role();
                    Ok(Trust::in_role(&source.to_string()))
                }
                Some(_) => Err(no_boundary_there(self.request.class, cluster)),
            },
        }
    }

    /// The role that was made before, if one was.
    fn kept(&self, own_role: &RoleArn) -> DesiredRole {
        let own = own_role.to_string();
        let targets = self.request.members.iter().filter_map(|member| member.target.as_ref());
        let is_recorded = targets.into_iter().any(|target| target.role_arn.as_ref() == Some(&own));
        if is_recorded { DesiredRole::Kept(own_role.clone()) } else { DesiredRole::Nobody }
    }

    /// A role of others, which the class must allow; else what there is instead.
    fn foreign(&self, arn: &str, at: &str, instead: DesiredRole) -> (DesiredRole, Option<Finding>) {
        let class = self.request.class;
        let role = RoleArn::parse(arn).filter(|role| role.account_id() == class.place.account_id);
        let role = role.filter(|role| class.limits.allows_role(arn) && !is_operators(role, class));
        match role {
            Some(role) => (DesiredRole::Foreign(role), None),
            None => (instead, Some(role_not_allowed(at, arn, class))),
        }
    }
}

/// Whether it is the operator's own role, or where those are that it makes for others: whoever attaches something to one of
/// these keeps it from being deleted. No pattern allows them.
fn is_operators(role: &RoleArn, class: &Class) -> bool {
    // arn:<partition>:sts::<account>:assumed-role/<name>/<session>
    let session = class.caller_arn.split_once(":assumed-role/").and_then(|(_, rest)| rest.split('/').next());
    let assumed = RoleArn::parse(&class.caller_arn);
    let own = session.or_else(|| assumed.as_ref().map(RoleArn::name));
    let path = class.iam_path.as_str();
    (path != "/" && role.path().starts_with(path)) || own == Some(role.name())
}

/// What to say when the class allows no policies to be attached to a role; `at` is where it is named.
pub(super) fn role_not_allowed(at: &str, arn: &str, class: &Class) -> Finding {
    let message = format!(
        "{at} names {arn}, and {} lets no policies be attached to it (limits.iam.roleArnPatterns, roles of account {} only, and none of the operator's); it is left untouched. Name another, or have it allowed",
        class.in_words(),
        class.place.account_id
    );
    Finding::stalled(Reason::RoleNotAllowed, message, SLOW)
}

fn no_association(error: &CallError) -> Finding {
    match error.class() {
        ErrorClass::NotFound => {
            let message = format!("{error}: there is no such cluster in EKS; mend iam.podIdentity of the class");
            Finding::stalled(Reason::Refused, message, SLOW)
        }
        ErrorClass::Denied | ErrorClass::Invalid => {
            let message = format!("the EKS Pod Identity association cannot be read: {error}");
            Finding::stalled(Reason::Denied, message, SLOW)
        }
        ErrorClass::Throttled | ErrorClass::Conflict | ErrorClass::Transient => {
            let message = format!("the EKS Pod Identity association cannot be read: {error}");
            Finding::waiting(Reason::AWSUnavailable, message, MISSING_ACCOUNT)
        }
    }
}

fn no_boundary_there(class: &Class, cluster: &EksCluster) -> Finding {
    let message = format!(
        "the cluster is in account {} and {} is for account {}: that takes a role in each, and so iam.podIdentity.permissionsBoundaryArn in the class",
        cluster.place.account_id,
        class.in_words(),
        class.place.account_id
    );
    Finding::stalled(Reason::NotAllowedByClass, message, SLOW)
}

fn no_roles(class: &Class) -> Finding {
    let message = format!(
        "{} makes no roles for ServiceAccounts: that takes a QueueClass with iam.permissionsBoundaryArn, and iam.oidcProviderArn or iam.podIdentity. Or annotate the ServiceAccount with a role of limits.iam.roleArnPatterns",
        class.in_words()
    );
    Finding::stalled(Reason::NotAllowedByClass, message, SLOW)
}

/// As few policies as hold all that is given, the oldest first, and who found no room.
fn pack(given: &[(&Key, &Given)]) -> (Vec<IdentityPolicy>, BTreeSet<Key>) {
    let mut packed: Vec<Packed<'_>> = Vec::new();
    let mut left_out = BTreeSet::new();
    for (key, given) in given {
        let fitting = packed.iter().enumerate().find_map(|(index, one)| Some((index, one.with(given)?)));
        match fitting {
            Some((index, fuller)) => packed[index] = fuller,
            None => match Packed::default().with(given).filter(|_| packed.len() < MAX_POLICIES) {
                Some(next) => packed.push(next),
                None => _ = left_out.insert((*key).clone()),
            },
        }
    }
    (packed.into_iter().filter_map(|one| one.document).collect(), left_out)
}

/// What one policy holds.
#[derive(Default)]
struct Packed<'a> {
    given: Vec<&'a Given>,
    document: Option<IdentityPolicy>,
}

impl<'a> Packed<'a> {
    /// The same with `one` more, if there is room for it.
    fn with(&self, one: &'a Given) -> Option<Self> {
        let mut given = self.given.clone();
        given.push(one);
        let document = merged(&given);
        (document.characters() <= MAX_CHARACTERS).then_some(Self { given, document: Some(document) })
    }
}

/// One policy for queues of several regions.
fn merged(given: &[&Given]) -> IdentityPolicy {
    let mut by_region: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for given in given {
        let (place, grants) = (&given.place, &given.grants);
        by_region.entry(&given.place.region).or_default().push((place, grants));
    }
    let documents = by_region.into_values().filter_map(|all| {
        let place = all.first()?.0;
        let grants: Vec<_> = all.iter().flat_map(|(_, grants)| (*grants).clone()).collect();
        Some(compile(&grants, place))
    });
    IdentityPolicy::union(documents)
}
