//! Entries as the lines of a log say them, and back. A line names an attempt by where its intent stands in the log; the
//! file by a number of its own.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::{session::SessionStart, state::Ledger};
use crate::{
    attempt::{Ending, LetGo, Mail},
    ledger::{
        AttemptId, CopyStart, Entry, Intent, LedgerError, RunStart,
        log::{JobLine, Line, Snapshot, Spot, hex, unhex},
    },
    user::{EmailDigest, UserId},
};

fn time(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or_default()
}

/// The entry of a line that somebody else wrote, as far as the file is not needed for it.
#[derive(Debug)]
pub(super) enum Told {
    /// An entry, of this time.
    Entry(i64, Entry),
    /// A run began, at this portal.
    Run(i64, RunStart, String),
    /// A run ended, perhaps with a snapshot of all before.
    End(i64, Entry, Option<Snapshot>),
}

impl Ledger {
    /// An entry as a line.
    pub(super) fn line_of(&self, at: i64, entry: &Entry) -> Result<Line, LedgerError> {
        let at = time(at);
        Ok(match entry {
            Entry::PortalKnown(origin) => Line::Portal { at, origin: origin.to_string() },
            Entry::RunBegan(start) => Line::Began {
                at,
                run: start.id,
                who: start.who.clone(),
                command: start.command.clone(),
                job: Some(JobLine {
                    portal: self.portal_name()?,
                    account: hex(&start.account),
                    roster: start.roster.clone(),
                    roster_sha256: hex(&start.roster_hash),
                    rows: u64::try_from(start.rows).unwrap_or(u64::MAX),
                    plan: start.plan.as_ref().map(|plan| hex(plan)),
                }),
            },
            Entry::SessionBegan { id, who, command } => {
                Line::Began { at, run: *id, who: who.clone(), command: command.clone(), job: None }
            }
            Entry::Intent(intent) => Line::Intent {
                at,
                mail: intent.mail.noun().to_owned(),
                to: match intent.mail {
                    Mail::Congratulation => UserId::from_bytes(intent.subject).to_string(),
                    Mail::Invitation => hex(&intent.subject),
                },
                address: intent.email.map(|email| hex(&email.0)),
                row: intent.row,
            },
            Entry::Ended { attempt, ending, http } => {
                let (outcome, why, counted) = match ending {
                    Ending::Sent => ("sent", None, true),
                    Ending::Unknown { why } => ("unknown", Some(why.clone()), true),
                    Ending::NoEffect { counted, why } => ("no_effect", Some(why.clone()), *counted),
                };
                let of = self.spot_of(*attempt)?;
                Line::Ending { at, of, outcome: outcome.to_owned(), http: *http, why, counted }
            }
            Entry::LetGo(attempt) => Line::LetGo { at, of: self.spot_of(*attempt)? },
            Entry::Reserved { upto } => Line::Reserved { at, upto: *upto },
            Entry::RunEnded { exit_status, requests, counts } => Line::Ended {
                at,
                exit_status: *exit_status,
                requests: *requests,
                counts: counts.iter().cloned().collect(),
                snapshot: self.snapshot_to_name(),
            },
            Entry::SessionEnded { exit_status } => Line::Ended {
                at,
                exit_status: *exit_status,
                requests: 0,
                counts: std::collections::BTreeMap::new(),
                snapshot: self.snapshot_to_name(),
            },
            Entry::Decided { attempt, was_sent, by, why } => {
                Line::Decided { at, of: self.spot_of(*attempt)?, sent: *was_sent, who: by.clone(), why: why.clone() }
            }
            Entry::Recovered => Line::Recovered { at },
            Entry::TookOver { from } => Line::TookOver { at, from: *from },
            Entry::Alive => Line::Alive { at },
            Entry::Made { who } => Line::Made { at, who: who.clone() },
            Entry::CopyBegan(start) => Line::CopyBegan {
                at,
                from: start.from.clone(),
                count: start.count,
                head: hex(&start.head),
                moves: start.moves,
                who: start.who.clone(),
            },
            Entry::CopyEnded => Line::CopyEnded { at },
            Entry::MovedTo { to } => Line::MovedTo { at, to: to.clone() },
        })
    }

