//! Decisions. Nothing here knows a Kubernetes client, an AWS SDK, tokio or a clock: time is passed in.

pub mod access;
pub mod arn;
pub mod attributes;
pub mod call;
pub mod class;
pub mod deletion;
pub mod desired;
pub mod diff;
pub mod digest;
pub mod encryption;
pub mod field;
pub mod finding;
pub mod fleet;
pub mod iam;
pub mod names;
pub mod observed;
pub mod outputs;
pub mod permission;
pub mod plan;
pub mod policy;
pub mod redrive;
mod reference;
pub mod report;
pub mod retire;
pub mod settings;
pub mod tags;
mod target;
