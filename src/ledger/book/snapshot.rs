//! Snapshots of a ledger elsewhere: the file as it was after an object of the log, kept beside it, so that a machine without
//! a copy need not read the log from its beginning.

use super::{schema, state::Ledger};
use crate::ledger::{
    LedgerError,
    log::{Line, Snapshot, hex},
    store::{Listed, Store, hash},
};

/// So many objects after the last snapshot are worth another one: whoever has no copy, like one view over a thousand
/// ledgers, reads no more than these; a run of many messages leaves one, and one that only looked whether there are some
/// leaves none.
pub(super) const SNAPSHOT_EVERY: u64 = 32;
/// In so many of the last objects a session's end is looked for, which names the last snapshot.
const LOOK_BACK: u64 = 256;

impl Ledger {
    pub(super) fn kept_snapshot(&self) -> Result<Option<Snapshot>, LedgerError> {
        let text: Option<String> =
            self.connection.query_row("SELECT snapshot FROM head", [], |row| row.get(0)).map_err(self.broken())?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    pub(super) fn name_snapshot(&mut self, snapshot: Option<Snapshot>) -> Result<(), LedgerError> {
        let text = serde_json::to_string(&snapshot).unwrap_or_default();
        self.change("UPDATE head SET snapshot = ?1", [text])?;
        self.log_mut().snapshot = snapshot;
        Ok(())
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
}

/// The last snapshot that the log names, where it is whole.
pub(super) fn last_snapshot(store: &mut dyn Store, listed: &[Listed]) -> Option<Vec<u8>> {
    let last = listed.last()?.number;
    if last <= SNAPSHOT_EVERY {
        return None;
    }
    let mut named = |first: u64| {
        let tail = store.read_many(first, usize::try_from(last - first + 1).unwrap_or_default()).ok()?;
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
