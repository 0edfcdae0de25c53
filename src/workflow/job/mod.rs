//! All rows of a run on their way. Four nouns know what there is to know: [`rows`], [`questions`], the portal's [`mood`],
//! the [`outbox`]; the verbs bring them together: what to ask and send [`next`], what the [`answers`] mean, how
//! [`messages`] ended, and how it all [`ends`].

mod answers;
mod ends;
mod mails;
mod messages;
mod mood;
mod next;
mod outbox;
mod questions;
mod rows;

use self::{
    mood::Mood,
    outbox::Outbox,
    questions::Questions,
    rows::{Rows, Stage},
};
use super::{Halt, Policy, Stamp, links::Links};
use crate::{
    mail::{Needs, needs},
    outcome::Outcome,
    pace::Moment,
    plan::Plan,
    roster,
    user::{EmailDigest, UserId},
};

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
    policy: Policy,
    needs: Needs,
    rows: Rows<'r>,
    questions: Questions,
    mood: Mood,
    outbox: Outbox,
    unknown_before: u64,
    /// When the clock was looked at last.
    now: Moment,
    remarks: Vec<String>,
}

impl<'r> Job<'r> {
    /// A job that carries out this plan.
    pub fn new(roster: &'r [roster::Row], plan: Plan, policy: Policy, stamp: Stamp) -> Self {
        let mut needs = needs(policy.mail);
        if policy.by_mail.is_some_and(|message| message.culture) {
            // The listing tells nobody's language.
            needs.pages_from = u64::MAX;
        }
        let rows = Rows::new(roster, plan, policy.refresh || needs.looks_at_held, stamp);
        let mut links = Links::default();
        if needs.links {
            for row in rows.numbers().filter(|row| rows.stage(*row) != Some(Stage::Carried)) {
                if let Some(kind) = rows.employee_type(row) {
                    links.need(kind);
                }
            }
        }
        let unknown_before = rows.tally.count(Outcome::Unknown);
        Self {
            questions: Questions::new(links, policy.needs_tenant, needs.pages_from, rows.due),
            mood: Mood::new(policy.retries, policy.outage, policy.max_unknown, policy.seed),
            outbox: Outbox::new(needs.batch, needs.again_at_most),
            unknown_before,
            now: stamp.now,
            remarks: Vec::new(),
            rows,
            needs,
            policy,
        }
    }

    /// The user of a row, once known.
    pub fn user(&self, row: u32) -> Option<UserId> {
        self.rows.user(row)
    }

    /// The digest of a row's address, where the roster has one.
    pub fn email(&self, row: u32) -> Option<EmailDigest> {
        self.rows.email(row)
    }

    /// Nothing further leaves.
    pub fn halt(&mut self, halt: Halt) {
        self.mood.halt(halt);
    }
}

#[cfg(test)]
mod tests;
