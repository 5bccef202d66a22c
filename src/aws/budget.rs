//! The account's budget of calls.
//!
//! AWS throttles an account, not an object, so the calls of all objects draw on one budget. Its rate is
//! halved when AWS throttles and grows back a little every second (additive increase, multiplicative decrease,
//! as in TCP). Tagging calls draw on a second, lower one as well: they share about 30 a second in the account.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The limits of one [`Bucket`]. All but `ceiling` follow from it in [`Limits::with_ceiling`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Calls a second while AWS does not throttle; above 0.
    pub ceiling: f64,
    /// Calls a second that are left however often AWS throttles; above 0, at most `ceiling`.
    pub floor: f64,
    /// Calls that may be saved up while none is made; at least 1.
    pub burst: f64,
    /// Calls a second that the rate gains each second, up to `ceiling`.
    pub growth: f64,
    /// The least time between two halvings: the calls of one burst that are all throttled count as one.
    pub patience: Duration,
}

impl Limits {
    /// A burst of one second's calls, back from the floor (1 call a second) within a minute.
    #[must_use]
    pub fn with_ceiling(ceiling: f64) -> Self {
        Self {
            ceiling,
            floor: ceiling.min(1.0),
            burst: ceiling.max(1.0),
            growth: ceiling / 60.0,
            patience: Duration::from_secs(1),
        }
    }
}

/// A token bucket whose rate adapts. Time is passed in as the time since some fixed start; it may stand
/// still, and a step back counts as standing still.
#[derive(Clone, Debug)]
pub struct Bucket {
    limits: Limits,
    rate: f64,
    tokens: f64,
    now: Duration,
    halved: Option<Duration>,
}

/// Sums of fractions fall a little short of the whole call that they stand for.
const ROUNDING: f64 = 1e-6;

impl Bucket {
    /// A full bucket at the ceiling.
    #[must_use]
    pub fn new(limits: Limits, now: Duration) -> Self {
        Self { rate: limits.ceiling, tokens: limits.burst, limits, now, halved: None }
    }

    /// Takes one call from the bucket.
    ///
    /// # Errors
    /// How long to wait before asking again, at least 1 ms: at the present rate, one call will be there then.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.advance(now);
        if self.tokens + ROUNDING >= 1.0 {
            self.tokens = (self.tokens - 1.0).max(0.0);
            return Ok(());
        }
        let wait = Duration::try_from_secs_f64((1.0 - self.tokens) / self.rate).unwrap_or(Duration::MAX);
        Err(wait.max(Duration::from_millis(1)))
    }

    /// AWS throttled a call: halves the rate, and drops what was saved up, so that the next calls keep
    /// their distance. Does nothing within [`Limits::patience`] of the last halving.
    pub fn throttled(&mut self, now: Duration) {
        self.advance(now);
        if self.halved.is_some_and(|halved| self.now < halved + self.limits.patience) {
            return;
        }
        self.halved = Some(self.now);
        self.rate = (self.rate / 2.0).max(self.limits.floor);
        self.tokens = 0.0;
    }

    /// Calls a second at present.
    pub fn rate(&mut self, now: Duration) -> f64 {
        self.advance(now);
        self.rate
    }

    fn advance(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.now).as_secs_f64();
        self.now = self.now.max(now);
        // At the rate of the beginning, which is the lower one: never more than was allowed.
        self.tokens = (self.tokens + self.rate * seconds).min(self.limits.burst);
        self.rate = (self.rate + self.limits.growth * seconds).min(self.limits.ceiling);
    }
}

/// What a call draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// The budget of all calls.
    Call,
    /// The budget of tagging calls, then that of all calls. `ListQueueTags` is one of them.
    Tagging,
}

/// Present rates, in calls a second, for a gauge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of all calls.
    pub calls: f64,
    /// Of tagging calls.
    pub tagging: f64,
}

/// One account's budget, shared by everything that calls AWS in it.
#[derive(Debug)]
pub struct Budget {
    start: Instant,
    calls: Queue,
    tagging: Queue,
}

impl Budget {
    /// SQS does not publish the rates of its management calls; this is enough for some thousand queues
    /// at a resync of ten minutes, and [`Bucket`] finds out when it is too much.
    pub const CALLS: f64 = 100.0;

    /// Of the 30 a second that AWS gives to all tagging calls of an account, some are left to others.
    pub const TAGGING: f64 = 20.0;

    /// KMS allows hundreds of such calls a second to an account, which it shares.
    pub const KMS: f64 = 20.0;

    /// IAM does not publish its rates either; they are low, and the whole account shares them.
    pub const IAM: f64 = 10.0;

    /// EKS publishes no rates of the calls about Pod Identity. All clusters of the account share them, with their add-ons.
    pub const EKS: f64 = 5.0;

