//! The certificate that the operator makes itself.
