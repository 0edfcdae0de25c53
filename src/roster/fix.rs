//! A repaired copy of a roster: what is certain is mended, what is not stays as it is and is marked.
//!
//! The copy is made in two steps: every cell is mended by itself, then the copy is read like any roster, and what is still
//! wrong is written into a column of its own. So whatever `check` finds in the copy is what the copy says of itself, and a
//! copy of the copy is the same.

use std::{borrow::Cow, io};

use super::{
    Roster, RosterError, RowState, address,
    copied::{kept, put, quote, unlike},
    reading::Reading,
    row::is_no_text,
    text::{is_blank, shown_by_formula, trimmed, unbroken, unquoted, visible},
};
use crate::{
    display::Shown,
    user::{Email, EmployeeType, UserId},
};

/// The column that says what is wrong with a row.
pub const COLUMN: &str = "onboard_check";

/// One cell that was mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it is: `line 7`, `Sheet!C7`.
    pub place: String,
    /// The column's name.
    pub column: String,
    /// What stood there.
    pub before: String,
    /// What stands there now.
    pub after: String,
}

/// A repaired copy.
#[derive(Debug)]
pub struct Fixed {
    /// The copy, as it is to be written.
    pub text: Vec<u8>,
    /// The copy as a roster.
    pub roster: Roster,
    /// Every cell that was mended.
    pub changes: Vec<Change>,
    /// Rows that are marked.
    pub marked: u64,
}

/// Makes a repaired copy.
pub fn fix(roster: &Roster, reading: &Reading) -> Result<Fixed, RosterError> {
    let failed = |source| RosterError::Spool { source };
    if roster.is_results() {
        return Err(RosterError::Mapping(
            "a results file is written by `onboard` and not mended; mend the roster that it was made of".to_owned(),
        ));
    }
    let mut changes = Vec::new();
    let copied = mended(roster, reading, &mut changes)?;
    // A sheet has become a text.
    let reading = Reading { sheet: None, ..reading.clone() };
    let copy = Roster::read_from_as(&mut &*copied.text(&[]), "the copy", &reading)?;
    let mut whys: Vec<String> = Vec::with_capacity(copy.rows().len());
    copy.for_each(|_, row, _, problem| -> io::Result<()> {
        whys.push(match (row.state, problem) {
            (RowState::Duplicate { of }, _) => format!("the user stands in row {of} already"),
            (_, Some(problem)) => problem.brief(copy.columns()),
            (_, None) => String::new(),
        });
        Ok(())
    })
    .map_err(failed)?;
    let marked = u64::try_from(whys.iter().filter(|why| !why.is_empty()).count()).unwrap_or(u64::MAX);
    let text = if marked > 0 { copied.text(&whys) } else { copied.unmarked() };
    let roster = Roster::read_from_as(&mut &*text, "the copy", &reading)?;
    Ok(Fixed { text, roster, changes, marked })
}

