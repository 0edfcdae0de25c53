//! What is recorded in a ledger elsewhere is appended to its log first.

use std::time::Duration;

use rusqlite::params;

use super::{
    log::{OBJECT, Tried},
    state::{Ledger, Made},
};
use crate::{
    lease::Lease,
    ledger::{Entry, LedgerError, log::Line},
};

impl Ledger {
    /// Puts a line among those that are appended with this transaction.
    pub(super) fn add_line(&mut self, line: &Line, made: Made) -> Result<(), LedgerError> {
        let log = self.log_mut();
        let number = i64::try_from(log.chain.number() + 1).unwrap_or(i64::MAX);
        let place = log.count + 2;
        log.lines.push_str(&crate::ledger::log::encode(line));
        log.count += 1;
        let is_full = log.lines.len() > OBJECT;
        if let Made::Attempt(attempt) = made {
            self.change(
                "UPDATE attempt SET object = ?2, line = ?3 WHERE id = ?1",
                params![attempt.number(), number, place],
            )?;
        }
        if is_full { self.append_lines() } else { Ok(()) }
    }

    pub(super) fn drop_lines(&mut self) {
        if let Some(log) = &mut self.log {
            log.lines.clear();
            log.count = 0;
        }
    }

    /// Appends what was recorded in this transaction; whoever finds another's object there is fenced for good.
    pub(super) fn append_lines(&mut self) -> Result<(), LedgerError> {
        match self.append_once()? {
            Tried::Done => Ok(()),
            Tried::Lost => {
                let log = self.log_mut();
                log.lease.end();
                Err(log.fenced())
            }
        }
    }

    /// Appends and ends the transaction, unless somebody was first.
    pub(super) fn try_commit(&mut self) -> Result<Tried, LedgerError> {
        match self.append_once()? {
            Tried::Done => self.commit().map(|()| Tried::Done),
            Tried::Lost => Ok(Tried::Lost),
        }
    }

    fn append_once(&mut self) -> Result<Tried, LedgerError> {
        let at = self.clock.time();
        let Some(log) = self.log.as_mut().filter(|log| !log.lines.is_empty()) else { return Ok(Tried::Done) };
        let Some(session) = log.session else {
            return Err(LedgerError::Stopped("nothing may be recorded outside a session".to_owned()));
        };
        let object = log.chain.make_of(session, at, &log.lines);
        if log.append(&object)? == Tried::Lost {
            return Ok(Tried::Lost);
        }
        let followed = log.chain.follow(&object.bytes);
        followed.map_err(|broken| log.damaged(object.number, broken.to_string()))?;
        self.drop_lines();
        self.keep_head("")?;
        Ok(Tried::Done)
    }

    /// How long until a log has to be told that its session is alive; none for a file.
    pub(in crate::ledger) fn silent_for(&self) -> Option<Duration> {
        let log = self.log.as_ref()?;
        let quiet = u64::try_from(log.lease.now().saturating_sub(log.last)).unwrap_or(0);
        Some(log.times.alive.saturating_sub(Duration::from_millis(quiet)))
    }

    /// Tells the log that its session is alive.
    pub(in crate::ledger) fn say_alive(&mut self) -> Result<(), LedgerError> {
        self.enter(&Entry::Alive).map(drop)
    }

    /// For how long bytes may leave; none for a file, which nobody can take over.
    pub fn lease(&self) -> Option<Lease> {
        self.log.as_ref().map(|log| log.lease.clone())
    }
}
