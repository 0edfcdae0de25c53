//! One row: from cells to a user, an address and a type, or to what is wrong with it.

use std::borrow::Cow;

use super::{
    address,
    header::Columns,
    records::{Quote, Record},
    sheet_cell::{Kind, letters},
    swallowed,
    text::{MAX_CELL, is_blank, is_rounded, shown_by_formula, spreadsheets_doing, trimmed, unquoted, visible},
};
use crate::{
    display::{Shown, is_plain},
    sheet::denature,
    user::{Email, EmployeeType, UserId},
};

/// The longest congratulation key of a row, in bytes: a portal takes request lines up to 8 KiB.
const MAX_KEY: usize = 4096;

/// What a usable row says.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) user: Option<UserId>,
    pub(super) email: Option<Email>,
    pub(super) employee_type: EmployeeType,
    pub(super) key: Option<String>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The physical line, where it is not the one on which the row begins.
    pub at: Option<u64>,
    /// The column, where it is one cell's.
    pub column: Option<usize>,
    /// What is wrong, as part of a sentence.
    pub what: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Problem {
    fn cell(column: usize, what: impl Into<String>, help: Option<String>) -> Self {
        Self { at: None, column: Some(column), what: what.into(), help }
    }

    fn row(what: impl Into<String>, help: Option<String>) -> Self {
        Self { at: None, column: None, what: what.into(), help }
    }

    /// The problem without its place, for a cell beside it.
    pub(super) fn brief(&self, columns: &Columns) -> String {
        let mut text = self.what.clone();
        if let Some(name) = self.column.and_then(|column| columns.names.get(column)) {
            text = format!("{}: {text}", Shown(name));
        }
        match &self.help {
            Some(help) => format!("{text}; {help}"),
            None => text,
        }
    }

    /// The problem in one line: `line 7, column employee_type: …; did you mean …?`.
    pub fn line(&self, line: u64, columns: &Columns) -> String {
        let mut text = columns.place(self.at.unwrap_or(line), self.column);
        if let Some(name) = self.column.and_then(|column| columns.names.get(column)) {
            text = format!("{text}, column {}", Shown(name));
        }
        format!("{text}: {}", self.with_help())
    }

    /// What is wrong, and what would be right.
    pub fn with_help(&self) -> String {
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}{help}", self.what)
    }

    /// What is wrong, without the value that is wrong.
    pub fn kind(&self) -> String {
        // Every second piece stands between backticks.
        self.what.split('`').step_by(2).collect::<Vec<_>>().join("`")
    }
}

/// Reads a record.
pub(super) fn parse(record: &Record, columns: &Columns) -> Result<Parsed, Problem> {
    if record.too_large {
        return Err(too_large(record));
    }
    if let Some(problem) = misquoted(record, columns) {
        return Err(problem);
    }
    let expected = columns.names.len();
    if columns.sheet.is_some() {
        // In a sheet nothing is moved by a cell too many: it stands beside the table.
        if let Some(beyond) = beyond(record, columns).filter(|_| record.cells().take(expected).all(is_blank)) {
            let what = format!("the row has nothing below the header, but something in column {}", letters(beyond));
            return Err(Problem::row(what, Some("empty that cell, or fill the row in".into())));
        }
    } else if record.cells().skip(expected).any(|cell| !trimmed(cell).is_empty()) {
        let what = format!("the row has {} cells, the header {expected}", record.width());
        return Err(Problem::row(what, Some("does a cell with a separator lack its quotes?".into())));
    }
    // Cells that are left out at a row's end are empty; some programs write no separators there.
    let is_there = |column: Option<usize>| column.is_some_and(|column| column < record.width());
    let has_user = is_there(columns.user_id) || is_there(columns.email);
    if record.width() < expected && !(has_user && (is_there(columns.employee_type) || columns.employee_type.is_none()))
    {
        let what = format!("the row has {} cells, the header {expected}", record.width());
        return Err(Problem::row(what, Some("is a separator missing?".into())));
    }
    if let Some((column, _)) =
        (0..record.width()).map(|column| (column, record.size(column))).find(|(_, size)| *size > MAX_CELL)
    {
        return Err(Problem::cell(
            column,
            "the cell is too large to be read",
            Some("a cell holds at most 64 KiB".into()),
        ));
    }
    let needed = [columns.user_id, columns.email, columns.employee_type, columns.key];
    if let Some(column) = record.reread.iter().find(|column| needed.contains(&Some(**column))) {
        let help = "save the file as UTF-8, or mend this cell";
        return Err(Problem::cell(
            *column,
            "the cell holds bytes that are no UTF-8, as the rest is",
            Some(help.into()),
        ));
    }
    if let Some(problem) = needed.into_iter().flatten().find_map(|column| no_text(record, column, columns)) {
        return Err(problem);
    }
    let cell = |column: Option<usize>| column.map(|column| (column, clean(record.cell(column), columns)));
    let (user_cell, email_cell) = (cell(columns.user_id), cell(columns.email));
    let (type_cell, key_cell) = (cell(columns.employee_type), cell(columns.key));
    let user = user(borrowed(user_cell.as_ref()), columns.email.is_some())?;
    let email = email(borrowed(email_cell.as_ref()))?;
    if user.is_none() && email.is_none() {
        let column = columns.user_id.or(columns.email).unwrap_or_default();
        return Err(Problem::cell(
            column,
            "the cell is empty",
            Some("a user id or an e-mail address is needed".into()),
        ));
    }
    let employee_type = match (columns.employee_type, columns.reading.employee_type) {
        (None, Some(everybodys)) => everybodys,
        _ => employee_type(borrowed(type_cell.as_ref()), columns)?,
    };
    let key = key(borrowed(key_cell.as_ref()))?;
    Ok(Parsed { user, email, employee_type, key })
}

