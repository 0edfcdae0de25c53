//! Recognises a refusal that is about the portal, not about a user: when the first congratulations, to different
//! users, are all refused alike, the rest is pointless.
//!
//! Until one is accepted, no more than a handful of congratulations are out, so that no more than a handful are spent
//! on finding out.

use crate::portal::{ErrorBody, Fault};

/// So many refusals alike, with none accepted, speak for all.
pub const ALIKE: u32 = 5;

#[derive(Debug)]
pub(super) enum Breaker {
    /// Nothing was accepted yet; so many were refused, all in this way.
    Armed { alike: u32, manner: Option<Manner> },
    /// One was accepted, or two were refused differently: refusals are about users.
    Disarmed,
    /// The portal refuses them all.
    Tripped(Manner),
}

/// How a congratulation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// The HTTP status.
    pub status: u16,
    /// Whether the call itself refused (an error envelope), rather than a gate before it.
    pub by_the_call: bool,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self::Armed { alike: 0, manner: None }
    }

    /// How many more congratulations may be out, given those that are.
    pub(super) fn admits(&self, in_flight: u32) -> bool {
        self.room(in_flight) > 0
    }

    /// How many people one more message may be for, given those that are out.
    pub(super) fn room(&self, in_flight: u32) -> u64 {
        match self {
            Self::Armed { alike, .. } => u64::from(ALIKE.saturating_sub(alike + in_flight)),
            Self::Disarmed => u64::MAX,
            Self::Tripped(_) => 0,
        }
    }

    pub(super) fn accepted(&mut self) {
        if matches!(self, Self::Armed { .. }) {
            *self = Self::Disarmed;
        }
    }

    /// A congratulation was refused; returns the manner once it speaks for all.
    pub(super) fn rejected(&mut self, fault: &Fault) -> Option<Manner> {
        let Fault::Answered { status, body } = fault else { return None };
        let this = Manner { status: *status, by_the_call: matches!(body, ErrorBody::Envelope { .. }) };
        match self {
            Self::Armed { manner: Some(manner), .. } if *manner != this => *self = Self::Disarmed,
            Self::Armed { alike, manner } => {
                *alike += 1;
                *manner = Some(this);
                if *alike >= ALIKE {
                    *self = Self::Tripped(this);
                    return Some(this);
                }
            }
            Self::Disarmed | Self::Tripped(_) => {}
        }
        None
    }

    /// What every refusal so far was like, where nothing was accepted and at least one was refused.
    pub(super) fn all_refused(&self) -> Option<Manner> {
        match self {
            Self::Armed { alike: 1.., manner } => *manner,
            Self::Tripped(manner) => Some(*manner),
            Self::Armed { .. } | Self::Disarmed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: ErrorBody) -> Fault {
        Fault::Answered { status, body }
    }

    #[test]
    fn five_alike_speak_for_all_and_no_more_than_five_are_spent() {
        let mut breaker = Breaker::new();
        for in_flight in 0..5 {
            assert!(breaker.admits(in_flight));
        }
        assert!(!breaker.admits(5));
        for spent in 0..4 {
            assert_eq!(breaker.rejected(&refusal(403, ErrorBody::Other)), None);
            assert!(!breaker.admits(4 - spent));
        }
        assert_eq!(breaker.rejected(&refusal(403, ErrorBody::Other)), Some(Manner { status: 403, by_the_call: false }));
        assert!(!breaker.admits(0));
    }

    #[test]
    fn one_accepted_or_one_refused_otherwise_makes_refusals_personal() {
        for accepted in [true, false] {
            let mut breaker = Breaker::new();
            assert_eq!(breaker.rejected(&refusal(403, ErrorBody::Other)), None);
            if accepted {
                breaker.accepted();
            } else {
                assert_eq!(breaker.rejected(&refusal(404, ErrorBody::Other)), None);
            }
            for _ in 0..20 {
                assert_eq!(breaker.rejected(&refusal(403, ErrorBody::Other)), None);
            }
            assert!(breaker.admits(1000));
        }
    }
}
