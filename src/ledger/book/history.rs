//! What the ledger knows, for people.

use std::fmt::Write as _;

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::state::Ledger;
use crate::{
    attempt::Mail,
    display::hex,
    ledger::LedgerError,
    seal::Seal,
    user::{EmailDigest, UserId},
};

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    #[cfg_attr(test, schemars(with = "String"))]
    pub started_at: Timestamp,
    /// When it ended; absent where it runs still, or died.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub ended_at: Option<Timestamp>,
    /// Its exit status.
    pub exit_status: Option<i64>,
    /// Rows by outcome, as JSON.
    pub outcomes: Option<serde_json::Value>,
    /// Requests that left, once it ended.
    pub requests: Option<i64>,
    /// The roster's SHA-256, in hex.
    pub roster_sha256: String,
    /// The hash of the plan that it carried out, in hex.
    pub plan: Option<String>,
    /// Where the ledger stood when it ended.
    pub seal: Option<Seal>,
}

impl RunRecord {
    /// When it ended, if it ended with status 0.
    pub fn ended_well(&self) -> Option<Timestamp> {
        self.ended_at.filter(|_| self.exit_status == Some(0))
    }
}

/// An attempt to send something to a user.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AttemptRecord {
    /// `congratulation` or `invitation`.
    pub mail: &'static str,
    /// The portal.
    pub portal: String,
    /// The user's id, for a congratulation.
    pub user_id: Option<String>,
    /// What stands for the address, for an invitation: the ledger holds no address.
    pub address: Option<String>,
    /// The run.
    pub run: String,
    /// `run` or `invite`.
    pub command: String,
    /// Who ran it, on which machine.
    pub who: String,
    /// The roster's name.
    pub roster: String,
    /// Which row of it, from 1; absent where an earlier release sent it.
    pub row: Option<u32>,
    /// When it began.
    #[cfg_attr(test, schemars(with = "String"))]
    pub began_at: Timestamp,
    /// `intent`, `sent`, `no_effect` or `unknown`.
    pub state: String,
    /// Whether it keeps a later run from sending.
    pub holds: bool,
    /// When it ended.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
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
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub decided_at: Option<Timestamp>,
    /// Why, where somebody said so.
    pub decision_reason: Option<String>,
}

/// Where somebody stands with one kind of mail.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UserRecord {
    /// The portal.
    pub portal: String,
    /// `congratulation` or `invitation`.
    pub mail: &'static str,
    /// The user's id, for a congratulation.
    pub user_id: Option<String>,
    /// What stands for the address, for an invitation: the ledger holds no address.
    pub address: Option<String>,
    /// `sent`, `unknown`, or the state of the last attempt.
    pub state: String,
    /// Since when.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// The run of the last attempt.
    pub run: String,
    /// How many attempts there were.
    pub attempts: i64,
}

const ATTEMPTS: &str = "
    SELECT kind, origin, subject, uuid, began_at, state, holds, attempt.ended_at, http, reason, decision, decided_by, decided_at,
           decision_reason, roster_row, roster, command, who
    FROM attempt JOIN run ON run.id = attempt.run JOIN portal ON portal.id = attempt.portal";

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

fn user_text(subject: &[u8]) -> Option<String> {
    <[u8; 16]>::try_from(subject).ok().map(|bytes| UserId::from_bytes(bytes).to_string())
}

