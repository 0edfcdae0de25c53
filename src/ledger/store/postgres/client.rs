//! The store itself: each call is one statement on one connection.

use std::{fmt, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::timeout,
};
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql, Type},
};
use uuid::Uuid;

use super::{
    database::Variables,
    promises::{GRANTS, Promises},
    session::{Given, Session},
    settings::{PROBE, Settings},
};
use crate::ledger::{
    Clock,
    store::{
        Created, Listed, NOTHING_BEFORE, Object, Store,
        StoreFault::{self, Passing, Unusable},
        hash,
    },
};
use crate::place::Database;

/// How long is waited for an answer; then the connection is closed.
const PATIENCE: Duration = Duration::from_secs(8);
/// So much longer a second connection may take to end whoever stands in the way.
const TO_CLEAR: Duration = Duration::from_secs(2);
/// So many connections race in a probe.
const RACERS: usize = 16;
/// A statement that changes nothing is made so often.
const TRIES: usize = 3;

/// Creates the row, or writes it once more where these very bytes are there: with a synchronous standby that is down a row
/// may be visible and on no standby, and only a write waits until it is.
const APPEND: &str = "\
    INSERT INTO onboard.log AS l (ledger, seq, sha, body) SELECT $1, $2, $3, $4 \
    WHERE ($2 = 1 OR EXISTS (SELECT 1 FROM onboard.log WHERE ledger = $1 AND seq = $2 - 1 AND sha = $5)) \
    AND current_setting('synchronous_commit') NOT IN ('off', 'local') AND current_setting('fsync') = 'on' \
    AND NOT pg_is_in_recovery() \
    ON CONFLICT (ledger, seq) DO UPDATE SET sha = excluded.sha WHERE l.sha = excluded.sha AND l.body = excluded.body \
    RETURNING seq";

/// Whether what an append follows upon is there.
const BEFORE: &str = "SELECT EXISTS (SELECT 1 FROM onboard.log WHERE ledger = $1 AND seq = $2 AND sha = $3)";

/// So many objects from one on, and one row at least: what the server says of itself.
const READ: &str = "\
    SELECT pg_is_in_recovery(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, l.seq, l.body \
    FROM (SELECT 1) AS one LEFT JOIN \
    (SELECT seq, body FROM onboard.log WHERE ledger = $1 AND seq >= $2 AND seq < $2 + $3) AS l ON true ORDER BY l.seq";

const LIST: &str = "\
    SELECT pg_is_in_recovery(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, l.seq, l.mark \
    FROM (SELECT 1) AS one LEFT JOIN \
    (SELECT seq, encode(sha256(body), 'hex') AS mark FROM onboard.log WHERE ledger = $1) AS l ON true ORDER BY l.seq";

/// What the server promises, and what this user may; without a right to the table.
const LOOK: &str = "\
    SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'), \
    current_setting('synchronous_standby_names'), current_setting('full_page_writes'), pg_is_in_recovery(), \
    (SELECT c.relpersistence::text FROM pg_class c WHERE c.oid = t.oid), \
    has_schema_privilege(t.space, 'USAGE'), has_table_privilege(t.oid, 'INSERT'), has_table_privilege(t.oid, 'SELECT'), \
    has_any_column_privilege(t.oid, 'UPDATE'), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
    FROM (SELECT 1) AS one LEFT JOIN (SELECT c.oid, n.oid AS space FROM pg_class c JOIN pg_namespace n \
    ON n.oid = c.relnamespace WHERE n.nspname = 'onboard' AND c.relname = 'log') AS t ON true";

/// Ends the backends of this user that a statement of this run waits for: half of a pipeline that never arrived whole
/// holds its row for ever.
const CLEAR: &str = "\
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid() \
    AND pid IN (SELECT unnest(pg_blocking_pids(w.pid)) FROM pg_stat_activity w \
    WHERE w.usename = current_user AND w.application_name = $1 AND w.datname = current_database())";

