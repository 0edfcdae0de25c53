//! Opening a ledger: what is none is refused before anything in it is changed.

use std::{cell::RefCell, path::Path, sync::Arc, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    fence::{self, Fresh},
    file, schema,
    state::Ledger,
};
use crate::ledger::{Clock, LedgerError, Lock};

impl Ledger {
    /// Opens the ledger that this lock stands for, or makes it; where it `must_know`, some run has to be on record.
    pub fn open(lock: &Lock, must_know: bool) -> Result<Self, LedgerError> {
        Self::open_at(lock.path(), must_know)
    }

    /// A ledger that is thrown away at the end.
    pub fn temporary() -> Result<Self, LedgerError> {
        let unmakeable = |source| LedgerError::Unmakeable { path: std::env::temp_dir(), source: Arc::new(source) };
        let folder = tempfile::Builder::new().prefix("onboard-").tempdir().map_err(unmakeable)?;
        let mut ledger = Self::open_at(&folder.path().join("ledger.db"), false)?;
        ledger.folder = Some(folder);
        Ok(ledger)
    }

    pub(super) fn open_at(path: &Path, must_know: bool) -> Result<Self, LedgerError> {
        let unmakeable = |source| LedgerError::Unmakeable { path: path.to_owned(), source: Arc::new(source) };
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
        Self::of(connection, path, Fresh::default())
    }

    /// Opens a ledger for looking only; it may be in use by a run.
    pub fn look(path: &Path) -> Result<Self, LedgerError> {
        if !path.exists() {
            return Err(LedgerError::Missing(path.to_owned()));
        }
        file::looks_like_sqlite(path)?;
        let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
        let connection = file::open_to_look(path)?;
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(broken)?;
        schema::check_identity(&connection, path, version)?;
        schema::check_shape(&connection, path, version)?;
        schema::check_holds(&connection, path)?;
        let fresh = Fresh::left_in(&connection).map_err(broken)?;
        schema::answer_as_newest(&connection, path, version)?;
        Self::of(connection, path, fresh)
    }

    fn of(connection: Connection, path: &Path, fresh: Fresh) -> Result<Self, LedgerError> {
        prepare_once(&connection).map_err(|error| LedgerError::from_sqlite(path, &error))?;
        Ok(Self {
            connection,
            #[cfg(unix)]
            inode: file::inode(path),
            path: path.to_owned(),
            clock: Clock::start(),
            portals: Vec::new(),
            run: 0,
            fresh,
            log: None,
            names: RefCell::default(),
            folder: None,
        })
    }

    /// Refuses a ledger in which no run is on record.
    pub fn require_runs(&self) -> Result<(), LedgerError> {
        schema::check_runs(&self.connection, &self.path)
    }
}

/// Statements are prepared once: without the second line SQLite would plan them anew whenever a parameter changes.
fn prepare_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}
