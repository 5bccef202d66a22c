//! What becomes of Pods when something is wrong.
