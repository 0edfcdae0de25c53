//! The end of a run, and where it stands before.

use super::{Job, Progress, Stage};
use crate::{
    code::Code,
    outcome::{Outcome, RowEnd, Tally},
    pace::{Moment, Work},
    reason::{self, Note, Reason},
    workflow::{Closed, Halt, Manner, Stamp},
};

impl Job<'_> {
    /// No further message leaves; links and statuses are still learned.
    pub fn close(&mut self, closed: Closed) {
        self.mood.close(closed);
    }

    pub(super) fn closed_reason(&self) -> Reason {
        Reason::RunEnded(match &self.mood.closed {
            Some(Closed::RefusedAlike(_)) => reason::Stop::RefusedAlike(self.policy.mail),
            Some(Closed::Limit) => reason::Stop::Limit,
            Some(Closed::Daily) => reason::Stop::Daily,
            Some(Closed::MailServer(stop)) => stop.clone(),
            Some(Closed::NoTenant(_)) => reason::Stop::NoTenant,
            Some(Closed::PortalsDaily(_)) => reason::Stop::PortalsDaily,
            Some(Closed::PortalsInvitations(said)) => reason::Stop::PortalsInvitations(said.clone()),
            None => reason::Stop::Early,
        })
    }

    /// Settles what is ready but may not leave any more.
    pub fn drop_ready(&mut self, stamp: Stamp) {
        self.pretend(stamp);
        if self.mood.closed.is_none() {
            return;
        }
        let reason = self.closed_reason();
        for row in self.outbox.drain() {
            self.rows.settle_for(row, Outcome::NotAttempted, reason.clone(), stamp);
        }
    }

    /// Whether everything that can be learned and done was.
    pub fn is_finished(&self) -> bool {
        let idle = self.questions.in_flight == 0 && self.outbox.in_flight == 0;
        let nothing_left =
            self.rows.due == 0 && self.rows.waiting == 0 && self.outbox.is_empty() && self.questions.is_done();
        idle && (self.mood.halt.is_some() || nothing_left)
    }

    /// Whether anything is on its way.
    pub fn in_flight(&self) -> (u32, u32) {
        (self.questions.in_flight, self.outbox.in_flight)
    }

    /// The end: whatever is not settled was not attempted, or (users still waited for) is not active.
    /// A message of which no end was seen may have been sent.
    pub fn conclude(&mut self, stamp: Stamp) {
        let not_attempted = match &self.mood.halt {
            Some(halt) => Reason::RunEnded(self.end_by(halt)),
            None => self.closed_reason(),
        };
        let not_attempted = self.rows.notes.of(not_attempted);
        let why = "the run was stopped before the answer came".to_owned();
        let doubtful = self.rows.notes.of(Reason::MayHaveBeenSent { mail: self.policy.mail, why });
        for row in self.rows.numbers() {
            let Some(slot) = self.rows.get(row) else { continue };
            match (slot.stage, slot.preset) {
                (Stage::Settled(_) | Stage::Carried, _) => {}
                (Stage::Due | Stage::Asked, Some(preset)) => self.rows.settle(row, preset, Note::None, stamp),
                (Stage::Waiting, _) => self.rows.settle(row, Outcome::NotActive, Note::None, stamp),
                (Stage::Sending, _) => {
                    self.rows.count_attempt(row);
                    self.rows.settle(row, Outcome::Unknown, doubtful, stamp);
                }
                (Stage::Due | Stage::Asked | Stage::Ready, _) => {
                    self.rows.settle(row, Outcome::NotAttempted, not_attempted, stamp);
                }
            }
        }
        drop(self.outbox.drain());
        self.questions.links.conclude();
    }

    /// The stable name of why it ended before its rows did, or sent no more.
    pub fn stop_code(&self) -> Option<Code> {
        match (&self.mood.halt, &self.mood.closed) {
            (Some(halt), _) => Some(self.end_by(halt).code()),
            (None, Some(_)) => Some(self.closed_reason().code()),
            (None, None) => self.all_refused().map(|_| Code::RefusedAlike),
        }
    }

    fn end_by(&self, halt: &Halt) -> reason::Stop {
        match halt {
            Halt::KeyRefused => reason::Stop::KeyRefused,
            Halt::Unpaid => reason::Stop::Unpaid,
            Halt::Forbidden(fault) if fault.by_another() => reason::Stop::NotReached(fault.to_string()),
            Halt::Forbidden(fault) => reason::Stop::RefusedEverything(fault.to_string()),
            Halt::Failing(fault) => reason::Stop::FailsAtEverything(fault.to_string()),
            Halt::NoPortal => reason::Stop::NoPortal,
            Halt::NotAPortal { .. } => reason::Stop::NotAPortal,
            Halt::Redirected { host } => reason::Stop::SentElsewhere(host.clone()),
            Halt::Unreachable(unreachable) => reason::Stop::Unreachable(unreachable.why.clone()),
            Halt::TooBusy { .. } => reason::Stop::TooBusy,
            Halt::InDoubt { .. } => reason::Stop::InDoubt(self.policy.mail),
            Halt::Stopped => reason::Stop::Stopped,
            Halt::Time => reason::Stop::Time,
            Halt::Storage(_) => reason::Stop::Storage,
        }
    }

    /// How a row ended; rows that were carried over have no end here.
    pub fn end(&self, row: usize) -> Option<RowEnd<'_>> {
        let row = u32::try_from(row).ok()?;
        let mut end = self.rows.end(row)?;
        let Some(kind) = self.rows.employee_type(row) else { return Some(end) };
        end.link = self.questions.links.link(kind).map_or("", |link| link.as_str());
        if let Some(why) = self.questions.links.reason(kind) {
            let no_link = format!("no invitation link: {why}");
            end.detail =
                if end.detail.is_empty() { no_link.into() } else { format!("{}; {no_link}", end.detail).into() };
        }
        Some(end)
    }

    /// Rows settled since this was last asked, in the order in which they were.
    pub fn drain_settled(&mut self) -> Vec<u32> {
        self.rows.drain_settled()
    }

    /// What an administrator should be told once, since this was last asked.
    pub fn drain_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Rows settled so far, by outcome.
    pub fn tally(&self) -> &Tally {
        &self.rows.tally
    }

    /// In a dry run, to how many people it would be sent.
    pub fn would_send(&self) -> Option<u64> {
        self.policy.dry_run.then_some(self.outbox.sent)
    }

    /// Why no more is sent.
    pub fn closed(&self) -> Option<&Closed> {
        self.mood.closed.as_ref()
    }

    /// Why nothing more is asked.
    pub fn halted(&self) -> Option<&Halt> {
        self.mood.halt.as_ref()
    }

    /// What every refusal was like, where nothing was accepted.
    pub fn all_refused(&self) -> Option<Manner> {
        self.mood.breaker.all_refused()
    }

    /// Since when and why the portal cannot be reached.
    pub fn down(&self) -> Option<(Moment, &str)> {
        self.mood.contact.down()
    }

    /// Users who are waited for, and when they are looked at next.
    pub fn waiting(&self) -> Option<(u64, Moment)> {
        (self.rows.waiting > 0).then_some(self.rows.waiting).zip(self.questions.poll_at)
    }

    /// When those can be sent it who were sent it before, where nothing else is left to do.
    pub fn sends_again_at(&self, now: Moment) -> Option<Moment> {
        let nothing_else = self.rows.due == 0 && self.in_flight() == (0, 0) && self.mood.halt.is_none();
        self.outbox.waits_for_its_turn(now).filter(|_| nothing_else)
    }

    /// Rows whose status is still to be asked, and rows that are ready to be sent.
    pub fn backlog(&self) -> (u64, u64) {
        (self.rows.due, u64::try_from(self.outbox.len()).unwrap_or(u64::MAX))
    }

    /// What is still to leave, as far as is known: whoever was not asked about yet counts as those before.
    pub fn work_left(&self) -> Work {
        if self.mood.halt.is_some() {
            return Work::default();
        }
        let ready = self.outbox.letters().saturating_add(self.rows.expected());
        let sends = self.mood.closed.is_none() && !self.policy.dry_run;
        let writes = if sends { ready.min(self.may_be_sent()) } else { 0 };
        Work { reads: self.questions.left(self.rows.due), writes }
    }

    /// The run does not end before the first of these moments, nor after the second one, where there are such: when the
    /// last of those can be sent it who were sent it before, and when its time is over.
    pub fn bounds(&self, now: Moment) -> (Option<Moment>, Option<Moment>) {
        let sends = self.mood.closed.is_none() && self.mood.halt.is_none();
        (self.outbox.last_leaves(now).filter(|_| sends), self.policy.ends_at)
    }

    /// How far the run is, in rows.
    pub fn progress(&self) -> Progress {
        Progress { rows: self.rows.touched(), to_check: self.questions.to_check, unknown_before: self.unknown_before }
    }

    /// Links that were learned, of all that are needed.
    pub fn link_progress(&self) -> (u32, u32) {
        self.questions.links.progress()
    }

    /// How many valid rows have no link, where links are needed.
    pub fn rows_without_link(&self) -> u64 {
        if !self.needs.links {
            return 0;
        }
        let lacks =
            |row: &u32| self.rows.employee_type(*row).is_some_and(|kind| self.questions.links.link(kind).is_none());
        u64::try_from(self.rows.numbers().filter(lacks).count()).unwrap_or(u64::MAX)
    }
}
