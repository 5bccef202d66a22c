//! The documentation is true: what can be generated is generated from the types, and what is written by hand names
//! nothing that does not exist.

// All of this is test code; the exemption in clippy.toml ends at the test functions themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod examples;
mod generate;
mod generated;
mod links;
mod pages;
mod permissions;
mod words;
