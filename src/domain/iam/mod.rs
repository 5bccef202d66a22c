//! What is kept in IAM for those who use queues: managed policies, what they say, and what is done about each.

mod arn;
mod desired;
mod document;
mod doomed;
mod entity;
mod grant;
mod observed;
mod plan;
mod retire;

pub use arn::{IamPath, MAX_NAME, PolicyArn, policy_arn};
pub use desired::{DesiredPolicy, policy_arns};
pub(super) use desired::{Subject, check_permissions};
pub use document::{IdentityPolicy, MAX_CHARACTERS, digest_of};
pub(super) use doomed::DoomedPolicies;
pub(super) use entity::{EntityArn, hashed_name};
pub use grant::{Grant, GrantedQueue, compile};
pub use observed::{
    Policy, PolicySight, PresentPolicy, SETTLING, is_to_be_looked_at, remember_created, remember_version,
};
pub(super) use plan::{converge_policies, policies_to_record, renewal};
pub(super) use retire::ATTACHED_RETRY;
