//! A stable digest, where a text is too long to be kept.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The SHA-256 of `text` as 64 hexadecimal digits: the same in every version of the operator.
#[must_use]
pub fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
