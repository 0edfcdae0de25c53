//! The chain: which object may follow which. Whoever reads a log checks every link.

use uuid::Uuid;

use super::line::{FORMAT, Header, Line, VERSION, Versioned, encode, hex};
use crate::ledger::store::{Hash, NOTHING_BEFORE, Object, hash};

/// An object is no next link. The text goes on from "object N of the log ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It cannot be read as what it should be.
    #[error("{0}")]
    Damaged(String),
    /// It was written by a later release.
    #[error("was written by a newer onboard (its version is {0}); update onboard")]
    Newer(u32),
}

/// Objects of another log within this one, after a "copy began".
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Copied {
    /// The number of the object before the first of them: so much are their own numbers less than ours.
    offset: u64,
    /// The last of them.
    until: u64,
    /// The other log's id, once the first was read.
    ledger: Option<String>,
}

/// How far a log was read, or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    ledger: Option<String>,
    number: u64,
    hash: Hash,
    copied: Vec<Copied>,
}

/// An object that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The session that wrote it.
    pub run: Uuid,
    /// Its entries.
    pub lines: Vec<Line>,
    /// By how much the numbers of objects in its lines are less than those of this log.
    pub offset: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Default for Chain {
    /// Nothing was read yet.
    fn default() -> Self {
        Self { ledger: None, number: 0, hash: NOTHING_BEFORE, copied: Vec::new() }
    }
}

impl Chain {
    /// One that was read up to there earlier; `copied` is what [`Self::copied`] said then.
    pub fn at(ledger: String, number: u64, hash: Hash, copied: &str) -> Option<Self> {
        let copied = serde_json::from_str(copied).ok()?;
        Some(Self { ledger: Some(ledger), number, hash, copied })
    }

    /// The ledger's id, once its first object was read.
    pub fn ledger(&self) -> Option<&str> {
        self.ledger.as_deref()
    }

    /// The number of the last object.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its hash.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Where it stands within logs that were copied into this one, to be kept.
    pub fn copied(&self) -> String {
        serde_json::to_string(&self.copied).unwrap_or_default()
    }

    /// The next object, made of these lines.
    pub fn make(&self, run: Uuid, at: jiff::Timestamp, lines: &[Line]) -> Object {
        let texts: String = lines.iter().map(encode).collect();
        self.make_of(run, at, &texts)
    }

