//! Waiting for conditions, each with a deadline.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything may take that should happen soon. The longest waits of the operator itself are 60 s.
pub const SOON: Duration = Duration::from_mins(3);
/// How often a condition is looked at that cannot be watched.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks until what is seen satisfies, and fails with what was seen last.
pub async fn eventually<T: Debug>(what: &str, mut look: impl AsyncFnMut() -> T, satisfies: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + SOON;
    loop {
        let seen = look().await;
        if satisfies(&seen) {
            return seen;
        }
        assert!(Instant::now() < end, "{what}: not within {SOON:?}; last seen: {seen:#?}");
        sleep(INTERVAL).await;
    }
}
