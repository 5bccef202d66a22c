//! As whom workloads act: roles in IAM, and which one a ServiceAccount has.

mod arn;
mod association;
mod role;

pub use arn::{MAX_ROLE_NAME, RoleArn};
pub use association::{Association, AssociationKey};
pub use role::Role;
