//! What to ask and what to send next.

use std::{cmp::Reverse, time::Duration};

use super::{DOUBTS, FIRST_QUESTIONS, Job, Stage, Tenant};
use crate::{
    outcome::Outcome,
    pace::Moment,
    workflow::{
        Call, Closed, Halt, Stamp,
        links::Links,
        note::Note,
        survey::{Advice, Survey},
    },
};

/// What is known of a user must be younger than this when the congratulation leaves, else it is asked again.
const STALE_AFTER: Duration = Duration::from_secs(300);
/// With so many rows ready to be sent, no further status is asked: what is learned early grows old.
const ENOUGH_READY: usize = 500;

impl Job<'_> {
    /// The next question that may leave now, as far as the job is concerned.
    pub fn peek_read(&mut self, now: Moment) -> Option<Call> {
        if self.halt.is_some() || !self.contact.open(now) {
            return None;
        }
        if let Some(Reverse((at, call))) = self.again.peek()
            && *at <= now
        {
            return Some(*call);
        }
        if let Some(kind) = self.links.next() {
            return Some(Links::call(kind));
        }
        if self.tenant == Tenant::Wanted && !self.ready.is_empty() {
            return Some(Call::Tenant);
        }
        let pages_ready = usize::try_from(self.survey.in_flight()).unwrap_or(0) * 100;
        if self.open > 0 && (self.ready.len() + pages_ready < ENOUGH_READY || self.closed.is_some()) {
            match self.survey.advise(self.open) {
                Advice::Page(start) => return Some(Call::Page(start)),
                Advice::Wait => return None,
                Advice::OneByOne => {
                    if self.portal_speaks || self.reads_in_flight < FIRST_QUESTIONS {
                        return self.next_single();
                    }
                }
            }
        }
        if self.doubts >= DOUBTS && self.reads_in_flight == 0 {
            return self.ready.front().map(|(row, _)| Call::Account(*row));
        }
        None
    }

    fn next_single(&mut self) -> Option<Call> {
        while let Some(row) = self.rows.get(self.cursor) {
            if row.stage == Stage::Due {
                let number = u32::try_from(self.cursor).ok()?;
                return Some(self.single(number));
            }
            self.cursor += 1;
        }
        None
    }

    pub(super) fn single(&self, row: u32) -> Call {
        if self.user(row).is_some() { Call::Account(row) } else { Call::Person(row) }
    }

    /// The question that was peeked leaves.
    pub fn take_read(&mut self, call: Call) {
        self.contact.leaving();
        self.reads_in_flight += 1;
        if self.again.peek().is_some_and(|Reverse((_, again))| *again == call) {
            self.again.pop();
            return;
        }
        match call {
            Call::Link(kind) => self.links.asked(kind),
            Call::Page(_) => self.survey.asked(),
            Call::Tenant => self.tenant = Tenant::Asked { tries: 0 },
            Call::Account(row) | Call::Person(row) => {
                if self.stage(row) == Some(Stage::Due) {
                    self.open = self.open.saturating_sub(1);
                } else {
                    self.ready.retain(|(other, _)| *other != row);
                }
                self.row_mut(row).stage = Stage::Asked;
            }
        }
    }

    /// Whether a congratulation may leave now, as far as the job is concerned.
    pub fn wants_write(&mut self, now: Moment) -> bool {
        if self.halt.is_some() || self.closed.is_some() || self.ready.is_empty() || !self.contact.open(now) {
            return false;
        }
        let in_flight = u64::from(self.writes_in_flight);
        if self.policy.limit.is_some_and(|limit| self.congratulated + in_flight >= limit) {
            if in_flight == 0 {
                self.close(Closed::Limit);
            }
            return false;
        }
        if self.counted + in_flight >= self.policy.daily_left {
            if in_flight == 0 {
                self.close(Closed::Daily);
            }
            return false;
        }
        // A row whose answer grew old goes back to be asked again.
        while let Some((row, known_at)) = self.ready.front().copied() {
            if now.saturating_since(known_at) < STALE_AFTER {
                break;
            }
            self.ready.pop_front();
            self.row_mut(row).stage = Stage::Asked;
            self.again.push(Reverse((now, self.single(row))));
        }
        let can_be_signed = matches!(self.tenant, Tenant::NotNeeded | Tenant::Known(_));
        can_be_signed && self.doubts < DOUBTS && self.breaker.admits(self.writes_in_flight) && !self.ready.is_empty()
    }

    /// The row whose congratulation leaves next.
    pub fn take_write(&mut self) -> Option<u32> {
        let (row, _) = self.ready.pop_front()?;
        self.contact.leaving();
        self.writes_in_flight += 1;
        self.row_mut(row).stage = Stage::Sending;
        Some(row)
    }

    /// When something may change without an answer from outside.
    pub fn wake(&self) -> Option<Moment> {
        if self.halt.is_some() {
            return None;
        }
        let again = self.again.peek().map(|Reverse((at, _))| *at);
        let poll = self.poll_at.filter(|_| self.waiting > 0 && self.open == 0 && self.reads_in_flight == 0);
        let wait_end = self.policy.wait.filter(|_| self.waiting > 0).map(|wait| Moment::START + wait.at_most);
        // While the portal is down, nothing but the next probe matters.
        let contact = self.contact.wake();
        if self.contact.down().is_some() {
            return contact;
        }
        [again, poll, wait_end].into_iter().flatten().min()
    }

    /// Looks at the clock, and at what came: outages that last too long, refusals that are about everybody, users to look
    /// at again.
    pub fn tick(&mut self, stamp: Stamp) {
        if let Err(unreachable) = self.contact.check(stamp.now) {
            self.halt(Halt::Unreachable(unreachable));
        }
        // What came last may have been no status, but what their verdict waited for.
        self.judge_suspects();
        let Some(wait) = self.policy.wait else { return };
        if self.waiting == 0 {
            return;
        }
        let over = stamp.now >= Moment::START + wait.at_most || self.closed.is_some();
        let poll = self.poll_at.is_some_and(|at| stamp.now >= at) && self.open == 0 && self.reads_in_flight == 0;
        if !over && !poll {
            return;
        }
        for row in 0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX) {
            if self.stage(row) != Some(Stage::Waiting) {
                continue;
            }
            self.waiting -= 1;
            if over {
                self.settle(row, Outcome::NotActive, Note::None, stamp);
            } else {
                self.row_mut(row).stage = Stage::Due;
                self.open += 1;
            }
        }
        self.poll_at = None;
        self.cursor = 0;
        self.survey = Survey::Unasked;
    }
}
