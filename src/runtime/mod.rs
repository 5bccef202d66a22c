//! What every long-running process needs: flags, leader lease, health, metrics, logs, shutdown.

pub mod health;
pub mod http;
pub mod identity;
pub mod lease;
pub mod logs;
pub mod metrics;
pub mod settings;
pub mod shutdown;
