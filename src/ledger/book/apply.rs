//! What entries make of the file: the one place where records change.

use rusqlite::params;

use super::state::{Ledger, Made};
use crate::{
    attempt::Ending,
    ledger::{AttemptId, Entry, Intent, LedgerError, RunStart},
};

const DAY_MS: i64 = 86_400_000;

impl Ledger {
    /// Puts one entry on disk, by itself, with the ledger's time.
    pub(super) fn enter(&mut self, entry: &Entry) -> Result<Made, LedgerError> {
        let at = self.clock.now();
        self.begin()?;
        let made = self.put(at, entry).and_then(|made| self.commit().map(|()| made));
        if made.is_err() {
            self.take_back();
        }
        made
    }

    pub(in crate::ledger) fn begin(&mut self) -> Result<(), LedgerError> {
        // A deferred transaction that becomes a writing one is refused at once if somebody else writes.
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(self.broken())
    }

    /// Ends the transaction. Of a ledger elsewhere the log comes first: what it does not acknowledge is in no copy.
    pub(in crate::ledger) fn commit(&mut self) -> Result<(), LedgerError> {
        self.append_lines()?;
        self.connection.execute_batch("COMMIT").map_err(self.broken())
    }

    /// Takes back what was written since it began; if even that fails, closing the file takes it back.
    pub(in crate::ledger) fn take_back(&mut self) {
        self.drop_lines();
        if !self.connection.is_autocommit() {
            drop(self.connection.execute_batch("ROLLBACK"));
        }
    }

    /// Records an entry: makes of the file what it says and, where the ledger is elsewhere, puts it among what is
    /// appended with this transaction.
    pub(in crate::ledger) fn put(&mut self, at: i64, entry: &Entry) -> Result<Made, LedgerError> {
        if self.log.is_none() {
            return self.apply(at, entry);
        }
        // Named before it is applied: an attempt that is let go has its place in the log all the same.
        let line = self.line_of(at, entry)?;
        let made = self.apply(at, entry)?;
        self.add_line(&line, made)?;
        Ok(made)
    }

    /// Makes of the file what an entry of this time (milliseconds since 1970) says, within the transaction that goes on.
    pub(in crate::ledger) fn apply(&mut self, at: i64, entry: &Entry) -> Result<Made, LedgerError> {
        match entry {
            Entry::PortalKnown(origin) => {
                self.change("INSERT INTO portal (origin) VALUES (?1) ON CONFLICT DO NOTHING", [origin.as_str()])?;
            }
            Entry::RunBegan(start) => self.run_began(at, start)?,
            Entry::Intent(intent) => return self.intent(at, intent).map(Made::Attempt),
            Entry::Ended { attempt, ending, http } => self.ended(at, *attempt, ending, *http)?,
            Entry::LetGo(attempt) => {
                self.change(
                    "UPDATE attempt SET holds = 0, decision = 'sent again', decided_at = ?2 WHERE id = ?1",
                    params![attempt.0, at],
                )?;
                self.fresh.lets_go(*attempt);
            }
            Entry::Reserved { upto } => {
                let upto = i64::try_from(*upto).unwrap_or(i64::MAX);
                self.change("INSERT INTO window_use (run, upto, at) VALUES (?1, ?2, ?3)", params![self.run, upto, at])?;
            }
            Entry::RunEnded { exit_status, requests, counts } => {
                let counts: serde_json::Map<String, serde_json::Value> =
                    counts.iter().map(|(word, count)| (word.clone(), (*count).into())).collect();
                self.change(
                    "UPDATE run SET ended_at = ?2, exit_status = ?3, requests = ?4, outcomes = ?5 WHERE id = ?1",
                    params![
                        self.run,
                        at,
                        exit_status,
                        i64::try_from(*requests).unwrap_or(i64::MAX),
                        serde_json::Value::Object(counts).to_string(),
                    ],
                )?;
                self.session_ends()?;
                if self.log.is_none() {
                    self.seal_run(at, *exit_status)?;
                }
            }
            Entry::Decided { attempt, was_sent, by, why } => {
                let (state, decision) = if *was_sent { ("sent", "sent") } else { ("unknown", "not sent") };
                self.change(
                    "UPDATE attempt SET state = ?2, holds = ?3, decision = ?4, decided_by = ?5, decided_at = ?6, decision_reason = ?7 \
                     WHERE id = ?1",
                    params![attempt.0, state, was_sent, decision, by, at, why],
                )?;
            }
            Entry::SessionBegan { id, who, command } => self.session_begins(at, *id, who, command, None)?,
            Entry::SessionEnded { .. } => self.session_ends()?,
            Entry::TookOver { .. } => self.session_ends()?,
            Entry::Alive | Entry::Made { .. } => {}
            Entry::CopyBegan(start) => {
                // Until it ended, what it will be then stands where a move would say where to.
                self.change(
                    "UPDATE head SET standing = 'copying', moved_to = CASE WHEN ?1 THEN 'here' END",
                    [start.moves],
                )?;
            }
            Entry::CopyEnded => self.copy_ends()?,
            Entry::MovedTo { to } => drop(self.change("UPDATE head SET standing = 'moved', moved_to = ?1", [to])?),
            Entry::Recovered => {
                let unknown = self.change(
                    "UPDATE attempt SET state = 'unknown', ended_at = ?1, reason = 'the run died before the answer came' \
                     WHERE holds = 1 AND state = 'intent'",
                    [at],
                )?;
                return Ok(Made::Unknown(unknown));
            }
        }
        Ok(Made::Records)
    }

