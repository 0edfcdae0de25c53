//! Sessions: who writes a ledger elsewhere, one at a time, without a lock; and what the file keeps of them.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{log::Tried, state::Ledger};
use crate::{
    display::{Shown, Span},
    ledger::{
        Entry, Holder, LedgerError, RunStart,
        log::{Header, Next, Waiting, hex},
        store::Hash,
    },
    origin::Origin,
    seal::Seal,
};

/// A session that wants to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStart {
    /// A run.
    Run(RunStart),
    /// Anything else that writes.
    Other {
        /// Its id.
        id: Uuid,
        /// Who, where.
        who: String,
        /// `settle` or `move`.
        command: String,
    },
}

/// The session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Its id.
    pub id: Uuid,
    /// Who, where.
    pub who: String,
    /// What it does.
    pub command: String,
    /// Since when.
    pub since: Timestamp,
}

/// When something was last heard of an open session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// When its last append was made.
    pub at: Timestamp,
    /// Whether nobody would take over from it yet.
    pub is_alive: bool,
}

impl Heard {
    fn at(at: Timestamp, now: Timestamp, takeover: Duration) -> Self {
        // One that is ahead of the store's clock is alive all the same.
        let silent = Duration::try_from(now.duration_since(at)).unwrap_or_default();
        Self { at, is_alive: silent < takeover }
    }
}

impl std::fmt::Display for Holding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.since.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "{} ({}), since {since}", Shown(&self.who), Shown(&self.command))
    }
}

impl Ledger {
    /// Begins a session on a ledger elsewhere: waits at most so long for whoever has one open, saying so, and takes over
    /// from whoever is silent for a minute. Whatever was read before may be older than what it finds: decide afterwards.
    #[expect(clippy::disallowed_methods, reason = "before a run starts there is nothing to do but wait")]
    pub fn begin_session(
        &mut self,
        start: &SessionStart,
        portal: Option<(&Origin, &[Origin])>,
        at_most: Duration,
        mut say: impl FnMut(&str),
    ) -> Result<(), LedgerError> {
        let began = std::time::Instant::now();
        let now = || i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let times = self.log().times();
        let mut waiting = Waiting::new(times);
        let mut said = false;
        loop {
            let looked = now();
            let seen = self.catch_up();
            let holder = match seen {
                Ok(()) => {
                    self.check_standing()?;
                    match self.holding_session()? {
                        None => match self.try_begin(None, start, portal)? {
                            Tried::Done => return Ok(()),
                            Tried::Lost => continue,
                        },
                        Some(holder) => {
                            if waiting.looked(looked, now(), self.log().number()) == Next::TakeOver {
                                match self.try_begin(Some(&holder), start, portal)? {
                                    Tried::Done => return Ok(()),
                                    Tried::Lost => continue,
                                }
                            }
                            Ok(holder)
                        }
                    }
                }
                Err(error) if error.may_pass() => Err(error),
                Err(error) => return Err(error),
            };
            let waited = began.elapsed();
            if waited >= at_most {
                return Err(match holder {
                    Ok(holder) => LedgerError::InUse {
                        place: self.name(),
                        holder: Holder(holder.to_string()),
                        waited: Span(at_most).to_string(),
                    },
                    Err(error) => error,
                });
            }
            if let (Ok(holder), false) = (&holder, said) {
                said = true;
                let takeover = times.takeover + Duration::from_secs(10);
                let never = if at_most < takeover {
                    format!("; one that was killed is not taken over in less than {}", Span(takeover))
                } else {
                    String::new()
                };
                say(&format!("waiting for another run on the same ledger: {holder}; at most {}{never}", Span(at_most)));
            }
            std::thread::sleep(times.look.min(at_most.saturating_sub(waited)));
        }
    }

    fn try_begin(
        &mut self,
        from: Option<&Holding>,
        start: &SessionStart,
        portal: Option<(&Origin, &[Origin])>,
    ) -> Result<Tried, LedgerError> {
        let mut entries = Vec::new();
        entries.extend(from.map(|from| Entry::TookOver { from: from.id }));
        let mut origins = Vec::new();
        if let Some((origin, formerly)) = portal {
            origins.extend(std::iter::once(origin).chain(formerly).cloned());
        }
        self.log_mut().begin(start.id());
        self.begin()?;
        let at = self.clock.now();
        let put = (|| {
            for entry in &entries {
                self.put(at, entry)?;
            }
            for origin in &origins {
                if self.portal_id(origin)?.is_none() {
                    self.put(at, &Entry::PortalKnown(origin.clone()))?;
                }
            }
            if let Some((origin, formerly)) = portal {
                self.look_at(origin, formerly)?;
            }
            self.put(at, &start.entry()).map(drop)
        })();
        let tried = put.and_then(|()| self.try_commit());
        match tried {
            Ok(Tried::Done) => Ok(Tried::Done),
            Ok(Tried::Lost) => {
                self.take_back();
                Ok(Tried::Lost)
            }
            Err(error) => {
                self.take_back();
                Err(error)
            }
        }
    }

