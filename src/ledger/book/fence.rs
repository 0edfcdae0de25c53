//! The fence: whom an attempt holds, so that nothing is sent to them.
//!
//! A unique index finds what holds a user, and refuses a second attempt to whoever writes the file. Users come in no
//! order, so that to enter each attempt at once would rewrite a page of the index for each. The attempts of the run that
//! goes on are therefore known by heart at first (`holds` is 2), and enter the index in order, many together: once a good
//! many are there, and when the run ends. Each is on disk all the same before anything is sent. Whoever opens the file for
//! writing enters what a run that died left; whoever only looks learns it by heart too.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, ErrorCode};

use crate::{
    attempt::{Mail, Subject},
    ledger::{AttemptId, LedgerError},
};

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

    pub(super) fn holder(&self, portal: i64, mail: Mail, subject: Subject) -> Option<AttemptId> {
        self.0.get(&(portal, mail as i64, subject)).copied().map(AttemptId)
    }

    /// An attempt begins, and holds its user from here on.
    pub(super) fn holds(&mut self, portal: i64, mail: Mail, subject: Subject, attempt: AttemptId) {
        self.0.insert((portal, mail as i64, subject), attempt.0);
    }

    /// An attempt lets its user go; the caller says so in the file.
    pub(super) fn lets_go(&mut self, attempt: AttemptId) {
        self.0.retain(|_, fresh| *fresh != attempt.0);
    }

    /// Whether it is time to enter into the index what is known by heart.
    pub(super) fn are_many(&self) -> bool {
        self.0.len() >= BY_HEART
    }

    /// Enters into the index what is known by heart, within the transaction that goes on.
    pub(super) fn enter(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let fresh = std::mem::take(&mut self.0);
        let mut statement = connection.prepare_cached("UPDATE attempt SET holds = 1 WHERE id = ?1 AND holds = 2")?;
        for attempt in fresh.values() {
            statement.execute([attempt])?;
        }
        Ok(())
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