fn too_large(record: &Record) -> Problem {
    let most = "a row holds at most 1 MiB and 16384 cells";
    if record.last_line == record.line {
        return Problem::row("the row is too large to be read", Some(most.into()));
    }
    let what = format!(
        "the row is too large to be read: a quote keeps lines {} to {} together",
        record.line, record.last_line
    );
    Problem::row(what, Some(format!("close the quote where its cell ends, or double it if it is meant; {most}")))
}

/// The first column beyond the header in which a row of a sheet has something.
pub(super) fn beyond(record: &Record, columns: &Columns) -> Option<usize> {
    let expected = columns.names.len();
    columns.sheet.as_ref()?;
    (expected..record.width()).find(|column| !is_blank(record.cell(*column)))
}

/// Whether a cell of a sheet is no text of its own: then nobody may be told by it.
pub(super) fn is_no_text(record: &Record, column: usize, columns: &Columns) -> bool {
    columns.sheet.is_some() && no_text(record, column, columns).is_some()
}

/// A cell of a sheet in which there is no text, but what a spreadsheet has made of it.
fn no_text(record: &Record, column: usize, columns: &Columns) -> Option<Problem> {
    let is_key = columns.key == Some(column);
    let shown = if is_key { String::new() } else { format!(" `{}`", Shown(record.cell(column))) };
    let again = "format the column as text, then put the value in again";
    let Some((_, kind)) = record.kinds.iter().find(|(place, _)| *place == column) else {
        let (_, merged) = columns.merged.iter().find(|(place, _)| *place == column)?;
        let [first, last] = merged.region(record.line, column)?;
        let cell = |(row, column)| format!("{}{row}", letters(column));
        // Whether the value of the first is meant for the others, only a person knows.
        let what = if first == (record.line, column) {
            format!("the cell is merged with those up to {}, so whose value it is cannot be told", cell(last))
        } else {
            format!("the cell is merged with {}, which alone has the value", cell(first))
        };
        return Some(Problem::cell(column, what, Some("unmerge the cells and put the value into each".to_owned())));
    };
    let (what, help) = match kind {
        Kind::Number => (format!("the cell holds the number{shown}, and no text"), again),
        Kind::Date => (format!("the cell holds the date{shown}, and no text"), again),
        Kind::Truth => (format!("the cell holds the truth value{shown}, and no text"), again),
        Kind::Error => (format!("the cell holds the error{shown}"), "put the value in again, as text"),
        Kind::Formula => (
            "the cell's formula has no stored value".to_owned(),
            "open the workbook in Excel and save it, or put the value in as text",
        ),
    };
    Some(Problem::cell(column, what, Some(help.to_owned())))
}

/// Quotes that stand where they cannot be meant.
pub(super) fn misquoted(record: &Record, columns: &Columns) -> Option<Problem> {
    let swallowed = swallowed::rows(record, columns);
    let trailing = record.trailing;
    let Quote { column, opens, closes } = swallowed.as_ref().map(|swallowed| swallowed.quote).or(trailing)?;
    let mut what = match &swallowed {
        Some(swallowed) => format!(
            "the quote that opens here takes in {}, and what looks like rows of their own (line {})",
            if closes == opens + 1 { format!("line {closes}") } else { format!("lines {} to {closes}", opens + 1) },
            swallowed.lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ),
        None if closes > opens => format!("the quote that opens here closes on line {closes}"),
        None => "the cell stands in quotes".to_owned(),
    };
    if let Some(trailing) = trailing {
        let place =
            if trailing.closes == record.line { String::new() } else { format!(" on line {}", trailing.closes) };
        what = format!("{what}, and there is text after the closing quote{place}");
    }
    let help = "remove the quote; where it is meant, double it and put quotes around the cell";
    Some(Problem { at: Some(opens), ..Problem::cell(column, what, Some(help.to_owned())) })
}

