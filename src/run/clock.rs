//! The clock of a run: time since its start, and the clock on the wall as it was then.

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::drive::{Clock, FRAME};
use crate::{pace::Moment, workflow::Stamp};

#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch {
    start: Instant,
    wall: Timestamp,
}

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the one place where a run takes the time")]
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), wall: Timestamp::now() }
    }
}

impl Clock for Stopwatch {
    fn stamp(&self) -> Stamp {
        let elapsed = self.start.elapsed();
        // Counted from the start, so that a clock that is set in mid-run moves nothing.
        let wall = self.wall.checked_add(elapsed).unwrap_or(self.wall);
        Stamp { now: Moment::START + elapsed, wall }
    }

    async fn until(&self, moment: Option<Moment>) {
        let frame = self.stamp().now + FRAME;
        let at = moment.map_or(frame, |moment| moment.min(frame));
        sleep_until(self.start + at.since_start()).await;
    }
}
