//! Prism Queue: a Kubernetes operator that makes Amazon SQS queues declarative.
//!
//! `controller` does input and output, [`domain`] decides. See CONTRIBUTING.md for the house.

pub mod api;
pub mod aws;
pub mod cli;
pub mod controller;
pub mod domain;
pub mod runtime;
pub mod webhook;
