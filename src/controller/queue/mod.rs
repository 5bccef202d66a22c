//! The Queue: observe → plan → apply → report.

mod apply;
mod events;
mod observe;
mod policies;
mod reconcile;

pub use reconcile::{Outcome, Reconciler};
