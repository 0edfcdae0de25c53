//! The copy on this machine of a log elsewhere: made of the log's objects, looked at against them, and kept up with them.

use std::path::{Path, PathBuf};

use rusqlite::params;

use super::{
    elsewhere::How,
    lines::Told,
    snapshot::last_snapshot,
    state::{Ledger, Made},
};
use crate::ledger::{
    Entry, LedgerError,
    log::{Broken, Chain, Line, hex},
    store::{Hash, Listed, Store, hash},
};

/// So many objects are read at a time.
const BATCH: usize = 256;

impl Ledger {
    /// The copy at this path, or a new one where there is none that can be used; a new one begins with the log's last
    /// snapshot where that is whole.
    pub(super) fn copy_at(
        path: &Path,
        id: &str,
        store: &mut dyn Store,
        listed: &[Listed],
    ) -> Result<Self, LedgerError> {
        let usable = |ledger: &Self| ledger.seal().is_ok_and(|seal| seal.id == id);
        if path.exists() {
            if let Ok(ledger) = Self::open_at(path, false)
                && usable(&ledger)
            {
                return Ok(ledger);
            }
            remove_copy(path);
        }
        if let Some(bytes) = last_snapshot(store, listed)
            && std::fs::write(path, bytes).is_ok()
        {
            if let Ok(ledger) = Self::open_at(path, false)
                && usable(&ledger)
                && ledger.is_of(store)
            {
                return Ok(ledger);
            }
            remove_copy(path);
        }
        let ledger = Self::open_at(path, false)?;
        ledger.change("UPDATE head SET ledger = ?1", [id])?;
        ledger.connection.pragma_update(None, "synchronous", "NORMAL").map_err(ledger.broken())?;
        Ok(ledger)
    }

    /// Whether the log's object of that number is the one that this file was made of.
    fn is_of(&self, store: &mut dyn Store) -> bool {
        let Ok(seal) = self.seal() else { return false };
        let found = store.read(seal.number).ok().flatten();
        found.is_some_and(|(bytes, _)| hex(&hash(&bytes)) == seal.hash)
    }

