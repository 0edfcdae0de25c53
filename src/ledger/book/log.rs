//! The log that a copy is made of: its store, how far it was read, and what is to be appended next.

use std::path::PathBuf;

use uuid::Uuid;

use crate::{
    display::Shown,
    lease::Lease,
    ledger::{
        LedgerError, Lock,
        log::{Append, Chain, Header, Line, Snapshot, Step, Times},
        store::{Object, Store, StoreFault},
    },
};

/// The most that one object takes; one megabyte is the limit.
pub(super) const OBJECT: usize = 900_000;

/// The log of a ledger elsewhere.
#[derive(Debug)]
pub(in crate::ledger) struct Log {
    pub(super) store: Box<dyn Store>,
    pub(super) times: Times,
    pub(super) chain: Chain,
    pub(super) session: Option<Uuid>,
    /// What is appended with the transaction that goes on.
    pub(super) lines: String,
    pub(super) count: u32,
    pub(super) lease: Lease,
    /// When the last append began, by the lease's clock.
    pub(super) last: i64,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) seen: PathBuf,
    /// Held while the copy is used; none where it is a private one.
    #[expect(dead_code, reason = "it is held, not looked at")]
    pub(super) lock: Option<Lock>,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    Done,
    /// Somebody else's object stands there.
    Lost,
}

impl Log {
    pub(super) fn name(&self) -> &str {
        self.store.name()
    }

    pub(super) fn times(&self) -> Times {
        self.times
    }

    pub(super) fn number(&self) -> u64 {
        self.chain.number()
    }

    pub(super) fn begin(&mut self, session: Uuid) {
        self.session = Some(session);
    }

    pub(super) fn fault(&self, fault: StoreFault) -> LedgerError {
        LedgerError::at(self.store.name(), fault)
    }

    pub(super) fn damaged(&self, number: u64, what: impl Into<String>) -> LedgerError {
        LedgerError::LogDamaged { place: self.name().to_owned(), number, what: Shown(&what.into()).to_string() }
    }

    /// Appends, and waits until it is known what became of it.
    #[expect(clippy::disallowed_methods, reason = "the ledger's thread has nothing to do but wait")]
    pub(super) fn append(&mut self, object: &Object) -> Result<Tried, LedgerError> {
        let began = self.lease.now();
        let mut append = Append::begin(self.times, began);
        let mut step = Step::Create;
        loop {
            step = match step {
                Step::Create => {
                    let answer = self.store.create(object);
                    append.created(answer, self.lease.now())
                }
                Step::Read => {
                    let found = self.store.read(object.number);
                    append.read(found.map(|found| found.map(|(bytes, _)| bytes == object.bytes)), self.lease.now())
                }
                Step::Wait(pause) => {
                    std::thread::sleep(pause);
                    append.waited(self.lease.now())
                }
                Step::Done => {
                    self.lease.renew(append.began());
                    self.last = append.began();
                    return Ok(Tried::Done);
                }
                Step::Fenced => return Ok(Tried::Lost),
                Step::GaveUp(why) => {
                    // A session that slept in the middle of this is told who took over meanwhile.
                    let found = self.store.read(object.number).ok().flatten();
                    if found.is_some_and(|(bytes, _)| bytes != object.bytes) {
                        return Ok(Tried::Lost);
                    }
                    self.lease.end();
                    return Err(self.fault(StoreFault::Passing(why)));
                }
                Step::Unusable(why) => {
                    self.lease.end();
                    return Err(self.fault(StoreFault::Unusable(why)));
                }
            };
        }
    }

    /// Who wrote the object that stands in the way.
    pub(super) fn fenced(&mut self) -> LedgerError {
        let number = self.chain.number() + 1;
        let found = self.store.read(number).ok().flatten();
        let text = found.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let header: Option<Header> = text.lines().next().and_then(|line| serde_json::from_str(line).ok());
        let who = text.lines().find_map(|line| match serde_json::from_str(line) {
            Ok(Line::Began { who, .. }) => Some(who),
            _ => None,
        });
        LedgerError::Fenced {
            place: self.name().to_owned(),
            who: Shown(&who.unwrap_or_else(|| "another run".to_owned())).to_string(),
            since: header.as_ref().map_or_else(String::new, |header| header.at.to_string()),
            number,
            run: header.map_or_else(String::new, |header| header.run.to_string()),
        }
    }
}
