//! Plain HTTP to servers on loopback.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result};
use ureq::Agent;

/// Asks quickly and does not take an error status for a failure to ask.
pub fn agent() -> Agent {
    let limit = Some(Duration::from_secs(10));
    // Loopback is never behind a proxy.
    Agent::config_builder().timeout_global(limit).http_status_as_error(false).proxy(None).build().into()
}

/// Whether `url` answers with success.
pub fn is_well(url: &str) -> bool {
    agent().get(url).call().is_ok_and(|answer| answer.status().is_success())
}

/// Ports of loopback that nobody listens on, each another.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All are held until all are known, or one might be given twice.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
