//! The chained limiters of a portal (`docspace-contract.md` §5): an exact sliding log, places in flight without a
//! queue, writes of a day. What the second or third refuses has used a slot of the first.

use std::collections::VecDeque;

/// The limits of one portal; `None` switches a limiter off.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests in any window of so many milliseconds.
    pub window: Option<(u32, u64)>,
    /// GET in flight.
    pub reads: Option<u32>,
    /// Everything else in flight.
    pub writes: Option<u32>,
    /// POST and PUT in 24 hours from the first.
    pub daily: Option<u32>,
}

impl Limits {
    /// As the vendor ships them, where they are switched on.
    pub const SHIPPED: Self =
        Self { window: Some((1500, 60_000)), reads: Some(50), writes: Some(15), daily: Some(10_000) };
    /// As a self-hosted portal comes: none.
    pub const OFF: Self = Self { window: None, reads: None, writes: None, daily: None };
}

/// Which limiter refused, with what its answer's headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Window { limit: u32 },
    InFlight { limit: u32 },
    Daily { limit: u32, seconds_left: u64 },
}

/// What one account has used.
#[derive(Debug, Default)]
pub(super) struct Usage {
    log: VecDeque<u64>,
    reads: u32,
    writes: u32,
    day_began: Option<u64>,
    day_count: u32,
    /// The most requests that any window held, and the most in flight of each kind.
    pub(super) peak_window: usize,
    pub(super) peak_reads: u32,
    pub(super) peak_writes: u32,
}

const DAY_MS: u64 = 86_400_000;

impl Usage {
    /// A request arrives; if it is let in, it takes its places.
    pub(super) fn arrive(
        &mut self,
        limits: &Limits,
        is_read: bool,
        is_daily: bool,
        now_ms: u64,
    ) -> Result<(), Refused> {
        if let Some((limit, window_ms)) = limits.window {
            while self.log.front().is_some_and(|at| at + window_ms <= now_ms) {
                self.log.pop_front();
            }
            if self.log.len() >= limit as usize {
                return Err(Refused::Window { limit });
            }
            self.log.push_back(now_ms);
            self.peak_window = self.peak_window.max(self.log.len());
        }
        let (busy, cap, peak) = if is_read {
            (&mut self.reads, limits.reads, &mut self.peak_reads)
        } else {
            (&mut self.writes, limits.writes, &mut self.peak_writes)
        };
        if let Some(limit) = cap.filter(|cap| *busy >= *cap) {
            return Err(Refused::InFlight { limit });
        }
        if let Some(limit) = limits.daily.filter(|_| is_daily) {
            if self.day_began.is_none_or(|began| now_ms >= began + DAY_MS) {
                self.day_began = Some(now_ms);
                self.day_count = 0;
            }
            if self.day_count >= limit {
                let ends = self.day_began.unwrap_or(now_ms) + DAY_MS;
                return Err(Refused::Daily { limit, seconds_left: (ends - now_ms) / 1000 });
            }
            self.day_count += 1;
        }
        *busy += 1;
        *peak = (*peak).max(*busy);
        Ok(())
    }

    /// A request's place is free again.
    pub(super) fn release(&mut self, is_read: bool) {
        let busy = if is_read { &mut self.reads } else { &mut self.writes };
        *busy = busy.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_exact_and_does_not_count_what_it_refuses() {
        let limits = Limits { window: Some((2, 1000)), ..Limits::OFF };
        let mut usage = Usage::default();
        let mut arrive = |at| usage.arrive(&limits, true, false, at);
        assert_eq!(arrive(0), Ok(()));
        assert_eq!(arrive(1), Ok(()));
        assert_eq!(arrive(999), Err(Refused::Window { limit: 2 }));
        assert_eq!(arrive(1000), Ok(()));
        assert_eq!(arrive(1000), Err(Refused::Window { limit: 2 }));
        assert_eq!(arrive(1001), Ok(()));
    }

    #[test]
    fn what_a_later_limiter_refuses_has_used_a_slot_of_the_window() {
        let limits = Limits { window: Some((3, 1000)), writes: Some(1), ..Limits::OFF };
        let mut usage = Usage::default();
        assert_eq!(usage.arrive(&limits, false, true, 0), Ok(()));
        assert_eq!(usage.arrive(&limits, false, true, 0), Err(Refused::InFlight { limit: 1 }));
        assert_eq!(usage.arrive(&limits, false, true, 0), Err(Refused::InFlight { limit: 1 }));
        assert_eq!(usage.arrive(&limits, false, true, 0), Err(Refused::Window { limit: 3 }));
        usage.release(false);
        assert_eq!(usage.arrive(&limits, false, true, 1000), Ok(()));
    }

    #[test]
    fn a_day_begins_with_its_first_write() {
        let limits = Limits { daily: Some(1), ..Limits::OFF };
        let mut usage = Usage::default();
        assert_eq!(usage.arrive(&limits, false, true, 5000), Ok(()));
        assert_eq!(usage.arrive(&limits, false, true, 6000), Err(Refused::Daily { limit: 1, seconds_left: 86_399 }));
        assert_eq!(usage.arrive(&limits, true, false, 6000), Ok(()));
        assert_eq!(usage.arrive(&limits, false, true, 5000 + DAY_MS), Ok(()));
    }
}
