//! The lines of an object: one JSON value each, readable as it stands. The first is the header, each further one an entry.
//!
//! Nothing in a line is an address, and so that a search shows it, the only `@` stands where it says who acted:
//! `"who":"name@host"`. Any other is written as JSON's `\u0040`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::display::hex;

/// What the first line of every object begins with.
pub(super) const FORMAT: &str = "onboard-ledger";
/// The version of the format that this program reads and writes.
pub(super) const VERSION: u32 = 1;

/// The first line of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// `onboard-ledger`.
    pub format: String,
    /// Of the format: 1.
    pub version: u32,
    /// The ledger's id.
    pub ledger: String,
    /// The object's number in the log, from 1.
    pub number: u64,
    /// The SHA-256 of the bytes of the object before, in hex; zeros for the first.
    pub before: String,
    /// The session that wrote it.
    pub run: Uuid,
    /// When.
    pub at: Timestamp,
}

/// What of a header says whether it can be read at all.
#[derive(Debug, Deserialize)]
pub(super) struct Versioned {
    pub(super) format: String,
    pub(super) version: u32,
}

/// Where an intent stands: the number of its object, and of its line there (the header is line 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    /// The object's number.
    pub object: u64,
    /// The line's.
    pub line: u32,
}

/// A snapshot of what the entries make, kept so that a start is quick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Its name below the place.
    pub name: String,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// All that can happen to a ledger, as a line says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// The log was made.
    Made {
        /// When.
        at: Timestamp,
        /// By whom.
        who: String,
    },
    /// A portal is known from here on.
    Portal {
        /// When.
        at: Timestamp,
        /// Its origin.
        origin: String,
    },
    /// A session began. Until it ended, or somebody took over, all entries are its own.
    Began {
        /// When.
        at: Timestamp,
        /// Its id.
        run: Uuid,
        /// Who, where.
        who: String,
        /// `run`, `invite`, `settle`, `move`.
        command: String,
        /// Of a run: what it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        job: Option<JobLine>,
    },
    /// A message may leave from here on.
    Intent {
        /// When.
        at: Timestamp,
        /// `congratulation` or `invitation`.
        mail: String,
        /// The user's id, or the digest of the address.
        to: String,
        /// The digest of the address, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// Which row of the roster it is about, from 1. Lines of earlier releases do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<u32>,
    },
    /// It is known what became of it.
    Ending {
        /// When.
        at: Timestamp,
        /// Of which intent.
        of: Spot,
        /// `sent`, `no_effect`, `unknown`.
        outcome: String,
        /// The HTTP status.
        #[serde(skip_serializing_if = "Option::is_none")]
        http: Option<u16>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        /// Whether the portal's daily limit counts it.
        counted: bool,
    },
    /// It holds its user no longer: the run was asked to send again.
    LetGo {
        /// When.
        at: Timestamp,
        /// Which intent.
        of: Spot,
    },
    /// So many requests of the session may leave, in all.
    Reserved {
        /// When.
        at: Timestamp,
        /// So many.
        upto: u64,
    },
    /// The session ended.
    Ended {
        /// When.
        at: Timestamp,
        /// Its exit status.
        exit_status: u8,
        /// Requests that left.
        requests: u64,
        /// Its rows by what became of them.
        counts: BTreeMap<String, u64>,
        /// A snapshot of everything before this object.
        #[serde(skip_serializing_if = "Option::is_none")]
        snapshot: Option<Snapshot>,
    },
    /// A person decided what nobody knew.
    Decided {
        /// When.
        at: Timestamp,
        /// Which intent.
        of: Spot,
        /// Whether it had its effect.
        sent: bool,
        /// Who decided.
        who: String,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Intents of sessions that are over are unknown from here on.
    Recovered {
        /// When.
        at: Timestamp,
    },
    /// The session that was open is fenced.
    TookOver {
        /// When.
        at: Timestamp,
        /// Which session.
        from: Uuid,
    },
    /// The session is alive.
    Alive {
        /// When.
        at: Timestamp,
    },
    /// The objects after this one are those of another log, byte for byte.
    CopyBegan {
        /// When.
        at: Timestamp,
        /// Which log, as people read it.
        from: String,
        /// How many objects follow.
        count: u64,
        /// The SHA-256 of the last of them, in hex.
        head: String,
        /// Whether the other log goes on here; else this is a backup.
        moves: bool,
        /// Who.
        who: String,
    },
    /// All of them are there.
    CopyEnded {
        /// When.
        at: Timestamp,
    },
    /// The log goes on elsewhere.
    MovedTo {
        /// When.
        at: Timestamp,
        /// Where, as people read it.
        to: String,
    },
}

