//! A ledger in another place: a copy, which runs refuse, or a move, after which the records go on there.
//!
//! The target begins with "copy began", and until "copy ended" nobody may use it; whatever is killed in between, the same
//! command goes on. Of a move the source says where to *before* the target is whole: at no instant are there two to use.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    LedgerError,
    book::Ledger,
    log::{Chain, Line, hex},
    places::{self, Purpose},
    store::{Created, Hash, Object, Store, hash},
};
use crate::{environment::Environment, place::Place};

/// So many objects are read at a time.
const BATCH: usize = 256;

/// What is to be made of which ledger.
#[derive(Debug, Clone)]
pub struct Transfer<'p> {
    /// The source.
    pub from: &'p Place,
    /// The target: a place elsewhere.
    pub to: &'p Place,
    /// Whether the records go on there; else it is a backup.
    pub moves: bool,
    /// Who does it.
    pub who: String,
    /// How long whoever writes the source is waited for.
    pub wait_for: Duration,
}

impl Transfer<'_> {
    fn verb(&self) -> &'static str {
        if self.moves { "move" } else { "copy" }
    }

    /// Does it, and says of how many objects the target is.
    pub fn carry_out(&self, environment: &Environment, mut say: impl FnMut(&str)) -> Result<u64, LedgerError> {
        let unusable = |place: &Place, why: &str| LedgerError::Unusable { place: place.name(), why: why.to_owned() };
        if self.from == self.to {
            return Err(unusable(self.to, "source and target are the same"));
        }
        if matches!(self.to, Place::File(_)) {
            return Err(unusable(
                self.to,
                "a ledger can be brought from a file to a place elsewhere, and from one place to another, but not into a file",
            ));
        }
        let purpose = Purpose {
            what: format!("ledger {}", self.verb()),
            wait_for: self.wait_for,
            must_know: matches!(self.from, Place::File(_)),
        };
        let (_lock, mut source) = places::hold_any(self.from, environment, &purpose, &mut say)?;
        // One that a killed move left says so already; that very move goes on.
        let has_moved = match source.check_standing() {
            Err(LedgerError::Moved { to, .. }) if self.moves && to == self.to.name() => true,
            Err(error) => return Err(error),
            Ok(()) => false,
        };
        if !has_moved {
            places::begin(&mut source, &self.who, self.verb(), self.wait_for, &mut say)?;
            source.recover()?;
        }
        let done = self.fill(&mut source, environment, has_moved);
        if !has_moved && source.is_elsewhere() {
            source.end_session(if done.is_ok() { 0 } else { 5 })?;
        }
        done
    }

    fn fill(&self, source: &mut Ledger, environment: &Environment, has_moved: bool) -> Result<u64, LedgerError> {
        places::prepare(self.to, environment)?;
        let mut target =
            Target { store: places::store(self.to, environment, "onboard ledger")?, chain: Chain::default() };
        let seal = source.seal()?;
        let count = if source.is_elsewhere() { seal.number } else { 0 };
        let head = super::log::unhex(&seal.hash).unwrap_or_default();
        let (count, head) = target.begin(self, count, head)?;
        if source.is_elsewhere() {
            let mut from = places::store(self.from, environment, "onboard ledger")?;
            if !ends_so(from.as_mut(), count, head)? || !goes_on_alone(from.as_mut(), count)? {
                return Err(LedgerError::Unusable {
                    place: self.to.name(),
                    why: format!(
                        "it holds the beginning of another copy, or {} was written since that began; name another target",
                        self.from.name()
                    ),
                });
            }
            let mut next = 1;
            while next <= count {
                let most = usize::try_from(count - next + 1).unwrap_or(BATCH).min(BATCH);
                for (bytes, _) in
                    from.read_many(next, most).map_err(|fault| LedgerError::at(self.from.name(), fault))?
                {
                    target.put(bytes)?;
                    next += 1;
                }
            }
        } else {
            if hex(&head) != seal.hash {
                return Err(LedgerError::Unusable {
                    place: self.to.name(),
                    why: "it holds the beginning of another copy; name another target".to_owned(),
                });
            }
            // The same file gives the same bytes, so that a copy that was killed goes on.
            let run = Uuid::from_slice(head.get(..16).unwrap_or_default()).unwrap_or_default();
            for lines in source.as_lines(target.chain.number() + 1)? {
                let when = lines.first().map_or(Timestamp::UNIX_EPOCH, Line::at);
                let object = target.chain.make(run, when, &lines);
                target.put(object.bytes)?;
            }
        }
        if self.moves && !has_moved {
            source.moved_to(&self.to.name())?;
        }
        let last = target.chain.make(Uuid::now_v7(), source.now(), &[Line::CopyEnded { at: source.now() }]);
        target.put(last.bytes)?;
        Ok(target.chain.number())
    }
}