    pub(super) fn chain_read(&self) -> Result<Chain, LedgerError> {
        let (ledger, number, head, copied): (String, i64, Vec<u8>, String) = self
            .connection
            .query_row("SELECT ledger, number, hash, copied FROM head", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .map_err(self.broken())?;
        if number == 0 {
            return Ok(Chain::default());
        }
        head.try_into()
            .ok()
            .and_then(|head: Hash| Chain::at(ledger, number.unsigned_abs(), head, &copied))
            .ok_or_else(|| LedgerError::Damaged { path: self.path.clone(), what: "its head cannot be read" })
    }

    /// Compares what the store lists with what the copy was made of. Where a mark is another, or was never seen, since the
    /// object was created and not read, the bytes tell; at a glance, what was never seen is believed.
    pub(super) fn check_listed(&mut self, listed: &[Listed], how: How) -> Result<(), LedgerError> {
        let known: Vec<(i64, Vec<u8>, String)> = self
            .connection
            .prepare("SELECT number, hash, mark FROM object ORDER BY number")
            .and_then(|mut statement| {
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
            })
            .map_err(self.broken())?;
        let mut again: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut listed = listed.iter().peekable();
        for (number, hash, mark) in known {
            let number = number.unsigned_abs();
            while listed.next_if(|other| other.number < number).is_some() {}
            match listed.next_if(|other| other.number == number) {
                None => {
                    let last = self.log().number();
                    let gone = self.log().damaged(number, "is gone");
                    return Err(if listed.peek().is_none() && number > 1 {
                        let what = format!("it ends before object {number}, and this machine has seen object {last}");
                        LedgerError::LogShorter { place: self.name(), what }
                    } else {
                        gone
                    });
                }
                Some(_) if mark.is_empty() && how == How::Glance => {}
                Some(other) if other.mark != mark => again.push((number, hash)),
                Some(_) => {}
            }
        }
        let mut rest = again.as_slice();
        while let Some(((first, _), _)) = rest.split_first() {
            let run = rest.iter().zip(*first..).take_while(|((number, _), next)| number == next).count().min(BATCH);
            let (now, later) = rest.split_at(run);
            let log = self.log_mut();
            let found = log.store.read_many(*first, now.len()).map_err(|fault| log.fault(fault))?;
            if found.len() < now.len() {
                let missing = first + u64::try_from(found.len()).unwrap_or(0);
                return Err(self.log().damaged(missing, "is gone"));
            }
            for ((number, known), (bytes, mark)) in now.iter().zip(found) {
                if hash(&bytes).as_slice() != known {
                    return Err(self.log().damaged(*number, "was changed since this machine read it"));
                }
                let number = i64::try_from(*number).unwrap_or(i64::MAX);
                self.change("UPDATE object SET mark = ?2 WHERE number = ?1", params![number, mark])?;
            }
            rest = later;
        }
        Ok(())
    }

    /// Reads whatever is new in the log into the copy.
    pub(super) fn catch_up(&mut self) -> Result<(), LedgerError> {
        self.catch_up_with(0)
    }

    /// As [`Self::catch_up`], where the log is likely to end at that number: one look tells, and asks for no more than
    /// what is there and the first that is absent. Where more was appended meanwhile, it goes on.
    pub(super) fn catch_up_with(&mut self, likely: u64) -> Result<(), LedgerError> {
        let mut asked = 0;
        loop {
            let log = self.log_mut();
            let next = log.chain.number() + 1;
            let more = usize::try_from((likely + 1).saturating_sub(log.chain.number())).unwrap_or(BATCH);
            asked = more.max(asked * 2).clamp(1, BATCH);
            let batch = log.store.read_many(next, asked).map_err(|fault| log.fault(fault))?;
            if batch.is_empty() {
                return Ok(());
            }
            let is_last = batch.len() < asked;
            let before = log.chain.clone();
            self.begin()?;
            let done = batch
                .iter()
                .try_for_each(|(bytes, mark)| self.follow(bytes, mark))
                .and_then(|()| self.index_fresh())
                .and_then(|()| self.commit());
            if let Err(error) = done {
                self.take_back();
                self.log_mut().chain = before;
                return Err(error);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Makes of the copy what the next object says, within the transaction that goes on.
    fn follow(&mut self, bytes: &[u8], mark: &str) -> Result<(), LedgerError> {
        let log = self.log_mut();
        let number = log.chain.number() + 1;
        let read = log.chain.follow(bytes).map_err(|broken| match broken {
            Broken::Newer(_) => {
                LedgerError::Unusable { place: log.name().to_owned(), why: format!("its object {number} {broken}") }
            }
            Broken::Damaged(what) => log.damaged(number, what),
        })?;
        let ours = (std::mem::take(&mut self.portals), self.run);
        let done = self.follow_lines(number, &read.lines, read.offset);
        (self.portals, self.run) = ours;
        done?;
        self.keep_head(mark)
    }

    fn follow_lines(&mut self, number: u64, lines: &[Line], offset: u64) -> Result<(), LedgerError> {
        let (run, portal): (Option<i64>, Option<i64>) = self
            .connection
            .query_row("SELECT session_run, session_portal FROM head", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(self.broken())?;
        self.run = run.unwrap_or(0);
        self.portals = portal.into_iter().collect();
        for (line, place) in lines.iter().zip(2_u32..) {
            let told = self.told(line, offset).map_err(|what| self.log().damaged(number, what))?;
            let made = match told {
                // Of the other log's own standing: only the outermost says what this one is.
                Told::Entry(_, Entry::CopyBegan(_) | Entry::CopyEnded | Entry::MovedTo { .. }) if offset > 0 => {
                    continue;
                }
                Told::Entry(at, entry) => self.apply(at, &entry),
                Told::Run(at, start, portal) => {
                    let origin = portal.parse().map_err(|_other| self.log().damaged(number, "names no portal"))?;
                    self.apply(at, &Entry::PortalKnown(origin))?;
                    let id = self
                        .connection
                        .query_row("SELECT id FROM portal WHERE origin = ?1", [&portal], |row| row.get(0))
                        .map_err(self.broken())?;
                    self.portals = vec![id];
                    self.apply(at, &Entry::RunBegan(start))
                }
                Told::End(at, entry, snapshot) => {
                    if snapshot.is_some() {
                        self.name_snapshot(snapshot)?;
                    }
                    // What ends is what is open: a run, or something else.
                    let run: Option<i64> = self
                        .connection
                        .query_row("SELECT session_run FROM head", [], |row| row.get(0))
                        .map_err(self.broken())?;
                    if run.is_some() {
                        self.ended_in(number)?;
                        self.apply(at, &entry)
                    } else {
                        self.apply(at, &Entry::SessionEnded { exit_status: 0 })
                    }
                }
            };
            if let Made::Attempt(attempt) = made? {
                self.change(
                    "UPDATE attempt SET object = ?2, line = ?3 WHERE id = ?1",
                    params![attempt.number(), i64::try_from(number).unwrap_or(i64::MAX), place],
                )?;
            }
        }
        Ok(())
    }

    /// The run that is written ends in this object.
    pub(super) fn ended_in(&self, number: u64) -> Result<(), LedgerError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.change("UPDATE run SET number = ?2 WHERE id = ?1", params![self.run, number]).map(drop)
    }

    pub(super) fn keep_head(&mut self, mark: &str) -> Result<(), LedgerError> {
        let chain = &self.log().chain;
        let number = i64::try_from(chain.number()).unwrap_or(i64::MAX);
        let (hash, copied) = (chain.hash(), chain.copied());
        self.change("UPDATE head SET number = ?1, hash = ?2, copied = ?3", params![number, hash.as_slice(), copied])?;
        self.change(
            "INSERT INTO object (number, hash, mark) VALUES (?1, ?2, ?3)",
            params![number, hash.as_slice(), mark],
        )
        .map(drop)
    }
}

fn remove_copy(path: &Path) {
    for more in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(more);
        drop(std::fs::remove_file(PathBuf::from(name)));
    }
}
