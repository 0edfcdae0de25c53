//! What the ledger knows, for people; and what people decide.

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::{Ledger, LedgerError, Mail, Subject};
use crate::user::{EmailDigest, UserId};

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunRecord {
    /// Its id.
    pub run: String,
    /// The portal.
    pub portal: String,
    /// `run` or `invite`.
    pub command: String,
    /// The roster's name.
    pub roster: String,
    /// How many rows it had.
    pub rows: i64,
    /// Who ran it.
    pub who: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; absent where it runs still, or died.
    pub ended_at: Option<Timestamp>,
    /// Its exit status.
    pub exit_status: Option<i64>,
    /// Rows by outcome, as JSON.
    pub outcomes: Option<serde_json::Value>,
}

/// An attempt to send something to a user.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AttemptRecord {
    /// `congratulation` or `invitation`.
    pub mail: &'static str,
    /// The portal.
    pub portal: String,
    /// The user's id, for a congratulation.
    pub user_id: Option<String>,
    /// The run.
    pub run: String,
    /// When it began.
    pub began_at: Timestamp,
    /// `intent`, `sent`, `no_effect` or `unknown`.
    pub state: String,
    /// Whether it keeps a later run from sending.
    pub holds: bool,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The HTTP status.
    pub http: Option<i64>,
    /// Why it ended so.
    pub reason: Option<String>,
    /// What a person decided.
    pub decision: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
}

/// Where a user stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UserRecord {
    /// The portal.
    pub portal: String,
    /// The user's id.
    pub user_id: String,
    /// `sent`, `unknown`, or the state of the last attempt.
    pub state: String,
    /// Since when.
    pub at: Timestamp,
    /// The run of the last attempt.
    pub run: String,
    /// How many attempts there were.
    pub attempts: i64,
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

const ATTEMPTS: &str = "
    SELECT kind, origin, subject, uuid, began_at, state, holds, attempt.ended_at, http, reason, decision, decided_by, decided_at
    FROM attempt JOIN run ON run.id = attempt.run JOIN portal ON portal.id = attempt.portal";

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

