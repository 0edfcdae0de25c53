//! All rows of a run on their way.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    time::Duration,
};

use super::{
    Call, Closed, Earlier, Ending, Halt, Policy, Stamp,
    backoff::Backoff,
    breaker::Breaker,
    contact::Contact,
    links::Links,
    note::{Note, Notes},
    survey::{Advice, Survey},
};
use crate::{
    outcome::{Outcome, Tally},
    pace::Moment,
    portal::{Account, AccountStatus, Effect, ErrorBody, Fault, LinkAnswer, Page},
    roster::{self, RowState},
    user::{EmailDigest, UserId},
};

/// What is known of a user must be younger than this when the congratulation leaves, else it is asked again.
const STALE_AFTER: Duration = Duration::from_secs(300);
/// With so many rows ready to be sent, no further status is asked: what is learned early grows old.
const ENOUGH_READY: usize = 500;
/// Until the portal has answered one question as a portal does, no more than so many are out.
const FIRST_QUESTIONS: u32 = 5;
/// After so many endings in a row that nobody can be sure of, the next congratulation waits for a question to succeed.
const DOUBTS: u32 = 3;
/// After so many answers about somebody else, nothing that is there is believed.
const STRANGERS: u32 = 3;
/// A connection that cannot be made is the run's trouble, not the row's; but not for ever the same row's.
const UNSENT_AT_MOST: u8 = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not touched by this run (`--only`).
    Carried,
    Due,
    Asked,
    Waiting,
    Ready,
    Sending,
    Settled(Outcome),
}

/// The portal's tenant number, for signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tenant {
    NotNeeded,
    /// Any account that is asked for tells it; else it is asked for once something is ready to be signed.
    Wanted,
    Asked {
        tries: u32,
    },
    Known(i64),
}

#[derive(Debug, Clone, Copy)]
struct Row {
    stage: Stage,
    /// What the ledger says, for a row whose status is asked all the same (`--refresh`).
    preset: Option<Outcome>,
    active: Option<bool>,
    /// The row that leads, for a duplicate.
    leader: Option<u32>,
    note: Note,
    /// Milliseconds since 1970; 0 before.
    completed_at: i64,
    attempts: u16,
    tries: u8,
    unsent: u8,
}

/// How a row ended, for the results.
#[derive(Debug, Clone)]
pub struct RowEnd<'a> {
    /// The user, also where it came from an address.
    pub user: Option<UserId>,
    /// The link, or nothing.
    pub link: &'a str,
    /// The portal's `isActive`, where it was learned.
    pub active: Option<bool>,
    /// The outcome.
    pub outcome: Outcome,
    /// Requests spent on this row's congratulation in this run.
    pub attempts: u32,
    /// When; milliseconds since 1970.
    pub completed_at: Option<i64>,
    /// All reasons, joined by `; `.
    pub detail: Cow<'a, str>,
}

/// How far a run is, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Rows that are not carried over.
    pub rows: u64,
    /// Leading rows whose status is asked for in this run.
    pub to_check: u64,
    /// Rows that were `unknown` from the start.
    pub unknown_before: u64,
}

/// The rows of a run, and everything that decides what is asked and sent next.
#[derive(Debug)]
pub struct Job<'r> {
    roster: &'r [roster::Row],
    policy: Policy,
    rows: Vec<Row>,
    by_user: Vec<u32>,
    by_email: Vec<u32>,
    resolved: HashMap<u32, UserId>,
    resolved_rows: HashMap<UserId, u32>,
    links: Links,
    tenant: Tenant,
    survey: Survey,
    contact: Contact,
    breaker: Breaker,
    backoff: Backoff,
    notes: Notes,
    /// Leading rows whose status is still to be asked for, and how many they were at the start.
    open: u64,
    to_check: u64,
    carried: u64,
    unknown_before: u64,
    cursor: usize,
    ready: VecDeque<(u32, Moment)>,
    again: BinaryHeap<Reverse<(Moment, Call)>>,
    reads_in_flight: u32,
    writes_in_flight: u32,
    /// Rows set aside until it is clear whether their refusal is about them or about everybody.
    suspects: Vec<(u32, Fault)>,
    portal_speaks: bool,
    page_failed: bool,
    /// Answers that no DocSpace portal would give, while it never gave one that it would.
    nonsense: u32,
    /// Answers about somebody else than the user asked for.
    strangers: u32,
    doubts: u32,
    /// Accepted, or perhaps accepted, in this run.
    congratulated: u64,
    /// Writes that the portal's daily limit counts.
    counted: u64,
    waiting: u64,
    poll_at: Option<Moment>,
    closed: Option<Closed>,
    halt: Option<Halt>,
    tally: Tally,
    newly_settled: Vec<u32>,
    remarks: Vec<String>,
}

