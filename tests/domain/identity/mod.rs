//! As whom workloads act: names, trust, what a subject comes to, and what is done about it.

mod binding;
mod desired;
mod entitlement;
mod evaluator;
mod names;
mod packing;
mod plan;
mod property;
mod trust;
mod world;

use jiff::Timestamp;
use serde_json::{Value, json};

use prism_queue::api::QueueAccess;
use prism_queue::api::class::{ClassLimits, IamLimits, SubjectKind};
use prism_queue::api::queue::QueueType;
use prism_queue::domain::access::Subject;
use prism_queue::domain::arn::Place;
use prism_queue::domain::class::{Class, Limits};
use prism_queue::domain::fleet::Key;
use prism_queue::domain::iam::{Grant, GrantedQueue};
use prism_queue::domain::identity::{
    AccountSight, AssociationSight, Bound, Desired, EksCluster, Given, Making, Member, Request, ServiceAccount, Way,
};
use prism_queue::domain::outputs::Coordinates;
use prism_queue::domain::permission::Permission;

use crate::fixtures::*;

const ISSUER: &str = "oidc.eks.eu-central-1.amazonaws.com/id/ABC";
const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/boundary";
const BATCH: &str = "arn:aws:iam::123456789012:role/batch/worker";
const OTHER_ACCOUNT: &str = "999999999999";

/// The ARN of the provider in IAM for the tokens of this issuer.
fn provider(issuer: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")
}

/// The class `prod`, which makes roles by tokens and lets policies be attached to roles of `/batch/`.
fn making() -> Class {
    let way = Way::Tokens { provider_arn: provider(ISSUER) };
    let roles = Some(Making { boundary: BOUNDARY.to_owned(), way });
    Class { name: "prod".to_owned(), roles, ..class() }.allowing(&["arn:aws:iam::123456789012:role/batch/*"], None)
}

/// The class `prod` with EKS Pod Identity, the cluster in its own account.
fn associating() -> Class {
    let cluster = EksCluster {
        name: "prod-1".to_owned(),
        place: Place { account_id: ACCOUNT.to_owned(), region: REGION.to_owned() },
        boundary: None,
    };
    Class { roles: Some(Making { boundary: BOUNDARY.to_owned(), way: Way::PodIdentity(cluster) }), ..making() }
}

trait IdentityClass {
    fn allowing(self, role_arn_patterns: &[&str], subject_kinds: Option<&[SubjectKind]>) -> Self;
    fn named(self, name: &str) -> Self;
    fn in_account(self, account_id: &str) -> Self;
}

impl IdentityClass for Class {
    fn allowing(mut self, patterns: &[&str], subject_kinds: Option<&[SubjectKind]>) -> Self {
        let iam = IamLimits {
            role_arn_patterns: Some(patterns.iter().map(|pattern| (*pattern).to_owned()).collect()),
            subject_kinds: subject_kinds.map(<[_]>::to_vec),
            ..IamLimits::default()
        };
        let limits = ClassLimits { iam: Some(iam), ..ClassLimits::default() };
        self.limits = Limits::Class { name: self.name.clone(), limits: Box::new(limits) };
        self
    }

    fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        if let Limits::Class { name: of_limits, .. } = &mut self.limits {
            name.clone_into(of_limits);
        }
        self
    }

    fn in_account(mut self, account_id: &str) -> Self {
        account_id.clone_into(&mut self.place.account_id);
        self
    }
}

fn resizer() -> Subject {
    Subject::ServiceAccount("resizer".to_owned())
}

fn batch() -> Subject {
    Subject::Role(BATCH.to_owned())
}

/// A `QueueAccess` `web/<name>` to `media/orders`.
fn access(name: &str, permissions: &[&str], subject: &Value) -> QueueAccess {
    let spec = json!({
        "queueRef": {"name": "orders", "namespace": "media"}, "permissions": permissions, "subject": subject,
    });
    let mut access = QueueAccess::new(name, serde_json::from_value(spec).unwrap());
    access.metadata.namespace = Some("web".to_owned());
    access.metadata.uid = Some(format!("uid-of-{name}"));
    access
}

