//! The durable record that makes a congratulation happen at most once.
//!
//! ```text
//!             intent (on disk before a byte leaves)
//!   clear ─────────────────────────────────────────► intent ──► sent
//!     ▲                                                │ │ └───► unknown ──► sent, or clear (a person settles it)
//!     └── certainly no effect (no_effect) ─────────────┘ └── the process died: the next run makes it unknown
//! ```
//!
//! An attempt *holds* its user while it is `intent`, `sent` or `unknown`. One attempt holds a user at a time, the others
//! find the fence (`fence`) shut; the intent is synced before its bytes leave, so whatever is killed, whenever, a later
//! run finds it. Only a person releases a hold, or proof that nothing had an effect.
//!
//! It is an SQLite database in WAL mode with `synchronous=FULL`; look at it with `sqlite3`. It holds no key, no link
//! and no e-mail address (addresses as digests, so that a person can be found by one).

mod fence;
mod file;
mod history;
mod lock;
mod place;
mod recorder;
mod schema;
mod who;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig, params};

use self::fence::Fresh;
pub use self::{
    history::{AttemptRecord, RunRecord, Settlement, UserRecord},
    lock::{Holder, Lock},
    place::{NoPlace, place},
    recorder::Recorder,
    who::who,
};
use crate::{display::Shown, origin::Origin, outcome::Tally, pace::RecentUse, user::EmailDigest};

/// Why the ledger cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// It is a folder.
    #[error("the ledger {} is a directory; give the path of a file", shown(.0))]
    Directory(PathBuf),
    /// It, or its folder, cannot be made.
    #[error("the ledger {} cannot be made or opened: {source}; name another place with --ledger", shown(path))]
    Unmakeable {
        /// The place.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::sync::Arc<io::Error>,
    },
    /// The file system has no locks.
    #[error("the ledger {} cannot be locked there: {source}; keep it on a local disk", shown(path))]
    NoLocks {
        /// The place.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::sync::Arc<io::Error>,
    },
    /// Another run has it for too long.
    #[error("the ledger {} is still in use by {holder} after {waited} (--lock-timeout); nothing was sent", shown(path))]
    InUse {
        /// The ledger.
        path: PathBuf,
        /// Who has it.
        holder: Holder,
        /// How long was waited.
        waited: String,
    },
    /// It is not there, and must be.
    #[error(
        "there is no ledger at {}; without the record of earlier runs everybody would be congratulated again (on the \
         very first run, leave off --require-ledger)", shown(.0)
    )]
    Missing(PathBuf),
    /// It is there, and holds no run, and must.
    #[error(
        "the ledger {} has no run on record; if people were congratulated before, it is not the one that knows of them, \
         and everybody would be congratulated again (on the very first run, leave off --require-ledger)", shown(.0)
    )]
    NoRuns(PathBuf),
    /// It is there, and nothing is in it: what a restore or a copy leaves that failed.
    #[error(
        "the ledger {} is an empty file, and no ledger: the record of earlier runs is not in it, so everybody would be \
         congratulated again. Put back a copy of the ledger; only if there never was one, delete the file",
        shown(.0)
    )]
    Empty(PathBuf),
    /// It has other names.
    #[error(
        "the ledger {} has more than one name (hard links), and what belongs to it lies beside each under that name: runs \
         by the other name would not be seen, and people be congratulated twice. Make it a file of its own: copy it while \
         no run goes, and put the copy in its place", shown(.0)
    )]
    Linked(PathBuf),
    /// It is mounted, and what lies beside it is not.
    #[error(
        "the ledger {} is itself a mount point, and what belongs to it lies beside it, outside: it would be lost, and \
         people congratulated twice. Mount the folder that holds it, not the file", shown(.0)
    )]
    MountPoint(PathBuf),
    /// It was taken away from beside its log.
    #[error(
        "there is no ledger at {}, but {} is there, which holds the last records of one. Put the ledger back beside it; \
         only if its records are not needed, delete that file, too",
        shown(path),
        shown(log)
    )]
    LogAlone {
        /// The ledger.
        path: PathBuf,
        /// Its log.
        log: PathBuf,
    },
    /// Its last records are where they cannot be read.
    #[error(
        "the ledger {} lies where nothing can be written, and its last records are still in {}, which cannot be read \
         there; look at it where it can be written, or at a copy of both",
        shown(path),
        shown(log)
    )]
    LogUnreadable {
        /// The ledger.
        path: PathBuf,
        /// Its log.
        log: PathBuf,
    },
    /// It is something else.
    #[error("{} is no ledger of onboard; name another file with --ledger", shown(.0))]
    NotALedger(PathBuf),
    /// It was made by a later release.
    #[error("the ledger {} was made by a newer onboard (its version is {version}); update onboard", shown(path))]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// It is not as it was written.
    #[error(
        "the ledger {} is damaged: {what}; put back a copy from before that (going on without its records would \
         congratulate people again)",
        shown(path)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// SQLite says no.
    #[error("the ledger {} cannot be read or written: {why}", shown(path))]
    Broken {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        why: String,
    },
    /// Somebody took the file away.
    #[error("the ledger {} was moved, replaced or deleted while the run was writing it", shown(.0))]
    Replaced(PathBuf),
    /// An earlier failure: nothing more is written.
    #[error("the ledger stopped taking records: {0}")]
    Stopped(String),
}

fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

impl LedgerError {
    fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
            return Self::NotALedger(path.to_owned());
        }
        // SQLite quotes what it stumbles over, which is whatever stands in the file.
        Self::Broken { path: path.to_owned(), why: Shown(&error.to_string()).to_string() }
    }
}

/// What kind of mail an attempt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mail {
    /// A congratulation, to a user.
    Congratulation = 0,
    /// An invitation, to an address.
    Invitation = 1,
}

/// About whom an attempt is: a user id, or the digest of an address.
pub type Subject = [u8; 16];

/// Something is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Intent {
    /// What kind of mail.
    pub mail: Mail,
    /// To whom.
    pub subject: Subject,
    /// The user's address, where it is known.
    pub email: Option<EmailDigest>,
    /// When.
    pub at: Timestamp,
    /// Which earlier attempts a person asked to let go.
    pub supersedes: Supersedes,
}

/// Which earlier attempts a person asked to let go in this run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Supersedes {
    /// Those that were accepted (`--resend`).
    pub sent: bool,
    /// Those that may have been (`--retry-unknown`).
    pub unknown: bool,
}

/// An attempt of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptId(i64);

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intended {
    /// It is on disk: the bytes may leave, once.
    Open(AttemptId),
    /// An earlier attempt holds this user: nothing may leave.
    Held(Held),
}

/// The attempt that holds a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The portal accepted it.
    Sent {
        /// When.
        at: Timestamp,
        /// In which run.
        run: String,
    },
    /// It may have been sent.
    Unknown {
        /// When.
        at: Timestamp,
        /// In which run.
        run: String,
        /// Why nobody knows.
        reason: String,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The portal accepted it.
    Sent,
    /// It certainly had no effect.
    NoEffect {
        /// Whether the portal's daily limit counts it all the same.
        counted: bool,
        /// Why.
        reason: String,
    },
    /// Nobody but the portal knows.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// A run that begins.
#[derive(Debug, Clone)]
pub struct RunStart {
    /// Its id.
    pub id: uuid::Uuid,
    /// Tells accounts apart.
    pub account: [u8; 8],
    /// `run` or `invite`.
    pub command: &'static str,
    /// The roster's name.
    pub roster: String,
    /// The roster's SHA-256.
    pub roster_hash: [u8; 32],
    /// How many rows it has.
    pub rows: usize,
    /// Who runs it, on which machine.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// The day's writes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyUse {
    /// How many in the last 24 hours.
    pub count: u64,
    /// When the first of them is a day old.
    pub frees_at: Option<Timestamp>,
}

/// A ledger, open.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    /// The portal's number, first, and those of the origins that it had before.
    portals: Vec<i64>,
    run: i64,
    fresh: Fresh,
    #[cfg(unix)]
    inode: Option<u64>,
    /// A throw-away ledger's folder, deleted with it.
    folder: Option<tempfile::TempDir>,
}

