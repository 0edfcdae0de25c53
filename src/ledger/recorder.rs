//! Group commit: one thread owns the ledger during a run, takes everything that waits, writes it in one transaction,
//! syncs once, and answers all of it. What arrives meanwhile forms the next group; a slow disk makes groups larger by
//! itself.
//!
//! A transaction that fails ends it: nothing is recorded after it, and so nothing is sent (a failed sync cannot be
//! repaired by another one).

use std::{sync::mpsc, thread::JoinHandle, time::Duration};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{AttemptId, Clock, Entry, Intended, Intent, LedgerError, book::Ledger};
use crate::attempt::Ending;

/// How long outcomes may wait for an intent to share their commit with. Losing one makes `sent` an `unknown`, never a
/// second mail.
const LINGER: Duration = Duration::from_millis(50);
/// The most that one transaction takes.
const GROUP: usize = 1024;

/// Something to record, with the time (milliseconds since 1970) at which it was handed in.
enum Order {
    Intents(i64, Vec<Intent>, oneshot::Sender<Result<Vec<Intended>, LedgerError>>),
    /// Somebody waits for this one to be on disk, or nobody does.
    Entry(i64, Entry, Option<oneshot::Sender<Result<(), LedgerError>>>),
    Flush(oneshot::Sender<Result<(), LedgerError>>),
}

/// The ledger of a run, being written.
#[derive(Debug)]
pub struct Recorder {
    orders: mpsc::Sender<Order>,
    clock: Clock,
    thread: JoinHandle<Ledger>,
}

impl Recorder {
    /// Hands the ledger to its thread.
    pub fn start(ledger: Ledger) -> Result<Self, LedgerError> {
        let path = ledger.path().to_owned();
        let clock = ledger.clock().clone();
        let (orders, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_groups(ledger, &inbox))
            .map_err(|source| LedgerError::Unmakeable { path, source: std::sync::Arc::new(source) })?;
        Ok(Self { orders, clock, thread })
    }

    /// Records intents. When this returns, each is on disk, or its user is held by an earlier attempt.
    pub fn intend(&self, intents: Vec<Intent>) -> impl Future<Output = Result<Vec<Intended>, LedgerError>> + use<> {
        let (done, answer) = oneshot::channel();
        drop(self.orders.send(Order::Intents(self.clock.now(), intents, done)));
        async move { answer.await.unwrap_or_else(|_gone| Err(gone())) }
    }

    /// Records how an attempt ended, with the next group, and says the time that the record bears: whoever settles it
    /// later knows it by that.
    pub fn conclude(&self, attempt: AttemptId, ending: Ending, http: Option<u16>) -> Timestamp {
        let at = self.clock.time();
        // If the thread is gone the intent stays open, which reads as unknown: nothing is lost but certainty.
        drop(self.orders.send(Order::Entry(at.as_millisecond(), Entry::Ended { attempt, ending, http }, None)));
        at
    }

    /// Records that up to so many requests of this run may leave, so that a run right after it knows.
    pub fn reserve(&self, upto: u64) -> impl Future<Output = Result<(), LedgerError>> + use<> {
        let (done, answer) = oneshot::channel();
        drop(self.orders.send(Order::Entry(self.clock.now(), Entry::Reserved { upto }, Some(done))));
        async move { answer.await.unwrap_or_else(|_gone| Err(gone())) }
    }

    /// Writes everything that was handed in, and gives the ledger back.
    pub async fn finish(self) -> (Option<Ledger>, Result<(), LedgerError>) {
        let (done, answer) = oneshot::channel();
        drop(self.orders.send(Order::Flush(done)));
        let result = answer.await.unwrap_or_else(|_gone| Err(gone()));
        drop(self.orders);
        (self.thread.join().ok(), result)
    }
}

fn gone() -> LedgerError {
    LedgerError::Stopped("its thread ended".to_owned())
}

fn write_groups(mut ledger: Ledger, inbox: &mpsc::Receiver<Order>) -> Ledger {
    let mut poison: Option<String> = None;
    loop {
        // A log elsewhere is told that its session is alive; a file needs no such thing.
        let first = match ledger.silent_for() {
            None => match inbox.recv() {
                Ok(first) => first,
                Err(mpsc::RecvError) => break,
            },
            Some(quiet) => match inbox.recv_timeout(quiet) {
                Ok(first) => first,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) if poison.is_some() => continue,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if let Err(error) = ledger.say_alive() {
                        poison = Some(error.to_string());
                    }
                    continue;
                }
            },
        };
        let mut group = vec![first];
        // Outcomes alone wait a little for an intent to share their sync with.
        while group.len() < GROUP {
            let somebody_waits = group.iter().any(|order| !matches!(order, Order::Entry(_, _, None)));
            let next = if somebody_waits { inbox.try_recv().ok() } else { inbox.recv_timeout(LINGER).ok() };
            match next {
                Some(order) => group.push(order),
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

fn commit(ledger: &mut Ledger, group: Vec<Order>, poison: &mut Option<String>) {
    let mut answers = Vec::new();
    let result = match poison {
        Some(why) => {
            for order in group {
                match order {
                    Order::Intents(_, _, done) => answers.push(Answer::Intents(done, Vec::new())),
                    Order::Entry(_, _, Some(done)) | Order::Flush(done) => answers.push(Answer::Done(done)),
                    Order::Entry(_, _, None) => {}
                }
            }
            Err(LedgerError::Stopped(why.clone()))
        }
        None => write_group(ledger, group, &mut answers),
    };
    if let Err(error) = &result {
        poison.get_or_insert_with(|| error.to_string());
        ledger.take_back();
    }
    for answer in answers {
        answer.send(result.clone());
    }
}

fn write_group(ledger: &mut Ledger, group: Vec<Order>, answers: &mut Vec<Answer>) -> Result<(), LedgerError> {
    let mut result = ledger.is_still_there().and_then(|()| ledger.begin());
    let mut ends = false;
    for order in group {
        match order {
            Order::Intents(at, intents, done) => {
                let mut intended = Vec::with_capacity(intents.len());
                for intent in &intents {
                    if result.is_ok() {
                        result = ledger.intend(at, intent).map(|one| intended.push(one));
                    }
                }
                answers.push(Answer::Intents(done, intended));
            }
            Order::Entry(at, entry, done) => {
                if result.is_ok() {
                    result = ledger.put(at, &entry).map(drop);
                }
                answers.extend(done.map(Answer::Done));
            }
            Order::Flush(done) => {
                ends = true;
                answers.push(Answer::Done(done));
            }
        }
    }
    result?;
    if ends || ledger.knows_many() {
        ledger.index_fresh()?;
    }
    ledger.commit()
}
