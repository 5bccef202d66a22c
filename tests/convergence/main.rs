//! Convergence: the real reconcile code over an AWS and a Kubernetes in memory that are as slow, late and forgetful as
//! the real ones, under simulated time.

// A scenario is one long future that is run once.
#![allow(clippy::large_futures)]

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod history;
#[cfg(test)]
mod isolation;
#[cfg(test)]
#[path = "../judge/mod.rs"]
mod judge;
#[cfg(test)]
mod model;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod property;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod stage;