/// The copy without marks.
fn mended(roster: &Roster, reading: &Reading, changes: &mut Vec<Change>) -> Result<Copied, RosterError> {
    let columns = roster.columns();
    let is_sheet = columns.sheet.is_some();
    let mut copied = Copied {
        has_mark: !roster.is_plain_utf8(),
        separator: if is_sheet { ',' } else { roster.delimiter() },
        own: columns.names.iter().position(|name| name == COLUMN),
        header: Vec::new(),
        rows: Vec::with_capacity(roster.rows().len()),
    };
    copied.header = copied.record(columns.names.iter().map(|name| (name.as_str().into(), None)));
    let needed = [columns.user_id, columns.email, columns.employee_type];
    let mut too_large = None;
    let copied_rows = roster.for_each(|_, _, record, _| -> io::Result<()> {
        if record.too_large {
            too_large.get_or_insert(record.line);
            return Ok(());
        }
        let is_sound = record.spanning.is_empty() && record.trailing.is_none();
        let mut cells: Vec<(Cow<'_, str>, Option<usize>)> = Vec::with_capacity(record.width());
        for column in kept(record, columns) {
            let cell = record.cell(column);
            let is_needed = needed.contains(&Some(column));
            let is_no_text = (is_needed && is_no_text(record, column, columns)) || record.reread.contains(&column);
            let mended = if !is_sound || !is_needed || is_no_text {
                None
            } else if columns.user_id == Some(column) {
                user_id(cell)
            } else if columns.email == Some(column) {
                email(cell)
            } else {
                employee_type(cell, reading)
            };
            if let Some(after) = mended.filter(|after| after != cell && !after.is_empty()) {
                changes.push(Change {
                    place: columns.place(record.line, Some(column)),
                    column: columns.names.get(column).cloned().unwrap_or_default(),
                    before: cell.to_owned(),
                    after: after.clone(),
                });
                cells.push((after.into(), None));
            } else if let Some(marked) = unlike(record, column, columns) {
                cells.push((marked, None));
            } else {
                let from = record.trailing.filter(|quote| quote.column == column).map(|_| record.trailing_from);
                cells.push((cell.into(), from));
            }
        }
        let is_own = |place: usize| copied.own == Some(place);
        if cells.iter().enumerate().all(|(place, (cell, _))| is_own(place) || is_blank(cell)) {
            // Only our own remark of an earlier time stands there.
            return Ok(());
        }
        let row = copied.record(cells.into_iter());
        copied.rows.push(row);
        Ok(())
    });
    copied_rows.map_err(|source| RosterError::Spool { source })?;
    match too_large {
        None => Ok(copied),
        Some(line) => Err(RosterError::Mapping(format!(
            "{}: the row is too large to be copied; mend it first",
            Shown(&columns.place(line, None))
        ))),
    }
}

fn bare(cell: &str) -> String {
    trimmed(&shown_by_formula(trimmed(cell))).to_owned()
}

/// An id without what stands around it; its own spelling stays.
fn user_id(cell: &str) -> Option<String> {
    let text = bare(cell);
    let seen = visible(&text);
    let id = unquoted(&seen);
    id.parse::<UserId>().ok().map(|_| id.to_owned())
}

/// A type as it is spelt.
fn employee_type(cell: &str, reading: &Reading) -> Option<String> {
    let text = bare(cell);
    let seen = visible(&text);
    let word = unquoted(&seen);
    word.parse().ok().or_else(|| reading.type_of(word)).map(|kind: EmployeeType| kind.as_str().to_owned())
}

/// An address without what stands around it, a name included where it is told apart by brackets.
fn email(cell: &str) -> Option<String> {
    let text = bare(cell);
    if let Ok(read) = address::read(&text) {
        let seen = address::bare(&unbroken(&text)).to_owned();
        // In its own spelling, where that is the same address.
        return Some(if seen.parse::<Email>().as_ref() == Ok(&read) { seen } else { read.as_str().to_owned() });
    }
    named(&text)
}

/// The address of `Ada Example <ada@example.com>`, or `ada@example.com (Ada Example)`, where there is one alone.
fn named(text: &str) -> Option<String> {
    if text.matches('@').count() != 1 {
        return None;
    }
    let (inside, around) = if let Some((before, rest)) = text.split_once('<') {
        let (inside, after) = rest.split_once('>')?;
        (inside, [before, after].concat())
    } else {
        let (before, rest) = text.split_once('(')?;
        let (name, after) = rest.split_once(')')?;
        match (trimmed(before), trimmed(after)) {
            (address, "") | ("", address) => (address, name.to_owned()),
            _ => return None,
        }
    };
    // A name is of letters and little else; what is more may be a part of the address.
    let of_a_name =
        |c: char| c.is_alphanumeric() || c.is_whitespace() || matches!(c, '.' | '-' | '\'' | '\u{2019}' | ',' | '"');
    let is_name = !trimmed(&around).is_empty() && around.chars().all(of_a_name);
    let read = address::read(inside).ok()?;
    let own = trimmed(inside).to_owned();
    is_name.then(|| if own.parse::<Email>().as_ref() == Ok(&read) { own } else { read.as_str().to_owned() })
}

/// The copy, row by row, each beginning with a separator.
struct Copied {
    has_mark: bool,
    separator: char,
    /// The place of our own column in what is copied.
    own: Option<usize>,
    header: Vec<u8>,
    rows: Vec<Vec<u8>>,
}

impl Copied {
    /// The whole, with what is said of each row before it.
    fn text(&self, whys: &[String]) -> Vec<u8> {
        let mut out = self.begin();
        out.extend_from_slice(COLUMN.as_bytes());
        out.extend_from_slice(&self.header);
        for (number, row) in self.rows.iter().enumerate() {
            put(&mut out, whys.get(number).map_or("", String::as_str), self.separator);
            out.extend_from_slice(row);
        }
        out
    }

    /// The whole, where there is nothing to say.
    fn unmarked(&self) -> Vec<u8> {
        let mut out = self.begin();
        let separator = self.separator.len_utf8();
        for row in std::iter::once(&self.header).chain(&self.rows) {
            out.extend_from_slice(row.get(separator..).unwrap_or_default());
        }
        out
    }

    fn begin(&self) -> Vec<u8> {
        if self.has_mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() }
    }

    /// A record; of a cell with text after its closing quote, where that begins.
    fn record<'c>(&self, cells: impl Iterator<Item = (Cow<'c, str>, Option<usize>)>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut separator = [0; 4];
        for (_, (cell, from)) in (0..).zip(cells).filter(|(place, _)| Some(*place) != self.own) {
            out.extend_from_slice(self.separator.encode_utf8(&mut separator).as_bytes());
            match from.and_then(|from| cell.split_at_checked(from)) {
                Some((quoted, after)) => {
                    quote(&mut out, quoted);
                    out.extend_from_slice(after.as_bytes());
                }
                None => put(&mut out, &cell, self.separator),
            }
        }
        out.push(b'\n');
        out
    }
}
