//! Every decision of the domain, as tables and properties: no IO, no clock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests, too, fail by panicking")]

mod fixtures;

mod api;
mod arn;
mod deletion;
mod desired;
mod diff;
mod encryption;
mod finding;
mod fleet;
mod names;
mod observed;
mod outputs;
mod plan;
mod properties;
mod redrive;
mod report;
mod schedule;
mod settings;
mod tags;
