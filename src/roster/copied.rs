//! Cells and records of a roster that are written into another roster.

use std::borrow::Cow;

use super::{
    header::Columns,
    records::Record,
    row::{beyond, is_no_text},
    sheet_cell::Kind,
    text::{FORMULA, MERGED, is_blank, unquoted, visible},
};
use crate::{
    sheet::neutralise,
    user::{EmployeeType, UserId},
};

/// A cell as it is copied where it must not be copied as it stands, so that it does not become what it is not.
pub(super) fn unlike<'r>(record: &'r Record, column: usize, columns: &Columns) -> Option<Cow<'r, str>> {
    let cell = record.cell(column);
    let is_sheet = columns.sheet.is_some();
    let kind = record.kinds.iter().find(|(place, _)| *place == column).map(|(_, kind)| *kind);
    let is_needed = [columns.user_id, columns.email, columns.employee_type].contains(&Some(column));
    let is_read = is_needed || columns.key == Some(column);
    let is_no_text = (is_read && is_no_text(record, column, columns)) || record.reread.contains(&column);
    let is_merged = is_no_text && is_sheet && kind.is_none();
    if is_read && is_no_text && (!is_needed || (usable(cell) && !is_merged)) {
        // What was no text in a sheet, or bytes of no encoding, must not become a value by being copied: no id, address,
        // type or key holds this character.
        Some(format!("\u{fffd}{cell}").into())
    } else if is_needed && is_merged {
        // Nor must it become an empty cell, which would say that there is nothing.
        Some(format!("{MERGED} {cell}").trim_end().to_owned().into())
    } else if kind == Some(Kind::Formula) {
        Some(FORMULA.into())
    } else if is_sheet && kind.is_none() && columns.key != Some(column) {
        // A text of a sheet must not become a formula by being copied.
        Some(neutralise(cell))
    } else {
        None
    }
}

/// Whether somebody would take a cell for what it is not.
fn usable(cell: &str) -> bool {
    let seen = visible(cell);
    let text = unquoted(&seen);
    text.parse::<UserId>().is_ok() || text.contains('@') || text.parse::<EmployeeType>().is_ok()
}

/// The columns of a row that are copied: of a sheet not what stands beside the table, unless it is all that there is.
pub(super) fn kept(record: &Record, columns: &Columns) -> impl Iterator<Item = usize> {
    let expected = columns.names.len();
    let is_sheet = columns.sheet.is_some();
    let beside = beyond(record, columns).filter(|_| record.cells().take(expected).all(is_blank));
    let most = if is_sheet { expected } else { record.width() };
    (0..most.min(record.width())).chain(beside)
}

/// Writes a cell, in quotes where it needs them.
pub(super) fn put(out: &mut Vec<u8>, cell: &str, separator: char) {
    if cell.contains([separator, '"', '\n', '\r', '\u{1a}']) {
        quote(out, cell);
    } else {
        out.extend_from_slice(cell.as_bytes());
    }
}

/// Writes a cell in quotes.
pub(super) fn quote(out: &mut Vec<u8>, cell: &str) {
    out.push(b'"');
    out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