impl Line {
    /// When it came about.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Made { at, .. }
            | Self::Portal { at, .. }
            | Self::Began { at, .. }
            | Self::Intent { at, .. }
            | Self::Ending { at, .. }
            | Self::LetGo { at, .. }
            | Self::Reserved { at, .. }
            | Self::Ended { at, .. }
            | Self::Decided { at, .. }
            | Self::Recovered { at }
            | Self::TookOver { at, .. }
            | Self::Alive { at }
            | Self::CopyBegan { at, .. }
            | Self::CopyEnded { at }
            | Self::MovedTo { at, .. } => *at,
        }
    }
}

/// What a run is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobLine {
    /// The portal's origin.
    pub portal: String,
    /// Tells accounts apart, in hex.
    pub account: String,
    /// The roster's name.
    pub roster: String,
    /// The roster's SHA-256, in hex.
    pub roster_sha256: String,
    /// How many rows it has.
    pub rows: u64,
    /// The hash of the plan that it carries out, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// A line as it is stored, with its end.
pub(in crate::ledger) fn encode(value: &impl Serialize) -> String {
    // Values of our own types always have a JSON form.
    let mut text = serde_json::to_string(value).unwrap_or_default().replace('@', "\\u0040");
    // Quotes within a text are escaped, so this can only be the name of a member.
    if let Some(start) = text.find("\"who\":\"") {
        let rest = text.get(start..).unwrap_or_default();
        let end = rest.get(7..).and_then(|value| value.find("\",")).map_or(rest.len(), |end| end + 7);
        if let Some(place) = rest.get(..end).and_then(|who| who.rfind("\\u0040")) {
            text.replace_range(start + place..start + place + 6, "@");
        }
    }
    text.push('\n');
    text
}

