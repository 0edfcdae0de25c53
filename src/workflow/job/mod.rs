//! All rows of a run on their way: what to ask and send [`next`], what the [`answers`] mean, how [`congratulations`]
//! ended, and how it all [`ends`].

mod answers;
mod congratulations;
mod ends;
mod next;

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
};

use super::{
    Call, Closed, Halt, Policy, Stamp,
    breaker::Breaker,
    contact::Contact,
    leaders::{Key, Leaders},
    links::Links,
    note::{Note, Notes},
    survey::Survey,
};
use crate::{
    attempt::Held,
    outcome::{Outcome, Tally},
    pace::{Backoff, Moment},
    portal::Fault,
    roster::{self, RowState},
    user::{EmailDigest, UserId},
};

/// Until the portal has answered one question as a portal does, no more than so many are out.
const FIRST_QUESTIONS: u32 = 5;
/// After so many endings in a row that nobody can be sure of, the next congratulation waits for a question to succeed.
const DOUBTS: u32 = 3;

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
    by_user: Leaders,
    by_email: Leaders,
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
    /// Questions that were lost since the portal answered last.
    silent: u32,
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
        mut earlier: impl FnMut(UserId) -> Result<Option<Held>, E>,
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
            by_user: Leaders::default(),
            by_email: Leaders::default(),
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
            silent: 0,
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
                RowState::Valid => job.open += 1,
            }
            if let Some(kind) = entry.employee_type
                && !matches!(entry.state, RowState::Invalid)
            {
                job.links.need(kind);
            }
        }
        let leading = || (0u32..).zip(&job.rows).filter(|(_, row)| row.stage == Stage::Due).map(|(row, _)| row);
        (job.by_user, job.by_email) = (
            Leaders::of(leading(), |row| by_user(roster.get(row as usize))),
            Leaders::of(leading(), |row| by_email(roster.get(row as usize))),
        );
        for place in 0..job.by_user.len() {
            let Some(row) = job.by_user.get(place) else { continue };
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

    /// The outcome and the reason that an earlier run left for a user.
    fn left_by(&mut self, earlier: Held) -> (Outcome, Note) {
        match earlier {
            Held::Sent { at, run } => (Outcome::AlreadySent, self.notes.accepted(at, &run)),
            Held::Unknown { at, run, why } => {
                let at = crate::display::moment(at);
                let text = format!("{} (run {run}, {at}: {why})", may_have_been_sent(""));
                (Outcome::Unknown, self.notes.text(text))
            }
        }
    }

    /// The portal answered, whatever it said.
    fn portal_answered(&mut self) {
        self.contact.answered();
        self.silent = 0;
    }

    /// A connection could not be made: the run's trouble, nobody's fault.
    fn unreachable(&mut self, why: &str, for_good: bool, stamp: Stamp) {
        match self.contact.failed(why, stamp.now, &mut self.backoff) {
            Err(unreachable) => self.halt(Halt::Unreachable(unreachable)),
            Ok(()) if for_good => self.halt(Halt::Unreachable(super::Unreachable {
                why: why.to_owned(),
                answered_before: self.portal_speaks,
            })),
            Ok(()) => {}
        }
    }

    /// Settles a row by what the ledger says of its user.
    fn preset(&mut self, row: u32, earlier: Held, stamp: Stamp) {
        let (outcome, note) = self.left_by(earlier);
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
}

/// What a row with a user id is found by.
fn by_user(entry: Option<&roster::Row>) -> Option<Key> {
    entry?.user.map(|user| *user.as_bytes())
}

/// What a row without one is found by.
fn by_email(entry: Option<&roster::Row>) -> Option<Key> {
    entry.filter(|entry| entry.user.is_none())?.email.map(|digest| digest.0)
}

/// Faults that end the run, whatever was asked.
fn halting(fault: &Fault) -> Option<Halt> {
    match fault {
        Fault::Answered { status: 401, .. } if fault.by_another() => Some(Halt::Forbidden(fault.clone())),
        Fault::Answered { status: 401, .. } => Some(Halt::KeyRefused),
        Fault::Answered { status: 402, .. } => Some(Halt::Unpaid),
        Fault::Redirected { host, .. } => Some(Halt::Redirected { host: host.clone() }),
        Fault::Answered { .. } | Fault::NotSent { .. } | Fault::Lost(_) | Fault::Refused(_) | Fault::Unreadable(_) => {
            None
        }
    }
}

fn may_have_been_sent(why: &str) -> String {
    let colon = if why.is_empty() { "" } else { ": " };
    format!(
        "it may have been sent{colon}{why}; ask the user or look at the portal's mail log, then `onboard settle`, or run \
         again with --retry-unknown"
    )
}

#[cfg(test)]
mod tests;
