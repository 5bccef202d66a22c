//! The model against `sqs-semantics.md`, row by row.
