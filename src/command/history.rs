//! `onboard history`: what the ledger knows, of runs, of users, or of one user.

use std::io::{self, IsTerminal, Write};

use anyhow::bail;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use jiff::Timestamp;

use crate::{
    cli::{HistoryArgs, HistoryFormat},
    display::{Shown, moment, shown_path},
    ledger::{AttemptRecord, Ledger, RunRecord, UserRecord},
    origin::PortalAddress,
    place,
    sheet::neutralise,
    user::{Email, UserId},
};

pub(super) fn execute(args: &HistoryArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let origin = args.portal.as_ref().map(PortalAddress::origin);
    let place = place::place(args.ledger.as_deref(), origin.as_ref())?;
    let path = place.as_file()?;
    if !path.exists() {
        bail!("there is no ledger at {}: nothing was recorded yet (or name another with --ledger)", shown_path(path));
    }
    let ledger = Ledger::look(path)?;
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
