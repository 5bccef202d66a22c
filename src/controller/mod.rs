//! Input and output: a Queue is observed, a plan is made by [`crate::domain`], carried out, and reported.

pub mod access;
mod class;
mod classes;
pub mod cluster;
mod kubernetes;
pub mod lanes;
pub mod queue;
mod run;
pub mod schedule;
mod watch;

pub use run::{Fatal, run};
