//! What the ledger's file holds, and how older ones become new.

use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, types::ValueRef};

use crate::ledger::LedgerError;

/// `onbd`: tells our files from other SQLite databases.
const APPLICATION_ID: i64 = 0x6f6e_6264;
/// The version that this program writes.
pub(super) const VERSION: i64 = 4;

/// One string for each step from a version to the next.
pub(in crate::ledger) const STEPS: [&str; 4] = [
    "
CREATE TABLE portal (
    id      INTEGER PRIMARY KEY,
    origin  TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    uuid        TEXT NOT NULL UNIQUE,
    portal      INTEGER NOT NULL REFERENCES portal (id),
    account     BLOB NOT NULL,
    command     TEXT NOT NULL,
    roster      TEXT NOT NULL,
    roster_hash BLOB NOT NULL,
    rows        INTEGER NOT NULL,
    who         TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    exit_status INTEGER,
    requests    INTEGER,
    outcomes    TEXT
) STRICT;
CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    portal      INTEGER NOT NULL REFERENCES portal (id),
    kind        INTEGER NOT NULL, -- 0: congratulation, by user id; 1: invitation, by digest of the address
    subject     BLOB NOT NULL,
    email       BLOB,
    run         INTEGER NOT NULL REFERENCES run (id),
    began_at    INTEGER NOT NULL, -- all times: milliseconds since 1970, UTC
    state       TEXT NOT NULL CHECK (state IN ('intent', 'sent', 'no_effect', 'unknown')),
    holds       INTEGER NOT NULL CHECK (holds IN (0, 1)), -- 1: no other attempt may begin
    counted     INTEGER NOT NULL CHECK (counted IN (0, 1)), -- 1: the portal's daily limit counts it
    ended_at    INTEGER,
    http        INTEGER,
    reason      TEXT,
    decision    TEXT,
    decided_by  TEXT,
    decided_at  INTEGER
) STRICT;
-- The promise itself: no second attempt for a user while one may have had its effect.
CREATE UNIQUE INDEX one_attempt_holds ON attempt (portal, kind, subject) WHERE holds = 1;
CREATE TABLE window_use (
    run     INTEGER NOT NULL REFERENCES run (id),
    upto    INTEGER NOT NULL, -- requests of the run that may leave, in all
    at      INTEGER NOT NULL
) STRICT;
",
    // Attempts of the run that goes on stay out of the index for a while: `holds` 2. And a list after IN costs a
    // table in memory at every write, comparisons cost nothing.
    "
ALTER TABLE attempt RENAME TO attempt_1;
CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    portal      INTEGER NOT NULL REFERENCES portal (id),
    kind        INTEGER NOT NULL, -- 0: congratulation, by user id; 1: invitation, by digest of the address
    subject     BLOB NOT NULL,
    email       BLOB,
    run         INTEGER NOT NULL REFERENCES run (id),
    began_at    INTEGER NOT NULL, -- all times: milliseconds since 1970, UTC
    state       TEXT NOT NULL CHECK (state = 'intent' OR state = 'sent' OR state = 'no_effect' OR state = 'unknown'),
    holds       INTEGER NOT NULL CHECK (holds BETWEEN 0 AND 2), -- 1: no other attempt may begin; 2: so too, not indexed yet
    counted     INTEGER NOT NULL CHECK (counted BETWEEN 0 AND 1), -- 1: the portal's daily limit counts it
    ended_at    INTEGER,
    http        INTEGER,
    reason      TEXT,
    decision    TEXT,
    decided_by  TEXT,
    decided_at  INTEGER
) STRICT;
INSERT INTO attempt SELECT * FROM attempt_1;
DROP TABLE attempt_1;
CREATE UNIQUE INDEX one_attempt_holds ON attempt (portal, kind, subject) WHERE holds = 1;
",
    // A ledger has an id and a head, and may be what the objects of a log make: then attempts have their place in it.
    "
