//! The least that IAM must allow the operator, for what its classes have it do.
//!
//! What is there is seen by name, path or pattern, or the operator could not tell whose it is; it is made with the owner tags;
//! and what carries them is all that is changed and deleted.

mod document;
mod duties;
mod queue_names;
mod queues;
mod roles;

use std::collections::BTreeSet;

use super::tags::OWNER_PREFIX;
use document::Operator::{StringEquals, StringEqualsIfExists};
pub use document::{OperatorPolicy, Statement};
pub use duties::{Duties, Identity, Installation};

/// What `identity` must be allowed to do `duties`, where it acts for any of them.
#[must_use]
pub fn operator_policy(identity: &Identity, duties: &[Duties], installation: &Installation) -> OperatorPolicy {
    let terms = Terms { cluster: &installation.cluster_name };
    let mut statements = Vec::new();
    let mut simulated = BTreeSet::new();
    for duties in duties {
        if duties.maker == *identity {
            statements.extend(queues::statements(duties, &terms));
            statements.extend(roles::statements(duties, &terms));
            match identity {
                Identity::Operator => simulated.extend(installation.arn.clone()),
                Identity::Role(arn) => _ = simulated.insert(arn.clone()),
            }
        }
    }
    for duties in duties {
        if let Some(pods) = duties.pod_identity.as_ref().filter(|pods| pods.identity == *identity) {
            statements.extend(roles::of_pod_identity(pods, duties, &terms));
        }
    }
    if !simulated.is_empty() {
        statements.push(Statement::allow("SayWhatIsMissing", &["iam:SimulatePrincipalPolicy"], simulated));
    }
    let others: BTreeSet<String> = duties.iter().flat_map(Duties::identities).filter_map(role_arn).collect();
    if *identity == Identity::Operator && !others.is_empty() {
        statements.push(Statement::allow("AssumeTheRolesOfClasses", &["sts:AssumeRole", "sts:TagSession"], others));
    }
    OperatorPolicy::of(statements)
}

fn role_arn(identity: Identity) -> Option<String> {
    match identity {
        Identity::Operator => None,
        Identity::Role(arn) => Some(arn),
    }
}

/// How statements tell what is ours.
struct Terms<'a> {
    cluster: &'a str,
}

impl Terms<'_> {
    /// Only where the call itself tags it as ours.
    fn in_request(&self, statement: Statement) -> Statement {
        statement.when(StringEquals, &owner_key("aws:RequestTag", "cluster"), [self.cluster])
    }

    /// Only on what is tagged as ours.
    fn on_ours(&self, statement: Statement) -> Statement {
        statement.when(StringEquals, &owner_key("aws:ResourceTag", "cluster"), [self.cluster])
    }

    /// Only where the call itself tags it as ours, and what is there already is nobody's or ours.
    fn claiming(&self, statement: Statement) -> Statement {
        self.on_nobody_elses(self.in_request(statement))
    }

    /// Only on what no other cluster has tagged as its own.
    fn on_nobody_elses(&self, statement: Statement) -> Statement {
        statement.when(StringEqualsIfExists, &owner_key("aws:ResourceTag", "cluster"), [self.cluster])
    }
}

/// The condition key for an owner tag of the call or of what it is about.
fn owner_key(of: &str, tag: &str) -> String {
    format!("{of}/{OWNER_PREFIX}{tag}")
}
