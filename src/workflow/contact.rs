//! Whether the portal can be reached: a state of the run, never of a row.
//!
//! A connection that cannot be made charges nobody. While the portal is down one request at a time goes out to probe;
//! the first answer of any kind ends the outage. A portal that never answered gets as many tries as one request does;
//! one that answered before gets `--outage`.

use std::time::Duration;

use crate::pace::{Backoff, Moment};

/// The longest pause between two probes.
const MAX_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Contact {
    answered: bool,
    down: Option<Down>,
    retries: u32,
    outage: Duration,
}

#[derive(Debug)]
struct Down {
    since: Moment,
    tries: u32,
    next: Moment,
    probing: bool,
    why: String,
}

/// The portal cannot be reached, and the run gives up on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// Why, as the last try told it.
    pub why: String,
    /// Whether it answered at all in this run.
    pub answered_before: bool,
}

impl Contact {
    pub(super) fn new(retries: u32, outage: Duration) -> Self {
        Self { answered: false, down: None, retries, outage }
    }

    /// The portal answered, whatever it said.
    pub(super) fn answered(&mut self) {
        self.answered = true;
        self.down = None;
    }

    /// A connection could not be made.
    pub(super) fn failed(&mut self, why: &str, now: Moment, backoff: &mut Backoff) -> Result<(), Unreachable> {
        let down = self.down.get_or_insert_with(|| Down {
            since: now,
            tries: 0,
            next: now,
            probing: true,
            why: why.to_owned(),
        });
        // Requests that were out together fail together: that is one try, not many.
        if down.probing {
            down.tries += 1;
            down.probing = false;
            down.next = now + backoff.pause(down.tries).min(MAX_PAUSE);
            why.clone_into(&mut down.why);
        }
        self.check(now)
    }

    /// Gives up when the time is over.
    pub(super) fn check(&self, now: Moment) -> Result<(), Unreachable> {
        let Some(down) = &self.down else { return Ok(()) };
        let over =
            if self.answered { now.saturating_since(down.since) >= self.outage } else { down.tries > self.retries };
        if over { Err(Unreachable { why: down.why.clone(), answered_before: self.answered }) } else { Ok(()) }
    }

    /// Whether a request may leave: always while the portal is up, one at a time while it is down.
    pub(super) fn open(&self, now: Moment) -> bool {
        self.down.as_ref().is_none_or(|down| !down.probing && now >= down.next)
    }

    /// A request leaves.
    pub(super) fn leaving(&mut self) {
        if let Some(down) = &mut self.down {
            down.probing = true;
        }
    }

    /// A request that was to be a probe did not leave, for a reason of its own.
    pub(super) fn never_left(&mut self, now: Moment) {
        if let Some(down) = self.down.as_mut().filter(|down| down.probing) {
            down.probing = false;
            down.next = now;
        }
    }

    /// When to look again, while the portal is down.
    pub(super) fn wake(&self) -> Option<Moment> {
        let down = self.down.as_ref()?;
        if down.probing {
            return None;
        }
        let end = down.since + self.outage;
        Some(if self.answered { down.next.min(end) } else { down.next })
    }

    /// Since when and why the portal is down.
    pub(super) fn down(&self) -> Option<(Moment, &str)> {
        self.down.as_ref().map(|down| (down.since, down.why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_portal_that_never_answered_gets_as_many_tries_as_a_request() {
        let (mut contact, mut backoff) = (Contact::new(2, Duration::from_secs(120)), Backoff::new(1));
        assert!(contact.failed("refused", at(0), &mut backoff).is_ok());
        // Others of the same moment do not count.
        assert!(contact.failed("refused", at(0), &mut backoff).is_ok());
        for second in [10, 20] {
            assert!(contact.open(at(second)));
            contact.leaving();
            assert!(!contact.open(at(second)), "one probe at a time");
            let verdict = contact.failed("refused", at(second), &mut backoff);
            assert_eq!(verdict.is_err(), second == 20);
        }
    }

    #[test]
    fn one_that_answered_before_gets_the_time_of_an_outage() {
        let (mut contact, mut backoff) = (Contact::new(0, Duration::from_secs(120)), Backoff::new(1));
        contact.answered();
        assert!(contact.failed("refused", at(5), &mut backoff).is_ok());
        assert!(!contact.open(at(5)));
        assert!(contact.check(at(124)).is_ok());
        assert_eq!(contact.check(at(125)), Err(Unreachable { why: "refused".into(), answered_before: true }));
        contact.answered();
        assert!(contact.open(at(126)) && contact.down().is_none());
    }

    #[test]
    fn probes_are_a_few_seconds_apart_at_most_and_end_with_the_outage() {
        let (mut contact, mut backoff) = (Contact::new(0, Duration::from_secs(120)), Backoff::new(1));
        contact.answered();
        assert_eq!(contact.wake(), None);
        let mut now = at(5);
        for tries in 0.. {
            assert!(contact.failed("refused", now, &mut backoff).is_ok(), "{now:?}");
            let wake = contact.wake().expect("another probe");
            assert!(wake > now && wake <= (now + MAX_PAUSE).min(at(125)), "{wake:?} after {now:?}");
            assert_eq!(contact.down(), Some((at(5), "refused")));
            if wake == at(125) {
                assert!(tries > 20, "{tries}");
                break;
            }
            assert!(!contact.open(now) && contact.open(wake));
            contact.leaving();
            assert_eq!(contact.wake(), None, "only its answer can change anything");
            now = wake;
        }
        assert!(contact.check(at(125)).is_err());
    }
}
