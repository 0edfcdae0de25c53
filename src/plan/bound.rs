//! A plan that binds: what was decided, for whom and from what, in a file that somebody approves.
//!
//! Nothing is ever taken from the file. A run decides anew, makes of that what stands here as [`Content`], and compares;
//! so an edit by hand is a difference, too. What nobody can make anew (when it was made, by whom) is held by the digest,
//! which is of the content and not of the file's bytes: line ends and indents that a checkout or a formatter changed
//! are no edit, any value is.
//!
//! The file holds no key and no address: people by their ids, or by the digest of their address where the roster has
//! no id.

mod difference;

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{display::hex, user::EmailDigest};

/// The version of the format that is written.
pub const VERSION: u32 = 1;
/// So many digits tell plans apart for people.
const SHORT: usize = 8;

/// A plan in a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The version of this format.
    pub onboard_plan: u32,
    /// What was decided, for whom, from what.
    pub plan: Content,
    /// The SHA-256 of `plan`, in hex: whoever changes a value changes this. Runs of the plan stand under it in the ledger.
    pub digest: String,
}

/// What was decided, for whom, from what.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// When, by whom and with what it was made.
    pub made: Made,
    /// The command that carries it out.
    pub command: String,
    /// The portal's origin.
    pub portal: String,
    /// The account of the key, as the ledger knows it; absent where no key was at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What is sent, and by whom it is carried.
    pub message: Message,
    /// Options that change whom something is sent to.
    pub options: Options,
    /// Where the people come from.
    pub roster: RosterRead,
    /// The decisions in figures.
    pub counts: Counts,
    /// A decision a row, in the roster's order.
    pub rows: Vec<PlannedRow>,
}

/// When, by whom and with what a plan was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// When.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// By whom, on which machine.
    pub by: String,
    /// The program's version.
    pub program: String,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `congratulation`.
    pub mail: String,
    /// By whom it is carried: `portal` or `mail server`.
    pub carrier: String,
    /// The digest of the message's text, where it is one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The digest of the congratulation's key.
    pub key: String,
    /// Whether keys are signed with the portal's machine key.
    pub signed: bool,
    /// The portal's tenant number for that, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<i64>,
}

/// Options that change whom something is sent to, as far as the rows do not tell that.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// `--resend`.
    pub resend: bool,
    /// `--retry-unknown`.
    pub retry_unknown: bool,
    /// `--limit`: at most so many people in one run of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// `--refresh`.
    pub refresh: bool,
    /// `--other-portal`.
    pub other_portal: bool,
}

/// Where the people come from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RosterRead {
    /// The roster's name where the plan was made: for people, since elsewhere it may lie in another folder.
    pub name: String,
    /// The SHA-256 of what its rows say, in their order: users, addresses, types and keys, whatever else stands there.
    pub digest: String,
}

/// The decisions in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// All rows.
    pub rows: u64,
    /// People of whom the plan tells: rows that can be used, without those of one user after the first.
    pub people: u64,
    /// They are congratulated if they are active.
    pub due: u64,
    /// The same by employee type.
    pub due_by_type: BTreeMap<String, u64>,
    /// Messages in one run, at the most.
    pub messages_at_most: u64,
    /// Congratulated before.
    pub already_sent: u64,
    /// May have been congratulated before.
    pub unknown: u64,
    /// The user stands in an earlier row.
    pub duplicate: u64,
    /// Cannot be used.
    pub invalid: u64,
    /// Left as they are (`--only`).
    pub left_out: u64,
}

/// A row of the roster, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlannedRow {
    /// The roster's data row, from 1.
    pub row: u64,
    /// The user's id, or `address:` and the digest of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// What the user is to become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employee_type: Option<String>,
    /// What becomes of the row.
    pub decision: Fate,
    /// What the ledger holds of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Hold>,
    /// The digest of what the row says besides: the address beside an id, a key of its own, cells that the
    /// message fills in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub besides: Option<String>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The mail is due, if the portal says so.
    Due,
    /// An earlier run has sent it.
    AlreadySent,
    /// An earlier run may have sent it.
    Unknown,
    /// The user stands in an earlier row.
    Duplicate,
    /// It cannot be used.
    Invalid,
    /// It is left as it is (`--only`).
    LeftOut,
}

/// The attempt that holds somebody. When that was is not compared: of a run that died it is told differently later.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Whether the portal accepted it, as against: it may have been sent.
    pub sent: bool,
    /// In which run.
    pub run: String,
}