/// Hex in bytes, where there are exactly so many.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_at_sign_is_that_of_who_acted() {
        let line = |who: &str, why: &str| {
            let (who, why) = (who.to_owned(), Some(why.to_owned()));
            let of = Spot { object: 3, line: 2 };
            let line = Line::Decided { at: Timestamp::UNIX_EPOCH, of, sent: true, who, why };
            let text = encode(&line);
            assert_eq!(serde_json::from_str::<Line>(&text).expect("a line"), line);
            text
        };
        assert_eq!(
            line("anna@ci-4", "told zoe@example.org"),
            "{\"entry\":\"decided\",\"at\":\"1970-01-01T00:00:00Z\",\"of\":{\"object\":3,\"line\":2},\"sent\":true,\
             \"who\":\"anna@ci-4\",\"why\":\"told zoe\\u0040example.org\"}\n"
        );
        assert_eq!(line("anna@corp.example@ci-4", "-").matches('@').count(), 1);
        assert_eq!(line("anna", "\"who\":\"x@y\"").matches('@').count(), 0);
    }

    /// All that a line of this version may hold. It compiles only while that is all: whoever adds to it makes a new
    /// [`VERSION`], since earlier programs refuse what they do not know, and should say that it is newer, not damaged.
    fn all_of(line: &Line) {
        match line {
            Line::Made { at: _, who: _ }
            | Line::Portal { at: _, origin: _ }
            | Line::Began { at: _, run: _, who: _, command: _, job: None }
            | Line::Intent { at: _, mail: _, to: _, address: _, row: _ }
            | Line::Ending { at: _, of: Spot { object: _, line: _ }, outcome: _, http: _, why: _, counted: _ }
            | Line::LetGo { at: _, of: _ }
            | Line::Reserved { at: _, upto: _ }
            | Line::Ended { at: _, exit_status: _, requests: _, counts: _, snapshot: None }
            | Line::Decided { at: _, of: _, sent: _, who: _, why: _ }
            | Line::Recovered { at: _ }
            | Line::TookOver { at: _, from: _ }
            | Line::Alive { at: _ }
            | Line::CopyBegan { at: _, from: _, count: _, head: _, moves: _, who: _ }
            | Line::CopyEnded { at: _ }
            | Line::MovedTo { at: _, to: _ } => {}
            Line::Began { job: Some(job), .. } => {
                let JobLine { portal: _, account: _, roster: _, roster_sha256: _, rows: _, plan: _ } = job;
            }
            Line::Ended { snapshot: Some(Snapshot { name: _, sha256: _ }), .. } => {}
        }
    }

    #[test]
    fn the_first_version_of_each_line_is_read_and_written_as_ever() {
        let at = "\"at\":\"1970-01-01T00:00:00Z\"";
        let id = "\"00000000-0000-0000-0000-000000000007\"";
        let job = "{\"portal\":\"https://p.example\",\"account\":\"0a\",\"roster\":\"u.csv\",\
                   \"roster_sha256\":\"0b\",\"rows\":3,\"plan\":\"0c\"}";
        for text in [
            format!("\"made\",{at},\"who\":\"a@h\""),
            format!("\"portal\",{at},\"origin\":\"https://p.example\""),
            format!("\"began\",{at},\"run\":{id},\"who\":\"a@h\",\"command\":\"run\",\"job\":{job}"),
            format!("\"intent\",{at},\"mail\":\"congratulation\",\"to\":\"u\",\"address\":\"0d\",\"row\":1"),
            format!(
                "\"ending\",{at},\"of\":{{\"object\":2,\"line\":3}},\"outcome\":\"unknown\",\"http\":500,\
                 \"why\":\"w\",\"counted\":true"
            ),
            format!("\"let_go\",{at},\"of\":{{\"object\":2,\"line\":3}}"),
            format!("\"reserved\",{at},\"upto\":64"),
            format!(
                "\"ended\",{at},\"exit_status\":0,\"requests\":5,\"counts\":{{\"sent\":2}},\
                 \"snapshot\":{{\"name\":\"s\",\"sha256\":\"0e\"}}"
            ),
            format!("\"decided\",{at},\"of\":{{\"object\":2,\"line\":3}},\"sent\":false,\"who\":\"a@h\",\"why\":\"w\""),
            format!("\"recovered\",{at}"),
            format!("\"took_over\",{at},\"from\":{id}"),
            format!("\"alive\",{at}"),
            format!("\"copy_began\",{at},\"from\":\"f\",\"count\":2,\"head\":\"0f\",\"moves\":true,\"who\":\"a@h\""),
            format!("\"copy_ended\",{at}"),
            format!("\"moved_to\",{at},\"to\":\"t\""),
        ] {
            let text = format!("{{\"entry\":{text}}}\n");
            let line: Line = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}{error}"));
            all_of(&line);
            assert_eq!(encode(&line), text);
        }
    }

    #[test]
    fn an_intent_of_an_earlier_release_names_no_row() {
        let text =
            "{\"entry\":\"intent\",\"at\":\"1970-01-01T00:00:00Z\",\"mail\":\"congratulation\",\"to\":\"ann\"}\n";
        let line: Line = serde_json::from_str(text).expect("a line");
        assert!(matches!(line, Line::Intent { row: None, .. }), "{line:?}");
        assert_eq!(encode(&line), text);
    }

    #[test]
    fn hex_is_read_back_and_nothing_else_is() {
        assert_eq!(unhex::<3>(&hex(&[0, 17, 255])), Some([0, 17, 255]));
        assert_eq!(unhex::<3>("00"), None);
        assert_eq!(unhex::<1>("+1"), None);
    }
}
