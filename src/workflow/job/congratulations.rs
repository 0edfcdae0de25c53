//! How congratulations ended, or why they did not leave, and what the ledger has to record.

use super::{Job, Stage, halting, may_have_been_sent};
use crate::{
    attempt::{Ending, Held},
    outcome::Outcome,
    portal::{Effect, ErrorBody, Fault},
    workflow::{Closed, Halt, Stamp, note::Note},
};

/// A connection that cannot be made is the run's trouble, not the row's; but not for ever the same row's.
const UNSENT_AT_MOST: u8 = 50;

impl Job<'_> {
    /// The ledger would not take the intent: an earlier run has spoken for this user. Nothing left.
    pub fn intent_refused(&mut self, row: u32, earlier: Held, stamp: Stamp) {
        self.writes_in_flight = self.writes_in_flight.saturating_sub(1);
        self.contact_untouched();
        let (outcome, note) = self.left_by(earlier);
        self.settle(row, outcome, note, stamp);
    }

    /// The ledger could not record the intent: nothing left, and nothing more will.
    pub fn intent_lost(&mut self, row: u32, why: &str, stamp: Stamp) {
        self.writes_in_flight = self.writes_in_flight.saturating_sub(1);
        let note = self.notes.text("its intent could not be recorded, so nothing was sent");
        self.settle(row, Outcome::Failed, note, stamp);
        self.halt(Halt::Storage(why.to_owned()));
    }

    /// The run was stopped between the intent and the sending: nothing left.
    pub fn not_left(&mut self, row: u32) -> Ending {
        self.writes_in_flight = self.writes_in_flight.saturating_sub(1);
        self.row_mut(row).stage = Stage::Ready;
        Ending::NoEffect { counted: false, why: "the run was stopped before it left".to_owned() }
    }

    /// A probe that did not leave after all.
    fn contact_untouched(&mut self) {
        if self.contact.down().is_some() {
            self.portal_answered();
        }
    }

    /// A congratulation ended; says what the ledger has to record.
    pub fn write_came(&mut self, row: u32, result: &Result<(), Fault>, stamp: Stamp) -> Ending {
        self.writes_in_flight = self.writes_in_flight.saturating_sub(1);
        let fault = match result {
            Ok(()) => {
                self.portal_answered();
                self.breaker.accepted();
                self.doubts = 0;
                self.congratulated += 1;
                self.counted += 1;
                self.count_attempt(row);
                self.settle(row, Outcome::Sent, Note::None, stamp);
                return Ending::Sent;
            }
            Err(fault) => fault,
        };
        match fault.effect() {
            Effect::NoneYet => self.write_not_taken(row, fault, stamp),
            Effect::Rejected => self.write_rejected(row, fault, stamp),
            Effect::Unknown => self.write_in_doubt(row, fault, stamp),
        }
    }

    pub(super) fn count_attempt(&mut self, row: u32) {
        let slot = self.row_mut(row);
        slot.attempts = slot.attempts.saturating_add(1);
    }

    fn write_not_taken(&mut self, row: u32, fault: &Fault, stamp: Stamp) -> Ending {
        let ending = Ending::NoEffect { counted: false, why: fault.to_string() };
        if let Fault::NotSent { why, for_good } = fault {
            self.unreachable(why, *for_good, stamp);
            let slot = self.row_mut(row);
            slot.unsent = slot.unsent.saturating_add(1);
            if slot.unsent >= UNSENT_AT_MOST {
                let note = self.notes.text(fault.to_string());
                self.settle(row, Outcome::Failed, note, stamp);
                return ending;
            }
        } else {
            self.portal_answered();
            self.count_attempt(row);
        }
        if self.closed.is_some() {
            let note = self.closed_note();
            self.settle(row, Outcome::NotAttempted, note, stamp);
        } else {
            self.row_mut(row).stage = Stage::Ready;
            self.ready.push_front((row, stamp.now));
        }
        ending
    }

    fn write_rejected(&mut self, row: u32, fault: &Fault, stamp: Stamp) -> Ending {
        self.portal_answered();
        self.count_attempt(row);
        self.counted += 1;
        let note = self.notes.text(rejection(fault));
        if let Some(halt) = halting(fault) {
            // 401 is about the key, so the row was not refused for itself; 402 is an answer to it.
            let about_the_key = matches!(fault, Fault::Answered { status: 401, .. });
            let outcome = if about_the_key { Outcome::Failed } else { Outcome::Rejected };
            self.settle(row, outcome, note, stamp);
            self.halt(halt);
        } else {
            self.settle(row, Outcome::Rejected, note, stamp);
            if let Some(manner) = self.breaker.rejected(fault) {
                self.close(Closed::RefusedAlike(manner));
            }
        }
        let counted = !matches!(fault, Fault::Answered { status: 401, .. });
        Ending::NoEffect { counted, why: fault.to_string() }
    }

    fn write_in_doubt(&mut self, row: u32, fault: &Fault, stamp: Stamp) -> Ending {
        if !matches!(fault, Fault::Lost(_)) {
            self.portal_answered();
        } else if self.contact.down().is_some() {
            // It was the probe, and it was lost.
            self.unreachable(&fault.to_string(), false, stamp);
        }
        self.count_attempt(row);
        self.congratulated += 1;
        self.counted += 1;
        if matches!(fault, Fault::Lost(_) | Fault::Answered { status: 502..=504, .. }) {
            self.doubts += 1;
        }
        let why = fault.to_string();
        let note = self.notes.text(may_have_been_sent(&why));
        self.settle(row, Outcome::Unknown, note, stamp);
        if let Some(halt) = halting(fault) {
            self.halt(halt);
        }
        Ending::Unknown { why }
    }
}

fn rejection(fault: &Fault) -> String {
    let what_to_do = match fault {
        Fault::Answered { status: 403, body: ErrorBody::Envelope { .. } } => {
            "; the portal takes only signed keys: see --sign-with"
        }
        _ if fault.by_another() => "; let this machine's requests through there",
        Fault::Answered { status: 403, .. } => "; the API key may lack the scope *:write",
        Fault::Answered { status: 400, .. } => "; look at the congratulation key (--key, or the row's own)",
        Fault::Answered { status: 402, .. } => "; the portal's plan is unpaid or its licence lapsed",
        _ => "",
    };
    format!("{fault}{what_to_do}")
}
