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
//! find the fence (`book::fence`) shut; the intent is synced before its bytes leave, so whatever is killed, whenever, a
//! later run finds it. Only a person releases a hold, or proof that nothing had an effect.
//!
//! It is an SQLite database in WAL mode with `synchronous=FULL`; look at it with `sqlite3`. It holds no key, no link
//! and no e-mail address (addresses as digests, so that a person can be found by one).
//!
//! Elsewhere (a bucket, a database, a folder) the ledger is a [`log`] of its entries in a [`store`], which sessions append to
//! one at a time, and the file is a copy that may be deleted.
//!
//! Both outlive versions, as CHANGELOG.md promises: a file is brought forward step by step (`book/schema.rs`), a log is read
//! as it is; what is newer is refused by name. `tests/it/earlier.rs` goes on with what each earlier version left: a new one
//! adds what it writes there, and changes nothing that is there.
//!
//! All that changes it is an `Entry`, and `book/apply.rs` alone says what an entry makes of the file. Whoever records
//! hands in no time: the ledger has a [`Clock`] of its own, and tells ages.

mod book;
mod clock;
mod lock;
pub mod log;
pub mod places;
mod recorder;
pub mod store;
pub mod transfer;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::book::{
    AttemptRecord, Decided, Heard, Holding, Ledger, Local, Named, Overview, RunRecord, SessionStart, Settlement,
    Standing, Touches, UserRecord,
};
pub use self::clock::Clock;
pub use self::lock::Lock;
pub use self::log::Times;
pub use self::recorder::Recorder;
use crate::{
    attempt::{Ending, Held, LetGo, Mail, Subject},
    display::Shown,
    origin::Origin,
    pace::RecentUse,
    user::EmailDigest,
};

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
    #[error("the ledger {place} is still in use by {holder} after {waited} (--lock-timeout); nothing was sent")]
    InUse {
        /// The ledger.
        place: String,
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
    /// There is no log at a place elsewhere.
    #[error(
        "there is no ledger at {0}. A ledger elsewhere is made once, by `onboard ledger init --ledger {0}`, and never by a \
         run: if there was one, its records are gone or the place is another, and everybody would be congratulated again"
    )]
    NoLog(String),
    /// A log is there already.
    #[error("there is a ledger at {0} already; nothing was changed")]
    LogThere(String),
    /// The place cannot be used as it is.
    #[error("the ledger {place} cannot be used: {why}")]
    Unusable {
        /// The place.
        place: String,
        /// Why, and what to do.
        why: String,
    },
    /// The place does not answer; another try may work.
    #[error("the ledger {place} is out of reach: {why}. Nothing more was sent; run again later")]
    OutOfReach {
        /// The place.
        place: String,
        /// What happened last.
        why: String,
    },
    /// Somebody else took the log over.
    #[error(
        "this run no longer has the ledger {place}: {who} took it over at {since} (object {number}, session {run}), since \
         nothing was heard of this one for a minute. Nothing more leaves here; what was on its way is unknown until a person decides"
    )]
    Fenced {
        /// The place.
        place: String,
        /// Who, where.
        who: String,
        /// Since when.
        since: String,
        /// By which object.
        number: u64,
        /// Which session.
        run: String,
    },
    /// The log is not as it was written.
    #[error(
        "the ledger {place} is damaged: its object {number} {what}. Nothing was sent. Put back the objects as they were; going \
         on without them would congratulate people again"
    )]
    LogDamaged {
        /// The place.
        place: String,
        /// Which object.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The log has less than this machine has seen, or is another.
    #[error(
        "the ledger {place} is not what it was: {what}. Nothing was sent. If an earlier state was put back, put back the \
         latest one; going on without the records in between would congratulate people again"
    )]
    LogShorter {
        /// The place.
        place: String,
        /// What was seen, and what is there.
        what: String,
    },
    /// Its records went elsewhere.
    #[error("the ledger {place} has moved to {to}; name that one with --ledger")]
    Moved {
        /// The place.
        place: String,
        /// Where to.
        to: String,
    },
    /// It is a backup.
    #[error(
        "the ledger {0} is a copy, kept as a backup: what runs do with its original is not in it, so people would be \
         congratulated twice. Name the original with --ledger"
    )]
    Copy(String),
    /// It is not all there yet.
    #[error(
        "the ledger {0} is being copied there, and is not whole yet; end that with the same `onboard ledger` command"
    )]
    Copying(String),
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
    /// Whether another try may work, without anybody doing anything: exit status 5.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::InUse { .. } | Self::OutOfReach { .. } | Self::Fenced { .. })
    }

    /// What a store's fault is to a ledger at this place.
    fn at(place: impl Into<String>, fault: store::StoreFault) -> Self {
        match fault {
            store::StoreFault::Passing(why) => Self::OutOfReach { place: place.into(), why },
            store::StoreFault::Unusable(why) => Self::Unusable { place: place.into(), why },
        }
    }

    fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
            return Self::NotALedger(path.to_owned());
        }
        // SQLite quotes what it stumbles over, which is whatever stands in the file.
        Self::Broken { path: path.to_owned(), why: Shown(&error.to_string()).to_string() }
    }
}

