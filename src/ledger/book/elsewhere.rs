//! A ledger elsewhere: this file is a copy, made of the entries of a log, and what is recorded here is appended there first.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::params;
use uuid::Uuid;

use super::{
    lines::Told,
    log::{Log, OBJECT, Tried},
    schema,
    state::{Ledger, Made},
};
use crate::{
    display::Shown,
    lease::Lease,
    ledger::{
        Entry, LedgerError, Lock,
        log::{Broken, Chain, Line, Snapshot, Times, hex},
        store::{Hash, Listed, Store, hash},
    },
    seal::Seal,
};

/// So many objects after the last snapshot are worth another one: whoever has no copy, like one view over a thousand
/// ledgers, reads no more than these; a run of many messages leaves one, and one that only looked whether there are some
/// leaves none.
const SNAPSHOT_EVERY: u64 = 32;
/// In so many of the last objects a session's end is looked for, which names the last snapshot.
const LOOK_BACK: u64 = 256;
/// So many objects are read at a time.
const BATCH: usize = 256;
/// A clock that is off by more is set right by the store's.
const CLOCK_OFF: i64 = 5_000;
/// And by more than this, people are told.
const CLOCK_FAR_OFF: i64 = 60_000;

/// Where this machine keeps what it knows of ledgers elsewhere.
#[derive(Debug, Clone)]
pub struct Local {
    /// Copies: they may be deleted, and are made again.
    pub cache: PathBuf,
    /// How far each place was seen: what notices that an earlier state was put back.
    pub seen: PathBuf,
    /// What tells places of one name apart: the endpoints that the environment names.
    pub apart: String,
}

/// How closely a log is looked at when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// From the last snapshot on, or from the copy; what lies before is as it was.
    Usual,
    /// From the first object on.
    Whole,
    /// By as few questions as possible.
    Glance,
}

impl Ledger {
    /// Makes a log at a place where none is, after a race that the store must win (`rounds` of 16 creates of one name).
    pub fn init(store: &mut dyn Store, who: &str, rounds: u32) -> Result<(), LedgerError> {
        let place = store.name().to_owned();
        let fault = |fault| LedgerError::at(&place, fault);
        if store.read(1).map_err(fault)?.is_some() {
            return Err(LedgerError::LogThere(place));
        }
        store.probe(rounds).map_err(fault)?;
        let at = crate::ledger::Clock::start().time();
        let object = Chain::default().make(Uuid::now_v7(), at, &[Line::Made { at, who: who.to_owned() }]);
        match store.create(&object).map_err(fault)? {
            crate::ledger::store::Created::Made => Ok(()),
            crate::ledger::store::Created::Refused => Err(LedgerError::LogThere(place)),
        }
    }

    /// Opens a ledger elsewhere for looking: reads what is new in its log into the copy on this machine. To write, a
    /// session has to begin.
    pub fn open_elsewhere(
        store: Box<dyn Store>,
        local: &Local,
        times: Times,
        say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        Self::open_log(store, local, times, How::Usual, say)
    }

    /// As [`Self::open_elsewhere`], by as few questions as tell what is in it: what a snapshot holds is taken for what lies
    /// in the log, as far as the list does not say otherwise. A run, which decides by it, looks closer.
    pub fn glance_elsewhere(
        store: Box<dyn Store>,
        local: &Local,
        times: Times,
        say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        Self::open_log(store, local, times, How::Glance, say)
    }

    /// As [`Self::open_elsewhere`], from the first object on: no snapshot is taken for what comes before it.
    pub fn open_whole(
        store: Box<dyn Store>,
        local: &Local,
        times: Times,
        say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        Self::open_log(store, local, times, How::Whole, say)
    }

