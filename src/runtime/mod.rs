//! What every long-running process needs: flags, leader lease, health, metrics, logs, shutdown.