/// Who holds the lock, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(pub(crate) String);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// All that can happen to a ledger. Each is a fact; whether it may become one is decided before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A portal is known from here on.
    PortalKnown(Origin),
    /// A run began; what follows belongs to it.
    RunBegan(RunStart),
    /// Something may leave, and holds its user.
    Intent(Intent),
    /// An attempt ended.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// How.
        ending: Ending,
        /// The HTTP status, if there was one.
        http: Option<u16>,
    },
    /// An attempt holds its user no longer, since the run was asked to send again.
    LetGo(AttemptId),
    /// Up to so many requests of the run may leave.
    Reserved {
        /// In all.
        upto: u64,
    },
    /// The run ended.
    RunEnded {
        /// Its exit status.
        exit_status: u8,
        /// Requests that left.
        requests: u64,
        /// Its rows by what became of them.
        counts: Vec<(String, u64)>,
    },
    /// A person decided what nobody knew.
    Decided {
        /// The attempt.
        attempt: AttemptId,
        /// Whether it had its effect.
        was_sent: bool,
        /// Who decided.
        by: String,
        /// Why.
        why: Option<String>,
    },
    /// Intents of dead runs are unknown from here on.
    Recovered,
    /// A session began that is no run.
    SessionBegan {
        /// Its id.
        id: uuid::Uuid,
        /// Who, where.
        who: String,
        /// `settle` or `move`.
        command: String,
    },
    /// It ended.
    SessionEnded {
        /// Its exit status.
        exit_status: u8,
    },
    /// The session that was open is over: another one took the log over.
    TookOver {
        /// Which.
        from: uuid::Uuid,
    },
    /// The session is alive.
    Alive,
    /// The ledger was made.
    Made {
        /// By whom.
        who: String,
    },
    /// Objects of another log follow.
    CopyBegan(CopyStart),
    /// All of them are there.
    CopyEnded,
    /// The ledger goes on elsewhere.
    MovedTo {
        /// Where.
        to: String,
    },
}

/// A copy of another log that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyStart {
    /// Which log, as people read it.
    pub from: String,
    /// How many objects.
    pub count: u64,
    /// The hash of the last of them.
    pub head: store::Hash,
    /// Whether the other log goes on here.
    pub moves: bool,
    /// Who.
    pub who: String,
}

/// Something is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// What kind of mail.
    pub mail: Mail,
    /// To whom.
    pub subject: Subject,
    /// The user's address, where it is known.
    pub email: Option<EmailDigest>,
    /// Which earlier attempts a person asked to let go.
    pub let_go: LetGo,
    /// Which row of the run's roster it is about, from 1.
    pub row: Option<u32>,
}

/// An attempt of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptId(i64);

impl AttemptId {
    /// The attempt with this number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intended {
    /// It is on disk: the bytes may leave, once.
    Open(AttemptId),
    /// An earlier attempt holds this user: nothing may leave.
    Held(Held),
}

/// The command of a run that sends nothing: it is on record for the requests that it used, and counts as no run.
pub const DRY_RUN: &str = "dry-run";

/// The command of a run whose messages are one's own and go by a mail server: they are none of the portal's writes.
pub const BY_MAIL: &str = "run --message";

/// A run that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStart {
    /// Its id.
    pub id: uuid::Uuid,
    /// Tells accounts apart.
    pub account: [u8; 8],
    /// `run`, `invite`, [`BY_MAIL`] or [`DRY_RUN`].
    pub command: String,
    /// The roster's name.
    pub roster: String,
    /// The roster's SHA-256.
    pub roster_hash: [u8; 32],
    /// How many rows it has.
    pub rows: usize,
    /// Who runs it, on which machine.
    pub who: String,
    /// The hash of the plan that it carries out.
    pub plan: Option<[u8; 32]>,
}

/// What was used of a portal's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Writes of the last 24 hours that the portal counts.
    pub daily: u64,
    /// In what time the first of them is a day old.
    pub frees_in: Option<Duration>,
    /// Requests of earlier runs that the portal's window may still count.
    pub recent: Vec<RecentUse>,
    /// Whether the portal ever accepted anything.
    pub ever_sent: bool,
}

/// Somebody whom another origin holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The other origin.
    pub origin: String,
    /// By what they were found.
    pub whom: Whom,
    /// Their position among the subjects, or among the addresses, that were asked about.
    pub position: usize,
}

/// By what somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// By what an attempt is about.
    Subject(Subject),
    /// By their address.
    Email(EmailDigest),
}

#[cfg(test)]
mod tests;
