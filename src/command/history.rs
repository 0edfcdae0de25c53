//! `onboard history`: what the ledger knows, of runs, of users, or of one user.

use std::io::{self, IsTerminal, Write};

use anyhow::bail;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use jiff::Timestamp;

use crate::{
    cli::{HistoryArgs, HistoryFormat},
    display::{Shown, moment, shown_path},
    environment::Environment,
    ledger::{AttemptRecord, Ledger, RunRecord, UserRecord, places},
    origin::PortalAddress,
    place::{self, Asked, Place},
    sheet::neutralise,
    user::{Email, UserId},
};

pub(super) fn execute(args: &HistoryArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let origin = args.portal.as_ref().map(PortalAddress::origin);
    let environment = Environment::of_process();
    let place = match place::asked(args.ledger.as_deref(), origin.as_ref())? {
        Asked::One(place) => place,
        Asked::All(place) => return of_all(&place, &environment, args.format, out),
    };
    if let Place::File(path) = &place
        && !path.exists()
    {
        bail!("there is no ledger at {}: nothing was recorded yet (or name another with --ledger)", shown_path(path));
    }
    let ledger = places::look(&place, &environment, |_| {})?;
    let portal = origin.map(|origin| origin.to_string());
    let wanted = |origin: &str| portal.as_deref().is_none_or(|portal| portal == origin);
    match &args.user {
        Some(text) => {
            let mut story = story(text, &ledger)?;
            story.retain(|attempt| wanted(&attempt.portal));
            write(args.format, &story, out)?;
            if story.is_empty() && args.format == HistoryFormat::Table {
                writeln!(out, "the ledger knows nothing of {}", Shown(text))?;
            }
        }
        None if args.users => {
            let mut users = ledger.users()?;
            users.retain(|user| wanted(&user.portal));
            write(args.format, &users, out)?;
        }
        None => {
            let mut runs = ledger.runs()?;
            runs.retain(|run| wanted(&run.portal));
            write(args.format, &runs, out)?;
        }
    }
    Ok(0)
}

/// One line a ledger: its last run, who writes it, what is undecided.
fn of_all(
    place: &Place,
    environment: &Environment,
    format: HistoryFormat,
    out: &mut dyn Write,
) -> Result<u8, anyhow::Error> {
    let mut lines = Vec::new();
    for place in places::below(place, environment)? {
        let ledger = places::look(&place, environment, |_| {})?;
        let overview = ledger.overview()?;
        let last = ledger.runs()?.into_iter().max_by_key(|run| run.started_at);
        let (run, portal, exit) = match last {
            Some(run) => (run.run, run.portal, run.exit_status),
            None => (String::new(), ledger.origins()?.join(", "), None),
        };
        lines.push(LedgerRecord {
            ledger: ledger.name(),
            portal,
            last_run: run,
            started_at: overview.last_run,
            exit_status: exit,
            open: ledger.holding_session()?.map(|holding| holding.to_string()),
            sent: overview.sent,
            undecided: overview.undecided,
        });
    }
    if lines.is_empty() && format == HistoryFormat::Table {
        writeln!(out, "there are no ledgers below {}", place.name())?;
    }
    write(format, &lines, out)?;
    Ok(0)
}

/// A ledger among several.
#[derive(Debug, serde::Serialize)]
struct LedgerRecord {
    ledger: String,
    portal: String,
    last_run: String,
    started_at: Option<Timestamp>,
    exit_status: Option<i64>,
    open: Option<String>,
    sent: u64,
    undecided: u64,
}

impl Line for LedgerRecord {
    const HEADER: &'static [&'static str] =
        &["ledger", "portal", "run", "started", "exit", "open", "sent", "undecided"];

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
        ]
    }

    fn run(&self) -> &str {
        &self.last_run
    }
}

/// What could be a run or a user is a run first.
fn story(text: &str, ledger: &Ledger) -> Result<Vec<AttemptRecord>, anyhow::Error> {
    if let Some(digits) = run_digits(text) {
        match ledger.runs_named(&digits)?.as_slice() {
            [] => {}
            [only] => return Ok(ledger.attempts_of(only)?),
            several => bail!("`{}` names several runs; give one of: {}", Shown(text), several.join(", ")),
        }
    }
    if let Ok(id) = text.parse::<UserId>() {
        return Ok(ledger.story(id)?);
    }
    match text.parse::<Email>() {
        Ok(email) => Ok(ledger.story_by_email(email.digest())?),
        Err(_) => bail!("`{}` is neither a run, nor a user id, nor an e-mail address", Shown(text)),
    }
}

