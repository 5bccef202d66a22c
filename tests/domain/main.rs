//! Every decision of the domain, as tables and properties: no IO, no clock.

mod fixtures;

mod arn;
mod desired;
mod encryption;
mod fleet;
mod names;
mod redrive;
mod settings;
mod tags;