/// The first half of a digest, which is enough to tell addresses apart.
fn address_text(subject: &[u8]) -> String {
    let mut text = String::new();
    for byte in subject.iter().take(8) {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// The kind's name, and whether it is about users.
pub(super) fn kind_text(kind: i64) -> (&'static str, bool) {
    let is_congratulation = kind == Mail::Congratulation as i64;
    (if is_congratulation { Mail::Congratulation } else { Mail::Invitation }.noun(), is_congratulation)
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRecord> {
    let (kind, subject): (i64, Vec<u8>) = (row.get(0)?, row.get(2)?);
    let (mail, is_congratulation) = kind_text(kind);
    Ok(AttemptRecord {
        mail,
        portal: row.get(1)?,
        user_id: is_congratulation.then(|| user_text(&subject)).flatten(),
        address: (!is_congratulation).then(|| address_text(&subject)),
        run: row.get(3)?,
        command: row.get(16)?,
        who: row.get(17)?,
        roster: row.get(15)?,
        row: row.get(14)?,
        began_at: time(row.get(4)?),
        state: row.get(5)?,
        holds: row.get(6)?,
        ended_at: row.get::<_, Option<i64>>(7)?.map(time),
        http: row.get(8)?,
        reason: row.get(9)?,
        decision: row.get(10)?,
        decided_by: row.get(11)?,
        decided_at: row.get::<_, Option<i64>>(12)?.map(time),
        decision_reason: row.get(13)?,
    })
}

impl Ledger {
    /// All runs, the latest first. A dry run sent nothing and is none of them.
    pub fn runs(&self) -> Result<Vec<RunRecord>, LedgerError> {
        self.runs_where("command <> 'dry-run'", [])
    }

    /// The run of this id.
    pub fn run_named(&self, run: &str) -> Result<Option<RunRecord>, LedgerError> {
        Ok(self.runs_where("uuid = ?1", [run])?.pop())
    }

    fn runs_where(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<RunRecord>, LedgerError> {
        let broken = self.broken();
        // Of a file the seal stands beside the run; of a log it is that of the object in which the run ended.
        let query = format!(
            "SELECT uuid, origin, command, roster, rows, who, started_at, ended_at, exit_status, outcomes, requests, \
             roster_hash, plan, head.ledger, run.number, coalesce(run.hash, object.hash) \
             FROM run JOIN portal ON portal.id = run.portal CROSS JOIN head LEFT JOIN object ON object.number = run.number \
             WHERE {which} ORDER BY run.id DESC"
        );
        let mut statement = self.connection.prepare(&query).map_err(&broken)?;
        statement
            .query_map(parameters, |row| {
                let (ledger, number, hash): (String, Option<i64>, Option<Vec<u8>>) =
                    (row.get(13)?, row.get(14)?, row.get(15)?);
                let seal = number.zip(hash).map(|(number, hash)| Seal {
                    id: ledger,
                    number: number.unsigned_abs(),
                    hash: hex(&hash),
                });
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
                    requests: row.get(10)?,
                    roster_sha256: hex(&row.get::<_, Vec<u8>>(11)?),
                    plan: row.get::<_, Option<Vec<u8>>>(12)?.map(|plan| hex(&plan)),
                    seal,
                })
            })
            .and_then(Iterator::collect)
            .map_err(&broken)
    }

    /// Ids of the runs that are named by this: a whole id, or its last digits.
    pub fn runs_named(&self, text: &str) -> Result<Vec<String>, LedgerError> {
        let broken = self.broken();
        let mut statement = self
            .connection
            .prepare("SELECT uuid FROM run WHERE substr(uuid, -length(?1)) = ?1 AND command <> 'dry-run' ORDER BY id")
            .map_err(&broken)?;
        statement.query_map([text], |row| row.get(0)).and_then(Iterator::collect).map_err(&broken)
    }

    fn attempts(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<AttemptRecord>, LedgerError> {
        let broken = self.broken();
        let mut statement =
            self.connection.prepare(&format!("{ATTEMPTS} WHERE {which} ORDER BY attempt.id")).map_err(&broken)?;
        statement.query_map(parameters, attempt).and_then(Iterator::collect).map_err(&broken)
    }

    /// What a run attempted.
    pub fn attempts_of(&self, run: &str) -> Result<Vec<AttemptRecord>, LedgerError> {
        self.attempts("uuid = ?1", [run])
    }

    /// What may have been sent, and nobody has decided about, the oldest first.
    pub fn undecided(&self) -> Result<Vec<AttemptRecord>, LedgerError> {
        self.attempts("holds <> 0 AND (state = 'unknown' OR state = 'intent')", [])
    }

    /// One user's story, by id: what was sent to the user, and to addresses that the user was known to have.
    pub fn story(&self, user: UserId) -> Result<Vec<AttemptRecord>, LedgerError> {
        let which = "(kind = ?2 AND subject = ?1) OR (kind <> ?2 AND subject IN \
                     (SELECT email FROM attempt WHERE kind = ?2 AND subject = ?1 AND email IS NOT NULL))";
        self.attempts(which, params![user.as_bytes().as_slice(), Mail::Congratulation as i64])
    }

    /// One user's story, by address: what was sent to the address, and to users who were known to have it.
    pub fn story_by_email(&self, email: EmailDigest) -> Result<Vec<AttemptRecord>, LedgerError> {
        let which = "(kind <> ?2 AND subject = ?1) OR (kind = ?2 AND subject IN \
                     (SELECT subject FROM attempt WHERE kind = ?2 AND email = ?1))";
        self.attempts(which, params![email.0.as_slice(), Mail::Congratulation as i64])
    }

    /// Where everybody stands, with each kind of mail.
    pub fn users(&self) -> Result<Vec<UserRecord>, LedgerError> {
        let broken = self.broken();
        let mut statement = self
            .connection
            .prepare(
                "SELECT origin, kind, subject, state, coalesce(last.ended_at, last.began_at), uuid, attempts FROM \
                 (SELECT max(id) AS id, count(*) AS attempts FROM attempt GROUP BY portal, kind, subject) AS one \
                 JOIN attempt AS last ON last.id = one.id JOIN run ON run.id = last.run \
                 JOIN portal ON portal.id = last.portal ORDER BY last.id",
            )
            .map_err(&broken)?;
        statement
            .query_map([], |row| {
                let (mail, is_congratulation) = kind_text(row.get(1)?);
                let subject: Vec<u8> = row.get(2)?;
                Ok(UserRecord {
                    portal: row.get(0)?,
                    mail,
                    user_id: is_congratulation.then(|| user_text(&subject)).flatten(),
                    address: (!is_congratulation).then(|| address_text(&subject)),
                    state: row.get(3)?,
                    at: time(row.get(4)?),
                    run: row.get(5)?,
                    attempts: row.get(6)?,
                })
            })
            .and_then(Iterator::collect)
            .map_err(&broken)
    }

    /// Origins of all portals that have records.
    pub fn origins(&self) -> Result<Vec<String>, LedgerError> {
        let broken = self.broken();
        let mut statement = self.connection.prepare("SELECT origin FROM portal ORDER BY id").map_err(&broken)?;
        statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(&broken)
    }
}