/// The text as a run's id, or as a short one: its last 8 digits.
fn run_digits(text: &str) -> Option<String> {
    let is_short = text.len() == SHORT && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = if is_short { Some(text.to_owned()) } else { text.parse::<UserId>().ok().map(|id| id.to_string()) };
    digits.map(|digits| digits.to_ascii_lowercase())
}

/// The digits of a short id.
const SHORT: usize = 8;

/// A run's id as a table shows it.
fn short(run: &str) -> String {
    let from = run.len().saturating_sub(SHORT);
    run.get(from..).unwrap_or(run).to_owned()
}

/// A record as a line of a table.
trait Line: serde::Serialize {
    const HEADER: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
    /// Its run.
    fn run(&self) -> &str;
}

fn optional(at: Option<Timestamp>) -> String {
    at.map(moment).unwrap_or_default()
}

impl Line for RunRecord {
    const HEADER: &'static [&'static str] =
        &["run", "portal", "command", "roster", "rows", "who", "started", "ended", "exit", "outcomes"];

    fn cells(&self) -> Vec<String> {
        let outcomes = self.outcomes.as_ref().and_then(serde_json::Value::as_object).map(|outcomes| {
            let told: Vec<String> = outcomes.iter().map(|(outcome, rows)| format!("{rows} {outcome}")).collect();
            told.join(", ")
        });
        vec![
            self.run.clone(),
            self.portal.clone(),
            self.command.clone(),
            self.roster.clone(),
            self.rows.to_string(),
            self.who.clone(),
            moment(self.started_at),
            self.ended_at.map_or_else(|| "still running, or killed".to_owned(), moment),
            self.exit_status.map(|status| status.to_string()).unwrap_or_default(),
            outcomes.unwrap_or_default(),
        ]
    }

    fn run(&self) -> &str {
        &self.run
    }
}

impl Line for UserRecord {
    const HEADER: &'static [&'static str] = &["portal", "user_id", "state", "at", "run", "attempts"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.portal.clone(),
            match (&self.user_id, &self.address) {
                (Some(user), _) => user.clone(),
                (None, address) => format!("{} {}", self.mail, address.as_deref().unwrap_or_default()),
            },
            self.state.clone(),
            moment(self.at),
            self.run.clone(),
            self.attempts.to_string(),
        ]
    }

    fn run(&self) -> &str {
        &self.run
    }
}

impl Line for AttemptRecord {
    const HEADER: &'static [&'static str] =
        &["mail", "portal", "user_id", "began", "state", "ended", "run", "reason", "decision", "by", "decided"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.mail.to_owned(),
            self.portal.clone(),
            self.user_id.clone().unwrap_or_default(),
            moment(self.began_at),
            self.state.clone(),
            optional(self.ended_at),
            self.run.clone(),
            self.reason.clone().unwrap_or_default(),
            self.decision.clone().unwrap_or_default(),
            self.decided_by.clone().unwrap_or_default(),
            optional(self.decided_at),
        ]
    }

    fn run(&self) -> &str {
        &self.run
    }
}

fn write<L: Line>(format: HistoryFormat, lines: &[L], out: &mut dyn Write) -> Result<(), anyhow::Error> {
    match format {
        HistoryFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, lines)?;
            writeln!(out)?;
        }
        HistoryFormat::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(L::HEADER)?;
            for line in lines {
                for cell in line.cells() {
                    writer.write_field(neutralise(&cell).as_bytes())?;
                }
                writer.write_record(None::<&[u8]>)?;
            }
            writer.flush()?;
        }
        HistoryFormat::Table if lines.is_empty() => {}
        HistoryFormat::Table => {
            let mut table = Table::new();
            table.load_style(presets::NOTHING).set_header(L::HEADER.iter().copied());
            // On a terminal it is fitted to its width; elsewhere a line stays a line.
            if io::stdout().is_terminal() {
                table.set_content_arrangement(ContentArrangement::Dynamic);
            }
            // What is copied from here is not broken over lines.
            for whole in ["run", "user_id"] {
                let column = L::HEADER.iter().position(|name| *name == whole).and_then(|place| table.column_mut(place));
                if let Some(column) = column {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
            for line in lines {
                let cells = line.cells().into_iter().map(|cell| if cell == line.run() { short(&cell) } else { cell });
                table.add_row(cells.map(|cell| Shown(&cell).to_string()));
            }
            writeln!(out, "{table}")?;
        }
    }
    Ok(())
}
