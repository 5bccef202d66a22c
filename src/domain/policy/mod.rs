//! Queue policies: grammar, meaning, safety, limits.