impl<'r> Job<'r> {
    /// Sets out: `earlier` says what the ledger holds about a user, asked once for each leading row with an id.
    /// `carried` says which rows are not touched at all (`--only`).
    pub fn new<E>(
        roster: &'r [roster::Row],
        policy: Policy,
        carried: impl Fn(usize) -> bool,
        mut earlier: impl FnMut(UserId) -> Result<Option<Earlier>, E>,
        stamp: Stamp,
    ) -> Result<Self, E> {
        let blank = Row {
            stage: Stage::Due,
            preset: None,
            active: None,
            leader: None,
            note: Note::None,
            completed_at: 0,
            attempts: 0,
            tries: 0,
            unsent: 0,
        };
        let mut job = Self {
            roster,
            rows: vec![blank; roster.len()],
            by_user: Vec::new(),
            by_email: Vec::new(),
            resolved: HashMap::new(),
            resolved_rows: HashMap::new(),
            links: Links::default(),
            tenant: if policy.needs_tenant { Tenant::Wanted } else { Tenant::NotNeeded },
            survey: Survey::Unasked,
            contact: Contact::new(policy.retries, policy.outage),
            breaker: Breaker::new(),
            backoff: Backoff::new(policy.seed),
            notes: Notes::default(),
            open: 0,
            to_check: 0,
            carried: 0,
            unknown_before: 0,
            cursor: 0,
            ready: VecDeque::new(),
            again: BinaryHeap::new(),
            reads_in_flight: 0,
            writes_in_flight: 0,
            suspects: Vec::new(),
            portal_speaks: false,
            page_failed: false,
            nonsense: 0,
            strangers: 0,
            doubts: 0,
            congratulated: 0,
            counted: 0,
            waiting: 0,
            poll_at: None,
            closed: None,
            halt: None,
            tally: Tally::default(),
            newly_settled: Vec::new(),
            remarks: Vec::new(),
            policy,
        };
        for (row, entry) in (0u32..).zip(roster) {
            if carried(row as usize) {
                job.row_mut(row).stage = Stage::Carried;
                job.carried += 1;
                continue;
            }
            match entry.state {
                RowState::Invalid => job.settle(row, Outcome::Invalid, Note::None, stamp),
                RowState::Duplicate { of } => {
                    let note = job.notes.text(format!("the user stands in row {of}"));
                    job.row_mut(row).leader = Some(of.saturating_sub(1));
                    job.settle(row, Outcome::Duplicate, note, stamp);
                }
                RowState::Valid => {
                    if entry.user.is_some() {
                        job.by_user.push(row);
                    } else {
                        job.by_email.push(row);
                    }
                    job.open += 1;
                }
            }
            if let Some(kind) = entry.employee_type
                && !matches!(entry.state, RowState::Invalid)
            {
                job.links.need(kind);
            }
        }
        job.by_user.sort_unstable_by_key(|row| roster.get(*row as usize).and_then(|entry| entry.user));
        job.by_email.sort_unstable_by_key(|row| roster.get(*row as usize).and_then(|entry| entry.email));
        for place in 0..job.by_user.len() {
            let Some(row) = job.by_user.get(place).copied() else { continue };
            let Some(user) = job.entry(row).and_then(|entry| entry.user) else { continue };
            if let Some(known) = earlier(user)? {
                job.preset(row, known, stamp);
            }
        }
        job.to_check = job.open;
        job.unknown_before = job.tally.count(Outcome::Unknown);
        Ok(job)
    }

