//! An open ledger: which file, which portal, which run.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension};

#[cfg(unix)]
use super::file::inode;
use super::{fence::Fresh, log::Log};
use crate::{
    ledger::{AttemptId, Clock, Entry, LedgerError, RunStart},
    origin::Origin,
};

/// A ledger, open.
#[derive(Debug)]
pub struct Ledger {
    pub(in crate::ledger) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
    /// The portal's number, first, and those of the origins that it had before.
    pub(super) portals: Vec<i64>,
    pub(super) run: i64,
    pub(super) fresh: Fresh,
    /// Of a ledger elsewhere: its log. The file is then a copy, made of the log's entries.
    pub(super) log: Option<Box<Log>>,
    /// Names of runs that were asked for: many attempts share one.
    pub(super) names: RefCell<HashMap<i64, Arc<str>>>,
    #[cfg(unix)]
    pub(super) inode: Option<u64>,
    /// A throw-away ledger's folder, deleted with it.
    pub(super) folder: Option<tempfile::TempDir>,
}

/// What an entry made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ledger) enum Made {
    /// A record of no interest to whoever made the entry.
    Records,
    /// An attempt, which holds from here on.
    Attempt(AttemptId),
    /// So many attempts are unknown now.
    Unknown(usize),
}

impl Ledger {
    /// The same ledger with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The clock of its records.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(in crate::ledger) fn broken(&self) -> impl Fn(rusqlite::Error) -> LedgerError + use<> {
        let path = self.path.clone();
        move |error| LedgerError::from_sqlite(&path, &error)
    }

    /// Where it is, as people may read it.
    pub fn name(&self) -> String {
        match &self.log {
            Some(log) => log.name().to_owned(),
            None => crate::display::shown_path(&self.path),
        }
    }

    /// Whether it is a log elsewhere, and this file a copy.
    pub fn is_elsewhere(&self) -> bool {
        self.log.is_some()
    }

    /// Where it is on this machine.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file that was deleted or replaced under us would take our records to nowhere.
    #[cfg(unix)]
    pub(in crate::ledger) fn is_still_there(&self) -> Result<(), LedgerError> {
        if self.inode.is_some() && inode(&self.path) != self.inode {
            return Err(LedgerError::Replaced(self.path.clone()));
        }
        Ok(())
    }

    /// Windows neither deletes nor replaces a file that SQLite has open.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "elsewhere it can fail")]
    pub(in crate::ledger) fn is_still_there(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Turns what follows to one portal, with the origins that it had before.
    pub fn turn_to(&mut self, origin: &Origin, formerly: &[Origin]) -> Result<(), LedgerError> {
        for origin in std::iter::once(origin).chain(formerly) {
            if self.portal_id(origin)?.is_none() {
                self.enter(&Entry::PortalKnown(origin.clone()))?;
            }
        }
        self.look_at(origin, formerly)
    }

    /// Turns what follows to one portal, without writing; what is not known has no records.
    pub fn look_at(&mut self, origin: &Origin, formerly: &[Origin]) -> Result<(), LedgerError> {
        self.portals.clear();
        for origin in std::iter::once(origin).chain(formerly) {
            let id = self.portal_id(origin)?;
            self.portals.extend(id);
        }
        Ok(())
    }

    pub(super) fn portal_id(&self, origin: &Origin) -> Result<Option<i64>, LedgerError> {
        self.connection
            .query_row("SELECT id FROM portal WHERE origin = ?1", [origin.as_str()], |row| row.get(0))
            .optional()
            .map_err(self.broken())
    }

    /// Makes intents of dead runs `unknown`, and says how many. Only the holder of the lock may do this.
    pub fn recover(&mut self) -> Result<usize, LedgerError> {
        // Where there are none, a log elsewhere needs no entry that says so.
        if self.is_elsewhere() && !self.has_open_intents()? {
            return Ok(0);
        }
        match self.enter(&Entry::Recovered)? {
            Made::Unknown(count) => Ok(count),
            Made::Records | Made::Attempt(_) => Ok(0),
        }
    }

    fn has_open_intents(&self) -> Result<bool, LedgerError> {
        self.connection
            .prepare("SELECT 1 FROM attempt WHERE holds = 1 AND state = 'intent'")
            .and_then(|mut statement| statement.exists([]))
            .map_err(self.broken())
    }

    /// Begins a run; what is recorded from here on belongs to it.
    pub fn begin_run(&mut self, start: RunStart) -> Result<(), LedgerError> {
        self.enter(&Entry::RunBegan(start)).map(drop)
    }

    /// Ends the run, with its rows by what became of them.
    pub fn end_run<W: Into<String>>(
        &mut self,
        exit_status: u8,
        requests: u64,
        counts: impl IntoIterator<Item = (W, u64)>,
    ) -> Result<(), LedgerError> {
        let counts = counts.into_iter().map(|(word, count)| (word.into(), count)).collect();
        self.keep_snapshot()?;
        self.enter(&Entry::RunEnded { exit_status, requests, counts })?;
        if self.is_elsewhere() {
            // The object that ends it is the last one; whoever reads the log enters it where that object is read.
            self.ended_in(self.seal()?.number)?;
        }
        self.fold()
    }

    /// Brings everything from the log into the file itself, so that whoever copies the one file has it all. Where
    /// somebody is looking just now the log stays, and loses nothing.
    fn fold(&self) -> Result<(), LedgerError> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(self.broken())
    }

    /// Closes the ledger, with everything in the one file.
    pub fn close(self) -> Result<(), LedgerError> {
        self.write_seen();
        self.fold()
    }
}
