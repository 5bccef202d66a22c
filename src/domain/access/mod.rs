//! `QueueAccess`: who is let in to a queue by an object of its own.
//!
//! The policy of a queue is written by its Queue's own reconcile and by nobody else: [`Admissions`] tell which grants it takes in,
//! [`let_in`] which of them now, and `Queue.status.grants` which are in force. From that, [`plan_access`] tells how a
//! `QueueAccess` stands, without a call to AWS.

mod admission;
mod force;
mod grant;
mod plan;

pub use admission::{Admissions, Admitted, allows_namespace};
pub(in crate::domain) use admission::{Room, admit, in_turn};
pub use force::{Blame, blame, grants_in_force, let_in, only_tries};
pub(in crate::domain) use force::{are_grants_changing, grants_to_record, next_trial};
pub use grant::{Grant, Subject, queue_of};
pub use plan::{AccessInput, AccessPlan, GrantingQueue, plan_access};
pub(in crate::domain) use plan::{in_short, not_found, stalled};
