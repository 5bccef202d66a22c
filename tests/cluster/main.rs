//! The operator on a real API server, and AWS's emulator behind the fault proxy.

#[cfg(test)]
mod proxy;
#[cfg(test)]
mod wire;
