//! The file that a ledger is: what may be one, and how one comes to be.
//!
//! SQLite's log and our lock lie beside it, under its name. A file that has two names, or is a mount point, has two sets
//! of them: two runs would not see each other's records, and what a killed run left in its log would be lost.

use std::{
    fmt::Write as _,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{
    Connection,
    ErrorCode::{CannotOpen, FileLockingProtocolFailed, ReadOnly},
    OpenFlags,
};

use super::schema;
use crate::{display::as_typed, file::is_mount_point, ledger::LedgerError};

/// Refuses a file that is not this path's alone. What is not there yet, is.
pub(in crate::ledger) fn check_alone(path: &Path) -> Result<(), LedgerError> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    if links(&metadata) > 1 {
        return Err(LedgerError::Linked(path.to_owned()));
    }
    if is_mount_point(path) {
        return Err(LedgerError::MountPoint(path.to_owned()));
    }
    Ok(())
}

#[cfg(unix)]
fn links(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn links(_: &fs::Metadata) -> u64 {
    1
}

/// Makes a ledger that has no records yet, which only its owner can read. It is made whole under another name and comes
/// to its place at once: whatever is killed, there is a ledger or nothing, never an empty file. The caller has the lock.
pub(super) fn create(path: &Path) -> Result<(), LedgerError> {
    let unmakeable = |source| LedgerError::Unmakeable { path: path.to_owned(), source: Arc::new(source) };
    let log = beside(path, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(LedgerError::LogAlone { path: path.to_owned(), log });
    }
    let new = tempfile::TempPath::try_from_path(beside(path, ".new")).map_err(unmakeable)?;
    // One that a killed run left.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unmakeable(error)),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(&new).map_err(unmakeable)?);
    fill(&new, path)?;
    fs::File::options().write(true).open(&new).and_then(|file| file.sync_all()).map_err(unmakeable)?;
    new.persist_noclobber(path).map_err(|error| unmakeable(error.error))?;
    #[cfg(unix)]
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(unmakeable)?;
    }
    Ok(())
}

fn fill(new: &Path, path: &Path) -> Result<(), LedgerError> {
    let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(new, flags).map_err(broken)?;
    // What is not done is thrown away, so nothing has to be taken back.
    connection.pragma_update(None, "journal_mode", "OFF").map_err(broken)?;
    schema::prepare(&mut connection, path)?;
    connection.close().map_err(|(_, error)| broken(error))
}

/// A file beside the ledger, of its name and something more.
pub(in crate::ledger) fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// A file that does not begin as SQLite's do is refused untouched.
pub(super) fn looks_like_sqlite(path: &Path) -> Result<(), LedgerError> {
    let unmakeable = |source| LedgerError::Unmakeable { path: path.to_owned(), source: Arc::new(source) };
    if path.is_dir() {
        return Err(LedgerError::Directory(path.to_owned()));
    }
    let mut head = Vec::new();
    fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut head)).map_err(unmakeable)?;
    match head.as_slice() {
        b"SQLite format 3\0" => Ok(()),
        [] => Err(LedgerError::Empty(path.to_owned())),
        _ => Err(LedgerError::NotALedger(path.to_owned())),
    }
}

/// Opens a file for looking only. SQLite shares its log by a file beside it; where none can be made, nobody can be
/// writing there either, and the file is read as it is, unless its last records are still in the log.
pub(super) fn open_to_look(path: &Path) -> Result<Connection, LedgerError> {
    let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |connection: Connection| {
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(connection)
    };
    let error = match Connection::open_with_flags(path, flags).and_then(open) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    if !matches!(error.sqlite_error_code(), Some(CannotOpen | FileLockingProtocolFailed | ReadOnly)) {
        return Err(broken(error));
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_gone| path.to_owned());
    let log = beside(&real, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(LedgerError::LogUnreadable { path: path.to_owned(), log });
    }
    let as_it_is = flags | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(address(&real, cfg!(windows)), as_it_is).and_then(open).map_err(broken)
}

/// The file as SQLite's address for one that nobody changes: `file:/a`, and on Windows `file:///C:/a` or
/// `file:////server/share/a` (<https://sqlite.org/uri.html>).
fn address(path: &Path, windows: bool) -> String {
    let mut address = "file:".to_owned();
    let lossy = path.to_string_lossy();
    let typed = as_typed(&lossy);
    let text = if windows { typed.as_bytes() } else { path.as_os_str().as_encoded_bytes() };
    if windows {
        address.push_str(if typed.starts_with(r"\\") { "//" } else { "///" });
    }
    for byte in text {
        match byte {
            b'\\' if windows => address.push('/'),
            b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => address.push(char::from(*byte)),
            b':' if windows => address.push(':'),
            _ => drop(write!(address, "%{byte:02x}")),
        }
    }
    address.push_str("?immutable=1");
    address
}

#[cfg(unix)]
pub(super) fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_any_path() {
        assert_eq!(address(Path::new("/a b/l?x#y%z.db"), false), "file:/a%20b/l%3fx%23y%25z.db?immutable=1");
        for (path, expected) in [
            (r"C:\a b\l.db", "file:///C:/a%20b/l.db?immutable=1"),
            (r"\\?\C:\a b\l.db", "file:///C:/a%20b/l.db?immutable=1"),
            (r"\\server\share\l.db", "file:////server/share/l.db?immutable=1"),
            (r"\\?\UNC\server\share\l.db", "file:////server/share/l.db?immutable=1"),
        ] {
            assert_eq!(address(Path::new(path), true), expected, "{path}");
        }
    }
}
