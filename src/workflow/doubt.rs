//! Messages in a row of which nobody can say whether they were sent: a portal that takes them and tells nothing would turn
//! everybody into an `unknown`, so the run stops to think.
//!
//! ```text
//!  sure ──so many in doubt in a row──► braked ──all awaited, then a question asked──► asking ──answered──► alone
//!    ▲                                   ▲                                              │                  │ │
//!    │                                   └───────────────not answered───────────────────┘                  │ │
//!    └──────────────────────────one message, alone, was accepted───────────────────────────────────────────┘ │
//!                                                                      it is in doubt too: the run ends ◄─────┘
//! ```

use std::time::Duration;

use crate::pace::Moment;

#[derive(Debug)]
pub(super) struct Doubt {
    /// So many in a row, and nothing new leaves.
    most: u32,
    /// So long may a question go unanswered.
    outage: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sure { in_row: u32 },
    Braked { since: Moment },
    Asking { since: Moment },
    Alone,
}

impl Doubt {
    pub(super) fn new(most: u32, outage: Duration) -> Self {
        Self { most: most.max(1), outage, state: State::Sure { in_row: 0 } }
    }

    /// Whether a message may leave, with so many on their way.
    pub(super) fn admits(&self, in_flight: u32) -> bool {
        match self.state {
            State::Sure { .. } => true,
            State::Braked { .. } | State::Asking { .. } => false,
            State::Alone => in_flight == 0,
        }
    }

    /// For how many people one message may be.
    pub(super) fn room(&self) -> u64 {
        if self.state == State::Alone { 1 } else { u64::MAX }
    }

    /// Whether nothing new leaves: what is on its way is awaited, then one question is asked.
    pub(super) fn is_braked(&self) -> bool {
        matches!(self.state, State::Braked { .. } | State::Asking { .. })
    }

    /// A message was accepted.
    pub(super) fn accepted(&mut self) {
        if matches!(self.state, State::Sure { .. } | State::Alone) {
            self.state = State::Sure { in_row: 0 };
        }
    }

    /// A message was refused for certain: no doubt about it, but no proof that others are taken.
    pub(super) fn refused(&mut self) {
        if matches!(self.state, State::Sure { .. }) {
            self.state = State::Sure { in_row: 0 };
        }
    }

    /// A message may have been sent. `true` where the run has to end: it was the one that left alone.
    pub(super) fn in_doubt(&mut self, now: Moment) -> bool {
        match &mut self.state {
            State::Sure { in_row } => {
                *in_row += 1;
                if *in_row >= self.most {
                    self.state = State::Braked { since: now };
                }
                false
            }
            // Those that were on their way with the others.
            State::Braked { .. } | State::Asking { .. } => false,
            State::Alone => true,
        }
    }

    /// A question leaves, with nothing else on its way.
    pub(super) fn asking(&mut self) {
        if let State::Braked { since } = self.state {
            self.state = State::Asking { since };
        }
    }

    /// A question ended; whether it was answered as a portal does.
    pub(super) fn asked(&mut self, answered: bool) {
        match self.state {
            State::Asking { .. } if answered => self.state = State::Alone,
            State::Asking { since } => self.state = State::Braked { since },
            State::Sure { .. } | State::Braked { .. } | State::Alone => {}
        }
    }

    /// Whether no question was answered for too long.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.ends_at().is_some_and(|end| now >= end)
    }

    /// When the patience ends.
    pub(super) fn ends_at(&self) -> Option<Moment> {
        match self.state {
            State::Braked { since } | State::Asking { since } => Some(since + self.outage),
            State::Sure { .. } | State::Alone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    fn braked() -> Doubt {
        let mut doubt = Doubt::new(3, Duration::from_secs(120));
        for _ in 0..3 {
            assert!(doubt.admits(14) && !doubt.is_braked());
            assert!(!doubt.in_doubt(at(1)));
        }
        assert!(!doubt.admits(0) && doubt.is_braked());
        doubt
    }

    #[test]
    fn so_many_in_a_row_brake_and_one_that_is_certain_between_them_does_not() {
        braked();
        let mut doubt = Doubt::new(3, Duration::from_secs(120));
        for certain in [Doubt::accepted as fn(&mut Doubt), Doubt::refused] {
            for _ in 0..2 {
                assert!(!doubt.in_doubt(at(1)));
            }
            certain(&mut doubt);
        }
        assert!(doubt.admits(14));
    }

    #[test]
    fn after_a_question_one_leaves_alone_and_decides() {
        let mut doubt = braked();
        assert!(!doubt.in_doubt(at(2)), "one of those that were on their way");
        doubt.asked(true);
        assert!(doubt.is_braked(), "a question from before says nothing");
        doubt.asking();
        doubt.asked(false);
        assert!(doubt.is_braked());
        doubt.asking();
        doubt.asked(true);
        assert!(doubt.admits(0) && !doubt.admits(1));
        doubt.refused();
        assert!(doubt.admits(0) && !doubt.admits(1), "the next one, alone too");
        doubt.accepted();
        assert!(doubt.admits(14));
        let mut doubt = braked();
        doubt.asking();
        doubt.asked(true);
        assert!(doubt.in_doubt(at(9)));
    }

    #[test]
    fn questions_are_given_the_time_of_an_outage() {
        let mut doubt = braked();
        doubt.asking();
        assert_eq!(doubt.ends_at(), Some(at(121)));
        assert!(!doubt.is_over(at(120)) && doubt.is_over(at(121)));
        doubt.asked(true);
        assert_eq!(doubt.ends_at(), None);
    }
}
