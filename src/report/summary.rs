//! The closing summary: how the rows ended, what it took, what needs a person, and the command to go on with.

use std::{collections::HashMap, fmt::Write as _, path::Path, time::Duration};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;

use super::traffic::{Class, Traffic};
use crate::{
    attempt::{Carrier, Mail},
    code::Code,
    display::{Grouped, Span, count, shell_word, shown_path, wrapped},
    mail,
    outcome::{Outcome, Tally},
    seal::Seal,
};

/// So many reasons are told on the terminal; the rest is counted.
const REASONS: usize = 8;

/// So many rows of a group are named where people are.
const NAMED: usize = 10;

/// Rows that ended alike and need a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    /// How they ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// The stable name of why, where it is known.
    pub code: Option<Code>,
    /// How many.
    pub rows: u64,
    /// One of them, from 1.
    pub example: u64,
    /// Where that one is in a workbook, as Excel has it.
    pub cell: Option<String>,
    /// The first of them, from 1: as many as are named one by one.
    pub first: Vec<u64>,
    /// Whether running again may help.
    pub again: bool,
}

impl Attention {
    /// The row that is named: its number among the rows of the roster, and where Excel has it.
    pub fn such_as(&self) -> String {
        self.cell.as_ref().map_or_else(|| self.example.to_string(), |cell| format!("{} ({cell})", self.example))
    }
}

/// What rows have in common that are told together.
type Alike = (Outcome, String, Option<Code>);

/// Adds one more row of a group to those that are named, unless they are enough.
pub(super) fn name(first: &mut Vec<u64>, row: u64) {
    if first.len() < NAMED {
        first.push(row);
    }
}

/// Collects rows that need a person, by reason.
#[derive(Debug, Default)]
pub struct Reasons(HashMap<Alike, Group>);

#[derive(Debug, Default)]
struct Group {
    rows: u64,
    first: Vec<u64>,
    again: bool,
}

impl Reasons {
    /// One more row (from 0), and whether running again may help it; rows are told in their order.
    pub fn add(&mut self, row: usize, outcome: Outcome, reason: String, code: Option<Code>, again: bool) {
        let group = self.0.entry((outcome, reason, code)).or_insert(Group { again, ..Group::default() });
        group.rows += 1;
        name(&mut group.first, row as u64 + 1);
    }

    /// The groups, those of most rows first.
    pub fn grouped(self) -> Vec<Attention> {
        let group = |((outcome, reason, code), Group { rows, first, again })| Attention {
            outcome,
            reason,
            code,
            rows,
            cell: None,
            example: first.first().copied().unwrap_or_default(),
            first,
            again,
        };
        let mut groups: Vec<Attention> = self.0.into_iter().map(group).collect();
        groups.sort_by(|one, other| other.rows.cmp(&one.rows).then(one.example.cmp(&other.example)));
        groups
    }
}

/// A run, once it is over.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Which mail was sent.
    pub mail: Mail,
    /// Who carried it.
    pub carrier: Carrier,
    /// The run's id.
    pub run: String,
    /// The portal's origin, or what stands for it.
    pub portal: String,
    /// The roster's name.
    pub roster: String,
    /// Where the results are; none on standard output.
    pub results: Option<String>,
    /// Where the record is; none where it was thrown away.
    pub ledger: Option<String>,
    /// Where the record stands at the end.
    pub seal: Option<Seal>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// All rows of the roster.
    pub rows: u64,
    /// Rows by outcome.
    pub outcomes: Tally,
    /// Rows that were left as they were.
    pub carried_over: u64,
    /// Valid rows without their link.
    pub without_link: u64,
    /// What went over the wire.
    pub traffic: Traffic,
    /// Requests that the window admits, and the window.
    pub rate: String,
    /// The exit status.
    pub exit_status: u8,
    /// To how many people it would have been sent, where this was a dry run: it was sent to nobody.
    pub would_send: Option<u64>,
    /// Why the run ended before its rows did, and what can be done: a paragraph.
    pub stopped: Option<String>,
    /// The stable name of it.
    pub stopped_code: Option<Code>,
    /// What needs a person, most rows first.
    pub attention: Vec<Attention>,
    /// The command to go on with, where there is anything left.
    pub go_on: Option<String>,
}

impl Summary {
    /// The summary as people read it on a terminal of this width.
    pub fn text(&self, width: u16) -> String {
        let mut text = format!("{}\n", self.table(width));
        if let Some(dry) = self.dry_run() {
            let _infallible = write!(text, "\n{}\n", wrapped(&dry, usize::from(width), ""));
        }
        if let Some(stopped) = &self.stopped {
            // Writing to a string cannot fail; so everywhere below.
            let _infallible = write!(text, "\n{}\n", wrapped(stopped, usize::from(width), ""));
        }
        self.write_attention(&mut text, usize::from(width));
        let _infallible = write!(text, "\n{}", self.places());
        if let Some(command) = &self.go_on {
            let _infallible = writeln!(text, "go on    {command}");
        }
        text
    }