/// Why a file is no plan to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlan {
    /// It is no JSON, or not all of it.
    #[error(
        "it is no JSON, or not all of it is there (line {line}); make the plan again with `onboard plan ROSTER -o FILE`"
    )]
    NotJson {
        /// Where the reading stopped.
        line: usize,
    },
    /// It is something else.
    #[error("it is no plan of onboard; one is made with `onboard plan ROSTER -o FILE`")]
    Foreign,
    /// It was made by a later release.
    #[error("it was made by a newer onboard (its version is {0}); update onboard, or make the plan with this one")]
    Newer(u32),
    /// Its values are not those that were written.
    #[error("it was changed after it was made; nothing is taken from a plan, so have a new one made and approved")]
    Changed,
}

impl PlanFile {
    /// The plan, with its digest.
    pub fn of(plan: Content) -> Self {
        let digest = hex(&plan.hash());
        Self { onboard_plan: VERSION, plan, digest }
    }

    /// Reads a plan, and refuses what is none or was changed.
    pub fn read(bytes: &[u8]) -> Result<Self, NotAPlan> {
        /// As much as any version has.
        #[derive(serde::Deserialize)]
        struct Any {
            onboard_plan: u32,
        }
        let Any { onboard_plan } = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => NotAPlan::Foreign,
            _ => NotAPlan::NotJson { line: error.line() },
        })?;
        match onboard_plan {
            VERSION => {}
            0 => return Err(NotAPlan::Foreign),
            newer => return Err(NotAPlan::Newer(newer)),
        }
        // What is quoted in these errors stands in the file, and is not shown.
        let read: Self = serde_json::from_slice(bytes).map_err(|_other_values| NotAPlan::Changed)?;
        if read.digest == hex(&read.plan.hash()) && read.plan.is_consistent() {
            Ok(read)
        } else {
            Err(NotAPlan::Changed)
        }
    }

    /// What stands for the plan in the ledger.
    pub fn hash(&self) -> [u8; 32] {
        self.plan.hash()
    }

    /// The plan's name for people: the first digits of its digest.
    pub fn short(&self) -> &str {
        self.digest.get(..SHORT).unwrap_or(&self.digest)
    }
}

/// The digest of a congratulation's key.
pub fn key_digest(key: &str) -> String {
    let digest = Sha256::new().chain_update(b"onboard plan key 1\0").chain_update(key).finalize();
    hex(digest.get(..16).unwrap_or_default())
}

/// What stands for an address.
pub fn address(email: EmailDigest) -> String {
    format!("address:{}", hex(&email.0))
}

/// The digest of what a row says besides its user and type: nothing where it says nothing. Cells are those that a message of
/// one's own fills in, under their columns' names.
pub fn besides<'c>(
    email: Option<EmailDigest>,
    key: Option<&str>,
    cells: impl IntoIterator<Item = (&'c str, &'c str)>,
) -> Option<String> {
    let mut cells = cells.into_iter().peekable();
    if email.is_none() && key.is_none() && cells.peek().is_none() {
        return None;
    }
    let email = email.map(|email| email.0);
    let mut digest = Sha256::new()
        .chain_update(b"onboard plan row 1\0")
        .chain_update([u8::from(email.is_some()), u8::from(key.is_some())])
        .chain_update(email.unwrap_or_default())
        .chain_update(key.unwrap_or_default());
    for text in cells.flat_map(|(name, cell)| [name, cell]) {
        // No text of a roster can be read as two.
        digest.update(b"\0cell\0");
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    }
    let digest = digest.finalize();
    Some(hex(digest.get(..16).unwrap_or_default()))
}

impl RosterRead {
    /// The roster of these rows.
    pub fn of(name: String, rows: &[PlannedRow]) -> Self {
        Self { name, digest: Self::digest(rows) }
    }

    fn digest(rows: &[PlannedRow]) -> String {
        let mut digest = Sha256::new().chain_update(b"onboard plan roster 1\0");
        for row in rows {
            for text in [&row.who, &row.employee_type, &row.besides] {
                digest.update(text.as_deref().unwrap_or_default());
                // No part has a line end.
                digest.update(b"\n");
            }
        }
        hex(&digest.finalize())
    }
}

impl Counts {
    /// The figures of these rows, at `--limit`.
    pub fn of(rows: &[PlannedRow], limit: Option<u64>) -> Self {
        let mut counts = Self::default();
        for row in rows {
            counts.rows += 1;
            match row.decision {
                Fate::Due => {
                    counts.due += 1;
                    let kind = row.employee_type.clone().unwrap_or_default();
                    *counts.due_by_type.entry(kind).or_default() += 1;
                }
                Fate::AlreadySent => counts.already_sent += 1,
                Fate::Unknown => counts.unknown += 1,
                Fate::Duplicate => counts.duplicate += 1,
                Fate::Invalid => counts.invalid += 1,
                Fate::LeftOut => counts.left_out += 1,
            }
        }
        counts.people = counts.due + counts.already_sent + counts.unknown;
        counts.messages_at_most = limit.map_or(counts.due, |limit| limit.min(counts.due));
        counts
    }
}