/// A cell without blanks around it, without the mark that keeps spreadsheets from running it, and without the formula
/// that keeps them from reading it as a number.
pub(super) fn clean<'a>(cell: &'a str, columns: &Columns) -> Cow<'a, str> {
    let cell = if columns.results.is_some() { denature(cell) } else { cell };
    match shown_by_formula(trimmed(cell)) {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) => Cow::Owned(trimmed(&text).to_owned()),
    }
}

fn borrowed<'a>(cell: Option<&'a (usize, Cow<'_, str>)>) -> Cell<'a> {
    cell.map(|(column, text)| (*column, text.as_ref()))
}

/// A cell in which a spreadsheet has put something else than was typed.
fn spoilt(column: usize, text: &str, what: &str) -> Option<Problem> {
    let became = spreadsheets_doing(text)?;
    Some(Problem::cell(
        column,
        format!("`{}` is no {what}: a spreadsheet has turned it into {became}", Shown(text)),
        Some("format the column as text, then put the value in again".to_owned()),
    ))
}

type Cell<'a> = Option<(usize, &'a str)>;

fn user(cell: Cell<'_>, may_be_empty: bool) -> Result<Option<UserId>, Problem> {
    let Some((column, text)) = cell else { return Ok(None) };
    if text.is_empty() && may_be_empty {
        return Ok(None);
    }
    if text.is_empty() {
        return Err(Problem::cell(column, "the cell is empty", Some("a user id is needed".into())));
    }
    // Thirty-two digits are a GUID, but not where a spreadsheet has counted them.
    if is_rounded(text)
        && let Some(problem) = spoilt(column, text, "user id")
    {
        return Err(problem);
    }
    let id: UserId = text.parse().or_else(|_as_it_stands| unquoted(&visible(text)).parse()).map_err(|_not_a_guid| {
        if let Some(problem) = spoilt(column, text, "user id") {
            return problem;
        }
        let help = if text.contains('@') {
            "an e-mail address belongs into a column `email`".to_owned()
        } else {
            "a user id looks like 5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10".to_owned()
        };
        Problem::cell(column, format!("`{}` is no user id", Shown(text)), Some(help))
    })?;
    if id.is_nobody() {
        let help = "the portal has this id for nobody; look the user up".to_owned();
        return Err(Problem::cell(column, format!("`{id}` is not a person"), Some(help)));
    }
    Ok(Some(id))
}

fn email(cell: Cell<'_>) -> Result<Option<Email>, Problem> {
    let Some((column, text)) = cell.filter(|(_, text)| !text.is_empty()) else { return Ok(None) };
    address::read(text).map(Some).map_err(|no_address| {
        spoilt(column, text, "e-mail address").unwrap_or_else(|| {
            let help = no_address.meant.map(|meant| format!("is `{}` meant?", Shown(meant.as_str())));
            Problem::cell(column, format!("`{}` is no e-mail address", Shown(text)), help)
        })
    })
}

/// What a cell says of a type, without what is not meant.
fn employee_type(cell: Cell<'_>, columns: &Columns) -> Result<EmployeeType, Problem> {
    let all = "one of Guest, User, RoomAdmin, DocSpaceAdmin";
    let Some((column, text)) = cell else { return Err(Problem::row("the employee type is missing", Some(all.into()))) };
    if text.is_empty() {
        return Err(Problem::cell(column, "the cell is empty", Some(format!("an employee type is needed: {all}"))));
    }
    let (seen, reading) = (visible(text), &columns.reading);
    let said =
        || text.parse().ok().or_else(|| unquoted(&seen).parse().ok()).or_else(|| reading.type_of(unquoted(&seen)));
    said().ok_or_else(|| {
        // A number is no spreadsheet's doing: it is how a portal has the type.
        if let Some(problem) = spoilt(column, text, "employee type").filter(|_| text.starts_with('#')) {
            return problem;
        }
        let lower = text.to_lowercase();
        let near = EmployeeType::ALL
            .into_iter()
            .map(|kind| (strsim::jaro_winkler(&kind.as_str().to_lowercase(), &lower), kind))
            .filter(|(likeness, _)| *likeness > 0.75)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let help = near.map_or_else(|| all.to_owned(), |(_, kind)| format!("did you mean `{kind}`?"));
        Problem::cell(column, format!("`{}` is no employee type", Shown(text)), Some(help))
    })
}

/// The key is not shown: it may be a secret.
fn key(cell: Cell<'_>) -> Result<Option<String>, Problem> {
    let Some((column, text)) = cell.filter(|(_, text)| !text.is_empty()) else { return Ok(None) };
    if text.len() > MAX_KEY {
        return Err(Problem::cell(column, format!("the key is longer than {MAX_KEY} bytes"), None));
    }
    if !text.chars().all(|c| is_plain(c) && c != '\u{fffd}') {
        return Err(Problem::cell(column, "the key holds characters that cannot be printed", None));
    }
    Ok(Some(text.to_owned()))
}
