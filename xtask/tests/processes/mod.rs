//! Waiting for processes to end.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

const PATIENCE: Duration = Duration::from_secs(30);

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn is_gone(process: Pid) -> bool {
    // What is ended but waits for its parent to ask has run its course.
    let state = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    test_kill_process(process).is_err() || state.is_ok_and(|state| state.contains(") Z "))
}
