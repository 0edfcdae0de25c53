//! `onboard history` of many ledgers, one a portal: what needs a person comes first.

use std::{io::Write, time::Duration};

use jiff::Timestamp;

use super::{
    lines::{Line, optional, place_of, write},
    wanted::Wanted,
};
use crate::{
    cli::{HistoryFormat, Since},
    command::pages::{labelled, short},
    display::{Grouped, Shown, Span, count, moment},
    environment::Environment,
    exit::Exit,
    ledger::{Ledger, LedgerError, RunRecord, places},
    outcome::Outcome,
    place::Place,
};

/// Which of many ledgers are asked for.
pub(super) struct Asked {
    pub(super) portal: Option<String>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) since: Option<Since>,
    pub(super) no_good_run_since: Option<Since>,
}

impl Asked {
    /// Whether this ledger is among them, now being this. Of one that cannot be read nobody knows, so it is.
    fn is_asked(&self, ledger: &LedgerRecord, last: Option<&RunRecord>, now: Timestamp) -> bool {
        let wanted = Wanted {
            portal: self.portal.clone(),
            outcomes: self.outcomes.clone(),
            since: self.since.map(|since| since.before(now)),
        };
        let is_wanted = last.map_or_else(
            || {
                wanted.outcomes.is_empty()
                    && wanted.since.is_none()
                    && wanted.portal.as_ref().is_none_or(|portal| ledger.portal.split(", ").any(|own| own == portal))
            },
            |run| wanted.is_run(run),
        );
        is_wanted && self.no_good_run_since.is_none_or(|since| ledger.lacks_a_good_run_since(since.before(now)))
    }
}

/// Tells of every ledger below a place. The status is 2 or 5 where one of them cannot be read, and 1 where one was found
/// that has had no good run for too long.
pub(super) fn tell(
    place: &Place,
    environment: &Environment,
    asked: &Asked,
    format: HistoryFormat,
    out: &mut dyn Write,
) -> Result<u8, anyhow::Error> {
    let told = places::look_at_all(place, environment, |place, ledger| {
        let told = ledger.and_then(|mut ledger| {
            let mut runs = ledger.runs()?;
            runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
            let record = LedgerRecord::of(&mut ledger, &runs)?;
            Ok(asked.is_asked(&record, runs.first(), ledger.now()).then_some(record))
        });
        told.unwrap_or_else(|error| Some(LedgerRecord::unread(place, &error)))
    })?;
    let of = told.len();
    let mut ledgers: Vec<LedgerRecord> = told.into_iter().flatten().collect();
    // The sort keeps those that need the same in the order of their names.
    ledgers.sort_by_key(LedgerRecord::place_in_line);
    match format {
        HistoryFormat::Table if of == 0 => writeln!(out, "there are no ledgers below {}", place.name())?,
        HistoryFormat::Table => {
            write_pages(&ledgers, out)?;
            writeln!(out, "{}", labelled("", &summary(&ledgers, of)))?;
        }
        HistoryFormat::Json | HistoryFormat::Csv => write(format, &ledgers, out)?,
    }
    let unread = ledgers.iter().filter_map(|ledger| ledger.status);
    let late = asked.no_good_run_since.and_then(|_| ledgers.iter().any(LedgerRecord::is_used).then_some(Exit::Rows));
    Ok(Exit::first_that_applies(unread.chain(late)).code())
}

