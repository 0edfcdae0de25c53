//! Places in flight, as the portal counts them: it frees one a moment after its answer has left, so each rests before
//! it is used again (`docspace-contract.md` §5.8, `reliability.md` §4.5).

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::{Moment, estimate::Lane};

/// The longest that a place rests.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// After so long without a refusal, one step back is taken towards what was asked for.
const EASE_AFTER: Duration = Duration::from_secs(60);
/// A request that got no answer may hold its place at the portal for so long (`docspace-contract.md` §5.8).
pub(super) const STUCK_FOR: Duration = Duration::from_secs(60);
/// What a rest of nothing doubles to.
const SHORTEST_REST: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Places {
    cap: u32,
    allowed: u32,
    base_rest: Duration,
    rest: Duration,
    busy: u32,
    resting: BinaryHeap<Reverse<Moment>>,
    refused_at: Option<Moment>,
}

impl Places {
    pub(super) fn new(cap: u32, rest: Duration) -> Self {
        Self { cap, allowed: cap, base_rest: rest, rest, busy: 0, resting: BinaryHeap::new(), refused_at: None }
    }

    /// Frees what has rested; takes a step back where refusals are long ago.
    pub(super) fn advance(&mut self, now: Moment) {
        while self.resting.peek().is_some_and(|Reverse(at)| *at <= now) {
            self.resting.pop();
        }
        if let Some(at) = self.refused_at
            && now.saturating_since(at) >= EASE_AFTER
        {
            self.rest = (self.rest / 2).max(self.base_rest);
            self.allowed = (self.allowed + 1).min(self.cap);
            let eased = self.rest == self.base_rest && self.allowed == self.cap;
            self.refused_at = (!eased).then_some(now);
        }
    }

