//! The rows: where each stands, whose it is, how it ended.

use std::{borrow::Cow, collections::HashMap};

use jiff::Timestamp;

use crate::{
    attempt::Mail,
    outcome::{Outcome, Tally},
    plan::{self, Decision, Leaders, Plan},
    portal::Person,
    reason::{Note, Notes, Reason},
    roster::{self, RowState},
    user::{EmailDigest, EmployeeType, UserId},
    workflow::Stamp,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not touched by this run (`--only`).
    Carried,
    Due,
    Asked,
    Waiting,
    Ready,
    Sending,
    Settled(Outcome),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) stage: Stage,
    /// What the ledger says, for a row whose status is asked all the same.
    pub(super) preset: Option<Outcome>,
    pub(super) active: Option<bool>,
    /// The row that leads, for a duplicate.
    pub(super) leader: Option<u32>,
    pub(super) note: Note,
    /// Milliseconds since 1970; 0 before.
    completed_at: i64,
    attempts: u16,
    pub(super) tries: u8,
    pub(super) unsent: u8,
    /// Whether the row's own key was sent.
    pub(super) own_key: bool,
    /// Whether it is sent once more.
    pub(super) again: bool,
}

#[derive(Debug)]
pub(super) struct Rows<'r> {
    roster: &'r [roster::Row],
    mail: Mail,
    all: Vec<Slot>,
    by_user: Leaders,
    by_email: Leaders,
    resolved: HashMap<u32, UserId>,
    row_of: HashMap<UserId, u32>,
    pub(super) notes: Notes,
    pub(super) tally: Tally,
    /// Rows at [`Stage::Due`]: their status is still to be asked for.
    pub(super) due: u64,
    /// Rows at [`Stage::Waiting`].
    pub(super) waiting: u64,
    /// Rows at [`Stage::Asked`].
    asked: u64,
    /// Answers about rows so far: those after which the mail is due, and all of them.
    answers: (u64, u64),
    carried: u64,
    newly_settled: Vec<u32>,
}

impl<'r> Rows<'r> {
    /// Rows as the plan has them. What the ledger holds is settled, unless it is `looked_at` all the same.
    pub(super) fn new(roster: &'r [roster::Row], plan: Plan, looked_at: bool, stamp: Stamp) -> Self {
        let blank = Slot {
            stage: Stage::Due,
            preset: None,
            active: None,
            leader: None,
            note: Note::None,
            completed_at: 0,
            attempts: 0,
            tries: 0,
            unsent: 0,
            own_key: false,
            again: false,
        };
        let Plan { mail, decisions, notes, by_user, by_email, .. } = plan;
        let mut rows = Self {
            roster,
            mail,
            all: vec![blank; roster.len()],
            by_user,
            by_email,
            resolved: HashMap::new(),
            row_of: HashMap::new(),
            notes,
            tally: Tally::default(),
            due: u64::try_from(roster.len()).unwrap_or(u64::MAX),
            waiting: 0,
            asked: 0,
            answers: (0, 0),
            carried: 0,
            newly_settled: Vec::new(),
        };
        for (row, decision) in (0u32..).zip(decisions) {
            match decision {
                Decision::Carried => {
                    rows.enter(row, Stage::Carried);
                    rows.carried += 1;
                }
                Decision::Invalid => rows.settle(row, Outcome::Invalid, Note::None, stamp),
                Decision::Duplicate { of } => {
                    rows.row_mut(row).leader = u32::try_from(of.saturating_sub(1)).ok();
                    let note = rows.stands_in(of);
                    rows.settle(row, Outcome::Duplicate, note, stamp);
                }
                Decision::Held { outcome, note } if looked_at => {
                    let slot = rows.row_mut(row);
                    (slot.note, slot.preset) = (note, Some(outcome));
                }
                Decision::Held { outcome, note } => {
                    // The message left because the user was active.
                    rows.row_mut(row).active = (mail == Mail::Congratulation).then_some(true);
                    rows.settle(row, outcome, note, stamp);
                }
                Decision::Due => {}
            }
        }
        // What was decided before is no answer.
        rows.answers = (0, 0);
        rows
    }

