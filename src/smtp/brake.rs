//! Recognises refusals that are about everybody: when several in a row are alike, the rest is pointless. Pure.

use super::fault::{Fault, Step, Whose};

/// So many refusals alike speak for all.
pub const ALIKE: u32 = 5;

/// How a mail was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// At what.
    pub step: Step,
    /// The code.
    pub code: u16,
    /// Whose fault it is.
    pub whose: Whose,
}

/// Counts refusals.
///
/// Those that are laid at the sender's door, or everybody's, count at any time: a day's quota ends in the middle of a run.
/// Those of single recipients speak for all only while nothing was accepted, and nothing refused otherwise. A login that is
/// refused speaks for all at once: it is the same for everybody, and servers lock accounts after a few.
#[derive(Debug, Default)]
pub struct Brake {
    alike: u32,
    manner: Option<Manner>,
    /// Whether refusals of single recipients are about these.
    personal: bool,
    tripped: Option<Manner>,
}

impl Brake {
    /// How many more mails may be out, given those that are.
    pub fn room(&self, in_flight: u32) -> u32 {
        match (self.tripped, self.personal) {
            (Some(_), _) => 0,
            (None, true) => u32::MAX,
            (None, false) => ALIKE.saturating_sub(self.alike).saturating_sub(in_flight),
        }
    }

    /// A mail was accepted.
    pub fn accepted(&mut self) {
        self.alike = 0;
        self.manner = None;
        self.personal = true;
    }

    /// A mail was not accepted; returns the manner once it speaks for all.
    pub fn failed(&mut self, fault: &Fault) -> Option<Manner> {
        let Fault::Refused { whose, said } = fault else { return None };
        if self.tripped.is_some() {
            return None;
        }
        let this = Manner { step: said.step, code: said.code, whose: *whose };
        if self.manner != Some(this) {
            self.personal |= self.manner.is_some_and(|manner| manner.whose == Whose::This && *whose == Whose::This);
            self.alike = 0;
        }
        self.manner = Some(this);
        self.alike += 1;
        let speaks_for_all = match whose {
            Whose::This => !self.personal && self.alike >= ALIKE,
            Whose::Sender | Whose::Everybody => said.step == Step::Login || self.alike >= ALIKE,
        };
        if speaks_for_all {
            self.tripped = Some(this);
        }
        self.tripped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::reply::Reply;

    fn refused(step: Step, code: u16) -> Fault {
        Fault::of_reply(step, &Reply { code, lines: vec![String::new()] })
    }

    #[test]
    fn five_alike_speak_for_all_and_no_more_than_five_are_out_before_one_was_accepted() {
        for step in [Step::Recipient, Step::Sender, Step::Dot] {
            let mut brake = Brake::default();
            assert_eq!((brake.room(0), brake.room(4), brake.room(5)), (5, 1, 0));
            for spent in 1..5 {
                assert_eq!(brake.failed(&refused(step, 550)), None);
                assert_eq!(brake.room(0), 5 - spent);
            }
            let manner = brake.failed(&refused(step, 550)).expect("five alike");
            assert_eq!((manner.step, manner.code), (step, 550));
            assert_eq!(brake.room(0), 0);
            assert_eq!(brake.failed(&refused(step, 550)), None, "said once");
        }
    }

    #[test]
    fn recipients_are_refused_for_themselves_once_one_was_accepted_or_refused_otherwise() {
        for accepted in [true, false] {
            let mut brake = Brake::default();
            assert_eq!(brake.failed(&refused(Step::Recipient, 550)), None);
            if accepted {
                brake.accepted();
            } else {
                assert_eq!(brake.failed(&refused(Step::Recipient, 553)), None);
            }
            for _ in 0..20 {
                assert_eq!(brake.failed(&refused(Step::Recipient, 550)), None);
            }
            assert_eq!(brake.room(1000), u32::MAX);
        }
    }

    #[test]
    fn what_is_everybodys_counts_at_any_time_but_only_in_a_row() {
        let mut brake = Brake::default();
        for _ in 0..3 {
            for _ in 0..4 {
                assert_eq!(brake.failed(&refused(Step::Sender, 550)), None);
            }
            brake.accepted();
        }
        for _ in 0..4 {
            assert_eq!(brake.failed(&refused(Step::Sender, 550)), None);
        }
        assert!(brake.failed(&refused(Step::Sender, 550)).is_some());
    }

    #[test]
    fn a_refused_login_speaks_for_all_at_once_and_no_doubt_or_delay_does() {
        let mut brake = Brake::default();
        for fault in [
            Fault::Lost(crate::smtp::fault::Loss::Broke),
            refused(Step::Recipient, 450),
            Fault::NotSent { why: String::new(), for_good: true },
        ] {
            for _ in 0..9 {
                assert_eq!(brake.failed(&fault), None);
            }
        }
        assert!(brake.failed(&refused(Step::Login, 535)).is_some());
    }
}
