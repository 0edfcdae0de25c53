//! Places in flight, as the portal counts them: it frees one a moment after its answer has left, so each rests before
//! it is used again (`docspace-contract.md` §5.8, `reliability.md` §4.5).

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::Moment;

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
}