const BELOW: &str = "SELECT DISTINCT ledger FROM onboard.log ORDER BY ledger";

const MAKE: &str = "\
    CREATE SCHEMA IF NOT EXISTS onboard; \
    CREATE TABLE IF NOT EXISTS onboard.log (ledger text NOT NULL, seq bigint NOT NULL, sha bytea NOT NULL, \
    body bytea NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (ledger, seq))";

/// What earlier probes left, since no run has a right to delete; not those that may be going on.
const SWEEP: &str =
    "DELETE FROM onboard.log WHERE strpos(ledger, $1) > 0 AND at < clock_timestamp() - interval '1 hour'";

/// A log in a PostgreSQL database.
pub struct Postgres {
    settings: Settings,
    patience: Duration,
    session: Option<Session>,
    /// The last connection ended while something was asked.
    broke: bool,
    told_time: Option<(Timestamp, Timestamp)>,
    /// Taken away when it is dropped.
    runtime: Option<Runtime>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.settings.name).finish()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.session = None;
        if let Some(runtime) = self.runtime.take() {
            // A look-up of a name may hang; nobody waits for it.
            runtime.shutdown_background();
        }
    }
}

/// Connects. `application` is what the server shows of us: `onboard RUN-ID`. What the database leaves out is asked of
/// the environment by its `PG…` names.
pub fn open(database: &Database, application: &str, variables: Variables<'_>) -> Result<Postgres, StoreFault> {
    let settings = Settings::new(database, application, variables)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Passing(format!("no connection can be made: {error}")))?;
    let mut store =
        Postgres { settings, patience: PATIENCE, session: None, broke: false, told_time: None, runtime: Some(runtime) };
    store.look()?;
    Ok(store)
}

fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, StoreFault> {
    row.try_get(column).map_err(|error| Unusable(format!("the server's answer cannot be read: {error}")))
}

fn number(number: u64) -> Result<i64, StoreFault> {
    i64::try_from(number).map_err(|_beyond| Unusable(format!("no log is so long: {number}")))
}

