//! Group commit: one thread owns the ledger during a run, takes everything that waits, writes it in one transaction,
//! syncs once, and answers all of it. What arrives meanwhile forms the next group; a slow disk makes groups larger by
//! itself.
//!
//! A transaction that fails ends it: nothing is recorded after it, and so nothing is sent (a failed sync cannot be
//! repaired by another one).

use std::{sync::mpsc, thread::JoinHandle, time::Duration};

use jiff::Timestamp;
use rusqlite::params;
use tokio::sync::oneshot;

use super::{AttemptId, Ending, Held, Intended, Intent, Ledger, LedgerError};

/// How long outcomes may wait for an intent to share their commit with. Losing one makes `sent` an `unknown`, never a
/// second mail.
const LINGER: Duration = Duration::from_millis(50);
/// The most that one transaction takes.
const GROUP: usize = 1024;

enum Entry {
    Intents(Vec<Intent>, oneshot::Sender<Result<Vec<Intended>, LedgerError>>),
    Ending { attempt: AttemptId, ending: Ending, http: Option<u16>, at: Timestamp },
    Reserve { upto: u64, at: Timestamp, done: oneshot::Sender<Result<(), LedgerError>> },
    Flush(oneshot::Sender<Result<(), LedgerError>>),
}

/// The ledger of a run, being written.
#[derive(Debug)]
pub struct Recorder {
    entries: mpsc::Sender<Entry>,
    thread: JoinHandle<Ledger>,
}

impl Recorder {
    /// Hands the ledger to its thread.
    pub fn start(ledger: Ledger) -> Result<Self, LedgerError> {
        let path = ledger.path().to_owned();
        let (entries, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_groups(ledger, &inbox))
            .map_err(|source| LedgerError::Unmakeable { path, source: std::sync::Arc::new(source) })?;
        Ok(Self { entries, thread })
    }

    /// Records intents. When this returns, each is on disk, or its user is held by an earlier attempt.
    pub fn intend(&self, intents: Vec<Intent>) -> impl Future<Output = Result<Vec<Intended>, LedgerError>> + use<> {
        let (done, answer) = oneshot::channel();
        drop(self.entries.send(Entry::Intents(intents, done)));
        async move { answer.await.unwrap_or_else(|_gone| Err(gone())) }
    }

    /// Records how an attempt ended, with the next group.
    pub fn conclude(&self, attempt: AttemptId, ending: Ending, http: Option<u16>, at: Timestamp) {
        // If the thread is gone the intent stays open, which reads as unknown: nothing is lost but certainty.
        drop(self.entries.send(Entry::Ending { attempt, ending, http, at }));
    }

    /// Records that up to so many requests of this run may leave, so that a run right after it knows.
    pub fn reserve(&self, upto: u64, at: Timestamp) -> impl Future<Output = Result<(), LedgerError>> + use<> {
        let (done, answer) = oneshot::channel();
        drop(self.entries.send(Entry::Reserve { upto, at, done }));
        async move { answer.await.unwrap_or_else(|_gone| Err(gone())) }
    }

    /// Writes everything that was handed in, and gives the ledger back.
    pub async fn finish(self) -> (Option<Ledger>, Result<(), LedgerError>) {
        let (done, answer) = oneshot::channel();
        drop(self.entries.send(Entry::Flush(done)));
        let result = answer.await.unwrap_or_else(|_gone| Err(gone()));
        drop(self.entries);
        (self.thread.join().ok(), result)
    }
}

fn gone() -> LedgerError {
    LedgerError::Stopped("its thread ended".to_owned())
}

fn write_groups(mut ledger: Ledger, inbox: &mpsc::Receiver<Entry>) -> Ledger {
    let mut poison: Option<String> = None;
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        // Outcomes alone wait a little for an intent to share their sync with.
        while group.len() < GROUP {
            let somebody_waits = group.iter().any(|entry| !matches!(entry, Entry::Ending { .. }));
            let next = if somebody_waits { inbox.try_recv().ok() } else { inbox.recv_timeout(LINGER).ok() };
            match next {
                Some(entry) => group.push(entry),
                None => break,
            }
        }
        commit(&mut ledger, group, &mut poison);
    }
    ledger
}

/// What is answered once the transaction is on disk.
enum Answer {
    Intents(oneshot::Sender<Result<Vec<Intended>, LedgerError>>, Vec<Intended>),
    Done(oneshot::Sender<Result<(), LedgerError>>),
}

impl Answer {
    fn send(self, result: Result<(), LedgerError>) {
        // Whoever asked may be gone: a second Ctrl-C. Then the intent stays, and reads as unknown.
        match self {
            Self::Intents(done, intended) => drop(done.send(result.map(|()| intended))),
            Self::Done(done) => drop(done.send(result)),
        }
    }
}

fn commit(ledger: &mut Ledger, group: Vec<Entry>, poison: &mut Option<String>) {
    let mut answers = Vec::new();
    let result = match poison {
        Some(why) => {
            for entry in group {
                match entry {
                    Entry::Intents(_, done) => answers.push(Answer::Intents(done, Vec::new())),
                    Entry::Reserve { done, .. } | Entry::Flush(done) => answers.push(Answer::Done(done)),
                    Entry::Ending { .. } => {}
                }
            }
            Err(LedgerError::Stopped(why.clone()))
        }
        None => ledger.write_group(group, &mut answers),
    };
    if let Err(error) = &result {
        poison.get_or_insert_with(|| error.to_string());
        // Whatever of the group was written is taken back; if even that fails, closing the file takes it back.
        if !ledger.connection.is_autocommit() {
            drop(ledger.connection.execute_batch("ROLLBACK"));
        }
    }
    for answer in answers {
        answer.send(result.clone());
    }
}

