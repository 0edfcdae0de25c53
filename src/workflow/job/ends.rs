//! The end of a run, and where it stands before.

use super::{Job, Progress, RowEnd, Stage, may_have_been_sent};
use crate::{
    outcome::{Outcome, Tally},
    pace::Moment,
    roster::{self, RowState},
    workflow::{Closed, Halt, Manner, Stamp, note::Note},
};

impl Job<'_> {
    /// No further congratulation leaves; links and statuses are still learned.
    pub fn close(&mut self, closed: Closed) {
        if self.closed.is_none() {
            self.closed = Some(closed);
        }
    }

    /// Nothing further leaves.
    pub fn halt(&mut self, halt: Halt) {
        if self.halt.is_none() {
            self.halt = Some(halt);
        }
    }

    pub(super) fn closed_note(&mut self) -> Note {
        let text = match &self.closed {
            Some(Closed::RefusedAlike(_)) => "the portal refused the first congratulations all alike",
            Some(Closed::Limit) => "--limit was reached",
            Some(Closed::Daily) => "the daily write limit was reached",
            Some(Closed::NoTenant(_)) => {
                "its key could not be signed: the portal does not tell its tenant number (give --tenant)"
            }
            Some(Closed::PortalsDaily(_)) => "the portal's daily write limit was reached",
            None => "the run stopped before this row",
        };
        self.notes.text(text)
    }

    /// Settles what is ready but may not leave any more.
    pub fn drop_ready(&mut self, stamp: Stamp) {
        if self.closed.is_none() {
            return;
        }
        let note = self.closed_note();
        for (row, _) in std::mem::take(&mut self.ready) {
            self.settle(row, Outcome::NotAttempted, note, stamp);
        }
    }

    /// Whether everything that can be learned and done was.
    pub fn is_finished(&self) -> bool {
        let idle = self.reads_in_flight == 0 && self.writes_in_flight == 0;
        idle && (self.halt.is_some()
            || (self.open == 0
                && self.again.is_empty()
                && self.ready.is_empty()
                && self.waiting == 0
                && !self.links.pending()))
    }

    /// Whether anything is on its way.
    pub fn in_flight(&self) -> (u32, u32) {
        (self.reads_in_flight, self.writes_in_flight)
    }

    /// The end: whatever is not settled was not attempted, or (users still waited for) is not active.
    /// A congratulation of which no end was seen may have been sent.
    pub fn conclude(&mut self, stamp: Stamp) {
        let not_attempted = match &self.halt {
            Some(halt) => {
                let text = halt_note(halt);
                self.notes.text(text)
            }
            None => self.closed_note(),
        };
        let doubtful = self.notes.text(may_have_been_sent("the run was stopped before the answer came"));
        for row in 0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX) {
            let Some(slot) = self.rows.get(row as usize) else { continue };
            match (slot.stage, slot.preset) {
                (Stage::Settled(_) | Stage::Carried, _) => {}
                (Stage::Due | Stage::Asked, Some(preset)) => self.settle(row, preset, Note::None, stamp),
                (Stage::Waiting, _) => self.settle(row, Outcome::NotActive, Note::None, stamp),
                (Stage::Sending, _) => {
                    self.count_attempt(row);
                    self.settle(row, Outcome::Unknown, doubtful, stamp);
                }
                (Stage::Due | Stage::Asked | Stage::Ready, _) => {
                    self.settle(row, Outcome::NotAttempted, not_attempted, stamp);
                }
            }
        }
        self.open = 0;
        self.ready.clear();
    }

    /// How a row ended; rows that were carried over have no end here.
    pub fn end(&self, row: usize) -> Option<RowEnd<'_>> {
        let slot = self.rows.get(row)?;
        let Stage::Settled(outcome) = slot.stage else { return None };
        let number = u32::try_from(row).ok()?;
        let entry = self.roster.get(row)?;
        let usable = !matches!(entry.state, RowState::Invalid);
        let kind = entry.employee_type.filter(|_| usable);
        let link = kind.and_then(|kind| self.links.link(kind)).map_or("", |link| link.as_str());
        let mut detail = self.notes.show(slot.note);
        if let Some(why) = kind.and_then(|kind| self.links.reason(kind)) {
            let no_link = format!("no invitation link: {why}");
            detail = if detail.is_empty() { no_link.into() } else { format!("{detail}; {no_link}").into() };
        }
        let leader = slot.leader.and_then(|leader| self.rows.get(leader as usize));
        Some(RowEnd {
            user: self.user(number).or_else(|| slot.leader.and_then(|leader| self.user(leader))),
            link,
            active: leader.map_or(slot.active, |leader| leader.active),
            outcome,
            attempts: u32::from(slot.attempts),
            completed_at: (slot.completed_at != 0).then_some(slot.completed_at),
            detail,
        })
    }

    /// Rows settled since this was last asked, in the order in which they were.
    pub fn drain_settled(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.newly_settled)
    }

    /// What an administrator should be told once, since this was last asked.
    pub fn drain_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Rows settled so far, by outcome.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Why no more is sent.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Why nothing more is asked.
    pub fn halted(&self) -> Option<&Halt> {
        self.halt.as_ref()
    }

    /// What every refusal was like, where nothing was accepted.
    pub fn all_refused(&self) -> Option<Manner> {
        self.breaker.all_refused()
    }

    /// Since when and why the portal cannot be reached.
    pub fn down(&self) -> Option<(Moment, &str)> {
        self.contact.down()
    }

    /// Users who are waited for, and when they are looked at next.
    pub fn waiting(&self) -> Option<(u64, Moment)> {
        (self.waiting > 0).then_some(self.waiting).zip(self.poll_at)
    }

    /// Rows whose status is still to be asked, and rows that are ready to be congratulated.
    pub fn backlog(&self) -> (u64, u64) {
        (self.open, u64::try_from(self.ready.len()).unwrap_or(u64::MAX))
    }

    /// How far the run is, in rows.
    pub fn progress(&self) -> Progress {
        Progress {
            rows: u64::try_from(self.rows.len()).unwrap_or(u64::MAX).saturating_sub(self.carried),
            to_check: self.to_check,
            unknown_before: self.unknown_before,
        }
    }

    /// Links that were learned, of all that are needed.
    pub fn link_progress(&self) -> (u32, u32) {
        self.links.progress()
    }

    /// How many valid rows have no link.
    pub fn rows_without_link(&self) -> u64 {
        let lacks = |entry: &&roster::Row| {
            !matches!(entry.state, RowState::Invalid)
                && entry.employee_type.is_some_and(|kind| self.links.link(kind).is_none())
        };
        u64::try_from(self.roster.iter().filter(lacks).count()).unwrap_or(u64::MAX)
    }
}

fn halt_note(halt: &Halt) -> String {
    match halt {
        Halt::KeyRefused => "the portal does not accept the key".to_owned(),
        Halt::Unpaid => "the portal's plan is unpaid or its licence lapsed".to_owned(),
        Halt::Forbidden(fault) if fault.by_another() => format!("the portal was not reached: {fault}"),
        Halt::Forbidden(fault) => format!("the portal refuses this key everything: {fault}"),
        Halt::Failing(fault) => format!("the portal fails at everything: {fault}"),
        Halt::NoPortal => "no DocSpace portal answers at this address, or it is suspended".to_owned(),
        Halt::NotAPortal { .. } => "what answers at this address is not a DocSpace portal".to_owned(),
        Halt::Redirected { host } => format!("the portal sends requests elsewhere, to {host}"),
        Halt::Unreachable(unreachable) => format!("the portal cannot be reached: {}", unreachable.why),
        Halt::TooBusy { .. } => "the portal refused everything for too long".to_owned(),
        Halt::Stopped => "the run was stopped before this row".to_owned(),
        Halt::Storage(_) => "the run stopped since its ledger could not be written".to_owned(),
    }
}