/// Whether the source's object of that number has that hash.
fn ends_so(store: &mut dyn Store, number: u64, head: Hash) -> Result<bool, LedgerError> {
    let found = store.read(number).map_err(|fault| LedgerError::at(store.name(), fault))?;
    Ok(found.is_some_and(|(bytes, _)| hash(&bytes) == head))
}

/// Whether after that object nothing was recorded but that somebody copied.
fn goes_on_alone(store: &mut dyn Store, after: u64) -> Result<bool, LedgerError> {
    let later = store.read_many(after + 1, BATCH).map_err(|fault| LedgerError::at(store.name(), fault))?;
    let is_alone = |line: &str| match serde_json::from_str(line) {
        Ok(Line::Began { job, .. }) => job.is_none(),
        Ok(Line::Ended { requests, .. }) => requests == 0,
        Ok(Line::TookOver { .. } | Line::Alive { .. } | Line::Recovered { .. } | Line::MovedTo { .. }) => true,
        _ => false,
    };
    Ok(later.len() < BATCH
        && later.iter().all(|(bytes, _)| String::from_utf8_lossy(bytes).lines().skip(1).all(is_alone)))
}

struct Target {
    store: Box<dyn Store>,
    chain: Chain,
}

impl Target {
    /// "Copy began", or what an earlier try of the same has left: how many objects it is of, and the hash of the last.
    fn begin(&mut self, transfer: &Transfer<'_>, count: u64, head: Hash) -> Result<(u64, Hash), LedgerError> {
        let place = self.store.name().to_owned();
        if let Some((bytes, _)) = self.store.read(1).map_err(|fault| LedgerError::at(&place, fault))? {
            let read = self.chain.follow(&bytes).map_err(|_broken| LedgerError::LogThere(place.clone()))?;
            return match read.lines.as_slice() {
                [Line::CopyBegan { from, count, head, moves, .. }]
                    if *from == transfer.from.name() && *moves == transfer.moves =>
                {
                    Ok((*count, super::log::unhex(head).unwrap_or_default()))
                }
                _ => Err(LedgerError::LogThere(place)),
            };
        }
        self.store.probe(20).map_err(|fault| LedgerError::at(&place, fault))?;
        let at = super::Clock::start().time();
        let began = Line::CopyBegan {
            at,
            from: transfer.from.name(),
            count,
            head: hex(&head),
            moves: transfer.moves,
            who: transfer.who.clone(),
        };
        let object = self.chain.make(Uuid::now_v7(), at, &[began]);
        self.put(object.bytes)?;
        Ok((count, head))
    }

    /// The next object, as it is; what is there already has to be the same.
    fn put(&mut self, bytes: Vec<u8>) -> Result<(), LedgerError> {
        let place = self.store.name().to_owned();
        let object = Object { number: self.chain.number() + 1, before: self.chain.hash(), bytes };
        if self.store.create(&object).map_err(|fault| LedgerError::at(&place, fault))? == Created::Refused {
            let found = self.store.read(object.number).map_err(|fault| LedgerError::at(&place, fault))?;
            // Who ended it is of no interest.
            let is_end = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("\"entry\":\"copy_ended\"");
            let found = found.filter(|(bytes, _)| *bytes == object.bytes || (is_end(bytes) && is_end(&object.bytes)));
            let Some((bytes, _)) = found else {
                return Err(LedgerError::Unusable {
                    place,
                    why: format!("its object {} is another copy's; name another target", object.number),
                });
            };
            return self.follow(&place, &bytes);
        }
        self.follow(&place, &object.bytes)
    }

    fn follow(&mut self, place: &str, bytes: &[u8]) -> Result<(), LedgerError> {
        let number = self.chain.number() + 1;
        self.chain.follow(bytes).map(drop).map_err(|broken| LedgerError::LogDamaged {
            place: place.to_owned(),
            number,
            what: broken.to_string(),
        })
    }
}