impl Ledger {
    fn write_group(&mut self, group: Vec<Entry>, answers: &mut Vec<Answer>) -> Result<(), LedgerError> {
        let mut failed = self.is_still_there();
        let mut ends = false;
        if failed.is_ok() {
            failed = self.begin();
        }
        for entry in group {
            match entry {
                Entry::Intents(intents, done) => {
                    let mut intended = Vec::with_capacity(intents.len());
                    for intent in &intents {
                        if failed.is_ok() {
                            match self.intend(intent) {
                                Ok(one) => intended.push(one),
                                Err(error) => failed = Err(error),
                            }
                        }
                    }
                    answers.push(Answer::Intents(done, intended));
                }
                Entry::Ending { attempt, ending, http, at } if failed.is_ok() => {
                    failed = self.conclude(attempt, &ending, http, at);
                }
                Entry::Ending { .. } => {}
                Entry::Reserve { upto, at, done } => {
                    if failed.is_ok() {
                        failed = self.reserve(upto, at);
                    }
                    answers.push(Answer::Done(done));
                }
                Entry::Flush(done) => {
                    ends = true;
                    answers.push(Answer::Done(done));
                }
            }
        }
        failed?;
        if ends || self.knows_many() {
            self.index_fresh()?;
        }
        self.connection.execute_batch("COMMIT").map_err(self.broken())
    }

    fn begin(&mut self) -> Result<(), LedgerError> {
        // A deferred transaction that becomes a writing one is refused at once if somebody else writes.
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(self.broken())
    }

    /// A file that was deleted or replaced under us would take our records to nowhere.
    #[cfg(unix)]
    fn is_still_there(&self) -> Result<(), LedgerError> {
        if self.inode.is_some() && super::file::inode(&self.path) != self.inode {
            return Err(LedgerError::Replaced(self.path.clone()));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn is_still_there(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    fn intend(&mut self, intent: &Intent) -> Result<Intended, LedgerError> {
        // Another origin of the portal may hold the user too, once this one lets go.
        while let Some((attempt, held)) = self.holding(intent.mail, intent.subject)? {
            let lets_go = match held {
                Held::Sent { .. } => intent.supersedes.sent,
                // What is on its way in this very run is nobody's to let go.
                Held::Unknown { .. } => intent.supersedes.unknown && !self.is_open(attempt)?,
            };
            if !lets_go {
                return Ok(Intended::Held(held));
            }
            self.connection
                .prepare_cached("UPDATE attempt SET holds = 0, decision = 'sent again', decided_at = ?2 WHERE id = ?1")
                .and_then(|mut statement| statement.execute(params![attempt, intent.at.as_millisecond()]))
                .map_err(self.broken())?;
            self.lets_go(attempt);
        }
        let attempt = self.insert(intent)?;
        self.holds(intent.mail, intent.subject, attempt.0);
        Ok(Intended::Open(attempt))
    }

    fn insert(&self, intent: &Intent) -> Result<AttemptId, LedgerError> {
        let portal = self.portals.first().copied().unwrap_or_default();
        self.connection
            .prepare_cached(
                "INSERT INTO attempt (portal, kind, subject, email, run, began_at, state, holds, counted) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'intent', 2, 1)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    portal,
                    intent.mail as i64,
                    intent.subject.as_slice(),
                    intent.email.map(|email| email.0),
                    self.run,
                    intent.at.as_millisecond(),
                ])
            })
            .map_err(self.broken())?;
        Ok(AttemptId(self.connection.last_insert_rowid()))
    }

    fn is_open(&self, attempt: i64) -> Result<bool, LedgerError> {
        self.connection
            .prepare_cached("SELECT 1 FROM attempt WHERE id = ?1 AND state = 'intent'")
            .and_then(|mut statement| statement.exists([attempt]))
            .map_err(self.broken())
    }

    fn conclude(
        &mut self,
        attempt: AttemptId,
        ending: &Ending,
        http: Option<u16>,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let at = at.as_millisecond();
        // What goes on holding its user names nothing that the index depends on.
        let stays = |state: &str, reason: Option<&str>| {
            self.connection
                .prepare_cached(
                    "UPDATE attempt SET state = ?2, ended_at = ?3, http = ?4, reason = ?5 \
                     WHERE id = ?1 AND state = 'intent'",
                )
                .and_then(|mut statement| statement.execute(params![attempt.0, state, at, http, reason]))
        };
        let concluded = match ending {
            Ending::Sent => stays("sent", None),
            Ending::Unknown { reason } => stays("unknown", Some(reason)),
            Ending::NoEffect { counted, reason } => self
                .connection
                .prepare_cached(
                    "UPDATE attempt SET state = 'no_effect', holds = 0, counted = ?5, ended_at = ?2, http = ?3, \
                     reason = ?4 WHERE id = ?1 AND state = 'intent'",
                )
                .and_then(|mut statement| statement.execute(params![attempt.0, at, http, reason, counted])),
        };
        concluded.map_err(self.broken())?;
        if matches!(ending, Ending::NoEffect { .. }) {
            self.lets_go(attempt.0);
        }
        Ok(())
    }

    fn reserve(&self, upto: u64, at: Timestamp) -> Result<(), LedgerError> {
        let upto = i64::try_from(upto).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached("INSERT INTO window_use (run, upto, at) VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![self.run, upto, at.as_millisecond()]))
            .map_err(self.broken())?;
        Ok(())
    }
}
