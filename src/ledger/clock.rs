//! What time the ledger's records bear: its own, so that nobody hands in another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// The time on the wall, taken once, and what has passed since: a clock that is set in mid-run moves nothing.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Real {
        wall: Timestamp,
        start: Instant,
    },
    /// Milliseconds since 1970, the same for everybody who has this clock.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The clock on the wall, from now on.
    #[expect(clippy::disallowed_methods, reason = "the one place where the ledger takes the time")]
    pub fn start() -> Self {
        Self(Kind::Real { wall: Timestamp::now(), start: Instant::now() })
    }

    /// One that stands still until it is told to go on.
    pub fn fixed(at: Timestamp) -> Self {
        Self(Kind::Fixed(Arc::new(AtomicI64::new(at.as_millisecond()))))
    }

    /// The same clock, set right by so many milliseconds: what a store's own time says.
    #[must_use]
    pub(super) fn shifted(&self, by: i64) -> Self {
        match &self.0 {
            Kind::Real { wall, start } => {
                let wall = wall.checked_add(jiff::SignedDuration::from_millis(by)).unwrap_or(*wall);
                Self(Kind::Real { wall, start: *start })
            }
            Kind::Fixed(_) => self.clone(),
        }
    }

    /// Sets one that stands still; a real one is not to be set.
    pub fn set(&self, at: Timestamp) {
        if let Kind::Fixed(clock) = &self.0 {
            clock.store(at.as_millisecond(), Ordering::SeqCst);
        }
    }

    /// Lets time pass for one that stands still.
    pub fn advance(&self, by: Duration) {
        if let Kind::Fixed(clock) = &self.0 {
            clock.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Now.
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now()).unwrap_or_default()
    }

    /// Milliseconds since 1970, as the ledger has them.
    pub(super) fn now(&self) -> i64 {
        match &self.0 {
            Kind::Real { wall, start } => wall.checked_add(start.elapsed()).unwrap_or(*wall).as_millisecond(),
            Kind::Fixed(clock) => clock.load(Ordering::SeqCst),
        }
    }
}