    fn run_began(&mut self, at: i64, start: &RunStart) -> Result<(), LedgerError> {
        let portal = self.portals.first().copied().unwrap_or_default();
        // No portal's window is longer than a day.
        self.change("DELETE FROM window_use WHERE at < ?1", [at.saturating_sub(DAY_MS)])?;
        self.change(
            "INSERT INTO run (uuid, portal, account, command, roster, roster_hash, rows, who, started_at, plan) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                start.id.to_string(),
                portal,
                start.account.as_slice(),
                start.command,
                start.roster,
                start.roster_hash.as_slice(),
                i64::try_from(start.rows).unwrap_or(i64::MAX),
                start.who,
                at,
                start.plan.as_ref().map(<[u8; 32]>::as_slice),
            ],
        )?;
        self.run = self.connection.last_insert_rowid();
        self.session_begins(at, start.id, &start.who, &start.command, Some((self.run, portal)))
    }

    fn intent(&mut self, at: i64, intent: &Intent) -> Result<AttemptId, LedgerError> {
        let portal = self.portals.first().copied().unwrap_or_default();
        self.change(
            "INSERT INTO attempt (portal, kind, subject, email, run, began_at, state, holds, counted, roster_row) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'intent', 2, 1, ?7)",
            params![
                portal,
                intent.mail as i64,
                intent.subject.as_slice(),
                intent.email.map(|email| email.0),
                self.run,
                at,
                intent.row,
            ],
        )?;
        let attempt = AttemptId(self.connection.last_insert_rowid());
        self.fresh.holds(portal, intent.mail, intent.subject, attempt);
        Ok(attempt)
    }

    fn ended(&mut self, at: i64, attempt: AttemptId, ending: &Ending, http: Option<u16>) -> Result<(), LedgerError> {
        // What goes on holding its user names nothing that the index depends on.
        let stays =
            "UPDATE attempt SET state = ?2, ended_at = ?3, http = ?4, reason = ?5 WHERE id = ?1 AND state = 'intent'";
        match ending {
            Ending::Sent => self.change(stays, params![attempt.0, "sent", at, http, None::<&str>])?,
            Ending::Unknown { why } => self.change(stays, params![attempt.0, "unknown", at, http, why])?,
            Ending::NoEffect { counted, why } => {
                let changed = self.change(
                    "UPDATE attempt SET state = 'no_effect', holds = 0, counted = ?5, ended_at = ?2, http = ?3, reason = ?4 \
                     WHERE id = ?1 AND state = 'intent'",
                    params![attempt.0, at, http, why, counted],
                )?;
                self.fresh.lets_go(attempt);
                changed
            }
        };
        Ok(())
    }

    pub(super) fn change(&self, statement: &str, parameters: impl rusqlite::Params) -> Result<usize, LedgerError> {
        self.connection
            .prepare_cached(statement)
            .and_then(|mut statement| statement.execute(parameters))
            .map_err(self.broken())
    }
}