    /// The next object, of lines that are encoded already.
    pub(in crate::ledger) fn make_of(&self, run: Uuid, at: jiff::Timestamp, lines: &str) -> Object {
        let number = self.number + 1;
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            ledger: self.ledger.clone().unwrap_or_else(|| Uuid::now_v7().to_string()),
            number,
            before: hex(&self.hash),
            run,
            at,
        };
        Object { number, before: self.hash, bytes: (encode(&header) + lines).into_bytes() }
    }

    /// Takes the next object, or says why it is none; then the chain stays as it was.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<Read, Broken> {
        let damaged = |what: &str| Broken::Damaged(what.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_not_text| damaged("is no text"))?;
        let text = text.strip_suffix('\n').ok_or_else(|| damaged("ends in the middle of a line"))?;
        let mut texts = text.split('\n');
        let first = texts.next().unwrap_or_default();
        let versioned: Versioned =
            serde_json::from_str(first).map_err(|_other| damaged("does not begin with a header of onboard's"))?;
        if versioned.format != FORMAT {
            return Err(damaged("does not begin with a header of onboard's"));
        }
        if versioned.version > VERSION {
            return Err(Broken::Newer(versioned.version));
        }
        let header: Header =
            serde_json::from_str(first).map_err(|_other| damaged("does not begin with a header of onboard's"))?;
        let number = self.number + 1;
        let mut next = self.clone();
        while next.copied.last().is_some_and(|copied| copied.until < number) {
            next.copied.pop();
        }
        // Within a copy the other log's id and numbers count, and its first object names nothing before it.
        let (ledger, offset, is_first_of_copy) = if let Some(copied) = next.copied.last_mut() {
            (&mut copied.ledger, copied.offset, number == copied.offset + 1)
        } else {
            (&mut next.ledger, 0, false)
        };
        if *ledger.get_or_insert_with(|| header.ledger.clone()) != header.ledger {
            return Err(damaged("is of another ledger"));
        }
        if header.number != number - offset {
            return Err(Broken::Damaged(format!("says that it is object {}", header.number)));
        }
        let before = if is_first_of_copy { NOTHING_BEFORE } else { self.hash };
        if header.before != hex(&before) {
            return Err(damaged("does not follow the one before it: that was changed, or this is another log's"));
        }
        let mut lines = Vec::new();
        for (place, text) in texts.enumerate() {
            let line: Line = serde_json::from_str(text)
                .map_err(|error| Broken::Damaged(format!("has a line {} that is no entry: {error}", place + 2)))?;
            if let Line::CopyBegan { count, .. } = &line {
                next.copied.push(Copied { offset: number, until: number.saturating_add(*count), ledger: None });
            }
            lines.push(line);
        }
        next.number = number;
        next.hash = hash(bytes);
        let read = Read { run: header.run, lines, offset, hash: next.hash };
        *self = next;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn alive() -> Vec<Line> {
        vec![Line::Alive { at: Timestamp::UNIX_EPOCH }]
    }

    fn log(objects: usize) -> (Chain, Vec<Vec<u8>>) {
        let mut chain = Chain::default();
        let mut log = Vec::new();
        for _ in 0..objects {
            let object = chain.make(Uuid::nil(), Timestamp::UNIX_EPOCH, &alive());
            chain.follow(&object.bytes).expect("it follows");
            log.push(object.bytes);
        }
        (chain, log)
    }

    fn read(log: &[Vec<u8>]) -> Result<Chain, (u64, Broken)> {
        let mut chain = Chain::default();
        for object in log {
            let number = chain.number() + 1;
            chain.follow(object).map_err(|broken| (number, broken))?;
        }
        Ok(chain)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_that_was_changed_is() {
        let (chain, log) = log(4);
        assert_eq!(read(&log), Ok(chain));
        for object in 0..3 {
            let mut changed = log.clone();
            changed[object] =
                String::from_utf8(changed[object].clone()).expect("text").replace("alive", "recovered").into_bytes();
            assert!(matches!(read(&changed), Err((number, Broken::Damaged(_))) if number == object as u64 + 2));
            let mut removed = log.clone();
            removed.remove(object);
            assert!(read(&removed).is_err());
        }
    }

    #[test]
    fn an_unknown_kind_and_a_newer_version_are_told() {
        let (_, log) = log(1);
        let with = |from: &str, to: &str| {
            read(&[String::from_utf8(log[0].clone()).expect("text").replace(from, to).into_bytes()]).map(drop)
        };
        assert_eq!(with("\"version\":1", "\"version\":2"), Err((1, Broken::Newer(2))));
        assert!(matches!(with("\"alive\"", "\"gone\""), Err((1, Broken::Damaged(_)))));
        assert!(matches!(with("}\n", "}"), Err((1, Broken::Damaged(_)))));
        assert!(matches!(with("onboard-ledger", "other"), Err((1, Broken::Damaged(_)))));
    }

    #[test]
    fn a_log_within_a_log_keeps_its_own_numbers_and_the_outer_chain_goes_on_behind_it() {
        let (inner, objects) = log(3);
        let mut outer = Chain::default();
        let began = Line::CopyBegan {
            at: Timestamp::UNIX_EPOCH,
            from: "x".into(),
            count: 3,
            head: hex(&inner.hash()),
            moves: true,
            who: "a@b".into(),
        };
        let first = outer.make(Uuid::nil(), Timestamp::UNIX_EPOCH, &[began]);
        outer.follow(&first.bytes).expect("begins");
        for object in &objects {
            assert_eq!(outer.follow(object).expect("follows").offset, 1);
        }
        let mut kept =
            Chain::at(outer.ledger().expect("known").into(), 4, outer.hash(), &outer.copied()).expect("kept");
        let last = outer.make(Uuid::nil(), Timestamp::UNIX_EPOCH, &[Line::CopyEnded { at: Timestamp::UNIX_EPOCH }]);
        assert_eq!(kept.follow(&last.bytes).expect("ends").offset, 0);
        // One of them is missing.
        let mut short = Chain::default();
        short.follow(&first.bytes).expect("begins");
        short.follow(&objects[0]).expect("follows");
        assert!(short.follow(&objects[2]).is_err());
    }
}