    fn stands_in(&mut self, of: u64) -> Note {
        self.notes.of(match self.mail {
            Mail::Congratulation => Reason::UserStandsInRow(of),
            Mail::Invitation => Reason::AddressStandsInRow(of),
        })
    }

    pub(super) fn numbers(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    /// Rows that are not carried over.
    pub(super) fn touched(&self) -> u64 {
        u64::try_from(self.all.len()).unwrap_or(u64::MAX).saturating_sub(self.carried)
    }

    pub(super) fn entry(&self, row: u32) -> Option<&'r roster::Row> {
        self.roster.get(row as usize)
    }

    /// The type of a row that can be used.
    pub(super) fn employee_type(&self, row: u32) -> Option<EmployeeType> {
        self.entry(row).filter(|entry| entry.state != RowState::Invalid).and_then(|entry| entry.employee_type)
    }

    #[expect(clippy::indexing_slicing, reason = "row numbers come from this very roster")]
    pub(super) fn row_mut(&mut self, row: u32) -> &mut Slot {
        &mut self.all[row as usize]
    }

    pub(super) fn get(&self, row: u32) -> Option<&Slot> {
        self.all.get(row as usize)
    }

    pub(super) fn stage(&self, row: u32) -> Option<Stage> {
        self.get(row).map(|row| row.stage)
    }

    /// Moves a row to its next stage.
    pub(super) fn enter(&mut self, row: u32, stage: Stage) {
        let left = std::mem::replace(&mut self.row_mut(row).stage, stage);
        self.due = self.due + u64::from(stage == Stage::Due) - u64::from(left == Stage::Due);
        self.waiting = self.waiting + u64::from(stage == Stage::Waiting) - u64::from(left == Stage::Waiting);
        self.asked = self.asked + u64::from(stage == Stage::Asked) - u64::from(left == Stage::Asked);
        if matches!(left, Stage::Due | Stage::Asked)
            && matches!(stage, Stage::Ready | Stage::Waiting | Stage::Settled(_))
        {
            self.answers.0 += u64::from(stage == Stage::Ready);
            self.answers.1 += 1;
        }
    }

    /// To how many of those whose status is open the mail will be due, if they are as those before them.
    pub(super) fn expected(&self) -> u64 {
        let open = self.due + self.asked;
        let (due, all) = self.answers;
        open.saturating_mul(due).checked_div(all).unwrap_or(open)
    }

    /// The user of a row, once known.
    pub(super) fn user(&self, row: u32) -> Option<UserId> {
        self.entry(row).and_then(|entry| entry.user).or_else(|| self.resolved.get(&row).copied())
    }

    /// The digest of a row's address, where the roster has one.
    pub(super) fn email(&self, row: u32) -> Option<EmailDigest> {
        self.entry(row).and_then(|entry| entry.email)
    }

    /// The row that gives this id, and leads.
    fn leader(&self, user: UserId) -> Option<u32> {
        self.by_user.find(*user.as_bytes(), |row| self.entry(row).and_then(plan::by_user))
    }

    /// The rows that this person leads: by id, and by address; the earlier one first.
    pub(super) fn led_by(&self, person: &Person) -> [Option<u32>; 2] {
        let by_id = self.leader(person.id);
        let digest = person.email.as_ref().filter(|_| !self.by_email.is_empty()).map(crate::user::Email::digest);
        let key = |row: u32| self.entry(row).and_then(|entry| plan::by_email(self.mail, entry));
        let by_email = digest.and_then(|digest| self.by_email.find(digest.0, key));
        if by_email.is_some() && by_email < by_id { [by_email, by_id] } else { [by_id, by_email] }
    }

