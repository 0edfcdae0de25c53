//! What people decide of what may have been sent.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{history::kind_text, state::Ledger};
use crate::{
    attempt::{Held, Mail, Subject},
    ledger::{AttemptId, Entry, LedgerError},
    user::EmailDigest,
};

/// Somebody on record, found by an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Of which mail the record is.
    pub mail: Mail,
    /// Whom it is about.
    pub subject: Subject,
    /// Whether it awaits a person's decision.
    pub is_unknown: bool,
}

/// What became of a person's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It is recorded.
    Done,
    /// There is nothing to decide: the state is this.
    NotUnknown(String),
    /// Nothing is known of the user.
    NoRecord,
}

/// Where somebody stands: the attempt that holds them, or else the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The attempt.
    pub attempt: AttemptId,
    /// `intent`, `sent`, `no_effect` or `unknown`.
    pub state: String,
    /// Whether it keeps a later run from sending.
    pub holds: bool,
    /// When it ended, or began where it has not ended.
    pub at: Timestamp,
    /// Its run.
    pub run: String,
    /// What a person decided, who, and when.
    pub decision: Option<(String, String, Timestamp)>,
}

impl Standing {
    /// Whether it awaits a person's decision.
    pub fn is_open(&self) -> bool {
        self.holds && self.state == "unknown"
    }
}

/// A person's decision on one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub attempt: AttemptId,
    /// Whether it had its effect; else the next run sends it.
    pub was_sent: bool,
}

const STANDING: &str = "
    SELECT attempt.id, state, holds, coalesce(attempt.ended_at, began_at), uuid, decision, decided_by, decided_at, subject
    FROM attempt JOIN run ON run.id = attempt.run";

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    let time = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
    let decision: Option<String> = row.get(5)?;
    let by: Option<String> = row.get(6)?;
    let at: Option<i64> = row.get(7)?;
    Ok(Standing {
        attempt: AttemptId(row.get(0)?),
        state: row.get(1)?,
        holds: row.get(2)?,
        at: time(row.get(3)?),
        run: row.get(4)?,
        decision: decision.map(|decision| (decision, by.unwrap_or_default(), time(at.unwrap_or_default()))),
    })
}

impl Ledger {
    /// Who is on record with this address, on the portal that is turned to: users who were known to have it, and the
    /// address itself where it was invited.
    pub fn named_by(&self, email: EmailDigest) -> Result<Vec<Named>, LedgerError> {
        let broken = self.broken();
        let mut found: Vec<Named> = Vec::new();
        for portal in &self.portals {
            let mut statement = self
                .connection
                .prepare("SELECT DISTINCT kind, subject FROM attempt WHERE portal = ?1 AND email = ?2 ORDER BY kind, subject")
                .map_err(&broken)?;
            let subjects: Vec<(i64, Vec<u8>)> = statement
                .query_map(params![portal, email.0.as_slice()], |row| Ok((row.get(0)?, row.get(1)?)))
                .and_then(Iterator::collect)
                .map_err(&broken)?;
            for (kind, subject) in subjects {
                let mail = if kind_text(kind).1 { Mail::Congratulation } else { Mail::Invitation };
                let Ok(subject) = Subject::try_from(subject.as_slice()) else { continue };
                if found.iter().any(|known| (known.mail, known.subject) == (mail, subject)) {
                    continue;
                }
                let is_unknown = matches!(self.holding(mail, subject)?, Some((_, Held::Unknown { .. })));
                found.push(Named { mail, subject, is_unknown });
            }
        }
        Ok(found)
    }

    /// Where these stand with a mail, on the portal that is turned to; whoever is not on record is left out.
    pub fn standings(&self, mail: Mail, subjects: &[Subject]) -> Result<HashMap<Subject, Standing>, LedgerError> {
        let mut found = HashMap::new();
        for portal in &self.portals {
            let mut others = std::collections::HashSet::new();
            for subject in subjects.iter().filter(|subject| !found.contains_key(*subject)).collect::<Vec<_>>() {
                match self.holder_at(*portal, mail, *subject).map_err(self.broken())? {
                    Some(attempt) => {
                        let held = self.standing_of(attempt)?;
                        found.insert(*subject, held);
                    }
                    None => drop(others.insert(*subject)),
                }
            }
            if !others.is_empty() {
                self.last_of(*portal, mail, &others, &mut found)?;
            }
        }
        Ok(found)
    }

    fn standing_of(&self, attempt: AttemptId) -> Result<Standing, LedgerError> {
        self.connection
            .prepare_cached(&format!("{STANDING} WHERE attempt.id = ?1"))
            .and_then(|mut statement| statement.query_row([attempt.0], standing))
            .map_err(self.broken())
    }

    /// The last attempts of those whom none holds. No index finds them, so the file is gone through once for all.
    fn last_of(
        &self,
        portal: i64,
        mail: Mail,
        subjects: &std::collections::HashSet<Subject>,
        found: &mut HashMap<Subject, Standing>,
    ) -> Result<(), LedgerError> {
        let broken = self.broken();
        let query = format!("{STANDING} WHERE attempt.portal = ?1 AND kind = ?2 ORDER BY attempt.id");
        let mut statement = self.connection.prepare(&query).map_err(&broken)?;
        let mut rows = statement.query(params![portal, mail as i64]).map_err(&broken)?;
        while let Some(row) = rows.next().map_err(&broken)? {
            let subject: Vec<u8> = row.get(8).map_err(&broken)?;
            let Ok(subject) = Subject::try_from(subject.as_slice()) else { continue };
            if subjects.contains(&subject) {
                found.insert(subject, standing(row).map_err(&broken)?);
            }
        }
        Ok(())
    }

    /// Records a person's decision on what may have been sent: it was, or the next run is to send it.
    pub fn settle(
        &mut self,
        mail: Mail,
        subject: Subject,
        was_sent: bool,
        by: &str,
        why: Option<&str>,
    ) -> Result<Settlement, LedgerError> {
        for portal in self.portals.clone() {
            let found = self
                .connection
                .query_row(
                    "SELECT id, state, holds FROM attempt WHERE portal = ?1 AND kind = ?2 AND subject = ?3 \
                     ORDER BY holds DESC, id DESC LIMIT 1",
                    params![portal, mail as i64, subject.as_slice()],
                    |row| Ok((row.get(0).map(AttemptId)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?)),
                )
                .optional()
                .map_err(self.broken())?;
            let Some((attempt, state, holds)) = found else { continue };
            if state != "unknown" || !holds {
                return Ok(Settlement::NotUnknown(state));
            }
            self.decide(&[Decided { attempt, was_sent }], by, why)?;
            return Ok(Settlement::Done);
        }
        Ok(Settlement::NoRecord)
    }

    /// Records a person's decisions, all of them or none (but where they are too many for one object of a log). Each is on
    /// an attempt that awaits one.
    pub fn decide(&mut self, decisions: &[Decided], by: &str, why: Option<&str>) -> Result<(), LedgerError> {
        if decisions.is_empty() {
            return Ok(());
        }
        let at = self.clock.now();
        self.begin()?;
        let decided = decisions.iter().try_for_each(|Decided { attempt, was_sent }| {
            let entry = Entry::Decided {
                attempt: *attempt,
                was_sent: *was_sent,
                by: by.to_owned(),
                why: why.map(str::to_owned),
            };
            self.put(at, &entry).map(drop)
        });
        let done = decided.and_then(|()| self.commit());
        if done.is_err() {
            self.take_back();
        }
        done
    }
}
