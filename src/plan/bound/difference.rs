//! Whether what is decided now is still what a plan allows: the first difference, in words.
//!
//! In what the ledger holds of people, messages by runs of the same plan are what it allowed, and no difference: so a plan
//! goes on after a kill.

use jiff::Timestamp;

use super::{Content, Fate, Hold, Message, Options, PlannedRow, SHORT};
use crate::{
    attempt::Touch,
    display::{Grouped, Shown, count, moment},
};

impl Content {
    /// The first difference between this plan and what would be done now, whatever rows and ledger say: in words that
    /// follow on "the plan no longer holds:".
    pub fn terms_differ(&self, now: &Self) -> Option<String> {
        let Self { made: _, command, portal, account, message, options, roster: _, counts: _, rows: _ } = self;
        if *command != now.command {
            return Some(format!("it is for `onboard {}`, and this is `onboard {}`", Shown(command), now.command));
        }
        if *portal != now.portal {
            return Some(format!("it is for {}, and this run is for {}", Shown(portal), now.portal));
        }
        if let (Some(then), Some(account)) = (account, &now.account)
            && then != account
        {
            let then = Shown(then);
            return Some(format!("it was made with another key: the account is {account}, and it was {then}"));
        }
        message.difference(&now.message).or_else(|| options.difference(&now.options))
    }

    /// The first difference in what the roster says.
    pub fn rows_differ(&self, now: &Self) -> Option<String> {
        let (then, now) = (&self.rows, &now.rows);
        let lengths = (then.len() != now.len())
            .then(|| format!("the roster has {}, and the plan {}", rows(now.len()), rows(then.len())));
        let Some((before, row)) = then.iter().zip(now).find(|(before, row)| !before.is_alike(row)) else {
            return lengths;
        };
        let number = row.row;
        if before.who != row.who {
            let is_for = format!("row {number} is for {}, and was for {}", whom(row), whom(before));
            return Some(match lengths {
                Some(lengths) => format!("{lengths}; {is_for}"),
                None if is_reordered(then, now) => format!("the rows of the roster stand in another order: {is_for}"),
                None => format!("the roster was changed: {is_for}"),
            });
        }
        if before.class() != row.class() {
            return Some(format!("row {number} of the roster {}, and {}", row.class().now(), before.class().then()));
        }
        if before.employee_type != row.employee_type {
            let kind = |row: &PlannedRow| Shown(row.employee_type.as_deref().unwrap_or("no type")).to_string();
            return Some(format!("row {number} of the roster is for {}, and was for {}", kind(row), kind(before)));
        }
        let what = match self.message.text {
            Some(_) => "other words for the message",
            None => "another key of its own",
        };
        Some(format!("row {number} of the roster has another address, or {what}"))
    }

    /// The rows (from 0) of people of whom the ledger holds something else now, but for what runs of this plan did. The
    /// rows are alike in all else.
    pub fn touched(&self, now: &Self, is_own: impl Fn(&str) -> bool) -> Vec<usize> {
        let differs = |(before, row): (&PlannedRow, &PlannedRow)| {
            let is_theirs = !row.held.as_ref().is_some_and(|hold| is_own(&hold.run));
            let is_taken = row.class() == Class::Taken;
            is_taken && is_theirs && (before.held != row.held || before.decision != row.decision)
        };
        self.rows.iter().zip(&now.rows).enumerate().filter(|(_, pair)| differs(*pair)).map(|(row, _)| row).collect()
    }

    /// The first difference in what the ledger holds of people, in words; none where all of it was this plan's own doing.
    pub fn ledger_difference(
        &self,
        now: &Self,
        touched: &[usize],
        own: [u8; 32],
        touch: impl Fn(usize) -> Option<Touch>,
    ) -> Option<String> {
        let mut first: Option<(Cause, bool)> = None;
        let mut people: u64 = 0;
        for row in touched {
            let (Some(before), Some(after)) = (self.rows.get(*row), now.rows.get(*row)) else { continue };
            let touch = touch(*row);
            // What a run of this plan tried without effect, or a person decided about that, is as it was meant.
            if touch.as_ref().is_some_and(|touch| touch.by.plan == Some(own)) {
                continue;
            }
            let (cause, since) = Cause::of(before, after, touch.as_ref(), self.made.at);
            match &first {
                None => {
                    people = 1;
                    first = Some((cause, since));
                }
                Some((first, _)) if *first == cause => people += 1,
                Some(_) => {}
            }
        }
        let (cause, since) = first?;
        let of = count(self.counts.people, "person").replace("persons", "people");
        let of = format!("{} of these {of}", Grouped(people));
        Some(match cause {
            Cause::Lost { run } => format!(
                "the ledger does not know that run {run} did something for {of}, as it did when the plan was made: it is \
                 another ledger, or an earlier state of it"
            ),
            Cause::Did(what) if since => format!("since this plan, {what} {of}"),
            Cause::Did(what) => format!("the plan does not know that {what} {of}"),
        })
    }
}

/// Why the ledger holds something else of somebody.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// Somebody did something: a sentence whose object is missing.
    Did(String),
    /// What was on record is on record no more.
    Lost {
        /// Of which run.
        run: String,
    },
}

