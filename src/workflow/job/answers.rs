//! What the portal answered to questions, and what follows for the rows.

use super::{Job, Stage, mood::Mood, questions::Tenant};
use crate::{
    attempt::Mail,
    mail::{self, Due},
    outcome::Outcome,
    pace::Moment,
    portal::{ErrorBody, Fault, LinkAnswer, Page, Person},
    reason::{Note, Reason},
    user::{EmployeeType, UserId},
    workflow::{Call, Closed, Halt, Stamp},
};

impl Job<'_> {
    /// The portal answered a question, or not. Returns whether it is asked again.
    fn read_ended<T>(&mut self, call: Call, tries: u32, result: &Result<T, Fault>, stamp: Stamp) -> bool {
        self.questions.in_flight = self.questions.in_flight.saturating_sub(1);
        // That the portal has nobody by this id or address is its answer, too, where the call itself says so.
        let nobody = matches!(result, Err(Fault::Answered { status: 404, body: ErrorBody::Envelope { .. } }) if call.is_about_a_row());
        self.mood.doubt.asked(result.is_ok() || nobody);
        if result.is_ok() || nobody {
            self.mood.did_well();
            self.portal_spoke(stamp);
        }
        let Err(fault) = result else { return false };
        if nobody {
            return false;
        }
        if let Some(halt) = Mood::ends_with(fault) {
            self.mood.answered();
            self.halt(halt);
            return false;
        }
        // A question while the run thinks about its doubts is charged to nobody.
        let tries = if self.mood.doubt.is_braked() { tries.min(1) } else { tries };
        match fault {
            Fault::NotSent { why, for_good } => {
                self.mood.unreachable(why, *for_good, stamp.now);
                // Nobody's fault but the portal's: asked again as soon as it can be reached.
                self.questions.ask_again(stamp.now, call);
                true
            }
            Fault::Refused(_) => {
                self.mood.answered();
                self.questions.ask_again(stamp.now, call);
                true
            }
            Fault::Lost(_) if self.mood.is_silent(stamp.now) => {
                self.questions.ask_again(stamp.now, call);
                true
            }
            _ if self.mood.is_failing(fault, tries == 1 && !matches!(call, Call::Page(_)), stamp.now) => {
                self.questions.ask_again(stamp.now, call);
                true
            }
            Fault::Lost(_) | Fault::Answered { .. } | Fault::Redirected { .. } | Fault::Unreadable(_) => {
                if !matches!(fault, Fault::Lost(_)) {
                    self.mood.answered();
                }
                if let Fault::Unreadable(why) = fault
                    && !matches!(call, Call::Link(_))
                {
                    self.mood.listen_for_nonsense(why);
                }
                let again = fault.worth_asking_again() && tries <= self.policy.retries;
                if again {
                    let at = stamp.now + self.mood.pause(tries);
                    self.questions.ask_again(at, call);
                }
                again
            }
        }
    }

    /// One question was answered as a portal does: refusals of others are about them, not about everybody.
    fn portal_spoke(&mut self, stamp: Stamp) {
        self.mood.speaks = true;
        for (row, fault) in std::mem::take(&mut self.mood.suspects) {
            self.unanswered(row, &fault, stamp);
        }
    }

    /// A question for a link ended.
    pub fn link_came(&mut self, kind: EmployeeType, result: Result<LinkAnswer, Fault>, stamp: Stamp) {
        let tries = if charged(&result) { self.questions.links.failed_once_more(kind) } else { 0 };
        if self.read_ended(Call::Link(kind), tries, &result, stamp) {
            return;
        }
        match result {
            Ok(answer) => self.questions.links.known(kind, answer),
            Err(fault) => self.questions.links.gave_up(kind, &fault),
        }
        if let Some(why) = self.questions.links.reason(kind)
            && self.mood.halt.is_none()
        {
            self.remarks.push(format!("rows of type {kind} get no invitation link: {why}"));
        }
    }

    /// A question for the tenant number ended.
    pub fn tenant_came(&mut self, result: &Result<i64, Fault>, stamp: Stamp) {
        let mut failures = 0;
        if let Tenant::Asked { tries } = &mut self.questions.tenant
            && charged(result)
        {
            *tries += 1;
            failures = *tries;
        }
        if self.read_ended(Call::Tenant, failures, result, stamp) {
            return;
        }
        match result {
            Ok(tenant) => self.questions.tenant = Tenant::Known(*tenant),
            Err(_) if matches!(self.questions.tenant, Tenant::Known(_)) => {}
            Err(fault) => {
                self.questions.tenant = Tenant::NotNeeded;
                self.close(Closed::NoTenant(fault.to_string()));
            }
        }
    }

    /// The portal's tenant number, once known.
    pub fn tenant(&self) -> Option<i64> {
        self.questions.tenant()
    }

    /// A question for a page of the listing ended.
    pub fn page_came(&mut self, start: u64, result: Result<Page, Fault>, stamp: Stamp) {
        // The listing is worth one more try; after that asking one by one is surer.
        let tries = match (charged(&result), self.questions.page_failed) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => u32::MAX,
        };
        self.questions.page_failed |= tries > 0;
        if self.read_ended(Call::Page(start), tries, &result, stamp) {
            return;
        }
        let Ok(page) = result else { return self.questions.survey.failed() };
        if !self.questions.survey.is_news(&page.people) {
            if self.policy.mail == Mail::Invitation {
                // Whoever is not found in it would be invited.
                let why = "its listing repeats itself: a page of it brought nobody new".to_owned();
                self.halt(Halt::NotAPortal { why });
            }
            return self.questions.survey.failed();
        }
        self.questions.survey.came(page.total, page.entries);
        for person in page.people {
            for row in self.rows.led_by(&person).into_iter().flatten() {
                if self.rows.stage(row) == Some(Stage::Due) {
                    self.rows.enter(row, Stage::Asked);
                    self.learned(row, &person, stamp);
                }
            }
        }
    }

    /// A question for one user ended.
    pub fn account_came(&mut self, row: u32, result: Result<Person, Fault>, stamp: Stamp) {
        let tries = if charged(&result) {
            let slot = self.rows.row_mut(row);
            slot.tries = slot.tries.saturating_add(1);
            u32::from(slot.tries)
        } else {
            0
        };
        let call = self.single(row);
        if self.read_ended(call, tries, &result, stamp) {
            return;
        }
        self.rows.row_mut(row).tries = 0;
        match result {
            Ok(person) => self.learned(row, &person, stamp),
            Err(fault) => self.not_answered(row, fault, stamp),
        }
    }

    fn not_answered(&mut self, row: u32, fault: Fault, stamp: Stamp) {
        if self.mood.halt.is_some() {
            return;
        }
        let by_a_gate = matches!(
            &fault,
            Fault::Answered {
                status: 403 | 404,
                body: ErrorBody::Empty | ErrorBody::Other | ErrorBody::Validation { .. } | ErrorBody::Page { .. },
            } | Fault::Answered { status: 500..=599, .. }
                | Fault::Unreadable(_)
        );
        if by_a_gate && !self.mood.speaks {
            self.mood.suspects.push((row, fault));
            self.judge_suspects();
        } else {
            self.unanswered(row, &fault, stamp);
        }
    }

    fn unanswered(&mut self, row: u32, fault: &Fault, stamp: Stamp) {
        let by_address = matches!(self.single(row), Call::Person(_));
        let reason = match fault {
            Fault::Answered { status: 404, body } if by_address => {
                // A gate's 404 says nothing about the address.
                let by_the_call = matches!(body, ErrorBody::Envelope { .. });
                if by_the_call || self.policy.mail == Mail::Congratulation {
                    return self.nobody_has_it(row, stamp);
                }
                Reason::StatusNotLearned(fault.to_string())
            }
            Fault::Answered { status: 404, .. } => Reason::UnknownUser,
            Fault::Answered { status: 403, .. } => Reason::NotVisible,
            other => Reason::StatusNotLearned(other.to_string()),
        };
        self.rows.settle_or_preset(row, Outcome::Failed, reason, stamp);
    }

    /// The portal has nobody with the row's address.
    fn nobody_has_it(&mut self, row: u32, stamp: Stamp) {
        let wanted = self.rows.employee_type(row).unwrap_or(EmployeeType::Guest);
        let due = mail::due_to_nobody(self.policy.mail, wanted);
        self.what_is_due(row, due, stamp);
    }

    /// The portal told of a row's user.
    fn learned(&mut self, row: u32, person: &Person, stamp: Stamp) {
        if let (Tenant::Wanted | Tenant::Asked { .. }, Some(tenant)) = (self.questions.tenant, person.tenant) {
            self.questions.tenant = Tenant::Known(tenant);
        }
        let asked = self.rows.user(row).filter(|_| !self.needs.by_address);
        if let Some(asked) = asked {
            if asked != person.id {
                let reason = if person.id == UserId::PLACEHOLDER {
                    Reason::UnknownUser
                } else {
                    self.mood.met_a_stranger();
                    Reason::AnotherUser
                };
                self.rows.settle_or_preset(row, Outcome::Failed, reason, stamp);
                return;
            }
        } else if person.id.is_nobody() {
            return self.nobody_has_it(row, stamp);
        }
        if let (Some(theirs), Some(ours)) = (person.email.as_ref(), self.rows.email(row))
            && theirs.digest() != ours
        {
            let (outcome, reason) = if asked.is_some() && self.rows.entry(row).is_some_and(|entry| entry.user.is_some())
            {
                (Outcome::Invalid, Reason::IdAndAddressDisagree)
            } else {
                (Outcome::Failed, Reason::AnotherAddress)
            };
            self.rows.settle_for(row, outcome, reason, stamp);
            return;
        }
        if asked.is_none() && !self.rows.resolve(row, person.id, stamp) {
            return;
        }
        self.rows.row_mut(row).active = Some(person.is_active);
        let wanted = self.rows.employee_type(row).unwrap_or(EmployeeType::Guest);
        let due = mail::due(self.policy.mail, person, wanted, self.policy.again);
        self.what_is_due(row, due, stamp);
    }

    /// What the portal tells of a person decides what becomes of the row, unless the ledger has spoken.
    fn what_is_due(&mut self, row: u32, due: Due, stamp: Stamp) {
        match (due, self.rows.row_mut(row).preset) {
            // The portal knows of an invitation what the ledger cannot: whether it was taken up.
            (Due::Never(outcome, reason), Some(preset)) => {
                let theirs = self.policy.mail == Mail::Invitation && outcome != Outcome::Rejected;
                let note = reason.filter(|_| theirs).map_or(Note::None, |reason| self.rows.notes.of(reason));
                if theirs {
                    self.rows.row_mut(row).note = note;
                }
                self.rows.settle(row, if theirs { outcome } else { preset }, note, stamp);
            }
            (Due::Send | Due::SendAgain | Due::Later(_), Some(preset)) => {
                self.rows.settle(row, preset, Note::None, stamp);
            }
            (Due::Send, None) => self.is_due(row, false, stamp),
            (Due::SendAgain, None) => self.is_due(row, true, stamp),
            (Due::Later(reason), None) => self.is_due_later(row, reason, stamp),
            (Due::Never(outcome, reason), None) => {
                let note = reason.map_or(Note::None, |reason| self.rows.notes.of(reason));
                self.rows.settle(row, outcome, note, stamp);
            }
        }
    }

    fn is_due(&mut self, row: u32, again: bool, stamp: Stamp) {
        self.rows.row_mut(row).note = Note::None;
        if self.mood.closed.is_some() {
            self.rows.settle_for(row, Outcome::NotAttempted, self.closed_reason(), stamp);
            return;
        }
        self.rows.enter(row, Stage::Ready);
        self.rows.row_mut(row).again = again;
        self.outbox.put(row, again, stamp.now);
    }

    fn is_due_later(&mut self, row: u32, reason: Reason, stamp: Stamp) {
        let wait = self.policy.wait.filter(|wait| stamp.now < Moment::START + wait.at_most);
        if let Some(wait) = wait.filter(|_| self.mood.closed.is_none()) {
            self.rows.enter(row, Stage::Waiting);
            self.rows.row_mut(row).note = self.rows.notes.of(reason);
            self.questions.poll_at.get_or_insert(stamp.now + wait.poll);
        } else {
            self.rows.settle_for(row, Outcome::NotActive, reason, stamp);
        }
    }
}

/// Whether a failure counts against the tries of whoever asked: not where nothing left, nor where it was refused.
fn charged<T>(result: &Result<T, Fault>) -> bool {
    !matches!(result, Ok(_) | Err(Fault::NotSent { .. } | Fault::Refused(_)))
}
