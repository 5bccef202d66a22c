//! The Helm chart, proved with Helm itself and a real API server: everything that it renders is accepted, what is
//! wrong is refused in words, and the roles give exactly what they should.
//!
//! `cargo xtask test` starts the control plane and names it and Helm in the environment.

// All of this is test code; the exemption in clippy.toml ends at the test functions themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod cluster;
mod examples;
mod flags;
mod helm;
mod injection;
mod lifecycle;
mod pods;
mod rbac;
mod refusals;
mod rendering;
mod values;
