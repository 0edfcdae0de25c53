//! How messages of one's own ended that went by a mail server, and what the ledger has to record. The portal is charged
//! with nothing.

use super::{Job, Stage};
use crate::{
    attempt::Ending,
    outcome::Outcome,
    portal::Effect,
    reason::{Note, Reason},
    smtp::{Fault, Scope, Whose},
    workflow::{Closed, Halt, Stamp},
};

/// A connection that cannot be made is the run's trouble, not the row's; but not for ever the same row's.
const UNSENT_AT_MOST: u8 = 50;

impl Job<'_> {
    /// No mail can be made for this row: what the portal tells lacks something. Nothing left.
    pub fn unmade(&mut self, row: u32, why: &str, stamp: Stamp) -> Ending {
        self.outbox.landed();
        self.mood.mails.never_left(stamp.now);
        self.rows.settle_for(row, Outcome::Failed, Reason::NotMade(why.to_owned()), stamp);
        Ending::NoEffect { counted: false, why: why.to_owned() }
    }

    /// A mail ended; says what the ledger has to record.
    pub fn mail_came(&mut self, row: u32, result: &Result<(), Fault>, stamp: Stamp) -> Ending {
        self.outbox.landed();
        let fault = match result {
            Ok(()) => {
                self.mood.mails.accepted();
                self.mood.doubt.accepted();
                self.outbox.sent += 1;
                self.rows.count_attempt(row);
                self.rows.settle(row, Outcome::Sent, Note::None, stamp);
                return Ending::Sent;
            }
            Err(fault) => fault,
        };
        let why = fault.to_string();
        let stop = self.mood.mails.failed(fault, stamp.now);
        if let Some(stop) = stop {
            self.close(Closed::MailServer(stop));
        }
        match fault.effect() {
            Effect::NoneYet => {
                self.mail_not_taken(row, fault, stamp);
                Ending::NoEffect { counted: false, why }
            }
            Effect::Rejected => {
                self.mood.doubt.refused();
                self.rows.count_attempt(row);
                let of_the_server = matches!(fault, Fault::Refused { whose: Whose::Sender | Whose::Everybody, .. });
                if of_the_server && matches!(self.mood.closed, Some(Closed::MailServer(_))) {
                    // It was not refused for itself, and neither were those that left with it.
                    self.rows.settle_for(row, Outcome::NotAttempted, self.closed_reason(), stamp);
                } else {
                    self.rows.settle_for(row, Outcome::Rejected, Reason::MailRefused(why.clone()), stamp);
                }
                Ending::NoEffect { counted: false, why }
            }
            Effect::Unknown => {
                self.rows.count_attempt(row);
                self.outbox.sent += 1;
                self.rows.settle_for(row, Outcome::Unknown, Reason::MailMayHaveBeenSent(why.clone()), stamp);
                if self.mood.doubt.in_doubt(stamp.now) {
                    self.halt(Halt::InDoubt { why: why.clone() });
                }
                Ending::Unknown { why }
            }
        }
    }

    /// It certainly was not sent, and may be another time.
    fn mail_not_taken(&mut self, row: u32, fault: &Fault, stamp: Stamp) {
        let this_mail = matches!(fault, Fault::Later { scope: Scope::This, .. });
        if matches!(fault, Fault::Later { .. }) {
            self.rows.count_attempt(row);
        }
        let slot = self.rows.row_mut(row);
        slot.unsent = slot.unsent.saturating_add(1);
        let tries = slot.unsent;
        if this_mail && u32::from(tries) > self.policy.retries {
            return self.rows.settle_for(row, Outcome::Failed, Reason::MailLater(fault.to_string()), stamp);
        }
        if tries >= UNSENT_AT_MOST {
            return self.rows.settle_for(row, Outcome::Failed, Reason::NotSent(fault.to_string()), stamp);
        }
        if self.mood.closed.is_some() {
            return self.rows.settle_for(row, Outcome::NotAttempted, self.closed_reason(), stamp);
        }
        self.rows.enter(row, Stage::Ready);
        match fault.come_back_after(u32::from(tries)).filter(|_| this_mail) {
            Some(wait) => self.outbox.put_later(row, stamp.now + wait),
            // Behind the others, so that no one of them is what is tried while the server is gone.
            None => self.outbox.put(row, false, stamp.now),
        }
    }

    /// Looks at the clock: a mail server that is gone for too long, and mails whose turn comes again. Of their users is
    /// asked anew first.
    pub(super) fn tick_mails(&mut self, stamp: Stamp) {
        if self.policy.by_mail.is_none() {
            return;
        }
        if let Some(stop) = self.mood.mails.tick(stamp.now) {
            self.close(Closed::MailServer(stop));
        }
        if self.mood.halt.is_some() || self.mood.closed.is_some() {
            return;
        }
        while let Some(row) = self.outbox.take_later(stamp.now) {
            self.rows.enter(row, Stage::Asked);
            let call = self.single(row);
            self.questions.ask_again(stamp.now, call);
        }
    }

    /// Since when and why the mail server cannot be reached.
    pub fn mail_server_down(&self) -> Option<(crate::pace::Moment, &str)> {
        self.mood.mails.down()
    }
}