/// A page for each that needs a person, and then a line for each of the others.
fn write_pages(ledgers: &[LedgerRecord], out: &mut dyn Write) -> Result<(), anyhow::Error> {
    let (pages, lines): (Vec<_>, Vec<_>) = ledgers.iter().partition(|ledger| ledger.needs.is_some());
    for ledger in pages {
        writeln!(out, "{}\n{}\n", labelled("", &ledger.heading()), ledger.page())?;
    }
    if !lines.is_empty() {
        writeln!(out, "{:<PORTAL$}  {:<AGE$}  exit  rows, as they ended", "portal", "last run")?;
        for ledger in lines {
            writeln!(out, "{}", ledger.line())?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// How wide a portal and an age are in a line.
const PORTAL: usize = 34;
const AGE: usize = 10;

/// All of them in a sentence.
fn summary(ledgers: &[LedgerRecord], of: usize) -> String {
    let number = |is: &dyn Fn(&LedgerRecord) -> bool| ledgers.iter().filter(|ledger| is(ledger)).count() as u64;
    let shown = ledgers.len() as u64;
    let of = of as u64;
    let mut parts =
        vec![if shown == of { count(of, "ledger") } else { format!("{} of {}", Grouped(shown), count(of, "ledger")) }];
    let gone = number(&|ledger| ledger.open_is_alive == Some(false));
    let undecided: u64 = ledgers.iter().map(|ledger| ledger.undecided).sum();
    for (number, what) in [
        (number(&|ledger| ledger.fault.is_some()), "that cannot be read"),
        (gone, "whose run is gone"),
        (number(&|ledger| ledger.is_used() && ledger.last_good_run.is_none()), "without any good run"),
        (number(&|ledger| ledger.needs == Some(Needs::LastRunNotGood)), "whose last run was not good"),
        (number(&|ledger| ledger.open.is_some()) - gone, "in use"),
        (number(&|ledger| ledger.standing.is_some()), "that no run uses"),
    ] {
        if number > 0 {
            parts.push(format!("{} {what}", Grouped(number)));
        }
    }
    parts.push(format!("{} undecided", count(undecided, "message")));
    parts.join("; ")
}

/// Why a person should look, what is most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Needs {
    /// The ledger cannot be read.
    Unread,
    /// A run that uses it is gone without an end.
    Gone,
    /// Messages may have been sent, and nobody has decided.
    Undecided,
    /// No run ever ended with status 0.
    NoGoodRun,
    /// The last run that ended had another status than 0.
    LastRunNotGood,
}

impl Needs {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Gone => "gone",
            Self::Undecided => "undecided",
            Self::NoGoodRun => "no_good_run",
            Self::LastRunNotGood => "last_run_not_good",
        }
    }
}

/// A ledger among several.
#[derive(Debug, Default, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct LedgerRecord {
    ledger: String,
    portal: String,
    last_run: String,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    started_at: Option<Timestamp>,
    exit_status: Option<i64>,
    open: Option<String>,
    sent: u64,
    undecided: u64,
    /// Why a person should look, what is most urgent; nothing where all is well.
    needs: Option<Needs>,
    /// When the last run ended; absent where it runs still, or died.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    ended_at: Option<Timestamp>,
    /// How long ago the last run began, by the store's clock.
    age_seconds: Option<u64>,
    /// The last run's rows by outcome, once it ended.
    outcomes: Option<serde_json::Value>,
    /// When the last run ended that ended with status 0.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    last_good_run: Option<Timestamp>,
    /// When something was last heard of the session that is open.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    open_heard_at: Option<Timestamp>,
    /// Whether it is alive; else the next run takes the ledger over.
    open_is_alive: Option<bool>,
    /// Why no run uses this ledger, where that is so: it has moved, or is a copy.
    standing: Option<String>,
    /// Why it cannot be read, where it cannot: then nothing else is known.
    fault: Option<String>,
    #[serde(skip)]
    status: Option<Exit>,
    /// Whether the last run is what is open.
    #[serde(skip)]
    is_last_open: bool,
    /// How long ago things were, as people read it.
    #[serde(skip)]
    now: Option<Timestamp>,
}

