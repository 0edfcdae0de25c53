//! Several windows at once: so many a minute, and so many a day. What leaves takes a place in each of them.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::{Moment, Rate, RecentUse, Wait, WaitReason};

/// Covers clocks that disagree a little about where a window begins.
const GUARD: Duration = Duration::from_millis(250);
/// What was given up may arrive so much later, as a portal's requests may.
const LATE_BY: Duration = Duration::from_secs(60);

/// A place in every window. It must be given back to [`Windows::settle`].
#[derive(Debug)]
#[must_use = "a place that is not settled is taken for ever"]
pub struct Place(());

/// How what took a place ended, as far as windows are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceEnd {
    /// Whoever counts has counted it by now.
    Counted,
    /// It may still be on its way, and be counted later.
    GivenUp,
    /// It never left.
    NeverLeft,
}

/// Limits of the same thing in windows of different lengths.
#[derive(Debug)]
pub struct Windows(Vec<Window>);

#[derive(Debug)]
struct Window {
    rate: Rate,
    out: u32,
    /// When places come back.
    back: BinaryHeap<Reverse<Moment>>,
}

impl Windows {
    /// Windows of which earlier runs have used some.
    pub fn new(rates: &[Rate], recent: &[RecentUse]) -> Self {
        let window = |rate: &Rate| {
            let mut back = BinaryHeap::new();
            for used in recent {
                let left = (rate.window + GUARD).saturating_sub(used.age);
                if !left.is_zero() {
                    let count = usize::try_from(used.count.min(rate.requests)).unwrap_or(usize::MAX);
                    back.extend(std::iter::repeat_n(Reverse(Moment::START + left), count));
                }
            }
            Window { rate: *rate, out: 0, back }
        };
        Self(rates.iter().map(window).collect())
    }

    /// Takes a place in every window, or says when there may be one in all of them.
    pub fn admit(&mut self, now: Moment) -> Result<Place, Wait> {
        let mut full = None;
        for window in &mut self.0 {
            window.advance(now);
            let used = window.used();
            if used >= window.rate.requests {
                // As many have to come back as are too many, and one more; those that are out come back nobody knows when.
                let missing = usize::try_from(used - window.rate.requests).unwrap_or(usize::MAX);
                let until = window.nth_back(missing);
                full = Some(
                    full.map_or(until, |other: Option<Moment>| other.zip(until).map(|(one, other)| one.max(other))),
                );
            }
        }
        if let Some(until) = full {
            return Err(Wait { until, why: WaitReason::WindowFull });
        }
        for window in &mut self.0 {
            window.out += 1;
        }
        Ok(Place(()))
    }

    /// Tells how what took a place ended.
    #[expect(clippy::needless_pass_by_value, reason = "a place is given back once")]
    pub fn settle(&mut self, place: Place, end: PlaceEnd, now: Moment) {
        let Place(()) = place;
        for window in &mut self.0 {
            window.out = window.out.saturating_sub(1);
            let late_by = match end {
                PlaceEnd::NeverLeft => continue,
                PlaceEnd::Counted => Duration::ZERO,
                PlaceEnd::GivenUp => LATE_BY,
            };
            window.back.push(Reverse(now + late_by + window.rate.window + GUARD));
        }
    }

    /// How long so many more take at the least, with answers that take no time.
    pub fn forecast(&self, count: u64, now: Moment) -> Duration {
        self.0.iter().map(|window| window.forecast(count, now)).max().unwrap_or_default()
    }
}

impl Window {
    fn advance(&mut self, now: Moment) {
        while self.back.peek().is_some_and(|Reverse(back)| *back <= now) {
            self.back.pop();
        }
    }

    fn used(&self) -> u32 {
        self.out.saturating_add(u32::try_from(self.back.len()).unwrap_or(u32::MAX))
    }

    /// When the place that comes back after so many others does.
    fn nth_back(&self, others: usize) -> Option<Moment> {
        if others == 0 {
            return self.back.peek().map(|Reverse(back)| *back);
        }
        let mut all: Vec<Moment> = self.back.iter().map(|Reverse(back)| *back).collect();
        all.sort_unstable();
        all.get(others).copied()
    }