fn user_text(subject: &[u8]) -> Option<String> {
    <[u8; 16]>::try_from(subject).ok().map(|bytes| UserId::from_bytes(bytes).to_string())
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRecord> {
    let (kind, subject): (i64, Vec<u8>) = (row.get(0)?, row.get(2)?);
    let is_congratulation = kind == Mail::Congratulation as i64;
    Ok(AttemptRecord {
        mail: if is_congratulation { "congratulation" } else { "invitation" },
        portal: row.get(1)?,
        user_id: is_congratulation.then(|| user_text(&subject)).flatten(),
        run: row.get(3)?,
        began_at: time(row.get(4)?),
        state: row.get(5)?,
        holds: row.get(6)?,
        ended_at: row.get::<_, Option<i64>>(7)?.map(time),
        http: row.get(8)?,
        reason: row.get(9)?,
        decision: row.get(10)?,
        decided_by: row.get(11)?,
        decided_at: row.get::<_, Option<i64>>(12)?.map(time),
    })
}

impl Ledger {
    /// All runs, the latest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>, LedgerError> {
        let broken = self.broken();
        let mut statement = self
            .connection
            .prepare(
                "SELECT uuid, origin, command, roster, rows, who, started_at, ended_at, exit_status, outcomes \
                 FROM run JOIN portal ON portal.id = run.portal ORDER BY run.id DESC",
            )
            .map_err(&broken)?;
        statement
            .query_map([], |row| {
                Ok(RunRecord {
                    run: row.get(0)?,
                    portal: row.get(1)?,
                    command: row.get(2)?,
                    roster: row.get(3)?,
                    rows: row.get(4)?,
                    who: row.get(5)?,
                    started_at: time(row.get(6)?),
                    ended_at: row.get::<_, Option<i64>>(7)?.map(time),
                    exit_status: row.get(8)?,
                    outcomes: row.get::<_, Option<String>>(9)?.and_then(|text| serde_json::from_str(&text).ok()),
                })
            })
            .and_then(Iterator::collect)
            .map_err(&broken)
    }

    /// One user's story, by id.
    pub fn story(&self, user: UserId) -> Result<Vec<AttemptRecord>, LedgerError> {
        let query = format!("{ATTEMPTS} WHERE kind = 0 AND subject = ?1 ORDER BY attempt.id");
        let broken = self.broken();
        let mut statement = self.connection.prepare(&query).map_err(&broken)?;
        statement.query_map([user.as_bytes().as_slice()], attempt).and_then(Iterator::collect).map_err(&broken)
    }

    /// One user's story, by address: what was sent to the address, and to users who were known to have it.
    pub fn story_by_email(&self, email: EmailDigest) -> Result<Vec<AttemptRecord>, LedgerError> {
        let query = format!(
            "{ATTEMPTS} WHERE (kind = 1 AND subject = ?1) OR (kind = 0 AND subject IN \
             (SELECT subject FROM attempt WHERE kind = 0 AND email = ?1)) ORDER BY attempt.id"
        );
        let broken = self.broken();
        let mut statement = self.connection.prepare(&query).map_err(&broken)?;
        statement.query_map([email.0.as_slice()], attempt).and_then(Iterator::collect).map_err(&broken)
    }

    /// Where every user stands.
    pub fn users(&self) -> Result<Vec<UserRecord>, LedgerError> {
        let broken = self.broken();
        let mut statement = self
            .connection
            .prepare(
                "SELECT origin, subject, state, coalesce(last.ended_at, last.began_at), uuid, attempts FROM \
                 (SELECT max(id) AS id, count(*) AS attempts FROM attempt WHERE kind = 0 GROUP BY portal, subject) AS one \
                 JOIN attempt AS last ON last.id = one.id JOIN run ON run.id = last.run \
                 JOIN portal ON portal.id = last.portal ORDER BY last.id",
            )
            .map_err(&broken)?;
        statement
            .query_map([], |row| {
                let subject: Vec<u8> = row.get(1)?;
                Ok(UserRecord {
                    portal: row.get(0)?,
                    user_id: user_text(&subject).unwrap_or_default(),
                    state: row.get(2)?,
                    at: time(row.get(3)?),
                    run: row.get(4)?,
                    attempts: row.get(5)?,
                })
            })
            .and_then(Iterator::collect)
            .map_err(&broken)
    }

    /// Users who were known to have this address, on the portal that is turned to.
    pub fn users_with(&self, email: EmailDigest) -> Result<Vec<UserId>, LedgerError> {
        let broken = self.broken();
        let mut found = Vec::new();
        for portal in &self.portals {
            let mut statement = self
                .connection
                .prepare("SELECT DISTINCT subject FROM attempt WHERE kind = 0 AND portal = ?1 AND email = ?2")
                .map_err(&broken)?;
            let subjects: Vec<Vec<u8>> = statement
                .query_map(params![portal, email.0.as_slice()], |row| row.get(0))
                .and_then(Iterator::collect)
                .map_err(&broken)?;
            found.extend(
                subjects
                    .iter()
                    .filter_map(|subject| <[u8; 16]>::try_from(subject.as_slice()).ok())
                    .map(UserId::from_bytes),
            );
        }
        Ok(found)
    }

    /// Origins of all portals that have records.
    pub fn origins(&self) -> Result<Vec<String>, LedgerError> {
        let broken = self.broken();
        let mut statement = self.connection.prepare("SELECT origin FROM portal ORDER BY id").map_err(&broken)?;
        statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(&broken)
    }

    /// Records a person's decision on what may have been sent: it was, or the next run is to send it.
    pub fn settle(
        &mut self,
        mail: Mail,
        subject: Subject,
        was_sent: bool,
        by: &str,
        at: Timestamp,
    ) -> Result<Settlement, LedgerError> {
        let broken = self.broken();
        for portal in self.portals.clone() {
            let found = self
                .connection
                .query_row(
                    "SELECT id, state, holds FROM attempt WHERE portal = ?1 AND kind = ?2 AND subject = ?3 \
                     ORDER BY holds DESC, id DESC LIMIT 1",
                    params![portal, mail as i64, subject.as_slice()],
                    |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?)),
                )
                .map(Some)
                .or_else(|error| if error == rusqlite::Error::QueryReturnedNoRows { Ok(None) } else { Err(error) })
                .map_err(&broken)?;
            let Some((id, state, holds)) = found else { continue };
            if state != "unknown" || !holds {
                return Ok(Settlement::NotUnknown(state));
            }
            let (state, decision) = if was_sent { ("sent", "sent") } else { ("unknown", "not sent") };
            self.connection
                .execute(
                    "UPDATE attempt SET state = ?2, holds = ?3, decision = ?4, decided_by = ?5, decided_at = ?6 WHERE id = ?1",
                    params![id, state, was_sent, decision, by, at.as_millisecond()],
                )
                .map_err(&broken)?;
            return Ok(Settlement::Done);
        }
        Ok(Settlement::NoRecord)
    }
}
