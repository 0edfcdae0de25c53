//! How long what is left takes: of what is left, of when the portal's window has room again, and of how long a request has
//! held its place so far. Nothing else is known, and no clock.
//!
//! A request leaves when there is a slot of the window and a place in flight for it. Where the portal is fast, the window
//! decides, which is known exactly; where it is slow, the places do: so many at once, each for as long as a request takes.

use std::time::Duration;

use crate::display::as_f64;

/// So many requests weigh in the mean of how long one takes: fewer would be shaken by chance, more be slow to learn.
const WEIGHED: u32 = 50;

/// Requests that are still to leave, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Questions.
    pub reads: u64,
    /// Everything else.
    pub writes: u64,
}

/// How long a request held its place, on average, of late.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    mean: f64,
    count: u32,
}

impl Held {
    pub(super) fn add(&mut self, held: Duration) {
        self.count = (self.count + 1).min(WEIGHED);
        self.mean += (held.as_secs_f64() - self.mean) / f64::from(self.count);
    }

    /// The mean; that of others where nothing is known yet.
    pub(super) fn or(self, other: Self) -> Duration {
        let mean = if self.count > 0 { self.mean } else { other.mean };
        Duration::try_from_secs_f64(mean).unwrap_or_default()
    }
}

/// Requests of one kind, which share their places in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    /// Those that are still to leave.
    pub(super) left: u64,
    /// Those that are on their way.
    pub(super) in_flight: u32,
    /// So many may be on their way at once.
    pub(super) places: u32,
    /// How long one holds its place.
    pub(super) held: Duration,
}

/// The window's slots.
#[derive(Debug)]
pub(super) struct Slots {
    /// Those that are free.
    pub(super) free: u64,
    /// In what time each of the others is free again, the first one first.
    pub(super) back: Vec<Duration>,
    /// In what time a slot that is taken is free again.
    pub(super) cycle: Duration,
    /// The least time between two requests, where they are spread out.
    pub(super) gap: Duration,
    /// For so long nothing leaves.
    pub(super) paused: Duration,
}

/// How long it takes until all of it is answered.
pub(super) fn left(lanes: [Lane; 2], slots: &Slots) -> Duration {
    let requests: u64 = lanes.iter().map(|lane| lane.left).sum();
    let Some(last) = requests.checked_sub(1) else {
        // Some are at their begin, some at their end.
        let under_way = lanes.iter().filter(|lane| lane.in_flight > 0);
        return under_way.map(|lane| lane.held / 2).max().unwrap_or_default();
    };
    let of_the_places = |lane: &Lane| lane.held.as_secs_f64() * as_f64(lane.left) / f64::from(lane.places.max(1));
    let busy = lanes.iter().map(of_the_places).fold(0.0, f64::max);
    let gap = (busy / as_f64(requests)).max(slots.gap.as_secs_f64());
    let paused = slots.paused.as_secs_f64();
    let all = slots.free + slots.back.len() as u64;
    let (rounds, place) = (last / all.max(1), last % all.max(1));
    // In the first round slots are taken as they are free; each further round is one cycle later.
    let free = slots.free.min(place + 1);
    let mut leaves = paused + gap * as_f64(free);
    let taken = usize::try_from(place + 1 - free).unwrap_or(usize::MAX);
    for back in slots.back.iter().take(taken) {
        leaves = (leaves + gap).max(back.as_secs_f64());
    }
    let by_window = leaves + slots.cycle.as_secs_f64() * as_f64(rounds);
    let by_places = paused + gap * as_f64(requests);
    let answer = lanes.iter().filter(|lane| lane.left > 0).map(|lane| lane.held).max().unwrap_or_default();
    Duration::try_from_secs_f64(by_window.max(by_places)).unwrap_or(Duration::MAX).saturating_add(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn lane(left: u64, in_flight: u32, places: u32, held: f64) -> Lane {
        Lane { left, in_flight, places, held: s(held) }
    }

    fn slots(free: u64, back: &[f64]) -> Slots {
        let back = back.iter().copied().map(s).collect();
        Slots { free, back, cycle: s(60.0), gap: Duration::ZERO, paused: Duration::ZERO }
    }

    fn is(lanes: [Lane; 2], slots: &Slots, seconds: f64) {
        let left = left(lanes, slots).as_secs_f64();
        assert!((left - seconds).abs() < 0.001, "{left} and not {seconds}: {lanes:?} {slots:?}");
    }

    #[test]
    fn a_slow_portal_is_its_places_and_how_long_a_request_takes() {
        let idle = lane(0, 0, 50, 0.1);
        is([idle, lane(150, 15, 15, 2.0)], &slots(1500, &[]), 22.0);
        is([idle, lane(0, 15, 15, 2.0)], &slots(1500, &[]), 1.0);
        is([idle, lane(0, 0, 15, 2.0)], &slots(1500, &[]), 0.0);
        // Questions go beside the messages; the slower of the two counts.
        is([lane(1000, 50, 50, 3.0), lane(150, 15, 15, 2.0)], &slots(1500, &[]), 63.0);
    }

    #[test]
    fn a_fast_portal_is_its_window() {
        let idle = lane(0, 0, 50, 0.0);
        is([idle, lane(4, 0, 15, 0.0)], &slots(2, &[10.0, 20.0]), 20.0);
        is([idle, lane(6, 0, 15, 0.0)], &slots(2, &[10.0, 20.0]), 60.0);
        is([lane(5, 0, 50, 0.0), lane(6, 0, 15, 0.0)], &slots(2, &[10.0, 20.0]), 130.0);
    }

    #[test]
    fn pauses_and_gaps_count() {
        let (idle, some) = (lane(0, 0, 50, 0.0), lane(10, 0, 15, 0.0));
        is([idle, some], &Slots { paused: s(7.0), ..slots(100, &[]) }, 7.0);
        is([idle, some], &Slots { paused: s(7.0), gap: s(0.5), ..slots(100, &[]) }, 12.0);
    }

    #[test]
    fn the_mean_follows_what_changes_and_is_borrowed_where_nothing_is_known() {
        let (mut one, nothing) = (Held::default(), Held::default());
        assert_eq!((one.or(nothing), nothing.or(one)), (Duration::ZERO, Duration::ZERO));
        for _ in 0..100 {
            one.add(s(0.1));
        }
        assert!((nothing.or(one).as_secs_f64() - 0.1).abs() < 1e-6);
        for _ in 0..250 {
            one.add(s(2.0));
        }
        assert!((one.or(nothing).as_secs_f64() - 2.0).abs() < 0.05, "{one:?}");
    }
}
