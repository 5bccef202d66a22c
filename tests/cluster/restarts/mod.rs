//! Tests that start, kill and restart the operator, one after another. They stand together, and last, because each
//! waits for all others to end.

mod crash;
mod flags;
mod leader;
mod uninstall;
mod unreadable;