    /// The longest that a call waits for its turn. A budget so far behind is as good as a throttle, and a
    /// reconcile that says so is better than one that hangs.
    pub const MAX_WAIT: Duration = Duration::from_secs(30);

    /// A budget with these limits.
    #[must_use]
    pub fn new(calls: Limits, tagging: Limits) -> Self {
        Self { start: Instant::now(), calls: Queue::new(calls), tagging: Queue::new(tagging) }
    }

    /// The budget of a service without tagging calls of its own: so many calls a second.
    #[must_use]
    pub fn of_service(ceiling: f64) -> Self {
        let limits = Limits::with_ceiling(ceiling);
        Self::new(limits, limits)
    }

    /// Waits for the turn of one call: first come, first served. Dropping the future gives the turn up.
    ///
    /// # Errors
    /// [`Exhausted`] when the turn did not come within [`Self::MAX_WAIT`].
    pub async fn permit(&self, cost: Cost) -> Result<(), Exhausted> {
        let turn = async {
            if cost == Cost::Tagging {
                self.tagging.turn(self.start).await;
            }
            self.calls.turn(self.start).await;
        };
        tokio::time::timeout(Self::MAX_WAIT, turn).await.map_err(|_| Exhausted)
    }

    /// AWS throttled a call of this cost. A throttled tagging call slows tagging calls only: their quota is
    /// their own, and others in the account may be using it up.
    pub fn throttled(&self, cost: Cost) {
        let queue = match cost {
            Cost::Call => &self.calls,
            Cost::Tagging => &self.tagging,
        };
        queue.bucket().throttled(self.start.elapsed());
    }

    /// Present rates.
    #[must_use]
    pub fn rates(&self) -> Rates {
        let now = self.start.elapsed();
        Rates { calls: self.calls.bucket().rate(now), tagging: self.tagging.bucket().rate(now) }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Limits::with_ceiling(Self::CALLS), Limits::with_ceiling(Self::TAGGING))
    }
}

/// The budget was so far behind that a call gave up waiting and was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sent: the account's call budget had no room within {} s", Budget::MAX_WAIT.as_secs())]
pub struct Exhausted;

/// A bucket and the callers waiting for it. The one whose turn it is holds `turn`, which tokio hands
/// on in the order of asking.
#[derive(Debug)]
struct Queue {
    turn: tokio::sync::Mutex<()>,
    bucket: Mutex<Bucket>,
}

impl Queue {
    fn new(limits: Limits) -> Self {
        Self { turn: tokio::sync::Mutex::default(), bucket: Mutex::new(Bucket::new(limits, Duration::ZERO)) }
    }

