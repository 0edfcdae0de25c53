//! One append, from its first try until it is known what became of it: a state machine that neither waits nor reads a
//! clock. Whoever drives it does what it asks for, and tells it what came of it.
//!
//! Nothing proves that a create without an answer had no effect, or never will. So it is made again with the same bytes until the
//! name is taken: by these bytes (ours) or by others (somebody took over, and this session is fenced for good).

use std::time::Duration;

use crate::ledger::store::{Created, StoreFault};

/// The times that the protocol depends on, together: tests scale them down as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How often whoever waits looks whether the log moved: 2 s.
    pub look: Duration,
    /// After how long without an append the holder says that it is alive: 15 s.
    pub alive: Duration,
    /// How long nothing may leave, and no append be tried, since the first try of the last one acknowledged began: 30 s.
    pub fresh: Duration,
    /// For how long the log must not have moved before somebody else takes over: 60 s.
    pub takeover: Duration,
    /// Between two tries of one append.
    pub again: Duration,
}

impl Times {
    /// Those of the design.
    pub const SHIPPED: Self = Self {
        look: Duration::from_secs(2),
        alive: Duration::from_secs(15),
        fresh: Duration::from_secs(30),
        takeover: Duration::from_secs(60),
        again: Duration::from_millis(500),
    };

    /// All of them so many times shorter, in proportion: for tests.
    #[must_use]
    pub fn divided(self, by: u32) -> Self {
        let shorter = |time: Duration| time / by.max(1);
        Self {
            look: shorter(self.look),
            alive: shorter(self.alive),
            fresh: shorter(self.fresh),
            takeover: shorter(self.takeover),
            again: shorter(self.again),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Create the object.
    Create,
    /// Read what has its name.
    Read,
    /// Wait so long, then go on with [`Append::waited`].
    Wait(Duration),
    /// It is in the log, and ours.
    Done,
    /// Somebody else's bytes are there.
    Fenced,
    /// Nobody knows, and the time is up; nothing may leave.
    GaveUp(String),
    /// The store cannot be used as it is.
    Unusable(String),
}

/// An append that is being tried.
#[derive(Debug)]
pub struct Append {
    times: Times,
    /// When its first try began, by the session's clock (milliseconds).
    began: i64,
    last: String,
}

impl Append {
    /// Begins now; the first step is to create.
    pub fn begin(times: Times, now: i64) -> Self {
        Self { times, began: now, last: "no answer".to_owned() }
    }

    /// When its first try began: from then counts how long bytes may leave once it is acknowledged.
    pub fn began(&self) -> i64 {
        self.began
    }

    /// A create was answered, or not.
    pub fn created(&mut self, answer: Result<Created, StoreFault>, now: i64) -> Step {
        match answer {
            // Whether it is still of use is for the lease to say: the append is a fact.
            Ok(Created::Made) => Step::Done,
            Ok(Created::Refused) => Step::Read,
            Err(StoreFault::Passing(why)) => {
                self.last = why;
                self.again(now)
            }
            Err(StoreFault::Unusable(why)) => Step::Unusable(why),
        }
    }

    /// What has the name was read: whether it is there, and ours.
    pub fn read(&mut self, found: Result<Option<bool>, StoreFault>, now: i64) -> Step {
        match found {
            Ok(Some(true)) => Step::Done,
            Ok(Some(false)) => Step::Fenced,
            // A create that is under way answers as one that is done.
            Ok(None) => {
                "the store neither has the object nor lets it be created".clone_into(&mut self.last);
                self.again(now)
            }
            Err(StoreFault::Passing(why)) => {
                self.last = why;
                self.again(now)
            }
            Err(StoreFault::Unusable(why)) => Step::Unusable(why),
        }
    }

    /// The wait is over.
    pub fn waited(&mut self, now: i64) -> Step {
        if self.is_over(now) { Step::GaveUp(self.last.clone()) } else { Step::Create }
    }

    fn again(&self, now: i64) -> Step {
        if self.is_over(now) { Step::GaveUp(self.last.clone()) } else { Step::Wait(self.times.again) }
    }

    fn is_over(&self, now: i64) -> bool {
        now.saturating_sub(self.began) >= i64::try_from(self.times.fresh.as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing() -> Result<Created, StoreFault> {
        Err(StoreFault::Passing("503".to_owned()))
    }

    #[test]
    fn divided_times_keep_their_proportions() {
        let (shipped, divided) = (Times::SHIPPED, Times::SHIPPED.divided(10));
        assert_eq!(divided.takeover, Duration::from_secs(6));
        assert_eq!((divided.fresh * 2, divided.alive * 4), (divided.takeover, divided.takeover));
        assert_eq!((divided.look * 10, divided.again * 10), (shipped.look, shipped.again));
        assert_eq!(shipped.divided(0), shipped);
    }

    #[test]
    fn an_answer_that_is_lost_is_asked_for_again_with_the_same_bytes() {
        let mut append = Append::begin(Times::SHIPPED, 0);
        assert_eq!(append.created(passing(), 8_000), Step::Wait(Times::SHIPPED.again));
        assert_eq!(append.waited(8_500), Step::Create);
        assert_eq!(append.created(Ok(Created::Refused), 8_600), Step::Read);
        assert_eq!(append.read(Ok(Some(true)), 8_700), Step::Done);
        assert_eq!(append.began(), 0);
    }

    #[test]
    fn other_bytes_fence_and_absence_means_another_try() {
        let mut append = Append::begin(Times::SHIPPED, 0);
        assert_eq!(append.created(Ok(Created::Refused), 100), Step::Read);
        assert_eq!(append.read(Ok(None), 200), Step::Wait(Times::SHIPPED.again));
        assert_eq!(append.waited(700), Step::Create);
        assert_eq!(append.created(Ok(Created::Refused), 800), Step::Read);
        assert_eq!(append.read(Ok(Some(false)), 900), Step::Fenced);
    }

    #[test]
    fn thirty_seconds_after_its_first_try_it_gives_up_and_says_why() {
        let mut append = Append::begin(Times::SHIPPED, 1_000);
        assert_eq!(append.created(passing(), 30_999), Step::Wait(Times::SHIPPED.again));
        assert_eq!(append.waited(31_499), Step::GaveUp("503".to_owned()));
        assert_eq!(append.created(passing(), 31_000), Step::GaveUp("503".to_owned()));
    }
}
