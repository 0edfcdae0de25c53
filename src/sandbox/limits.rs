//! The chained limiters of a portal (`docspace-contract.md` §5): an exact sliding log, places in flight without a
//! queue, writes of a day. What the second or third refuses has used a slot of the first.
//!
//! All of them go by the clock alone. A place that a task had to wake up for to free it would be free whenever the machine
//! gets round to that: on a busy one, requests that left in good time would be refused.

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
    reads: InFlight,
    writes: InFlight,
    day_began: Option<u64>,
    day_count: u32,
    /// The most requests that any window held, and the most in flight of each kind.
    pub(super) peak_window: usize,
    pub(super) peak_reads: u32,
    pub(super) peak_writes: u32,
}

/// Requests in flight of one kind.
#[derive(Debug, Default)]
struct InFlight {
    /// Those that are worked on.
    busy: u32,
    /// When the places of those that were answered are free.
    free_at: Vec<u64>,
}

impl InFlight {
    fn taken(&mut self, now_ms: u64) -> u32 {
        self.free_at.retain(|at| *at > now_ms);
        self.busy.saturating_add(u32::try_from(self.free_at.len()).unwrap_or(u32::MAX))
    }
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
        let (in_flight, cap, peak) = if is_read {
            (&mut self.reads, limits.reads, &mut self.peak_reads)
        } else {
            (&mut self.writes, limits.writes, &mut self.peak_writes)
        };
        let taken = in_flight.taken(now_ms);
        if let Some(limit) = cap.filter(|cap| taken >= *cap) {
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
        in_flight.busy += 1;
        *peak = (*peak).max(taken.saturating_add(1));
        Ok(())
    }

    /// A request is done with; its place is free from then on.
    pub(super) fn release(&mut self, is_read: bool, free_at_ms: u64) {
        let in_flight = if is_read { &mut self.reads } else { &mut self.writes };
        in_flight.busy = in_flight.busy.saturating_sub(1);
        in_flight.free_at.push(free_at_ms);
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
        usage.release(false, 0);
        assert_eq!(usage.arrive(&limits, false, true, 1000), Ok(()));
    }

    #[test]
    fn a_place_is_free_from_its_moment_on_whoever_looks_and_however_late() {
        let limits = Limits { reads: Some(1), writes: Some(2), ..Limits::OFF };
        let mut usage = Usage::default();
        assert_eq!(usage.arrive(&limits, true, false, 0), Ok(()));
        assert_eq!(usage.arrive(&limits, false, true, 0), Ok(()));
        assert_eq!(usage.arrive(&limits, false, true, 0), Ok(()));
        usage.release(true, 12);
        usage.release(false, 14);
        assert_eq!(usage.arrive(&limits, true, false, 11), Err(Refused::InFlight { limit: 1 }));
        assert_eq!(usage.arrive(&limits, true, false, 12), Ok(()));
        assert_eq!(usage.arrive(&limits, false, true, 13), Err(Refused::InFlight { limit: 2 }));
        assert_eq!(usage.arrive(&limits, false, true, 10_000), Ok(()));
        assert_eq!(usage.arrive(&limits, false, true, 10_000), Err(Refused::InFlight { limit: 2 }));
        assert_eq!((usage.peak_reads, usage.peak_writes), (1, 2));
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
