//! One row: from cells to a user, an address and a type, or to what is wrong with it.

use super::{
    header::Columns,
    records::{MAX_CELL, Record},
};
use crate::{
    display::{Shown, is_plain},
    sheet::denature,
    user::{Email, EmployeeType, UserId},
};

/// The longest congratulation key of a row, in bytes: a portal takes request lines up to 8 KiB.
pub(super) const MAX_KEY: usize = 4096;

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
    /// The column, where it is one cell's.
    pub column: Option<usize>,
    /// What is wrong, as part of a sentence.
    pub what: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Problem {
    fn cell(column: usize, what: impl Into<String>, help: Option<String>) -> Self {
        Self { column: Some(column), what: what.into(), help }
    }

    fn row(what: impl Into<String>, help: Option<String>) -> Self {
        Self { column: None, what: what.into(), help }
    }

    /// The problem in one line: `line 7, column employee_type: …; did you mean …?`.
    pub fn line(&self, line: u64, columns: &Columns) -> String {
        let mut text = format!("line {line}");
        if let Some(name) = self.column.and_then(|column| columns.names.get(column)) {
            text = format!("{text}, column {}", Shown(name));
        }
        text = format!("{text}: {}", self.what);
        match &self.help {
            Some(help) => format!("{text}; {help}"),
            None => text,
        }
    }
}

/// Reads a record.
pub(super) fn parse(record: &Record, columns: &Columns) -> Result<Parsed, Problem> {
    if record.too_large {
        return Err(Problem::row(
            "the row is too large to be read",
            Some("a row holds at most 1 MiB and 16384 cells".into()),
        ));
    }
    let expected = columns.names.len();
    if record.len() != expected {
        let what = format!("the row has {} cells, the header {expected}", record.len());
        let help = if record.len() < expected {
            "is a separator missing?"
        } else {
            "does a cell with a separator lack its quotes?"
        };
        return Err(Problem::row(what, Some(help.into())));
    }
    if let Some((column, _)) = (0..).zip(record.cells()).find(|(_, cell)| cell.len() > MAX_CELL) {
        return Err(Problem::cell(
            column,
            "the cell is too large to be read",
            Some("a cell holds at most 64 KiB".into()),
        ));
    }
    let cell = |column: Option<usize>| column.map(|column| (column, clean(record.cell(column), columns)));
    let user = user(cell(columns.user_id), columns.email.is_some())?;
    let email = email(cell(columns.email))?;
    if user.is_none() && email.is_none() {
        let column = columns.user_id.or(columns.email).unwrap_or_default();
        return Err(Problem::cell(
            column,
            "the cell is empty",
            Some("a user id or an e-mail address is needed".into()),
        ));
    }
    let employee_type = employee_type(cell(columns.employee_type))?;
    let key = key(cell(columns.key))?;
    Ok(Parsed { user, email, employee_type, key })
}

/// A cell without blanks around it, and without the mark that keeps spreadsheets from running it.
fn clean<'a>(cell: &'a str, columns: &Columns) -> &'a str {
    let cell = if columns.results.is_some() { denature(cell) } else { cell };
    cell.trim()
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
    let id: UserId = text.parse().map_err(|_not_a_guid| {
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
    match text.parse() {
        Ok(email) if text.chars().all(is_plain) => Ok(Some(email)),
        _ => Err(Problem::cell(column, format!("`{}` is no e-mail address", Shown(text)), None)),
    }
}

fn employee_type(cell: Cell<'_>) -> Result<EmployeeType, Problem> {
    let all = "one of Guest, User, RoomAdmin, DocSpaceAdmin";
    let Some((column, text)) = cell else { return Err(Problem::row("the employee type is missing", Some(all.into()))) };
    if text.is_empty() {
        return Err(Problem::cell(column, "the cell is empty", Some(format!("an employee type is needed: {all}"))));
    }
    text.parse().map_err(|_not_a_type| {
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
    if !text.chars().all(is_plain) {
        return Err(Problem::cell(column, "the key holds characters that cannot be printed", None));
    }
    Ok(Some(text.to_owned()))
}
