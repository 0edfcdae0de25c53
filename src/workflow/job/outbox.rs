//! The outbox: whose mail is ready to leave, what is on its way, and what this run may still send.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use crate::pace::Moment;

#[derive(Debug)]
pub(super) struct Outbox {
    /// Rows to be sent it, and when what is known of them was learned.
    ready: VecDeque<(u32, Moment)>,
    /// Rows to be sent it once more: many share a request.
    ready_again: VecDeque<(u32, Moment)>,
    /// Rows whose mail is tried again at some time.
    later: BinaryHeap<Reverse<(Moment, u32)>>,
    pub(super) in_flight: u32,
    /// People to whom it was sent in this run, or may have been.
    pub(super) sent: u64,
    /// Messages that the portal counts against its day.
    pub(super) counted: u64,
    batch: usize,
    /// So many requests that send it once more in so long, and when the last ones left.
    again_at_most: Option<(u32, Duration)>,
    again_left: VecDeque<Moment>,
}

impl Outbox {
    pub(super) fn new(batch: usize, again_at_most: Option<(u32, Duration)>) -> Self {
        Self {
            ready: VecDeque::new(),
            ready_again: VecDeque::new(),
            later: BinaryHeap::new(),
            in_flight: 0,
            sent: 0,
            counted: 0,
            batch,
            again_at_most,
            again_left: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.ready_again.len() + self.later.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row that is next, whatever its turn waits for.
    pub(super) fn first(&self) -> Option<u32> {
        let later = || self.later.peek().map(|Reverse((_, row))| *row);
        self.ready.front().or_else(|| self.ready_again.front()).map(|(row, _)| *row).or_else(later)
    }

    pub(super) fn put(&mut self, row: u32, again: bool, known_at: Moment) {
        if again { &mut self.ready_again } else { &mut self.ready }.push_back((row, known_at));
    }

    /// A row whose request had no effect goes before the others.
    pub(super) fn put_back(&mut self, row: u32, again: bool, known_at: Moment) {
        if again { &mut self.ready_again } else { &mut self.ready }.push_front((row, known_at));
    }

    pub(super) fn remove(&mut self, row: u32) {
        self.ready.retain(|(other, _)| *other != row);
        self.ready_again.retain(|(other, _)| *other != row);
        self.later.retain(|Reverse((_, other))| *other != row);
    }

    /// A row whose mail is tried again at this moment.
    pub(super) fn put_later(&mut self, row: u32, at: Moment) {
        self.later.push(Reverse((at, row)));
    }

    /// A row whose mail is to be tried again by now, taken out.
    pub(super) fn take_later(&mut self, now: Moment) -> Option<u32> {
        let is_due = self.later.peek().is_some_and(|Reverse((at, _))| *at <= now);
        if is_due { self.later.pop().map(|Reverse((_, row))| row) } else { None }
    }

    /// The next row that could leave now, and of which too little is known by now, taken out.
    pub(super) fn take_stale(&mut self, now: Moment, fresh_for: Duration, all_known: bool) -> Option<u32> {
        let again = self.may_send_again(now, all_known);
        for (queue, may_leave) in [(&mut self.ready, true), (&mut self.ready_again, again)] {
            let is_stale = |(_, known_at): &(u32, Moment)| now.saturating_since(*known_at) >= fresh_for;
            if may_leave && queue.front().is_some_and(is_stale) {
                return queue.pop_front().map(|(row, _)| row);
            }
        }
        None
    }

    /// When a request that sends it once more may leave.
    fn again_from(&self) -> Option<Moment> {
        let (most, window) = self.again_at_most?;
        let place = self.again_left.len().checked_sub(most as usize)?;
        self.again_left.get(place).map(|left| *left + window)
    }

    /// Requests that send it once more are few, so none leaves half empty before all who share it are known.
    fn may_send_again(&self, now: Moment, all_known: bool) -> bool {
        let enough = self.ready_again.len() >= if all_known { 1 } else { self.batch };
        enough && self.again_from().is_none_or(|from| now >= from)
    }

    /// Whether something may leave now; `all_known` where no question is open that could bring more of them.
    pub(super) fn has_something(&self, now: Moment, all_known: bool) -> bool {
        !self.ready.is_empty() || self.may_send_again(now, all_known)
    }

    /// When something may leave that has to wait for its turn.
    pub(super) fn wake(&self) -> Option<Moment> {
        let later = self.later.peek().map(|Reverse((at, _))| *at);
        let again = if self.ready_again.is_empty() { None } else { self.again_from() };
        later.into_iter().chain(again).min()
    }

    /// The same, where nothing else can leave before.
    pub(super) fn waits_for_its_turn(&self, now: Moment) -> Option<Moment> {
        self.again_from().filter(|from| !self.ready_again.is_empty() && *from > now && self.ready.is_empty())
    }

    /// How many requests it takes to send all that is ready.
    pub(super) fn letters(&self) -> u64 {
        let letters = self.ready.len() + self.later.len() + self.ready_again.len().div_ceil(self.batch.max(1));
        u64::try_from(letters).unwrap_or(u64::MAX)
    }

    /// When the last request can leave that sends it once more, where there is one.
    pub(super) fn last_leaves(&self, now: Moment) -> Option<Moment> {
        let (most, window) = self.again_at_most?;
        let letters = u32::try_from(self.ready_again.len().div_ceil(self.batch.max(1))).unwrap_or(u32::MAX);
        let last = letters.checked_sub(1)?;
        let recent = self.again_left.iter().filter(|left| **left + window > now).count();
        let free = most.saturating_sub(u32::try_from(recent).unwrap_or(u32::MAX));
        let Some(later) = last.checked_sub(free) else { return Some(now) };
        let from = self.again_from().map_or(now + window, |from| from.max(now));
        Some(from + window.saturating_mul(later / most.max(1)))
    }

    /// The rows of the next request, at most so many, and whether they are sent it once more.
    pub(super) fn take(&mut self, now: Moment, at_most: u64, all_known: bool) -> Option<(Vec<u32>, bool)> {
        let (rows, again) = if let Some((row, _)) = self.ready.pop_front() {
            (vec![row], false)
        } else if self.may_send_again(now, all_known) {
            let most = self.batch.min(usize::try_from(at_most).unwrap_or(usize::MAX)).min(self.ready_again.len());
            self.again_left.push_back(now);
            if self.again_left.len() > 64 {
                self.again_left.pop_front();
            }
            (self.ready_again.drain(..most).map(|(row, _)| row).collect(), true)
        } else {
            return None;
        };
        self.in_flight += u32::try_from(rows.len()).unwrap_or(u32::MAX);
        Some((rows, again))
    }

    /// The next row, taken out as if it had been sent.
    pub(super) fn pretend(&mut self) -> Option<u32> {
        let (row, _) = self.ready.pop_front().or_else(|| self.ready_again.pop_front())?;
        self.sent += 1;
        self.counted += 1;
        Some(row)
    }

    /// Everything that is ready, taken out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = u32> + use<> {
        let again = std::mem::take(&mut self.ready_again);
        let later = std::mem::take(&mut self.later).into_iter().map(|Reverse((_, row))| row);
        std::mem::take(&mut self.ready).into_iter().chain(again).map(|(row, _)| row).chain(later)
    }

    /// One message less on its way.
    pub(super) fn landed(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    #[test]
    fn first_mails_leave_one_by_one_and_second_ones_together_and_seldom() {
        let mut outbox = Outbox::new(100, Some((5, Duration::from_secs(900))));
        for row in 0..700 {
            outbox.put(row, row > 0, at(0));
        }
        assert_eq!(outbox.take(at(0), 1000, false), Some((vec![0], false)));
        for letter in 0..5 {
            let (rows, again) = outbox.take(at(letter), 1000, false).expect("a letter");
            assert_eq!((rows.len(), rows[0], again), (100, 1 + u32::try_from(letter).expect("few") * 100, true));
        }
        assert!(!outbox.has_something(at(899), true));
        assert_eq!((outbox.take(at(899), 1000, true), outbox.wake()), (None, Some(at(900))));
        assert_eq!((outbox.waits_for_its_turn(at(899)), outbox.waits_for_its_turn(at(900))), (Some(at(900)), None));
        assert_eq!(outbox.take(at(900), 7, true).map(|(rows, _)| rows.len()), Some(7), "no more than may be sent");
        assert_eq!(outbox.wake(), Some(at(901)));
    }

    #[test]
    fn it_is_known_when_the_last_second_mail_can_leave() {
        let mut outbox = Outbox::new(100, Some((5, Duration::from_secs(900))));
        assert_eq!((outbox.letters(), outbox.last_leaves(at(0))), (0, None));
        for row in 0..1200 {
            outbox.put(row, true, at(0));
        }
        assert_eq!((outbox.letters(), outbox.last_leaves(at(0))), (12, Some(at(1800))));
        for letter in 0..5 {
            outbox.take(at(letter), 1000, false).expect("a letter");
        }
        assert_eq!((outbox.letters(), outbox.last_leaves(at(5))), (7, Some(at(1800))));
        outbox.take(at(900), 1000, false).expect("a letter");
        assert_eq!((outbox.letters(), outbox.last_leaves(at(900))), (6, Some(at(1801))));
    }

    #[test]
    fn second_mails_wait_for_those_who_share_their_request_and_are_looked_at_again_only_when_they_may_leave() {
        let mut outbox = Outbox::new(3, Some((1, Duration::from_secs(900))));
        outbox.put(0, true, at(0));
        outbox.put(1, true, at(0));
        assert!(!outbox.has_something(at(0), false) && outbox.has_something(at(0), true));
        outbox.put(2, true, at(0));
        assert_eq!(outbox.take(at(0), 9, false), Some((vec![0, 1, 2], true)));
        outbox.put(3, true, at(1));
        assert_eq!(outbox.take_stale(at(899), Duration::from_secs(300), true), None, "it cannot leave yet");
        assert_eq!(outbox.take_stale(at(900), Duration::from_secs(300), true), Some(3));
    }
}