impl Ledger {
    /// Opens the ledger that this lock stands for, or makes it; where it `must_know`, some run has to be on record.
    pub fn open(lock: &Lock, must_know: bool) -> Result<Self, LedgerError> {
        Self::open_at(lock.path(), must_know)
    }

    /// A ledger that is thrown away at the end.
    pub fn temporary() -> Result<Self, LedgerError> {
        let unmakeable =
            |source| LedgerError::Unmakeable { path: std::env::temp_dir(), source: std::sync::Arc::new(source) };
        let folder = tempfile::Builder::new().prefix("onboard-").tempdir().map_err(unmakeable)?;
        let mut ledger = Self::open_at(&folder.path().join("ledger.db"), false)?;
        ledger.folder = Some(folder);
        Ok(ledger)
    }

    fn open_at(path: &Path, must_know: bool) -> Result<Self, LedgerError> {
        let unmakeable =
            |source| LedgerError::Unmakeable { path: path.to_owned(), source: std::sync::Arc::new(source) };
        let exists = path.try_exists().map_err(unmakeable)?;
        if must_know && !exists {
            return Err(LedgerError::Missing(path.to_owned()));
        }
        if exists {
            file::looks_like_sqlite(path)?;
            file::check_alone(path)?;
        } else {
            file::create(path)?;
        }
        let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(broken)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(broken)?;
        // Whoever is no ledger is refused before anything in it is changed.
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(broken)?;
        schema::check_identity(&connection, path, version)?;
        schema::check_shape(&connection, path, version)?;
        if must_know {
            schema::check_runs(&connection, path)?;
        }
        connection.pragma_update(None, "journal_mode", "WAL").map_err(broken)?;
        // NORMAL would lose the last commits at a power loss: second mails.
        connection.pragma_update(None, "synchronous", "FULL").map_err(broken)?;
        connection.pragma_update(None, "fullfsync", true).map_err(broken)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(broken)?;
        schema::prepare(&mut connection, path)?;
        schema::check_holds(&connection, path)?;
        fence::enter_left(&connection, path)?;
        prepare_once(&connection).map_err(broken)?;
        Ok(Self {
            connection,
            #[cfg(unix)]
            inode: file::inode(path),
            path: path.to_owned(),
            portals: Vec::new(),
            run: 0,
            fresh: Fresh::default(),
            folder: None,
        })
    }