    /// A line as an entry. `offset` is by how much its numbers of objects are less than those of this log; the error says
    /// what about the line is wrong.
    pub(super) fn told(&self, line: &Line, offset: u64) -> Result<Told, String> {
        let attempt = |of: &Spot| {
            let found = self
                .connection
                .prepare_cached("SELECT id FROM attempt WHERE object = ?1 AND line = ?2")
                .and_then(|mut statement| {
                    let object = i64::try_from(of.object.saturating_add(offset)).unwrap_or(i64::MAX);
                    statement.query_row(params![object, of.line], |row| row.get(0)).optional()
                })
                .map_err(|error| error.to_string())?;
            found
                .map(AttemptId)
                .ok_or_else(|| format!("names an intent in object {}, line {}, where none is", of.object, of.line))
        };
        let bad = |what: &str| format!("has a line with {what} that cannot be read");
        let (at, entry) = match line {
            Line::Made { at, who } => (at, Entry::Made { who: who.clone() }),
            Line::Portal { at, origin } => {
                (at, Entry::PortalKnown(origin.parse().map_err(|_other| bad("a portal's address"))?))
            }
            Line::Began { at, run, who, command, job: None } => {
                (at, Entry::SessionBegan { id: *run, who: who.clone(), command: command.clone() })
            }
            Line::Began { at, run, who, command, job: Some(job) } => {
                let start = RunStart {
                    id: *run,
                    account: unhex(&job.account).ok_or_else(|| bad("an account"))?,
                    command: command.clone(),
                    roster: job.roster.clone(),
                    roster_hash: unhex(&job.roster_sha256).ok_or_else(|| bad("a roster's hash"))?,
                    rows: usize::try_from(job.rows).unwrap_or(usize::MAX),
                    who: who.clone(),
                    plan: match &job.plan {
                        Some(plan) => Some(unhex(plan).ok_or_else(|| bad("a plan's hash"))?),
                        None => None,
                    },
                };
                return Ok(Told::Run(at.as_millisecond(), start, job.portal.clone()));
            }
            Line::Intent { at, mail, to, address, row } => {
                let (mail, subject) = match mail.as_str() {
                    "congratulation" => {
                        (Mail::Congratulation, *to.parse::<UserId>().map_err(|_other| bad("a user's id"))?.as_bytes())
                    }
                    "invitation" => (Mail::Invitation, unhex(to).ok_or_else(|| bad("a digest"))?),
                    _ => return Err(bad("a kind of mail")),
                };
                let email = match address {
                    Some(address) => Some(EmailDigest(unhex(address).ok_or_else(|| bad("a digest"))?)),
                    None => None,
                };
                (at, Entry::Intent(Intent { mail, subject, email, let_go: LetGo::default(), row: *row }))
            }
            Line::Ending { at, of, outcome, http, why, counted } => {
                let why = why.clone().unwrap_or_default();
                let ending = match outcome.as_str() {
                    "sent" => Ending::Sent,
                    "unknown" => Ending::Unknown { why },
                    "no_effect" => Ending::NoEffect { counted: *counted, why },
                    _ => return Err(bad("an outcome")),
                };
                (at, Entry::Ended { attempt: attempt(of)?, ending, http: *http })
            }
            Line::LetGo { at, of } => (at, Entry::LetGo(attempt(of)?)),
            Line::Reserved { at, upto } => (at, Entry::Reserved { upto: *upto }),
            Line::Ended { at, exit_status, requests, counts, snapshot } => {
                let counts = counts.iter().map(|(word, count)| (word.clone(), *count)).collect();
                let entry = Entry::RunEnded { exit_status: *exit_status, requests: *requests, counts };
                return Ok(Told::End(at.as_millisecond(), entry, snapshot.clone()));
            }
            Line::Decided { at, of, sent, who, why } => {
                (at, Entry::Decided { attempt: attempt(of)?, was_sent: *sent, by: who.clone(), why: why.clone() })
            }
            Line::Recovered { at } => (at, Entry::Recovered),
            Line::TookOver { at, from } => (at, Entry::TookOver { from: *from }),
            Line::Alive { at } => (at, Entry::Alive),
            Line::CopyBegan { at, from, count, head, moves, who } => {
                let head = unhex(head).ok_or_else(|| bad("a hash"))?;
                let start = CopyStart { from: from.clone(), count: *count, head, moves: *moves, who: who.clone() };
                (at, Entry::CopyBegan(start))
            }
            Line::CopyEnded { at } => (at, Entry::CopyEnded),
            Line::MovedTo { at, to } => (at, Entry::MovedTo { to: to.clone() }),
        };
        Ok(Told::Entry(at.as_millisecond(), entry))
    }

    fn spot_of(&self, attempt: AttemptId) -> Result<Spot, LedgerError> {
        self.connection
            .prepare_cached("SELECT object, line FROM attempt WHERE id = ?1")
            .and_then(|mut statement| {
                statement.query_row([attempt.number()], |row| {
                    Ok(Spot { object: row.get::<_, i64>(0)?.unsigned_abs(), line: row.get(1)? })
                })
            })
            .map_err(self.broken())
    }

    fn portal_name(&self) -> Result<String, LedgerError> {
        let portal = self.portals.first().copied().unwrap_or_default();
        self.connection
            .query_row("SELECT origin FROM portal WHERE id = ?1", [portal], |row| row.get(0))
            .map_err(self.broken())
    }
}

impl SessionStart {
    /// As an entry.
    pub(super) fn entry(&self) -> Entry {
        match self {
            Self::Run(start) => Entry::RunBegan(start.clone()),
            Self::Other { id, who, command } => {
                Entry::SessionBegan { id: *id, who: who.clone(), command: command.clone() }
            }
        }
    }

    pub(super) fn id(&self) -> Uuid {
        match self {
            Self::Run(start) => start.id,
            Self::Other { id, .. } => *id,
        }
    }
}
