//! The kinds of `queue.prism.io/v1alpha1`.
