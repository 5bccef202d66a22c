//! Every decision of the domain, as tables and properties: no IO, no clock.

// All of this is test code; the exemption in clippy.toml ends at the test functions themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod fixtures;
#[path = "../judge/mod.rs"]
mod judge;

mod api;
mod arn;
mod class;
mod deletion;
mod desired;
mod diff;
mod encryption;
mod finding;
mod fleet;
mod iam;
mod identity;
mod injection;
mod key_policy;
mod names;
mod observed;
mod operator_policy;
mod outputs;
mod plan;
mod properties;
mod redrive;
mod report;
mod schedule;
mod settings;
mod tags;