ALTER TABLE attempt ADD COLUMN decision_reason TEXT;
ALTER TABLE attempt ADD COLUMN object INTEGER; -- of a ledger elsewhere: where the intent stands in its log
ALTER TABLE attempt ADD COLUMN line INTEGER;
CREATE INDEX attempt_in_log ON attempt (object, line) WHERE object IS NOT NULL;
ALTER TABLE run ADD COLUMN plan BLOB; -- the hash of the plan that it carries out
ALTER TABLE run ADD COLUMN number INTEGER; -- of a file: the place of its end in the chain of ended runs
ALTER TABLE run ADD COLUMN hash BLOB; -- of a file: of that end and of all before it
CREATE TABLE head (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    ledger          TEXT NOT NULL,
    number          INTEGER NOT NULL, -- of a file: how many runs ended; of a copy: the last object of the log
    hash            BLOB NOT NULL,
    copied          TEXT NOT NULL, -- of a copy: where it stands within a log that was copied into this one
    session         TEXT, -- whose entries follow: the one that is open
    session_who     TEXT,
    session_command TEXT,
    session_since   INTEGER,
    session_run     INTEGER,
    session_portal  INTEGER,
    standing        TEXT, -- 'copying', 'copy' or 'moved'; else runs may use it
    moved_to        TEXT,
    snapshot        TEXT -- of a copy: the last snapshot that the log names, as JSON
) STRICT;
INSERT INTO head (id, ledger, number, hash, copied) VALUES (1, lower(hex(randomblob(16))), 0, zeroblob(32), '[]');
CREATE TABLE object (
    number  INTEGER PRIMARY KEY,
    hash    BLOB NOT NULL,
    mark    TEXT NOT NULL -- what the store's list shows for these bytes; empty where that was not seen yet
) STRICT;
",
    // Whoever has to decide what became of a message is told of which row of the roster it was.
    "
ALTER TABLE attempt ADD COLUMN roster_row INTEGER; -- from 1
",
];

/// For whoever only looks: what older versions lack, so that all questions are asked in the words of this one. Nothing of
/// it is in the file.
const LACKING: [&str; 4] = [
    "",
    "",
    "
CREATE TEMP VIEW run AS SELECT *, NULL AS plan, NULL AS number, NULL AS hash FROM main.run;
CREATE TEMP VIEW attempt AS
    SELECT *, NULL AS decision_reason, NULL AS object, NULL AS line, NULL AS roster_row FROM main.attempt;
CREATE TEMP VIEW head AS
    SELECT 1 AS id, '' AS ledger, 0 AS number, zeroblob(32) AS hash, '[]' AS copied, NULL AS session, NULL AS session_who,
           NULL AS session_command, NULL AS session_since, NULL AS session_run, NULL AS session_portal, NULL AS standing,
           NULL AS moved_to, NULL AS snapshot;
CREATE TEMP VIEW object AS SELECT 0 AS number, zeroblob(32) AS hash, '' AS mark WHERE 0;
",
    "CREATE TEMP VIEW attempt AS SELECT *, NULL AS roster_row FROM main.attempt;",
];

/// Makes a file of an earlier version, that is open for looking only, answer as one of this version.
pub(super) fn answer_as_newest(
    connection: &Connection,
    path: &std::path::Path,
    version: i64,
) -> Result<(), LedgerError> {
    // The first two versions have the same columns.
    let lacking = usize::try_from(version).ok().and_then(|version| LACKING.get(version.max(2)));
    let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(broken)?;
    connection.execute_batch(lacking.copied().unwrap_or_default()).map_err(broken)
}

/// Makes the schema in an empty file, or brings an older one forward. What is no ledger was refused before.
pub(super) fn prepare(connection: &mut Connection, path: &std::path::Path) -> Result<(), LedgerError> {
    let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(broken)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(broken)?;
    let done = usize::try_from(version).unwrap_or_default();
    if version < VERSION {
        for step in STEPS.iter().skip(done) {
            transaction.execute_batch(step).map_err(broken)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(broken)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(broken)?;
    }
    transaction.commit().map_err(broken)
}

/// Refuses what is no ledger of ours, or is newer than this program.
pub(super) fn check_identity(connection: &Connection, path: &std::path::Path, version: i64) -> Result<(), LedgerError> {
    let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(broken)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(broken)?;
    let is_ours = application == APPLICATION_ID && version > 0;
    let is_empty = application == 0 && version == 0 && tables == 0;
    if is_empty {
        return Err(LedgerError::Empty(path.to_owned()));
    }
    if !is_ours {
        return Err(LedgerError::NotALedger(path.to_owned()));
    }
    if version > VERSION {
        return Err(LedgerError::Newer { path: path.to_owned(), version });
    }
    Ok(())
}

/// Refuses a ledger in which no run is on record.
pub(super) fn check_runs(connection: &Connection, path: &std::path::Path) -> Result<(), LedgerError> {
    let known: Result<bool, _> =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM run WHERE command <> 'dry-run')", [], |row| row.get(0));
    match known {
        Ok(true) => Ok(()),
        Ok(false) => Err(LedgerError::NoRuns(path.to_owned())),
        Err(error) => Err(LedgerError::from_sqlite(path, &error)),
    }
}