    async fn turn(&self, start: Instant) {
        let _turn = self.turn.lock().await;
        // Asked again after each wait: AWS may have throttled meanwhile. The guard is gone before the wait.
        loop {
            let asked = self.bucket().take(start.elapsed());
            match asked {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        // Nothing that holds the lock can leave the bucket half written.
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

    use proptest::prelude::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn limits() -> impl Strategy<Value = Limits> {
        (1.0..200.0_f64, 0.01..1.0_f64, 1.0..50.0_f64, 0.1..20.0_f64, 0_u64..3_000).prop_map(
            |(ceiling, floor, burst, growth, patience)| Limits {
                ceiling,
                floor: ceiling * floor,
                burst,
                growth,
                patience: Duration::from_millis(patience),
            },
        )
    }

    /// Steps of time, in ms, each followed by a take or a throttle.
    fn history() -> impl Strategy<Value = Vec<(u64, bool)>> {
        prop::collection::vec((0_u64..500, prop::bool::weighted(0.1)), 1..200)
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_burst_and_the_ceiling_allow(limits in limits(), history in history()) {
            let mut bucket = Bucket::new(limits, Duration::ZERO);
            let mut now = Duration::ZERO;
            let mut granted: Vec<Duration> = Vec::new();
            for (step, throttle) in history {
                now += MILLI * u32::try_from(step).unwrap();
                if throttle {
                    bucket.throttled(now);
                } else if bucket.take(now).is_ok() {
                    granted.push(now);
                }
            }
            for (first, from) in granted.iter().enumerate() {
                for (last, to) in granted.iter().enumerate().skip(first) {
                    let calls = f64::from(u32::try_from(last - first + 1).unwrap());
                    let window = to.saturating_sub(*from);
                    let allowed = limits.burst + limits.ceiling * window.as_secs_f64() + 0.01;
                    prop_assert!(calls <= allowed, "{calls} calls in {window:?}, {allowed} allowed");
                }
            }
        }

        #[test]
        fn the_rate_stays_within_its_limits_and_halves_no_more_often_than_allowed(
            limits in limits(), history in history(),
        ) {
            let mut bucket = Bucket::new(limits, Duration::ZERO);
            let mut now = Duration::ZERO;
            let mut fell: Option<Duration> = None;
            for (step, _) in history {
                now += MILLI * u32::try_from(step).unwrap();
                let before = bucket.rate(now);
                bucket.throttled(now);
                let after = bucket.rate(now);
                prop_assert!(after >= limits.floor && after <= limits.ceiling);
                prop_assert!(after <= before && after >= before / 2.0);
                if after < before {
                    prop_assert!(fell.is_none_or(|fell| now >= fell + limits.patience));
                    fell = Some(now);
                }
            }
        }

        #[test]
        fn who_waits_as_told_is_served(limits in limits(), history in history()) {
            let mut bucket = Bucket::new(limits, Duration::ZERO);
            let mut now = Duration::ZERO;
            for (step, throttle) in history {
                now += MILLI * u32::try_from(step).unwrap();
                if throttle {
                    bucket.throttled(now);
                }
                if let Err(wait) = bucket.take(now) {
                    prop_assert!(wait.as_secs_f64() <= 1.0 / limits.floor + 0.002);
                    now += wait;
                    prop_assert_eq!(bucket.take(now), Ok(()));
                }
            }
        }

        #[test]
        fn when_throttling_ends_the_rate_comes_back(limits in limits(), history in history()) {
            let mut bucket = Bucket::new(limits, Duration::ZERO);
            let mut now = Duration::ZERO;
            for (step, _) in history {
                now += MILLI * u32::try_from(step).unwrap();
                bucket.throttled(now);
            }
            now += Duration::from_secs_f64(limits.ceiling / limits.growth) + MILLI;
            prop_assert!((bucket.rate(now) - limits.ceiling).abs() < ROUNDING);
        }

        #[test]
        fn a_clock_that_steps_back_gives_nothing(limits in limits(), at in 1_u64..10_000) {
            let now = MILLI * u32::try_from(at).unwrap();
            let mut bucket = Bucket::new(limits, now);
            while bucket.take(now).is_ok() {}
            prop_assert!(bucket.take(Duration::ZERO).is_err());
            prop_assert!(bucket.take(now).is_err());
        }
    }

    #[test]
    fn the_default_comes_back_from_the_floor_within_a_minute() {
        let mut bucket = Bucket::new(Limits::with_ceiling(100.0), Duration::ZERO);
        for second in 0..20 {
            bucket.throttled(Duration::from_secs(second));
        }
        let low = bucket.rate(Duration::from_secs(19));
        assert!(low < 4.0, "{low}");
        assert!((bucket.rate(Duration::from_secs(79)) - 100.0).abs() < ROUNDING);
    }

    /// A budget of these rates with nothing saved up.
    async fn dry(calls: f64, tagging: f64) -> Budget {
        let single = |rate| Limits { burst: 1.0, ..Limits::with_ceiling(rate) };
        let budget = Budget::new(single(calls), single(tagging));
        budget.permit(Cost::Tagging).await.unwrap();
        budget
    }

    #[tokio::test(start_paused = true)]
    async fn permits_are_given_in_the_order_of_asking() {
        let budget = Arc::new(dry(10.0, 10.0).await);
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..20 {
            let (budget, served) = (budget.clone(), served.clone());
            callers.spawn(async move {
                budget.permit(Cost::Call).await.unwrap();
                served.lock().unwrap().push(caller);
            });
        }
        callers.join_all().await;
        assert_eq!(*served.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_slows_those_who_wait_already() {
        let budget = dry(2.0, 2.0).await;
        let begin = Instant::now();
        let waiting = async {
            budget.permit(Cost::Call).await.unwrap();
            begin.elapsed()
        };
        let throttling = async {
            tokio::time::sleep(Duration::from_millis(250)).await;
            budget.throttled(Cost::Call);
        };
        let (waited, ()) = tokio::join!(waiting, throttling);
        assert!(waited > Duration::from_secs(1), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn tagging_has_a_lower_budget_of_its_own() {
        let budget = dry(100.0, 1.0).await;
        let begin = Instant::now();
        budget.permit(Cost::Call).await.unwrap();
        assert!(begin.elapsed() < Duration::from_millis(100));
        budget.permit(Cost::Tagging).await.unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(990));

        budget.throttled(Cost::Tagging);
        assert!((budget.rates().calls - 100.0).abs() < ROUNDING);
        budget.throttled(Cost::Call);
        assert!((budget.rates().calls - 50.0).abs() < ROUNDING);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_bounded_and_giving_up_costs_nothing() {
        let budget = dry(0.02, 1.0).await;
        assert_eq!(budget.permit(Cost::Call).await, Err(Exhausted));
        let begin = Instant::now();
        budget.permit(Cost::Call).await.unwrap();
        assert!(begin.elapsed() <= Duration::from_secs(20) + MILLI, "the next in line waits only for the rest");
    }
}
