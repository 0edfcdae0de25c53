//! How long a session may send without a word from its ledger: by a clock that counts suspension.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// A ledger that is shared says for how long bytes may leave since it last heard of this session. Its copies tell the same.
///
/// The age counts from the instant at which the last acknowledged append *began its first try*: a takeover by somebody else
/// counts from when the log moved, which may have been as early as that.
#[derive(Debug, Clone)]
pub struct Lease {
    since: Arc<AtomicI64>,
    at_most: Duration,
    clock: Clock,
}

/// Milliseconds that only ever grow, also while the machine sleeps.
#[derive(Debug, Clone)]
enum Clock {
    Boot,
    Fixed(Arc<AtomicI64>),
}

impl Lease {
    /// One that has not begun: nothing may leave.
    pub fn new(at_most: Duration) -> Self {
        Self { since: Arc::new(AtomicI64::new(i64::MIN)), at_most, clock: Clock::Boot }
    }

    /// One whose clock stands still until it is told the time (milliseconds); for tests.
    pub fn fixed(at_most: Duration, clock: Arc<AtomicI64>) -> Self {
        Self { since: Arc::new(AtomicI64::new(i64::MIN)), at_most, clock: Clock::Fixed(clock) }
    }

    /// Now, by its clock: milliseconds since some instant.
    pub fn now(&self) -> i64 {
        match &self.clock {
            Clock::Boot => since_boot(),
            Clock::Fixed(clock) => clock.load(Ordering::SeqCst),
        }
    }

    /// An append was acknowledged whose first try began then.
    pub fn renew(&self, began: i64) {
        self.since.fetch_max(began, Ordering::SeqCst);
    }

    /// Nothing leaves from here on.
    pub fn end(&self) {
        // Later renewals would be those of a session that is over.
        self.since.store(i64::MAX, Ordering::SeqCst);
    }

    /// Whether bytes may leave now.
    pub fn is_fresh(&self) -> bool {
        let since = self.since.load(Ordering::SeqCst);
        let most = i64::try_from(self.at_most.as_millis()).unwrap_or(i64::MAX);
        since != i64::MAX && since != i64::MIN && self.now().saturating_sub(since) <= most
    }
}

/// Since the machine started, sleep included.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.saturating_mul(1000).saturating_add(now.tv_nsec / 1_000_000)
}

/// Elsewhere the later of what the monotonic clock and the wall clock say: one of them counts sleep.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(clippy::disallowed_methods, reason = "the one place that asks both clocks")]
fn since_boot() -> i64 {
    use std::{
        sync::OnceLock,
        time::{Instant, SystemTime},
    };
    static START: OnceLock<(Instant, SystemTime)> = OnceLock::new();
    let (instant, wall) = START.get_or_init(|| (Instant::now(), SystemTime::now()));
    let passed = instant.elapsed().max(wall.elapsed().unwrap_or_default());
    i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> (Lease, Arc<AtomicI64>) {
        let clock = Arc::new(AtomicI64::new(1000));
        (Lease::fixed(Duration::from_secs(30), Arc::clone(&clock)), clock)
    }

    #[test]
    fn nothing_leaves_before_an_append_was_acknowledged_nor_after_the_end() {
        let (lease, _) = lease();
        assert!(!lease.is_fresh());
        lease.renew(1000);
        assert!(lease.is_fresh());
        lease.end();
        assert!(!lease.is_fresh());
        lease.renew(1000);
        assert!(!lease.is_fresh());
    }

    #[test]
    fn its_age_counts_from_when_the_first_try_began_and_an_older_one_never_renews_it() {
        let (lease, clock) = lease();
        clock.store(20_000, Ordering::SeqCst);
        lease.renew(5_000);
        clock.store(35_000, Ordering::SeqCst);
        assert!(lease.is_fresh());
        lease.renew(4_000);
        clock.store(35_001, Ordering::SeqCst);
        assert!(!lease.is_fresh());
    }
}
