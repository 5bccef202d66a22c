//! What holds for every Queue of a class: where queues live, how they are named, what is allowed.

use jiff::SignedDuration;

use super::arn::Place;
use super::names::Naming;
use super::tags::ClusterIdentity;

/// The name under which `status.target` records that the operator's flags stood in for a class. It is no valid
/// object name, so that no class can ever be taken for it.
pub const FLAGS: &str = "(operator flags)";

/// The rules of the house.
#[derive(Clone, Debug)]
pub struct Class {
    /// Recorded in `status.target`.
    pub name: String,
    /// The caller's account, and the region.
    pub place: Place,
    /// Who the operator is to AWS: a policy must not lock it out.
    pub caller_arn: String,
    /// How default names are made.
    pub naming: Naming,
    /// Which cluster the operator acts for.
    pub cluster: ClusterIdentity,
    /// Whether `access.statements` may grant what is unsafe.
    pub allow_unsafe_statements: bool,
    /// How often a Queue is compared with AWS when nothing happens.
    pub resync: SignedDuration,
    /// How long a queue must read as empty before it is deleted.
    pub empty_for: SignedDuration,
}
