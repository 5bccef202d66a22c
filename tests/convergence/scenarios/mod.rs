//! Promises of `api.md` and `sqs-semantics.md`, each told as what happens.

mod access;
mod access_lives;
mod access_troubles;
mod adversity;
mod budgets;
mod classes;
mod dead_letters;
mod deletion;
mod encryption;
mod iam;
mod late;
mod names;
mod outputs;
mod ownership;
mod permissions;
mod policies;
mod promises;
mod references;
mod retention;
mod role_lives;
mod role_troubles;
mod roles;
mod switches;
mod tagging;
mod trouble;
