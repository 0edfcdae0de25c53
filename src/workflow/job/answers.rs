//! What the portal answered to questions, and what follows for the rows.

use std::cmp::Reverse;

use super::{FIRST_QUESTIONS, Job, Stage, Tenant, by_email, by_user, halting};
use crate::{
    outcome::Outcome,
    pace::Moment,
    portal::{ErrorBody, Fault, LinkAnswer, Page, Person, PersonStatus},
    user::{EmployeeType, UserId},
    workflow::{Call, Closed, Halt, Stamp, note::Note},
};

/// After so many answers about somebody else, nothing that is there is believed.
const STRANGERS: u32 = 3;

/// After so many questions in a row without any answer, the portal counts as gone.
const SILENCE: u32 = 5;
const SILENT: &str = "it takes connections, but does not answer";

impl Job<'_> {
    /// The portal answered a question, or not. Returns whether it is asked again.
    fn read_ended<T>(&mut self, call: Call, tries: u32, result: &Result<T, Fault>, stamp: Stamp) -> bool {
        self.reads_in_flight = self.reads_in_flight.saturating_sub(1);
        let Err(fault) = result else {
            self.portal_answered();
            self.doubts = 0;
            self.portal_spoke(stamp);
            return false;
        };
        if let Some(halt) = halting(fault) {
            self.portal_answered();
            self.halt(halt);
            return false;
        }
        match fault {
            Fault::NotSent { why, for_good } => {
                self.unreachable(why, *for_good, stamp);
                // Nobody's fault but the portal's: asked again as soon as it can be reached.
                self.again.push(Reverse((stamp.now, call)));
                true
            }
            Fault::Refused(_) => {
                self.portal_answered();
                self.again.push(Reverse((stamp.now, call)));
                true
            }
            // A portal that takes connections and answers nobody is as gone as one that takes none.
            Fault::Lost(_) if self.is_silent() => {
                self.unreachable(SILENT, false, stamp);
                self.again.push(Reverse((stamp.now, call)));
                true
            }
            Fault::Lost(_) | Fault::Answered { .. } | Fault::Redirected { .. } | Fault::Unreadable(_) => {
                if !matches!(fault, Fault::Lost(_)) {
                    self.portal_answered();
                }
                if let Fault::Unreadable(why) = fault
                    && !matches!(call, Call::Link(_))
                {
                    self.listen_for_nonsense(why);
                }
                let again = fault.worth_asking_again() && tries <= self.policy.retries;
                if again {
                    let at = stamp.now + self.backoff.pause(tries);
                    self.again.push(Reverse((at, call)));
                }
                again
            }
        }
    }

    /// One more question was lost: whether so many were, one after the other, that it is nobody's own misfortune.
    fn is_silent(&mut self) -> bool {
        self.silent += 1;
        self.silent >= SILENCE || self.contact.down().is_some()
    }

    /// A web page, a login of a public network, another server: whatever it is, it is asked no more.
    fn listen_for_nonsense(&mut self, why: &str) {
        self.nonsense += 1;
        if !self.portal_speaks && self.nonsense >= FIRST_QUESTIONS {
            self.halt(Halt::NotAPortal { why: why.to_owned() });
        }
    }

    /// One question was answered as a portal does: refusals of others are about them, not about everybody.
    fn portal_spoke(&mut self, stamp: Stamp) {
        self.portal_speaks = true;
        for (row, fault) in std::mem::take(&mut self.suspects) {
            self.unanswered(row, &fault, stamp);
        }
    }

    /// A question for a link ended.
    pub fn link_came(&mut self, kind: EmployeeType, result: Result<LinkAnswer, Fault>, stamp: Stamp) {
        let tries = if charged(&result) { self.links.failed_once_more(kind) } else { 0 };
        if self.read_ended(Call::Link(kind), tries, &result, stamp) {
            return;
        }
        match result {
            Ok(answer) => self.links.known(kind, answer),
            Err(fault) => self.links.gave_up(kind, &fault),
        }
        if let Some(why) = self.links.reason(kind)
            && self.halt.is_none()
        {
            self.remarks.push(format!("rows of type {kind} get no invitation link: {why}"));
        }
    }

    /// A question for the tenant number ended.
    pub fn tenant_came(&mut self, result: &Result<i64, Fault>, stamp: Stamp) {
        let mut failures = 0;
        if let Tenant::Asked { tries } = &mut self.tenant
            && charged(result)
        {
            *tries += 1;
            failures = *tries;
        }
        if self.read_ended(Call::Tenant, failures, result, stamp) {
            return;
        }
        match result {
            Ok(tenant) => self.tenant = Tenant::Known(*tenant),
            Err(_) if matches!(self.tenant, Tenant::Known(_)) => {}
            Err(fault) => {
                self.tenant = Tenant::NotNeeded;
                self.close(Closed::NoTenant(fault.to_string()));
            }
        }
    }

    /// The portal's tenant number, once known.
    pub fn tenant(&self) -> Option<i64> {
        match self.tenant {
            Tenant::Known(tenant) => Some(tenant),
            Tenant::NotNeeded | Tenant::Wanted | Tenant::Asked { .. } => None,
        }
    }

    /// A question for a page of the listing ended.
    pub fn page_came(&mut self, start: u64, result: Result<Page, Fault>, stamp: Stamp) {
        // The listing is worth one more try; after that asking one by one is surer.
        let tries = match (charged(&result), self.page_failed) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => u32::MAX,
        };
        self.page_failed |= tries > 0;
        if self.read_ended(Call::Page(start), tries, &result, stamp) {
            return;
        }
        match result {
            Ok(page) => {
                self.survey.came(page.total, page.entries);
                for account in page.people {
                    for row in self.leaders_of(&account).into_iter().flatten() {
                        if self.stage(row) == Some(Stage::Due) {
                            self.open = self.open.saturating_sub(1);
                            self.row_mut(row).stage = Stage::Asked;
                            self.learned(row, &account, stamp);
                        }
                    }
                }
            }
            Err(_) => self.survey.failed(),
        }
    }

    /// The rows that this account is about: by its id, and by its address; the earlier one first.
    fn leaders_of(&self, account: &Person) -> [Option<u32>; 2] {
        let by_id = self.leader(account.id);
        let digest = account.email.as_ref().filter(|_| !self.by_email.is_empty()).map(crate::user::Email::digest);
        let by_email = digest.and_then(|digest| self.by_email.find(digest.0, |row| by_email(self.entry(row))));
        if by_email.is_some() && by_email < by_id { [by_email, by_id] } else { [by_id, by_email] }
    }

    /// The row that gives this id, and leads.
    fn leader(&self, user: UserId) -> Option<u32> {
        self.by_user.find(*user.as_bytes(), |row| by_user(self.entry(row)))
    }

    /// A question for one user ended.
    pub fn account_came(&mut self, row: u32, result: Result<Person, Fault>, stamp: Stamp) {
        let tries = if charged(&result) {
            let slot = self.row_mut(row);
            slot.tries = slot.tries.saturating_add(1);
            u32::from(slot.tries)
        } else {
            0
        };
        let call = self.single(row);
        if self.read_ended(call, tries, &result, stamp) {
            return;
        }
        self.row_mut(row).tries = 0;
        match result {
            Ok(account) => self.learned(row, &account, stamp),
            Err(fault) => self.not_answered(row, fault, stamp),
        }
    }

    fn not_answered(&mut self, row: u32, fault: Fault, stamp: Stamp) {
        if self.halt.is_some() {
            return;
        }
        let by_a_gate = matches!(
            &fault,
            Fault::Answered {
                status: 403 | 404,
                body: ErrorBody::Empty | ErrorBody::Other | ErrorBody::Validation | ErrorBody::Page { .. },
            } | Fault::Answered { status: 500..=599, .. }
                | Fault::Unreadable(_)
        );
        if by_a_gate && !self.portal_speaks {
            self.suspects.push((row, fault));
            self.judge_suspects();
        } else {
            self.unanswered(row, &fault, stamp);
        }
    }

    /// Enough refusals by a gate, and no answer: it is about everybody.
    pub(super) fn judge_suspects(&mut self) {
        if self.suspects.is_empty() {
            return;
        }
        let nothing_else =
            self.reads_in_flight == 0 && self.open == 0 && self.again.is_empty() && !self.links.pending();
        if u32::try_from(self.suspects.len()).unwrap_or(u32::MAX) < FIRST_QUESTIONS && !nothing_else {
            return;
        }
        let Some((_, fault)) = self.suspects.first() else { return };
        let halt = match fault {
            Fault::Answered { status: 404, .. } => Halt::NoPortal,
            Fault::Answered { status: 500..=599, .. } => Halt::Failing(fault.clone()),
            Fault::Unreadable(why) => Halt::NotAPortal { why: (*why).to_owned() },
            other => Halt::Forbidden(other.clone()),
        };
        self.halt(halt);
    }

    fn unanswered(&mut self, row: u32, fault: &Fault, stamp: Stamp) {
        if let Some(outcome) = self.row_mut(row).preset {
            self.settle(row, outcome, Note::None, stamp);
            return;
        }
        let by_address = self.user(row).is_none();
        let text = match fault {
            Fault::Answered { status: 404, .. } if by_address => "the portal knows nobody with this address".to_owned(),
            Fault::Answered { status: 404, .. } => {
                "the portal does not know this user (or the account was removed)".to_owned()
            }
            Fault::Answered { status: 403, .. } => "this key may not see the user".to_owned(),
            other => format!("the status could not be learned: {other}"),
        };
        let note = self.notes.text(text);
        self.settle(row, Outcome::Failed, note, stamp);
    }

    /// The portal told of a row's user.
    fn learned(&mut self, row: u32, account: &Person, stamp: Stamp) {
        if let (Tenant::Wanted | Tenant::Asked { .. }, Some(tenant)) = (self.tenant, account.tenant) {
            self.tenant = Tenant::Known(tenant);
        }
        if let Some(asked) = self.user(row) {
            if asked != account.id {
                let unknown = account.id == UserId::PLACEHOLDER;
                self.strangers += u32::from(!unknown);
                if self.strangers >= STRANGERS {
                    self.halt(Halt::NotAPortal {
                        why: "its answers are about other users than those asked for".to_owned(),
                    });
                }
                let note = self.notes.text(if unknown {
                    "the portal does not know this user (or the account was removed)"
                } else {
                    "the portal answered about another user; nothing was sent"
                });
                self.settle_or_preset(row, Outcome::Failed, note, stamp);
                return;
            }
        } else if account.id.is_nobody() {
            let note = self.notes.text("the portal knows nobody with this address");
            self.settle(row, Outcome::Failed, note, stamp);
            return;
        }
        if let (Some(theirs), Some(ours)) = (account.email.as_ref(), self.email(row))
            && theirs.digest() != ours
        {
            let text = if self.entry(row).is_some_and(|entry| entry.user.is_some()) {
                "the user id and the e-mail address are not the same person's on the portal"
            } else {
                "the portal answered about another address; nothing was sent"
            };
            let note = self.notes.text(text);
            let by_id = self.entry(row).is_some_and(|entry| entry.user.is_some());
            self.settle(row, if by_id { Outcome::Invalid } else { Outcome::Failed }, note, stamp);
            return;
        }
        if self.user(row).is_none() && !self.resolve(row, account.id, stamp) {
            return;
        }
        self.row_mut(row).active = Some(account.is_active);
        if let Some(outcome) = self.row_mut(row).preset {
            self.settle(row, outcome, Note::None, stamp);
        } else if account.is_due() {
            self.is_due(row, stamp);
        } else {
            self.is_not_due(row, account, stamp);
        }
    }

    fn settle_or_preset(&mut self, row: u32, outcome: Outcome, note: Note, stamp: Stamp) {
        match self.row_mut(row).preset {
            Some(preset) => self.settle(row, preset, Note::None, stamp),
            None => self.settle(row, outcome, note, stamp),
        }
    }

    /// An address turned out to be this user's. `false` where another row leads for that user.
    fn resolve(&mut self, row: u32, user: UserId, stamp: Stamp) -> bool {
        self.resolved.insert(row, user);
        let other = self.leader(user);
        // A row whose id and address are not the same person's leads nobody; one person may have two addresses.
        let disagrees = |other: &u32| self.email(*other).is_some_and(|theirs| self.email(row) != Some(theirs));
        let other = other.filter(|other| !disagrees(other)).or_else(|| self.resolved_rows.get(&user).copied());
        let Some(other) = other else {
            self.resolved_rows.insert(user, row);
            return true;
        };
        // The earlier row leads, unless the later one already moved.
        let other_waits = self.stage(other) == Some(Stage::Due);
        let (leader, follower) = if other > row && other_waits { (row, other) } else { (other, row) };
        if follower == other {
            self.open = self.open.saturating_sub(1);
        }
        let note = self.notes.text(format!("the user stands in row {}", u64::from(leader) + 1));
        self.row_mut(follower).leader = Some(leader);
        self.settle(follower, Outcome::Duplicate, note, stamp);
        leader == row
    }

    fn is_due(&mut self, row: u32, stamp: Stamp) {
        self.row_mut(row).note = Note::None;
        if self.closed.is_some() {
            let note = self.closed_note();
            self.settle(row, Outcome::NotAttempted, note, stamp);
            return;
        }
        self.row_mut(row).stage = Stage::Ready;
        self.ready.push_back((row, stamp.now));
    }

    fn is_not_due(&mut self, row: u32, account: &Person, stamp: Stamp) {
        let (text, may_change) = match account {
            Person { removed: true, .. } => ("the account was removed", false),
            Person { status: Some(PersonStatus::Disabled), .. } => ("the account is disabled", false),
            Person { status: Some(PersonStatus::Pending), .. } => ("invited, but has not joined yet", true),
            Person { is_active: false, .. } => ("has not confirmed the e-mail address yet", true),
            Person { .. } => ("the account is neither enabled nor pending", false),
        };
        let note = self.notes.text(text);
        let wait = self.policy.wait.filter(|wait| stamp.now < Moment::START + wait.at_most);
        if let Some(wait) = wait.filter(|_| may_change && self.closed.is_none()) {
            let slot = self.row_mut(row);
            slot.stage = Stage::Waiting;
            slot.note = note;
            self.waiting += 1;
            self.poll_at.get_or_insert(stamp.now + wait.poll);
        } else {
            self.settle(row, Outcome::NotActive, note, stamp);
        }
    }
}

/// Whether a failure counts against the tries of whoever asked: not where nothing left, nor where it was refused.
fn charged<T>(result: &Result<T, Fault>) -> bool {
    !matches!(result, Ok(_) | Err(Fault::NotSent { .. } | Fault::Refused(_)))
}