impl LedgerRecord {
    /// `runs`: the latest first.
    fn of(ledger: &mut Ledger, runs: &[RunRecord]) -> Result<Self, LedgerError> {
        let overview = ledger.overview()?;
        let open = ledger.holding_session()?;
        let heard = if open.is_some() { ledger.last_heard()? } else { None };
        let last = runs.first();
        let now = ledger.now();
        let record = Self {
            ledger: ledger.name(),
            portal: match last {
                Some(run) => run.portal.clone(),
                None => ledger.origins()?.join(", "),
            },
            last_run: last.map(|run| run.run.clone()).unwrap_or_default(),
            started_at: last.map(|run| run.started_at),
            ended_at: last.and_then(|run| run.ended_at),
            age_seconds: last.map(|run| since(run.started_at, now).as_secs()),
            exit_status: last.and_then(|run| run.exit_status),
            outcomes: last.and_then(|run| run.outcomes.clone()),
            last_good_run: runs.iter().filter_map(RunRecord::ended_well).max(),
            is_last_open: open.as_ref().zip(last).is_some_and(|(open, last)| open.id.to_string() == last.run),
            open: open.map(|holding| holding.to_string()),
            open_heard_at: heard.map(|heard| heard.at),
            open_is_alive: heard.map(|heard| heard.is_alive),
            sent: overview.sent,
            undecided: overview.undecided,
            standing: overview.standing,
            now: Some(now),
            needs: None,
            fault: None,
            status: None,
        };
        Ok(Self { needs: record.needs_what(), ..record })
    }

    fn unread(place: &Place, error: &LedgerError) -> Self {
        let status = if error.may_pass() { Exit::Storage } else { Exit::NotStarted };
        Self {
            ledger: place.name(),
            fault: Some(error.to_string()),
            status: Some(status),
            needs: Some(Needs::Unread),
            ..Self::default()
        }
    }

    /// Why a person should look. What a run that is alive has in flight is its own affair, and what an unused ledger holds
    /// goes on in another.
    fn needs_what(&self) -> Option<Needs> {
        let is_alive = self.open_is_alive == Some(true);
        match self.exit_status {
            _ if self.fault.is_some() => Some(Needs::Unread),
            _ if self.standing.is_some() => None,
            _ if self.open_is_alive == Some(false) => Some(Needs::Gone),
            _ if self.undecided > 0 && !is_alive => Some(Needs::Undecided),
            _ if is_alive => None,
            _ if self.last_good_run.is_none() => Some(Needs::NoGoodRun),
            Some(0) => None,
            // One that died left no status.
            _ => Some(Needs::LastRunNotGood),
        }
    }

    /// Where it stands among the others: what needs a person, what is well, what no run uses.
    fn place_in_line(&self) -> (bool, bool, Option<Needs>) {
        (self.standing.is_some(), self.needs.is_none(), self.needs)
    }

    /// Whether runs use it, as far as is known.
    fn is_used(&self) -> bool {
        self.standing.is_none() && self.fault.is_none()
    }

    /// One that moved, or is a copy, lacks nothing; the one that goes on is looked at.
    fn lacks_a_good_run_since(&self, since: Timestamp) -> bool {
        self.is_used() && self.last_good_run.is_none_or(|at| at < since)
    }

    fn age_of(&self, at: Timestamp) -> Span {
        Span(self.now.map(|now| since(at, now)).unwrap_or_default())
    }

    /// How the last run ended.
    fn ended(&self) -> String {
        match (self.exit_status, self.is_last_open, self.open_is_alive) {
            (Some(status), _, _) => format!("exit status {status}"),
            (None, true, Some(true)) => "still running".to_owned(),
            (None, true, None) => "still running, or killed".to_owned(),
            (None, _, _) => "gone without an end".to_owned(),
        }
    }

    /// It in a line, where nobody has to look closer.
    fn line(&self) -> String {
        if let Some(standing) = &self.standing {
            return labelled("", &format!("{}: {standing}", Shown(&self.ledger)));
        }
        let shown = Shown(if self.portal.is_empty() { &self.ledger } else { &self.portal }).to_string();
        let portal = shown.strip_prefix("https://").unwrap_or(&shown);
        let age = self.started_at.map(|at| self.age_of(at).to_string()).unwrap_or_default();
        let exit = self.exit_status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let rows = match &self.open {
            Some(open) if self.exit_status.is_none() => open.clone(),
            _ => rows_told(self.outcomes.as_ref()),
        };
        let (first, beside) = if portal.chars().count() > PORTAL {
            (format!("{}\n", labelled("", portal)), "")
        } else {
            (String::new(), portal)
        };
        let label = format!("{beside:<PORTAL$}  {age:<AGE$}  {exit:>4}  ");
        format!("{first}{}", labelled(&label, &Shown(&rows).to_string()))
    }
}

