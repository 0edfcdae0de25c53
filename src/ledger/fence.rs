//! The fence: whom an attempt holds, so that nothing is sent to them.
//!
//! A unique index finds what holds a user, and refuses a second attempt to whoever writes the file. Users come in no
//! order, so that to enter each attempt at once would rewrite a page of the index for each. The attempts of the run that
//! goes on are therefore known by heart at first (`holds` is 2), and enter the index in order, many together: once a good
//! many are there, and when the run ends. Each is on disk all the same before anything is sent. Whoever opens the file for
//! writing enters what a run that died left; whoever only looks learns it by heart too.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::{Held, Ledger, LedgerError, Mail, Subject};
use crate::{origin::Origin, user::UserId};

/// So many attempts are known by heart at the most: about a megabyte.
const BY_HEART: usize = 16_384;

/// What holds a user: the portal's number, the kind of mail, and whom.
type Key = (i64, i64, Subject);

/// Attempts that hold their user and are not in the index yet, in the index's order.
#[derive(Debug, Default)]
pub(super) struct Fresh(BTreeMap<Key, i64>);

impl Fresh {
    /// What a run that goes on has not entered into the index yet, or one that died.
    pub(super) fn left_in(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT portal, kind, subject, id FROM attempt WHERE holds = 2")?;
        let fresh = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)))?;
        fresh.collect::<Result<_, _>>().map(Self)
    }
}

/// Enters into the index what a run that died left out of it.
pub(super) fn enter_left(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    match connection.execute("UPDATE attempt SET holds = 1 WHERE holds = 2", []) {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(LedgerError::Damaged { path: path.to_owned(), what: "two of its attempts hold one user" })
        }
        Err(error) => Err(LedgerError::from_sqlite(path, &error)),
    }
}

impl Ledger {
    /// Does many look-ups on one view of the file, which is quicker than a view for each.
    pub fn on_one_view<T>(&self, look: impl FnOnce() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let view = self.connection.unchecked_transaction().map_err(self.broken())?;
        let found = look()?;
        view.finish().map_err(self.broken())?;
        Ok(found)
    }

    /// The attempt that holds a user, if one does.
    pub fn held(&self, mail: Mail, subject: Subject) -> Result<Option<Held>, LedgerError> {
        Ok(self.holding(mail, subject)?.map(|(_, held)| held))
    }

    pub(super) fn holding(&self, mail: Mail, subject: Subject) -> Result<Option<(i64, Held)>, LedgerError> {
        match self.holder(mail, subject).map_err(self.broken())? {
            Some(attempt) => Ok(Some((attempt, self.hold_of(attempt).map_err(self.broken())?))),
            None => Ok(None),
        }
    }

    /// The attempt that holds a user on this portal, or on one that it was.
    fn holder(&self, mail: Mail, subject: Subject) -> rusqlite::Result<Option<i64>> {
        for portal in &self.portals {
            let found = self.holder_at(*portal, mail, subject)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn holder_at(&self, portal: i64, mail: Mail, subject: Subject) -> rusqlite::Result<Option<i64>> {
        let kind = mail as i64;
        if let Some(attempt) = self.fresh.0.get(&(portal, kind, subject)) {
            return Ok(Some(*attempt));
        }
        // Nothing but the index is looked at: most users are held by nobody.
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM attempt WHERE portal = ?1 AND kind = ?2 AND subject = ?3 AND holds = 1")?;
        statement.query_row(params![portal, kind, subject.as_slice()], |row| row.get(0)).optional()
    }

    fn hold_of(&self, attempt: i64) -> rusqlite::Result<Held> {
        let mut statement = self.connection.prepare_cached(
            "SELECT state, coalesce(attempt.ended_at, began_at), run.uuid, coalesce(reason, 'it is on its way') \
             FROM attempt JOIN run ON run.id = attempt.run WHERE attempt.id = ?1",
        )?;
        statement.query_row([attempt], |row| {
            let at = Timestamp::from_millisecond(row.get(1)?).unwrap_or_default();
            let (state, run): (String, String) = (row.get(0)?, row.get(2)?);
            Ok(if state == "sent" { Held::Sent { at, run } } else { Held::Unknown { at, run, reason: row.get(3)? } })
        })
    }

    /// An attempt begins, and holds its user from here on.
    pub(super) fn holds(&mut self, mail: Mail, subject: Subject, attempt: i64) {
        let portal = self.portals.first().copied().unwrap_or_default();
        self.fresh.0.insert((portal, mail as i64, subject), attempt);
    }

    /// An attempt lets its user go; the caller says so in the file.
    pub(super) fn lets_go(&mut self, attempt: i64) {
        self.fresh.0.retain(|_, fresh| *fresh != attempt);
    }

    /// Whether it is time to enter into the index what is known by heart.
    pub(super) fn knows_many(&self) -> bool {
        self.fresh.0.len() >= BY_HEART
    }

    /// Enters into the index what is known by heart, within the transaction that goes on.
    pub(super) fn index_fresh(&mut self) -> Result<(), LedgerError> {
        let broken = self.broken();
        let fresh = std::mem::take(&mut self.fresh.0);
        let mut statement = self
            .connection
            .prepare_cached("UPDATE attempt SET holds = 1 WHERE id = ?1 AND holds = 2")
            .map_err(&broken)?;
        for attempt in fresh.values() {
            statement.execute([attempt]).map_err(&broken)?;
        }
        Ok(())
    }

    /// Another origin under which one of these users is held: perhaps this portal's earlier address.
    pub fn elsewhere(&self, users: impl Iterator<Item = UserId>) -> Result<Option<(String, UserId)>, LedgerError> {
        let broken = self.broken();
        let mut statement = self.connection.prepare("SELECT id, origin FROM portal ORDER BY id").map_err(&broken)?;
        let others: Vec<(i64, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .map_err(&broken)?;
        // What was tried on the embedded portal says nothing about a real one.
        let tried = Origin::of_sandbox();
        let others: Vec<_> =
            others.into_iter().filter(|(id, origin)| !self.portals.contains(id) && origin != tried.as_str()).collect();
        if others.is_empty() {
            return Ok(None);
        }
        for user in users {
            for (portal, origin) in &others {
                if self.holder_at(*portal, Mail::Congratulation, *user.as_bytes()).map_err(&broken)?.is_some() {
                    return Ok(Some((origin.clone(), user)));
                }
            }
        }
        Ok(None)
    }
}
