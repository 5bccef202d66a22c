//! Promises of `api.md` and `sqs-semantics.md`, each told as what happens.

mod budgets;