fn since(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

/// Rows by outcome, those that there are none of left out.
fn rows_told(outcomes: Option<&serde_json::Value>) -> String {
    let rows = outcomes.and_then(serde_json::Value::as_object).into_iter().flatten();
    let mut rows: Vec<(&str, u64)> =
        rows.filter_map(|(word, rows)| Some((word.as_str(), rows.as_u64().filter(|rows| *rows > 0)?))).collect();
    rows.sort_by_key(|(word, _)| place_of(word));
    rows.iter().map(|(word, rows)| format!("{} {word}", Grouped(*rows))).collect::<Vec<_>>().join(", ")
}

impl Line for LedgerRecord {
    const HEADER: &'static [&'static str] = &[
        "ledger",
        "portal",
        "run",
        "started",
        "exit",
        "open",
        "sent",
        "undecided",
        "needs",
        "ended",
        "age_seconds",
        "outcomes",
        "last_good_run",
        "heard",
        "alive",
        "standing",
        "fault",
    ];
    const TITLE: &'static str = "";

    fn cells(&self) -> Vec<String> {
        vec![
            self.ledger.clone(),
            self.portal.clone(),
            self.last_run.clone(),
            optional(self.started_at),
            self.exit_status.map(|status| status.to_string()).unwrap_or_default(),
            self.open.clone().unwrap_or_default(),
            self.sent.to_string(),
            self.undecided.to_string(),
            self.needs.map(Needs::as_str).unwrap_or_default().to_owned(),
            optional(self.ended_at),
            self.age_seconds.map(|age| age.to_string()).unwrap_or_default(),
            rows_told(self.outcomes.as_ref()),
            optional(self.last_good_run),
            optional(self.open_heard_at),
            self.open_is_alive.map(|alive| alive.to_string()).unwrap_or_default(),
            self.standing.clone().unwrap_or_default(),
            self.fault.clone().unwrap_or_default(),
        ]
    }

    fn heading(&self) -> String {
        Shown(&self.ledger).to_string()
    }

    fn page(&self) -> String {
        if let Some(fault) = &self.fault {
            return labelled("  unread     ", fault);
        }
        let mut lines = Vec::new();
        if !self.portal.is_empty() {
            lines.push(labelled("  portal     ", &Shown(&self.portal).to_string()));
        }
        let last = self
            .started_at
            .map(|at| format!("{}, {}, {} ago, {}", short(&self.last_run), moment(at), self.age_of(at), self.ended()));
        lines.push(labelled("  last run   ", &last.unwrap_or_else(|| "none yet".to_owned())));
        let rows = rows_told(self.outcomes.as_ref());
        if !rows.is_empty() {
            lines.push(labelled("  its rows   ", &Shown(&rows).to_string()));
        }
        let good = self.last_good_run.map(|at| format!("{}, {} ago", moment(at), self.age_of(at)));
        lines.push(labelled("  good run   ", &good.unwrap_or_else(|| "none yet".to_owned())));
        if let Some(open) = &self.open {
            let heard = match (self.open_heard_at, self.open_is_alive) {
                (Some(at), Some(true)) => format!("; alive, heard of {} ago", self.age_of(at)),
                (Some(at), _) => {
                    format!("; gone, last heard of {} ago: the next run takes over after a minute", self.age_of(at))
                }
                _ => String::new(),
            };
            lines.push(labelled("  open       ", &format!("{}{heard}", Shown(open))));
        }
        lines.push(labelled("  sent       ", &count(self.sent, "message")));
        lines.push(labelled("  undecided  ", &count(self.undecided, "message")));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// One whose last run was good.
    fn well() -> LedgerRecord {
        LedgerRecord {
            ledger: "s3://a-bucket/onboard/acme.example.com".to_owned(),
            portal: "https://acme.example.com".to_owned(),
            last_run: "0193a7b2-0000-7000-8000-00001a2b3c4d".to_owned(),
            started_at: Some(at(0)),
            ended_at: Some(at(80)),
            exit_status: Some(0),
            outcomes: Some(serde_json::json!({ "sent": 1_200, "not_active": 2, "failed": 0 })),
            last_good_run: Some(at(80)),
            sent: 12_345,
            now: Some(at(200_000)),
            ..LedgerRecord::default()
        }
    }

    #[test]
    fn what_needs_a_person_comes_first_the_most_urgent_of_it_before_the_rest() {
        let open = |alive| LedgerRecord {
            open: Some("anna@laptop (run), since then".to_owned()),
            open_is_alive: Some(alive),
            exit_status: None,
            undecided: 3,
            ..well()
        };
        let unread = LedgerRecord { fault: Some("it is damaged".to_owned()), ..LedgerRecord::default() };
        let undecided = LedgerRecord { undecided: 2, exit_status: Some(1), ..well() };
        let never = LedgerRecord { last_good_run: None, ..well() };
        let early = LedgerRecord { exit_status: Some(4), ..well() };
        let died = LedgerRecord { exit_status: None, ended_at: None, ..well() };
        let moved = LedgerRecord { standing: Some("it has moved".to_owned()), undecided: 2, ..well() };
        let needs = [
            (unread, Some(Needs::Unread)),
            (open(false), Some(Needs::Gone)),
            (undecided, Some(Needs::Undecided)),
            (never, Some(Needs::NoGoodRun)),
            (early, Some(Needs::LastRunNotGood)),
            (died, Some(Needs::LastRunNotGood)),
            (open(true), None),
            (well(), None),
            (moved, None),
        ];
        let places = needs.map(|(ledger, needs)| {
            assert_eq!(ledger.needs_what(), needs, "{ledger:?}");
            LedgerRecord { needs, ..ledger }.place_in_line()
        });
        assert!(places.is_sorted(), "{places:?}");
        assert!(places[0] < places[1] && places[4] < places[6] && places[7] < places[8], "{places:?}");
    }

    #[test]
    fn ledgers_without_a_good_run_are_found() {
        let good = |last_good_run| LedgerRecord { last_good_run, ..LedgerRecord::default() };
        assert!(good(None).lacks_a_good_run_since(at(10)) && good(Some(at(9))).lacks_a_good_run_since(at(10)));
        assert!(!good(Some(at(10))).lacks_a_good_run_since(at(10)));
        let moved = LedgerRecord { standing: Some("it has moved".to_owned()), ..LedgerRecord::default() };
        assert!(!moved.lacks_a_good_run_since(at(10)));
    }

    #[test]
    fn ledgers_are_told_within_the_width() {
        let gone = LedgerRecord {
            ledger: format!("s3://a-bucket/{}", "p".repeat(90)),
            portal: format!("https://{}.example.com", "a".repeat(80)),
            exit_status: None,
            open: Some("anna@a-machine-with-quite-a-long-name (run rosters/0007-acme.csv), since then".to_owned()),
            open_heard_at: Some(at(80)),
            open_is_alive: Some(false),
            is_last_open: true,
            last_good_run: None,
            undecided: 2,
            needs: Some(Needs::Gone),
            ..well()
        };
        let long = LedgerRecord { portal: format!("https://{}.example.com", "a".repeat(30)), ..well() };
        let moved = LedgerRecord {
            ledger: "s3://a-bucket/onboard/old".to_owned(),
            portal: String::new(),
            standing: Some("the ledger has moved to s3://another-bucket/onboard/acme.example.com".to_owned()),
            ..LedgerRecord::default()
        };
        let ledgers = [gone, well(), long, moved];
        let mut out = Vec::new();
        write_pages(&ledgers, &mut out).expect("written");
        let told = String::from_utf8(out).expect("text");
        assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
        assert!(told.contains("2 d 7 h ago, gone without an end") && told.contains("good run   none yet"), "{told}");
        let line = "\nacme.example.com                    2 d 7 h        0  1,200 sent, 2 not_active\n";
        assert!(told.contains(line) && !told.contains("failed"), "{told}");
        assert!(told.contains("s3://a-bucket/onboard/old: the ledger has moved to\n"), "{told}");
        assert_eq!(
            summary(&ledgers, 1_000),
            "4 of 1,000 ledgers; 1 whose run is gone; 1 without any good run; 1 that no run uses; 2 messages undecided"
        );
    }
}
