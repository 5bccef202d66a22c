//! The Queue: observe → plan → apply → report.

pub(super) mod apply;
pub(super) mod events;
mod observe;
pub(super) mod policies;
mod reconcile;

pub use reconcile::{Outcome, Reconciler};
