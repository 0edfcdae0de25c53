//! A ledger in a file as the entries of a log: what its rows say, in the order in which it came about.

use jiff::Timestamp;
use rusqlite::params;

use super::{log::OBJECT, state::Ledger};
use crate::{
    attempt::{Mail, Subject},
    ledger::{
        Entry, LedgerError,
        log::{JobLine, Line, Spot, encode, hex},
    },
    user::UserId,
};

fn time(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or_default()
}

/// Lines, divided into objects.
struct Objects {
    first: u64,
    done: Vec<Vec<Line>>,
    open: Vec<Line>,
    size: usize,
}

impl Objects {
    /// Adds a line, and says where it stands.
    fn add(&mut self, line: Line) -> Spot {
        self.size += encode(&line).len();
        self.open.push(line);
        let before = u64::try_from(self.done.len()).unwrap_or(u64::MAX);
        // The header is line 1.
        Spot { object: self.first + before, line: u32::try_from(self.open.len() + 1).unwrap_or(u32::MAX) }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
            self.size = 0;
        }
    }
}

struct Attempt {
    id: i64,
    mail: i64,
    subject: Subject,
    email: Option<Vec<u8>>,
    began_at: i64,
    state: String,
    counted: bool,
    ended_at: Option<i64>,
    http: Option<u16>,
    reason: Option<String>,
    decision: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<i64>,
    decision_reason: Option<String>,
    row: Option<u32>,
}

impl Ledger {
    /// Now, by the ledger's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.time()
    }

    /// Says that the records go on elsewhere: no run uses this ledger any more.
    pub fn moved_to(&mut self, place: &str) -> Result<(), LedgerError> {
        self.enter(&Entry::MovedTo { to: place.to_owned() }).map(drop)
    }

    /// All records as lines, in objects of which the first gets this number.
    pub fn as_lines(&self, first: u64) -> Result<Vec<Vec<Line>>, LedgerError> {
        let mut objects = Objects { first, done: Vec::new(), open: Vec::new(), size: 0 };
        let broken = self.broken();
        let mut statement = self
            .connection
            .prepare(
                "SELECT run.id, uuid, origin, account, command, roster, roster_hash, rows, who, started_at, ended_at, exit_status, \
                 requests, outcomes, plan FROM run JOIN portal ON portal.id = run.portal ORDER BY run.id",
            )
            .map_err(&broken)?;
        let mut rows = statement.query([]).map_err(&broken)?;
        while let Some(row) = rows.next().map_err(&broken)? {
            let get = || -> rusqlite::Result<_> {
                let job = JobLine {
                    portal: row.get(2)?,
                    account: hex(&row.get::<_, Vec<u8>>(3)?),
                    roster: row.get(5)?,
                    roster_sha256: hex(&row.get::<_, Vec<u8>>(6)?),
                    rows: row.get::<_, i64>(7)?.unsigned_abs(),
                    plan: row.get::<_, Option<Vec<u8>>>(14)?.map(|plan| hex(&plan)),
                };
                let began = Line::Began {
                    at: time(row.get(9)?),
                    run: row.get::<_, String>(1)?.parse().unwrap_or_default(),
                    who: row.get(8)?,
                    command: row.get(4)?,
                    job: Some(job),
                };
                let ended: Option<i64> = row.get(10)?;
                let ended = match ended {
                    Some(at) => Some(Line::Ended {
                        at: time(at),
                        exit_status: row.get::<_, Option<u8>>(11)?.unwrap_or_default(),
                        requests: row.get::<_, Option<i64>>(12)?.unwrap_or_default().unsigned_abs(),
                        counts: row
                            .get::<_, Option<String>>(13)?
                            .and_then(|text| serde_json::from_str(&text).ok())
                            .unwrap_or_default(),
                        snapshot: None,
                    }),
                    None => None,
                };
                Ok((row.get::<_, i64>(0)?, began, ended))
            };
            let (run, began, ended) = get().map_err(&broken)?;
            objects.add(began);
            for (upto, at) in self.reserved_by(run)? {
                objects.add(Line::Reserved { at: time(at), upto: upto.unsigned_abs() });
            }
            self.attempts_as_lines(run, &mut objects)?;
            objects.open.extend(ended);
            if objects.size > OBJECT {
                objects.close();
            }
        }
        objects.close();
        Ok(objects.done)
    }

    fn reserved_by(&self, run: i64) -> Result<Vec<(i64, i64)>, LedgerError> {
        self.connection
            .prepare_cached("SELECT upto, at FROM window_use WHERE run = ?1 ORDER BY upto")
            .and_then(|mut statement| statement.query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .map_err(self.broken())
    }

    fn attempts_as_lines(&self, run: i64, objects: &mut Objects) -> Result<(), LedgerError> {
        let broken = self.broken();
        let mut last = 0;
        loop {
            // Attempts of a run stand together, but no index says where.
            let next: Option<i64> = self
                .connection
                .prepare_cached("SELECT min(id) FROM attempt WHERE id > ?1 AND run = ?2")
                .and_then(|mut statement| statement.query_row(params![last, run], |row| row.get(0)))
                .map_err(&broken)?;
            let Some(first) = next else { return Ok(()) };
            let mut statement = self
                .connection
                .prepare_cached(
                    "SELECT id, kind, subject, email, began_at, state, counted, ended_at, http, reason, decision, decided_by, \
                     decided_at, decision_reason, roster_row, run FROM attempt WHERE id >= ?1 ORDER BY id",
                )
                .map_err(&broken)?;
            let mut rows = statement.query([first]).map_err(&broken)?;
            while let Some(row) = rows.next().map_err(&broken)? {
                let read = || -> rusqlite::Result<(Attempt, i64)> {
                    let attempt = Attempt {
                        id: row.get(0)?,
                        mail: row.get(1)?,
                        subject: row.get(2)?,
                        email: row.get(3)?,
                        began_at: row.get(4)?,
                        state: row.get(5)?,
                        counted: row.get(6)?,
                        ended_at: row.get(7)?,
                        http: row.get(8)?,
                        reason: row.get(9)?,
                        decision: row.get(10)?,
                        decided_by: row.get(11)?,
                        decided_at: row.get(12)?,
                        decision_reason: row.get(13)?,
                        row: row.get(14)?,
                    };
                    Ok((attempt, row.get(15)?))
                };
                let (attempt, whose) = read().map_err(&broken)?;
                last = attempt.id;
                if whose != run {
                    break;
                }
                attempt.add_to(objects);
            }
        }
    }
}

