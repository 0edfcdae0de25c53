//! Problems of a roster, shown as compilers show theirs: the line, the cell under a caret, what would be right.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::{Columns, Problem, Record, Roster, Row};
use crate::display::{Shown, count};

/// So many problems are shown in full; the rest is counted.
const IN_FULL: usize = 20;
/// GitHub shows so many annotations of one level and step, and drops the others without a word.
const MOST_MARKED: usize = 10;
/// The longest line that is shown whole, in characters; of a longer one only the cell is shown.
const LONGEST_LINE: usize = 160;

/// How problems are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, with colour or without.
    Text {
        /// Whether colour may be used.
        colour: bool,
    },
    /// A JSON object a line.
    Json,
    /// Annotations of GitHub Actions.
    Github,
}

/// Writes every problem of a roster (text: the first ones in full); returns how many rows are bad.
pub fn write(roster: &Roster, path: &str, format: Format, out: &mut dyn Write) -> io::Result<usize> {
    let mut bad = 0;
    let mut groups = HashMap::new();
    roster.for_each(|number, _row: &Row, record, problem| -> io::Result<()> {
        let Some(problem) = problem else { return Ok(()) };
        bad += 1;
        match format {
            Format::Text { colour } if bad <= IN_FULL => {
                writeln!(out, "{}\n", text(&problem, record, roster, path, colour))
            }
            Format::Text { .. } => Ok(()),
            Format::Json => writeln!(out, "{}", json(number, &problem, record, roster.columns())),
            Format::Github => {
                let group = groups.entry((problem.column, problem.kind())).or_insert_with(|| {
                    let at = problem.at.unwrap_or(record.line);
                    Alike { rows: 0, at, column: problem.column, what: problem.with_help() }
                });
                group.rows += 1;
                Ok(())
            }
        }
    })?;
    if let (Format::Text { .. }, more @ 1..) = (format, bad.saturating_sub(IN_FULL)) {
        writeln!(out, "… and {more} more bad row{}", if more == 1 { "" } else { "s" })?;
    }
    let mut groups: Vec<Alike> = groups.into_values().collect();
    groups.sort_by(|one, other| other.rows.cmp(&one.rows).then(one.at.cmp(&other.at)));
    // The last line is for what has none of its own.
    let shown = if groups.len() > MOST_MARKED { MOST_MARKED - 1 } else { groups.len() };
    let (told, counted) = groups.split_at_checked(shown).unwrap_or((&groups, &[]));
    for group in told {
        writeln!(out, "{}", github(group, roster.columns(), path))?;
    }
    if !counted.is_empty() {
        let rows: u64 = counted.iter().map(|group| group.rows).sum();
        let what =
            format!("{} with other problems: `onboard check` without --format tells each", count(rows, "bad row"));
        writeln!(out, "::error file={},title=roster::{}", property(path), message(&what))?;
    }
    Ok(bad)
}

/// Rows that have one problem.
struct Alike {
    rows: u64,
    /// The line of the first of them.
    at: u64,
    column: Option<usize>,
    /// In the words of the first of them.
    what: String,
}

/// A problem under a picture of its line.
fn text(problem: &Problem, record: &Record, roster: &Roster, path: &str, colour: bool) -> String {
    let (mut line, mut span) = picture(record, problem.column, roster.delimiter());
    if line.chars().count() > LONGEST_LINE {
        line = line.get(span.clone()).unwrap_or_default().to_owned();
        span = 0..line.len();
    }
    let mut title = problem.what.clone();
    if let Some(name) = problem.column.and_then(|column| roster.columns().names.get(column)) {
        title = format!("column {}: {title}", Shown(name));
    }
    let label = problem.help.clone().unwrap_or_default();
    let annotation = AnnotationKind::Primary.span(span).label(label);
    let number = usize::try_from(problem.at.unwrap_or(record.line)).unwrap_or(usize::MAX);
    let snippet = Snippet::source(line.as_str()).line_start(number).annotation(annotation);
    let title = Level::ERROR.primary_title(title.as_str());
    // A sheet has cells rather than lines and columns of characters.
    let report = if roster.columns().sheet.is_some() {
        let place = roster.columns().place(problem.at.unwrap_or(record.line), problem.column);
        [title.element(Origin::path(format!("{path}, {}", Shown(&place)))).element(snippet)]
    } else {
        [title.element(snippet.path(path))]
    };
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&report)
}

/// The record as a line of text, safe to show, and where the cell stands in it (the whole line without one).
fn picture(record: &Record, column: Option<usize>, delimiter: char) -> (String, std::ops::Range<usize>) {
    let mut line = String::new();
    let mut span = None;
    for (number, cell) in record.cells().enumerate() {
        if number > 0 {
            line.push(if delimiter == '\t' { ' ' } else { delimiter });
        }
        let start = line.len();
        line.push_str(&Shown(cell).to_string());
        if Some(number) == column {
            // An empty cell still gets its caret.
            span = Some(start..line.len().max(start + 1));
        }
    }
    if let Some(span) = &span
        && line.len() < span.end
    {
        line.push(' ');
    }
    let whole = 0..line.len();
    (line, span.unwrap_or(whole))
}

fn json(number: usize, problem: &Problem, record: &Record, columns: &Columns) -> serde_json::Value {
    let name = problem.column.and_then(|column| columns.names.get(column));
    let mut json = serde_json::json!({
        "row": number + 1,
        "line": problem.at.unwrap_or(record.line),
        "column": name.map(|name| Shown(name).to_string()),
        "cell": problem.column.map(|column| Shown(record.cell(column)).to_string()),
        "message": problem.what,
        "help": problem.help,
    });
    if columns.sheet.is_some()
        && let Some(fields) = json.as_object_mut()
    {
        let place = columns.place(problem.at.unwrap_or(record.line), problem.column);
        fields.insert("at".to_owned(), Shown(&place).to_string().into());
    }
    json
}

fn github(group: &Alike, columns: &Columns, path: &str) -> String {
    let name = group.column.and_then(|column| columns.names.get(column)).map_or("row", String::as_str);
    let rows = if group.rows > 1 { format!("{}, the first here: ", count(group.rows, "row")) } else { String::new() };
    let place = columns.sheet.as_ref().map(|_| format!("{}: ", Shown(&columns.place(group.at, group.column))));
    let place = place.unwrap_or_default();
    format!(
        "::error file={},line={},title={}::{}",
        property(path),
        group.at,
        property(&format!("roster, column {}", Shown(name))),
        message(&format!("{rows}{place}{}", group.what))
    )
}

/// A message of a workflow command.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