impl Cause {
    /// Why, and whether that was after the plan was made.
    fn of(before: &PlannedRow, after: &PlannedRow, touch: Option<&Touch>, made: Timestamp) -> (Self, bool) {
        let Some(touch) = touch else {
            let run = before.held.as_ref().map(|hold| short_run(&hold.run)).unwrap_or_default();
            return (Self::Lost { run }, false);
        };
        let was_theirs = before.held.as_ref().is_some_and(|hold| *hold.run == *touch.by.run);
        if let Some(decided) = touch.decided.as_ref().filter(|_| was_theirs) {
            let what = if decided.was_sent { "sent" } else { "not sent" };
            let text = format!("{} settled as {what} what was unknown of", Shown(&decided.by));
            return (Self::Did(text), decided.at > made);
        }
        let verb = match &after.held {
            Some(Hold { sent: true, .. }) => "has congratulated",
            Some(Hold { sent: false, .. }) => "may have congratulated",
            None => "has tried to congratulate",
        };
        let (run, who) = (short_run(&touch.by.run), Shown(&touch.by.who));
        let text = format!("run {run} ({who}, {}) {verb}", moment(touch.by.started_at));
        (Self::Did(text), touch.at > made)
    }
}

/// A run's id as people type it: its last digits.
fn short_run(run: &str) -> String {
    Shown(run.get(run.len().saturating_sub(SHORT)..).unwrap_or(run)).to_string()
}

fn rows(rows: usize) -> String {
    count(u64::try_from(rows).unwrap_or(u64::MAX), "row")
}

/// Whom a row is for, in words.
fn whom(row: &PlannedRow) -> String {
    match row.who.as_deref() {
        None => "nobody who could be read".to_owned(),
        Some(who) => match who.strip_prefix("address:") {
            Some(digest) => format!("the address of digest {}", Shown(digest.get(..SHORT).unwrap_or(digest))),
            None => format!("user {}", Shown(who)),
        },
    }
}

fn is_reordered(then: &[PlannedRow], now: &[PlannedRow]) -> bool {
    let people = |rows: &'_ [PlannedRow]| {
        let mut people: Vec<Option<String>> = rows.iter().map(|row| row.who.clone()).collect();
        people.sort_unstable();
        people
    };
    people(then) == people(now)
}

/// What the roster alone makes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Taken,
    Duplicate,
    Invalid,
    LeftOut,
}

impl Class {
    const fn now(self) -> &'static str {
        match self {
            Self::Taken => "is taken",
            Self::Duplicate => "is of a user who stands in an earlier row",
            Self::Invalid => "cannot be used",
            Self::LeftOut => "is left out (--only)",
        }
    }

    const fn then(self) -> &'static str {
        match self {
            Self::Taken => "was taken",
            Self::Duplicate => "was of a user who stood in an earlier row",
            Self::Invalid => "could not be used",
            Self::LeftOut => "was left out (--only)",
        }
    }
}

impl PlannedRow {
    fn class(&self) -> Class {
        match self.decision {
            Fate::Due | Fate::AlreadySent | Fate::Unknown => Class::Taken,
            Fate::Duplicate => Class::Duplicate,
            Fate::Invalid => Class::Invalid,
            Fate::LeftOut => Class::LeftOut,
        }
    }

    /// Whether the roster says the same in both.
    fn is_alike(&self, other: &Self) -> bool {
        self.class() == other.class()
            && self.who == other.who
            && self.employee_type == other.employee_type
            && self.besides == other.besides
    }
}

impl Message {
    fn difference(&self, now: &Self) -> Option<String> {
        if self.mail != now.mail {
            return Some(format!("it is for the {}, and this run sends the {}", Shown(&self.mail), now.mail));
        }
        if self.carrier != now.carrier {
            let then = Shown(&self.carrier);
            return Some(format!("the message is carried by the {}, and was to be by the {then}", now.carrier));
        }
        if self.text != now.text {
            return Some("the text of the message (--message), or who sends it, is another one".to_owned());
        }
        if self.key != now.key {
            return Some("the congratulation's key (--key) is another one".to_owned());
        }
        let number = |tenant: Option<i64>| tenant.map(|tenant| tenant.to_string());
        on_or_off("--sign-with", self.signed, now.signed)
            .or_else(|| valued("--tenant", number(self.tenant), number(now.tenant)))
    }
}

impl Options {
    fn difference(&self, now: &Self) -> Option<String> {
        let number = |limit: Option<u64>| limit.map(|limit| limit.to_string());
        [
            on_or_off("--resend", self.resend, now.resend),
            on_or_off("--retry-unknown", self.retry_unknown, now.retry_unknown),
            valued("--limit", number(self.limit), number(now.limit)),
            on_or_off("--refresh", self.refresh, now.refresh),
            on_or_off("--other-portal", self.other_portal, now.other_portal),
        ]
        .into_iter()
        .find_map(|difference| difference)
    }
}

fn on_or_off(option: &str, then: bool, now: bool) -> Option<String> {
    match (then, now) {
        (true, false) => Some(format!("it was made with {option}, and this run is without it")),
        (false, true) => Some(format!("it was made without {option}, and this run has it")),
        (true, true) | (false, false) => None,
    }
}

fn valued(option: &str, then: Option<String>, now: Option<String>) -> Option<String> {
    match (then, now) {
        (then, now) if then == now => None,
        (Some(then), Some(now)) => Some(format!("it was made with {option} {then}, and this run has {option} {now}")),
        (then, now) => on_or_off(option, then.is_some(), now.is_some()),
    }
}
