//! Convergence: the real reconcile code over an AWS in memory that is as slow, late and forgetful as the real one.

#[cfg(test)]
mod model;