impl Content {
    /// The SHA-256 of all values.
    fn hash(&self) -> [u8; 32] {
        // Texts, numbers and lists always make JSON.
        let text = serde_json::to_vec(self).unwrap_or_default();
        Sha256::new().chain_update(b"onboard plan 1\0").chain_update(text).finalize().into()
    }

    /// Whether what follows from its rows is what follows from them.
    fn is_consistent(&self) -> bool {
        self.counts == Counts::of(&self.rows, self.options.limit)
            && self.roster.digest == RosterRead::digest(&self.rows)
            && (1..).zip(&self.rows).all(|(number, row)| row.row == number)
    }
}

impl Options {
    /// The options as they are typed.
    pub fn typed(&self) -> String {
        let mut text = String::new();
        for (option, is_on) in [
            (" --resend", self.resend),
            (" --retry-unknown", self.retry_unknown),
            (" --refresh", self.refresh),
            (" --other-portal", self.other_portal),
        ] {
            text.push_str(if is_on { option } else { "" });
        }
        if let Some(limit) = self.limit {
            // Writing to a string cannot fail.
            let _infallible = write!(text, " --limit {limit}");
        }
        text.trim_start().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::attempt::{Decided, Touch, Toucher};

    const RUN: &str = "01934f2a-0000-7000-8000-00000badcafe";

    fn row(number: u64, decision: Fate) -> PlannedRow {
        PlannedRow {
            row: number,
            who: Some(format!("00000000-0000-4000-8000-00000000000{number}")),
            employee_type: Some("User".to_owned()),
            decision,
            held: matches!(decision, Fate::AlreadySent | Fate::Unknown)
                .then(|| Hold { sent: decision == Fate::AlreadySent, run: RUN.to_owned() }),
            besides: None,
        }
    }

    fn content(rows: Vec<PlannedRow>) -> Content {
        Content {
            made: Made {
                at: Timestamp::from_second(1_000).expect("a time"),
                by: "anna@ci-1".into(),
                program: "1".into(),
            },
            command: "run".into(),
            portal: "https://portal.example".into(),
            account: Some("0123456789abcdef".into()),
            message: Message {
                mail: "congratulation".into(),
                carrier: "portal".into(),
                text: None,
                key: key_digest("welcome_guest"),
                signed: true,
                tenant: Some(3),
            },
            options: Options { limit: Some(2), ..Options::default() },
            roster: RosterRead::of("users.csv".into(), &rows),
            counts: Counts::of(&rows, Some(2)),
            rows,
        }
    }

    fn some() -> Content {
        let mut third = row(3, Fate::Duplicate);
        third.besides = besides(Some(EmailDigest([7; 16])), Some("k"), []);
        let rows = vec![row(1, Fate::Due), row(2, Fate::AlreadySent), third, row(4, Fate::Unknown), row(5, Fate::Due)];
        content(rows)
    }

    fn touch(run: &str, plan: Option<[u8; 32]>, at: i64) -> Touch {
        let at = Timestamp::from_second(at).expect("a time");
        let by = Toucher { run: run.to_owned(), who: "ben@ci-4".into(), started_at: at, plan };
        Touch { by: Arc::new(by), at, holds: Some(true), decided: None }
    }

    /// All differences there are, as a run finds them where the ledger tells nothing of who did what.
    fn differs(then: &Content, now: &Content) -> bool {
        then.terms_differ(now).is_some() || then.rows_differ(now).is_some() || {
            let touched = then.touched(now, |_| false);
            then.ledger_difference(now, &touched, [1; 32], |_| None).is_some()
        }
    }

    fn terms(change: impl FnOnce(&mut Content)) -> String {
        let mut now = some();
        change(&mut now);
        some().terms_differ(&now).expect("a difference")
    }

    fn rows_of(change: impl FnOnce(&mut Vec<PlannedRow>)) -> String {
        let mut now = some();
        change(&mut now.rows);
        some().rows_differ(&now).expect("a difference")
    }

    #[test]
    fn what_differs_is_named() {
        for (said, words) in [
            (terms(|now| now.portal = "https://new.example".into()), "for https://portal.example, and this run is for"),
            (terms(|now| now.account = Some("ff".into())), "another key: the account is ff"),
            (terms(|now| now.message.key = key_digest("other")), "(--key) is another one"),
            (terms(|now| now.message.signed = false), "made with --sign-with, and this run is without it"),
            (terms(|now| now.message.tenant = None), "made with --tenant, and this run is without it"),
            (terms(|now| now.message.carrier = "mail server".into()), "carried by the mail server"),
            (terms(|now| now.message.text = Some("ff".into())), "the text of the message (--message)"),
            (terms(|now| now.options.limit = Some(3)), "made with --limit 2, and this run has --limit 3"),
            (terms(|now| now.options.limit = None), "made with --limit, and this run is without it"),
            (terms(|now| now.options.resend = true), "made without --resend, and this run has it"),
            (terms(|now| now.command = "invite".into()), "it is for `onboard run`"),
            (rows_of(|rows| rows.truncate(4)), "the roster has 4 rows, and the plan 5 rows"),
            (rows_of(|rows| rows[1].who = None), "was changed: row 2 is for nobody who could be read"),
            (rows_of(|rows| rows[4].employee_type = Some("Guest".into())), "row 5 of the roster is for Guest"),
            (rows_of(|rows| rows[4].besides = besides(None, Some("k"), [])), "row 5 of the roster has another address"),
            (
                rows_of(|rows| rows[4].besides = besides(None, Some("k"), [])),
                "row 5 of the roster has another address, or another key of its own",
            ),
            (rows_of(|rows| rows[4].decision = Fate::Invalid), "row 5 of the roster cannot be used, and was taken"),
        ] {
            assert!(said.contains(words), "{said}");
        }
        let mut own = some();
        own.message.text = Some("ff".into());
        let mut now = own.clone();
        now.rows[4].besides = besides(None, None, [("team", "Sales")]);
        let said = own.rows_differ(&now).expect("a difference");
        assert!(said.contains("row 5 of the roster has another address, or other words for the message"), "{said}");
        let cells = |text| besides(None, None, [("team", text), ("room", "x")]);
        assert_eq!(cells("Sales"), cells("Sales"));
        assert!(cells("Sales") != cells("Ops") && cells("Sales") != besides(None, None, [("room", "x")]));
        let mut now = some();
        let (first, second) = (now.rows[0].clone(), now.rows[1].clone());
        now.rows[0].who = second.who;
        now.rows[1].who = first.who;
        assert!(some().rows_differ(&now).is_some_and(|said| said.contains("stand in another order: row 1")));
        // Without a key at hand, a plan says nothing of the account.
        let any = Content { account: None, ..some() };
        assert_eq!(any.terms_differ(&some()), None);
    }

    #[test]
    fn what_others_did_since_is_named_and_what_the_plan_did_is_not() {
        let then = some();
        let mut now = some();
        for at in [0, 4] {
            now.rows[at].decision = Fate::AlreadySent;
            now.rows[at].held = Some(Hold { sent: true, run: "01934f2b-0000-7000-8000-000012345678".into() });
        }
        let other = |at| move |_| Some(touch("01934f2b-0000-7000-8000-000012345678", None, at));
        assert_eq!(then.touched(&now, |_| false), [0, 4]);
        let said = then.ledger_difference(&now, &[0, 4], [1; 32], other(2_000)).expect("a difference");
        assert!(said.starts_with("since this plan, run 12345678 (ben@ci-4, "), "{said}");
        assert!(said.ends_with("has congratulated 2 of these 4 people"), "{said}");
        let said = then.ledger_difference(&now, &[0, 4], [1; 32], other(500)).expect("a difference");
        assert!(said.starts_with("the plan does not know that run 12345678"), "{said}");
        // Runs of this plan: what holds is known by its run, what was tried without effect by the last attempt.
        assert!(then.touched(&now, |run| run.ends_with("12345678")).is_empty());
        let own = |_| Some(touch("01934f2b-0000-7000-8000-000012345678", Some([1; 32]), 2_000));
        assert_eq!(then.ledger_difference(&now, &[0, 4], [1; 32], own), None);
        assert!(then.ledger_difference(&now, &[0, 4], [2; 32], own).is_some());
        // Another ledger knows nothing of what was sent before.
        let mut now = some();
        now.rows[1] = row(2, Fate::Due);
        let said = then.ledger_difference(&now, &then.touched(&now, |_| false), [1; 32], |_| None);
        assert!(said.is_some_and(|said| said.contains("does not know that run 0badcafe")));
        // What was unknown was settled.
        let mut now = some();
        now.rows[3] = row(4, Fate::Due);
        let at = Timestamp::from_second(3_000).expect("a time");
        let decided = Decided { by: "Anna".into(), at, was_sent: false };
        let settled = |_| Some(Touch { decided: Some(decided.clone()), ..touch(RUN, None, 500) });
        let said = then.ledger_difference(&now, &then.touched(&now, |_| false), [1; 32], settled);
        assert_eq!(
            said.as_deref(),
            Some("since this plan, Anna settled as not sent what was unknown of 1 of these 4 people")
        );
    }

    #[test]
    fn what_is_no_plan_is_told() {
        let whole = serde_json::to_string_pretty(&PlanFile::of(some())).expect("JSON");
        let compact = serde_json::to_string(&PlanFile::of(some())).expect("JSON");
        for same in [whole.clone(), compact, whole.replace('\n', "\r\n")] {
            assert_eq!(PlanFile::read(same.as_bytes()), Ok(PlanFile::of(some())));
        }
        let read = |text: &str| PlanFile::read(text.as_bytes()).expect_err("no plan");
        for cut in (0..whole.len()).step_by(37) {
            assert!(matches!(read(&whole[..cut]), NotAPlan::NotJson { .. }), "{cut}");
        }
        assert!(matches!(read("user_id,employee_type\n"), NotAPlan::NotJson { line: 1 }));
        assert_eq!(read("{\"version\": 1}"), NotAPlan::Foreign);
        assert_eq!(read("[]"), NotAPlan::Foreign);
        assert_eq!(read("{\"onboard_plan\": 2, \"else\": true}"), NotAPlan::Newer(2));
        assert_eq!(read(&whole.replacen("\"limit\": 2", "\"limit\": 2, \"limit\": 2", 1)), NotAPlan::Changed);
    }

    /// Where each single value stands.
    fn leaves(value: &Value, at: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    leaves(value, &format!("{at}/{name}"), into);
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(place, value)| leaves(value, &format!("{at}/{place}"), into));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => into.push(at.to_owned()),
        }
    }

    /// Does something to one value.
    fn edit(value: &mut Value, how: usize, text: &str) {
        *value = match (&*value, how % 3) {
            (_, 0) => Value::Null,
            (Value::Bool(truth), _) => Value::Bool(!truth),
            (Value::Number(number), _) => (number.as_u64().unwrap_or_default() + 1).into(),
            (Value::String(old), 1) => format!("{old}{text}").into(),
            (_, _) => text.into(),
        };
    }

    proptest! {
        #[test]
        fn a_plan_holds_against_itself(fates in proptest::collection::vec(0..6_usize, 0..9)) {
            let all = [Fate::Due, Fate::AlreadySent, Fate::Unknown, Fate::Duplicate, Fate::Invalid, Fate::LeftOut];
            let plan = content((1..).zip(fates).map(|(number, fate)| row(number, all[fate])).collect());
            prop_assert!(!differs(&plan, &plan));
            let text = serde_json::to_vec(&PlanFile::of(plan.clone())).expect("JSON");
            let read = PlanFile::read(&text);
            prop_assert_eq!(read.map(|read| read.plan), Ok(plan));
        }

        #[test]
        fn any_edit_is_a_difference(which in any::<prop::sample::Index>(), how in 0..3_usize, text in "[a-z0-9:-]{1,12}") {
            let mut value = serde_json::to_value(PlanFile::of(some())).expect("JSON");
            let mut places = Vec::new();
            leaves(&value, "", &mut places);
            let place = which.get(&places);
            edit(value.pointer_mut(place).expect("there"), how, &text);
            prop_assert!(PlanFile::read(value.to_string().as_bytes()).is_err(), "{}", place);
            // Somebody who made the digest anew, too, is found by what is compared; the rest is words for people.
            let words = ["/plan/made/at", "/plan/made/by", "/plan/made/program", "/plan/roster/name"];
            let is_open = place == "/plan/account" && value["plan"]["account"].is_null();
            if let Ok(forged) = serde_json::from_value::<Content>(value["plan"].clone())
                && place.starts_with("/plan")
                && !words.contains(&place.as_str())
                && !is_open
            {
                let text = serde_json::to_vec(&PlanFile::of(forged.clone())).expect("JSON");
                prop_assert!(PlanFile::read(&text).is_err() || differs(&forged, &some()), "{}", place);
            }
        }
    }

    /// `UPDATE_SCHEMA=1 cargo test schema` writes it anew.
    #[test]
    fn the_schema_in_the_repository_is_the_one_of_the_code() {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(PlanFile)).expect("JSON") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan/plan.schema.json");
        #[expect(clippy::disallowed_methods, reason = "whoever changes the plan says so")]
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &schema).expect("written");
        }
        assert_eq!(std::fs::read_to_string(path).expect("there"), schema);
    }
}
