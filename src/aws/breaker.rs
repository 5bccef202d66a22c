//! Keeps calls away from a target that answers nothing: each would wait for its timeout, and hold up what shares its place.

use std::time::Duration;

/// Calls in a row that got no answer before the next are kept back.
const UNANSWERED: u32 = 5;

/// For how long calls are kept back the first time; it doubles with each probe that gets no answer either.
const FIRST: Duration = Duration::from_secs(1);

/// The longest that calls are kept back.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a target answers, as far as its last calls tell. Time is passed in as the time since some fixed start.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    unanswered: u32,
    /// Until when calls are kept back, and whether one is under way to see whether it is over.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    lasts: Duration,
    until: Duration,
}

impl Breaker {
    /// Asks whether a call may be sent. Where none is, one call at a time is let through now and then, to see whether the
    /// target answers again.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match &mut self.open {
            None => Ok(()),
            Some(open) if now < open.until => Err(open.until.saturating_sub(now)),
            Some(open) => {
                // The probe: the others wait until it is answered, or until one more is due.
                open.until = now + open.lasts;
                Ok(())
            }
        }
    }

    /// A call was answered, whatever the answer.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// A call got no answer.
    pub fn unanswered(&mut self, now: Duration) {
        self.unanswered = self.unanswered.saturating_add(1);
        let lasts = match self.open {
            // Calls that were under way when it opened are no news.
            Some(open) if now < open.until.saturating_sub(open.lasts) => return,
            Some(open) => (open.lasts * 2).min(LONGEST),
            None if self.unanswered >= UNANSWERED => FIRST,
            None => return,
        };
        self.open = Some(Open { lasts, until: now + lasts });
    }

    /// Whether calls are kept back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        (0..UNANSWERED).for_each(|_| breaker.unanswered(SECOND));
        breaker
    }

    #[test]
    fn some_calls_without_an_answer_in_a_row_keep_back_the_next() {
        let mut breaker = Breaker::default();
        for _ in 1..UNANSWERED {
            breaker.unanswered(SECOND);
            assert_eq!(breaker.admit(SECOND), Ok(()));
        }
        breaker.answered();
        for _ in 1..UNANSWERED {
            breaker.unanswered(SECOND);
        }
        assert_eq!(breaker.admit(SECOND), Ok(()), "not in a row");
        breaker.unanswered(SECOND);
        assert_eq!(breaker.admit(SECOND), Err(FIRST));
    }

    #[test]
    fn one_call_at_a_time_sees_whether_it_is_over() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(SECOND * 2), Ok(()), "the probe");
        assert!(breaker.admit(SECOND * 2).is_err(), "no second one beside it");
        breaker.answered();
        assert_eq!(breaker.admit(SECOND * 2), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn the_wait_doubles_up_to_its_longest() {
        let mut breaker = opened();
        let mut now = SECOND;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let wait = breaker.admit(now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.unanswered(now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn a_probe_that_never_ends_does_not_close_the_way_for_ever() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(SECOND * 2), Ok(()));
        let wait = breaker.admit(SECOND * 2).unwrap_err();
        assert_eq!(breaker.admit(SECOND * 2 + wait), Ok(()));
    }
}
