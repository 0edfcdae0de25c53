//! The at-most-once protocol, explored exhaustively: one user, two processes, and between any two steps a kill, a power
//! loss that keeps any prefix of what was not synced, a sync that fails, an answer that is lost, a request that arrives
//! after its sender gave up. Each planted mistake must be caught, so the model can fail.
//!
//! It is the protocol of the crate documentation and of `ledger`: lock, read, intent, sync, send, outcome.

use std::collections::{HashSet, VecDeque};

/// What the ledger says of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Record {
    Intent,
    Sent,
    NoEffect,
    Unknown,
}

/// Where a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Lock,
    Read,
    Intend,
    Sync,
    Send,
    Conclude(Record),
    SyncOutcome,
    Done,
}

/// A mistake that somebody could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    NoSyncBeforeTheSend,
    IntentAfterTheSend,
    OpenIntentReadsAsNotSent,
    RetryOnUnknown,
    BrokenMeansNotSent,
    NoLock,
    FailedSyncIgnored,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    processes: [Option<Step>; 2],
    lock: Option<usize>,
    /// On disk, whatever happens.
    durable: Vec<Record>,
    /// Written, not synced: survives a kill, but not a power loss.
    cached: Vec<Record>,
    /// Messages that the portal sent.
    messages: u8,
    /// Requests whose sender gave up, and which may still arrive.
    late: bool,
    crashes: u8,
    starts: u8,
}

impl World {
    fn last(&self) -> Option<Record> {
        self.cached.last().or(self.durable.last()).copied()
    }

    fn broken_promise(&self) -> Option<&'static str> {
        match self.last() {
            _ if self.messages > 1 => Some("two messages"),
            Some(Record::Sent) if self.messages == 0 => Some("the ledger says sent, and the portal never had it"),
            Some(Record::NoEffect) if self.messages > 0 || self.late => Some("the ledger says not sent, and it was"),
            _ => None,
        }
    }

    fn at(&self, process: usize, step: Option<Step>) -> Self {
        let mut next = self.clone();
        next.processes[process] = step;
        if step.is_none() && next.lock == Some(process) {
            next.lock = None;
        }
        next
    }

    fn sync(mut self) -> Self {
        self.durable.append(&mut self.cached);
        self
    }

    fn crashed(mut self) -> Self {
        self.crashes -= 1;
        self
    }

    /// Everything that can happen next.
    fn successors(&self, mistake: Option<Mistake>) -> Vec<Self> {
        let mut next = Vec::new();
        if self.late {
            next.push(Self { late: false, messages: self.messages + 1, ..self.clone() });
            next.push(Self { late: false, ..self.clone() });
        }
        if self.crashes > 0 {
            for kept in 0..=self.cached.len() {
                let mut after = self.clone().crashed();
                after.cached.truncate(kept);
                next.push(Self { processes: [None; 2], lock: None, ..after.sync() });
            }
        }
        for process in 0..2 {
            self.step(process, mistake, &mut next);
        }
        next
    }

    fn step(&self, process: usize, mistake: Option<Mistake>, next: &mut Vec<Self>) {
        let Some(step) = self.processes[process] else {
            if self.starts > 0 {
                next.push(Self { starts: self.starts - 1, ..self.at(process, Some(Step::Lock)) });
            }
            return;
        };
        if self.crashes > 0 {
            next.push(self.at(process, None).crashed());
        }
        let to = |step| self.at(process, Some(step));
        let has = |other| mistake == Some(other);
        match step {
            Step::Lock if has(Mistake::NoLock) => next.push(to(Step::Read)),
            Step::Lock if self.lock.is_none() => next.push(Self { lock: Some(process), ..to(Step::Read) }),
            Step::Lock => next.push(self.at(process, None)),
            Step::Read => next.push(match self.last() {
                Some(Record::Sent | Record::Unknown) => to(Step::Done),
                Some(Record::Intent) if has(Mistake::OpenIntentReadsAsNotSent) => to(Step::Intend),
                Some(Record::Intent) => to(Step::Conclude(Record::Unknown)),
                Some(Record::NoEffect) | None => to(Step::Intend),
            }),
            Step::Intend if has(Mistake::IntentAfterTheSend) => next.push(to(Step::Send)),
            Step::Intend => {
                let after = if has(Mistake::NoSyncBeforeTheSend) { Step::Send } else { Step::Sync };
                let mut world = to(after);
                world.cached.push(Record::Intent);
                next.push(world);
            }
            Step::Sync => {
                next.push(to(Step::Send).sync());
                if self.crashes > 0 {
                    // A sync that failed: what it should have written may be gone, though it is marked as clean.
                    let after = has(Mistake::FailedSyncIgnored).then_some(Step::Send);
                    let mut world = self.at(process, after).crashed();
                    if after.is_some() {
                        world.cached.clear();
                    }
                    next.push(world);
                }
            }
            Step::Send => self.send(process, mistake, next),
            Step::Conclude(record) => {
                let mut world = to(Step::SyncOutcome);
                world.cached.push(record);
                next.push(world);
            }
            Step::SyncOutcome => next.push(to(Step::Done).sync()),
            Step::Done => next.push(self.at(process, None)),
        }
    }

    fn send(&self, process: usize, mistake: Option<Mistake>, next: &mut Vec<Self>) {
        let to = |step| self.at(process, Some(step));
        // Refused before it had an effect; or accepted.
        next.push(to(Step::Conclude(Record::NoEffect)));
        next.push(Self { messages: self.messages + 1, ..to(Step::Conclude(Record::Sent)) });
        if mistake == Some(Mistake::RetryOnUnknown) {
            next.push(Self { messages: self.messages + 1, ..to(Step::Send) });
            next.push(to(Step::Send));
            return;
        }
        let lost = if mistake == Some(Mistake::BrokenMeansNotSent) { Record::NoEffect } else { Record::Unknown };
        // It had its effect and the answer was lost; it was lost itself; it is still on its way.
        next.push(Self { messages: self.messages + 1, ..to(Step::Conclude(lost)) });
        next.push(to(Step::Conclude(lost)));
        next.push(Self { late: true, ..to(Step::Conclude(lost)) });
    }
}

/// Walks everything that can happen; the first broken promise, or how many worlds there are.
fn explore(mistake: Option<Mistake>, crashes: u8, starts: u8) -> Result<usize, &'static str> {
    let start = World {
        processes: [None; 2],
        lock: None,
        durable: Vec::new(),
        cached: Vec::new(),
        messages: 0,
        late: false,
        crashes,
        starts,
    };
    let mut seen = HashSet::from([start.clone()]);
    let mut open = VecDeque::from([start]);
    while let Some(world) = open.pop_front() {
        if let Some(broken) = world.broken_promise() {
            return Err(broken);
        }
        for next in world.successors(mistake) {
            if seen.insert(next.clone()) {
                open.push_back(next);
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn no_interleaving_of_crashes_and_restarts_sends_twice() {
    let worlds = explore(None, 4, 5).expect("no promise is broken");
    assert!(worlds > 10_000, "the walk went nowhere: {worlds}");
}

#[test]
fn each_planted_mistake_is_caught() {
    for mistake in [
        Mistake::NoSyncBeforeTheSend,
        Mistake::IntentAfterTheSend,
        Mistake::OpenIntentReadsAsNotSent,
        Mistake::RetryOnUnknown,
        Mistake::BrokenMeansNotSent,
        Mistake::NoLock,
        Mistake::FailedSyncIgnored,
    ] {
        assert!(explore(Some(mistake), 3, 4).is_err(), "{mistake:?} goes unseen");
    }
}
