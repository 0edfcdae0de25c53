//! What to ask and what to send next.

use super::{Job, Stage, mood::FIRST_QUESTIONS, questions::Tenant};
use crate::{
    outcome::Outcome,
    pace::Moment,
    reason::{Note, Reason},
    workflow::{
        Call, Closed, Halt, Letter, Stamp,
        links::Links,
        survey::{Advice, Survey},
    },
};

/// With so many rows ready to be sent, no further status is asked: what is learned early grows old.
const ENOUGH_READY: usize = 500;

impl Job<'_> {
    /// The next question that may leave now, as far as the job is concerned.
    pub fn peek_read(&mut self, now: Moment) -> Option<Call> {
        if self.mood.halt.is_some() || !self.mood.contact.open(now) {
            return None;
        }
        if self.mood.doubt.is_braked() {
            // Everything is awaited, then one question is enough.
            if self.questions.in_flight > 0 || self.outbox.in_flight > 0 {
                return None;
            }
            return self.next_question(now).or_else(|| self.outbox.first().map(|row| self.single(row)));
        }
        self.next_question(now)
    }

    fn next_question(&mut self, now: Moment) -> Option<Call> {
        if let Some(call) = self.questions.due_again(now) {
            return Some(call);
        }
        if let Some(kind) = self.questions.links.next() {
            return Some(Links::call(kind));
        }
        if self.questions.tenant == Tenant::Wanted && !self.outbox.is_empty() {
            return Some(Call::Tenant);
        }
        let pages_ready = usize::try_from(self.questions.survey.in_flight()).unwrap_or(0) * 100;
        let due = self.rows.due;
        if due > 0 && (self.outbox.len() + pages_ready < ENOUGH_READY || self.mood.closed.is_some()) {
            match self.questions.survey.advise(due) {
                Advice::Page(start) => return Some(Call::Page(start)),
                Advice::Wait => return None,
                Advice::OneByOne => {
                    if self.mood.speaks || self.questions.in_flight < FIRST_QUESTIONS {
                        return self.next_single();
                    }
                }
            }
        }
        None
    }

    fn next_single(&mut self) -> Option<Call> {
        while let Some(stage) = self.rows.stage(self.questions.cursor) {
            if stage == Stage::Due {
                return Some(self.single(self.questions.cursor));
            }
            self.questions.cursor += 1;
        }
        None
    }

    pub(super) fn single(&self, row: u32) -> Call {
        if self.rows.user(row).is_some() && !self.needs.by_address { Call::Account(row) } else { Call::Person(row) }
    }

    /// The question that was peeked leaves.
    pub fn take_read(&mut self, call: Call) {
        self.mood.contact.leaving();
        self.mood.doubt.asking();
        self.questions.in_flight += 1;
        if self.questions.take_again(call) {
            return;
        }
        match call {
            Call::Link(kind) => self.questions.links.asked(kind),
            Call::Page(_) => self.questions.survey.asked(),
            Call::Tenant => self.questions.tenant = Tenant::Asked { tries: 0 },
            Call::Account(row) | Call::Person(row) => {
                if self.rows.stage(row) != Some(Stage::Due) {
                    self.outbox.remove(row);
                }
                self.rows.enter(row, Stage::Asked);
            }
        }
    }

    /// Whether a message may leave now, as far as the job is concerned.
    pub fn wants_write(&mut self, now: Moment) -> bool {
        let stopped = self.mood.halt.is_some() || self.mood.closed.is_some() || self.policy.dry_run;
        if stopped || self.outbox.is_empty() || !self.mood.contact.open(now) {
            return false;
        }
        if let Some(message) = self.policy.by_mail {
            // Whether there is a link is known for all, or it is not sent to any.
            let waits = message.invite_link && self.questions.links.pending();
            if waits || !self.mood.mails.admits(self.outbox.in_flight, now) {
                return false;
            }
        }
        let in_flight = self.outbox.in_flight;
        if self.may_be_sent() == 0 {
            if in_flight == 0 {
                self.close_by_limit();
            }
            return false;
        }
        // A row whose answer grew old goes back to be asked again.
        let all_known = self.knows_all();
        while let Some(row) = self.outbox.take_stale(now, self.needs.fresh_for, all_known) {
            self.rows.enter(row, Stage::Asked);
            let call = self.single(row);
            self.questions.ask_again(now, call);
        }
        self.questions.can_sign()
            && self.mood.doubt.admits(in_flight)
            && self.mood.breaker.admits(in_flight)
            && self.outbox.has_something(now, self.knows_all())
    }

    /// Whether no question is open whose answer may bring somebody else to whom it is sent.
    fn knows_all(&self) -> bool {
        self.nobody_is_due() && self.questions.is_done()
    }

    /// Whether every status was asked for, and every question answered.
    fn nobody_is_due(&self) -> bool {
        self.rows.due == 0 && self.questions.in_flight == 0
    }

    /// To how many more people it may be sent, by the limits of the run and of the day.
    pub(super) fn may_be_sent(&self) -> u64 {
        let in_flight = u64::from(self.outbox.in_flight);
        let of_the_day = self.policy.daily_left.saturating_sub(self.outbox.counted + in_flight);
        let of_the_run = self.policy.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.outbox.sent + in_flight));
        of_the_day.min(of_the_run)
    }

    fn close_by_limit(&mut self) {
        let by_limit = self.policy.limit.is_some_and(|limit| self.outbox.sent >= limit);
        self.close(if by_limit { Closed::Limit } else { Closed::Daily });
    }

    /// In a dry run, settles what is ready as what would be sent, by the same limits.
    pub(super) fn pretend(&mut self, stamp: Stamp) {
        let stopped = self.mood.halt.is_some() || self.mood.closed.is_some();
        if stopped || !self.policy.dry_run || !self.questions.can_sign() {
            return;
        }
        while !self.outbox.is_empty() {
            if self.may_be_sent() == 0 {
                return self.close_by_limit();
            }
            let Some(row) = self.outbox.pretend() else { return };
            self.rows.settle_for(row, Outcome::NotAttempted, Reason::WouldBeSent, stamp);
        }
    }

    /// The rows whose message leaves next.
    pub fn take_letter(&mut self, now: Moment) -> Option<Letter> {
        let in_flight = self.outbox.in_flight;
        let at_most = self.may_be_sent().min(self.mood.breaker.room(in_flight)).min(self.mood.doubt.room());
        let (rows, again) = self.outbox.take(now, at_most, self.knows_all())?;
        match self.policy.by_mail {
            Some(_) => self.mood.mails.leaving(),
            None => self.mood.contact.leaving(),
        }
        for row in &rows {
            self.rows.enter(*row, Stage::Sending);
        }
        Some(Letter { rows, again })
    }

    /// When something may change without an answer from outside.
    pub fn wake(&self) -> Option<Moment> {
        if self.mood.halt.is_some() {
            return None;
        }
        let questions = &self.questions;
        let poll = questions.poll_at.filter(|_| self.rows.waiting > 0 && self.nobody_is_due());
        let wait_end = self.policy.wait.filter(|_| self.rows.waiting > 0).map(|wait| Moment::START + wait.at_most);
        let patience = self.mood.doubt.ends_at();
        // While the portal is down, nothing but the next probe matters.
        let contact = self.mood.contact.wake();
        let ends_at = self.policy.ends_at;
        if self.mood.contact.down().is_some() {
            return [contact, patience, ends_at].into_iter().flatten().min();
        }
        let mails = self.mood.mails.wake(self.now).filter(|_| self.policy.by_mail.is_some() && !self.outbox.is_empty());
        [questions.wake(), mails, poll, wait_end, patience, self.outbox.wake(), ends_at].into_iter().flatten().min()
    }

    /// Looks at the clock, and at what came: outages that last too long, refusals that are about everybody, users to look
    /// at again.
    pub fn tick(&mut self, stamp: Stamp) {
        self.now = stamp.now;
        self.mood.tick(stamp.now);
        self.tick_mails(stamp);
        if self.policy.ends_at.is_some_and(|at| stamp.now >= at) && self.mood.halt.is_none() && !self.is_finished() {
            self.halt(Halt::Time);
            self.remarks.push(
                "--max-duration is over: what is in flight may finish, nothing new leaves (a signal stops at once)"
                    .to_owned(),
            );
        }
        // What came last may have been no status, but what their verdict waited for.
        self.judge_suspects();
        let Some(wait) = self.policy.wait else { return };
        if self.rows.waiting == 0 {
            return;
        }
        let over = stamp.now >= Moment::START + wait.at_most || self.mood.closed.is_some();
        let poll = self.questions.poll_at.is_some_and(|at| stamp.now >= at) && self.nobody_is_due();
        if !over && !poll {
            return;
        }
        for row in self.rows.numbers() {
            if self.rows.stage(row) != Some(Stage::Waiting) {
                continue;
            }
            if over {
                self.rows.settle(row, Outcome::NotActive, Note::None, stamp);
            } else {
                self.rows.enter(row, Stage::Due);
            }
        }
        self.questions.poll_at = None;
        self.questions.cursor = 0;
        self.questions.survey = Survey::new(self.needs.pages_from);
    }

    pub(super) fn judge_suspects(&mut self) {
        if self.mood.suspects.is_empty() {
            return;
        }
        let nothing_else = self.knows_all();
        self.mood.judge_suspects(nothing_else);
    }
}