impl Attempt {
    fn add_to(self, objects: &mut Objects) {
        if objects.size > OBJECT {
            objects.close();
        }
        let is_invitation = self.mail == Mail::Invitation as i64;
        let mail = if is_invitation { Mail::Invitation } else { Mail::Congratulation };
        let of = objects.add(Line::Intent {
            at: time(self.began_at),
            mail: mail.noun().to_owned(),
            to: if is_invitation { hex(&self.subject) } else { UserId::from_bytes(self.subject).to_string() },
            address: self.email.map(|email| hex(&email)),
            row: self.row,
        });
        let was_decided = matches!(self.decision.as_deref(), Some("sent" | "not sent"));
        if self.state != "intent" {
            // What a person called sent was unknown before.
            let outcome = if was_decided { "unknown" } else { self.state.as_str() };
            objects.add(Line::Ending {
                at: time(self.ended_at.unwrap_or(self.began_at)),
                of,
                outcome: outcome.to_owned(),
                http: self.http,
                why: self.reason,
                counted: self.counted,
            });
        }
        let decided_at = time(self.decided_at.unwrap_or(self.began_at));
        match self.decision.as_deref() {
            Some("sent again") => drop(objects.add(Line::LetGo { at: decided_at, of })),
            Some(decision) => drop(objects.add(Line::Decided {
                at: decided_at,
                of,
                sent: decision == "sent",
                who: self.decided_by.unwrap_or_default(),
                why: self.decision_reason,
            })),
            None => {}
        }
    }
}
