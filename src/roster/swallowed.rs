//! Rows that a stray quote has taken into a cell: lines within quotes that look like rows of their own.

use super::{
    header::Columns,
    records::{Quote, Record},
    text::unquoted,
};
use crate::user::{Email, EmployeeType, UserId};

/// What a pair of quotes has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Swallowed {
    pub(super) quote: Quote,
    /// The lines that look like rows.
    pub(super) lines: Vec<u64>,
}

/// So many lines are named.
const NAMED: usize = 5;

/// The first cell of a record that holds what looks like rows.
pub(super) fn rows(record: &Record, columns: &Columns) -> Option<Swallowed> {
    record.spanning.iter().find_map(|quote| {
        let lines = physical_lines(record.cell(quote.column));
        // The cell's own first line belongs to its row.
        let like_rows = (quote.opens..).zip(lines).skip(1).filter(|(_, line)| looks_like_a_row(line, record, columns));
        let lines: Vec<u64> = like_rows.map(|(number, _)| number).take(NAMED).collect();
        (!lines.is_empty()).then_some(Swallowed { quote: *quote, lines })
    })
}

/// The lines of a cell, whichever way they end.
fn physical_lines(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// A line with a user id in a cell of its own is a row; one with an address, if it has also a row's number of cells, or
/// a type. Notes hold addresses too.
fn looks_like_a_row(line: &str, record: &Record, columns: &Columns) -> bool {
    let cells: Vec<&str> =
        line.split(char::from(record.delimiter)).map(|cell| unquoted(cell.trim_start_matches('='))).collect();
    if cells.iter().any(|cell| cell.parse::<UserId>().is_ok()) {
        return true;
    }
    let has_address = cells.len() > 1 && cells.iter().any(|cell| cell.contains('@') && cell.parse::<Email>().is_ok());
    has_address && (cells.len() == columns.names.len() || cells.iter().any(|cell| is_nearly_a_type(cell)))
}

fn is_nearly_a_type(cell: &str) -> bool {
    let cell = cell.to_lowercase();
    EmployeeType::ALL.iter().any(|kind| strsim::jaro_winkler(&kind.as_str().to_lowercase(), &cell) > 0.8)
}
