//! Waiting for whoever holds the log: when to look, and when nobody is there any more. Pure.

use super::append::Times;

/// What whoever waits does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Looks again after the usual time.
    LookAgain,
    /// Takes over: the log has not moved for long enough.
    TakeOver,
}

/// Watches a log that somebody holds. Times are milliseconds of the waiter's own monotonic clock, which need not count
/// sleep: a waiter that slept waits longer, and harms nobody.
#[derive(Debug)]
pub struct Waiting {
    times: Times,
    head: u64,
    /// Since when a successful look has seen the head where it is.
    since: Option<i64>,
}

impl Waiting {
    /// Nothing was looked at yet.
    pub fn new(times: Times) -> Self {
        Self { times, head: 0, since: None }
    }

    /// A look succeeded: it began then and saw the log end at this object.
    pub fn looked(&mut self, began: i64, ended: i64, head: u64) -> Next {
        let most = i64::try_from(self.times.takeover.as_millis()).unwrap_or(i64::MAX);
        match self.since {
            Some(since) if self.head == head => {
                // From the end of the first look to the beginning of this one: what lies between was seen by neither.
                if began.saturating_sub(since) >= most { Next::TakeOver } else { Next::LookAgain }
            }
            _ => {
                self.head = head;
                self.since = Some(ended);
                Next::LookAgain
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_seconds_without_a_move_between_two_looks_and_not_one_less() {
        let mut waiting = Waiting::new(Times::SHIPPED);
        assert_eq!(waiting.looked(0, 100, 7), Next::LookAgain);
        assert_eq!(waiting.looked(60_099, 60_200, 7), Next::LookAgain);
        assert_eq!(waiting.looked(60_100, 60_200, 7), Next::TakeOver);
    }

    #[test]
    fn a_move_begins_the_wait_anew() {
        let mut waiting = Waiting::new(Times::SHIPPED);
        assert_eq!(waiting.looked(0, 100, 7), Next::LookAgain);
        assert_eq!(waiting.looked(59_000, 59_100, 8), Next::LookAgain);
        assert_eq!(waiting.looked(61_000, 61_100, 8), Next::LookAgain);
        assert_eq!(waiting.looked(119_100, 119_200, 8), Next::TakeOver);
    }
}
