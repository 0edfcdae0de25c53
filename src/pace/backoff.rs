//! How long to wait before a request that had no effect is tried again: 0.5 s, doubling, full jitter, at most 20 s.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(20);

/// Pauses before further tries.
#[derive(Debug)]
pub struct Backoff(StdRng);

impl Backoff {
    /// The same seed gives the same pauses.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// The pause before the try after this many failures (from 1).
    pub fn pause(&mut self, failures: u32) -> Duration {
        let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(LONGEST).mul_f64(self.0.random_range(0.0..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_and_are_spread_over_the_whole_range() {
        let mut backoff = Backoff::new(7);
        for (failures, bound_ms) in [(1, 500), (2, 1000), (3, 2000), (6, 16_000), (7, 20_000), (40, 20_000)] {
            let pauses: Vec<_> = (0..1000).map(|_| backoff.pause(failures).as_millis()).collect();
            assert!(pauses.iter().all(|pause| *pause <= bound_ms));
            assert!(pauses.iter().any(|pause| *pause < bound_ms / 10));
            assert!(pauses.iter().any(|pause| *pause > bound_ms * 9 / 10));
        }
    }
}
