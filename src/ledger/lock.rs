//! One run at a time on a ledger: a lock that the kernel drops when its holder dies, however it dies.
//!
//! It lies beside the ledger, not on it: SQLite's own locks on a file are lost when any other handle on that file is
//! closed in the same process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{Holder, LedgerError, book::file};
use crate::display::{Shown, Span, shown_path};

/// How often a lock that somebody else holds is tried again.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// The lock on a ledger; held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    /// The ledger it stands for, with symbolic links resolved.
    path: PathBuf,
}

impl Lock {
    /// Takes the lock on the ledger at this path, or says who has it. Makes the ledger's folder if need be.
    pub fn try_acquire(ledger: &Path, purpose: &str, now: Timestamp) -> Result<Result<Self, Holder>, LedgerError> {
        if ledger.is_dir() {
            return Err(LedgerError::Directory(ledger.to_owned()));
        }
        let unmakeable =
            |source| LedgerError::Unmakeable { path: ledger.to_owned(), source: std::sync::Arc::new(source) };
        let folder = ledger.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for path in [folder, ledger] {
            leads_somewhere(path).map_err(unmakeable)?;
        }
        make_folder(folder).map_err(unmakeable)?;
        let path = match std::fs::canonicalize(ledger) {
            Ok(real) => real,
            Err(_not_there) => {
                let name = ledger.file_name().ok_or_else(|| LedgerError::Directory(ledger.to_owned()))?;
                std::fs::canonicalize(folder).map_err(unmakeable)?.join(name)
            }
        };
        // The lock has the ledger's name; another name of the same file would be another lock.
        file::check_alone(&path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(file::beside(&path, ".lock")).map_err(unmakeable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // What is written there is for people only; if it cannot be read, somebody holds it all the same.
                let known =
                    Read::by_ref(&mut file).take(1000).read_to_string(&mut text).is_ok() && !text.trim().is_empty();
                let holder = if known { Shown(text.trim()).to_string() } else { "another run".to_owned() };
                return Ok(Err(Holder(holder)));
            }
            Err(TryLockError::Error(source)) => {
                return Err(LedgerError::NoLocks { path, source: std::sync::Arc::new(source) });
            }
        }
        let note =
            format!("process {} ({purpose}), since {}\n", std::process::id(), now.strftime("%Y-%m-%d %H:%M:%S UTC"));
        let noted =
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| file.write_all(note.as_bytes()));
        noted.map_err(|source| LedgerError::Unmakeable { path: path.clone(), source: std::sync::Arc::new(source) })?;
        Ok(Ok(Self { _file: file, path }))
    }

    /// Takes the lock, waiting at most so long for whoever has it, and saying so.
    #[expect(clippy::disallowed_methods, reason = "before a run starts there is nothing to do but wait")]
    pub fn wait_for(
        ledger: &Path,
        purpose: &str,
        at_most: Duration,
        mut say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        let began = Instant::now();
        let mut said = false;
        loop {
            let holder = match Self::try_acquire(ledger, purpose, Timestamp::now())? {
                Ok(lock) => return Ok(lock),
                Err(holder) => holder,
            };
            let waited = began.elapsed();
            if waited >= at_most {
                return Err(LedgerError::InUse {
                    place: shown_path(ledger),
                    holder,
                    waited: Span(at_most).to_string(),
                });
            }
            if !said {
                said = true;
                say(&format!("waiting for another run on the same ledger: {holder}; at most {}", Span(at_most)));
            }
            std::thread::sleep(TRY_EVERY.min(at_most.saturating_sub(waited)));
        }
    }

    /// The ledger's real path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A link to where nothing is may lead to a disk or a share that is not mounted: a new ledger there would know of nobody.
fn leads_somewhere(path: &Path) -> std::io::Result<()> {
    if !path.is_symlink() || path.exists() {
        return Ok(());
    }
    let target = std::fs::read_link(path)?;
    Err(std::io::Error::new(
        std::io::ErrorKind::NotFound,
        format!(
            "{} is a link to {}, where nothing is; if that is on a disk or a share, mount it, and where there never was a \
             ledger, make the folder and name the ledger by its own path",
            shown_path(path),
            shown_path(&target)
        ),
    ))
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
