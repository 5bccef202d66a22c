//! Every decision of the domain, as tables and properties: no IO, no clock.

mod fixtures;

mod arn;
mod names;
mod settings;
mod tags;