    fn entry(&self, row: u32) -> Option<&'r roster::Row> {
        self.roster.get(row as usize)
    }

    #[expect(clippy::indexing_slicing, reason = "row numbers come from this very roster")]
    fn row_mut(&mut self, row: u32) -> &mut Row {
        &mut self.rows[row as usize]
    }

    fn stage(&self, row: u32) -> Option<Stage> {
        self.rows.get(row as usize).map(|row| row.stage)
    }

    /// The user of a row, once known.
    pub fn user(&self, row: u32) -> Option<UserId> {
        self.entry(row).and_then(|entry| entry.user).or_else(|| self.resolved.get(&row).copied())
    }

    /// The digest of a row's address, where the roster has one.
    pub fn email(&self, row: u32) -> Option<EmailDigest> {
        self.entry(row).and_then(|entry| entry.email)
    }

    fn settle(&mut self, row: u32, outcome: Outcome, note: Note, stamp: Stamp) {
        let slot = self.row_mut(row);
        match slot.stage {
            Stage::Settled(_) | Stage::Carried => return,
            Stage::Due | Stage::Asked | Stage::Waiting | Stage::Ready | Stage::Sending => {}
        }
        slot.stage = Stage::Settled(outcome);
        if note != Note::None || slot.note == Note::None {
            slot.note = note;
        }
        slot.completed_at = stamp.wall.as_millisecond();
        self.tally.add(outcome);
        self.newly_settled.push(row);
    }

    /// Settles a row by what the ledger says of its user.
    fn preset(&mut self, row: u32, earlier: Earlier, stamp: Stamp) {
        let (outcome, note) = match earlier {
            Earlier::Sent { at, run } => (Outcome::AlreadySent, self.notes.accepted(at, &run)),
            Earlier::Unknown { at, run, why } => {
                let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
                let text = format!("{} (run {run}, {at}: {why})", may_have_been_sent(""));
                (Outcome::Unknown, self.notes.text(text))
            }
        };
        let refresh = self.policy.refresh;
        let slot = self.row_mut(row);
        slot.note = note;
        if refresh && slot.stage == Stage::Due {
            slot.preset = Some(outcome);
            return;
        }
        // The message left because the user was active.
        slot.active = Some(true);
        if slot.stage == Stage::Due {
            self.open = self.open.saturating_sub(1);
        }
        self.settle(row, outcome, note, stamp);
    }

    // ---- what to ask next ----

    /// The next question that may leave now, as far as the job is concerned.
    pub fn peek_read(&mut self, now: Moment) -> Option<Call> {
        if self.halt.is_some() || !self.contact.open(now) {
            return None;
        }
        if let Some(Reverse((at, call))) = self.again.peek()
            && *at <= now
        {
            return Some(*call);
        }
        if let Some(kind) = self.links.next() {
            return Some(Links::call(kind));
        }
        if self.tenant == Tenant::Wanted && !self.ready.is_empty() {
            return Some(Call::Tenant);
        }
        let pages_ready = usize::try_from(self.survey.in_flight()).unwrap_or(0) * 100;
        if self.open > 0 && (self.ready.len() + pages_ready < ENOUGH_READY || self.closed.is_some()) {
            match self.survey.advise(self.open) {
                Advice::Page(start) => return Some(Call::Page(start)),
                Advice::Wait => return None,
                Advice::OneByOne => {
                    if self.portal_speaks || self.reads_in_flight < FIRST_QUESTIONS {
                        return self.next_single();
                    }
                }
            }
        }
        if self.doubts >= DOUBTS && self.reads_in_flight == 0 {
            return self.ready.front().map(|(row, _)| Call::Account(*row));
        }
        None
    }

    fn next_single(&mut self) -> Option<Call> {
        while let Some(row) = self.rows.get(self.cursor) {
            if row.stage == Stage::Due {
                let number = u32::try_from(self.cursor).ok()?;
                return Some(self.single(number));
            }
            self.cursor += 1;
        }
        None
    }

    fn single(&self, row: u32) -> Call {
        if self.user(row).is_some() { Call::Account(row) } else { Call::Person(row) }
    }

    /// The question that was peeked leaves.
    pub fn take_read(&mut self, call: Call) {
        self.contact.leaving();
        self.reads_in_flight += 1;
        if self.again.peek().is_some_and(|Reverse((_, again))| *again == call) {
            self.again.pop();
            return;
        }
        match call {
            Call::Link(kind) => self.links.asked(kind),
            Call::Page(_) => self.survey.asked(),
            Call::Tenant => self.tenant = Tenant::Asked { tries: 0 },
            Call::Account(row) | Call::Person(row) => {
                if self.stage(row) == Some(Stage::Due) {
                    self.open = self.open.saturating_sub(1);
                } else {
                    self.ready.retain(|(other, _)| *other != row);
                }
                self.row_mut(row).stage = Stage::Asked;
            }
        }
    }

    /// Whether a congratulation may leave now, as far as the job is concerned.
    pub fn wants_write(&mut self, now: Moment) -> bool {
        if self.halt.is_some() || self.closed.is_some() || self.ready.is_empty() || !self.contact.open(now) {
            return false;
        }
        let in_flight = u64::from(self.writes_in_flight);
        if self.policy.limit.is_some_and(|limit| self.congratulated + in_flight >= limit) {
            if in_flight == 0 {
                self.close(Closed::Limit);
            }
            return false;
        }
        if self.counted + in_flight >= self.policy.daily_left {
            if in_flight == 0 {
                self.close(Closed::Daily);
            }
            return false;
        }
        // A row whose answer grew old goes back to be asked again.
        while let Some((row, known_at)) = self.ready.front().copied() {
            if now.saturating_since(known_at) < STALE_AFTER {
                break;
            }
            self.ready.pop_front();
            self.row_mut(row).stage = Stage::Asked;
            self.again.push(Reverse((now, self.single(row))));
        }
        let can_be_signed = matches!(self.tenant, Tenant::NotNeeded | Tenant::Known(_));
        can_be_signed && self.doubts < DOUBTS && self.breaker.admits(self.writes_in_flight) && !self.ready.is_empty()
    }

    /// The row whose congratulation leaves next.
    pub fn take_write(&mut self) -> Option<u32> {
        let (row, _) = self.ready.pop_front()?;
        self.contact.leaving();
        self.writes_in_flight += 1;
        self.row_mut(row).stage = Stage::Sending;
        Some(row)
    }

    /// When something may change without an answer from outside.
    pub fn wake(&self) -> Option<Moment> {
        if self.halt.is_some() {
            return None;
        }
        let again = self.again.peek().map(|Reverse((at, _))| *at);
        let poll = self.poll_at.filter(|_| self.waiting > 0 && self.open == 0 && self.reads_in_flight == 0);
        let wait_end = self.policy.wait.filter(|_| self.waiting > 0).map(|wait| Moment::START + wait.at_most);
        // While the portal is down, nothing but the next probe matters.
        let contact = self.contact.wake();
        if self.contact.down().is_some() {
            return contact;
        }
        [again, poll, wait_end].into_iter().flatten().min()
    }

    /// Looks at the clock: outages that last too long, users to look at again.
    pub fn tick(&mut self, stamp: Stamp) {
        if let Err(unreachable) = self.contact.check(stamp.now) {
            self.halt(Halt::Unreachable(unreachable));
        }
        let Some(wait) = self.policy.wait else { return };
        if self.waiting == 0 {
            return;
        }
        let over = stamp.now >= Moment::START + wait.at_most || self.closed.is_some();
        let poll = self.poll_at.is_some_and(|at| stamp.now >= at) && self.open == 0 && self.reads_in_flight == 0;
        if !over && !poll {
            return;
        }
        for row in 0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX) {
            if self.stage(row) != Some(Stage::Waiting) {
                continue;
            }
            self.waiting -= 1;
            if over {
                self.settle(row, Outcome::NotActive, Note::None, stamp);
            } else {
                self.row_mut(row).stage = Stage::Due;
                self.open += 1;
            }
        }
        self.poll_at = None;
        self.cursor = 0;
        self.survey = Survey::Unasked;
    }

    // ---- what came back ----

    /// The portal answered a question, or not. Returns whether it is asked again.
    fn read_ended<T>(&mut self, call: Call, tries: u32, result: &Result<T, Fault>, stamp: Stamp) -> bool {
        self.reads_in_flight = self.reads_in_flight.saturating_sub(1);
        let Err(fault) = result else {
            self.contact.answered();
            self.doubts = 0;
            self.portal_spoke(stamp);
            return false;
        };
        if let Some(halt) = halting(fault) {
            self.contact.answered();
            self.halt(halt);
            return false;
        }
        match fault {
            Fault::NotSent { why, for_good } => {
                let verdict = self.contact.failed(why, stamp.now, &mut self.backoff);
                match verdict {
                    Err(unreachable) => self.halt(Halt::Unreachable(unreachable)),
                    Ok(()) if *for_good => self.halt(Halt::Unreachable(super::Unreachable {
                        why: why.clone(),
                        answered_before: self.portal_speaks,
                    })),
                    Ok(()) => {}
                }
                // Nobody's fault but the portal's: asked again as soon as it can be reached.
                self.again.push(Reverse((stamp.now, call)));
                true
            }
            Fault::Refused(_) => {
                self.contact.answered();
                self.again.push(Reverse((stamp.now, call)));
                true
            }
            Fault::Lost(_) | Fault::Answered { .. } | Fault::Redirected { .. } | Fault::Unreadable(_) => {
                self.contact.answered();
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
    pub fn link_came(&mut self, kind: crate::user::EmployeeType, result: Result<LinkAnswer, Fault>, stamp: Stamp) {
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
                for account in page.accounts {
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
    fn leaders_of(&self, account: &Account) -> [Option<u32>; 2] {
        let user = |row: &u32| self.entry(*row).and_then(|entry| entry.user);
        let by_id = self.by_user.binary_search_by_key(&Some(account.id), user).ok();
        let by_id = by_id.and_then(|place| self.by_user.get(place).copied());
        let email = |row: &u32| self.email(*row);
        let digest = account.email.as_ref().filter(|_| !self.by_email.is_empty()).map(crate::user::Email::digest);
        let by_email = digest.and_then(|digest| self.by_email.binary_search_by_key(&Some(digest), email).ok());
        let by_email = by_email.and_then(|place| self.by_email.get(place).copied());
        if by_email.is_some() && by_email < by_id { [by_email, by_id] } else { [by_id, by_email] }
    }

    /// A question for one user ended.
    pub fn account_came(&mut self, row: u32, result: Result<Account, Fault>, stamp: Stamp) {
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
            Fault::Answered { status: 403 | 404, body: ErrorBody::Empty | ErrorBody::Other | ErrorBody::Validation }
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
    fn judge_suspects(&mut self) {
        let nothing_else =
            self.reads_in_flight == 0 && self.open == 0 && self.again.is_empty() && !self.links.pending();
        if u32::try_from(self.suspects.len()).unwrap_or(u32::MAX) < FIRST_QUESTIONS && !nothing_else {
            return;
        }
        let Some((_, fault)) = self.suspects.first() else { return };
        let halt = match fault {
            Fault::Answered { status: 404, .. } => Halt::NoPortal,
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
    fn learned(&mut self, row: u32, account: &Account, stamp: Stamp) {
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
        let by_id = self.by_user.binary_search_by_key(&Some(user), |row| self.entry(*row).and_then(|entry| entry.user));
        let other = by_id.ok().and_then(|place| self.by_user.get(place).copied());
        // A row whose id and address are not the same person's leads nobody.
        let disagrees = |other: &u32| self.email(*other).is_some_and(|theirs| self.email(row) != Some(theirs));
        let other = other.or_else(|| self.resolved_rows.get(&user).copied()).filter(|other| !disagrees(other));
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

    fn is_not_due(&mut self, row: u32, account: &Account, stamp: Stamp) {
        let (text, may_change) = match account {
            Account { removed: true, .. } => ("the account was removed", false),
            Account { status: Some(AccountStatus::Disabled), .. } => ("the account is disabled", false),
            Account { status: Some(AccountStatus::Pending), .. } => ("invited, but has not joined yet", true),
            Account { is_active: false, .. } => ("has not confirmed the e-mail address yet", true),
            Account { .. } => ("the account is neither enabled nor pending", false),
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

    /// The ledger would not take the intent: an earlier run has spoken for this user. Nothing left.
    pub fn intent_refused(&mut self, row: u32, earlier: Earlier, stamp: Stamp) {
        self.writes_in_flight = self.writes_in_flight.saturating_sub(1);
        self.contact_untouched();
        let (outcome, note) = match earlier {
            Earlier::Sent { at, run } => (Outcome::AlreadySent, self.notes.accepted(at, &run)),
            Earlier::Unknown { at, run, why } => {
                let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
                (Outcome::Unknown, self.notes.text(format!("{} (run {run}, {at}: {why})", may_have_been_sent(""))))
            }
        };
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
            self.contact.answered();
        }
    }

    /// A congratulation ended; says what the ledger has to record.
    pub fn write_came(&mut self, row: u32, result: &Result<(), Fault>, stamp: Stamp) -> Ending {
        self.writes_in_flight = self.writes_in_flight.saturating_sub(1);
        let fault = match result {
            Ok(()) => {
                self.contact.answered();
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

    fn count_attempt(&mut self, row: u32) {
        let slot = self.row_mut(row);
        slot.attempts = slot.attempts.saturating_add(1);
    }

    fn write_not_taken(&mut self, row: u32, fault: &Fault, stamp: Stamp) -> Ending {
        let ending = Ending::NoEffect { counted: false, why: fault.to_string() };
        if let Fault::NotSent { why, for_good } = fault {
            let verdict = self.contact.failed(why, stamp.now, &mut self.backoff);
            match verdict {
                Err(unreachable) => self.halt(Halt::Unreachable(unreachable)),
                Ok(()) if *for_good => self.halt(Halt::Unreachable(super::Unreachable {
                    why: why.clone(),
                    answered_before: self.portal_speaks,
                })),
                Ok(()) => {}
            }
            let slot = self.row_mut(row);
            slot.unsent = slot.unsent.saturating_add(1);
            if slot.unsent >= UNSENT_AT_MOST {
                let note = self.notes.text(fault.to_string());
                self.settle(row, Outcome::Failed, note, stamp);
                return ending;
            }
        } else {
            self.contact.answered();
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
        self.contact.answered();
        self.count_attempt(row);
        self.counted += 1;
        let note = self.notes.text(rejection(fault));
        if let Some(halt) = halting(fault) {
            // 401 is about the key, so the row was not refused for itself; 402 is an answer to it.
            let outcome = if halt == Halt::KeyRefused { Outcome::Failed } else { Outcome::Rejected };
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
        self.contact.answered();
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

    // ---- ends ----

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

    fn closed_note(&mut self) -> Note {
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
    pub fn all_refused(&self) -> Option<super::Manner> {
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

/// Faults that end the run, whatever was asked.
fn halting(fault: &Fault) -> Option<Halt> {
    match fault {
        Fault::Answered { status: 401, .. } => Some(Halt::KeyRefused),
        Fault::Answered { status: 402, .. } => Some(Halt::Unpaid),
        Fault::Redirected { host, .. } => Some(Halt::Redirected { host: host.clone() }),
        Fault::Answered { .. } | Fault::NotSent { .. } | Fault::Lost(_) | Fault::Refused(_) | Fault::Unreadable(_) => {
            None
        }
    }
}

/// Whether a failure counts against the tries of whoever asked: not where nothing left, nor where it was refused.
fn charged<T>(result: &Result<T, Fault>) -> bool {
    !matches!(result, Ok(_) | Err(Fault::NotSent { .. } | Fault::Refused(_)))
}

fn may_have_been_sent(why: &str) -> String {
    let colon = if why.is_empty() { "" } else { ": " };
    format!(
        "it may have been sent{colon}{why}; ask the user or look at the portal's mail log, then `onboard settle`, or run \
         again with --retry-unknown"
    )
}

fn rejection(fault: &Fault) -> String {
    let what_to_do = match fault {
        Fault::Answered { status: 403, body: ErrorBody::Envelope { .. } } => {
            "; the portal takes only signed keys: see --sign-with"
        }
        Fault::Answered { status: 403, .. } => "; the API key may lack the scope *:write",
        Fault::Answered { status: 400, .. } => "; look at the congratulation key (--key, or the row's own)",
        Fault::Answered { status: 402, .. } => "; the portal's plan is unpaid or its licence lapsed",
        _ => "",
    };
    format!("{fault}{what_to_do}")
}

fn halt_note(halt: &Halt) -> String {
    match halt {
        Halt::KeyRefused => "the portal does not accept the key".to_owned(),
        Halt::Unpaid => "the portal's plan is unpaid or its licence lapsed".to_owned(),
        Halt::Forbidden(fault) => format!("the portal refuses this key everything: {fault}"),
        Halt::NoPortal => "no DocSpace portal answers at this address, or it is suspended".to_owned(),
        Halt::NotAPortal { .. } => "what answers at this address is not a DocSpace portal".to_owned(),
        Halt::Redirected { host } => format!("the portal sends requests elsewhere, to {host}"),
        Halt::Unreachable(unreachable) => format!("the portal cannot be reached: {}", unreachable.why),
        Halt::TooBusy { .. } => "the portal refused everything for too long".to_owned(),
        Halt::Stopped => "the run was stopped before this row".to_owned(),
        Halt::Storage(_) => "the run stopped since its ledger could not be written".to_owned(),
    }
}
