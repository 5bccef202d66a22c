//! The fault proxy's own tests. They need nothing from outside, unlike the cluster tests that it serves.

#[cfg(test)]
#[path = "../cluster/proxy/mod.rs"]
mod proxy;
