//! How messages ended, or why they did not leave, and what the ledger has to record.

use jiff::Timestamp;

use super::{Job, Stage, mood::Mood};
use crate::{
    attempt::{Ending, Held, Mail},
    mail,
    outcome::Outcome,
    plan,
    portal::{Effect, Fault},
    reason::{Note, Reason},
    workflow::{Closed, Halt, Stamp},
};

/// A connection that cannot be made is the run's trouble, not the row's; but not for ever the same row's.
const UNSENT_AT_MOST: u8 = 50;

impl Job<'_> {
    /// The ledger would not take the intent: an earlier run has spoken for this user. Nothing left.
    pub fn intent_refused(&mut self, row: u32, held: Held, stamp: Stamp) {
        self.outbox.landed();
        // A probe that did not leave after all.
        if self.policy.by_mail.is_some() {
            self.mood.mails.never_left(stamp.now);
        } else if self.mood.contact.down().is_some() {
            self.mood.answered();
        }
        let (outcome, note) = plan::left_by(self.policy.mail, held, &mut self.rows.notes);
        self.rows.settle(row, outcome, note, stamp);
    }

    /// The ledger could not record the intent: nothing left, and nothing more will.
    pub fn intent_lost(&mut self, row: u32, why: &str, stamp: Stamp) {
        self.outbox.landed();
        self.rows.settle_for(row, Outcome::Failed, Reason::NotRecorded, stamp);
        self.halt(Halt::Storage(why.to_owned()));
    }

    /// The run was stopped between the intent and the sending: nothing left.
    pub fn not_left(&mut self, row: u32) -> Ending {
        self.outbox.landed();
        self.rows.enter(row, Stage::Ready);
        Ending::NoEffect { counted: false, why: "the run was stopped before it left".to_owned() }
    }

    /// The row's own key goes with its message.
    pub fn sends_own_key(&mut self, row: u32) {
        self.rows.row_mut(row).own_key = true;
    }

    /// A message ended; says what the ledger has to record.
    pub fn write_came(&mut self, row: u32, result: &Result<(), Fault>, stamp: Stamp) -> Ending {
        self.outbox.landed();
        let fault = match result {
            Ok(()) => {
                self.mood.did_well();
                self.mood.breaker.accepted();
                self.mood.doubt.accepted();
                self.outbox.sent += 1;
                self.outbox.counted += 1;
                self.rows.count_attempt(row);
                self.rows.settle(row, Outcome::Sent, Note::None, stamp);
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

    /// The ledger has recorded how this row's message ended, with this time.
    pub fn recorded(&mut self, row: u32, at: Timestamp) {
        self.rows.recorded(row, at);
    }

    fn write_not_taken(&mut self, row: u32, fault: &Fault, stamp: Stamp) -> Ending {
        let ending = Ending::NoEffect { counted: false, why: fault.to_string() };
        if let Fault::NotSent { why, for_good } = fault {
            self.mood.unreachable(why, *for_good, stamp.now);
            let slot = self.rows.row_mut(row);
            slot.unsent = slot.unsent.saturating_add(1);
            if slot.unsent >= UNSENT_AT_MOST {
                self.rows.settle_for(row, Outcome::Failed, Reason::NotSent(fault.to_string()), stamp);
                return ending;
            }
        } else {
            self.mood.answered();
            self.rows.count_attempt(row);
        }
        if self.mood.closed.is_some() {
            self.rows.settle_for(row, Outcome::NotAttempted, self.closed_reason(), stamp);
        } else {
            self.rows.enter(row, Stage::Ready);
            let again = self.rows.row_mut(row).again;
            self.outbox.put_back(row, again, stamp.now);
        }
        ending
    }

    fn write_rejected(&mut self, row: u32, fault: &Fault, stamp: Stamp) -> Ending {
        self.mood.answered();
        self.mood.doubt.refused();
        self.rows.count_attempt(row);
        self.outbox.counted += 1;
        if self.policy.mail == Mail::Invitation && fault.is_limit_of_invitations() {
            // It is about the day, not about this person.
            let why = fault.to_string();
            self.close(Closed::PortalsInvitations(why.clone()));
            self.rows.settle_for(row, Outcome::NotAttempted, self.closed_reason(), stamp);
            return Ending::NoEffect { counted: true, why };
        }
        let own_key = self.rows.row_mut(row).own_key;
        let next = mail::advice(self.policy.mail, fault, own_key);
        let reason = Reason::Refused { said: fault.to_string(), next };
        if let Some(halt) = Mood::ends_with(fault) {
            // 401 is about the key, so the row was not refused for itself; 402 is an answer to it.
            let about_the_key = matches!(fault, Fault::Answered { status: 401, .. });
            let outcome = if about_the_key { Outcome::Failed } else { Outcome::Rejected };
            self.rows.settle_for(row, outcome, reason, stamp);
            self.halt(halt);
        } else {
            self.rows.settle_for(row, Outcome::Rejected, reason, stamp);
            if let Some(manner) = self.mood.breaker.rejected(fault) {
                self.close(Closed::RefusedAlike(manner));
            }
        }
        let counted = !matches!(fault, Fault::Answered { status: 401, .. });
        Ending::NoEffect { counted, why: fault.to_string() }
    }

    fn write_in_doubt(&mut self, row: u32, fault: &Fault, stamp: Stamp) -> Ending {
        if !matches!(fault, Fault::Lost(_)) {
            self.mood.answered();
        } else if self.mood.contact.down().is_some() {
            // It was the probe, and it was lost.
            self.mood.unreachable(&fault.to_string(), false, stamp.now);
        }
        self.rows.count_attempt(row);
        self.outbox.sent += 1;
        self.outbox.counted += 1;
        let why = fault.to_string();
        let reason = Reason::MayHaveBeenSent { mail: self.policy.mail, why: why.clone() };
        self.rows.settle_for(row, Outcome::Unknown, reason, stamp);
        if self.mood.doubt.in_doubt(stamp.now) {
            self.halt(Halt::InDoubt { why: why.clone() });
        }
        if let Some(halt) = Mood::ends_with(fault) {
            self.halt(halt);
        }
        Ending::Unknown { why }
    }
}