/// Refuses a ledger whose tables are others than this version has.
pub(super) fn check_shape(connection: &Connection, path: &std::path::Path, version: i64) -> Result<(), LedgerError> {
    let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
    let made = Connection::open_in_memory().map_err(broken)?;
    for step in STEPS.iter().take(usize::try_from(version).unwrap_or_default()) {
        made.execute_batch(step).map_err(broken)?;
    }
    if shape(connection).map_err(broken)? != shape(&made).map_err(broken)? {
        return Err(damaged(path, "its tables are not as onboard makes them"));
    }
    Ok(())
}

fn damaged(path: &std::path::Path, what: &'static str) -> LedgerError {
    LedgerError::Damaged { path: path.to_owned(), what }
}

/// What SQLite is told of the file's tables and indices: without the one index, the file would admit a second attempt;
/// with a trigger of somebody else's, it might drop one.
fn shape(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type <> 'view' AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY name")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Refuses a ledger whose attempts and whose index of them disagree: whoever is lost from the index would be sent a
/// second mail. Both are read whole, in their own order, which is quick where looking up each in the other is not.
pub(super) fn check_holds(connection: &Connection, path: &std::path::Path) -> Result<(), LedgerError> {
    let broken = |error: rusqlite::Error| LedgerError::from_sqlite(path, &error);
    // On one view of the file: a run may be writing it.
    let view = connection.unchecked_transaction().map_err(broken)?;
    for table in ["portal", "run"] {
        let verdict: String =
            view.query_row("SELECT * FROM pragma_integrity_check(?1)", [table], |row| row.get(0)).map_err(broken)?;
        if verdict != "ok" {
            return Err(damaged(path, "its table of portals or of runs is not whole"));
        }
    }
    let attempts = holding(&view, "id", "NOT INDEXED").map_err(broken)?;
    let index = holding(&view, "portal, kind, subject, id", "INDEXED BY one_attempt_holds").map_err(broken)?;
    if attempts.is_some() && attempts == index {
        Ok(())
    } else {
        Err(damaged(path, "its attempts and its index of them disagree"))
    }
}

/// How many attempts hold, and a sum that is another one if any of them is; `None` where they are not in the order in
/// which they are looked up.
fn holding(view: &Connection, order: &str, how: &str) -> rusqlite::Result<Option<(u64, u64)>> {
    let query = format!("SELECT {order}, id, portal, kind, subject FROM attempt {how} WHERE holds = 1");
    let mut statement = view.prepare(&query)?;
    let columns = statement.column_count();
    let (mut count, mut sum, mut last) = (0_u64, 0_u64, Vec::new());
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let read = |column| -> rusqlite::Result<Cell> {
            Ok(match row.get_ref(column)? {
                ValueRef::Integer(number) => Cell::Number(number),
                ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
                // Even the same bytes as a text are another value: nobody is found by it.
                ValueRef::Text(_) | ValueRef::Real(_) | ValueRef::Null => Cell::Other,
            })
        };
        let key: Vec<Cell> = (0..columns - 4).map(read).collect::<Result<_, _>>()?;
        if key <= last {
            return Ok(None);
        }
        last = key;
        let mut hasher = DefaultHasher::new();
        (columns - 4..columns).map(read).collect::<Result<Vec<Cell>, _>>()?.hash(&mut hasher);
        count += 1;
        sum = sum.wrapping_add(hasher.finish());
    }
    Ok(Some((count, sum)))
}

/// A value of an attempt, in SQLite's order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Cell {
    Other,
    Number(i64),
    Bytes(Vec<u8>),
}