    fn forecast(&self, count: u64, now: Moment) -> Duration {
        let mut back: Vec<Moment> = self.back.iter().map(|Reverse(back)| *back).filter(|back| *back > now).collect();
        back.sort_unstable();
        let most = u64::from(self.rate.requests);
        let taken = u64::try_from(back.len()).unwrap_or(u64::MAX).saturating_add(u64::from(self.out));
        let free = most.saturating_sub(taken);
        let Some(waiting) = count.checked_sub(free).filter(|waiting| *waiting > 0) else { return Duration::ZERO };
        // The last one waits for a place that comes back, in whichever turn of the window.
        let (turns, place) = ((waiting - 1) / most, (waiting - 1) % most);
        let turn = self.rate.window + GUARD;
        let first =
            usize::try_from(place).ok().and_then(|place| back.get(place)).map(|back| back.saturating_since(now));
        turn.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX)).saturating_add(first.unwrap_or(turn))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    fn rates(texts: &[&str]) -> Vec<Rate> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    fn send(windows: &mut Windows, now: Moment) {
        let place = windows.admit(now).expect("admitted");
        windows.settle(place, PlaceEnd::Counted, now);
    }

    #[test]
    fn what_leaves_has_room_in_every_window() {
        let mut windows = Windows::new(&rates(&["2/min", "3/h"]), &[]);
        send(&mut windows, at(0));
        send(&mut windows, at(1000));
        // The minute is full, then the hour.
        assert_eq!(windows.admit(at(2000)).expect_err("full").until, Some(at(60_250)));
        send(&mut windows, at(60_250));
        assert_eq!(windows.admit(at(60_251)).expect_err("full").until, Some(at(3_600_250)));
        send(&mut windows, at(3_600_250));
        // Both are: the later one counts.
        send(&mut windows, at(3_601_250));
        assert_eq!(windows.admit(at(3_601_251)).expect_err("full").until, Some(at(3_660_500)));
    }

    #[test]
    fn what_never_left_takes_no_place_and_what_was_given_up_takes_it_longer() {
        let mut windows = Windows::new(&rates(&["1/min"]), &[]);
        let place = windows.admit(at(0)).expect("admitted");
        let wait = windows.admit(at(0)).expect_err("out");
        assert_eq!(wait, Wait { until: None, why: WaitReason::WindowFull });
        windows.settle(place, PlaceEnd::NeverLeft, at(0));
        let place = windows.admit(at(0)).expect("admitted");
        windows.settle(place, PlaceEnd::GivenUp, at(1000));
        assert_eq!(windows.admit(at(1000)).expect_err("full").until, Some(at(121_250)));
    }

    #[test]
    fn earlier_runs_count_by_their_age_in_each_window() {
        let used = |age, count| RecentUse { age: Duration::from_secs(age), count };
        let mut windows =
            Windows::new(&rates(&["30/min", "100/24h"]), &[used(3600, 90), used(30, 9), used(90_000, 500)]);
        send(&mut windows, at(0));
        // A hundred within the day; ten of thirty within the minute.
        assert_eq!(windows.admit(at(1)).expect_err("full").until, Some(at(82_800_250)));
        // A limit that was lowered: as many have to come back as are too many.
        let mut lowered = Windows::new(&rates(&["2/min"]), &[used(50, 2), used(40, 1)]);
        assert_eq!(lowered.admit(at(0)).expect_err("full").until, Some(at(10_250)));
    }

    #[test]
    fn the_forecast_is_that_of_the_slowest_window() {
        let windows = Windows::new(&rates(&["30/min", "100/24h"]), &[]);
        assert_eq!(windows.forecast(30, at(0)), Duration::ZERO);
        assert_eq!(windows.forecast(31, at(0)), Duration::from_millis(60_250));
        assert_eq!(windows.forecast(91, at(0)), Duration::from_millis(3 * 60_250));
        assert_eq!(windows.forecast(101, at(0)), Duration::from_millis(86_400_250));
        assert_eq!(Windows::new(&[], &[]).forecast(1_000_000, at(0)), Duration::ZERO);
        let used = [RecentUse { age: Duration::from_secs(30), count: 30 }];
        assert_eq!(Windows::new(&rates(&["30/min"]), &used).forecast(1, at(0)), Duration::from_millis(30_250));
    }

    proptest! {
        /// However long answers take: the server counts each somewhere between leaving and answer, and never too many.
        #[test]
        fn no_window_ever_holds_more_than_its_limit(
            steps in proptest::collection::vec((0u64..400, 0u64..300), 1..200), small in 1u32..5, large in 3u32..20,
        ) {
            let limits = [(small, 1000), (large, 5000)];
            let rates = limits.map(|(requests, ms)| Rate { requests, window: Duration::from_millis(ms) });
            let mut windows = Windows::new(&rates, &[]);
            let (mut now, mut counted) = (0, Vec::new());
            let mut out: Vec<(u64, Place)> = Vec::new();
            for (passed, takes) in steps {
                now += passed;
                while let Some(ended) = out.iter().position(|(end, _)| *end <= now) {
                    let (end, place) = out.swap_remove(ended);
                    windows.settle(place, PlaceEnd::Counted, at(end));
                }
                if let Ok(place) = windows.admit(at(now)) {
                    counted.push(now + takes / 2);
                    out.push((now + takes, place));
                }
            }
            for (requests, ms) in limits {
                for start in &counted {
                    let held = counted.iter().filter(|stamp| (*start..start + ms).contains(stamp)).count();
                    prop_assert!(held <= requests as usize, "{held} in {ms} ms");
                }
            }
        }
    }
}
