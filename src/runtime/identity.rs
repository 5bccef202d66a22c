//! Who this process is to the other replicas.

use std::env;
use std::hash::{BuildHasher, RandomState};

/// The environment variable in which the chart hands a Pod its own name.
pub const POD_NAME: &str = "POD_NAME";

/// A name that no other process bears and that tells a person which one is meant:
/// `<Pod or host name>_<16 hexadecimal digits>`, as client-go makes it.
///
/// The digits are drawn anew by each process, so that a restarted one never takes its predecessor's
/// lease for its own: the predecessor's last write may still be on its way.
#[must_use]
pub fn holder_identity() -> String {
    let host = env::var(POD_NAME)
        .ok()
        .or_else(|| hostname::get().ok().and_then(|name| name.into_string().ok()))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "prism-queue".to_owned());
    // The standard library seeds these hashers from the operating system's randomness; that is all
    // the randomness needed here, and it costs no dependency.
    let unique = RandomState::new().hash_one(std::process::id());
    format!("{host}_{unique:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_host_and_never_repeats() {
        let (first, second) = (holder_identity(), holder_identity());
        assert_ne!(first, second);
        for identity in [first, second] {
            let (host, unique) = identity.rsplit_once('_').unwrap();
            assert!(!host.is_empty());
            assert!(unique.len() == 16 && unique.bytes().all(|b| b.is_ascii_hexdigit()), "{unique:?}");
        }
    }
}
