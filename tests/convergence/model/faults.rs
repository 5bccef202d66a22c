//! What goes wrong on request: failures, lost answers, crashes, denials, throttling.

use std::collections::VecDeque;

use jiff::Timestamp;
use prism_queue::domain::call::ErrorKind;

use super::messages::seconds;

/// One kind of trouble for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails so, and has no effect.
    Refuse(ErrorKind),
    /// The call takes effect, and its answer is lost (`Transient`).
    LoseAnswer,
    /// The process dies before the call goes out.
    CrashBefore,
    /// The process dies after the call took effect.
    CrashAfter,
}

/// Trouble that waits for calls.
#[derive(Clone, Debug)]
pub struct Trap {
    fault: Fault,
    action: Option<&'static str>,
    skip: u32,
    times: u32,
}

impl Trap {
    /// `fault` for the next call, whichever it is.
    pub fn new(fault: Fault) -> Self {
        Self { fault, action: None, skip: 0, times: 1 }
    }

    /// Only for calls of `action`.
    #[must_use]
    pub fn on(mut self, action: &'static str) -> Self {
        self.action = Some(action);
        self
    }

    /// Lets `calls` of them through first.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Catches so many instead of one.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.times = calls;
        self
    }
}

/// Random trouble: of a hundred calls, so many end so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chaos {
    pub throttled: u8,
    pub transient: u8,
    pub lost_answers: u8,
    pub crashes: u8,
}

/// Calls that are denied until it is lifted.
#[derive(Clone, Debug)]
pub struct Denial {
    /// None: every action.
    pub action: Option<&'static str>,
    /// The queue's name. None: every queue.
    pub queue: Option<String>,
    /// How AWS says it.
    pub answer: DeniedAs,
}

/// How a caller without access learns of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedAs {
    /// `AccessDenied`.
    AccessDenied,
    /// `QueueDoesNotExist`, and an empty answer to `ListQueues`. `CreateQueue` still says `AccessDenied`.
    DoesNotExist,
}

/// All trouble that is prepared.
#[derive(Debug, Default)]
pub struct Faults {
    pub traps: Vec<Trap>,
    pub chaos: Chaos,
    pub denials: Vec<Denial>,
    /// Calls a second and account, when limited.
    pub calls_per_second: Option<usize>,
}

impl Faults {
    /// The fault that awaits this call. `dice` is 0–99.
    pub fn next(&mut self, action: &str, dice: u8) -> Option<Fault> {
        for trap in &mut self.traps {
            if trap.times == 0 || trap.action.is_some_and(|only| only != action) {
                continue;
            }
            if trap.skip > 0 {
                trap.skip -= 1;
                continue;
            }
            trap.times -= 1;
            return Some(trap.fault);
        }
        self.chaos.roll(dice)
    }

    /// How this call is denied by a rule, if it is.
    pub fn denied(&self, action: &str, queue: Option<&str>) -> Option<DeniedAs> {
        let applies = |denial: &&Denial| {
            denial.action.is_none_or(|only| only == action)
                && denial.queue.as_deref().is_none_or(|only| Some(only) == queue)
        };
        self.denials.iter().find(applies).map(|denial| denial.answer)
    }
}

impl Chaos {
    fn roll(self, dice: u8) -> Option<Fault> {
        let sides = [
            (self.throttled, Fault::Refuse(ErrorKind::Throttled)),
            (self.transient, Fault::Refuse(ErrorKind::Transient)),
            (self.lost_answers, Fault::LoseAnswer),
            (self.crashes.div_ceil(2), Fault::CrashBefore),
            (self.crashes / 2, Fault::CrashAfter),
        ];
        let mut sum = 0;
        sides.into_iter().find_map(|(share, fault)| {
            sum += share;
            (dice < sum).then_some(fault)
        })
    }
}

/// Calls of the last second, to count rates by.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<(Timestamp, String)>);

impl Rate {
    /// Counts a call, unless the account has had `limit` within the last second.
    pub fn admits(&mut self, now: Timestamp, account_id: &str, limit: usize) -> bool {
        while self.0.front().is_some_and(|(at, _)| *at + seconds(1) <= now) {
            self.0.pop_front();
        }
        if self.0.iter().filter(|(_, account)| account == account_id).count() >= limit {
            return false;
        }
        self.0.push_back((now, account_id.to_owned()));
        true
    }
}