    /// Ends a session that is no run.
    pub fn end_session(&mut self, exit_status: u8) -> Result<(), LedgerError> {
        self.enter(&Entry::SessionEnded { exit_status }).map(drop)
    }

    /// The session that is open, as far as was read.
    pub fn holding_session(&self) -> Result<Option<Holding>, LedgerError> {
        self.connection
            .query_row(
                "SELECT session, session_who, session_command, session_since FROM head WHERE session IS NOT NULL",
                [],
                |row| {
                    Ok(Holding {
                        id: row.get::<_, String>(0)?.parse().unwrap_or_default(),
                        who: row.get(1)?,
                        command: row.get(2)?,
                        since: Timestamp::from_millisecond(row.get(3)?).unwrap_or_default(),
                    })
                },
            )
            .optional()
            .map_err(self.broken())
    }

    /// When the log's last object was appended, and whether an open session that appended it counts as alive: by the
    /// store's clock, and by the time after which whoever waits takes over. Asks the store once. Nothing for a file, and
    /// while objects of another log are copied, which bear the times of that one and are taken over by nobody.
    pub fn last_heard(&mut self) -> Result<Option<Heard>, LedgerError> {
        let now = self.now();
        if matches!(self.check_standing(), Err(LedgerError::Copying(_))) {
            return Ok(None);
        }
        let Some(log) = self.log.as_deref_mut() else { return Ok(None) };
        let number = log.number();
        let found = log.store.read(number).map_err(|fault| log.fault(fault))?;
        let header = found.as_ref().and_then(|(bytes, _)| bytes.split(|byte| *byte == b'\n').next());
        let header: Header = header
            .and_then(|header| serde_json::from_slice(header).ok())
            .ok_or_else(|| log.damaged(number, "is gone, or was changed since this machine read it"))?;
        Ok(Some(Heard::at(header.at, now, log.times().takeover)))
    }

    pub(super) fn session_begins(
        &mut self,
        at: i64,
        id: Uuid,
        who: &str,
        command: &str,
        run: Option<(i64, i64)>,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE head SET session = ?1, session_who = ?2, session_command = ?3, session_since = ?4, session_run = ?5, \
             session_portal = ?6",
            params![id.to_string(), who, command, at, run.map(|(run, _)| run), run.map(|(_, portal)| portal)],
        )
        .map(drop)
    }

    pub(super) fn session_ends(&mut self) -> Result<(), LedgerError> {
        self.change(
            "UPDATE head SET session = NULL, session_who = NULL, session_command = NULL, session_since = NULL, \
             session_run = NULL, session_portal = NULL",
            [],
        )
        .map(drop)
    }

    pub(super) fn copy_ends(&mut self) -> Result<(), LedgerError> {
        self.session_ends()?;
        self.change(
            "UPDATE head SET standing = CASE moved_to WHEN 'here' THEN NULL ELSE 'copy' END, moved_to = NULL",
            [],
        )
        .map(drop)
    }

    /// Refuses a ledger that is a copy, or has moved.
    pub fn check_standing(&self) -> Result<(), LedgerError> {
        let (standing, to): (Option<String>, Option<String>) = self
            .connection
            .query_row("SELECT standing, moved_to FROM head", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(self.broken())?;
        match standing.as_deref() {
            None => Ok(()),
            Some("moved") => Err(LedgerError::Moved { place: self.name(), to: to.unwrap_or_default() }),
            Some("copying") => Err(LedgerError::Copying(self.name())),
            Some(_) => Err(LedgerError::Copy(self.name())),
        }
    }

    /// A file's chain of ended runs goes on with this one.
    pub(super) fn seal_run(&mut self, at: i64, exit_status: u8) -> Result<(), LedgerError> {
        let (number, before): (i64, Vec<u8>) = self
            .connection
            .query_row("SELECT number, hash FROM head", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(self.broken())?;
        let told: String = self
            .connection
            .query_row(
                "SELECT uuid || ' ' || started_at || ' ' || coalesce(outcomes, '') FROM run WHERE id = ?1",
                [self.run],
                |row| row.get(0),
            )
            .map_err(self.broken())?;
        let hash = Self::sealed(&before, &told, at, exit_status);
        let number = number.saturating_add(1);
        self.change("UPDATE run SET number = ?2, hash = ?3 WHERE id = ?1", params![self.run, number, hash.as_slice()])?;
        self.change("UPDATE head SET number = ?1, hash = ?2", params![number, hash.as_slice()]).map(drop)
    }

    /// Where the ledger stands.
    pub fn seal(&self) -> Result<Seal, LedgerError> {
        self.connection
            .query_row("SELECT ledger, number, hash FROM head", [], |row| {
                Ok(Seal {
                    id: row.get(0)?,
                    number: row.get::<_, i64>(1)?.unsigned_abs(),
                    hash: hex(&row.get::<_, Vec<u8>>(2)?),
                })
            })
            .map_err(self.broken())
    }

    /// Whether the ledger still holds what it held then.
    pub fn holds_seal(&self, seal: &Seal) -> Result<bool, LedgerError> {
        let now = self.seal()?;
        if now.id != seal.id || now.number < seal.number {
            return Ok(false);
        }
        if now.number == seal.number {
            return Ok(now.hash == seal.hash);
        }
        if seal.number == 0 {
            return Ok(true);
        }
        let query = if self.is_elsewhere() {
            "SELECT lower(hex(hash)) FROM object WHERE number = ?1"
        } else {
            "SELECT lower(hex(hash)) FROM run WHERE number = ?1"
        };
        let number = i64::try_from(seal.number).unwrap_or(i64::MAX);
        let found: Option<String> =
            self.connection.query_row(query, [number], |row| row.get(0)).optional().map_err(self.broken())?;
        Ok(found.is_some_and(|hash| hash == seal.hash))
    }
}

/// What is in a ledger, in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Why runs refuse it, where they do.
    pub standing: Option<String>,
    /// How many runs it knows.
    pub runs: u64,
    /// Messages that were accepted.
    pub sent: u64,
    /// Messages that may have been sent, and that nobody has decided about.
    pub undecided: u64,
    /// When its last run began.
    pub last_run: Option<Timestamp>,
    /// How many objects its log has, where it is one.
    pub objects: Option<u64>,
}