    fn open_log(
        mut store: Box<dyn Store>,
        local: &Local,
        times: Times,
        how: How,
        mut say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        let place = store.name().to_owned();
        let key = format!("{place} {}", local.apart);
        let seen_at = local.seen.join(format!("{}.json", hex(&hash(key.as_bytes()))));
        let seen = read_seen(&seen_at);
        let Some((first, _)) = store.read(1).map_err(|fault| LedgerError::at(&place, fault))? else {
            return Err(match seen {
                Some(seen) => LedgerError::LogShorter {
                    place,
                    what: format!("it had {} objects when this machine last saw it, and has none now", seen.number),
                },
                None => LedgerError::NoLog(place),
            });
        };
        let mut chain = Chain::default();
        let damaged = |what: String| LedgerError::LogDamaged { place: place.clone(), number: 1, what };
        chain.follow(&first).map_err(|broken| damaged(broken.to_string()))?;
        let id = chain.ledger().unwrap_or_default().to_owned();
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Err(damaged("has an id that is none".to_owned()));
        }
        if let Some(seen) = seen.as_ref().filter(|seen| seen.id != id) {
            let what = format!("it was ledger {} when this machine last saw it, and is {id} now", Shown(&seen.id));
            return Err(LedgerError::LogShorter { place, what });
        }
        let listed = store.list().map_err(|fault| LedgerError::at(&place, fault))?;
        let to_begin_with = if how == How::Whole { &[] } else { listed.as_slice() };
        let path = local.cache.join(format!("{id}.db"));
        let lock = Lock::try_acquire(&path, "copy", crate::ledger::Clock::start().time()).ok().and_then(Result::ok);
        let mut ledger = if let Some(lock) = &lock {
            Self::copy_at(lock.path(), &id, store.as_mut(), to_begin_with)?
        } else {
            let unmakeable =
                |source| LedgerError::Unmakeable { path: std::env::temp_dir(), source: std::sync::Arc::new(source) };
            let folder = tempfile::Builder::new().prefix("onboard-").tempdir().map_err(unmakeable)?;
            let mut ledger = Self::copy_at(&folder.path().join("copy.db"), &id, store.as_mut(), to_begin_with)?;
            ledger.folder = Some(folder);
            ledger
        };
        let chain = ledger.chain_read()?;
        if let Some((theirs, ours)) = store.told_time() {
            let off = theirs.as_millisecond().saturating_sub(ours.as_millisecond());
            if off.abs() > CLOCK_OFF {
                ledger.clock = ledger.clock.shifted(off);
            }
            if off.abs() > CLOCK_FAR_OFF {
                let off = Duration::from_millis(off.unsigned_abs());
                say(&format!(
                    "this machine's clock and that of the ledger's store are {} apart; the ledger's times are the store's",
                    crate::display::Span(off)
                ));
            }
        }
        let lease = Lease::new(times.fresh);
        let snapshot = ledger.kept_snapshot()?;
        ledger.log = Some(Box::new(Log {
            store,
            times,
            chain,
            session: None,
            lines: String::new(),
            count: 0,
            last: lease.now(),
            lease,
            snapshot,
            seen: seen_at,
            lock,
        }));
        ledger.check_listed(&listed, how)?;
        let last = listed.last().map_or(0, |last| last.number);
        ledger.catch_up_with(last)?;
        if last > ledger.log().number() {
            let missing = ledger.log().number() + 1;
            return Err(ledger.log().damaged(missing, "is missing, and later ones are there"));
        }
        if let Some(seen) = seen {
            if ledger.log().number() < seen.number {
                let what = format!(
                    "it ends at object {}, and this machine has seen object {}",
                    ledger.log().number(),
                    seen.number
                );
                return Err(LedgerError::LogShorter { place, what });
            }
            if !ledger.holds_seal(&seen)? {
                let what = format!("its object {} is another than the one that this machine has seen", seen.number);
                return Err(LedgerError::LogShorter { place, what });
            }
        }
        ledger.write_seen();
        Ok(ledger)
    }

    /// The copy at this path, or a new one where there is none that can be used; a new one begins with the log's last
    /// snapshot where that is whole.
    fn copy_at(path: &Path, id: &str, store: &mut dyn Store, listed: &[Listed]) -> Result<Self, LedgerError> {
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

    fn chain_read(&self) -> Result<Chain, LedgerError> {
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

    fn kept_snapshot(&self) -> Result<Option<Snapshot>, LedgerError> {
        let text: Option<String> =
            self.connection.query_row("SELECT snapshot FROM head", [], |row| row.get(0)).map_err(self.broken())?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Compares what the store lists with what the copy was made of. Where a mark is another, or was never seen, since the
    /// object was created and not read, the bytes tell; at a glance, what was never seen is believed.
    fn check_listed(&mut self, listed: &[Listed], how: How) -> Result<(), LedgerError> {
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
    fn catch_up_with(&mut self, likely: u64) -> Result<(), LedgerError> {
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

    fn name_snapshot(&mut self, snapshot: Option<Snapshot>) -> Result<(), LedgerError> {
        let text = serde_json::to_string(&snapshot).unwrap_or_default();
        self.change("UPDATE head SET snapshot = ?1", [text])?;
        self.log_mut().snapshot = snapshot;
        Ok(())
    }

    /// The run that is written ends in this object.
    pub(super) fn ended_in(&self, number: u64) -> Result<(), LedgerError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.change("UPDATE run SET number = ?2 WHERE id = ?1", params![self.run, number]).map(drop)
    }

    fn keep_head(&mut self, mark: &str) -> Result<(), LedgerError> {
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

    // ---- writing ----

    /// Puts a line among those that are appended with this transaction.
    pub(super) fn add_line(&mut self, line: &Line, made: Made) -> Result<(), LedgerError> {
        let log = self.log_mut();
        let number = i64::try_from(log.chain.number() + 1).unwrap_or(i64::MAX);
        let place = log.count + 2;
        log.lines.push_str(&crate::ledger::log::encode(line));
        log.count += 1;
        let is_full = log.lines.len() > OBJECT;
        if let Made::Attempt(attempt) = made {
            self.change(
                "UPDATE attempt SET object = ?2, line = ?3 WHERE id = ?1",
                params![attempt.number(), number, place],
            )?;
        }
        if is_full { self.append_lines() } else { Ok(()) }
    }

    pub(super) fn drop_lines(&mut self) {
        if let Some(log) = &mut self.log {
            log.lines.clear();
            log.count = 0;
        }
    }

    /// Appends what was recorded in this transaction; whoever finds another's object there is fenced for good.
    pub(super) fn append_lines(&mut self) -> Result<(), LedgerError> {
        match self.append_once()? {
            Tried::Done => Ok(()),
            Tried::Lost => {
                let log = self.log_mut();
                log.lease.end();
                Err(log.fenced())
            }
        }
    }

    /// Appends and ends the transaction, unless somebody was first.
    pub(super) fn try_commit(&mut self) -> Result<Tried, LedgerError> {
        match self.append_once()? {
            Tried::Done => self.commit().map(|()| Tried::Done),
            Tried::Lost => Ok(Tried::Lost),
        }
    }

    fn append_once(&mut self) -> Result<Tried, LedgerError> {
        let at = self.clock.time();
        let Some(log) = self.log.as_mut().filter(|log| !log.lines.is_empty()) else { return Ok(Tried::Done) };
        let Some(session) = log.session else {
            return Err(LedgerError::Stopped("nothing may be recorded outside a session".to_owned()));
        };
        let object = log.chain.make_of(session, at, &log.lines);
        if log.append(&object)? == Tried::Lost {
            return Ok(Tried::Lost);
        }
        let followed = log.chain.follow(&object.bytes);
        followed.map_err(|broken| log.damaged(object.number, broken.to_string()))?;
        self.drop_lines();
        self.keep_head("")?;
        Ok(Tried::Done)
    }

    /// How long until a log has to be told that its session is alive; none for a file.
    pub(in crate::ledger) fn silent_for(&self) -> Option<Duration> {
        let log = self.log.as_ref()?;
        let quiet = u64::try_from(log.lease.now().saturating_sub(log.last)).unwrap_or(0);
        Some(log.times.alive.saturating_sub(Duration::from_millis(quiet)))
    }

    /// Tells the log that its session is alive.
    pub(in crate::ledger) fn say_alive(&mut self) -> Result<(), LedgerError> {
        self.enter(&Entry::Alive).map(drop)
    }

    /// For how long bytes may leave; none for a file, which nobody can take over.
    pub fn lease(&self) -> Option<Lease> {
        self.log.as_ref().map(|log| log.lease.clone())
    }

    /// Keeps a snapshot where many objects came after the last one; the session's end names it.
    pub(super) fn keep_snapshot(&mut self) -> Result<(), LedgerError> {
        let Some(log) = &self.log else { return Ok(()) };
        let number = log.chain.number();
        let last = log.snapshot.as_ref().and_then(|snapshot| number_of(&snapshot.name)).unwrap_or(0);
        if number.saturating_sub(last) <= SNAPSHOT_EVERY {
            return Ok(());
        }
        // It hurries a start, and nothing needs it: where it cannot be made, the log is all there is.
        let bytes = tempfile::tempdir().ok().and_then(|folder| {
            let path = folder.path().join("snapshot.db");
            self.connection.execute("VACUUM INTO ?1", [path.to_str()?]).ok()?;
            std::fs::read(path).ok()
        });
        let Some(bytes) = bytes else { return Ok(()) };
        let name = format!("snapshot/{number:020}-{}.db", schema::VERSION);
        let snapshot = Snapshot { name: name.clone(), sha256: hex(&hash(&bytes)) };
        if self.log_mut().store.keep_snapshot(&name, bytes) == Ok(true) {
            self.name_snapshot(Some(snapshot))?;
        }
        Ok(())
    }

    /// The snapshot that the session's end names.
    pub(super) fn snapshot_to_name(&self) -> Option<Snapshot> {
        self.log.as_ref().and_then(|log| log.snapshot.clone())
    }

    /// Keeps how far this machine has seen the place.
    pub(super) fn write_seen(&self) {
        let (Some(log), Ok(seal)) = (&self.log, self.seal()) else { return };
        // A home that cannot be written sees less; the log's chain holds all the same.
        let written = || -> Option<()> {
            let folder = log.seen.parent()?;
            std::fs::create_dir_all(folder).ok()?;
            let file = tempfile::NamedTempFile::new_in(folder).ok()?;
            serde_json::to_writer(&file, &seal).ok()?;
            file.persist(&log.seen).ok().map(drop)
        };
        let _unwritten = written();
    }

    pub(super) fn log(&self) -> &Log {
        // Every caller stands behind `open_elsewhere`, which sets it.
        #[expect(clippy::expect_used, reason = "a ledger elsewhere has a log from its opening on")]
        self.log.as_deref().expect("a log")
    }

    pub(super) fn log_mut(&mut self) -> &mut Log {
        #[expect(clippy::expect_used, reason = "a ledger elsewhere has a log from its opening on")]
        self.log.as_deref_mut().expect("a log")
    }
}

/// The last snapshot that the log names, where it is whole.
fn last_snapshot(store: &mut dyn Store, listed: &[Listed]) -> Option<Vec<u8>> {
    let last = listed.last()?.number;
    if last <= SNAPSHOT_EVERY {
        return None;
    }
    let mut named = |first: u64| {
        let tail = store.read_many(first, usize::try_from(last - first + 1).unwrap_or(BATCH)).ok()?;
        tail.iter().rev().find_map(|(bytes, _)| {
            let text = String::from_utf8_lossy(bytes);
            text.lines().rev().find_map(|line| match serde_json::from_str(line) {
                Ok(Line::Ended { snapshot, .. }) => snapshot,
                _ => None,
            })
        })
    };
    // Where nobody writes, the last object is a session's end, which names the last snapshot there is.
    let named = named(last).or_else(|| named(last.saturating_sub(LOOK_BACK).max(1)))?;
    // One of an earlier version becomes a new one, as any file does.
    if !SNAPSHOTS.contains(&version_of(&named.name)?) {
        return None;
    }
    let bytes = store.snapshot(&named.name).ok().flatten()?;
    (hex(&hash(&bytes)) == named.sha256).then_some(bytes)
}

/// Versions of the file's schema in which there are snapshots that this program can use.
const SNAPSHOTS: std::ops::RangeInclusive<i64> = 3..=schema::VERSION;

fn version_of(snapshot: &str) -> Option<i64> {
    snapshot.strip_suffix(".db")?.rsplit('-').next()?.parse().ok()
}

fn number_of(snapshot: &str) -> Option<u64> {
    snapshot.strip_prefix("snapshot/")?.split('-').next()?.parse().ok()
}

fn remove_copy(path: &Path) {
    for more in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(more);
        drop(std::fs::remove_file(PathBuf::from(name)));
    }
}

fn read_seen(path: &Path) -> Option<Seal> {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attempt::{Ending, LetGo, Mail},
        ledger::{
            Intended, Intent, RunStart, SessionStart,
            store::{Created, Object, StoreFault, memory::Memory},
        },
        origin::Origin,
    };

    const TIMES: Times = Times {
        look: Duration::from_millis(1),
        alive: Duration::from_secs(15),
        fresh: Duration::from_secs(30),
        takeover: Duration::from_millis(5),
        again: Duration::from_millis(1),
    };

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn open(&self, store: &Memory) -> Result<Ledger, LedgerError> {
            let local =
                Local { cache: self.0.path().join("cache"), seen: self.0.path().join("seen"), apart: String::new() };
            Ledger::open_elsewhere(Box::new(store.clone()), &local, TIMES, |_| {})
        }
    }

    fn made() -> Memory {
        let mut store = Memory::default();
        Ledger::init(&mut store, "anna@ci-1", 0).expect("made");
        store
    }

    fn origin() -> Origin {
        "https://docspace.example".parse().expect("an origin")
    }

    fn start(who: &str) -> SessionStart {
        SessionStart::Run(RunStart {
            id: Uuid::now_v7(),
            account: [1; 8],
            command: "run".to_owned(),
            roster: "a@b.csv".to_owned(),
            roster_hash: [2; 32],
            rows: 3,
            who: who.to_owned(),
            plan: None,
        })
    }

    fn begin(ledger: &mut Ledger, who: &str) -> Result<(), LedgerError> {
        ledger.begin_session(&start(who), Some((&origin(), &[])), Duration::from_secs(60), |_| {})
    }

    fn intend(ledger: &mut Ledger, user: u8) -> Intended {
        let intent = Intent {
            mail: Mail::Congratulation,
            subject: [user; 16],
            email: None,
            let_go: LetGo::default(),
            row: None,
        };
        ledger.begin().expect("begun");
        let at = ledger.clock.now();
        let intended = ledger.intend(at, &intent).expect("intended");
        ledger.commit().expect("appended");
        intended
    }

    fn end(ledger: &mut Ledger, intended: &Intended, ending: Ending) {
        let Intended::Open(attempt) = intended else { panic!("held: {intended:?}") };
        ledger.enter(&Entry::Ended { attempt: *attempt, ending, http: Some(200) }).expect("ended");
    }

    #[test]
    fn a_run_goes_on_on_another_machine_with_what_the_first_has_recorded() {
        let store = made();
        let (first, second) = (Machine::new(), Machine::new());
        let mut ledger = first.open(&store).expect("opened");
        begin(&mut ledger, "anna@ci-1").expect("begun");
        let one = intend(&mut ledger, 1);
        end(&mut ledger, &one, Ending::Sent);
        let two = intend(&mut ledger, 2);
        assert!(matches!(two, Intended::Open(_)));
        // The machine is gone, with its copy.
        drop(ledger);
        let mut ledger = second.open(&store).expect("opened");
        begin(&mut ledger, "ben@ci-2").expect("taken over");
        assert_eq!(ledger.recover().expect("recovered"), 1);
        assert!(matches!(intend(&mut ledger, 1), Intended::Held(crate::attempt::Held::Sent { .. })));
        assert!(matches!(intend(&mut ledger, 2), Intended::Held(crate::attempt::Held::Unknown { .. })));
        let three = intend(&mut ledger, 3);
        end(&mut ledger, &three, Ending::NoEffect { counted: false, why: "busy".to_owned() });
        assert!(matches!(intend(&mut ledger, 3), Intended::Open(_)));
        ledger.end_run(0, 4, [("sent", 1)]).expect("ended");
        let seal = ledger.seal().expect("sealed");
        drop(ledger);
        // The first machine comes back, with an old copy.
        let ledger = first.open(&store).expect("opened");
        assert_eq!(ledger.seal().expect("sealed"), seal);
        assert_eq!(ledger.holding_session().expect("read"), None);
        assert_eq!(ledger.runs().expect("read").len(), 2);
    }

    #[test]
    fn whoever_was_taken_over_records_nothing_more_and_is_told_by_whom() {
        let store = made();
        let mut slept = Machine::new().open(&store).expect("opened");
        begin(&mut slept, "anna@ci-1").expect("begun");
        let lease = slept.lease().expect("a lease");
        assert!(lease.is_fresh());
        let mut ledger = Machine::new().open(&store).expect("opened");
        begin(&mut ledger, "ben@ci-2").expect("taken over");
        let error = slept.say_alive().expect_err("fenced");
        assert!(matches!(&error, LedgerError::Fenced { who, .. } if who == "ben@ci-2"), "{error}");
        assert!(!lease.is_fresh());
    }

    /// A store that answers no create while it is told to be mute.
    #[derive(Debug)]
    struct Mute(Memory, std::sync::Arc<std::sync::atomic::AtomicBool>);

    impl Store for Mute {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn create(&mut self, object: &Object) -> Result<Created, StoreFault> {
            if self.1.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(StoreFault::Passing("no answer".to_owned()));
            }
            self.0.create(object)
        }
        fn read(&mut self, number: u64) -> Result<Option<(Vec<u8>, String)>, StoreFault> {
            self.0.read(number)
        }
        fn read_many(&mut self, first: u64, at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault> {
            self.0.read_many(first, at_most)
        }
        fn list(&mut self) -> Result<Vec<Listed>, StoreFault> {
            self.0.list()
        }
        fn told_time(&self) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
            self.0.told_time()
        }
        fn snapshot(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
            self.0.snapshot(name)
        }
        fn keep_snapshot(&mut self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreFault> {
            self.0.keep_snapshot(name, bytes)
        }
        fn probe(&mut self, rounds: u32) -> Result<(), StoreFault> {
            self.0.probe(rounds)
        }
    }

    #[test]
    fn whoever_slept_in_the_middle_of_an_append_is_told_who_took_over() {
        let (store, machine, mute) = (made(), Machine::new(), std::sync::Arc::default());
        let local =
            Local { cache: machine.0.path().join("cache"), seen: machine.0.path().join("seen"), apart: String::new() };
        // As after a sleep: the time for an append is over when its first try comes back.
        let times = Times { fresh: Duration::ZERO, ..TIMES };
        let muted = Box::new(Mute(store.clone(), std::sync::Arc::clone(&mute)));
        let mut slept = Ledger::open_elsewhere(muted, &local, times, |_| {}).expect("opened");
        begin(&mut slept, "anna@ci-1").expect("begun");
        let mut ledger = Machine::new().open(&store).expect("opened");
        begin(&mut ledger, "ben@ci-2").expect("taken over");
        mute.store(true, std::sync::atomic::Ordering::SeqCst);
        let error = slept.say_alive().expect_err("fenced");
        assert!(matches!(&error, LedgerError::Fenced { who, .. } if who == "ben@ci-2"), "{error}");
        assert!(!slept.lease().expect("a lease").is_fresh());
    }

    #[test]
    fn what_was_removed_changed_or_put_back_is_refused_by_whoever_saw_it_and_by_whoever_reads_it_first() {
        let seen = Machine::new();
        let store = made();
        let mut ledger = seen.open(&store).expect("opened");
        begin(&mut ledger, "anna@ci-1").expect("begun");
        for user in 0..4 {
            let one = intend(&mut ledger, user);
            end(&mut ledger, &one, Ending::Sent);
        }
        ledger.end_run(0, 4, [("sent", 4)]).expect("ended");
        drop(ledger);
        let mut reader = store.clone();
        let whole: Vec<Vec<u8>> = reader.read_many(1, 100).expect("read").into_iter().map(|(bytes, _)| bytes).collect();
        let put_back = |store: &Memory| {
            for (number, bytes) in (1..).zip(&whole) {
                store.tamper(number, Some(bytes.clone()));
            }
        };
        let last = whole.len() as u64;
        for number in 1..last {
            store.tamper(number, None);
            assert!(seen.open(&store).is_err(), "{number} was removed");
            assert!(Machine::new().open(&store).is_err(), "{number} was removed");
            put_back(&store);
            let changed = String::from_utf8(whole[usize::try_from(number).expect("small") - 1].clone())
                .expect("text")
                .replace("\"at\":\"2", "\"at\":\"1");
            store.tamper(number, Some(changed.into_bytes()));
            assert!(seen.open(&store).is_err(), "{number} was changed");
            assert!(Machine::new().open(&store).is_err(), "{number} was changed");
            put_back(&store);
        }
        for number in (last - 2)..=last {
            store.tamper(number, None);
        }
        assert!(matches!(seen.open(&store), Err(LedgerError::LogShorter { .. })));
        put_back(&store);
        seen.open(&store).expect("whole again");
        let other = made();
        assert!(matches!(seen.open(&other), Err(LedgerError::LogShorter { .. })));
    }

    #[test]
    fn without_a_log_nothing_is_made_and_with_one_init_changes_nothing() {
        let mut store = Memory::default();
        assert!(matches!(Machine::new().open(&store), Err(LedgerError::NoLog(_))));
        Ledger::init(&mut store, "anna@ci-1", 0).expect("made");
        assert!(matches!(Ledger::init(&mut store, "anna@ci-1", 0), Err(LedgerError::LogThere(_))));
    }

    #[test]
    fn a_snapshot_makes_the_same_of_a_long_log() {
        let store = made();
        let mut ledger = Machine::new().open(&store).expect("opened");
        begin(&mut ledger, "anna@ci-1").expect("begun");
        for _ in 0..SNAPSHOT_EVERY {
            ledger.say_alive().expect("alive");
        }
        let one = intend(&mut ledger, 1);
        end(&mut ledger, &one, Ending::Sent);
        ledger.end_run(0, 1, [("sent", 1)]).expect("ended");
        let seal = ledger.seal().expect("sealed");
        let mut reader = store.clone();
        let listed = reader.list().expect("listed");
        assert!(last_snapshot(&mut reader, &listed).is_some());
        let mut ledger = Machine::new().open(&store).expect("opened");
        assert_eq!(ledger.seal().expect("sealed"), seal);
        begin(&mut ledger, "ben@ci-2").expect("begun");
        assert!(matches!(intend(&mut ledger, 1), Intended::Held(_)));
    }
}
