//! A value whose changes take effect at once and are shown later.

use jiff::Timestamp;

/// A value, and the changes of it that reads do not show yet.
#[derive(Clone, Debug)]
pub struct Late<T> {
    shown: T,
    pending: Vec<(Timestamp, T)>,
}

impl<T> Late<T> {
    /// A value that was always there.
    pub fn new(value: T) -> Self {
        Self { shown: value, pending: Vec::new() }
    }

    /// Writes `value`, to be shown from `shown_at`.
    pub fn write(&mut self, value: T, shown_at: Timestamp) {
        self.pending.push((shown_at, value));
    }

    /// What was written last.
    pub fn written(&self) -> &T {
        self.pending.last().map_or(&self.shown, |(_, value)| value)
    }

    /// What a read at `now` shows: a later write hides an earlier one that has not shown yet.
    pub fn shown(&self, now: Timestamp) -> &T {
        self.pending.iter().rev().find(|(at, _)| *at <= now).map_or(&self.shown, |(_, value)| value)
    }
}