    /// What is said of a dry run before all else.
    pub fn dry_run(&self) -> Option<String> {
        let mails = count(self.would_send?, self.mail.noun());
        Some(format!("A dry run: nothing was sent. A run would send {mails} now."))
    }

    /// Only what went wrong.
    pub fn brief(&self) -> String {
        let counts: Vec<String> = self
            .outcomes
            .occurred()
            .map(|(outcome, rows)| format!("{} {}", Grouped(rows), mail::word(self.mail, outcome)))
            .collect();
        match &self.stopped {
            Some(stopped) => format!("{}\n{stopped}", counts.join(", ")),
            None => counts.join(", "),
        }
    }

    fn table(&self, width: u16) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width.clamp(40, 100));
        table.set_header(["outcome", "rows", "meaning"]);
        for (outcome, rows) in self.outcomes.occurred() {
            let meaning = match (self.would_send, outcome) {
                (Some(all), Outcome::NotAttempted) if all == rows => "would be sent".to_owned(),
                (Some(some), Outcome::NotAttempted) if some > 0 => {
                    format!("{} would be sent; the others were not reached", Grouped(some))
                }
                _ => mail::meaning(self.mail, Some(self.carrier), outcome).to_owned(),
            };
            table.add_row([mail::word(self.mail, outcome).to_owned(), Grouped(rows).to_string(), meaning]);
        }
        if self.carried_over > 0 {
            table.add_row([
                "carried over".to_owned(),
                Grouped(self.carried_over).to_string(),
                "left as they were (--only)".to_owned(),
            ]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn write_attention(&self, text: &mut String, width: usize) {
        if self.attention.is_empty() {
            return;
        }
        text.push_str("\nNeeds a person\n");
        for group in self.attention.iter().take(REASONS) {
            let rows = count(group.rows, "row");
            let head = format!(
                "  {} {}, such as row {}: {}",
                rows,
                mail::word(self.mail, group.outcome),
                group.such_as(),
                group.reason
            );
            text.push_str(&wrapped(&head, width, "    "));
            text.push('\n');
            if let Some(next) = next_step(group, &self.roster) {
                text.push_str(&wrapped(&format!("    next: {next}"), width, "    "));
                text.push('\n');
            }
        }
        let more: u64 = self.attention.iter().skip(REASONS).map(|group| group.rows).sum();
        if more > 0 {
            let _infallible = writeln!(
                text,
                "  … and {} with other reasons: see the column detail of the results",
                count(more, "row")
            );
        }
    }

    fn places(&self) -> String {
        let mut kinds = Vec::new();
        for class in Class::ALL {
            let counts = self.traffic.class(class);
            if counts.sent > 0 && class != Class::Mail {
                kinds.push(count(counts.sent, class.as_str()));
            }
        }
        let requests = match (self.traffic.sent(), kinds.is_empty()) {
            (sent, false) => format!("{} ({})", count(sent, "request"), kinds.join(", ")),
            (sent, true) => count(sent, "request"),
        };
        let mails = match self.traffic.mails() {
            0 => String::new(),
            mails => format!("; {}", count(mails, "mail")),
        };
        let mut text = format!("took     {}, {requests}, {} refused{mails}\n", Span(self.took), self.traffic.refused());
        let _infallible = writeln!(text, "results  {}", place(self.results.as_deref(), "standard output"));
        let _infallible =
            writeln!(text, "ledger   {}", place(self.ledger.as_deref(), "thrown away with the embedded portal"));
        text
    }
}

/// A path for people, or what stands where there is none.
fn place(path: Option<&str>, none: &str) -> String {
    path.map_or_else(|| none.to_owned(), |path| shown_path(Path::new(path)))
}

/// What to do about rows that ended so, where the reason does not say it itself.
fn next_step(group: &Attention, roster: &str) -> Option<String> {
    match group.outcome {
        // What the portal said about the user it will say again.
        Outcome::Failed if !group.again => None,
        Outcome::Failed => Some("run again; what is settled is not done again".to_owned()),
        Outcome::Invalid => Some(format!("mend the roster; `onboard check {}` shows each cell", shell_word(roster))),
        Outcome::Sent
        | Outcome::AlreadySent
        | Outcome::NotActive
        | Outcome::Rejected
        | Outcome::Unknown
        | Outcome::NotAttempted
        | Outcome::Duplicate => None,
    }
}
