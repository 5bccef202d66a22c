//! The operator on a real API server, and AWS's emulator behind the fault proxy.
//!
//! `cargo xtask test` starts both and names them in the environment.

// All of this is test code; the exemption in clippy.toml ends at the test functions themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod admission;
mod budget;
mod classes;
mod crd;
mod dead_letters;
mod deletion;
mod drift;
mod enforcement;
mod faults;
mod grants;
mod harness;
mod identity;
mod injection;
mod invalid;
#[path = "../judge/mod.rs"]
mod judge;
mod lifecycle;
mod ownership;
mod plugin;
mod policies;
mod proxy;
mod restarts;
mod roles;
mod start;
mod wire;