    pub(super) fn settle(&mut self, row: u32, outcome: Outcome, note: Note, stamp: Stamp) {
        match self.row_mut(row).stage {
            Stage::Settled(_) | Stage::Carried => return,
            Stage::Due | Stage::Asked | Stage::Waiting | Stage::Ready | Stage::Sending => {}
        }
        self.enter(row, Stage::Settled(outcome));
        let slot = self.row_mut(row);
        if note != Note::None || slot.note == Note::None {
            slot.note = note;
        }
        slot.completed_at = stamp.wall.as_millisecond();
        self.tally.add(outcome);
        self.newly_settled.push(row);
    }

    /// Settles a row for this reason.
    pub(super) fn settle_for(&mut self, row: u32, outcome: Outcome, reason: Reason, stamp: Stamp) {
        let note = self.notes.of(reason);
        self.settle(row, outcome, note, stamp);
    }

    /// What a row is told of the person, unless the ledger knows better.
    pub(super) fn settle_or_preset(&mut self, row: u32, outcome: Outcome, reason: Reason, stamp: Stamp) {
        match self.row_mut(row).preset {
            Some(preset) => self.settle(row, preset, Note::None, stamp),
            None => self.settle_for(row, outcome, reason, stamp),
        }
    }

    pub(super) fn count_attempt(&mut self, row: u32) {
        let slot = self.row_mut(row);
        slot.attempts = slot.attempts.saturating_add(1);
    }

    /// An address turned out to be this user's. `false` where another row leads for that user.
    pub(super) fn resolve(&mut self, row: u32, user: UserId, stamp: Stamp) -> bool {
        self.resolved.insert(row, user);
        if self.mail == Mail::Invitation {
            // Each address has its own fate.
            return true;
        }
        let other = self.leader(user);
        // A row whose id and address are not the same person's leads nobody; one person may have two addresses.
        let disagrees = |other: &u32| self.email(*other).is_some_and(|theirs| self.email(row) != Some(theirs));
        let other = other.filter(|other| !disagrees(other)).or_else(|| self.row_of.get(&user).copied());
        let Some(other) = other else {
            self.row_of.insert(user, row);
            return true;
        };
        // The earlier row leads, unless the later one already moved.
        let other_waits = self.stage(other) == Some(Stage::Due);
        let (leader, follower) = if other > row && other_waits { (row, other) } else { (other, row) };
        let note = self.stands_in(u64::from(leader) + 1);
        self.row_mut(follower).leader = Some(leader);
        self.settle(follower, Outcome::Duplicate, note, stamp);
        leader == row
    }

    /// A row that has ended bears the time of its record.
    pub(super) fn recorded(&mut self, row: u32, at: Timestamp) {
        let slot = self.row_mut(row);
        if matches!(slot.stage, Stage::Settled(_)) {
            slot.completed_at = at.as_millisecond();
        }
    }

    pub(super) fn drain_settled(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.newly_settled)
    }

    /// How a row ended, but for its link.
    pub(super) fn end(&self, row: u32) -> Option<crate::outcome::RowEnd<'_>> {
        let slot = self.get(row)?;
        let Stage::Settled(outcome) = slot.stage else { return None };
        let reason = self.notes.reason(slot.note);
        let detail = reason.as_ref().map(ToString::to_string).unwrap_or_default();
        let leader = slot.leader.and_then(|leader| self.get(leader));
        let completed_at = match reason.as_deref() {
            // A person who settles it later does so by the time of the attempt, whichever run's results are at hand.
            Some(Reason::MayHaveBeenSentBefore { at, .. }) if outcome == Outcome::Unknown => Some(*at),
            _ => Some(slot.completed_at).filter(|at| *at != 0).and_then(|at| Timestamp::from_millisecond(at).ok()),
        };
        Some(crate::outcome::RowEnd {
            user: self.user(row).or_else(|| slot.leader.and_then(|leader| self.user(leader))),
            link: "",
            active: leader.map_or(slot.active, |leader| leader.active),
            outcome,
            attempts: u32::from(slot.attempts),
            completed_at,
            reason,
            detail: Cow::Owned(detail),
        })
    }
}
