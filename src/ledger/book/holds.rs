//! Whom an attempt holds, and whether another one may begin.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::state::{Ledger, Made};
use crate::{
    attempt::{Held, Mail, Subject},
    ledger::{AttemptId, Entry, Intended, Intent, LedgerError},
};

impl Ledger {
    /// The attempt that holds a user, if one does, and how.
    pub(super) fn holding(&self, mail: Mail, subject: Subject) -> Result<Option<(AttemptId, Held)>, LedgerError> {
        for portal in &self.portals {
            if let Some(attempt) = self.holder_at(*portal, mail, subject).map_err(self.broken())? {
                return Ok(Some((attempt, self.hold_of(attempt).map_err(self.broken())?)));
            }
        }
        Ok(None)
    }

    pub(super) fn holder_at(&self, portal: i64, mail: Mail, subject: Subject) -> rusqlite::Result<Option<AttemptId>> {
        if let Some(attempt) = self.fresh.holder(portal, mail, subject) {
            return Ok(Some(attempt));
        }
        // Nothing but the index is looked at: most users are held by nobody.
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM attempt WHERE portal = ?1 AND kind = ?2 AND subject = ?3 AND holds = 1")?;
        let found = statement.query_row(params![portal, mail as i64, subject.as_slice()], |row| row.get(0));
        Ok(found.optional()?.map(AttemptId))
    }

    fn hold_of(&self, attempt: AttemptId) -> rusqlite::Result<Held> {
        let mut statement = self.connection.prepare_cached(
            "SELECT state = 'sent', coalesce(ended_at, began_at), run, reason FROM attempt WHERE id = ?1",
        )?;
        statement.query_row([attempt.0], |row| {
            let at = Timestamp::from_millisecond(row.get(1)?).unwrap_or_default();
            let run = self.name_of(row.get(2)?)?;
            if row.get(0)? {
                return Ok(Held::Sent { at, run });
            }
            let why: Option<String> = row.get(3)?;
            Ok(Held::Unknown { at, run, why: why.unwrap_or_else(|| "it is on its way".to_owned()) })
        })
    }

    /// A run's id, of which all who ask share one text.
    fn name_of(&self, run: i64) -> rusqlite::Result<Arc<str>> {
        if let Some(name) = self.names.borrow().get(&run) {
            return Ok(Arc::clone(name));
        }
        let mut statement = self.connection.prepare_cached("SELECT uuid FROM run WHERE id = ?1")?;
        let name: Arc<str> = statement.query_row([run], |row| row.get::<_, String>(0))?.into();
        self.names.borrow_mut().insert(run, Arc::clone(&name));
        Ok(name)
    }

    /// An attempt begins, unless an earlier one holds its user and nobody asked to let that one go.
    pub(in crate::ledger) fn intend(&mut self, at: i64, intent: &Intent) -> Result<Intended, LedgerError> {
        // Another origin of the portal may hold the user too, once this one lets go.
        while let Some((attempt, held)) = self.holding(intent.mail, intent.subject)? {
            // What is on its way in this very run is nobody's to let go.
            if !intent.let_go.covers(&held) || self.is_open(attempt)? || self.is_of_the_same_plan(attempt)? {
                return Ok(Intended::Held(held));
            }
            self.put(at, &Entry::LetGo(attempt))?;
        }
        match self.put(at, &Entry::Intent(*intent))? {
            Made::Attempt(attempt) => Ok(Intended::Open(attempt)),
            Made::Records | Made::Unknown(_) => Err(LedgerError::Stopped("an intent made no attempt".to_owned())),
        }
    }

    fn is_open(&self, attempt: AttemptId) -> Result<bool, LedgerError> {
        self.connection
            .prepare_cached("SELECT 1 FROM attempt WHERE id = ?1 AND state = 'intent'")
            .and_then(|mut statement| statement.exists([attempt.0]))
            .map_err(self.broken())
    }

    /// Whether it is time to enter into the index what is known by heart.
    pub(in crate::ledger) fn knows_many(&self) -> bool {
        self.fresh.are_many()
    }

    /// Enters into the index what is known by heart, within the transaction that goes on.
    pub(in crate::ledger) fn index_fresh(&mut self) -> Result<(), LedgerError> {
        self.fresh.enter(&self.connection).map_err(self.broken())
    }
}
