//! Input and output: a Queue is observed, a plan is made by [`crate::domain`], carried out, and reported.

pub mod cluster;
pub mod queue;