    fn resting(&self) -> u32 {
        u32::try_from(self.resting.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_free(&self) -> bool {
        self.busy.saturating_add(self.resting()) < self.allowed
    }

    /// When the next place has rested; `None` where only an answer can free one.
    pub(super) fn next_free(&self) -> Option<Moment> {
        if self.busy >= self.allowed { None } else { self.resting.peek().map(|Reverse(at)| *at) }
    }

    pub(super) fn take(&mut self) {
        self.busy += 1;
    }

    pub(super) fn answered(&mut self, now: Moment) {
        self.busy = self.busy.saturating_sub(1);
        if !self.rest.is_zero() {
            self.resting.push(Reverse(now + self.rest));
        }
    }

    pub(super) fn never_left(&mut self) {
        self.busy = self.busy.saturating_sub(1);
    }

    pub(super) fn given_up(&mut self, now: Moment) {
        self.busy = self.busy.saturating_sub(1);
        self.resting.push(Reverse(now + STUCK_FOR));
    }

    /// The portal had no place: longer rests, one place fewer, and never more than it says it has. One reaction for
    /// all requests that left before the last one.
    pub(super) fn refused(&mut self, issued: Moment, limit: Option<u32>, now: Moment) -> bool {
        if let Some(limit) = limit.filter(|limit| (1..self.cap).contains(limit)) {
            self.cap = limit;
            self.allowed = self.allowed.min(limit);
        }
        if self.refused_at.is_some_and(|at| issued <= at) {
            return false;
        }
        self.refused_at = Some(now);
        self.rest = (self.rest * 2).clamp(SHORTEST_REST, LONGEST_REST.max(self.base_rest));
        self.allowed = self.allowed.saturating_sub(1).max(1);
        true
    }

    pub(super) fn busy(&self) -> u32 {
        self.busy
    }

    /// What is left for these places, where a request is on its way for so long; then its place rests.
    pub(super) fn lane(&self, left: u64, on_its_way: Duration) -> Lane {
        Lane { left, in_flight: self.busy, places: self.allowed, held: on_its_way + self.rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    fn places(cap: u32, rest_ms: u64) -> Places {
        Places::new(cap, Duration::from_millis(rest_ms))
    }

    /// How many are free now.
    fn free(places: &mut Places, now: Moment) -> u32 {
        places.advance(now);
        let mut taken = 0;
        while places.is_free() && taken < 100 {
            places.take();
            taken += 1;
        }
        for _ in 0..taken {
            places.never_left();
        }
        taken
    }

    #[test]
    fn a_place_rests_after_its_answer_and_not_where_nothing_left() {
        let mut places = places(2, 12);
        places.take();
        places.take();
        assert_eq!((places.busy(), places.next_free(), free(&mut places, ms(0))), (2, None, 0));
        places.never_left();
        assert_eq!((places.busy(), free(&mut places, ms(1))), (1, 1));
        places.answered(ms(1));
        assert_eq!((places.busy(), places.next_free()), (0, Some(ms(13))));
        assert_eq!((free(&mut places, ms(12)), free(&mut places, ms(13))), (1, 2));
        places.take();
        places.given_up(ms(20));
        assert_eq!((free(&mut places, ms(60_019)), free(&mut places, ms(60_020))), (1, 2));
    }

    #[test]
    fn without_a_rest_a_place_is_free_at_once() {
        let mut places = places(1, 0);
        places.take();
        places.answered(ms(5));
        assert_eq!(free(&mut places, ms(5)), 1);
    }

    #[test]
    fn a_refusal_lengthens_the_rest_and_takes_a_place_once_for_all_that_left_together() {
        let mut places = places(10, 12);
        assert!(places.refused(ms(0), None, ms(100)));
        assert!(!places.refused(ms(100), None, ms(150)), "it left before the first came back");
        assert_eq!(free(&mut places, ms(150)), 9);
        places.take();
        places.answered(ms(150));
        assert_eq!(places.next_free(), Some(ms(174)), "12 ms twice");
        assert!(places.refused(ms(101), None, ms(200)));
        assert_eq!(free(&mut places, ms(300)), 8);
        // A portal that says how many it has is believed, if they are fewer.
        assert!(!places.refused(ms(101), Some(5), ms(301)));
        assert!(!places.refused(ms(101), Some(50), ms(301)));
        assert!(!places.refused(ms(101), Some(0), ms(301)));
        assert_eq!(free(&mut places, ms(301)), 5);
    }

    #[test]
    fn one_place_is_always_left_and_a_rest_stays_within_its_bounds() {
        let mut places = places(2, 0);
        for number in 1..20 {
            assert!(places.refused(ms(number), None, ms(number)));
        }
        places.take();
        assert!(!places.is_free());
        places.answered(ms(20));
        assert_eq!(places.next_free(), Some(ms(1020)));
        assert_eq!(free(&mut places, ms(1020)), 1);
    }

    #[test]
    fn after_a_minute_without_refusal_one_step_back_is_taken() {
        let mut places = places(10, 12);
        // The rest comes to its bound of a second, and so is back before all places are.
        for number in 1..=8 {
            assert!(places.refused(ms(number), None, ms(number)));
        }
        assert_eq!((free(&mut places, ms(60_007)), free(&mut places, ms(60_008))), (2, 3));
        places.take();
        places.answered(ms(60_008));
        assert_eq!(places.next_free(), Some(ms(60_508)));
        for minute in 2..=8 {
            assert_eq!(free(&mut places, ms(minute * 60_000 + 7)), u32::try_from(minute).expect("few") + 1);
            assert_eq!(free(&mut places, ms(minute * 60_000 + 8)), u32::try_from(minute).expect("few") + 2);
        }
        places.take();
        places.answered(ms(500_000));
        assert_eq!(places.next_free(), Some(ms(500_012)));
        // All is as it was; what left a while ago and is refused now is a new matter.
        places.advance(ms(600_000));
        places.advance(ms(700_000));
        assert_eq!(free(&mut places, ms(700_000)), 10);
        assert!(places.refused(ms(690_000), None, ms(700_001)));
    }
}
