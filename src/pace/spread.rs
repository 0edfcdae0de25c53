//! Requests spread evenly, with a little catching up: `governor`, moved by the time that is handed in.

use std::{cell::Cell, fmt, num::NonZeroU32, rc::Rc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

use super::Moment;

/// A clock whose hand is moved by us.
#[derive(Debug, Clone, Default)]
struct Hand(Rc<Cell<u64>>);

impl Clock for Hand {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.get())
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Hand, NoOpMiddleware<Nanos>>;

pub(super) struct Spread {
    hand: Hand,
    burst: NonZeroU32,
    limiter: Limiter,
}

impl Spread {
    /// One request each `interval`, with at most `burst` at once after a lull.
    pub(super) fn new(interval: Duration, burst: u32) -> Self {
        let hand = Hand::default();
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        Self { limiter: limiter(interval, burst, hand.clone()), hand, burst }
    }

    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.limiter = limiter(interval, self.burst, self.hand.clone());
        // A new limiter is as if after a lull; what it would let catch up was not missed.
        for _ in 1..self.burst.get() {
            if self.limiter.check().is_err() {
                break;
            }
        }
    }

    /// Leave for one request now, or when to ask again.
    pub(super) fn admit(&mut self, now: Moment) -> Result<(), Moment> {
        let nanos = u64::try_from(now.since_start().as_nanos()).unwrap_or(u64::MAX);
        self.hand.0.set(nanos);
        self.limiter.check().map_err(|not_until| {
            let wait = not_until.earliest_possible().duration_since(Nanos::from(nanos));
            now + Duration::from(wait).max(Duration::from_nanos(1))
        })
    }
}

fn limiter(interval: Duration, burst: NonZeroU32, hand: Hand) -> Limiter {
    let interval = interval.max(Duration::from_nanos(1));
    let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MAX));
    RateLimiter::direct_with_clock(quota.allow_burst(burst), hand)
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spread").field("burst", &self.burst).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    #[test]
    fn after_a_lull_a_few_leave_at_once_and_then_one_each_interval() {
        let mut spread = Spread::new(Duration::from_millis(100), 4);
        for _ in 0..4 {
            assert_eq!(spread.admit(ms(1000)), Ok(()));
        }
        assert_eq!(spread.admit(ms(1000)), Err(ms(1100)));
        assert_eq!(spread.admit(ms(1099)), Err(ms(1100)));
        assert_eq!(spread.admit(ms(1100)), Ok(()));
        assert_eq!(spread.admit(ms(1100)), Err(ms(1200)));
    }

    #[test]
    fn a_new_interval_lets_nothing_catch_up() {
        let mut spread = Spread::new(Duration::from_millis(100), 4);
        assert_eq!(spread.admit(ms(1000)), Ok(()));
        spread.set_interval(Duration::from_millis(20));
        assert_eq!(spread.admit(ms(1000)), Ok(()));
        assert_eq!(spread.admit(ms(1000)), Err(ms(1020)));
        assert_eq!(spread.admit(ms(1020)), Ok(()));
    }
}