fn mark(bytes: &[u8]) -> String {
    hash(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

const REPLICA: &str = "the server is a replica (pg_is_in_recovery), which may lag behind; name the primary";

impl Postgres {
    /// Waits so long for an answer, instead of 8 s: for tests.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Lets the store's own runtime wait for it.
    fn wait<T>(&mut self, run: impl AsyncFnOnce(&mut Self) -> T) -> Result<T, StoreFault> {
        let Some(runtime) = self.runtime.take() else { return Err(Passing("the store was closed".to_owned())) };
        let answer = if Handle::try_current().is_err() {
            Ok(runtime.block_on(run(self)))
        } else {
            Err(Passing("the store was asked from within a task, which must not wait".to_owned()))
        };
        self.runtime = Some(runtime);
        answer
    }

    /// The connection, a new one where there is none or the server has closed it.
    async fn session(&mut self) -> Result<&mut Session, StoreFault> {
        let mut session = self.session.take();
        if let Some(there) = &mut session
            && there.is_closed().await
        {
            session = None;
        }
        let session = match session {
            Some(session) => session,
            None => Session::open(&self.settings, self.patience).await?,
        };
        Ok(self.session.insert(session))
    }

    async fn ask_once(&mut self, statement: &str, given: Given<'_>) -> Result<Vec<Row>, StoreFault> {
        let patience = self.patience;
        let answer = self.session().await?.ask(statement, given, patience).await;
        if matches!(answer, Err(Passing(_))) {
            // Dropping a question cancels nothing; without the connection nobody waits for an answer to it.
            self.broke = self.session.take().is_some_and(|session| session.broke);
        }
        answer
    }

    /// Asks again where nothing is changed by it and the connection broke; what was too slow is left to the caller, who
    /// has a time limit, too.
    async fn ask(&mut self, statement: &str, given: Given<'_>) -> Result<Vec<Row>, StoreFault> {
        for _ in 1..TRIES {
            self.broke = false;
            match self.ask_once(statement, given).await {
                Err(Passing(_)) if self.broke => {}
                answer => return answer,
            }
        }
        self.ask_once(statement, given).await
    }

    async fn append(&mut self, object: &Object) -> Result<Created, StoreFault> {
        let ledger = self.settings.ledger.clone();
        // One try has so much time, its connection included.
        let tried = timeout(self.patience, self.try_append(&ledger, object)).await;
        let tried = tried.unwrap_or_else(|_elapsed| Err(Passing("no answer within the time limit".to_owned())));
        if matches!(tried, Err(Passing(_))) {
            self.session = None;
            if !matches!(timeout(TO_CLEAR, self.clear()).await, Ok(Ok(()))) {
                self.session = None;
            }
        }
        tried
    }

    async fn try_append(&mut self, ledger: &str, object: &Object) -> Result<Created, StoreFault> {
        let appended = Appended::new(ledger, object)?;
        let made = self.ask_once(APPEND, &appended.given()).await;
        match made {
            Ok(rows) if !rows.is_empty() => return Ok(Created::Made),
            Ok(_) => {}
            Err(Unusable(why)) if why.starts_with("a right is missing") => {
                let promises = self.promised().await?;
                return Err(Unusable(promises.lacks().unwrap_or(why)));
            }
            Err(fault) => return Err(fault),
        }
        // No row: the server promises too little, or has lost what this follows upon, or something is there.
        if let Some(lacks) = self.promised().await?.lacks() {
            return Err(Unusable(lacks));
        }
        if object.number == 1 {
            return Ok(Created::Refused);
        }
        let number_before = appended.seq - 1;
        let given: Given<'_> =
            &[(&appended.ledger, Type::TEXT), (&number_before, Type::INT8), (&appended.before, Type::BYTEA)];
        let rows = self.ask_once(BEFORE, given).await?;
        match rows.first().map(|row| get::<bool>(row, 0)).transpose()? {
            Some(true) => Ok(Created::Refused),
            _ => Err(Unusable(format!(
                "the database no longer holds what this run read or wrote there: object {} is gone, or another one; it was \
                 restored from a backup, or failed over to a server that lacked it",
                object.number - 1
            ))),
        }
    }

    /// Ends whoever of this user a statement of this run waits for.
    async fn clear(&mut self) -> Result<(), StoreFault> {
        let application = self.settings.application.clone();
        self.ask_once(CLEAR, &[(&application, Type::TEXT)]).await.map(drop)
    }

    async fn promised(&mut self) -> Result<Promises, StoreFault> {
        let rows = self.ask(LOOK, &[]).await?;
        let Some(row) = rows.first() else { return Err(Passing("the server says nothing of itself".to_owned())) };
        self.keep_time(get(row, 11)?);
        let may = |column: usize| Ok::<_, StoreFault>(get::<Option<bool>>(row, column)?.unwrap_or(false));
        let mut missing = Vec::new();
        for (column, right) in [
            (7, "USAGE on the schema onboard"),
            (8, "INSERT on onboard.log"),
            (9, "SELECT on onboard.log"),
            (10, "UPDATE (sha) on onboard.log"),
        ] {
            if !may(column)? {
                missing.push(right);
            }
        }
        let persistence: Option<String> = get(row, 6)?;
        Ok(Promises {
            version: get(row, 0)?,
            fsync: get(row, 1)?,
            synchronous_commit: get(row, 2)?,
            synchronous_standby_names: get(row, 3)?,
            full_page_writes: get(row, 4)?,
            is_in_recovery: get(row, 5)?,
            is_encrypted: self.settings.tls.is_some(),
            has_table: persistence.is_some(),
            is_unlogged: persistence.is_some_and(|kind| kind != "p"),
            missing,
        })
    }

    /// A look at the server, so that what is wrong with it is said at the start.
    fn look(&mut self) -> Result<(), StoreFault> {
        let promises = self.promises()?;
        if promises.is_in_recovery { Err(Unusable(REPLICA.to_owned())) } else { Ok(()) }
    }

    /// What the server promises, and what this user may.
    pub fn promises(&mut self) -> Result<Promises, StoreFault> {
        self.wait(async |store: &mut Self| store.promised().await)?
    }

    /// Makes the table where there is none, and sweeps up after probes; says whether it was made. Where it is there, no
    /// right to make it is needed.
    pub fn init(&mut self) -> Result<bool, StoreFault> {
        self.wait(async |store: &mut Self| {
            let before = store.promised().await?;
            if !before.has_table {
                let patience = store.patience;
                let made = store.session().await?.carry_out(MAKE, patience).await;
                // Two at once may get into each other's way; what counts is whether it is there.
                if !store.promised().await?.has_table {
                    return Err(match made {
                        Err(Unusable(why)) if why.starts_with("a right is missing") => Unusable(
                            "this user may make no schema and table in the database: an owner's role runs `onboard ledger \
                             init` once, and then grants what a run needs: "
                                .to_owned()
                                + GRANTS,
                        ),
                        Err(fault) => fault,
                        Ok(()) => Passing("the table onboard.log was made and is not there".to_owned()),
                    });
                }
            }
            let probes = PROBE;
            // Whoever may not delete leaves it to whoever may.
            match store.ask_once(SWEEP, &[(&probes, Type::TEXT)]).await {
                Ok(_) | Err(Unusable(_)) => Ok(!before.has_table),
                Err(fault) => Err(fault),
            }
        })?
    }

    /// The names of all ledgers in the table.
    pub fn below(&mut self) -> Result<Vec<String>, StoreFault> {
        self.wait(async |store: &mut Self| {
            let rows = store.ask(BELOW, &[]).await?;
            let names: Result<Vec<String>, _> = rows.iter().map(|row| get(row, 0)).collect();
            Ok(names?.into_iter().filter(|name| !name.contains(PROBE)).collect())
        })?
    }

    /// Checks what every answer says of the server, and takes its time.
    fn heard(&mut self, rows: &[Row]) -> Result<(), StoreFault> {
        let Some(row) = rows.first() else { return Ok(()) };
        if get(row, 0)? {
            return Err(Unusable(REPLICA.to_owned()));
        }
        self.keep_time(get(row, 1)?);
        Ok(())
    }

    fn keep_time(&mut self, microseconds: i64) {
        let here = Timestamp::from_millisecond(Clock::start().now());
        self.told_time = Timestamp::from_microsecond(microseconds).ok().zip(here.ok());
    }

    async fn rows_of(&mut self, first: u64, at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault> {
        let (ledger, first) = (self.settings.ledger.clone(), number(first)?);
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX).min(i64::MAX - first);
        let rows = self.ask(READ, &[(&ledger, Type::TEXT), (&first, Type::INT8), (&at_most, Type::INT8)]).await?;
        self.heard(&rows)?;
        let (mut found, mut next) = (Vec::new(), first);
        for row in &rows {
            if get::<Option<i64>>(row, 2)? != Some(next) {
                break;
            }
            let bytes: Vec<u8> = get(row, 3)?;
            let mark = mark(&bytes);
            found.push((bytes, mark));
            next += 1;
        }
        Ok(found)
    }

    /// Races so many rounds in a scratch ledger, each for the number after the one of the round before.
    async fn race(&mut self, rounds: u32) -> Result<(), StoreFault> {
        let ledger = format!("{}{}{})", self.settings.ledger, PROBE, Uuid::now_v7());
        let open = join_all((0..RACERS).map(|_| Session::open(&self.settings, self.patience))).await;
        let mut racers = open.into_iter().collect::<Result<Vec<Session>, _>>().map_err(|fault| match fault {
            Passing(why) => {
                Passing(format!("the probe opens {RACERS} connections at once, and one of them failed: {why}"))
            }
            fault @ Unusable(_) => fault,
        })?;
        let (mut before, patience) = (NOTHING_BEFORE, self.patience);
        for round in 1..=u64::from(rounds) {
            let objects: Vec<Object> = (0..RACERS)
                .map(|racer| Object { number: round, before, bytes: format!("{round} {racer}\n").into_bytes() })
                .collect();
            let appended: Vec<Appended> =
                objects.iter().map(|object| Appended::new(&ledger, object)).collect::<Result<_, _>>()?;
            let racing = racers.iter_mut().zip(&appended).map(|(session, appended)| async {
                session.ask(APPEND, &appended.given(), patience).await.map(|rows| !rows.is_empty())
            });
            let made: Vec<bool> = join_all(racing).await.into_iter().collect::<Result<_, _>>()?;
            let winners: Vec<&Object> =
                made.iter().zip(&objects).filter(|(made, _)| **made).map(|(_, won)| won).collect();
            let [winner] = winners.as_slice() else {
                return Err(Unusable(format!(
                    "{} of {RACERS} creates of one row at once succeeded instead of one: this server keeps no log that \
                     runs can rely on",
                    winners.len()
                )));
            };
            before = winner.hash();
        }
        // Where there is a right to; else `init` by an owner sweeps it up later.
        let _ = self.ask_once("DELETE FROM onboard.log WHERE ledger = $1", &[(&ledger, Type::TEXT)]).await;
        Ok(())
    }
}

/// What [`APPEND`] is given.
struct Appended {
    ledger: String,
    seq: i64,
    sha: Vec<u8>,
    body: Vec<u8>,
    before: Vec<u8>,
}

impl Appended {
    fn new(ledger: &str, object: &Object) -> Result<Self, StoreFault> {
        Ok(Self {
            ledger: ledger.to_owned(),
            seq: number(object.number)?,
            sha: object.hash().to_vec(),
            body: object.bytes.clone(),
            before: object.before.to_vec(),
        })
    }

    fn given(&self) -> [(&(dyn ToSql + Sync), Type); 5] {
        [
            (&self.ledger, Type::TEXT),
            (&self.seq, Type::INT8),
            (&self.sha, Type::BYTEA),
            (&self.body, Type::BYTEA),
            (&self.before, Type::BYTEA),
        ]
    }
}

impl Store for Postgres {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn create(&mut self, object: &Object) -> Result<Created, StoreFault> {
        self.wait(async |store: &mut Self| store.append(object).await)?
    }

    fn read(&mut self, number: u64) -> Result<Option<(Vec<u8>, String)>, StoreFault> {
        Ok(self.read_many(number, 1)?.pop())
    }

    fn read_many(&mut self, first: u64, at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault> {
        self.wait(async |store: &mut Self| store.rows_of(first, at_most).await)?
    }

    fn list(&mut self) -> Result<Vec<Listed>, StoreFault> {
        self.wait(async |store: &mut Self| {
            let ledger = store.settings.ledger.clone();
            let rows = store.ask(LIST, &[(&ledger, Type::TEXT)]).await?;
            store.heard(&rows)?;
            let mut listed = Vec::new();
            for row in &rows {
                if let (Some(seq), Some(mark)) = (get::<Option<i64>>(row, 2)?, get(row, 3)?) {
                    listed.push(Listed { number: u64::try_from(seq).unwrap_or(0), mark });
                }
            }
            Ok(listed)
        })?
    }

    fn told_time(&self) -> Option<(Timestamp, Timestamp)> {
        self.told_time
    }

    fn snapshot(&mut self, _name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(None)
    }

    fn keep_snapshot(&mut self, _name: &str, _bytes: Vec<u8>) -> Result<bool, StoreFault> {
        Ok(false)
    }

    fn probe(&mut self, rounds: u32) -> Result<(), StoreFault> {
        if let Some(lacks) = self.promises()?.lacks() {
            return Err(Unusable(lacks));
        }
        if rounds == 0 { Ok(()) } else { self.wait(async |store: &mut Self| store.race(rounds).await)? }
    }
}