    /// Opens a ledger for looking only; it may be in use by a run.
    pub fn look(path: &Path) -> Result<Self, LedgerError> {
        if !path.exists() {
            return Err(LedgerError::Missing(path.to_owned()));
        }
        if path.is_dir() {
            return Err(LedgerError::Directory(path.to_owned()));
        }
        file::looks_like_sqlite(path)?;
        let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
        let connection = file::open_to_look(path)?;
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(broken)?;
        schema::check_identity(&connection, path, version)?;
        schema::check_shape(&connection, path, version)?;
        schema::check_holds(&connection, path)?;
        let fresh = Fresh::left_in(&connection).map_err(broken)?;
        prepare_once(&connection).map_err(broken)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            portals: Vec::new(),
            run: 0,
            fresh,
            #[cfg(unix)]
            inode: None,
            folder: None,
        })
    }

    fn broken(&self) -> impl Fn(rusqlite::Error) -> LedgerError + use<> {
        let path = self.path.clone();
        move |error| LedgerError::from_sqlite(&path, &error)
    }

    /// Refuses a ledger in which no run is on record.
    pub fn require_runs(&self) -> Result<(), LedgerError> {
        schema::check_runs(&self.connection, &self.path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Turns what follows to one portal, with the origins that it had before.
    pub fn turn_to(&mut self, origin: &Origin, formerly: &[Origin]) -> Result<(), LedgerError> {
        let broken = self.broken();
        self.portals.clear();
        for origin in std::iter::once(origin).chain(formerly) {
            self.connection
                .execute("INSERT INTO portal (origin) VALUES (?1) ON CONFLICT DO NOTHING", [origin.as_str()])
                .map_err(&broken)?;
            let id = self.portal_id(origin)?;
            self.portals.extend(id);
        }
        Ok(())
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

    fn portal_id(&self, origin: &Origin) -> Result<Option<i64>, LedgerError> {
        self.connection
            .query_row("SELECT id FROM portal WHERE origin = ?1", [origin.as_str()], |row| row.get(0))
            .optional()
            .map_err(self.broken())
    }

    /// Makes intents of dead runs `unknown`. Only the holder of the lock may do this.
    pub fn recover(&mut self, now: Timestamp) -> Result<usize, LedgerError> {
        self.connection
            .execute(
                "UPDATE attempt SET state = 'unknown', ended_at = ?1, reason = 'the run died before the answer came' \
                 WHERE holds = 1 AND state = 'intent'",
                [now.as_millisecond()],
            )
            .map_err(self.broken())
    }

    /// Whether anything was ever accepted by this portal.
    pub fn has_sent(&self) -> Result<bool, LedgerError> {
        let mut sent = false;
        for portal in &self.portals {
            sent |= self
                .connection
                .prepare_cached("SELECT 1 FROM attempt WHERE portal = ?1 AND state = 'sent' LIMIT 1")
                .and_then(|mut statement| statement.exists([portal]))
                .map_err(self.broken())?;
        }
        Ok(sent)
    }

    /// Writes of the last 24 hours on this portal, by this account (or by any), that the portal counts.
    pub fn daily_use(&self, account: Option<[u8; 8]>, now: Timestamp) -> Result<DailyUse, LedgerError> {
        const DAY_MS: i64 = 86_400_000;
        let broken = self.broken();
        let since = now.as_millisecond() - DAY_MS;
        // Attempts are in the order in which they began, so looking back from the last one stops early.
        let mut statement = self
            .connection
            .prepare(
                "SELECT began_at, attempt.portal, state, counted, account FROM attempt JOIN run ON run.id = attempt.run \
                 ORDER BY attempt.id DESC",
            )
            .map_err(&broken)?;
        let mut rows = statement.query([]).map_err(&broken)?;
        let mut daily = DailyUse { count: 0, frees_at: None };
        while let Some(row) = rows.next().map_err(&broken)? {
            let read = || -> rusqlite::Result<(i64, i64, String, bool, Vec<u8>)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            };
            let (began_at, portal, state, counted, whose) = read().map_err(&broken)?;
            // A clock that was set back leaves stamps a little out of order.
            if began_at < since - DAY_MS {
                break;
            }
            let counts = counted || state != "no_effect";
            if began_at > since
                && counts
                && self.portals.contains(&portal)
                && account.is_none_or(|account| whose == account)
            {
                daily.count += 1;
                // A stamp in the future was made by a wrong clock; it counts from now.
                let from = began_at.min(now.as_millisecond());
                let frees_at = Timestamp::from_millisecond(from + DAY_MS).unwrap_or(now);
                daily.frees_at = Some(daily.frees_at.map_or(frees_at, |at| at.min(frees_at)));
            }
        }
        Ok(daily)
    }

    /// Requests of earlier runs on this portal that its window may still count.
    pub fn recent_use(&self, window: Duration, now: Timestamp) -> Result<Vec<RecentUse>, LedgerError> {
        let broken = self.broken();
        let since = now.as_millisecond() - i64::try_from(window.as_millis()).unwrap_or(i64::MAX) * 2;
        let mut recent = Vec::new();
        for portal in &self.portals {
            let mut statement = self
                .connection
                .prepare(
                    "SELECT window_use.run, upto, at, ended_at, requests FROM window_use JOIN run ON run.id = window_use.run \
                     WHERE portal = ?1 AND (at > ?2 OR coalesce(ended_at, at) > ?2) ORDER BY window_use.run, upto",
                )
                .map_err(&broken)?;
            let blocks: Vec<Block> = statement
                .query_map(params![portal, since], |row| {
                    Ok(Block {
                        run: row.get(0)?,
                        upto: row.get(1)?,
                        at: row.get(2)?,
                        ended_at: row.get(3)?,
                        requests: row.get(4)?,
                    })
                })
                .and_then(Iterator::collect)
                .map_err(&broken)?;
            for (place, block) in blocks.iter().enumerate() {
                let before = place.checked_sub(1).and_then(|place| blocks.get(place));
                let from = before
                    .filter(|before| before.run == block.run)
                    .map_or(block.upto.saturating_sub(64), |before| before.upto);
                let upto = block.requests.map_or(block.upto, |requests| requests.min(block.upto));
                // A block is asked for while the one before it is in use, so it is surely used up only when the one
                // after the next is asked for; the last ones of a run that was killed count as used just now.
                let end = blocks.get(place + 2).filter(|after| after.run == block.run).map(|after| after.at);
                let end = end.or(block.ended_at).unwrap_or(now.as_millisecond());
                let age = Duration::from_millis(u64::try_from(now.as_millisecond().saturating_sub(end)).unwrap_or(0));
                let count = u32::try_from(upto.saturating_sub(from)).unwrap_or(0);
                if count > 0 && age < window + Duration::from_secs(1) {
                    recent.push(RecentUse { age, count });
                }
            }
        }
        Ok(recent)
    }

    /// Begins a run; what is recorded from here on belongs to it.
    pub fn begin_run(&mut self, start: &RunStart) -> Result<(), LedgerError> {
        let broken = self.broken();
        let portal = self.portals.first().copied().unwrap_or_default();
        let day_ago = start.at.as_millisecond() - 86_400_000;
        self.connection.execute("DELETE FROM window_use WHERE at < ?1", [day_ago]).map_err(&broken)?;
        self.connection
            .execute(
                "INSERT INTO run (uuid, portal, account, command, roster, roster_hash, rows, who, started_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    start.id.to_string(),
                    portal,
                    start.account.as_slice(),
                    start.command,
                    start.roster,
                    start.roster_hash.as_slice(),
                    i64::try_from(start.rows).unwrap_or(i64::MAX),
                    start.who,
                    start.at.as_millisecond(),
                ],
            )
            .map_err(&broken)?;
        self.run = self.connection.last_insert_rowid();
        Ok(())
    }

    /// Ends the run.
    pub fn end_run(&mut self, at: Timestamp, exit_status: u8, requests: u64, tally: &Tally) -> Result<(), LedgerError> {
        let outcomes: serde_json::Map<String, serde_json::Value> =
            tally.occurred().map(|(outcome, count)| (outcome.as_str().to_owned(), count.into())).collect();
        self.connection
            .execute(
                "UPDATE run SET ended_at = ?2, exit_status = ?3, requests = ?4, outcomes = ?5 WHERE id = ?1",
                params![
                    self.run,
                    at.as_millisecond(),
                    exit_status,
                    i64::try_from(requests).unwrap_or(i64::MAX),
                    serde_json::Value::Object(outcomes).to_string(),
                ],
            )
            .map_err(self.broken())?;
        self.fold()
    }

    /// Brings everything from the log into the file itself, so that whoever copies the one file has it all. Where
    /// somebody is looking just now the log stays, and loses nothing.
    fn fold(&self) -> Result<(), LedgerError> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(self.broken())
    }

    /// Closes the ledger, with everything in the one file.
    pub fn close(self) -> Result<(), LedgerError> {
        self.fold()
    }
}

/// Statements are prepared once: without the second line SQLite would plan them anew whenever a parameter changes.
fn prepare_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

struct Block {
    run: i64,
    upto: i64,
    at: i64,
    ended_at: Option<i64>,
    requests: Option<i64>,
}

#[cfg(test)]
mod tests;