impl Ledger {
    /// What is in it, in figures.
    pub fn overview(&self) -> Result<Overview, LedgerError> {
        let (runs, last_run, sent, undecided): (i64, Option<i64>, i64, i64) = self
            .connection
            .query_row(
                "SELECT (SELECT count(*) FROM run WHERE command <> 'dry-run'), \
                 (SELECT max(started_at) FROM run WHERE command <> 'dry-run'), \
                 (SELECT count(*) FROM attempt WHERE state = 'sent' AND holds <> 0), \
                 (SELECT count(*) FROM attempt WHERE (state = 'unknown' OR state = 'intent') AND holds <> 0)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .map_err(self.broken())?;
        Ok(Overview {
            standing: self.check_standing().err().map(|error| error.to_string()),
            runs: runs.unsigned_abs(),
            sent: sent.unsigned_abs(),
            undecided: undecided.unsigned_abs(),
            last_run: last_run.and_then(|at| Timestamp::from_millisecond(at).ok()),
            objects: self.log.as_ref().map(|log| log.number()),
        })
    }

    /// The number of the object, or of the ended run, that has this hash (in hex).
    pub fn number_of(&self, hash: &str) -> Result<Option<i64>, LedgerError> {
        let query = if self.is_elsewhere() {
            "SELECT number FROM object WHERE lower(hex(hash)) = ?1"
        } else {
            "SELECT number FROM run WHERE lower(hex(hash)) = ?1"
        };
        self.connection.query_row(query, [hash], |row| row.get(0)).optional().map_err(self.broken())
    }

    /// Computes the chain of a file's ended runs again, and refuses one that is not as it was.
    pub fn check_seals(&self) -> Result<(), LedgerError> {
        if self.is_elsewhere() {
            return Ok(());
        }
        let damaged = || LedgerError::Damaged { path: self.path.clone(), what: "its ended runs are not as they were" };
        let mut statement = self
            .connection
            .prepare("SELECT number, hash, uuid || ' ' || started_at || ' ' || coalesce(outcomes, ''), ended_at, exit_status \
                      FROM run WHERE number IS NOT NULL ORDER BY number")
            .map_err(self.broken())?;
        let mut rows = statement.query([]).map_err(self.broken())?;
        let mut before: Vec<u8> = vec![0; 32];
        let mut expected = 0;
        while let Some(row) = rows.next().map_err(self.broken())? {
            let read = || -> rusqlite::Result<(i64, Vec<u8>, String, i64, u8)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            };
            let (number, hash, told, at, exit_status) = read().map_err(self.broken())?;
            expected += 1;
            let again = Self::sealed(&before, &told, at, exit_status);
            if number != expected || again.as_slice() != hash {
                return Err(damaged());
            }
            before = hash;
        }
        let seal = self.seal()?;
        if seal.hash == hex(&before) && i64::try_from(seal.number) == Ok(expected) { Ok(()) } else { Err(damaged()) }
    }

    fn sealed(before: &[u8], told: &str, at: i64, exit_status: u8) -> Hash {
        Sha256::new()
            .chain_update(before)
            .chain_update(told)
            .chain_update(at.to_le_bytes())
            .chain_update([exit_status])
            .finalize()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_gone_once_it_would_be_taken_over() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let is_alive = |now| Heard::at(at(100), at(now), Duration::from_secs(60)).is_alive;
        assert_eq!([40, 100, 159, 160, 100_000].map(is_alive), [true, true, true, false, false]);
    }
}