fn for_resizer() -> Value {
    json!({"serviceAccount": {"name": "resizer"}})
}

/// These permissions on the queue `name` of `place`, which this key encrypts.
fn given_in(place: &Place, name: &str, permissions: &[Permission], kms: Option<&str>) -> Given {
    let Place { account_id, region } = place;
    let arn = format!("arn:aws:sqs:{region}:{account_id}:{name}");
    let queue = |arn: String| GrantedQueue { arn, key: kms.map(str::to_owned) };
    let grants = permissions.iter().map(|permission| Grant {
        permission: *permission,
        queue: queue(arn.clone()),
        dead_letter: Some(queue(format!("{arn}_dlq"))),
    });
    Given {
        place: place.clone(),
        grants: grants.collect(),
        coordinates: Coordinates {
            url: url(name),
            arn: arn.clone(),
            name: name.to_owned(),
            queue_type: QueueType::Standard,
            region: region.clone(),
            dead_letter_url: None,
            dead_letter_arn: None,
        },
        queue_uid: format!("uid-of-queue-{name}"),
    }
}

fn given(name: &str, permissions: &[Permission]) -> Given {
    given_in(&class().place, name, permissions, None)
}

/// The `QueueAccess` `web/<name>`, which has been seen to and gives `given` under `class`.
fn member(name: &str, class: &Class, given: Option<Given>) -> Member {
    Member {
        key: Key { namespace: "web".to_owned(), name: name.to_owned() },
        is_bound: true,
        deleting: false,
        class: Some(class.clone()),
        target: None,
        given,
    }
}

/// A subject of the namespace `web` and all that its role depends on.
#[derive(Clone)]
struct Case {
    subject: Subject,
    class: Class,
    members: Vec<Member>,
    account: AccountSight,
    association: AssociationSight,
}

impl Case {
    /// The `ServiceAccount` `resizer`, which is there and not annotated.
    fn of_resizer(members: Vec<Member>) -> Self {
        Self {
            subject: resizer(),
            class: making(),
            members,
            account: annotated(None),
            association: AssociationSight::NotAsked,
        }
    }

    fn of_role(members: Vec<Member>) -> Self {
        Self { subject: batch(), account: AccountSight::NotAsked, ..Self::of_resizer(members) }
    }

    fn under(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    fn annotated(mut self, role_arn: Option<&str>) -> Self {
        self.account = annotated(role_arn);
        self
    }

    fn desired(&self) -> Desired {
        let bound = Bound { account: &self.account, association: &self.association };
        let Self { subject, class, members, .. } = self;
        Desired::of(&Request { namespace: "web", subject, class, members, bound })
    }

    /// With everything on record for all members, as a pass over each of them leaves it.
    fn recorded(mut self) -> Self {
        let desired = self.desired();
        for member in &mut self.members {
            let given = member.given.as_ref().filter(|_| !member.deleting);
            member.target = Some(desired.to_record(member.target.as_ref(), given, &self.class));
        }
        self
    }
}

fn annotated(role_arn: Option<&str>) -> AccountSight {
    AccountSight::Present(ServiceAccount { role_arn: role_arn.map(str::to_owned), resource_version: None })
}

/// The one member `web/consume`, which may receive from `media_orders`.
fn consuming() -> Vec<Member> {
    vec![member("consume", &making(), Some(given("media_orders", &[Permission::Consume])))]
}

/// The documents of all policies.
fn documents(desired: &Desired) -> Vec<Value> {
    desired.policies.iter().map(|(_, document)| serde_json::from_str(&document.to_json()).unwrap()).collect()
}

fn at_noon() -> Timestamp {
    now()
}
