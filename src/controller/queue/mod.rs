//! The Queue: observe → plan → apply → report.

mod apply;
mod events;
mod observe;
mod reconcile;

pub use reconcile::{Outcome, Reconciler};
